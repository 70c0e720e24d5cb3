//! Takes messages: `POST /{page or account}/messages`.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::errors::GraphError;
use super::page::{self, Comments, PageSettings};
use super::{Side, files, receipts};
use crate::chats::{Author, Button, ChatKey, Entry, Link, Progress};
use crate::http::Reply;
use crate::ledger::Send;
use crate::platforms::whatsapp::fill::{self, Filled};
use crate::sandbox::Shared;
use crate::world::World;

/// By what right a message says that it leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::platforms) struct Claim {
    pub(in crate::platforms) messaging_type: Option<String>,
    pub(in crate::platforms) tag: Option<String>,
    /// An approved template; its category.
    pub(in crate::platforms) template: Option<String>,
    /// The comment or post that it answers in private.
    pub(in crate::platforms) answers: Option<String>,
    /// It puts an emoji to a message.
    pub(in crate::platforms) is_action: bool,
}

/// What is sent, as far as it was understood.
#[derive(Debug, Default)]
struct Outgoing {
    kind: String,
    text: String,
    header: Option<String>,
    footer: Option<String>,
    buttons: Vec<Button>,
    links: Vec<Link>,
    /// Kind of each file, and where it is.
    files: Vec<(String, FileAt)>,
}

#[derive(Debug)]
enum FileAt {
    Url(String),
    Id(String),
}

fn word<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

pub(super) async fn messages(shared: &Shared, side: &'static Side, account: &str, body: &Value) -> Reply {
    let outgoing = match understood(side, body) {
        Ok(outgoing) => outgoing,
        Err(error) => return error.reply(),
    };
    // What lies behind links is fetched before anything is decided, so that one failure is one refusal.
    let mut fetched = Vec::new();
    for (kind, at) in &outgoing.files {
        if let FileAt::Url(url) = at {
            match files::fetched(shared, url).await {
                Ok(file) => fetched.push((kind.clone(), file)),
                Err(error) => return error.reply(),
            }
        }
    }
    let mut world = shared.world();
    let kept: Result<Vec<String>, GraphError> =
        fetched.into_iter().map(|(kind, file)| files::keep(&mut world, side, account, &kind, file)).collect();
    kept.and_then(|kept| accept(&mut world, side, account, body, outgoing, &kept)).unwrap_or_else(|error| error.reply())
}

/// The message of a request, held against the documents.
fn understood(side: &Side, body: &Value) -> Result<Outgoing, GraphError> {
    let message = body.get("message").filter(|message| !message.is_null());
    let action = word(body, "sender_action");
    let message = match (message, action) {
        (Some(_), Some(_)) => {
            return Err(GraphError::sub(100, 2_018_014, "A message and an action can't go in one call"));
        }
        (None, None) => return Err(GraphError::parameter("message", "it is needed")),
        (None, Some(action)) => return Ok(Outgoing { kind: action.to_owned(), ..Outgoing::default() }),
        (Some(message), None) => message,
    };
    if word(message, "metadata").is_some_and(|metadata| metadata.chars().count() >= 1_000) {
        return Err(GraphError::parameter("metadata", "less than 1000 characters"));
    }
    if message.get("template").is_some() {
        return Ok(Outgoing { kind: "template".to_owned(), ..Outgoing::default() });
    }
    let text = word(message, "text").unwrap_or_default().to_owned();
    if (side.too_long)(&text) {
        return Err(GraphError::new(100, "Length of param message[text] is over the limit"));
    }
    let attached: Vec<&Value> = match message.get("attachment").or_else(|| message.get("attachments")) {
        None => Vec::new(),
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
    };
    if !text.is_empty() && !attached.is_empty() {
        return Err(GraphError::parameter("message", "text and attachment can't go together"));
    }
    if attached.len() > 10 {
        return Err(GraphError::parameter("attachments", "at most 10"));
    }
    let mut outgoing = Outgoing { kind: "text".to_owned(), text, ..Outgoing::default() };
    for attachment in attached {
        attach(side, &mut outgoing, attachment)?;
    }
    quick_replies(&mut outgoing, message)?;
    if outgoing.text.is_empty() && outgoing.files.is_empty() {
        return Err(GraphError::parameter("message", "it must not be empty"));
    }
    Ok(outgoing)
}

