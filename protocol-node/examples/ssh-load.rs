//! A client that asks of an SSH server what no ordinary client can (`make bench`): thousands of handshakes, thousands of
//! idle sessions, and the time until a listing's first entries. What it measures goes to standard output as JSON.
//!
//! ```text
//! ssh-load handshakes <address> <key exchange> <count> <at a time>
//! ssh-load idle <address> <user> <key file> <count>       prints `ready`, ends with its standard input
//! ssh-load list <address> <user> <key file> <path>
//! ```

use russh::client::{self, AuthResult, Handle};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, load_secret_key};
use russh::{Disconnect, Preferred, kex};
use std::borrow::Cow;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Sessions from one loopback address; the node allows 200.
const PER_ADDRESS: usize = 100;
/// Logins at the same time.
const LOGGING_IN: usize = 16;

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _: &russh::keys::PublicKeyOrCertificate,
    ) -> std::result::Result<bool, russh::Error> {
        Ok(true)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["handshakes", address, kex, count, at_a_time] => {
            handshakes(address.parse()?, kex, count.parse()?, at_a_time.parse()?).await
        }
        ["idle", address, user, key, count] => idle(address.parse()?, user, key, count.parse()?).await,
        ["list", address, user, key, path] => list(address.parse()?, user, key, path).await,
        _ => Err("usage: see the head of ssh-load.rs".into()),
    }
}

fn config(kex: Option<kex::Name>) -> Arc<client::Config> {
    let mut config = client::Config { nodelay: true, window_size: 2 * 1024 * 1024, ..client::Config::default() };
    if let Some(kex) = kex {
        config.preferred = Preferred { kex: Cow::Owned(vec![kex]), ..Preferred::DEFAULT };
    }
    Arc::new(config)
}

/// A connection; the `number`-th of many comes from an address that few others come from.
async fn connect(address: SocketAddr, number: usize, config: Arc<client::Config>) -> Result<Handle<Trusting>> {
    let socket = TcpSocket::new_v4()?;
    if address.ip().is_loopback() {
        let last = u8::try_from(number / PER_ADDRESS % 200 + 2)?;
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)))?;
    }
    let stream: TcpStream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(client::connect_stream(config, stream, Trusting).await?)
}

/// From the connection to the answer to the first question of a login, which is refused.
async fn handshakes(address: SocketAddr, kex: &str, count: usize, at_a_time: usize) -> Result<()> {
    let kex = kex::Name::try_from(kex).map_err(|()| "unknown key exchange")?;
    let (config, places) = (config(Some(kex)), Arc::new(Semaphore::new(at_a_time)));
    let (started, mut tasks) = (Instant::now(), JoinSet::new());
    for number in 0..count {
        let place = Arc::clone(&places).acquire_owned().await?;
        let config = Arc::clone(&config);
        tasks.spawn(async move {
            let mut session = connect(address, number, config).await?;
            let refused = matches!(session.authenticate_none("nobody").await?, AuthResult::Failure { .. });
            session.disconnect(Disconnect::ByApplication, "", "").await?;
            drop(place);
            if refused { Ok::<_, Box<dyn Error + Send + Sync>>(()) } else { Err("logged in without a key".into()) }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    println!(r#"{{"seconds": {:.3}}}"#, started.elapsed().as_secs_f64());
    Ok(())
}

struct Sftp {
    _session: Handle<Trusting>,
    stream: russh::ChannelStream<client::Msg>,
}

impl Sftp {
    async fn open(address: SocketAddr, number: usize, user: &str, key: Arc<PrivateKey>) -> Result<Self> {
        let mut session = connect(address, number, config(None)).await?;
        let login = session.authenticate_publickey(user, PrivateKeyWithHashAlg::new(key, None)).await?;
        if !matches!(login, AuthResult::Success) {
            return Err("the login was refused".into());
        }
        let channel = session.channel_open_session().await?;
        channel.request_subsystem(true, "sftp").await?;
        let mut sftp = Self { _session: session, stream: channel.into_stream() };
        sftp.send(&[1, 0, 0, 0, 3]).await?;
        match sftp.receive().await?.first() {
            Some(2) => Ok(sftp),
            _ => Err("no SFTP version".into()),
        }
    }

    async fn send(&mut self, body: &[u8]) -> Result<()> {
        let mut frame = u32::try_from(body.len())?.to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        self.stream.write_all(&frame).await?;
        Ok(self.stream.flush().await?)
    }

    async fn receive(&mut self) -> Result<Vec<u8>> {
        let mut body = vec![0; usize::try_from(self.stream.read_u32().await?)?];
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }
}

async fn idle(address: SocketAddr, user: &str, key: &str, count: usize) -> Result<()> {
    let (key, places) = (Arc::new(load_secret_key(key, None)?), Arc::new(Semaphore::new(LOGGING_IN)));
    let mut opening = JoinSet::new();
    for number in 0..count {
        let (place, key, user) = (Arc::clone(&places).acquire_owned().await?, Arc::clone(&key), user.to_owned());
        opening.spawn(async move {
            let sftp = Sftp::open(address, number, &user, key).await;
            drop(place);
            sftp
        });
    }
    let mut open = Vec::with_capacity(count);
    while let Some(done) = opening.join_next().await {
        open.push(done??);
    }
    println!("ready");
    let mut input = tokio::io::stdin();
    while let Ok(1..) = input.read(&mut [0; 256]).await {}
    Ok(())
}

/// OPENDIR, then READDIR after READDIR as clients do it, and when the first entries came.
async fn list(address: SocketAddr, user: &str, key: &str, path: &str) -> Result<()> {
    let mut sftp = Sftp::open(address, 0, user, Arc::new(load_secret_key(key, None)?)).await?;
    let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes()[..], bytes].concat();
    let started = Instant::now();
    sftp.send(&[&[11, 0, 0, 0, 1][..], &string(path.as_bytes())].concat()).await?;
    let opened = sftp.receive().await?;
    let Some((102, handle)) = opened.split_first().map(|(kind, rest)| (*kind, rest.get(8..).unwrap_or_default()))
    else {
        return Err(format!("{path} cannot be listed").into());
    };
    let (handle, mut first, mut entries) = (string(handle), None::<Duration>, 0_u64);
    loop {
        sftp.send(&[&[12, 0, 0, 0, 2][..], &handle].concat()).await?;
        let answer = sftp.receive().await?;
        // NAME, or the status EOF
        match *answer {
            [104, _, _, _, _, a, b, c, d, ..] => {
                first.get_or_insert_with(|| started.elapsed());
                entries += u64::from(u32::from_be_bytes([a, b, c, d]));
            }
            [101, _, _, _, _, 0, 0, 0, 1, ..] => break,
            _ => return Err("the listing failed".into()),
        }
    }
    let (first, total) = (first.unwrap_or_default().as_secs_f64(), started.elapsed().as_secs_f64());
    println!(r#"{{"entries": {entries}, "first_s": {first:.4}, "total_s": {total:.3}}}"#);
    Ok(())
}
