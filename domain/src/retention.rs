//! Retention: for how long the files of a credential stay in which of its folders.
//!
//! What counts is when a file arrived, not the time that its client gave it. The deepest folder that a policy names decides
//! alone; what lies in a virtual folder is looked at only if the policy names that folder, or one in it.

use crate::id::{CredentialId, OrganizationId};
use crate::invalid::Invalid;
use crate::kept_time::KeptTime;
use crate::path::VPath;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How many folders a policy may name.
pub const MAX_FOLDERS: usize = 100;

/// The bytes of their paths together: a job holds a policy, and tells what became of each folder.
pub const MAX_PATHS_BYTES: usize = 50_000;

/// The longest retention, in hours: a hundred years.
pub const MAX_HOURS: u32 = 876_600;

/// How long S3 may have had the first part of an upload before the file is there, if nothing was noted about it, in milliseconds.
/// S3 tells of a file that came in parts when the first of them was announced; an upload that lasts longer than this notes its end.
pub const UNNOTED_MILLIS: i64 = 300_000;

/// One folder of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetainedFolder {
    /// As the credential sees it.
    pub path: VPath,
    /// How long files stay, in hours; 0: for ever, whatever a folder above says.
    pub hours: u32,
    /// Whether folders that are empty, and as old, go as well.
    pub delete_empty_folders: bool,
    /// Whether files go that the credential itself may not delete.
    pub ignore_permissions: bool,
}

/// For how long what stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RetentionPolicy(Vec<RetainedFolder>);

impl RetentionPolicy {
    /// A policy, if something can come of it.
    pub fn new(folders: Vec<RetainedFolder>) -> Result<Self, Invalid> {
        if folders.len() > MAX_FOLDERS {
            return Err(Invalid::new(format!("must name at most {MAX_FOLDERS} folders")));
        }
        if folders.iter().map(|folder| folder.path.to_string().len()).sum::<usize>() > MAX_PATHS_BYTES {
            return Err(Invalid::new(format!("must have paths of at most {MAX_PATHS_BYTES} bytes together")));
        }
        if folders.iter().all(|folder| folder.hours == 0) {
            return Err(Invalid::new("must name a folder with a retention above 0"));
        }
        let mut named = BTreeSet::new();
        if let Some(twice) = folders.iter().find(|folder| !named.insert(folder.path.to_string())) {
            return Err(Invalid::new(format!("names {} twice", twice.path)));
        }
        Ok(Self(folders))
    }

    /// Its folders.
    pub fn folders(&self) -> &[RetainedFolder] {
        &self.0
    }

    /// The folder that decides about what lies at `path`: the deepest that holds it.
    pub fn at(&self, path: &VPath) -> Option<&RetainedFolder> {
        let holding = self.0.iter().filter(|folder| path.below(&folder.path).is_some());
        holding.max_by_key(|folder| folder.path.segments().count())
    }

    /// Those of its folders that lie in this one.
    pub fn inside<'a>(&'a self, folder: &'a VPath) -> impl Iterator<Item = &'a RetainedFolder> {
        self.0.iter().filter(|other| other.path != *folder && other.path.below(folder).is_some())
    }
}

impl RetainedFolder {
    /// What arrived before this has been kept for long enough; `None` where everything stays.
    pub fn limit(&self, now: Timestamp) -> Option<Timestamp> {
        (self.hours > 0).then(|| now.plus_millis(-i64::from(self.hours) * 3_600_000))
    }
}

/// How often a policy that is kept is run, in milliseconds.
pub const DAILY_MILLIS: i64 = 24 * 3600 * 1000;

/// A credential's policy, which is run daily.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPolicy {
    /// Whose.
    pub organization: OrganizationId,
    /// Of which login.
    pub credential: CredentialId,
    /// For how long what stays.
    pub policy: RetentionPolicy,
    /// When it is run next.
    pub due: Timestamp,
    /// When somebody changed it.
    pub updated_at: Timestamp,
}

/// When a file arrived: the later of the time at which S3 got it, and that at which it became a file. S3's time of one that came
/// in parts is that of their announcement; `kept` is what was noted about this version.
pub fn arrived(written: Timestamp, in_parts: bool, kept: Option<&KeptTime>) -> Timestamp {
    let noted = kept.map_or(written, |kept| kept.arrived.max(written));
    if in_parts && kept.is_none_or(|kept| kept.arrived <= kept.written) {
        return written.plus_millis(UNNOTED_MILLIS);
    }
    noted
}

