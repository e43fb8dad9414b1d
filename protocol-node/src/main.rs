//! The protocol node: settings, state, doors, and the signal to stop.

use protocol_node::config::{Config, LogFormat};
use protocol_node::ssh::{Door, Running};
use protocol_node::{host_keys, state};
use std::error::Error;
use std::process::ExitCode;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

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
    let state = state::build(&config).await?;
    let keys = host_keys(&config.host_key_secret)?;
    // before the ready line, so that a signal right after it is not lost
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let door = Door::bind(config.sftp_listen, &keys, &state, config.limits)?.open()?;
    announce(&config, &door)?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
        _ = interrupt.recv() => tracing::info!("stopping: SIGINT"),
        () = stdin_end(), if config.stop_on_stdin_eof => tracing::info!("stopping: standard input has ended"),
    }
    door.stop(config.drain).await;
    // what is not counted and announced by now, the sweep finds
    if !state.vfs.settled(config.drain).await {
        tracing::warn!("stopping with operations left to the sweep");
    }
    Ok(())
}

/// Tells a supervisor that connections are accepted, and where.
fn announce(config: &Config, door: &Running) -> Result<(), Box<dyn Error>> {
    let line = format!("listening sftp {}\n", door.address());
    print!("{line}");
    if let Some(path) = &config.ready_file {
        std::fs::write(path, &line).map_err(|error| format!("TOWPATH_READY_FILE cannot be written: {error}"))?;
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
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let set = match config.log_format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Text => log.try_init(),
    };
    set.map_err(|error| format!("the log cannot be started: {error}").into())
}
