//! Mails: deliveries to webhooks of type `email`, and what the organization itself is told.

use super::egress::Exchange;
use super::{Failed, WebhookState};
use domain::event::Event;
use domain::queue_message::Delivery;
use domain::webhook::check_email;
use domain::webhook::people::{Told, told, told_of};
use domain::webhook::schedule::Outcome;
use maud::{DOCTYPE, html};
use store::mail::{Letter, MailError, Sent};

impl WebhookState {
    /// A delivery as a mail.
    pub(super) async fn mail_out(&self, delivery: &Delivery, to: &str) -> Exchange {
        match self.mail_to(to, &told(delivery)).await {
            Ok(Sent::Taken) => Exchange { outcome: Outcome::Taken, error: None, answer: Vec::new() },
            Ok(Sent::NoMailHere) => {
                Exchange::without_answer(Outcome::Forbidden, "this deployment sends no mail".to_owned())
            }
            Err(MailError::Refused(why)) => {
                tracing::warn!(why, delivery = delivery.id, "a mail was refused");
                Exchange::without_answer(Outcome::Forbidden, "the mail was refused".to_owned())
            }
            Err(MailError::Unavailable(why)) => {
                tracing::warn!(why, delivery = delivery.id, "a mail cannot be sent now");
                Exchange::without_answer(Outcome::NoAnswer, "mail cannot be sent now".to_owned())
            }
        }
    }

    /// Tells the organization, if it has an address for that. An error: it is to be tried again.
    pub(super) async fn notice(&self, event: &Event) -> Result<(), Failed> {
        let found = self.records.organization(&event.organization).await.map_err(|error| error.to_string())?;
        let Some(to) = found.and_then(|found| found.value.notification_email) else {
            return Ok(());
        };
        if check_email(&to).is_err() {
            tracing::warn!(organization = %event.organization, "the address for notices is none");
            return Ok(());
        }
        match self.mail_to(&to, &told_of(event)).await {
            Ok(_) => Ok(()),
            Err(MailError::Refused(why)) => {
                tracing::warn!(why, organization = %event.organization, "a notice was refused");
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn mail_to(&self, to: &str, told: &Told) -> Result<Sent, MailError> {
        let page = html! {
            (DOCTYPE)
            html {
                body {
                    p { strong { (told.headline) } }
                    table {
                        @for (name, what) in &told.facts {
                            tr { td { (name) } td { (what) } }
                        }
                    }
                }
            }
        };
        let (text, html) = (told.text(), page.into_string());
        self.mail.send(Letter { to, subject: &told.headline, text: &text, html: &html }).await
    }
}
