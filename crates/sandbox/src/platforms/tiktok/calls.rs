//! What apps call: sending, files, tokens, the account.

use http::Method;
use serde_json::{Map, Value, json};

use super::{account, events, rules};
use crate::chats::{Author, Button, ChatKey, Entry, Progress};
use crate::http::{Call, FormField, Reply};
use crate::ledger::Send;
use crate::media::{Media, sniffed};
use crate::platforms::{Ask, Route};
use crate::sandbox::Shared;
use crate::world::World;

const MAX_IMAGE: usize = 3 * 1024 * 1024;
const TOKEN_HEADER: &str = "access-token";

/// A refusal: HTTP 200, and a code that is not 0.
pub(super) struct Refused {
    code: i64,
    message: String,
}

impl Refused {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    fn parameter(what: &str) -> Self {
        Self::new(40_002, format!("{what} is wrong or missing"))
    }

    pub(super) fn reply(&self) -> Reply {
        let body = json!({"code": self.code, "message": self.message, "request_id": "20261121000000000000000000000001", "data": {}});
        Reply::json(200, &body).coded(self.code)
    }
}

fn ok(data: &Value) -> Reply {
    Reply::json(200, &json!({"code": 0, "message": "OK", "request_id": "r1", "data": data}))
}

/// Which account a call is for: by its token.
pub(super) fn route(world: &mut World, call: &Call) -> Result<Route, Refused> {
    let to = |account, sends| Route { account: Some(account), sends, fails_later: None };
    if let ["files", _] = call.pieces()[..] {
        let token = call.header("x-user").unwrap_or_default();
        return account::by_token(world, token).map(|account| to(account, false)).ok_or_else(expired);
    }
    if !call.full_path.ends_with('/') {
        return Err(Refused::new(40_002, "every path ends with a slash"));
    }
    if let ["tt_user", "oauth2", "refresh_token"] = call.pieces()[..] {
        let given = body(call)?.get("refresh_token").and_then(Value::as_str).unwrap_or_default().to_owned();
        let account = account::by_refresh_token(world, &given);
        return account.map(|account| to(account, false)).ok_or_else(|| Refused::new(40_105, "Invalid refresh token"));
    }
    let token = call.header(TOKEN_HEADER).unwrap_or_default();
    let account = account::by_token(world, token).ok_or_else(expired)?;
    Ok(to(account, matches!(call.pieces()[..], ["business", "message", "send"])))
}

fn expired() -> Refused {
    Refused::new(40_105, "Access token is incorrect or has been revoked")
}

/// Carries a call out.
pub(super) async fn answer(shared: &Shared, account: &str, call: &Call) -> Result<Reply, Refused> {
    let form = if call.content_type().starts_with("multipart/") {
        Some(call.multipart().await.map_err(|error| Refused::new(40_002, error))?)
    } else {
        None
    };
    let world = &mut shared.world();
    match (&call.method, call.pieces().as_slice()) {
        (&Method::POST, ["business", "message", "send"]) => send(world, account, &body(call)?),
        (&Method::POST, ["business", "message", "media", "upload"]) => {
            upload(world, account, &form.ok_or_else(|| Refused::parameter("file"))?)
        }
        (&Method::POST, ["business", "message", "media", "download"]) => {
            download(world, account, &body(call)?, &shared.base_url)
        }
        (&Method::POST, ["business", "message", "direct_reply", "update"]) => {
            direct_reply(world, account, &body(call)?)
        }
        (&Method::POST, ["tt_user", "oauth2", "refresh_token"]) => exchange(world, account, &body(call)?),
        (&Method::GET, ["business", "get"]) => {
            mine(account, call.query("business_id"))?;
            let settings = account::settings(world, account).map_err(|_| expired())?;
            Ok(ok(&json!({"username": settings.username, "display_name": settings.username})))
        }
        (&Method::GET, ["files", id]) => match world.files.get(id).filter(|file| file.account == account) {
            Some(file) => Ok(Reply::bytes(200, mime(&file.mime), file.bytes.clone())),
            None => Ok(Reply::text(404, "there is no such file")),
        },
        _ => Err(Refused::new(40_002, "there is no such path")),
    }
}

fn mime(of: &str) -> &'static str {
    match of {
        "image/png" => "image/png",
        "video/mp4" => "video/mp4",
        _ => "image/jpeg",
    }
}

fn body(call: &Call) -> Result<Map<String, Value>, Refused> {
    serde_json::from_slice(&call.body).map_err(|_| Refused::parameter("the body"))
}

fn text<'b>(of: &'b Map<String, Value>, name: &str) -> Result<&'b str, Refused> {
    let found = of.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    found.ok_or_else(|| Refused::parameter(name))
}

