//! The control pages under `/_offline/`. No bucket can have that name.

use crate::faults::FaultPlan;
use crate::router::App;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use s3s::Body;
use serde::Serialize;

const MAX_PLAN: usize = 64 * 1024;

pub(crate) async fn answer(app: &App, request: Request<Incoming>) -> Response<Body> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    match (method, path.as_str()) {
        (Method::GET | Method::HEAD, "/_offline/health") => text(StatusCode::OK, "ok\n".to_owned()),
        (Method::GET, "/_offline/faults") => page(&app.faults().get()),
        (Method::PUT, "/_offline/faults") => set_faults(app, request).await,
        (Method::GET, "/_offline/stats") => stats(app).await,
        (Method::PUT, "/_offline/age") => age(app, request.uri().query().unwrap_or_default()).await,
        (_, "/_offline/age" | "/_offline/health" | "/_offline/faults" | "/_offline/stats") => {
            text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n".to_owned())
        }
        _ => text(StatusCode::NOT_FOUND, "there is no such page\n".to_owned()),
    }
}

async fn set_faults(app: &App, request: Request<Incoming>) -> Response<Body> {
    let Ok(body) = Limited::new(request.into_body(), MAX_PLAN).collect().await else {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "a plan is at most 64 KiB of JSON\n".to_owned());
    };
    match serde_json::from_slice::<FaultPlan>(&body.to_bytes()) {
        Ok(plan) => {
            app.faults().set(plan);
            page(&app.faults().get())
        }
        Err(error) => text(StatusCode::BAD_REQUEST, format!("not a fault plan: {error}\n")),
    }
}

/// `hours=<n>`: what is stored by now came so much earlier.
async fn age(app: &App, query: &str) -> Response<Body> {
    let Some(hours) = query.strip_prefix("hours=").and_then(|hours| hours.parse::<u32>().ok()) else {
        return text(StatusCode::BAD_REQUEST, "say by how much: hours=24\n".to_owned());
    };
    match app.store().age(i64::from(hours) * 3_600_000).await {
        Ok(objects) => text(StatusCode::OK, format!("{objects} objects are {hours} hours older\n")),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

async fn stats(app: &App) -> Response<Body> {
    match (app.store().stored().await, app.sqs().stored().await) {
        (Ok(s3), Ok(sqs)) => page(&serde_json::json!({ "counters": app.faults().counters(), "s3": s3, "sqs": sqs })),
        (Err(error), _) | (_, Err(error)) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn page(value: &impl Serialize) -> Response<Body> {
    match serde_json::to_string_pretty(value) {
        Ok(body) => typed(StatusCode::OK, body + "\n", "application/json"),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn text(status: StatusCode, body: String) -> Response<Body> {
    typed(status, body, "text/plain; charset=utf-8")
}

fn typed(status: StatusCode, body: String, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
