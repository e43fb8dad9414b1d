//! Takes a request body into a new blob. In a folder it writes 1 MiB at a time on the blocking pool while the next
//! bytes arrive; the file gets its final name only when it is complete.

use super::blobs::{Blobs, Folder, NewBlob, lock, new_id};
use super::failure::{Failure, Outcome};
use bytes::{Bytes, BytesMut};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Memory blocks are copied together to this size: what the network delivers are slices of larger buffers, which small
/// objects would keep alive, and large blocks make few frames on the way out.
const MEMORY_BLOCK: usize = 512 * 1024;
const FILE_BLOCK: usize = 1024 * 1024;

pub(super) struct BlobWriter {
    blobs: Arc<Blobs>,
    id: i64,
    sink: Sink,
}

enum Sink {
    Memory { blocks: Vec<Bytes>, open: BytesMut },
    File(FileSink),
}

struct FileSink {
    folder: Arc<Folder>,
    temporary: PathBuf,
    pending: Vec<Bytes>,
    pending_len: usize,
    file: Option<File>,
    running: Option<JoinHandle<io::Result<File>>>,
    /// Set once the temporary file may exist and has not been renamed.
    dirty: bool,
}

impl BlobWriter {
    pub(super) fn new(blobs: Arc<Blobs>) -> Self {
        let id = new_id();
        let sink = match blobs.as_ref() {
            Blobs::Memory(_) => Sink::Memory { blocks: Vec::new(), open: BytesMut::new() },
            Blobs::Folder(folder) => Sink::File(FileSink {
                folder: folder.clone(),
                temporary: folder.temporary(id),
                pending: Vec::new(),
                pending_len: 0,
                file: None,
                running: None,
                dirty: false,
            }),
        };
        Self { blobs, id, sink }
    }

    pub(super) async fn write(&mut self, mut bytes: Bytes) -> Outcome<()> {
        match &mut self.sink {
            Sink::Memory { blocks, open } => {
                while !bytes.is_empty() {
                    let room = MEMORY_BLOCK.saturating_sub(open.len());
                    let piece = bytes.split_to(room.min(bytes.len()));
                    open.extend_from_slice(&piece);
                    if open.len() >= MEMORY_BLOCK {
                        blocks.push(open.split().freeze());
                        open.reserve(MEMORY_BLOCK);
                    }
                }
            }
            Sink::File(sink) => {
                sink.pending_len += bytes.len();
                sink.pending.push(bytes);
                if sink.pending_len >= FILE_BLOCK {
                    sink.flush().await?;
                }
            }
        }
        Ok(())
    }

    /// The finished blob, complete under its final name.
    pub(super) async fn finish(self) -> Outcome<NewBlob> {
        match self.sink {
            Sink::Memory { mut blocks, open } => {
                if !open.is_empty() {
                    // an exact copy: `open` may have reserved a whole block
                    blocks.push(Bytes::copy_from_slice(&open));
                }
                if let Blobs::Memory(map) = self.blobs.as_ref() {
                    lock(map).insert(self.id, Arc::new(blocks));
                }
            }
            Sink::File(mut sink) => {
                let file = sink.settle().await?;
                let pending = std::mem::take(&mut sink.pending);
                let (from, to) = (sink.temporary.clone(), sink.folder.path(self.id));
                sink.dirty = true;
                tokio::task::spawn_blocking(move || {
                    write_all(file, &from, &pending)?;
                    std::fs::rename(&from, &to)
                })
                .await??;
                sink.dirty = false;
            }
        }
        Ok(NewBlob::new(self.id, self.blobs))
    }
}

impl FileSink {
    async fn settle(&mut self) -> Outcome<Option<File>> {
        if let Some(running) = self.running.take() {
            return Ok(Some(running.await.map_err(Failure::Task)??));
        }
        Ok(self.file.take())
    }

    /// Starts writing what is pending; waits only for the write before it.
    async fn flush(&mut self) -> Outcome<()> {
        let file = self.settle().await?;
        let pending = std::mem::take(&mut self.pending);
        self.pending_len = 0;
        self.dirty = true;
        let path = self.temporary.clone();
        self.running = Some(tokio::task::spawn_blocking(move || write_all(file, &path, &pending)));
        Ok(())
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        if self.dirty {
            // A write still running keeps its open file; one that has not yet created it leaves a stray for the sweep.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

fn write_all(file: Option<File>, path: &std::path::Path, blocks: &[Bytes]) -> io::Result<File> {
    let mut file = match file {
        Some(file) => file,
        None => File::create(path)?,
    };
    for block in blocks {
        file.write_all(block)?;
    }
    Ok(file)
}
