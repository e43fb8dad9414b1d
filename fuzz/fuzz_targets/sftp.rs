//! The files of the protocol node that turn bytes into requests and answers into bytes, as they are. Limits are smaller
//! here, so that the fuzzer, whose inputs are small, comes to them.

pub(crate) const MAX_FRAME: usize = 512;
pub(crate) const ADVERTISED_PACKET: u64 = 256 * 1024;
pub(crate) const ADVERTISED_DATA: u64 = ADVERTISED_PACKET - 1024;
pub(crate) const MAX_HANDLES: usize = 256;

#[path = "../../protocol-node/src/sftp/attributes.rs"]
mod attributes;
#[path = "../../protocol-node/src/sftp/exercise.rs"]
pub(crate) mod exercise;
#[path = "../../protocol-node/src/sftp/frame.rs"]
mod frame;
#[path = "../../protocol-node/src/sftp/reply.rs"]
mod reply;
#[path = "../../protocol-node/src/sftp/request.rs"]
mod request;
#[path = "../../protocol-node/src/sftp/status.rs"]
mod status;

#[allow(unused_imports, reason = "for the listings of FTPS, in the target that has them")]
pub(crate) use attributes::long_name;
