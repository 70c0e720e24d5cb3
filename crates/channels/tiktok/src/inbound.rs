//! From webhook calls to what happened (4.3, 4.4).

use time::OffsetDateTime;
use transom_channel::{
    Inbound, InboundMessage, Item, Opening, ParseError, Person, RawInbound, ReceiptFor, ReceiptState, Standing, json,
};
use transom_domain::{Address, Attachment, Body, Content, MediaKind, MediaSource, Profile};

use crate::capabilities::{CONVERSATION_ID, USER_ID};
use crate::wire::{Envelope, Event, Media};

/// Between the pieces of a file's id: in none of TikTok's ids, which are base64.
const BETWEEN: char = '|';

/// Reads one call: one event.
pub(crate) fn parse(raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
    let call: Envelope = json::read(&raw.body)?;
    let stated = call.create_time.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let mut reader = Reader { call: &call, at: stated.unwrap_or(raw.received_at) };
    // A content of another shape than any known is kept, whole, in the journal.
    let event = json::read::<Event>(call.content.as_bytes()).ok();
    let Some(event) = event else { return Ok(vec![reader.unsupported(&call.event, &call.content)]) };
    if let Some(at) = event.timestamp.and_then(milliseconds) {
        reader.at = at;
    }
    let read = match call.event.as_str() {
        "im_receive_msg" | "im_send_msg" => reader.message(&event),
        "im_receive_msg_eu" => reader.beyond_reach(&event),
        "im_mark_read_msg" => reader.read(&event),
        "im_referral_msg" => reader.referral(&event),
        "im_receive_high_intent_comment" => reader.comment(&event),
        _ => None,
    };
    Ok(vec![read.unwrap_or_else(|| reader.unsupported(&call.event, &call.content))])
}

/// The conversation, message, file and kind of a file's id, as [`file`] writes it.
pub(crate) fn file_of(id: &str) -> Option<[&str; 4]> {
    let mut pieces = id.split(BETWEEN);
    let four = [pieces.next()?, pieces.next()?, pieces.next()?, pieces.next()?];
    pieces.next().is_none().then_some(four)
}

struct Reader<'r> {
    call: &'r Envelope,
    at: OffsetDateTime,
}

impl Reader<'_> {
    fn message(&self, event: &Event) -> Option<Inbound> {
        let id = event.message_id.as_deref().filter(|id| !id.is_empty())?;
        let from_us = event.from_user.as_ref().is_some_and(|from| from.id == self.call.user_openid);
        if from_us {
            return self.our_own(event, id);
        }
        // "Direction: incoming if to_user.id == business_id" (4.4).
        event.to_user.as_ref().is_none_or(|to| to.id == self.call.user_openid).then_some(())?;
        let person = person(event.from_user.as_ref().map(|from| from.id.as_str()), event, event.from.as_deref())?;
        let item = match body(event, id) {
            Some(body) => Item::Message(written(event, id, body)),
            None => {
                Item::Unsupported { what: event.kind.clone().unwrap_or_else(|| "message".into()), from_customer: true }
            }
        };
        Some(self.inbound(format!("message:{id}"), Some(person), vec![Opening::of("message")], item))
    }

    /// An echo: it may come before the answer to the send, and says nothing of ours but the words (2.2, 4.4). Without words it
    /// is at least a receipt, if it was sent by an app.
    fn our_own(&self, event: &Event, id: &str) -> Option<Inbound> {
        let to = event.to_user.as_ref().map(|to| to.id.as_str());
        // "For echoes the customer is to_user.id (do not use unique_identifier)" (4.4).
        let person = Person { profile: profile(event.to.as_deref()), addresses: addresses(to, event) };
        if person.addresses.is_empty() {
            return None;
        }
        let by_an_app = event.message_tag.as_ref().is_some_and(|tag| tag.source.eq_ignore_ascii_case("API"));
        let item = match body(event, id) {
            Some(body) => Item::Echo { message: written(event, id, body), correlation: None },
            None if by_an_app => {
                let of = ReceiptFor::Message { provider_id: id.to_owned(), correlation: None };
                Item::Receipt { of, state: ReceiptState::Sent }
            }
            None => Item::Unsupported { what: "a message written elsewhere".to_owned(), from_customer: false },
        };
        Some(self.inbound(format!("echo:{id}"), Some(person), Vec::new(), item))
    }

    /// Somebody of a region that the interface does not serve wrote (1.3).
    fn beyond_reach(&self, event: &Event) -> Option<Inbound> {
        let id = event.from_user.as_ref().map(|from| from.id.as_str()).or(event.unique_identifier.as_deref());
        let person = person(id, event, event.from.as_deref())?;
        let reason = "TikTok does not serve the customer's region".to_owned();
        let key = format!("region:{}:{}", id.unwrap_or_default(), self.at.unix_timestamp_nanos());
        Some(self.inbound(key, Some(person), Vec::new(), Item::Standing(Standing::Unreachable { reason })))
    }

    fn read(&self, event: &Event) -> Option<Inbound> {
        let by = event.from_user.as_ref()?;
        if by.id == self.call.user_openid {
            return None;
        }
        let last = event.read.as_ref()?.last_read_timestamp;
        let person = person(Some(&by.id), event, None)?;
        let state = ReceiptState::Read;
        let item = Item::Receipt { of: ReceiptFor::UpTo(milliseconds(last)?), state };
        let conversation = event.conversation_id.as_deref().unwrap_or(&by.id);
        Some(self.inbound(format!("read:{conversation}:{last}"), Some(person), Vec::new(), item))
    }

    /// An ad or a link was followed: worth knowing, and no right to write yet (1.1).
    fn referral(&self, event: &Event) -> Option<Inbound> {
        let id = event.from_user.as_ref().map(|from| from.id.as_str());
        let person = person(id, event, event.from.as_deref())?;
        let source = event.referral.as_ref().map_or("", |referral| referral.source.as_str());
        let what = if source.is_empty() { "referral".to_owned() } else { format!("referral: {source}") };
        let key = format!("referral:{}:{}", id.unwrap_or_default(), self.at.unix_timestamp_nanos());
        Some(self.inbound(key, Some(person), vec![Opening::of("referral")], Item::Opening { what }))
    }

    /// A comment that may get one private reply, where the feature is on.
    fn comment(&self, event: &Event) -> Option<Inbound> {
        let id = event.comment_id.as_deref().filter(|id| !id.is_empty())?;
        let by = event.unique_identifier.as_deref().or(event.from_user.as_ref().map(|from| from.id.as_str()));
        let person = person(by, event, event.from.as_deref())?;
        let said = event.comment_text.clone().or_else(|| event.text.as_ref().map(|text| text.body.clone()));
        let opening = Opening { kind: "comment".to_owned(), reference: Some(id.to_owned()) };
        let item = match said.map(|text| Body::Text { text, attachments: Vec::new() }).filter(is_said) {
            Some(body) => Item::Message(written(event, &format!("comment:{id}"), body)),
            None => Item::Opening { what: "comment".to_owned() },
        };
        Some(self.inbound(format!("comment:{id}"), Some(person), vec![opening], item))
    }

    /// What is kept because nobody knows what to do with it.
    fn unsupported(&self, what: &str, content: &str) -> Inbound {
        let from_customer = what == "im_receive_msg";
        let what: String = what.chars().filter(char::is_ascii_graphic).take(80).collect();
        // The same call again is the same thing: TikTok gives such events no id.
        let key = format!("{what}:{}:{:016x}", self.call.create_time.unwrap_or_default(), fingerprint(content));
        self.inbound(key, None, Vec::new(), Item::Unsupported { what, from_customer })
    }

    fn inbound(&self, event_key: String, person: Option<Person>, openings: Vec<Opening>, item: Item) -> Inbound {
        Inbound { account: self.call.user_openid.clone(), event_key, at: self.at, person, openings, item }
    }
}

