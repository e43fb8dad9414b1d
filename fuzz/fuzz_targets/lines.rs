//! Any bytes as the control connection of FTPS, cut anywhere; the rules are `protocol-node/src/ftps/exercise.rs`.
#![no_main]
#![allow(dead_code, reason = "the node uses what a fuzzer does not")]

#[path = "../../protocol-node/src/cutting.rs"]
mod cutting;
mod ftps;

libfuzzer_sys::fuzz_target!(|input: &[u8]| ftps::exercise::exercise(input));
