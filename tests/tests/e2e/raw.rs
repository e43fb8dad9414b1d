//! An SSH and SFTP client that does what no honest client does: raw frames, answers left unread, a transport that is
//! garbled under way.

use bytes::Bytes;
use russh::client::{self, AuthResult, Msg};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, ChannelMsg};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// In which everything has to happen, on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What is done to a connection below SSH.
#[derive(Default)]
pub(crate) struct Tap {
    /// Nothing is read any more.
    pub(crate) deaf: AtomicBool,
    /// What is sent arrives as other bytes.
    pub(crate) garble: AtomicBool,
}

struct Tapped {
    socket: TcpStream,
    tap: Arc<Tap>,
}

impl AsyncRead for Tapped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.tap.deaf.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_read(cx, out)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let garbled: Vec<u8>;
        let mut bytes = bytes;
        if self.tap.garble.load(Ordering::SeqCst) {
            garbled = bytes.iter().map(|byte| byte.wrapping_mul(7).wrapping_add(13)).collect();
            bytes = &garbled;
        }
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Takes any server; gives no more window than at first, if told so.
pub(crate) struct Accepting {
    narrow: bool,
}

impl client::Handler for Accepting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
    fn adjust_window(&mut self, _: ChannelId, window: u32) -> u32 {
        if self.narrow { 0 } else { window }
    }
}

/// A connection.
pub(crate) struct Ssh {
    pub(crate) handle: client::Handle<Accepting>,
    pub(crate) tap: Arc<Tap>,
}

/// How to connect.
pub(crate) struct Dial {
    /// From which address of this machine: the node limits connections of one address.
    pub(crate) from: Ipv4Addr,
    /// The window, given once or kept up.
    pub(crate) window: u32,
    pub(crate) narrow: bool,
    /// The largest packet that the client takes.
    pub(crate) packet: u32,
    /// What is sent before SSH begins.
    pub(crate) first: Vec<u8>,
}

impl Default for Dial {
    fn default() -> Self {
        Self { from: Ipv4Addr::LOCALHOST, window: 2 << 20, narrow: false, packet: 32_768, first: Vec::new() }
    }
}

