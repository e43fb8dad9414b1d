//! The files of the protocol node that parse a PROXY header, as they are.

#[path = "../../protocol-node/src/door/proxy/exercise.rs"]
pub(crate) mod exercise;
#[path = "../../protocol-node/src/door/proxy/header.rs"]
mod header;
