//! Records against the offline AWS.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use domain::credential::{Credential, UserName};
use domain::id::{CredentialId, OrganizationId};
use domain::ssh_key::{ParsedKey, SshKey};
use domain::time::Timestamp;
use store::aws::{Aws, AwsSettings};
use store::records::{RecordError, Records};
use store::seal::Sealer;

async fn records() -> (offline_aws::OfflineAws, Records, Aws) {
    let offline = offline_aws::OfflineAws::start(offline_aws::Options::default()).await.unwrap();
    let settings = AwsSettings {
        endpoint: Some(offline.endpoint()),
        region: Some("us-east-1".into()),
        static_credentials: Some(("test".into(), "test".into())),
        table: "towpath".into(),
        ..AwsSettings::default()
    };
    let aws = Aws::connect(settings).await.unwrap();
    for _ in 0..2 {
        store::table::create_table(&aws.dynamodb, "towpath").await.unwrap();
    }
    let sealer = Sealer::new("a secret of at least 32 characters").unwrap_or_else(|error| panic!("{error}"));
    (offline, Records::new(&aws, sealer), aws)
}

fn credential(byte: u8, name: &str) -> Credential {
    let organization = OrganizationId::from_random([1; 16]);
    let name = UserName::parse(name).unwrap();
    Credential::new(CredentialId::from_random([byte; 15]), organization, name, Timestamp::from_millis(5))
}

#[tokio::test]
async fn the_slower_of_two_writers_is_told() {
    let (_offline, records, _) = records().await;
    let made = credential(1, "ana");
    records.create_credential(&made, &[]).await.unwrap();
    let read = records.credential(&made.organization, &made.id).await.unwrap().unwrap();
    assert!(read.value == made && read.rev == 1);
    let mut first = made.clone();
    first.alias = Some("first".into());
    assert!(matches!(records.save_credential(&read, &first, None).await, Ok(2)));
    let mut second = made.clone();
    second.alias = Some("second".into());
    assert!(matches!(records.save_credential(&read, &second, None).await, Err(RecordError::Conflict)));
    // a write whose answer was lost is repeated by the SDK: its own effect is a success
    assert!(matches!(records.save_credential(&read, &first, None).await, Ok(2)));
    let now = records.credential(&made.organization, &made.id).await.unwrap().unwrap();
    assert!(now.value == first && now.rev == 2);
}

#[tokio::test]
async fn a_user_name_belongs_to_one() {
    let (_offline, records, _) = records().await;
    records.create_credential(&credential(1, "ana"), &[]).await.unwrap();
    let other = credential(2, "ana");
    assert!(matches!(records.create_credential(&other, &[]).await, Err(RecordError::Conflict)));
    assert!(records.credential(&other.organization, &other.id).await.unwrap().is_none(), "nothing of it was written");
}

#[tokio::test]
async fn a_key_that_is_added_while_its_credential_is_deleted_does_not_stay() {
    let (_offline, records, _) = records().await;
    let made = credential(1, "ana");
    records.create_credential(&made, &[]).await.unwrap();
    let read = records.credential(&made.organization, &made.id).await.unwrap().unwrap();
    let parsed = ParsedKey {
        key_type: domain::ssh_key::KeyType::Ed25519,
        fingerprint: "SHA256:x".into(),
        comment: String::new(),
        line: "ssh-ed25519 x".into(),
        blob: vec![1, 2, 3],
    };
    let key = SshKey::new(made.id.clone(), parsed, Timestamp::from_millis(6));
    records.add_ssh_key(&made, &key).await.unwrap();
    assert!(matches!(records.delete_credential(&read, None).await, Err(RecordError::Conflict)));
    let read = records.credential(&made.organization, &made.id).await.unwrap().unwrap();
    assert_eq!((read.rev, read.value.ssh_keys), (2, 1));
    records.delete_credential(&read, None).await.unwrap();
    assert!(records.ssh_keys(&made.id).await.unwrap().is_empty());
    assert!(matches!(records.add_ssh_key(&made, &key).await, Err(RecordError::Conflict)), "its credential is gone");
}

mod audit {
    //! The audit log.

    use super::records;
    use domain::audit::{KEPT_MILLIS, Order, Position, Search, Span};
    use domain::event::{Actor, ActorKind, Event, Topic};
    use domain::id::{OrganizationId, uuid_text};
    use domain::time::Timestamp;
    use store::events::Events;

    const DAY: i64 = 24 * 3600 * 1000;

