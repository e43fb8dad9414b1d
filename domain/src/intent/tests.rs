use super::*;

fn operation(n: u8) -> OperationId {
    OperationId::from_random([n; 16])
}

fn seen(by: u8, bytes: u64) -> Seen {
    Seen { etag: format!("\"e{by}\""), bytes, modified: Timestamp::from_millis(0), operation: Some(operation(by)) }
}

fn intent(change: Change) -> Intent {
    Intent {
        operation: operation(1),
        organization: OrganizationId::from_random([9; 16]),
        credential: CredentialId::from_random([9; 15]),
        key: "k".into(),
        change,
        counted: Counted::default(),
        event: None,
        seen: None,
        made_bytes: None,
        upload: None,
        appends: false,
    }
}

#[test]
fn an_upload_happened_if_its_object_is_there_or_was_seen_there() {
    let upload = intent(Change::Upload);
    let happened = Verdict::Happened(UsageChange { bytes: 10, files: 1 });
    assert_eq!(judge(&upload, &Evidence::default()), Verdict::DidNot);
    assert_eq!(judge(&upload, &Evidence { now: Some(seen(1, 10)), ..Evidence::default() }), happened);
    assert_eq!(judge(&upload, &Evidence { now: Some(seen(2, 10)), ..Evidence::default() }), Verdict::DidNot);
    let replaced = Evidence { now: Some(seen(2, 7)), seen_by_other: Some(seen(1, 10)), ..Evidence::default() };
    assert_eq!(judge(&upload, &replaced), happened);
    assert_eq!(judge(&Intent { made_bytes: Some(10), ..upload }, &Evidence::default()), happened);
}

#[test]
fn an_overwrite_counts_the_difference() {
    let upload = Intent { seen: Some(seen(3, 4)), ..intent(Change::Upload) };
    let now = Evidence { now: Some(seen(1, 10)), ..Evidence::default() };
    assert_eq!(judge(&upload, &now), Verdict::Happened(UsageChange { bytes: 6, files: 0 }));
}

#[test]
fn a_delete_happened_if_that_version_is_gone() {
    let delete = Intent { seen: Some(seen(3, 4)), ..intent(Change::Delete) };
    let gone = Verdict::Happened(UsageChange { bytes: -4, files: -1 });
    assert_eq!(judge(&delete, &Evidence { now: Some(seen(3, 4)), ..Evidence::default() }), Verdict::DidNot);
    assert_eq!(judge(&delete, &Evidence::default()), gone);
    // somebody put another file in its place, which is no delete
    let replaced = Evidence { now: Some(seen(5, 9)), replaced_by_other: true, ..Evidence::default() };
    assert_eq!(judge(&delete, &replaced), Verdict::DidNot);
    // the same bytes uploaded again have the same ETag and another operation
    let again = Seen { operation: Some(operation(8)), ..seen(3, 4) };
    assert_eq!(judge(&delete, &Evidence { now: Some(again), ..Evidence::default() }), gone);
}

#[test]
fn a_rename_whose_copy_exists_is_finished() {
    let rename = intent(Change::RenameTo { from: "s".into(), source: seen(3, 4), counted: Counted::default() });
    let copied = Evidence { now: Some(seen(1, 4)), ..Evidence::default() };
    assert_eq!(judge(&rename, &copied), Verdict::Happened(UsageChange::default()));
    let both = Evidence { source_now: Some(seen(3, 4)), ..copied };
    assert_eq!(judge(&rename, &both), Verdict::FinishRename);
    assert_eq!(judge(&rename, &Evidence { source_now: Some(seen(3, 4)), ..Evidence::default() }), Verdict::DidNot);
}

#[test]
fn a_rename_whose_source_was_replaced_meanwhile_made_a_new_file() {
    let rename = intent(Change::RenameTo { from: "s".into(), source: seen(3, 4), counted: Counted::default() });
    let copied = Evidence { now: Some(seen(1, 4)), source_now: Some(seen(5, 9)), ..Evidence::default() };
    // a newer file that came after the source had gone
    assert_eq!(judge(&rename, &copied), Verdict::Happened(UsageChange::default()));
    let replaced = Evidence { replaced_by_other: true, ..copied };
    assert_eq!(judge(&rename, &replaced), Verdict::KeptBoth);
    // which may have gone again
    let gone = Evidence { source_now: None, ..replaced };
    assert_eq!(judge(&rename, &gone), Verdict::KeptBoth);
    let marker = Intent { key: "k/".into(), ..rename };
    assert_eq!(judge(&marker, &gone), Verdict::KeptBoth);
}
