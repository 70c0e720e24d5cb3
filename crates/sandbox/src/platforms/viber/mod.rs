//! Viber's REST Bot API: `{base}/viber/send_message` and its neighbours; the token in `X-Viber-Auth-Token` names the bot.
//!
//! An account is a bot, its id the bot's (`pa:…`), its settings [`ViberSettings`].
//!
//! | verb | does |
//! | --- | --- |
//! | `event` | sends any event: its name as `event`, and its other fields |
//!
//! Not modelled: broadcasts, a person's other id for another bot, and the fetching of files (their addresses are checked).

mod bot;
mod events;
mod methods;
mod refusals;
mod rules;

pub use self::bot::{Session, ViberSettings};

use async_trait::async_trait;
use serde_json::{Value, json};

use self::bot::Bots;
use self::refusals::Refused;
use super::{Ask, Personality, ReceiptOrder, Refusal, Route, Verdict, kit};
use crate::Problem;
use crate::acts::{Acted, Action};
use crate::chats::ChatKey;
use crate::http::{Call, Reply};
use crate::people::Customer;
use crate::sandbox::Shared;
use crate::world::{Account, World};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Viber;

#[async_trait]
impl Personality for Viber {
    fn name(&self) -> &'static str {
        "viber"
    }

    fn adopt(&self, world: &mut World, customer: &mut Customer) {
        // Opaque, and made of letters that must be quoted in addresses: 16 bytes in base64.
        let id = format!("{}+/{}==", world.names.token(10), world.names.token(10));
        customer.addresses.entry("viber".to_owned()).or_insert(id);
    }

    fn open(&self, world: &mut World, name: Option<&str>, settings: Value) -> Result<String, Problem> {
        bot::open(world, name, &settings)
    }

    fn settings(&self, world: &mut World, account: &str) -> Value {
        bot::bot(world, account).ok().and_then(|bot| serde_json::to_value(&bot.settings).ok()).unwrap_or_default()
    }

    fn patch(&self, world: &mut World, account: &str, settings: Value) -> Result<(), Problem> {
        bot::patch(world, account, &settings)
    }

    fn close(&self, world: &mut World, account: &str) {
        world.shelves.of::<Bots>().0.remove(account);
    }

    fn route(&self, world: &mut World, call: &Call) -> Result<Route, Reply> {
        if let ["media", _] = call.pieces().as_slice() {
            return Ok(Route { account: None, sends: false, fails_later: None });
        }
        let Some(token) = call.header("x-viber-auth-token") else {
            return Err(Refused::with(2, "missing_auth_token").reply());
        };
        let account = bot::account_of(world, token).ok_or_else(|| Refused::of(2).reply())?;
        let sends = call.pieces() == ["send_message"];
        Ok(Route { account: Some(account), sends, fails_later: None })
    }

    async fn answer(&self, shared: &Shared, route: &Route, call: &Call) -> Reply {
        if let ["media", name] = call.pieces().as_slice() {
            return methods::download(&shared.world(), name);
        }
        let account = route.account.as_deref().unwrap_or_default();
        methods::call(shared, account, route, call).await.unwrap_or_else(|refused| refused.reply())
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        match refusal {
            Refusal::RateLimited { .. } => Refused::of(12),
            Refusal::NotAccepting => Refused::with(3, "the sandbox accepts nothing at present"),
            Refusal::Error { code, detail } => match detail {
                Some(detail) => Refused::with(*code, detail),
                None => Refused::of(*code),
            },
        }
        .reply()
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
        let token = bot::bot(world, &account.id).map(|bot| bot.settings.token.clone()).unwrap_or_default();
        let key = if badly { "not-the-token" } else { &token };
        vec![("x-viber-content-signature", hex::encode(kit::hmac_sha256(key.as_bytes(), body)))]
    }

    fn answered(&self, world: &mut World, account: &str, event: &str, body: &str, answer: &[u8]) {
        if event == "conversation_started" {
            events::welcomed(world, account, body, answer);
        }
    }

    async fn verb(&self, shared: &Shared, account: &str, verb: &str, body: Value) -> Result<Value, Problem> {
        match verb {
            "event" => {
                let Value::Object(fields) = body else { return Err(Problem::invalid("event: an object is needed")) };
                Ok(json!({"delivery": events::any(&mut shared.world(), account, fields)?}))
            }
            other => Err(Problem::not_found(format!("Viber has no verb `{other}`: event"))),
        }
    }
}
