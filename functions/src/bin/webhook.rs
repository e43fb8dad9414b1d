//! The webhook function.

use aws_lambda_events::sqs::SqsEvent;
use functions::config::{Config, start_logging};
use functions::queue::Handler as _;
use functions::webhook::{Egress, WebhookState};
use lambda_runtime::{LambdaEvent, service_fn};
use store::event_bus::EventBus;
use store::events::Events;
use store::mail::Mail;
use store::messages::Messages;
use store::records::Records;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), lambda_runtime::Error> {
    start_logging();
    let config = Config::from_environment()?;
    let aws = config.connect().await?;
    let records = Records::new(&aws, config.sealer.clone());
    let bus = config.event_bus.as_ref().map(|name| EventBus::new(&aws, name));
    let egress = Egress::new(config.address_policy)?;
    let state =
        WebhookState::new(records, Messages::new(&aws), Events::new(&aws), Mail::new(&aws), egress).with_event_bus(bus);
    let handle = |event: LambdaEvent<SqsEvent>| {
        let state = state.clone();
        async move { Ok::<_, lambda_runtime::Error>(state.handle(event.payload).await) }
    };
    lambda_runtime::run(service_fn(handle)).await
}
