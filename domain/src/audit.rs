//! The audit log: every event, kept for 13 months, and what can be asked of it.

mod csv;
mod shown;

pub use csv::row;
pub use shown::{COLUMNS, cells, shown};

use crate::event::{Event, FileSubject, Topic};
use crate::id::OrganizationId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// How long an event is kept: 13 months, the longest of them.
pub const KEPT_MILLIS: i64 = 397 * DAY_MILLIS;

/// Events of one organization and day lie in so many partitions, by their ids: each takes 1,000 writes a second, which is more than
/// the settling of one organization makes events in.
pub const SHARDS: u8 = 8;

/// A day of the calendar, in UTC: how many have passed since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// The day of a time.
    pub const fn of(at: Timestamp) -> Self {
        Self(at.millis().div_euclid(DAY_MILLIS))
    }

    /// A day by its number.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// Its first millisecond.
    pub const fn begins(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(DAY_MILLIS))
    }

    /// Its last.
    pub const fn ends(self) -> Timestamp {
        self.begins().plus_millis(DAY_MILLIS - 1)
    }
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The newest first.
    #[default]
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// From when to when, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The earliest.
    pub from: Timestamp,
    /// The latest.
    pub to: Timestamp,
}

impl Span {
    /// What is still kept of it at `now`. DynamoDB deletes what has expired days late, so this is who decides.
    #[must_use]
    pub fn kept(self, now: Timestamp) -> Self {
        let oldest = now.plus_millis(-KEPT_MILLIS);
        Self { from: self.from.max(oldest), to: self.to }
    }
}

/// A place between two events: behind this one, in the order of time and then of ids. It comes back from clients, as a cursor, and is
/// trusted with nothing but where to go on in the caller's own events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Position {
    at: Timestamp,
    id: String,
}

/// No id is longer.
const MAX_ID: usize = 64;

impl Position {
    /// That of an event.
    pub fn of(event: &Event) -> Self {
        Self { at: event.created_at, id: event.id.clone() }
    }

    /// Before all events of a time.
    pub const fn before(at: Timestamp) -> Self {
        Self { at, id: String::new() }
    }

    /// Behind all events of a time.
    pub fn behind(at: Timestamp) -> Self {
        // behind all that an id may hold
        Self { at, id: "~".to_owned() }
    }

    /// When.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The text, which sorts as positions do.
    pub fn text(&self) -> String {
        format!("{:013}-{}", self.at.millis().max(0), self.id)
    }

    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let (time, id) = text.split_at_checked(13)?;
        let id = id.strip_prefix('-')?;
        let is_id = id.len() <= MAX_ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte));
        let is_time = time.bytes().all(|byte| byte.is_ascii_digit());
        let at = Timestamp::from_millis(time.parse().ok().filter(|_| is_time && is_id)?);
        Some(Self { at, id: id.to_owned() })
    }
}

impl TryFrom<String> for Position {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| "not a place among events".to_owned())
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.text()
    }
}

/// In which of its day's partitions an event lies.
pub fn shard(event_id: &str) -> u8 {
    crc32fast::hash(event_id.as_bytes()).to_le_bytes()[0] % SHARDS
}

/// What is looked for; everything that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// One of these topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<Topic>>,
    /// By this actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// About a file or folder whose path begins so, also as what it was called before. Paths begin with a slash, those of folders end
    /// in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<String>,
    /// From this address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

impl Filter {
    /// Whether every event passes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an event passes.
    pub fn matches(&self, event: &Event) -> bool {
        let Self { topics, principal, path_prefix, address } = self;
        topics.as_ref().is_none_or(|topics| topics.contains(&event.topic))
            && principal.as_ref().is_none_or(|id| *id == event.actor.id)
            && address.is_none_or(|address| event.origin.as_ref().is_some_and(|origin| same(origin.client_ip, address)))
            && path_prefix.as_ref().is_none_or(|prefix| {
                [&event.file, &event.previous].into_iter().flatten().any(|file| path_text(file).starts_with(prefix))
            })
    }
}

/// A path as this log shows it: from the organization's root, a folder with a slash at its end.
pub fn path_text(file: &FileSubject) -> String {
    let end = if file.folder && !file.path.is_root() { "/" } else { "" };
    format!("/{}{end}", file.path.relative())
}

/// An IPv4 address may come as an IPv6 one.
fn same(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical() == b.to_canonical()
}

