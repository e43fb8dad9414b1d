//! Sending mail: by SES in production, as `.eml` files into a folder in development. A deployment without a sender sends none.

use crate::aws::Aws;
use crate::clock;
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{Destination, EmailContent, RawMessage};
use domain::id::uuid_text;
use futures_util::FutureExt as _;
use mail_builder::MessageBuilder;
use mail_builder::headers::text::Text;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// From the first byte to SES's answer, retries included.
const DEADLINE: Duration = Duration::from_secs(15);

/// The sender where there is only a folder.
const NOBODY: &str = "towpath@localhost";

/// How mail leaves, as the environment says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailSettings {
    /// `TOWPATH_MAIL_FROM`: the sender, an address that SES may send from.
    pub from: Option<String>,
    /// `TOWPATH_MAIL_FOLDER`: mail becomes files in it and is not sent. Offline only.
    pub folder: Option<PathBuf>,
}

/// One mail to one address. The same words twice: who reads the text misses nothing.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// The address.
    pub to: &'a str,
    /// The subject.
    pub subject: &'a str,
    /// The body as text.
    pub text: &'a str,
    /// The body as HTML.
    pub html: &'a str,
}

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was taken.
    Taken,
    /// This deployment sends none.
    NoMailHere,
}

/// A mail was not taken.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// This mail will not be taken later either.
    #[error("the mail was refused: {0}")]
    Refused(String),
    /// It may be taken later.
    #[error("mail cannot be sent now: {0}")]
    Unavailable(String),
}

/// The way out. Cheap to clone.
#[derive(Clone)]
pub struct Mail(Arc<Inner>);

struct Inner {
    from: String,
    way: Way,
    /// Whether it was said that there is none.
    said: AtomicBool,
}

enum Way {
    Ses(aws_sdk_sesv2::Client),
    Folder(PathBuf),
    Nowhere,
}

impl Mail {
    /// As the settings say.
    pub fn new(aws: &Aws) -> Self {
        let MailSettings { from, folder } = aws.settings.mail.clone();
        let way = match (folder, &from) {
            (Some(folder), _) => Way::Folder(folder),
            // offline there is nobody to take it
            (None, Some(_)) if aws.settings.endpoint.is_none() => Way::Ses(aws.ses.clone()),
            (None, _) => Way::Nowhere,
        };
        Self(Arc::new(Inner { from: from.unwrap_or_else(|| NOBODY.to_owned()), way, said: AtomicBool::new(false) }))
    }

    /// Whether mail is sent at all.
    pub fn is_there(&self) -> bool {
        !matches!(self.0.way, Way::Nowhere)
    }

    /// Sends one.
    pub async fn send(&self, letter: Letter<'_>) -> Result<Sent, MailError> {
        let message = || message(&self.0.from, letter);
        let sent = async {
            match &self.0.way {
                Way::Ses(client) => by_ses(client, letter.to, message()?).await,
                Way::Folder(folder) => into_folder(folder, message()?).await,
                Way::Nowhere => {
                    if !self.0.said.swap(true, Ordering::Relaxed) {
                        tracing::warn!("no mail is sent: TOWPATH_MAIL_FROM is not set");
                    }
                    Ok(Sent::NoMailHere)
                }
            }
        };
        let late = || MailError::Unavailable(format!("no answer within {} s", DEADLINE.as_secs()));
        tokio::time::timeout(DEADLINE, sent).await.unwrap_or_else(|_| Err(late()))
    }
}

/// The mail as it travels (RFC 5322). What is in the fields cannot become a header: line breaks go, the rest is encoded.
fn message(from: &str, letter: Letter<'_>) -> Result<Vec<u8>, MailError> {
    let host = from.rsplit_once('@').map_or("localhost", |(_, host)| host);
    let subject: String = letter.subject.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
    let built = MessageBuilder::new()
        .from(("Towpath", from))
        .to(letter.to)
        .subject(subject)
        .message_id(format!("{}@{host}", uuid_text(clock::random())))
        .date(clock::now().seconds())
        // no answers of vacations (RFC 3834)
        .header("Auto-Submitted", Text::new("auto-generated"))
        .text_body(letter.text)
        .html_body(letter.html)
        .write_to_vec();
    built.map_err(|error| MailError::Refused(error.to_string()))
}

