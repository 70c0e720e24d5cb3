//! What customers do, as frames.

use serde_json::{Value, json};

use super::account::{Outgoing, Upload, browser, client_id, site};
use crate::Problem;
use crate::acts::{Act, Acted, Action};
use crate::chats::{Author, ChatKey, Entry, Happened};
use crate::media::Media;
use crate::world::World;

/// A customer does something.
pub(super) fn act(world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
    if key.via.is_some() {
        return Err(Problem::invalid("a chat is with one visitor: leave `via` out"));
    }
    site(world, &key.account)?.browsers.entry(key.customer.clone()).or_default();
    match &action.act {
        Act::Text { text } => Ok(writes(world, key, action, text, Vec::new())),
        Act::Start { payload: Some(text) } => Ok(writes(world, key, action, text, Vec::new())),
        Act::Start { payload: None } => Ok(does(world, key, "visit", None)),
        Act::Media(file) => {
            let (mime, bytes) = file.content()?;
            let name = file.file_name.clone().unwrap_or_else(|| file.media.clone());
            let text = file.caption.clone().unwrap_or_default();
            Ok(writes(world, key, action, &text, vec![Upload { name, mime, bytes }]))
        }
        Act::Button { message_id, data, text } => {
            let shown = text.clone().or_else(|| button_text(world, key, message_id, data)).unwrap_or_default();
            let client_id = client_id(world);
            let frame = json!({ "type": "button", "client_id": client_id, "message_id": message_id, "payload": data });
            Ok(says(world, key, "button", &shown, Outgoing { frame, files: Vec::new(), client_id: Some(client_id) }))
        }
        Act::Read => {
            reads(world, key);
            Ok(nothing_sent(world))
        }
        // The sheet's opt-out: the visitor ends the chat.
        Act::OptOut => {
            let conversation = conversation(world, key)?;
            let frame = json!({ "type": "end", "conversation_id": conversation });
            world.chat_mut(key).opted_out = true;
            Ok(does(world, key, "end", Some(frame)))
        }
        Act::Deactivate => Ok(forgets(world, key)),
        Act::Other { kind, data } => match kind.as_str() {
            "visit" => Ok(does(world, key, "visit", None)),
            "leave" => Ok(leaves(world, key)),
            "identify" => match data.get("text").and_then(Value::as_str) {
                None => Ok(is_identified(world, key)),
                Some(text) => {
                    is_identified(world, key);
                    Ok(writes(world, key, action, text, Vec::new()))
                }
            },
            "forget" => Ok(forgets(world, key)),
            "email" => Ok(does(world, key, "email", Some(json!({ "type": "email", "address": data.get("address") })))),
            other => Err(Problem::invalid(format!(
                "a visitor knows visit, leave, identify, forget and email, not `{other}`"
            ))),
        },
        _ => Err(Problem::invalid("a visitor writes, sends files, taps, reads, ends the chat, comes and goes")),
    }
}

fn nothing_sent(world: &World) -> Acted {
    Acted { message_id: None, deliveries: Vec::new(), at: world.now() }
}

fn happened(world: &mut World, key: &ChatKey, kind: &str) {
    let at = world.now();
    world.chat_mut(key).history.push(Happened { at, kind: kind.to_owned() });
}

/// Opens the page and puts a frame into it: a ping, if it is only looked at, whose pong says that the service knows.
fn does(world: &mut World, key: &ChatKey, kind: &str, frame: Option<Value>) -> Acted {
    happened(world, key, kind);
    let frame = frame.unwrap_or_else(|| json!({ "type": "ping", "t": 0 }));
    send(world, key, Outgoing { frame, files: Vec::new(), client_id: None });
    nothing_sent(world)
}

/// Puts something into a visitor's browser; the page opens for it.
pub(super) fn send(world: &mut World, key: &ChatKey, out: Outgoing) {
    if let Some(browser) = open(world, key) {
        browser.out.push_back(out);
        browser.bell.notify_one();
        world.under_way += 1;
    }
}

