//! The visitors' lines to the service: one WebSocket an open page.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::account::{Outgoing, Upload, browser, proof, site};
use super::message;
use crate::chats::{ChatKey, Happened, Progress};
use crate::people::Customer;
use crate::sandbox::Shared;
use crate::world::World;

type Line = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A sign of life each 25 to 30 seconds.
const BEAT: Duration = Duration::from_secs(25);
/// A message that came too fast is said again after so long: the service takes one a second.
const AGAIN: Duration = Duration::from_secs(1);
/// The first pause before a new try; it doubles.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Looks after the visitors of a widget for as long as it exists.
pub(super) async fn keep(shared: Arc<Shared>, account: String) {
    loop {
        let (bell, waiting) = {
            let mut world = shared.world();
            let Ok(site) = site(&mut world, &account) else { return };
            let mut waiting = Vec::new();
            for (customer, browser) in site.browsers.iter_mut().filter(|(_, browser)| browser.open && !browser.kept) {
                browser.kept = true;
                waiting.push(ChatKey::direct(&account, customer));
            }
            (Arc::clone(&site.bell), waiting)
        };
        for key in waiting {
            shared.spawn(sit(Arc::clone(&shared), key));
        }
        bell.notified().await;
    }
}

/// Keeps one visitor's line up until they close the page.
async fn sit(shared: Arc<Shared>, key: ChatKey) {
    let mut pause = PAUSE;
    loop {
        let visit = prepared(&mut shared.world(), &key);
        let Some(visit) = visit else { return };
        match visit.connect().await {
            Ok(line) => {
                if talk(&shared, &key, &visit, line).await {
                    pause = PAUSE;
                    continue;
                }
            }
            Err(error) => tracing::debug!(%error, "the visitor's line does not stand"),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = visit.bell.notified() => {}
        }
    }
}

/// What a visitor says first, and where.
struct Visit {
    /// `{service}/widget/v1`, and the widget's key there; `None` as long as nobody has connected the account.
    service: Option<(String, String)>,
    origin: String,
    hello: Value,
    generation: u64,
    bell: Arc<Notify>,
}

/// `None` once the page is closed and everything in it sent: then nobody sits there any more.
fn prepared(world: &mut World, key: &ChatKey) -> Option<Visit> {
    let hook = world.account(&key.account).ok()?.webhook_url.clone();
    let customer = world.customers.get(&key.customer)?.clone();
    let site = site(world, &key.account).ok()?;
    let settings = site.settings.clone();
    let browser = site.browsers.get_mut(&key.customer)?;
    if !browser.open && browser.out.is_empty() {
        browser.kept = false;
        return None;
    }
    let mut hello = json!({
        "type": "hello", "v": 1, "token": browser.token, "device": "the sandbox's browser", "locale": customer.language,
        "profile": { "name": customer.name, "language": customer.language },
        "page": { "url": format!("{}/help", settings.origin), "title": "Help" },
    });
    if let Some(hello) = hello.as_object_mut() {
        if browser.token.is_some() {
            hello.insert("last_seq".to_owned(), json!(browser.seq));
        }
        if browser.identified {
            let id = site_id(&customer);
            let proof = proof(&settings.identity_secret, &id);
            hello.insert("identity".to_owned(), json!({ "external_id": id, "user_hash": proof }));
        }
    }
    let service = hook.as_deref().and_then(|hook| hook.rsplit_once("/webhooks/"));
    let service = service.map(|(base, widget)| (format!("{base}/widget/v1"), widget.to_owned()));
    let (generation, bell) = (browser.generation, Arc::clone(&browser.bell));
    Some(Visit { service, origin: settings.origin, hello, generation, bell })
}

/// The site's own id of a person.
fn site_id(customer: &Customer) -> String {
    customer.username.clone().unwrap_or_else(|| customer.id.clone())
}

impl Visit {
    async fn connect(&self) -> Result<Line, String> {
        let (service, widget) = self.service.as_ref().ok_or("nobody has connected the widget")?;
        let address = format!("{}/ws?widget={widget}", service.replacen("http", "ws", 1));
        let request = ClientRequestBuilder::new(address.parse().map_err(|error| format!("{address}: {error}"))?)
            .with_header("Origin", &self.origin)
            .with_sub_protocol("chat.v1.json");
        connect_async(request).await.map(|(line, _)| line).map_err(|error| error.to_string())
    }

