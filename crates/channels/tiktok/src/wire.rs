//! TikTok's JSON, without logic.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Every answer: HTTP 200 also for errors, `code` 0 for success (2).
#[derive(Deserialize)]
pub(crate) struct Answer {
    pub(crate) code: i64,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) request_id: String,
    #[serde(default)]
    pub(crate) data: Value,
}

/// What an exchange of a refresh token gives (2.1).
#[derive(Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) expires_in: i64,
    pub(crate) refresh_token: String,
}

/// A webhook call: one event (4.3).
#[derive(Deserialize)]
pub(crate) struct Envelope {
    pub(crate) event: String,
    /// Seconds.
    #[serde(default)]
    pub(crate) create_time: Option<i64>,
    /// The business account it is about.
    pub(crate) user_openid: String,
    /// JSON as a text.
    #[serde(default)]
    pub(crate) content: String,
}

/// What events hold, each its own choice of it (4.3).
#[derive(Deserialize, Default)]
pub(crate) struct Event {
    /// Milliseconds.
    #[serde(default)]
    pub(crate) timestamp: Option<i64>,
    #[serde(default)]
    pub(crate) conversation_id: Option<String>,
    #[serde(default)]
    pub(crate) message_id: Option<String>,
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) text: Option<Text>,
    #[serde(default)]
    pub(crate) image: Option<Media>,
    #[serde(default)]
    pub(crate) video: Option<Media>,
    #[serde(default)]
    pub(crate) share_post: Option<SharedPost>,
    #[serde(default)]
    pub(crate) from: Option<String>,
    #[serde(default)]
    pub(crate) from_user: Option<User>,
    #[serde(default)]
    pub(crate) to: Option<String>,
    #[serde(default)]
    pub(crate) to_user: Option<User>,
    #[serde(default)]
    pub(crate) unique_identifier: Option<String>,
    #[serde(default)]
    pub(crate) message_tag: Option<MessageTag>,
    #[serde(default)]
    pub(crate) referenced_message_info: Option<Referenced>,
    #[serde(default)]
    pub(crate) reply_source_payload: Option<ReplySource>,
    #[serde(default)]
    pub(crate) read: Option<Read>,
    #[serde(default)]
    pub(crate) referral: Option<Referral>,
    #[serde(default, deserialize_with = "text_or_number")]
    pub(crate) comment_id: Option<String>,
    #[serde(default)]
    pub(crate) comment_text: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Text {
    #[serde(default)]
    pub(crate) body: String,
}

#[derive(Deserialize)]
pub(crate) struct Media {
    #[serde(default)]
    pub(crate) media_id: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct SharedPost {
    #[serde(default, deserialize_with = "text_or_number")]
    pub(crate) video_id: Option<String>,
    #[serde(default)]
    pub(crate) embed_url: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
}

#[derive(Deserialize)]
pub(crate) struct MessageTag {
    #[serde(default)]
    pub(crate) source: String,
}

#[derive(Deserialize)]
pub(crate) struct Referenced {
    #[serde(default)]
    pub(crate) referenced_message_id: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct ReplySource {
    #[serde(default)]
    pub(crate) reply_source_unique_id: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Read {
    /// Milliseconds.
    pub(crate) last_read_timestamp: i64,
}

#[derive(Deserialize)]
pub(crate) struct Referral {
    #[serde(default)]
    pub(crate) source: String,
}

/// Ids of 19 digits come with or without quotes (2): as a float they would be other ids.
fn text_or_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<Value>::deserialize(from)? {
        Some(Value::String(text)) => Some(text),
        Some(Value::Number(number)) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    })
}
