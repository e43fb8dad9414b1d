//! One offline AWS with bucket, table and queue, and a VFS on it.

use app::accounts::Login;
use app::budget::Budget;
use app::quota::Quotas;
use app::sessions::Sessions;
use app::settler::{Settler, SettlingStores};
use app::sweep::Sweep;
use app::vfs::{Entry, FileSession, Resuming, Upload, Vfs, WriteMode};
use bytes::Bytes;
use domain::access::{Level, Permissions, Principal};
use domain::bandwidth::Bandwidth;
use domain::connection::Grounds;
use domain::event::{Event, Origin, Protocol, Topic};
use domain::file_error::FileErrorKind;
use domain::id::{CredentialId, NodeId, OrganizationId};
use domain::path::{Chroot, Located, ObjectKey, VPath, View};
use domain::quota::{Holder, Quota};
use domain::upload::COPY_PART_BYTES;
use offline_aws::{OfflineAws, Options};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use store::aws::{Aws, AwsSettings};
use store::nodes::Nodes;
use store::objects::Objects;
use store::settling::Usage;
use tokio_util::sync::CancellationToken;

/// How a client opens a file to write it whole.
pub(crate) const WHOLE: WriteMode = WriteMode { create: true, exclusive: false, truncate: true, append: false };

/// When the sweep has counted everything.
pub(crate) const SWEPT: Duration = Duration::from_secs(600);

