//! The function that makes the first accounts of a deployment.

use functions::config::{Config, start_logging};
use functions::setup::Setup;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    start_logging();
    let config = Config::from_environment()?;
    let aws = config.connect().await?;
    let setup = Setup::build(&config, &aws)?;
    let handle = |event: LambdaEvent<Value>| {
        let setup = setup.clone();
        async move { Ok::<_, lambda_runtime::Error>(setup.handle_event(event.payload).await?) }
    };
    lambda_runtime::run(service_fn(handle)).await
}
