//! Telegram's Bot API: `{base}/telegram/bot{token}/{method}` and `{base}/telegram/file/bot{token}/{path}`.
//!
//! An account is a bot, its id the bot's, its settings [`TelegramSettings`].
//!
//! | verb | does |
//! | --- | --- |
//! | `business_connection` | makes or changes a business account that the bot answers for |
//! | `group` | makes or changes a group that the bot is in |
//! | `update` | sends any update: `{"<kind>": {…}}` |

mod bot;
mod entities;
mod errors;
mod files;
mod methods;
mod params;
mod rules;
mod send;
mod updates;
mod verbs;

pub use self::bot::TelegramSettings;

use async_trait::async_trait;
use serde_json::{Value, json};

use self::bot::Bots;
use self::errors::BotError;
use self::params::Params;
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
pub(crate) struct Telegram;

/// What a path names: the token, and a method in lower case or a file's path.
enum Place<'a> {
    Method(&'a str, String),
    File(&'a str, String),
}

fn place(call: &Call) -> Option<Place<'_>> {
    let token = |piece: &'_ str| piece.strip_prefix("bot").map(str::len).map(|len| piece.len() - len);
    match call.path.as_slice() {
        [first, token_at, path @ ..] if first == "file" => {
            let from = token(token_at)?;
            Some(Place::File(token_at.get(from..)?, path.join("/")))
        }
        [first, method] => {
            let from = token(first)?;
            Some(Place::Method(first.get(from..)?, method.to_ascii_lowercase()))
        }
        _ => None,
    }
}

#[async_trait]
impl Personality for Telegram {
    fn name(&self) -> &'static str {
        "telegram"
    }

    fn has_receipts(&self) -> bool {
        false
    }

    fn masked(&self, path: &str) -> String {
        let mask = |piece: &str| match piece.split_once(':') {
            Some((id, _)) => format!("{id}:***"),
            None => piece.to_owned(),
        };
        path.replace("%3A", ":").split('/').map(mask).collect::<Vec<_>>().join("/")
    }

    fn adopt(&self, world: &mut World, customer: &mut Customer) {
        let id = world.names.digits('7', 10);
        customer.addresses.entry("telegram".to_owned()).or_insert(id);
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
        let (token, sends) = match place(call) {
            Some(Place::Method(token, method)) => (token, methods::sends(&method)),
            Some(Place::File(token, _)) => (token, false),
            None => return Err(BotError::not_found().reply()),
        };
        let account = methods::account_of(world, token).map_err(|error| error.reply())?;
        Ok(Route { account: Some(account), sends, fails_later: None })
    }

    async fn answer(&self, shared: &Shared, route: &Route, call: &Call) -> Reply {
        let account = route.account.as_deref().unwrap_or_default();
        match place(call) {
            Some(Place::File(_, path)) => files::download(&mut shared.world(), account, &path),
            Some(Place::Method(_, method)) => {
                let params = match Params::read(call).await {
                    Ok(params) => params,
                    Err(error) => return error.reply(),
                };
                methods::call(shared, account, &method, &params).await.unwrap_or_else(|error| error.reply())
            }
            None => BotError::not_found().reply(),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        match refusal {
            Refusal::RateLimited { retry_after } => BotError::too_fast(u64::from(retry_after.unwrap_or(1))).reply(),
            Refusal::NotAccepting => BotError::forbidden("the sandbox accepts nothing at present").reply(),
            Refusal::Error { code, detail } => {
                let code = u16::try_from(*code).ok().filter(|code| (400..600).contains(code)).unwrap_or(400);
                BotError::new(code, detail.as_deref().unwrap_or("Bad Request: as the sandbox was told")).reply()
            }
        }
    }

    fn act(&self, world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
        updates::act(world, key, action)
    }

    fn receipt(&self, _world: &mut World, _account: &str, _order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
        Err(Problem::invalid("Telegram sends bots no receipts"))
    }

    fn answered(&self, world: &mut World, account: &str, _event: &str, _body: &str, answer: &[u8]) {
        methods::asked_for(world, account, answer);
    }

    fn would_accept(&self, world: &mut World, key: &ChatKey, ask: &Ask) -> Verdict {
        let now = world.now();
        rules::would_accept(world, key, ask, now)
    }

    fn sign(&self, world: &mut World, account: &Account, _body: &[u8], badly: bool) -> Vec<(&'static str, String)> {
        let secret = bot::bot(world, &account.id).ok().and_then(|bot| bot.settings.secret_token.clone());
        let secret = if badly { Some("not-the-secret".to_owned()) } else { secret };
        secret.map(|secret| ("x-telegram-bot-api-secret-token", secret)).into_iter().collect()
    }

    async fn verb(&self, shared: &Shared, account: &str, verb: &str, body: Value) -> Result<Value, Problem> {
        let mut world = shared.world();
        match verb {
            "business_connection" => verbs::connect(&mut world, account, body),
            "group" => verbs::group(&mut world, account, body),
            "update" => {
                let Value::Object(kinds) = body else {
                    return Err(Problem::invalid("update: an object with one kind"));
                };
                let (kind, content) =
                    kinds.into_iter().next().ok_or_else(|| Problem::invalid("update: one kind is needed"))?;
                Ok(json!({"delivery": updates::report(&mut world, account, &kind, &content)}))
            }
            other => {
                Err(Problem::not_found(format!("Telegram has no verb `{other}`: business_connection, group, update")))
            }
        }
    }
}
