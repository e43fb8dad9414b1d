//! The files and accounts behind the doors. In unit tests they are doubles in memory, so that an engine can be shown
//! slow, failing and stuck storage; everything else uses the real ones.

#[cfg(not(test))]
pub(crate) use app::accounts::Accounts;
#[cfg(not(test))]
pub(crate) use app::vfs::{Download, FileSession, Listing, Upload, Vfs};

#[cfg(test)]
pub(crate) use crate::doubles::{Accounts, Download, FileSession, Listing, Upload, Vfs};
