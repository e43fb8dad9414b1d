//! Names that belong together, and what may be there at the end.

use crate::ledger::Outcome;
use crate::version::Version;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What lies under the names of one client: name → version.
pub(crate) type State = BTreeMap<String, Version>;

/// Something that one client does to its own names.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Put(String, Version),
    Remove(String),
    Rename { from: String, to: String, replace: bool },
}

impl Act {
    /// The state after it; `None` if it cannot be done.
    fn on(&self, state: &State) -> Option<State> {
        let mut after = state.clone();
        match self {
            Self::Put(name, version) => {
                after.insert(name.clone(), *version);
            }
            Self::Remove(name) => {
                after.remove(name)?;
            }
            Self::Rename { from, to, replace } => {
                if !replace && state.contains_key(to) {
                    return None;
                }
                let version = after.remove(from)?;
                after.insert(to.clone(), version);
            }
        }
        Some(after)
    }

    /// What it takes away.
    fn source(&self) -> Option<&str> {
        match self {
            Self::Put(..) => None,
            Self::Remove(name) | Self::Rename { from: name, .. } => Some(name),
        }
    }
}

/// Every state that the names of one client may be in. An operation whose answer got lost has happened or not: so each
/// such operation doubles the states, and each clear answer thins them out.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    pub(crate) folder: String,
    states: BTreeSet<State>,
}

impl Owned {
    pub(crate) fn new(folder: String) -> Self {
        Self { folder, states: BTreeSet::from([State::new()]) }
    }

    /// Follows an operation. An error if the answer cannot be.
    pub(crate) fn follow(&mut self, act: &Act, outcome: Outcome) -> Result<(), String> {
        let after: BTreeSet<State> = self.states.iter().filter_map(|state| act.on(state)).collect();
        let states = match outcome {
            Outcome::Done => after,
            Outcome::DidNot => return Ok(()),
            Outcome::NoSuchFile => {
                let source = act.source().ok_or_else(|| format!("{act:?} found no such file"))?;
                self.states.iter().filter(|state| !state.contains_key(source)).cloned().collect()
            }
            Outcome::Unknown => self.states.union(&after).cloned().collect(),
        };
        if states.is_empty() {
            return Err(format!("in {}: {act:?} was answered with {outcome:?} in {:?}", self.folder, self.states));
        }
        self.states = states;
        Ok(())
    }

    /// What may be under a name.
    pub(crate) fn at(&self, name: &str) -> BTreeSet<Option<Version>> {
        self.states.iter().map(|state| state.get(name).copied()).collect()
    }

    /// Every name that may be taken.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.states.iter().flat_map(|state| state.keys().cloned()).collect()
    }

    pub(crate) fn uncertainty(&self) -> usize {
        self.states.len()
    }
}

/// What one of several clients did to a shared name: the version that it put there, or `None` for a delete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    pub(crate) version: Option<Version>,
    pub(crate) began: Instant,
    /// After this it cannot happen any more.
    pub(crate) ended: Instant,
    /// It did happen.
    pub(crate) done: bool,
}

/// Names with what may be there.
#[derive(Debug)]
pub(crate) enum Group {
    /// The names of one client.
    Owned(Owned),
    /// A name that several clients write.
    Shared { name: String, writes: Vec<Write> },
    /// Files of a folder that was renamed: each is in one of these places.
    Moved { places: Vec<String>, files: State, marker: bool },
}

/// What was found under a group's names: versions by full name, and markers of folders.
pub(crate) type Found = BTreeMap<String, Version>;

impl Group {
    /// Every version that may be under this full name.
    pub(crate) fn candidates(&self, full: &str) -> BTreeSet<Version> {
        match self {
            Self::Owned(owned) => match full.strip_prefix(&format!("{}/", owned.folder)) {
                Some(name) => owned.at(name).into_iter().flatten().collect(),
                None => BTreeSet::new(),
            },
            Self::Shared { name, writes } if name == full => writes.iter().filter_map(|one| one.version).collect(),
            Self::Shared { .. } => BTreeSet::new(),
            Self::Moved { places, files, .. } => {
                let below = places.iter().filter_map(|place| full.strip_prefix(&format!("{place}/")));
                below.filter_map(|name| files.get(name).copied()).collect()
            }
        }
    }

