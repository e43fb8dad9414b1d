//! Tells the services apart and lets the planned faults happen around them.

use crate::body::{drain, shared};
use crate::control;
use crate::cors::Cors;
use crate::dynamodb::Proxy;
use crate::faults::shaped::Peer;
use crate::faults::{FaultControl, Kind, Service};
use crate::s3::Store;
use crate::sqs::Sqs;
use crate::stale::StaleReads;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use s3s::service::S3Service;
use s3s::{Body, S3Error, S3ErrorCode};

/// DynamoDB takes 16 MiB; SQS needs little more than 1 MiB.
const MAX_JSON: usize = 17 * 1024 * 1024;

/// Everything a request may need.
pub(crate) struct App {
    faults: FaultControl,
    s3: S3Service,
    store: Store,
    dynamodb: Proxy,
    sqs: Sqs,
    stale: StaleReads,
    cors: Cors,
}

/// Ends the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was cut by a planned fault")]
pub(crate) struct Cut;

type Answer = Result<Response<Body>, Cut>;

impl App {
    pub(crate) fn new(
        faults: FaultControl,
        s3: S3Service,
        store: Store,
        dynamodb: Proxy,
        sqs: Sqs,
        cors: Cors,
    ) -> Self {
        Self { faults, s3, store, dynamodb, sqs, stale: StaleReads::default(), cors }
    }

    pub(crate) fn faults(&self) -> &FaultControl {
        &self.faults
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn sqs(&self) -> &Sqs {
        &self.sqs
    }

    pub(crate) async fn handle(&self, peer: &Peer, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        if path == "/_offline" || path.starts_with("/_offline/") {
            return Ok(control::answer(self, request).await);
        }
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let target = target.to_owned();
        let service = if target.starts_with("DynamoDB") {
            Service::DynamoDb
        } else if target.starts_with("AmazonSQS.") {
            Service::Sqs
        } else {
            Service::S3
        };
        peer.set(service);
        self.faults.count(service, Kind::Request);
        let planned = self.faults.common(service);
        if planned.down {
            self.faults.count(service, Kind::Refused);
            return Err(Cut);
        }
        if !planned.latency.is_zero() {
            self.faults.count(service, Kind::Delay);
            tokio::time::sleep(planned.latency).await;
        }
        if self.faults.happens(service, Kind::Error, planned.error_rate) {
            drain(request.into_body()).await;
            return Ok(throttled(service));
        }
        let lost = self.faults.happens(service, Kind::LostAnswer, planned.lost_answer_rate);
        let action = target.split_once('.').map_or("", |(_, action)| action);
        let answer = match service {
            Service::S3 => self.s3(request).await,
            Service::DynamoDb => self.dynamodb(action, request).await,
            Service::Sqs => self.sqs_answer(action, request).await,
        };
        if lost {
            drop(answer);
            if self.faults.lost_answers(service) % 2 == 1 {
                return Err(Cut);
            }
            return Ok(failed(service));
        }
        Ok(answer)
    }

    async fn s3(&self, request: Request<Incoming>) -> Response<Body> {
        if let Some(answer) = self.cors.preflight(&request) {
            return answer;
        }
        let origin = self.cors.origin(request.headers());
        let mut answer = self.s3_itself(request).await;
        Cors::open(origin, &mut answer);
        answer
    }

    async fn s3_itself(&self, request: Request<Incoming>) -> Response<Body> {
        let headers = request.headers();
        let conditional =
            headers.contains_key(http::header::IF_MATCH) || headers.contains_key(http::header::IF_NONE_MATCH);
        if conditional && !matches!(*request.method(), Method::GET | Method::HEAD) {
            let rate = self.faults.get().s3.conflict_rate;
            if self.faults.happens(Service::S3, Kind::Conflict, rate) {
                drain(request.into_body()).await;
                let message = "A conflicting conditional operation is currently in progress against this resource.";
                return s3_error(S3ErrorCode::ConditionalRequestConflict, message);
            }
        }
        let (parts, body) = request.into_parts();
        let (body, rest) = shared(body);
        let answer = match self.s3.call(Request::from_parts(parts, Body::http_body(body))).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(?error, "s3s failed");
                failed(Service::S3)
            }
        };
        if !answer.status().is_success() {
            rest.drain().await;
        }
        answer
    }

    async fn dynamodb(&self, action: &str, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let Some(body) = whole(body).await else {
            return json_error("SerializationException", "The request body is too large or was cut off.");
        };
        let rate = self.faults.get().dynamodb.conflict_rate;
        if rate > 0.0
            && let Some(conflict) = conflict(action, &body)
            && self.faults.happens(Service::DynamoDb, Kind::Conflict, rate)
        {
            return conflict;
        }
        let remember = self.stale.applies(&self.faults, action, &body);
        if remember && let Some(stale) = self.stale.instead(&self.faults, action, &body) {
            return stale;
        }
        let asked = remember.then(|| body.clone());
        match self.dynamodb.send(parts.method, parts.headers, body).await {
            Ok(answer) => match asked {
                Some(asked) => self.stale.remember(&self.faults, action, asked, answer).await,
                None => answer.map(Body::from),
            },
            Err(error) => {
                tracing::error!(%error, "the DynamoDB engine did not answer");
                failed(Service::DynamoDb)
            }
        }
    }

    async fn sqs_answer(&self, action: &str, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let Some(body) = whole(body).await else {
            return json_error("InvalidParameterValue", "The request body is too large or was cut off.");
        };
        // queue URLs lead back here and never to a real host
        let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        self.sqs.answer(action, host, &body).await.map(Body::http_body)
    }
}

