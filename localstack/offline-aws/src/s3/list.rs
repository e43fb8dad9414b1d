//! ListObjects, both versions: a range scan of the index that seeks past every common prefix, so a page costs what it
//! shows and not what the bucket holds.

use super::Store;
use super::condition::strong;
use super::failure::{Failure, Outcome};
use super::index::Work;
use crate::clock;
use rusqlite::params;
use s3s::dto::{
    CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
};
use s3s::s3_error;

const MAX_KEYS: i32 = 1000;

pub(super) struct Query {
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
    /// Everything at or before this is left out; a common prefix holding it is left out whole.
    pub(super) after: String,
    pub(super) limit: usize,
}

#[derive(Default)]
pub(super) struct Page {
    objects: Vec<Row>,
    prefixes: Vec<String>,
    /// The last entry of the page, if there are more.
    next: Option<String>,
}

struct Row {
    key: String,
    size: i64,
    etag: String,
    modified_ms: i64,
}

/// The smallest byte string greater than everything that starts with `prefix`; None when there is no such string.
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// The part of `key` that a delimiter rolls up, if any.
pub(super) fn rolled<'a>(key: &'a str, prefix: &str, delimiter: Option<&str>) -> Option<&'a str> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let rest = key.strip_prefix(prefix)?;
    let end = prefix.len() + rest.find(delimiter)? + delimiter.len();
    key.get(..end)
}

pub(super) fn scan(work: &Work<'_>, query: &Query) -> Outcome<Page> {
    let mut page = Page::default();
    if query.limit == 0 {
        return Ok(page);
    }
    // AFTER is exclusive and PREFIX inclusive; one bound does for both, because key > k is key >= k + "\0"
    let mut from = query.prefix.as_bytes().to_vec();
    if !query.after.is_empty() {
        let past = match rolled(&query.after, &query.prefix, query.delimiter.as_deref()) {
            Some(folder) => successor(folder.as_bytes()),
            None => {
                let mut past = query.after.as_bytes().to_vec();
                past.push(0);
                Some(past)
            }
        };
        match past {
            Some(past) => from = from.max(past),
            None => return Ok(page),
        }
    }
    let end = successor(query.prefix.as_bytes());
    let mut statement = work.transaction.prepare_cached(
        "SELECT key, size, etag, modified_ms FROM objects
         WHERE bucket = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3) ORDER BY key LIMIT ?4",
    )?;
    'seek: loop {
        // one more than fits tells whether there is more
        let room = query.limit.saturating_sub(page.objects.len() + page.prefixes.len()) + 1;
        let limit = i64::try_from(room).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![query.bucket, from, end, limit])?;
        while let Some(row) = rows.next()? {
            let key = String::from_utf8(row.get(0)?).map_err(|_| Failure::Broken("a key is not UTF-8"))?;
            let full = page.objects.len() + page.prefixes.len() >= query.limit;
            if full {
                page.next = page.last();
                return Ok(page);
            }
            if let Some(folder) = rolled(&key, &query.prefix, query.delimiter.as_deref()) {
                page.prefixes.push(folder.to_owned());
                let Some(past) = successor(folder.as_bytes()) else {
                    break 'seek;
                };
                from = past;
                continue 'seek;
            }
            page.objects.push(Row { key, size: row.get(1)?, etag: row.get(2)?, modified_ms: row.get(3)? });
        }
        break;
    }
    Ok(page)
}

impl Page {
    /// Entries come in key order, so the greater of the two last ones ends the page.
    fn last(&self) -> Option<String> {
        let object = self.objects.last().map(|row| &row.key);
        object.max(self.prefixes.last()).cloned()
    }

    fn contents(&self, url: bool, owner: bool) -> Vec<Object> {
        let entry = |row: &Row| Object {
            key: Some(shown(&row.key, url)),
            size: Some(row.size),
            e_tag: Some(strong(&row.etag)),
            last_modified: Some(clock::at(row.modified_ms).into()),
            storage_class: Some("STANDARD".to_owned().into()),
            owner: owner.then(|| s3s::dto::Owner { display_name: None, id: Some(super::ACCOUNT.to_owned()) }),
            ..Object::default()
        };
        self.objects.iter().map(entry).collect()
    }

