//! Share links, as an organization manages them. A link that an admin makes is the organization's: its path is any path of the tree,
//! and what it stores counts for the root credential. [`super::user_shares`] has those that credentials make themselves.

use super::announced;
use super::{ATTEMPTS, Caller, Management, ManagementError, Who};
use crate::accounts::complete;
use domain::access::Principal;
use domain::credential::{Credential, State};
use domain::event::{ChangedHow, ChangedKind};
use domain::id::ShareId;
use domain::inbound::Source;
use domain::invalid::Invalid;
use domain::organization::Organization;
use domain::path::{Located, VPath};
use domain::right::Right;
use domain::sealed::Sealed;
use domain::share::{Access, CreatedBy, LinkPassword, Share, ShareSecret, SharedPath, Target};
use domain::time::Timestamp;
use store::clock;
use store::records::{FoundLink, RecordError, Versioned};
use store::seal::Place;
use zeroize::Zeroizing;

/// Field names under which a link's secrets are sealed.
const SECRET_FIELD: &str = "share_secret";
/// See [`SECRET_FIELD`].
const PASSWORD_FIELD: &str = "share_password";

/// Records that are read at a time where an answer needs all.
const PAGE: u16 = 500;

/// A path that a client names, and what it says that this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPath {
    /// In the organization's tree for an admin, in its own view for a credential.
    pub path: VPath,
    /// What it is, if that is said.
    pub target: Option<Target>,
}

/// What a client wants of a link. No Debug output: it may hold a password.
#[derive(Default)]
pub struct ShareChange {
    /// SFTPGo's `name`.
    pub name: Option<String>,
    /// `Notes`, SFTPGo's `description`.
    pub notes: Option<Option<String>>,
    /// `Permission`, SFTPGo's `scope`.
    pub access: Option<Access>,
    /// `Path`, SFTPGo's `paths`.
    pub paths: Option<Vec<NamedPath>>,
    /// `Password`; `None` inside: no password.
    pub password: Option<Option<Zeroizing<String>>>,
    /// `ExpiresAt`.
    pub expires_at: Option<Option<Timestamp>>,
    /// `AccessLimit`, SFTPGo's `max_tokens`.
    pub limit: Option<u64>,
    /// `AllowFrom`.
    pub allow_from: Option<Vec<Source>>,
    /// `State`.
    pub state: Option<State>,
}

/// A link with what may be shown of its secrets. No Debug output.
pub struct ShownShare {
    /// The record.
    pub record: Versioned<Share>,
    /// What its address holds.
    pub secret: Zeroizing<String>,
    /// Its password.
    pub password: Option<Zeroizing<String>>,
    /// How often it was opened.
    pub used: u64,
    /// When it was opened last.
    pub last_used_at: Option<Timestamp>,
}

impl ShownShare {
    /// Whether it was opened as often as it may be.
    pub fn is_used_up(&self) -> bool {
        self.record.value.is_used_up(self.used)
    }
}

/// Whose tree the paths of a link are in.
pub(super) struct ShareOwner {
    pub(super) principal: Principal,
    /// Whether the link is the organization's.
    pub(super) of_organization: bool,
}

impl Management {
    /// The links after an id, and where the next page starts. Those that are used up are gone.
    pub async fn shares(
        &self,
        caller: &Caller,
        after: Option<&str>,
        limit: u16,
    ) -> Result<(Vec<ShownShare>, Option<String>), ManagementError> {
        caller.require(Right::SeeShareLinks)?;
        let page = self.records.shares(&caller.organization, after, limit).await?;
        let mut shown = self.show_shares(page.records).await?;
        shown.retain(|shown| !shown.is_used_up());
        Ok((shown, page.next))
    }

    /// One link, by its id or by what its address holds.
    pub async fn share(&self, caller: &Caller, id: &str) -> Result<ShownShare, ManagementError> {
        caller.require(Right::SeeShareLinks)?;
        self.load_share(caller, id).await
    }

