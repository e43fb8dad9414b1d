//! Quotas: strict over nodes, early, and with nothing left behind.

use crate::world::{SWEPT, WHOLE, World, content, get, path, put};
use app::vfs::{FileSession, WriteMode};
use bytes::Bytes;
use domain::file_error::FileErrorKind::QuotaExceeded;
use domain::id::NodeId;
use domain::quota::{Amount, Holder, Quota};
use offline_aws::FaultPlan;
use std::time::{Duration, Instant};
use store::clock;
use store::intents::LEASE_MILLIS;
use store::leases::{Leased, Leases};

const MIB: usize = 1024 * 1024;

fn bytes(bytes: usize) -> Quota {
    Quota { bytes: bytes as u64, files: 0 }
}

impl World {
    fn holder(&self) -> Holder {
        Holder::Credential(self.credential.clone())
    }

    /// What is out on leases.
    async fn leased(&self) -> Amount {
        let read = Leases::new(&self.aws).get(&self.organization, &self.holder()).await.unwrap();
        read.nodes.values().fold(Amount::default(), |sum, lease| sum.plus(*lease))
    }

    /// The same as the table has it: what was given back twice is negative.
    async fn numbers(&self) -> Vec<i64> {
        let items = self.aws.dynamodb.scan().table_name(&self.aws.settings.table).send().await.unwrap();
        let attributes = items.items().iter().flatten();
        let leases =
            attributes.filter(|(name, _)| name.starts_with("lease_bytes@") || name.starts_with("lease_files@"));
        leases.map(|(_, value)| value.as_n().unwrap().parse().unwrap()).collect()
    }

    /// Gives a node that much.
    async fn leases_to(&self, node: &NodeId, amount: Amount) {
        let leases = Leases::new(&self.aws);
        let read = leases.get(&self.organization, &self.holder()).await.unwrap();
        let more = Leased { holder: self.holder(), node: node.clone(), amount };
        assert!(leases.take(&self.organization, &more, &Default::default(), &read).await.unwrap());
    }

