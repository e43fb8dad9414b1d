//! How the file databases of this crate are opened.

use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

/// Long enough for an instance that was dropped a moment ago to let go; a second process fails clearly after it.
const LOCK_WAIT: Duration = Duration::from_secs(3);

/// Opens a database for one owner. WAL with `synchronous = NORMAL` keeps every commit through kill -9 of the process;
/// only a power cut may lose the last ones. The exclusive lock keeps a second process out of the same folder.
pub(crate) fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // takes the exclusive lock now and not at the first request
    connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
    Ok(connection)
}
