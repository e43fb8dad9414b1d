//! The folder that survives a restart: the lock, the secrets, `dev.env` and the logs.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use store::clock;

/// The folder, locked as long as this lives.
pub(crate) struct StateFolder {
    path: PathBuf,
    _lock: File,
}

/// What is the same for all starts with one folder, but for what tickets are signed with: they count for a minute.
pub(crate) struct Secrets {
    /// What the host keys are derived from.
    pub(crate) host_key: String,
    /// What sealed records are sealed with.
    pub(crate) sealing: String,
    /// What the keys of tokens are derived from.
    pub(crate) signing: String,
    /// What tickets are signed with.
    pub(crate) tickets: String,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error(
        "another `make dev` runs on {0}; choose another folder with TOWPATH_STATE_DIR and other ports with --port-base"
    )]
    InUse(String),
    #[error("{path} cannot be used: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("{0} is damaged; `make clean-dev` removes the folder with everything in it")]
    Damaged(String),
}

impl StateFolder {
    /// Makes and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        for folder in [path.to_owned(), path.join("logs")] {
            fs::create_dir_all(&folder).map_err(|source| io(&folder, source))?;
        }
        let path = path.canonicalize().map_err(|source| io(path, source))?;
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).map_err(|source| io(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse(path.display().to_string())),
            Err(TryLockError::Error(source)) => Err(io(&lock_path, source)),
        }
    }

    /// A path inside.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The secrets, made at the first start; of signing another one, if that is wanted.
    pub(crate) fn secrets(&self, new_signing_key: bool) -> Result<Secrets, StateError> {
        let path = self.join("secrets");
        let (host_key, sealing, signing) = match fs::read_to_string(&path) {
            Ok(text) => {
                let mut lines = text.lines().map(str::to_owned).filter(|line| line.len() == 64);
                match (lines.next(), lines.next(), lines.next()) {
                    (Some(host_key), Some(sealing), Some(signing)) if !new_signing_key => {
                        return Ok(Secrets { host_key, sealing, signing, tickets: hex_secret() });
                    }
                    // or a folder from before there were tokens
                    (Some(host_key), Some(sealing), _) => (host_key, sealing, hex_secret()),
                    _ => return Err(StateError::Damaged(path.display().to_string())),
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (hex_secret(), hex_secret(), hex_secret()),
            Err(source) => return Err(io(&path, source)),
        };
        self.write_private("secrets", &format!("{host_key}\n{sealing}\n{signing}\n"))?;
        Ok(Secrets { host_key, sealing, signing, tickets: hex_secret() })
    }

    /// Writes a file that only its owner may read, whole or not at all.
    pub(crate) fn write_private(&self, name: &str, text: &str) -> Result<PathBuf, StateError> {
        let (path, new) = (self.join(name), self.join(&format!("{name}.new")));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&new, &path));
        written.map_err(|source| io(&path, source))?;
        Ok(path)
    }

    /// A part's log, from this start on.
    pub(crate) fn log(&self, part: &str) -> Result<(PathBuf, File), StateError> {
        let path = self.join("logs").join(format!("{part}.log"));
        let file = File::create(&path).map_err(|source| io(&path, source))?;
        Ok((path, file))
    }
}

fn hex_secret() -> String {
    clock::random::<32>().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn io(path: &Path, source: std::io::Error) -> StateError {
    StateError::Io { path: path.display().to_string(), source }
}
