//! Web chat, which is the service's own: here the sandbox plays the visitors' browsers.
//!
//! There is no platform to call, so nothing answers under `{base}/webchat`. Each visitor with an open page keeps a real WebSocket
//! to `/widget/v1/ws` of the service that the account's webhook URL names (`{service}/webhooks/{key}`), and does there what the
//! customer does. What arrives is booked only if a visitor may be sent that, by the fact sheet's rules: else it shows as a
//! refused call.
//!
//! An account is a widget, which is its id; its settings are [`WebchatSettings`]. A customer is anonymous, under an address that
//! the service gives, until the site says who they are; then the address is the site's id of them. Frames have no time of their
//! own: an act counts when it happens. Acts of this platform alone, as [`Act::Other`](crate::Act::Other):
//!
//! | kind | does |
//! | --- | --- |
//! | `visit` | opens the page; so does everything else that needs it |
//! | `leave` | closes it |
//! | `identify` | the site says who the visitor is, with its proof; they write `{"text"}`, if given |
//! | `forget` | clears the browser's storage: who was anonymous is nobody then, and somebody new on the next visit |
//!
//! `opt_out` ends the chat, and so refuses an invitation.

mod account;
mod acts;
mod line;
mod message;
mod rules;

pub use self::account::{WebchatSettings, proof};

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use self::account::{Sites, site};
use super::{Ask, Personality, ReceiptOrder, Refusal, Route, Verdict};
use crate::Problem;
use crate::acts::{Acted, Action};
use crate::chats::ChatKey;
use crate::http::{Call, Reply};
use crate::people::Customer;
use crate::sandbox::Shared;
use crate::world::{Account, World};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Webchat;

#[async_trait]
impl Personality for Webchat {
    fn name(&self) -> &'static str {
        "webchat"
    }

    fn adopt(&self, _world: &mut World, customer: &mut Customer) {
        let id = customer.username.clone().unwrap_or_else(|| customer.id.clone());
        customer.addresses.entry("webchat".to_owned()).or_insert(id);
    }

    fn open(&self, world: &mut World, name: Option<&str>, settings: Value) -> Result<String, Problem> {
        account::open(world, name, &settings)
    }

    fn settings(&self, world: &mut World, account: &str) -> Value {
        site(world, account).ok().and_then(|found| serde_json::to_value(&found.settings).ok()).unwrap_or_default()
    }

    fn patch(&self, world: &mut World, account: &str, settings: Value) -> Result<(), Problem> {
        account::patch(world, account, &settings)
    }

    fn close(&self, world: &mut World, account: &str) {
        if let Some(closed) = world.shelves.of::<Sites>().0.remove(account) {
            closed.ring_all();
        }
    }

    fn route(&self, _world: &mut World, _call: &Call) -> Result<Route, Reply> {
        Err(self.refuse(&Refusal::NotAccepting))
    }

    async fn answer(&self, _shared: &Shared, _route: &Route, _call: &Call) -> Reply {
        self.refuse(&Refusal::NotAccepting)
    }

    fn refuse(&self, _refusal: &Refusal) -> Reply {
        Reply::text(404, "visitors call the service, and nobody calls them")
    }

    fn act(&self, world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
        acts::act(world, key, action)
    }

    fn receipt(&self, world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
        message::receipt(world, account, order)
    }

    fn would_accept(&self, world: &mut World, key: &ChatKey, ask: &Ask) -> Verdict {
        let now = world.now();
        rules::would_accept(world, key, ask, now)
    }

    fn sign(&self, _world: &mut World, _account: &Account, _body: &[u8], _badly: bool) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn accompany(&self, shared: Arc<Shared>, account: String) -> Option<BoxFuture<'static, ()>> {
        Some(line::keep(shared, account).boxed())
    }

    async fn verb(&self, _shared: &Shared, _account: &str, verb: &str, _body: Value) -> Result<Value, Problem> {
        Err(Problem::not_found(format!("web chat has no verb `{verb}`")))
    }
}
