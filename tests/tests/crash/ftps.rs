//! Uploads by FTPS: curl, which says by its exit status whether it was told 226.

use crate::sftp::{DEADLINE, Failure};
use crate::version::Version;
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// Where the node is and who logs in.
#[derive(Clone)]
pub(crate) struct FtpsDoor {
    pub(crate) port: String,
    pub(crate) authority: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

/// What curl ends with when it has not come to the upload: no connection, no login, no TLS.
const BEFORE: [i32; 4] = [7, 8, 35, 67];

impl FtpsDoor {
    /// Uploads a whole file over a connection of its own.
    pub(crate) async fn put(&self, path: &str, version: Version) -> Result<(), Failure> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--ssl-reqd", "--cacert", &self.authority, "--ftp-method", "nocwd", "-T", "-"])
            .args(["-u", &format!("{}:{}", self.user, self.password)])
            .arg(format!("ftp://127.0.0.1:{}/{path}", self.port))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut curl = curl.spawn().expect("curl is missing: install curl");
        let mut input = curl.stdin.take().unwrap();
        let told = async {
            // what curl does not take it does not send, and says so
            let _ = input.write_all(&version.content()).await;
            drop(input);
            curl.wait_with_output().await.unwrap()
        };
        let told = timeout(DEADLINE, told).await.unwrap_or_else(|_| panic!("an upload of {path} by FTPS hangs"));
        match told.status.code() {
            Some(0) => Ok(()),
            Some(code) if BEFORE.contains(&code) => Err(Failure::BrokenBefore),
            _ => Err(Failure::Broken),
        }
    }
}
