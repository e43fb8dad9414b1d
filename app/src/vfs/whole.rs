//! What can be done with a whole folder at all, whatever lies in it.

use super::FileSession;
use domain::file_error::{FileError, FileErrorKind};
use domain::path::{Located, VPath};

impl FileSession {
    /// Whether a folder with everything in it can be deleted: not where it shows what lies elsewhere.
    pub fn check_whole(&self, folder: &VPath) -> Result<(), FileError> {
        if self.principal.chroot.is_mounted(folder) {
            let text = "the home folder and virtual folders cannot be deleted";
            return Err(FileError::new(FileErrorKind::PermissionDenied, text));
        }
        if !self.principal.chroot.mounted_in(folder).is_empty() {
            return Err(FileError::new(FileErrorKind::FolderNotEmpty, "a virtual folder is in it"));
        }
        Ok(())
    }

    /// Whether a folder can be copied to this name: not into itself, which would not end, and not onto itself. By what both lead
    /// to: virtual folders may show the same in several places.
    pub fn check_copy(&self, from: &VPath, to: &VPath) -> Result<(), FileError> {
        let (sources, targets) = (self.trees(from)?, self.trees(to)?);
        let (own, others) = targets.split_first().ok_or_else(FileError::no_such_file)?;
        let into = sources.iter().any(|source| targets.iter().any(|target| target.below(source).is_some()));
        let onto =
            sources.iter().any(|source| source == own || others.iter().any(|other| source.below(other).is_some()));
        if into || onto {
            return Err(FileError::new(FileErrorKind::BadRequest, "a folder cannot be copied into itself"));
        }
        Ok(())
    }

    /// What a folder shows of the organization's tree; its own part first.
    fn trees(&self, folder: &VPath) -> Result<Vec<VPath>, FileError> {
        let mut trees = Vec::new();
        for part in self.parts_of(folder)? {
            if let Located::Inside(location) = self.principal.chroot.locate(&part)? {
                trees.push(location.tree_path().clone());
            }
        }
        Ok(trees)
    }
}
