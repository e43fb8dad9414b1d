//! Quotas on this node, of credentials, virtual folders and organizations: what it has leased ([`domain::quota`]), and what its
//! uploads have of that.
//!
//! An upload reserves as its bytes come, most often without a request: a block is leased at once. What nobody has used for
//! [`IDLE`] goes back, so that another node can have it. A reservation ends in one of three ways: given back to the node, used
//! up with the transaction that counts the file, or left out until the sweep has counted what became of it.

use domain::id::{NodeId, OrganizationId};
use domain::quota::{Amount, Holder, NotGranted, Quota, grant};
use futures_util::FutureExt as _;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::clock;
use store::leases::{Accounted, Leased, Leases};
use store::nodes::Nodes;
use store::records::RecordError;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// What a lease gives nobody for so long goes back.
const IDLE: Duration = Duration::from_secs(3);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long an upload waits for others to give back what they may not need.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often it looks.
const AGAIN: Duration = Duration::from_millis(500);
/// How often a lease is asked for again when another node was faster.
const ATTEMPTS: usize = 12;

/// Quotas of those who use this process. Cheap to clone.
#[derive(Clone)]
pub struct Quotas(Arc<Inner>);

struct Inner {
    node: NodeId,
    nodes: Nodes,
    leases: Leases,
    accounts: Mutex<HashMap<(OrganizationId, Holder), Arc<Account>>>,
    swept: Duration,
}

/// One holder's lease here.
struct Account {
    organization: OrganizationId,
    holder: Holder,
    state: Mutex<State>,
    /// One asks for more at a time.
    asking: AsyncMutex<()>,
}

struct State {
    free: Amount,
    used_at: Instant,
}

/// Why there is no room.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRoom {
    #[error("the quota is used up")]
    Exceeded,
    #[error(transparent)]
    Unavailable(#[from] RecordError),
}

/// A quota as a session has it.
#[derive(Clone)]
pub(crate) struct Allowance {
    quotas: Quotas,
    account: Arc<Account>,
    quota: Quota,
}

/// An upload's part of a lease. Dropping it gives it back to the node.
pub(crate) struct Reservation {
    allowance: Allowance,
    amount: Amount,
}

impl Quotas {
    /// None leased yet. After `swept` the sweep has counted whatever was left to it, by this node or by one that died: so long
    /// what they had reserved stays reserved.
    pub fn new(node: NodeId, nodes: Nodes, leases: Leases, swept: Duration) -> Self {
        Self(Arc::new(Inner { node, nodes, leases, accounts: Mutex::default(), swept }))
    }

    pub(crate) fn of(&self, organization: &OrganizationId, holder: Holder, quota: Quota) -> Allowance {
        let mut accounts = self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.entry((organization.clone(), holder.clone())).or_insert_with(|| {
            Arc::new(Account {
                organization: organization.clone(),
                holder,
                state: Mutex::new(State { free: Amount::default(), used_at: Instant::now() }),
                asking: AsyncMutex::new(()),
            })
        });
        Allowance { quotas: self.clone(), account: Arc::clone(account), quota }
    }

    /// Gives back what nobody uses, until `stop`; then everything.
    pub async fn keep(self, stop: CancellationToken) {
        while stop.run_until_cancelled(sleep(LOOK)).await.is_some() {
            self.give_back_idle(IDLE).await;
            self.0.leases.pay(self.0.swept).await;
        }
        self.give_back_idle(Duration::ZERO).await;
    }

    /// Gives back what nobody uses now: for a process that may be stopped at any moment and does not [`Quotas::keep`].
    pub async fn release(&self) {
        self.give_back_idle(Duration::ZERO).await;
        self.0.leases.pay(self.0.swept).await;
    }

    async fn give_back_idle(&self, idle: Duration) {
        let accounts: Vec<Arc<Account>> = {
            let mut all = self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            // nobody's, and without a lease
            all.retain(|_, account| Arc::strong_count(account) > 1 || !account.state().free.is_zero());
            all.values().cloned().collect()
        };
        for account in accounts {
            let free = {
                let mut state = account.state();
                if state.used_at.elapsed() < idle { Amount::default() } else { std::mem::take(&mut state.free) }
            };
            if !free.is_zero()
                && let Err(error) = self.less(&account, free).await
            {
                tracing::debug!(%error, "a lease is given back later");
                account.add(free);
            }
        }
    }

    async fn less(&self, account: &Account, amount: Amount) -> Result<(), RecordError> {
        self.0.leases.give_back(&account.organization, &account.leased(&self.0.node, amount)).await
    }

