//! ListMultipartUploads: the open uploads by key, then by id.

use super::Store;
use super::failure::Outcome;
use super::index::Work;
use super::list;
use crate::clock;
use rusqlite::params;
use s3s::dto::{CommonPrefix, ListMultipartUploadsInput, ListMultipartUploadsOutput, MultipartUpload};

impl Store {
    pub(super) async fn all_uploads(&self, input: ListMultipartUploadsInput) -> Outcome<ListMultipartUploadsOutput> {
        let (limit, max_uploads) = list::limit(input.max_uploads)?;
        let url = list::wants_url(input.encoding_type.as_ref())?;
        self.index
            .run(move |work| {
                work.bucket(&input.bucket)?;
                let page = uploads_page(work, &input, limit)?;
                Ok(ListMultipartUploadsOutput {
                    bucket: Some(input.bucket),
                    max_uploads: Some(max_uploads),
                    is_truncated: Some(page.truncated),
                    next_key_marker: page.next.as_ref().map(|(key, _)| list::shown(key, url)),
                    next_upload_id_marker: page.next.map(|(_, id)| id),
                    uploads: Some(
                        page.uploads
                            .into_iter()
                            .map(|(key, id, created_ms)| MultipartUpload {
                                key: Some(list::shown(&key, url)),
                                upload_id: Some(id),
                                initiated: Some(clock::at(created_ms).into()),
                                storage_class: Some("STANDARD".to_owned().into()),
                                ..MultipartUpload::default()
                            })
                            .collect(),
                    ),
                    common_prefixes: Some(
                        page.prefixes
                            .iter()
                            .map(|prefix| CommonPrefix { prefix: Some(list::shown(prefix, url)) })
                            .collect(),
                    ),
                    prefix: input.prefix.map(|prefix| list::shown(&prefix, url)),
                    delimiter: input.delimiter,
                    key_marker: input.key_marker,
                    upload_id_marker: input.upload_id_marker,
                    encoding_type: input.encoding_type,
                    request_charged: None,
                })
            })
            .await
    }
}

#[derive(Default)]
struct UploadsPage {
    uploads: Vec<(String, String, i64)>,
    prefixes: Vec<String>,
    truncated: bool,
    next: Option<(String, String)>,
}

fn uploads_page(work: &Work<'_>, input: &ListMultipartUploadsInput, limit: usize) -> Outcome<UploadsPage> {
    let prefix = input.prefix.clone().unwrap_or_default();
    let marker = input.key_marker.clone().unwrap_or_default();
    // an upload id says where to go on among the uploads of one key; without it the marker's key is past
    let id_marker = input.upload_id_marker.clone().filter(|_| !marker.is_empty());
    let mut statement = work.transaction.prepare_cached(
        "SELECT key, id, created_ms FROM uploads WHERE bucket = ?1 AND done IS NULL AND key >= ?2
           AND (?3 IS NULL OR key < ?3)
           AND (key > ?4 OR (?5 IS NOT NULL AND key = ?4 AND id > ?5) OR length(?4) = 0) ORDER BY key, id",
    )?;
    let end = list::successor(prefix.as_bytes());
    let from = prefix.as_bytes().max(marker.as_bytes());
    let mut rows = statement.query(params![input.bucket, from, end, marker.as_bytes(), id_marker])?;
    let mut page = UploadsPage::default();
    while let Some(row) = rows.next()? {
        let key = String::from_utf8_lossy(&row.get::<_, Vec<u8>>(0)?).into_owned();
        let id: String = row.get(1)?;
        let folder = list::rolled(&key, &prefix, input.delimiter.as_deref());
        if folder
            .is_some_and(|folder| folder <= marker.as_str() || page.prefixes.last().is_some_and(|last| last == folder))
        {
            continue;
        }
        if page.uploads.len() + page.prefixes.len() >= limit {
            page.truncated = true;
            break;
        }
        match folder {
            Some(folder) => {
                page.next = Some((folder.to_owned(), String::new()));
                page.prefixes.push(folder.to_owned());
            }
            None => {
                page.next = Some((key.clone(), id.clone()));
                page.uploads.push((key, id, row.get(2)?));
            }
        }
    }
    if !page.truncated {
        page.next = None;
    }
    Ok(page)
}
