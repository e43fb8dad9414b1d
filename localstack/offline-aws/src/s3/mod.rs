//! S3 on s3s: signatures, XML and routing are theirs, storage and semantics are here.

mod backend;
mod blobs;
mod buckets;
mod checksum;
mod complete;
mod condition;
mod copy;
mod failure;
mod index;
mod ingest;
mod list;
mod multipart;
mod objects;
mod reader;
mod record;
mod uploads;
mod writer;

use self::failure::Failure;
use self::index::Index;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use serde::Serialize;
use std::path::Path;

/// The account that owns every bucket.
pub(crate) const ACCOUNT: &str = "000000000000";

/// What is stored, for the statistics page.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Stored {
    objects: i64,
    bytes: i64,
    blobs: i64,
    open_multipart_uploads: i64,
}

/// The offline S3.
#[derive(Clone)]
pub(crate) struct Store {
    index: Index,
    region: String,
}

impl Store {
    pub(crate) fn memory(region: &str) -> Result<Self, std::io::Error> {
        Self::new(Index::memory(), region)
    }

    /// Blocking: opens the index and sweeps leftovers.
    pub(crate) fn folder(dir: &Path, region: &str) -> Result<Self, std::io::Error> {
        Self::new(Index::folder(dir), region)
    }

    fn new(index: Result<Index, Failure>, region: &str) -> Result<Self, std::io::Error> {
        Ok(Self { index: index.map_err(std::io::Error::from)?, region: region.to_owned() })
    }

    pub(crate) fn service(&self, access_key: &str, secret_key: &str) -> S3Service {
        let mut builder = S3ServiceBuilder::new(self.clone());
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        builder.set_access(OwnerOnly);
        builder.build()
    }

    /// Makes every object older, and every upload in parts. Answers how many objects.
    pub(crate) async fn age(&self, millis: i64) -> Result<usize, std::io::Error> {
        let aged = self.index.run(move |work| {
            work.transaction.execute("UPDATE uploads SET created_ms = created_ms - ?1 WHERE done IS NULL", [millis])?;
            Ok(work.transaction.execute("UPDATE objects SET modified_ms = modified_ms - ?1", [millis])?)
        });
        aged.await.map_err(std::io::Error::from)
    }

    pub(crate) async fn stored(&self) -> Result<Stored, std::io::Error> {
        self.index
            .run(|work| {
                let sql = "SELECT (SELECT count(*) FROM objects), (SELECT coalesce(sum(size), 0) FROM objects),
                    (SELECT count(*) FROM blobs), (SELECT count(*) FROM uploads WHERE done IS NULL)";
                Ok(work.transaction.query_row(sql, [], |row| {
                    Ok(Stored {
                        objects: row.get(0)?,
                        bytes: row.get(1)?,
                        blobs: row.get(2)?,
                        open_multipart_uploads: row.get(3)?,
                    })
                })?)
            })
            .await
            .map_err(std::io::Error::from)
    }
}

/// One account owns everything: a signed request that names another expected owner is refused, as S3 does.
struct OwnerOnly;

#[async_trait::async_trait]
impl S3Access for OwnerOnly {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        if cx.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        for header in ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"] {
            if cx.headers().get(header).is_some_and(|owner| owner.as_bytes() != ACCOUNT.as_bytes()) {
                return Err(s3_error!(AccessDenied, "Access Denied"));
            }
        }
        Ok(())
    }
}
