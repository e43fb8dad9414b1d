//! `Idempotency-Key` on POST: the same request twice has one effect, and the second is answered as the first was, but for secrets,
//! which are shown once: they are not kept, and the answer names what it leaves out.

use super::error::ApiError;
use super::extract::body;
use crate::management::ManagementState;
use app::management::{Caller, Who};
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::idempotency::{IdempotencyKey, KeptAnswer, Verdict};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use store::records::{Claim, Claimed, RecordError, Records};

const KEY: &str = "idempotency-key";
/// On an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// What such an answer leaves out.
const LEFT_OUT: HeaderName = HeaderName::from_static("towpath-left-out");

/// Fields of answers that hold secrets. (`URI` holds the password.)
const SECRETS: [&str; 7] = ["Key", "Secret", "Password", "URI", "AdminPassword", "AuthorizationHeader", "key"];

/// Headers that say what was made.
const HEADERS: [&str; 3] = ["location", "etag", "x-object-id"];

/// SFTPGo's routes that make something; of its others some answer with nothing but secrets, and some have no effect.
const THEIRS: [&str; 4] = ["/api/v2/users", "/api/v2/folders", "/api/v2/admins", "/api/v2/apikeys"];

/// An answer that is too large to be kept is as lost as one that did not arrive.
const MAX_KEPT: usize = 200 * 1024;

/// Around the routes, behind authentication.
pub(crate) async fn idempotent(State(state): State<ManagementState>, request: Request, next: Next) -> Response {
    let honoured = request.method() == Method::POST
        && request.extensions().get::<MatchedPath>().is_some_and(|path| {
            let path = path.as_str();
            path.starts_with("/organizations") || THEIRS.contains(&path)
        });
    let shown = request.headers().get(KEY).filter(|_| honoured).cloned();
    let principal = request.extensions().get::<Caller>().map(principal);
    let (Some(shown), Some(principal)) = (shown, principal) else { return next.run(request).await };
    match once(state.management().records(), &shown, &principal, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

/// Who asks: the same key of somebody else is another one.
fn principal(caller: &Caller) -> String {
    match &caller.who {
        Who::ApiKey { id, acts_as } => {
            format!("{} key {id} {}", caller.organization, acts_as.as_deref().unwrap_or_default())
        }
        Who::Admin { name, .. } => format!("{} admin {name}", caller.organization),
    }
}

async fn once(
    records: &Records,
    shown: &HeaderValue,
    principal: &str,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let bad = |problem: &str| ApiError::bad_request("Idempotency-Key", problem);
    let text = shown.to_str().map_err(|_| bad("must be printable ASCII"))?;
    let key = IdempotencyKey::parse(text).map_err(|problem| bad(&problem.to_string()))?;
    let place = key.place(principal, request.method().as_str(), request.uri().path());
    let (parts, sent) = request.into_parts();
    let bytes = body(Request::from_parts(parts.clone(), sent)).await?;
    let claimed = records.claim_request(&place, &key.body_hash(&bytes)).await.map_err(unavailable)?;
    let claim = match claimed {
        Claimed::Mine(claim) => claim,
        Claimed::Not(Verdict::Answered(answer)) => return Ok(replayed(&answer)),
        Claimed::Not(Verdict::Differs) => {
            return Err(ApiError::unprocessable("This Idempotency-Key was sent with another body"));
        }
        Claimed::Not(Verdict::AnswerLost) => {
            return Err(ApiError::conflict("This request was carried out; its answer is not known"));
        }
        Claimed::Not(Verdict::InProgress | Verdict::Free) => {
            return Err(ApiError::conflict("A request with this Idempotency-Key is in progress"));
        }
    };
    let response = claim.during(next.run(Request::from_parts(parts, Body::from(bytes)))).await;
    finished(records, &claim, response).await
}

/// Notes the answer. If that fails the client has it all the same, and a repetition is told that it is lost.
async fn finished(records: &Records, claim: &Claim, response: Response) -> Result<Response, ApiError> {
    if !response.status().is_success() {
        if let Err(error) = records.give_back(claim).await {
            tracing::warn!(%error, "an idempotency key stays claimed");
        }
        return Ok(response);
    }
    let (parts, sent) = response.into_parts();
    let bytes = to_bytes(sent, usize::MAX).await.map_err(|_| ApiError::unavailable())?;
    let mut left_out = Vec::new();
    let kept = serde_json::from_slice(&bytes).ok().map(|mut value: Value| {
        leave_out(&mut value, &mut left_out);
        value.to_string()
    });
    let headers = HEADERS.iter().filter_map(|name| {
        let value = parts.headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    let answer = KeptAnswer {
        status: parts.status.as_u16(),
        headers: headers.collect(),
        body: kept.unwrap_or_default(),
        left_out,
    };
    if answer.body.len() <= MAX_KEPT
        && let Err(error) = records.keep_answer(claim, &answer).await
    {
        tracing::warn!(%error, "an answer is not kept for repetitions of its request");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

/// Puts null in the place of secrets, and notes their names.
fn leave_out(value: &mut Value, names: &mut Vec<String>) {
    let Value::Object(fields) = value else { return };
    // who knows the address of a share link is in
    let is_link = fields.contains_key("AccessCount");
    for (name, value) in fields {
        let is_secret = SECRETS.contains(&name.as_str()) || (is_link && name == "Url");
        if is_secret && !value.is_null() {
            *value = Value::Null;
            names.push(name.clone());
        }
    }
}

fn replayed(answer: &KeptAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response =
        (status, [(http::header::CONTENT_TYPE, "application/json")], answer.body.clone()).into_response();
    let headers = response.headers_mut();
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    if let Some(Ok(names)) = (!answer.left_out.is_empty()).then(|| HeaderValue::from_str(&answer.left_out.join(", "))) {
        headers.insert(LEFT_OUT, names);
    }
    response
}

fn unavailable(error: RecordError) -> ApiError {
    tracing::error!(%error, "an idempotency key could not be claimed");
    ApiError::unavailable()
}
