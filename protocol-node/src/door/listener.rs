//! Accepting connections.

use super::limits::Entered;
use super::proxy::{Ends, Proxy};
use super::{Doors, Place};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 4096;

/// After a failed accept, which is most often a lack of file descriptors: time for some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The kernel's probes, so that a load balancer's idle limit (350 s) is never reached.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// Binds a port. Must be called within a runtime.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A connection that the limits have admitted.
pub(crate) struct Arrival {
    pub(crate) socket: TcpStream,
    pub(crate) ends: Ends,
    pub(crate) place: Place,
}

/// Accepts until the node stops. Every connection that the limits admit is served on a task of its own.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    proxy: Proxy,
    doors: Doors,
    serve: impl Fn(Arrival) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    while let Some(accepted) = doors.draining.run_until_cancelled(next(&listener)).await {
        let (socket, peer) = accepted;
        if !doors.takes(&proxy, peer) {
            continue;
        }
        // before anything is read; the client's own limit follows when it is known who that is
        let entered = match doors.counter.enter() {
            Ok(entered) => entered,
            Err(exceeded) => {
                doors.refuse(peer, exceeded);
                continue;
            }
        };
        let (proxy, serve, begun) = (proxy.clone(), serve.clone(), doors.clone());
        doors.tasks.spawn(async move {
            if let Some(arrival) = Box::pin(begin(&begun, &proxy, socket, peer, entered)).await {
                drop((begun, proxy));
                serve(arrival).await;
            }
        });
    }
}

/// Finds out whose connection it is, and gives it its place.
async fn begin(
    doors: &Doors,
    proxy: &Proxy,
    mut socket: TcpStream,
    peer: SocketAddr,
    entered: Entered,
) -> Option<Arrival> {
    if let Err(error) = prepare(&socket) {
        tracing::debug!(%peer, %error, "a connection ended before it began");
        return None;
    }
    let ends = doors.draining.run_until_cancelled(doors.ends(proxy, &mut socket, peer)).await??;
    match doors.counter.admit(entered, ends.client.ip()) {
        Ok(place) => Some(Arrival { socket, ends, place }),
        Err(exceeded) => {
            doors.refuse(ends.client, exceeded);
            None
        }
    }
}

/// The next connection, whatever it takes.
pub(crate) async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What every socket gets: answers leave at once, and the kernel's probes keep balancers from forgetting it.
pub(crate) fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(TCP_KEEPALIVE).with_interval(TCP_KEEPALIVE);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}