fn mine(account: &str, business_id: Option<&str>) -> Result<(), Refused> {
    if business_id == Some(account) {
        Ok(())
    } else {
        Err(Refused::new(40_001, "No permission to this business account"))
    }
}

fn exchange(world: &mut World, account: &str, given: &Map<String, Value>) -> Result<Reply, Refused> {
    let settings = account::settings(world, account).map_err(|_| expired())?;
    let ours = text(given, "client_id")? == settings.app_id && text(given, "client_secret")? == settings.app_secret;
    if !ours || text(given, "grant_type")? != "refresh_token" {
        return Err(Refused::new(40_001, "The app has no such token"));
    }
    let next = account::exchange(world, account).ok_or_else(expired)?;
    Ok(ok(&json!({
        "open_id": account, "access_token": next.access_token, "expires_in": account::TOKEN_LIFE.whole_seconds(),
        "refresh_token": next.refresh_token, "refresh_token_expires_in": 31_536_000, "scope": "message.list.send",
    })))
}

fn direct_reply(world: &mut World, account: &str, given: &Map<String, Value>) -> Result<Reply, Refused> {
    mine(account, Some(text(given, "business_id")?))?;
    let on = match (text(given, "direct_reply_type")?, text(given, "operation_status")?) {
        ("COMMENT_TO_MESSAGE", "ENABLE") => true,
        ("COMMENT_TO_MESSAGE", "DISABLE") => false,
        _ => return Err(Refused::parameter("direct_reply_type or operation_status")),
    };
    account::turn_direct_reply(world, account, on);
    Ok(ok(&json!({})))
}

/// Whose comment a private reply is for: one reply each, where they are switched on.
fn commented<'g>(world: &mut World, account: &str, given: &'g Value) -> Result<(ChatKey, &'g str), Refused> {
    let comment = given.pointer("/comment_reply/comment_id").and_then(Value::as_str);
    let comment = comment.filter(|_| given.get("reply_type").and_then(Value::as_str) == Some("COMMENT_TO_MESSAGE"));
    let comment = comment.ok_or_else(|| Refused::parameter("direct_reply"))?;
    let key = events::commented(world, account, comment);
    let key = key.ok_or_else(|| Refused::new(40_007, "The comment does not exist"))?;
    let is_on = account::settings(world, account).is_ok_and(|settings| settings.direct_reply);
    if !is_on || rules::is_answered(world, account, comment) {
        return Err(blocked());
    }
    Ok((key, comment))
}

fn blocked() -> Refused {
    Refused::new(40_064, "The message is blocked by direct message rules")
}

fn upload(world: &mut World, account: &str, form: &[FormField]) -> Result<Reply, Refused> {
    let field = |name: &str| form.iter().find(|field| field.name == name);
    let said = |name: &str| field(name).map(|field| String::from_utf8_lossy(&field.bytes).into_owned());
    mine(account, said("business_id").as_deref())?;
    let file = field("file").filter(|_| said("media_type").as_deref() == Some("IMAGE"));
    let file = file.ok_or_else(|| Refused::parameter("media_type or file"))?;
    let kind = sniffed(&file.bytes).filter(|kind| matches!(*kind, "image/jpeg" | "image/png"));
    let kind = kind.ok_or_else(|| Refused::new(40_908, "Unsupported file type"))?;
    if file.bytes.len() > MAX_IMAGE {
        return Err(Refused::new(40_002, "The image is larger than 3 MB"));
    }
    let id = format!("media-{}", world.names.digits('1', 12));
    let (file_name, bytes, at) = (file.file_name.clone(), file.bytes.clone(), world.now());
    world.files.keep(Media {
        id: id.clone(),
        account: account.to_owned(),
        mime: kind.to_owned(),
        file_name,
        bytes,
        at,
    });
    Ok(ok(&json!({"media_id": id})))
}

fn download(world: &World, account: &str, given: &Map<String, Value>, base: &str) -> Result<Reply, Refused> {
    mine(account, Some(text(given, "business_id")?))?;
    let key = events::chat_of(world, account, text(given, "conversation_id")?);
    let entry = key.and_then(|key| world.chats.get(&key)?.entry(text(given, "message_id").ok()?));
    let media = text(given, "media_id")?;
    if entry.and_then(|entry| entry.media.as_deref()) != Some(media) {
        return Err(Refused::new(40_007, "The target does not exist"));
    }
    Ok(ok(&json!({"download_url": format!("{base}/tiktok/files/{media}")})))
}

/// A message on its way to a customer.
struct Draft {
    kind: &'static str,
    text: String,
    media: Option<String>,
    buttons: Vec<Button>,
}

