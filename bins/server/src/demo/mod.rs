//! `transom demo`: service and sandbox in one command, with contacts in every interesting state.

pub mod api;
mod broadcast;
pub mod cast;
pub mod scene;
pub mod script;
pub mod seed;
pub mod table;
pub mod world;

use std::path::PathBuf;

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};
use secrecy::ExposeSecret;
use transom_domain::SettableClock;

use seed::Seeded;
use world::{Trouble, World, WorldConfig};

use crate::terminal;

/// What `transom demo` takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DemoArgs {
    /// Keep everything in this folder instead of a temporary one.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// The port of the service; a free one by default.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Play the story by itself, and exit with 0 only if all of it happened.
    #[arg(long)]
    pub script: bool,
    /// The platforms refuse everything: the story must fail then. For testing the story.
    #[arg(long, hide = true)]
    pub refuse_all: bool,
}

/// Runs the demo until Ctrl-C, or its story.
///
/// # Errors
/// [`Trouble`] says what did not start or did not happen.
pub async fn run(args: DemoArgs) -> Result<(), Trouble> {
    // Held until the end: the folder goes with it.
    let temporary = match &args.data_dir {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(Trouble::new)?),
    };
    let data_dir = args.data_dir.clone().or_else(|| temporary.as_ref().map(|dir| dir.path().to_owned()));
    let data_dir = data_dir.ok_or_else(|| Trouble::new("no data folder"))?;
    let clock = SettableClock::running();
    let world =
        World::start(WorldConfig { data_dir, database_url: None, public_url: None, port: args.port, clock }).await?;
    world.control().accept(!args.refuse_all);
    let outcome = if args.script { script::play(&world).await } else { show(&world).await };
    world.stop().await;
    outcome
}

/// Shows the table and what to try, and waits for Ctrl-C.
async fn show(world: &World) -> Result<(), Trouble> {
    eprintln!("Customers are writing…");
    let people = seed::seed(world).await?;
    let colour = std::io::IsTerminal::is_terminal(&std::io::stdout()) && std::env::var_os("NO_COLOR").is_none();
    let mut table = table::of(world, &people, colour).await?;
    terminal::fit(&mut table);
    println!("\n{table}\n");
    hints(world, &people);
    tokio::signal::ctrl_c().await.map_err(Trouble::new)?;
    eprintln!("\nStopping…");
    Ok(())
}

fn hints(world: &World, people: &[Seeded]) {
    let (bold, dim) = (Style::new().bold(), AnsiColor::BrightBlack.on_default());
    let base = world.server.base_url();
    println!("{bold}Service{bold:#}        {base}      API at {base}/docs");
    println!("{bold}Customers{bold:#}      {}      their phones", world.sandbox.base_url());
    println!("{bold}Token{bold:#}          {}\n", world.token.expose_secret());
    let Some(conversation) = people.iter().find_map(|person| person.conversation) else { return };
    let curl = format!("curl -s -H 'Authorization: Bearer {}'", world.token.expose_secret());
    let json = "-H 'Content-Type: application/json'";
    println!("{bold}Try{bold:#}");
    println!("{dim}# What may be sent to Mara, and why not the rest{dim:#}");
    println!("{curl} {base}/v1/conversations/{conversation}/window\n");
    println!("{dim}# Free text is refused, with the reason{dim:#}");
    println!(
        "{curl} {json} {base}/v1/conversations/{conversation}/messages -d '{{\"type\":\"reply\",\"text\":\"It is on its way\"}}'\n"
    );
    println!("{dim}# An approved template gets through; look at her phone{dim:#}");
    println!(
        "{curl} {json} {base}/v1/conversations/{conversation}/messages -d '{{\"type\":\"reply\",\"template\":{{\"name\":\"order_update\",\"language\":\"en_US\",\"parameters\":{{\"body\":[\"Mara\",\"A-1001\"]}}}}}}'\n"
    );
    println!("Ctrl-C stops both.");
}
