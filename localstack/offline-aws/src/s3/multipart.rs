//! Multipart uploads up to the completion: create, parts, listings, abort.

use super::Store;
use super::checksum::{Algorithm, Sums, checksum_type, given_sums, put_sums};
use super::condition::strong;
use super::failure::Outcome;
use super::index::{Work, signed, unsigned};
use super::ingest::{Promise, ingest};
use super::list;
use super::objects::given_head;
use super::record::{Head, PartRecord};
use crate::clock;
use rusqlite::{OptionalExtension, params};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    ListPartsInput, ListPartsOutput, Part, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Error, S3Request, s3_error};

const MAX_PART_NUMBER: i32 = 10_000;

/// An upload as the index knows it.
pub(super) struct Upload {
    pub(super) created_ms: i64,
    pub(super) head: Head,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) composite: bool,
    /// The answer of the completion, kept so that a repeated one gets the same.
    pub(super) done: Option<String>,
}

pub(super) fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

impl Work<'_> {
    /// The upload, open or completed, if it belongs to this key.
    pub(super) fn any_upload(&self, id: &str, bucket: &str, key: &str) -> Outcome<Upload> {
        let row = self
            .transaction
            .prepare_cached(
                "SELECT created_ms, head, algorithm, composite, done FROM uploads WHERE id = ?1 AND bucket = ?2 AND key = ?3",
            )?
            .query_row(params![id, bucket, key.as_bytes()], |row| {
                let (head, algorithm) = (row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?);
                Ok((row.get(0)?, head, algorithm, row.get(3)?, row.get(4)?))
            })
            .optional()?;
        let Some((created_ms, head, algorithm, composite, done)) = row else {
            self.bucket(bucket)?;
            return Err(no_such_upload().into());
        };
        let head = serde_json::from_str(&head)?;
        Ok(Upload { created_ms, head, algorithm: algorithm.as_deref().and_then(Algorithm::parse), composite, done })
    }

    pub(super) fn open_upload(&self, id: &str, bucket: &str, key: &str) -> Outcome<Upload> {
        let upload = self.any_upload(id, bucket, key)?;
        if upload.done.is_some() {
            return Err(no_such_upload().into());
        }
        Ok(upload)
    }

    pub(super) fn parts(&self, upload: &str, after: i32, limit: usize) -> Outcome<Vec<PartRecord>> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT number, size, etag, modified_ms, sums, segments FROM parts
             WHERE upload = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
        )?;
        let mut rows = statement.query(params![upload, after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut parts = Vec::new();
        while let Some(row) = rows.next()? {
            parts.push(PartRecord {
                number: row.get(0)?,
                size: unsigned(row.get(1)?),
                etag: row.get(2)?,
                modified_ms: row.get(3)?,
                sums: serde_json::from_str(&row.get::<_, String>(4)?)?,
                segments: serde_json::from_str(&row.get::<_, String>(5)?)?,
            });
        }
        Ok(parts)
    }

    /// Stores a part, in place of one with the same number, and counts its references.
    pub(super) fn store_part(&mut self, upload: &str, part: &PartRecord) -> Outcome<()> {
        let old: Option<String> = self
            .transaction
            .prepare_cached("SELECT segments FROM parts WHERE upload = ?1 AND number = ?2")?
            .query_row(params![upload, part.number], |row| row.get(0))
            .optional()?;
        self.retain(&part.segments)?;
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO parts (upload, number, size, etag, modified_ms, sums, segments)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                upload,
                part.number,
                signed(part.size),
                part.etag,
                part.modified_ms,
                serde_json::to_string(&part.sums)?,
                serde_json::to_string(&part.segments)?,
            ])?;
        if let Some(old) = old {
            let segments: Vec<_> = serde_json::from_str(&old)?;
            self.release(&segments)?;
        }
        Ok(())
    }
}

pub(super) fn part_number(number: i32) -> Outcome<i32> {
    if (1..=MAX_PART_NUMBER).contains(&number) {
        return Ok(number);
    }
    Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive").into())
}

fn chosen_checksum(input: &CreateMultipartUploadInput) -> Outcome<(Option<Algorithm>, bool)> {
    let algorithm = match &input.checksum_algorithm {
        None => None,
        Some(name) => Some(
            Algorithm::parse(name.as_str())
                .ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."))?,
        ),
    };
    let composite = match input.checksum_type.as_ref().map(|kind| kind.as_str()) {
        None => algorithm.is_some_and(Algorithm::default_composite),
        Some("COMPOSITE") => true,
        Some("FULL_OBJECT") => false,
        Some(_) => return Err(s3_error!(InvalidRequest, "Value for x-amz-checksum-type header is invalid.").into()),
    };
    if algorithm.is_some_and(|algorithm| !algorithm.allows(composite)) {
        return Err(s3_error!(InvalidRequest, "The checksum type cannot be used with the checksum algorithm.").into());
    }
    Ok((algorithm, composite))
}

