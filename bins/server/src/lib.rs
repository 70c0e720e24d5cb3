//! The Transom service as a library, so that the program, the demo and the tests start the same thing.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use transom_domain::SystemClock;
//! use transom_server::{Server, ServerConfig};
//!
//! let server = Server::start(ServerConfig::in_folder("./transom-data"), Arc::new(SystemClock)).await?;
//! println!("listening on {}", server.base_url());
//! server.stop().await;
//! # Ok(()) }
//! ```

pub mod api;
pub mod cli;
pub mod config;
pub mod demo;
pub mod http;
pub mod policies;
pub mod registry;
mod server;
mod state;
mod terminal;

pub use config::Config as ServerConfig;
pub use server::{Server, StartError};
