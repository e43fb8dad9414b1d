//! Limits on how fast a credential's files move.

use serde::{Deserialize, Serialize};

/// Kilobytes (1,000 bytes) a second each way, as SFTPGo counts them; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// From the client.
    #[serde(default)]
    pub upload_kilobytes: u32,
    /// To the client.
    #[serde(default)]
    pub download_kilobytes: u32,
}

/// Slower than this, single requests would take longer than their deadlines.
pub const LEAST_KILOBYTES: u32 = 16;

impl Bandwidth {
    /// Whether there is no limit.
    pub const fn is_unlimited(self) -> bool {
        self.upload_kilobytes == 0 && self.download_kilobytes == 0
    }

    /// Bytes a second from the client.
    pub fn upload_bytes(self) -> Option<u64> {
        bytes(self.upload_kilobytes)
    }

    /// Bytes a second to the client.
    pub fn download_bytes(self) -> Option<u64> {
        bytes(self.download_kilobytes)
    }
}

fn bytes(kilobytes: u32) -> Option<u64> {
    (kilobytes > 0).then(|| u64::from(kilobytes.max(LEAST_KILOBYTES)) * 1000)
}
