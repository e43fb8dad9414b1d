//! Virtual folders: named parts of an organization's tree, which credentials see somewhere in their own.
//!
//! A credential names its folders, and where they appear ([`Mounted`]); which part of the tree that is, is looked up at each
//! login. What lies in a folder counts for the folder; for whoever writes it as well, if it is mounted without a quota of its own.

use crate::id::OrganizationId;
use crate::invalid::Invalid;
use crate::path::{VPath, View};
use crate::quota::{Counted, Quota};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// The most virtual folders that one credential sees. Each is one read of a login.
pub const MAX_MOUNTED: usize = 20;

/// The name of a virtual folder, unique in its organization: 1 to 255 of `A-Z a-z 0-9 _ - . ~`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FolderName(String);

impl FolderName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~');
        let only_periods = text.bytes().all(|byte| byte == b'.');
        if (1..=255).contains(&text.len()) && text.bytes().all(allowed) && !only_periods {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 1 to 255 letters, digits, underscores, hyphens, periods or tildes"))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for FolderName {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<FolderName> for String {
    fn from(name: FolderName) -> Self {
        name.0
    }
}

/// A virtual folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VirtualFolder {
    /// Its name.
    pub name: FolderName,
    /// Whose it is.
    pub organization: OrganizationId,
    /// The folder of the organization's tree.
    pub tree: VPath,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What clients have sent beside, to be answered as it was: kept as a text, because the table's numbers and names are not
    /// JSON's.
    #[serde(default, with = "as_text")]
    pub extra: Map<String, Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A map as the text of its JSON.
mod as_text {
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use serde_json::{Map, Value};

    pub(super) fn serialize<S: Serializer>(map: &Map<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(map).map_err(S::Error::custom)?)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => serde_json::from_str(&text).map_err(D::Error::custom),
            // as it was written before
            Value::Object(map) => Ok(map),
            _ => Err(D::Error::custom("must be a text or a map")),
        }
    }
}

/// A virtual folder in a credential's view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounted {
    /// Which.
    pub name: FolderName,
    /// Where it appears.
    pub at: VPath,
    /// How much may lie in it, whoever put it there, 0 being no limit; without this, what the credential puts there counts for the
    /// credential as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// What the names lead to. A folder that is gone appears nowhere.
pub fn views(mounted: &[Mounted], folders: &[VirtualFolder]) -> Vec<View> {
    let view = |mounted: &Mounted| {
        let folder = folders.iter().find(|folder| folder.name == mounted.name)?;
        let name = folder.name.clone();
        let (counted, quota) = match mounted.quota {
            None => (Counted::Both(name), Quota::default()),
            Some(quota) => (Counted::Folder(name), quota),
        };
        Some(View { at: mounted.at.clone(), tree: folder.tree.clone(), counted, quota })
    };
    mounted.iter().filter_map(view).collect()
}

/// Whether folders may appear at these places, beside a home at `home`.
pub fn check(mounted: &[Mounted], home: &VPath) -> Result<(), Invalid> {
    if mounted.len() > MAX_MOUNTED {
        return Err(Invalid::new(format!("must have at most {MAX_MOUNTED} entries")));
    }
    for (at, folder) in mounted.iter().enumerate() {
        if folder.at.is_root() || folder.at == *home {
            return Err(Invalid::new(format!("{} is the home folder's place", folder.at)));
        }
        if mounted.iter().skip(at + 1).any(|other| other.at == folder.at) {
            return Err(Invalid::new(format!("two folders cannot both appear at {}", folder.at)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(name: &str, at: &str) -> Mounted {
        Mounted { name: FolderName::parse(name).unwrap(), at: VPath::parse(at).unwrap(), quota: None }
    }

    #[test]
    fn names() {
        for good in ["a", "shared-in", "A_1.b~c", &"x".repeat(255)] {
            assert!(FolderName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "ä", "a#b", &"x".repeat(256)] {
            assert!(FolderName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn places() {
        let home = VPath::parse("/ventas").unwrap();
        assert!(check(&[mounted("a", "/a"), mounted("a", "/b"), mounted("b", "/a/b")], &home).is_ok());
        for bad in [
            vec![mounted("a", "/")],
            vec![mounted("a", "/ventas")],
            vec![mounted("a", "/x"), mounted("b", "/x")],
            (0..=MAX_MOUNTED).map(|at| mounted("a", &format!("/{at}"))).collect(),
        ] {
            assert!(check(&bad, &home).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_folder_that_is_gone_appears_nowhere() {
        let folder = VirtualFolder {
            name: FolderName::parse("a").unwrap(),
            organization: OrganizationId::from_random([1; 16]),
            tree: VPath::parse("/shared").unwrap(),
            description: String::new(),
            extra: Map::new(),
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
        };
        let views = views(&[mounted("gone", "/x"), mounted("a", "/y")], &[folder]);
        assert_eq!(views.len(), 1);
        assert_eq!((views[0].at.to_string(), views[0].tree.to_string()), ("/y".to_owned(), "/shared".to_owned()));
    }
}
