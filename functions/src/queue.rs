//! Functions that are given messages of a queue.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::StreamExt as _;

/// One of them.
pub trait Handler: Sync {
    /// Messages of one batch that are worked on side by side.
    const AT_ONCE: usize;

    /// Handles one message. An error, which is for the log, leaves it in the queue.
    fn one(&self, body: &str) -> impl Future<Output = Result<(), String>> + Send;

    /// Handles a batch; answers the messages that SQS must give again.
    fn handle(&self, batch: SqsEvent) -> impl Future<Output = SqsBatchResponse> + Send {
        async move {
            let handled = batch.records.into_iter().map(|message: SqsMessage| async move {
                let id = message.message_id.unwrap_or_default();
                let failed = self.one(&message.body.unwrap_or_default()).await.err()?;
                tracing::error!(message = id, error = failed, "a queue message was not handled");
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = id;
                Some(failure)
            });
            let outcomes = futures_util::stream::iter(handled).buffer_unordered(Self::AT_ONCE);
            let mut response = SqsBatchResponse::default();
            response.batch_item_failures = outcomes.filter_map(std::future::ready).collect().await;
            response
        }
    }
}
