//! Webhooks.

use super::announced;
use super::{ATTEMPTS, Caller, Management, ManagementError};
use domain::event::{ChangedHow, ChangedKind, Topic};
use domain::invalid::Invalid;
use domain::queue_message::{Content, Delivery, QueueMessage};
use domain::right::Right;
use domain::sealed::Sealed;
use domain::webhook::delivery::{Logged, Status};
use domain::webhook::filter::{self, Filter};
use domain::webhook::{
    MAX_WEBHOOKS, PreviousSecret, ROTATION_OVERLAP_MILLIS, Webhook, WebhookSecret, WebhookState, WebhookType,
    check_url, delivery_id,
};
use store::records::{RecordError, Versioned};
use store::seal::Place;
use zeroize::Zeroizing;

/// What a client wants of a webhook. No Debug output: it may hold a secret.
#[derive(Default)]
pub struct WebhookChange {
    /// `Alias`.
    pub alias: Option<Option<String>>,
    /// `Url`.
    pub url: Option<String>,
    /// `Type`.
    pub webhook_type: Option<WebhookType>,
    /// `AuthorizationHeader`.
    pub authorization_header: Option<Option<Zeroizing<String>>>,
    /// `Topics`.
    pub topics: Option<Vec<Topic>>,
    /// `Filter`.
    pub filter: Option<Vec<Filter>>,
    /// `State`.
    pub state: Option<WebhookState>,
}

/// A webhook with what may be shown of its secrets. No Debug output.
pub struct ShownWebhook {
    /// The record.
    pub record: Versioned<Webhook>,
    /// `AuthorizationHeader`.
    pub authorization_header: Option<Zeroizing<String>>,
    /// The secret, where it has just been made.
    pub secret: Option<WebhookSecret>,
}

/// The place of one of a webhook's secrets.
pub fn webhook_place<'a>(webhook: &'a Webhook, field: &'a str) -> Place<'a> {
    Place { organization: webhook.organization.as_str(), record: &webhook.id, field }
}

/// Field names under which secrets are sealed.
pub const SECRET_FIELD: &str = "secret";
/// See [`SECRET_FIELD`].
pub const AUTHORIZATION_FIELD: &str = "authorization_header";

impl Management {
    /// All webhooks, at most 100.
    pub async fn webhooks(&self, caller: &Caller) -> Result<Vec<ShownWebhook>, ManagementError> {
        caller.require(Right::SeeWebhooks)?;
        let all = self.records.webhooks(&caller.organization).await?;
        all.into_iter().map(|record| self.show_webhook(record)).collect()
    }

    /// One webhook.
    pub async fn webhook(&self, caller: &Caller, id: &str) -> Result<ShownWebhook, ManagementError> {
        caller.require(Right::SeeWebhooks)?;
        self.load_webhook(caller, id).await
    }

    /// Creates a webhook.
    pub async fn create_webhook(
        &self,
        caller: &Caller,
        change: WebhookChange,
    ) -> Result<ShownWebhook, ManagementError> {
        caller.require(Right::ChangeWebhooks)?;
        if self.records.webhooks(&caller.organization).await?.len() >= MAX_WEBHOOKS {
            return Err(ManagementError::Conflict("the organization has 100 webhooks already"));
        }
        let now = store::clock::now();
        let mut webhook = Webhook {
            id: domain::id::uuid_text(store::clock::random()),
            organization: caller.organization.clone(),
            alias: None,
            url: String::new(),
            webhook_type: WebhookType::Webhook,
            authorization_header: None,
            secret: Sealed::from_text(String::new()),
            previous_secret: None,
            topics: vec![Topic::FileCreated, Topic::FileDeleted, Topic::FileDownloaded],
            state: WebhookState::Enabled,
            filter: Vec::new(),
            pause_reason: None,
            slow_until: None,
            created_at: now,
            updated_at: now,
        };
        let secret = WebhookSecret::from_random(&store::clock::random());
        webhook.secret = self.seal(&webhook, SECRET_FIELD, secret.reveal())?;
        self.apply_webhook(&mut webhook, &change, None)?;
        let made = announced::changed(ChangedKind::Webhook, ChangedHow::Created, &webhook.id, name_of(&webhook));
        let announced = self.announcing(vec![announced::by(caller, made)]);
        let written = announced.records.save_webhook(&webhook, None).await;
        let rev = announced.told(written).await?;
        let mut shown = self.show_webhook(Versioned { value: webhook, rev })?;
        shown.secret = Some(secret);
        Ok(shown)
    }

