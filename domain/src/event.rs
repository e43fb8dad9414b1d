//! What happened. One event is written by the use case that did it, whatever the door; it is what webhooks deliver and
//! what the audit log keeps. Its serialisation is what lies in the queue: fields are added, never renamed.

use crate::api_key::ApiKeyId;
use crate::id::OrganizationId;
use crate::path::VPath;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// What kind of thing happened. The texts are what receivers subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Topic {
    /// A file or folder exists that did not, or a file has new content.
    #[serde(rename = "file.created")]
    FileCreated,
    /// A file or folder is gone.
    #[serde(rename = "file.deleted")]
    FileDeleted,
    /// A file's bytes were read.
    #[serde(rename = "file.downloaded")]
    FileDownloaded,
    /// A file or folder has another name.
    #[serde(rename = "file.renamed")]
    FileRenamed,
    /// A file did not become visible though its client sent it.
    #[serde(rename = "file.upload-failed")]
    UploadFailed,
    /// Somebody asked for what it may not do.
    #[serde(rename = "file.access-denied")]
    AccessDenied,
    /// A session began.
    #[serde(rename = "user.login")]
    Login,
    /// A login of a known user was refused.
    #[serde(rename = "user.login-failed")]
    LoginFailed,
    /// A session ended.
    #[serde(rename = "user.logout")]
    Logout,
    /// A credential has another password.
    #[serde(rename = "user.password-updated")]
    PasswordUpdated,
    /// Somebody has opened a share link.
    #[serde(rename = "share-link.accessed")]
    ShareLinkAccessed,
    /// Somebody did not know a share link's password.
    #[serde(rename = "share-link.access-failed")]
    ShareLinkAccessFailed,
    /// A share link was opened for the last time.
    #[serde(rename = "share-link.limit-reached")]
    ShareLinkLimitReached,
    /// What had been kept for long enough was deleted.
    #[serde(rename = "retention.completed")]
    RetentionCompleted,
    /// Somebody changed an account or a setting.
    #[serde(rename = "admin.changed")]
    AdminChanged,
    /// A webhook gets no more deliveries until somebody enables it.
    #[serde(rename = "webhook.paused")]
    WebhookPaused,
    /// A delivery was given up.
    #[serde(rename = "webhook.delivery.failed")]
    DeliveryFailed,
    /// Somebody tries a webhook out.
    #[serde(rename = "webhook.ping")]
    WebhookPing,
}

impl Topic {
    /// Every topic.
    pub const ALL: &'static [Self] = &[
        Self::FileCreated,
        Self::FileDeleted,
        Self::FileDownloaded,
        Self::FileRenamed,
        Self::UploadFailed,
        Self::AccessDenied,
        Self::Login,
        Self::LoginFailed,
        Self::Logout,
        Self::PasswordUpdated,
        Self::ShareLinkAccessed,
        Self::ShareLinkAccessFailed,
        Self::ShareLinkLimitReached,
        Self::RetentionCompleted,
        Self::AdminChanged,
        Self::WebhookPaused,
        Self::DeliveryFailed,
        Self::WebhookPing,
    ];

    /// Whether it is about an account or a setting ([`Event::changed`]).
    pub const fn is_about_a_record(self) -> bool {
        matches!(self, Self::AdminChanged | Self::WebhookPaused | Self::DeliveryFailed)
    }

    /// The one of this text.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|topic| topic.as_str() == text)
    }

    /// The text that receivers subscribe to.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FileCreated => "file.created",
            Self::FileDeleted => "file.deleted",
            Self::FileDownloaded => "file.downloaded",
            Self::FileRenamed => "file.renamed",
            Self::UploadFailed => "file.upload-failed",
            Self::AccessDenied => "file.access-denied",
            Self::Login => "user.login",
            Self::LoginFailed => "user.login-failed",
            Self::Logout => "user.logout",
            Self::PasswordUpdated => "user.password-updated",
            Self::ShareLinkAccessed => "share-link.accessed",
            Self::ShareLinkAccessFailed => "share-link.access-failed",
            Self::ShareLinkLimitReached => "share-link.limit-reached",
            Self::RetentionCompleted => "retention.completed",
            Self::AdminChanged => "admin.changed",
            Self::WebhookPaused => "webhook.paused",
            Self::DeliveryFailed => "webhook.delivery.failed",
            Self::WebhookPing => "webhook.ping",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What kind of actor.
    pub kind: ActorKind,
    /// The user name for a credential.
    pub id: String,
}

