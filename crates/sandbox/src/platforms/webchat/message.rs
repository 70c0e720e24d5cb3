//! What a visitor is sent, and what they tell of it.

use std::time::Duration as Pause;

use serde_json::{Value, json};

use super::account::{Outgoing, browser};
use super::{acts, rules};
use crate::Problem;
use crate::chats::{Author, Button, ChatKey, Entry, Link, Progress};
use crate::ledger::{CallRecord, CallState, Send};
use crate::media::Media;
use crate::platforms::{Ask, ReceiptOrder};
use crate::sandbox::Shared;
use crate::webhooks;
use crate::world::{Receipts, World};

/// A message of the business arrives. What a visitor may not be sent is not booked: it shows as a refused call.
pub(super) async fn arrives(shared: &Shared, key: &ChatKey, seq: u64, message: &Value) {
    let word = |name: &str| message.get(name).and_then(Value::as_str);
    let (id, text) = (word("id").unwrap_or_default().to_owned(), word("text").unwrap_or_default().to_owned());
    let from_us = message.pointer("/from/kind").and_then(Value::as_str) == Some("visitor");
    let known = shared.world().chats.get(key).is_some_and(|chat| chat.entry(&id).is_some());
    if !from_us && !known {
        let files = fetched(shared, message).await;
        let mut world = shared.world();
        let invites = message.get("invitation") == Some(&json!(true));
        take(&mut world, key, message, Arrived { id: &id, text, seq, invites, files });
    }
    if let Some(browser) = browser(&mut shared.world(), &key.account, &key.customer) {
        browser.seq = browser.seq.max(seq);
    }
}

struct Arrived<'m> {
    id: &'m str,
    text: String,
    seq: u64,
    invites: bool,
    files: Vec<Media>,
}

fn take(world: &mut World, key: &ChatKey, message: &Value, arrived: Arrived<'_>) {
    let Arrived { id, text, seq, invites, files } = arrived;
    let now = world.now();
    let ask = if invites { Ask::tagged(rules::INVITATION) } else { Ask::free_form() };
    let verdict = rules::would_accept(world, key, &ask, now);
    if !verdict.allowed || !world.accepting {
        world.calls.arrived(CallRecord {
            seq: 0,
            at: now,
            account: Some(key.account.clone()),
            method: "WS".to_owned(),
            path: "/webchat/message".to_owned(),
            state: CallState::Answered,
            status: Some(403),
            code: verdict.code,
            fault: None,
        });
        return;
    }
    let recipient = browser(world, &key.account, &key.customer).and_then(|browser| browser.visitor_id.clone());
    let kind = files.first().map_or("text", |file| file.mime.split('/').next().unwrap_or_default()).to_owned();
    let mut entry = Entry::new(id, Author::Business, now, &kind, &text);
    entry.reply_to = message.get("reply_to").and_then(Value::as_str).map(str::to_owned);
    entry.media = files.first().map(|file| file.id.clone());
    for button in message.get("buttons").and_then(Value::as_array).into_iter().flatten() {
        let word = |name: &str| button.get(name).and_then(Value::as_str).map(str::to_owned);
        match (word("label"), word("payload"), word("url")) {
            (Some(text), _, Some(url)) => entry.links.push(Link::new(text, url)),
            (Some(text), Some(data), None) => entry.buttons.push(Button { data, text, choice: false }),
            _ => {}
        }
    }
    for file in files {
        world.files.keep(file);
    }
    let send = Send {
        seq: 0,
        at: now,
        platform: "webchat".to_owned(),
        account: key.account.clone(),
        customer: key.customer.clone(),
        recipient: recipient.unwrap_or_default(),
        via: None,
        provider_ids: vec![id.to_owned()],
        method: if invites { rules::INVITATION } else { "message" }.to_owned(),
        kind,
        category: None,
        text,
        body: message.clone(),
        window: verdict.window,
        counted: invites,
        answered: true,
        receipt: Progress::Accepted,
        failed: None,
    };
    world.accept(key, send, vec![entry]);
    let Ok(Receipts::Auto(auto)) = world.account(&key.account).map(|account| account.receipts) else { return };
    let (key, id) = (key.clone(), id.to_owned());
    world.later(Pause::from_millis(auto.delivered_ms), move |world| {
        stored(world, &key, &id, seq);
        if let Some(pause) = auto.read_ms {
            world.later(Pause::from_millis(pause), move |world| read(world, &key, &id));
        }
    });
}

/// The files of a message, as the visitor's browser loads them.
async fn fetched(shared: &Shared, message: &Value) -> Vec<Media> {
    let mut files = Vec::new();
    for (number, file) in message.get("attachments").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let word = |name: &str| file.get(name).and_then(Value::as_str).map(str::to_owned);
        let Some(url) = word("url") else { continue };
        match webhooks::fetch(shared, &url).await {
            Ok((mime, bytes)) => files.push(Media {
                id: format!("{}-{number}", message.get("id").and_then(Value::as_str).unwrap_or_default()),
                account: String::new(),
                mime: word("mime").unwrap_or(mime),
                file_name: word("name"),
                bytes,
                at: shared.world().now(),
            }),
            Err(why) => tracing::warn!(why, "a file of a message cannot be loaded"),
        }
    }
    files
}

/// The page says that it stores a message, if it is open; the next hello says it otherwise.
fn stored(world: &mut World, key: &ChatKey, id: &str, seq: u64) {
    world.progress(key, id, Progress::Delivered, None);
    if browser(world, &key.account, &key.customer).is_some_and(|browser| browser.open) {
        let frame = json!({ "type": "ack", "seq": seq });
        acts::send(world, key, Outgoing { frame, files: Vec::new(), client_id: None });
    }
}

/// The visitor has seen everything up to a message.
pub(super) fn read(world: &mut World, key: &ChatKey, id: &str) {
    let unread = world.chats.get(key).map(crate::chats::Chat::unread).unwrap_or_default();
    for message in &unread {
        world.progress(key, message, Progress::Read, None);
        if message == id {
            break;
        }
    }
    let conversation = browser(world, &key.account, &key.customer).and_then(|browser| browser.conversation.clone());
    if let Some(conversation) = conversation {
        let frame = json!({ "type": "read", "conversation_id": conversation, "up_to": id });
        acts::send(world, key, Outgoing { frame, files: Vec::new(), client_id: None });
    }
}

/// A receipt by hand: delivered or read.
pub(super) fn receipt(world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
    let key = world.chat_with(account, &order.message_id);
    let key = key.ok_or_else(|| Problem::not_found(format!("nobody has the message `{}`", order.message_id)))?;
    match order.status {
        Progress::Delivered => {
            let seq = browser(world, &key.account, &key.customer).map(|browser| browser.seq).unwrap_or_default();
            stored(world, &key, &order.message_id, seq);
        }
        Progress::Read => read(world, &key, &order.message_id),
        _ => return Err(Problem::invalid("a visitor tells of `delivered` and `read`, and nothing else")),
    }
    Ok(None)
}
