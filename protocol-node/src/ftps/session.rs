//! A session: its state, and the loop that reads commands, answers them, and listens to the job.

use super::command::{self, Algorithm, Command, Malformed};
use super::control::{Control, Gone};
use super::door::Shared;
use super::expected::Expected;
use super::job::{Job, Told};
use super::line::Line;
use super::reply::{self, Reply};
use super::text::Facts;
use super::tls::SessionTls;
use super::{MAX_AHEAD, MAX_NONSENSE};
use crate::backend::FileSession;
use crate::door::{Place, Stream};
use app::activity;
use domain::event::Origin;
use domain::file_error::FileError;
use domain::path::VPath;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Data connections on which the client has everything and which it has not closed.
const MAX_LINGERING: usize = 4;

/// How long PASV and EPSV wait before their reply. If it comes within some ten microseconds, as on one machine, curl before 8.7
/// reads it and then sleeps for a second without looking at any connection (curl/curl#12901).
const NOT_AT_ONCE: Duration = Duration::from_millis(1);

/// One control connection.
pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) control: Control,
    pub(super) tls: SessionTls,
    pub(super) origin: Origin,
    pub(super) place: Place,
    pub(super) kill: CancellationToken,
    // login
    pub(super) user: Option<String>,
    pub(super) refused: usize,
    /// How often the key of the client's certificate was looked up.
    pub(super) keys_asked: usize,
    /// A user whose key was right, and who needs a password as well.
    pub(super) half: Option<(String, Vec<u8>)>,
    pub(super) files: Option<FileSession>,
    /// The session as the node lists it, until the connection ends.
    pub(super) listed: Option<app::sessions::Session>,
    /// Cancelled when the session is to end.
    pub(super) ended: CancellationToken,
    // data connections
    pub(super) protection_size: bool,
    pub(super) private: bool,
    pub(super) only_epsv: bool,
    pub(super) expected: Option<Expected>,
    pub(super) hello_first: Arc<AtomicBool>,
    pub(super) lingering: Arc<Semaphore>,
    // what one command leaves for later ones
    pub(super) folder: VPath,
    pub(super) rename_from: Option<VPath>,
    pub(super) restart: u64,
    pub(super) facts: Facts,
    pub(super) algorithm: Algorithm,
    // the loop
    job: Option<Job>,
    ahead: VecDeque<Command>,
    nonsense: usize,
    pub(super) since: Instant,
}

/// What a command comes to.
pub(super) enum Answer {
    /// A reply.
    Say(Reply),
    /// A reply, then TLS.
    SayAndBeginTls(Reply),
    /// A reply, and the end.
    SayAndClose(Reply),
    /// A job, whose replies follow.
    Job(Job),
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Say(reply)
    }
}

/// What the loop waits for.
enum Next {
    Line(Line),
    Told(Told),
    Draining,
    Ended,
    Late,
}

