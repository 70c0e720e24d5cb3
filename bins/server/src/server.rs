//! One running service: started, reached, stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use transom_channel::Ports;
use transom_channel::http::HttpClient;
use transom_channel::outside::OutsideClient;
use transom_desk::{Background, Desk, Files, Links};
use transom_domain::Clock;
use transom_storage::{Storage, StorageConfig};
use url::Url;

use crate::config::Config;
use crate::http::{accept, metrics, routes};
use crate::policies::{self, PoliciesError};
use crate::registry;
use crate::state::State;

/// How long requests in hand may go on after the service was asked to stop.
const REQUESTS: Duration = Duration::from_secs(10);
/// How long sends in hand may go on.
const SENDS: Duration = Duration::from_secs(30);
/// How long the database may take to close.
const CLOSING: Duration = Duration::from_secs(4);

/// The public address is none.
const PUBLIC_URL: StartError = StartError::Settings("`public_url` must be an http or https address");
/// The schema is of another version.
const SCHEMA: StartError = StartError::Settings("the database's schema is not of this version: run `transom migrate`");

/// A running service.
#[derive(Debug)]
pub struct Server {
    desk: Desk,
    local_addr: SocketAddr,
    base_url: String,
    stop: CancellationToken,
    background: Option<Background>,
    accepting: JoinHandle<()>,
    upkeep: JoinHandle<()>,
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A policy file is wrong.
    #[error("the policies can't be used:\n{0}")]
    Policies(#[from] PoliciesError),
    /// The master key can't be used.
    #[error(transparent)]
    Key(#[from] transom_storage::KeyError),
    /// The database can't be used.
    #[error("the database: {0}")]
    Storage(#[from] transom_storage::StorageError),
    /// The folder of files can't be used.
    #[error("the folder of attachments: {0}")]
    Files(#[from] transom_storage::BlobError),
    /// The HTTP client can't be built.
    #[error(transparent)]
    Http(#[from] transom_channel::http::HttpSetupError),
    /// The address can't be listened on.
    #[error("can't listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// Settings that can't be together.
    #[error("the configuration: {0}")]
    Settings(&'static str),
}

impl StartError {
    /// Whether the configuration or a policy file has to be mended first: trying again changes nothing.
    pub fn is_configuration(&self) -> bool {
        match self {
            StartError::Policies(_) | StartError::Key(_) | StartError::Settings(_) => true,
            StartError::Storage(error) => matches!(error, transom_storage::StorageError::Config(_)),
            StartError::Http(_) | StartError::Files(_) | StartError::Listen { .. } => false,
        }
    }
}

/// Storage and use cases without a listener: what the command line works with.
///
/// # Errors
/// [`StartError`].
pub(crate) async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Desk, StartError> {
    let (keys, _) = config.master_keys()?;
    let storage = Storage::open(StorageConfig::new(config.database(), keys)).await?;
    storage.migrate().await?;
    desk_on(storage, config, clock)
}

/// The same, only to look: nothing of the database is changed, not even its schema.
///
/// # Errors
/// [`StartError`]; also where the schema is not of this version.
pub(crate) async fn open_to_look(config: &Config, clock: Arc<dyn Clock>) -> Result<Desk, StartError> {
    let (keys, _) = config.master_keys()?;
    let storage = Storage::open(StorageConfig::new(config.database(), keys).read_only()).await?;
    if !storage.schema_current().await? {
        return Err(SCHEMA);
    }
    desk_on(storage, config, clock)
}

fn desk_on(storage: Storage, config: &Config, clock: Arc<dyn Clock>) -> Result<Desk, StartError> {
    let desk_config = config.desk().map_err(StartError::Settings)?;
    let registry = registry::registry();
    let policies = policies::load(&registry, config.policy_dir.as_deref())?;
    let (_, secret) = config.master_keys()?;
    let http = HttpClient::with_total_timeout(config.request_time())?;
    let outside = OutsideClient::new(config.outside.rules().map_err(StartError::Settings)?)?;
    let ports = Ports { clock, http, outside, endpoints: Arc::new(config.endpoints()), ..Ports::system()? };
    let lasts = time::Duration::seconds(i64::from(config.attachments.link_seconds));
    let files = Files {
        blobs: config.blobs()?,
        max_bytes: config.attachments.max_bytes,
        links: Links::new(secret.bytes(), lasts, config.public_url.clone()),
    };
    Ok(Desk::with_files(storage, policies, registry, ports, desk_config, Some(files)))
}

impl Server {
    /// Starts the service: it is ready when this returns.
    ///
    /// # Errors
    /// [`StartError`] says what has to be mended.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let mut server = Self::start_without_background(config, clock).await?;
        server.background = Some(Background::start(&server.desk));
        Ok(server)
    }

    /// The same without background work: what comes in is stored, and nothing is applied, sent or woken by itself. For whoever
    /// does that step by step, such as a benchmark.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_without_background(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        metrics::recorder();
        let desk = open(&config, clock).await?;
        let (_, secret) = config.master_keys()?;
        let address = config.listen;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| StartError::Listen { address, error })?;
        let local_addr = listener.local_addr().map_err(|error| StartError::Listen { address, error })?;
        let base_url = format!("http://{local_addr}");
        let public_url = match &config.public_url {
            Some(url) => url.clone(),
            None => Url::parse(&base_url).map_err(|_| PUBLIC_URL)?,
        };
        if public_url.cannot_be_a_base() || !matches!(public_url.scheme(), "http" | "https") {
            return Err(PUBLIC_URL);
        }

        let stop = CancellationToken::new();
        let limits = config.limits.clone();
        let proxies = config.proxies().map_err(StartError::Settings)?;
        let state = Arc::new(State::new(desk.clone(), config, secret, public_url, stop.clone()));
        let endpoint = routes(state);
        let accepting = tokio::spawn(accept::serve(listener, endpoint, limits, proxies, stop.clone(), REQUESTS));
        let upkeep = tokio::spawn(metrics::upkeep(stop.clone()));
        tracing::info!(address = %local_addr, "listening");
        Ok(Self { desk, local_addr, base_url, stop, background: None, accepting, upkeep })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where it is reached from this machine, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Its use cases.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Turns to `Some` when disk or file of the database broke: stop, and exit.
    pub fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.desk.storage().fatal()
    }

    /// Stops it: not ready, no new requests and claims, streams told to come back; what is in hand is finished, at most for
    /// about 35 seconds.
    pub async fn stop(self) {
        let Self { desk, stop, background, accepting, upkeep, .. } = self;
        tracing::info!("stopping");
        stop.cancel();
        let requests = async {
            if let Err(error) = accepting.await {
                tracing::warn!(%error, "the accept loop failed");
            }
        };
        let background = async {
            if let Some(background) = background {
                background.stop(SENDS).await;
            }
        };
        tokio::join!(requests, background);
        upkeep.abort();
        match tokio::time::timeout(CLOSING, desk.storage().close()).await {
            Ok(Ok(())) => tracing::info!("stopped"),
            Ok(Err(error)) => tracing::warn!(%error, "the database did not close cleanly"),
            Err(_) => tracing::warn!("the database took too long to close"),
        }
    }
}
