//! Where the configuration comes from.

use std::path::{Path, PathBuf};

use config::{File, FileFormat};

use super::Config;

/// A key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its path in the file, such as `limits.api_body`.
    pub name: &'static str,
    /// Its default, for people.
    pub default: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Whether it is a secret, which can be read from a file named by `…_FILE`.
    pub secret: bool,
}

impl Key {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("TRANSOM_{}", self.name.replace('.', "__").to_ascii_uppercase())
    }
}

const fn key(name: &'static str, default: &'static str, about: &'static str) -> Key {
    Key { name, default, about, secret: false }
}

const fn secret(name: &'static str, default: &'static str, about: &'static str) -> Key {
    Key { name, default, about, secret: true }
}

/// Every key, as docs/settings.md lists them. `platforms.<name>.endpoint` stands for each platform.
pub const KEYS: &[Key] = &[
    key("data_dir", "`./transom-data`", "Where files are kept: the embedded database and the master key."),
    secret("database_url", "`sqlite:<data_dir>/transom.db`", "`sqlite:<path>` or `postgres://user@host/database`."),
    key("listen", "`127.0.0.1:8080`", "Where to listen."),
    key(
        "public_url",
        "`http://<listen>`",
        "How the outside reaches this service. Webhook addresses are made of it, and signatures over addresses are checked against it; never against the `Host` header.",
    ),
    key(
        "trusted_proxies",
        "none",
        "Addresses and ranges of the reverse proxies in front, separated by commas, such as `127.0.0.1,10.1.0.0/16`. Of a request from there, the last address in `X-Forwarded-For` that is none of them is who calls, in limits by address and in logs; from anywhere else the header says nothing.",
    ),
    key(
        "policy_dir",
        "none",
        "A folder of policy files (`*.toml`): each replaces the built-in policy of its name, or adds one. A wrong file stops the start.",
    ),
    key("docs", "`true`", "Whether `/docs` shows the API in a browser."),
    secret("master_key.value", "none", "The key above all others, 64 hexadecimal digits: `openssl rand -hex 32`."),
    key(
        "master_key.file",
        "`<data_dir>/master.key`",
        "A file with the master key, readable by its owner only; made at the first start.",
    ),
    secret(
        "master_key.previous",
        "none",
        "Earlier master keys, separated by commas: they still open what they sealed until `transom keys rotate` is done.",
    ),
    key("log.format", "`text`", "`text` or `json`."),
    key(
        "log.level",
        "`info`",
        "A level (`error`, `warn`, `info`, `debug`, `trace`) or a filter such as `info,transom_desk=debug`.",
    ),
    key(
        "limits.webhook_body",
        "`4194304`",
        "The largest webhook call, in bytes; mail, whose calls bring whole letters, may take more.",
    ),
    key("limits.api_body", "`1048576`", "The largest body of an API request, in bytes."),
    key("limits.headers", "`32768`", "The address and all headers of a request together, in bytes; at least 8192."),
    key(
        "limits.header_seconds",
        "`10`",
        "How long a request's headers may take, in seconds; idle connections are closed after it as well.",
    ),
    key("limits.body_seconds", "`30`", "How long a request's body may take, in seconds."),
    key("limits.connections", "`10000`", "How many connections are open at once."),
    key("limits.streams_per_agent", "`5`", "How many event streams one agent may have open on one replica."),
    key(
        "limits.requests_per_second",
        "`1000`",
        "How many requests a token may make each second on one replica; twice as many at once.",
    ),
    key("http.timeout_seconds", "`30`", "How long a whole request to a platform may take, in seconds."),
    key(
        "dispatch.lease_seconds",
        "`60`",
        "How long a process keeps what it took to send, in seconds: if it dies, others take over after that. Longer than `http.timeout_seconds`.",
    ),
    key(
        "attachments.folder",
        "`<data_dir>/attachments`",
        "Where files are kept, by workspace and SHA-256. Replicas need one folder that all of them see; back it up with the database.",
    ),
    key(
        "attachments.s3.bucket",
        "none",
        "A bucket of Amazon S3, or of what speaks its protocol, to keep files in instead of a folder. Only the service reads it: keep it private.",
    ),
    key("attachments.s3.region", "`us-east-1`", "Where the bucket is."),
    key("attachments.s3.endpoint", "Amazon's own", "The address of another store, such as `https://s3.example.com`."),
    key(
        "attachments.s3.access_key_id",
        "none",
        "The id of a key to the bucket. Without it the environment (`AWS_*`) and the machine's role are asked.",
    ),
    secret("attachments.s3.secret_access_key", "none", "The key itself."),
    key("attachments.max_bytes", "`104857600`", "The largest file, in bytes: uploaded, or fetched from a platform."),
    key("attachments.link_seconds", "`3600`", "How long a signed address of a file works, in seconds; at least 600."),
    key(
        "outside.allow",
        "none",
        "Ranges of addresses, separated by commas, that may be called although they are not on the open internet, such as `10.1.0.0/16`: by webhooks, by custom channels, and for the files that calls of platforms name. Without it nothing inside a network can be reached by an address that a user typed.",
    ),
    key("outside.ports", "`80,443`", "The ports that webhooks and custom channels may go to, such as `443,8000-8999`."),
    key(
        "retention.journal_days",
        "`14`",
        "For how many days a platform's call is kept as it came, once it was dealt with: so long it can be replayed.",
    ),
    key(
        "retention.events_days",
        "`7`",
        "For how many days events are kept; a stream that asks for older ones is told to begin anew.",
    ),
    key(
        "retention.attempts_days",
        "`90`",
        "For how many days it is kept how each attempt to send went; states of messages stay for good.",
    ),
    key(
        "platforms.<name>.endpoint",
        "the platform's own",
        "What stands in for a platform's address, such as a sandbox.",
    ),
];