    /// Asks the table for `need` more, and for a block beyond it.
    async fn lease(
        &self,
        account: &Account,
        quota: Quota,
        need: Amount,
    ) -> Result<Result<Amount, NotGranted>, RecordError> {
        let Inner { node, nodes, leases, swept, .. } = &*self.0;
        let Account { organization, holder, .. } = account;
        for _ in 0..ATTEMPTS {
            let now = clock::now();
            // a lease counts while its node lives, so this one says that it does
            let read = futures_util::future::try_join(leases.get(organization, holder), nodes.heard_of(now, *swept));
            let ((read, alive), ()) = futures_util::future::try_join(read, nodes.beat(node, now)).await?;
            let gone: BTreeSet<NodeId> =
                read.nodes.keys().filter(|other| *other != node && !alive.contains(other)).cloned().collect();
            let leased = standing(&read, &gone);
            let granted = match grant(quota, read.stored, leased, need) {
                Ok(granted) => granted,
                Err(refused) => return Ok(Err(refused)),
            };
            let more = account.leased(node, granted);
            if leases.take(organization, &more, &gone, &read).await? {
                return Ok(Ok(granted));
            }
        }
        Err(RecordError::Conflict)
    }
}

/// All leases but those of nodes that are gone.
fn standing(read: &Accounted, gone: &BTreeSet<NodeId>) -> Amount {
    let standing = read.nodes.iter().filter(|(node, _)| !gone.contains(node));
    standing.fold(Amount::default(), |sum, (_, lease)| sum.plus(*lease))
}

impl Account {
    fn leased(&self, node: &NodeId, amount: Amount) -> Leased {
        Leased { holder: self.holder.clone(), node: node.clone(), amount }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_take(&self, need: Amount) -> bool {
        let mut state = self.state();
        let enough = state.free.holds(need);
        if enough {
            state.free = state.free.minus(need);
            state.used_at = Instant::now();
        }
        enough
    }

    fn add(&self, amount: Amount) {
        let mut state = self.state();
        state.free = state.free.plus(amount);
        state.used_at = Instant::now();
    }
}

impl Allowance {
    /// Nothing yet.
    pub(crate) fn reservation(&self) -> Reservation {
        Reservation { allowance: self.clone(), amount: Amount::default() }
    }

    /// The limits.
    pub(crate) fn quota(&self) -> Quota {
        self.quota
    }

    /// Whose.
    pub(crate) fn holder(&self) -> &Holder {
        &self.account.holder
    }

    async fn take(&self, need: Amount) -> Result<(), NoRoom> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.account.try_take(need) {
                return Ok(());
            }
            let asking = self.account.asking.lock().await;
            if self.account.try_take(need) {
                return Ok(());
            }
            let missing = need.minus(self.account.state().free);
            match self.quotas.lease(&self.account, self.quota, missing).await? {
                Ok(granted) => self.account.add(granted),
                Err(NotGranted::Exceeded) => return Err(NoRoom::Exceeded),
                Err(NotGranted::Leased) if Instant::now() >= deadline => return Err(NoRoom::Exceeded),
                Err(NotGranted::Leased) => {
                    drop(asking);
                    sleep(AGAIN).await;
                }
            }
        }
    }
}

impl Reservation {
    /// Of whose quota.
    pub(crate) fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// Makes it at least `wanted`.
    pub(crate) async fn grow_to(&mut self, wanted: Amount) -> Result<(), NoRoom> {
        let more = wanted.minus(self.amount);
        if !more.is_zero() {
            if !self.allowance.account.try_take(more) {
                // boxed: it is rare, and every future around it would have room for it
                self.allowance.take(more).boxed().await?;
            }
            self.amount = self.amount.plus(more);
        }
        Ok(())
    }

    /// Makes it at most `wanted`.
    pub(crate) fn shrink_to(&mut self, wanted: Amount) {
        let less = self.amount.minus(wanted);
        self.amount = self.amount.minus(less);
        self.allowance.account.add(less);
    }

    /// For the transaction that counts what it was for.
    pub(crate) fn use_up(mut self) -> Leased {
        let amount = std::mem::take(&mut self.amount);
        self.allowance.account.leased(&self.allowance.quotas.0.node, amount)
    }

    /// Nobody knows whether what it was for has happened: it stays out until the sweep has found out.
    pub(crate) fn leave_to_sweep(mut self) {
        let amount = std::mem::take(&mut self.amount);
        let Allowance { quotas: Quotas(inner), account, .. } = &self.allowance;
        inner.leases.owe(&account.organization, &account.leased(&inner.node, amount));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.allowance.account.add(std::mem::take(&mut self.amount));
    }
}