/// Whether a version was sent in parts, as its ETag says.
pub fn came_in_parts(etag: &str) -> bool {
    etag.contains('-')
}

/// What a check has done in one folder, or would do; as a job shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FolderReport {
    /// The folder.
    pub path: String,
    /// Its retention, in hours.
    pub hours: u32,
    /// Files deleted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Folders deleted.
    pub folders: u64,
    /// Why something stays that should have gone: the first reason.
    pub error: String,
    /// How many stay for such reasons.
    pub failed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::Seen;

    fn folder(path: &str, hours: u32) -> RetainedFolder {
        let path = VPath::parse(path).unwrap();
        RetainedFolder { path, hours, delete_empty_folders: false, ignore_permissions: false }
    }

    #[test]
    fn a_policy_must_lead_to_something_and_say_it_once() {
        let problem = |folders: Vec<RetainedFolder>| RetentionPolicy::new(folders).unwrap_err().to_string();
        assert_eq!(problem(vec![]), "must name a folder with a retention above 0");
        assert_eq!(problem(vec![folder("/a", 0)]), "must name a folder with a retention above 0");
        assert_eq!(problem(vec![folder("/a", 1), folder("/a/", 0)]), "names /a twice");
        let many = (0..=MAX_FOLDERS).map(|at| folder(&format!("/{at}"), 1)).collect();
        assert_eq!(problem(many), "must name at most 100 folders");
        let long = (10..70).map(|at| folder(&format!("/{at}{}", "/x".repeat(450)), 1)).collect();
        assert_eq!(problem(long), "must have paths of at most 50000 bytes together");
    }

    #[test]
    fn the_deepest_folder_decides() {
        let policy = RetentionPolicy::new(vec![folder("/", 48), folder("/in/keep", 0), folder("/in", 2)]).unwrap();
        let hours = |path: &str| policy.at(&VPath::parse(path).unwrap()).map(|folder| folder.hours);
        assert_eq!(hours("/x"), Some(48));
        assert_eq!(hours("/inside"), Some(48), "no name within a name");
        assert_eq!(hours("/in/x"), Some(2));
        assert_eq!(hours("/in/keep/a/b"), Some(0));
        let root = VPath::root();
        assert_eq!(policy.inside(&root).count(), 2);
        let policy = RetentionPolicy::new(vec![folder("/in", 2)]).unwrap();
        assert_eq!(policy.at(&VPath::parse("/x").unwrap()), None);
    }

    #[test]
    fn nothing_is_over_before_its_hours_have_passed() {
        let now = Timestamp::from_millis(100 * 3_600_000);
        assert_eq!(folder("/", 0).limit(now), None);
        assert_eq!(folder("/", 4).limit(now), Some(Timestamp::from_millis(96 * 3_600_000)));
        assert!(folder("/", MAX_HOURS).limit(now).is_some());
    }

    #[test]
    fn a_file_arrives_when_it_is_there_and_not_when_its_client_says() {
        let at = Timestamp::from_millis;
        let seen = Seen { etag: "\"e-2\"".into(), bytes: 1, modified: at(5_000), operation: None };
        assert_eq!(arrived(at(5_000), false, None), at(5_000));
        // a client's time changes nothing
        let touched = KeptTime::of(&seen, at(5_000), at(7), at(6_000));
        assert_eq!(arrived(at(5_000), false, Some(&touched)), at(5_000));
        // in parts: how long that took is noted, or it did not take long
        assert_eq!(arrived(at(5_000), true, None), at(5_000 + UNNOTED_MILLIS));
        assert_eq!(arrived(at(5_000), true, Some(&touched)), at(5_000 + UNNOTED_MILLIS));
        let lasted = KeptTime::of(&seen, at(9_000_000), at(7), at(6_000));
        assert_eq!(arrived(at(5_000), true, Some(&lasted)), at(9_000_000));
        // a copy that a rename made is as young as the copy
        let renamed = KeptTime::of(&seen, at(1_000), at(7), at(6_000));
        assert_eq!(arrived(at(5_000), false, Some(&renamed)), at(5_000));
        assert!(came_in_parts("\"e-2\"") && !came_in_parts("\"e\""));
    }
}
