//! What accounts call: tokens, sending, files, followers.

use http::Method;
use serde_json::{Map, Value, json};
use time::Duration;

use super::account::{self, official};
use super::rules::{self, COUNT_REACHED, OUT_OF_TIME};
use super::templates;
use crate::chats::{Author, Button, ChatKey, Entry, Progress};
use crate::http::{Call, FormField, Reply};
use crate::ledger::Send;
use crate::media::{Media, sniffed};
use crate::platforms::{Ask, Because, Route};
use crate::sandbox::Shared;
use crate::world::World;

/// Uploaded files live three days.
const FILE_LIFE: Duration = Duration::days(3);

/// A refusal: HTTP 200, and a code that is not 0.
pub(super) struct Refused {
    code: i64,
    message: String,
}

impl Refused {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn reply(&self) -> Reply {
        let errmsg = format!("{} rid: 60000000-00000000-00000001", self.message);
        Reply::json(200, &json!({"errcode": self.code, "errmsg": errmsg})).coded(self.code)
    }
}

fn ok() -> Reply {
    Reply::json(200, &json!({"errcode": 0, "errmsg": "ok"}))
}

/// Which account a call is for: by its token, or by the app that asks for one.
pub(super) fn route(world: &mut World, call: &Call) -> Result<Route, Refused> {
    let to = |account, sends| Route { account: Some(account), sends, fails_later: None };
    let app = match call.pieces()[..] {
        ["cgi-bin", "stable_token"] => {
            Some(body(call)?.get("appid").and_then(Value::as_str).unwrap_or_default().to_owned())
        }
        ["cgi-bin", "token"] => Some(call.query("appid").unwrap_or_default().to_owned()),
        ["files", id] => {
            let file = world.files.get(id).ok_or_else(|| Refused::new(40_007, "invalid media_id"))?;
            return Ok(to(file.account.clone(), false));
        }
        _ => None,
    };
    if let Some(app) = app {
        let account = account::by_app(world, &app).ok_or_else(|| Refused::new(40_013, "invalid appid"))?;
        return Ok(to(account, false));
    }
    let token = call.query("access_token").filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Refused::new(41_001, "access_token missing"))?;
    match account::by_token(world, token) {
        Some((account, false)) => {
            Ok(to(account, matches!(call.pieces()[..], ["cgi-bin", "message", "custom" | "template", "send"])))
        }
        Some((_, true)) => Err(Refused::new(42_001, "access_token expired")),
        None => Err(Refused::new(40_001, "invalid credential, access_token is invalid or not latest")),
    }
}

/// Carries a call out.
pub(super) async fn answer(shared: &Shared, account: &str, call: &Call) -> Result<Reply, Refused> {
    let form = if call.content_type().starts_with("multipart/") {
        Some(call.multipart().await.map_err(|error| Refused::new(41_005, error))?)
    } else {
        None
    };
    let world = &mut shared.world();
    match (&call.method, call.pieces().as_slice()) {
        (&Method::POST, ["cgi-bin", "stable_token"]) => {
            let given = body(call)?;
            let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default();
            let force = given.get("force_refresh").and_then(Value::as_bool).unwrap_or_default();
            token(world, account, text("grant_type"), text("secret"), force)
        }
        (&Method::GET, ["cgi-bin", "token"]) => {
            let text = |name: &str| call.query(name).unwrap_or_default();
            token(world, account, text("grant_type"), text("secret"), true)
        }
        (&Method::POST, ["cgi-bin", "message", "custom", "send"]) => send(world, account, call),
        (&Method::POST, ["cgi-bin", "message", "template", "send"]) => templates::send(world, account, &body(call)?),
        (&Method::GET, ["cgi-bin", "template", "get_all_private_template"]) => templates::list(world, account),
        (&Method::POST, ["cgi-bin", "message", "custom", "typing"]) => Ok(ok()),
        (&Method::POST, ["cgi-bin", "media", "upload"]) => {
            let form = form.ok_or_else(|| Refused::new(41_005, "media data missing"))?;
            upload(world, account, call.query("type").unwrap_or_default(), &form)
        }
        (&Method::GET, ["cgi-bin", "media", "get"]) => {
            download(world, account, call.query("media_id").unwrap_or_default(), &shared.base_url)
        }
        (&Method::GET, ["files", id]) => match world.files.get(id) {
            Some(file) => Ok(Reply::bytes(200, mime(&file.mime), file.bytes.clone())),
            None => Ok(Reply::text(404, "there is no such file")),
        },
        (&Method::GET, ["cgi-bin", "user", "info"]) => user(world, account, call.query("openid").unwrap_or_default()),
        (_, ["cgi-bin", ..]) => Err(Refused::new(43_002, "require another method, or there is no such interface")),
        _ => Ok(Reply::text(404, "there is no such path")),
    }
}

