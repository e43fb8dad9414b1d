//! The control connection: lines in, replies out, in the clear until AUTH TLS and under TLS from then on (RFC 4217,
//! section 4).

use super::client_keys;
use super::line::{Line, Lines, MAX_LINE};
use super::reply::Reply;
use crate::door::Stream;
use app::activity::Agreed;
use bytes::BufMut as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// A control connection.
pub(crate) struct Control {
    wire: Wire,
    lines: Lines,
    /// The address that the client dialled.
    pub(crate) local: SocketAddr,
    /// How long a client may leave a reply unread.
    reply_deadline: Duration,
}

enum Wire {
    Clear(Box<Stream>),
    Tls(Box<TlsStream<Stream>>),
    /// TLS did not begin.
    Gone,
}

/// The connection has ended, or must.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Gone {
    /// By the client.
    #[error("the client has closed the connection")]
    Closed,
    /// By an error.
    #[error("the control connection broke: {0}")]
    Broken(#[from] io::Error),
    /// By a client that does not take its replies.
    #[error("a reply was not taken in time")]
    Unread,
    /// Bytes in the clear after AUTH, which would be taken for ones under TLS.
    #[error("bytes came in the clear after AUTH TLS")]
    ClearAfterAuth,
    /// TLS did not begin in time.
    #[error("no TLS in time")]
    NoTls,
}

impl Control {
    pub(crate) fn new(stream: Stream, local: SocketAddr, reply_deadline: Duration) -> Self {
        Self { wire: Wire::Clear(Box::new(stream)), lines: Lines::default(), local, reply_deadline }
    }

    /// Whether TLS is on.
    pub(crate) fn is_private(&self) -> bool {
        matches!(self.wire, Wire::Tls(_))
    }

    /// The key of the certificate that the client has shown.
    pub(crate) fn client_key(&self) -> Option<Vec<u8>> {
        match &self.wire {
            Wire::Tls(stream) => client_keys::shown(stream.get_ref().1),
            Wire::Clear(_) | Wire::Gone => None,
        }
    }

    /// What TLS has agreed on.
    pub(crate) fn agreed(&self) -> Agreed {
        let Wire::Tls(stream) = &self.wire else { return Agreed::default() };
        let tls = stream.get_ref().1;
        let kex = tls.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
        let ciphers = tls.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
        Agreed { client: None, kex, ciphers }
    }

    /// The next line. May be cancelled: what has come stays.
    pub(crate) async fn next(&mut self) -> Result<Line, Gone> {
        loop {
            if let Some(line) = self.lines.next() {
                return Ok(line);
            }
            let mut room = self.lines.buffer().limit(MAX_LINE);
            let read = match &mut self.wire {
                Wire::Clear(stream) => stream.read_buf(&mut room).await,
                Wire::Tls(stream) => stream.read_buf(&mut room).await,
                Wire::Gone => return Err(Gone::Closed),
            };
            if read? == 0 {
                return Err(Gone::Closed);
            }
        }
    }

    /// Sends a reply.
    pub(crate) async fn say(&mut self, reply: &Reply) -> Result<(), Gone> {
        tracing::debug!(code = reply.code(), "reply");
        let bytes = reply.encode();
        let sent = match &mut self.wire {
            Wire::Clear(stream) => timeout(self.reply_deadline, send(stream, &bytes)).await,
            Wire::Tls(stream) => timeout(self.reply_deadline, send(stream, &bytes)).await,
            Wire::Gone => return Err(Gone::Closed),
        };
        Ok(sent.map_err(|_| Gone::Unread)??)
    }

    /// Begins TLS. In the clear nothing may have come after AUTH: it would be taken for something under TLS.
    pub(crate) async fn begin_tls(&mut self, config: Arc<ServerConfig>, deadline: Duration) -> Result<(), Gone> {
        let Wire::Clear(stream) = std::mem::replace(&mut self.wire, Wire::Gone) else {
            return Err(Gone::Closed);
        };
        if !self.lines.is_empty() || stream.has_unread() {
            return Err(Gone::ClearAfterAuth);
        }
        let accepted = timeout(deadline, TlsAcceptor::from(config).accept(*stream)).await;
        self.wire = Wire::Tls(Box::new(accepted.map_err(|_| Gone::NoTls)??));
        Ok(())
    }

    /// Ends TLS and the connection, and waits a moment for the client to do the same: a socket that is closed with bytes
    /// unread would take the last reply away from it.
    pub(crate) async fn close(self, farewell: Duration) {
        let _ = match self.wire {
            Wire::Clear(stream) => timeout(farewell, finish(*stream)).await,
            Wire::Tls(stream) => timeout(farewell, finish(*stream)).await,
            Wire::Gone => return,
        };
    }
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn finish(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut ignored = [0; 512];
    if stream.shutdown().await.is_ok() {
        while let Ok(1..) = stream.read(&mut ignored).await {}
    }
}
