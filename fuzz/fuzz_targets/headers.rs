//! Any bytes as the beginning of a connection behind a balancer; the rules are `protocol-node/src/door/proxy/exercise.rs`.
#![no_main]
#![allow(dead_code, reason = "the node uses what a fuzzer does not")]

mod proxy;

libfuzzer_sys::fuzz_target!(|input: &[u8]| proxy::exercise::exercise(input));
