//! Which operations on paths may run beside each other.
//!
//! A client may send requests without waiting for answers, and expects those for one file to act in the order sent
//! (draft-ietf-secsh-filexfer-02, section 6.1). So an operation waits for earlier ones that it could notice, and for no
//! others: one slow rename does not hold up a STAT elsewhere.

use domain::path::VPath;

/// What an operation does with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Looks at it.
    Sees,
    /// Looks at it and at what it holds.
    Lists,
    /// Changes it or what it holds.
    Changes,
}

/// An operation's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// The operations under way or waiting.
#[derive(Debug, Default)]
pub(crate) struct PathOrder {
    next: u64,
    /// In the order of their coming.
    noted: Vec<(Ticket, Touch, VPath)>,
}

impl PathOrder {
    /// Notes an operation, behind all that are noted already.
    pub(crate) fn begin(&mut self, touch: Touch, paths: &[VPath]) -> Ticket {
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        self.noted.extend(paths.iter().map(|path| (ticket, touch, path.clone())));
        ticket
    }

    /// Whether an operation has to wait for an earlier one, which may be waiting itself.
    pub(crate) fn must_wait(&self, ticket: Ticket) -> bool {
        let mine = self.noted.iter().filter(|(other, _, _)| *other == ticket);
        mine.into_iter().any(|(_, touch, path)| {
            let mut earlier = self.noted.iter().take_while(|(other, _, _)| *other != ticket);
            earlier.any(|(_, other, noted)| conflict(*touch, path, *other, noted))
        })
    }

    /// The operation is done.
    pub(crate) fn end(&mut self, ticket: Ticket) {
        self.noted.retain(|(other, _, _)| *other != ticket);
    }
}

fn conflict(a: Touch, a_path: &VPath, b: Touch, b_path: &VPath) -> bool {
    match (a, b) {
        (Touch::Sees | Touch::Lists, Touch::Sees | Touch::Lists) => false,
        (Touch::Sees, Touch::Changes) => is_in(a_path, b_path),
        (Touch::Changes, Touch::Sees) => is_in(b_path, a_path),
        (Touch::Changes | Touch::Lists, Touch::Changes) | (Touch::Changes, Touch::Lists) => {
            is_in(a_path, b_path) || is_in(b_path, a_path)
        }
    }
}

/// Whether `path` is `folder` or lies in it.
fn is_in(path: &VPath, folder: &VPath) -> bool {
    let folder = folder.relative();
    match path.relative().strip_prefix(folder) {
        Some(rest) => folder.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    #[test]
    fn only_what_could_be_noticed_waits() {
        let mut order = PathOrder::default();
        let first = order.begin(Touch::Changes, &[path("/a/b")]);
        assert!(!order.must_wait(first));
        for (touch, other, waits) in [
            (Touch::Sees, "/a/b", true),
            (Touch::Sees, "/a/b/c", true),
            (Touch::Sees, "/a", false),
            (Touch::Sees, "/a/bc", false),
            (Touch::Lists, "/a", true),
            (Touch::Lists, "/", true),
            (Touch::Lists, "/c", false),
            (Touch::Changes, "/a", true),
            (Touch::Changes, "/a/c", false),
        ] {
            let ticket = order.begin(touch, &[path(other)]);
            assert_eq!(order.must_wait(ticket), waits, "{touch:?} {other}");
            order.end(ticket);
        }
        let rename = order.begin(Touch::Changes, &[path("/a/b"), path("/x")]);
        let behind = order.begin(Touch::Sees, &[path("/x")]);
        assert!(order.must_wait(rename) && order.must_wait(behind));
        order.end(first);
        assert!(!order.must_wait(rename) && order.must_wait(behind));
        order.end(rename);
        assert!(!order.must_wait(behind));
        let list = order.begin(Touch::Lists, &[path("/")]);
        assert!(!order.must_wait(list));
    }
}
