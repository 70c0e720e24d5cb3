//! Stands in for the messaging platforms over real HTTP, with their own rules, faults and a settable clock.
//!
//! Everything that Transom does can be tried against it without one account anywhere: it answers at the platforms' own wire
//! formats, keeps their windows and quotas, signs webhooks, sends receipts, and fails in all the ways networks fail. What it
//! accepted stands in its [ledger](Control::ledger), which is the truth about sends.
//!
//! Its rules are written from the platforms' documents in plain code over the raw history, and share nothing with
//! `transom-windows`: the two are checked against each other.
//!
//! # Example: a customer writes, the business answers
//!
//! ```
//! use transom_domain::SettableClock;
//! use transom_sandbox::{NewAccount, NewCustomer, Sandbox, SandboxConfig};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::start(SandboxConfig::new(SettableClock::running())).await?;
//! let control = sandbox.control();
//! let shop = control.create_account(NewAccount::on("whatsapp"))?;
//! let mara = control.create_customer(NewCustomer::named("mara", "Mara K.", "+4915550100001"))?;
//! control.writes(&shop.id, &mara.id, "Where is my parcel?")?;
//!
//! // The client under test sends to `{shop.api_base}/v25.0/{shop.id}/messages`; what was accepted is in the ledger.
//! assert!(control.ledger().is_empty());
//! sandbox.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Platforms
//!
//! One module each under [`platforms`]: its API base, its accounts' settings, its own control verbs.
//!
//! # The control API
//!
//! JSON under `{base}/control`, and under a [port of its own](Sandbox::control_url) that stays up while the platforms refuse
//! connections. An error is `{"error": "not_found" | "invalid" | "conflict", "detail": "…"}` with 404, 422 or 409.
//!
//! | call | does |
//! | --- | --- |
//! | `GET`, `POST /control/clock` | reads the clock; moves it by `{"advance_seconds": 3600}` or `{"to": "2026-03-01T09:00:00Z"}` |
//! | `GET`, `POST /control/accounts` | lists accounts; makes one from a [`NewAccount`] |
//! | `GET`, `PATCH`, `DELETE /control/accounts/{a}` | one [`AccountView`]; changes it by an [`AccountPatch`]; closes it |
//! | `GET`, `POST /control/customers` | lists customers; makes one from a [`NewCustomer`] |
//! | `GET`, `PATCH /control/customers/{c}` | one [`Customer`]; changes it by a [`CustomerPatch`] |
//! | `POST /control/accounts/{a}/customers/{c}/acts` | the customer does something: an [`Action`] in, an [`Acted`] out |
//! | `POST /control/accounts/{a}/receipts` | a receipt by hand: a [`ReceiptOrder`] |
//! | `GET`, `POST`, `DELETE /control/accounts/{a}/faults` | lists, adds and clears [`Fault`]s |
//! | `POST /control/accounts/{a}/webhooks` | a [`WebhookOrder`]: hold, release, redeliver, duplicate, sign badly |
//! | `POST /control/accounts/{a}/do/{verb}` | a verb of the platform alone, see [`platforms`] |
//! | `GET /control/ledger?account=` | `{"sends": [`[`Send`]`…], "dropped": 0}` |
//! | `GET /control/deliveries?account=` | `{"deliveries": [`[`Delivery`]`…]}` with each try and its answer |
//! | `GET /control/calls?account=` | `{"calls": [`[`CallRecord`]`…]}`: every call to a platform as it arrives, refused ones included, each with its state |
//! | `GET /control/conversations` | `{"conversations": [`[`Conversation`]`…]}` as on the customers' phones |
//! | `GET /control/would-accept?account=&customer=&kind=&category=&tag=&via=` | a [`Verdict`]: by window and quota, from the raw history |
//! | `GET`, `POST /control/accept` | `{"on": false}`: every send is refused until it is on again |
//! | `POST /control/refuse-connections` | `{"on": true}`: the platforms' ports are closed until it is off again |
//! | `POST /control/urls` | puts `{"url", "mime", "base64"}` behind an outside URL, since the sandbox fetches from loopback only |
//! | `GET /control/media/{id}` | the bytes of a file |
//! | `GET /control/idle?timeout_ms=` | waits until no receipt is due and no webhook is on its way |
//!
//! # Time
//!
//! Stamps and rules follow the sandbox's clock; a customer's event counts with the whole second that its webhook carries.
//! Pauses (receipts, redelivery, faults) pass in real time. Pacing limits refill by whichever of the two passed more.
//!
//! # Bounds
//!
//! State is in memory and bounded: 200,000 sends, 50,000 deliveries, 20,000 calls, 1,000 messages a conversation, 512 MiB of
//! files; the oldest go first.

mod acts;
mod chats;
mod config;
mod control;
mod deliveries;
mod faults;
mod http;
mod ledger;
mod media;
mod names;
mod pacing;
mod page;
mod people;
pub mod platforms;
mod problem;
mod ring;
mod sandbox;
mod shelf;
mod webhooks;
mod world;

pub use acts::{Act, Acted, Action, MediaAct};
pub use chats::{Author, Button, Conversation, Entry, Link, Progress};
pub use config::{Redelivery, SandboxConfig};
pub use control::Control;
pub use deliveries::{Delivery, DeliveryState, ReleaseOrder, Try, WebhookOrder};
pub use faults::{Fault, FaultKind, On};
pub use ledger::{CallRecord, CallState, Send, Window, WindowState};
pub use media::Media;
pub use people::{Customer, CustomerPatch, NewCustomer};
pub use platforms::{Ask, AskKind, Because, QuotaView, ReceiptOrder, Verdict};
pub use problem::{Problem, ProblemKind};
pub use sandbox::{Sandbox, StartError};
pub use world::{AccountPatch, AccountView, AutoReceipts, Manual, NewAccount, QueueView, Receipts};
