//! One login for all doors.
//!
//! Every refusal looks the same to the client and takes a multiple of the same time; the log says the reason. A
//! password that was right is remembered for a minute, under the credential's revision, so that clients that open a
//! connection for each file do not cost a hash each; any change of the credential ends that at once. An API key is a
//! password for its owner ([`api_keys`]).

mod api_keys;
mod remembered;

use crate::activity;
use crate::hashing::Hashing;
use crate::meters::AllLogins;
use domain::access::Principal;
use domain::credential::UserName;
use domain::event::Origin;
use domain::identity::{self, Refusal};
use remembered::Remembered;
use std::sync::Arc;
use std::time::Duration;
use store::records::{RecordError, Records};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// What the log calls a public key.
const PUBLIC_KEY: &str = "publickey";

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

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct LoginTimes {
    /// A refused login is answered after a multiple of this. Above what hashing and three reads take, so that nearly
    /// all refusals take the same time.
    pub refusal_floor: Duration,
    /// The same for the question whether a key might do, which needs no hash.
    pub key_question_floor: Duration,
    /// The whole login.
    pub deadline: Duration,
}

impl Default for LoginTimes {
    fn default() -> Self {
        Self {
            refusal_floor: Duration::from_millis(300),
            key_question_floor: Duration::from_millis(100),
            deadline: Duration::from_secs(20),
        }
    }
}

/// Logins. Cheap to clone; one for each process, because it bounds the hashing.
#[derive(Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
}

struct Inner {
    records: Records,
    hashing: Hashing,
    remembered: Remembered,
    times: LoginTimes,
    meters: Arc<AllLogins>,
}

/// Why a login ends without a principal.
enum Failure {
    Refused(Refusal),
    Unavailable(String),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl Accounts {
    /// Logins against these records.
    pub fn new(records: Records, times: LoginTimes) -> Self {
        let inner =
            Inner { records, hashing: Hashing::new(), remembered: Remembered::new(), times, meters: Arc::default() };
        Self { inner: Arc::new(inner) }
    }

    /// How logins ended.
    pub fn meters(&self) -> Arc<AllLogins> {
        Arc::clone(&self.inner.meters)
    }

    /// Checks everything that a login needs.
    pub async fn log_in(&self, attempt: Attempt) -> Result<Principal, LoginError> {
        let started = Instant::now();
        let result = self.within_deadline(self.inner.try_log_in(&attempt)).await;
        let floor = self.inner.times.refusal_floor;
        let meters = self.inner.meters.at(attempt.origin.protocol);
        match &result {
            Ok(_) => &meters.accepted,
            Err(Failure::Refused(_)) => &meters.refused,
            Err(Failure::Unavailable(_)) => &meters.unavailable,
        }
        .add(1);
        let method = match attempt.proof {
            Proof::Password(_) => "password",
            Proof::PublicKey(_) => PUBLIC_KEY,
        };
        self.answer(result, (&attempt.user, method), &attempt.origin, started, floor).await
    }

    /// Whether this user might log in with this key, before the client signs with it.
    pub async fn knows_key(&self, user: &str, key: &[u8], origin: &Origin) -> Result<bool, LoginError> {
        let started = Instant::now();
        let result = self.within_deadline(self.inner.try_key(user, key, origin)).await;
        let floor = self.inner.times.key_question_floor;
        match self.answer(result, (user, PUBLIC_KEY), origin, started, floor).await {
            Ok(_) => Ok(true),
            Err(LoginError::Refused) => Ok(false),
            Err(LoginError::Unavailable) => Err(LoginError::Unavailable),
        }
    }

    async fn within_deadline(
        &self,
        login: impl Future<Output = Result<Principal, Failure>>,
    ) -> Result<Principal, Failure> {
        let timeout = tokio::time::timeout(self.inner.times.deadline, login).await;
        timeout.unwrap_or_else(|_| Err(Failure::Unavailable("no result within the deadline".to_owned())))
    }

    /// Logs the outcome, and holds a refusal back.
    async fn answer(
        &self,
        result: Result<Principal, Failure>,
        (user, method): (&str, &'static str),
        origin: &Origin,
        started: Instant,
        floor: Duration,
    ) -> Result<Principal, LoginError> {
        match result {
            Ok(principal) => Ok(principal),
            Err(Failure::Refused(reason)) => {
                activity::auth_failure(origin, user, method, &reason);
                tokio::time::sleep_until(started + up_to_multiple(started.elapsed(), floor)).await;
                Err(LoginError::Refused)
            }
            Err(Failure::Unavailable(error)) => {
                tracing::error!(user, "session-id" = origin.session_id, error, "login not possible");
                Err(LoginError::Unavailable)
            }
        }
    }
}

/// The next multiple of `floor`: what took longer than the floor is still not told apart finely.
fn up_to_multiple(elapsed: Duration, floor: Duration) -> Duration {
    let times = elapsed.as_nanos().div_ceil(floor.as_nanos().max(1)).max(1);
    floor.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX))
}

impl Inner {
    async fn try_log_in(&self, attempt: &Attempt) -> Result<Principal, Failure> {
        match &attempt.proof {
            Proof::PublicKey(key) => self.try_key(&attempt.user, key, &attempt.origin).await,
            Proof::Password(password) => match identity::api_key_login(&attempt.user) {
                Some(name) => self.try_api_key(name, password, &attempt.origin).await,
                None => self.try_password(&attempt.user, password, &attempt.origin).await,
            },
        }
    }

    async fn try_key(&self, user: &str, key: &[u8], origin: &Origin) -> Result<Principal, Failure> {
        let found = self.load(user).await?;
        let credential = &found.credential.value;
        identity::may_connect(&found.organization.value, credential, origin, store::clock::now())?;
        let record = self.records.shown_ssh_key(&credential.id, key).await?;
        identity::check_key(credential, record.as_ref(), key)?;
        Ok(credential.principal())
    }

    async fn try_password(
        &self,
        user: &str,
        password: &Zeroizing<String>,
        origin: &Origin,
    ) -> Result<Principal, Failure> {
        let found = self.load(user).await?;
        let credential = found.credential.value;
        identity::may_connect(&found.organization.value, &credential, origin, store::clock::now())?;
        let memory = self.remembered.key(&credential.id, found.credential.rev, password);
        if !self.remembered.holds(&memory, Instant::now()) {
            let (checked, password) = (credential.clone(), password.clone());
            self.hashing
                .run(move || identity::check_password(&checked, &password))
                .await
                .map_err(|busy| Failure::Unavailable(busy.to_string()))??;
            self.remembered.add(memory, Instant::now());
        }
        Ok(credential.principal())
    }

    async fn load(&self, user: &str) -> Result<store::records::LoginRecords, Failure> {
        let name = UserName::parse(user).map_err(|_| Refusal::UnknownUser)?;
        Ok(self.records.login_records(&name).await?.ok_or(Refusal::UnknownUser)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_take_multiples_of_the_floor() {
        let floor = Duration::from_millis(300);
        for (elapsed, expected) in [(0, 300), (1, 300), (300, 300), (301, 600), (899, 900)] {
            assert_eq!(up_to_multiple(Duration::from_millis(elapsed), floor), Duration::from_millis(expected));
        }
    }
}
