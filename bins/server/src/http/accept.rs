//! The accept loop: one task a connection, a cap on their number, time limits on headers, graceful draining.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::Endpoint;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::Limits;

/// How long to wait after an accept that failed for want of something, such as file descriptors, so as not to spin.
const BREATHER: Duration = Duration::from_millis(100);

/// Serves `endpoint` on `listener` until `stop`, then lets requests in hand finish for at most `patience`.
pub(crate) async fn serve<E>(
    listener: TcpListener,
    endpoint: E,
    limits: Limits,
    stop: CancellationToken,
    patience: Duration,
) where
    E: Endpoint<Output = poem::Response> + 'static,
{
    let endpoint = Arc::new(endpoint);
    let slots = Arc::new(Semaphore::new(limits.connections));
    loop {
        // A slot first: beyond the cap, connections wait in the kernel's queue.
        let slot = tokio::select! {
            () = stop.cancelled() => break,
            slot = slots.clone().acquire_owned() => slot,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (endpoint, limits, stop) = (endpoint.clone(), limits.clone(), stop.clone());
                tokio::spawn(async move {
                    if let Err(error) = talk(stream, peer, endpoint, &limits, stop).await {
                        tracing::debug!(%peer, %error, "a connection ended early");
                    }
                    drop(slot);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted; waiting a moment");
                tokio::time::sleep(BREATHER).await;
            }
        }
    }
    drop(listener);
    // All slots are free once the last connection has ended.
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    if tokio::time::timeout(patience, slots.acquire_many(all)).await.is_err() {
        tracing::warn!("some requests did not end in time and are cut off");
    }
}

/// Everything that one connection asks, one request after the other.
async fn talk<E>(
    stream: TcpStream,
    peer: SocketAddr,
    endpoint: Arc<E>,
    limits: &Limits,
    stop: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    E: Endpoint<Output = poem::Response> + 'static,
{
    // Small answers must not wait for the next packet's acknowledgement.
    stream.set_nodelay(true)?;
    let (local, remote) = (LocalAddr(stream.local_addr()?.into()), RemoteAddr(peer.into()));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (endpoint, local, remote) = (endpoint.clone(), local.clone(), remote.clone());
        async move {
            let request: poem::Request = (request, local, remote, Scheme::HTTP).into();
            Ok::<_, Infallible>(hyper::Response::from(endpoint.get_response(request).await))
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time())
        .max_buf_size(limits.headers.max(MIN_BUFFER));
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return Ok(ended?),
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    // The request in hand is finished; what was upgraded to something else has ended here.
    Ok(connection.await?)
}

/// Hyper panics below this.
const MIN_BUFFER: usize = 8_192;

/// Errors that say something about the peer and nothing about us.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
