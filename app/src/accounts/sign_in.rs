//! Signing in to the API: the same checks as a login at another door, then the account's item says that it counts, and a token
//! can be made. No session begins, so none of the credential's sessions is taken.
//!
//! Everything that refuses is inside the one answer and the one time: unknown names, wrong passwords, wrong or used one-time
//! codes, and an account that changes between the check and the item.

use super::{Accounts, Attempt, Failure, Found, Inner, LoginError, Proof, of};
use crate::activity;
use domain::admin::second_factor::{SecondFactor, accepted_step, recovery_hash};
use domain::admin::{Admin, AdminName};
use domain::credential::Credential;
use domain::event::Origin;
use domain::id::{CredentialId, OrganizationId};
use domain::identity::{Refusal, api_key_login};
use domain::organization::DEFAULT_REQUESTS;
use domain::password;
use domain::rate::RateStatus;
use domain::time::Timestamp;
use domain::token::AccountId;
use store::clock;
use store::records::{NotOpened, RecordError, Records, Versioned};
use store::seal::Place;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// What the log calls it.
const METHOD: &str = "token";

/// The field name under which an account's TOTP secret is sealed.
const TOTP_FIELD: &str = "totp";

/// One attempt to sign in.
pub struct SignIn {
    /// The name, as sent.
    pub user: String,
    /// The password, as sent.
    pub password: Zeroizing<String>,
    /// The one-time code, as sent.
    pub code: Option<Zeroizing<String>>,
    /// The door and the address.
    pub origin: Origin,
}

/// Somebody who has signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The account.
    pub account: AccountId,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its name.
    pub name: String,
    /// The revision that it was decided on.
    pub rev: u64,
    /// When the account ends by itself.
    pub ends_at: Option<Timestamp>,
    /// Where the client stands.
    pub rate: RateStatus,
}

/// Why a token is not made, as far as the client may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInError {
    /// One answer for every reason; the log has the reason.
    Refused,
    /// Everything was right, but there were too many requests in this minute.
    Limited(RateStatus),
    /// A dependency did not answer.
    Unavailable,
}

/// Where an account's TOTP secret is sealed.
pub(crate) fn totp_place<'a>(organization: &'a OrganizationId, account: &'a str) -> Place<'a> {
    Place { organization: organization.as_str(), record: account, field: TOTP_FIELD }
}

/// Why it ends without a token.
enum Ending {
    /// As a login fails.
    Failure(Failure),
    /// An admin's refusal, with what the defender scores.
    Admin(Refusal, OrganizationId, CredentialId),
    Limited(RateStatus),
}

impl<E: Into<Failure>> From<E> for Ending {
    fn from(error: E) -> Self {
        Self::Failure(error.into())
    }
}

impl Accounts {
    /// Checks everything that an admin needs for a token.
    pub async fn sign_in_admin(&self, attempt: &SignIn) -> Result<SignedIn, SignInError> {
        let started = Instant::now();
        self.inner.defender.look_if_due().await;
        let result = self.in_time(self.inner.try_admin(attempt)).await;
        let address = attempt.origin.client_ip;
        match &result {
            Ok(_) => self.inner.defender.succeeded(address),
            Err(Ending::Admin(refusal, organization, id)) => {
                self.inner.defender.failed(address, Some((organization, id)), refusal).await;
            }
            Err(Ending::Failure(Failure::Refused(refusal))) => {
                self.inner.defender.failed(address, None, refusal).await;
            }
            Err(_) => {}
        }
        self.end(result, attempt, started).await
    }

    /// Checks everything that a credential needs for a token.
    pub async fn sign_in_user(&self, attempt: &SignIn) -> Result<SignedIn, SignInError> {
        let started = Instant::now();
        self.inner.defender.look_if_due().await;
        let login = Attempt {
            user: attempt.user.clone(),
            proof: Proof::Password(attempt.password.clone()),
            origin: attempt.origin.clone(),
        };
        let result = match self.in_time(self.inner.try_user(&login, attempt.code.as_ref())).await {
            Ok(done) => {
                self.inner.defender.succeeded(login.origin.client_ip);
                Ok(done)
            }
            Err(Ending::Failure(failure)) => {
                let failed = Err(failure);
                self.inner.tell_defender(&login, &failed).await;
                match failed {
                    Err(failure) => Err(Ending::Failure(failure)),
                    Ok(_) => return Err(SignInError::Unavailable),
                }
            }
            Err(other) => Err(other),
        };
        self.end(result, attempt, started).await
    }