    /// What is wrong with what was found.
    pub(crate) fn check(&self, found: &Found, markers: &BTreeSet<String>) -> Result<(), String> {
        match self {
            Self::Owned(owned) => {
                let prefix = format!("{}/", owned.folder);
                let here = found.iter().filter_map(|(full, version)| Some((full.strip_prefix(&prefix)?, *version)));
                let state: State = here.map(|(name, version)| (name.to_owned(), version)).collect();
                if owned.states.contains(&state) {
                    return Ok(());
                }
                Err(format!("{prefix} holds {state:?}, allowed is {:?}", owned.states))
            }
            Self::Shared { name, writes } => {
                let now = found.get(name).copied();
                let possible = |one: &Write| {
                    one.version == now && !writes.iter().any(|later| later.done && later.began > one.ended)
                };
                let untouched = now.is_none() && !writes.iter().any(|one| one.done);
                if untouched || writes.iter().any(possible) {
                    return Ok(());
                }
                Err(format!("{name} holds {now:?} after {writes:?}"))
            }
            Self::Moved { places, files, marker } => {
                for (name, version) in files {
                    let there = places.iter().filter(|place| found.get(&format!("{place}/{name}")) == Some(version));
                    if there.count() != 1 {
                        return Err(format!("{name} {version:?} is not in exactly one of {places:?}"));
                    }
                }
                let markers = places.iter().filter(|place| markers.contains(*place)).count();
                if *marker && markers != 1 {
                    return Err(format!("{markers} of {places:?} are folders"));
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn version(number: u64) -> Version {
        Version { number, bytes: 10 }
    }

    fn found(files: &[(&str, u64)]) -> Found {
        files.iter().map(|(name, number)| ((*name).to_owned(), version(*number))).collect()
    }

    fn holds(group: &Group, files: &[(&str, u64)]) -> bool {
        group.check(&found(files), &BTreeSet::new()).is_ok()
    }

    #[test]
    fn a_lost_rename_may_have_happened_and_nothing_else_may() {
        let mut owned = Owned::new("d".into());
        owned.follow(&Act::Put("a".into(), version(1)), Outcome::Done).unwrap();
        let rename = Act::Rename { from: "a".into(), to: "b".into(), replace: true };
        owned.follow(&rename, Outcome::Unknown).unwrap();
        let group = Group::Owned(owned.clone());
        assert!(holds(&group, &[("d/a", 1)]) && holds(&group, &[("d/b", 1)]));
        assert!(!holds(&group, &[]) && !holds(&group, &[("d/a", 1), ("d/b", 1)]) && !holds(&group, &[("d/a", 2)]));
        owned.follow(&Act::Remove("a".into()), Outcome::NoSuchFile).unwrap();
        assert!(!holds(&Group::Owned(owned.clone()), &[("d/a", 1)]));
        owned.follow(&Act::Remove("b".into()), Outcome::NoSuchFile).unwrap_err();
    }

    #[test]
    fn a_shared_name_holds_what_nobody_replaced_for_certain() {
        let start = Instant::now();
        let write = |number, from, to, done| Write {
            version: Some(version(number)),
            began: start + Duration::from_millis(from),
            ended: start + Duration::from_millis(to),
            done,
        };
        let writes = vec![write(1, 0, 1, true), write(2, 2, 4, true), write(3, 3, 5, true), write(4, 3, 5, false)];
        let group = Group::Shared { name: "s".into(), writes };
        assert!(holds(&group, &[("s", 2)]) && holds(&group, &[("s", 3)]) && holds(&group, &[("s", 4)]));
        assert!(!holds(&group, &[("s", 1)]) && !holds(&group, &[]));
    }

    #[test]
    fn a_moved_file_is_in_one_place() {
        let files = State::from([("x".to_owned(), version(1))]);
        let group = Group::Moved { places: vec!["a".into(), "b".into()], files, marker: false };
        assert!(holds(&group, &[("a/x", 1)]) && holds(&group, &[("b/x", 1)]));
        assert!(!holds(&group, &[]) && !holds(&group, &[("a/x", 1), ("b/x", 1)]));
    }
}
