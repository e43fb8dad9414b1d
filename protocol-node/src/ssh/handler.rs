//! What the SSH library asks while it runs a connection: logins (RFC 4252) and channels (RFC 4254).
//!
//! Only `session` channels are opened, and they become SFTP or end. The library's read half of a channel is dropped at
//! once: while it exists, the library waits for room in it and reads nothing else (see `crate::sftp`).

use super::connection::Watch;
use super::listener::Shared;
use super::transport;
use crate::backend::FileSession;
use crate::door::{CHECK_DEADLINE, MAX_USER_BYTES};
use crate::sftp;
use app::accounts::{Attempt, LoginError, Proof};
use app::activity::{self, Agreed};
use app::sessions::Session;
use bytes::Bytes;
use domain::event::Origin;
use futures_util::FutureExt as _;
use russh::server::{self, Auth, ChannelOpenHandle, Msg, PublicKeyOffer, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf, Disconnect, MethodKind, MethodSet, Pty};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tracing::{Span, debug, info};
use zeroize::Zeroizing;

/// Channels of one connection.
const MAX_CHANNELS: usize = 10;

/// Channels that a connection may open one after the other. The library keeps a little of each that we closed first.
const MAX_CHANNELS_EVER: usize = 1000;

/// What a client must take in one packet. With packets of a byte, a window of megabytes would be a hundred times as much
/// memory in the library, which cuts all that the window holds into packets at once. Real ones take 32 KiB.
const MIN_PACKET_BYTES: usize = 256;

/// For the last messages of a channel.
const END_DEADLINE: Duration = Duration::from_secs(10);

const SFTP_ONLY: &str = "This server offers SFTP only.\r\n";

