//! The engine without a transport: requests in, answers out, and an output that can be shut.

mod bounds;
mod extensions;

use super::intake::Refused;
use super::*;
use crate::doubles::Vfs;
use app::budget::Budget;
use bytes::Bytes;
use futures_util::FutureExt as _;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

const PATIENCE: Duration = Duration::from_secs(30);

struct Client {
    channel: Channel,
    answers: mpsc::Receiver<Bytes>,
    received: Vec<u8>,
    parsed: HashMap<u32, Vec<u8>>,
    order: Vec<u32>,
    /// Whether the output takes anything.
    open: watch::Sender<bool>,
    ends: Arc<AtomicUsize>,
    tasks: TaskTracker,
    id: u32,
}

#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn string(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.0.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }
    fn u32(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }
    fn u64(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }
}

fn fields() -> Fields {
    Fields::default()
}

impl Client {
    async fn new(vfs: &Vfs) -> Self {
        Self::on(vfs, &Budget::new(512).unwrap()).await
    }

    /// On a node with this memory.
    async fn on(vfs: &Vfs, node: &Budget) -> Self {
        let (sender, answers) = mpsc::channel(4096);
        let (open, _) = watch::channel(true);
        let gate = open.clone();
        let output: Output = Box::new(move |bytes| {
            let (sender, mut gate) = (sender.clone(), gate.subscribe());
            async move {
                gate.wait_for(|open| *open).await.map_err(|_| Gone)?;
                sender.send(bytes).await.map_err(|_| Gone)
            }
            .boxed()
        });
        let (ends, tasks) = (Arc::new(AtomicUsize::new(0)), TaskTracker::new());
        let counter = Arc::clone(&ends);
        let at_end = async move {
            counter.fetch_add(1, Ordering::SeqCst);
        };
        let memory = Memory::new(node);
        let mut client = Self {
            channel: Channel::start(vfs.files(), memory, &tasks, output, at_end),
            answers,
            received: Vec::new(),
            parsed: HashMap::new(),
            order: Vec::new(),
            open,
            ends,
            tasks,
            id: 100,
        };
        client.push(&[0, 0, 0, 5, 1, 0, 0, 0, 3]).await.unwrap();
        // the version stands where answers have their id
        let version = client.answer(3).await;
        assert_eq!(version[0], 2);
        assert!(String::from_utf8_lossy(&version).contains("limits@openssh.com"));
        client
    }

    async fn push(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        timeout(PATIENCE, self.channel.push(bytes)).await.expect("push hangs")
    }

    async fn try_send(&mut self, kind: u8, fields: Fields) -> Result<u32, Refused> {
        self.id += 1;
        let mut frame = u32::try_from(fields.0.len() + 5).unwrap().to_be_bytes().to_vec();
        frame.push(kind);
        frame.extend_from_slice(&self.id.to_be_bytes());
        frame.extend_from_slice(&fields.0);
        for piece in frame.chunks(32 * 1024) {
            self.push(piece).await?;
        }
        Ok(self.id)
    }

    async fn send(&mut self, kind: u8, fields: Fields) -> u32 {
        self.try_send(kind, fields).await.unwrap()
    }

    /// The answer to a request: its type and what follows the id.
    async fn answer(&mut self, id: u32) -> Vec<u8> {
        loop {
            if let Some(answer) = self.parsed.remove(&id) {
                return answer;
            }
            let bytes = timeout(PATIENCE, self.answers.recv()).await.expect("no answer");
            self.received.extend_from_slice(&bytes.expect("the output has ended"));
            while let Some((length, rest)) = self.received.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if rest.len() < length {
                    break;
                }
                let id = u32::from_be_bytes(rest[1..5].try_into().unwrap());
                let answer = [&rest[..1], &rest[5..length]].concat();
                assert!(self.parsed.insert(id, answer).is_none(), "{id} is answered twice");
                self.order.push(id);
                self.received.drain(..length + 4);
            }
        }
    }

    async fn call(&mut self, kind: u8, fields: Fields) -> Vec<u8> {
        let id = self.send(kind, fields).await;
        self.answer(id).await
    }

    async fn status(&mut self, kind: u8, fields: Fields) -> (u32, String) {
        status(&self.call(kind, fields).await)
    }

    async fn open(&mut self, path: &str, flags: u32) -> Vec<u8> {
        let answer = self.call(3, fields().string(path).u32(flags).u32(0)).await;
        assert_eq!(answer[0], 102, "{:?}", String::from_utf8_lossy(&answer));
        answer[5..].to_vec()
    }

    async fn write(&mut self, handle: &[u8], offset: u64, data: &[u8]) -> u32 {
        self.send(6, fields().string(handle).u64(offset).string(data)).await
    }

    fn is_answered(&mut self, id: u32) -> bool {
        self.parsed.contains_key(&id)
    }
}

