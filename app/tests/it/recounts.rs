//! What is counted for whom, and counting it again while files come and go.

use crate::world::{SWEPT, WHOLE, World, content, path, put};
use app::accounts::Known;
use app::jobs::{Hands, JobQueue, Pauses, Replays, Worker};
use app::quota::Quotas;
use app::vfs::FileSession;
use domain::file_error::FileErrorKind::QuotaExceeded;
use domain::folder::FolderName;
use domain::id::CredentialId;
use domain::intent::UsageChange;
use domain::job::{Job, MOST_FAILURES, State, Task};
use domain::path::{VPath, View};
use domain::quota::{Counted, Holder, Quota};
use std::time::Duration;
use store::clock;
use store::events::Events;
use store::jobs::Jobs;
use store::messages::{JobMessages, Messages};
use store::nodes::Nodes;
use store::records::Records;
use store::scans::{Scans, Set};
use store::seal::Sealer;
use tokio_util::sync::CancellationToken;

const QUICK: Pauses =
    Pauses { held: Duration::from_millis(150), look: Duration::from_millis(10), restless: Duration::from_secs(2) };

fn shared() -> FolderName {
    FolderName::parse("shared").unwrap()
}

impl World {
    /// A session with a home at `/home/ana` and a virtual folder in it.
    fn seeing_shared(&self, quota: Option<u64>) -> FileSession {
        let limit = Quota { bytes: quota.unwrap_or(0), files: 0 };
        let counted = if quota.is_some() { Counted::Folder(shared()) } else { Counted::Both(shared()) };
        self.session_seeing("/", [View { at: path("/in"), tree: path("/shared"), counted, quota: limit }])
    }

    async fn stored(&self, holder: &Holder) -> (i64, i64) {
        assert!(self.vfs.settled(Duration::from_secs(20)).await);
        let usage = self.stores.settling.usage(&self.organization, holder).await.unwrap();
        (usage.bytes, usage.files)
    }

    /// The credential's, the folder's, and the organization's.
    async fn all_stored(&self) -> [(i64, i64); 3] {
        let credential = Holder::Credential(self.credential.clone());
        [
            self.stored(&credential).await,
            self.stored(&Holder::Folder(shared())).await,
            self.stored(&Holder::Organization).await,
        ]
    }

    fn queue(&self) -> JobQueue {
        JobQueue::new(Jobs::new(&self.aws), JobMessages::new(&self.aws))
    }

    fn worker(&self, slice: Duration) -> Worker {
        let sealer = Sealer::new("0123456789abcdef0123456789abcdef").unwrap();
        let records = Records::new(&self.aws, sealer);
        let replays = Replays::new(records.clone(), Messages::new(&self.aws));
        let known = Known::new(records);
        let nodes = Nodes::new(&self.aws);
        let quotas = Quotas::new(self.sessions.node().clone(), nodes, self.stores.leases.clone(), SWEPT);
        let hands = Hands::new(known, self.vfs.clone(), self.sessions.clone(), quotas);
        let worker = Worker::new(
            self.queue(),
            (self.objects.clone(), Scans::new(&self.aws), Events::new(&self.aws)),
            hands,
            replays,
            slice,
        );
        worker.with_pauses(QUICK)
    }

    async fn ask(&self, holder: Holder, folders: &[&str]) -> Job {
        let folders = folders.iter().map(|at| path(at)).collect();
        let task = Task::QuotaScan { holder, name: "ana".into(), folders };
        self.queue().ask(&self.organization, task, "admin".into()).await.unwrap()
    }

    async fn job(&self, job: &Job) -> Job {
        self.queue().jobs().get(&self.organization, &job.id).await.unwrap().unwrap().value
    }

    /// Works on it until it is over.
    async fn work_on(&self, job: &Job, slice: Duration) -> Job {
        loop {
            self.worker(slice).work(&self.organization, &job.id).await.unwrap();
            let now = self.job(job).await;
            if now.state.is_over() {
                return now;
            }
        }
    }

    async fn miscount(&self, holder: &Holder) {
        let wrong = Set::To(UsageChange { bytes: 1_000_000, files: 77 });
        assert!(Scans::new(&self.aws).set(&self.organization, holder, wrong, clock::now()).await.unwrap());
    }
}

