//! DynamoDB, S3 and SQS for the real AWS SDKs on one loopback port, offline: in memory for tests, or in a folder that
//! survives the process.
//!
//! ```no_run
//! # async fn run() -> Result<(), offline_aws::StartError> {
//! let aws = offline_aws::OfflineAws::start(offline_aws::Options::default()).await?;
//! println!("AWS_ENDPOINT_URL={}", aws.endpoint());
//! aws.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! * Requests are told apart by `x-amz-target`: `DynamoDB_*` goes to dynoxide, `AmazonSQS.*` to the queues here, all else
//!   is S3. S3 requests must be signed with the configured keys (path style); the other two accept any keys.
//! * There is one account, `000000000000`. Object versions, tags, policies and FIFO queues are not supported.
//! * `GET`/`PUT /_offline/faults` reads and sets a [`FaultPlan`] as JSON, `GET /_offline/stats` counts requests, faults
//!   and what is stored, `GET /_offline/health` answers 200; `PUT /_offline/age?hours=24` makes every object older.
//! * A folder belongs to one process at a time. State survives `kill -9`; a power cut may lose the last writes.

mod body;
mod clock;
mod control;
mod cors;
mod dynamodb;
mod faults;
mod router;
mod s3;
mod server;
mod sqlite;
mod sqs;
mod stale;

pub use self::faults::{Counters, DynamoDbFaults, FaultControl, FaultPlan, S3Faults, ServiceCounters, SqsFaults};

use self::dynamodb::DynamoDb;
use self::router::App;
use self::server::Server;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use tokio::net::TcpListener;

/// How to start an instance.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen. Must be a loopback address; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Where the data lives.
    pub storage: Storage,
    /// The access key id that S3 requests must be signed with.
    pub access_key: String,
    /// The secret key that S3 requests must be signed with.
    pub secret_key: String,
    /// The region that buckets and queue ARNs name.
    pub region: String,
    /// Origins whose pages may use presigned addresses, as a bucket's CORS rules name them.
    pub cors_origins: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            storage: Storage::Memory,
            access_key: "test".to_owned(),
            secret_key: "test".to_owned(),
            region: "us-east-1".to_owned(),
            cors_origins: Vec::new(),
        }
    }
}

/// Where the data lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// Gone when the instance stops.
    Memory,
    /// Created if missing, found again at the next start.
    Folder(PathBuf),
}

/// Why an instance did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Only loopback is served: there is no real authentication here.
    #[error("offline AWS listens on loopback only, and {address} is not a loopback address")]
    NotLoopback {
        /// What was asked for.
        address: SocketAddr,
    },
    /// Somebody else listens there.
    #[error("port {port} on {ip} is taken by another process; stop it or choose another port", port = .address.port(), ip = .address.ip())]
    PortTaken {
        /// What was asked for.
        address: SocketAddr,
    },
    /// Listening failed for another reason.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The folder or a database in it cannot be opened, or another process has it open.
    #[error("cannot open the storage {storage}: {source}")]
    Storage {
        /// The folder, or `in memory`.
        storage: String,
        /// The reason.
        source: std::io::Error,
    },
}

/// A running instance. Dropping it aborts everything at once; [`OfflineAws::stop`] lets requests finish.
#[derive(Debug)]
pub struct OfflineAws {
    address: SocketAddr,
    faults: FaultControl,
    server: Server,
    dynamodb: DynamoDb,
}

impl OfflineAws {
    /// Starts an instance and returns when it answers requests.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let address = options.bind;
        if !address.ip().is_loopback() {
            return Err(StartError::NotLoopback { address });
        }
        let listener = TcpListener::bind(address).await.map_err(|source| match source.kind() {
            std::io::ErrorKind::AddrInUse => StartError::PortTaken { address },
            _ => StartError::Bind { address, source },
        })?;
        let bound = listener.local_addr().map_err(|source| StartError::Bind { address, source })?;
        let faults = FaultControl::default();
        let storage = match &options.storage {
            Storage::Memory => "in memory".to_owned(),
            Storage::Folder(folder) => folder.display().to_string(),
        };
        let opened = {
            let faults = faults.clone();
            tokio::task::spawn_blocking(move || open(&options, faults)).await
        };
        let (app, dynamodb) = opened
            .map_err(std::io::Error::other)
            .and_then(|opened| opened)
            .map_err(|source| StartError::Storage { storage, source })?;
        let server = Server::start(listener, app);
        Ok(Self { address: bound, faults, server, dynamodb })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for the SDKs: `http://127.0.0.1:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Fault injection.
    #[must_use]
    pub fn faults(&self) -> &FaultControl {
        &self.faults
    }

    /// Stops accepting, lets running requests finish for a few seconds, then closes everything.
    pub async fn stop(self) {
        self.server.stop().await;
        self.dynamodb.stop().await;
    }
}

/// Blocking: opens everything that is stored.
fn open(options: &Options, faults: FaultControl) -> Result<(App, DynamoDb), std::io::Error> {
    let region = &options.region;
    let (store, sqs) = match &options.storage {
        Storage::Memory => (s3::Store::memory(region)?, sqs::Sqs::memory(region, faults.clone())?),
        Storage::Folder(folder) => {
            // the index comes first: its lock says whether the folder is ours
            let store = s3::Store::folder(&folder.join("s3"), region)?;
            (store, sqs::Sqs::folder(folder, region, faults.clone())?)
        }
    };
    let dynamodb = DynamoDb::start(&options.storage)?;
    let service = store.service(&options.access_key, &options.secret_key);
    let cors = cors::Cors::of(&options.cors_origins);
    let app = App::new(faults, service, store, dynamodb.proxy()?, sqs, cors);
    Ok((app, dynamodb))
}
