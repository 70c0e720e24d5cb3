//! The command line.

mod audit;
mod channel;
mod decide;
mod keys;
mod output;
mod policy;
mod rehearse;
mod serve;
mod token;
mod workspace;

use std::process::ExitCode;

use anstream::eprintln;
use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigError, Flags, LogFormat, LogSettings};
use crate::demo::{self, DemoArgs};
use crate::server::StartError;
use output::Colours;

/// Knows what may be sent to a customer, on which channel, right now, and sends it.
#[derive(Debug, Parser)]
#[command(name = "transom", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Args),
    /// Service, sandbox and contacts in every interesting state, in one command
    Demo(DemoArgs),
    /// Print the OpenAPI document
    Openapi,
    /// Make the database's schema current
    Migrate(Flags),
    /// Check policy files, and rehearse what they would change
    #[command(subcommand)]
    Policy(policy::Command),
    /// Answer a question about what may be sent
    Decide(decide::Args),
    /// Make workspaces
    #[command(subcommand)]
    Workspace(workspace::Command),
    /// Make, list and revoke API tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Connect, list and remove channels, sync their templates
    #[command(subcommand)]
    Channel(channel::Command),
    /// Check the audit log, and carry its head elsewhere
    #[command(subcommand)]
    Audit(audit::Command),
    /// Where master keys stand, and their rotation
    #[command(subcommand)]
    Keys(keys::Command),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The service or its database did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The desk said no.
    #[error(transparent)]
    Desk(#[from] transom_desk::DeskError),
    /// The database failed.
    #[error("the database: {0}")]
    Storage(#[from] transom_storage::StorageError),
    /// Nothing can be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// It has been said already; only the exit code is left.
    #[error("")]
    Said(u8),
}

impl Failure {
    /// 2 for what has to be mended in configuration, policies or arguments, else 1.
    fn exit_code(&self) -> u8 {
        match self {
            Failure::Config(_) | Failure::Usage(_) => 2,
            Failure::Start(error) if error.is_configuration() => 2,
            Failure::Said(code) => *code,
            Failure::Start(_) | Failure::Desk(_) | Failure::Storage(_) | Failure::Io(_) => 1,
        }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    // A second call finds the provider installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("transom: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(run(Cli::parse().command));
    // A stuck blocking call must not keep the process.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::Said(_)) {
                let Colours { error, .. } = Colours::default();
                eprintln!("{error}transom:{error:#} {failure}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => {
            log(&LogSettings { format: LogFormat::Text, level: "warn".to_owned() })?;
            demo::run(args).await.map_err(|trouble| Failure::Usage(trouble.to_string())).map_err(|failure| {
                let Colours { error, .. } = Colours::default();
                eprintln!("{error}transom:{error:#} {failure}");
                Failure::Said(1)
            })
        }
        Command::Openapi => output::print(&crate::api::document_text()),
        Command::Migrate(flags) => migrate(&flags).await,
        Command::Policy(command) => policy::run(command).await,
        Command::Decide(args) => decide::run(args),
        Command::Workspace(command) => workspace::run(command).await,
        Command::Token(command) => token::run(command).await,
        Command::Channel(command) => channel::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Keys(command) => keys::run(command).await,
    }
}

/// The configuration from flags, environment and file.
fn configured(flags: &Flags) -> Result<Config, Failure> {
    Ok(Config::load(flags, &|name| std::env::var(name).ok())?)
}

/// Logs go to stderr: stdout is for answers.
fn log(settings: &LogSettings) -> Result<(), Failure> {
    let wrong = |why: &str| {
        let level = &settings.level;
        Failure::Usage(format!(
            "`log.level`: `{level}` {why}: error, warn, info, debug, trace or off is expected, or a filter such as \
             info,transom_desk=debug"
        ))
    };
    // A filter's own reader would take a misspelt level for the name of a module, and log nothing.
    let is_word = settings.level.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word && settings.level.parse::<tracing_subscriber::filter::LevelFilter>().is_err() {
        return Err(wrong("is no level"));
    }
    let filter = tracing_subscriber::EnvFilter::try_new(&settings.level).map_err(|_| wrong("is no filter"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A program that links this may have set its own.
    let _ = match settings.format {
        LogFormat::Text => builder.with_ansi(Colours::wanted_on_stderr()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}

async fn migrate(flags: &Flags) -> Result<(), Failure> {
    let config = configured(flags)?;
    log(&config.log)?;
    let desk = open(&config).await?;
    desk.storage().close().await?;
    eprintln!("the schema is current");
    Ok(())
}

/// The use cases on the configured database, for commands that need no service.
async fn open(config: &Config) -> Result<transom_desk::Desk, Failure> {
    Ok(crate::server::open(config, std::sync::Arc::new(transom_domain::SystemClock)).await?)
}
