//! Counting and announcing what has happened, off the client's path.
//!
//! A settled operation is gone from three places in this order: the intents of operations whose objects it replaced are
//! marked, its event is in the queue, and then one transaction counts it and removes its intent. A crash anywhere in
//! between leaves the intent, and the sweep ([`crate::sweep`]) does it all again; a repeated event has the same id, and the
//! transaction happens once.
//!
//! At the limit: the queue to the workers holds [`QUEUED`] operations. When it is full, a client's CLOSE waits up to
//! [`HAND_OVER`] and is then answered all the same: what was not handed over still has its intent.

use domain::access::Principal;
use domain::event::Event;
use domain::id::OrganizationId;
use domain::intent::{Change, Intent, Seen, UsageChange};
use domain::queue_message::QueueMessage;
use domain::quota::Holder;
use rand::Rng as _;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use store::aws::Aws;
use store::intents::Intents;
use store::leases::{Leased, Leases};
use store::messages::Messages;
use store::settling::{Attempt, BATCH, Gone, HOLDERS, SettleError, Settled, Settling, Taken};
use store::times::Times;
use tokio::sync::{Mutex, mpsc, watch};
use tracing::{debug, warn};

/// How many operations may wait for a worker.
const QUEUED: usize = 8192;
/// How long a CLOSE waits when the queue is full.
const HAND_OVER: Duration = Duration::from_secs(5);
/// Workers, each with one batch in hand: enough to hide the latency of SQS and DynamoDB.
const WORKERS: usize = 4;
/// How often a batch is tried before it is left to the sweep, with pauses that double from the first to the longest:
/// about a minute and a half in all, because a download has no intent, and a queue may be away for a minute.
const TRIES: u32 = 16;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Something that has happened.
#[derive(Clone, Debug)]
pub struct Done {
    /// Whose files.
    pub organization: OrganizationId,
    /// To be announced.
    pub event: Option<Event>,
    /// To be counted, with the intent that it settles; downloads have none.
    pub counted: Option<Settled>,
    /// Objects that were replaced or removed, by key: their makers' intents are marked first.
    pub marks: Vec<(String, Seen)>,
    /// The source of a rename, which its maker's intent knows of since before it went.
    pub moved: Option<(String, Seen)>,
}

impl Done {
    /// What is announced and changes nothing.
    pub fn announcing(event: Event, who: &Principal) -> Self {
        Self {
            organization: who.organization.clone(),
            event: Some(event),
            counted: None,
            marks: Vec::new(),
            moved: None,
        }
    }

    /// What settles `intent`, which happened and changed usage by `change`.
    pub fn of(intent: Intent, change: UsageChange) -> Self {
        let (taken, deltas) = (taken(&intent, change), intent.deltas(change));
        let moved = match &intent.change {
            Change::RenameTo { from, source, .. } => Some((from.clone(), source.clone())),
            Change::Upload
            | Change::MakeFolder
            | Change::Delete
            | Change::DeleteFolder
            | Change::RenameFolder { .. }
            | Change::Records => None,
        };
        let marks = intent.seen.map(|seen| (intent.key.clone(), seen)).into_iter().collect();
        Self {
            organization: intent.organization,
            event: intent.event,
            counted: Some(Settled { key: intent.key, operation: intent.operation, deltas, taken, leased: Vec::new() }),
            marks,
            moved,
        }
    }

    /// The same with what it uses up of leases.
    #[must_use]
    pub(crate) fn using_up(mut self, leased: Vec<Leased>) -> Self {
        if let Some(counted) = &mut self.counted {
            counted.leased = leased;
        }
        self
    }
}

/// The counted versions that an operation took away. A rename whose source was replaced before it was deleted stands here
/// like any other: it or the replacement counts that the source is gone, and the other one a file of its own.
fn taken(intent: &Intent, change: UsageChange) -> Vec<Taken> {
    let one = |key: &str, seen: &Seen, how| Taken {
        key: key.to_owned(),
        version: seen.version(),
        how,
        part: UsageChange::removed(seen),
    };
    let here = |how| intent.seen.iter().map(move |seen| one(&intent.key, seen, how));
    match &intent.change {
        Change::MakeFolder | Change::DeleteFolder | Change::RenameFolder { .. } | Change::Records => Vec::new(),
        Change::Upload => {
            let removed = intent.seen.as_ref().map_or(UsageChange::default(), UsageChange::removed);
            let made_bytes = u64::try_from(change.minus(removed).bytes).unwrap_or(0);
            here(Gone::Replaced { made_bytes }).collect()
        }
        Change::Delete => here(Gone::Removed).collect(),
        // markers of folders are not counted
        Change::RenameTo { .. } if intent.key.ends_with('/') => Vec::new(),
        Change::RenameTo { from, source, .. } => {
            let replaced = here(Gone::Replaced { made_bytes: source.bytes });
            replaced.chain([one(from, source, Gone::Removed)]).collect()
        }
    }
}

