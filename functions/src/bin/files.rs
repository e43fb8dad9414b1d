//! The function for files.

use functions::config::{Config, start_logging};
use functions::files::{self, FilesState};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging();
    let config = Config::from_environment()?;
    let aws = config.connect().await?;
    lambda_http::run(files::router_that_settles(FilesState::build(&config, &aws)?)).await
}