fn status(answer: &[u8]) -> (u32, String) {
    assert_eq!(answer[0], 101);
    let length = u32::from_be_bytes(answer[5..9].try_into().unwrap()) as usize;
    (u32::from_be_bytes(answer[1..5].try_into().unwrap()), String::from_utf8(answer[9..9 + length].to_vec()).unwrap())
}

const READ: u32 = 1;
const CREATE: u32 = 2 | 8 | 16;

/// OpenSSH's `scp` cuts a file, without an error, where an answer comes out of order.
#[tokio::test]
async fn reads_are_answered_in_the_order_of_their_requests() {
    let vfs = Vfs::default();
    vfs.put("/uneven", vec![1; 64_000]);
    let mut client = Client::new(&vfs).await;
    let handle = client.open("/uneven", READ).await;
    let mut asked = Vec::new();
    for at in 0..64 {
        asked.push(client.send(5, fields().string(&handle).u64(at * 1000).u32(1000)).await);
    }
    for id in &asked {
        assert_eq!(client.answer(*id).await[0], 103);
    }
    let order: Vec<u32> = client.order.iter().copied().filter(|id| asked.contains(id)).collect();
    assert_eq!(order, asked);
}

#[tokio::test]
async fn a_file_goes_in_and_out() {
    let vfs = Vfs::default();
    let mut client = Client::new(&vfs).await;
    let content: Vec<u8> = (0..700_000_u32).map(|at| (at / 3).to_le_bytes()[0]).collect();
    let handle = client.open("/a", CREATE | READ).await;
    for (at, piece) in content.chunks(250_000).enumerate() {
        let id = client.write(&handle, at as u64 * 250_000, piece).await;
        assert_eq!(status(&client.answer(id).await).0, 0);
    }
    assert_eq!(client.status(5, fields().string(&handle).u64(0).u32(10)).await.0, 4);
    assert_eq!(client.status(200, fields().string("fsync@openssh.com").string(&handle)).await.0, 0);
    assert_eq!(client.call(8, fields().string(&handle)).await[0], 105);
    assert!(vfs.get("/a").is_none());
    assert_eq!(client.status(4, fields().string(&handle)).await.0, 0);
    assert!(vfs.get("/a").unwrap() == content);

    // what cannot become a file is said before CLOSE
    let handle = client.open("/gap", CREATE).await;
    assert_eq!(client.status(200, fields().string("fsync@openssh.com").string(&handle)).await.0, 8);
    client.status(4, fields().string(&handle)).await;

    let handle = client.open("a", READ).await;
    let answer = client.call(5, fields().string(&handle).u64(5).u32(300_000)).await;
    assert!(answer[0] == 103 && answer[5..] == content[5..5 + 261_120]);
    let answer = client.call(5, fields().string(&handle).u64(699_990).u32(262_144)).await;
    assert_eq!(&answer[5..], &content[699_990..]);
    for offset in [700_000, u64::MAX] {
        assert_eq!(client.status(5, fields().string(&handle).u64(offset).u32(9)).await.0, 1);
    }
    assert_eq!(client.status(6, fields().string(&handle).u64(0).string("x")).await.0, 4);
    assert_eq!(client.status(4, fields().string(&handle)).await.0, 0);
    assert_eq!(client.status(4, fields().string(&handle)).await, (4, "no such handle".to_owned()));
}

