//! What the doors work on.

use crate::backend::{Accounts, Vfs};
#[cfg(not(test))]
use crate::config::Config;
use app::budget::Budget;
use app::meters::Meters;
use app::sessions::Sessions;
#[cfg(not(test))]
use app::{
    accounts::{Known, LoginTimes},
    defender::Defender,
    quota::Quotas,
    sessions::Places,
    settler::{Settler, SettlingStores},
    sweep::Sweep,
    vfs::Resuming,
};
#[cfg(not(test))]
use domain::id::NodeId;
#[cfg(not(test))]
use std::time::Duration;
#[cfg(not(test))]
use store::{aws::Aws, defender::Scores, nodes::Nodes, objects::Objects, records::Records, seal::Sealer};

/// Accounts and files, shared by all sessions of the process.
#[derive(Clone)]
pub struct State {
    /// Logins.
    pub accounts: Accounts,
    /// Files.
    pub vfs: Vfs,
    /// Memory for transfers.
    pub budget: Budget,
    /// Who has logged in.
    pub sessions: Sessions,
    /// What has been done.
    pub meters: Meters,
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The settings for AWS.
    #[error(transparent)]
    Aws(#[from] store::aws::AwsSettingsError),
    /// The sealing secret.
    #[error("TOWPATH_SEALING_SECRET: {0}")]
    Sealing(#[from] store::seal::SealerError),
    /// The memory budget.
    #[error("TOWPATH_MEMORY_BUDGET_MIB: {0}")]
    Memory(#[from] app::budget::BudgetTooSmall),
}

/// When the sweep has finished what a node left: its lease has passed, it was found, and there was time for another round.
#[cfg(not(test))]
fn swept(config: &Config) -> Duration {
    3 * config.lease + 2 * config.sweep
}

/// What a node is built of.
#[cfg(not(test))]
pub struct Built {
    /// What the doors work on.
    pub state: State,
    /// The records of those who come with a ticket.
    pub known: Known,
    /// Where the node says that it is alive, and who is here.
    pub nodes: Nodes,
    /// What its uploads have of their credentials' quotas.
    pub quotas: Quotas,
    /// Who keeps guessers of passwords away.
    pub defender: Defender,
    /// What finishes interrupted operations.
    pub sweep: Sweep,
}

/// Makes everything from the settings. Sends no request.
#[cfg(not(test))]
pub async fn build(config: &Config) -> Result<Built, BuildError> {
    let aws = Aws::connect(config.aws.clone()).await?;
    let records = Records::new(&aws, Sealer::new(&config.sealing_secret)?);
    let objects = Objects::new(&aws);
    let mut stores = SettlingStores::new(&aws);
    stores.intents = stores.intents.with_lease(config.lease);
    let settler = Settler::start(stores.clone());
    let budget = Budget::new(config.memory_budget_mib)?;
    let resuming = Resuming::new(&aws, config.resume);
    let sessions = Sessions::announced_by(NodeId::from_random(store::clock::random()), settler.clone());
    let nodes = Nodes::new(&aws);
    let quotas = Quotas::new(sessions.node().clone(), nodes.clone(), stores.leases.clone(), swept(config));
    let vfs =
        Vfs::new(objects.clone(), stores.clone(), settler.clone(), budget.clone(), quotas.clone(), resuming.clone());
    let places = Places::new(sessions.node().clone(), nodes.clone(), store::places::Places::new(&aws));
    let defender = if config.defender { Defender::new(Scores::new(&aws)) } else { Defender::off() };
    let known = Known::new(records.clone());
    let accounts = Accounts::new(records, places, defender.clone(), LoginTimes::default());
    let accounts = accounts.announced_by(settler.clone());
    let meters = Meters { files: vfs.meters(), logins: accounts.meters() };
    let state = State { accounts, vfs, budget, sessions, meters };
    Ok(Built { state, known, nodes, quotas, defender, sweep: Sweep::new(objects, stores, resuming) })
}
