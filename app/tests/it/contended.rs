//! Names that others overwrite all the time.

use crate::world::{WHOLE, World, content, path, put};
use domain::access::Level;
use domain::id::CredentialId;
use offline_aws::FaultPlan;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many others there are: enough that a handful of rounds is regularly not enough.
const OTHERS: u8 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_name_that_others_replace_all_the_time_gets_through() {
    let world = World::with_budget(256).await;
    let ana = world.session(Level::Full);
    let mut plan = FaultPlan::default();
    // the time between a look and the change, in which others come first
    plan.dynamodb.latency_ms = 3;
    world.offline.faults().set(plan);
    put(&ana, "/a", &content(1), WHOLE).await.unwrap();
    let end = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (0..OTHERS)
        .map(|at| {
            let (ben, end) = (world.session_of(CredentialId::from_random([at + 20; 15])), Arc::clone(&end));
            tokio::spawn(async move {
                let mut sizes = (at as usize..10_000).step_by(OTHERS.into());
                while !end.load(Ordering::Relaxed) {
                    put(&ben, "/a", &content(sizes.next().unwrap()), WHOLE).await.unwrap();
                }
            })
        })
        .collect();
    for at in 0..6 {
        ana.delete_file(&path("/a")).await.unwrap();
        put(&ana, "/a", &content(20_000 + at), WHOLE).await.unwrap();
    }
    end.store(true, Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
    world.offline.faults().set(FaultPlan::default());
    world.events().await;
    world.nothing_left().await;
}