#[tokio::test]
async fn what_lies_in_a_virtual_folder_counts_for_it_and_as_it_is_mounted_for_the_credential() {
    let world = World::start().await;
    let both = world.seeing_shared(None);
    put(&both, "/a", &content(10), WHOLE).await.unwrap();
    put(&both, "/in/b", &content(5), WHOLE).await.unwrap();
    assert_eq!(world.all_stored().await, [(15, 2), (5, 1), (15, 2)]);
    let own = world.seeing_shared(Some(0));
    put(&own, "/in/c", &content(7), WHOLE).await.unwrap();
    assert_eq!(world.all_stored().await, [(15, 2), (12, 2), (22, 3)]);
    // what moves from one place to the other counts there then
    own.rename(&path("/a"), &path("/in/a"), false).await.unwrap();
    assert_eq!(world.all_stored().await, [(5, 1), (22, 3), (22, 3)]);
    both.rename(&path("/in"), &path("/x"), false).await.unwrap_err();
    own.rename(&path("/in/a"), &path("/a"), false).await.unwrap();
    own.make_folder(&path("/in/d")).await.unwrap();
    put(&own, "/in/d/e", &content(100), WHOLE).await.unwrap();
    own.rename(&path("/in/d"), &path("/d"), false).await.unwrap();
    assert_eq!(world.all_stored().await, [(115, 3), (12, 2), (122, 4)]);
    own.delete_file(&path("/in/c")).await.unwrap();
    own.delete_file(&path("/d/e")).await.unwrap();
    assert_eq!(world.all_stored().await, [(15, 2), (5, 1), (15, 2)]);
}

#[tokio::test]
async fn a_folder_has_a_quota_of_its_own_whoever_writes() {
    let world = World::start().await;
    let ana = world.seeing_shared(Some(100));
    put(&ana, "/in/a", &content(60), WHOLE).await.unwrap();
    let refused = ana.open_write(&path("/in/b"), WHOLE).await;
    let mut upload = refused.unwrap();
    upload.write(0, content(41)).await.ok();
    let refused = upload.finish().await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.to_string()),
        (QuotaExceeded, "this folder's quota of 100 bytes would be exceeded".to_owned())
    );
    // elsewhere there is none
    put(&ana, "/b", &content(500), WHOLE).await.unwrap();
    assert_eq!(ana.rename(&path("/b"), &path("/in/b"), false).await.unwrap_err().kind(), QuotaExceeded);
    put(&ana, "/c", &content(40), WHOLE).await.unwrap();
    ana.rename(&path("/c"), &path("/in/c"), false).await.unwrap();
    assert_eq!(put(&ana, "/in/d", &content(1), WHOLE).await, Err(QuotaExceeded));
    assert_eq!(world.all_stored().await, [(500, 1), (100, 2), (600, 3)]);
    let space = ana.space(&path("/in")).await.unwrap();
    assert_eq!((space.used_bytes, space.quota.bytes), (100, 100));
    assert_eq!(ana.space(&path("/")).await.unwrap().quota, Quota::default());
}

#[tokio::test]
async fn an_organization_has_a_quota_over_all_its_credentials() {
    let world = World::start().await;
    let limit = Quota { bytes: 100, files: 0 };
    let ana = world.session_of_limited(world.credential.clone(), Quota::default(), limit);
    let ben = world.session_of_limited(CredentialId::from_random([9; 15]), Quota::default(), limit);
    put(&ana, "/a", &content(60), WHOLE).await.unwrap();
    assert_eq!(put(&ben, "/b", &content(41), WHOLE).await, Err(QuotaExceeded));
    put(&ben, "/b", &content(40), WHOLE).await.unwrap();
    let mut upload = ana.open_write(&path("/c"), WHOLE).await.unwrap();
    upload.write(0, content(1)).await.ok();
    let refused = upload.finish().await.unwrap_err();
    assert_eq!(refused.to_string(), "the organization's quota of 100 bytes would be exceeded");
    // what can never fit is refused before it is sent, though another limit leaves less
    let both = world.session_of_limited(world.credential.clone(), Quota { bytes: 70, files: 0 }, limit);
    let refused = both.begin_direct(&path("/d"), 80, None).await.unwrap_err();
    assert_eq!(refused.to_string(), "the quota of 70 bytes would be exceeded");
    ana.delete_file(&path("/a")).await.unwrap();
    assert!(world.vfs.settled(Duration::from_secs(20)).await);
    put(&ben, "/c", &content(60), WHOLE).await.unwrap();
}