async fn whole(body: Incoming) -> Option<Bytes> {
    Limited::new(body, MAX_JSON).collect().await.ok().map(|body| body.to_bytes())
}

pub(crate) fn s3_error(code: S3ErrorCode, message: &'static str) -> Response<Body> {
    S3Error::with_message(code, message).to_http_response().unwrap_or_else(|_| failed(Service::Sqs))
}

fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

fn json_error(code: &str, message: &str) -> Response<Body> {
    let body = serde_json::json!({ "__type": format!("com.amazon.coral.service#{code}"), "message": message });
    json(StatusCode::BAD_REQUEST, body.to_string())
}

/// "Slow down", in each service's own words; the SDKs retry it.
fn throttled(service: Service) -> Response<Body> {
    match service {
        Service::S3 => s3_error(S3ErrorCode::SlowDown, "Please reduce your request rate."),
        Service::DynamoDb | Service::Sqs => json_error("ThrottlingException", "Rate exceeded"),
    }
}

/// "It failed, nobody knows how far it got."
fn failed(service: Service) -> Response<Body> {
    let body =
        |code: &str| format!("{{\"__type\":\"com.amazon.coral.service#{code}\",\"message\":\"Internal error\"}}");
    match service {
        Service::S3 => s3_error(S3ErrorCode::InternalError, "We encountered an internal error. Please try again."),
        Service::DynamoDb => json(StatusCode::INTERNAL_SERVER_ERROR, body("InternalServerError")),
        Service::Sqs => json(StatusCode::INTERNAL_SERVER_ERROR, body("InternalFailure")),
    }
}

/// The conflict answer of a DynamoDB write, or None for what cannot conflict.
fn conflict(action: &str, body: &[u8]) -> Option<Response<Body>> {
    const TYPE: &str = "com.amazonaws.dynamodb.v20120810#";
    let message = "Transaction is ongoing for the item";
    match action {
        "PutItem" | "UpdateItem" | "DeleteItem" => {
            let body =
                serde_json::json!({ "__type": format!("{TYPE}TransactionConflictException"), "message": message });
            Some(json(StatusCode::BAD_REQUEST, body.to_string()))
        }
        "TransactWriteItems" => {
            let input: serde_json::Value = serde_json::from_slice(body).ok()?;
            let count = input.get("TransactItems")?.as_array()?.len();
            let codes = vec!["TransactionConflict"; count].join(", ");
            let reason = serde_json::json!({ "Code": "TransactionConflict", "Message": message });
            let body = serde_json::json!({
                "__type": format!("{TYPE}TransactionCanceledException"),
                "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"),
                "CancellationReasons": vec![reason; count],
            });
            Some(json(StatusCode::BAD_REQUEST, body.to_string()))
        }
        _ => None,
    }
}
