//! From journalled acts of visitors to what happened.

use transom_channel::{
    Inbound, InboundMessage, Item, Opening, OptOutScope, ParseError, Person, RawInbound, ReceiptFor, ReceiptState,
    Standing, json,
};
use transom_domain::{Attachment, Body, Content, MediaKind, MediaSource, Profile};

use crate::capabilities::kind_of;
use crate::event::{Act, SentFile, VisitorEvent};
use crate::outbound::part_of;
use crate::protocol::ClaimedProfile;
use crate::visitor::Visitor;

/// The longest id of an event that is kept, in bytes: a visitor's id, and a key of theirs.
const LONGEST_KEY: usize = 1_024;

/// Reads one call.
pub(crate) fn parse(raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
    let event: VisitorEvent = json::read(&raw.body)?;
    if event.event_id.trim().is_empty() || event.event_id.len() > LONGEST_KEY {
        return Err(ParseError::new("not an event: its `event_id` is empty or longer than 1,024 bytes"));
    }
    let (visitor, act) = (Visitor::parse(&event.visitor_id), event.act());
    let Some((visitor, act)) = visitor.zip(act) else {
        let what = event.kind.chars().take(128).collect();
        return Ok(vec![one(&event, None, "", Vec::new(), Item::Unsupported { what, from_customer: false })]);
    };
    let person = Person { addresses: vec![visitor.address()], profile: profile(&event, &visitor) };
    let about = |suffix: &str, openings, item| one(&event, Some(person.clone()), suffix, openings, item);
    Ok(match act {
        Act::Message { message_id, text, attachments, reply_to } => {
            let body = Body::Text { text, attachments: attachments.into_iter().map(file).collect() };
            let message = InboundMessage::new(message_id, Content { body, reply_to });
            vec![about("", opens("message"), Item::Message(message))]
        }
        Act::Button { message_id, of, label, payload } => {
            let text = if label.is_empty() { payload.clone() } else { label };
            let body = Body::Text { text, attachments: Vec::new() };
            let message = InboundMessage {
                payload: Some(payload),
                ..InboundMessage::new(message_id, Content { body, reply_to: Some(of) })
            };
            vec![about("", opens("message"), Item::Message(message))]
        }
        Act::Delivered { message_id } => {
            vec![about("", Vec::new(), Item::Receipt { of: receipt_of(message_id), state: ReceiptState::Delivered })]
        }
        Act::Read { up_to, sent_at } => {
            // It was appended before its sending was recorded: the instant alone would leave it out.
            let before = Item::Receipt { of: ReceiptFor::UpTo(sent_at), state: ReceiptState::Read };
            let itself = Item::Receipt { of: receipt_of(up_to), state: ReceiptState::Read };
            vec![about(":before", Vec::new(), before), about("", Vec::new(), itself)]
        }
        Act::Visit {} => vec![about("", opens("visit"), Item::Opening { what: "visit".to_owned() })],
        Act::Identify { was } => {
            let known = about("", opens("follow"), Item::Opening { what: "identify".to_owned() });
            match was.as_deref().and_then(Visitor::parse) {
                None => vec![known],
                Some(was) => {
                    let stranger = Person { addresses: vec![was.address()], profile: Profile::default() };
                    let joins = Item::IdentityChange { new: vec![visitor.address()] };
                    vec![one(&event, Some(stranger), ":joins", Vec::new(), joins), known]
                }
            }
        }
        Act::Email {} => vec![about("", Vec::new(), Item::Opening { what: "email".to_owned() })],
        Act::End {} => vec![
            about("", Vec::new(), Item::Standing(Standing::OptedOut(OptOutScope::Marketing))),
            about(":ended", Vec::new(), Item::Ended),
        ],
    })
}

fn one(event: &VisitorEvent, person: Option<Person>, suffix: &str, openings: Vec<Opening>, item: Item) -> Inbound {
    Inbound {
        account: event.widget.clone(),
        event_key: format!("{}{suffix}", event.event_id),
        at: event.at,
        person,
        openings,
        item,
    }
}

fn opens(kind: &str) -> Vec<Opening> {
    vec![Opening::of(kind)]
}

fn receipt_of(message_id: String) -> ReceiptFor {
    let correlation = part_of(&message_id).map(|part| part.to_string());
    ReceiptFor::Message { provider_id: message_id, correlation }
}

