//! The door with doubles behind it, and clients that do what real ones do not.

mod certificates;
mod client;
mod hostile;
mod proxied;
mod sessions;
mod transfers;

use super::{Door, Open, Settings, Times};
use crate::door::certificate_tests::files;
use crate::door::{Doors, Limits, Proxy};
use crate::doubles::{Accounts, Vfs};
use crate::state::State;
use client::Client;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// Before this a test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A deadline that is waited for.
const SHORT: Duration = Duration::from_millis(500);

struct Server {
    doors: Doors,
    open: Open,
    vfs: Vfs,
    certificate: CertificateDer<'static>,
    _folder: tempfile::TempDir,
}

/// How the server is set up.
struct Setup {
    times: Times,
    reuse_required: bool,
    passive_ports: usize,
    proxy: Proxy,
    accounts: Accounts,
    passive_address: Option<Ipv4Addr>,
    limits: Limits,
}

impl Default for Setup {
    fn default() -> Self {
        let (times, accounts) = (Times::default(), Accounts::default());
        let (passive_address, limits) = (None, Limits::default());
        Self { times, reuse_required: true, passive_ports: 3, proxy: Proxy::Off, accounts, passive_address, limits }
    }
}

impl Server {
    fn start() -> Self {
        Self::with(Setup::default())
    }

    fn with(setup: Setup) -> Self {
        let (folder, certificate) = files();
        let vfs = Vfs::default();
        let budget = app::budget::Budget::new(512).unwrap();
        let state = State {
            accounts: setup.accounts,
            vfs: vfs.clone(),
            budget,
            sessions: crate::doubles::sessions(),
            meters: Default::default(),
        };
        let doors = Doors::new(&state, setup.limits);
        let settings = Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            implicit_listen: "127.0.0.1:0".parse().unwrap(),
            passive_ports: vec![0; setup.passive_ports],
            passive_address: setup.passive_address,
            reuse_required: setup.reuse_required,
            proxy: setup.proxy,
            certificate: certificate.clone(),
            ask_clients: true,
        };
        let open = Door::bind_with(settings, &doors, setup.times).unwrap().open().unwrap();
        let certificate = CertificateDer::from_pem_file(&certificate.certificate).unwrap();
        Self { doors, open, vfs, certificate, _folder: folder }
    }

    /// Logged in over TLS 1.3, data connections private.
    async fn client(&self) -> Client {
        Client::logged_in(self, client::TLS13).await
    }

    async fn client_before_login(&self) -> Client {
        let mut client = Client::connect(self, client::TLS13).await;
        client.secure().await;
        client
    }

    /// How the uploads ended, once there are `count` of them.
    async fn ended(&self, count: usize) -> Vec<(&'static str, String)> {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let ended = self.vfs.ended.lock().unwrap().clone();
            if ended.len() >= count {
                return ended;
            }
            assert!(std::time::Instant::now() < deadline, "an upload has not ended: {ended:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7 + at / 65_536).to_le_bytes()[0]).collect()
}
