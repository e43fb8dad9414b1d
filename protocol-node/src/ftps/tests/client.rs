//! A client of FTPS whose every step can be left out. Like others of its kind, the TLS library behind it uses each ticket of
//! TLS 1.3 once.

use super::{PATIENCE, Server};
use crate::doubles::PASSWORD;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

pub(super) const TLS13: &SupportedProtocolVersion = &version::TLS13;
pub(super) const TLS12: &SupportedProtocolVersion = &version::TLS12;

pub(super) struct Client {
    wire: Wire,
    tls: TlsConnector,
    pub(super) address: SocketAddr,
}

enum Wire {
    Clear(BufReader<TcpStream>),
    Tls(Box<BufReader<TlsStream<TcpStream>>>),
    Gone,
}

pub(super) type Data = TlsStream<TcpStream>;

/// A client's certificate, the rest of its chain, and its key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

pub(super) fn connector(server: &Server, version: &'static SupportedProtocolVersion) -> TlsConnector {
    connector_of(server, version, None)
}

fn connector_of(
    server: &Server,
    version: &'static SupportedProtocolVersion,
    identity: Option<Identity>,
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(server.certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
        None => config.with_no_client_auth(),
    };
    TlsConnector::from(Arc::new(config))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

impl Client {
    /// Connected, and greeted.
    pub(super) async fn connect(server: &Server, version: &'static SupportedProtocolVersion) -> Self {
        Self::connect_with(server, version, b"").await
    }

    /// The same by a balancer that sends this first.
    pub(super) async fn connect_with(
        server: &Server,
        version: &'static SupportedProtocolVersion,
        header: &[u8],
    ) -> Self {
        let address = server.open.explicit;
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(header).await.unwrap();
        let mut client = Self { wire: Wire::Clear(BufReader::new(socket)), tls: connector(server, version), address };
        assert_eq!(client.reply().await.0, 220);
        client
    }

    /// The same; under TLS it will show this.
    pub(super) async fn connect_as(
        server: &Server,
        version: &'static SupportedProtocolVersion,
        identity: Identity,
    ) -> Self {
        let client = Self::connect(server, version).await;
        Self { tls: connector_of(server, version, Some(identity)), ..client }
    }

    /// Over TLS that has begun.
    pub(super) fn over(stream: TlsStream<TcpStream>, tls: TlsConnector, address: SocketAddr) -> Self {
        Self { wire: Wire::Tls(Box::new(BufReader::new(stream))), tls, address }
    }

    pub(super) async fn logged_in(server: &Server, version: &'static SupportedProtocolVersion) -> Self {
        let mut client = Self::connect(server, version).await;
        client.secure().await;
        client.log_in().await;
        client
    }

    pub(super) async fn secure(&mut self) {
        assert_eq!(self.ask("AUTH TLS").await, 234);
        self.begin_tls().await.unwrap();
        assert_eq!(self.ask("PBSZ 0").await, 200);
        assert_eq!(self.ask("PROT P").await, 200);
    }

    pub(super) async fn begin_tls(&mut self) -> io::Result<()> {
        let Wire::Clear(socket) = std::mem::replace(&mut self.wire, Wire::Gone) else { panic!("TLS is on") };
        let stream = timeout(PATIENCE, self.tls.connect(name(), socket.into_inner())).await.unwrap()?;
        self.wire = Wire::Tls(Box::new(BufReader::new(stream)));
        Ok(())
    }

    pub(super) async fn log_in(&mut self) {
        assert_eq!(self.ask("USER ann").await, 331);
        assert_eq!(self.ask(&format!("PASS {PASSWORD}")).await, 230);
    }

    /// Sends a command; answers the code of its reply.
    pub(super) async fn ask(&mut self, command: &str) -> u16 {
        self.tell(command).await.0
    }

    /// The same with the text.
    pub(super) async fn tell(&mut self, command: &str) -> (u16, String) {
        self.send(format!("{command}\r\n").as_bytes()).await.unwrap();
        self.reply().await
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Clear(wire) => wire.write_all(bytes).await,
            Wire::Tls(wire) => {
                wire.write_all(bytes).await?;
                wire.flush().await
            }
            Wire::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The next reply; code 0 when the connection has ended.
    pub(super) async fn reply(&mut self) -> (u16, String) {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            let read = match &mut self.wire {
                Wire::Clear(wire) => timeout(PATIENCE, wire.read_line(&mut line)).await,
                Wire::Tls(wire) => timeout(PATIENCE, wire.read_line(&mut line)).await,
                Wire::Gone => return (0, all),
            };
            let Ok(1..) = read.expect("no reply comes") else {
                return (0, all);
            };
            all.push_str(&line);
            if line.as_bytes().get(3) == Some(&b' ') && line.as_bytes()[0].is_ascii_digit() {
                return (line[..3].parse().unwrap(), all);
            }
        }
    }

    /// Where the next data connection goes.
    pub(super) async fn passive(&mut self) -> SocketAddr {
        let (code, text) = self.tell("EPSV").await;
        assert_eq!(code, 229, "{text}");
        let port = text.split('|').nth(3).unwrap().parse().unwrap();
        SocketAddr::new(self.address.ip(), port)
    }

    /// A data connection that continues the session.
    pub(super) async fn data(&mut self, address: SocketAddr) -> io::Result<Data> {
        begin(&self.tls.clone(), TcpStream::connect(address).await?).await
    }

    /// The same with the session of somebody else.
    pub(super) fn sessions(&self) -> TlsConnector {
        self.tls.clone()
    }

    pub(super) async fn upload(&mut self, command: &str, content: &[u8]) -> u16 {
        let address = self.passive().await;
        let first = self.ask(command).await;
        if first != 150 {
            return first;
        }
        let mut data = match self.data(address).await {
            Ok(data) => data,
            Err(_) => return self.reply().await.0,
        };
        let _ = data.write_all(content).await;
        let _ = data.shutdown().await;
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, data.read_to_end(&mut rest)).await.expect("the server does not end");
        self.reply().await.0
    }

    pub(super) async fn download(&mut self, command: &str) -> (u16, Vec<u8>) {
        let address = self.passive().await;
        let first = self.ask(command).await;
        if first != 150 {
            return (first, Vec::new());
        }
        let mut data = self.data(address).await.unwrap();
        let mut content = Vec::new();
        let read = timeout(PATIENCE, data.read_to_end(&mut content)).await.expect("the server does not end");
        let code = self.reply().await.0;
        assert!(code != 226 || read.is_ok(), "226 after a connection that broke");
        (code, content)
    }
}

pub(super) async fn begin(tls: &TlsConnector, socket: TcpStream) -> io::Result<Data> {
    timeout(PATIENCE, tls.connect(name(), socket)).await.expect("TLS hangs")
}

/// A connection from another address of this machine.
pub(super) async fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.into(), 0)).unwrap();
    socket.connect(to).await.unwrap()
}

/// Whether the other side has closed.
pub(super) async fn is_closed(socket: &mut TcpStream) -> bool {
    let mut byte = [0; 1];
    matches!(timeout(PATIENCE, socket.read(&mut byte)).await.expect("not closed"), Ok(0) | Err(_))
}
