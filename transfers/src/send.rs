//! A file as the body of an answer, whole or one range of it (RFC 9110, section 14).

use app::vfs::{Download, FileSession};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use domain::file_error::FileError;
use domain::path::VPath;
use domain::preview::shown_as;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::ops::Range;
use store::objects::Shown;
use tokio_util::sync::CancellationToken;

/// How much is read at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// What the client asks for of a file of some size.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    Part(Range<u64>),
    /// Nothing that the file has.
    Unsatisfiable,
}

/// Answers the file. `keep` lives as long as the body; the body ends, broken, when `end` is cancelled.
pub async fn send<K: Send + 'static>(
    session: &FileSession,
    path: &VPath,
    headers: &HeaderMap,
    inline: bool,
    (keep, end): (K, CancellationToken),
) -> Result<Response, FileError> {
    let download = session.open_read(path).await?;
    let bytes = download.entry().bytes;
    let (status, range) = match asked(headers, bytes) {
        Asked::Whole => (StatusCode::OK, 0..bytes),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    };
    let shown = inline.then(|| shown_as(&download.entry().name)).flatten().map_or(Shown::Saved, Shown::As);
    let (disposition, kind) = shown.headers(&download.entry().name);
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    let said = answer.headers_mut();
    let mut say = |name, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            said.insert(name, value);
        }
    };
    say(header::ACCEPT_RANGES, "bytes".to_owned());
    match status {
        StatusCode::RANGE_NOT_SATISFIABLE => {
            say(header::CONTENT_RANGE, format!("bytes */{bytes}"));
            return Ok(answer);
        }
        StatusCode::PARTIAL_CONTENT => {
            say(header::CONTENT_RANGE, format!("bytes {}-{}/{bytes}", range.start, range.end.saturating_sub(1)));
        }
        _ => {}
    }
    say(header::CONTENT_LENGTH, (range.end - range.start).to_string());
    say(header::CONTENT_DISPOSITION, disposition);
    say(header::CONTENT_TYPE, kind.to_owned());
    say(header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned());
    // what is shown runs nothing and asks for nothing
    say(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned());
    say(header::CACHE_CONTROL, "private, no-store".to_owned());
    *answer.body_mut() = body(download, range, keep, end);
    Ok(answer)
}

fn body<K: Send + 'static>(download: Download, range: Range<u64>, keep: K, end: CancellationToken) -> Body {
    let state = Some((download, range, keep));
    Body::from_stream(futures_util::stream::unfold(state, move |state| {
        let end = end.clone();
        async move {
            let (download, range, keep) = state?;
            if range.is_empty() {
                download.close().await;
                return None;
            }
            let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let read = end.run_until_cancelled(download.read(range.start, len)).await;
            match read {
                Some(Ok(chunks)) if !chunks.is_empty() => {
                    let piece = one(chunks);
                    let next = range.start + piece.len() as u64..range.end;
                    Some((Ok(piece), Some((download, next, keep))))
                }
                Some(Ok(_)) => Some((Err(std::io::Error::other("the file ended early")), None)),
                Some(Err(error)) => {
                    super::answer::log(&error);
                    Some((Err(std::io::Error::other(error)), None))
                }
                None => Some((Err(std::io::Error::other("the session was ended")), None)),
            }
        }
    }))
}

/// The chunks of one read as one piece.
pub(crate) fn one(mut chunks: Vec<Bytes>) -> Bytes {
    match chunks.len() {
        1 => chunks.pop().unwrap_or_default(),
        _ => chunks.concat().into(),
    }
}

/// The range that a request asks for. What is not one range of bytes is the whole file, as the RFC allows; so is a range that
/// depends on a version (`If-Range`), because none is told.
fn asked(headers: &HeaderMap, bytes: u64) -> Asked {
    let text = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some(spec) = text.and_then(|text| text.strip_prefix("bytes=")) else { return Asked::Whole };
    if headers.contains_key(header::IF_RANGE) || spec.contains(',') {
        return Asked::Whole;
    }
    let Some((first, last)) = spec.trim().split_once('-') else { return Asked::Whole };
    let number = |text: &str| text.parse::<u64>().ok();
    let range = match (first, last) {
        ("", last) => match number(last) {
            Some(count) => bytes.saturating_sub(count)..bytes,
            None => return Asked::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => first..bytes,
            None => return Asked::Whole,
        },
        (first, last) => match number(first).zip(number(last)) {
            Some((first, last)) if first <= last => first..last.saturating_add(1).min(bytes),
            _ => return Asked::Whole,
        },
    };
    if range.start < range.end { Asked::Part(range) } else { Asked::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_or_all() {
        let of = |range: &str, bytes| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_str(range).unwrap());
            asked(&headers, bytes)
        };
        assert_eq!(of("bytes=0-0", 10), Asked::Part(0..1));
        assert_eq!(of("bytes=2-", 10), Asked::Part(2..10));
        assert_eq!(of("bytes=-3", 10), Asked::Part(7..10));
        assert_eq!(of("bytes=-30", 10), Asked::Part(0..10));
        assert_eq!(of("bytes=5-99", 10), Asked::Part(5..10));
        for whole in ["bytes=0-1,3-4", "bytes=x-", "bytes=4-2", "bytes=-", "items=0-1", "bytes=1", "bytes=-x"] {
            assert_eq!(of(whole, 10), Asked::Whole, "{whole}");
        }
        for none in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=18446744073709551615-18446744073709551615"] {
            assert_eq!(of(none, 10), Asked::Unsatisfiable, "{none}");
        }
        assert_eq!(of("bytes=0-", 0), Asked::Unsatisfiable);
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"e\""));
        assert_eq!(asked(&headers, 10), Asked::Whole);
    }
}