/// The stores that settling needs.
#[derive(Clone)]
pub struct SettlingStores {
    /// Intents.
    pub intents: Intents,
    /// Usage.
    pub settling: Settling,
    /// Events.
    pub queue: Messages,
    /// Times that clients have set.
    pub times: Times,
    /// Leases of quotas.
    pub leases: Leases,
}

impl SettlingStores {
    /// In the table and the queue of the settings.
    pub fn new(aws: &Aws) -> Self {
        Self {
            intents: Intents::new(aws),
            settling: Settling::new(aws),
            queue: Messages::new(aws),
            times: Times::new(aws),
            leases: Leases::new(aws),
        }
    }
}

/// The entrance. Cheap to clone.
#[derive(Clone)]
pub struct Settler {
    jobs: mpsc::Sender<Done>,
    /// How many are handed over and not yet settled.
    open: watch::Sender<usize>,
}

impl Settler {
    /// Starts the workers; they end when the last clone of the settler is gone.
    pub fn start(stores: SettlingStores) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUED);
        let queue = Arc::new(Mutex::new(queue));
        let (open, _) = watch::channel(0);
        for _ in 0..WORKERS {
            tokio::spawn(work(stores.clone(), Arc::clone(&queue), open.clone()));
        }
        Self { jobs, open }
    }

    /// Hands an operation over. Never fails: see the module's head.
    pub async fn hand_over(&self, done: Done) {
        self.open.send_modify(|open| *open += 1);
        if self.jobs.send_timeout(done, HAND_OVER).await.is_err() {
            self.open.send_modify(|open| *open -= 1);
            warn!("the settler is behind: an operation is left to the sweep");
        }
    }

    /// Hands over what may be left out: it has no intent, and nobody waits for it.
    pub fn offer(&self, done: Done) {
        self.open.send_modify(|open| *open += 1);
        if self.jobs.try_send(done).is_err() {
            self.open.send_modify(|open| *open -= 1);
            warn!("the settler is behind: an event is left out");
        }
    }

    /// Waits until everything handed over is settled, or given up on; `false` at the deadline.
    pub async fn settled(&self, deadline: Duration) -> bool {
        let mut open = self.open.subscribe();
        tokio::time::timeout(deadline, open.wait_for(|open| *open == 0)).await.is_ok()
    }
}

async fn work(stores: SettlingStores, queue: Arc<Mutex<mpsc::Receiver<Done>>>, open: watch::Sender<usize>) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        // the lock is held while waiting on purpose: one worker collects a batch, the next takes over when it works
        let received = queue.lock().await.recv_many(&mut batch, BATCH).await;
        if received == 0 {
            return;
        }
        settle(&stores, std::mem::take(&mut batch)).await;
        open.send_modify(|open| *open -= received);
    }
}

/// Settles a batch; what fails in the end is left to the sweep.
pub(crate) async fn settle(stores: &SettlingStores, batch: Vec<Done>) {
    let mut marked = Vec::with_capacity(batch.len());
    for done in batch {
        if mark(stores, &done).await && forget_times(stores, &done).await {
            marked.push(done);
        } else {
            owe(stores, &done);
        }
    }
    let batch = marked;
    let events = batch.iter().filter_map(|done| done.event.clone());
    let events: Vec<_> = events.map(|event| (QueueMessage::event(event), 0)).collect();
    let mut retry = Retry::new("events");
    while let Err(error) = stores.queue.send(&events).await {
        if !retry.pause(&error).await {
            batch.iter().for_each(|done| owe(stores, done));
            return;
        }
    }
    let mut by_organization: HashMap<OrganizationId, Vec<Settled>> = HashMap::new();
    for done in batch {
        if let Some(counted) = done.counted {
            by_organization.entry(done.organization).or_default().push(counted);
        }
    }
    for (organization, operations) in by_organization {
        count(stores, &organization, operations).await;
    }
}

/// What these reserved is taken off when the sweep, which does not know of it, has counted them.
fn leave(stores: &SettlingStores, organization: &OrganizationId, operations: &[Settled]) {
    for leased in operations.iter().flat_map(|one| &one.leased) {
        stores.leases.owe(organization, leased);
    }
}

/// The same for one that was not counted.
fn owe(stores: &SettlingStores, done: &Done) {
    leave(stores, &done.organization, done.counted.as_slice());
}

/// Notes at the makers' intents what this operation replaced or removed.
async fn mark(stores: &SettlingStores, done: &Done) -> bool {
    for (key, seen) in &done.marks {
        let mut retry = Retry::new("marks");
        while let Err(error) = stores.intents.mark_made(&done.organization, key, seen).await {
            if !retry.pause(&error).await {
                return false;
            }
        }
    }
    true
}

/// Forgets the times of versions that are gone.
async fn forget_times(stores: &SettlingStores, done: &Done) -> bool {
    for (key, seen) in done.marks.iter().chain(&done.moved) {
        let mut retry = Retry::new("times");
        while let Err(error) = stores.times.forget(&done.organization, key, &seen.version()).await {
            if !retry.pause(&error).await {
                return false;
            }
        }
    }
    true
}