#[tokio::test]
async fn times_are_set_on_paths_and_on_every_handle() {
    const TIMES: u32 = 8;
    let vfs = Vfs::default();
    vfs.put("/a", "abc");
    let mut client = Client::new(&vfs).await;
    // each answer is followed by what a STAT shows: the last four bytes are the time of the last change
    let time = async |client: &mut Client| {
        let shown = client.call(17, fields().string("/a")).await;
        u32::from_be_bytes(*shown.last_chunk().unwrap())
    };
    assert_eq!(client.status(9, fields().string("/a").u32(TIMES).u32(5).u32(1_000_000_001)).await.0, 0);
    assert_eq!(time(&mut client).await, 1_000_000_001);
    let handle = client.open("/a", READ).await;
    assert_eq!(client.status(10, fields().string(&handle).u32(TIMES).u32(5).u32(1_000_000_002)).await.0, 0);
    assert_eq!(time(&mut client).await, 1_000_000_002);
    let handle = client.open("/a", CREATE).await;
    assert_eq!(client.status(10, fields().string(&handle).u32(TIMES).u32(5).u32(u32::MAX)).await.0, 0);
    assert_eq!(time(&mut client).await, 1_000_000_002, "not before CLOSE");
    assert_eq!(client.status(4, fields().string(&handle)).await.0, 0);
    assert_eq!(time(&mut client).await, u32::MAX);
    // of two on one path that are sent at once the later counts
    let first = client.send(9, fields().string("/a").u32(TIMES).u32(5).u32(7)).await;
    let second = client.send(9, fields().string("/a").u32(TIMES).u32(5).u32(8)).await;
    assert_eq!(time(&mut client).await, 8);
    for id in [first, second] {
        assert_eq!(status(&client.answer(id).await).0, 0);
    }
    assert_eq!(client.status(9, fields().string("/none").u32(TIMES).u32(5).u32(7)).await.0, 2);
}

#[tokio::test]
async fn sizes_modes_and_owners_that_clients_set() {
    let vfs = Vfs::default();
    vfs.put("/a", "abc");
    let mut client = Client::new(&vfs).await;
    let before = client.call(17, fields().string("/a")).await;
    // the size that it has, and another
    assert_eq!(client.status(9, fields().string("/a").u32(1).u64(3)).await.0, 0);
    assert_eq!(client.status(9, fields().string("/a").u32(1).u64(2)).await.0, 8);
    // owner and group, and mode
    assert_eq!(client.status(9, fields().string("/a").u32(2).u32(7).u32(7)).await.0, 0);
    assert_eq!(client.status(9, fields().string("/a").u32(4).u32(0o600)).await.0, 0);
    assert_eq!(client.call(17, fields().string("/a")).await, before);
    assert_eq!(client.status(9, fields().string("/none").u32(4).u32(0o600)).await.0, 2);
}

#[tokio::test]
async fn folders_have_a_bound_of_their_own() {
    let vfs = Vfs::default();
    let mut client = Client::new(&vfs).await;
    for _ in 0..MAX_FOLDERS {
        assert_eq!(client.call(11, fields().string("/")).await[0], 102);
    }
    let (code, message) = client.status(11, fields().string("/")).await;
    assert!(code == 4 && message.contains("16 folders"), "{message}");
}

#[tokio::test]
async fn a_client_that_reads_nothing_can_still_write() {
    // the client has a download under way whose answers it does not read, and uploads more than the budget holds
    let vfs = Vfs::default();
    vfs.put("/big", vec![1; 4 * 1024 * 1024]);
    let mut client = Client::new(&vfs).await;
    let (read, write) = (client.open("/big", READ).await, client.open("/new", CREATE).await);
    client.open.send_replace(false);
    let mut reads = Vec::new();
    for at in 0..256 {
        reads.push(client.send(5, fields().string(&read).u64(at * 16_384).u32(16_384)).await);
    }
    let mut writes = Vec::new();
    for at in 0..(3 * WRITE_LEASES / 32_768) {
        writes.push(client.write(&write, at as u64 * 32_768, &[7; 32_768]).await);
    }
    client.open.send_replace(true);
    for id in writes {
        assert_eq!(status(&client.answer(id).await).0, 0);
    }
    for id in reads {
        assert_eq!(client.answer(id).await.len(), 5 + 16_384);
    }
    assert_eq!(client.status(4, fields().string(&write)).await.0, 0);
    assert_eq!(vfs.get("/new").unwrap().len(), 3 * WRITE_LEASES);
}

#[tokio::test]
async fn a_slow_close_holds_up_only_its_path() {
    let vfs = Vfs::default();
    vfs.put("/other", "abc");
    let mut client = Client::new(&vfs).await;
    let handle = client.open("/d-slow", CREATE).await;
    let written = client.write(&handle, 0, b"x").await;
    let close = client.send(4, fields().string(&handle)).await;
    let same = client.send(18, fields().string("/d-slow").string("/renamed")).await;
    assert_eq!(client.call(17, fields().string("/other")).await[0], 105);
    let read = client.open("/other", READ).await;
    assert_eq!(client.call(5, fields().string(&read).u64(0).u32(9)).await[5..], *b"abc");
    for id in [written, close, same] {
        assert!(!client.is_answered(id));
    }
    vfs.release();
    for id in [written, close, same] {
        assert_eq!(status(&client.answer(id).await).0, 0);
    }
    assert_eq!(vfs.get("/renamed").unwrap(), "x");
}