/// What was given on the command line; it goes before everything else.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// The configuration file (TOML)
    #[arg(long, env = "TRANSOM_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where files are kept [default: ./transom-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// `sqlite:PATH` or `postgres://…` [default: an embedded database in the data folder]
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// Policy files that replace built-in ones
    #[arg(long, value_name = "DIR")]
    pub policy_dir: Option<PathBuf>,
    /// What is logged: error, warn, info, debug, trace, or a filter such as `info,transom_desk=debug` [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How a line of the log looks [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<super::LogFormat>,
}

/// A configuration that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value, name or file is wrong.
    #[error("the configuration: {0}")]
    Wrong(#[from] config::ConfigError),
    /// A file named by a variable can't be read.
    #[error("the configuration: {variable} names {path}, which can't be read: {error}")]
    File {
        /// The variable.
        variable: String,
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
}

impl Config {
    /// Reads the configuration: defaults, then the file, then the environment, then `flags`.
    ///
    /// # Errors
    /// [`ConfigError`] names the key, the file or the variable that is wrong.
    pub fn load(flags: &Flags, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut builder = config::Config::builder();
        if let Some(file) = &flags.config {
            builder = builder.add_source(File::from(file.as_path()).format(FileFormat::Toml));
        }
        for (name, value) in from_environment(environment)? {
            builder = builder.set_override(name, value)?;
        }
        let path = |path: &Path| path.display().to_string();
        let given = [
            ("data_dir", flags.data_dir.as_deref().map(path)),
            ("database_url", flags.database_url.clone()),
            ("policy_dir", flags.policy_dir.as_deref().map(path)),
            ("log.level", flags.log_level.clone()),
            ("log.format", flags.log_format.map(|format| format!("{format:?}").to_ascii_lowercase())),
        ];
        for (name, value) in given {
            builder = builder.set_override_option(name, value)?;
        }
        Ok(builder.build()?.try_deserialize()?)
    }
}

/// What the environment says, by key. Variables of other names are none of ours: an orchestrator may inject its own.
fn from_environment(environment: &dyn Fn(&str) -> Option<String>) -> Result<Vec<(String, String)>, ConfigError> {
    let mut found = Vec::new();
    for key in KEYS.iter().filter(|key| !key.name.contains('<')) {
        let variable = key.variable();
        if let Some(value) = environment(&variable) {
            found.push((key.name.to_owned(), value));
        }
        let from_file = format!("{variable}_FILE");
        if let Some(path) = environment(&from_file).filter(|_| key.secret) {
            let text = std::fs::read_to_string(&path).map_err(|error| ConfigError::File {
                variable: from_file,
                path,
                error,
            })?;
            found.push((key.name.to_owned(), text.trim().to_owned()));
        }
    }
    for platform in crate::registry::NAMES {
        let variable = format!("TRANSOM_PLATFORMS__{}__ENDPOINT", platform.to_ascii_uppercase());
        if let Some(value) = environment(&variable) {
            found.push((format!("platforms.{platform}.endpoint"), value));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::ExposeSecret;

    use super::*;

    fn load(file: Option<&str>, variables: &[(&str, &str)], flags: Flags) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let mut flags = flags;
        if let Some(text) = file {
            let path = folder.path().join("transom.toml");
            std::fs::write(&path, text).unwrap();
            flags.config = Some(path);
        }
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        Config::load(&flags, &|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn flags_go_before_the_environment_and_that_before_the_file() {
        let file = "data_dir = \"/file\"\nlisten = \"127.0.0.1:1\"\n[limits]\napi_body = 7\n[platforms.telegram]\nendpoint = \"http://127.0.0.1:2\"";
        let flags = Flags { data_dir: Some("/flag".into()), ..Flags::default() };
        let variables = [("TRANSOM_DATA_DIR", "/variable"), ("TRANSOM_LISTEN", "127.0.0.1:9")];
        let config = load(Some(file), &variables, flags).unwrap();
        assert_eq!(config.data_dir, PathBuf::from("/flag"));
        assert_eq!(config.listen.port(), 9);
        assert_eq!((config.limits.api_body, config.limits.webhook_body), (7, 4 * 1024 * 1024));
        assert_eq!(config.platforms["telegram"].endpoint.as_ref().unwrap().port(), Some(2));
    }

    #[test]
    fn an_unknown_key_and_a_wrong_value_are_named() {
        let error = load(Some("data_dri = \"x\""), &[], Flags::default()).unwrap_err().to_string();
        assert!(error.contains("data_dri"), "{error}");
        let error = load(None, &[("TRANSOM_LIMITS__API_BODY", "much")], Flags::default()).unwrap_err().to_string();
        assert!(error.contains("limits.api_body"), "{error}");
        let error = load(Some("[limits]\napi_bdy = 1"), &[], Flags::default()).unwrap_err().to_string();
        assert!(error.contains("api_bdy"), "{error}");
    }

    #[test]
    fn numbers_in_the_environment_keep_their_zeros_and_secrets_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        std::fs::write(&path, "postgres://db/transom\n").unwrap();
        let variables = [
            ("TRANSOM_DATABASE_URL_FILE", path.to_str().unwrap()),
            ("TRANSOM_MASTER_KEY__VALUE", "0012"),
            ("TRANSOM_PLATFORMS__WHATSAPP__ENDPOINT", "http://127.0.0.1:4/whatsapp"),
        ];
        let config = load(None, &variables, Flags::default()).unwrap();
        assert_eq!(config.database(), "postgres://db/transom");
        let key = config.master_key.value.unwrap();
        assert_eq!(key.expose_secret(), "0012");
        assert!(config.platforms["whatsapp"].endpoint.is_some());
    }

    #[test]
    fn a_missing_file_is_an_error_and_a_foreign_variable_is_not() {
        let flags = Flags { config: Some("/nowhere/transom.toml".into()), ..Flags::default() };
        assert!(load(None, &[], flags).unwrap_err().to_string().contains("transom.toml"));
        assert!(load(None, &[("TRANSOM_SERVICE_HOST", "10.0.0.1")], Flags::default()).is_ok());
    }

    #[test]
    fn every_key_of_the_table_is_one_of_the_configuration() {
        for key in KEYS.iter().filter(|key| !key.name.contains('<')) {
            let value = match key.name {
                "listen" => "127.0.0.1:1",
                "public_url" => "http://a.example",
                "docs" => "true",
                "log.format" => "json",
                name if name.starts_with("limits.")
                    || ["_seconds", "_bytes", "_days"].iter().any(|unit| name.ends_with(unit)) =>
                {
                    "1"
                }
                _ => "x",
            };
            let (variable, found) = (key.variable(), load(None, &[(&key.variable(), value)], Flags::default()));
            assert!(found.is_ok(), "{variable}: {found:?}");
        }
    }
}