    async fn in_time<T>(&self, signing_in: impl Future<Output = Result<T, Ending>>) -> Result<T, Ending> {
        let timeout = tokio::time::timeout(self.inner.times.deadline, signing_in).await;
        timeout.unwrap_or_else(|_| Err(Failure::Unavailable("no result within the deadline".to_owned()).into()))
    }

    /// Logs the outcome, and holds a refusal back.
    async fn end(
        &self,
        result: Result<SignedIn, Ending>,
        attempt: &SignIn,
        started: Instant,
    ) -> Result<SignedIn, SignInError> {
        let meters = self.inner.meters.at(attempt.origin.protocol);
        let result = match result {
            Ok(done) => {
                meters.accepted.add(1);
                activity::signed_in(&attempt.origin, &done.name);
                return Ok(done);
            }
            Err(Ending::Limited(rate)) => return Err(SignInError::Limited(rate)),
            Err(Ending::Admin(refusal, ..)) => Err(Failure::Refused(refusal)),
            Err(Ending::Failure(failure)) => Err(failure),
        };
        match &result {
            Err(Failure::Unavailable(_)) => meters.unavailable.add(1),
            _ => meters.refused.add(1),
        }
        let floor = self.inner.times.refusal_floor;
        match self.answer::<SignedIn>(result, (&attempt.user, METHOD), &attempt.origin, started, floor).await {
            Ok(done) => Ok(done),
            Err(LoginError::Unavailable) => Err(SignInError::Unavailable),
            Err(LoginError::Refused | LoginError::PasswordToo) => Err(SignInError::Refused),
        }
    }
}

impl Inner {
    async fn try_admin(&self, attempt: &SignIn) -> Result<SignedIn, Ending> {
        let address = attempt.origin.client_ip;
        self.defender.allows(address, None)?;
        let name = AdminName::parse(&attempt.user).map_err(|_| Refusal::UnknownUser)?;
        let found = self.records.admin(name.as_str()).await?.ok_or(Refusal::UnknownUser)?;
        let admin = &found.value;
        let whose = admin.defended_as();
        let refused = |refusal: Refusal| Ending::Admin(refusal, admin.organization.clone(), whose.clone());
        self.defender.allows(address, Some((&admin.organization, &whose))).map_err(refused)?;
        admin.may_sign_in(address).map_err(refused)?;
        self.check_admins_password(&found, &whose, &attempt.password).await?.map_err(refused)?;
        let account = admin.account();
        let (factor, code) = (admin.second_factor.as_ref(), attempt.code.as_ref());
        let shown = self.check_code(&admin.organization, &account, factor, code);
        let (step, rev) = match shown.await?.map_err(refused)? {
            Shown::Nothing => (None, found.rev),
            Shown::Step(step) => (Some(step), found.rev),
            Shown::Recovery(factor) => {
                let used = Admin { second_factor: Some(factor), ..admin.clone() };
                let written = self.records.save_admin(&found, &used, None).await;
                (None, used_up(written)?.map_err(refused)?)
            }
        };
        let limit = self.request_limit(&admin.organization).await?;
        for _ in 0..2 {
            return match self.records.open_account(&account, rev, limit, step, clock::now()).await? {
                Ok(opened) => Ok(SignedIn {
                    account,
                    organization: admin.organization.clone(),
                    name: admin.name.to_string(),
                    rev,
                    ends_at: None,
                    rate: opened.rate,
                }),
                Err(NotOpened::Missing) => {
                    // one from before there were tokens; or it was deleted, and then this is a conflict
                    unless_conflict(self.records.make_admin_account(&found, limit).await)?;
                    continue;
                }
                Err(NotOpened::Changed) => Err(changed()),
                Err(NotOpened::Code) => Err(refused(Refusal::WrongCode)),
                Err(NotOpened::Limited(rate)) => Err(Ending::Limited(rate)),
            };
        }
        Err(changed())
    }

    async fn check_admins_password(
        &self,
        admin: &Versioned<Admin>,
        remembered_as: &CredentialId,
        password: &Zeroizing<String>,
    ) -> Result<Result<(), Refusal>, Ending> {
        let memory = self.remembered.key(remembered_as, admin.rev, password);
        if self.remembered.holds(&memory, Instant::now()) {
            return Ok(Ok(()));
        }
        let (hash, password) = (admin.value.password_hash.clone(), password.clone());
        let hashed = self.hashing.run(move || password::verify(&password, &hash)).await;
        if !hashed.map_err(|busy| Failure::Unavailable(busy.to_string()))? {
            return Ok(Err(Refusal::WrongPassword));
        }
        self.remembered.add(memory, Instant::now());
        Ok(Ok(()))
    }

