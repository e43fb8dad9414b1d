//! Share links: their API in both dialects, and what visitors can do.

#![expect(clippy::indexing_slicing, reason = "a test ends at what it did not expect")]

mod links;
mod pages;
mod public;
mod uploads;
mod user;
mod visits;

use crate::support::World;
use crate::support::agrees::Exchange;
use axum::body::{Body, to_bytes};
use functions::http::auth::PeerAddress;
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tower::ServiceExt as _;

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");
const MIB: usize = 1 << 20;

/// What a visitor got.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What a browser sends back.
    fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// Follows a redirect to the bucket.
    async fn followed(&self) -> (reqwest::header::HeaderMap, Vec<u8>) {
        let answer = reqwest::get(self.header("location")).await.unwrap();
        assert_eq!(answer.status(), 200);
        (answer.headers().clone(), answer.bytes().await.unwrap().to_vec())
    }
}

impl World {
    /// Somebody out there sends a request.
    async fn visit(&self, method: &str, uri: &str, headers: &[(&str, &str)], sent: &[u8]) -> Got {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !sent.is_empty() {
            request = request.header("content-length", sent.len());
        }
        let mut request = request.body(Body::from(sent.to_vec())).unwrap();
        request.extensions_mut().insert(PeerAddress("203.0.113.7".parse().unwrap()));
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let got = to_bytes(body, 10 * MIB).await.unwrap().to_vec();
        let got = Got { status: parts.status, headers: parts.headers, body: got };
        // the pages are not in the API's document
        if uri.starts_with("/api/") {
            let answered = if got.body.is_empty() { Value::Null } else { got.json() };
            let (status, headers, sent) = (got.status, &got.headers, String::from_utf8_lossy(sent));
            Exchange { method, uri, sent: &sent, status, headers, body: &answered }.must_agree();
        }
        got
    }

    /// A file in the organization's tree, past everything.
    async fn file(&self, path: &str, content: &[u8]) {
        let key = format!("{}/files/{path}", self.organization);
        let put = self.aws.s3.put_object().bucket("files").key(key).body(content.to_vec().into());
        put.send().await.unwrap();
    }

    /// The content of a file in the tree, if it is there.
    async fn content_of(&self, path: &str) -> Option<Vec<u8>> {
        let key = format!("{}/files/{path}", self.organization);
        let got = self.aws.s3.get_object().bucket("files").key(key).send().await.ok()?;
        Some(got.body.collect().await.unwrap().to_vec())
    }

    /// A link of the organization, and the path of its address.
    async fn link(&self, fields: Value) -> (Value, String) {
        let made = self.call("POST", "/portal-links", &fields.to_string()).await.expect(201).body;
        let path = path_of(&made);
        (made, path)
    }

    async fn patch_link(&self, link: &Value, fields: Value) {
        let at = format!("/portal-links/{}", link["Id"].as_str().unwrap());
        self.call("PATCH", &at, &fields.to_string()).await.expect(200);
    }

    /// The events in the queue so far that are about links or files, as `topic actor`.
    async fn told(&self, needed: &[&str]) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut events: Vec<Value> = Vec::new();
        loop {
            for message in self.messages.queue().receive(0, 10).await.unwrap() {
                let body: Value = serde_json::from_str(&message.body).unwrap();
                self.messages.queue().delete(&[message.receipt]).await.unwrap();
                events.push(body["event"].clone());
            }
            let is_told = |topic: &&str| events.iter().any(|event| event["topic"] == **topic);
            if needed.iter().all(is_told) {
                return events;
            }
            assert!(Instant::now() < deadline, "{needed:?} in {events:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The path of a link's address.
fn path_of(link: &Value) -> String {
    link["Url"].as_str().unwrap().strip_prefix("https://api.example.com").unwrap().to_owned()
}

/// A link's folder for everybody, without limits.
fn folder(path: &str) -> Value {
    json!({ "Path": path })
}
