//! One-time codes of admins and credentials. Setting one up takes three calls, as in SFTPGo: make a secret, try a code, save. Nothing is kept
//! before the last. Switching a second factor on or off ends the account's tokens.

use super::announced;
use super::own_second_factor::{Protected as _, SelfService};
use super::{ATTEMPTS, Caller, Management, ManagementError};
use crate::accounts::totp_place;
use domain::admin::second_factor::{
    RECOVERY_BYTES, RecoveryCode, SecondFactor, accepted_step, check_secret, generate, generate_recovery,
    recovery_hash, url,
};
use domain::admin::{Admin, AdminName};
use domain::credential::{Credential, UserName};
use domain::event::ChangedKind;
use domain::invalid::Invalid;
use domain::right::Right;
use store::records::RecordError;
use zeroize::Zeroizing;

/// A secret that is nobody's yet. No Debug output.
pub struct NewSecondFactor {
    /// In base32.
    pub secret: Zeroizing<String>,
    /// What an authenticator reads.
    pub url: Zeroizing<String>,
}

/// A recovery code, as far as it can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryState {
    /// Whether it was used.
    pub used: bool,
}

const NONE: ManagementError = ManagementError::Refused("two-factor authentication is not enabled");

impl Management {
    /// Makes a secret.
    pub async fn generate_second_factor<A: SelfService>(&self, caller: &A) -> Result<NewSecondFactor, ManagementError> {
        let name = caller.label(self).await?;
        let secret = generate(&store::clock::random());
        let url = url(&secret, &name);
        Ok(NewSecondFactor { secret, url })
    }

    /// Whether a code is the secret's now. This does not use it up: nothing is protected by it yet.
    pub fn try_second_factor<A: SelfService>(
        &self,
        caller: &A,
        secret: &str,
        code: &str,
    ) -> Result<(), ManagementError> {
        caller.in_person()?;
        check_secret(secret).map_err(|problem| ManagementError::field("secret", &problem))?;
        match accepted_step(secret, code, store::clock::now()) {
            Some(_) => Ok(()),
            None => Err(ManagementError::field("passcode", &Invalid::new("is not the secret's code now"))),
        }
    }

    /// Protects the caller's account with a secret; without one, with the secret that it has.
    pub async fn save_second_factor<A: SelfService>(
        &self,
        caller: &A,
        secret: Option<&str>,
    ) -> Result<(), ManagementError> {
        if let Some(secret) = secret {
            check_secret(secret).map_err(|problem| ManagementError::field("secret.payload", &problem))?;
        }
        let apply = |record: &mut A::Record| match secret {
            Some(secret) => {
                record.may_set_it_up()?;
                let account = String::from(record.account());
                let sealed = self.records.sealer().seal(totp_place(record.organization(), &account), secret);
                let secret = sealed.map_err(ManagementError::internal)?;
                *record.second_factor() = Some(SecondFactor { secret, recovery: Vec::new() });
                Ok(())
            }
            None if record.second_factor().is_some() => Ok(()),
            None => Err(ManagementError::field("secret.payload", &Invalid::new("is needed"))),
        };
        caller.change_itself(self, apply).await
    }

    /// Takes the second factor from the caller's account.
    pub async fn drop_second_factor<A: SelfService>(&self, caller: &A) -> Result<(), ManagementError> {
        let apply = |record: &mut A::Record| {
            if record.must_keep_it() {
                return Err(ManagementError::Refused("this account must have two-factor authentication"));
            }
            *record.second_factor() = None;
            Ok(())
        };
        caller.change_itself(self, apply).await
    }

    /// The caller's recovery codes: only their hashes are kept, so only their number and use can be shown.
    pub async fn recovery_codes<A: SelfService>(&self, caller: &A) -> Result<Vec<RecoveryState>, ManagementError> {
        let factor = caller.itself(self).await?.second_factor().take().ok_or(NONE)?;
        Ok(factor.recovery.iter().map(|code| RecoveryState { used: code.used }).collect())
    }

    /// Makes new recovery codes, which are shown this once; earlier ones are void.
    pub async fn make_recovery_codes<A: SelfService>(
        &self,
        caller: &A,
    ) -> Result<Vec<Zeroizing<String>>, ManagementError> {
        let random: Zeroizing<[u8; RECOVERY_BYTES]> = Zeroizing::new(store::clock::random());
        let codes = generate_recovery(&random);
        let apply = |record: &mut A::Record| {
            let account = String::from(record.account());
            let factor = record.second_factor().as_mut().ok_or(NONE)?;
            let kept = |code: &Zeroizing<String>| RecoveryCode { hash: recovery_hash(&account, code), used: false };
            factor.recovery = codes.iter().map(kept).collect();
            Ok(())
        };
        caller.change_itself(self, apply).await?;
        Ok(codes)
    }

    /// Takes the second factor from a credential, whose holder has lost it.
    pub async fn disable_user_second_factor(&self, caller: &Caller, name: &UserName) -> Result<(), ManagementError> {
        caller.require(Right::DisableSecondFactors)?;
        for _ in 0..ATTEMPTS {
            let old = self.load_user(caller, name).await?;
            if old.value.second_factor.is_none() {
                return Err(NONE);
            }
            let updated_at = store::clock::now();
            let new = Credential { second_factor: None, updated_at, ..old.value.clone() };
            let update = announced::updated(ChangedKind::Credential, (&new.id, name), &old.value, &new);
            let announced = self.announcing(vec![announced::by(caller, update)]);
            let written = announced.records.save_credential(&old, &new, None).await;
            match announced.told(written).await {
                Ok(_) => return Ok(()),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Takes the second factor from another admin, who has lost it.
    pub async fn disable_second_factor(&self, caller: &Caller, name: &AdminName) -> Result<(), ManagementError> {
        caller.require(Right::DisableSecondFactors)?;
        if caller.acts_as() == Some(name.as_str()) {
            caller.require_person()?;
        }
        for _ in 0..ATTEMPTS {
            let old = self.load_admin(caller, name.as_str()).await?;
            caller.require_to_cover(&old.value.permissions)?;
            if old.value.second_factor.is_none() {
                return Err(NONE);
            }
            let updated_at = store::clock::now();
            let new = Admin { second_factor: None, updated_at, ..old.value.clone() };
            let update = announced::updated(ChangedKind::Admin, (name, name), &old.value, &new);
            let announced = self.announcing(vec![announced::by(caller, update)]);
            let written = announced.records.save_admin(&old, &new, None).await;
            match announced.told(written).await {
                Ok(_) => return Ok(()),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }
}
