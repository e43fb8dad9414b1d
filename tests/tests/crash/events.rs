//! What must be announced, what may be, and what was.

use crate::stage::HOME;
use serde_json::Value;
use std::collections::BTreeMap;

/// An event as a receiver is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    topic: String,
    path: String,
    /// Of created files only: what else has a size is another event's file.
    bytes: Option<u64>,
    /// Of renames.
    previous: Option<String>,
}

impl Told {
    pub(crate) fn created(path: &str, bytes: usize) -> Self {
        Self { bytes: Some(bytes as u64), ..Self::of("file.created", path) }
    }

    pub(crate) fn created_folder(path: &str) -> Self {
        Self::of("file.created", &format!("{path}/"))
    }

    pub(crate) fn deleted(path: &str) -> Self {
        Self::of("file.deleted", path)
    }

    pub(crate) fn deleted_folder(path: &str) -> Self {
        Self::of("file.deleted", &format!("{path}/"))
    }

    pub(crate) fn renamed(from: &str, to: &str) -> Self {
        Self { previous: Some(format!("{HOME}{from}")), ..Self::of("file.renamed", to) }
    }

    pub(crate) fn renamed_folder(from: &str, to: &str) -> Self {
        Self::renamed(&format!("{from}/"), &format!("{to}/"))
    }

    fn of(topic: &str, path: &str) -> Self {
        Self { topic: topic.to_owned(), path: format!("{HOME}{path}"), bytes: None, previous: None }
    }

    /// From a delivery's body. The suite's names are the same in the body's encoding.
    pub(crate) fn read(body: &Value) -> Self {
        let topic = body["Topic"].as_str().unwrap().to_owned();
        let bytes = body["Data"]["Size"].as_u64().filter(|_| topic == "file.created");
        let previous = body["PreviousData"]["Path"].as_str().map(str::to_owned);
        Self { topic, path: body["Data"]["Path"].as_str().unwrap().to_owned(), bytes, previous }
    }
}

/// How often something happened for certain, and how often it may have happened at most.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range {
    pub(crate) least: usize,
    pub(crate) most: usize,
}

/// What clients did, as events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected(BTreeMap<Told, Range>);

impl Expected {
    /// An operation that was acknowledged.
    pub(crate) fn must(&mut self, told: Told) {
        let range = self.0.entry(told).or_default();
        range.least += 1;
        range.most += 1;
    }

    /// One that may have happened.
    pub(crate) fn may(&mut self, told: Told) {
        self.0.entry(told).or_default().most += 1;
    }

    /// How many events there must be at least.
    pub(crate) fn least(&self) -> usize {
        self.0.values().map(|range| range.least).sum()
    }

    /// What is missing, and what nobody did.
    pub(crate) fn compare(&self, arrived: &BTreeMap<String, Told>) -> Vec<String> {
        let mut counts: BTreeMap<&Told, usize> = BTreeMap::new();
        arrived.values().for_each(|told| *counts.entry(told).or_default() += 1);
        let mut wrong = Vec::new();
        for (told, range) in &self.0 {
            let count = counts.remove(told).unwrap_or(0);
            if !(range.least..=range.most).contains(&count) {
                wrong.push(format!("{count} events instead of {} to {}: {told:?}", range.least, range.most));
            }
        }
        wrong.extend(counts.into_iter().map(|(told, count)| format!("{count} events that nobody caused: {told:?}")));
        wrong
    }
}

#[test]
fn missing_and_invented_events_are_found() {
    let mut expected = Expected::default();
    expected.must(Told::created("a", 1));
    expected.may(Told::deleted("a"));
    let arrived = |told: &[Told]| told.iter().enumerate().map(|(at, told)| (at.to_string(), told.clone())).collect();
    assert_eq!(expected.compare(&arrived(&[Told::created("a", 1)])), [""; 0]);
    assert_eq!(expected.compare(&arrived(&[Told::created("a", 1), Told::deleted("a")])), [""; 0]);
    assert_eq!(expected.compare(&arrived(&[Told::created("a", 2)])).len(), 2);
    assert_eq!(expected.compare(&arrived(&[Told::created("a", 1), Told::created("a", 1)])).len(), 1);
}
