//! An upload whose bytes go straight to S3, in parts whose addresses are signed for its client; only we make them a file.
//!
//! S3 has an open multipart upload for it, and a record says whose it is, how large the file is to be and until when. The parts
//! are cut by a fixed size, so that each address can be signed for its exact length: a client cannot store more than it
//! has announced.

use crate::id::{CredentialId, OperationId, OrganizationId, ShareId};
use crate::path::VPath;
use crate::share::LinkUse;
use crate::time::Timestamp;
use crate::upload::MAX_PARTS;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;

/// Parts are at least this large: an address is asked for each, and S3 takes none below 5 MiB.
const LEAST_PART_BYTES: u64 = 8 * MIB;

const MIB: u64 = 1 << 20;

/// How many one credential may have open at the same time.
pub const MAX_OPEN: usize = 200;

/// How many the visitors of one share link may have, beside what its owner has.
pub const MAX_OPEN_OF_LINK: usize = 100;

/// How many the visitors of all links of one credential may have.
pub const MAX_OPEN_OF_LINKS: usize = 5 * MAX_OPEN_OF_LINK;

/// How long one stays open.
pub const OPEN_MILLIS: i64 = 24 * 3600 * 1000;

/// What is recorded of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectUpload {
    /// Its name for its client; unguessable.
    pub id: String,
    /// Whose files.
    pub organization: OrganizationId,
    /// Who may complete it.
    pub credential: CredentialId,
    /// In which visit of a share link it was begun: the same one completes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<DirectLink>,
    /// Where, as the client named it.
    pub path: VPath,
    /// The object's key, as text.
    pub key: String,
    /// S3's id of the multipart upload.
    pub upload: String,
    /// The operation whose id the object will carry.
    pub operation: OperationId,
    /// The size of the file to be.
    pub bytes: u64,
    /// The size of every part but the last.
    pub part_bytes: NonZeroU64,
    /// The time that the client gives the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// Until when it can be completed.
    pub until: Timestamp,
}

/// A visit that brings a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectLink {
    /// The link.
    pub id: ShareId,
    /// The visit.
    pub visit: String,
}

impl From<&LinkUse> for DirectLink {
    fn from(link: &LinkUse) -> Self {
        Self { id: link.id.clone(), visit: link.visit.clone() }
    }
}

impl DirectUpload {
    /// How many parts there are; an empty file has none.
    pub fn parts(&self) -> u32 {
        let parts = self.bytes.div_ceil(self.part_bytes.get());
        u32::try_from(parts).unwrap_or(u32::MAX)
    }

    /// The exact size of part `number` (from 1), if there is one.
    pub fn bytes_of(&self, number: u32) -> Option<u64> {
        if !(1..=self.parts()).contains(&number) {
            return None;
        }
        let before = u64::from(number - 1) * self.part_bytes.get();
        Some(self.part_bytes.get().min(self.bytes - before))
    }
}

/// The size of parts for a file of this size: whole mebibytes, and never more than S3's 10,000 parts.
pub fn part_bytes(bytes: u64) -> NonZeroU64 {
    let least = bytes.div_ceil(u64::from(MAX_PARTS)).div_ceil(MIB) * MIB;
    NonZeroU64::new(least.max(LEAST_PART_BYTES)).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn upload(bytes: u64) -> DirectUpload {
        DirectUpload {
            id: "i".into(),
            organization: OrganizationId::from_random([1; 16]),
            credential: CredentialId::from_random([2; 15]),
            link: None,
            path: VPath::root(),
            key: "k".into(),
            upload: "u".into(),
            operation: OperationId::from_random([3; 16]),
            bytes,
            part_bytes: part_bytes(bytes),
            modified: None,
            begun_at: Timestamp::from_millis(0),
            until: Timestamp::from_millis(OPEN_MILLIS),
        }
    }

    #[test]
    fn small_files_have_one_part() {
        assert_eq!((upload(0).parts(), upload(0).bytes_of(1)), (0, None));
        assert_eq!((upload(1).parts(), upload(1).bytes_of(1), upload(1).bytes_of(2)), (1, Some(1), None));
        assert_eq!(upload(8 * MIB).parts(), 1);
        assert_eq!((upload(8 * MIB + 1).parts(), upload(8 * MIB + 1).bytes_of(2)), (2, Some(1)));
        assert_eq!(upload(9).bytes_of(0), None);
    }

    proptest! {
        #[test]
        fn the_parts_are_the_file_and_s3_takes_them(bytes in 1..crate::upload::MAX_FILE_BYTES) {
            let upload = upload(bytes);
            prop_assert!(upload.parts() <= MAX_PARTS);
            let last = upload.bytes_of(upload.parts()).unwrap();
            prop_assert_eq!(u64::from(upload.parts() - 1) * upload.part_bytes.get() + last, bytes);
            prop_assert!(upload.part_bytes.get() <= 5 << 30);
        }
    }
}
