//! One login for all doors.
//!
//! Every refusal looks the same to the client and takes a multiple of the same time; the log says the reason. A
//! password that was right is remembered for a minute, under the credential's revision, so that clients that open a
//! connection for each file do not cost a hash each; any change of the credential ends that at once. An API key is a
//! password for its owner ([`api_keys`]).

mod announced;
mod api_keys;
mod known;
mod remembered;
mod sign_in;

pub use known::{Known, KnownError};
pub(crate) use sign_in::totp_place;
pub use sign_in::{SignIn, SignInError, SignedIn};

use crate::activity;
use crate::defender::Defender;
use crate::hashing::Hashing;
use crate::meters::AllLogins;
use crate::sessions::{Place, Places};
use crate::settler::Settler;
use domain::access::Principal;
use domain::connection::Grounds;
use domain::credential::{Credential, UserName};
use domain::event::Origin;
use domain::folder;
use domain::identity::{self, Refusal};
use domain::organization::Organization;
use domain::time::Timestamp;
use futures_util::FutureExt as _;
use remembered::Remembered;
use std::sync::Arc;
use std::time::Duration;
use store::clock;
use store::messages::Messages;
use store::records::{LoginRecords, RecordError, Records};
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
    /// First a key, whose signature the door has verified, then a password.
    KeyAndPassword {
        /// The key, as above.
        key: Vec<u8>,
        /// The password, as typed.
        password: Zeroizing<String>,
    },
}

/// A login that succeeded, for a session.
pub struct Login {
    /// Who, with which rights.
    pub principal: Principal,
    /// What of the account it was decided on.
    pub grounds: Grounds,
    /// One of the credential's sessions, if it may have only so many.
    pub place: Option<Place>,
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
    /// The key is right; this credential needs its password as well.
    #[error("the password is needed as well")]
    PasswordToo,
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
    places: Places,
    defender: Defender,
    settler: Option<Settler>,
    /// Where there is no settler: a function, which does nothing after its answer.
    queue: Option<Messages>,
    hashing: Hashing,
    remembered: Remembered,
    times: LoginTimes,
    meters: Arc<AllLogins>,
}

/// What a login was decided on.
struct Found {
    records: LoginRecords,
    principal: Principal,
    /// When the API key expires that was its password.
    key_expires_at: Option<Timestamp>,
}

/// Why a login ends without one.
enum Failure {
    Refused(Refusal),
    /// The same when it is known whose login it is.
    RefusedFor(Refusal, Box<Credential>),
    PasswordToo,
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
    pub fn new(records: Records, places: Places, defender: Defender, times: LoginTimes) -> Self {
        let (hashing, remembered, meters) = (Hashing::new(), Remembered::new(), Arc::default());
        let (settler, queue) = (None, None);
        let inner = Inner { records, places, defender, settler, queue, hashing, remembered, times, meters };
        Self { inner: Arc::new(inner) }
    }

