//! A path as a client names it.

use super::MAX_PATH_BYTES;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// Object keys are UTF-8, and so are the answers of both REST dialects.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// A character that terminals, logs and XML listings cannot carry.
    #[error("the name holds a control character")]
    ControlCharacter,
    /// It would not fit an object key.
    #[error("the path is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// A single name was needed.
    #[error("a name may not be empty, `.`, `..` or hold a slash")]
    NotAName,
}

/// An absolute path in some tree: `/` or `/a/b`. Never holds `.`, `..`, an empty segment, a control character or more
/// than [`MAX_PATH_BYTES`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VPath(
    /// Without the leading slash: `` for the root, `a/b` for `/a/b`.
    String,
);

/// One segment of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl VPath {
    /// The root, `/`.
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// Parses an absolute path, or one relative to the root. `.` and empty segments vanish, `..` goes up and stays at
    /// the root, as `realpath` answers it; so the result names nothing above the root.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        Self::root().resolve(text)
    }

    /// The same for the bytes of a protocol that has no encoding.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, InvalidPath> {
        Self::parse(std::str::from_utf8(bytes).map_err(|_| InvalidPath::NotUtf8)?)
    }

    /// Parses `text` as seen from this folder: absolute if it starts with `/`.
    pub fn resolve(&self, text: &str) -> Result<Self, InvalidPath> {
        let mut path = if text.starts_with('/') { String::new() } else { self.0.clone() };
        for segment in text.split('/') {
            match segment {
                "" | "." => {}
                ".." => path.truncate(path.rfind('/').unwrap_or(0)),
                name => {
                    if name.chars().any(char::is_control) {
                        return Err(InvalidPath::ControlCharacter);
                    }
                    if !path.is_empty() {
                        path.push('/');
                    }
                    path.push_str(name);
                    // checked here and not at the end, so that a megabyte of segments is refused after the first kilobyte
                    if path.len() > MAX_PATH_BYTES {
                        return Err(InvalidPath::TooLong);
                    }
                }
            }
        }
        Ok(Self(path))
    }

    /// [`VPath::resolve`] for bytes.
    pub fn resolve_bytes(&self, bytes: &[u8]) -> Result<Self, InvalidPath> {
        self.resolve(std::str::from_utf8(bytes).map_err(|_| InvalidPath::NotUtf8)?)
    }

    /// The path of something directly in this folder.
    pub fn child(&self, name: &Name) -> Result<Self, InvalidPath> {
        self.join(&Self(name.0.clone()))
    }

    /// `below` as seen from this folder: `/a` joined with `/b/c` is `/a/b/c`.
    pub fn join(&self, below: &Self) -> Result<Self, InvalidPath> {
        let joined = match (self.is_root(), below.is_root()) {
            (true, _) => return Ok(below.clone()),
            (_, true) => return Ok(self.clone()),
            _ => format!("{}/{}", self.0, below.0),
        };
        if joined.len() > MAX_PATH_BYTES { Err(InvalidPath::TooLong) } else { Ok(Self(joined)) }
    }

    /// Whether this is `/`.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The folder that holds this, or `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(self.0.rsplit_once('/').map_or_else(String::new, |(parent, _)| parent.to_owned())))
    }

    /// The last segment, or `None` for the root.
    pub fn name(&self) -> Option<&str> {
        if self.is_root() { None } else { self.0.rsplit('/').next() }
    }

    /// The segments from the root down.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// What is left of this path below `folder`: `/a/b/c` below `/a` is `/b/c`. `None` if it is not in there.
    pub fn below(&self, folder: &Self) -> Option<Self> {
        if folder.is_root() {
            return Some(self.clone());
        }
        let rest = self.0.strip_prefix(&folder.0)?;
        if rest.is_empty() {
            return Some(Self::root());
        }
        rest.strip_prefix('/').map(|rest| Self(rest.to_owned()))
    }

    /// Without the leading slash: `a/b`; empty for the root.
    pub fn relative(&self) -> &str {
        &self.0
    }
}