fn mime(of: &str) -> &'static str {
    match of {
        "image/png" => "image/png",
        "image/gif" => "image/gif",
        "video/mp4" => "video/mp4",
        "audio/amr" => "audio/amr",
        "audio/mpeg" => "audio/mpeg",
        "image/jpeg" => "image/jpeg",
        _ => "application/octet-stream",
    }
}

fn body(call: &Call) -> Result<Map<String, Value>, Refused> {
    serde_json::from_slice(&call.body).map_err(|_| Refused::new(47_001, "data format error"))
}

fn token(world: &mut World, account: &str, grant: &str, secret: &str, force: bool) -> Result<Reply, Refused> {
    if grant != "client_credential" {
        return Err(Refused::new(40_002, "invalid grant_type"));
    }
    let known = official(world, account).map(|official| official.settings.app_secret.clone()).unwrap_or_default();
    if known != secret {
        return Err(Refused::new(40_125, "invalid appsecret"));
    }
    let (token, left) = account::stable_token(world, account, force).ok_or_else(|| Refused::new(-1, "system error"))?;
    Ok(Reply::json(200, &json!({"access_token": token, "expires_in": left})))
}

fn upload(world: &mut World, account: &str, kind: &str, form: &[FormField]) -> Result<Reply, Refused> {
    const MIB: usize = 1024 * 1024;
    let (types, most): (&[&str], usize) = match kind {
        "image" => (&["image/jpeg", "image/png", "image/gif"], 2 * MIB),
        "voice" => (&["audio/amr", "audio/mpeg"], 2 * MIB),
        "video" => (&["video/mp4"], 10 * MIB),
        "thumb" => (&["image/jpeg"], 64 * 1024),
        _ => return Err(Refused::new(40_004, "invalid media type")),
    };
    let file = form.iter().find(|field| field.name == "media" && field.file_name.is_some());
    let file = file.ok_or_else(|| Refused::new(41_005, "media data missing"))?;
    let found = sniffed(&file.bytes).filter(|found| types.contains(found));
    let found = found.ok_or_else(|| Refused::new(40_005, "invalid file type"))?;
    if file.bytes.len() > most {
        return Err(Refused::new(45_001, "media size out of limit"));
    }
    let (id, at) = (format!("MEDIA_{}", world.names.token(40)), world.now());
    world.files.keep(Media {
        id: id.clone(),
        account: account.to_owned(),
        mime: found.to_owned(),
        file_name: file.file_name.clone(),
        bytes: file.bytes.clone(),
        at,
    });
    Ok(Reply::json(200, &json!({"type": kind, "media_id": id, "created_at": at.unix_timestamp()})))
}

fn download(world: &World, account: &str, id: &str, base: &str) -> Result<Reply, Refused> {
    let file = world.files.get(id).filter(|file| file.account == account && world.now() < file.at + FILE_LIFE);
    let file = file.ok_or_else(|| Refused::new(40_007, "invalid media_id"))?;
    if file.mime == "video/mp4" {
        return Ok(Reply::json(200, &json!({"video_url": format!("{base}/wechat/files/{id}")})));
    }
    let name = file.file_name.clone().unwrap_or_else(|| id.to_owned());
    let reply = Reply::bytes(200, mime(&file.mime), file.bytes.clone());
    Ok(reply.with("content-disposition", format!("attachment; filename=\"{name}\"")))
}

fn user(world: &World, account: &str, openid: &str) -> Result<Reply, Refused> {
    let customer = world.customer_at("wechat", openid).filter(|_| !openid.is_empty());
    let customer = customer.ok_or_else(|| Refused::new(40_003, "invalid openid"))?;
    let chat = world.chats.get(&ChatKey::direct(account, &customer.id));
    if chat.is_none_or(|chat| chat.blocked) || customer.unreachable_on.contains("wechat") {
        return Ok(Reply::json(200, &json!({"subscribe": 0, "openid": openid})));
    }
    Ok(Reply::json(
        200,
        &json!({
            "subscribe": 1, "openid": openid, "subscribe_time": 1_767_225_600, "remark": customer.username, "groupid": 0,
            "tagid_list": [], "subscribe_scene": "ADD_SCENE_SEARCH", "qr_scene": 0, "qr_scene_str": "",
        }),
    ))
}

/// A message on its way to a customer.
struct Draft {
    kind: String,
    text: String,
    media: Option<String>,
    buttons: Vec<Button>,
}

