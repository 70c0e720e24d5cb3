//! Graph API plumbing shared by the channels of Meta: WhatsApp, Messenger, Instagram.
//!
//! | part | what |
//! | --- | --- |
//! | [`Graph`] | the client: bearer token, version, pages, uploads, downloads |
//! | [`GraphError`], [`Refusal`], [`GraphFailure`] | what Graph says when it refuses, and what a missing answer means |
//! | [`classify`] | the codes that mean the same on all three platforms |
//! | [`Usage`] | the headers that say how much of a limit is used |
//! | [`Hub`] | webhooks: the handshake and `X-Hub-Signature-256` |
//! | [`envelope`] | the outer shape of every webhook, and keys for events that have no id |
//!
//! What may be sent and when is nowhere in here: that is the policies' business.
//!
//! # Example: asking Graph for a node
//!
//! ```no_run
//! use secrecy::SecretString;
//! use transom_channel::http::HttpClient;
//! use transom_meta::{ApiVersion, Graph, classify};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let token = SecretString::from("EAAinvented".to_owned());
//! let graph = Graph::new(HttpClient::new()?, "https://graph.facebook.com", ApiVersion::default(), token);
//! let number: serde_json::Value = graph
//!     .get("106540352242922", &[("fields", "verified_name")])
//!     .await
//!     .map_err(|failure| failure.of_read(classify))?;
//! # Ok(()) }
//! ```

mod classify;
pub mod envelope;
mod error;
mod failure;
mod graph;
mod hub;
mod paging;
mod redact;
mod usage;
mod version;

pub use classify::classify;
pub use error::{GraphError, Refusal};
pub use failure::GraphFailure;
pub use graph::{Graph, Upload};
pub use hub::Hub;
pub use redact::redact;
pub use usage::Usage;
pub use version::{ApiVersion, BadVersion};
