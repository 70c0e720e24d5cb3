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
//! | [`template`] | message templates: the catalogue, and what webhooks tell of it |
//! | [`messaging`] | the Send API and its events, which Messenger and Instagram share |
//! | [`settings`] | what a connection must be told, on all three platforms |
//! | [`Uploads`] | what was uploaded already |
//!
//! What may be sent and when is nowhere in here: that is the policies' business.
//!
//! # Example: asking Graph for a node
//!
//! ```no_run
//! use secrecy::SecretString;
//! use transom_channel::Ports;
//! use transom_meta::{ApiVersion, Graph, classify};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let token = SecretString::from("EAAinvented".to_owned());
//! let graph = Graph::new(&Ports::system()?, "https://graph.facebook.com", ApiVersion::default(), token);
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
mod media;
pub mod messaging;
mod paging;
mod redact;
pub mod settings;
pub mod template;
mod uploads;
mod usage;
mod version;

pub use classify::classify;
pub use error::{GraphError, Refusal};
pub use failure::GraphFailure;
pub use graph::{Graph, Upload};
pub use hub::Hub;
pub use media::{bare_mime, unreadable_file};
pub use redact::redact;
pub use uploads::{UploadKey, Uploads};
pub use usage::Usage;
pub use version::{ApiVersion, BadVersion};
