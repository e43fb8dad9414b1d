//! Who comes in: the link's own rules, its password, and the count of its visits.
//!
//! A browser's visit is what a cookie shows; it is counted when it begins, together with its record, and what follows in it is free. A
//! program has no cookies: each of its requests is a visit, but for the further ranges of a download that it has begun.

use super::{NoShare, OpenShare, Shares};
use crate::accounts::Login;
use crate::defender::Defender;
use crate::hashing::Hashing;
use crate::settler::{Done, Settler};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::digest::{derived_id, keyed_hash};
use domain::event::{Actor, ActorKind, Event, FileSubject, Origin, Topic};
use domain::id::uuid_text;
use domain::identity::Refusal;
use domain::share::{
    LinkUse, MAX_VISIT_MILLIS, RANGES_MILLIS, Share, ShareSecret, Target, Visit, Visitor, program_key,
};
use store::clock;
use store::records::{Counted, RecordError, Records};
use zeroize::Zeroizing;

/// What a visitor shows. No Debug output.
pub struct Knock {
    /// What the address holds.
    pub secret: ShareSecret,
    /// From where.
    pub origin: Origin,
    /// What it says it is.
    pub user_agent: String,
    /// What that makes it.
    pub visitor: Visitor,
    /// Its visit.
    pub cookie: Option<String>,
    /// The link's password.
    pub password: Option<Zeroizing<String>>,
    /// What it wants, so that a program's ranges belong together.
    pub path: String,
    /// Whether it wants only a range of that.
    pub is_range: bool,
}

/// What a request is in terms of visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Somebody has chosen to open the link.
    Open,
    /// It shows content, or brings some.
    Use,
}

/// Why nobody comes in.
#[derive(Debug)]
pub enum Closed {
    /// There is no such link, or not now, or not for you, or not any more: all the same.
    NotFound,
    /// Its password is needed.
    Password {
        /// What was shown was wrong.
        wrong: bool,
    },
    /// A browser has to ask its user first: it would be counted.
    Unopened,
    /// Whoever only looks ahead sees nothing.
    Ahead(Visitor),
    /// A dependency did not answer.
    Unavailable,
}

/// A link that is there for its visitor.
pub struct Found {
    open: OpenShare,
    hash: String,
    visit: Option<Visit>,
}

impl Found {
    /// The link.
    pub fn share(&self) -> &Share {
        &self.open.share
    }

    /// The name of the organization.
    pub fn organization(&self) -> &str {
        &self.open.organization.name
    }
}

/// Somebody who may come in.
pub struct Admitted(Found);

impl Admitted {
    /// The link.
    pub fn share(&self) -> &Share {
        &self.0.open.share
    }

    /// Whether this visit has begun, and nothing in it costs.
    pub fn is_inside(&self) -> bool {
        self.0.visit.is_some()
    }

    /// What it would see: for a look whether that is there, before anything is counted.
    pub fn ahead(&self) -> Result<Login, Closed> {
        let link = LinkUse { id: self.0.open.share.id.clone(), visit: String::new(), user_agent: None };
        Ok(self.0.open.log_in(link)?)
    }
}

/// Somebody who is in.
pub struct Entered {
    /// What it may do.
    pub login: Login,
    /// The link.
    pub share: Share,
    /// The organization's name.
    pub organization: String,
    /// What its browser is to keep, and for how many seconds.
    pub cookie: Option<(Zeroizing<String>, i64)>,
}

/// The visits of a process. Cheap to clone.
#[derive(Clone)]
pub struct Visits {
    shares: Shares,
    records: Records,
    defender: Defender,
    hashing: Hashing,
    settler: Settler,
}

impl From<RecordError> for Closed {
    fn from(error: RecordError) -> Self {
        tracing::error!(%error, "a share link could not be read");
        Self::Unavailable
    }
}

impl From<NoShare> for Closed {
    fn from(error: NoShare) -> Self {
        match error {
            NoShare::Closed => Self::NotFound,
            NoShare::Unavailable(error) => error.into(),
            NoShare::Storage(error) => {
                tracing::error!(%error, "what a share link leads to could not be looked at");
                Self::Unavailable
            }
        }
    }
}

