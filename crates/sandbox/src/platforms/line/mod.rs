//! LINE's Messaging API: `{base}/line/v2/bot/…`, calls and files under the same address.
//!
//! An account is an Official Account, its id the bot's user id, its settings [`LineSettings`]. A customer who writes for the
//! first time adds the account first, which is an event of its own.
//!
//! | verb | does |
//! | --- | --- |
//! | `verify` | makes the call without events by which LINE checks a webhook URL |
//! | `event` | sends any event |

mod account;
mod errors;
mod events;
mod message;
mod rules;
mod send;

pub use self::account::LineSettings;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use self::account::{Officials, official};
use self::errors::LineError;
use super::kit::hmac_sha256;
use super::{Ask, Personality, ReceiptOrder, Refusal, Route, Verdict, Wire};
use crate::Problem;
use crate::acts::{Acted, Action};
use crate::chats::ChatKey;
use crate::http::{Call, Reply};
use crate::people::Customer;
use crate::sandbox::Shared;
use crate::world::{Account, World};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Line;

#[async_trait]
impl Personality for Line {
    fn name(&self) -> &'static str {
        "line"
    }

    fn adopt(&self, world: &mut World, customer: &mut Customer) {
        let (seed, number) = (world.names.seed(), world.names.number());
        customer.addresses.entry("line".to_owned()).or_insert_with(|| account::user_id(seed, number));
    }

    fn open(&self, world: &mut World, name: Option<&str>, settings: Value) -> Result<String, Problem> {
        account::open(world, name, &settings)
    }

    fn has_receipts(&self) -> bool {
        false
    }

    fn settings(&self, world: &mut World, account: &str) -> Value {
        official(world, account).ok().and_then(|found| serde_json::to_value(&found.settings).ok()).unwrap_or_default()
    }

    fn patch(&self, world: &mut World, account: &str, settings: Value) -> Result<(), Problem> {
        account::patch(world, account, &settings)
    }

    fn close(&self, world: &mut World, account: &str) {
        world.shelves.of::<Officials>().0.remove(account);
    }

    fn route(&self, world: &mut World, call: &Call) -> Result<Route, Reply> {
        let token = call.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let officials = &world.shelves.of::<Officials>().0;
        let found = officials.iter().find(|(_, official)| official.settings.access_token == token);
        let account = found.map(|(id, _)| id.clone());
        let Some(account) = account else { return Err(send::named(world, LineError::unauthorized().reply())) };
        let sends = matches!(call.pieces().as_slice(), ["v2", "bot", "message", "push" | "reply"]);
        Ok(Route { account: Some(account), sends, fails_later: None })
    }

    async fn answer(&self, shared: &Shared, route: &Route, call: &Call) -> Reply {
        let mut world = shared.world();
        let account = route.account.as_deref().unwrap_or_default();
        match carried_out(&mut world, account, call) {
            // A send names its own request; a repeated one names the accepted one as well.
            Ok(reply) if route.sends => reply,
            Ok(reply) => send::named(&mut world, reply),
            Err(error) => send::named(&mut world, error.reply()),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        match refusal {
            Refusal::RateLimited { .. } => LineError::too_fast().reply(),
            Refusal::NotAccepting => errors::made_to_order(403, None).reply(),
            Refusal::Error { code, detail } => errors::made_to_order(*code, detail.as_deref()).reply(),
        }
    }

    fn act(&self, world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
        events::act(world, key, action)
    }

    fn receipt(&self, _world: &mut World, _account: &str, _order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
        Err(Problem::invalid("LINE reports nothing about a message after accepting it"))
    }

    fn would_accept(&self, world: &mut World, key: &ChatKey, _ask: &Ask) -> Verdict {
        let now = world.now();
        rules::would_accept(world, key, now)
    }

    fn sign(&self, world: &mut World, account: &Account, body: &[u8], badly: bool) -> Vec<(&'static str, String)> {
        let secret =
            official(world, &account.id).map(|found| found.settings.channel_secret.clone()).unwrap_or_default();
        let secret = if badly { format!("not {secret}") } else { secret };
        vec![("x-line-signature", BASE64.encode(hmac_sha256(secret.as_bytes(), body)))]
    }

    /// LINE marks what it delivers again.
    fn wire(&self, body: &str, tries: usize) -> Wire {
        match tries {
            0 => Wire::json(body),
            _ => Wire::json(body.replace(r#""isRedelivery":false"#, r#""isRedelivery":true"#)),
        }
    }

    async fn verb(&self, shared: &Shared, account: &str, verb: &str, body: Value) -> Result<Value, Problem> {
        let mut world = shared.world();
        match verb {
            "verify" => {
                let call = json!({"destination": account, "events": []}).to_string();
                Ok(json!({"delivery": world.report(account, "verify", call)}))
            }
            "event" => {
                let Value::Object(event) = body else { return Err(Problem::invalid("event: an object is needed")) };
                let kind = event.get("type").and_then(Value::as_str).unwrap_or("event").to_owned();
                Ok(json!({"delivery": events::report(&mut world, account, &kind, event)}))
            }
            other => Err(Problem::not_found(format!("LINE has no verb `{other}`: verify, event"))),
        }
    }
}

fn carried_out(world: &mut World, account: &str, call: &Call) -> Result<Reply, LineError> {
    let now = world.now();
    official(world, account).map_err(|_| LineError::unauthorized())?.pace(now)?;
    let body = || serde_json::from_slice::<Value>(&call.body).map_err(|_| LineError::not_json());
    let ok = |view: &Value| Ok(Reply::json(200, view));
    match (call.method.as_str(), call.pieces().as_slice()) {
        ("POST", ["v2", "bot", "message", "reply"]) => send::reply(world, account, call, &body()?),
        ("POST", ["v2", "bot", "message", "push"]) => send::push(world, account, call, &body()?),
        ("POST", ["v2", "bot", "message", "validate", "reply" | "push"]) => {
            message::parse(&body()?)?;
            ok(&json!({}))
        }
        ("GET", ["v2", "bot", "message", "quota"]) => {
            let found = official(world, account).map_err(|_| LineError::unauthorized())?;
            match found.settings.monthly_limit {
                Some(limit) => ok(&json!({"type": "limited", "value": limit})),
                None => ok(&json!({"type": "none"})),
            }
        }
        ("GET", ["v2", "bot", "message", "quota", "consumption"]) => {
            ok(&json!({"totalUsage": rules::used(world, account, now)}))
        }
        ("GET", ["v2", "bot", "message", id, "content"]) => {
            let file = world.files.get(id).filter(|file| file.account == account).ok_or_else(LineError::not_found)?;
            // The type is a static text in the sandbox's answers: one of those that customers send.
            let mime = CONTENT_TYPES.iter().find(|known| **known == file.mime).copied();
            Ok(Reply::bytes(200, mime.unwrap_or("application/octet-stream"), file.bytes.clone()))
        }
        ("GET", ["v2", "bot", "message", id, "content", "transcoding"]) => {
            world.files.get(id).filter(|file| file.account == account).ok_or_else(LineError::not_found)?;
            ok(&json!({"status": "succeeded"}))
        }
        ("GET", ["v2", "bot", "info"]) => {
            let found = official(world, account).map_err(|_| LineError::unauthorized())?;
            let LineSettings { bot_user_id, basic_id, display_name, .. } = &found.settings;
            ok(&json!({"userId": bot_user_id, "basicId": basic_id, "displayName": display_name, "chatMode": "bot",
                "markAsReadMode": "manual"}))
        }
        ("GET", ["v2", "bot", "profile", user]) => {
            let view = events::profile(world, account, user).ok_or_else(LineError::not_found)?;
            ok(&view)
        }
        ("POST", ["v2", "bot", "chat", "loading", "start"]) => Ok(Reply::json(202, &json!({}))),
        ("GET", ["v2", "bot", "channel", "webhook", "endpoint"]) => {
            let url = world.accounts.get(account).and_then(|account| account.webhook_url.clone());
            ok(&json!({"endpoint": url.as_deref().unwrap_or_default(), "active": url.is_some()}))
        }
        ("PUT", ["v2", "bot", "channel", "webhook", "endpoint"]) => {
            let body = body()?;
            let url = body.get("endpoint").and_then(Value::as_str).ok_or_else(|| LineError::property("endpoint"))?;
            if let Some(account) = world.accounts.get_mut(account) {
                account.webhook_url = Some(url.to_owned());
                account.queue.ring();
            }
            ok(&json!({}))
        }
        _ => Err(LineError::not_found()),
    }
}

const CONTENT_TYPES: [&str; 9] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "video/mp4",
    "audio/mpeg",
    "audio/mp4",
    "audio/ogg",
    "application/pdf",
];
