//! Messages of customers, and those that the business wrote elsewhere.

use serde::Deserialize;
use serde_json::Value;
use transom_channel::{Inbound, InboundMessage, Item, Opening};
use transom_domain::{Attachment, Body, ContactCard, Content, Location, MediaKind, MediaSource};

use super::{Ids, Scene, addresses, field, list, short, text};
use transom_meta::bare_mime;

/// What a message carries, once it is understood.
struct Said {
    body: Body,
    payload: Option<String>,
}

impl Said {
    fn plain(body: Body) -> Self {
        Self { body, payload: None }
    }

    fn words(words: impl Into<String>) -> Self {
        Self::plain(Body::Text { text: words.into(), attachments: Vec::new() })
    }
}

impl Scene<'_> {
    /// An element of `messages`.
    pub(super) fn message(&self, message: &Value) -> Inbound {
        let (Some(id), Some(kind)) = (text(message, "id"), text(message, "type")) else {
            return self.unread("a message without an id or a type", message, true);
        };
        if message.get("group_id").is_some_and(|group| !group.is_null()) {
            // Conversations are with one person; a group's window is none of theirs.
            return self.unread("a group's message", message, false);
        }
        let ids = Ids::of(message, "from", "from_user_id");
        let Some(person) = self.person(ids.user_id.as_deref(), ids.wa_id.as_deref()) else {
            return self.unread(&format!("{kind} without a sender"), message, true);
        };
        let (item, opens) = understood(id, kind, message);
        Inbound {
            event_key: id.to_owned(),
            at: self.time_of(message),
            person: Some(person),
            openings: if opens { vec![Opening::of("message")] } else { Vec::new() },
            ..self.item(item)
        }
    }

    /// An element of `message_echoes`: what somebody wrote in the WhatsApp Business app. It never opens anything.
    pub(super) fn echo(&self, echo: &Value) -> Inbound {
        let ids = Ids::of(echo, "to", "to_user_id");
        let person = self.person(ids.user_id.as_deref(), ids.wa_id.as_deref());
        let (Some(id), Some(kind), Some(person)) = (text(echo, "id"), text(echo, "type"), person) else {
            return self.unread("an echo without an id, a type or an addressee", echo, false);
        };
        if matches!(kind, "reaction" | "edit" | "revoke") {
            return self.unread(&format!("an echo of type {kind}"), echo, false);
        }
        let said = said(kind, echo).unwrap_or_else(|| Said::plain(Body::Unsupported { what: what_it_was(kind, echo) }));
        let message = inbound_message(id, echo, said);
        Inbound {
            event_key: id.to_owned(),
            at: self.time_of(echo),
            person: Some(person),
            ..self.item(Item::Echo { message, correlation: None })
        }
    }
}

/// What a message is, and whether it opens the window (the table of whatsapp.md 1.1).
fn understood(id: &str, kind: &str, message: &Value) -> (Item, bool) {
    let unsupported = |from_customer| Item::Unsupported { what: what_it_was(kind, message), from_customer };
    let original = |name: &str| message.get(name).and_then(|body| text(body, "original_message_id")).map(str::to_owned);
    match kind {
        "reaction" => match message.get("reaction").and_then(|reaction| text(reaction, "message_id")) {
            Some(to) => {
                let emoji = message.get("reaction").and_then(|reaction| text(reaction, "emoji"));
                (Item::Reaction { to: to.to_owned(), emoji: emoji.map(str::to_owned) }, false)
            }
            None => (unsupported(true), false),
        },
        "edit" => match (original("edit"), message.get("edit").and_then(|edit| edit.get("message"))) {
            (Some(of), Some(now)) => {
                let kind = text(now, "type").unwrap_or("text");
                let said =
                    said(kind, now).unwrap_or_else(|| Said::plain(Body::Unsupported { what: what_it_was(kind, now) }));
                (Item::Edit { of, content: Content { body: said.body, reply_to: None } }, false)
            }
            _ => (unsupported(true), false),
        },
        "revoke" => match original("revoke") {
            Some(of) => (Item::Unsend { of }, false),
            None => (unsupported(true), false),
        },
        "system" => (system(message).unwrap_or_else(|| unsupported(false)), false),
        // The chat was opened and nothing written.
        "request_welcome" => (unsupported(false), false),
        // A poll, something to be seen once: the customer wrote, only the content is not relayed.
        "unsupported" => (unsupported(true), true),
        _ => match said(kind, message) {
            Some(said) => (Item::Message(inbound_message(id, message, said)), true),
            // Known to open whatever it holds; a type that does not exist yet opens nothing.
            None => (unsupported(true), is_known_to_open(kind)),
        },
    }
}

fn inbound_message(id: &str, message: &Value, said: Said) -> InboundMessage {
    // A context without an id says that the message was forwarded.
    let reply_to = message.get("context").and_then(|context| text(context, "id")).map(str::to_owned);
    // What led here, for whoever counts campaigns: an advertisement's button carries it.
    let referral = message.get("referral").filter(|referral| referral.is_object());
    let payload =
        said.payload.or_else(|| referral.map(|referral| serde_json::json!({ "referral": referral }).to_string()));
    InboundMessage { payload, ..InboundMessage::new(id.to_owned(), Content { body: said.body, reply_to }) }
}

/// Types that open the window even if their content can't be read.
fn is_known_to_open(kind: &str) -> bool {
    matches!(
        kind,
        "text"
            | "image"
            | "video"
            | "audio"
            | "voice"
            | "document"
            | "sticker"
            | "location"
            | "contacts"
            | "order"
            | "interactive"
            | "button"
    )
}