    /// Changes a webhook.
    pub async fn change_webhook(
        &self,
        caller: &Caller,
        id: &str,
        change: WebhookChange,
        accept: impl Fn(&ShownWebhook) -> bool,
    ) -> Result<ShownWebhook, ManagementError> {
        let edit = |this: &Self, new: &mut Webhook, old: &ShownWebhook| {
            let header = old.authorization_header.as_ref();
            this.apply_webhook(new, &change, Some(header)).map(|()| None)
        };
        self.edit_webhook(caller, id, accept, edit).await
    }

    /// Gives a webhook another secret; the old one signs as well for a day.
    pub async fn rotate_webhook_secret(&self, caller: &Caller, id: &str) -> Result<ShownWebhook, ManagementError> {
        let secret = WebhookSecret::from_random(&store::clock::random());
        let edit = |this: &Self, new: &mut Webhook, _: &ShownWebhook| {
            let sealed = this.seal(new, SECRET_FIELD, secret.reveal())?;
            let until = store::clock::now().plus_millis(ROTATION_OVERLAP_MILLIS);
            let secret_before = std::mem::replace(&mut new.secret, sealed);
            new.previous_secret = Some(PreviousSecret { secret: secret_before, until });
            Ok(Some(secret.clone()))
        };
        self.edit_webhook(caller, id, |_| true, edit).await
    }