pub(crate) struct World {
    pub(crate) offline: OfflineAws,
    pub(crate) aws: Aws,
    pub(crate) vfs: Vfs,
    pub(crate) stores: SettlingStores,
    pub(crate) objects: Objects,
    pub(crate) resuming: Resuming,
    pub(crate) sessions: Sessions,
    pub(crate) organization: OrganizationId,
    pub(crate) credential: CredentialId,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with_budget(Budget::LEAST_MIB).await
    }

    pub(crate) async fn with_budget(mib: usize) -> Self {
        Self::with(mib, Duration::ZERO, COPY_PART_BYTES).await
    }

    /// One in which S3 copies no more than this at once, so that small files are copied in several parts.
    pub(crate) async fn copying(bytes: u64) -> Self {
        Self::with(Budget::LEAST_MIB, Duration::ZERO, bytes).await
    }

    /// One that keeps interrupted uploads.
    pub(crate) async fn keeping() -> Self {
        Self::with(Budget::LEAST_MIB, Duration::from_secs(24 * 3600), COPY_PART_BYTES).await
    }

    async fn with(mib: usize, keep_for: Duration, copies: u64) -> Self {
        let offline = OfflineAws::start(Options::default()).await.unwrap();
        let mut settings = AwsSettings {
            endpoint: Some(offline.endpoint()),
            region: Some("us-east-1".into()),
            static_credentials: Some(("test".into(), "test".into())),
            bucket: "towpath-files".into(),
            bucket_owner: Some("000000000000".into()),
            table: "towpath".into(),
            ..AwsSettings::default()
        };
        let aws = Aws::connect(settings.clone()).await.unwrap();
        store::resources::make_bucket(&aws).await.unwrap();
        store::table::create_table(&aws.dynamodb, &aws.settings.table).await.unwrap();
        settings.events_queue_url = store::resources::make_queue(&aws, "events").await.unwrap();
        settings.jobs_queue_url = store::resources::make_queue(&aws, "jobs").await.unwrap();
        let aws = Aws::connect(settings).await.unwrap();
        let stores = SettlingStores::new(&aws);
        let objects = Objects::new(&aws);
        let settler = Settler::start(stores.clone());
        let resuming = Resuming::new(&aws, keep_for);
        let budget = Budget::new(mib).unwrap();
        let sessions = Sessions::new(NodeId::from_random([5; 16]));
        let quotas = Quotas::new(sessions.node().clone(), Nodes::new(&aws), stores.leases.clone(), SWEPT);
        tokio::spawn(quotas.clone().keep(CancellationToken::new()));
        let vfs = Vfs::new(objects.clone(), stores.clone(), settler, budget, quotas, resuming.clone());
        let vfs = vfs.with_copies_of(copies);
        let organization = OrganizationId::from_random([3; 16]);
        let credential = CredentialId::from_random([4; 15]);
        Self { offline, aws, vfs, stores, objects, resuming, sessions, organization, credential }
    }

    /// A session of the one credential with a home at `/home/ana`.
    pub(crate) fn session(&self, level: Level) -> FileSession {
        self.session_at(level, "/")
    }

    pub(crate) fn session_at(&self, level: Level, mount: &str) -> FileSession {
        self.session_as(self.credential.clone(), level, mount)
    }

    /// A session that sees virtual folders.
    pub(crate) fn session_seeing(&self, mount: &str, folders: impl IntoIterator<Item = View>) -> FileSession {
        let full = Permissions::from_level(Level::Full).unwrap();
        let mut principal = self.principal(self.credential.clone(), full, mount);
        principal.chroot = principal.chroot.with_folders(folders);
        self.open(&self.vfs, principal)
    }

    /// A session of another credential with the same home.
    pub(crate) fn session_of(&self, credential: CredentialId) -> FileSession {
        self.session_as(credential, Level::Full, "/")
    }

    /// A session with permissions that no level has.
    pub(crate) fn session_with(&self, permissions: Permissions) -> FileSession {
        self.session_of_all(self.credential.clone(), permissions, "/")
    }

    fn session_as(&self, credential: CredentialId, level: Level, mount: &str) -> FileSession {
        self.session_of_all(credential, Permissions::from_level(level).unwrap(), mount)
    }

    /// A session that may store so much.
    pub(crate) fn session_within(&self, quota: Quota) -> FileSession {
        self.session_on(&self.vfs, quota)
    }

    /// A session of a credential that may store so much, and whose organization may.
    pub(crate) fn session_of_limited(
        &self,
        credential: CredentialId,
        quota: Quota,
        organization_quota: Quota,
    ) -> FileSession {
        let permissions = Permissions::from_level(Level::Full).unwrap();
        let principal = self.principal(credential, permissions, "/");
        self.open(&self.vfs, Principal { quota, organization_quota, ..principal })
    }

    /// A session whose files may move so fast.
    pub(crate) fn session_paced(&self, bandwidth: Bandwidth) -> FileSession {
        let permissions = Permissions::from_level(Level::Full).unwrap();
        self.open(&self.vfs, Principal { bandwidth, ..self.principal(self.credential.clone(), permissions, "/") })
    }

    /// The same on another node.
    pub(crate) fn session_on(&self, vfs: &Vfs, quota: Quota) -> FileSession {
        let permissions = Permissions::from_level(Level::Full).unwrap();
        self.open(vfs, Principal { quota, ..self.principal(self.credential.clone(), permissions, "/") })
    }

    /// The files of another node on the same bucket and table.
    pub(crate) fn another_node(&self, byte: u8) -> Vfs {
        let quotas =
            Quotas::new(NodeId::from_random([byte; 16]), Nodes::new(&self.aws), self.stores.leases.clone(), SWEPT);
        tokio::spawn(quotas.clone().keep(CancellationToken::new()));
        let settler = Settler::start(self.stores.clone());
        let budget = Budget::new(Budget::LEAST_MIB).unwrap();
        Vfs::new(self.objects.clone(), self.stores.clone(), settler, budget, quotas, self.resuming.clone())
    }

    fn session_of_all(&self, credential: CredentialId, permissions: Permissions, mount: &str) -> FileSession {
        self.open(&self.vfs, self.principal(credential, permissions, mount))
    }

    fn principal(&self, credential: CredentialId, permissions: Permissions, mount: &str) -> Principal {
        Principal {
            organization: self.organization.clone(),
            credential,
            user_name: "ana".into(),
            chroot: Chroot::new(self.organization.clone(), path(mount), path("/home/ana")),
            permissions,
            api_key: None,
            link: None,
            system: false,
            quota: Quota::default(),
            organization_quota: Quota::default(),
            bandwidth: Bandwidth::default(),
        }
    }

    fn open(&self, vfs: &Vfs, principal: Principal) -> FileSession {
        let client_ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let origin = Origin { protocol: Protocol::Sftp, client_ip, session_id: "s1".into() };
        let login = Login { principal, grounds: Grounds { credential_rev: 1, ends_at: None }, place: None };
        vfs.session(&self.sessions.open(login, origin, CancellationToken::new()))
    }

    /// Waits until everything is counted and announced, and answers the events, oldest first.
    pub(crate) async fn events(&self) -> Vec<Event> {
        assert!(self.vfs.settled(Duration::from_secs(20)).await, "not settled in time");
        let mut events = Vec::new();
        loop {
            let url = &self.aws.settings.events_queue_url;
            let got = self.aws.sqs.receive_message().queue_url(url).max_number_of_messages(10).send().await.unwrap();
            if got.messages().is_empty() {
                break;
            }
            for message in got.messages() {
                let body: serde_json::Value = serde_json::from_str(message.body().unwrap()).unwrap();
                assert_eq!((&body["v"], &body["kind"]), (&1.into(), &"event".into()));
                events.push(serde_json::from_value(body["event"].clone()).unwrap());
                let receipt = message.receipt_handle().unwrap();
                self.aws.sqs.delete_message().queue_url(url).receipt_handle(receipt).send().await.unwrap();
            }
        }
        events.sort_by_key(|event: &Event| event.created_at);
        events
    }

    /// Events of changes and downloads as `topic path size`.
    pub(crate) async fn announced(&self) -> Vec<String> {
        let text = |event: Event| {
            if matches!(event.topic, Topic::UploadFailed | Topic::AccessDenied) {
                return None;
            }
            let file = event.file?;
            let slash = if file.folder { "/" } else { "" };
            let size = file.size.map(|size| format!(" {size}")).unwrap_or_default();
            let from = event.previous.map(|from| format!("{} -> ", from.path)).unwrap_or_default();
            Some(format!("{} {from}{}{slash}{size}", event.topic, file.path))
        };
        self.events().await.into_iter().filter_map(text).collect()
    }

    pub(crate) async fn usage(&self) -> Usage {
        assert!(self.vfs.settled(Duration::from_secs(20)).await, "not settled in time");
        self.stores.settling.usage(&self.organization, &Holder::Credential(self.credential.clone())).await.unwrap()
    }

    /// The key of a file of the home.
    pub(crate) fn key(&self, at: &str) -> ObjectKey {
        let chroot = Chroot::new(self.organization.clone(), path("/"), path("/home/ana"));
        match chroot.locate(&path(at)).unwrap() {
            Located::Inside(location) => location.file_key().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn sweep(&self) -> Sweep {
        Sweep::new(self.objects.clone(), self.stores.clone(), self.resuming.clone())
    }

    /// The promise that nothing but files is left.
    pub(crate) async fn nothing_left(&self) {
        self.keys().await;
    }

    /// All keys in the bucket with their sizes, and the promise that nothing else is left behind.
    pub(crate) async fn keys(&self) -> Vec<(String, i64)> {
        assert!(self.vfs.settled(Duration::from_secs(20)).await, "not settled in time");
        let bucket = &self.aws.settings.bucket;
        let open = self.aws.s3.list_multipart_uploads().bucket(bucket).send().await.unwrap();
        assert!(open.uploads().is_empty(), "a multipart upload was left behind");
        let items = self.aws.dynamodb.scan().table_name(&self.aws.settings.table).send().await.unwrap();
        for item in items.items() {
            let pk = item["pk"].as_s().unwrap();
            let given_up = item.contains_key("ttl");
            assert!(!pk.starts_with("INTENT#") || given_up, "an intent was left behind: {item:?}");
            assert!(!pk.starts_with("PARTIAL#"), "an interrupted upload was left behind: {item:?}");
        }
        let mut pages = self.aws.s3.list_objects_v2().bucket(bucket).into_paginator().send();
        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            listed.extend(page.unwrap().contents.unwrap_or_default());
        }
        let prefix = format!("{}/files/", self.organization);
        let key = |key: &str| key.strip_prefix(&prefix).unwrap().to_owned();
        listed.iter().map(|object| (key(object.key().unwrap()), object.size().unwrap())).collect()
    }
}

