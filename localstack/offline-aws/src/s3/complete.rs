//! CompleteMultipartUpload: checks every part the client names, then makes one object out of their segments. No bytes
//! are read or copied. The row of a completed upload stays, so that a repeated completion gets the same answer.

use super::Store;
use super::checksum::{self, Algorithm, Sums, given_sums, put_sums};
use super::condition::{WriteCondition, strong};
use super::failure::Outcome;
use super::index::{Work, unsigned};
use super::multipart::Upload;
use super::record::{Detail, PartRecord, Record, Segment};
use crate::clock;
use md5::{Digest as _, Md5};
use rusqlite::params;
use s3s::dto::{CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart};
use s3s::s3_error;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

const MIN_PART: u64 = 5 * 1024 * 1024;
/// How long a completed upload answers again.
const REMEMBER_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Clone, Serialize, Deserialize)]
struct Done {
    etag: String,
    sums: Sums,
}

impl Work<'_> {
    /// Drops the parts of an upload; the references of those that `moved` says went to the object stay counted.
    pub(super) fn drop_parts(&mut self, upload: &str, moved: impl Fn(&PartRecord) -> bool) -> Outcome<()> {
        for part in self.parts(upload, 0, usize::MAX)? {
            if !moved(&part) {
                self.release(&part.segments)?;
            }
        }
        self.transaction.prepare_cached("DELETE FROM parts WHERE upload = ?1")?.execute([upload])?;
        Ok(())
    }
}

/// The parts the client named, checked against those that were uploaded.
fn chosen(named: &[CompletedPart], stored: Vec<PartRecord>, upload: &Upload) -> Outcome<Vec<PartRecord>> {
    let mut stored: HashMap<i32, PartRecord> = stored.into_iter().map(|part| (part.number, part)).collect();
    let mut parts: Vec<PartRecord> = Vec::with_capacity(named.len());
    for part in named {
        let number = part.part_number.unwrap_or(0);
        if parts.last().is_some_and(|before| before.number >= number) {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. Parts must be ordered by part number."
            )
            .into());
        }
        let found =
            stored.remove(&number).filter(|found| part.e_tag.as_ref().is_some_and(|etag| etag.value() == found.etag));
        let Some(found) = found else {
            return Err(invalid_part());
        };
        check_part_sums(part, &found, upload)?;
        parts.push(found);
    }
    let all_but_last = parts.len().saturating_sub(1);
    if parts.iter().take(all_but_last).any(|part| part.size < MIN_PART) {
        return Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size").into());
    }
    Ok(parts)
}

fn invalid_part() -> super::failure::Failure {
    s3_error!(
        InvalidPart,
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
    )
    .into()
}

fn check_part_sums(named: &CompletedPart, stored: &PartRecord, upload: &Upload) -> Outcome<()> {
    let given = given_sums!(named);
    for (algorithm, value) in &given.values {
        if stored.sums.get(*algorithm).is_some_and(|known| known != value) {
            return Err(invalid_part());
        }
    }
    if let Some(algorithm) = upload.algorithm.filter(|_| upload.composite)
        && given.get(algorithm).is_none()
    {
        return Err(s3_error!(
            InvalidRequest,
            "The upload was created using a {} checksum. The complete request must include the checksum for each part. It was missing for part {} in the request.",
            algorithm.name().to_ascii_lowercase(),
            stored.number,
        )
        .into());
    }
    Ok(())
}

fn whole_sums(parts: &[PartRecord], upload: &Upload) -> Sums {
    let algorithm = upload.algorithm.unwrap_or(Algorithm::Crc64Nvme);
    let value = if upload.composite {
        checksum::composite(algorithm, parts.iter().map(|part| &part.sums))
    } else {
        checksum::full_object(algorithm, parts.iter().map(|part| (&part.sums, part.size)))
    };
    Sums { values: value.into_iter().map(|value| (algorithm, value)).collect(), composite: upload.composite }
}

fn whole_etag(parts: &[PartRecord]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(hex::decode(&part.etag).unwrap_or_default());
    }
    format!("{}-{}", hex::encode(md5.finalize()), parts.len())
}

fn complete(work: &mut Work<'_>, input: &CompleteMultipartUploadInput, condition: &WriteCondition) -> Outcome<Done> {
    let (bucket, key, id) = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
    let upload = work.any_upload(id, bucket, key)?;
    if let Some(done) = &upload.done {
        return Ok(serde_json::from_str(done)?);
    }
    let named = input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_deref()).unwrap_or_default();
    if named.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part").into());
    }
    let parts = chosen(named, work.parts(id, 0, usize::MAX)?, &upload)?;
    let size: u64 = parts.iter().map(|part| part.size).sum();
    if input.mpu_object_size.is_some_and(|expected| unsigned(expected) != size) {
        return Err(s3_error!(
            InvalidRequest,
            "The provided 'x-amz-mp-object-size' header does not match what was computed."
        )
        .into());
    }
    let sums = whole_sums(&parts, &upload);
    for (algorithm, value) in &given_sums!(input).values {
        if sums.get(*algorithm).is_some_and(|known| known != value) {
            let name = algorithm.name();
            return Err(
                s3_error!(BadDigest, "The {} you specified did not match the calculated checksum.", name).into()
            );
        }
    }
    let old = work.find(bucket, key)?;
    condition.check(old.as_ref().map(|(_, old)| old.etag.as_str()))?;
    let segments: Vec<Segment> = parts.iter().flat_map(|part| part.segments.iter().copied()).collect();
    let done = Done { etag: whole_etag(&parts), sums: sums.clone() };
    let record = Record {
        size,
        etag: done.etag.clone(),
        // as S3: the time of an object that came in parts is that of their announcement
        modified_ms: upload.created_ms,
        detail: Detail { head: upload.head, sums, segments, parts: parts.iter().map(|part| part.size).collect() },
    };
    work.replace(bucket, key, old, &record)?;
    let used: std::collections::HashSet<i32> = parts.iter().map(|part| part.number).collect();
    work.drop_parts(id, |part| used.contains(&part.number))?;
    work.transaction
        .prepare_cached("UPDATE uploads SET done = ?2, created_ms = ?3 WHERE id = ?1")?
        .execute(params![id, serde_json::to_string(&done)?, clock::now_ms()])?;
    work.transaction
        .prepare_cached("DELETE FROM uploads WHERE bucket = ?1 AND key = ?2 AND done IS NOT NULL AND created_ms < ?3")?
        .execute(params![bucket, key.as_bytes(), clock::now_ms() - REMEMBER_MS])?;
    Ok(done)
}

impl Store {
    pub(super) async fn complete_upload(
        &self,
        input: CompleteMultipartUploadInput,
    ) -> Outcome<CompleteMultipartUploadOutput> {
        let condition = WriteCondition::new(input.if_match.clone(), input.if_none_match.clone())?;
        let mut output = CompleteMultipartUploadOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            ..CompleteMultipartUploadOutput::default()
        };
        let done = self.index.run(move |work| complete(work, &input, &condition)).await?;
        output.e_tag = Some(strong(&done.etag));
        output.checksum_type = done.sums.wire().checksum_type;
        put_sums!(output, done.sums);
        Ok(output)
    }
}
