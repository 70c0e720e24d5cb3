//! The methods that send.

use serde_json::{Map, Value, json};

use super::bot::{Connection, bot, next_message, user};
use super::entities::{self, units};
use super::errors::{BotError, ok};
use super::files::{self, Given, Kind};
use super::params::{Params, number};
use super::rules::{Target, permission};
use crate::chats::{Author, Button, Entry, Link, Progress};
use crate::http::Reply;
use crate::ledger::Send;
use crate::sandbox::Shared;
use crate::world::World;

/// The sending methods in the reference's spelling. The server takes any.
const METHODS: [&str; 17] = [
    "sendMessage",
    "sendPhoto",
    "sendAudio",
    "sendDocument",
    "sendVideo",
    "sendAnimation",
    "sendVoice",
    "sendVideoNote",
    "sendSticker",
    "sendMediaGroup",
    "sendLocation",
    "sendVenue",
    "sendContact",
    "sendPoll",
    "sendDice",
    "copyMessage",
    "forwardMessage",
];

fn spelt(method: &str) -> &str {
    METHODS.into_iter().find(|known| known.eq_ignore_ascii_case(method)).unwrap_or(method)
}

/// Content on its way into a chat.
#[derive(Debug, Default)]
struct Draft {
    /// The message's field that says what it is.
    kind: String,
    /// The fields of the message.
    fields: Map<String, Value>,
    /// What the customer reads.
    text: String,
    file: Option<String>,
}

impl Draft {
    fn field(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }
}

/// Carries a sending method out.
pub(super) async fn send(shared: &Shared, account: &str, method: &str, params: &Params) -> Result<Reply, BotError> {
    match method {
        "sendmessage" => {
            let draft = text_draft(params)?;
            deliver_one(&mut shared.world(), account, method, params, draft)
        }
        "sendlocation" | "sendvenue" | "sendcontact" | "senddice" | "sendpoll" => {
            let draft = plain_draft(method, params)?;
            deliver_one(&mut shared.world(), account, method, params, draft)
        }
        "sendmediagroup" => album(shared, account, params).await,
        "copymessage" | "forwardmessage" => copy(&mut shared.world(), account, method, params),
        _ => {
            let name = method.strip_prefix("send").unwrap_or_default();
            let name = if name == "videonote" { "video_note" } else { name };
            let kind = files::kind(name).ok_or_else(BotError::not_found)?;
            // A caption that is too long is refused before a link is fetched.
            let caption = caption(
                params.text("caption"),
                params.text("parse_mode").as_deref(),
                params.nested("caption_entities")?,
            )?;
            let given = files::given(shared, params, kind, params.text(kind.name)).await?;
            let mut world = shared.world();
            Target::find(&mut world, account, params)?;
            let draft = file_draft(&mut world, account, kind, given, caption)?;
            deliver_one(&mut world, account, method, params, draft)
        }
    }
}

/// The text of `sendMessage` and `editMessageText`, within 4096 units after its formatting is read.
pub(super) fn checked_text(params: &Params) -> Result<(String, Vec<Value>), BotError> {
    let source = params.text("text").unwrap_or_default();
    let (text, mut found) = entities::parse(&source, params.text("parse_mode").as_deref())?;
    if text.trim().is_empty() {
        return Err(BotError::bad("message text is empty"));
    }
    if units(&text) > 4_096 {
        return Err(BotError::bad("message is too long"));
    }
    if let Some(Value::Array(given)) = params.nested("entities")? {
        found = given;
    }
    Ok((text, found))
}

fn text_draft(params: &Params) -> Result<Draft, BotError> {
    let (text, found) = checked_text(params)?;
    let draft = Draft { kind: "text".to_owned(), text: text.clone(), ..Draft::default() }.field("text", json!(text));
    Ok(if found.is_empty() { draft } else { draft.field("entities", Value::Array(found)) })
}

type Caption = Option<(String, Vec<Value>)>;