#[tokio::test]
async fn a_recount_puts_right_what_was_counted_wrongly() {
    let world = World::start().await;
    let ana = world.seeing_shared(None);
    for (name, bytes) in [("/a", 10), ("/d/b", 20), ("/in/c", 30)] {
        put(&ana, name, &content(bytes), WHOLE).await.unwrap();
    }
    ana.make_folder(&path("/empty")).await.unwrap();
    assert!(world.vfs.settled(Duration::from_secs(20)).await);
    let credential = Holder::Credential(world.credential.clone());
    let scans: [(Holder, &[&str]); 3] = [
        (credential, &["/shared", "/home/ana", "/home/ana/d"]),
        (Holder::Folder(shared()), &["/shared"]),
        (Holder::Organization, &["/"]),
    ];
    for (holder, folders) in scans {
        world.miscount(&holder).await;
        let job = world.ask(holder, folders).await;
        assert_eq!(job.state, State::Queued);
        let job = world.work_on(&job, Duration::from_secs(60)).await;
        assert_eq!(job.state, State::Succeeded, "{}", job.note);
    }
    assert_eq!(world.all_stored().await, [(60, 3), (30, 1), (60, 3)]);
    // and counting goes on from there
    put(&ana, "/a", &content(11), WHOLE).await.unwrap();
    assert_eq!(world.all_stored().await, [(61, 3), (30, 1), (61, 3)]);
}