fn attach(side: &Side, outgoing: &mut Outgoing, attachment: &Value) -> Result<(), GraphError> {
    let kind = word(attachment, "type").unwrap_or_default();
    let payload = attachment.get("payload").unwrap_or(&Value::Null);
    match kind {
        "template" if word(payload, "template_type") == Some("button") => {
            "template".clone_into(&mut outgoing.kind);
            word(payload, "text").unwrap_or_default().clone_into(&mut outgoing.text);
            if outgoing.text.chars().count() > 640 {
                return Err(GraphError::parameter("text", "at most 640 characters above buttons"));
            }
            let buttons = payload.get("buttons").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if !(1..=3).contains(&buttons.len()) {
                return Err(GraphError::parameter("buttons", "one to three"));
            }
            for button in buttons {
                let made = button_of(word(button, "payload").unwrap_or_default(), word(button, "title"), false)?;
                match word(button, "url") {
                    Some(url) => outgoing.links.push(Link::new(made.text, url)),
                    None => outgoing.buttons.push(made),
                }
            }
            Ok(())
        }
        "image" | "video" | "audio" | "file" => {
            if !outgoing.files.is_empty() && (!side.is_instagram || kind != "image") {
                return Err(GraphError::parameter("attachments", "several images alone go together"));
            }
            kind.clone_into(&mut outgoing.kind);
            let at = match (word(payload, "url"), word(payload, "attachment_id")) {
                (Some(url), None) => FileAt::Url(url.to_owned()),
                (None, Some(id)) => FileAt::Id(id.to_owned()),
                _ => return Err(GraphError::parameter("payload", "either url or attachment_id")),
            };
            outgoing.files.push((kind.to_owned(), at));
            Ok(())
        }
        other => Err(GraphError::parameter("type", &format!("`{other}` is none"))),
    }
}

fn quick_replies(outgoing: &mut Outgoing, message: &Value) -> Result<(), GraphError> {
    let replies = message.get("quick_replies").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if replies.len() > 13 {
        return Err(GraphError::parameter("quick_replies", "at most 13"));
    }
    for reply in replies {
        outgoing.buttons.push(button_of(word(reply, "payload").unwrap_or_default(), word(reply, "title"), true)?);
    }
    Ok(())
}

/// `choice`: a quick reply, which comes back as a message.
fn button_of(data: &str, title: Option<&str>, choice: bool) -> Result<Button, GraphError> {
    let text = title.unwrap_or_default();
    if text.is_empty() || text.chars().count() > 20 {
        return Err(GraphError::parameter("title", "1 to 20 characters"));
    }
    if data.chars().count() > 1_000 {
        return Err(GraphError::parameter("payload", "at most 1000 characters"));
    }
    Ok(Button { data: data.to_owned(), text: text.to_owned(), choice })
}

fn accept(
    world: &mut World,
    side: &'static Side,
    account: &str,
    body: &Value,
    mut outgoing: Outgoing,
    kept: &[String],
) -> Result<Reply, GraphError> {
    let settings = page::settings(world, account).map_err(|_| GraphError::no_such_object())?;
    let now = world.now();
    let (customer, answers) = addressee(world, side, account, body)?;
    let key = ChatKey::direct(account, &customer);
    let mut claim = Claim {
        messaging_type: word(body, "messaging_type").map(str::to_owned),
        tag: word(body, "tag").map(str::to_owned),
        template: None,
        answers,
        is_action: word(body, "sender_action").is_some(),
    };
    if let Some(template) = body.pointer("/message/template").filter(|_| !side.is_instagram) {
        let filled: Filled =
            fill::fill(world, account, template).map_err(|error| GraphError::new(100, error.details))?;
        (outgoing.text, claim.template) = (filled.text, Some(filled.category));
        (outgoing.header, outgoing.footer) = (filled.parts.header, filled.parts.footer);
        (outgoing.buttons, outgoing.links) = (filled.parts.buttons, filled.parts.links);
    }
    if page::is_too_fast(world, account, now) {
        return Err(GraphError::new(613, "Calls to this api have exceeded the rate limit."));
    }
    stands_between(world, side, &key, &settings)?;
    (side.judge)(world, &key, &claim, now)?;
    if claim.is_action {
        return act_on(world, side, &key, body, &settings, now);
    }
    let mut media = kept.first().cloned();
    for (kind, at) in &outgoing.files {
        if let FileAt::Id(id) = at {
            let file = files::uploaded(world, account, id)?;
            (side.fits)(kind, &file.mime, file.bytes.len())?;
            media = media.or_else(|| Some(id.clone()));
        }
    }
    let quoted = body.pointer("/reply_to/mid").and_then(Value::as_str);
    if quoted.is_some_and(|mid| world.chats.get(&key).is_none_or(|chat| chat.entry(mid).is_none())) {
        return Err(GraphError::parameter("reply_to", "no such message in this conversation"));
    }

    let message = format!("{}{:012X}{:08X}", side.mid, world.names.seed(), world.names.number());
    let mut entry = Entry::new(&message, Author::Business, now, &outgoing.kind, &outgoing.text);
    (entry.media, entry.reply_to) = (media, quoted.map(str::to_owned));
    (entry.header, entry.footer) = (outgoing.header.clone(), outgoing.footer.clone());
    (entry.buttons, entry.links) = (outgoing.buttons.clone(), outgoing.links.clone());
    let send = booked(world, side, &key, body, &claim, &outgoing, vec![message.clone()], now);
    world.accept(&key, send, vec![entry]);
    if let Some(reference) = &claim.answers
        && let Some(comment) = world.shelves.of::<Comments>().0.get_mut(&(account.to_owned(), reference.clone()))
    {
        comment.answered = true;
    }
    receipts::echo(world, side, &key, &message, body);
    receipts::schedule(world, side, &key, &message);
    let recipient = world.customers.get(&customer).map(|one| one.address(side.name).to_owned());
    Ok(Reply::json(200, &json!({"recipient_id": recipient, "message_id": message})))
}

