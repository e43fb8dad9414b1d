//! File contents over HTTP: the body of a request into a file ([`receive`]), a file or many into the body of an answer ([`send`],
//! [`archive`]), and the routes that do so for whoever shows a ticket ([`door`]).
//!
//! A function does the small things with it and a node the large ones, on the same files as SFTP and FTPS. Nothing is held whole:
//! an upload is within the node's memory budget, a download reads ahead within it, an archive is written as it is sent.

pub mod answer;
pub mod archive;
pub mod door;
pub mod receive;
pub mod send;
