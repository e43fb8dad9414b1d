//! What a folder's page shows: its entries, sorted, in pieces.

use super::closed::Refused;
use app::vfs::{Entry, EntryKind, FileSession};
use domain::file_error::FileErrorKind;
use domain::path::{Name, VPath};
use futures_util::{StreamExt as _, stream};
use std::cmp::Ordering;

/// Entries that are read of a folder; sorting needs all of them at once.
pub(super) const MAX_READ: usize = 10_000;

/// Entries on one page.
pub(super) const PER_PAGE: usize = 500;

/// Files of a link that are looked at at the same time.
const LOOKS: usize = 8;

/// By what they are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Name,
    Size,
    Time,
}

/// How they are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) by: By,
    pub(super) descending: bool,
}

impl By {
    pub(super) const ALL: [(Self, &'static str, &'static str); 3] =
        [(Self::Name, "name", "Name"), (Self::Size, "size", "Size"), (Self::Time, "time", "Changed")];

    pub(super) fn text(self) -> &'static str {
        Self::ALL.iter().find(|(by, ..)| *by == self).map_or("name", |(_, text, _)| text)
    }
}

impl Order {
    pub(super) fn read(sort: Option<&str>, order: Option<&str>) -> Self {
        let by = By::ALL.iter().find(|(_, text, _)| Some(*text) == sort).map_or(By::Name, |(by, ..)| *by);
        Self { by, descending: order == Some("desc") }
    }

    /// Folders come first, whatever the order; names as people read them, small and large letters alike.
    pub(super) fn sort(self, entries: &mut [Entry]) {
        entries.sort_by(|a, b| {
            let folders = (a.kind == EntryKind::File).cmp(&(b.kind == EntryKind::File));
            let names = || a.name.to_lowercase().cmp(&b.name.to_lowercase()).then_with(|| a.name.cmp(&b.name));
            let asked = match self.by {
                By::Name => names(),
                By::Size => a.bytes.cmp(&b.bytes),
                By::Time if a.kind == EntryKind::Folder => Ordering::Equal,
                By::Time => a.modified.cmp(&b.modified),
            };
            let asked = if self.descending { asked.reverse() } else { asked };
            folders.then(asked).then_with(names)
        });
    }
}

/// A folder's entries, and whether there are more than are shown.
pub(super) struct Read {
    pub(super) entries: Vec<Entry>,
    pub(super) cut: bool,
}

/// Reads a folder.
pub(super) async fn read(files: &FileSession, folder: &VPath) -> Result<Read, Refused> {
    let top = files.top();
    if folder.is_root() && top.first().is_some_and(|path| !path.is_root()) {
        return several(files, &top).await;
    }
    let mut listing = files.list(folder).await?;
    let (mut entries, mut cut) = (Vec::new(), false);
    while let Some(page) = listing.next_page().await? {
        // what no address can name is not shown
        entries.extend(page.into_iter().filter(|entry| Name::parse(&entry.name).is_ok()));
        if entries.len() > MAX_READ {
            entries.truncate(MAX_READ);
            cut = true;
            break;
        }
    }
    Ok(Read { entries, cut })
}

/// What stands side by side in a link of several paths; what is gone is left out.
async fn several(files: &FileSession, paths: &[VPath]) -> Result<Read, Refused> {
    let looks = paths.iter().cloned().map(|path| {
        let files = files.clone();
        async move { files.stat(&path).await }
    });
    let looked: Vec<_> = stream::iter(looks.collect::<Vec<_>>()).buffered(LOOKS).collect().await;
    let mut entries = Vec::new();
    for looked in looked {
        match looked {
            Ok(entry) => entries.push(entry),
            Err(error) if error.kind() == FileErrorKind::NoSuchFile => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Read { entries, cut: false })
}

/// A size for people, with decimal units.
pub(super) fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") };
    }
    let (mut whole, mut rest, mut unit) = (bytes / 1000, bytes % 1000, 0);
    while whole >= 1000 && unit + 1 < UNITS.len() {
        (whole, rest, unit) = (whole / 1000, whole % 1000, unit + 1);
    }
    let unit = UNITS.get(unit).copied().unwrap_or("PB");
    if whole < 10 { format!("{whole}.{} {unit}", rest / 100) } else { format!("{whole} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::Timestamp;

    #[test]
    fn sizes_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (1_234_567, "1.2 MB"),
            (12_345_678, "12 MB"),
            (999_999_999, "999 MB"),
            (5_000_000_000_000, "5.0 TB"),
            (u64::MAX, "18446 PB"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn folders_first_and_names_as_people_read_them() {
        let entry = |name: &str, kind, bytes, at| Entry {
            name: name.to_owned(),
            kind,
            bytes,
            modified: Timestamp::from_millis(at),
        };
        let mut entries = vec![
            entry("b", EntryKind::File, 1, 3),
            entry("A", EntryKind::File, 3, 1),
            entry("z", EntryKind::Folder, 0, 0),
            entry("c", EntryKind::File, 2, 2),
        ];
        let names = |entries: &[Entry]| entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>().join("");
        Order::read(None, None).sort(&mut entries);
        assert_eq!(names(&entries), "zAbc");
        Order::read(Some("size"), Some("desc")).sort(&mut entries);
        assert_eq!(names(&entries), "zAcb");
        Order::read(Some("time"), Some("asc")).sort(&mut entries);
        assert_eq!(names(&entries), "zAcb");
        Order::read(Some("?"), Some("desc")).sort(&mut entries);
        assert_eq!(names(&entries), "zcbA");
    }
}