#[expect(clippy::too_many_arguments, reason = "one private step of `accept`, cut off for its length")]
fn booked(
    world: &World,
    side: &Side,
    key: &ChatKey,
    body: &Value,
    claim: &Claim,
    outgoing: &Outgoing,
    provider_ids: Vec<String>,
    now: OffsetDateTime,
) -> Send {
    let recipient = body.get("recipient").map(Value::to_string).unwrap_or_default();
    Send {
        seq: 0,
        at: now,
        platform: side.name.to_owned(),
        account: key.account.clone(),
        customer: key.customer.clone(),
        recipient,
        via: None,
        provider_ids,
        method: "messages".to_owned(),
        kind: outgoing.kind.clone(),
        category: claim.template.clone(),
        text: outgoing.text.clone(),
        body: body.clone(),
        window: (side.window)(world, key, claim.tag.as_deref(), now),
        counted: claim.answers.is_some(),
        answered: true,
        receipt: Progress::Accepted,
        failed: None,
    }
}

/// Whom it is for, and the comment or post that it answers.
fn addressee(
    world: &mut World,
    side: &Side,
    account: &str,
    body: &Value,
) -> Result<(String, Option<String>), GraphError> {
    let recipient = body.get("recipient").unwrap_or(&Value::Null);
    if let Some(id) = word(recipient, "id") {
        let customer = world.customer_at(side.name, id).map(|customer| customer.id.clone());
        let unknown = if side.is_instagram { 2_534_014 } else { 2_018_001 };
        return match customer {
            Some(customer) => Ok((customer, None)),
            None => Err(GraphError::sub(100, unknown, "No matching user found")),
        };
    }
    let (reference, is_post) = match (word(recipient, "comment_id"), word(recipient, "post_id")) {
        (Some(comment), None) => (comment, false),
        (None, Some(post)) if !side.is_instagram => (post, true),
        _ => return Err(GraphError::parameter("recipient", "id, comment_id or post_id")),
    };
    let comment = world.shelves.of::<Comments>().0.get(&(account.to_owned(), reference.to_owned()));
    match comment.filter(|comment| comment.is_post == is_post) {
        Some(comment) => Ok((comment.customer.clone(), Some(reference.to_owned()))),
        None if side.is_instagram => Err(GraphError::sub(100, 2_534_025, "The comment is invalid for a private reply")),
        None => Err(GraphError::no_such_object()),
    }
}

/// What is no question of windows: who left, who blocked, and who has the thread.
fn stands_between(world: &World, side: &Side, key: &ChatKey, settings: &PageSettings) -> Result<(), GraphError> {
    let gone = world.customers.get(&key.customer).is_some_and(|one| one.unreachable_on.contains(side.name));
    if gone || world.chats.get(key).is_some_and(|chat| chat.blocked) {
        return Err(GraphError::sub(551, 1_545_041, "This person isn't available right now"));
    }
    if !settings.thread_owner {
        let not_owner = if side.is_instagram {
            GraphError::sub(100, 2_534_037, "Not the thread owner")
        } else {
            GraphError::new(2_018_300, "Message failed to send because another app is controlling this thread now")
        };
        return Err(not_owner);
    }
    Ok(())
}

/// Typing, seen, and emojis put to messages.
fn act_on(
    world: &mut World,
    side: &Side,
    key: &ChatKey,
    body: &Value,
    settings: &PageSettings,
    now: OffsetDateTime,
) -> Result<Reply, GraphError> {
    let recipient = world.customers.get(&key.customer).map(|one| one.address(side.name).to_owned());
    let answer = Reply::json(200, &json!({"recipient_id": recipient}));
    let action = word(body, "sender_action").unwrap_or_default();
    let emoji = match action {
        "typing_on" | "typing_off" | "mark_seen" => return Ok(answer),
        "react" => Some(body.pointer("/payload/reaction").and_then(Value::as_str).unwrap_or("love")),
        "unreact" => None,
        _ => return Err(GraphError::parameter("sender_action", "no such action")),
    };
    let target = body.pointer("/payload/message_id").and_then(Value::as_str).unwrap_or_default();
    let entry = world.chat_mut(key).entry_mut(target);
    let entry = entry.ok_or_else(|| GraphError::parameter("message_id", "no such message in this conversation"))?;
    match emoji {
        Some(emoji) => entry.reactions.insert(settings.name.clone(), emoji.to_owned()),
        None => entry.reactions.remove(&settings.name),
    };
    let text = format!("(reacted {})", emoji.unwrap_or("no more"));
    let outgoing = Outgoing { kind: action.to_owned(), text, ..Outgoing::default() };
    let claim = Claim { is_action: true, ..Claim::default() };
    let send = booked(world, side, key, body, &claim, &outgoing, Vec::new(), now);
    world.accept(key, send, Vec::new());
    Ok(answer)
}

/// What a message carried, for a webhook: fields that are there.
pub(super) fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}
