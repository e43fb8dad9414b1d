//! Channels, by a client that opens as many as it likes.

use super::{PATIENCE, Server, server};
use crate::doubles::PASSWORD;
use russh::ChannelMsg;
use russh::client::{self, Handle};
use russh::keys::PublicKeyOrCertificate;
use std::sync::Arc;
use tokio::time::timeout;

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

async fn logged_in(server: &Server) -> Handle<Trusting> {
    let config = Arc::new(client::Config { nodelay: true, ..client::Config::default() });
    let mut handle = client::connect(config, server.address, Trusting).await.unwrap();
    assert!(handle.authenticate_password("ann", PASSWORD).await.unwrap().success());
    handle
}

/// Opens a channel that ends at once; whether it could be opened.
async fn one_more(client: &Handle<Trusting>) -> bool {
    let Ok(mut channel) = client.channel_open_session().await else { return false };
    channel.exec(true, "id").await.unwrap();
    while !matches!(channel.wait().await, Some(ChannelMsg::Close) | None) {}
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_a_thousand_one_after_the_other() {
    let server = server().await;
    let client = logged_in(&server).await;
    for at in 0..1000 {
        assert!(timeout(PATIENCE, one_more(&client)).await.expect("a channel hangs"), "{at}");
    }
    for _ in 0..3 {
        assert!(!timeout(PATIENCE, one_more(&client)).await.expect("a channel hangs"));
    }
    assert!(!client.is_closed(), "only the channel is refused");
    assert!(one_more(&logged_in(&server).await).await);
    server.doors.stop(PATIENCE).await;
}
