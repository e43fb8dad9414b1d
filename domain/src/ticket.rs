//! Tickets: what the API hands out so that a request for many bytes may go to a node instead. A ticket names one credential and
//! one thing to do, and counts for a minute; the node asks again whether the credential may do it.

use crate::api_key::KeyUse;
use crate::event::Protocol;
use crate::id::{CredentialId, OrganizationId};
use crate::path::VPath;
use crate::share::LinkUse;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How long a ticket counts, in seconds: for a client to follow a redirect. What it has begun may last longer.
pub const LIFE_SECONDS: i64 = 60;

/// What a ticket allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Errand {
    /// To store the body of a request as a file.
    Upload {
        /// Where.
        path: VPath,
        /// The time that the client gives it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        modified: Option<Timestamp>,
    },
    /// To get a file.
    Download {
        /// Which.
        path: VPath,
        /// Whether a browser may show it instead of saving it.
        #[serde(default)]
        inline: bool,
    },
    /// To get what the body of the request names, as a ZIP.
    Archive,
    /// To get this file or folder as a ZIP.
    ArchiveOf {
        /// Which.
        path: VPath,
    },
}

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Whose files.
    #[serde(rename = "org")]
    pub organization: OrganizationId,
    /// Who acts.
    #[serde(rename = "sub")]
    pub credential: CredentialId,
    /// Through which door it was asked for, as events will name it.
    #[serde(rename = "door")]
    pub protocol: Protocol,
    /// With which key in the place of its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyUse>,
    /// In which visit of a share link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Box<LinkUse>>,
    /// What for.
    #[serde(flatten)]
    pub errand: Errand,
}
