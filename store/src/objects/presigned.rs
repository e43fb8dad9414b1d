//! Addresses that let somebody else make one request to S3, without credentials and for a short time.

use super::{MultipartUpload, ObjectError, Objects};
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::presigning::PresigningConfig;
use domain::access::{Authorized, Download, Upload};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::Duration;

/// What may stand unencoded in an extended parameter (RFC 8187, section 3.2.1: `attr-char`).
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How a browser is to take a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Saved under its name, whatever it holds.
    Saved,
    /// Shown if the browser can, as this media type.
    As(&'static str),
}

impl Shown {
    /// The values of `Content-Disposition` (RFC 6266) and `Content-Type` for a file of this name.
    pub fn headers(self, name: &str) -> (String, &'static str) {
        let (disposition, kind) = match self {
            Self::Saved => ("attachment", "application/octet-stream"),
            Self::As(kind) => ("inline", kind),
        };
        // for those who read no extended parameter, as curl; browsers take the other one (RFC 6266, appendix D)
        let plain =
            |c: char| if c == ' ' || c.is_ascii_alphanumeric() || "-._~+()[],;=@!".contains(c) { c } else { '_' };
        let fallback: String = name.chars().map(plain).collect();
        let encoded = utf8_percent_encode(name, NAME);
        (format!("{disposition}; filename=\"{fallback}\"; filename*=UTF-8''{encoded}"), kind)
    }
}

impl Objects {
    /// An address that gives a file for `life`, under its own name.
    pub async fn presign_get(
        &self,
        file: &Authorized<Download>,
        shown: Shown,
        life: Duration,
    ) -> Result<String, ObjectError> {
        let key = file.location().file_key().ok_or(ObjectError::NotFound)?;
        let (disposition, kind) = shown.headers(file.path().name().unwrap_or_default());
        let request = self
            .plain
            .get_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .response_content_disposition(disposition)
            .response_content_type(kind)
            .response_cache_control("private, no-store");
        let signed = request.presigned(within(life)?).await.map_err(unsigned)?;
        Ok(signed.uri().to_owned())
    }

    /// What all these addresses begin with: scheme, host and port. For pages that say where their browser may go.
    pub async fn origin(&self) -> Result<String, ObjectError> {
        let request = self.plain.head_object().bucket(&self.bucket).key("-");
        let signed = request.presigned(within(Duration::from_secs(1))?).await.map_err(unsigned)?;
        let origin = signed.uri().splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        Ok(origin)
    }

    /// An address that takes part `number` of an upload, of exactly `bytes` bytes, for `life`.
    pub async fn presign_part(
        &self,
        _file: &Authorized<Upload>,
        upload: &MultipartUpload,
        (number, bytes): (u32, u64),
        life: Duration,
    ) -> Result<String, ObjectError> {
        let request = self
            .plain
            .upload_part()
            .bucket(&self.bucket)
            .key(upload.key().as_str())
            .upload_id(upload.id())
            .part_number(i32::try_from(number).unwrap_or(i32::MAX))
            .content_length(i64::try_from(bytes).unwrap_or(i64::MAX));
        let signed = request.presigned(within(life)?).await.map_err(unsigned)?;
        Ok(signed.uri().to_owned())
    }
}

pub(super) fn within(life: Duration) -> Result<PresigningConfig, ObjectError> {
    PresigningConfig::expires_in(life).map_err(unsigned)
}

pub(super) fn unsigned(error: impl std::error::Error + Send + Sync + 'static) -> ObjectError {
    ObjectError::Unavailable(Box::new(error))
}

/// A client that adds no checksums: of what it only signs it knows no bytes, and an upload that was begun with checksums demands
/// them of each part.
pub(super) fn without_checksums(client: &aws_sdk_s3::Client) -> aws_sdk_s3::Client {
    let config = client.config().to_builder();
    let config = config.request_checksum_calculation(RequestChecksumCalculation::WhenRequired).build();
    aws_sdk_s3::Client::from_conf(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_one_parameter() {
        let header = |name| Shown::Saved.headers(name).0;
        assert_eq!(header("a b.txt"), "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt");
        assert_eq!(header("\"\\ x=é%"), "attachment; filename=\"__ x=__\"; filename*=UTF-8''%22%5C%20x%3D%C3%A9%25");
        assert_eq!(Shown::As("image/png").headers("x").0, "inline; filename=\"x\"; filename*=UTF-8''x");
    }
}
