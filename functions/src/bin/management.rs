//! The management function.

use app::management::Management;
use app::tokens::Tokens;
use functions::config::{Config, start_logging};
use functions::management::{ManagementState, router};
use store::records::Records;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging();
    let config = Config::from_environment()?;
    let aws = config.connect().await?;
    let records = Records::new(&aws, config.sealer.clone());
    config.jobs_queue()?;
    let management = Management::new(records.clone(), &aws, config.address_policy);
    let state =
        ManagementState::new(management, Tokens::new(records, config.signing()?), &config.sftp_host, config.sftp_port);
    lambda_http::run(router(state.with_share_base(&config.share_base()?))).await
}