/// Whether the session goes on.
enum Flow {
    Goes,
    Ends,
}

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        socket: TcpStream,
        local: SocketAddr,
        tls: SessionTls,
        origin: Origin,
        place: Place,
        kill: CancellationToken,
    ) -> Self {
        let control =
            Control::new(Stream::new(socket, kill.clone()).acknowledging_at_once(), local, shared.times.reply);
        Self {
            shared,
            control,
            tls,
            origin,
            place,
            kill,
            user: None,
            refused: 0,
            keys_asked: 0,
            half: None,
            files: None,
            listed: None,
            ended: CancellationToken::new(),
            protection_size: false,
            private: false,
            only_epsv: false,
            expected: None,
            hello_first: Arc::default(),
            lingering: Arc::new(Semaphore::new(MAX_LINGERING)),
            folder: VPath::root(),
            rename_from: None,
            restart: 0,
            facts: Facts::default(),
            algorithm: Algorithm::Sha256,
            job: None,
            ahead: VecDeque::new(),
            nonsense: 0,
            since: Instant::now(),
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn serve(mut self, implicit: bool) {
        if let Err(gone) = self.run(implicit).await {
            tracing::debug!(reason = %gone, "the connection has ended");
        }
        let Self { control, job, expected, shared, .. } = self;
        drop((job, expected));
        control.close(shared.times.farewell).await;
    }

    async fn run(&mut self, implicit: bool) -> Result<(), Gone> {
        if implicit {
            self.begin_tls().await?;
            // by convention the data connections of such a session are private without being asked
            (self.protection_size, self.private) = (true, true);
            self.control.say(&reply::GREETING_IMPLICIT).await?;
        } else {
            self.control.say(&reply::GREETING).await?;
        }
        loop {
            if let Flow::Ends = self.step().await? {
                return Ok(());
            }
        }
    }

    async fn begin_tls(&mut self) -> Result<(), Gone> {
        let config = Arc::clone(&self.tls.control);
        Box::pin(self.control.begin_tls(config, self.shared.times.handshake)).await
    }

    async fn step(&mut self) -> Result<Flow, Gone> {
        if self.job.is_none()
            && let Some(command) = self.ahead.pop_front()
        {
            return self.act(command).await;
        }
        match self.next().await? {
            Next::Line(line) => self.line(line).await,
            Next::Told(Told::First(reply)) => self.control.say(&reply).await.map(|()| Flow::Goes),
            Next::Told(Told::Last(reply)) => {
                self.job = None;
                self.since = Instant::now();
                self.control.say(&reply).await.map(|()| Flow::Goes)
            }
            Next::Draining => self.end(&reply::STOPPING).await,
            Next::Ended => self.end(&reply::ENDED).await,
            Next::Late if self.files.is_none() => {
                activity::exit_reason(&self.origin, "the client did not log in in time");
                self.end(&reply::NOT_LOGGED_IN_IN_TIME).await
            }
            Next::Late => {
                activity::exit_reason(&self.origin, "the client was idle for too long");
                self.end(&reply::IDLE).await
            }
        }
    }

    async fn next(&mut self) -> Result<Next, Gone> {
        let Self { control, job, shared, files, since, ended, .. } = self;
        let limit = if files.is_some() { shared.times.idle } else { shared.times.login };
        let (late, waits) = (*since + limit, job.is_none());
        let told = async {
            match job {
                Some(job) => job.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = ended.cancelled() => Ok(Next::Ended),
            told = told => Ok(Next::Told(told)),
            () = shared.doors.draining.cancelled(), if waits => Ok(Next::Draining),
            // before the lines: who sends them without a pause has no more time than others
            () = sleep_until(late), if waits => Ok(Next::Late),
            line = control.next() => line.map(Next::Line),
        }
    }

    async fn line(&mut self, line: Line) -> Result<Flow, Gone> {
        let command = match line {
            Line::Text(text) => command::parse(&text),
            Line::TooLong => return self.nonsense(&reply::LINE_TOO_LONG).await,
        };
        if self.files.is_some() {
            self.since = Instant::now();
        }
        match command {
            Err(Malformed::Unknown) => self.nonsense(&reply::UNKNOWN).await,
            Err(Malformed::Argument) => self.control.say(&reply::ARGUMENT).await.map(|()| Flow::Goes),
            Ok(command) => {
                self.nonsense = 0;
                match &self.job {
                    Some(_) => self.meanwhile(command).await,
                    None => self.act(command).await,
                }
            }
        }
    }

    /// A command while a job runs.
    async fn meanwhile(&mut self, command: Command) -> Result<Flow, Gone> {
        match command {
            Command::Noop => self.control.say(&reply::OK).await?,
            Command::Stat(None) => {
                let reply = self.status(self.job.as_ref().map(Job::moved));
                self.control.say(&reply).await?;
            }
            Command::Abor if self.job.as_ref().is_some_and(Job::abort) => {
                // its task ends by itself, and ABOR is answered after what was sent before it
                self.job = None;
                self.since = Instant::now();
                self.ahead.push_back(Command::Abor);
                self.control.say(&reply::ABORTED).await?;
            }
            _ if self.ahead.len() >= MAX_AHEAD => return self.end(&reply::TOO_MUCH_AHEAD).await,
            command => self.ahead.push_back(command),
        }
        Ok(Flow::Goes)
    }

    async fn act(&mut self, command: Command) -> Result<Flow, Gone> {
        // boxed, as this task would keep room for the largest of the operations as long as the session lasts
        match Box::pin(self.answer(command)).await {
            Answer::Say(reply) => self.control.say(&reply).await?,
            Answer::SayAndBeginTls(reply) => {
                self.control.say(&reply).await?;
                self.begin_tls().await?;
            }
            Answer::SayAndClose(reply) => return self.end(&reply).await,
            Answer::Job(job) => self.job = Some(job),
        }
        Ok(Flow::Goes)
    }

    async fn nonsense(&mut self, reply: &Reply) -> Result<Flow, Gone> {
        self.nonsense += 1;
        if self.nonsense >= MAX_NONSENSE {
            tracing::info!("a client sent too many lines that are no commands");
            return self.end(&reply::TOO_MUCH_NONSENSE).await;
        }
        self.control.say(reply).await.map(|()| Flow::Goes)
    }

    async fn end(&mut self, reply: &Reply) -> Result<Flow, Gone> {
        self.control.say(reply).await.map(|()| Flow::Ends)
    }

    async fn answer(&mut self, command: Command) -> Answer {
        match command {
            // at any time
            Command::Feat => self.features().into(),
            Command::Opts(text) => self.option(&text).into(),
            Command::Syst => reply::SYSTEM.into(),
            Command::Noop => reply::OK.into(),
            Command::Help => self.help().into(),
            Command::Quit => Answer::SayAndClose(reply::BYE),
            Command::Auth(mechanism) => self.auth(&mechanism),
            Command::NotOffered => reply::NOT_OFFERED.into(),
            // under TLS
            _ if !self.control.is_private() => reply::TLS_FIRST.into(),
            Command::Pbsz => self.protection_buffer().into(),
            Command::Prot(level) => self.protection(level).into(),
            Command::Ccc => reply::CCC_REFUSED.into(),
            Command::User(name) => self.user(name).await,
            Command::Pass(password) => self.pass(password).await,
            // logged in
            command => match self.files.clone() {
                Some(files) => self.answer_logged_in(command, files).await,
                None => reply::LOG_IN_FIRST.into(),
            },
        }
    }

    async fn answer_logged_in(&mut self, command: Command, files: FileSession) -> Answer {
        match command {
            Command::Type(kind) => self.kind(&kind).into(),
            Command::Mode(mode) => self.mode(&mode).into(),
            Command::Stru(structure) => self.structure(&structure).into(),
            Command::Acct | Command::Allo => reply::SUPERFLUOUS.into(),
            Command::Site => reply::SITE_NOTHING.into(),
            Command::Stat(None) => self.status(None).into(),
            Command::Pwd => self.where_we_are().into(),
            Command::Cwd(path) => self.change_folder(&files, &path).await.into(),
            Command::Cdup => self.change_folder(&files, b"..").await.into(),
            Command::Mkd(path) => self.make_folder(&files, &path).await.into(),
            Command::Rmd(path) => self.remove_folder(&files, &path).await.into(),
            Command::Dele(path) => self.delete(&files, &path).await.into(),
            Command::Rnfr(path) => self.rename_from(&files, &path).await.into(),
            Command::Rnto(path) => self.rename_to(&files, &path).await.into(),
            Command::Size(path) => self.size(&files, &path).await.into(),
            Command::Mdtm(path) => self.modified(&files, &path).await.into(),
            Command::Mfmt(argument) => self.set_modified(&files, &argument).await.into(),
            Command::Mlst(path) => self.facts_of(&files, path.as_deref()).await.into(),
            Command::Hash { algorithm, path, range } => self.hash(files, algorithm, &path, range),
            Command::Stat(Some(path)) => self.list_in_reply(files, &path),
            Command::List(path) => self.list(files, path.as_deref()),
            Command::Nlst(path) => self.list_names(files, path.as_deref()),
            Command::Mlsd(path) => self.list_facts(files, path.as_deref()),
            Command::Pasv => {
                sleep(NOT_AT_ONCE).await;
                self.passive().into()
            }
            Command::Epsv(ask) => {
                sleep(NOT_AT_ONCE).await;
                self.extended_passive(ask).into()
            }
            Command::Port => if self.only_epsv { reply::EPSV_ONLY } else { reply::ACTIVE_REFUSED }.into(),
            Command::Retr(path) => self.retrieve(files, &path),
            Command::Stor(path) => self.store(files, &path),
            Command::Stou => self.store_unique(files),
            Command::Appe(path) => self.append(files, &path),
            Command::Rest(at) => self.restart_at(at).into(),
            Command::Abor => reply::ABOR_DONE.into(),
            Command::Feat
            | Command::Opts(_)
            | Command::Syst
            | Command::Noop
            | Command::Help
            | Command::Quit
            | Command::Auth(_)
            | Command::NotOffered
            | Command::Pbsz
            | Command::Prot(_)
            | Command::Ccc
            | Command::User(_)
            | Command::Pass(_) => reply::INTERNAL.into(),
        }
    }

    /// A path as the client sees it from where it is.
    pub(super) fn path(&self, raw: &[u8]) -> Result<VPath, FileError> {
        Ok(self.folder.resolve_bytes(raw)?)
    }
}
