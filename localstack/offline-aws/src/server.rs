//! The listener and its connections. At the end of an instance every connection ends with it: `stop` waits for running
//! requests for a bounded time, dropping waits for nothing.

use crate::faults::shaped::{Peer, Shaped};
use crate::router::App;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

const STOP_WAIT: Duration = Duration::from_secs(3);
/// After a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct Server {
    task: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, app: App) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { task: tokio::spawn(accept(listener, Arc::new(app), stopped)), stop: Some(stop) }
    }

    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        // the task bounds itself
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // its JoinSet goes with it, and with that every connection
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, app: Arc<App>, mut stopped: oneshot::Receiver<()>) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, app.clone(), graceful.watcher()));
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = &mut stopped => break,
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(STOP_WAIT, graceful.shutdown()).await;
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, app: Arc<App>, watcher: hyper_util::server::graceful::Watcher) {
    let _ = stream.set_nodelay(true);
    let peer = Peer::default();
    let io = TokioIo::new(Shaped::new(stream, app.faults().clone(), peer.clone()));
    let service = service_fn(move |request| {
        let (app, peer) = (app.clone(), peer.clone());
        async move { app.handle(&peer, request).await }
    });
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service);
    if let Err(error) = watcher.watch(connection).await {
        // clients that go away, and answers that are cut on purpose
        tracing::debug!(%error, "a connection ended");
    }
}