fn file(file: SentFile) -> Attachment {
    Attachment {
        kind: kind_of(&file.mime).unwrap_or(MediaKind::Document),
        source: MediaSource::Stored { id: file.id },
        mime: Some(file.mime),
        file_name: file.name,
        size: Some(file.size),
    }
}

fn profile(event: &VisitorEvent, visitor: &Visitor) -> Profile {
    let ClaimedProfile { name, email, phone, language } = event.profile.clone().unwrap_or_default();
    let external_id = match visitor {
        Visitor::Known(id) => Some(id.clone()),
        Visitor::Anonymous(_) => None,
    };
    Profile { name, email, phone, language, external_id, ..Profile::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use time::macros::datetime;

    fn items(kind: &str, visitor: &str, fields: &Value) -> Vec<Inbound> {
        let mut event = json!({"event_id": "e-1", "widget": "wgt_1", "visitor_id": visitor, "kind": kind,
            "at": "2026-11-21T10:00:00Z"});
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        parse(&RawInbound::new(event.to_string(), datetime!(2026-11-21 10:00:01 UTC))).unwrap()
    }

    #[test]
    fn a_message_opens_the_chat_and_brings_its_files() {
        let fields = json!({"message_id": "m_1", "text": "Hi", "attachments":
            [{"id": "01890a5d-ac96-774b-bcce-b302099a8057", "mime": "image/png", "name": "a.png", "size": 7}]});
        let item = items("message", "x:cust-42", &fields).remove(0);
        let Item::Message(message) = item.item else { panic!("{item:?}") };
        let Body::Text { text, attachments } = &message.content.body else { panic!() };
        assert_eq!((text.as_str(), attachments[0].kind, attachments[0].size), ("Hi", MediaKind::Image, Some(7)));
        let person = item.person.unwrap();
        assert_eq!(person.addresses, [transom_domain::Address::new("external_id", "cust-42")]);
        assert_eq!(person.profile.external_id.as_deref(), Some("cust-42"));
        assert_eq!(item.openings, [Opening::of("message")]);
    }

    #[test]
    fn who_turns_out_to_be_known_is_joined_and_known_from_then_on() {
        let stranger = format!("v_{}", "0".repeat(32));
        let items = items("identify", "x:cust-42", &json!({ "was": stranger }));
        assert!(matches!(&items[0].item, Item::IdentityChange { new } if new[0].value == "cust-42"));
        assert_eq!(items[0].person.as_ref().unwrap().addresses[0].value, stranger);
        assert_eq!(items[1].openings, [Opening::of("follow")]);
        assert_ne!(items[0].event_key, items[1].event_key);
    }

    #[test]
    fn read_means_all_before_and_the_message_itself() {
        let fields = json!({"up_to": "m_01890a5dac96774bbcceb302099a8057", "sent_at": "2026-11-21T09:59:00Z"});
        let items = items("read", "x:cust-42", &fields);
        let receipts: Vec<_> = items.iter().map(|item| &item.item).collect();
        let up_to = ReceiptFor::UpTo(datetime!(2026-11-21 09:59 UTC));
        assert_eq!(receipts[0], &Item::Receipt { of: up_to, state: ReceiptState::Read });
        let Item::Receipt { of: ReceiptFor::Message { correlation, .. }, .. } = receipts[1] else { panic!() };
        assert_eq!(correlation.as_deref(), Some("01890a5d-ac96-774b-bcce-b302099a8057"));
    }

    #[test]
    fn who_ends_the_chat_wants_no_invitations_and_closes_it() {
        let items = items("end", "x:cust-42", &json!({}));
        assert_eq!(items[0].item, Item::Standing(Standing::OptedOut(OptOutScope::Marketing)));
        assert_eq!((&items[1].item, items[1].event_key == items[0].event_key), (&Item::Ended, false));
    }

    #[test]
    fn what_is_not_known_is_kept() {
        for (kind, visitor) in [("teleport", "x:cust-42"), ("visit", "nobody")] {
            let item = items(kind, visitor, &json!({})).remove(0);
            assert!(matches!(item.item, Item::Unsupported { from_customer: false, .. }), "{item:?}");
            assert_eq!(item.person, None);
        }
    }
}
