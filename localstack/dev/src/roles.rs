//! The parts that are this program itself: the offline AWS, and the functions behind a local HTTP server.

use crate::stop::asked_to_stop;
use app::accounts::{Accounts, LoginTimes};
use app::defender::Defender;
use app::management::Management;
use app::sessions::Places;
use app::tokens::Tokens;
use domain::id::NodeId;
use functions::config::Config;
use functions::files::FilesState;
use functions::housekeeping::HousekeepingState;
use functions::local::{Limits, poll_queue, serve_http};
use functions::management::ManagementState;
use functions::share::ShareState;
use functions::token::TokenState;
use functions::webhook::{Egress, WebhookState};
use offline_aws::{OfflineAws, Options, Storage};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use store::defender::Scores;
use store::events::Events;
use store::mail::Mail;
use store::messages::{JobMessages, Messages};
use store::nodes::Nodes;
use store::records::Records;
use tokio::sync::watch;

/// How many batches of messages are handled at the same time, as Lambda would run that many instances.
const POLLERS: usize = 5;
/// The same for deliveries to slow receivers.
const SLOW_POLLERS: usize = 2;
/// The same for jobs.
const WORKERS: usize = 2;
/// How often the housekeeping function is called.
const SCHEDULE: Duration = Duration::from_secs(60);

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// DynamoDB, S3 and SQS.
    OfflineAws,
    /// All functions as local HTTP, and the queue's messages.
    Functions,
}

impl Role {
    /// The argument that selects it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OfflineAws => "offline-aws",
            Self::Functions => "functions",
        }
    }

    /// The role of that argument.
    pub(crate) fn named(argument: &str) -> Option<Self> {
        [Self::OfflineAws, Self::Functions].into_iter().find(|role| role.name() == argument)
    }

    /// Runs until its supervisor ends or a signal comes.
    pub(crate) async fn run(self) -> Result<(), Box<dyn Error>> {
        start_log()?;
        match self {
            Self::OfflineAws => offline_aws().await,
            Self::Functions => functions().await,
        }
    }
}

async fn offline_aws() -> Result<(), Box<dyn Error>> {
    let bind = variable("TOWPATH_DEV_LISTEN")?.parse()?;
    let storage = Storage::Folder(PathBuf::from(variable("TOWPATH_DEV_FOLDER")?));
    let cors_origins = vec![variable("TOWPATH_API_URL")?];
    let offline = OfflineAws::start(Options { bind, storage, cors_origins, ..Options::default() }).await?;
    println!("listening aws {}", offline.address());
    asked_to_stop().await?;
    offline.stop().await;
    Ok(())
}

async fn functions() -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind(variable("TOWPATH_API_LISTEN")?).await?;
    let config = Config::from_environment()?;
    let aws = config.connect().await?;
    let records = Records::new(&aws, config.sealer.clone());
    let messages = Messages::new(&aws);
    let management = Management::new(records.clone(), &aws, config.address_policy);
    let tokens = Tokens::new(records.clone(), config.signing()?);
    let management = ManagementState::new(management, tokens.clone(), &config.sftp_host, config.sftp_port);
    let places = store::places::Places::new(&aws);
    let places = Places::new(NodeId::from_random(store::clock::random()), Nodes::new(&aws), places);
    let defender = Defender::new(Scores::new(&aws));
    let accounts =
        Accounts::new(records.clone(), places, defender, LoginTimes::default()).announced_to(Messages::new(&aws));
    let files = FilesState::build(&config, &aws)?;
    let share = ShareState::build(&config, &aws)?;
    let router = functions::router(management, TokenState::new(accounts, tokens), files, share);
    let (events, mail) = (Events::new(&aws), Mail::new(&aws));
    let webhooks = WebhookState::new(records, messages.clone(), events, mail, Egress::new(config.address_policy)?);
    let housekeeping = HousekeepingState::build(&config, &aws)?;
    let (stop, stopped) = watch::channel(false);
    let until_stopped = || {
        let mut stopped = stopped.clone();
        // an error means that the sender is gone, which is an end as well
        async move { drop(stopped.wait_for(|stop| *stop).await) }
    };
    println!("listening api {}", listener.local_addr()?);
    let http = tokio::spawn(serve_http(listener, router, Limits::default(), until_stopped()));
    let events = messages.queue();
    let deliver = || tokio::spawn(poll_queue(events.clone(), 10, webhooks.clone(), until_stopped()));
    let mut pollers: Vec<_> = (0..POLLERS).map(|_| deliver()).collect();
    let slow = || tokio::spawn(poll_queue(messages.slow_queue().clone(), 10, webhooks.clone(), until_stopped()));
    pollers.extend((0..SLOW_POLLERS).map(|_| slow()));
    let jobs = JobMessages::new(&aws);
    let work = || tokio::spawn(poll_queue(jobs.queue().clone(), 1, housekeeping.clone(), until_stopped()));
    pollers.extend((0..WORKERS).map(|_| work()));
    pollers.push(tokio::spawn(schedule(housekeeping.clone(), until_stopped())));
    asked_to_stop().await?;
    stop.send_replace(true);
    for poller in pollers {
        poller.await?;
    }
    Ok(http.await??)
}

/// Calls the housekeeping function as the deployment's schedule does.
async fn schedule(housekeeping: HousekeepingState, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    let mut minutes = tokio::time::interval(SCHEDULE);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = minutes.tick() => housekeeping.tick().await,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the settings of this program's own parts")]
fn variable(name: &'static str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("{name} is not set"))
}

/// Logs go to standard error, which the supervisor keeps in a file.
fn start_log() -> Result<(), Box<dyn Error>> {
    let log =
        tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).with_max_level(tracing::Level::INFO);
    log.try_init().map_err(|error| format!("the log cannot be started: {error}").into())
}
