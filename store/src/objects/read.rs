//! Looking at objects and reading their bytes.

use super::attempts::repeatedly;
use super::{ARRIVED, ETag, OPERATION, ObjectError, ObjectInfo, Objects, timestamp};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::ServerSideEncryption;
use bytes::Bytes;
use domain::access::{Action, Authorized, Download, Upload};
use domain::id::OperationId;
use domain::path::ObjectKey;
use domain::time::Timestamp;
use std::collections::HashMap;
use std::ops::Range;

/// The bytes of a ranged read as they arrive.
pub struct Body(ByteStream);

impl Body {
    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ObjectError> {
        self.0.try_next().await.map_err(|error| ObjectError::Unavailable(error.into()))
    }
}

impl Objects {
    /// The file at this place, or `None`.
    pub async fn head<A: Action>(&self, file: &Authorized<A>) -> Result<Option<ObjectInfo>, ObjectError> {
        match file.location().file_key() {
            Some(key) => self.head_key(&key).await,
            None => Ok(None),
        }
    }

    /// The marker object of the folder at this place, or `None`.
    pub async fn head_folder<A: Action>(&self, folder: &Authorized<A>) -> Result<Option<ObjectInfo>, ObjectError> {
        self.head_key(&folder.location().folder_key()).await
    }

    pub(super) async fn head_key(&self, key: &ObjectKey) -> Result<Option<ObjectInfo>, ObjectError> {
        let request = self
            .once
            .head_object()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(key.as_str());
        let answer = repeatedly(async || Ok(request.clone().send().await?)).await;
        match answer {
            Ok(head) => Ok(Some(ObjectInfo {
                bytes: u64::try_from(head.content_length.unwrap_or(0)).unwrap_or(0),
                md5: md5(head.e_tag.as_deref(), head.server_side_encryption.as_ref()),
                etag: ETag::new(head.e_tag.ok_or(ObjectError::Incomplete("an ETag"))?),
                modified: timestamp(head.last_modified.as_ref()),
                arrived: arrived(head.metadata.as_ref(), head.last_modified.as_ref()),
                operation: operation(head.metadata.as_ref()),
            })),
            Err(ObjectError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first bytes of a file, at most `bytes`, and what the file is, in one request. `NotFound` if there is none;
    /// an empty file has an empty body.
    pub async fn open(&self, file: &Authorized<Download>, bytes: u64) -> Result<(ObjectInfo, Body), ObjectError> {
        let key = file.location().file_key().ok_or(ObjectError::NotFound)?;
        let request = self
            .once
            .get_object()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(key.as_str())
            .range(format!("bytes=0-{}", bytes.saturating_sub(1)));
        let got = match repeatedly(async || Ok(request.clone().send().await?)).await {
            Ok(got) => got,
            // an empty object has no first byte
            Err(ObjectError::RangeBehindEnd) => {
                let info = self.head_key(&key).await?.ok_or(ObjectError::NotFound)?;
                return Ok((info, Body(ByteStream::default())));
            }
            Err(error) => return Err(error),
        };
        let total = match got.content_range.as_deref() {
            Some(range) => {
                range.rsplit('/').next().and_then(|n| n.parse().ok()).ok_or(ObjectError::Incomplete("a file size"))?
            }
            None => u64::try_from(got.content_length.unwrap_or(0)).unwrap_or(0),
        };
        let info = ObjectInfo {
            bytes: total,
            md5: md5(got.e_tag.as_deref(), got.server_side_encryption.as_ref()),
            etag: ETag::new(got.e_tag.ok_or(ObjectError::Incomplete("an ETag"))?),
            modified: timestamp(got.last_modified.as_ref()),
            arrived: arrived(got.metadata.as_ref(), got.last_modified.as_ref()),
            operation: operation(got.metadata.as_ref()),
        };
        Ok((info, Body(got.body)))
    }

    /// A range of the version `etag`; `PreconditionFailed` or `NotFound` if the file has changed since.
    pub async fn read(&self, file: &Authorized<Download>, etag: &ETag, range: Range<u64>) -> Result<Body, ObjectError> {
        let key = file.location().file_key().ok_or(ObjectError::NotFound)?;
        self.read_key(&key, etag, range).await
    }

    /// The same for a file that is written on: its bytes go into the new version and to nobody else.
    pub async fn read_on(
        &self,
        file: &Authorized<Upload>,
        etag: &ETag,
        range: Range<u64>,
    ) -> Result<Body, ObjectError> {
        let key = file.location().file_key().ok_or(ObjectError::NotFound)?;
        self.read_key(&key, etag, range).await
    }

    async fn read_key(&self, key: &ObjectKey, etag: &ETag, range: Range<u64>) -> Result<Body, ObjectError> {
        let request = self
            .once
            .get_object()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .key(key.as_str())
            .if_match(etag.as_str())
            .range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        let got = repeatedly(async || Ok(request.clone().send().await?)).await?;
        Ok(Body(got.body))
    }
}

/// An ETag as the MD5 of the bytes: it is that for an object that came in one piece, unless a key of KMS encrypts it.
fn md5(etag: Option<&str>, encryption: Option<&ServerSideEncryption>) -> Option<[u8; 16]> {
    let hex = etag?.trim_matches('"');
    if hex.len() != 32 || encryption.is_some_and(|encryption| *encryption != ServerSideEncryption::Aes256) {
        return None;
    }
    let mut md5 = [0; 16];
    for (byte, at) in md5.iter_mut().zip((0..32).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(md5)
}

/// When a file arrived: what the copy of a rename says, or when S3 got it.
fn arrived(metadata: Option<&HashMap<String, String>>, written: Option<&DateTime>) -> Timestamp {
    let said = metadata.and_then(|metadata| metadata.get(ARRIVED)?.parse().ok());
    said.map_or_else(|| timestamp(written), Timestamp::from_millis)
}

pub(super) fn operation(metadata: Option<&HashMap<String, String>>) -> Option<OperationId> {
    OperationId::parse(metadata?.get(OPERATION)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_etag_of_one_piece_is_an_md5() {
        let etag = "\"d41d8cd98f00b204e9800998ecf8427e\"";
        assert_eq!(md5(Some(etag), None).unwrap()[..3], [0xd4, 0x1d, 0x8c]);
        assert!(md5(Some(etag), Some(&ServerSideEncryption::Aes256)).is_some());
        assert_eq!(md5(Some(etag), Some(&ServerSideEncryption::AwsKms)), None);
        assert_eq!(md5(Some("\"d41d8cd98f00b204e9800998ecf8427e-2\""), None), None);
        assert_eq!(md5(Some("\"xyzd8cd98f00b204e9800998ecf8427e\""), None), None);
        assert_eq!(md5(None, None), None);
    }
}