/// `Actor.Type` of SFTP To Go's webhook body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActorKind {
    /// A credential.
    User,
    /// An admin of the organization, or its API key.
    Admin,
    /// A visitor of a share link.
    ShareLink,
    /// Somebody with access to the bucket itself.
    #[serde(rename = "IAM")]
    Iam,
    /// Towpath.
    System,
}

/// The door it came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// SFTP.
    #[serde(rename = "SFTP")]
    Sftp,
    /// FTP over TLS.
    #[serde(rename = "FTPS")]
    Ftps,
    /// The pages.
    #[serde(rename = "WEB_PORTAL")]
    WebPortal,
    /// The REST API.
    #[serde(rename = "API")]
    Api,
}

impl Protocol {
    /// Whether a login there is for a connection, and not for one request.
    pub const fn has_sessions(self) -> bool {
        match self {
            Self::Sftp | Self::Ftps => true,
            Self::WebPortal | Self::Api => false,
        }
    }
}

/// From where, and in which session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The door.
    pub protocol: Protocol,
    /// The client's address.
    pub client_ip: IpAddr,
    /// The session or request.
    pub session_id: String,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// A UUID; the same for the same happening, however often it is announced, so that receivers can tell.
    pub id: String,
    /// What kind.
    pub topic: Topic,
    /// When it was done, in milliseconds.
    pub created_at: Timestamp,
    /// Whose it is.
    pub organization: OrganizationId,
    /// Who did it.
    pub actor: Actor,
    /// From where; absent for what Towpath does by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The file or folder; none for what happened to a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileSubject>,
    /// Why, for what was refused or failed: for people, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The API key that the session logged in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKeyId>,
    /// The account or setting that was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Box<Changed>>,
    /// For a rename: where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<FileSubject>,
    /// What a visitor of a share link says it comes with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// An account or a setting that somebody changed; without values, which may be secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// What kind of thing.
    pub kind: ChangedKind,
    /// Its id.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// What was done to it.
    pub how: ChangedHow,
    /// The names of the fields that are different now.
    #[serde(default)]
    pub fields: Vec<String>,
}

/// What can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangedKind {
    /// A login.
    Credential,
    /// A public key of a login.
    PublicKey,
    /// A webhook.
    Webhook,
    /// A virtual folder.
    Folder,
    /// An API key.
    ApiKey,
    /// An admin.
    Admin,
    /// A share link.
    ShareLink,
    /// The organization's settings.
    Organization,
    /// A session that somebody ended.
    Session,
    /// A host whose wrong passwords were forgiven.
    Host,
}

/// How it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangedHow {
    /// It is new.
    Created,
    /// It is different.
    Updated,
    /// It is gone.
    Deleted,
}

/// A file or folder as an event names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSubject {
    /// From the organization's root.
    pub path: VPath,
    /// Whether it is a folder.
    pub folder: bool,
    /// In bytes; absent for folders and for what is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_written_as_it_is_subscribed_to() {
        for topic in Topic::ALL {
            assert_eq!(serde_json::to_string(topic).unwrap(), format!("\"{topic}\""));
        }
    }

    #[test]
    fn what_lies_in_the_queue_can_be_read_by_the_next_version() {
        let queued = r#"{"id":"5a1c1e0a-9c1e-4d59-9c39-0c2d8b1a7f11","topic":"file.created","created_at":1591106805970,
            "organization":"0b8f0f0e-6c0a-4a52-9d5a-3f3a1f6e7c11","actor":{"kind":"User","id":"ana"},
            "origin":{"protocol":"SFTP","client_ip":"127.0.0.1","session_id":"s1"},
            "file":{"path":"/dir/file 1.txt","folder":false,"size":357464}}"#;
        let event: Event = serde_json::from_str(queued).unwrap();
        assert_eq!(event.file.as_ref().unwrap().path.relative(), "dir/file 1.txt");
        let written = serde_json::to_value(&event).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(queued).unwrap());
    }
}