impl Visits {
    /// Of these links. Wrong passwords go to the defender, events to the settler.
    pub fn new(shares: Shares, records: Records, defender: Defender, settler: Settler) -> Self {
        Self { shares, records, defender, hashing: Hashing::new(), settler }
    }

    /// The links.
    pub fn shares(&self) -> &Shares {
        &self.shares
    }

    /// The link that somebody knocks at. Who is not in its visits finds none that is used up.
    pub async fn find(&self, knock: &Knock) -> Result<Found, Closed> {
        let hash = knock.secret.hash();
        let key = knock.cookie.as_deref().map(cookie_key);
        let visit = async {
            match &key {
                Some(key) => self.records.visit(&hash, key).await,
                None => Ok(None),
            }
        };
        let (link, visit) = futures_util::future::try_join(self.records.link(&hash), visit).await?;
        let link = link.ok_or(Closed::NotFound)?;
        let open = self.shares.open(&link.organization, (&link.share, Some(&link.owner)), &knock.origin).await?;
        let password = open.share.password.as_ref().map(|password| password.hash.as_str());
        let visit = visit.filter(|visit| visit.knows(password));
        if visit.is_none() && open.share.is_used_up(link.used) {
            // whoever comes by a program may be in the middle of a download
            let going_on = knock.visitor == Visitor::Program && knock.is_range;
            if !going_on || self.records.visit(&hash, &key_of_program(knock)).await?.is_none() {
                return Err(Closed::NotFound);
            }
        }
        Ok(Found { open, hash, visit })
    }

    /// Who has shown what the link asks for. Nothing is counted yet.
    pub async fn admit(&self, found: Found, knock: &Knock) -> Result<Admitted, Closed> {
        if found.visit.is_none() && matches!(knock.visitor, Visitor::Preview | Visitor::Prefetch) {
            return Err(Closed::Ahead(knock.visitor));
        }
        if let Some(password) = &found.open.share.password
            && found.visit.is_none()
        {
            let Some(shown) = &knock.password else { return Err(Closed::Password { wrong: false }) };
            self.check(&found.open, knock, &password.hash, shown).await?;
        }
        Ok(Admitted(found))
    }

    /// Begins a visit, which is counted, or goes on with one.
    pub async fn begin(&self, admitted: Admitted, knock: &Knock, how: How) -> Result<Entered, Closed> {
        let Admitted(found) = admitted;
        if let Some(visit) = &found.visit {
            let id = visit.id.clone();
            return entered(found.open, knock, id, None);
        }
        if how == How::Use && knock.visitor == Visitor::Browser && found.open.share.limit > 0 {
            return Err(Closed::Unopened);
        }
        self.count(found, knock).await
    }

    /// Checks the link's password. Wrong ones are scored and announced.
    async fn check(
        &self,
        open: &OpenShare,
        knock: &Knock,
        hash: &str,
        shown: &Zeroizing<String>,
    ) -> Result<(), Closed> {
        let address = knock.origin.client_ip;
        let guard = open.share.guard();
        let whose = Some((&open.share.organization, &guard));
        self.defender.look_if_due().await;
        if self.defender.allows(address, None).is_err() || self.defender.allows(address, whose).is_err() {
            tracing::info!(share = %open.share.id, source_ip = %address, "a banned address tries a share link's password");
            return Err(Closed::Password { wrong: true });
        }
        let (hash, plain) = (hash.to_owned(), shown.clone());
        let right = self.hashing.run(move || domain::password::verify(&plain, &hash)).await;
        if right.map_err(|_| Closed::Unavailable)? {
            // says nothing about who is at this address: a link's password is no login, and many know it
            return Ok(());
        }
        self.defender.failed(address, whose, &Refusal::WrongPassword).await;
        let event = Event {
            reason: Some(Refusal::WrongPassword.to_string()),
            ..event(&open.share, Topic::ShareLinkAccessFailed, knock, uuid_text(clock::random()))
        };
        self.announce(open, event).await;
        Err(Closed::Password { wrong: true })
    }

