//! `transom-sandbox`: the messaging platforms on this machine's loopback, until Ctrl-C.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Parser;
use comfy_table::{Table, presets};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::signal::unix::{SignalKind, signal};
use transom_domain::SettableClock;
use transom_sandbox::{Control, NewAccount, NewCustomer, Problem, Sandbox, SandboxConfig, StartError};

/// Stands in for the messaging platforms over HTTP. Nothing leaves this machine; its state ends with it.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen, on loopback; port 0 takes a free one
    #[arg(long, env = "TRANSOM_SANDBOX_LISTEN", default_value = "127.0.0.1:8888")]
    listen: SocketAddr,

    /// The accounts and customers to begin with: {"accounts": [...], "customers": [...]} as the control API takes them.
    /// Without it: one account on each platform, and two customers
    #[arg(long, env = "TRANSOM_SANDBOX_SETUP", value_name = "FILE")]
    setup: Option<PathBuf>,

    /// Where the webhooks of the accounts go that have no address of their own
    #[arg(long, env = "TRANSOM_SANDBOX_WEBHOOK", value_name = "URL")]
    webhook: Option<String>,

    /// Let the clock stand at this instant (RFC 3339) until it is moved; otherwise it runs with the machine's
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    clock: Option<OffsetDateTime>,
}

fn instant(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|error| format!("{error}; an example: 2026-03-01T09:00:00Z"))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Setup {
    accounts: Vec<NewAccount>,
    customers: Vec<NewCustomer>,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot read the setup `{path}`: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the setup `{path}` does not fit: {source}")]
    Parse { path: PathBuf, source: serde_json::Error },
    #[error("the setup cannot be made: {0}")]
    Make(#[from] Problem),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("input or output failed: {0}")]
    Io(#[from] std::io::Error),
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            let cause = std::error::Error::source(&failure).map(|cause| format!(": {cause}")).unwrap_or_default();
            // A setup's errors name their cause themselves.
            let cause = if matches!(failure, Failure::Start(_)) { cause } else { String::new() };
            let _ = writeln!(std::io::stderr(), "transom-sandbox: {failure}{cause}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let setup = arguments.setup.as_deref().map(read).transpose()?;
    let clock = arguments.clock.map_or_else(SettableClock::running, SettableClock::frozen);
    let sandbox = Sandbox::start(SandboxConfig { listen: arguments.listen, ..SandboxConfig::new(clock) }).await?;
    let control = sandbox.control();
    make(&control, setup.unwrap_or_else(|| usual(&control)), arguments.webhook.as_deref())?;
    announce(&sandbox)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    sandbox.shutdown().await;
    Ok(())
}

fn read(path: &Path) -> Result<Setup, Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| Failure::Read { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| Failure::Parse { path: path.to_owned(), source })
}

/// One account on each platform, and two customers.
fn usual(control: &Control) -> Setup {
    Setup {
        accounts: control.platforms().into_iter().map(NewAccount::on).collect(),
        customers: vec![
            NewCustomer::named("mara", "Mara Klein", "+4915550100001"),
            NewCustomer::named("bo", "Bo Jensen", "+4915550100002"),
        ],
    }
}

fn make(control: &Control, setup: Setup, webhook: Option<&str>) -> Result<(), Problem> {
    for mut account in setup.accounts {
        account.webhook_url = account.webhook_url.or_else(|| webhook.map(str::to_owned));
        control.create_account(account)?;
    }
    for customer in setup.customers {
        control.create_customer(customer)?;
    }
    Ok(())
}

/// Says where everything is. The secrets are made up for this run, so they may be shown.
fn announce(sandbox: &Sandbox) -> std::io::Result<()> {
    let control = sandbox.control();
    let mut accounts = Table::new();
    accounts.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header([
        "platform",
        "account",
        "API base",
        "token",
        "webhooks go to",
    ]);
    for account in control.accounts() {
        let setting = |name: &str| account.settings.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        let token = setting("access_token").or_else(|| setting("token")).unwrap_or_default();
        let webhook = account.webhook_url.unwrap_or_else(|| "(nowhere yet)".to_owned());
        accounts.add_row([account.platform, account.id, account.api_base, token, webhook]);
    }
    let mut out = std::io::stdout().lock();
    let base = sandbox.base_url();
    writeln!(
        out,
        "The sandbox is at {base} (page: {base}/, control API: {base}/control, also {}).",
        sandbox.control_url()
    )?;
    writeln!(out, "{accounts}\nCtrl-C stops it.")?;
    out.flush()
}
