//! Whose usage a file is. Everything counts for its organization; what lies in a credential's home also counts for who put it
//! there, and what lies in a virtual folder for the folder, as it is mounted: for the folder alone, or for both.

use crate::folder::FolderName;
use crate::id::CredentialId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who has a quota, and usage that is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// The whole organization.
    Organization,
    /// One login.
    Credential(CredentialId),
    /// A virtual folder.
    Folder(FolderName),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization => f.write_str("organization"),
            Self::Credential(id) => id.fmt(f),
            Self::Folder(name) => write!(f, "folder {name}"),
        }
    }
}

/// For whom files in a part of a credential's tree count, beside the organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// For the credential that acts.
    #[default]
    Credential,
    /// For the virtual folder in which they lie.
    Folder(FolderName),
    /// For both: SFTPGo's `quota_size: -1`.
    Both(FolderName),
}

impl Counted {
    /// Those, when this credential acts.
    pub fn holders(&self, credential: &CredentialId) -> Vec<Holder> {
        let credential = || Holder::Credential(credential.clone());
        let folder = |name: &FolderName| Holder::Folder(name.clone());
        match self {
            Self::Credential => vec![Holder::Organization, credential()],
            Self::Folder(name) => vec![Holder::Organization, folder(name)],
            Self::Both(name) => vec![Holder::Organization, credential(), folder(name)],
        }
    }

    /// Whether it is what a record without it means.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_counts_for_the_organization() {
        let credential = CredentialId::from_random([1; 15]);
        let name = FolderName::parse("in").unwrap();
        let shown = |counted: Counted| {
            counted.holders(&credential).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(shown(Counted::Credential), format!("organization, {credential}"));
        assert_eq!(shown(Counted::Folder(name.clone())), "organization, folder in");
        assert_eq!(shown(Counted::Both(name)), format!("organization, {credential}, folder in"));
    }

    #[test]
    fn a_record_says_it_shortly() {
        let written = serde_json::to_string(&Counted::Both(FolderName::parse("in").unwrap())).unwrap();
        assert_eq!(written, r#"{"both":"in"}"#);
        assert_eq!(serde_json::to_string(&Counted::Credential).unwrap(), r#""credential""#);
    }
}
