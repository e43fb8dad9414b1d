//! Buckets: create, find, list, delete.

use super::Store;
use super::failure::Outcome;
use crate::clock;
use s3s::dto::{Bucket, CreateBucketOutput, DeleteBucketOutput, HeadBucketOutput, ListBucketsOutput, Owner};
use s3s::s3_error;

impl Store {
    pub(super) async fn make_bucket(&self, name: String) -> Outcome<CreateBucketOutput> {
        let location = Some(format!("/{name}"));
        let us_east_1 = self.region == "us-east-1";
        self.index
            .run(move |work| {
                let added = work
                    .transaction
                    .prepare_cached("INSERT OR IGNORE INTO buckets (name, created_ms) VALUES (?1, ?2)")?
                    .execute(rusqlite::params![name, clock::now_ms()])?;
                // S3 repeats itself with 200 in its oldest region only
                if added == 0 && !us_east_1 {
                    return Err(s3_error!(BucketAlreadyOwnedByYou, "You already own the bucket").into());
                }
                Ok(())
            })
            .await?;
        Ok(CreateBucketOutput { location })
    }

    pub(super) async fn find_bucket(&self, name: String) -> Outcome<HeadBucketOutput> {
        self.index.run(move |work| work.bucket(&name)).await?;
        Ok(HeadBucketOutput { bucket_region: Some(self.region.clone()), ..HeadBucketOutput::default() })
    }

    pub(super) async fn all_buckets(&self) -> Outcome<ListBucketsOutput> {
        let region = self.region.clone();
        let buckets = self
            .index
            .run(move |work| {
                let mut statement =
                    work.transaction.prepare_cached("SELECT name, created_ms FROM buckets ORDER BY name")?;
                let rows = statement.query_map([], |row| {
                    Ok(Bucket {
                        name: Some(row.get(0)?),
                        creation_date: Some(clock::at(row.get(1)?).into()),
                        bucket_region: Some(region.clone()),
                    })
                })?;
                Ok(rows.collect::<Result<Vec<_>, rusqlite::Error>>()?)
            })
            .await?;
        let owner = Owner { display_name: None, id: Some(super::ACCOUNT.to_owned()) };
        Ok(ListBucketsOutput { buckets: Some(buckets), owner: Some(owner), ..ListBucketsOutput::default() })
    }

    pub(super) async fn remove_bucket(&self, name: String) -> Outcome<DeleteBucketOutput> {
        self.index
            .run(move |work| {
                work.bucket(&name)?;
                let used: bool = work.transaction.query_row(
                    "SELECT EXISTS (SELECT 1 FROM objects WHERE bucket = ?1)
                        OR EXISTS (SELECT 1 FROM uploads WHERE bucket = ?1 AND done IS NULL)",
                    [&name],
                    |row| row.get(0),
                )?;
                if used {
                    return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty").into());
                }
                work.transaction.execute("DELETE FROM uploads WHERE bucket = ?1", [&name])?;
                work.transaction.execute("DELETE FROM buckets WHERE name = ?1", [&name])?;
                Ok(DeleteBucketOutput::default())
            })
            .await
    }
}
