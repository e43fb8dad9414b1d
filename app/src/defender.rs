//! Keeps who guesses passwords away ([`domain::defender`]).
//!
//! Asking costs no request: a node knows all bans, and reads them anew every few seconds. Only a failure is written, and the first
//! login from a host in an hour. What cannot be written is not scored: a login never waits for that, nor fails by it.

use domain::defender::{ADDRESS_LIMIT, Ban, CREDENTIAL_LIMIT, Host, SLOWED_MILLIS, judge, weight};
use domain::id::{CredentialId, OrganizationId};
use domain::identity::Refusal;
use domain::time::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::clock;
use store::defender::{Scope, Scores};
use store::records::RecordError;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How often bans of other nodes are read: every unban takes effect within that.
const LOOK: Duration = Duration::from_secs(5);
/// For a look at them, or a note.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who has logged in from where is noted once in this time.
const NOTED_MILLIS: i64 = 3_600_000;
/// Hosts whose last login is remembered here; beyond that, some are noted more often.
const REMEMBERED: usize = 10_000;

/// The defender of a process. Cheap to clone.
#[derive(Clone)]
pub struct Defender(Option<Arc<Inner>>);

struct Inner {
    scores: Scores,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bans: HashMap<(Host, Scope), Ban>,
    /// When who is slowed down last tried.
    tried: HashMap<(Host, Scope), Timestamp>,
    /// When a login from a host was last noted.
    noted: HashMap<Host, Timestamp>,
    /// When bans were last asked for, where nothing keeps reading them.
    looked: Option<Timestamp>,
}

impl Defender {
    /// One that scores.
    pub fn new(scores: Scores) -> Self {
        Self(Some(Arc::new(Inner { scores, state: Mutex::default() })))
    }

    /// One that does nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Reads bans of other nodes until `stop`.
    pub async fn keep(self, stop: CancellationToken) {
        let Some(inner) = self.0 else { return };
        loop {
            inner.look().await;
            if stop.run_until_cancelled(sleep(LOOK)).await.is_none() {
                return;
            }
        }
    }

    /// Reads bans of other nodes, if the last time is a while ago: for functions, which do nothing between two requests.
    pub(crate) async fn look_if_due(&self) {
        let Some(inner) = &self.0 else { return };
        let (now, every) = (clock::now(), i64::try_from(LOOK.as_millis()).unwrap_or(i64::MAX));
        let is_due = |looked: Timestamp| looked.plus_millis(every) <= now || looked > now;
        let due = inner.state().looked.is_none_or(is_due);
        if due {
            inner.look().await;
            // by the time of the answer, so that a slow one is not asked for again at once
            inner.state().looked = Some(clock::now());
        }
    }

    /// Whether a password from there may be tried: by anybody, or for one credential.
    pub(crate) fn allows(
        &self,
        address: IpAddr,
        whose: Option<(&OrganizationId, &CredentialId)>,
    ) -> Result<(), Refusal> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let host = Host::of(address);
        let scope = match whose {
            None => Scope::Address,
            Some((organization, credential)) => Scope::Credential(organization.clone(), credential.clone()),
        };
        if inner.state().allows(host, scope, clock::now()) { Ok(()) } else { Err(Refusal::Banned) }
    }

    /// Somebody has failed.
    pub(crate) async fn failed(
        &self,
        address: IpAddr,
        whose: Option<(&OrganizationId, &CredentialId)>,
        refusal: &Refusal,
    ) {
        let (Some(inner), host, weight) = (&self.0, Host::of(address), weight(refusal)) else { return };
        if weight == 0 || !host.is_public() {
            return;
        }
        let now = clock::now();
        let scoring = async {
            inner.score(Scope::Address, host, weight, ADDRESS_LIMIT, now).await?;
            if let Some((organization, credential)) = whose {
                let scope = Scope::Credential(organization.clone(), credential.clone());
                inner.score(scope, host, weight, CREDENTIAL_LIMIT, now).await?;
            }
            Ok::<(), RecordError>(())
        };
        match timeout(PATIENCE, scoring).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, %host, "a failed login was not scored"),
            Err(_) => tracing::warn!(%host, "a failed login was not scored in time"),
        }
    }

    /// Somebody has logged in.
    pub(crate) fn succeeded(&self, address: IpAddr) {
        let (Some(inner), host) = (&self.0, Host::of(address)) else { return };
        let now = clock::now();
        if !host.is_public() || !inner.state().is_news(host, now) {
            return;
        }
        let inner = Arc::clone(inner);
        tokio::spawn(async move {
            if !matches!(timeout(PATIENCE, inner.scores.succeeded(host, now)).await, Ok(Ok(()))) {
                tracing::debug!(%host, "a login was not noted");
                inner.state().noted.remove(&host);
            }
        });
    }
}

impl Inner {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look(&self) {
        match timeout(PATIENCE, self.scores.bans(clock::now())).await {
            Ok(Ok(bans)) => self.learn(bans),
            Ok(Err(error)) => tracing::warn!(%error, "bans could not be read; the ones that are known stand"),
            Err(_) => tracing::warn!("bans were not read in time; the ones that are known stand"),
        }
    }

    fn learn(&self, bans: Vec<(Scope, Host, Ban)>) {
        let mut state = self.state();
        state.bans = bans.into_iter().map(|(scope, host, ban)| ((host, scope), ban)).collect();
        let now = clock::now().millis();
        state.tried.retain(|_, at| at.plus_millis(SLOWED_MILLIS).millis() > now);
    }

    async fn score(
        &self,
        scope: Scope,
        host: Host,
        weight: u32,
        limit: u32,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let mut record = self.scores.add(&scope, host, weight, now).await?;
        if record.score < limit {
            return Ok(());
        }
        record.trusted = record.trusted || self.scores.is_trusted(host, now).await?;
        if let Some(ban) = judge(record, limit, now) {
            tracing::warn!(%host, ?scope, until = ban.until.millis(), slowed = ban.slowed, "passwords from a host are banned");
            self.state().bans.insert((host, scope.clone()), ban);
            self.scores.ban(&scope, host, &ban, now).await?;
        }
        Ok(())
    }
}

impl State {
    fn allows(&mut self, host: Host, scope: Scope, now: Timestamp) -> bool {
        let whose = (host, scope);
        let Some(ban) = self.bans.get(&whose).filter(|ban| ban.until > now) else { return true };
        if !ban.slowed {
            return false;
        }
        let last = self.tried.get(&whose).copied();
        if last.is_some_and(|last| now < last.plus_millis(SLOWED_MILLIS)) {
            return false;
        }
        self.tried.insert(whose, now);
        true
    }

    fn is_news(&mut self, host: Host, now: Timestamp) -> bool {
        if self.noted.get(&host).is_some_and(|at| now < at.plus_millis(NOTED_MILLIS)) {
            return false;
        }
        if self.noted.len() >= REMEMBERED {
            self.noted.clear();
        }
        self.noted.insert(host, now);
        true
    }
}
