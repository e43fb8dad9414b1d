//! What the clients do, over and over, until they are told to stop.

use crate::events::Told;
use crate::ftps::FtpsDoor;
use crate::groups::{Act, Group, Owned, State, Write};
use crate::ledger::{Ledger, Outcome};
use crate::sftp::{Door, Failure, Sftp};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A client writes down at most this many possible states, then it goes on with other names.
const MOST_STATES: usize = 48;
/// Between two operations: what is measured is not speed, and the machine is also needed for recovering.
const PAUSE: Duration = Duration::from_millis(8);
/// An operation whose connection broke cannot happen later than this after the next login: what the dead node had sent
/// was carried out at once or not at all.
const LATE: Duration = Duration::from_secs(2);
/// Above this a file goes up in parts.
const PART: usize = 8 << 20;

/// One client.
pub(crate) struct Worker {
    door: Door,
    session: Option<Sftp>,
    pub(crate) ledger: Ledger,
    dice: StdRng,
    stop: watch::Receiver<bool>,
}

impl Worker {
    pub(crate) fn new(door: Door, ledger: Ledger, seed: u64, stop: watch::Receiver<bool>) -> Self {
        Self { door, session: None, ledger, dice: StdRng::seed_from_u64(seed), stop }
    }

    fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// A session, made anew when the last one broke.
    async fn session(&mut self) -> &mut Sftp {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.session.is_none() {
            self.session = self.door.open().await;
            if self.session.is_none() {
                assert!(Instant::now() < deadline, "no login for two minutes");
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        }
        self.session.as_mut().unwrap()
    }

    /// Does something and writes its answer down.
    async fn act(&mut self, folder: &str, act: &Act) -> Outcome {
        let full = |name: &str| format!("{folder}/{name}");
        let session = self.session().await;
        let answer = match act {
            Act::Put(name, version) => session.put(&full(name), *version).await,
            Act::Remove(name) => session.remove(&full(name)).await,
            Act::Rename { from, to, replace } => session.rename(&full(from), &full(to), *replace).await,
        };
        if let Act::Put(name, version) = act
            && version.bytes > PART
        {
            self.ledger.large_upload(&full(name));
        }
        self.noted(&format!("{act:?} in {folder}"), &answer)
    }

    fn noted(&mut self, what: &str, answer: &Result<(), Failure>) -> Outcome {
        if matches!(answer, Err(Failure::Broken | Failure::BrokenBefore)) {
            self.session = None;
        }
        self.ledger.note(|| what.to_owned(), answer)
    }

    /// Most files are small, some are at the edges of the buffers.
    fn small(&mut self) -> usize {
        match self.dice.random_range(0..10) {
            0 => 0,
            1 => 256 * 1024 + self.dice.random_range(0..3) - 1,
            _ => self.dice.random_range(1..60_000),
        }
    }

    /// Works on names of its own: uploads, overwrites, renames, deletes, and looks. `large`: the share of uploads that go
    /// up in parts.
    pub(crate) async fn on_own_names(mut self, home: String, large: f64) {
        for turn in 0.. {
            let mut owned = Owned::new(format!("{home}/{turn}"));
            while !self.stopped() && owned.uncertainty() < MOST_STATES {
                self.one_on_own(&mut owned, large).await;
                tokio::time::sleep(PAUSE).await;
            }
            self.ledger.close(Group::Owned(owned));
            if self.stopped() {
                return;
            }
        }
    }

    async fn one_on_own(&mut self, owned: &mut Owned, large: f64) {
        let name = |worker: &mut Self| ["a", "b", "c", "d"][worker.dice.random_range(0..4)].to_owned();
        let one = name(self);
        let there = owned.at(&one).iter().any(Option::is_some);
        let act = match self.dice.random_range(0..20) {
            0..=4 if there => {
                let to = name(self);
                if to == one {
                    return;
                }
                // a plain RENAME where the target may be free
                let replace = !owned.at(&to).contains(&None) || self.dice.random_bool(0.5);
                Act::Rename { from: one, to, replace }
            }
            5..=7 if there => Act::Remove(one),
            8..=10 if there => return self.look(owned, &one).await,
            _ => {
                let bytes = if self.dice.random_bool(large) {
                    self.dice.random_range(PART + 1..5 * PART / 2)
                } else {
                    self.small()
                };
                Act::Put(one, self.ledger.version(bytes))
            }
        };
        // as a client does that does not know: the same again, until it is told
        for _ in 0..4 {
            let before = owned.clone();
            let outcome = self.act(&owned.folder, &act).await;
            if let Err(impossible) = owned.follow(&act, outcome) {
                panic!("{impossible}");
            }
            self.expect(&before, &act, outcome);
            if outcome != Outcome::Unknown || self.stopped() || self.dice.random_bool(0.3) {
                return;
            }
        }
    }

    /// Uploads and overwrites names of its own by FTPS, each over a connection of its own.
    pub(crate) async fn over_ftps(mut self, home: String, door: FtpsDoor) {
        for turn in 0.. {
            let mut owned = Owned::new(format!("{home}/{turn}"));
            while !self.stopped() && owned.uncertainty() < MOST_STATES {
                let name = ["a", "b", "c"][self.dice.random_range(0..3)];
                let bytes =
                    if self.dice.random_bool(0.1) { PART + self.dice.random_range(1..PART) } else { self.small() };
                let (version, before) = (self.ledger.version(bytes), owned.clone());
                let path = format!("{}/{name}", owned.folder);
                if bytes > PART {
                    self.ledger.large_upload(&path);
                }
                let answer = door.put(&path, version).await;
                let act = Act::Put(name.to_owned(), version);
                let outcome = self.ledger.note(|| format!("{act:?} in {} by FTPS", owned.folder), &answer);
                owned.follow(&act, outcome).unwrap_or_else(|impossible| panic!("{impossible}"));
                self.expect(&before, &act, outcome);
                tokio::time::sleep(PAUSE).await;
            }
            self.ledger.close(Group::Owned(owned));
            if self.stopped() {
                return;
            }
        }
    }

    /// What must be announced after it.
    fn expect(&self, before: &Owned, act: &Act, outcome: Outcome) {
        let full = |name: &str| format!("{}/{name}", before.folder);
        let told = match act {
            Act::Put(name, version) => Told::created(&full(name), version.bytes),
            Act::Remove(name) => Told::deleted(&full(name)),
            Act::Rename { from, to, .. } => Told::renamed(&full(from), &full(to)),
        };
        self.ledger.expect(|expected| match outcome {
            Outcome::Done => expected.must(told),
            Outcome::Unknown => {
                expected.may(told);
                // a rename that broke off, and whose source was replaced since, leaves a new file
                if let Act::Rename { from, to, .. } = act {
                    let versions = before.at(from).into_iter().flatten();
                    versions.for_each(|version| expected.may(Told::created(&full(to), version.bytes)));
                }
            }
            Outcome::DidNot | Outcome::NoSuchFile => {}
        });
    }

    /// What is read is one of the versions that may be there.
    async fn look(&mut self, owned: &Owned, name: &str) {
        let path = format!("{}/{name}", owned.folder);
        let content = self.session().await.get(&path).await;
        let allowed = owned.at(name);
        match content {
            Ok(content) => {
                let known = allowed.iter().flatten().any(|version| version.content() == content);
                assert!(known, "{path} has {} bytes that are none of {allowed:?}", content.len());
            }
            Err(Failure::NoSuchFile) => assert!(allowed.contains(&None), "{path} is gone, and was one of {allowed:?}"),
            Err(failure) => {
                self.noted(&format!("look at {path}"), &Err(failure));
            }
        }
    }

    /// Overwrites names that others overwrite, too, and deletes them sometimes.
    pub(crate) async fn on_shared_names(mut self, shared: Arc<Vec<Mutex<Vec<Write>>>>) {
        while !self.stopped() {
            let at = self.dice.random_range(0..shared.len());
            let name = at.to_string();
            let version = self.dice.random_bool(0.85).then(|| {
                let bytes = if self.dice.random_bool(0.04) { PART + 1000 + at } else { self.small() };
                self.ledger.version(bytes)
            });
            let act = version.map_or(Act::Remove(name.clone()), |version| Act::Put(name, version));
            let began = Instant::now();
            let outcome = self.act("shared", &act).await;
            if self.session.is_none() {
                self.session().await;
            }
            let late = if outcome == Outcome::Unknown { LATE } else { Duration::ZERO };
            let write = Write { version, began, ended: Instant::now() + late, done: outcome == Outcome::Done };
            if matches!(outcome, Outcome::Done | Outcome::Unknown) {
                shared[at].lock().unwrap().push(write);
            }
            let names = Owned::new("shared".to_owned());
            self.expect(&names, &act, outcome);
            // one whose answer was lost, and whose file somebody replaced by the same bytes at once, leaves no trace of itself: it
            // is done again, and may be announced twice
            self.expect(&names, &act, if outcome == Outcome::Done { Outcome::Unknown } else { outcome });
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Makes folders with files in them and renames them.
    pub(crate) async fn on_folders(mut self, home: String) {
        for turn in 0.. {
            if self.stopped() {
                return;
            }
            let folder = format!("{home}/{turn}");
            let group = self.one_folder(folder).await;
            self.ledger.close(group);
        }
    }

    async fn one_folder(&mut self, folder: String) -> Group {
        let answer = self.session().await.make_folder(&folder).await;
        let made = self.noted(&format!("mkdir {folder}"), &answer);
        self.promise(Told::created_folder(&folder), made);
        let mut owned = Owned::new(folder.clone());
        if made != Outcome::Done {
            return Group::Moved { places: vec![folder], files: State::new(), marker: false };
        }
        let mut files = State::new();
        for at in 0..self.dice.random_range(1..6) {
            let act = Act::Put(at.to_string(), self.ledger.version(at * 3000));
            let outcome = self.act(&folder, &act).await;
            owned.follow(&act, outcome).unwrap();
            self.expect(&owned, &act, outcome);
            if outcome != Outcome::Done {
                return Group::Owned(owned);
            }
            let Act::Put(name, version) = act else { continue };
            files.insert(name, version);
        }
        let mut places = vec![folder];
        for suffix in ["x", "y"] {
            let from = places.last().unwrap().clone();
            let to = format!("{from}{suffix}");
            let answer = self.session().await.rename(&from, &to, false).await;
            let outcome = self.noted(&format!("rename {from} to {to}"), &answer);
            match outcome {
                Outcome::Done => places = vec![to.clone()],
                _ => places.push(to.clone()),
            }
            self.promise(Told::renamed_folder(&from, &to), outcome);
            if outcome != Outcome::Done {
                return Group::Moved { places, files, marker: true };
            }
        }
        if self.dice.random_bool(0.5) {
            return Group::Moved { places, files, marker: true };
        }
        self.take_down(places.remove(0), files).await
    }

    /// Deletes a folder with everything in it.
    async fn take_down(&mut self, folder: String, files: State) -> Group {
        let mut owned = Owned::new(folder.clone());
        for (name, version) in files {
            owned.follow(&Act::Put(name, version), Outcome::Done).unwrap();
        }
        for name in owned.names() {
            let act = Act::Remove(name);
            let outcome = self.act(&folder, &act).await;
            self.expect(&owned, &act, outcome);
            if let Err(impossible) = owned.follow(&act, outcome) {
                panic!("{impossible}");
            }
            if outcome != Outcome::Done {
                return Group::Owned(owned);
            }
        }
        let answer = self.session().await.remove_folder(&folder).await;
        let outcome = self.noted(&format!("rmdir {folder}"), &answer);
        self.promise(Told::deleted_folder(&folder), outcome);
        Group::Owned(owned)
    }

    fn promise(&self, told: Told, outcome: Outcome) {
        self.ledger.expect(|expected| match outcome {
            Outcome::Done => expected.must(told),
            Outcome::Unknown => expected.may(told),
            Outcome::DidNot | Outcome::NoSuchFile => {}
        });
    }
}
