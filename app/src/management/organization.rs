//! The organization's own settings.

use super::announced;
use super::{ATTEMPTS, Caller, Management, ManagementError};
use domain::event::ChangedKind;
use domain::inbound::InboundRule;
use domain::organization::{Organization, PasswordReadable};
use domain::password::PasswordPolicy;
use domain::rate::rule::RateRule;
use domain::right::Right;
use store::records::{RecordError, Versioned};

/// What a client wants of the settings.
#[derive(Default)]
pub struct OrganizationChange {
    /// `Name`.
    pub name: Option<String>,
    /// `PasswordPolicy`, as a change of the one that is there.
    pub password_policy: Option<PolicyChange>,
    /// `PasswordReadable`.
    pub password_readable: Option<PasswordReadable>,
    /// `SharePolicy`.
    pub share_policy: Option<SharePolicyChange>,
    /// `NotificationEmail`.
    pub notification_email: Option<Option<String>>,
    /// `Settings.Network.InboundRules`: the whole list.
    pub inbound_rules: Option<Vec<InboundRule>>,
    /// `CloseSessionsOnChange`.
    pub close_sessions_on_change: Option<bool>,
    /// `RateLimit.DefaultRequests`.
    pub default_requests: Option<u32>,
    /// `RateLimit.Rules`: the whole list.
    pub rate_rules: Option<Vec<RateRule>>,
    /// `QuotaSize`.
    pub quota_size: Option<u64>,
    /// `QuotaFiles`.
    pub quota_files: Option<u64>,
}

/// A change of the policy for share links: only what is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct SharePolicyChange {
    /// `PasswordRequired`.
    pub password_required: Option<bool>,
    /// `MaxDays`.
    pub max_days: Option<u32>,
}

/// A change of the password policy: only what is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolicyChange {
    /// `MinLength`.
    pub min_length: Option<u32>,
    /// `RequireUppercase`.
    pub uppercase: Option<bool>,
    /// `RequireLowercase`.
    pub lowercase: Option<bool>,
    /// `RequireDigit`.
    pub digit: Option<bool>,
    /// `RequireSymbol`.
    pub symbol: Option<bool>,
}

impl PolicyChange {
    fn apply(self, policy: PasswordPolicy) -> PasswordPolicy {
        PasswordPolicy {
            min_length: self.min_length.unwrap_or(policy.min_length),
            uppercase: self.uppercase.unwrap_or(policy.uppercase),
            lowercase: self.lowercase.unwrap_or(policy.lowercase),
            digit: self.digit.unwrap_or(policy.digit),
            symbol: self.symbol.unwrap_or(policy.symbol),
        }
    }
}

impl Management {
    /// The settings.
    pub async fn organization(&self, caller: &Caller) -> Result<Versioned<Organization>, ManagementError> {
        caller.require(Right::SeeOrganization)?;
        self.own_organization(caller).await
    }

    /// Changes the settings.
    pub async fn change_organization(
        &self,
        caller: &Caller,
        change: OrganizationChange,
        accept: impl Fn(&Versioned<Organization>) -> bool,
    ) -> Result<Versioned<Organization>, ManagementError> {
        caller.require(Right::ChangeOrganization)?;
        for _ in 0..ATTEMPTS {
            let old = self.own_organization(caller).await?;
            if !accept(&old) {
                return Err(ManagementError::PreconditionFailed);
            }
            let mut new = old.value.clone();
            apply(&mut new, &change);
            if new != old.value {
                new.updated_at = store::clock::now();
            }
            let saved = if new == old.value {
                Ok(old.rev)
            } else {
                let update = announced::updated(ChangedKind::Organization, (&new.id, &new.name), &old.value, &new);
                let announced = self.announcing(vec![announced::by(caller, update)]);
                let written = announced.records.save_organization(&new, old.rev).await;
                announced.told(written).await
            };
            match saved {
                Ok(rev) => {
                    // even if nothing has changed: after a failure here the client repeats the same PATCH
                    if change.default_requests.is_some() {
                        self.records.set_request_limit(&new.id, new.default_requests).await?;
                    }
                    return Ok(Versioned { value: new, rev });
                }
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }
}

fn apply(organization: &mut Organization, change: &OrganizationChange) {
    change.name.clone().into_iter().for_each(|name| organization.name = name);
    change
        .password_policy
        .into_iter()
        .for_each(|policy| organization.password_policy = policy.apply(organization.password_policy));
    change.password_readable.into_iter().for_each(|readable| organization.password_readable = readable);
    if let Some(policy) = change.share_policy {
        let now = &mut organization.share_policy;
        now.password_required = policy.password_required.unwrap_or(now.password_required);
        now.max_days = policy.max_days.unwrap_or(now.max_days);
    }
    change.notification_email.clone().into_iter().for_each(|mail| organization.notification_email = mail);
    change.inbound_rules.clone().into_iter().for_each(|rules| organization.inbound_rules = rules);
    change.close_sessions_on_change.into_iter().for_each(|close| organization.close_sessions_on_change = close);
    change.default_requests.into_iter().for_each(|limit| organization.default_requests = limit);
    change.rate_rules.clone().into_iter().for_each(|rules| organization.rate_rules = rules);
    change.quota_size.into_iter().for_each(|bytes| organization.quota_size = bytes);
    change.quota_files.into_iter().for_each(|files| organization.quota_files = files);
}
