//! SQS standard queues over the JSON protocol: visibility timeouts, delays, long polls, redrive to a dead-letter queue.

mod attributes;
mod digest;
mod error;
mod messages;
mod queues;
mod receive;
mod store;

use self::error::{Outcome, SqsError};
use self::store::Queues;
use crate::faults::FaultControl;
use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

pub(crate) use self::store::StoredMessages;

/// The offline SQS. Cheap to clone; clones share.
#[derive(Clone)]
pub(crate) struct Sqs {
    queues: Arc<Queues>,
}

/// Adds a field to an answer, which is always an object.
pub(super) fn add(answer: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = answer {
        fields.insert(name.to_owned(), value);
    }
}

/// What every operation may need to know about its request.
pub(super) struct Call<'a> {
    /// The host the client reached us at, for queue URLs.
    pub(super) host: &'a str,
    pub(super) body: &'a [u8],
}

impl Call<'_> {
    fn input<T: DeserializeOwned>(&self) -> Outcome<T> {
        let body = if self.body.is_empty() { b"{}".as_slice() } else { self.body };
        serde_json::from_slice(body)
            .map_err(|error| SqsError::new("InvalidParameterValueException", "MalformedInput", error.to_string()))
    }

    pub(super) fn queue_url(&self, name: &str) -> String {
        format!("http://{}/{}/{name}", self.host, crate::s3::ACCOUNT)
    }
}

impl Sqs {
    pub(crate) fn memory(region: &str, faults: FaultControl) -> Result<Self, std::io::Error> {
        Self::new(rusqlite::Connection::open_in_memory(), region, faults)
    }

    /// Blocking: opens the database.
    pub(crate) fn folder(dir: &Path, region: &str, faults: FaultControl) -> Result<Self, std::io::Error> {
        Self::new(crate::sqlite::open(&dir.join("sqs.db")), region, faults)
    }

    fn new(
        connection: Result<rusqlite::Connection, rusqlite::Error>,
        region: &str,
        faults: FaultControl,
    ) -> Result<Self, std::io::Error> {
        let queues =
            connection.and_then(|connection| Queues::new(connection, region, faults)).map_err(std::io::Error::other)?;
        Ok(Self { queues: Arc::new(queues) })
    }

    pub(crate) async fn stored(&self) -> Result<StoredMessages, std::io::Error> {
        self.queues.stored().await.map_err(std::io::Error::other)
    }

    /// Answers one request. `action` is what follows `AmazonSQS.` in the target header.
    pub(crate) async fn answer(&self, action: &str, host: &str, body: &[u8]) -> Response<Full<Bytes>> {
        match self.dispatch(action, &Call { host, body }).await {
            Ok(output) => {
                let mut response = Response::new(Full::new(Bytes::from(output.to_string())));
                response
                    .headers_mut()
                    .insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
                response
            }
            Err(error) => error.response(),
        }
    }

    async fn dispatch(&self, action: &str, call: &Call<'_>) -> Outcome<Value> {
        let queues = &self.queues;
        match action {
            "CreateQueue" => queues.create(call, call.input()?).await,
            "GetQueueUrl" => queues.url(call, call.input()?).await,
            "ListQueues" => queues.list(call, call.input()?).await,
            "DeleteQueue" => queues.delete(call.input()?).await,
            "PurgeQueue" => queues.purge(call.input()?).await,
            "GetQueueAttributes" => queues.get_attributes(call.input()?).await,
            "SetQueueAttributes" => queues.set_attributes(call.input()?).await,
            "SendMessage" => queues.send(call.input()?).await,
            "SendMessageBatch" => queues.send_batch(call.input()?).await,
            "ReceiveMessage" => queues.receive(call.input()?).await,
            "DeleteMessage" => queues.delete_message(call.input()?).await,
            "DeleteMessageBatch" => queues.delete_batch(call.input()?).await,
            "ChangeMessageVisibility" => queues.change_visibility(call.input()?).await,
            "ChangeMessageVisibilityBatch" => queues.change_visibility_batch(call.input()?).await,
            _ => Err(SqsError::new(
                "UnsupportedOperation",
                "AWS.SimpleQueueService.UnsupportedOperation",
                format!("{action} is not supported by the offline SQS"),
            )),
        }
    }
}