/// A refusal after which the same ways to log in remain: people mistype passwords. The number of attempts is limited by the
/// transport.
fn refused() -> Auth {
    let remaining = MethodSet::from(&[MethodKind::PublicKey, MethodKind::Password][..]);
    Auth::Reject { proceed_with_methods: Some(remaining), partial_success: false }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct SessionError(#[from] pub(super) russh::Error);

enum State {
    /// Open, and not yet anything.
    Fresh(ChannelWriteHalf<Msg>),
    /// SFTP.
    Sftp(sftp::Channel),
    /// Told to close.
    Over,
}

/// What a login gives.
struct LoggedIn {
    session: Session,
    files: FileSession,
}

/// The handler of one connection.
pub(super) struct Handler {
    shared: Arc<Shared>,
    watch: Arc<Watch>,
    origin: Origin,
    span: Span,
    login: Option<LoggedIn>,
    /// A key that was right, of a user who needs a password as well.
    half: Option<(String, Vec<u8>)>,
    channels: HashMap<ChannelId, State>,
    memory: sftp::Memory,
    /// Channels opened so far.
    opened: usize,
}

impl Handler {
    pub(super) fn new(shared: Arc<Shared>, watch: Arc<Watch>, origin: Origin, span: Span) -> Self {
        let memory = sftp::Memory::new(&shared.doors.budget);
        Self { shared, watch, origin, span, login: None, half: None, channels: HashMap::new(), memory, opened: 0 }
    }

    /// One login, whatever is shown. Every refusal is the same to the client; the reason is logged where it is found.
    async fn log_in(&mut self, user: &str, proof: Proof) -> Auth {
        if user.len() > MAX_USER_BYTES {
            return refused();
        }
        let shown_key = match &proof {
            Proof::PublicKey(key) => Some(key.clone()),
            Proof::Password(_) | Proof::KeyAndPassword { .. } => None,
        };
        let attempt = Attempt { user: user.to_owned(), proof, origin: self.origin.clone() };
        let doors = &self.shared.doors;
        match timeout(CHECK_DEADLINE, doors.accounts.log_in(attempt)).await {
            Ok(Ok(login)) => {
                self.span.record("user", login.principal.user_name.as_str());
                let session = doors.sessions.open(login, self.origin.clone(), self.watch.ended.clone());
                let files = doors.vfs.session(&session);
                self.login = Some(LoggedIn { session, files });
                Auth::Accept
            }
            Ok(Err(LoginError::PasswordToo)) => {
                self.half = shown_key.map(|key| (user.to_owned(), key));
                let remaining = MethodSet::from(&[MethodKind::Password][..]);
                Auth::Reject { proceed_with_methods: Some(remaining), partial_success: true }
            }
            Ok(Err(error)) => {
                debug!(parent: &self.span, user, %error, "a login was refused");
                refused()
            }
            Err(_) => {
                tracing::warn!(parent: &self.span, user, deadline_s = CHECK_DEADLINE.as_secs(), "a login took too long");
                refused()
            }
        }
    }

    fn start_sftp(&mut self, write: ChannelWriteHalf<Msg>, files: FileSession) -> sftp::Channel {
        let write = Arc::new(write);
        let last = Arc::clone(&write);
        let output: sftp::Output = Box::new(move |bytes: Bytes| {
            let write = Arc::clone(&write);
            async move { write.data_bytes(bytes).await.map_err(|_| sftp::Gone) }.boxed()
        });
        // sshj, JSch and others wait for all three before they go on
        let at_end = async move {
            let farewell = async {
                last.exit_status(0).await?;
                last.eof().await?;
                last.close().await
            };
            let _ = timeout(END_DEADLINE, farewell).await;
        };
        let memory = self.memory.clone();
        let tasks = &self.shared.doors.tasks;
        self.span.in_scope(|| sftp::Channel::start(files, memory, tasks, output, at_end))
    }

    /// Anything but SFTP: says so where people see it, and ends.
    fn refuse_command(&mut self, id: ChannelId, session: &mut server::Session) -> Result<(), SessionError> {
        session.channel_success(id)?;
        session.extended_data(id, 1, SFTP_ONLY)?;
        session.exit_status_request(id, 1)?;
        session.eof(id)?;
        session.close(id)?;
        self.channels.insert(id, State::Over);
        Ok(())
    }
}

impl russh::server::Handler for Handler {
    type Error = SessionError;

    // What runs once in a session is boxed: the library keeps room for the largest of these futures as long as the session
    // lasts, and a login's, with its requests to DynamoDB, is larger than all the rest of an idle session.

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, SessionError> {
        let password = Zeroizing::new(password.to_owned());
        let proof = match &self.half {
            Some((whose, key)) if whose == user => Proof::KeyAndPassword { key: key.clone(), password },
            _ => Proof::Password(password),
        };
        Ok(self.log_in(user, proof).boxed().await)
    }

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, SessionError> {
        let key = match offer.public_key.to_bytes() {
            Ok(key) if transport::accepts(offer.algorithm) && user.len() <= MAX_USER_BYTES => key,
            _ => return Ok(refused()),
        };
        let known = self.shared.doors.accounts.knows_key(user, &key, &self.origin).boxed();
        Ok(match timeout(CHECK_DEADLINE, known).await {
            Ok(Ok(true)) => Auth::Accept,
            Ok(Ok(false) | Err(_)) | Err(_) => refused(),
        })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, SessionError> {
        match key.public_key.to_bytes() {
            Ok(bytes) if transport::accepts(key.algorithm) => {
                Ok(self.log_in(user, Proof::PublicKey(bytes)).boxed().await)
            }
            _ => Ok(refused()),
        }
    }

    async fn auth_succeeded(&mut self, session: &mut server::Session) -> Result<(), SessionError> {
        if let Some(login) = &self.login {
            let client = String::from_utf8_lossy(session.remote_sshid());
            login.session.set_client(&client);
            let (kex, ciphers) = self.watch.agreed.get().cloned().map(|agreed| (agreed.kex, agreed.ciphers)).unzip();
            let agreed = Agreed { client: Some(client.into_owned()), kex, ciphers };
            activity::connected(&login.session, &agreed);
        }
        self.watch.touch();
        self.watch.logged_in.cancel();
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut server::Session,
    ) -> Result<(), SessionError> {
        // The library tells of a client's CLOSE only if we did not close first, so those that have ended are looked for.
        self.channels.retain(|_, state| match state {
            State::Fresh(_) => true,
            State::Sftp(channel) => !channel.has_ended(),
            State::Over => false,
        });
        let id = channel.id();
        let (read, write) = channel.split();
        // the smaller of the client's largest packet and its window
        let packet_bytes = write.writable_packet_size().await;
        if packet_bytes < MIN_PACKET_BYTES {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        if self.channels.len() >= MAX_CHANNELS || self.opened >= MAX_CHANNELS_EVER {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        self.opened += 1;
        drop(read);
        self.channels.insert(id, State::Fresh(write));
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut server::Session,
    ) -> Result<(), SessionError> {
        let files = self.login.as_ref().map(|login| login.files.clone()).filter(|_| name == "sftp");
        match (files, self.channels.remove(&id)) {
            (Some(files), Some(State::Fresh(write))) => {
                session.channel_success(id)?;
                let channel = self.start_sftp(write, files);
                self.watch.add(channel.activity());
                self.channels.insert(id, State::Sftp(channel));
            }
            (_, state) => {
                session.channel_failure(id)?;
                if let Some(state) = state {
                    self.channels.insert(id, state);
                }
            }
        }
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], session: &mut server::Session) -> Result<(), SessionError> {
        let Some(State::Sftp(channel)) = self.channels.get_mut(&id) else {
            return Ok(());
        };
        self.watch.touch();
        let pushed = self.watch.kill.run_until_cancelled(channel.push(data)).await;
        if let Some(Err(refused)) = pushed {
            info!(parent: &self.span, reason = %refused, "closing a connection");
            self.channels.insert(id, State::Over);
            session.disconnect(Disconnect::ProtocolError, &refused.to_string(), "en")?;
        }
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, session: &mut server::Session) -> Result<(), SessionError> {
        match self.channels.get_mut(&id) {
            Some(State::Sftp(channel)) => channel.finish(),
            Some(State::Fresh(_)) => {
                session.close(id)?;
                self.channels.insert(id, State::Over);
            }
            Some(State::Over) | None => {}
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _session: &mut server::Session) -> Result<(), SessionError> {
        self.channels.remove(&id);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        _: &[u8],
        session: &mut server::Session,
    ) -> Result<(), SessionError> {
        match self.channels.get(&id) {
            Some(State::Fresh(_)) => self.refuse_command(id, session),
            Some(State::Sftp(_) | State::Over) | None => Ok(session.channel_failure(id)?),
        }
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut server::Session) -> Result<(), SessionError> {
        self.exec_request(id, &[], session).await
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut server::Session,
    ) -> Result<(), SessionError> {
        Ok(session.channel_failure(id)?)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut server::Session,
    ) -> Result<(), SessionError> {
        Ok(session.channel_failure(id)?)
    }
}
