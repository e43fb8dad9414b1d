//! The local server refuses what API Gateway and Lambda refuse.

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use functions::local::{Limits, serve_http};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

async fn serve(
    router: Router,
    limits: Limits,
) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(serve_http(listener, router, limits, async move {
        let _ = stopped.await;
    }));
    (address, stop, task)
}

#[tokio::test]
async fn bodies_answers_and_time_have_lambdas_limits() {
    let limits = Limits { payload: 4000, deadline: Duration::from_millis(300) };
    let router = Router::new()
        .route("/echo", post(|body: Bytes| async move { body }))
        .route("/large", get(|| async { "x".repeat(3001) }))
        .route("/slow", get(std::future::pending::<()>));
    let (address, stop, task) = serve(router, limits).await;
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let url = |path: &str| format!("http://{address}{path}");
    for (bytes, status) in [(3000, 200), (3001, 413)] {
        let answer = client.post(url("/echo")).body(vec![b'x'; bytes]).send().await.unwrap();
        assert_eq!(answer.status(), status, "{bytes}");
    }
    assert_eq!(client.get(url("/large")).send().await.unwrap().status(), 503);
    assert_eq!(client.get(url("/slow")).send().await.unwrap().status(), 503);
    stop.send(()).unwrap();
    drop(client);
    tokio::time::timeout(Duration::from_secs(10), task).await.unwrap().unwrap().unwrap();
}