fn caption(source: Option<String>, mode: Option<&str>, given: Option<Value>) -> Result<Caption, BotError> {
    let Some(source) = source.filter(|source| !source.is_empty()) else { return Ok(None) };
    let (text, mut found) = entities::parse(&source, mode)?;
    if units(&text) > 1_024 {
        return Err(BotError::bad("message caption is too long"));
    }
    if let Some(Value::Array(given)) = given {
        found = given;
    }
    Ok(Some((text, found)))
}

fn file_draft(world: &mut World, account: &str, kind: Kind, given: Given, caption: Caption) -> Result<Draft, BotError> {
    let (id, described) = files::keep(world, account, kind, given)?;
    let mut draft = Draft { kind: kind.name.to_owned(), file: Some(id), ..Draft::default() };
    // An animation is also shown to programs that know documents only.
    if kind.name == "animation" {
        draft = draft.field("document", described.clone());
    }
    draft = draft.field(kind.name, described);
    if let Some((text, found)) = caption {
        draft.text.clone_from(&text);
        draft = draft.field("caption", json!(text));
        if !found.is_empty() {
            draft = draft.field("caption_entities", Value::Array(found));
        }
    }
    Ok(draft)
}

fn plain_draft(method: &str, params: &Params) -> Result<Draft, BotError> {
    let place = || -> Result<Value, BotError> {
        let degrees = |name: &str, most: f64| {
            params
                .decimal(name)
                .filter(|degrees| degrees.abs() <= most)
                .ok_or_else(|| BotError::bad(&format!("bad {name}")))
        };
        Ok(json!({"latitude": degrees("latitude", 90.0)?, "longitude": degrees("longitude", 180.0)?}))
    };
    let named = |kind: &str, text: String, content: Value| {
        Draft { kind: kind.to_owned(), text, ..Draft::default() }.field(kind, content)
    };
    Ok(match method {
        "sendlocation" => {
            let place = place()?;
            named("location", place.to_string(), place)
        }
        "sendvenue" => {
            let (place, title, address) = (place()?, params.needed("title")?, params.needed("address")?);
            let venue = json!({"location": place, "title": title, "address": address});
            named("venue", format!("{title}, {address}"), venue).field("location", place)
        }
        "sendcontact" => {
            let (phone, name) = (params.needed("phone_number")?, params.needed("first_name")?);
            let card = json!({"phone_number": phone, "first_name": name});
            named("contact", format!("{name}, {phone}"), card)
        }
        "sendpoll" => {
            let (question, options) = (params.needed("question")?, params.nested("options")?.unwrap_or_default());
            let poll = json!({"id": "1", "question": question, "options": options, "total_voter_count": 0, "is_closed": false});
            named("poll", question, poll)
        }
        _ => named("dice", "🎲".to_owned(), json!({"emoji": "🎲", "value": 4})),
    })
}

async fn album(shared: &Shared, account: &str, params: &Params) -> Result<Reply, BotError> {
    let Some(Value::Array(items)) = params.nested("media")? else {
        return Err(BotError::bad("parameter \"media\" is required"));
    };
    if !(2..=10).contains(&items.len()) {
        return Err(BotError::bad("wrong number of media: an album has 2 to 10"));
    }
    let text = |item: &Value, name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut parts = Vec::new();
    for item in &items {
        let kind = text(item, "type").and_then(|name| files::kind(&name));
        let kind = kind.filter(|kind| matches!(kind.name, "photo" | "video" | "document" | "audio"));
        let kind = kind.ok_or_else(|| BotError::bad("wrong type of media in an album"))?;
        let caption =
            caption(text(item, "caption"), text(item, "parse_mode").as_deref(), item.get("caption_entities").cloned())?;
        let value = text(item, "media").ok_or_else(|| BotError::bad("media not found"))?;
        parts.push((kind, files::given(shared, params, kind, Some(value)).await?, caption));
    }
    let alone = |name: &str| {
        parts.iter().any(|(kind, ..)| kind.name == name) && parts.iter().any(|(kind, ..)| kind.name != name)
    };
    if alone("document") || alone("audio") {
        return Err(BotError::bad("documents and audio can't be mixed with other media types"));
    }
    let mut world = shared.world();
    Target::find(&mut world, account, params)?;
    let group = world.names.number().to_string();
    let mut drafts = Vec::new();
    for (kind, given, caption) in parts {
        drafts.push(file_draft(&mut world, account, kind, given, caption)?.field("media_group_id", json!(group)));
    }
    let sent = deliver(&mut world, account, "sendmediagroup", params, drafts)?;
    Ok(ok(&Value::Array(sent)))
}