    /// Deletes a webhook and answers what it was.
    pub async fn delete_webhook(
        &self,
        caller: &Caller,
        id: &str,
        accept: impl Fn(&ShownWebhook) -> bool,
    ) -> Result<ShownWebhook, ManagementError> {
        caller.require(Right::ChangeWebhooks)?;
        for _ in 0..ATTEMPTS {
            let old = self.load_webhook(caller, id).await?;
            if !accept(&old) {
                return Err(ManagementError::PreconditionFailed);
            }
            let webhook = &old.record.value;
            let deleted = announced::changed(ChangedKind::Webhook, ChangedHow::Deleted, id, name_of(webhook));
            let announced = self.announcing(vec![announced::by(caller, deleted)]);
            let written = announced.records.delete_webhook(&old.record).await;
            match announced.told(written).await {
                Ok(()) => return Ok(old),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Sends a ping and answers its delivery's id. A paused webhook is pinged as well: that is how it is tried out.
    pub async fn ping_webhook(&self, caller: &Caller, id: &str) -> Result<String, ManagementError> {
        caller.require(Right::ChangeWebhooks)?;
        let webhook = self.load_webhook(caller, id).await?.record.value;
        let ping = domain::id::uuid_text(store::clock::random());
        let now = store::clock::now();
        let delivery = Delivery {
            id: delivery_id(now, &ping, &webhook.id),
            organization: caller.organization.clone(),
            webhook: webhook.id,
            failed_attempts: 0,
            round: None,
            slow: false,
            not_before: None,
            content: Content::Ping { id: ping, created_at: now, actor: caller.actor() },
        };
        let id = delivery.id.clone();
        let record = Logged::new(delivery.clone(), Status::Pending, now);
        let sent = self.messages.send(&[(QueueMessage::delivery(delivery), 0)]).await;
        sent.map_err(|error| ManagementError::Unavailable(error.to_string()))?;
        // who asks at once finds it; if it was sent already, its record is there
        self.records.save_delivery(&record, None).await?;
        Ok(id)
    }

    async fn edit_webhook(
        &self,
        caller: &Caller,
        id: &str,
        accept: impl Fn(&ShownWebhook) -> bool,
        edit: impl Fn(&Self, &mut Webhook, &ShownWebhook) -> Result<Option<WebhookSecret>, ManagementError>,
    ) -> Result<ShownWebhook, ManagementError> {
        caller.require(Right::ChangeWebhooks)?;
        for _ in 0..ATTEMPTS {
            let old = self.load_webhook(caller, id).await?;
            if !accept(&old) {
                return Err(ManagementError::PreconditionFailed);
            }
            let mut new = old.record.value.clone();
            let secret = edit(self, &mut new, &old)?;
            if new == old.record.value {
                return Ok(old);
            }
            new.updated_at = store::clock::now();
            let update = announced::updated(ChangedKind::Webhook, (id, name_of(&new)), &old.record.value, &new);
            let announced = self.announcing(vec![announced::by(caller, update)]);
            let resumes = (old.record.value.state, new.state) == (WebhookState::Paused, WebhookState::Enabled);
            let written = if resumes {
                announced.records.resume_webhook(&new, old.record.rev).await
            } else {
                announced.records.save_webhook(&new, Some(old.record.rev)).await
            };
            match announced.told(written).await {
                Ok(rev) => {
                    let mut shown = self.show_webhook(Versioned { value: new, rev })?;
                    shown.secret = secret;
                    return Ok(shown);
                }
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// `old_header` is the opened header of what is there: the same one is not sealed anew, which would be a change.
    fn apply_webhook(
        &self,
        webhook: &mut Webhook,
        change: &WebhookChange,
        old_header: Option<Option<&Zeroizing<String>>>,
    ) -> Result<(), ManagementError> {
        change.alias.clone().into_iter().for_each(|alias| webhook.alias = alias);
        change.url.clone().into_iter().for_each(|url| webhook.url = url);
        change.webhook_type.into_iter().for_each(|kind| webhook.webhook_type = kind);
        change.topics.clone().into_iter().for_each(|topics| webhook.topics = topics);
        if let Some(wanted) = &change.filter {
            filter::check(wanted).map_err(|problem| ManagementError::field("Filter", &problem))?;
            webhook.filter.clone_from(wanted);
        }
        if let Some(state) = change.state.filter(|state| *state != webhook.state) {
            (webhook.state, webhook.pause_reason) = (state, None);
        }
        if let Some(header) = &change.authorization_header
            && old_header != Some(header.as_ref())
        {
            let seal = |header: &Zeroizing<String>| self.seal(webhook, AUTHORIZATION_FIELD, header);
            webhook.authorization_header = header.as_ref().map(seal).transpose()?;
        }
        if webhook.webhook_type == WebhookType::Email && !self.mail.is_there() {
            let problem = Invalid::new("mail is not available in this deployment");
            return Err(ManagementError::field("Type", &problem));
        }
        check_url(webhook.webhook_type, &webhook.url, self.address_policy)
            .map_err(|problem| ManagementError::field("Url", &problem))
    }

    pub(super) async fn load_webhook(&self, caller: &Caller, id: &str) -> Result<ShownWebhook, ManagementError> {
        // what is not an id can be no key either
        if !domain::id::is_uuid(id) {
            return Err(ManagementError::NotFound("webhook"));
        }
        let found = self.records.webhook(&caller.organization, id).await?;
        self.show_webhook(found.ok_or(ManagementError::NotFound("webhook"))?)
    }

    fn show_webhook(&self, record: Versioned<Webhook>) -> Result<ShownWebhook, ManagementError> {
        let webhook = &record.value;
        let open = |sealed: &Sealed| self.records.sealer().open(webhook_place(webhook, AUTHORIZATION_FIELD), sealed);
        let header = webhook.authorization_header.as_ref().map(open).transpose();
        Ok(ShownWebhook { authorization_header: header.map_err(ManagementError::internal)?, record, secret: None })
    }

    fn seal(&self, webhook: &Webhook, field: &str, secret: &str) -> Result<Sealed, ManagementError> {
        self.records.sealer().seal(webhook_place(webhook, field), secret).map_err(ManagementError::internal)
    }
}

/// What people call it.
fn name_of(webhook: &Webhook) -> &str {
    webhook.alias.as_deref().unwrap_or_default()
}
