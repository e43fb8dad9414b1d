//! DynamoDB is dynoxide, behind its own HTTP server on a private loopback port. It runs SQLite inside its handlers, so
//! it has a small runtime of its own and never blocks ours. Requests go through a client with pooled connections.

use crate::Storage;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// SQLite lets one request write at a time; a second thread parses the next one meanwhile.
const THREADS: usize = 2;
const STOP_WAIT: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct DynamoDb {
    runtime: Option<Runtime>,
    server: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
    address: SocketAddr,
}

/// Sends requests to the engine.
#[derive(Clone)]
pub(crate) struct Proxy {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
}

impl DynamoDb {
    /// Blocking: opens the database.
    pub(crate) fn start(storage: &Storage) -> Result<Self, std::io::Error> {
        let database = match storage {
            Storage::Memory => dynoxide::Database::memory(),
            Storage::Folder(dir) => dynoxide::Database::new(&dir.join("dynamodb.db").to_string_lossy()),
        }
        .map_err(|error| std::io::Error::other(format!("{error:?}")))?;
        let runtime =
            Builder::new_multi_thread().worker_threads(THREADS).thread_name("offline-dynamodb").enable_all().build()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = {
            let _inside = runtime.enter();
            let listener = tokio::net::TcpListener::from_std(listener)?;
            runtime.spawn(async move {
                let stopped = async move {
                    let _ = stopped.await;
                };
                if let Err(error) = dynoxide::server::serve_with_shutdown(listener, database, stopped).await {
                    tracing::error!(%error, "the DynamoDB engine stopped");
                }
            })
        };
        Ok(Self { runtime: Some(runtime), server: Some(server), stop: Some(stop), address })
    }

    pub(crate) fn proxy(&self) -> Result<Proxy, std::io::Error> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let uri = format!("http://{}/", self.address).parse().map_err(std::io::Error::other)?;
        Ok(Proxy { client: Client::builder(TokioExecutor::new()).build(connector), uri })
    }

    /// Lets running requests finish, for a bounded time.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            let _ = tokio::time::timeout(STOP_WAIT, server).await;
        }
    }
}

impl Drop for DynamoDb {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // a plain drop would wait for its threads, which is not allowed inside another runtime
            runtime.shutdown_background();
        }
    }
}

impl Proxy {
    /// The engine's answer. The Host header stays the one the client signed.
    pub(crate) async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        // the body is whole now, whatever way it came
        request.headers_mut().remove(http::header::TRANSFER_ENCODING);
        request.headers_mut().remove(http::header::EXPECT);
        self.client.request(request).await
    }
}