    fn common(&self, url: bool) -> Vec<CommonPrefix> {
        self.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(shown(prefix, url)) }).collect()
    }
}

/// A key as a listing shows it: as it is, or form-encoded with slashes kept, which is what S3 calls `url`.
pub(super) fn shown(key: &str, url: bool) -> String {
    if !url {
        return key.to_owned();
    }
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => text.push(char::from(byte)),
            b' ' => text.push('+'),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

pub(super) fn wants_url(encoding: Option<&EncodingType>) -> Outcome<bool> {
    match encoding.map(EncodingType::as_str) {
        None => Ok(false),
        Some(EncodingType::URL) => Ok(true),
        Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request").into()),
    }
}

pub(super) fn limit(max: Option<i32>) -> Outcome<(usize, i32)> {
    let max = max.unwrap_or(MAX_KEYS);
    let Ok(limit) = usize::try_from(max.min(MAX_KEYS)) else {
        return Err(s3_error!(InvalidArgument, "Argument maxKeys must be an integer between 0 and 2147483647").into());
    };
    Ok((limit, max.min(MAX_KEYS)))
}

impl Store {
    async fn page(&self, query: Query) -> Outcome<Page> {
        self.index
            .run(move |work| {
                work.bucket(&query.bucket)?;
                scan(work, &query)
            })
            .await
    }

    pub(super) async fn list_v2(&self, input: ListObjectsV2Input) -> Outcome<ListObjectsV2Output> {
        let (limit, max_keys) = limit(input.max_keys)?;
        let url = wants_url(input.encoding_type.as_ref())?;
        let after = match &input.continuation_token {
            // tokens are opaque to clients: hex of the last entry
            Some(token) => hex::decode(token)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))?,
            None => input.start_after.clone().unwrap_or_default(),
        };
        let prefix = input.prefix.clone().unwrap_or_default();
        let query = Query { bucket: input.bucket.clone(), prefix, delimiter: input.delimiter.clone(), after, limit };
        let page = self.page(query).await?;
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            key_count: i32::try_from(page.objects.len() + page.prefixes.len()).ok(),
            max_keys: Some(max_keys),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.as_ref().map(hex::encode),
            contents: Some(page.contents(url, input.fetch_owner.unwrap_or(false))),
            common_prefixes: Some(page.common(url)),
            prefix: Some(shown(input.prefix.as_deref().unwrap_or_default(), url)),
            delimiter: input.delimiter.map(|delimiter| shown(&delimiter, url)),
            start_after: input.start_after.map(|after| shown(&after, url)),
            continuation_token: input.continuation_token,
            encoding_type: input.encoding_type,
            request_charged: None,
        })
    }

    pub(super) async fn list_v1(&self, input: ListObjectsInput) -> Outcome<ListObjectsOutput> {
        let (limit, max_keys) = limit(input.max_keys)?;
        let url = wants_url(input.encoding_type.as_ref())?;
        let query = Query {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: input.marker.clone().unwrap_or_default(),
            limit,
        };
        let page = self.page(query).await?;
        // without a delimiter clients continue after the last key themselves
        let next = page.next.as_ref().filter(|_| input.delimiter.is_some());
        Ok(ListObjectsOutput {
            name: Some(input.bucket),
            max_keys: Some(max_keys),
            is_truncated: Some(page.next.is_some()),
            next_marker: next.map(|next| shown(next, url)),
            contents: Some(page.contents(url, true)),
            common_prefixes: Some(page.common(url)),
            prefix: Some(shown(input.prefix.as_deref().unwrap_or_default(), url)),
            marker: Some(shown(input.marker.as_deref().unwrap_or_default(), url)),
            delimiter: input.delimiter.map(|delimiter| shown(&delimiter, url)),
            encoding_type: input.encoding_type,
            request_charged: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successors_pass_everything_with_the_prefix() {
        assert_eq!(successor(b"a/"), Some(b"a0".to_vec()));
        assert_eq!(successor(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(successor(b""), None);
    }

    #[test]
    fn url_form_is_the_one_s3_uses() {
        assert_eq!(shown("a b/ü+\u{1}", true), "a+b/%C3%BC%2B%01");
    }
}