    /// What a one-time code is, if one is needed.
    async fn check_code(
        &self,
        organization: &OrganizationId,
        account: &AccountId,
        factor: Option<&SecondFactor>,
        code: Option<&Zeroizing<String>>,
    ) -> Result<Result<Shown, Refusal>, Ending> {
        let Some(factor) = factor else { return Ok(Ok(Shown::Nothing)) };
        let Some(code) = code else { return Ok(Err(Refusal::WrongCode)) };
        let name = String::from(account.clone());
        let secret = self.records.sealer().open(totp_place(organization, &name), &factor.secret);
        let secret = secret.map_err(|error| Failure::Unavailable(error.to_string()))?;
        if let Some(step) = accepted_step(&secret, code, clock::now()) {
            return Ok(Ok(Shown::Step(step)));
        }
        let hash = recovery_hash(&name, code);
        let mut used = factor.clone();
        let Some(recovery) = used.recovery.iter_mut().find(|kept| !kept.used && kept.hash == hash) else {
            self.records.count_wrong_code(account, clock::now()).await?;
            return Ok(Err(Refusal::WrongCode));
        };
        recovery.used = true;
        Ok(Ok(Shown::Recovery(used)))
    }

    async fn request_limit(&self, organization: &OrganizationId) -> Result<u32, Ending> {
        let found = self.records.organization(organization).await?;
        Ok(found.map_or(DEFAULT_REQUESTS, |found| found.value.default_requests))
    }

    async fn try_user(&self, attempt: &Attempt, code: Option<&Zeroizing<String>>) -> Result<SignedIn, Ending> {
        // an API key is shown as it is, and not for a token that may do more
        if api_key_login(&attempt.user).is_some() {
            return Err(Refusal::UnknownUser.into());
        }
        let Found { records, .. } = self.try_log_in(attempt).await?;
        let (organization, credential) = (&records.organization.value, &records.credential);
        let (account, limit) = (credential.value.account(), organization.default_requests);
        let refused = |refusal: Refusal| of(refusal, &credential.value);
        let shown = self.check_code(&organization.id, &account, credential.value.second_factor.as_ref(), code);
        let (step, rev) = match shown.await?.map_err(refused)? {
            Shown::Nothing => (None, credential.rev),
            Shown::Step(step) => (Some(step), credential.rev),
            Shown::Recovery(factor) => {
                let used = Credential { second_factor: Some(factor), ..credential.value.clone() };
                // a transaction, and not the single write, for which two who write the same are one who writes twice
                let written = self.records.save_credential_and_keys(credential, &used, (&[], &[]), None).await;
                (None, used_up(written)?.map_err(refused)?)
            }
        };
        for _ in 0..2 {
            return match self.records.open_account(&account, rev, limit, step, clock::now()).await? {
                Ok(opened) => Ok(SignedIn {
                    account,
                    organization: organization.id.clone(),
                    name: credential.value.user_name.to_string(),
                    rev,
                    ends_at: credential.value.expires_at,
                    rate: opened.rate,
                }),
                Err(NotOpened::Missing) => {
                    unless_conflict(self.records.make_credential_account(credential, limit).await)?;
                    continue;
                }
                Err(NotOpened::Changed) => Err(changed()),
                Err(NotOpened::Code) => Err(refused(Refusal::WrongCode).into()),
                Err(NotOpened::Limited(rate)) => Err(Ending::Limited(rate)),
            };
        }
        Err(changed())
    }
}

/// What a right one-time code is.
enum Shown {
    /// None is needed.
    Nothing,
    /// A code of this step.
    Step(u64),
    /// A recovery code, with what is left of the second factor.
    Recovery(SecondFactor),
}

/// The revision after a recovery code was used up in the record.
fn used_up(written: Result<u64, RecordError>) -> Result<Result<u64, Refusal>, RecordError> {
    match written {
        Ok(rev) => Ok(Ok(rev)),
        // somebody else was faster, perhaps with the same code
        Err(RecordError::Conflict) => Ok(Err(Refusal::WrongCode)),
        Err(error) => Err(error),
    }
}

/// The account has changed while it was checked; a second attempt sees it as it is now.
fn changed() -> Ending {
    Failure::Unavailable("the account was changed at the same time".to_owned()).into()
}

/// Somebody else made the account's item, or the account is another one now: the next look tells.
fn unless_conflict(made: Result<(), RecordError>) -> Result<(), RecordError> {
    match made {
        Err(RecordError::Conflict) => Ok(()),
        other => other,
    }
}

impl Accounts {
    /// The records that logins are decided on.
    pub fn records(&self) -> &Records {
        &self.inner.records
    }
}