fn send(world: &mut World, account: &str, given: &Map<String, Value>) -> Result<Reply, Refused> {
    mine(account, Some(text(given, "business_id")?))?;
    let private_reply = given.get("direct_reply");
    let (key, recipient) = match private_reply {
        Some(reply) => commented(world, account, reply)?,
        None => in_a_conversation(world, account, given)?,
    };
    let draft = draft(world, account, given)?;
    if private_reply.is_some() && draft.kind != "text" {
        return Err(Refused::parameter("message_type"));
    }
    let quoted = given.get("referenced_message_info").and_then(|info| info.get("referenced_message_id"));
    let quoted = quoted.and_then(Value::as_str).map(str::to_owned);
    if let Some(quoted) = &quoted {
        if draft.kind != "text" {
            return Err(Refused::new(40_002, "Only texts can refer to a message"));
        }
        if world.chats.get(&key).is_none_or(|chat| chat.entry(quoted).is_none()) {
            return Err(Refused::new(40_007, "The message does not exist"));
        }
    }
    let now = world.now();
    let verdict = rules::would_accept(world, &key, &Ask::free_form(), now);
    if (!verdict.allowed && private_reply.is_none()) || verdict.blocked {
        return Err(blocked());
    }
    let id = events::message_id(world);
    let mut entry = Entry::new(&id, Author::Business, now, draft.kind, &draft.text);
    (entry.media, entry.buttons, entry.reply_to) = (draft.media, draft.buttons, quoted);
    let booked = Send {
        seq: 0,
        at: now,
        platform: "tiktok".to_owned(),
        account: account.to_owned(),
        customer: key.customer.clone(),
        recipient: recipient.to_owned(),
        via: None,
        provider_ids: vec![id.clone()],
        method: "business/message/send".to_owned(),
        kind: draft.kind.to_owned(),
        category: None,
        text: draft.text,
        body: Value::Object(given.clone()),
        window: verdict.window,
        counted: true,
        answered: true,
        receipt: Progress::Accepted,
        failed: None,
    };
    world.accept(&key, booked, vec![entry]);
    events::after_a_send(world, &key, &id);
    Ok(ok(&json!({"message": {"message_id": id}})))
}

fn in_a_conversation<'g>(
    world: &World,
    account: &str,
    given: &'g Map<String, Value>,
) -> Result<(ChatKey, &'g str), Refused> {
    if text(given, "recipient_type")? != "CONVERSATION" {
        return Err(Refused::parameter("recipient_type"));
    }
    let recipient = text(given, "recipient")?;
    let key = events::chat_of(world, account, recipient);
    Ok((key.ok_or_else(|| Refused::new(40_007, "The conversation does not exist"))?, recipient))
}

fn draft(world: &World, account: &str, given: &Map<String, Value>) -> Result<Draft, Refused> {
    let inner = |kind: &str, name: &str| {
        let found = given.get(kind).and_then(|inner| inner.get(name)).and_then(Value::as_str);
        found.filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| Refused::parameter(name))
    };
    let plain = |kind, text| Draft { kind, text, media: None, buttons: Vec::new() };
    match text(given, "message_type")? {
        "TEXT" => {
            let words = inner("text", "body")?;
            if words.chars().count() > 6_000 {
                return Err(Refused::new(40_002, "The text is longer than 6000 characters"));
            }
            Ok(plain("text", words))
        }
        "IMAGE" => {
            let id = inner("image", "media_id")?;
            let known = world.files.get(&id).is_some_and(|file| file.account == account);
            if known {
                Ok(Draft { media: Some(id), ..plain("image", String::new()) })
            } else {
                Err(Refused::parameter("media_id"))
            }
        }
        "TEMPLATE" => card(given, inner("template", "title")?),
        _ => Err(Refused::parameter("message_type")),
    }
}

fn card(given: &Map<String, Value>, title: String) -> Result<Draft, Refused> {
    let template = given.get("template").cloned().unwrap_or_default();
    let is_question = template.get("type").and_then(Value::as_str) == Some("QA_BUTTON_CARD");
    let buttons = template.get("buttons").and_then(Value::as_array).cloned().unwrap_or_default();
    let within = |text: &Value, most: usize| {
        text.as_str().filter(|text| (1..=most).contains(&text.chars().count())).map(str::to_owned)
    };
    let button = |one: &Value| {
        Some(Button { text: within(one.get("title")?, 20)?, data: within(one.get("id")?, 40)?, choice: false })
    };
    let buttons: Option<Vec<Button>> = buttons.iter().map(button).collect();
    match buttons.filter(|buttons| is_question && (1..=3).contains(&buttons.len()) && title.chars().count() <= 40) {
        Some(buttons) => Ok(Draft { kind: "template", text: title, media: None, buttons }),
        None => Err(Refused::parameter("template")),
    }
}
