//! The promises about stored files, while everything is killed at random points and while AWS misbehaves.
//!
//! Clients work without a break and write down what they were told ([`ledger`]); at the end the bucket, the table, the
//! queues and the events that arrived are compared with it ([`check`]). `kills.rs` sends kill -9, `faults.rs` sets fault
//! plans of the offline AWS.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `TOWPATH_TEST_KILLS` | how many kills | 18 |
//! | `TOWPATH_TEST_FAULT_SECONDS` | how long each fault plan lasts | 4 |
//! | `TOWPATH_TEST_SEED` | what the dice start from; printed by every run | another one each time |

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at what it did not expect")]

mod check;
mod events;
mod faults;
mod ftps;
mod groups;
mod kills;
mod ledger;
mod load;
mod parts;
mod receiver;
mod sftp;
#[path = "../shared/mod.rs"]
mod shared;
mod stage;
mod version;
mod workers;

/// A number from the environment.
#[expect(clippy::disallowed_methods, reason = "the one place where the suite's settings are read")]
fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not `{text}`")),
        Err(_) => default,
    }
}

/// The seed of this run, printed so that it can be given again.
fn seed() -> u64 {
    let seed = setting("TOWPATH_TEST_SEED", rand::random_range(1..1_000_000));
    println!("TOWPATH_TEST_SEED={seed}");
    seed
}