    /// Uploads a file, and answers with its id.
    async fn upload(&self, shared: &Shared, token: Option<String>, file: Upload) -> Result<String, String> {
        let (service, widget) = self.service.as_ref().ok_or("nobody has connected the widget")?;
        let request = shared.http.post(format!("{service}/uploads"));
        let request = request.query(&[("widget", widget.as_str()), ("name", &file.name)]).body(file.bytes);
        let request = request.header("origin", &self.origin).header("content-type", file.mime);
        let answer = request.bearer_auth(token.unwrap_or_default()).send().await.map_err(|error| error.to_string())?;
        let said: Value = answer.json().await.map_err(|error| error.to_string())?;
        said.get("upload_id").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| said.to_string())
    }
}

/// What a visitor waits for before they send the next frame.
#[derive(PartialEq)]
enum Waits {
    Nothing,
    Welcome,
    Ack(String),
    Pong(u64),
}

/// Talks over a line until it ends or the page closes; says whether there was a welcome.
async fn talk(shared: &Shared, key: &ChatKey, visit: &Visit, mut line: Line) -> bool {
    let (mut waits, mut pings, mut welcomed) = (Waits::Welcome, 0, false);
    let mut beat = tokio::time::interval(BEAT);
    beat.reset();
    if say(&mut line, &visit.hello).await.is_err() {
        return false;
    }
    loop {
        let next = next(&mut shared.world(), key, visit.generation, waits == Waits::Nothing);
        match next {
            Next::Rest => {}
            Next::Leave => {
                let _ = line.close(None).await;
                return true;
            }
            Next::Send(out, token) => {
                let Some(frame) = complete(shared, visit, *out.clone(), token).await else {
                    done(&mut shared.world(), key);
                    continue;
                };
                pings += 1;
                waits = out.client_id.map_or(Waits::Pong(pings), Waits::Ack);
                let asks = matches!(waits, Waits::Pong(_));
                if say(&mut line, &frame).await.is_err()
                    || (asks && say(&mut line, &json!({ "type": "ping", "t": pings })).await.is_err())
                {
                    return welcomed;
                }
            }
        }
        let heard = tokio::select! {
            heard = line.next() => heard,
            () = visit.bell.notified() => continue,
            _ = beat.tick() => {
                if say(&mut line, &json!({ "type": "ping", "t": 0 })).await.is_err() {
                    return welcomed;
                }
                lives(&mut shared.world(), key);
                continue;
            }
        };
        let frame: Value = match heard {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap_or_default(),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return welcomed,
            Some(Ok(_)) => continue,
        };
        let word = |name: &str| frame.get(name).and_then(Value::as_str);
        let is_answer = match (word("type"), &waits) {
            (Some("welcome"), Waits::Welcome) => {
                welcomed = true;
                waits = Waits::Nothing;
                false
            }
            (Some("ack" | "error"), Waits::Ack(id)) => word("client_id") == Some(id),
            (Some("pong"), Waits::Pong(t)) => frame.get("t") == Some(&json!(t)),
            _ => false,
        };
        hear(shared, key, &frame).await;
        if is_answer && matches!(word("code"), Some("rate_limited" | "unavailable")) {
            // Said again, under the same key.
            tokio::time::sleep(AGAIN).await;
            waits = Waits::Nothing;
            continue;
        }
        if is_answer {
            waits = Waits::Nothing;
            done(&mut shared.world(), key);
        }
    }
}

async fn say(line: &mut Line, frame: &Value) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    line.send(Message::text(frame.to_string())).await
}

enum Next {
    Rest,
    Leave,
    Send(Box<Outgoing>, Option<String>),
}

fn next(world: &mut World, key: &ChatKey, generation: u64, is_free: bool) -> Next {
    let Some(browser) = browser(world, &key.account, &key.customer) else { return Next::Leave };
    if browser.generation != generation || (!browser.open && browser.out.is_empty()) {
        return Next::Leave;
    }
    match browser.out.front().filter(|_| is_free) {
        None => Next::Rest,
        Some(out) => Next::Send(Box::new(out.clone()), browser.token.clone()),
    }
}

/// The frame with what was uploaded for it. `None`: the service takes a file of it not.
async fn complete(shared: &Shared, visit: &Visit, out: Outgoing, token: Option<String>) -> Option<Value> {
    let Outgoing { mut frame, files, .. } = out;
    let mut ids = Vec::new();
    for file in files {
        match visit.upload(shared, token.clone(), file).await {
            Ok(id) => ids.push(id),
            Err(why) => {
                tracing::warn!(why, "the service takes a visitor's file not");
                return None;
            }
        }
    }
    if let (Some(frame), false) = (frame.as_object_mut(), ids.is_empty()) {
        frame.insert("attachments".to_owned(), json!(ids));
    }
    Some(frame)
}