    async fn count(&self, found: Found, knock: &Knock) -> Result<Entered, Closed> {
        let Found { open, hash, .. } = found;
        let share = &open.share;
        let now = clock::now();
        let is_program = knock.visitor == Visitor::Program;
        let cookie = Zeroizing::new(URL_SAFE_NO_PAD.encode(clock::random::<18>()));
        let key = if is_program { key_of_program(knock) } else { cookie_key(&cookie) };
        let once = is_program && knock.is_range;
        if once && let Some(visit) = self.records.visit(&hash, &key).await? {
            return entered(open, knock, visit.id, None);
        }
        let life = if is_program { RANGES_MILLIS } else { MAX_VISIT_MILLIS };
        let latest = now.plus_millis(life);
        let visit = Visit {
            id: uuid_text(clock::random()),
            passed: share.password.as_ref().map(|password| Visit::fingerprint(&password.hash)),
            until: share.expires_at.map_or(latest, |end| end.min(latest)),
        };
        match self.records.count_visit(&hash, share.limit, (&key, &visit), once).await? {
            Counted::Now => {}
            Counted::Not if once => {
                // another range of the same download came first
                let visit = self.records.visit(&hash, &key).await?.ok_or(Closed::NotFound)?;
                return entered(open, knock, visit.id, None);
            }
            Counted::Not => return Err(Closed::NotFound),
        }
        let accessed = event(share, Topic::ShareLinkAccessed, knock, visit.id.clone());
        self.announce(&open, accessed).await;
        if share.limit > 0 {
            self.ended(&open, knock, &hash).await;
        }
        let seconds = visit.until.seconds().saturating_sub(now.seconds()).max(1);
        let cookie = (!is_program).then_some((cookie, seconds));
        entered(open, knock, visit.id, cookie)
    }

    /// Says so if that was the last visit, and lets the link go. What fails takes the visit from nobody, which is counted.
    async fn ended(&self, open: &OpenShare, knock: &Knock, hash: &str) {
        let share = &open.share;
        let used = match self.records.link(hash).await {
            Ok(link) => link.map_or(0, |link| link.used),
            Err(error) => {
                tracing::warn!(%error, share = %share.id, "whether a share link is used up cannot be told now");
                return;
            }
        };
        if !share.is_used_up(used) {
            return;
        }
        // of two who both saw it, both say the same
        let id = derived_id(&["share limit", share.id.as_str(), &share.limit.to_string()]);
        self.announce(open, event(share, Topic::ShareLinkLimitReached, knock, id)).await;
        if let Err(error) = self.records.let_go(share).await {
            tracing::warn!(%error, share = %share.id, "a share link that is used up stays in the table");
        }
    }

    async fn announce(&self, open: &OpenShare, event: Event) {
        self.settler.hand_over(Done::announcing(event, &open.owner)).await;
    }
}

fn entered(
    open: OpenShare,
    knock: &Knock,
    visit: String,
    cookie: Option<(Zeroizing<String>, i64)>,
) -> Result<Entered, Closed> {
    let user_agent = Some(knock.user_agent.clone()).filter(|agent| !agent.is_empty());
    let login = open.log_in(LinkUse { id: open.share.id.clone(), visit, user_agent })?;
    Ok(Entered { login, share: open.share, organization: open.organization.name, cookie })
}

/// What a cookie's visit is recorded under.
fn cookie_key(cookie: &str) -> String {
    format!("c{}", URL_SAFE_NO_PAD.encode(keyed_hash(b"towpath share visit", &[cookie.as_bytes()])))
}

fn key_of_program(knock: &Knock) -> String {
    format!("p{}", program_key(knock.origin.client_ip, &knock.user_agent, &knock.path))
}

fn event(share: &Share, topic: Topic, knock: &Knock, id: String) -> Event {
    let first = share.paths.first();
    Event {
        id,
        topic,
        created_at: clock::now(),
        organization: share.organization.clone(),
        actor: Actor { kind: ActorKind::ShareLink, id: share.id.to_string() },
        origin: Some(knock.origin.clone()),
        file: first.map(|path| FileSubject {
            path: path.tree.clone(),
            folder: path.target == Some(Target::Folder),
            size: None,
        }),
        reason: None,
        api_key: None,
        changed: None,
        previous: None,
        user_agent: Some(knock.user_agent.clone()).filter(|agent| !agent.is_empty()),
    }
}
