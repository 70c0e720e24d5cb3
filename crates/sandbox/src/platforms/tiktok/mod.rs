//! TikTok's business API: `{base}/tiktok/business/message/send/` and its neighbours, each path with a slash at its end.
//!
//! An account is a business account, its id the `business_id`, its settings [`TikTokSettings`].
//!
//! Acts of its own, as `other`: `comment` (`{"text"}`).
//!
//! | verb | does |
//! | --- | --- |
//! | `event` | sends any event: `{"event": "im_…", "content": {…}}` |

mod account;
mod calls;
mod events;
mod rules;

pub use self::account::{Reading, TikTokSettings};

use async_trait::async_trait;
use serde_json::{Value, json};

use self::calls::Refused;
use super::kit::hmac_sha256;
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
pub(crate) struct TikTok;

#[async_trait]
impl Personality for TikTok {
    fn name(&self) -> &'static str {
        "tiktok"
    }

    fn adopt(&self, world: &mut World, customer: &mut Customer) {
        let id = format!("usr-open-{}", world.names.digits('1', 12));
        customer.addresses.entry("tiktok".to_owned()).or_insert(id);
    }

    fn open(&self, world: &mut World, name: Option<&str>, settings: Value) -> Result<String, Problem> {
        account::open(world, name, &settings)
    }

    fn settings(&self, world: &mut World, account: &str) -> Value {
        account::settings(world, account).ok().and_then(|found| serde_json::to_value(found).ok()).unwrap_or_default()
    }

    fn patch(&self, world: &mut World, account: &str, settings: Value) -> Result<(), Problem> {
        account::patch(world, account, &settings)
    }

    fn close(&self, world: &mut World, account: &str) {
        account::close(world, account);
    }

    fn route(&self, world: &mut World, call: &Call) -> Result<Route, Reply> {
        calls::route(world, call).map_err(|refused| refused.reply())
    }

    async fn answer(&self, shared: &Shared, route: &Route, call: &Call) -> Reply {
        let account = route.account.as_deref().unwrap_or_default();
        calls::answer(shared, account, call).await.unwrap_or_else(|refused| refused.reply())
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        match refusal {
            Refusal::RateLimited { .. } => Refused::new(40_100, "Requests made too frequently").reply(),
            Refusal::NotAccepting => Refused::new(40_002, "the sandbox accepts nothing at present").reply(),
            Refusal::Error { code, detail } => {
                Refused::new(*code, detail.as_deref().unwrap_or("as the sandbox was told")).reply()
            }
        }
    }

    fn act(&self, world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
        events::act(world, key, action)
    }

    fn receipt(&self, world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
        events::receipt(world, account, order)
    }

    fn would_accept(&self, world: &mut World, key: &ChatKey, ask: &Ask) -> Verdict {
        let now = world.now();
        rules::would_accept(world, key, ask, now)
    }

    fn sign(&self, world: &mut World, account: &Account, body: &[u8], badly: bool) -> Vec<(&'static str, String)> {
        let at = world.now().unix_timestamp();
        let secret = account::settings(world, &account.id).map(|found| found.app_secret).unwrap_or_default();
        let secret = if badly { "not-the-secret" } else { &secret };
        let message = [at.to_string().as_bytes(), b".", body].concat();
        let proof = hex::encode(hmac_sha256(secret.as_bytes(), &message));
        vec![("tiktok-signature", format!("t={at},s={proof}"))]
    }

    async fn verb(&self, shared: &Shared, account: &str, verb: &str, body: Value) -> Result<Value, Problem> {
        match (verb, body.get("event").and_then(Value::as_str), body.get("content")) {
            ("event", Some(event), Some(content)) => {
                Ok(json!({"delivery": events::report(&mut shared.world(), account, event, content)}))
            }
            ("event", ..) => Err(Problem::invalid("event: {\"event\": \"im_…\", \"content\": {…}}")),
            (other, ..) => Err(Problem::not_found(format!("TikTok has no verb `{other}`: event"))),
        }
    }
}