    /// Makes a link of the organization.
    pub async fn create_share(&self, caller: &Caller, change: ShareChange) -> Result<ShownShare, ManagementError> {
        caller.require(Right::ChangeShareLinks)?;
        let organization = self.own_organization(caller).await?.value;
        let no_root = || ManagementError::Conflict("the organization has no root credential");
        let root = organization.root_credential.clone().ok_or_else(no_root)?;
        let root = self.records.credential(&organization.id, &root).await?.ok_or_else(no_root)?.value;
        let owner = ShareOwner { principal: root.principal(), of_organization: true };
        let (id, acts_as) = match &caller.who {
            Who::ApiKey { id, acts_as } => (id.to_string(), acts_as.clone()),
            Who::Admin { name, .. } => (name.clone(), None),
        };
        let created_by = CreatedBy { actor: caller.actor(), name: acts_as.unwrap_or(id) };
        let new = self.new_share(&organization, &owner, created_by, &change).await?;
        let made = announced::changed(ChangedKind::ShareLink, ChangedHow::Created, &new.id, name_of(&new));
        let announced = self.announcing(vec![announced::by(caller, made)]);
        let written = announced.records.create_share(&new).await;
        let rev = announced.told(written).await?;
        self.show_share(Versioned { value: new, rev }, None)
    }

