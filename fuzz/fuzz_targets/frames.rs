//! Any bytes as the stream of an SFTP channel, cut anywhere; the rules are `protocol-node/src/sftp/exercise.rs`.
#![no_main]
#![allow(dead_code, reason = "the node uses what a fuzzer does not")]

#[path = "../../protocol-node/src/cutting.rs"]
mod cutting;
mod sftp;

libfuzzer_sys::fuzz_target!(|input: &[u8]| sftp::exercise::exercise(input));