#[tokio::test]
async fn a_failed_upload_stays_failed() {
    let vfs = Vfs::default();
    let mut client = Client::new(&vfs).await;
    let handle = client.open("/broken", CREATE).await;
    for at in 0..3 {
        let id = client.write(&handle, at, b"x").await;
        assert_eq!(status(&client.answer(id).await), (4, "storage is away".to_owned()));
    }
    assert_eq!(client.status(4, fields().string(&handle)).await.0, 4);
    assert!(vfs.get("/broken").is_none());
}

#[tokio::test]
async fn bounds_are_kept() {
    let vfs = Vfs::default();
    vfs.put("/slow", "x");
    let mut client = Client::new(&vfs).await;
    for _ in 0..MAX_HANDLES {
        client.open("/slow", READ).await;
    }
    let (code, message) = client.status(3, fields().string("/slow").u32(READ).u32(0)).await;
    assert!(code == 4 && message.contains("256"), "{message}");

    for _ in 0..MAX_OTHER_REQUESTS {
        client.try_send(17, fields().string("/slow")).await.unwrap();
    }
    let refused = client.try_send(17, fields().string("/slow")).await;
    assert_eq!(refused, Err(Refused::TooManyRequests));
}

#[tokio::test]
async fn malformed_requests_are_answered_and_the_next_one_is_read() {
    let vfs = Vfs::default();
    let mut client = Client::new(&vfs).await;
    assert_eq!(client.status(17, fields().u32(99)).await.0, 5);
    let long = vec![b'x'; MAX_FRAME];
    assert_eq!(client.status(17, fields().string(&long)).await.0, 5);
    assert_eq!(client.status(17, fields().string("a\0b")).await.0, 4);
    assert_eq!(client.status(200, fields().string("nothing@example.com")).await.0, 8);
    assert_eq!(client.call(16, fields().string(".")).await[0], 104);
    assert_eq!(client.push(b"GET / HTTP/1.1\r\n").await, Err(Refused::NotSftp));
    let mut first = Client::new(&vfs).await;
    first.channel = Client::new(&vfs).await.channel;
    assert_eq!(first.push(&[0, 0, 0, 1, 9]).await, Err(Refused::NotSftp));
}

#[tokio::test]
async fn the_end_answers_everything_and_aborts_what_is_open() {
    let vfs = Vfs::default();
    vfs.put("/a", vec![5; 100_000]);
    let mut client = Client::new(&vfs).await;
    let upload = client.open("/new", CREATE).await;
    let closed = client.open("/done", CREATE).await;
    client.write(&upload, 0, b"x").await;
    let handle = client.open("/a", READ).await;
    let mut ids = Vec::new();
    for at in 0..100 {
        ids.push(client.send(5, fields().string(&handle).u64(at).u32(1000)).await);
    }
    let close = client.send(4, fields().string(&closed)).await;
    client.channel.finish();
    for id in ids {
        assert_eq!(client.answer(id).await.len(), 1005);
    }
    assert_eq!(status(&client.answer(close).await).0, 0);
    client.tasks.close();
    timeout(PATIENCE, client.tasks.wait()).await.unwrap();
    assert_eq!(client.ends.load(Ordering::SeqCst), 1);
    assert!(vfs.get("/new").is_none() && vfs.get("/done").is_some());
}

#[tokio::test]
async fn a_dropped_channel_leaves_nothing() {
    let vfs = Vfs::default();
    vfs.put("/slow", "x");
    let mut client = Client::new(&vfs).await;
    let upload = client.open("/new", CREATE).await;
    client.write(&upload, 0, b"x").await;
    client.send(17, fields().string("/slow")).await;
    let (tasks, ends) = (client.tasks.clone(), Arc::clone(&client.ends));
    drop(client);
    tasks.close();
    timeout(PATIENCE, tasks.wait()).await.unwrap();
    assert_eq!(ends.load(Ordering::SeqCst), 0);
    assert!(vfs.get("/new").is_none());
}
