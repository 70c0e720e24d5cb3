//! What a visitor's side says, and what it is told (webchat.md 4).

use std::sync::Arc;

use poem::http::StatusCode;
use poem::{IntoResponse, Request, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use transom_channel::{Exchanged, Exchanger, MailboxEntry, MailboxEvent};
use transom_domain::MessageId;

use super::access::{Widget, parameter};
use super::acts::{self, plain_line, to_the_millisecond};
use super::hub::Hub;
use super::rates::What;
use super::refusal::Refused;
use super::session::{self, Session};
use super::upload;
use crate::capabilities::{FILES, TEXT};
use crate::error::Code;
use crate::event::{Act, SentFile, VisitorEvent};
use crate::outbound::shown;
use crate::protocol::{
    Button, ClaimedProfile, ClientFrame, ConversationStatus, File, Format, From, FromKind, Message, NewMessage,
    PresenceState, ServerFrame,
};

/// The longest key that a visitor's side gives a message.
const LONGEST_KEY: usize = 64;
/// Messages of one page of history (webchat.md 4).
const PAGE: u16 = 50;
/// Events that are looked at in one go.
const AT_ONCE: u32 = 200;

/// Does what a frame asks for; what is to be answered.
pub(super) async fn act(
    hub: &Hub,
    widget: &Widget,
    session: &Session,
    frame: ClientFrame,
) -> Result<Option<ServerFrame>, Refused> {
    let who = session.mailbox.as_str();
    hub.take(What::Frames, who, 1.0)?;
    acts::present(hub, widget, session).await;
    match frame {
        ClientFrame::Hello(_) => Err(Refused::bad("`hello` was said already")),
        ClientFrame::Message(message) => written(hub, widget, session, message).await.map(Some),
        ClientFrame::Button { message_id, payload, client_id } => {
            pressed(hub, widget, session, (message_id, payload, client_id)).await.map(Some)
        }
        ClientFrame::Typing { conversation_id, on, .. } => {
            own(session, &conversation_id)?;
            hub.take(What::Typing, who, 1.0)?;
            hub.host.typing(&widget.site, &[session.visitor.address()], on).await?;
            Ok(None)
        }
        ClientFrame::Presence { state } => {
            if state != PresenceState::Hidden {
                acts::visited(hub, widget, session).await?;
            }
            Ok(None)
        }
        ClientFrame::Ping { t } => {
            acts::visited(hub, widget, session).await?;
            Ok(Some(ServerFrame::Pong { t }))
        }
        ClientFrame::Ack { seq } => acknowledged(hub, widget, session, seq).await.map(|()| None),
        ClientFrame::Read { conversation_id, up_to } => {
            own(session, &conversation_id)?;
            seen(hub, widget, session, up_to).await.map(|()| None)
        }
        ClientFrame::Fetch { conversation_id, before, limit } => {
            own(session, &conversation_id)?;
            earlier(hub, widget, session, before.as_deref(), limit).await.map(Some)
        }
        ClientFrame::Email { address } => left_address(hub, widget, session, &address).await.map(|()| None),
        ClientFrame::End { conversation_id } => {
            own(session, &conversation_id)?;
            let now = widget.site.ports.clock.now();
            let id = format!("end:{}:{}", session.visitor.id(), now.unix_timestamp_nanos() / 1_000_000);
            let event = acts::event(widget, &session.visitor, id, None);
            acts::report(hub, widget, event.with(&Act::End {})).await?;
            let status = ConversationStatus::Closed;
            Ok(Some(ServerFrame::Conversation { seq: 0, conversation_id, status, assignee: None }))
        }
    }
}

/// Another visitor's conversation sounds like none at all.
fn own(session: &Session, conversation_id: &str) -> Result<(), Refused> {
    match session.visitor.conversation() == conversation_id {
        true => Ok(()),
        false => Err(Refused::bad("there is no such conversation")),
    }
}

async fn written(hub: &Hub, widget: &Widget, session: &Session, message: NewMessage) -> Result<ServerFrame, Refused> {
    let NewMessage { client_id, conversation_id, text, attachments, reply_to } = message;
    check_key(&client_id)?;
    if let Some(id) = conversation_id {
        own(session, &id)?;
    }
    let at = widget.site.ports.clock.now();
    if let Some(before) = stored(widget, session, &client_id).await? {
        return Ok(ack(&client_id, &before, session));
    }
    let text = plain_text(&text.unwrap_or_default());
    if !TEXT.fits(&text) {
        return Err(Refused::new(Code::TooLarge, format!("a text has at most {} characters", TEXT.max())));
    }
    if text.trim().is_empty() && attachments.is_empty() {
        return Err(Refused::bad("a message has a text or files"));
    }
    if attachments.len() > usize::from(FILES) {
        return Err(Refused::bad(format!("a message has at most {FILES} files")));
    }
    if reply_to.as_ref().is_some_and(|id| id.is_empty() || id.len() > 200 || id.chars().any(char::is_control)) {
        return Err(Refused::bad("`reply_to` is the id of a message"));
    }
    let mut files = Vec::with_capacity(attachments.len());
    for upload in &attachments {
        files.push(upload::find(hub, widget, session, upload).await?);
    }
    let shown = Words { at, text: text.clone(), reply_to: reply_to.clone(), files: files.clone() };
    let id = message_id(session, &client_id);
    let act = Act::Message { message_id: id.clone(), text, attachments: files, reply_to };
    say(hub, widget, session, (client_id, id), shown, &act).await
}

async fn pressed(
    hub: &Hub,
    widget: &Widget,
    session: &Session,
    (of, payload, client_id): (String, String, Option<String>),
) -> Result<ServerFrame, Refused> {
    let client_id = match client_id {
        Some(client_id) => {
            check_key(&client_id)?;
            client_id
        }
        // One press of a button counts.
        None => format!("b:{of}:{payload}"),
    };
    let at = widget.site.ports.clock.now();
    if let Some(before) = stored(widget, session, &client_id).await? {
        return Ok(ack(&client_id, &before, session));
    }
    let label = label_of(hub, widget, session, &of, &payload).await?;
    let shown = Words { at, text: label.clone(), reply_to: Some(of.clone()), files: Vec::new() };
    let id = message_id(session, &client_id);
    let act = Act::Button { message_id: id.clone(), of, label, payload };
    say(hub, widget, session, (client_id, id), shown, &act).await
}

/// What a button says that was shown to this visitor.
async fn label_of(hub: &Hub, widget: &Widget, session: &Session, of: &str, payload: &str) -> Result<String, Refused> {
    let buttons: Vec<Button> = match widget.site.ports.mailbox.event(&session.mailbox, of).await? {
        Some(entry) => match serde_json::from_value(entry.data) {
            Ok(ServerFrame::Message { message, .. }) => message.buttons,
            _ => Vec::new(),
        },
        None => exchanged(hub, widget, session, of).await?.map(|message| message.buttons).unwrap_or_default(),
    };
    let pressed = buttons.into_iter().find(|button| button.payload.as_deref() == Some(payload));
    pressed.map(|button| button.label).ok_or_else(|| Refused::bad("there is no such button"))
}

/// What the visitor's own tabs are shown of a message.
struct Words {
    /// When it came, before it was known whether it had come before: what is sent again over another line, and still on its way over
    /// the old one, would else have a time after what was sent next.
    at: OffsetDateTime,
    text: String,
    reply_to: Option<String>,
    files: Vec<SentFile>,
}

/// Stores a message: for the desk first, then for the visitor's own tabs.
async fn say(
    hub: &Hub,
    widget: &Widget,
    session: &Session,
    (client_id, id): (String, String),
    words: Words,
    act: &Act,
) -> Result<ServerFrame, Refused> {
    hub.take(What::Messages, &session.mailbox, 1.0)?;
    if !session.verified() {
        hub.take(What::Unverified, &session.mailbox, 1.0)?;
    }
    acts::unless_blocked(hub, widget, &session.visitor).await?;
    let event_id = format!("m:{}:{client_id}", session.visitor.id());
    let event = acts::event(widget, &session.visitor, event_id, session.profile.clone());
    let event = VisitorEvent { at: words.at, ..event };
    let created_at = to_the_millisecond(event.at);
    acts::report(hub, widget, event.with(act)).await?;
    let message = Message {
        id,
        client_id: Some(client_id.clone()),
        from: From { kind: FromKind::Visitor, name: None, avatar: None },
        text: words.text,
        format: Format::Plain,
        attachments: words.files.into_iter().map(sent_file).collect(),
        buttons: Vec::new(),
        reply_to: words.reply_to,
        invitation: false,
        created_at,
    };
    let frame = ServerFrame::Message { seq: 0, conversation_id: session.visitor.conversation(), message };
    let data = serde_json::to_value(&frame).map_err(|_| Refused::bad("it can't be stored"))?;
    let event = MailboxEvent { key: own_key(&client_id), data };
    let appended = widget.site.ports.mailbox.append(&session.mailbox, vec![event]).await?;
    let entry = appended.first().ok_or_else(|| Refused::bad("it can't be stored"))?;
    Ok(ack(&client_id, entry, session))
}

fn sent_file(file: SentFile) -> File {
    let kind = crate::capabilities::kind_of(&file.mime).unwrap_or(transom_domain::MediaKind::Document);
    File {
        id: Some(file.id.to_string()),
        kind: kind.as_str().to_owned(),
        name: file.name,
        mime: Some(file.mime),
        size: Some(file.size),
        url: None,
    }
}

/// Under which key the visitor's own messages stand in the mailbox.
fn own_key(client_id: &str) -> String {
    format!("c:{client_id}")
}

async fn stored(widget: &Widget, session: &Session, client_id: &str) -> Result<Option<MailboxEntry>, Refused> {
    Ok(widget.site.ports.mailbox.event(&session.mailbox, &own_key(client_id)).await?)
}

/// The answer to a message, the same whenever it is repeated.
fn ack(client_id: &str, entry: &MailboxEntry, session: &Session) -> ServerFrame {
    let created_at = entry.data.pointer("/message/created_at").and_then(Value::as_str);
    let at =
        created_at.and_then(|at| time::OffsetDateTime::parse(at, &time::format_description::well_known::Rfc3339).ok());
    ServerFrame::Ack {
        client_id: client_id.to_owned(),
        message_id: message_id(session, client_id),
        seq: entry.seq,
        created_at: at.unwrap_or(entry.at),
    }
}

/// The id of a visitor's message: the same for the same key, so that a repeat on another replica has no other.
fn message_id(session: &Session, client_id: &str) -> String {
    let digest = Sha256::new().chain_update(&session.mailbox).chain_update([0]).chain_update(client_id).finalize();
    format!("m_{}", hex::encode(digest.get(..16).unwrap_or_default()))
}

fn check_key(client_id: &str) -> Result<(), Refused> {
    let is_key = (1..=LONGEST_KEY).contains(&client_id.len()) && client_id.bytes().all(|byte| byte.is_ascii_graphic());
    if is_key { Ok(()) } else { Err(Refused::bad("`client_id` is a UUID of your own, the same on every repeat")) }
}

/// Without characters that nobody can see or store; lines stay lines.
fn plain_text(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// The visitor's side has every event up to a number: what the business wrote has arrived.
pub(super) async fn acknowledged(hub: &Hub, widget: &Widget, session: &Session, seq: u64) -> Result<(), Refused> {
    let mailbox = &widget.site.ports.mailbox;
    let stands = mailbox.read_after(&session.mailbox, u64::MAX, 0).await?;
    if seq > stands.last_seq {
        return Err(Refused::bad("there is no event of that number"));
    }
    let mut from = stands.acked_seq;
    while from < seq {
        let page = mailbox.read_after(&session.mailbox, from, AT_ONCE).await?;
        let Some(newest) = page.entries.last().map(|entry| entry.seq) else { break };
        for entry in page.entries.into_iter().filter(|entry| entry.seq <= seq) {
            let Ok(ServerFrame::Message { message, .. }) = serde_json::from_value(entry.data) else { continue };
            if message.from.kind != FromKind::Visitor {
                let id = format!("d:{}:{}", session.visitor.id(), message.id);
                let event = acts::event(widget, &session.visitor, id, None);
                acts::report(hub, widget, event.with(&Act::Delivered { message_id: message.id })).await?;
            }
        }
        from = newest;
    }
    if seq > stands.acked_seq {
        // Stored last: what was not told is told again, and counts once.
        mailbox.ack(&session.mailbox, seq).await?;
    }
    Ok(())
}

/// The visitor saw every message up to one.
async fn seen(hub: &Hub, widget: &Widget, session: &Session, up_to: String) -> Result<(), Refused> {
    let sent_at = match widget.site.ports.mailbox.event(&session.mailbox, &up_to).await? {
        Some(entry) => entry.at,
        None => match exchanged(hub, widget, session, &up_to).await? {
            Some(message) if message.from.kind == FromKind::Visitor => return Ok(()),
            Some(message) => message.created_at,
            None => return Err(Refused::bad("there is no such message")),
        },
    };
    let event = acts::event(widget, &session.visitor, format!("r:{}:{up_to}", session.visitor.id()), None);
    acts::report(hub, widget, event.with(&Act::Read { up_to, sent_at })).await
}

async fn left_address(hub: &Hub, widget: &Widget, session: &Session, address: &str) -> Result<(), Refused> {
    let address = plain_line(address);
    let (local, domain) = address.rsplit_once('@').unwrap_or_default();
    if local.is_empty() || !domain.contains('.') || address.contains(char::is_whitespace) {
        return Err(Refused::bad("that is no email address"));
    }
    let id = format!("e:{}:{address}", session.visitor.id());
    let profile = ClaimedProfile { email: Some(address), ..session.profile.clone().unwrap_or_default() };
    let event = acts::event(widget, &session.visitor, id, Some(profile));
    acts::report(hub, widget, event.with(&Act::Email {})).await
}

/// A message of the newest history, where the mailbox does not have it any more.
async fn exchanged(hub: &Hub, widget: &Widget, session: &Session, id: &str) -> Result<Option<Message>, Refused> {
    let found = hub.host.history(&widget.site, &[session.visitor.address()], None, PAGE).await?;
    Ok(found.into_iter().find(|found| found.provider_id == id).and_then(view))
}

async fn earlier(
    hub: &Hub,
    widget: &Widget,
    session: &Session,
    before: Option<&str>,
    limit: Option<u16>,
) -> Result<ServerFrame, Refused> {
    hub.take(What::Fetches, &session.mailbox, 1.0)?;
    let before = before.map(str::parse::<MessageId>).transpose();
    let before = before.map_err(|_| Refused::bad("`before` is what the page before said"))?;
    let limit = limit.unwrap_or(PAGE).clamp(1, PAGE);
    let found = hub.host.history(&widget.site, &[session.visitor.address()], before, limit).await?;
    let next = (found.len() >= usize::from(limit)).then(|| found.last().map(|last| last.message.to_string())).flatten();
    let mut messages: Vec<Message> = found.into_iter().filter_map(view).collect();
    messages.reverse();
    if before.is_none() {
        add_newest(widget, session, &mut messages).await?;
    }
    for message in &mut messages {
        address_files(hub, widget, message);
    }
    Ok(ServerFrame::History { conversation_id: session.visitor.conversation(), messages, before: next })
}

/// Adds what the mailbox has and the desk does not know yet: what was written or sent just now.
async fn add_newest(widget: &Widget, session: &Session, messages: &mut Vec<Message>) -> Result<(), Refused> {
    let mailbox = &widget.site.ports.mailbox;
    let last = mailbox.read_after(&session.mailbox, u64::MAX, 0).await?.last_seq;
    let newest = mailbox.read_after(&session.mailbox, last.saturating_sub(u64::from(PAGE)), u32::from(PAGE)).await?;
    let message = |entry: MailboxEntry| match serde_json::from_value(entry.data) {
        Ok(ServerFrame::Message { message, .. }) => Some(message),
        _ => None,
    };
    let newest: Vec<Message> = newest.entries.into_iter().filter_map(message).collect();
    let is_known = |message: &Message| messages.iter().any(|known| known.id == message.id);
    // What stands before the first that the page has is on the next one. By place: the desk's time of a message is when it was
    // written, the mailbox's when it was sent.
    let from = newest.iter().position(is_known).unwrap_or_default();
    let news: Vec<Message> = newest.into_iter().skip(from).filter(|message| !is_known(message)).collect();
    messages.extend(news);
    messages.sort_by_key(|message| message.created_at);
    Ok(())
}

fn view(exchanged: Exchanged) -> Option<Message> {
    let (text, attachments, buttons) = shown(&exchanged.content)?;
    let kind = match exchanged.from {
        Exchanger::Visitor => FromKind::Visitor,
        Exchanger::Agent => FromKind::Agent,
        Exchanger::Bot => FromKind::Bot,
    };
    Some(Message {
        id: exchanged.provider_id,
        client_id: None,
        from: From { kind, name: exchanged.sender_name, avatar: None },
        text,
        format: Format::Plain,
        attachments,
        buttons,
        reply_to: exchanged.content.reply_to,
        invitation: false,
        created_at: exchanged.at,
    })
}

/// Events of a mailbox as frames, with addresses of their files that work for a while.
pub(super) fn frames(hub: &Hub, widget: &Widget, entries: Vec<MailboxEntry>) -> Vec<(u64, ServerFrame)> {
    let frame = |entry: MailboxEntry| {
        let mut frame = match serde_json::from_value::<ServerFrame>(entry.data) {
            Ok(frame) => frame.numbered(entry.seq),
            Err(_) => {
                // Of a newer version, most likely.
                tracing::warn!(seq = entry.seq, "an event that this version can't read");
                return None;
            }
        };
        if let ServerFrame::Message { message, .. } | ServerFrame::MessageUpdated { message, .. } = &mut frame {
            address_files(hub, widget, message);
        }
        Some((entry.seq, frame))
    };
    entries.into_iter().filter_map(frame).collect()
}

fn address_files(hub: &Hub, widget: &Widget, message: &mut Message) {
    for file in &mut message.attachments {
        let id = file.id.as_deref().and_then(|id| id.parse().ok());
        if let Some(url) = id.and_then(|id| hub.host.file_url(&widget.site, id)) {
            file.url = Some(url.into());
        }
    }
}

/// `POST messages`: one frame over HTTP.
pub(super) async fn take(hub: Arc<Hub>, widget: Arc<Widget>, mut request: Request) -> Result<Response, Refused> {
    let session = session::of_request(&widget, &request).await?;
    let mut frame: Value = super::body(&mut request).await?;
    if let Some(object) = frame.as_object_mut() {
        object.entry("type").or_insert_with(|| "message".into());
    }
    let frame = ClientFrame::read(frame)?;
    Ok(match act(&hub, &widget, &session, frame).await? {
        Some(answer) => super::json(StatusCode::OK, &answer),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

impl ClientFrame {
    /// A frame out of JSON; what is wrong with it is told without its words.
    pub(super) fn read(frame: Value) -> Result<Self, Refused> {
        serde_json::from_value(frame)
            .map_err(|_| Refused::bad("no frame of this protocol: an unknown `type`, or a field is wrong"))
    }
}

/// `GET history`.
pub(super) async fn history(hub: Arc<Hub>, widget: Arc<Widget>, request: Request) -> Result<Response, Refused> {
    let session = session::of_request(&widget, &request).await?;
    let limit = parameter(&request, "limit").map(|limit| limit.parse()).transpose();
    let limit = limit.map_err(|_| Refused::bad("`limit` is a number up to 50"))?;
    let found = earlier(&hub, &widget, &session, parameter(&request, "before").as_deref(), limit).await?;
    Ok(super::json(StatusCode::OK, &found))
}