async fn by_ses(client: &aws_sdk_sesv2::Client, to: &str, message: Vec<u8>) -> Result<Sent, MailError> {
    let refused = |error: &dyn std::error::Error| MailError::Refused(error.to_string());
    let raw = RawMessage::builder().data(message.into()).build().map_err(|error| refused(&error))?;
    let request = client
        .send_email()
        .destination(Destination::builder().to_addresses(to).build())
        .content(EmailContent::builder().raw(raw).build());
    match request.send().boxed().await {
        Ok(_) => Ok(Sent::Taken),
        Err(error) => {
            let final_for_this_mail = error.as_service_error().is_some_and(|error| {
                matches!(error, SendEmailError::MessageRejected(_) | SendEmailError::BadRequestException(_))
            });
            let text = aws_smithy_types::error::display::DisplayErrorContext(error).to_string();
            Err(if final_for_this_mail { MailError::Refused(text) } else { MailError::Unavailable(text) })
        }
    }
}

/// A file for each, named by its time. It gets its name when it is whole, for who looks into the folder meanwhile.
async fn into_folder(folder: &Path, message: Vec<u8>) -> Result<Sent, MailError> {
    let name = format!("{:013}-{}", clock::now().millis().max(0), uuid_text(clock::random()));
    let (part, whole) = (folder.join(format!("{name}.part")), folder.join(format!("{name}.eml")));
    let written = async {
        tokio::fs::create_dir_all(folder).await?;
        tokio::fs::write(&part, message).await?;
        tokio::fs::rename(&part, &whole).await
    };
    let failed = |error: std::io::Error| MailError::Unavailable(format!("{}: {error}", folder.display()));
    written.await.map(|()| Sent::Taken).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(letter: Letter<'_>) -> String {
        String::from_utf8(message("towpath@example.com", letter).unwrap()).unwrap()
    }

    #[test]
    fn text_and_html_in_one_mail() {
        let letter = Letter { to: "ops@example.com", subject: "Überfällig", text: "a < b", html: "<p>a &lt; b</p>" };
        let mail = built(letter);
        for part in [
            "multipart/alternative",
            "text/plain",
            "text/html",
            "a < b",
            "<p>a &lt; b</p>",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(mail.contains(part), "{part} is missing: {mail}");
        }
        assert!(mail.contains("<towpath@example.com>") && mail.contains("<ops@example.com>"), "{mail}");
        assert!(mail.contains("Subject: =?utf-8?"), "{mail}");
    }

    #[test]
    fn nothing_becomes_a_header_that_is_none() {
        let mail =
            built(Letter { to: "ops@example.com", subject: "a\r\nBcc: x@example.com\r\n\r\nb", text: "t", html: "h" });
        let headers: Vec<&str> = mail.lines().take_while(|line| !line.is_empty()).collect();
        assert!(!headers.iter().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{headers:?}");
    }

    #[tokio::test]
    async fn a_folder_gets_a_file_for_each_and_no_setting_gets_none() {
        let endpoint = Some("http://127.0.0.1:1".to_owned());
        let static_credentials = Some(("test".to_owned(), "test".to_owned()));
        let mut settings = crate::aws::AwsSettings {
            endpoint,
            static_credentials,
            region: Some("us-east-1".into()),
            ..Default::default()
        };
        settings.mail.from = Some("towpath@example.com".into());
        let letter = Letter { to: "ops@example.com", subject: "s", text: "t", html: "h" };
        // offline nothing leaves, whatever the sender is
        let nowhere = Mail::new(&Aws::connect(settings.clone()).await.unwrap());
        assert!(!nowhere.is_there() && nowhere.send(letter).await.unwrap() == Sent::NoMailHere);
        let folder = std::env::temp_dir().join(format!("towpath-mail-{}", uuid_text(clock::random())));
        settings.mail.folder = Some(folder.clone());
        let mail = Mail::new(&Aws::connect(settings).await.unwrap());
        for _ in 0..2 {
            assert_eq!(mail.send(letter).await.unwrap(), Sent::Taken);
        }
        let names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(
            names.len() == 2 && names.iter().all(|path| path.extension().is_some_and(|it| it == "eml")),
            "{names:?}"
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
