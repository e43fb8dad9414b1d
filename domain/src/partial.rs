//! An upload whose connection broke, kept so that its sender can go on with it.
//!
//! What S3 has of it, a number of full parts, stays as an open multipart upload; a record says whose it is and until when.
//! Nobody but its credential sees it. There it stands for the name: STAT and listings show its size, which is where
//! clients (`reput`, lftp, curl, WinSCP) go on.

use crate::id::{CredentialId, OperationId, OrganizationId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What is kept of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialUpload {
    /// Whose files.
    pub organization: OrganizationId,
    /// Who sent it, and may go on.
    pub credential: CredentialId,
    /// The object's key, as text.
    pub key: String,
    /// S3's id of the multipart upload.
    pub upload: String,
    /// The operation whose id the object will carry: S3 was told when the upload began.
    pub operation: OperationId,
    /// The bytes that S3 has, from the start of the file without a gap. Always fewer than were sent, because a part
    /// leaves when there is more behind it: a client never takes the rest for the whole.
    pub bytes: u64,
    /// When it was interrupted.
    pub kept_at: Timestamp,
    /// Until when it can be gone on with.
    pub until: Timestamp,
}

/// What the first write to a name with a partial upload means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstWrite {
    /// It goes on where the parts end.
    GoesOn,
    /// It is a new upload.
    StartsAfresh,
    /// Neither: there is nothing that it could be put behind.
    Elsewhere,
}

impl PartialUpload {
    /// Whether it stands for its name, where there is an object that was written at `object` (S3's time, in whole
    /// seconds). A newer object is the file that somebody has sent since.
    pub fn stands(&self, object: Option<Timestamp>, now: Timestamp) -> bool {
        now < self.until && object.is_none_or(|written| written.millis() < self.kept_at.millis())
    }

    /// What a first write at `offset` means; with APPEND every write goes to the end.
    pub fn first_write(&self, offset: u64, append: bool) -> FirstWrite {
        match offset {
            _ if append => FirstWrite::GoesOn,
            offset if offset == self.bytes => FirstWrite::GoesOn,
            0 => FirstWrite::StartsAfresh,
            _ => FirstWrite::Elsewhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partial() -> PartialUpload {
        PartialUpload {
            organization: OrganizationId::from_random([1; 16]),
            credential: CredentialId::from_random([2; 15]),
            key: "k".into(),
            upload: "u".into(),
            operation: OperationId::from_random([3; 16]),
            bytes: 8,
            kept_at: Timestamp::from_millis(5_000),
            until: Timestamp::from_millis(9_000),
        }
    }

    #[test]
    fn it_stands_for_its_name_until_it_ends_or_a_newer_file_is_there() {
        let stands = |object: Option<i64>, now| {
            partial().stands(object.map(Timestamp::from_millis), Timestamp::from_millis(now))
        };
        assert!(stands(None, 8_999));
        assert!(!stands(None, 9_000));
        assert!(stands(Some(4_000), 6_000));
        assert!(!stands(Some(5_000), 6_000));
        assert!(!stands(Some(6_000), 6_000));
    }

    #[test]
    fn a_first_write_goes_on_at_the_end_or_starts_afresh() {
        let partial = partial();
        assert_eq!(partial.first_write(8, false), FirstWrite::GoesOn);
        assert_eq!(partial.first_write(0, false), FirstWrite::StartsAfresh);
        assert_eq!(partial.first_write(0, true), FirstWrite::GoesOn);
        assert_eq!(partial.first_write(7, false), FirstWrite::Elsewhere);
        assert_eq!(partial.first_write(9, false), FirstWrite::Elsewhere);
    }
}