pub(crate) async fn tcp(to: SocketAddr, from: Ipv4Addr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = timeout(PATIENCE, socket.connect(to)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Ssh {
    /// Connects and exchanges keys.
    pub(crate) async fn dial(to: SocketAddr, dial: Dial) -> Result<Self, russh::Error> {
        let config = client::Config {
            window_size: dial.window,
            maximum_packet_size: dial.packet,
            channel_buffer_size: 4096,
            ..client::Config::default()
        };
        let tap = Arc::new(Tap::default());
        let mut socket = tcp(to, dial.from).await?;
        socket.write_all(&dial.first).await?;
        let tapped = Tapped { socket, tap: Arc::clone(&tap) };
        let connecting = client::connect_stream(Arc::new(config), tapped, Accepting { narrow: dial.narrow });
        let handle = timeout(PATIENCE, connecting).await.expect("the key exchange hangs")?;
        Ok(Self { handle, tap })
    }

    pub(crate) async fn log_in(&mut self, user: &str, password: &str) -> Result<bool, russh::Error> {
        let asking = self.handle.authenticate_password(user, password);
        let answer = timeout(PATIENCE, asking).await.expect("the login hangs")?;
        Ok(matches!(answer, AuthResult::Success))
    }

    /// A channel that speaks SFTP, before INIT.
    pub(crate) async fn subsystem(&self) -> Sftp {
        let opening = async {
            let channel = self.handle.channel_open_session().await?;
            channel.request_subsystem(true, "sftp").await?;
            Ok::<_, russh::Error>(channel)
        };
        let channel = timeout(PATIENCE, opening).await.expect("opening a channel hangs").unwrap();
        Sftp { channel, received: Vec::new(), id: 0 }
    }

    /// The same after INIT.
    pub(crate) async fn sftp(&self) -> Sftp {
        let mut sftp = self.subsystem().await;
        sftp.send_raw(&[0, 0, 0, 5, 1, 0, 0, 0, 3]).await;
        assert_eq!(sftp.answer().await.expect("a version").kind, 2);
        sftp
    }

    /// Whether the server closes the connection in time.
    pub(crate) async fn is_closed_in(&self, patience: Duration) -> bool {
        let closed = async {
            while !self.handle.is_closed() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(patience, closed).await.is_ok()
    }
}

/// A channel of raw SFTP.
pub(crate) struct Sftp {
    channel: Channel<Msg>,
    received: Vec<u8>,
    id: u32,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) kind: u8,
    pub(crate) id: u32,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The code of a status; other answers have none.
    pub(crate) fn status(&self) -> Option<u32> {
        (self.kind == 101).then(|| u32::from_be_bytes(self.body[..4].try_into().unwrap()))
    }
    /// The string that the answer begins with: a handle, or data.
    pub(crate) fn string(&self) -> &[u8] {
        let length = u32::from_be_bytes(self.body[..4].try_into().unwrap()) as usize;
        &self.body[4..4 + length]
    }
}

#[derive(Clone, Default)]
pub(crate) struct Fields(pub(crate) Vec<u8>);

impl Fields {
    pub(crate) fn string(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.0.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }
    pub(crate) fn u32(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }
    pub(crate) fn u64(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }
}

pub(crate) fn fields() -> Fields {
    Fields::default()
}

pub(crate) fn frame(kind: u8, id: u32, fields: &Fields) -> Vec<u8> {
    let mut frame = u32::try_from(fields.0.len() + 5).unwrap().to_be_bytes().to_vec();
    frame.push(kind);
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(&fields.0);
    frame
}

impl Sftp {
    /// Sends bytes; what becomes of them is seen at the answers.
    pub(crate) async fn send_raw(&self, bytes: &[u8]) {
        let sent = timeout(PATIENCE, self.channel.data_bytes(Bytes::copy_from_slice(bytes))).await;
        let _ = sent.expect("the node takes no bytes");
    }

    /// The same for who expects to be stopped; whether all went out.
    pub(crate) async fn try_send_raw(&self, bytes: Bytes, patience: Duration) -> bool {
        matches!(timeout(patience, self.channel.data_bytes(bytes)).await, Ok(Ok(())))
    }

    pub(crate) fn next_id(&mut self) -> u32 {
        self.id += 1;
        self.id
    }

    pub(crate) async fn send(&mut self, kind: u8, fields: &Fields) -> u32 {
        let id = self.next_id();
        self.send_raw(&frame(kind, id, fields)).await;
        id
    }

    /// The next answer; `None` when the channel or the connection is closed.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some((length, rest)) = self.received.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                assert!((1..=262_144).contains(&length), "an answer of {length} bytes");
                if rest.len() >= length {
                    let kind = rest[0];
                    // the version stands where other answers have their id
                    let id = u32::from_be_bytes(rest[1..5].try_into().unwrap());
                    let body = rest[5..length].to_vec();
                    self.received.drain(..length + 4);
                    return Some(Answer { kind, id, body });
                }
            }
            match timeout(PATIENCE, self.channel.wait()).await.expect("neither an answer nor an end") {
                Some(ChannelMsg::Data { data }) => self.received.extend_from_slice(&data),
                Some(ChannelMsg::Close) | None => return None,
                Some(_) => {}
            }
        }
    }

    pub(crate) async fn call(&mut self, kind: u8, fields: &Fields) -> Answer {
        let id = self.send(kind, fields).await;
        let answer = self.answer().await.unwrap_or_else(|| panic!("closed instead of an answer to request {kind}"));
        assert_eq!(answer.id, id);
        answer
    }

    /// The status that a request is answered with.
    pub(crate) async fn status(&mut self, kind: u8, fields: &Fields) -> u32 {
        let answer = self.call(kind, fields).await;
        answer.status().unwrap_or_else(|| panic!("no status: {answer:?}"))
    }

    /// Opens a file: 1 to read, 26 to write it anew.
    pub(crate) async fn open(&mut self, path: &str, flags: u32) -> Vec<u8> {
        let answer = self.call(3, &fields().string(path).u32(flags).u32(0)).await;
        assert_eq!(answer.kind, 102, "{path}: {:?}", answer.status());
        answer.string().to_vec()
    }

    pub(crate) async fn put(&mut self, path: &str, content: &[u8]) {
        let handle = self.open(path, 26).await;
        let mut sent = 0;
        for (at, piece) in content.chunks(32_768).enumerate() {
            let offset = at as u64 * 32_768;
            self.send(6, &fields().string(&handle).u64(offset).string(piece)).await;
            sent += 1;
        }
        for _ in 0..sent {
            assert_eq!(self.answer().await.expect("an answer").status(), Some(0));
        }
        assert_eq!(self.status(4, &fields().string(&handle)).await, 0);
    }

    pub(crate) async fn get(&mut self, path: &str) -> Vec<u8> {
        let handle = self.open(path, 1).await;
        let mut content = Vec::new();
        loop {
            let answer = self.call(5, &fields().string(&handle).u64(content.len() as u64).u32(32_768)).await;
            if answer.kind != 103 {
                assert_eq!(answer.status(), Some(1));
                break;
            }
            content.extend_from_slice(answer.string());
        }
        assert_eq!(self.status(4, &fields().string(&handle)).await, 0);
        content
    }

    /// Says that nothing more comes.
    pub(crate) async fn finish(&self) {
        let _ = self.channel.eof().await;
    }

    pub(crate) fn channel(&self) -> &Channel<Msg> {
        &self.channel
    }
}
