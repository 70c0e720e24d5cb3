//! Twilio's Programmable Messaging: `{base}/sms/2010-04-01/Accounts/{sid}/…`.
//!
//! An account is a sender: a number or a Messaging Service, which is its id; its settings are [`SmsSettings`]. Receipts go to the
//! message's `StatusCallback`, or for a service to the account's webhook URL. Customers' STOP and START count at once.
//!
//! | verb | does |
//! | --- | --- |
//! | `call` | sends any form: `{"Name": "value"}` |

mod account;
mod errors;
mod inbound;
mod list;
mod rules;
mod segments;
mod send;
mod statuses;

pub use self::account::SmsSettings;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use self::account::{Senders, sender};
use self::errors::TwilioError;
use super::{Ask, Personality, ReceiptOrder, Refusal, Route, Verdict, Wire};
use crate::Problem;
use crate::acts::{Acted, Action};
use crate::chats::ChatKey;
use crate::http::{Call, Reply, pairs};
use crate::people::Customer;
use crate::sandbox::Shared;
use crate::world::{Account, World};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Sms;

#[async_trait]
impl Personality for Sms {
    fn name(&self) -> &'static str {
        "sms"
    }

    fn adopt(&self, world: &mut World, customer: &mut Customer) {
        if customer.phone.is_none() && !customer.addresses.contains_key("sms") {
            customer.phone = Some(format!("+{}", world.names.digits('4', 13)));
        }
        if let Some(number) = customer.phone_digits() {
            customer.addresses.entry("sms".to_owned()).or_insert_with(|| format!("+{number}"));
        }
    }

    fn open(&self, world: &mut World, name: Option<&str>, settings: Value) -> Result<String, Problem> {
        account::open(world, name, &settings)
    }

    fn settings(&self, world: &mut World, account: &str) -> Value {
        sender(world, account).ok().and_then(|found| serde_json::to_value(&found.settings).ok()).unwrap_or_default()
    }

    fn patch(&self, world: &mut World, account: &str, settings: Value) -> Result<(), Problem> {
        account::patch(world, account, &settings)
    }

    fn close(&self, world: &mut World, account: &str) {
        world.shelves.of::<Senders>().0.remove(account);
    }

    fn route(&self, world: &mut World, call: &Call) -> Result<Route, Reply> {
        let path = call.pieces();
        if let ["media", _] = path.as_slice() {
            return Ok(Route { account: None, sends: false, fails_later: None });
        }
        let (user, password) = basic(call).unwrap_or_default();
        let named = account_sid(&path);
        let form = pairs(std::str::from_utf8(&call.body).unwrap_or_default());
        let wanted = form.iter().find(|(name, _)| name == "From" || name == "MessagingServiceSid");
        let mut ours = world.shelves.of::<Senders>().0.iter().filter(|(_, sender)| {
            sender.settings.is_authentic(&user, &password) && named == Some(sender.settings.account_sid.as_str())
        });
        let first = ours.clone().next().map(|(id, _)| id.clone());
        let exact = wanted.and_then(|(_, from)| ours.find(|(id, _)| *id == from).map(|(id, _)| id.clone()));
        let account = exact.or(first).ok_or_else(|| TwilioError::of(20_003).reply())?;
        let sends = call.method == "POST" && path.last() == Some(&"Messages.json");
        Ok(Route { account: Some(account), sends, fails_later: None })
    }

    async fn answer(&self, shared: &Shared, route: &Route, call: &Call) -> Reply {
        let mut world = shared.world();
        let account = route.account.as_deref().unwrap_or_default();
        carried_out(&mut world, &shared.base_url, account, route, call).unwrap_or_else(|error| error.reply())
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        match refusal {
            Refusal::RateLimited { .. } => TwilioError::of(20_429).reply(),
            Refusal::NotAccepting => TwilioError::of(20_005).reply(),
            Refusal::Error { code, detail } => match detail {
                Some(detail) => TwilioError::new(*code, detail).reply(),
                None => TwilioError::of(*code).reply(),
            },
        }
    }

    fn act(&self, world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
        inbound::act(world, key, action)
    }

    fn receipt(&self, world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
        statuses::receipt(world, account, order)
    }

    fn would_accept(&self, world: &mut World, key: &ChatKey, _ask: &Ask) -> Verdict {
        let now = world.now();
        rules::would_accept(world, key, now)
    }

    fn sign(&self, _world: &mut World, _account: &Account, _body: &[u8], _badly: bool) -> Vec<(&'static str, String)> {
        // The address is a part of what is signed: see `sign_call`.
        Vec::new()
    }

    fn sign_call(
        &self,
        world: &mut World,
        account: &Account,
        wire: &Wire,
        url: &str,
        badly: bool,
    ) -> Vec<(&'static str, String)> {
        let token = sender(world, &account.id).map(|found| found.settings.auth_token.clone()).unwrap_or_default();
        let token = if badly { format!("not {token}") } else { token };
        vec![("x-twilio-signature", signature(&token, url, &wire.body))]
    }

    /// Webhooks are forms; a receipt's has an address of its own.
    fn wire(&self, body: &str, _tries: usize) -> Wire {
        let stored: Value = serde_json::from_str(body).unwrap_or_default();
        let text = |name: &str| stored.get(name).and_then(Value::as_str).map(str::to_owned);
        Wire {
            content_type: "application/x-www-form-urlencoded",
            url: text("url"),
            body: text("form").unwrap_or_default(),
        }
    }

    async fn verb(&self, shared: &Shared, account: &str, verb: &str, body: Value) -> Result<Value, Problem> {
        match (verb, body) {
            ("call", Value::Object(fields)) => {
                let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let form: Vec<(String, String)> = fields.into_iter().map(|(name, value)| (name, text(value))).collect();
                Ok(json!({"delivery": report(&mut shared.world(), account, "call", None, &form)}))
            }
            ("call", _) => Err(Problem::invalid("call: an object is needed")),
            (other, _) => Err(Problem::not_found(format!("Twilio has no verb `{other}`: call"))),
        }
    }
}