/// The content of a message; `None` if we don't know its type, or it is not as its type should be.
fn said(kind: &str, message: &Value) -> Option<Said> {
    let body = message.get(kind)?;
    match kind {
        "text" => body.get("body")?.as_str().map(Said::words),
        "image" => file(MediaKind::Image, body),
        "video" => file(MediaKind::Video, body),
        "document" => file(MediaKind::Document, body),
        "sticker" => file(MediaKind::Sticker, body),
        "voice" => file(MediaKind::Voice, body),
        "audio" if body.get("voice").and_then(Value::as_bool) == Some(true) => file(MediaKind::Voice, body),
        "audio" => file(MediaKind::Audio, body),
        "location" => place(body),
        "contacts" => Some(Said::plain(Body::Contacts { contacts: body.as_array()?.iter().map(card).collect() })),
        "order" => Some(Said::words(order(body))),
        "interactive" => interactive(body),
        "button" => {
            let (words, payload) = (text(body, "text"), text(body, "payload"));
            Some(Said { payload: payload.or(words).map(str::to_owned), ..Said::words(words.or(payload)?) })
        }
        _ => None,
    }
}

fn file(kind: MediaKind, body: &Value) -> Option<Said> {
    let attachment = Attachment {
        kind,
        source: MediaSource::Platform {
            id: body.get("id").and_then(transom_meta::envelope::text).filter(|id| !id.is_empty())?,
            url: text(body, "url").map(str::to_owned),
            sha256: text(body, "sha256").map(str::to_owned),
        },
        mime: text(body, "mime_type").map(bare_mime),
        file_name: text(body, "filename").map(str::to_owned),
        size: None,
    };
    let caption = text(body, "caption").unwrap_or_default().to_owned();
    Some(Said::plain(Body::Text { text: caption, attachments: vec![attachment] }))
}

fn place(body: &Value) -> Option<Said> {
    let degrees = |name: &str| {
        let value = body.get(name)?;
        value.as_f64().or_else(|| value.as_str()?.parse().ok())
    };
    let words = |name: &str| text(body, name).map(str::to_owned);
    Some(Said::plain(Body::Location(Location {
        latitude: degrees("latitude")?,
        longitude: degrees("longitude")?,
        name: words("name"),
        address: words("address"),
    })))
}

fn card(card: &Value) -> ContactCard {
    let each = |name: &str, field: &'static str, other: &'static str| {
        let entries = list(card, name).iter();
        entries.filter_map(|entry| text(entry, field).or_else(|| text(entry, other))).map(str::to_owned).collect()
    };
    let name = card.get("name");
    let part = |part: &str| name.and_then(|name| text(name, part));
    let full = part("formatted_name").map(str::to_owned);
    let joined = || [part("first_name"), part("last_name")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    ContactCard {
        name: full.unwrap_or_else(joined),
        phones: each("phones", "phone", "wa_id"),
        emails: each("emails", "email", "email"),
    }
}

#[derive(Debug, Deserialize)]
struct OrderedItem {
    product_retailer_id: Option<String>,
    quantity: Option<Value>,
    item_price: Option<Value>,
    currency: Option<String>,
}

/// An order in words, a line an item: agents read it, and no other content of ours would hold it.
fn order(body: &Value) -> String {
    let shown = |value: Option<Value>| {
        value.map(|value| transom_meta::envelope::text(&value).unwrap_or_default()).unwrap_or_default()
    };
    let items: Vec<OrderedItem> = field(body, "product_items").unwrap_or_default();
    let lines = items.into_iter().map(|item| {
        let (quantity, price) = (shown(item.quantity), shown(item.item_price));
        let (product, currency) = (item.product_retailer_id.unwrap_or_default(), item.currency.unwrap_or_default());
        format!("{quantity} × {product} ({price} {currency})")
    });
    text(body, "text").map(str::to_owned).into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

fn interactive(body: &Value) -> Option<Said> {
    let kind = text(body, "type")?;
    let reply = body.get(kind)?;
    match kind {
        "button_reply" | "list_reply" => {
            let (id, title) = (text(reply, "id"), text(reply, "title"));
            Some(Said { payload: id.or(title).map(str::to_owned), ..Said::words(title.or(id)?) })
        }
        // The result of a Flow.
        "nfm_reply" => {
            let payload =
                reply.get("response_json").map(|json| json.as_str().map_or_else(|| json.to_string(), str::to_owned));
            Some(Said {
                payload,
                ..Said::words(text(reply, "body").or_else(|| text(reply, "name")).unwrap_or_default())
            })
        }
        _ => None,
    }
}

/// A changed number or id: the sender is the old one, and the system message tells the new one.
fn system(message: &Value) -> Option<Item> {
    let body = message.get("system")?;
    let changed =
        matches!(text(body, "type"), Some("user_changed_number" | "user_changed_user_id" | "customer_changed_number"));
    let ids = Ids::of(body, "wa_id", "user_id");
    let older = Ids::of(body, "new_wa_id", "user_id").wa_id;
    let new = addresses(ids.user_id.as_deref(), ids.wa_id.or(older).as_deref());
    (changed && !new.is_empty()).then_some(Item::IdentityChange { new })
}

/// The platform's word for something that we can't show, with its own reason.
fn what_it_was(kind: &str, message: &Value) -> String {
    let inner = message.get(kind).and_then(|body| text(body, "type"));
    let reason = list(message, "errors").first().and_then(|error| {
        let code = error.get("code").and_then(transom_meta::envelope::text)?;
        Some(format!("{code} {}", text(error, "title").unwrap_or_default()).trim().to_owned())
    });
    let words: Vec<String> = [Some(kind.to_owned()), inner.map(str::to_owned), reason].into_iter().flatten().collect();
    short(&words.join(": "))
}
