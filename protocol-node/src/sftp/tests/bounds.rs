//! Requests without an answer, up to their bounds and one more.

use super::{CREATE, Client, READ, Refused, fields};
use crate::doubles::Vfs;
use crate::sftp::{DATA_RECORD, MAX_DATA_REQUESTS, REPLY_HIGH, SEND_BYTES};
use app::budget::Budget;

/// A STATUS: its length, type, id, code, message and language.
const SHORTEST_ANSWER: u64 = 4 + 1 + 4 + 4 + 4 + 4;

/// READs of a file that does not answer.
async fn reads(client: &mut Client, handle: &[u8], count: usize) -> Result<(), Refused> {
    for _ in 0..count {
        client.try_send(5, fields().string(handle).u64(0).u32(1)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn reads_and_writes_without_an_answer_have_a_bound() {
    let vfs = Vfs::default();
    vfs.put("/slow", "x");
    let mut client = Client::new(&vfs).await;
    let handle = client.open("/slow", READ).await;
    reads(&mut client, &handle, MAX_DATA_REQUESTS).await.unwrap();
    assert_eq!(reads(&mut client, &handle, 1).await, Err(Refused::TooManyRequests));

    // uploads take bytes though nobody reads the answers; two pieces of them are ready to go, and no longer count
    let mut client = Client::new(&vfs).await;
    let handle = client.open("/new", CREATE).await;
    client.open.send_replace(false);
    let mut sent = 0;
    let refused = loop {
        match client.try_send(6, fields().string(&handle).u64(sent).string("x")).await {
            Ok(_) => sent += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, Refused::TooManyRequests);
    let (least, ready) = (MAX_DATA_REQUESTS as u64, (REPLY_HIGH + SEND_BYTES) as u64 / SHORTEST_ANSWER);
    assert!((least..=least + ready).contains(&sent), "{sent}");
}

#[tokio::test]
async fn without_memory_a_connection_is_closed_beyond_what_it_always_has() {
    const ALWAYS: usize = 512 * 1024 / DATA_RECORD;
    let vfs = Vfs::default();
    vfs.put("/slow", "x");
    let node = Budget::least();
    let taken: Vec<_> = std::iter::from_fn(|| node.try_door(64 * 1024)).collect();
    let mut client = Client::on(&vfs, &node).await;
    let handle = client.open("/slow", READ).await;
    reads(&mut client, &handle, ALWAYS).await.unwrap();
    assert_eq!(reads(&mut client, &handle, 1).await, Err(Refused::TooManyRequests));
    // with memory the same client goes on
    drop(taken);
    let mut client = Client::on(&vfs, &node).await;
    let handle = client.open("/slow", READ).await;
    reads(&mut client, &handle, 2 * ALWAYS).await.unwrap();
}
