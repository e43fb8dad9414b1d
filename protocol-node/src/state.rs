//! What the doors work on.

use crate::backend::{Accounts, Vfs};
#[cfg(not(test))]
use crate::config::Config;
use app::budget::Budget;
#[cfg(not(test))]
use app::{
    accounts::LoginTimes,
    settler::{Settler, SettlingStores},
    sweep::Sweep,
    vfs::Resuming,
};
#[cfg(not(test))]
use store::{
    aws::Aws, intents::Intents, messages::Messages, objects::Objects, partials::Partials, records::Records,
    seal::Sealer, settling::Settling, times::Times,
};

/// Accounts and files, shared by all sessions of the process.
#[derive(Clone)]
pub struct State {
    /// Logins.
    pub accounts: Accounts,
    /// Files.
    pub vfs: Vfs,
    /// Memory for transfers.
    pub budget: Budget,
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

/// Makes the state from the settings, and what finishes interrupted operations. Sends no request.
#[cfg(not(test))]
pub async fn build(config: &Config) -> Result<(State, Sweep), BuildError> {
    let aws = Aws::connect(config.aws.clone()).await?;
    let records = Records::new(&aws, Sealer::new(&config.sealing_secret)?);
    let objects = Objects::new(&aws);
    let stores = SettlingStores {
        intents: Intents::new(&aws).with_lease(config.lease),
        settling: Settling::new(&aws),
        queue: Messages::new(&aws),
        times: Times::new(&aws),
    };
    let settler = Settler::start(stores.clone());
    let budget = Budget::new(config.memory_budget_mib)?;
    let resuming = Resuming { partials: Partials::new(&aws), keep_for: config.resume };
    let vfs = Vfs::new(objects.clone(), stores.clone(), settler, budget.clone(), resuming.clone());
    let accounts = Accounts::new(records, LoginTimes::default());
    Ok((State { accounts, vfs, budget }, Sweep::new(objects, stores, resuming)))
}
