//! The files of the protocol node that turn bytes into commands, as they are.

#[path = "../../protocol-node/src/ftps/command.rs"]
mod command;
#[path = "../../protocol-node/src/ftps/exercise.rs"]
pub(crate) mod exercise;
#[path = "../../protocol-node/src/ftps/line.rs"]
mod line;
