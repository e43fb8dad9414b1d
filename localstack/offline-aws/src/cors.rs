//! What a bucket's CORS rules let pages of other origins do, as those of the deployment's template: presigned GETs and PUTs.

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use s3s::Body;

/// What a page may send beside what browsers always may.
const HEADERS: &str = "content-type, content-md5, x-amz-checksum-crc32";

/// The origins that may.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cors(Vec<String>);

impl Cors {
    pub(crate) fn of(origins: &[String]) -> Self {
        Self(origins.to_vec())
    }

    /// The origin of a request, if it may.
    pub(crate) fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.0.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }

    /// The answer to a browser that asks before it sends; none if this is no such question.
    pub(crate) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let headers = request.headers();
        let method = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        if *request.method() != Method::OPTIONS {
            return None;
        }
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok());
        let known = |name: &str| HEADERS.split(", ").any(|known| known.eq_ignore_ascii_case(name.trim()));
        let fine = asked.unwrap_or_default().split(',').filter(|name| !name.trim().is_empty()).all(known);
        let mut answer = Response::new(Body::empty());
        match self.origin(headers).filter(|_| fine && (method == "GET" || method == "PUT")) {
            None => *answer.status_mut() = StatusCode::FORBIDDEN,
            Some(origin) => {
                let said = answer.headers_mut();
                said.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                said.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, PUT"));
                said.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS));
                said.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
            }
        }
        Some(answer)
    }

    /// Lets the page of an allowed origin read an answer.
    pub(crate) fn open(origin: Option<HeaderValue>, answer: &mut Response<Body>) {
        if let Some(origin) = origin {
            answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("ETag"));
            answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preflight(origin: &str, method: &str, headers: &str) -> Option<StatusCode> {
        let cors = Cors::of(&["http://127.0.0.1:1".to_owned()]);
        let request = Request::builder().method(Method::OPTIONS).header("origin", origin);
        let request = request.header("access-control-request-method", method);
        let request = request.header("access-control-request-headers", headers).body(()).ok()?;
        cors.preflight(&request).map(|answer| answer.status())
    }

    #[test]
    fn only_what_the_rules_say() {
        assert_eq!(preflight("http://127.0.0.1:1", "PUT", "content-type"), Some(StatusCode::OK));
        assert_eq!(preflight("http://127.0.0.1:2", "PUT", ""), Some(StatusCode::FORBIDDEN));
        assert_eq!(preflight("http://127.0.0.1:1", "DELETE", ""), Some(StatusCode::FORBIDDEN));
        assert_eq!(preflight("http://127.0.0.1:1", "PUT", "authorization"), Some(StatusCode::FORBIDDEN));
    }
}
