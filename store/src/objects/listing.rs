//! The names in a folder, a page at a time.

use super::attempts::repeatedly;
use super::{ETag, ObjectError, Objects, timestamp};
use aws_sdk_s3::types::EncodingType;
use domain::access::{Action, Authorized, List};
use domain::path::{Name, ObjectKey, VPath};
use domain::time::Timestamp;

/// One page of a listing.
#[derive(Debug)]
pub struct Page {
    /// What is directly in the folder (or, for a deep listing, anywhere in it), without the folder's own marker.
    pub entries: Vec<Listed>,
    /// Whether the folder's own marker was among the keys.
    pub marker: Option<Listed>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
    /// The last key of the page, if it has any.
    pub last: Option<String>,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListFrom {
    /// At the first key.
    Start,
    /// Where the page before ended ([`Page::next`]).
    Token(String),
    /// At the first name behind this one.
    After(String),
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its path as seen from the listed folder: one segment in a listing, several in a deep one.
    pub path: VPath,
    /// What it is.
    pub kind: ListedKind,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListedKind {
    /// An object.
    File {
        /// Its size.
        bytes: u64,
        /// When S3 got it.
        modified: Timestamp,
        /// Its version.
        etag: ETag,
    },
    /// A folder: a marker object (deep listings), or a common prefix.
    Folder {
        /// The marker's version, if it was seen.
        marker: Option<ETag>,
    },
}

impl Objects {
    /// Up to 1,000 entries directly in a folder.
    pub async fn list(&self, folder: &Authorized<List>, from: ListFrom) -> Result<Page, ObjectError> {
        self.list_key(&folder.location().folder_key(), from, Some("/"), 1000).await
    }

    /// Up to 1,000 objects anywhere in a folder.
    pub async fn list_deep<A: Action>(
        &self,
        folder: &Authorized<A>,
        from: Option<String>,
    ) -> Result<Page, ObjectError> {
        let from = from.map_or(ListFrom::Start, ListFrom::Token);
        self.list_key(&folder.location().folder_key(), from, None, 1000).await
    }

    /// The same behind a key: what follows the folder's own in it.
    pub async fn list_deep_after<A: Action>(
        &self,
        folder: &Authorized<A>,
        after: Option<&str>,
    ) -> Result<Page, ObjectError> {
        let from = after.map_or(ListFrom::Start, |after| ListFrom::After(after.to_owned()));
        self.list_key(&folder.location().folder_key(), from, None, 1000).await
    }

    /// Up to 1,000 keys with this prefix, as they are, and where the next begin; for finishing the rename of a folder.
    pub async fn keys_recorded(
        &self,
        folder: &ObjectKey,
        from: Option<String>,
    ) -> Result<(Vec<ObjectKey>, Option<String>), ObjectError> {
        let page = self.list_key(folder, from.map_or(ListFrom::Start, ListFrom::Token), None, 1000).await?;
        let listed = page.marker.iter().chain(&page.entries);
        let keys = listed.filter_map(|one| {
            let slash = if one.path.is_root() || matches!(one.kind, ListedKind::File { .. }) { "" } else { "/" };
            folder.inside(&format!("{}{slash}", one.path.relative()))
        });
        Ok((keys.collect(), page.next))
    }

    /// Up to 1,000 files anywhere in a folder whose keys come after `after`, with their sizes; and whether there are more. For
    /// counting them.
    pub async fn sizes_recorded(
        &self,
        folder: &ObjectKey,
        after: Option<&str>,
    ) -> Result<(Vec<(String, u64)>, Option<String>), ObjectError> {
        let after = after.and_then(|key| folder.below(key)).filter(|below| !below.is_empty());
        let from = after.map_or(ListFrom::Start, |below| ListFrom::After(below.to_owned()));
        let page = self.list_key(folder, from, None, 1000).await?;
        let files = page.entries.iter().filter_map(|one| match one.kind {
            ListedKind::File { bytes, .. } => Some((folder.inside(one.path.relative())?.as_str().to_owned(), bytes)),
            ListedKind::Folder { .. } => None,
        });
        Ok((files.collect(), page.last.filter(|_| page.next.is_some())))
    }

    /// The first keys in a folder, marker included: enough to tell whether it exists and whether it is empty.
    pub async fn peek<A: Action>(&self, folder: &Authorized<A>) -> Result<Page, ObjectError> {
        self.list_key(&folder.location().folder_key(), ListFrom::Start, None, 2).await
    }

    async fn list_key(
        &self,
        prefix: &ObjectKey,
        from: ListFrom,
        delimiter: Option<&str>,
        limit: i32,
    ) -> Result<Page, ObjectError> {
        let (token, after) = match from {
            ListFrom::Start => (None, None),
            ListFrom::Token(token) => (Some(token), None),
            ListFrom::After(name) => (None, Some(format!("{}{name}", prefix.as_str()))),
        };
        let request = self
            .once
            .list_objects_v2()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.owner.clone())
            .prefix(prefix.as_str())
            .set_delimiter(delimiter.map(str::to_owned))
            .set_continuation_token(token)
            .set_start_after(after)
            .max_keys(limit)
            // keys that somebody else put there may hold characters that XML cannot carry
            .encoding_type(EncodingType::Url);
        let answer = repeatedly(async || Ok(request.clone().send().await?)).await?;
        let last = answer.contents().last().and_then(|object| decode(object.key()?));
        let mut page = Page { entries: Vec::new(), marker: None, next: None, last };
        for object in answer.contents() {
            let Some((relative, folder)) = object.key().and_then(|key| relative(prefix, key)) else {
                continue;
            };
            let etag = ETag::new(object.e_tag().unwrap_or_default());
            let kind = if folder {
                ListedKind::Folder { marker: Some(etag) }
            } else {
                let bytes = u64::try_from(object.size().unwrap_or(0)).unwrap_or(0);
                ListedKind::File { bytes, modified: timestamp(object.last_modified()), etag }
            };
            let listed = Listed { path: relative, kind };
            if listed.path.is_root() {
                page.marker = Some(listed);
            } else {
                page.entries.push(listed);
            }
        }
        for common in answer.common_prefixes() {
            if let Some((relative, _)) = common.prefix().and_then(|key| relative(prefix, key))
                && !relative.is_root()
            {
                page.entries.push(Listed { path: relative, kind: ListedKind::Folder { marker: None } });
            }
        }
        if answer.is_truncated() == Some(true) {
            page.next = answer.next_continuation_token().map(str::to_owned);
        }
        Ok(page)
    }
}

/// A listed key as a path below the prefix, and whether it ends in `/`. `None` for a key that no path can name (put
/// there by somebody else, with a control character or an empty segment): it is not shown, rather than shown wrongly.
fn relative(prefix: &ObjectKey, encoded: &str) -> Option<(VPath, bool)> {
    let key = decode(encoded)?;
    let rest = prefix.below(&key)?;
    if rest.is_empty() {
        return Some((VPath::root(), true));
    }
    let (path, folder) = match rest.strip_suffix('/') {
        Some(path) => (path, true),
        None => (rest, false),
    };
    if path.split('/').any(|segment| Name::parse(segment).is_err()) {
        return None;
    }
    Some((VPath::parse(path).ok()?, folder))
}

/// S3's `encoding-type=url`: percent-encoding with `+` for a space.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (rest.next()?, rest.next()?);
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(high)? * 16 + digit(low)?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::OrganizationId;

    fn prefix() -> ObjectKey {
        let organization = OrganizationId::from_random([1; 16]);
        ObjectKey::from_record(&organization, format!("{organization}/files/in/")).unwrap()
    }

    fn below(rest: &str) -> Option<(String, bool)> {
        relative(&prefix(), &format!("{}{rest}", prefix().as_str())).map(|(path, folder)| (path.to_string(), folder))
    }

    #[test]
    fn listed_keys_become_paths() {
        assert_eq!(below(""), Some(("/".into(), true)));
        assert_eq!(below("a%2Bb+c%25.txt"), Some(("/a+b c%.txt".into(), false)));
        assert_eq!(below("sub/"), Some(("/sub".into(), true)));
        assert_eq!(below("sub/%C3%A4"), Some(("/sub/ä".into(), false)));
    }

    #[test]
    fn keys_that_no_path_names_are_not_shown() {
        for odd in ["a//b", "../x", "a%00b", "%FF", "a%2", "./x", "/lead", "a/../b"] {
            assert_eq!(below(odd), None, "{odd}");
        }
    }
}