/// Puts a form into the account's queue.
fn report(
    world: &mut World,
    account: &str,
    event: &str,
    url: Option<&str>,
    form: &[(impl AsRef<str>, impl AsRef<str>)],
) -> Option<u64> {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form.iter().map(|(name, value)| (name.as_ref(), value.as_ref())))
        .finish();
    world.report(account, event, json!({"url": url, "form": form}).to_string())
}

/// `X-Twilio-Signature`: HMAC-SHA1 over the address and the sorted fields, keyed by the auth token, in base64.
fn signature(token: &str, url: &str, form: &str) -> String {
    let mut fields = pairs(form);
    fields.sort();
    let address = url.split('#').next().unwrap_or_default();
    let text = fields.into_iter().fold(address.to_owned(), |text, (name, value)| text + &name + &value);
    match Hmac::<Sha1>::new_from_slice(token.as_bytes()) {
        Ok(mut mac) => {
            mac.update(text.as_bytes());
            BASE64.encode(mac.finalize().into_bytes())
        }
        Err(_) => unreachable!("HMAC takes keys of any length"),
    }
}

/// The name and password of HTTP Basic.
fn basic(call: &Call) -> Option<(String, String)> {
    let encoded = call.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(BASE64.decode(encoded).ok()?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

/// The account that a path names: `2010-04-01/Accounts/AC….json` or `…/AC…/…`.
fn account_sid<'p>(path: &[&'p str]) -> Option<&'p str> {
    match path {
        ["2010-04-01", "Accounts", sid, ..] => Some(sid.strip_suffix(".json").unwrap_or(sid)),
        _ => None,
    }
}

fn carried_out(
    world: &mut World,
    base_url: &str,
    account: &str,
    route: &Route,
    call: &Call,
) -> Result<Reply, TwilioError> {
    let path = call.pieces();
    let rest = path.get(2..).unwrap_or_default();
    match (call.method.as_str(), rest) {
        // The storage behind a file's address: open to whoever knows it.
        ("GET", []) if path.first() == Some(&"media") => {
            let file = path.get(1).and_then(|id| world.files.get(id)).ok_or_else(|| TwilioError::of(20_404))?;
            Ok(Reply::bytes(200, known_type(&file.mime), file.bytes.clone()))
        }
        ("POST", [_, "Messages.json"]) => send::create(world, account, route, call),
        ("GET", [_, "Messages.json"]) => Ok(list::messages(world, account, call)),
        ("GET", [_account]) => {
            let found = sender(world, account).map_err(|_| TwilioError::of(20_404))?;
            let SmsSettings { account_sid, friendly_name, status, .. } = &found.settings;
            let view = json!({"sid": account_sid, "friendly_name": friendly_name, "status": status, "type": "Full"});
            Ok(Reply::json(200, &view))
        }
        ("GET", [_, "Messages", _, "Media", id]) => {
            world.files.get(id).filter(|file| file.account == account).ok_or_else(|| TwilioError::of(20_404))?;
            Ok(Reply::text(307, "").with("location", format!("{base_url}/sms/media/{id}")))
        }
        ("GET", [_, "Messages", message, "Media.json"]) => Ok(list::files(world, account, message)),
        ("DELETE", [_, "Messages", _, "Media", id]) => {
            world.files.remove(id);
            Ok(Reply::text(204, ""))
        }
        ("GET", [_, "Messages", message]) => send::one(world, account, message.trim_end_matches(".json")),
        _ => Err(TwilioError::of(20_404)),
    }
}

/// The types of what customers send, as static texts.
fn known_type(mime: &str) -> &'static str {
    const KNOWN: [&str; 9] = [
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
    KNOWN.into_iter().find(|known| *known == mime).unwrap_or("application/octet-stream")
}