#[tokio::test]
async fn two_recounts_of_the_same_are_one() {
    let world = World::start().await;
    world.ask(Holder::Organization, &["/"]).await;
    let task = Task::QuotaScan { holder: Holder::Organization, name: String::new(), folders: vec![VPath::root()] };
    assert!(world.queue().ask(&world.organization, task, "admin".into()).await.is_err());
    // of somebody else it is another one
    world.ask(Holder::Folder(shared()), &["/shared"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_while_it_is_counted_are_neither_lost_nor_counted_twice() {
    let world = World::start().await;
    let ana = world.session(domain::access::Level::Full);
    let name = |n: usize| format!("/f{n:04}");
    for n in 0..2500 {
        // not by us, so nobody counts it
        let put = world.aws.s3.put_object().bucket(&world.aws.settings.bucket).key(world.key(&name(n)).as_str());
        put.body(content(3).into()).send().await.unwrap();
    }
    let credential = Holder::Credential(world.credential.clone());
    world.miscount(&credential).await;
    let job = world.ask(credential.clone(), &["/home/ana"]).await;
    let stop = CancellationToken::new();
    let changing = tokio::spawn({
        let (ana, stop) = (ana.clone(), stop.clone());
        async move {
            for round in 0..usize::MAX {
                if stop.is_cancelled() {
                    return round;
                }
                let n = (round * 617) % 2500;
                put(&ana, &name(n), &content(3 + round % 5), WHOLE).await.unwrap();
                ana.delete_file(&path(&name((n + 300) % 2500))).await.ok();
                ana.rename(&path(&name((n + 900) % 2500)), &path(&format!("/moved{round}")), true).await.ok();
            }
            0
        }
    });
    // slices that end in the middle
    let job = world.work_on(&job, Duration::from_millis(30)).await;
    assert_eq!(job.state, State::Succeeded, "{}", job.note);
    stop.cancel();
    assert!(changing.await.unwrap() > 10, "too little was changed meanwhile");
    assert!(world.vfs.settled(Duration::from_secs(20)).await);
    let keys = world.keys().await;
    let bytes: i64 = keys.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(world.stored(&credential).await, (bytes, i64::try_from(keys.len()).unwrap()));
}

#[tokio::test]
async fn a_recount_whose_worker_died_begins_again_when_its_lease_has_passed() {
    let world = World::start().await;
    let ana = world.session(domain::access::Level::Full);
    put(&ana, "/a", &content(10), WHOLE).await.unwrap();
    assert!(world.vfs.settled(Duration::from_secs(20)).await);
    let credential = Holder::Credential(world.credential.clone());
    let job = world.ask(credential.clone(), &["/home/ana"]).await;
    // a worker that has taken it, and some notes, and is gone
    let mut dead = world.queue().jobs().get(&world.organization, &job.id).await.unwrap().unwrap();
    dead.value.state = State::Running;
    dead.value.due = clock::now().plus_millis(300);
    dead.value.place = r#"{"run":"gone","after":"z","bytes":5,"files":5}"#.into();
    assert!(world.queue().jobs().save(&dead.value, Some(dead.rev)).await.unwrap().is_some());
    Scans::new(&world.aws).begin(&world.organization, &credential, "gone").await.unwrap();
    put(&ana, "/b", &content(10), WHOLE).await.unwrap();
    let worker = world.worker(Duration::from_secs(60));
    worker.work(&world.organization, &job.id).await.unwrap();
    assert_eq!(world.job(&job).await.state, State::Running, "it is somebody's");
    assert_eq!(worker.wake(clock::now()).await.unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert_eq!(worker.wake(clock::now()).await.unwrap(), 1);
    worker.work(&world.organization, &job.id).await.unwrap();
    assert_eq!(world.job(&job).await.state, State::Succeeded);
    assert_eq!(world.stored(&credential).await, (20, 2));
}

#[tokio::test]
async fn the_deaths_of_a_jobs_workers_are_counted() {
    let world = World::start().await;
    let worker = world.worker(Duration::from_secs(60));
    for (failures, expected) in [(MOST_FAILURES - 2, State::Succeeded), (MOST_FAILURES - 1, State::Failed)] {
        let job = world.ask(Holder::Organization, &["/"]).await;
        let mut dead = world.queue().jobs().get(&world.organization, &job.id).await.unwrap().unwrap();
        (dead.value.state, dead.value.due, dead.value.failures) = (State::Running, clock::now(), failures);
        world.queue().jobs().save(&dead.value, Some(dead.rev)).await.unwrap().unwrap();
        worker.work(&world.organization, &job.id).await.unwrap();
        let job = world.job(&job).await;
        assert_eq!((job.state, job.failures), (expected, failures + 1), "{}", job.note);
        assert_eq!(worker.wake(clock::now().plus_millis(1_000_000)).await.unwrap(), 0, "it is over");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_changed_all_the_time_counts_in_the_end() {
    let world = World::start().await;
    let ana = world.session(domain::access::Level::Full);
    put(&ana, "/a", &content(10), WHOLE).await.unwrap();
    let credential = Holder::Credential(world.credential.clone());
    let job = world.ask(credential.clone(), &["/home/ana"]).await;
    let stop = CancellationToken::new();
    let changing = tokio::spawn({
        let (ana, stop) = (ana.clone(), stop.clone());
        async move {
            for round in 0.. {
                if stop.is_cancelled() {
                    return;
                }
                put(&ana, "/a", &content(10 + round % 2), WHOLE).await.unwrap();
            }
        }
    });
    // nothing is ever quiet for so long
    let restless = Pauses { held: Duration::from_secs(1), restless: Duration::from_millis(1500), ..QUICK };
    let worker = world.worker(Duration::from_secs(60)).with_pauses(restless);
    worker.work(&world.organization, &job.id).await.unwrap();
    stop.cancel();
    changing.await.unwrap();
    let job = world.job(&job).await;
    assert_eq!((job.state, job.progress.files), (State::Succeeded, 1), "{}", job.note);
    assert_eq!(world.stored(&credential).await.1, 1);
}

#[tokio::test]
async fn a_recount_that_nobody_reads_is_given_up_by_who_counts() {
    let world = World::start().await;
    let ana = world.session(domain::access::Level::Full);
    let credential = Holder::Credential(world.credential.clone());
    let scans = Scans::new(&world.aws);
    scans.begin(&world.organization, &credential, "run").await.unwrap();
    put(&ana, "/a", &content(10), WHOLE).await.unwrap();
    assert_eq!(world.stored(&credential).await, (10, 1));
    for round in 0..330 {
        put(&ana, "/a", &content(11 + round % 2), WHOLE).await.unwrap();
    }
    assert_eq!(world.stored(&credential).await.1, 1);
    assert_eq!(scans.take(&world.organization, &credential, "run").await.unwrap(), None);
}
