//! Who may make, change, rotate and delete which API keys. An API key none; an admin who has signed in its own; one with
//! `manage_apikeys` those of others, as far as it could act in their place anyway; site-wide keys, and those that act as any
//! admin, only one with every permission.

use super::{Caller, Management, ManagementError, ShownApiKey};
use domain::api_key::{ApiKeyId, KeyKind, KeyOwner};
use domain::right::Right;

impl Management {
    /// Whether the caller may manage keys of such an owner.
    pub(super) async fn require_to_manage(
        &self,
        caller: &Caller,
        (kind, scope, owner): (KeyKind, u8, Option<&KeyOwner>),
    ) -> Result<(), ManagementError> {
        let Err(refused) = caller.require_full_admin() else { return Ok(()) };
        let Ok(name) = caller.require_person() else { return Err(refused) };
        match (kind, owner) {
            (KeyKind::User, Some(KeyOwner::Admin(owner))) if owner == name => Ok(()),
            (KeyKind::User, Some(KeyOwner::Admin(owner))) => {
                caller.require(Right::ChangeApiKeys)?;
                let found = self.records.admin(owner).await?;
                match found.filter(|found| found.value.organization == caller.organization) {
                    Some(owner) => caller.require_to_cover(&owner.value.permissions),
                    // nobody's any more
                    None => Ok(()),
                }
            }
            (KeyKind::User, Some(KeyOwner::Credential(_))) => may_act_as_credentials(caller),
            (KeyKind::Dynamic, _) if scope == 2 => may_act_as_credentials(caller),
            (KeyKind::Site | KeyKind::Dynamic | KeyKind::User, _) => Err(refused),
        }
    }

    /// A key that the caller may manage.
    pub(super) async fn managed_key(&self, caller: &Caller, id: &ApiKeyId) -> Result<ShownApiKey, ManagementError> {
        caller.require_person().map_err(|error| caller.require_full_admin().err().unwrap_or(error))?;
        let record = self.load_api_key(caller, id).await?;
        let key = &record.value;
        self.require_to_manage(caller, (key.kind, key.scope, key.owner.as_ref())).await?;
        let last_used_at = self.records.api_keys_last_used(std::slice::from_ref(id)).await?.remove(id);
        Ok(ShownApiKey { record, last_used_at })
    }
}

/// Who may change credentials could give them passwords, and act as them.
fn may_act_as_credentials(caller: &Caller) -> Result<(), ManagementError> {
    caller.require(Right::ChangeApiKeys)?;
    caller.require(Right::ChangeCredentials)
}
