//! Configuration: defaults < TOML file < environment (`TRANSOM_*`) < flags. docs/settings.md lists every key.

mod load;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use transom_channel::outside::{AddressRange, OutsideRules};
use transom_desk::DeskConfig;
use transom_desk::housekeeping::Retention;
use transom_storage::{BlobError, Blobs, Bucket, KeyError, MasterKey, MasterKeys};
use url::Url;

pub use load::{ConfigError, Flags, KEYS, Key};

/// How the service runs.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where files are kept: the embedded database and the master key.
    pub data_dir: PathBuf,
    /// `sqlite:<path>` or `postgres://…`; the embedded database in `data_dir` unless set.
    pub database_url: Option<String>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How the outside reaches this service: webhook addresses and signatures are made of it.
    pub public_url: Option<Url>,
    /// Addresses and ranges of the reverse proxies in front, separated by commas: what they say of who calls is believed.
    pub trusted_proxies: String,
    /// Policy files (`*.toml`) that replace built-in ones.
    pub policy_dir: Option<PathBuf>,
    /// Whether `/docs` is served.
    pub docs: bool,
    /// The key above all others.
    pub master_key: MasterKeySettings,
    /// Platforms by name.
    pub platforms: BTreeMap<String, PlatformSettings>,
    /// What is logged.
    pub log: LogSettings,
    /// How much is taken.
    pub limits: Limits,
    /// How platforms are called.
    pub http: HttpSettings,
    /// How messages are sent.
    pub dispatch: DispatchSettings,
    /// How files are kept.
    pub attachments: AttachmentSettings,
    /// Which addresses from outside are called.
    pub outside: OutsideSettings,
    /// How long things are kept.
    pub retention: RetentionSettings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./transom-data"),
            database_url: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            trusted_proxies: String::new(),
            policy_dir: None,
            docs: true,
            master_key: MasterKeySettings::default(),
            platforms: BTreeMap::new(),
            log: LogSettings::default(),
            limits: Limits::default(),
            http: HttpSettings::default(),
            dispatch: DispatchSettings::default(),
            attachments: AttachmentSettings::default(),
            outside: OutsideSettings::default(),
            retention: RetentionSettings::default(),
        }
    }
}

/// How platforms are called.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// How many seconds a whole request to a platform may take.
    pub timeout_seconds: u32,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { timeout_seconds: 30 }
    }
}

/// How messages are sent.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DispatchSettings {
    /// How many seconds a process keeps what it took to send, in case it dies with it: longer than the longest request.
    pub lease_seconds: u32,
}

impl Default for DispatchSettings {
    fn default() -> Self {
        Self { lease_seconds: 60 }
    }
}

/// How files are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttachmentSettings {
    /// Where; `attachments` in `data_dir` unless set. Replicas share it.
    pub folder: Option<PathBuf>,
    /// A bucket instead.
    pub s3: BucketSettings,
    /// The largest file, in bytes: uploaded, or fetched from a platform.
    pub max_bytes: u64,
    /// How many seconds a signed address of a file works; at least 600.
    pub link_seconds: u32,
}

impl Default for AttachmentSettings {
    fn default() -> Self {
        Self { folder: None, s3: BucketSettings::default(), max_bytes: 100 * 1024 * 1024, link_seconds: 3_600 }
    }
}

/// A bucket of Amazon S3, or of what speaks its protocol.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BucketSettings {
    /// Its name; files are kept in a folder without it.
    pub bucket: Option<String>,
    /// Where it is.
    pub region: String,
    /// The store's address; Amazon's own unless set.
    pub endpoint: Option<String>,
    /// The key's id; with `secret_access_key`.
    pub access_key_id: Option<String>,
    /// The key.
    pub secret_access_key: Option<SecretString>,
}

impl Default for BucketSettings {
    fn default() -> Self {
        Self {
            bucket: None,
            region: "us-east-1".to_owned(),
            endpoint: None,
            access_key_id: None,
            secret_access_key: None,
        }
    }
}

/// Which addresses from outside are called: of webhook endpoints, custom channels and customers' files (reliability.md 15).
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutsideSettings {
    /// Ranges that are allowed although they are not the open internet, separated by commas.
    pub allow: String,
    /// Ports and ranges of ports, separated by commas.
    pub ports: String,
}

impl Default for OutsideSettings {
    fn default() -> Self {
        Self { allow: String::new(), ports: "80,443".to_owned() }
    }
}

