//! The accept loop: one task a connection, a cap on their number, time limits on headers, graceful draining.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::Endpoint;
use poem::http::HeaderMap;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use transom_channel::outside::AddressRange;

use super::bare::{self, Filled};
use crate::config::Limits;

/// How long to wait after an accept that failed for want of something, such as file descriptors, so as not to spin.
const BREATHER: Duration = Duration::from_millis(100);

/// The header in which proxies write whom they speak for, the nearest last.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Serves `endpoint` on `listener` until `stop`, believing these proxies whom they speak for; then lets requests in hand finish for at most `patience`.
pub(crate) async fn serve<E>(
    listener: TcpListener,
    endpoint: E,
    limits: Limits,
    proxies: Vec<AddressRange>,
    stop: CancellationToken,
    patience: Duration,
) where
    E: Endpoint<Output = poem::Response> + 'static,
{
    let (endpoint, proxies) = (Arc::new(endpoint), Arc::<[AddressRange]>::from(proxies));
    let slots = Arc::new(Semaphore::new(limits.connections));
    let far_too_large = bare::far_too_large(limits.head());
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
                let (proxies, stream) = (proxies.clone(), Filled::new(stream, far_too_large.clone()));
                tokio::spawn(async move {
                    if let Err(error) = talk(stream, (peer, proxies), endpoint, &limits, stop).await {
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
    stream: Filled<TcpStream>,
    (peer, proxies): (SocketAddr, Arc<[AddressRange]>),
    endpoint: Arc<E>,
    limits: &Limits,
    stop: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    E: Endpoint<Output = poem::Response> + 'static,
{
    // Small answers must not wait for the next packet's acknowledgement.
    stream.get_ref().set_nodelay(true)?;
    let local = LocalAddr(stream.get_ref().local_addr()?.into());
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (endpoint, local) = (endpoint.clone(), local.clone());
        let remote = RemoteAddr(caller(peer, request.headers(), &proxies).into());
        async move {
            let request: poem::Request = (request, local, remote, Scheme::HTTP).into();
            Ok::<_, Infallible>(hyper::Response::from(endpoint.get_response(request).await))
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time())
        .max_buf_size(limits.head().saturating_mul(HEADS));
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return Ok(ended?),
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    // The request in hand is finished; what was upgraded to something else has ended here.
    Ok(connection.await?)
}

/// Who calls: the peer, or whom it speaks for if it is one of our proxies. Each proxy adds whom it heard at the end, so what
/// stands before the last stranger is that stranger's word. Where there is only what nobody can read, it is the last proxy.
fn caller(peer: SocketAddr, headers: &HeaderMap, proxies: &[AddressRange]) -> SocketAddr {
    let is_proxy = |address: IpAddr| proxies.iter().any(|range| range.holds(address));
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let mut heard = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(',').map(str::trim));
    let mut caller = peer;
    while is_proxy(caller.ip()) {
        let Some(before) = heard.next().and_then(address) else { break };
        caller = before;
    }
    caller
}

/// An address as proxies write it, some with a port; without one it has port 0.
fn address(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0)).or_else(|_| text.parse()).ok()
}

/// What is read of a head, in sizes of the largest that is taken. Beyond it the connection ends with an answer that callers who still
/// write may never see; so most that are too large are read whole, and answered as everything else.
const HEADS: usize = 2;

/// Errors that say something about the peer and nothing about us.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::http::HeaderValue;

    fn called(peer: &str, proxies: &[&str], forwarded: &[&str]) -> String {
        let proxies: Vec<AddressRange> = proxies.iter().map(|range| range.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        caller(SocketAddr::new(peer.parse().unwrap(), 4_711), &headers, &proxies).ip().to_string()
    }

    #[test]
    fn a_proxy_of_ours_says_who_calls() {
        let local = &["127.0.0.1"][..];
        assert_eq!(called("127.0.0.1", local, &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(called("::ffff:127.0.0.1", local, &["198.51.100.7:5000"]), "198.51.100.7");
        assert_eq!(called("127.0.0.1", local, &["[2001:db8::7]"]), "2001:db8::7");
        assert_eq!(called("127.0.0.1", &["127.0.0.1", "10.0.0.0/8"], &["198.51.100.7, 10.1.2.3"]), "198.51.100.7");
        assert_eq!(called("127.0.0.1", &["127.0.0.1", "10.0.0.0/8"], &["198.51.100.7", "10.1.2.3"]), "198.51.100.7");
        assert_eq!(called("127.0.0.1", local, &[]), "127.0.0.1");
    }

    #[test]
    fn nobody_else_is_believed() {
        // Nobody is a proxy unless somebody said so.
        assert_eq!(called("127.0.0.1", &[], &["198.51.100.7"]), "127.0.0.1");
        assert_eq!(called("203.0.113.9", &["127.0.0.1"], &["198.51.100.7"]), "203.0.113.9");
        // What the caller had written stands before what the proxy added.
        assert_eq!(called("127.0.0.1", &["127.0.0.1"], &["198.51.100.7, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(called("127.0.0.1", &["127.0.0.1"], &["127.0.0.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(called("127.0.0.1", &["127.0.0.1"], &["198.51.100.7, unknown"]), "127.0.0.1");
    }
}
