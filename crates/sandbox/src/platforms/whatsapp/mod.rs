//! WhatsApp Cloud API: `{base}/whatsapp/v25.0/…`.
//!
//! An account is a business phone number, its id the phone number id, its settings [`WhatsAppSettings`].
//!
//! | verb | does |
//! | --- | --- |
//! | `template` | makes or replaces a template, approved unless it says otherwise |
//! | `template_status` | sets a template's status and announces it |
//! | `handshake` | makes the GET call by which Meta checks a webhook URL |
//! | `alert` | sends any other account-level field: `{"field", "value"}` |

mod envelope;
mod errors;
pub(super) mod fill;
mod inbound;
mod media;
mod message;
mod number;
mod rules;
mod send;
mod statuses;
pub(super) mod templates;

pub use self::number::{Refusals, Review, WhatsAppSettings};

use async_trait::async_trait;
use serde_json::{Value, json};
use time::Duration;

use self::errors::GraphError;
use self::number::Numbers;
use super::{Ask, Personality, ReceiptOrder, Refusal, Route, Verdict, kit};
use crate::Problem;
use crate::acts::{Acted, Action};
use crate::chats::ChatKey;
use crate::http::{Call, Reply};
use crate::people::{Customer, digits};
use crate::sandbox::Shared;
use crate::webhooks;
use crate::world::{Account, World};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct WhatsApp;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Phone(String),
    Waba(String),
    File(String),
    Template(String),
}