impl OutsideSettings {
    /// What they say.
    ///
    /// # Errors
    /// In words, when it is no range or port.
    pub(crate) fn rules(&self) -> Result<OutsideRules, &'static str> {
        let allowed = listed(&self.allow).map(str::parse).collect::<Result<_, _>>();
        let allowed = allowed.map_err(|_| "`outside.allow` takes ranges such as `10.1.0.0/16,fd00::/8`")?;
        let ports = listed(&self.ports).map(port_range).collect::<Option<_>>();
        Ok(OutsideRules { allowed, ports: ports.ok_or("`outside.ports` takes ports such as `443,8000-8999`")? })
    }
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

/// How long things are kept that no agent needs any more, in days.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSettings {
    /// Calls of platforms as they came, once they were dealt with.
    pub journal_days: u16,
    /// Events; a stream that asks for older ones is told to begin anew.
    pub events_days: u16,
    /// Attempts to send, with what was found out about them.
    pub attempts_days: u16,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { journal_days: 14, events_days: 7, attempts_days: 90 }
    }
}

/// The key above all others: given, or read from a file that is made at the first start.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MasterKeySettings {
    /// 64 hexadecimal digits.
    pub value: Option<SecretString>,
    /// A file with them, readable by its owner only; `master.key` in `data_dir` unless set.
    pub file: Option<PathBuf>,
    /// Earlier keys, separated by commas: they still open what they sealed.
    pub previous: Option<SecretString>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The database's address may hold a password.
        f.debug_struct("Config").field("data_dir", &self.data_dir).field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// One platform.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlatformSettings {
    /// What stands in for the platform's own address, such as a sandbox.
    pub endpoint: Option<Url>,
}

/// What is logged, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// `text` or `json`.
    pub format: LogFormat,
    /// A level, or a filter such as `info,transom_desk=debug`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines, one object a line.
    Json,
}

/// How much is taken (reliability.md 16).
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest webhook call, in bytes.
    pub webhook_body: usize,
    /// The largest body of an API request, in bytes.
    pub api_body: usize,
    /// The address and all headers of a request together, in bytes; at least 8192.
    pub headers: usize,
    /// How many seconds a request's headers may take; idle connections are closed after it as well.
    pub header_seconds: u64,
    /// How many seconds a request's body may take.
    pub body_seconds: u64,
    /// How many connections are open at once.
    pub connections: usize,
    /// How many event streams one agent may have open.
    pub streams_per_agent: usize,
    /// How many requests one token may make each second, on average.
    pub requests_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            webhook_body: 4 * 1024 * 1024,
            api_body: 1024 * 1024,
            headers: 32 * 1024,
            header_seconds: 10,
            body_seconds: 30,
            connections: 10_000,
            streams_per_agent: 5,
            requests_per_second: 1_000,
        }
    }
}

impl Limits {
    /// The largest head of a request.
    pub(crate) fn head(&self) -> usize {
        // Hyper panics at smaller buffers.
        self.headers.max(8_192)
    }

    pub(crate) fn header_time(&self) -> Duration {
        Duration::from_secs(self.header_seconds)
    }

    pub(crate) fn body_time(&self) -> Duration {
        Duration::from_secs(self.body_seconds)
    }
}

impl Config {
    /// The database: what is configured, else the embedded one in `data_dir`.
    pub fn database(&self) -> String {
        match &self.database_url {
            Some(url) => url.clone(),
            None => format!("sqlite:{}", self.data_dir.join("transom.db").display()),
        }
    }

    /// Everything in one folder, on the default address.
    pub fn in_folder(folder: impl AsRef<Path>) -> Self {
        Self { data_dir: folder.as_ref().to_owned(), ..Self::default() }
    }