    /// Waits until nothing is leased any more.
    async fn nothing_leased(&self) {
        assert!(self.vfs.settled(Duration::from_secs(20)).await);
        let began = Instant::now();
        while self.numbers().await.iter().any(|number| *number != 0) {
            assert!(began.elapsed() < Duration::from_secs(20), "{:?} stays leased", self.numbers().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn small(session: &FileSession, name: &str, bytes: usize) -> Result<(), domain::file_error::FileErrorKind> {
    put(session, name, &content(bytes), WHOLE).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes: make test-full"]
async fn what_the_settler_gives_up_on_does_not_stay_reserved() {
    let world = World::start().await;
    let ana = world.session_within(bytes(1000));
    let mut plan = FaultPlan::default();
    plan.sqs.down = true;
    world.offline.faults().set(plan);
    small(&ana, "/a", 600).await.unwrap();
    assert!(world.vfs.settled(Duration::from_secs(180)).await);
    world.offline.faults().set(FaultPlan::default());
    // the sweep counts it, and knows nothing of the lease
    world.sweep().round(clock::now().plus_millis(LEASE_MILLIS + 1)).await;
    assert_eq!(world.usage().await.bytes, 600);
    assert_eq!(world.leased().await, Amount { bytes: 600, files: 1 });
    world.stores.leases.pay(Duration::ZERO).await;
    world.nothing_leased().await;
    small(&ana, "/b", 400).await.unwrap();
}

#[tokio::test]
async fn files_up_to_the_quota_and_not_a_byte_more() {
    let world = World::start().await;
    let ana = world.session_within(bytes(1000));
    small(&ana, "/a", 600).await.unwrap();
    assert_eq!(small(&ana, "/b", 401).await, Err(QuotaExceeded));
    assert_eq!(world.keys().await.len(), 1, "nothing appears");
    small(&ana, "/b", 400).await.unwrap();
    assert_eq!(small(&ana, "/c", 1).await, Err(QuotaExceeded));
    // an empty file takes no bytes
    small(&ana, "/c", 0).await.unwrap();
    // what replaces another file needs what it adds to that
    small(&ana, "/a", 600).await.unwrap();
    small(&ana, "/a", 500).await.unwrap();
    assert_eq!(small(&ana, "/a", 601).await, Err(QuotaExceeded));
    assert_eq!(get(&ana, "/a").await.unwrap(), content(500));
    small(&ana, "/a", 600).await.unwrap();
    // and what goes makes room at once
    ana.delete_file(&path("/b")).await.unwrap();
    assert!(world.vfs.settled(Duration::from_secs(20)).await);
    small(&ana, "/d", 400).await.unwrap();
    assert_eq!(world.usage().await.bytes, 1000);
    world.nothing_leased().await;
}

#[tokio::test]
async fn files_are_counted_too_and_refused_when_they_are_opened() {
    let world = World::start().await;
    let ana = world.session_within(Quota { bytes: 0, files: 2 });
    for name in ["/a", "/b", "/a"] {
        small(&ana, name, 10).await.unwrap();
    }
    let refused = ana.open_write(&path("/c"), WHOLE).await.err().map(|error| (error.kind(), error.to_string()));
    let text = "the quota of 2 files would be exceeded".to_owned();
    assert_eq!(refused, Some((QuotaExceeded, text)));
    small(&ana, "/b", 300_000).await.unwrap();
    ana.rename(&path("/a"), &path("/c"), false).await.unwrap();
    assert_eq!(small(&ana, "/a", 1).await, Err(QuotaExceeded));
    assert_eq!(world.usage().await.files, 2);
    world.nothing_leased().await;
}

#[tokio::test]
async fn a_large_file_is_refused_when_it_comes_to_the_limit_and_leaves_nothing() {
    let world = World::start().await;
    let ana = world.session_within(bytes(20 * MIB));
    let whole = content(30 * MIB);
    let mut upload = ana.open_write(&path("/a"), WHOLE).await.unwrap();
    let mut sent = 0;
    let refused = loop {
        let piece = whole.slice(sent..sent + 32_768);
        match upload.write(sent as u64, piece).await {
            Ok(()) => sent += 32_768,
            Err(error) => break error.kind(),
        }
    };
    assert_eq!((refused, sent), (QuotaExceeded, 20 * MIB));
    assert!(upload.finish().await.is_err());
    assert!(world.keys().await.is_empty());
    put(&ana, "/b", &content(20 * MIB), WHOLE).await.unwrap();
    // a new version of the same size has room, though both do not
    put(&ana, "/b", &content(20 * MIB), WHOLE).await.unwrap();
    assert_eq!(world.usage().await.bytes, 20 * MIB as i64);
    world.nothing_leased().await;
}

#[tokio::test]
async fn appending_needs_what_is_appended() {
    let world = World::start().await;
    let ana = world.session_within(bytes(10 * MIB));
    put(&ana, "/a", &content(9 * MIB), WHOLE).await.unwrap();
    let append = WriteMode { append: true, create: true, ..WriteMode::default() };
    put(&ana, "/a", &content(MIB), append).await.unwrap();
    assert_eq!(put(&ana, "/a", &content(1), append).await, Err(QuotaExceeded));
    assert_eq!(get(&ana, "/a").await.unwrap().len(), 10 * MIB);
    world.nothing_leased().await;
}

#[tokio::test]
async fn two_nodes_together_store_no_more_than_one_may() {
    let world = World::start().await;
    let (here, there) = (world.session_within(bytes(64 * 1024)), world.another_node(8));
    let there_session = world.session_on(&there, bytes(64 * 1024));
    let uploads = (0..64).map(|at| {
        let session = if at % 2 == 0 { &here } else { &there_session };
        async move { small(session, &format!("/{at}"), 4096).await }
    });
    let outcomes = futures_util::future::join_all(uploads).await;
    let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(QuotaExceeded))), "{outcomes:?}");
    assert!(there.settled(Duration::from_secs(20)).await);
    assert_eq!((stored, world.usage().await.bytes), (16, 64 * 1024));
    world.nothing_leased().await;
}

#[tokio::test]
async fn what_a_node_does_not_need_is_there_for_others_soon() {
    let world = World::start().await;
    let here = world.session_within(bytes(10 * MIB));
    small(&here, "/a", 1).await.unwrap();
    assert!(world.leased().await.bytes > 1_000_000, "a block was leased");
    let there = world.another_node(8);
    // nearly all of the quota: waits until the block is given back
    put(&world.session_on(&there, bytes(10 * MIB)), "/b", &content(10 * MIB - 1), WHOLE).await.unwrap();
    assert!(there.settled(Duration::from_secs(20)).await);
    assert_eq!(world.usage().await.bytes, 10 * MIB as i64);
    world.nothing_leased().await;
}

#[tokio::test]
async fn aborts_and_interruptions_take_nothing() {
    let world = World::keeping().await;
    let ana = world.session_within(bytes(20 * MIB));
    for end in ["abort", "interrupt", "drop"] {
        let mut upload = ana.open_write(&path("/a"), WHOLE).await.unwrap();
        upload.write(0, content(15 * MIB)).await.unwrap();
        match end {
            "abort" => upload.abort().await,
            "interrupt" => upload.interrupt().await,
            _ => drop(upload),
        }
        assert!(world.vfs.settled(Duration::from_secs(20)).await);
    }
    small(&ana, "/b", 10 * MIB).await.unwrap();
    // going on with the interrupted one needs room for all of it
    let mut upload = world.session_within(bytes(20 * MIB));
    let listed = upload.stat(&path("/a")).await.unwrap().bytes;
    assert!(listed > 0);
    upload = world.session_within(bytes(20 * MIB));
    let mode = WriteMode { create: true, ..WriteMode::default() };
    let mut going_on = upload.open_write(&path("/a"), mode).await.unwrap();
    let rest: Bytes = content(15 * MIB).slice(usize::try_from(listed).unwrap()..);
    assert_eq!(going_on.write(listed, rest).await.map_err(|error| error.kind()), Err(QuotaExceeded));
    going_on.abort().await;
    assert_eq!(world.usage().await.bytes, 10 * MIB as i64);
    world.nothing_leased().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_whose_answer_gets_lost_is_given_back_once() {
    let world = World::start().await;
    let node = NodeId::from_random([9; 16]);
    world.leases_to(&node, Amount { bytes: 1000, files: 50 }).await;
    let mut plan = FaultPlan { seed: 3, ..FaultPlan::default() };
    plan.dynamodb.lost_answer_rate = 0.6;
    world.offline.faults().set(plan);
    let (leases, less) =
        (Leases::new(&world.aws), Leased { holder: world.holder(), node, amount: Amount { bytes: 7, files: 1 } });
    // the settler's workers and the one who looks for idle leases do it at the same time
    let all = (0..20).map(|_| leases.give_back(&world.organization, &less));
    futures_util::future::try_join_all(all).await.unwrap();
    world.offline.faults().set(FaultPlan::default());
    assert_eq!(world.leased().await, Amount { bytes: 1000 - 140, files: 50 - 20 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_whose_answer_gets_lost_uses_up_a_lease_once() {
    let world = World::start().await;
    let ana = world.session_within(bytes(100 * MIB));
    let mut plan = FaultPlan { seed: 5, ..FaultPlan::default() };
    // more than the SDK's own three tries can hide
    plan.dynamodb.lost_answer_rate = 0.8;
    for round in 0..4 {
        let mut uploads = Vec::new();
        for at in 0..5 {
            let mut upload = ana.open_write(&path(&format!("/{round}-{at}")), WHOLE).await.unwrap();
            upload.write(0, content(100_000)).await.unwrap();
            uploads.push(upload);
        }
        world.offline.faults().set(plan.clone());
        for upload in uploads {
            upload.finish().await.unwrap();
        }
        assert!(world.vfs.settled(Duration::from_secs(60)).await);
        world.offline.faults().set(FaultPlan::default());
    }
    world.nothing_leased().await;
    assert_eq!(world.usage().await.bytes, 2_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_cannot_be_given_back_stays_and_holds_nobody_up() {
    let world = World::start().await;
    let ana = world.session_within(bytes(10 * MIB));
    small(&ana, "/a", 1).await.unwrap();
    assert!(world.vfs.settled(Duration::from_secs(20)).await);
    // the one failure that is told at once
    let table = &world.aws.settings.table;
    world.aws.dynamodb.delete_table().table_name(table).send().await.unwrap();
    // long enough for a try
    tokio::time::sleep(Duration::from_secs(5)).await;
    store::table::create_table(&world.aws.dynamodb, table).await.unwrap();
    let again = tokio::time::timeout(Duration::from_secs(20), small(&ana, "/b", 1));
    assert_eq!(again.await.expect("an upload hangs"), Ok(()));
}

#[tokio::test]
async fn a_dead_nodes_lease_stands_until_its_uploads_are_counted_for_sure() {
    let world = World::start().await;
    let nodes = store::nodes::Nodes::new(&world.aws);
    let dead = NodeId::from_random([9; 16]);
    world.leases_to(&dead, Amount { bytes: 900, files: 1 }).await;
    let long = i64::try_from(SWEPT.as_millis()).unwrap();
    nodes.beat(&dead, store::clock::now().plus_millis(60_000 - long)).await.unwrap();
    let ana = world.session_within(bytes(1000));
    assert_eq!(small(&ana, "/a", 101).await, Err(QuotaExceeded));
    small(&ana, "/a", 100).await.unwrap();
    // whatever it did is counted by now
    nodes.beat(&dead, store::clock::now().plus_millis(-long)).await.unwrap();
    small(&ana, "/b", 900).await.unwrap();
    world.nothing_leased().await;
}
