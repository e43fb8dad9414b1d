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
}

/// Makes the state from the settings. Sends no request.
#[cfg(not(test))]
pub async fn build(config: &Config) -> Result<State, BuildError> {
    store::aws::Aws::connect(config.aws.clone()).await?;
    Ok(State {
        accounts: Accounts,
        vfs: Vfs,
    })
}
