//! Copies of objects that are too large for one request: several parts at the same time, each pinned to the version that
//! was seen, then one conditional call that makes them an object.

use domain::path::ObjectKey;
use domain::upload::{StoredPart, copy_plan, review};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use store::objects::{CopiedPart, MultipartUpload, ObjectError, ObjectInfo, Objects, Precondition, WriteError};

/// S3's limit for a copy in one request.
const MAX_COPY_BYTES: u64 = 5 << 30;

/// How many parts S3 copies at the same time.
const PARALLEL: usize = 8;

/// Whether a file needs this, where one part has at most `part_bytes`.
pub(crate) fn is_large(bytes: u64, part_bytes: u64) -> bool {
    // five parts of the usual size
    bytes > MAX_COPY_BYTES.min(part_bytes.saturating_mul(5))
}

/// Makes `upload` a copy of the version `of` at `source`; on an error its parts are thrown away, unless it may have become
/// an object.
pub(crate) async fn copy_in_parts(
    objects: &Objects,
    upload: &MultipartUpload,
    source: &ObjectKey,
    of: &ObjectInfo,
    part_bytes: u64,
    condition: &Precondition,
) -> Result<(), WriteError> {
    let plan = (1..).zip(copy_plan(of.bytes, part_bytes));
    let copies = stream::iter(plan).map(|(number, range)| {
        let part = CopiedPart { range, whole: false };
        objects.copy_part_recorded(upload, number, source, &of.etag, part)
    });
    let copied: Result<Vec<StoredPart>, ObjectError> = copies.buffer_unordered(PARALLEL).try_collect().await;
    let done = match copied {
        Ok(parts) => match review(parts, of.bytes) {
            Ok(parts) => objects.complete_multipart(upload, &parts, condition).await,
            Err(error) => Err(clear(ObjectError::Refused { code: "review".to_owned(), source: error.into() })),
        },
        // nothing is visible yet, so also an answer that got lost is a clear failure of the whole
        Err(error) => {
            tracing::debug!(%error, "a part was not copied");
            Err(clear(error))
        }
    };
    if let Err(failed) = &done
        && !failed.tried_before
        && let Err(error) = objects.abort_multipart(upload).await
    {
        tracing::info!(%error, upload = upload.id(), "the parts of a copy are left to housekeeping");
    }
    done
}

fn clear(error: ObjectError) -> WriteError {
    WriteError { error, tried_before: false }
}
