//! `make dev`: the whole of Towpath on this machine, against the offline AWS.
//!
//! The program starts the parts as processes, makes the bucket, the table and the queues, creates the first accounts,
//! writes `dev.env`, says how to use it, and stops everything in order at Ctrl-C.

mod certificate;
mod first_start;
mod part;
mod parts;
mod roles;
mod settings;
mod state_folder;
mod stop;
mod welcome;

use parts::Parts;
use settings::Settings;
use state_folder::StateFolder;
use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let mut arguments = std::env::args().skip(1).peekable();
    // the program is also two of the parts, started by itself
    let role = arguments.peek().and_then(|argument| roles::Role::named(argument));
    let outcome = match role {
        Some(role) => runtime.block_on(role.run()),
        None => runtime.block_on(run(arguments)),
    };
    // a part that reads its standard input has a thread which only ends with the process
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&*error),
    }
}

fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("make dev: {error}");
    ExitCode::FAILURE
}

async fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "the one place where this program's settings are read")]
    let settings = Settings::read(arguments, |name| std::env::var(name).ok())?;
    let mut stop = stop::Signals::listen()?;
    let folder = StateFolder::open(&settings.state)?;
    let started = tokio::select! {
        started = Parts::start(&folder, settings.ports(), settings.new_signing_key) => started?,
        signal = stop.next() => {
            eprintln!("{signal}: stopped before everything was started");
            return Ok(());
        }
    };
    let (mut parts, facts) = started;
    let env = folder.write_private("dev.env", &welcome::dev_env(&facts))?;
    print!("{}", welcome::text(&facts, &env));
    println!("ready");
    let outcome = tokio::select! {
        error = parts.unexpected_end() => Err(error.into()),
        signal = stop.next() => {
            println!("{signal}: stopping");
            Ok(())
        }
    };
    parts.stop().await;
    outcome
}
