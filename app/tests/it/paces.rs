//! Bandwidth limits of a credential.

use crate::world::{WHOLE, World, content, get, put};
use domain::bandwidth::Bandwidth;
use std::time::{Duration, Instant};

#[tokio::test]
async fn bytes_take_as_long_as_the_limit_says() {
    let world = World::start().await;
    let paced =
        |upload_kilobytes, download_kilobytes| world.session_paced(Bandwidth { upload_kilobytes, download_kilobytes });
    let body = content(1_000_000);
    let (began, up) = (Instant::now(), paced(1_000, 0));
    put(&up, "/a", &body, WHOLE).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    // two sessions share it
    let (began, one, other) = (Instant::now(), paced(0, 1_000), paced(0, 1_000));
    let (got, again) = tokio::join!(get(&one, "/a"), get(&other, "/a"));
    assert!(got.unwrap() == body && again.unwrap() == body);
    assert!(began.elapsed() >= Duration::from_millis(1_700), "{:?}", began.elapsed());
}
