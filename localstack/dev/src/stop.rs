//! The signals that end the program.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM, caught from the start.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Catches them.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The name of the next one.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Waits for the end of the supervisor, which holds the other end of standard input, or for a signal.
pub(crate) async fn asked_to_stop() -> std::io::Result<()> {
    use tokio::io::AsyncReadExt as _;
    let mut signals = Signals::listen()?;
    let mut input = tokio::io::stdin();
    let mut ignored = [0; 64];
    let end = async { while let Ok(1..) = input.read(&mut ignored).await {} };
    tokio::select! {
        () = end => {}
        _ = signals.next() => {}
    }
    Ok(())
}
