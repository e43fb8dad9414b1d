//! The body of a request becomes a file, when all of it has come: or nothing.

use app::vfs::{FileSession, Upload, WriteMode};
use axum::body::Body;
use bytes::Bytes;
use domain::file_error::{FileError, FileErrorKind};
use domain::path::VPath;
use domain::time::Timestamp;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use std::time::Duration;

/// A client that sends nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);

/// The size that a request says its body has.
pub fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Stores the body. Answered `Ok`, it is as durable as any upload.
pub async fn receive(
    session: &FileSession,
    path: &VPath,
    body: Body,
    bytes: Option<u64>,
    modified: Option<Timestamp>,
) -> Result<(), FileError> {
    let mut upload = session.open_write(path, WriteMode::WHOLE).await?;
    match fill(&mut upload, body, bytes, modified).await {
        Ok(()) => upload.finish().await,
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

async fn fill(
    upload: &mut Upload,
    mut body: Body,
    bytes: Option<u64>,
    modified: Option<Timestamp>,
) -> Result<(), FileError> {
    if let Some(modified) = modified {
        upload.set_modified(modified)?;
    }
    if let Some(bytes) = bytes {
        upload.will_have(bytes).await?;
    }
    let mut at = 0;
    while let Some(data) = next(&mut body).await? {
        let len = data.len() as u64;
        upload.write(at, data).await?;
        at += len;
    }
    Ok(())
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, FileError> {
    let broken = |text: &'static str| FileError::new(FileErrorKind::BadRequest, text);
    loop {
        match tokio::time::timeout(SILENCE, body.frame()).await {
            Err(_) => return Err(broken("the body stopped for a minute: nothing is stored")),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(broken("the body ended early: nothing is stored")),
            Ok(Some(Ok(frame))) => {
                // trailers say nothing here
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