pub(crate) fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

/// `bytes` bytes that tell where they are.
pub(crate) fn content(bytes: usize) -> Bytes {
    let mut content = Vec::with_capacity(bytes + 8);
    let mut at = 0u64;
    while content.len() < bytes {
        content.extend_from_slice(&(at.wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_le_bytes());
        at += 1;
    }
    content.truncate(bytes);
    Bytes::from(content)
}

/// Writes in pieces of a client's size.
pub(crate) async fn send(upload: &mut Upload, content: &Bytes) -> Result<(), FileErrorKind> {
    send_from(upload, content, 0).await
}

/// Writes what comes from `from` on.
pub(crate) async fn send_from(upload: &mut Upload, content: &Bytes, from: usize) -> Result<(), FileErrorKind> {
    for at in (from..content.len()).step_by(32_768) {
        let piece = content.slice(at..content.len().min(at + 32_768));
        upload.write(at as u64, piece).await.map_err(|error| error.kind())?;
    }
    Ok(())
}

pub(crate) async fn put(
    session: &FileSession,
    at: &str,
    content: &Bytes,
    mode: WriteMode,
) -> Result<(), FileErrorKind> {
    let mut upload = session.open_write(&path(at), mode).await.map_err(|error| error.kind())?;
    send(&mut upload, content).await?;
    upload.finish().await.map_err(|error| error.kind())
}

pub(crate) async fn get(session: &FileSession, at: &str) -> Result<Bytes, FileErrorKind> {
    let download = session.open_read(&path(at)).await.map_err(|error| error.kind())?;
    let mut content = Vec::new();
    loop {
        let chunks = download.read(content.len() as u64, 100_000).await.map_err(|error| error.kind())?;
        if chunks.is_empty() {
            break;
        }
        let before = content.len();
        chunks.iter().for_each(|chunk| content.extend_from_slice(chunk));
        let full = content.len() - before == 100_000;
        assert!(full || content.len() as u64 == download.entry().bytes, "a short read before the end");
    }
    download.close().await;
    Ok(content.into())
}

pub(crate) async fn names(session: &FileSession, at: &str) -> Result<Vec<String>, FileErrorKind> {
    let mut listing = session.list(&path(at)).await.map_err(|error| error.kind())?;
    let mut names = Vec::new();
    while let Some(page) = listing.next_page().await.map_err(|error| error.kind())? {
        assert!(!page.is_empty());
        names.extend(page.into_iter().map(|entry: Entry| entry.name));
    }
    names.sort();
    Ok(names)
}
