//! What Messenger and Instagram share: the Send API, its events and its moods. Each brings its own rules.

pub(super) mod envelope;
pub(super) mod errors;
mod files;
mod inbound;
pub(super) mod page;
mod receipts;
mod send;

pub use self::page::PageSettings;
pub(super) use self::send::Claim;

use async_trait::async_trait;
use serde_json::{Value, json};
use time::OffsetDateTime;

use self::errors::GraphError;
use self::page::Pages;
use super::whatsapp::templates::{self, Keeper};
use super::{Ask, Personality, ReceiptOrder, Refusal, Route, Verdict, kit};
use crate::Problem;
use crate::acts::{Acted, Action};
use crate::chats::ChatKey;
use crate::http::{Call, Reply};
use crate::ledger::Window;
use crate::people::Customer;
use crate::sandbox::Shared;
use crate::webhooks;
use crate::world::{Account, World};

/// How a platform says that messages were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receipts {
    /// Delivered and read, up to an instant.
    Watermarks,
    /// Read alone, by the latest message.
    LatestSeen,
}

/// Where the two platforms differ.
pub(super) struct Side {
    pub(super) name: &'static str,
    /// What webhooks are about.
    pub(super) object: &'static str,
    pub(super) is_instagram: bool,
    /// How ids of messages begin.
    pub(super) mid: &'static str,
    /// How ids of people begin, and how long they are.
    pub(super) person: (char, usize),
    pub(super) receipts: Receipts,
    /// The longest text, as the platform counts.
    pub(super) too_long: fn(&str) -> bool,
    /// Types and sizes of files.
    pub(super) fits: fn(kind: &str, mime: &str, size: usize) -> Result<(), GraphError>,
    /// The window of free-form messages, under a tag or without.
    pub(super) window: fn(&World, &ChatKey, tag: Option<&str>, OffsetDateTime) -> Window,
    /// Everything that a right may be refused for.
    pub(super) judge: fn(&mut World, &ChatKey, &Claim, OffsetDateTime) -> Result<(), GraphError>,
    /// What would be taken, as far as window and quota go.
    pub(super) would_accept: fn(&mut World, &ChatKey, &Ask, OffsetDateTime) -> Verdict,
}

impl Side {
    /// The account's id among its settings.
    fn id_of(&self, settings: &PageSettings) -> Result<String, Problem> {
        match (&settings.instagram_id, self.is_instagram) {
            (Some(id), true) => Ok(id.clone()),
            (None, false) => Ok(settings.page_id.clone()),
            (None, true) => Err(Problem::invalid("an Instagram account has an instagram_id")),
            (Some(_), false) => Err(Problem::invalid("a Page has no instagram_id")),
        }
    }
}

/// Whose catalogue of templates it is: a Page's own.
fn keeper(account: &str) -> Keeper {
    let tell: fn(&mut World, &str, &str, &Value) = |world, account, field, value| {
        envelope::report_change(world, "page", account, field, value);
    };
    Keeper { account: account.to_owned(), node: account.to_owned(), tell }
}

