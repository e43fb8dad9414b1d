//! The functions without Lambda, for the development program and tests. What API Gateway and Lambda refuse is refused
//! here too, so that nothing passes in development that cannot pass in production.

use crate::http::auth::PeerAddress;
use crate::http::error::ApiError;
use crate::http::frame::dress;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use std::net::SocketAddr;
use std::time::Duration;
use store::messages::Queue;
use tokio::net::TcpListener;

/// Lambda's limit for requests and answers. A body travels as base64, which is a third longer, when it is not text.
const MAX_PAYLOAD: usize = 6 * 1024 * 1024;
/// API Gateway gives up after 30 s; one second is for its own work.
const DEADLINE: Duration = Duration::from_secs(29);

/// The limits of [`serve_http`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body after base64, each way.
    pub payload: usize,
    /// For the whole answer.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { payload: MAX_PAYLOAD, deadline: DEADLINE }
    }
}

/// Serves routers over HTTP within the limits of API Gateway and Lambda until `stop` ends; requests under way finish.
pub async fn serve_http(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = router.layer(from_fn_with_state(limits, gateway));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

/// Bytes of a body that fit `payload` as base64.
fn raw_bytes(payload: usize) -> usize {
    payload / 4 * 3
}

/// An answer that the router was not asked for.
fn gateways_own(error: ApiError, why: &'static str) -> Response {
    let id = domain::id::uuid_text(store::clock::random());
    tracing::error!(request_id = %id, why, "answered for the router");
    let mut response = error.into_response();
    dress(&mut response, &id);
    response
}

async fn gateway(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>().copied() {
        parts.extensions.insert(PeerAddress(peer.ip()));
    }
    let limit = raw_bytes(limits.payload);
    let answer = async {
        // functions get a body at once or not at all
        let Ok(body) = to_bytes(body, limit).await else {
            return gateways_own(ApiError::too_large(limit), "a body is larger than Lambda takes");
        };
        let (parts, body) = next.run(Request::from_parts(parts, Body::from(body))).await.into_parts();
        match to_bytes(body, limit).await {
            Ok(body) => Response::from_parts(parts, Body::from(body)),
            Err(_) => gateways_own(ApiError::unavailable(), "an answer is larger than Lambda can give"),
        }
    };
    match tokio::time::timeout(limits.deadline, answer).await {
        Ok(response) => response,
        Err(_) => gateways_own(ApiError::unavailable(), "a request took longer than API Gateway waits"),
    }
}

/// A function that is given messages.
pub trait Handler {
    /// Handles a batch; answers the messages that SQS must give again.
    fn handle(&self, batch: SqsEvent) -> impl Future<Output = SqsBatchResponse> + Send;
}

/// Gives a queue's messages to a function until `stop` ends, as Lambda's event source does, so many at a time: what was
/// handled is deleted, what was not stays in the queue and is given again later.
pub async fn poll_queue(messages: Queue, at_once: u8, state: impl Handler, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    loop {
        let received = tokio::select! {
            () = &mut stop => return,
            received = messages.receive(5, at_once) => received,
        };
        let received = match received {
            Ok(received) => received,
            Err(error) => {
                tracing::error!(%error, "no messages");
                tokio::select! {
                    () = &mut stop => return,
                    () = tokio::time::sleep(Duration::from_secs(1)) => continue,
                }
            }
        };
        if received.is_empty() {
            continue;
        }
        let mut batch = SqsEvent::default();
        for message in &received {
            let mut record = SqsMessage::default();
            record.message_id = Some(message.id.clone());
            record.receipt_handle = Some(message.receipt.clone());
            record.body = Some(message.body.clone());
            batch.records.push(record);
        }
        // not cut short by `stop`: a delivery under way ends within its own deadline
        let failures = state.handle(batch).await.batch_item_failures;
        let handled: Vec<String> = received
            .iter()
            .filter(|message| !failures.iter().any(|failure| failure.item_identifier == message.id))
            .map(|message| message.receipt.clone())
            .collect();
        if let Err(error) = messages.delete(&handled).await {
            tracing::error!(%error, "handled messages were not deleted and will be given again");
        }
    }
}
