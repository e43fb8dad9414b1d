//! What the doors work on.

use crate::backend::{Accounts, Vfs};
#[cfg(not(test))]
use crate::config::Config;

/// Accounts and files, shared by all sessions of the process.
#[derive(Clone)]
pub struct State {
    /// Logins.
    pub accounts: Accounts,
    /// Files.
    pub vfs: Vfs,
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The settings for AWS.
    #[error(transparent)]
    Aws(#[from] store::aws::AwsSettingsError),
    /// The sealing secret.
    #[error(transparent)]
    Sealing(#[from] store::seal::SealerError),
    /// The memory budget.
    #[error("TOWPATH_MEMORY_BUDGET_MIB: {0}")]
    Budget(#[from] app::budget::BudgetTooSmall),
}

/// Makes the state from the settings and starts what settles uploads. Sends no request. Needs a runtime.
#[cfg(not(test))]
pub async fn build(config: &Config) -> Result<State, BuildError> {
    let aws = store::aws::Aws::connect(config.aws.clone()).await?;
    let sealer = store::seal::Sealer::new(&config.sealing_secret)?;
    let records = store::records::Records::new(&aws, sealer);
    let budget = app::budget::Budget::new(config.memory_budget_mib)?;
    let intents = store::intents::Intents::new(&aws);
    let settler = app::settler::Settler::start(app::settler::SettlingStores {
        intents: intents.clone(),
        settling: store::settling::Settling::new(&aws),
        queue: store::messages::Messages::new(&aws),
    });
    Ok(State {
        accounts: Accounts::new(records, app::accounts::LoginTimes::default()),
        vfs: Vfs::new(store::objects::Objects::new(&aws), intents, settler, budget),
    })
}
