//! The token function.

use app::accounts::{Accounts, LoginTimes};
use app::defender::Defender;
use app::sessions::Places;
use app::tokens::Tokens;
use domain::id::NodeId;
use functions::config::{Config, start_logging};
use functions::token::{TokenState, router};
use store::defender::Scores;
use store::messages::Messages;
use store::nodes::Nodes;
use store::records::Records;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging();
    let config = Config::from_environment()?;
    let aws = config.connect().await?;
    let records = Records::new(&aws, config.sealer.clone());
    // a token is no session: no place is ever taken
    let node = NodeId::from_random(store::clock::random());
    let places = Places::new(node, Nodes::new(&aws), store::places::Places::new(&aws));
    let defender = Defender::new(Scores::new(&aws));
    let accounts =
        Accounts::new(records.clone(), places, defender, LoginTimes::default()).announced_to(Messages::new(&aws));
    let tokens = Tokens::new(records, config.signing()?);
    lambda_http::run(router(TokenState::new(accounts, tokens))).await
}
