use super::*;
use crate::webhook::tests::event;
use proptest::prelude::*;

const NOW: i64 = 1_700_000_000_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOW + millis)
}

fn message() -> Delivery {
    let event = event(Topic::FileCreated);
    Delivery {
        id: delivery_id(event.created_at, &event.id, "w"),
        organization: event.organization.clone(),
        webhook: "w".into(),
        failed_attempts: 0,
        round: None,
        slow: false,
        not_before: None,
        content: Content::Event { event: Box::new(event) },
    }
}

fn attempt() -> Attempt {
    Attempt { id: "a".into(), at: at(0), millis: 3, status: Some(500), error: None, answer: String::new(), round: None }
}

#[test]
fn ids_are_uuids_in_the_order_of_time_and_the_same_for_the_same() {
    let id = delivery_id(at(0), "e", "w");
    assert_eq!(id, delivery_id(at(0), "e", "w"));
    assert!(crate::id::is_uuid(&id) && id != delivery_id(at(0), "e", "x") && id != delivery_id(at(0), "f", "w"));
    assert!(id < delivery_id(at(1), "e", "w"));
    assert!(first_id(at(0)) <= id && id < first_id(at(1)));
}

#[test]
fn of_two_messages_one_sends_and_what_is_over_stays_over() {
    let mut record = Logged::claimed(message(), at(0));
    assert_eq!(record.claim(&message(), at(1)), Claim::Later(at(LEASE_MILLIS)));
    // its worker died
    assert_eq!(record.claim(&message(), at(LEASE_MILLIS)), Claim::Yours);
    record.tried(attempt(), Next::Retry(5), at(40_000));
    assert_eq!((record.status, record.next_attempt_at), (Status::Retrying, Some(at(45_000))));
    assert_eq!(record.claim(&message(), at(50_000)), Claim::Over, "a message of the attempt before");
    let next = record.delivery.clone();
    assert_eq!(next.failed_attempts, 1);
    assert_eq!(record.claim(&next, at(50_000)), Claim::Yours);
    record.tried(attempt(), Next::Done, at(50_001));
    assert_eq!((record.status, record.tried, record.claim(&next, at(99_000))), (Status::Succeeded, 2, Claim::Over));
}

#[test]
fn another_round_begins_anew_and_ends_the_one_before() {
    let mut record = Logged::claimed(message(), at(0));
    record.tried(attempt(), Next::Retry(5), at(1));
    let first = record.delivery.clone();
    let again = Delivery { round: Some("r".into()), ..message() };
    assert!(record.counts());
    assert_eq!(record.claim(&again, at(2)), Claim::Yours);
    assert!(!record.counts() && record.delivery.failed_attempts == 0 && record.status == Status::Pending);
    assert_eq!(record.claim(&first, at(99_000)), Claim::Over, "superseded");
    record.tried(attempt(), Next::Failed, at(3));
    assert_eq!(record.claim(&again, at(99_000)), Claim::Over, "the same message twice");
    let third = Delivery { round: Some("s".into()), ..message() };
    assert_eq!(record.claim(&third, at(4)), Claim::Yours);
    record.tried(attempt(), Next::Done, at(5));
    assert_eq!(record.claim(&again, at(99_000)), Claim::Over, "of a round before");
}

#[test]
fn what_waits_is_due_when_no_message_comes() {
    let mut record = Logged::claimed(message(), at(0));
    assert_eq!(record.due(), None);
    record.tried(attempt(), Next::Retry(300), at(0));
    assert_eq!(record.due(), Some(at(300_000 + GRACE_MILLIS)));
    record.tried(attempt(), Next::Retry(1800), at(0));
    assert_eq!(record.due(), Some(at(1_800_000)));
    record.tried(attempt(), Next::Failed, at(0));
    assert_eq!(record.due(), None);
}

#[test]
fn what_waits_behind_others_is_sent_again_ever_later_and_at_once_when_it_was_tried() {
    let mut record = Logged::claimed(message(), at(0));
    record.tried(attempt(), Next::Retry(5), at(0));
    let mut waits = Vec::new();
    for _ in 0..7 {
        record.woken(at(0));
        waits.push(record.due().unwrap().millis() - NOW);
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 32, 32].map(|times| times * GRACE_MILLIS));
    let again = record.delivery.clone();
    assert_eq!(record.claim(&again, at(1)), Claim::Yours);
    record.tried(attempt(), Next::Retry(5), at(0));
    assert_eq!(record.due(), Some(at(5_000 + GRACE_MILLIS)));
    record.abandoned(at(2));
    assert_eq!((record.due(), record.status), (None, Status::Failed));
}

#[test]
fn attempts_are_bounded() {
    let mut record = Logged::claimed(message(), at(0));
    for n in 0..50 {
        record.tried(Attempt { millis: n, ..attempt() }, Next::Retry(5), at(0));
    }
    assert_eq!((record.attempts.len(), record.tried), (MOST_ATTEMPTS, 50));
    assert_eq!(record.attempts.last().unwrap().millis, 49);
}

#[test]
fn an_answer_is_kept_as_text_without_our_secrets() {
    let echoed = b"you sent: Bearer 12345 \xff\x00 and whsec_abcdef";
    let kept = kept_answer(echoed, &["Bearer 12345", "whsec_abcdef", "a"]);
    assert_eq!(kept, "you sent: [redacted] \u{fffd} and [redacted]");
    // as UTF-16 spells it
    assert_eq!(kept_answer(b"w\0h\0s\0e\0c\0_\0x\0", &["whsec_x"]), "[redacted]");
}

proptest! {
    #[test]
    fn kept_answers_are_short(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        prop_assert!(kept_answer(&bytes, &["secret"]).len() <= KEPT_ANSWER);
    }
}