/// What was said first has been heard.
fn done(world: &mut World, key: &ChatKey) {
    let said = browser(world, &key.account, &key.customer).and_then(|browser| browser.out.pop_front());
    if said.is_some() {
        world.under_way = world.under_way.saturating_sub(1);
    }
}

fn lives(world: &mut World, key: &ChatKey) {
    let at = world.now();
    world.chat_mut(key).history.push(Happened { at, kind: "visit".to_owned() });
}

async fn hear(shared: &Shared, key: &ChatKey, frame: &Value) {
    let word = |name: &str| frame.get(name).and_then(Value::as_str);
    match word("type") {
        Some("welcome") => is_welcome(&mut shared.world(), key, frame),
        Some("message") => {
            let seq = frame.get("seq").and_then(Value::as_u64).unwrap_or_default();
            if let Some(message) = frame.get("message") {
                message::arrives(shared, key, seq, message).await;
            }
        }
        Some("history") => {
            let seq = browser(&mut shared.world(), &key.account, &key.customer).map(|browser| browser.seq);
            for message in frame.get("messages").and_then(Value::as_array).into_iter().flatten() {
                message::arrives(shared, key, seq.unwrap_or_default(), message).await;
            }
        }
        Some("ack") => {
            let mut world = shared.world();
            let (client_id, id) = (word("client_id").unwrap_or_default(), word("message_id").unwrap_or_default());
            if let Some(entry) = world.chat_mut(key).entry_mut(client_id) {
                (entry.id, entry.progress) = (id.to_owned(), Progress::Sent);
            }
            let seq = frame.get("seq").and_then(Value::as_u64).unwrap_or_default();
            if let Some(browser) = browser(&mut world, &key.account, &key.customer) {
                // A message of the business may still be on its way with a lower number.
                browser.seq = if seq == browser.seq + 1 { seq } else { browser.seq };
            }
        }
        Some("error") => is_refused(&mut shared.world(), key, word("code").unwrap_or_default(), word("client_id")),
        _ => {}
    }
}

fn is_welcome(world: &mut World, key: &ChatKey, frame: &Value) {
    lives(world, key);
    world.chat_mut(key).shut_out = false;
    let word = |name: &str| frame.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(browser) = browser(world, &key.account, &key.customer) else { return };
    browser.token = word("token").or(browser.token.take());
    browser.visitor_id = word("visitor_id");
    browser.conversation = browser.visitor_id.as_ref().map(|id| format!("c_{id}"));
    let id = browser.visitor_id.clone().unwrap_or_default();
    if word("resume").as_deref() == Some("reset") {
        browser.seq = frame.get("last_seq").and_then(Value::as_u64).unwrap_or_default();
        if frame.pointer("/conversations/0").is_some() {
            let fetch = json!({ "type": "fetch", "conversation_id": format!("c_{id}"), "limit": 50 });
            browser.out.push_front(Outgoing { frame: fetch, files: Vec::new(), client_id: None });
            world.under_way += 1;
        }
    }
    if let Some(customer) = world.customers.get_mut(&key.customer) {
        let address = id.strip_prefix("x:").unwrap_or(&id).to_owned();
        customer.addresses.insert("webchat".to_owned(), address);
    }
}

fn is_refused(world: &mut World, key: &ChatKey, code: &str, client_id: Option<&str>) {
    if let Some(entry) = client_id.and_then(|id| world.chat_mut(key).entry_mut(id)) {
        entry.progress = Progress::Failed;
    }
    match code {
        // A new session, as a browser would begin one.
        "unauthorized" => {
            if let Some(browser) = browser(world, &key.account, &key.customer) {
                (browser.token, browser.seq) = (None, 0);
            }
        }
        "blocked" | "origin_not_allowed" => {
            let mut dropped = 0;
            if let Some(browser) = browser(world, &key.account, &key.customer) {
                (browser.open, dropped) = (false, browser.out.len());
                browser.out.clear();
            }
            world.under_way = world.under_way.saturating_sub(dropped);
            world.chat_mut(key).shut_out = code == "blocked";
        }
        other => tracing::debug!(code = other, "a visitor's frame was refused"),
    }
}
