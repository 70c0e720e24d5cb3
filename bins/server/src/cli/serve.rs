//! `transom serve`.

use std::net::SocketAddr;
use std::sync::Arc;

use transom_domain::SystemClock;
use url::Url;

use super::output::print;
use super::{Failure, configured, log};
use crate::Server;
use crate::config::Flags;

/// What `transom serve` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: Option<SocketAddr>,
    /// How the outside reaches this service [default: http://<listen>]
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address with a port is expected, such as 127.0.0.1:8080 or [::]:8080".to_owned())
}

/// Serves until a signal, or until the database's disk breaks.
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let mut config = configured(&args.flags)?;
    config.listen = args.listen.unwrap_or(config.listen);
    config.public_url = args.public_url.or(config.public_url);
    log(&config.log)?;
    let mut signals = Signals::new()?;
    let server = Server::start(config, Arc::new(SystemClock)).await?;
    // Whoever waits for the service reads this line.
    print(&format!("transom listens on {}\n", server.base_url()))?;

    let mut fatal = server.fatal();
    let broken = tokio::select! {
        name = signals.next() => {
            tracing::info!(signal = name, "asked to stop");
            None
        }
        found = fatal.wait_for(Option::is_some) => found.ok().and_then(|found| found.clone()),
    };
    // Asked again: at once.
    tokio::select! {
        () = server.stop() => {}
        name = signals.next() => {
            tracing::warn!(signal = name, "asked again: stopping at once");
            return Err(Failure::Said(1));
        }
    }
    match broken {
        None => Ok(()),
        Some(reason) => Err(Failure::Storage(transom_storage::StorageError::Fatal(reason))),
    }
}

/// SIGTERM and SIGINT.
#[cfg(unix)]
struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "ctrl-c"
    }
}
