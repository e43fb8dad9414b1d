//! Refused logins are told to the organization whose credential it is.

use super::Inner;
use crate::settler::Done;
use domain::credential::Credential;
use domain::event::{Actor, ActorKind, Event, Origin, Topic};
use domain::id::uuid_text;
use domain::identity::Refusal;
use domain::queue_message::QueueMessage;
use std::time::Duration;
use store::clock;

/// What a refused sign-in waits for the queue at most: its answer is held back for about as long.
const ANNOUNCED_WITHIN: Duration = Duration::from_millis(500);

impl Inner {
    /// Tells the organization. Not of what a ban refuses: that was told before, and would not end.
    pub(super) async fn announce(&self, refusal: &Refusal, credential: &Credential, origin: &Origin) {
        if *refusal == Refusal::Banned {
            return;
        }
        let event = Event {
            id: uuid_text(clock::random()),
            topic: Topic::LoginFailed,
            created_at: clock::now(),
            organization: credential.organization.clone(),
            actor: Actor { kind: ActorKind::User, id: credential.user_name.to_string() },
            origin: Some(origin.clone()),
            file: None,
            reason: Some(refusal.to_string()),
            api_key: None,
            changed: None,
            previous: None,
            user_agent: None,
        };
        match (&self.settler, &self.queue) {
            (Some(settler), _) => settler.offer(Done::announcing(event, &credential.principal())),
            (None, Some(queue)) => {
                let message = [(QueueMessage::event(event), 0)];
                match tokio::time::timeout(ANNOUNCED_WITHIN, queue.send(&message)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "a refused sign-in is not announced"),
                    Err(_) => tracing::warn!("a refused sign-in is not announced: the queue does not answer"),
                }
            }
            (None, None) => {}
        }
    }
}
