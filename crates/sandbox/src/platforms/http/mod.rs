//! The other side of the generic HTTP channel: `POST {base}/http/{account}`, as docs/channels/http.md describes it.
//!
//! An account is whatever the channel's setting `account` says; its settings are [`HttpSettings`]. By `rules` it stands in for an
//! in-house channel or for a partner of Viber Business Messages.
//!
//! | verb | does |
//! | --- | --- |
//! | `template` | makes or replaces a template: `{name, language, category, status?, header?, body, footer?, buttons?}` |
//! | `event` | sends any event: its `type`, and its other fields |

mod account;
mod events;
mod rules;
mod send;
mod templates;

pub use self::account::{HttpSettings, Rules};

use async_trait::async_trait;
use serde_json::{Value, json};

use self::account::Accounts;
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
pub(crate) struct Http;

/// A refusal as the protocol words it.
fn refused(status: u16, code: &str, message: &str, more: &[(&str, Value)]) -> Reply {
    let mut error = json!({"code": code, "message": message});
    if let Value::Object(error) = &mut error {
        error.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    Reply::json(status, &json!({"error": error})).coded(i64::from(status))
}

#[async_trait]
impl Personality for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn adopt(&self, world: &mut World, customer: &mut Customer) {
        let id = format!("u-{}", world.names.number());
        customer.addresses.entry("http".to_owned()).or_insert(id);
    }

    fn open(&self, world: &mut World, _name: Option<&str>, settings: Value) -> Result<String, Problem> {
        account::open(world, &settings)
    }

    fn settings(&self, world: &mut World, account: &str) -> Value {
        account::settings(world, account).ok().and_then(|known| serde_json::to_value(known).ok()).unwrap_or_default()
    }

    fn patch(&self, world: &mut World, account: &str, settings: Value) -> Result<(), Problem> {
        account::patch(world, account, &settings)
    }

    fn close(&self, world: &mut World, account: &str) {
        world.shelves.of::<Accounts>().0.remove(account);
    }

    fn route(&self, world: &mut World, call: &Call) -> Result<Route, Reply> {
        if let ["media", _, _] = call.pieces().as_slice() {
            return Ok(Route { account: None, sends: false, fails_later: None });
        }
        let account = call.path.first().cloned().unwrap_or_default();
        if !account::is_genuine(world, &account, call) {
            return Err(refused(401, "unauthorized", "the signature is wrong", &[]));
        }
        let kind = serde_json::from_slice::<Value>(&call.body).ok();
        let sends = kind.is_some_and(|body| body.get("type") == Some(&json!("message.send")));
        Ok(Route { account: Some(account), sends, fails_later: None })
    }

    async fn answer(&self, shared: &Shared, route: &Route, call: &Call) -> Reply {
        let mut world = shared.world();
        if let ["media", id, _] = call.pieces().as_slice() {
            return match world.files.get(id) {
                Some(file) => Reply::bytes(200, "application/octet-stream", file.bytes.clone()),
                None => Reply::text(404, "gone"),
            };
        }
        let account = route.account.as_deref().unwrap_or_default();
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        if body.get("account").and_then(Value::as_str) != Some(account) {
            return refused(422, "invalid_request", "account: another one than the address says", &[]);
        }
        match body.get("type").and_then(Value::as_str) {
            Some("message.send") => {
                send::send(&mut world, account, route, call, body).unwrap_or_else(|refused| refused)
            }
            Some("templates.list") => Reply::json(200, &json!({"templates": templates::list(&mut world, account)})),
            Some("account.check") => {
                let limit = account::settings(&mut world, account).ok().and_then(|known| known.daily_messages);
                let limits = limit.map_or(json!({}), |limit| json!({"daily_messages": limit}));
                Reply::json(
                    200,
                    &json!({"account": account, "name": format!("{account} at the sandbox"), "limits": limits}),
                )
            }
            _ => refused(422, "invalid_request", "type: message.send, templates.list or account.check", &[]),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        match refusal {
            Refusal::RateLimited { retry_after } => {
                refused(429, "rate_limited", "too fast", &[("retry_after", json!(retry_after.unwrap_or(1)))])
            }
            Refusal::NotAccepting => refused(422, "invalid_request", "the sandbox accepts nothing at present", &[]),
            // The code is the status; what it means is in the words.
            Refusal::Error { code, detail } => {
                let status = u16::try_from(*code).ok().filter(|status| (400..600).contains(status)).unwrap_or(422);
                refused(status, detail.as_deref().unwrap_or("invalid_request"), "as the sandbox was told", &[])
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
        account::signed(world, &account.id, body, badly)
    }

    async fn verb(&self, shared: &Shared, account: &str, verb: &str, body: Value) -> Result<Value, Problem> {
        let mut world = shared.world();
        match verb {
            "template" => templates::put(&mut world, account, body),
            "event" => {
                let Value::Object(fields) = body else { return Err(Problem::invalid("event: an object is needed")) };
                Ok(json!({"delivery": events::any(&mut world, account, fields)?}))
            }
            other => Err(Problem::not_found(format!("HTTP has no verb `{other}`: template, event"))),
        }
    }
}
