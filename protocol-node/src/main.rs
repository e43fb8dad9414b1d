//! The protocol node: settings, state, doors, and the signal to stop.

use app::sweep::{ORPHANED_AFTER_MILLIS, Sweep};
use protocol_node::config::{Config, LogFormat};
use protocol_node::door::Doors;
use protocol_node::operation::SidePort;
use protocol_node::state::{self, Built};
use protocol_node::{ftps, host_keys, https, ssh};
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use store::clock;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use transfers::door::DoorState;

/// How long the node waits, when it stops, until everything is counted and announced.
const SETTLING: Duration = Duration::from_secs(20);
/// For taking leave: without it the node is taken for dead, somewhat later.
const FAREWELL: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("protocol-node: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let config = Config::from_environment()?;
    start_log(&config)?;
    let Built { state, known, nodes, quotas, defender, sweep } = state::build(&config).await?;
    let sweeping = tokio::spawn(sweep_on(sweep, config.sweep));
    let gone = CancellationToken::new();
    let keeping = [
        tokio::spawn(state.sessions.clone().keep(nodes, gone.clone())),
        tokio::spawn(quotas.keep(gone.clone())),
        tokio::spawn(defender.keep(gone.clone())),
    ];
    let keys = host_keys(&config.host_key_secret)?;
    // before the ready line, so that a signal right after it is not lost
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let doors = Doors::new(&state, config.limits);
    let side = config.metrics_listen.map(|at| SidePort::bind(at, &doors, &state.budget, &state.meters)).transpose()?;
    let sftp = ssh::Door::bind(config.sftp_listen, config.sftp_proxy.clone(), &keys, &doors)?;
    let ftps = config.ftps.clone().map(|settings| ftps::Door::bind(settings, &doors)).transpose()?;
    let https = match config.https.clone() {
        None => None,
        Some(settings) => {
            let routes = transfers::door::router(DoorState {
                known,
                vfs: state.vfs.clone(),
                sessions: state.sessions.clone(),
                tickets: settings.tickets.clone(),
            });
            Some(https::Door::bind(settings, routes, &doors)?)
        }
    };
    let mut open = vec![("sftp", sftp.open()?)];
    if let Some(ftps) = ftps {
        let ftps = ftps.open()?;
        open.extend([("ftps", ftps.explicit), ("ftps-implicit", ftps.implicit)]);
    }
    if let Some(https) = https {
        open.push(("https", https.open()?));
    }
    if let Some(side) = side {
        open.push(("metrics", side.address()?));
        tokio::spawn(side.serve());
    }
    announce(&config, &open)?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
        _ = interrupt.recv() => tracing::info!("stopping: SIGINT"),
        () = stdin_end(), if config.stop_on_stdin_eof => tracing::info!("stopping: standard input has ended"),
    }
    doors.stop(config.drain).await;
    sweeping.abort();
    if !state.vfs.settled(SETTLING).await {
        tracing::warn!("some operations are left to the sweep");
    }
    gone.cancel();
    let _ = tokio::time::timeout(FAREWELL, futures_util::future::join_all(keeping)).await;
    Ok(())
}

/// Finishes what crashed nodes left; every node does it, and each intent is claimed by one.
async fn sweep_on(sweep: Sweep, every: Duration) {
    let mut rounds = tokio::time::interval(every);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        let now = clock::now();
        sweep.round(now).await;
        let long_ago = now.plus_millis(-ORPHANED_AFTER_MILLIS);
        if let Err(error) = sweep.abort_orphans(long_ago, now).await {
            tracing::warn!(%error, "multipart uploads that were left behind cannot be ended now");
        }
    }
}

/// Tells a supervisor that connections are accepted, and where.
fn announce(config: &Config, open: &[(&str, SocketAddr)]) -> Result<(), Box<dyn Error>> {
    let lines: String = open.iter().map(|(door, address)| format!("listening {door} {address}\n")).collect();
    print!("{lines}");
    if let Some(path) = &config.ready_file {
        std::fs::write(path, &lines).map_err(|error| format!("TOWPATH_READY_FILE cannot be written: {error}"))?;
    }
    Ok(())
}

async fn stdin_end() {
    let mut input = tokio::io::stdin();
    let mut ignored = [0; 256];
    while let Ok(1..) = input.read(&mut ignored).await {}
}

/// Logs go to standard error: standard output is for the supervisor.
fn start_log(config: &Config) -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_new(&config.log).map_err(|error| format!("TOWPATH_LOG: {error}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match config.log_format {
        // fields at the top of the object, where queries look for them; what a session's lines have in common is in `span`
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).try_init(),
        LogFormat::Text => log.try_init(),
    };
    set.map_err(|error| format!("the log cannot be started: {error}").into())
}
