//! Checksums of objects and parts: which ones a request asks for, what S3 makes of parts' checksums on completion, and
//! how they appear in requests and answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::{Checksum, ChecksumType};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(super) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name in `x-amz-checksum-algorithm`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(super) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// What `CreateMultipartUpload` gets when it names no type.
    pub(super) fn default_composite(self) -> bool {
        self != Self::Crc64Nvme
    }

    /// The CRCs can be combined; hashes cannot. CRC64NVME exists only for whole objects.
    pub(super) fn allows(self, composite: bool) -> bool {
        match self {
            Self::Crc32 | Self::Crc32c => true,
            Self::Crc64Nvme => !composite,
            Self::Sha1 | Self::Sha256 => composite,
        }
    }

    pub(super) fn enable(self, hasher: &mut ChecksumHasher) {
        match self {
            Self::Crc32 => hasher.crc32 = Some(Crc32::new()),
            Self::Crc32c => hasher.crc32c = Some(Crc32c::new()),
            Self::Crc64Nvme => hasher.crc64nvme = Some(Crc64Nvme::new()),
            Self::Sha1 => hasher.sha1 = Some(Sha1::new()),
            Self::Sha256 => hasher.sha256 = Some(Sha256::new()),
        }
    }

    fn digest(self, data: &[u8]) -> Option<String> {
        let mut hasher = ChecksumHasher::default();
        self.enable(&mut hasher);
        hasher.update(data);
        Sums::from(hasher.finalize()).get(self).map(str::to_owned)
    }
}

/// Checksum values, base64 as on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sums {
    pub(super) values: Vec<(Algorithm, String)>,
    /// `COMPOSITE` rather than `FULL_OBJECT`.
    pub(super) composite: bool,
}

impl Sums {
    pub(super) fn get(&self, algorithm: Algorithm) -> Option<&str> {
        self.values.iter().find(|(known, _)| *known == algorithm).map(|(_, value)| value.as_str())
    }

    pub(super) fn wire(&self) -> Checksum {
        let value = |algorithm| self.get(algorithm).map(str::to_owned);
        Checksum {
            checksum_crc32: value(Algorithm::Crc32),
            checksum_crc32c: value(Algorithm::Crc32c),
            checksum_crc64nvme: value(Algorithm::Crc64Nvme),
            checksum_sha1: value(Algorithm::Sha1),
            checksum_sha256: value(Algorithm::Sha256),
            checksum_type: (!self.values.is_empty()).then(|| checksum_type(self.composite)),
        }
    }
}

pub(super) fn checksum_type(composite: bool) -> ChecksumType {
    ChecksumType::from_static(if composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT })
}

impl From<Checksum> for Sums {
    fn from(sums: Checksum) -> Self {
        let mut values = Vec::new();
        for (algorithm, value) in [
            (Algorithm::Crc32, sums.checksum_crc32),
            (Algorithm::Crc32c, sums.checksum_crc32c),
            (Algorithm::Crc64Nvme, sums.checksum_crc64nvme),
            (Algorithm::Sha1, sums.checksum_sha1),
            (Algorithm::Sha256, sums.checksum_sha256),
        ] {
            if let Some(value) = value {
                values.push((algorithm, value));
            }
        }
        Self { values, composite: false }
    }
}

/// The checksums named in a request's input, as [`Sums`].
macro_rules! given_sums {
    ($input:expr) => {
        $crate::s3::checksum::Sums::from(s3s::dto::Checksum {
            checksum_crc32: $input.checksum_crc32.clone(),
            checksum_crc32c: $input.checksum_crc32c.clone(),
            checksum_crc64nvme: $input.checksum_crc64nvme.clone(),
            checksum_sha1: $input.checksum_sha1.clone(),
            checksum_sha256: $input.checksum_sha256.clone(),
            checksum_type: None,
        })
    };
}

/// Puts [`Sums`] into an answer's five checksum fields.
macro_rules! put_sums {
    ($output:expr, $sums:expr) => {{
        let wire = $sums.wire();
        $output.checksum_crc32 = wire.checksum_crc32;
        $output.checksum_crc32c = wire.checksum_crc32c;
        $output.checksum_crc64nvme = wire.checksum_crc64nvme;
        $output.checksum_sha1 = wire.checksum_sha1;
        $output.checksum_sha256 = wire.checksum_sha256;
    }};
}
pub(super) use {given_sums, put_sums};

/// The checksum of parts' checksums, with the number of parts: `COMPOSITE`.
pub(super) fn composite<'a>(algorithm: Algorithm, parts: impl ExactSizeIterator<Item = &'a Sums>) -> Option<String> {
    let count = parts.len();
    let mut joined = Vec::new();
    for part in parts {
        joined.extend_from_slice(&BASE64.decode(part.get(algorithm)?).ok()?);
    }
    algorithm.digest(&joined).map(|value| format!("{value}-{count}"))
}

/// The checksum of all bytes, put together from the parts' checksums without reading the bytes: `FULL_OBJECT`.
pub(super) fn full_object<'a>(
    algorithm: Algorithm,
    parts: impl ExactSizeIterator<Item = (&'a Sums, u64)>,
) -> Option<String> {
    let (crc, width) = match algorithm {
        Algorithm::Crc32 => (crc_fast::CrcAlgorithm::Crc32IsoHdlc, 4),
        Algorithm::Crc32c => (crc_fast::CrcAlgorithm::Crc32Iscsi, 4),
        Algorithm::Crc64Nvme => (crc_fast::CrcAlgorithm::Crc64Nvme, 8),
        Algorithm::Sha1 | Algorithm::Sha256 => return None,
    };
    let mut whole: Option<u64> = None;
    for (sums, len) in parts {
        let bytes = BASE64.decode(sums.get(algorithm)?).ok()?;
        let value = bytes.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
        whole = Some(match whole {
            None => value,
            Some(before) => crc_fast::checksum_combine(crc, before, value, len),
        });
    }
    let bytes = whole?.to_be_bytes();
    bytes.get(8 - width..).map(|tail| BASE64.encode(tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combined_parts_equal_the_checksum_of_the_whole() {
        let (left, right) = (b"hello ".as_slice(), b"world, and more".as_slice());
        let whole = [left, right].concat();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let sums =
                |data: &[u8]| Sums { values: vec![(algorithm, algorithm.digest(data).unwrap())], composite: false };
            let (first, second) = (sums(left), sums(right));
            let parts = [(&first, left.len() as u64), (&second, right.len() as u64)];
            assert_eq!(full_object(algorithm, parts.into_iter()), algorithm.digest(&whole));
        }
    }

    #[test]
    fn a_composite_names_the_number_of_parts() {
        let part =
            Sums { values: vec![(Algorithm::Sha256, Algorithm::Sha256.digest(b"x").unwrap())], composite: false };
        assert!(composite(Algorithm::Sha256, [&part, &part].into_iter()).unwrap().ends_with("-2"));
    }
}