/// Counts, until all happened or somebody else did it: in one transaction, or in several where a version was taken away more
/// than once.
async fn count(stores: &SettlingStores, organization: &OrganizationId, mut operations: Vec<Settled>) {
    let mut retry = Retry::new("usage");
    let mut attempt = Attempt::new();
    while !operations.is_empty() {
        let (mut now, later) = one_transaction(operations);
        let corrected = match stores.settling.settle(organization, &now, &attempt).await {
            Ok(()) => {
                now.clear();
                Ok(())
            }
            Err(SettleError::SettledAlready(gone)) => {
                debug!(operations = gone.len(), "settled by somebody else");
                let mut at = 0;
                let others = now.extract_if(.., |_| {
                    at += 1;
                    gone.contains(&(at - 1))
                });
                let leased: Vec<Leased> = others.flat_map(|one| one.leased).collect();
                give_back(stores, organization, &leased).await;
                Ok(())
            }
            Err(SettleError::Recounts(recounts)) => {
                now.extend(later);
                operations = now;
                if !retry.again(&"recounts begin and end all the time") {
                    leave(stores, organization, &operations);
                    return;
                }
                attempt = attempt.corrected(recounts);
                continue;
            }
            Err(SettleError::CountedAlready(places)) => correct(stores, organization, &mut now, places).await,
            // the very same once more
            Err(error @ (SettleError::Conflict | SettleError::Unavailable(_))) => {
                if !retry.pause(&error).await {
                    leave(stores, organization, &later);
                    if matches!(error, SettleError::Conflict) {
                        leave(stores, organization, &now);
                    } else {
                        // whether the last try has counted, and used the lease up, is not known: better a part of the quota
                        // that stays reserved until this node ends than one that two may use
                        warn!(%organization, operations = now.len(), "what these reserved of a quota may stay reserved");
                    }
                    return;
                }
                now.extend(later);
                operations = now;
                continue;
            }
        };
        if let Err(error) = corrected
            && !retry.pause(&error).await
        {
            now.extend(later);
            leave(stores, organization, &now);
            return;
        }
        attempt = Attempt::new();
        now.extend(later);
        operations = now;
    }
}

/// Takes off a lease what somebody else, who does not know of it, has counted. If this fails, it stands until this node ends.
async fn give_back(stores: &SettlingStores, organization: &OrganizationId, all: &[Leased]) {
    for leased in all {
        if let Err(error) = stores.leases.give_back(organization, leased).await {
            warn!(%error, holder = %leased.holder, "a part of a quota stays reserved until this node ends");
        }
    }
}

/// Those that one transaction can hold, which may name each record once and has room for so many holders, and the others.
fn one_transaction(operations: Vec<Settled>) -> (Vec<Settled>, Vec<Settled>) {
    let (mut named, mut holders) = (HashSet::new(), HashSet::<Holder>::new());
    operations.into_iter().partition(|one| {
        let names: Vec<_> = one.taken.iter().map(|taken| (taken.key.clone(), taken.version.clone())).collect();
        let more: HashSet<&Holder> = one.holders().filter(|holder| !holders.contains(*holder)).collect();
        let fits = names.iter().all(|name| !named.contains(name)) && holders.len() + more.len() <= HOLDERS;
        if fits {
            named.extend(names);
            let more: Vec<Holder> = more.into_iter().cloned().collect();
            holders.extend(more);
        }
        fits
    })
}

/// Leaves versions out that somebody else has counted, or puts those in their place that went instead.
async fn correct(
    stores: &SettlingStores,
    organization: &OrganizationId,
    operations: &mut [Settled],
    places: Vec<(usize, usize)>,
) -> Result<(), SettleError> {
    // from the last on, so that the places stay right
    for (at, place) in places.into_iter().rev() {
        let Some(one) = operations.get_mut(at) else { continue };
        let Some(taken) = one.taken.get_mut(place) else { continue };
        match stores.settling.instead(organization, &one.operation, taken).await? {
            Some(instead) if instead.version != taken.version => *taken = instead,
            _ => {
                let counted = one.taken.remove(place);
                one.without(&counted);
            }
        }
    }
    Ok(())
}

/// Growing pauses between tries.
struct Retry {
    what: &'static str,
    tried: u32,
    pause: Duration,
}

impl Retry {
    fn new(what: &'static str) -> Self {
        Self { what, tried: 0, pause: FIRST_PAUSE }
    }

    /// The next try may be made at once; `false` if there is to be none.
    fn again(&mut self, problem: &dyn std::fmt::Display) -> bool {
        self.tried += 1;
        if self.tried >= TRIES {
            warn!(%problem, what = self.what, "left to the sweep");
        }
        self.tried < TRIES
    }

    /// Waits before the next try; `false` if there is to be none.
    async fn pause(&mut self, problem: &(dyn std::error::Error + Sync)) -> bool {
        if !self.again(problem) {
            return false;
        }
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(self.pause.mul_f64(jitter)).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}
