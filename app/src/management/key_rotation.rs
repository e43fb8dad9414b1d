//! A new key in the place of another, and what was asked with a key.

use super::announced;
use super::api_keys::ended;
use super::{ATTEMPTS, Caller, CreatedApiKey, Management, ManagementError, ShownApiKey};
use domain::api_key::{ApiKey, ApiKeyId, KeyRequest, KeyText};
use domain::credential::State;
use domain::event::{ChangedHow, ChangedKind};
use store::records::{RecordError, Versioned};

/// The longest time for which an old key goes on: long enough for who deploys once a month.
pub const MAX_GRACE_SECONDS: u32 = 30 * 24 * 3600;

impl Management {
    /// Makes a key that may what another may, which ends then: now, or after some seconds. The new one lives as long as the other
    /// was made for. Sessions that the other has opened are ended; for as long as it lives it can open others.
    pub async fn rotate_api_key(
        &self,
        caller: &Caller,
        id: &ApiKeyId,
        grace_seconds: u32,
    ) -> Result<CreatedApiKey, ManagementError> {
        for _ in 0..ATTEMPTS {
            let old = self.managed_key(caller, id).await?.record;
            let now = store::clock::now();
            let key = &old.value;
            if key.state != State::Active || key.expires_at.is_some_and(|at| at <= now) {
                return Err(ManagementError::Conflict("the key is switched off or has expired"));
            }
            let organization = self.own_organization(caller).await?.value;
            let text = KeyText::generate(&store::clock::random());
            let lives = |key: &ApiKey| key.expires_at.map(|at| at.millis().saturating_sub(key.created_at.millis()));
            let new = ApiKey {
                id: text.id().clone(),
                prefix: text.prefix(),
                expires_at: lives(key).map(|millis| now.plus_millis(millis)),
                created_at: now,
                updated_at: now,
                ..key.clone()
            };
            let end = now.plus_millis(i64::from(grace_seconds).saturating_mul(1000));
            let end = key.expires_at.map_or(end, |at| at.min(end));
            let ending = ApiKey { expires_at: Some(end), updated_at: now, ..key.clone() };
            let ending = (grace_seconds > 0).then_some(ending);
            let how = |how, key: &ApiKey| {
                announced::by(caller, announced::changed(ChangedKind::ApiKey, how, &key.id, &key.name))
            };
            let of_old = match &ending {
                Some(ending) => {
                    announced::by(caller, announced::updated(ChangedKind::ApiKey, (id, &key.name), key, ending))
                }
                None => how(ChangedHow::Deleted, key),
            };
            let announced = self.announcing(vec![how(ChangedHow::Created, &new), of_old]);
            let made = (&new, text.hash(), organization.default_requests);
            let written = announced.records.rotate_api_key(&old, ending.as_ref(), made, &ended(id, now)).await;
            match announced.told(written).await {
                Ok(rev) => {
                    let shown = ShownApiKey { record: Versioned { value: new, rev }, last_used_at: None };
                    return Ok(CreatedApiKey { shown, text });
                }
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// What was asked with a key of late, the latest first.
    pub async fn key_requests(&self, caller: &Caller, id: &ApiKeyId) -> Result<Vec<KeyRequest>, ManagementError> {
        // whoever may see the key
        self.api_key(caller, id).await?;
        Ok(self.records.key_requests(id).await?)
    }
}
