//! The pages of a folder in their order, several of them fetched at the same time.
//!
//! A page is followed by the next one, and by others further behind, where [`domain::spread`] guesses their beginning. Each
//! covers a stretch: from a name, exclusive, to the beginning of the next one, inclusive. What a page brings beyond that is
//! dropped, what it does not reach is fetched after it. So a wrong guess costs a request and never an entry.
//!
//! Guessing begins with one stretch, doubles with each that was worth its request, up to [`MOST`], and halves with each that
//! was not, until it ends. A stretch ahead takes memory from the door's pool; without memory the pages come one after the other.

use crate::budget::Reserved;
use crate::vfs::FileSession;
use domain::access::{Authorized, List};
use domain::spread;
use std::collections::VecDeque;
use std::sync::Arc;
use store::objects::{ListFrom, Listed, ListedKind, ObjectError, Page};
use tokio::task::{JoinError, JoinHandle};

/// Stretches ahead of the page that comes next: with S3's 30 ms, eight pages at a time are 250,000 names a second.
const MOST: usize = 7;

/// What a page of 1,000 names takes in memory.
const PAGE_BYTES: usize = 256 * 1024;

/// A stretch with fewer entries was not worth asking for before its turn.
const WORTH: usize = 300;

/// A folder that is being listed.
pub(super) struct Folder {
    pub(super) session: FileSession,
    pub(super) proof: Authorized<List>,
}

/// The pages that have not been delivered.
pub(super) struct Pages {
    folder: Arc<Folder>,
    stretches: VecDeque<Stretch>,
    /// How many stretches may be fetched ahead.
    ahead: usize,
}

/// Why there is no page.
pub(super) enum PageError {
    Storage(ObjectError),
    /// The task that fetched it has ended without a result.
    Interrupted(JoinError),
}

struct Stretch {
    /// The last name that belongs to it; without one, the folder's end.
    until: Option<String>,
    state: State,
    /// What it reserves, if it is ahead.
    ahead: Option<Reserved>,
}

enum State {
    Fetching(Fetching),
    /// Cut, and what follows it is fetched by another stretch.
    Arrived(Vec<Listed>),
}

struct Fetching(JoinHandle<Result<Page, ObjectError>>);

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Pages {
    /// All that come after the first one.
    pub(super) fn after(folder: Folder, first: &Page) -> Self {
        let mut pages = Self { folder: Arc::new(folder), stretches: VecDeque::new(), ahead: 1 };
        pages.follow(&first.entries, first.next.clone(), None, 0);
        pages
    }

    /// The next one, perhaps empty; `None` at the end, and after an error. May be called again when it was not awaited to its
    /// end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Listed>>, PageError> {
        let taken = self.take_in_what_is_due().await;
        if taken.is_err() {
            self.stretches.clear();
        }
        taken?;
        Ok(match self.stretches.pop_front().map(|stretch| stretch.state) {
            Some(State::Arrived(entries)) => Some(entries),
            // the second is not reached: it was taken in just now
            None | Some(State::Fetching(_)) => None,
        })
    }

    async fn take_in_what_is_due(&mut self) -> Result<(), PageError> {
        // if the last one is there, it tells where to look next before its turn has come
        if self.stretches.back().is_some_and(Stretch::has_come) {
            self.take_in(self.stretches.len() - 1).await?;
        }
        self.take_in(0).await
    }

    /// Waits for the page of a stretch, cuts it, and starts what follows it.
    async fn take_in(&mut self, at: usize) -> Result<(), PageError> {
        let Some(stretch) = self.stretches.get_mut(at) else { return Ok(()) };
        let State::Fetching(fetching) = &mut stretch.state else { return Ok(()) };
        let page = (&mut fetching.0).await.map_err(PageError::Interrupted)?.map_err(PageError::Storage)?;
        let Page { mut entries, mut next, .. } = page;
        if let Some(until) = &stretch.until {
            let all = entries.len();
            entries.retain(|entry| key(entry).as_str() <= until.as_str());
            if entries.len() < all {
                next = None;
            }
        }
        if stretch.ahead.is_some() {
            self.ahead = if entries.len() >= WORTH { (self.ahead * 2).min(MOST) } else { self.ahead / 2 };
        }
        let until = stretch.until.clone();
        self.follow(&entries, next, until, at + 1);
        if let Some(stretch) = self.stretches.get_mut(at) {
            stretch.state = State::Arrived(entries);
        }
        Ok(())
    }

    /// Starts what follows a page: the next one, and with room and a guess some behind it.
    fn follow(&mut self, page: &[Listed], next: Option<String>, until: Option<String>, at: usize) {
        let Some(token) = next else { return };
        let mut cuts = self.cuts(page, until.as_deref());
        let mut reserved = Vec::new();
        for _ in &cuts {
            reserved.extend(self.folder.session.shared.budget.try_door(PAGE_BYTES));
        }
        cuts.truncate(reserved.len());
        let starts = std::iter::once(ListFrom::Token(token)).chain(cuts.iter().cloned().map(ListFrom::After));
        let ends = cuts.iter().cloned().map(Some).chain([until]);
        let memory = std::iter::once(None).chain(reserved.into_iter().map(Some));
        for (index, ((from, until), ahead)) in starts.zip(ends).zip(memory).enumerate() {
            let state = State::Fetching(Fetching(self.fetch(from)));
            self.stretches.insert(at + index, Stretch { until, state, ahead });
        }
    }

    fn cuts(&self, page: &[Listed], until: Option<&str>) -> Vec<String> {
        let room = self.ahead.min((MOST + 1).saturating_sub(self.stretches.len() + 1));
        if room == 0 {
            return Vec::new();
        }
        let mut names: Vec<String> = page.iter().map(key).collect();
        names.sort_unstable();
        let (Some(first), Some(last)) = (names.first(), names.last()) else { return Vec::new() };
        let mut cuts = spread::cuts(first, last, names.iter().map(String::as_str), room);
        cuts.retain(|cut| until.is_none_or(|until| cut.as_str() < until));
        cuts
    }

    fn fetch(&self, from: ListFrom) -> JoinHandle<Result<Page, ObjectError>> {
        let folder = Arc::clone(&self.folder);
        tokio::spawn(async move { folder.session.shared.objects.list(&folder.proof, from).await })
    }
}

impl Stretch {
    fn has_come(&self) -> bool {
        matches!(&self.state, State::Fetching(fetching) if fetching.0.is_finished())
    }
}

/// The end of an entry's key: what S3 orders by.
fn key(entry: &Listed) -> String {
    let name = entry.path.name().unwrap_or_default();
    match entry.kind {
        ListedKind::File { .. } => name.to_owned(),
        ListedKind::Folder { .. } => format!("{name}/"),
    }
}