impl Name {
    /// Parses one segment.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        if text.is_empty() || text == "." || text == ".." || text.contains('/') {
            return Err(InvalidPath::NotAName);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidPath::ControlCharacter);
        }
        if text.len() > MAX_PATH_BYTES { Err(InvalidPath::TooLong) } else { Ok(Self(text.to_owned())) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, taken out.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl fmt::Display for VPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl fmt::Debug for VPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

impl TryFrom<String> for VPath {
    type Error = InvalidPath;
    fn try_from(text: String) -> Result<Self, InvalidPath> {
        Self::parse(&text)
    }
}

impl From<VPath> for String {
    fn from(path: VPath) -> Self {
        path.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> VPath {
        VPath::parse(text).unwrap()
    }

    #[test]
    fn normal_forms() {
        for (text, expected) in [
            ("", "/"),
            ("/", "/"),
            (".", "/"),
            ("a", "/a"),
            ("/a//b/./c/", "/a/b/c"),
            ("/a/../../b", "/b"),
            ("../../..", "/"),
            ("/ä b+%2e%2e", "/ä b+%2e%2e"),
            ("/...", "/..."),
        ] {
            assert_eq!(path(text).to_string(), expected, "{text}");
        }
        assert_eq!(path("/a/b").resolve("../c").unwrap().to_string(), "/a/c");
        assert_eq!(path("/a/b").resolve("/c").unwrap().to_string(), "/c");
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(VPath::parse("a\0b"), Err(InvalidPath::ControlCharacter));
        assert_eq!(VPath::parse("a\nb"), Err(InvalidPath::ControlCharacter));
        assert_eq!(VPath::parse("a\u{85}b"), Err(InvalidPath::ControlCharacter));
        assert_eq!(VPath::parse_bytes(b"\xff"), Err(InvalidPath::NotUtf8));
        assert_eq!(VPath::parse(&"x".repeat(5000)), Err(InvalidPath::TooLong));
        assert!(VPath::parse(&"x".repeat(MAX_PATH_BYTES)).is_ok());
        assert_eq!(Name::parse(".."), Err(InvalidPath::NotAName));
        assert_eq!(Name::parse("a/b"), Err(InvalidPath::NotAName));
    }

    #[test]
    fn family() {
        assert_eq!(path("/a/b").parent(), Some(path("/a")));
        assert_eq!(path("/a").parent(), Some(VPath::root()));
        assert_eq!(VPath::root().parent(), None);
        assert_eq!(path("/a/b").name(), Some("b"));
        assert_eq!(path("/a/b/c").below(&path("/a")), Some(path("/b/c")));
        assert_eq!(path("/ab").below(&path("/a")), None);
        assert_eq!(path("/a").below(&path("/a")), Some(VPath::root()));
    }

    proptest! {
        #[test]
        fn a_parsed_path_never_holds_what_it_must_not(text in "\\PC{0,40}(/\\.\\.|/\\.|//|/\\PC{0,9}|\0){0,20}") {
            if let Ok(path) = VPath::parse(&text) {
                prop_assert!(path.relative().len() <= MAX_PATH_BYTES);
                prop_assert!(path.segments().all(|s| Name::parse(s).is_ok()));
                prop_assert_eq!(VPath::parse(&path.to_string()).unwrap(), path.clone());
                if let (Some(parent), Some(name)) = (path.parent(), path.name()) {
                    prop_assert_eq!(parent.child(&Name::parse(name).unwrap()).unwrap(), path);
                }
            }
        }

        #[test]
        fn below_undoes_join(a in "(/[a-c]{1,3}){0,4}", b in "(/[a-c]{1,3}){0,4}") {
            let (a, b) = (path(&a), path(&b));
            prop_assert_eq!(a.join(&b).unwrap().below(&a), Some(b));
        }
    }
}
