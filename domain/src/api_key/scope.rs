//! `Permissions` of an API key: what each guards is in docs/API.md.

use crate::access::{Verb, Verbs};
use crate::invalid::Invalid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// One scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Management reads.
    #[serde(rename = "read:admin")]
    ReadAdmin,
    /// Usage, delivery logs, connections.
    #[serde(rename = "read:analyze")]
    ReadAnalyze,
    /// List, stat, download.
    #[serde(rename = "read:files")]
    ReadFiles,
    /// See jobs.
    #[serde(rename = "read:organize")]
    ReadOrganize,
    /// Search of files by name and of events.
    #[serde(rename = "read:search")]
    ReadSearch,
    /// Management writes.
    #[serde(rename = "write:admin")]
    WriteAdmin,
    /// Exports, recounts.
    #[serde(rename = "write:analyze")]
    WriteAnalyze,
    /// Upload, mkdir, rename, copy.
    #[serde(rename = "write:files")]
    WriteFiles,
    /// Delete, overwrite.
    #[serde(rename = "write:files:delete")]
    DeleteFiles,
    /// Start jobs.
    #[serde(rename = "write:organize")]
    WriteOrganize,
}

impl Scope {
    /// Every scope, sorted by its text.
    pub const ALL: &'static [Self] = &[
        Self::ReadAdmin,
        Self::ReadAnalyze,
        Self::ReadFiles,
        Self::ReadOrganize,
        Self::ReadSearch,
        Self::WriteAdmin,
        Self::WriteAnalyze,
        Self::WriteFiles,
        Self::DeleteFiles,
        Self::WriteOrganize,
    ];

    /// The text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadAdmin => "read:admin",
            Self::ReadAnalyze => "read:analyze",
            Self::ReadFiles => "read:files",
            Self::ReadOrganize => "read:organize",
            Self::ReadSearch => "read:search",
            Self::WriteAdmin => "write:admin",
            Self::WriteAnalyze => "write:analyze",
            Self::WriteFiles => "write:files",
            Self::DeleteFiles => "write:files:delete",
            Self::WriteOrganize => "write:organize",
        }
    }

    /// Parses the text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| Invalid::new(format!("must be one of {}", Scopes::all())))
    }
}

/// What a key may do: everything that its owner may, or only some of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Option<BTreeSet<Scope>>);

impl Scopes {
    /// All that the owner may do.
    pub const fn everything() -> Self {
        Self(None)
    }

    /// Only these.
    pub fn only(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(Some(scopes.into_iter().collect()))
    }

    fn all() -> Self {
        Self::only(Scope::ALL.iter().copied())
    }

    /// Whether it holds `scope`.
    pub fn allows(&self, scope: Scope) -> bool {
        self.0.as_ref().is_none_or(|scopes| scopes.contains(&scope))
    }

    /// What it may do with files; `*` without a limit.
    pub fn file_verbs(&self) -> Verbs {
        use Verb::{
            ChangeTimes, CopyFiles, CreateFolders, DeleteFiles, DeleteFolders, Download, List, Overwrite, RenameFiles,
            RenameFolders, Upload,
        };
        let Some(scopes) = &self.0 else { return Verbs::ALL };
        let of = |scope: &Scope| match scope {
            Scope::ReadFiles => Verbs::of(&[List, Download]),
            Scope::WriteFiles => {
                Verbs::of(&[Upload, CreateFolders, RenameFiles, RenameFolders, CopyFiles, ChangeTimes])
            }
            Scope::DeleteFiles => Verbs::of(&[DeleteFiles, DeleteFolders, Overwrite]),
            Scope::ReadAdmin
            | Scope::ReadAnalyze
            | Scope::ReadOrganize
            | Scope::ReadSearch
            | Scope::WriteAdmin
            | Scope::WriteAnalyze
            | Scope::WriteOrganize => Verbs::NONE,
        };
        scopes.iter().map(of).fold(Verbs::NONE, Verbs::union)
    }

    /// Whether it holds everything because nobody limited it.
    pub const fn are_unlimited(&self) -> bool {
        self.0.is_none()
    }

    /// The list, if it is limited.
    pub fn limited_to(&self) -> Option<Vec<&'static str>> {
        self.0.as_ref().map(|scopes| scopes.iter().map(|scope| scope.as_str()).collect())
    }
}

/// Sorted and separated by spaces, as a 403 shows what is granted.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut texts: Vec<&str> =
            Scope::ALL.iter().filter(|scope| self.allows(**scope)).map(|scope| scope.as_str()).collect();
        texts.sort_unstable();
        f.write_str(&texts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_documentation() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Ok(*scope));
            assert_eq!(serde_json::to_string(scope).unwrap(), format!("{:?}", scope.as_str()));
        }
        assert!(Scope::parse("write:everything").is_err());
    }

    #[test]
    fn scopes_for_files_are_verbs() {
        let verbs = |scopes: &[Scope]| Scopes::only(scopes.iter().copied()).file_verbs();
        assert_eq!(verbs(&[Scope::ReadAdmin, Scope::WriteAnalyze]), Verbs::NONE);
        assert_eq!(verbs(&[Scope::ReadFiles]).names(), ["list", "download"]);
        assert_eq!(verbs(&[Scope::WriteFiles]).names(), ["rename", "upload", "create_dirs", "copy", "chtimes"]);
        assert_eq!(verbs(&[Scope::DeleteFiles, Scope::ReadFiles]).names(), ["delete", "list", "download", "overwrite"]);
        assert_eq!(Scopes::everything().file_verbs(), Verbs::ALL);
    }

    #[test]
    fn what_is_granted_is_sorted() {
        let scopes = Scopes::only([Scope::WriteFiles, Scope::ReadAdmin]);
        assert_eq!(scopes.to_string(), "read:admin write:files");
        assert!(scopes.allows(Scope::ReadAdmin) && !scopes.allows(Scope::WriteAdmin));
        assert!(Scopes::everything().to_string().starts_with("read:admin read:analyze"));
    }
}
