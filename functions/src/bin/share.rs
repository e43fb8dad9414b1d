//! The function for share links: what partners see.

use functions::config::{Config, start_logging};
use functions::share::{self, ShareState};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging();
    let config = Config::from_environment()?;
    let aws = config.connect().await?;
    lambda_http::run(share::router_that_settles(ShareState::build(&config, &aws)?)).await
}