fn send(world: &mut World, account: &str, call: &Call) -> Result<Reply, Refused> {
    // "No \uXXXX escapes".
    if call.body.windows(2).any(|two| two == b"\\u") {
        return Err(Refused::new(
            40_033,
            "invalid charset. please check your request, if include \\uxxxx will create fail!",
        ));
    }
    let given = body(call)?;
    let openid = given.get("touser").and_then(Value::as_str).unwrap_or_default();
    if openid.is_empty() {
        return Err(Refused::new(41_009, "missing openid"));
    }
    let customer = world.customer_at("wechat", openid).ok_or_else(|| Refused::new(40_003, "invalid openid"))?;
    let (key, gone) = (ChatKey::direct(account, &customer.id), customer.unreachable_on.contains("wechat"));
    let draft = draft(world, account, &given)?;
    let now = world.now();
    let verdict = rules::would_accept(world, &key, &Ask::free_form(), now);
    if verdict.opted_out {
        return Err(Refused::new(48_002, "user refuse to accept the msg"));
    }
    if verdict.because == Some(Because::Quota) {
        return Err(Refused::new(COUNT_REACHED, "out of response count limit"));
    }
    let bucket = rules::next_bucket(world, &key, now).filter(|_| verdict.allowed && !verdict.blocked && !gone);
    let bucket =
        bucket.ok_or_else(|| Refused::new(OUT_OF_TIME, "response out of time limit or subscription is canceled"))?;
    if let Ok(official) = official(world, account) {
        official.spent.push((key.clone(), now, bucket));
    }
    // The platform has no ids for these: this one is the sandbox's own.
    let id = format!("kf-{:016x}{:08x}", world.names.seed(), world.names.number());
    let mut entry = Entry::new(&id, Author::Business, now, &draft.kind, &draft.text);
    (entry.media, entry.buttons) = (draft.media, draft.buttons);
    let booked = Send {
        seq: 0,
        at: now,
        platform: "wechat".to_owned(),
        account: account.to_owned(),
        customer: key.customer.clone(),
        recipient: openid.to_owned(),
        via: None,
        provider_ids: Vec::new(),
        method: "message/custom/send".to_owned(),
        kind: draft.kind,
        category: None,
        text: draft.text,
        body: Value::Object(given.clone()),
        window: verdict.window,
        counted: bucket != rules::Bucket::Payment,
        answered: true,
        receipt: Progress::Accepted,
        failed: None,
    };
    world.accept(&key, booked, vec![entry]);
    Ok(ok())
}

fn draft(world: &World, account: &str, given: &Map<String, Value>) -> Result<Draft, Refused> {
    let kind = given.get("msgtype").and_then(Value::as_str).unwrap_or_default();
    let inner = |name: &str| given.get(kind).and_then(|inner| inner.get(name)).and_then(Value::as_str);
    let plain = |text: String| Draft { kind: kind.to_owned(), text, media: None, buttons: Vec::new() };
    let file = |name: &str| {
        let id = inner(name).unwrap_or_default();
        let file = world.files.get(id).filter(|file| file.account == account && world.now() < file.at + FILE_LIFE);
        file.map(|_| id.to_owned()).ok_or_else(|| Refused::new(40_007, "invalid media_id"))
    };
    match kind {
        "text" => {
            let words = inner("content").unwrap_or_default();
            match words.len() {
                0 => Err(Refused::new(44_004, "empty content")),
                1..=2_048 => Ok(plain(words.to_owned())),
                _ => Err(Refused::new(45_002, "content size out of limit")),
            }
        }
        "image" | "voice" => Ok(Draft { media: Some(file("media_id")?), ..plain(String::new()) }),
        "video" => {
            // The still picture may be a permanent one, which the sandbox does not keep.
            inner("thumb_media_id").ok_or_else(|| Refused::new(41_006, "missing thumb_media_id"))?;
            Ok(Draft { media: Some(file("media_id")?), ..plain(String::new()) })
        }
        "msgmenu" => {
            let items = given.get(kind).and_then(|menu| menu.get("list")).and_then(Value::as_array);
            let button = |item: &Value| {
                let text = |name: &str| item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
                Some(Button { data: text("id")?.to_owned(), text: text("content")?.to_owned(), choice: false })
            };
            let buttons = items.and_then(|items| items.iter().map(button).collect::<Option<Vec<_>>>());
            let buttons = buttons
                .filter(|buttons| !buttons.is_empty())
                .ok_or_else(|| Refused::new(47_001, "data format error"))?;
            Ok(Draft { buttons, ..plain(inner("head_content").unwrap_or_default().to_owned()) })
        }
        _ => Err(Refused::new(40_008, "invalid message type")),
    }
}