/// A platform of this sort.
pub(super) struct Pageful(pub(super) &'static Side);

#[async_trait]
impl Personality for Pageful {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn adopt(&self, world: &mut World, customer: &mut Customer) {
        let (first, digits) = self.0.person;
        customer.addresses.entry(self.0.name.to_owned()).or_insert_with(|| world.names.digits(first, digits));
    }

    fn open(&self, world: &mut World, name: Option<&str>, settings: Value) -> Result<String, Problem> {
        page::open(world, self.0, name, &settings)
    }

    fn settings(&self, world: &mut World, account: &str) -> Value {
        page::settings(world, account).ok().and_then(|settings| serde_json::to_value(settings).ok()).unwrap_or_default()
    }

    fn patch(&self, world: &mut World, account: &str, settings: Value) -> Result<(), Problem> {
        page::patch(world, self.0, account, &settings)
    }

    fn close(&self, world: &mut World, account: &str) {
        world.shelves.of::<Pages>().remove(account);
    }

    fn route(&self, world: &mut World, call: &Call) -> Result<Route, Reply> {
        let path = unversioned(call);
        // What customers sent lies behind a public address.
        if path.first() == Some(&"media-content") {
            return Ok(Route { account: None, sends: false, fails_later: None });
        }
        let token = call.bearer().unwrap_or_default();
        let holders: Vec<(String, PageSettings)> = world
            .shelves
            .of::<Pages>()
            .of_token(self.0, token)
            .map(|(id, page)| (id.clone(), page.settings.clone()))
            .collect();
        let Some((first, _)) = holders.first().filter(|_| !token.is_empty()) else {
            return Err(GraphError::new(190, "Invalid OAuth access token - Cannot parse access token").reply());
        };
        let node = *path.first().unwrap_or(&"");
        let is_node = |(id, settings): &&(String, PageSettings)| id == node || settings.page_id == node;
        let is_person = |world: &World| world.customer_at(self.0.name, node).is_some();
        let account = match holders.iter().find(is_node) {
            Some((id, _)) => id,
            None if matches!(node, "me" | "refresh_access_token") || is_person(world) => first,
            None => return Err(GraphError::no_such_object().reply()),
        };
        let sends = path.get(1) == Some(&"messages") && call.method == "POST";
        Ok(Route { account: Some(account.clone()), sends, fails_later: None })
    }

    async fn answer(&self, shared: &Shared, route: &Route, call: &Call) -> Reply {
        let path = unversioned(call);
        let account = route.account.as_deref().unwrap_or_default();
        if let ["media-content", id] = path.as_slice() {
            return files::content(&shared.world(), id);
        }
        if route.sends {
            if let Some((code, words)) = &route.fails_later {
                // Nothing is taken here and given up later: the refusal comes at once.
                return GraphError::told(*code, words).reply();
            }
            return match serde_json::from_slice::<Value>(&call.body) {
                Ok(body) => send::messages(shared, self.0, account, &body).await,
                Err(error) => GraphError::parameter("body", &error.to_string()).reply(),
            };
        }
        let answered = match (call.method.as_str(), path.as_slice()) {
            ("POST", [_, "message_attachments"]) => files::upload(shared, self.0, account, call).await,
            (method, path) => look_up(&mut shared.world(), self.0, account, method, path, call),
        };
        answered.unwrap_or_else(|error| error.reply())
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        match refusal {
            Refusal::RateLimited { retry_after } => {
                let mut reply = GraphError::new(613, "Calls to this api have exceeded the rate limit.").reply();
                reply.status = 429;
                match retry_after {
                    Some(seconds) => reply.with("retry-after", seconds.to_string()),
                    None => reply,
                }
            }
            Refusal::NotAccepting => GraphError::new(368, "The sandbox accepts nothing at present").reply(),
            Refusal::Error { code, detail } => {
                GraphError::told(*code, detail.as_deref().unwrap_or("as the sandbox was told")).reply()
            }
        }
    }

    fn act(&self, world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
        inbound::act(world, self.0, key, action)
    }

    fn receipt(&self, world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
        receipts::by_hand(world, self.0, account, order)
    }

    fn would_accept(&self, world: &mut World, key: &ChatKey, ask: &Ask) -> Verdict {
        let now = world.now();
        (self.0.would_accept)(world, key, ask, now)
    }

    fn sign(&self, world: &mut World, account: &Account, body: &[u8], badly: bool) -> Vec<(&'static str, String)> {
        let secret = page::settings(world, &account.id).map(|settings| settings.app_secret).unwrap_or_default();
        let secret = if badly { format!("not {secret}") } else { secret };
        vec![("x-hub-signature-256", kit::hub_signature(&secret, body))]
    }

    async fn verb(&self, shared: &Shared, account: &str, verb: &str, body: Value) -> Result<Value, Problem> {
        match verb {
            "handshake" => handshake(shared, account).await,
            "alert" => {
                let field = body.get("field").and_then(Value::as_str);
                let field = field.ok_or_else(|| Problem::invalid("alert: `field` is needed"))?;
                let value = body.get("value").cloned().unwrap_or_default();
                let delivery = envelope::report_change(&mut shared.world(), self.0.object, account, field, &value);
                Ok(json!({ "delivery": delivery }))
            }
            "template" if !self.0.is_instagram => templates::put(&mut shared.world(), &keeper(account), body),
            "template_status" if !self.0.is_instagram => {
                templates::set_status(&mut shared.world(), &keeper(account), body)
            }
            other => Err(Problem::not_found(format!("{} has no verb `{other}`", self.0.name))),
        }
    }
}

/// The path behind the version.
fn unversioned(call: &Call) -> Vec<&str> {
    let path = call.pieces();
    let versioned = path.first().is_some_and(|first| {
        first.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    path.into_iter().skip(usize::from(versioned)).collect()
}

/// Everything that is answered at once.
fn look_up(
    world: &mut World,
    side: &Side,
    account: &str,
    method: &str,
    path: &[&str],
    call: &Call,
) -> Result<Reply, GraphError> {
    let settings = page::settings(world, account).map_err(|_| GraphError::no_such_object())?;
    let selected = |object: Value| Ok(Reply::json(200, &templates::selected(object, call.query("fields"))));
    match (method, path) {
        ("GET", ["refresh_access_token"]) => {
            let token = settings.access_token;
            Ok(Reply::json(200, &json!({"access_token": token, "token_type": "bearer", "expires_in": 5_184_000})))
        }
        ("POST", [_, "subscribed_apps" | "request_thread_control" | "pass_thread_control"]) => {
            Ok(Reply::json(200, &json!({"success": true})))
        }
        ("POST", [_, "take_thread_control"]) => {
            page::take_control(world, account);
            Ok(Reply::json(200, &json!({"success": true})))
        }
        ("GET", [_, "message_templates"]) if !side.is_instagram => {
            let base_url = world.base_url.clone();
            Ok(templates::list(world, &base_url, account, call))
        }
        ("GET", [node]) => match world.customer_at(side.name, node).cloned() {
            Some(customer) => profile(world, side, account, &customer).and_then(selected),
            None if side.is_instagram => selected(json!({
                "id": account, "user_id": account, "username": settings.name, "name": settings.name,
                "access_token": settings.access_token,
            })),
            None => selected(json!({"id": account, "name": settings.name, "access_token": settings.access_token})),
        },
        _ => Err(GraphError::new(100, format!("Unsupported {method} request"))),
    }
}

/// What a person shows to whom they wrote to; a comment alone is no consent.
fn profile(world: &World, side: &Side, account: &str, customer: &Customer) -> Result<Value, GraphError> {
    let key = ChatKey::direct(account, &customer.id);
    let chat = world.chats.get(&key);
    let wrote = chat.and_then(|chat| chat.latest(|kind| matches!(kind, "message" | "postback" | "optin")));
    if wrote.is_none() || chat.is_some_and(|chat| chat.blocked) {
        return if side.is_instagram {
            Err(GraphError::new(230, "User consent is required to access user profile"))
        } else {
            Ok(json!({}))
        };
    }
    let (first, last) = customer.name.split_once(' ').unwrap_or((&customer.name, ""));
    let picture = format!("https://scontent.example/{}.jpg", customer.address(side.name));
    Ok(json!({
        "id": customer.address(side.name), "name": customer.name, "first_name": first, "last_name": last,
        "profile_pic": picture, "username": customer.username,
    }))
}

/// The GET call by which Meta checks a webhook URL.
async fn handshake(shared: &Shared, account: &str) -> Result<Value, Problem> {
    let (url, token, challenge) = {
        let mut world = shared.world();
        let token = page::settings(&mut world, account)?.verify_token;
        let url = world.account(account)?.webhook_url.clone();
        (url.ok_or_else(|| Problem::conflict("the account has no webhook_url"))?, token, world.names.digits('1', 10))
    };
    let query = [("hub.mode", "subscribe"), ("hub.verify_token", &token), ("hub.challenge", &challenge)];
    let (status, body) = webhooks::get(shared, &url, &query).await.map_err(Problem::conflict)?;
    Ok(json!({"ok": status == 200 && body == challenge, "status": status, "body": body}))
}
