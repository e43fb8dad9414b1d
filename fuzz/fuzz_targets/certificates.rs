//! Any bytes as the certificate of a client of FTPS, which everybody may send before logging in, and as one that is to be
//! registered.
#![no_main]

use domain::ssh_key::certificate;
use domain::ssh_key::parse;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let key = certificate::key_of(input);
    assert!(key == certificate::key_of(input), "the same certificate has the same key");
    if let Some(key) = &key {
        assert!(input.len() <= certificate::MAX_DER && !key.is_empty());
    }
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(parsed) = parse(text)
    {
        // what is kept and shown can be sent back, and is the same key
        let again = parse(&parsed.line);
        assert!(again.is_ok_and(|again| again.blob == parsed.blob), "the line of a key is that key");
    }
});
