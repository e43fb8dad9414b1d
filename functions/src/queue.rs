//! Functions that are given messages of a queue.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::StreamExt as _;

/// One of them.
pub trait Handler: Sync {
    /// Messages of one batch that are worked on side by side.
    const AT_ONCE: usize;

    /// What is done for all messages of a batch at once, before each is handled. An error leaves those in the queue for which it
    /// is, by their place in the batch.
    fn all(&self, bodies: &[&str]) -> impl Future<Output = Vec<Result<(), String>>> + Send {
        std::future::ready(vec![Ok(()); bodies.len()])
    }

    /// Handles one message. An error, which is for the log, leaves it in the queue.
    fn one(&self, body: &str) -> impl Future<Output = Result<(), String>> + Send;

    /// Handles a batch; answers the messages that SQS must give again.
    fn handle(&self, batch: SqsEvent) -> impl Future<Output = SqsBatchResponse> + Send {
        async move {
            let read = |message: SqsMessage| (message.message_id.unwrap_or_default(), message.body.unwrap_or_default());
            let messages: Vec<(String, String)> = batch.records.into_iter().map(read).collect();
            let prepared = self.all(&messages.iter().map(|(_, body)| body.as_str()).collect::<Vec<_>>()).await;
            let handled = messages.into_iter().zip(prepared).map(|((id, body), prepared)| async move {
                let handled = match prepared {
                    Ok(()) => self.one(&body).await,
                    Err(failed) => Err(failed),
                };
                let failed = handled.err()?;
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
