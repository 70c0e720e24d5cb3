//! The Messaging API's JSON: what is sent, and what is read of answers and webhooks. Unknown fields are ignored.

use serde::{Deserialize, Serialize};

/// `POST /v2/bot/message/reply` (2.1).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reply<'m> {
    pub(crate) reply_token: &'m str,
    pub(crate) messages: &'m [Message],
}

/// `POST /v2/bot/message/push` (2.1).
#[derive(Debug, Serialize)]
pub(crate) struct Push<'m> {
    pub(crate) to: &'m str,
    pub(crate) messages: &'m [Message],
}

/// A message object with what is common to all of them (2.1).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    #[serde(flatten)]
    pub(crate) object: Object,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quick_reply: Option<QuickReply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sender: Option<Sender>,
}

/// Message objects (2.1).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Object {
    Text {
        text: String,
    },
    Image {
        original_content_url: String,
        preview_image_url: String,
    },
    Video {
        original_content_url: String,
        preview_image_url: String,
    },
    Audio {
        original_content_url: String,
        /// In milliseconds.
        duration: u32,
    },
    Location {
        title: String,
        address: String,
        latitude: f64,
        longitude: f64,
    },
    Sticker {
        package_id: String,
        sticker_id: String,
    },
    Template {
        alt_text: String,
        template: Buttons,
    },
}

/// A button template.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename = "buttons")]
pub(crate) struct Buttons {
    pub(crate) text: String,
    pub(crate) actions: Vec<Action>,
}

/// What a tap does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Action {
    Postback { label: String, data: String, display_text: String },
    Uri { label: String, uri: String },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct QuickReply {
    pub(crate) items: Vec<QuickReplyItem>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename = "action")]
pub(crate) struct QuickReplyItem {
    pub(crate) action: Action,
}

/// The name shown in the place of the account's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Sender {
    pub(crate) name: String,
}

/// The answer to a send (2.2), and the part of a 409 that holds the same (2.3).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sent {
    #[serde(default)]
    pub(crate) sent_messages: Vec<SentMessage>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SentMessage {
    pub(crate) id: String,
}

/// A refusal (3).
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) details: Vec<Detail>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Detail {
    pub(crate) message: Option<String>,
    pub(crate) property: Option<String>,
}

/// `GET /v2/bot/info` (5).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BotInfo {
    pub(crate) user_id: String,
    pub(crate) basic_id: Option<String>,
    pub(crate) display_name: Option<String>,
}

/// `GET /v2/bot/message/quota` (1.3).
#[derive(Debug, Deserialize)]
pub(crate) struct Quota {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) value: Option<u64>,
}

/// `GET /v2/bot/message/quota/consumption` (1.3).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Consumption {
    pub(crate) total_usage: u64,
}

/// `GET /v2/bot/profile/{userId}` (5).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserProfile {
    pub(crate) display_name: Option<String>,
    pub(crate) picture_url: Option<String>,
    pub(crate) language: Option<String>,
}

/// `GET …/content/transcoding` (6).
#[derive(Debug, Deserialize)]
pub(crate) struct Transcoding {
    pub(crate) status: String,
}

/// A webhook event (4.3). One of another shape than this is kept as unsupported.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) mode: Option<String>,
    pub(crate) source: Option<Source>,
    pub(crate) reply_token: Option<String>,
    pub(crate) delivery_context: Option<DeliveryContext>,
    pub(crate) message: Option<InMessage>,
    pub(crate) unsend: Option<Unsend>,
    pub(crate) follow: Option<Follow>,
    pub(crate) postback: Option<Postback>,
    /// Of events that this crate makes, as the next: see `month`.
    pub(crate) limit: Option<u32>,
    pub(crate) used: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Source {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) user_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryContext {
    #[serde(default)]
    pub(crate) is_redelivery: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InMessage {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) text: Option<String>,
    pub(crate) quoted_message_id: Option<String>,
    pub(crate) content_provider: Option<ContentProvider>,
    pub(crate) image_set: Option<ImageSet>,
    pub(crate) file_name: Option<String>,
    pub(crate) file_size: Option<u64>,
    pub(crate) title: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) latitude: Option<f64>,
    pub(crate) longitude: Option<f64>,
    pub(crate) package_id: Option<String>,
    pub(crate) sticker_id: Option<String>,
    #[serde(default)]
    pub(crate) keywords: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContentProvider {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) original_content_url: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ImageSet {
    pub(crate) id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Unsend {
    pub(crate) message_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Follow {
    #[serde(default)]
    pub(crate) is_unblocked: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Postback {
    pub(crate) data: String,
    /// What a date picker or a rich menu gave.
    pub(crate) params: Option<std::collections::BTreeMap<String, String>>,
}