    /// The same; refusals are announced to whom they concern. Before the first login.
    #[must_use]
    pub fn announced_by(mut self, settler: Settler) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.settler = Some(settler);
        }
        self
    }

    /// The same by messages that are sent before a refusal is answered, which waits anyway.
    #[must_use]
    pub fn announced_to(mut self, queue: Messages) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.queue = Some(queue);
        }
        self
    }

    /// How logins ended.
    pub fn meters(&self) -> Arc<AllLogins> {
        Arc::clone(&self.inner.meters)
    }

    /// Checks everything that a login needs.
    pub async fn log_in(&self, attempt: Attempt) -> Result<Login, LoginError> {
        let started = Instant::now();
        let login = async {
            let found = self.inner.try_log_in(&attempt).await?;
            self.inner.begin(found).await
        };
        let result = self.within_deadline(login).await;
        self.inner.tell_defender(&attempt, &result).await;
        let floor = self.inner.times.refusal_floor;
        let meters = self.inner.meters.at(attempt.origin.protocol);
        match &result {
            Ok(_) => meters.accepted.add(1),
            Err(Failure::Refused(_) | Failure::RefusedFor(..)) => meters.refused.add(1),
            Err(Failure::Unavailable(_)) => meters.unavailable.add(1),
            // half of a login, which is counted at its end
            Err(Failure::PasswordToo) => {}
        }
        let method = match attempt.proof {
            Proof::Password(_) => "password",
            Proof::PublicKey(_) => PUBLIC_KEY,
            Proof::KeyAndPassword { .. } => "publickey,password",
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
            Err(error @ (LoginError::Unavailable | LoginError::PasswordToo)) => Err(error),
        }
    }

    async fn within_deadline<T>(&self, login: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let timeout = tokio::time::timeout(self.inner.times.deadline, login).await;
        timeout.unwrap_or_else(|_| Err(Failure::Unavailable("no result within the deadline".to_owned())))
    }

    /// Logs the outcome, and holds a refusal back.
    async fn answer<T>(
        &self,
        result: Result<T, Failure>,
        (user, method): (&str, &'static str),
        origin: &Origin,
        started: Instant,
        floor: Duration,
    ) -> Result<T, LoginError> {
        match result {
            Ok(done) => Ok(done),
            Err(Failure::PasswordToo) => Err(LoginError::PasswordToo),
            Err(Failure::Refused(reason) | Failure::RefusedFor(reason, ..)) => {
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

/// The principal with what other records say: the virtual folders that its credential sees, and its organization's quota.
pub(crate) async fn complete(
    records: &Records,
    principal: Principal,
    organization: &Organization,
    credential: &Credential,
) -> Result<Principal, RecordError> {
    let mut principal = Principal { organization_quota: organization.quota(), ..principal };
    let mounted = &credential.folders;
    if !mounted.is_empty() {
        let names = mounted.iter().map(|mounted| &mounted.name);
        let folders = records.folders_named(&credential.organization, names).boxed().await?;
        principal.chroot = principal.chroot.with_folders(folder::views(mounted, &folders));
    }
    Ok(principal)
}

/// The refusal of a known login.
fn of(refusal: Refusal, credential: &Credential) -> Failure {
    Failure::RefusedFor(refusal, Box::new(credential.clone()))
}

fn may_connect(records: &LoginRecords, origin: &Origin) -> Result<(), Failure> {
    let credential = &records.credential.value;
    let allowed = identity::may_connect(&records.organization.value, credential, origin, clock::now());
    allowed.map_err(|refusal| of(refusal, credential))
}

/// The next multiple of `floor`: what took longer than the floor is still not told apart finely.
fn up_to_multiple(elapsed: Duration, floor: Duration) -> Duration {
    let times = elapsed.as_nanos().div_ceil(floor.as_nanos().max(1)).max(1);
    floor.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX))
}

impl Inner {
    async fn try_log_in(&self, attempt: &Attempt) -> Result<Found, Failure> {
        let Attempt { user, proof, origin } = attempt;
        if !matches!(proof, Proof::PublicKey(_)) {
            self.defender.allows(origin.client_ip, None)?;
        }
        match proof {
            Proof::PublicKey(key) => {
                let found = self.try_key(user, key, origin).await?;
                if found.records.credential.value.needs_password(origin.protocol) {
                    return Err(Failure::PasswordToo);
                }
                Ok(found)
            }
            Proof::Password(password) => match identity::api_key_login(user) {
                Some(name) => self.try_api_key(name, password, origin, None).await,
                None => self.try_password(user, password, origin, None).await,
            },
            Proof::KeyAndPassword { key, password } => match identity::api_key_login(user) {
                Some(name) => self.try_api_key(name, password, origin, Some(key)).await,
                None => self.try_password(user, password, origin, Some(key)).await,
            },
        }
    }

    /// Wrong passwords are scored, before the answer that says that they are wrong.
    async fn tell_defender(&self, attempt: &Attempt, result: &Result<Login, Failure>) {
        let address = attempt.origin.client_ip;
        match result {
            Ok(_) => self.defender.succeeded(address),
            // a key that does not fit is no guess
            Err(Failure::RefusedFor(refusal, credential)) if matches!(attempt.proof, Proof::PublicKey(_)) => {
                self.announce(refusal, credential, &attempt.origin).await;
            }
            Err(_) if matches!(attempt.proof, Proof::PublicKey(_)) => {}
            Err(Failure::Refused(refusal)) => self.defender.failed(address, None, refusal).await,
            Err(Failure::RefusedFor(refusal, credential)) => {
                self.announce(refusal, credential, &attempt.origin).await;
                self.defender.failed(address, Some((&credential.organization, &credential.id)), refusal).await;
            }
            Err(Failure::PasswordToo | Failure::Unavailable(_)) => {}
        }
    }

    /// A place for the session, if the credential may have only so many.
    async fn begin(&self, found: Found) -> Result<Login, Failure> {
        let Found { records: LoginRecords { organization, credential }, principal, key_expires_at } = found;
        let principal = complete(&self.records, principal, &organization.value, &credential.value).await?;
        let expires_at = credential.value.expires_at.filter(|_| organization.value.close_sessions_on_change);
        let ends_at = [key_expires_at, expires_at].into_iter().flatten().min();
        let place = match credential.value.max_sessions {
            0 => None,
            most => {
                let place = self.places.take(&organization.value.id, &credential.value.id, most).await?;
                Some(place.ok_or_else(|| of(Refusal::TooManySessions, &credential.value))?)
            }
        };
        Ok(Login { principal, grounds: Grounds { credential_rev: credential.rev, ends_at }, place })
    }

    async fn try_key(&self, user: &str, key: &[u8], origin: &Origin) -> Result<Found, Failure> {
        if let Some(name) = identity::api_key_login(user) {
            return self.try_key_before_api_key(name, key, origin).await;
        }
        let records = self.load(user).await?;
        let credential = &records.credential.value;
        may_connect(&records, origin)?;
        if credential.needs_password(origin.protocol) && credential.restrictions.deny_both(origin.protocol) {
            return Err(of(Refusal::Method, credential));
        }
        self.check_key(credential, key).await?;
        let principal = credential.principal();
        Ok(Found { records, principal, key_expires_at: None })
    }

    /// `key` is what was shown before the password.
    async fn try_password(
        &self,
        user: &str,
        password: &Zeroizing<String>,
        origin: &Origin,
        key: Option<&[u8]>,
    ) -> Result<Found, Failure> {
        let records = self.load(user).await?;
        let credential = &records.credential.value;
        may_connect(&records, origin)?;
        let whose = Some((&credential.organization, &credential.id));
        self.defender.allows(origin.client_ip, whose).map_err(|refusal| of(refusal, credential))?;
        let memory = self.remembered.key(&credential.id, records.credential.rev, password);
        if !self.remembered.holds(&memory, Instant::now()) {
            let (checked, password) = (credential.clone(), password.clone());
            let hashed = self.hashing.run(move || identity::check_password(&checked, &password)).await;
            let checked = hashed.map_err(|busy| Failure::Unavailable(busy.to_string()))?;
            checked.map_err(|refusal| of(refusal, credential))?;
            self.remembered.add(memory, Instant::now());
        }
        self.check_key_beside(credential, origin, key).await?;
        let principal = credential.principal();
        Ok(Found { records, principal, key_expires_at: None })
    }

    async fn check_key(&self, credential: &Credential, key: &[u8]) -> Result<(), Failure> {
        let record = self.records.shown_ssh_key(&credential.id, key).await?;
        identity::check_key(credential, record.as_ref(), key).map_err(|refusal| of(refusal, credential))
    }

    /// The other half of a login that takes both.
    async fn check_key_beside(
        &self,
        credential: &Credential,
        origin: &Origin,
        key: Option<&[u8]>,
    ) -> Result<(), Failure> {
        match key {
            _ if !credential.needs_key(origin.protocol) => Ok(()),
            Some(_) if credential.restrictions.deny_both(origin.protocol) => Err(of(Refusal::Method, credential)),
            Some(key) => self.check_key(credential, key).await,
            None => Err(of(Refusal::KeyNeeded, credential)),
        }
    }

    async fn load(&self, user: &str) -> Result<LoginRecords, Failure> {
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
