//! `offset`, `limit` and `order` of SFTPGo's lists.

use crate::http::error::ApiError;
use app::management::Slice;
use http::Uri;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 500;

/// Reads them. Other parameters are ignored, as SFTPGo ignores them.
pub(super) fn read(uri: &Uri) -> Result<Slice, ApiError> {
    let mut page = Slice { offset: 0, limit: DEFAULT_LIMIT, descending: false };
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        match name.as_ref() {
            "offset" => {
                let offset = value.parse();
                page.offset = offset.map_err(|_| ApiError::bad_request("offset", "must be a whole number"))?;
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                let problem = "must be a whole number from 1 to 500";
                page.limit = limit.ok_or_else(|| ApiError::bad_request("limit", problem))?;
            }
            "order" => {
                page.descending = match value.as_ref() {
                    "ASC" => false,
                    "DESC" => true,
                    _ => return Err(ApiError::bad_request("order", "must be ASC or DESC")),
                };
            }
            _ => {}
        }
    }
    Ok(page)
}

/// A parameter that is on or off; off if it is not there.
pub(super) fn switch(uri: &Uri, wanted: &str) -> Result<bool, ApiError> {
    let mut pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    match pairs.find(|(name, _)| name == wanted).as_ref().map(|(_, value)| value.as_ref()) {
        None | Some("" | "0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(_) => Err(ApiError::bad_request(wanted, "must be true or false")),
    }
}