impl Store {
    pub(super) async fn create_upload(
        &self,
        input: CreateMultipartUploadInput,
    ) -> Outcome<CreateMultipartUploadOutput> {
        let (algorithm, composite) = chosen_checksum(&input)?;
        let head = serde_json::to_string(&given_head!(input))?;
        let id = uuid::Uuid::new_v4().simple().to_string();
        let upload_id = id.clone();
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        self.index
            .run(move |work| {
                work.bucket(&bucket)?;
                work.transaction
                    .prepare_cached(
                        "INSERT INTO uploads (id, bucket, key, created_ms, head, algorithm, composite)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![
                        id,
                        bucket,
                        key.as_bytes(),
                        clock::now_ms(),
                        head,
                        algorithm.map(Algorithm::name),
                        composite,
                    ])?;
                Ok(())
            })
            .await?;
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(upload_id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: algorithm.map(|_| checksum_type(composite)),
            ..CreateMultipartUploadOutput::default()
        })
    }

    pub(super) async fn put_part(&self, request: S3Request<UploadPartInput>) -> Outcome<UploadPartOutput> {
        let S3Request { input, headers, trailing_headers, .. } = request;
        let number = part_number(input.part_number)?;
        let (id, bucket, key) = (input.upload_id.clone(), input.bucket.clone(), input.key.clone());
        let upload = {
            let (id, bucket, key) = (id.clone(), bucket.clone(), key.clone());
            self.index.run(move |work| work.open_upload(&id, &bucket, &key)).await?
        };
        let announced = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str());
        let mut promise = Promise::new(&headers, announced, given_sums!(input));
        promise.content_md5 = input.content_md5;
        promise.trailers = trailing_headers;
        // what completion will need, whatever the client sends
        match upload.algorithm {
            Some(algorithm) => {
                if let Some(other) = promise.algorithms.iter().find(|given| **given != algorithm) {
                    return Err(s3_error!(
                        InvalidRequest,
                        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                        algorithm.name().to_ascii_lowercase(),
                        other.name().to_ascii_lowercase(),
                    )
                    .into());
                }
                promise.algorithms.push(algorithm);
            }
            None => promise.algorithms.push(Algorithm::Crc64Nvme),
        }
        let shown = promise.algorithms.first().copied();
        let new = ingest(&self.index.blobs, input.body, promise).await?;
        let mut output = UploadPartOutput { e_tag: Some(strong(&new.etag)), ..UploadPartOutput::default() };
        let mut answered = new.sums.clone();
        answered.values.retain(|(algorithm, _)| Some(*algorithm) == shown);
        put_sums!(output, answered);
        let part = PartRecord {
            number,
            size: new.size,
            etag: new.etag.clone(),
            modified_ms: clock::now_ms(),
            sums: new.sums.clone(),
            segments: new.segments(),
        };
        let blob = new.blob;
        self.index
            .run(move |work| {
                // it may have been completed or aborted while the body arrived
                work.open_upload(&id, &bucket, &key)?;
                work.store_part(&id, &part)?;
                work.adopt(blob);
                Ok(())
            })
            .await?;
        Ok(output)
    }

    pub(super) async fn abort_upload(&self, input: AbortMultipartUploadInput) -> Outcome<AbortMultipartUploadOutput> {
        self.index
            .run(move |work| {
                work.open_upload(&input.upload_id, &input.bucket, &input.key)?;
                work.drop_parts(&input.upload_id, |_| false)?;
                work.transaction.execute("DELETE FROM uploads WHERE id = ?1", [&input.upload_id])?;
                Ok(AbortMultipartUploadOutput::default())
            })
            .await
    }

    pub(super) async fn all_parts(&self, input: ListPartsInput) -> Outcome<ListPartsOutput> {
        let (limit, max_parts) = list::limit(input.max_parts)?;
        let after = input.part_number_marker.unwrap_or(0);
        self.index
            .run(move |work| {
                let upload = work.open_upload(&input.upload_id, &input.bucket, &input.key)?;
                let mut parts = work.parts(&input.upload_id, after, limit + 1)?;
                let truncated = parts.len() > limit;
                parts.truncate(limit);
                let next = parts.last().map(|part| part.number).filter(|_| truncated);
                Ok(ListPartsOutput {
                    bucket: Some(input.bucket),
                    key: Some(input.key),
                    upload_id: Some(input.upload_id),
                    checksum_algorithm: upload.algorithm.map(|algorithm| algorithm.name().to_owned().into()),
                    checksum_type: upload.algorithm.map(|_| checksum_type(upload.composite)),
                    is_truncated: Some(truncated),
                    max_parts: Some(max_parts),
                    part_number_marker: Some(after),
                    next_part_number_marker: next,
                    parts: Some(parts.iter().map(|part| listed(part, &upload)).collect()),
                    storage_class: Some("STANDARD".to_owned().into()),
                    ..ListPartsOutput::default()
                })
            })
            .await
    }
}

fn listed(part: &PartRecord, upload: &Upload) -> Part {
    let mut sums: Sums = part.sums.clone();
    sums.values.retain(|(algorithm, _)| Some(*algorithm) == upload.algorithm);
    let mut shown = Part {
        part_number: Some(part.number),
        size: Some(signed(part.size)),
        e_tag: Some(strong(&part.etag)),
        last_modified: Some(clock::at(part.modified_ms).into()),
        ..Part::default()
    };
    put_sums!(shown, sums);
    shown
}