    fn organization(byte: u8) -> OrganizationId {
        OrganizationId::from_random([byte; 16])
    }

    fn event(organization: &OrganizationId, n: usize, millis: i64) -> Event {
        let mut random = [7; 16];
        random[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        Event {
            id: uuid_text(random),
            topic: if n.is_multiple_of(10) { Topic::Logout } else { Topic::Login },
            created_at: Timestamp::from_millis(millis),
            organization: organization.clone(),
            actor: Actor { kind: ActorKind::User, id: "ana".into() },
            origin: None,
            file: None,
            reason: None,
            api_key: None,
            changed: None,
            previous: None,
            user_agent: None,
        }
    }

    fn search(order: Order, from: i64, to: i64) -> Search {
        let span = Span { from: Timestamp::from_millis(from), to: Timestamp::from_millis(to) };
        Search { organization: organization(1), span, order }
    }

    /// All pages, joined.
    async fn all(events: &Events, search: &Search, keep: fn(&Event) -> bool, limit: usize) -> Vec<Event> {
        let (mut found, mut place): (Vec<Event>, Option<Position>) = (Vec::new(), None);
        loop {
            let page = events.find(search, keep, place.as_ref(), limit).await.unwrap();
            assert!(page.events.len() <= limit);
            found.extend(page.events);
            let Some(next) = page.next else { return found };
            // what comes back from a client
            place = Some(Position::parse(&next.text()).unwrap());
        }
    }

    #[tokio::test]
    async fn events_are_found_in_order_once_and_page_by_page() {
        let (_offline, _records, aws) = records().await;
        let events = Events::new(&aws);
        let start = 1_739_059_200_000;
        // three days, the one between without any; several at the same time
        let time = |n: usize| start + i64::try_from(n / 3).unwrap() * 1000 + if n < 700 { 0 } else { 2 * DAY };
        let mut expected: Vec<Event> = (0..1000).map(|n| event(&organization(1), n, time(n))).collect();
        let other: Vec<Event> = (0..30).map(|n| event(&organization(2), n, time(n))).collect();
        events.put(&expected).await.unwrap();
        // a queue gives twice, also in one batch
        events.put(&[other.clone(), expected[..40].to_vec(), expected[..40].to_vec()].concat()).await.unwrap();
        expected.sort_by_key(|event| Position::of(event).text());
        let everything = |_: &Event| true;
        let oldest = search(Order::OldestFirst, start, start + 3 * DAY);
        for limit in [1000, 333, 100, 7] {
            assert_eq!(all(&events, &oldest, everything, limit).await, expected, "{limit} at once");
        }
        let rare = |event: &Event| event.topic == Topic::Logout;
        let kept: Vec<Event> = expected.iter().filter(|event| rare(event)).cloned().collect();
        assert_eq!(all(&events, &oldest, rare, 30).await, kept);
        expected.reverse();
        let newest = search(Order::NewestFirst, start, start + 3 * DAY);
        for limit in [1000, 100, 7] {
            assert_eq!(all(&events, &newest, everything, limit).await, expected, "{limit} at once, backwards");
        }
        // both ends belong to a span
        let (from, to) = (start + 10_000, start + 20_000);
        let within: Vec<Event> =
            expected.iter().filter(|event| (from..=to).contains(&event.created_at.millis())).cloned().collect();
        assert_eq!(within.len(), 33);
        assert_eq!(all(&events, &search(Order::NewestFirst, from, to), everything, 10).await, within);
        assert!(all(&events, &search(Order::NewestFirst, to, from), everything, 10).await.is_empty());
    }

    #[tokio::test]
    async fn what_has_expired_says_so_to_dynamodb() {
        let (_offline, _records, aws) = records().await;
        let made = event(&organization(1), 1, 1_739_059_200_123);
        Events::new(&aws).put(std::slice::from_ref(&made)).await.unwrap();
        let items = aws.dynamodb.scan().table_name("towpath").send().await.unwrap().items.unwrap();
        assert_eq!(items.len(), 2, "the event and its day");
        let ttl = |prefix: &str| {
            let item = items.iter().find(|item| item["pk"].as_s().unwrap().starts_with(prefix)).unwrap();
            item["ttl"].as_n().unwrap().parse::<i64>().unwrap()
        };
        assert_eq!(ttl("EVENT#"), made.created_at.plus_millis(KEPT_MILLIS).seconds());
        assert!(ttl("EVENTDAYS#") >= ttl("EVENT#"), "a day is there as long as its events");
    }
}
