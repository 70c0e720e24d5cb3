//! What becomes of our messages, and what customers want no more of.

use serde_json::Value;
use transom_channel::{Inbound, Item, OptOutScope, ReceiptFor, ReceiptState, Standing};

use super::{Ids, Scene, list, text};
use crate::error::{self, About};

impl Scene<'_> {
    /// An element of `statuses`.
    pub(super) fn status(&self, status: &Value) -> Inbound {
        let (Some(id), Some(word)) = (text(status, "id"), text(status, "status")) else {
            return self.unread("a status without an id or a word", status, false);
        };
        if text(status, "recipient_type").is_some_and(|kind| kind.eq_ignore_ascii_case("group")) {
            return self.unread(&format!("a group's status {word}"), status, false);
        }
        let state = match word {
            "sent" => ReceiptState::Sent,
            "delivered" => ReceiptState::Delivered,
            // A voice note that was listened to was also seen.
            "read" | "played" => ReceiptState::Read,
            "failed" => {
                let category = status.get("pricing").and_then(|pricing| text(pricing, "category"));
                ReceiptState::Failed(error::failed(list(status, "errors"), About { category, attempt: 0 }))
            }
            _ => return self.unread(&format!("status {word}"), status, false),
        };
        let ids = Ids::of(status, "recipient_id", "recipient_user_id");
        let of = ReceiptFor::Message {
            provider_id: id.to_owned(),
            correlation: text(status, "biz_opaque_callback_data").map(str::to_owned),
        };
        Inbound {
            event_key: format!("{id}:{word}"),
            at: self.time_of(status),
            person: self.person(ids.user_id.as_deref(), ids.wa_id.as_deref()),
            ..self.item(Item::Receipt { of, state })
        }
    }

    /// An element of `user_preferences`: marketing stopped or resumed. Other messages may still go.
    pub(super) fn preference(&self, preference: &Value) -> Inbound {
        let ids = Ids::of(preference, "wa_id", "user_id");
        let person = self.person(ids.user_id.as_deref(), ids.wa_id.as_deref());
        let standing = match (text(preference, "category"), text(preference, "value")) {
            (Some("marketing_messages"), Some("stop")) => Standing::OptedOut(OptOutScope::Marketing),
            (Some("marketing_messages"), Some("resume")) => Standing::OptedIn(OptOutScope::Marketing),
            _ => return self.unread("a preference of another sort", preference, false),
        };
        match person {
            Some(person) => Inbound {
                person: Some(person),
                item: Item::Standing(standing),
                ..self.unread(self.field, preference, false)
            },
            None => self.unread("a preference of nobody", preference, false),
        }
    }
}
