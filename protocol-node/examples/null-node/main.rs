//! A node whose files are nothing, for measuring the doors and engines alone (`make bench`).
//!
//! It is the node's own doors and engines, compiled from the same files, on a [`backend`] of its own. It lives here and
//! not behind a setting, so that no production program can be told to throw files away or to let everybody in.
//!
//! `null-node 127.0.0.1:0` prints `listening sftp <address>` and ends with its standard input. With the files of a
//! certificate and its key it offers FTPS as well, and prints `listening ftps <address>`.

#![expect(unreachable_pub, reason = "what is public in the node's library is a module of a program here")]

mod backend;
#[expect(dead_code, reason = "nobody asks for the numbers that the side port shows")]
#[path = "../../src/door/mod.rs"]
mod door;
#[expect(unused_imports, reason = "types that have no name here")]
#[path = "../../src/ftps/mod.rs"]
mod ftps;
#[expect(dead_code, reason = "nobody asks for the public lines and the fingerprints here")]
#[path = "../../src/host_keys.rs"]
mod host_keys;
#[path = "../../src/sftp/mod.rs"]
mod sftp;
#[path = "../../src/ssh/mod.rs"]
mod ssh;
#[path = "../../src/sums.rs"]
mod sums;

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// What the door asks of `crate::state`.
mod state {
    /// Accounts and files, shared by all sessions.
    #[derive(Clone)]
    pub struct State {
        /// Logins.
        pub accounts: crate::backend::Accounts,
        /// Files.
        pub vfs: crate::backend::Vfs,
        /// Memory.
        pub budget: app::budget::Budget,
        /// Who has logged in.
        pub sessions: app::sessions::Sessions,
    }
}

/// More than any measurement opens, all from loopback.
const LIMITS: door::Limits = door::Limits {
    connections: 20_000,
    per_address: 20_000,
    logging_in: 20_000,
    login: Duration::from_secs(60),
    idle: Duration::from_secs(900),
};

/// The default of the node.
const BUDGET_MIB: usize = 512;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: null-node <address> [<certificate> <key>]";
    let address: SocketAddr = arguments.next().ok_or(usage)?.parse()?;
    if !address.ip().is_loopback() {
        return Err("only loopback: everybody is let in".into());
    }
    let keys = host_keys::host_keys(b"a key for measurements, known to everybody")?;
    let state = state::State {
        accounts: backend::Accounts,
        vfs: backend::Vfs::new(),
        budget: app::budget::Budget::new(BUDGET_MIB)?,
        sessions: app::sessions::Sessions::new(domain::id::NodeId::from_random([1; 16])),
    };
    let doors = door::Doors::new(&state, LIMITS);
    println!("listening sftp {}", ssh::Door::bind(address, door::Proxy::Off, &keys, &doors)?.open()?);
    if let (Some(certificate), Some(key)) = (arguments.next(), arguments.next()) {
        let settings = ftps::Settings {
            listen: address,
            implicit_listen: address,
            passive_ports: vec![0; 4],
            passive_address: None,
            reuse_required: true,
            proxy: door::Proxy::Off,
            certificate: door::CertificateFiles { certificate: certificate.into(), key: key.into() },
            ask_clients: true,
        };
        println!("listening ftps {}", ftps::Door::bind(settings, &doors)?.open()?.explicit);
    }
    let mut input = tokio::io::stdin();
    while let Ok(1..) = input.read(&mut [0; 256]).await {}
    doors.stop(Duration::from_secs(1)).await;
    Ok(())
}