fn copy(world: &mut World, account: &str, method: &str, params: &Params) -> Result<Reply, BotError> {
    let from = params.needed("from_chat_id")?;
    let id = params.number("message_id").ok_or_else(|| BotError::bad("message to copy not found"))?;
    let full = format!("{from}:{id}");
    let entry = world.chat_with(account, &full).and_then(|key| world.chats.get(&key)?.entry(&full).cloned());
    let entry = entry.ok_or_else(|| BotError::bad("message to copy not found"))?;
    let mut draft =
        Draft { kind: entry.kind.clone(), text: entry.text.clone(), file: entry.media.clone(), ..Draft::default() };
    if entry.kind == "text" {
        draft = draft.field("text", json!(entry.text));
    }
    if let (Some(kind), Some(file)) =
        (files::kind(&entry.kind), entry.media.as_ref().and_then(|id| world.files.get(id)))
    {
        let described = files::described(kind, file, &file.id);
        draft = draft.field(kind.name, described).field("caption", json!(entry.text));
    }
    let sent = deliver(world, account, method, params, vec![draft])?.pop().unwrap_or_default();
    Ok(ok(&if method == "copymessage" { json!({"message_id": sent.get("message_id")}) } else { sent }))
}

fn deliver_one(
    world: &mut World,
    account: &str,
    method: &str,
    params: &Params,
    draft: Draft,
) -> Result<Reply, BotError> {
    Ok(ok(&deliver(world, account, method, params, vec![draft])?.pop().unwrap_or_default()))
}

