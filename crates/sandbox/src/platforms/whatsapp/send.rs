//! Takes messages.

use std::time::Duration as Pause;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::errors::GraphError;
use super::message::{MediaRef, Outgoing, Parts};
use super::number::{Numbers, Refusals, TooFast, WhatsAppSettings};
use super::{envelope, fill, media, number, rules, statuses};
use crate::chats::{Author, ChatKey, Entry, Progress};
use crate::http::Reply;
use crate::ledger::Send;
use crate::media::Media;
use crate::people::digits;
use crate::platforms::Route;
use crate::sandbox::Shared;
use crate::webhooks;
use crate::world::World;

/// An id for a message. Unique over restarts, since the seed comes from the clock.
pub(super) fn wamid(world: &mut World) -> String {
    let (seed, number) = (world.names.seed(), world.names.number());
    format!("wamid.HBgM{seed:016X}{number:010X}AA==")
}

/// `POST /{phone}/messages`.
pub(super) async fn messages(shared: &Shared, route: &Route, phone: &str, body: &Value) -> Reply {
    if body.get("status").is_some() {
        return statuses::mark_read(&mut shared.world(), phone, body).unwrap_or_else(|error| error.reply());
    }
    let outgoing = match Outgoing::parse(body) {
        Ok(outgoing) => outgoing,
        Err(error) => return error.reply(),
    };
    // The file behind a link is fetched before anything is decided, so that one failure is one refusal.
    let file = match &outgoing.media {
        Some(MediaRef::Link(link)) => Some(webhooks::fetch(shared, link).await),
        _ => None,
    };
    let mut world = shared.world();
    accept(&mut world, route, phone, body, outgoing, file).unwrap_or_else(|error| error.reply())
}

type Fetched = Option<Result<(String, bytes::Bytes), String>>;

fn accept(
    world: &mut World,
    route: &Route,
    phone: &str,
    body: &Value,
    mut outgoing: Outgoing,
    file: Fetched,
) -> Result<Reply, GraphError> {
    let settings = number::settings(world, phone).map_err(|_| GraphError::no_such_object(phone))?;
    let now = world.now();
    let filled =
        outgoing.template.as_ref().map(|template| fill::fill(world, &settings.waba_id, template)).transpose()?;
    let category = filled.as_ref().map(|filled| filled.category.clone());
    if let Some(filled) = filled {
        (outgoing.text, outgoing.parts) = (filled.text, filled.parts);
    }
    let addressee = Addressee::find(world, &settings, &outgoing)?;
    let key = ChatKey::direct(phone, addressee.customer.as_deref().unwrap_or_default());
    if let Some((target, _)) = &outgoing.reaction
        && world.chats.get(&key).is_none_or(|chat| chat.entry(target).is_none())
    {
        return Err(GraphError::invalid("message_id", "no such message in this conversation"));
    }
    let media = checked_file(world, phone, &outgoing)?;
    if let Some(number) = world.shelves.of::<Numbers>().0.get_mut(phone) {
        number.pace(&addressee.shown, now).map_err(|fast| match fast {
            TooFast::Throughput => GraphError::new(130_429, "Cloud API message throughput has been reached"),
            TooFast::Pair => GraphError::new(
                131_056,
                "Too many messages sent from this phone number to the same user in a short time",
            ),
        })?;
    }

    let message = wamid(world);
    let reply = addressee.reply(&message, outgoing.kind == "template");
    let refusal = match (&route.fails_later, &addressee.customer) {
        (Some((code, details)), _) => Some(GraphError::new(*code, details)),
        (None, None) => Some(rules::undeliverable()),
        (None, Some(_)) => rules::refusal(world, &key, category.as_deref(), now),
    };
    let (media, refusal) = match (refusal, file) {
        (Some(refusal), _) => (None, Some(refusal)),
        (None, Some(fetched)) => match media::from_link(world, phone, &outgoing.kind, fetched) {
            Ok(media) => (Some(media), None),
            Err(error) => (None, Some(error)),
        },
        (None, None) => (media, None),
    };
    if let Some(refusal) = refusal {
        let later = route.fails_later.is_some() || (refusal.comes_later() && settings.refusals == Refusals::Async);
        if !later {
            return Err(refusal);
        }
        let failure = statuses::Failure {
            account: phone.to_owned(),
            message,
            recipient: addressee,
            callback: outgoing.callback,
            error: refusal,
        };
        let code = failure.error.code;
        world.later(Pause::from_millis(10), move |world| failure.report(world));
        return Ok(reply.coded(code));
    }
    book(world, &settings, &key, &addressee, body, outgoing, media, &message, category, now);
    Ok(reply)
}