/// Where events are looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// Whose events.
    pub organization: OrganizationId,
    /// When.
    pub span: Span,
    /// In which order.
    pub order: Order,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Actor, ActorKind};
    use crate::event::{Origin, Protocol};
    use crate::path::VPath;

    fn event(topic: Topic) -> Event {
        let file = |path| Some(FileSubject { path: VPath::parse(path).unwrap(), folder: false, size: Some(5) });
        Event {
            id: "5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11".into(),
            topic,
            created_at: Timestamp::from_millis(1_591_106_805_970),
            organization: OrganizationId::from_random([1; 16]),
            actor: Actor { kind: ActorKind::User, id: "ana".into() },
            origin: None,
            file: file("/new.txt"),
            reason: None,
            api_key: None,
            changed: None,
            previous: file("/old.txt"),
            user_agent: None,
        }
    }

    #[test]
    fn positions_come_back_and_sort_as_time_does() {
        let at = Timestamp::from_millis;
        let mut event = event(Topic::FileCreated);
        event.created_at = at(1_739_120_350_624);
        let here = Position::of(&event);
        assert_eq!(Position::parse(&here.text()), Some(here.clone()));
        let (before, behind) = (Position::before(event.created_at), Position::behind(event.created_at));
        assert!(before.text() < here.text() && here.text() < behind.text() && before < here && here < behind);
        assert!(behind.text() < Position::before(at(1_739_120_350_625)).text());
        for place in [before, behind] {
            assert_eq!(Position::parse(&place.text()), Some(place));
        }
        for bad in
            ["", "1", "1739120350624", "173912035062x-a", "1739120350624-#", "+739120350624-a", "ä739120350624-a"]
        {
            assert_eq!(Position::parse(bad), None, "{bad}");
        }
        assert_eq!(Position::parse(&format!("1739120350624-{}", "a".repeat(65))), None);
    }

    #[test]
    fn a_day_is_from_midnight_to_midnight() {
        let day = Day::of(Timestamp::from_millis(1_739_120_350_624));
        assert_eq!((Day::of(day.begins()), Day::of(day.ends())), (day, day));
        assert_eq!(Day::of(day.ends().plus_millis(1)).number(), day.number() + 1);
        assert_eq!(Day::of(day.begins().plus_millis(-1)).number(), day.number() - 1);
    }

    #[test]
    fn what_has_expired_is_in_no_span() {
        let now = Timestamp::from_millis(1_739_120_350_624);
        let all = Span { from: Timestamp::from_millis(0), to: now };
        assert_eq!(all.kept(now).from, now.plus_millis(-KEPT_MILLIS));
        let late = Span { from: now.plus_millis(-1), to: now };
        assert_eq!(late.kept(now), late);
    }

    #[test]
    fn everything_that_is_said_must_hold() {
        let mut event = event(Topic::FileRenamed);
        event.origin = Some(Origin {
            protocol: Protocol::Sftp,
            client_ip: "::ffff:192.0.2.7".parse().unwrap(),
            session_id: "s1".into(),
        });
        let path = |text: &str| Some(text.to_owned());
        event.file.as_mut().unwrap().path = VPath::parse("/in/new.txt").unwrap();
        let all = Filter::default();
        assert!(all.is_empty() && all.matches(&event));
        let yes = [
            Filter { topics: Some(vec![Topic::FileRenamed, Topic::Login]), ..all.clone() },
            Filter { principal: Some("ana".into()), ..all.clone() },
            Filter { address: Some("192.0.2.7".parse().unwrap()), ..all.clone() },
            Filter { path_prefix: path("/in/"), ..all.clone() },
            Filter { path_prefix: path("/in/new.txt"), ..all.clone() },
            Filter { path_prefix: path("/old"), ..all.clone() },
            Filter { path_prefix: path("/"), ..all.clone() },
        ];
        for filter in yes {
            assert!(filter.matches(&event), "{filter:?}");
            let also = Filter { topics: Some(vec![Topic::Login]), ..filter };
            assert!(!also.matches(&event), "{also:?}");
        }
        for filter in [
            Filter { principal: Some("an".into()), ..all.clone() },
            Filter { address: Some("192.0.2.8".parse().unwrap()), ..all.clone() },
            Filter { path_prefix: path("/new"), ..all.clone() },
            Filter { path_prefix: path("in/"), ..all.clone() },
        ] {
            assert!(!filter.matches(&event), "{filter:?}");
        }
        event.file = None;
        event.previous = None;
        assert!(!Filter { path_prefix: path("/"), ..all }.matches(&event), "what is about no file lies nowhere");
    }
}
