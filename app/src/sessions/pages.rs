//! Which sessions are written together: 16 of one organization make a page, an item of the table. A session keeps its page
//! from its begin to its end, so that what one does rewrites only its own page.

use super::live::Live;
use domain::id::OrganizationId;
use domain::time::Timestamp;
use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::nodes::PAGE_SESSIONS;

/// What happens in a page is written at most so often; who comes and goes, at once.
const PROGRESS_MILLIS: i64 = 8_000;

/// An item has a `ttl` of a day, which must not pass while its sessions are idle.
const REFRESH_MILLIS: i64 = 8 * 3600 * 1000;

/// All sessions.
#[derive(Default)]
pub(super) struct Pages(HashMap<OrganizationId, BTreeMap<u32, Page>>);

#[derive(Default)]
struct Page {
    sessions: Vec<Arc<Live>>,
    /// Somebody came or went since it was written.
    moved: bool,
    /// It may be in the table.
    written: bool,
    written_at: i64,
    looked_at: i64,
    hash: u64,
}

/// What is to be done in the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) organization: OrganizationId,
    pub(super) page: u32,
    /// The sessions; `None` removes the page.
    pub(super) sessions: Option<String>,
}

impl Pages {
    pub(super) fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().flat_map(BTreeMap::values).map(|page| page.sessions.len()).sum()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Live>> {
        self.0.values().flat_map(BTreeMap::values).flat_map(|page| &page.sessions)
    }

    /// Adds a session to the first page that has room.
    pub(super) fn add(&mut self, live: &Arc<Live>) {
        let pages = self.0.entry(live.principal.organization.clone()).or_default();
        let with_room = pages.iter().find(|(_, page)| page.sessions.len() < PAGE_SESSIONS).map(|(number, _)| *number);
        let number = with_room.unwrap_or_else(|| pages.last_key_value().map_or(0, |(last, _)| last + 1));
        live.page.store(number, Ordering::Relaxed);
        let page = pages.entry(number).or_default();
        page.sessions.push(Arc::clone(live));
        page.moved = true;
    }

    pub(super) fn remove(&mut self, live: &Arc<Live>) {
        if let Entry::Occupied(mut pages) = self.0.entry(live.principal.organization.clone())
            && let Some(page) = pages.get_mut().get_mut(&live.page.load(Ordering::Relaxed))
        {
            page.sessions.retain(|other| !Arc::ptr_eq(other, live));
            page.moved = true;
        }
    }

    /// What the table does not know yet. What is answered counts as written; see [`Pages::failed`].
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Write> {
        let now = now.millis();
        let mut due = Vec::new();
        for (organization, pages) in &mut self.0 {
            pages.retain(|number, page| {
                let sessions = page.due(now);
                let gone = page.sessions.is_empty();
                if gone && page.written || sessions.is_some() {
                    due.push(Write { organization: organization.clone(), page: *number, sessions });
                }
                !gone
            });
        }
        self.0.retain(|_, pages| !pages.is_empty());
        due
    }

    /// A write failed: it is due again.
    pub(super) fn failed(&mut self, write: &Write) {
        let page = self.0.entry(write.organization.clone()).or_default().entry(write.page).or_default();
        (page.moved, page.written, page.hash) = (true, true, 0);
    }

    /// Every page that may be in the table, for removing them.
    pub(super) fn written(&self) -> Vec<(OrganizationId, u32)> {
        let of = |(organization, pages): (&OrganizationId, &BTreeMap<u32, Page>)| {
            let written = pages.iter().filter(|(_, page)| page.written);
            written.map(|(number, _)| (organization.clone(), *number)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }
}

impl Page {
    /// The page as it is to be written now, if it is.
    fn due(&mut self, now: i64) -> Option<String> {
        if self.sessions.is_empty() || !(self.moved || now >= self.looked_at.saturating_add(PROGRESS_MILLIS)) {
            return None;
        }
        (self.moved, self.looked_at) = (false, now);
        let shown: Vec<_> = self.sessions.iter().map(|live| live.shown_as()).collect();
        let text = serde_json::to_string(&shown)
            .inspect_err(|error| tracing::error!(%error, "sessions cannot be shown"))
            .ok()?;
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        if self.written && hash == self.hash && now < self.written_at.saturating_add(REFRESH_MILLIS) {
            return None;
        }
        (self.written, self.written_at, self.hash) = (true, now, hash);
        Some(text)
    }
}