fn written(event: &Event, id: &str, body: Body) -> InboundMessage {
    let quoted = event.referenced_message_info.as_ref().and_then(|info| info.referenced_message_id.clone());
    InboundMessage {
        payload: event.reply_source_payload.as_ref().and_then(|source| source.reply_source_unique_id.clone()),
        ..InboundMessage::new(id.to_owned(), Content { body, reply_to: quoted })
    }
}

fn body(event: &Event, id: &str) -> Option<Body> {
    let text = |text: String| Body::Text { text, attachments: Vec::new() };
    let file = |kind, media: &Option<Media>, word| {
        let file = file(kind, event.conversation_id.as_deref()?, id, media.as_ref()?, word)?;
        Some(Body::Text { text: String::new(), attachments: vec![file] })
    };
    match event.kind.as_deref()? {
        "text" => event.text.as_ref().map(|said| text(said.body.clone())).filter(is_said),
        "image" => file(MediaKind::Image, &event.image, "IMAGE"),
        // The field's name is not confirmed; without it the message is kept as something we can't show.
        "video" => file(MediaKind::Video, &event.video, "VIDEO"),
        "share_post" => {
            let post = event.share_post.as_ref()?;
            let of_id = |id: &String| format!("https://www.tiktok.com/player/v1/{id}");
            Some(text(post.embed_url.clone().or_else(|| post.video_id.as_ref().map(of_id))?))
        }
        _ => None,
    }
}

fn file(kind: MediaKind, conversation: &str, message: &str, media: &Media, word: &str) -> Option<Attachment> {
    let media = media.media_id.as_deref()?;
    let id = [conversation, message, media, word].join(&BETWEEN.to_string());
    file_of(&id)?;
    let source = MediaSource::Platform { id, url: None, sha256: None };
    Some(Attachment { kind, source, mime: None, file_name: None, size: None })
}

fn addresses(user: Option<&str>, event: &Event) -> Vec<Address> {
    let named = |kind: &str, id: Option<&str>| id.filter(|id| !id.is_empty()).map(|id| Address::new(kind, id));
    let conversation = named(CONVERSATION_ID, event.conversation_id.as_deref());
    named(USER_ID, user).into_iter().chain(conversation).collect()
}

fn person(user: Option<&str>, event: &Event, name: Option<&str>) -> Option<Person> {
    let addresses = addresses(user, event);
    (!addresses.is_empty()).then(|| Person { addresses, profile: profile(name) })
}

fn is_said(body: &Body) -> bool {
    matches!(body, Body::Text { text, .. } if !text.is_empty())
}

fn profile(name: Option<&str>) -> Profile {
    Profile { username: name.filter(|name| !name.is_empty()).map(str::to_owned), ..Profile::default() }
}

fn milliseconds(at: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000).ok()
}

/// FNV-1a: equal contents are equal, on every machine and in every version.
fn fingerprint(content: &str) -> u64 {
    content.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