    /// On a port of the loopback address; 0 takes a free one.
    #[must_use]
    pub fn on_loopback(self, port: u16) -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], port)), ..self }
    }

    /// With an address that stands in for a platform's own.
    ///
    /// # Errors
    /// When it is no address.
    pub fn with_endpoint(mut self, platform: &str, endpoint: &str) -> Result<Self, url::ParseError> {
        let endpoint = Some(Url::parse(endpoint)?);
        self.platforms.insert(platform.to_owned(), PlatformSettings { endpoint });
        Ok(self)
    }

    /// With calls to this machine allowed, on any port: for tests and the demo.
    #[must_use]
    pub fn calling_loopback(mut self) -> Self {
        self.outside = OutsideSettings { allow: "127.0.0.0/8".to_owned(), ports: "1-65535".to_owned() };
        self
    }

    /// Where files are kept.
    ///
    /// # Errors
    /// When the folder can't be made, or the bucket's address is none.
    pub(crate) fn blobs(&self) -> Result<Blobs, BlobError> {
        let BucketSettings { bucket, region, endpoint, access_key_id, secret_access_key } = &self.attachments.s3;
        let Some(name) = bucket else { return Blobs::in_folder(self.attachment_folder()) };
        let key = access_key_id.clone().zip(secret_access_key.clone());
        Blobs::in_bucket(&Bucket { name: name.clone(), region: region.clone(), endpoint: endpoint.clone(), key })
    }

    /// Platform name to the address that stands in for its own.
    pub(crate) fn endpoints(&self) -> BTreeMap<String, Url> {
        let given = self.platforms.iter();
        given.filter_map(|(name, settings)| Some((name.clone(), settings.endpoint.clone()?))).collect()
    }

    /// What the desk's background work goes by.
    ///
    /// # Errors
    /// When a request could outlast a lease, since then two processes would have the same part in hand; when something would
    /// be kept for no time at all.
    pub(crate) fn desk(&self) -> Result<DeskConfig, &'static str> {
        if self.dispatch.lease_seconds <= self.http.timeout_seconds {
            return Err("`dispatch.lease_seconds` must be longer than `http.timeout_seconds`");
        }
        let RetentionSettings { journal_days, events_days, attempts_days } = self.retention;
        if [journal_days, events_days, attempts_days].contains(&0) {
            return Err("the days of `retention` must be 1 or more");
        }
        let days = |count: u16| time::Duration::days(i64::from(count));
        let retention =
            Retention { journal: days(journal_days), events: days(events_days), attempts: days(attempts_days) };
        let lease = time::Duration::seconds(i64::from(self.dispatch.lease_seconds));
        Ok(DeskConfig { lease, retention })
    }

    /// Whose word on where a request came from is believed.
    ///
    /// # Errors
    /// In words, when it is no range.
    pub(crate) fn proxies(&self) -> Result<Vec<AddressRange>, &'static str> {
        let ranges = listed(&self.trusted_proxies).map(str::parse).collect::<Result<_, _>>();
        ranges.map_err(|_| "`trusted_proxies` takes addresses and ranges such as `127.0.0.1,10.1.0.0/16`")
    }

    /// Where files are kept.
    pub(crate) fn attachment_folder(&self) -> PathBuf {
        self.attachments.folder.clone().unwrap_or_else(|| self.data_dir.join("attachments"))
    }

    /// How long a whole request to a platform may take.
    pub(crate) fn request_time(&self) -> Duration {
        Duration::from_secs(u64::from(self.http.timeout_seconds.max(1)))
    }

    /// The master key with the earlier ones, and a secret of our own derived from it: what cursors are signed with.
    ///
    /// # Errors
    /// [`KeyError`] for a key that is missing, malformed, or open to others.
    pub fn master_keys(&self) -> Result<(MasterKeys, CursorSecret), KeyError> {
        let hex = match &self.master_key.value {
            Some(value) => value.clone(),
            None => {
                let file = self.master_key.file.clone().unwrap_or_else(|| self.data_dir.join("master.key"));
                // Made here if it is missing; read again below, since a key can't be taken out of its type.
                MasterKey::from_file_or_create(&file)?;
                let text = std::fs::read_to_string(&file)
                    .map_err(|error| KeyError::File { path: file.display().to_string(), error })?;
                SecretString::from(text.trim().to_owned())
            }
        };
        let current = MasterKey::from_hex(hex.expose_secret())?;
        let previous = self.master_key.previous.as_ref().map_or("", |keys| keys.expose_secret());
        let previous = previous.split(',').filter(|key| !key.trim().is_empty()).map(MasterKey::from_hex);
        let keys = MasterKeys::new(current, previous.collect::<Result<_, _>>()?);
        Ok((keys, CursorSecret::derive(hex.expose_secret())))
    }
}

/// What cursors are signed with: the same on all replicas, since it is derived from the master key they share.
#[derive(Clone)]
pub struct CursorSecret([u8; 32]);

impl CursorSecret {
    pub(crate) fn derive(master: &str) -> Self {
        use sha2::{Digest, Sha256};
        let digest =
            Sha256::new().chain_update(b"transom cursor secret 1").chain_update(master.trim().to_ascii_lowercase());
        Self(digest.finalize().into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for CursorSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorSecret([REDACTED])")
    }
}
