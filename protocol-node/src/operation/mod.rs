//! The side port, for whoever runs the node and not for clients: `/healthz`, `/readyz` and `/metrics` over HTTP. It holds
//! no secrets and shows no names of users or files, and should still not be public.
//!
//! * `/healthz` answers 200 while the process can answer at all: restart it when it does not.
//! * `/readyz` answers 200 while connections are accepted, and 503 from the signal to stop on: a balancer sends new clients
//!   elsewhere, and those that are there finish. S3 and DynamoDB are not asked: when they are away, they are so for every
//!   node, and a balancer without any node helps nobody.
//! * `/metrics` is what Prometheus scrapes.

mod metrics;

use crate::door::Doors;
use app::budget::Budget;
use app::meters::Meters;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics::Numbers;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The type of OpenMetrics' text form.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

struct Shown {
    doors: Doors,
    registry: Registry,
}

/// A bound side port.
pub struct SidePort {
    listener: TcpListener,
    router: Router,
}

impl SidePort {
    /// Binds the port.
    pub fn bind(address: SocketAddr, doors: &Doors, budget: &Budget, meters: &Meters) -> io::Result<Self> {
        let numbers = Numbers { doors: doors.clone(), budget: budget.clone(), meters: meters.clone() };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(numbers));
        let shown = Arc::new(Shown { doors: doors.clone(), registry });
        let router = Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(ready))
            .route("/metrics", get(scrape))
            .with_state(shown);
        Ok(Self { listener: crate::door::bind(address)?, router })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until it is dropped.
    pub async fn serve(self) {
        if let Err(error) = axum::serve(self.listener, self.router).await {
            tracing::warn!(%error, "the side port has ended");
        }
    }
}

async fn ready(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    if shown.doors.is_stopping() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

async fn scrape(State(shown): State<Arc<Shown>>) -> Result<impl IntoResponse, StatusCode> {
    let mut page = String::new();
    text::encode(&mut page, &shown.registry).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Accounts, Vfs};
    use crate::door::Limits;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn health_readiness_and_metrics() {
        let budget = Budget::new(Budget::LEAST_MIB).unwrap();
        let meters = Meters::default();
        let (accounts, vfs) = (Accounts::default(), Vfs::default());
        let state = crate::state::State {
            accounts,
            vfs,
            budget: budget.clone(),
            sessions: crate::doubles::sessions(),
            meters: meters.clone(),
        };
        let doors = Doors::new(&state, Limits::default());
        let port = SidePort::bind(([127, 0, 0, 1], 0).into(), &doors, &budget, &meters).unwrap();
        let address = port.address().unwrap();
        let serving = tokio::spawn(port.serve());
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        meters.files.received_bytes.add(42);
        let _reserved = budget.try_door(1).unwrap();
        let page = get(address, "/metrics").await;
        for line in [
            "towpath_connections 0",
            "towpath_transfer_bytes_total{direction=\"upload\"} 42",
            "towpath_uploads_total{result=\"stored\"} 0",
            "towpath_logins_total{door=\"ftps\",result=\"refused\"} 0",
            "towpath_memory_reserved_bytes{pool=\"door\"} 65536",
            "# EOF",
        ] {
            assert!(page.contains(&format!("\n{line}\n")), "{line} is not in\n{page}");
        }
        doors.clone().stop(std::time::Duration::ZERO).await;
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 503"));
        serving.abort();
    }
}