#[async_trait]
impl Personality for WhatsApp {
    fn name(&self) -> &'static str {
        "whatsapp"
    }

    fn adopt(&self, world: &mut World, customer: &mut Customer) {
        if customer.phone.is_none() && !customer.addresses.contains_key("whatsapp") {
            customer.phone = Some(format!("+{}", world.names.digits('4', 13)));
        }
        if let Some(number) = customer.phone_digits() {
            customer.addresses.entry("whatsapp".to_owned()).or_insert(number);
        }
    }

    fn open(&self, world: &mut World, name: Option<&str>, settings: Value) -> Result<String, Problem> {
        number::open(world, name, &settings)
    }

    fn settings(&self, world: &mut World, account: &str) -> Value {
        number::settings(world, account)
            .ok()
            .and_then(|settings| serde_json::to_value(settings).ok())
            .unwrap_or_default()
    }

    fn patch(&self, world: &mut World, account: &str, settings: Value) -> Result<(), Problem> {
        number::patch(world, account, &settings)
    }

    fn close(&self, world: &mut World, account: &str) {
        world.shelves.of::<Numbers>().0.remove(account);
    }

    fn route(&self, world: &mut World, call: &Call) -> Result<Route, Reply> {
        let path = unversioned(call);
        let first = *path.first().unwrap_or(&"");
        let id = if first == "media-content" { *path.get(1).unwrap_or(&"") } else { first };
        let token = call.bearer().unwrap_or_default();
        let numbers = &world.shelves.of::<Numbers>().0;
        let holders: Vec<_> = numbers.values().filter(|one| one.settings.access_token == token).collect();
        if token.is_empty() || holders.is_empty() {
            let details = if token.is_empty() { "An access token is required" } else { "Invalid OAuth access token" };
            return Err(GraphError::new(190, details)
                .reply()
                .with("www-authenticate", "OAuth \"Facebook Platform\" \"invalid_token\""));
        }
        let of_waba = |waba: &str| {
            holders.iter().find(|one| one.settings.waba_id == waba).map(|one| one.settings.phone_number_id.clone())
        };
        let account = holders
            .iter()
            .find(|one| one.settings.phone_number_id == id)
            .map(|one| one.settings.phone_number_id.clone())
            .or_else(|| of_waba(id));
        let holder_ids: Vec<_> =
            holders.iter().map(|one| (one.settings.phone_number_id.clone(), one.settings.waba_id.clone())).collect();
        let of_file = |world: &World| {
            let owner = world.files.get(id)?.account.clone();
            holder_ids.iter().any(|(phone, _)| *phone == owner).then_some(owner)
        };
        let account = account.or_else(|| of_file(world)).or_else(|| {
            let (owner, _) = templates::one(world, id)?;
            holder_ids.iter().find(|(_, waba)| *waba == owner).map(|(phone, _)| phone.clone())
        });
        let account = account.ok_or_else(|| GraphError::no_such_object(id).reply())?;
        // Marking as read and typing go to the same place as messages.
        let body = || serde_json::from_slice::<Value>(&call.body).unwrap_or_default();
        let sends = path.get(1) == Some(&"messages") && call.method == "POST" && body().get("status").is_none();
        Ok(Route { account: Some(account), sends, fails_later: None })
    }

    async fn answer(&self, shared: &Shared, route: &Route, call: &Call) -> Reply {
        let path = unversioned(call);
        let account = route.account.as_deref().unwrap_or_default();
        if let ["media-content", id] = path.as_slice() {
            return media::content(&shared.world(), id, call);
        }
        let Some(node) = path.first().and_then(|id| node(&mut shared.world(), id)) else {
            return GraphError::no_such_object(path.first().unwrap_or(&"")).reply();
        };
        match (call.method.as_str(), node, path.get(1).copied()) {
            ("POST", Node::Phone(phone), Some("messages")) => match serde_json::from_slice::<Value>(&call.body) {
                Ok(body) => send::messages(shared, route, &phone, &body).await,
                Err(error) => GraphError::new(100, format!("Invalid JSON: {error}")).reply(),
            },
            ("POST", Node::Phone(phone), Some("media")) => match call.multipart().await {
                Ok(fields) => answered(media::upload(&mut shared.world(), &phone, &fields)),
                Err(error) => GraphError::new(100, format!("Invalid multipart body: {error}")).reply(),
            },
            (method, node, edge) => {
                let mut world = shared.world();
                answered(look_up(&mut world, &shared.base_url, account, method, &node, edge, call))
            }
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        match refusal {
            Refusal::RateLimited { retry_after } => {
                let mut reply = GraphError::new(130_429, "Cloud API message throughput has been reached").reply();
                reply.status = 429;
                match retry_after {
                    Some(seconds) => reply.with("retry-after", seconds.to_string()),
                    None => reply,
                }
            }
            Refusal::NotAccepting => GraphError::new(131_031, "The sandbox accepts nothing at present").reply(),
            Refusal::Error { code, detail } => {
                GraphError::new(*code, detail.as_deref().unwrap_or("as the sandbox was told")).reply()
            }
        }
    }

    fn act(&self, world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
        inbound::act(world, key, action)
    }

    fn receipt(&self, world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
        statuses::receipt(world, account, order)
    }

    fn would_accept(&self, world: &mut World, key: &ChatKey, ask: &Ask) -> Verdict {
        let now = world.now();
        rules::would_accept(world, key, ask, now)
    }

    fn sign(&self, world: &mut World, account: &Account, body: &[u8], badly: bool) -> Vec<(&'static str, String)> {
        let secret = number::settings(world, &account.id).map(|settings| settings.app_secret).unwrap_or_default();
        let secret = if badly { format!("not {secret}") } else { secret };
        vec![("x-hub-signature-256", kit::hub_signature(&secret, body))]
    }

    async fn verb(&self, shared: &Shared, account: &str, verb: &str, body: Value) -> Result<Value, Problem> {
        match verb {
            "template" | "template_status" => {
                let mut world = shared.world();
                let waba = number::settings(&mut world, account)?.waba_id;
                let keeper = templates::keeper(account, &waba);
                match verb {
                    "template" => templates::put(&mut world, &keeper, body),
                    _ => templates::set_status(&mut world, &keeper, body),
                }
            }
            "handshake" => handshake(shared, account).await,
            "alert" => {
                let field = body
                    .get("field")
                    .and_then(Value::as_str)
                    .ok_or_else(|| Problem::invalid("alert: `field` is needed"))?;
                let value = body.get("value").cloned().unwrap_or_default();
                let mut world = shared.world();
                let waba = number::settings(&mut world, account)?.waba_id;
                Ok(json!({"delivery": envelope::report(&mut world, account, &waba, field, &value)}))
            }
            other => Err(Problem::not_found(format!(
                "WhatsApp has no verb `{other}`: template, template_status, handshake, alert"
            ))),
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

fn node(world: &mut World, id: &str) -> Option<Node> {
    let numbers = &world.shelves.of::<Numbers>().0;
    if numbers.contains_key(id) {
        return Some(Node::Phone(id.to_owned()));
    }
    if numbers.values().any(|one| one.settings.waba_id == id) {
        return Some(Node::Waba(id.to_owned()));
    }
    if world.files.get(id).is_some() {
        return Some(Node::File(id.to_owned()));
    }
    templates::one(world, id).map(|_| Node::Template(id.to_owned()))
}

fn answered(result: Result<Reply, GraphError>) -> Reply {
    result.unwrap_or_else(|error| error.reply())
}

/// Everything that is answered at once.
fn look_up(
    world: &mut World,
    base_url: &str,
    account: &str,
    method: &str,
    node: &Node,
    edge: Option<&str>,
    call: &Call,
) -> Result<Reply, GraphError> {
    let fields = call.query("fields");
    let json_body = || {
        serde_json::from_slice::<Value>(&call.body)
            .map_err(|error| GraphError::new(100, format!("Invalid JSON: {error}")))
    };
    match (method, node, edge) {
        ("GET", Node::Phone(phone), None) => {
            Ok(Reply::json(200, &templates::selected(phone_view(world, phone), fields)))
        }
        ("GET" | "POST" | "DELETE", Node::Phone(phone), Some("block_users")) => {
            block_users(world, phone, method, &call.body)
        }
        ("GET", Node::Waba(waba), None) => {
            Ok(Reply::json(200, &json!({"id": waba, "name": "Sandbox", "currency": "EUR", "timezone_id": "1"})))
        }
        ("GET", Node::Waba(waba), Some("phone_numbers")) => {
            let numbers = world.shelves.of::<Numbers>().0.values();
            let phones: Vec<_> = numbers
                .filter(|one| one.settings.waba_id == *waba)
                .map(|one| one.settings.phone_number_id.clone())
                .collect();
            let data: Vec<_> =
                phones.iter().map(|phone| templates::selected(phone_view(world, phone), fields)).collect();
            Ok(Reply::json(200, &json!({"data": data})))
        }
        ("POST" | "DELETE", Node::Waba(_), Some("subscribed_apps")) => Ok(Reply::json(200, &json!({"success": true}))),
        ("GET", Node::Waba(_), Some("subscribed_apps")) => {
            Ok(Reply::json(200, &json!({"data": [{"whatsapp_business_api_data": {"id": "1", "name": "Sandbox app"}}]})))
        }
        ("GET", Node::Waba(waba), Some("message_templates")) => Ok(templates::list(world, base_url, waba, call)),
        ("POST", Node::Waba(waba), Some("message_templates")) => templates::create(world, account, waba, &json_body()?),
        ("DELETE", Node::Waba(waba), Some("message_templates")) => templates::delete(world, waba, call.query("name")),
        ("GET", Node::Template(id), None) => {
            let view = templates::one(world, id).map(|(_, view)| view).unwrap_or_default();
            Ok(Reply::json(200, &templates::selected(view, fields)))
        }
        ("GET", Node::File(id), None) => {
            media::metadata(world, base_url, id).ok_or_else(|| GraphError::no_such_object(id))
        }
        ("DELETE", Node::File(id), None) => Ok(Reply::json(200, &json!({"success": world.files.remove(id)}))),
        _ => Err(GraphError::new(100, format!("Unsupported {method} request on {}", call.full_path))),
    }
}

fn phone_view(world: &mut World, phone: &str) -> Value {
    let Ok(settings) = number::settings(world, phone) else { return Value::Null };
    let limit = match settings.messaging_limit {
        None => "TIER_UNLIMITED".to_owned(),
        Some(limit) if limit >= 1_000 && limit % 1_000 == 0 => format!("TIER_{}K", limit / 1_000),
        Some(limit) => format!("TIER_{limit}"),
    };
    json!({
        "id": settings.phone_number_id,
        "display_phone_number": settings.display_phone_number,
        "verified_name": settings.verified_name,
        "quality_rating": "GREEN",
        "name_status": "APPROVED",
        "code_verification_status": "VERIFIED",
        "platform_type": "CLOUD_API",
        "status": "CONNECTED",
        "throughput": {"level": "STANDARD"},
        "whatsapp_business_manager_messaging_limit": limit,
    })
}

/// Blocks and unblocks users; only those who wrote in the last 24 hours can be blocked.
fn block_users(world: &mut World, phone: &str, method: &str, body: &[u8]) -> Result<Reply, GraphError> {
    if method == "GET" {
        let shut_out = world.chats.iter().filter(|(key, chat)| key.account == phone && chat.shut_out);
        let users = shut_out.filter_map(|(key, _)| world.customers.get(&key.customer));
        let data: Vec<_> = users
            .map(|customer| json!({"messaging_product": "whatsapp", "wa_id": customer.address("whatsapp")}))
            .collect();
        return Ok(Reply::json(200, &json!({"data": data})));
    }
    let body: Value =
        serde_json::from_slice(body).map_err(|error| GraphError::new(100, format!("Invalid JSON: {error}")))?;
    let users = body.get("block_users").and_then(Value::as_array).ok_or_else(|| GraphError::missing("block_users"))?;
    let now = world.now();
    let mut changed = Vec::new();
    for user in users {
        let input = message::needed(user, "user")?;
        let customer = world.customer_at("whatsapp", &digits(&input)).map(|customer| customer.id.clone());
        let key = ChatKey::direct(phone, &customer.ok_or_else(|| GraphError::invalid("user", "not a WhatsApp user"))?);
        let last = world.chats.get(&key).and_then(|chat| chat.latest(|_| true));
        if method == "POST" && !last.is_some_and(|at| statuses::within(at, Duration::hours(24), now)) {
            return Err(GraphError::new(139_100, "Only users who wrote in the last 24 hours can be blocked"));
        }
        world.chat_mut(&key).shut_out = method == "POST";
        changed.push(json!({"input": input, "wa_id": digits(&input)}));
    }
    let name = if method == "POST" { "added_users" } else { "removed_users" };
    Ok(Reply::json(200, &json!({"messaging_product": "whatsapp", "block_users": {name: changed}})))
}

/// The GET call by which Meta checks a webhook URL.
async fn handshake(shared: &Shared, account: &str) -> Result<Value, Problem> {
    let (url, token, challenge) = {
        let mut world = shared.world();
        let token = number::settings(&mut world, account)?.verify_token;
        let url = world.account(account)?.webhook_url.clone();
        (url.ok_or_else(|| Problem::conflict("the account has no webhook_url"))?, token, world.names.digits('1', 10))
    };
    let query = [("hub.mode", "subscribe"), ("hub.verify_token", &token), ("hub.challenge", &challenge)];
    let (status, body) = webhooks::get(shared, &url, &query).await.map_err(Problem::conflict)?;
    Ok(json!({"ok": status == 200 && body == challenge, "status": status, "body": body}))
}