#[expect(clippy::too_many_arguments, reason = "one private step of `accept`, cut off for its length")]
fn book(
    world: &mut World,
    settings: &WhatsAppSettings,
    key: &ChatKey,
    addressee: &Addressee,
    body: &Value,
    outgoing: Outgoing,
    media: Option<String>,
    message: &str,
    category: Option<String>,
    now: OffsetDateTime,
) {
    let window = rules::window(world, key, now);
    let counted = category.is_some() && !window.is_open();
    let mut text = outgoing.text;
    if let Some((target, emoji)) = &outgoing.reaction
        && let Some(entry) = world.chat_mut(key).entry_mut(target)
    {
        match emoji {
            Some(emoji) => entry.reactions.insert(String::new(), emoji.clone()),
            None => entry.reactions.remove(""),
        };
        text = format!("(reacted {})", emoji.as_deref().unwrap_or("no more"));
    }
    let mut entry = Entry::new(message, Author::Business, now, &outgoing.kind, &text);
    let Parts { header, footer, buttons, links } = outgoing.parts;
    (entry.media, entry.header, entry.footer, entry.buttons, entry.links) = (media, header, footer, buttons, links);
    // A quoted bubble is dropped silently if its message is gone.
    entry.reply_to =
        outgoing.reply_to.filter(|quoted| world.chats.get(key).is_some_and(|chat| chat.entry(quoted).is_some()));
    let send = Send {
        seq: 0,
        at: now,
        platform: "whatsapp".to_owned(),
        account: settings.phone_number_id.clone(),
        customer: key.customer.clone(),
        recipient: addressee.input.clone(),
        via: None,
        provider_ids: vec![message.to_owned()],
        method: "messages".to_owned(),
        kind: outgoing.kind,
        category,
        text,
        body: body.clone(),
        window,
        counted,
        answered: true,
        receipt: Progress::Accepted,
        failed: None,
    };
    world.accept(key, send, vec![entry]);
    statuses::answered_an_ad(world, key, now);
    statuses::schedule_receipts(world, key, message);
}

/// The uploaded file that a message names, if it fits the message.
fn checked_file(world: &World, phone: &str, outgoing: &Outgoing) -> Result<Option<String>, GraphError> {
    let Some(MediaRef::Id(id)) = &outgoing.media else { return Ok(None) };
    let file: Option<&Media> = world.files.get(id).filter(|file| file.account == phone);
    let file = file.filter(|file| media::is_alive(file, world.now()));
    let file = file.ok_or_else(|| {
        GraphError::invalid("id", &format!("media '{id}' does not exist, or was not uploaded by this number"))
    })?;
    media::fits(&outgoing.kind, &file.mime, file.bytes.len())?;
    Ok(Some(id.clone()))
}

/// Whom a message is for.
#[derive(Debug)]
pub(super) struct Addressee {
    /// As written in the request.
    pub(super) input: String,
    /// The number, as digits; the BSUID if that was used.
    pub(super) shown: String,
    pub(super) by_user_id: bool,
    pub(super) customer: Option<String>,
}

impl Addressee {
    fn find(world: &World, settings: &WhatsAppSettings, outgoing: &Outgoing) -> Result<Self, GraphError> {
        // Both may be given; the phone number goes first.
        if let Some(to) = &outgoing.to {
            let number = digits(to);
            if number.is_empty() {
                return Err(GraphError::invalid("to", "not a phone number"));
            }
            if number == settings.display_phone_number {
                return Err(GraphError::new(131_021, "The recipient's phone number is the sender's"));
            }
            let known = |number: &str| {
                let fits = |one: &&crate::people::Customer| {
                    one.address("whatsapp") == number || one.phone_digits().as_deref() == Some(number)
                };
                world.customers.values().find(fits)
            };
            let customer = known(&number);
            // Without a plus the platform takes the number as a national one, unless it is somebody's id as it stands.
            let shown = match customer {
                Some(customer) => customer.address("whatsapp").to_owned(),
                None if to.trim_start().starts_with('+') => number,
                None => format!("{}{number}", settings.display_phone_number.get(..2).unwrap_or_default()),
            };
            return Ok(Self {
                input: to.clone(),
                shown,
                by_user_id: false,
                customer: customer.map(|one| one.id.clone()),
            });
        }
        let user_id = outgoing.recipient.clone().unwrap_or_default();
        let customer = world.customers.values().find(|one| envelope::scoped_id(settings, one) == user_id);
        Ok(Self {
            input: user_id.clone(),
            shown: user_id,
            by_user_id: true,
            customer: customer.map(|one| one.id.clone()),
        })
    }

    /// The answer of success: accepted, no more.
    fn reply(&self, message: &str, template: bool) -> Reply {
        let id = if self.by_user_id { "user_id" } else { "wa_id" };
        let mut messages = Map::from_iter([("id".to_owned(), json!(message))]);
        if template {
            messages.insert("message_status".to_owned(), json!("accepted"));
        }
        let contact = json!({"input": self.input, id: self.shown});
        Reply::json(200, &json!({"messaging_product": "whatsapp", "contacts": [contact], "messages": [messages]}))
    }
}
