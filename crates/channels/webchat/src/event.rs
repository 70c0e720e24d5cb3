//! What visitors did, as it is journalled (webchat.md 6). No logic.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::protocol::ClaimedProfile;

/// One act of a visitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct VisitorEvent {
    /// Unique on the widget.
    pub(crate) event_id: String,
    /// The widget.
    pub(crate) widget: String,
    /// Who, as frames name them.
    pub(crate) visitor_id: String,
    /// Whether the site has proven who they are.
    #[serde(default)]
    pub(crate) verified: bool,
    /// When, by the clock of whoever took it.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    /// What is said of the visitor, besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<ClaimedProfile>,
    /// What they did: [`Act`] has the fields.
    pub(crate) kind: String,
    /// The fields of that.
    #[serde(flatten)]
    pub(crate) fields: serde_json::Map<String, serde_json::Value>,
}

/// What a visitor did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Act {
    /// They wrote.
    Message {
        message_id: String,
        #[serde(default)]
        text: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<SentFile>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<String>,
    },
    /// They pressed a button.
    Button {
        message_id: String,
        /// The message that has the button.
        of: String,
        /// What it says.
        #[serde(default)]
        label: String,
        payload: String,
    },
    /// A message of ours is on their device.
    Delivered { message_id: String },
    /// They saw every message up to one, which was sent then.
    Read {
        up_to: String,
        #[serde(with = "time::serde::rfc3339")]
        sent_at: OffsetDateTime,
    },
    /// Their page is open.
    Visit {},
    /// The site has said who they are; `was` is whom they were before, if that was a stranger.
    Identify {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<String>,
    },
    /// They left an address.
    Email {},
    /// They ended the conversation, and want no invitations.
    End {},
}

/// A file that a visitor sent: it is kept already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentFile {
    /// Its id.
    pub(crate) id: transom_domain::AttachmentId,
    /// Its MIME type, by its bytes.
    pub(crate) mime: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Its size in bytes.
    pub(crate) size: u64,
}

impl VisitorEvent {
    /// What they did; `None` for what this version does not know.
    pub(crate) fn act(&self) -> Option<Act> {
        let mut fields = self.fields.clone();
        fields.insert("kind".to_owned(), self.kind.clone().into());
        serde_json::from_value(serde_json::Value::Object(fields)).ok()
    }

    /// With what they did.
    #[cfg(feature = "server")]
    pub(crate) fn with(mut self, act: &Act) -> Self {
        if let Ok(serde_json::Value::Object(mut fields)) = serde_json::to_value(act) {
            if let Some(serde_json::Value::String(kind)) = fields.remove("kind") {
                self.kind = kind;
            }
            self.fields = fields;
        }
        self
    }
}