    /// Changes a link.
    pub async fn change_share(
        &self,
        caller: &Caller,
        id: &str,
        change: ShareChange,
        accept: impl Fn(&ShownShare) -> bool,
    ) -> Result<ShownShare, ManagementError> {
        caller.require(Right::ChangeShareLinks)?;
        let organization = self.own_organization(caller).await?.value;
        for _ in 0..ATTEMPTS {
            let old = self.load_share(caller, id).await?;
            if !accept(&old) {
                return Err(ManagementError::PreconditionFailed);
            }
            let share = &old.record.value;
            let owner = self.records.credential(&share.organization, &share.owner).await?;
            let owner = owner.ok_or(ManagementError::Conflict("the owner of the link is gone: delete the link"))?.value;
            let principal = complete(&self.records, owner.principal(), &organization, &owner).await?;
            let owner = ShareOwner { principal, of_organization: share.of_organization };
            let mut new = share.clone();
            self.apply_share(&mut new, &organization, &owner, &change, old.password.as_ref()).await?;
            if new == *share {
                return Ok(old);
            }
            new.updated_at = clock::now();
            let update = announced::updated(ChangedKind::ShareLink, (&new.id, name_of(&new)), share, &new);
            let announced = self.announcing(vec![announced::by(caller, update)]);
            let written = announced.records.save_share(&new, old.record.rev).await;
            match announced.told(written).await {
                Ok(rev) => {
                    let counted = Some((old.used, old.last_used_at));
                    return self.show_share(Versioned { value: new, rev }, counted);
                }
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// A path of the organization's tree as the owner of a link sees it.
    pub async fn share_path(
        &self,
        caller: &Caller,
        share: &Share,
        path: NamedPath,
    ) -> Result<NamedPath, ManagementError> {
        caller.require(Right::ChangeShareLinks)?;
        if share.of_organization {
            return Ok(path);
        }
        let organization = self.own_organization(caller).await?.value;
        let owner = self.records.credential(&caller.organization, &share.owner).await?;
        let owner = owner.ok_or(ManagementError::Conflict("the owner of the link is gone: delete the link"))?.value;
        let principal = complete(&self.records, owner.principal(), &organization, &owner).await?;
        let seen = principal.chroot.seen_at(&path.path);
        let seen = seen
            .ok_or_else(|| ManagementError::field("Path", &Invalid::new("must be in the tree of the link's owner")))?;
        Ok(NamedPath { path: seen, ..path })
    }

    /// Deletes a link and answers what it was. Nobody gets in from now on; uploads that have begun are not completed.
    pub async fn delete_share(
        &self,
        caller: &Caller,
        id: &str,
        accept: impl Fn(&ShownShare) -> bool,
    ) -> Result<ShownShare, ManagementError> {
        caller.require(Right::ChangeShareLinks)?;
        for _ in 0..ATTEMPTS {
            let old = self.load_share(caller, id).await?;
            if !accept(&old) {
                return Err(ManagementError::PreconditionFailed);
            }
            let share = &old.record.value;
            let deleted = announced::changed(ChangedKind::ShareLink, ChangedHow::Deleted, &share.id, name_of(share));
            let announced = self.announcing(vec![announced::by(caller, deleted)]);
            let written = announced.records.delete_share(&old.record).await;
            match announced.told(written).await {
                Ok(()) => return Ok(old),
                Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RecordError::Conflict.into())
    }

    /// Deletes the links of a credential that is gone: they lead nowhere any more.
    pub(super) async fn delete_shares_of(&self, credential: &Credential) -> Result<(), ManagementError> {
        for record in self.all_shares(&credential.organization, |share| share.owner == credential.id).await? {
            match self.records.delete_share(&record).await {
                // somebody else has changed or deleted it
                Ok(()) | Err(RecordError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// All links of an organization that are meant.
    pub(super) async fn all_shares(
        &self,
        organization: &domain::id::OrganizationId,
        meant: impl Fn(&Share) -> bool,
    ) -> Result<Vec<Versioned<Share>>, ManagementError> {
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self.records.shares(organization, after.as_deref(), PAGE).await?;
            all.extend(page.records.into_iter().filter(|record| meant(&record.value)));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }

    async fn load_share(&self, caller: &Caller, id: &str) -> Result<ShownShare, ManagementError> {
        // the log has this dialect's paths, so what opens a link is no name for it here
        let Ok(id) = ShareId::parse(id) else { return Err(ManagementError::NotFound("share link")) };
        let found = self.share_of_id(&caller.organization, &id).await?;
        // in this dialect a link goes with its last visit
        found.filter(|shown| !shown.is_used_up()).ok_or(ManagementError::NotFound("share link"))
    }

    /// A link by its id, or by what its address holds.
    pub(super) async fn find_share(
        &self,
        organization: &domain::id::OrganizationId,
        id: &str,
    ) -> Result<Option<ShownShare>, ManagementError> {
        let id = match (ShareId::parse(id), ShareSecret::parse(id)) {
            (Ok(id), _) => id,
            (Err(_), Some(secret)) => match self.records.link(&secret.hash()).await? {
                Some(link) if link.organization == *organization => link.share,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.share_of_id(organization, &id).await
    }

    async fn share_of_id(
        &self,
        organization: &domain::id::OrganizationId,
        id: &ShareId,
    ) -> Result<Option<ShownShare>, ManagementError> {
        let Some(record) = self.records.share(organization, id).await? else { return Ok(None) };
        Ok(self.show_shares(vec![record]).await?.pop())
    }

    /// Records with their counters. One without a counter is being deleted.
    pub(super) async fn show_shares(&self, records: Vec<Versioned<Share>>) -> Result<Vec<ShownShare>, ManagementError> {
        let hashes: Vec<&str> = records.iter().map(|record| record.value.secret_hash.as_str()).collect();
        let links = self.records.links(&hashes).await?;
        let counted = |share: &Share| {
            links.get(&share.secret_hash).map(|FoundLink { used, last_used_at, .. }| (*used, *last_used_at))
        };
        let with_counter =
            records.into_iter().filter_map(|record| counted(&record.value).map(|counted| (record, counted)));
        with_counter.map(|(record, counted)| self.show_share(record, Some(counted))).collect()
    }

    /// A record with its secrets.
    pub(super) fn show_share(
        &self,
        record: Versioned<Share>,
        counted: Option<(u64, Option<Timestamp>)>,
    ) -> Result<ShownShare, ManagementError> {
        let share = &record.value;
        let open = |field, sealed: &Sealed| {
            self.records.sealer().open(place(share, field), sealed).map_err(ManagementError::internal)
        };
        let secret = open(SECRET_FIELD, &share.secret)?;
        let password = share.password.as_ref().map(|password| open(PASSWORD_FIELD, &password.readable)).transpose()?;
        let (used, last_used_at) = counted.unwrap_or_default();
        Ok(ShownShare { record, secret, password, used, last_used_at })
    }

    /// A new link, not yet written.
    pub(super) async fn new_share(
        &self,
        organization: &Organization,
        owner: &ShareOwner,
        created_by: CreatedBy,
        change: &ShareChange,
    ) -> Result<Share, ManagementError> {
        let now = clock::now();
        let secret = ShareSecret::from_random(&clock::random());
        let mut share = Share {
            id: ShareId::from_random(clock::random()),
            organization: organization.id.clone(),
            owner: owner.principal.credential.clone(),
            of_organization: owner.of_organization,
            created_by,
            name: String::new(),
            notes: None,
            access: Access::default(),
            paths: Vec::new(),
            password: None,
            expires_at: None,
            limit: 0,
            allow_from: Vec::new(),
            state: State::Active,
            secret: Sealed::from_text(String::new()),
            secret_hash: secret.hash(),
            created_at: now,
            updated_at: now,
        };
        let sealed = self.records.sealer().seal(place(&share, SECRET_FIELD), secret.reveal());
        share.secret = sealed.map_err(ManagementError::internal)?;
        self.apply_share(&mut share, organization, owner, change, None).await?;
        Ok(share)
    }

    /// What a client wants, if it may be.
    pub(super) async fn apply_share(
        &self,
        share: &mut Share,
        organization: &Organization,
        owner: &ShareOwner,
        change: &ShareChange,
        password: Option<&Zeroizing<String>>,
    ) -> Result<(), ManagementError> {
        let before = share.clone();
        change.name.clone().into_iter().for_each(|name| share.name = name);
        change.notes.clone().into_iter().for_each(|notes| share.notes = notes);
        change.access.into_iter().for_each(|access| share.access = access);
        change.expires_at.into_iter().for_each(|at| share.expires_at = at);
        change.limit.into_iter().for_each(|limit| share.limit = limit);
        change.allow_from.clone().into_iter().for_each(|from| share.allow_from = from);
        change.state.into_iter().for_each(|state| share.state = state);
        if let Some(paths) = &change.paths {
            share.paths = paths.iter().map(|named| shared(owner, &share.paths, named)).collect::<Result<_, _>>()?;
        }
        match &change.password {
            None => {}
            Some(None) => share.password = None,
            Some(new) if new.as_ref() == password => {}
            Some(Some(new)) => {
                let policy = organization.password_policy.check(new);
                policy.map_err(|problem| ManagementError::field("Password", &problem))?;
                let sealed = self.records.sealer().seal(place(share, PASSWORD_FIELD), new);
                let readable = sealed.map_err(ManagementError::internal)?;
                share.password = Some(LinkPassword { hash: self.hash_password(new).await?, readable });
            }
        }
        let problem = |(field, problem): (&str, Invalid)| ManagementError::field(field, &problem);
        share.check().map_err(problem)?;
        // a link from before the policy can still be named, moved and switched off
        let opens = |share: &Share| (share.access, share.expires_at, share.password.clone(), share.state);
        let is_new = before.paths.is_empty();
        if share.state == State::Active && (is_new || opens(share) != opens(&before)) {
            share.check_policy(&organization.share_policy, share.created_at).map_err(problem)?;
        }
        Ok(())
    }
}

/// The path that a client names, if its owner sees it. One that is named as it is shown stays what it is.
fn shared(owner: &ShareOwner, old: &[SharedPath], named: &NamedPath) -> Result<SharedPath, ManagementError> {
    let NamedPath { path, target } = named;
    let same = |known: &&SharedPath| known.view == *path && (target.is_none() || known.target == *target);
    if let Some(known) = old.iter().find(same) {
        return Ok(known.clone());
    }
    if owner.of_organization {
        let target = if path.is_root() { Some(Target::Folder) } else { *target };
        return Ok(SharedPath { view: path.clone(), tree: path.clone(), target });
    }
    match owner.principal.chroot.locate(path) {
        Ok(Located::Inside(location)) => {
            let mounted = path.is_root() || owner.principal.chroot.is_mounted(path);
            let target = if mounted { Some(Target::Folder) } else { *target };
            Ok(SharedPath { view: path.clone(), tree: location.tree_path().clone(), target })
        }
        Ok(Located::Above(_) | Located::Nowhere) => {
            Err(ManagementError::field("Path", &Invalid::new("must be in the tree of the link's owner")))
        }
        Err(problem) => Err(ManagementError::field("Path", &Invalid::new(problem.to_string()))),
    }
}

fn place<'a>(share: &'a Share, field: &'a str) -> Place<'a> {
    Place { organization: share.organization.as_str(), record: share.id.as_str(), field }
}

/// What people know a link by.
pub(super) fn name_of(share: &Share) -> String {
    match share.paths.first() {
        _ if !share.name.is_empty() => share.name.clone(),
        Some(path) => path.shown(),
        None => share.id.to_string(),
    }
}
