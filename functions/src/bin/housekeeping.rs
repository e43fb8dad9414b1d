//! The housekeeping function.

use functions::config::{Config, start_logging};
use functions::housekeeping::HousekeepingState;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), lambda_runtime::Error> {
    start_logging();
    let config = Config::from_environment()?;
    let aws = config.connect().await?;
    let state = HousekeepingState::build(&config, &aws)?;
    let handle = |event: LambdaEvent<Value>| {
        let state = state.clone();
        async move { Ok::<_, lambda_runtime::Error>(state.handle_event(event.payload).await?) }
    };
    lambda_runtime::run(service_fn(handle)).await
}
