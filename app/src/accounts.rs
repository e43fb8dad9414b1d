//! One login for all doors.

use domain::access::Principal;
use domain::event::Origin;
use zeroize::Zeroizing;

/// What a client shows to log in.
pub enum Proof {
    /// A password, as typed.
    Password(Zeroizing<String>),
    /// A public key in SSH wire format (RFC 4253, section 6.6). The door has verified the signature.
    PublicKey(Vec<u8>),
}

/// One attempt.
pub struct Attempt {
    /// The user name, as sent.
    pub user: String,
    /// What is shown.
    pub proof: Proof,
    /// The door and the address.
    pub origin: Origin,
}

/// Why a login fails, as far as the client may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// One answer for every reason; the log has the reason.
    #[error("permission denied")]
    Refused,
    /// A dependency did not answer.
    #[error("the service is not available; try again")]
    Unavailable,
}

/// Logins.
#[derive(Clone)]
pub struct Accounts;

impl Accounts {
    /// Checks everything that a login needs.
    pub async fn log_in(&self, _attempt: Attempt) -> Result<Principal, LoginError> {
        Err(LoginError::Unavailable)
    }

    /// Whether this user might log in with this key, before the client signs with it.
    pub async fn knows_key(&self, _user: &str, _key: &[u8], _origin: &Origin) -> Result<bool, LoginError> {
        Err(LoginError::Unavailable)
    }
}