/// Puts drafts into a chat, all or none, as one entry of the ledger.
fn deliver(
    world: &mut World,
    account: &str,
    method: &str,
    params: &Params,
    drafts: Vec<Draft>,
) -> Result<Vec<Value>, BotError> {
    let now = world.now();
    let target = Target::find(world, account, params)?;
    let window = permission(world, &target, now)?;
    let markup = params.nested("reply_markup")?;
    let (buttons, links) = buttons(markup.as_ref())?;
    let reply_to = quoted(world, &target, params)?;
    let bot = bot(world, account).map_err(|_| BotError::not_found())?;
    bot.pace(target.chat_id, now)?;
    let me = bot.user();

    let (mut messages, mut entries, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let (mut kind, mut words) = (String::new(), Vec::new());
    for draft in drafts {
        let number = next_message(world, &target.key);
        let id = target.full_id(number);
        let mut entry = Entry::new(&id, Author::Business, now, &draft.kind, &draft.text);
        (entry.media, entry.reply_to) = (draft.file, reply_to.clone());
        (entry.buttons, entry.links) = (buttons.clone(), links.clone());
        // No receipts here: what is accepted is on the phone.
        entry.progress = Progress::Accepted;
        let mut message = shown(world, &target, &me, number, now.unix_timestamp());
        message.extend(draft.fields);
        if let Some(quoted) = reply_to.as_ref().and_then(|id| world.chats.get(&target.key)?.entry(id)) {
            message.insert("reply_to_message".to_owned(), stub(&target, quoted));
        }
        if let Some(markup) = markup.as_ref().filter(|markup| markup.get("inline_keyboard").is_some()) {
            message.insert("reply_markup".to_owned(), markup.clone());
        }
        messages.push(Value::Object(message));
        entries.push(entry);
        ids.push(id);
        kind = draft.kind;
        words.push(draft.text);
    }
    words.retain(|text| !text.is_empty());
    let send = Send {
        seq: 0,
        at: now,
        platform: "telegram".to_owned(),
        account: account.to_owned(),
        customer: target.key.customer.clone(),
        recipient: target.chat_id.to_string(),
        via: target.key.via.clone(),
        provider_ids: ids,
        method: spelt(method).to_owned(),
        kind,
        category: None,
        text: words.join("\n"),
        body: params.summary(),
        window,
        counted: false,
        answered: true,
        receipt: Progress::Accepted,
        failed: None,
    };
    world.accept(&target.key, send, entries);
    Ok(messages)
}

/// A message's usual fields. One for a business account is from its owner, through the bot.
fn shown(world: &World, target: &Target, me: &Value, number: i64, date: i64) -> Map<String, Value> {
    let mut message = Map::from_iter([
        ("message_id".to_owned(), json!(number)),
        ("from".to_owned(), me.clone()),
        ("chat".to_owned(), target.chat.clone()),
        ("date".to_owned(), json!(date)),
    ]);
    if let Some(Connection { id, owner, .. }) = &target.connection {
        message.insert("business_connection_id".to_owned(), json!(id));
        message.insert("sender_business_bot".to_owned(), me.clone());
        if let Some(owner) = world.customers.get(owner) {
            message.insert("from".to_owned(), user(owner));
        }
    }
    message
}

/// A message in short, where another one shows it.
pub(super) fn stub(target: &Target, entry: &Entry) -> Value {
    let number = entry.id.rsplit(':').next().and_then(|number| number.parse::<i64>().ok());
    json!({"message_id": number, "chat": target.chat, "date": entry.at.unix_timestamp(), "text": entry.text})
}

/// The message that a send quotes, by `reply_parameters` or its predecessor.
fn quoted(world: &World, target: &Target, params: &Params) -> Result<Option<String>, BotError> {
    let parameters = params.nested("reply_parameters")?;
    let field = |name: &str| parameters.as_ref().and_then(|parameters| parameters.get(name));
    let Some(message) = field("message_id").and_then(number).or_else(|| params.number("reply_to_message_id")) else {
        return Ok(None);
    };
    if target.connection.is_some() && field("chat_id").is_some() {
        return Err(BotError::bad("messages of other chats can't be replied to on behalf of a business account"));
    }
    let id = target.full_id(message);
    let entry = world.chats.get(&target.key).and_then(|chat| chat.entry(&id)).filter(|entry| !entry.deleted);
    let lenient = field("allow_sending_without_reply")
        .and_then(Value::as_bool)
        .unwrap_or_else(|| params.flag("allow_sending_without_reply"));
    let Some(entry) = entry else {
        return if lenient { Ok(None) } else { Err(BotError::bad("message to be replied not found")) };
    };
    if let Some(quote) = field("quote").and_then(Value::as_str) {
        if units(quote) > 1_024 {
            return Err(BotError::bad("message quote is too long"));
        }
        if !entry.text.contains(quote) {
            return Err(BotError::bad("QUOTE_TEXT_INVALID"));
        }
    }
    Ok(Some(id))
}

/// The inline buttons under a message: what reports a tap, and what leads elsewhere.
pub(super) fn buttons(markup: Option<&Value>) -> Result<(Vec<Button>, Vec<Link>), BotError> {
    let (mut buttons, mut links) = (Vec::new(), Vec::new());
    let Some(rows) = markup.and_then(|markup| markup.get("inline_keyboard")) else { return Ok((buttons, links)) };
    let rows = rows.as_array().ok_or_else(|| BotError::bad("field \"inline_keyboard\" must be of type Array"))?;
    for button in rows.iter().filter_map(Value::as_array).flatten() {
        let word = |name: &str| button.get(name).and_then(Value::as_str);
        let text = word("text")
            .filter(|text| !text.is_empty())
            .ok_or_else(|| BotError::bad("inline keyboard button text must be non-empty"))?;
        match (word("callback_data"), word("url")) {
            (Some(data), _) if (1..=64).contains(&data.len()) => {
                buttons.push(Button { data: data.to_owned(), text: text.to_owned(), choice: false });
            }
            (Some(_), _) => return Err(BotError::bad("BUTTON_DATA_INVALID")),
            (None, Some(link)) if url::Url::parse(link).is_ok() => links.push(Link::new(text, link)),
            (None, Some(_)) => return Err(BotError::bad("BUTTON_URL_INVALID")),
            (None, None) => {}
        }
    }
    Ok((buttons, links))
}