fn open<'w>(world: &'w mut World, key: &ChatKey) -> Option<&'w mut super::account::Browser> {
    let site = site(world, &key.account).ok()?;
    site.bell.notify_one();
    let browser = site.browsers.get_mut(&key.customer)?;
    browser.open = true;
    Some(browser)
}

fn writes(world: &mut World, key: &ChatKey, action: &Action, text: &str, files: Vec<Upload>) -> Acted {
    let client_id = client_id(world);
    let mut frame = json!({ "type": "message", "client_id": client_id, "reply_to": action.reply_to });
    if let (Some(frame), false) = (frame.as_object_mut(), text.is_empty()) {
        frame.insert("text".to_owned(), json!(text));
    }
    says(world, key, "message", text, Outgoing { frame, files, client_id: Some(client_id) })
}

/// The visitor says something: what stood there is read, and the chat goes on.
fn says(world: &mut World, key: &ChatKey, kind: &str, text: &str, out: Outgoing) -> Acted {
    let (at, id) = (world.now(), out.client_id.clone().unwrap_or_default());
    reads(world, key);
    happened(world, key, kind);
    let mut entry = Entry::new(&id, Author::Customer, at, kind, text);
    entry.media = out.files.first().map(|file| {
        let (id, mime) = (format!("file-{id}"), file.mime.clone());
        let (account, file_name) = (key.account.clone(), Some(file.name.clone()));
        world.files.keep(Media { id: id.clone(), account, mime, file_name, bytes: file.bytes.clone(), at });
        id
    });
    let chat = world.chat_mut(key);
    chat.opted_out = false;
    chat.entries.push(entry);
    send(world, key, out);
    Acted { message_id: Some(id), deliveries: Vec::new(), at }
}

/// The visitor looks at what has arrived.
pub(super) fn reads(world: &mut World, key: &ChatKey) {
    let unread = world.chats.get(key).map(crate::chats::Chat::unread).unwrap_or_default();
    if let Some(last) = unread.last() {
        super::message::read(world, key, last);
    }
}

fn leaves(world: &mut World, key: &ChatKey) -> Acted {
    happened(world, key, "leave");
    if let Some(browser) = browser(world, &key.account, &key.customer) {
        browser.open = false;
        browser.bell.notify_one();
    }
    nothing_sent(world)
}

fn forgets(world: &mut World, key: &ChatKey) -> Acted {
    let acted = leaves(world, key);
    happened(world, key, "forget");
    let mut dropped = 0;
    if let Some(browser) = browser(world, &key.account, &key.customer) {
        dropped = browser.out.len();
        browser.out.clear();
        (browser.token, browser.visitor_id, browser.conversation) = (None, None, None);
        (browser.seq, browser.identified, browser.generation) = (0, false, browser.generation + 1);
    }
    world.under_way = world.under_way.saturating_sub(dropped);
    acted
}

/// From the next hello on. A line that stands is made anew.
fn is_identified(world: &mut World, key: &ChatKey) -> Acted {
    happened(world, key, "identify");
    if let Some(browser) = open(world, key) {
        (browser.identified, browser.generation) = (true, browser.generation + 1);
        browser.bell.notify_one();
    }
    nothing_sent(world)
}

fn conversation(world: &mut World, key: &ChatKey) -> Result<String, Problem> {
    let known = browser(world, &key.account, &key.customer).and_then(|browser| browser.conversation.clone());
    known.ok_or_else(|| Problem::conflict("there is no chat yet that could be ended: visit or write first"))
}

fn button_text(world: &World, key: &ChatKey, message: &str, data: &str) -> Option<String> {
    let entry = world.chats.get(key)?.entry(message)?;
    entry.buttons.iter().find(|button| button.data == data).map(|button| button.text.clone())
}
