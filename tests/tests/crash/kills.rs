//! kill -9 at random points under load.

use crate::load::Load;
use crate::parts::{AWS, FUNCTIONS, NODE, PARTS};
use crate::stage::Stage;
use crate::{check, seed, setting};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::time::{Duration, Instant};

/// What a kill leaves is finished after this: the shortest lease, so that most of a run's crashes are swept while it
/// lasts, beside living operations. Interrupted uploads are not kept: a name that stands for one can be deleted, and the
/// books would take that for the delete of a file.
const SETTINGS: [(&str, &str); 3] =
    [("TOWPATH_LEASE_SECONDS", "10"), ("TOWPATH_SWEEP_SECONDS", "2"), ("TOWPATH_RESUME_HOURS", "0")];

/// How long clients may take to work again after a kill.
const RECOVERY: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_when_acknowledged_operations_stand() {
    let (kills, seed, started) = (setting("TOWPATH_TEST_KILLS", 18), seed(), Instant::now());
    let mut stage = Stage::set(&SETTINGS).await;
    let mut load = Load::start(&stage.door, seed).with_ftps(&stage.door, &stage.ftps, seed);
    let mut dice = StdRng::seed_from_u64(seed);
    load.progress(20, RECOVERY).await;
    for kill in 0..kills {
        // some kills meet a system that recovers from the last one
        if dice.random_bool(0.8) {
            load.progress(dice.random_range(5..40), RECOVERY).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..400))).await;
        let victims: &[&str] = match dice.random_range(0..20) {
            0..=9 => &[NODE],
            10..=12 => &[FUNCTIONS],
            13..=15 => &[AWS],
            _ => &PARTS,
        };
        stage.parts.kill(victims).await;
        stage.parts.run(victims).await;
        load.assert_alive().await;
        if (kill + 1) % 25 == 0 {
            println!("{} kills, {} operations, {:?}", kill + 1, load.ledger.done(), started.elapsed());
        }
    }
    load.progress(20, RECOVERY).await;
    let ledger = load.end().await;
    println!("{kills} kills in {:?}", started.elapsed());
    assert!(kills < 5 || ledger.unknown() > 0, "no kill met an operation");
    check::everything(&stage, &ledger).await;
    println!("checked after {:?}", started.elapsed());
}
