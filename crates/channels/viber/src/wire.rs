//! The Bot API's JSON, as far as it is used (2, 4.3).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A message's number: 64 bits, above 2^53, and in some documents a text (2.3). Kept as text, never as a float.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token(pub(crate) String);

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Token;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Token, E> {
                Ok(Token(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Token, E> {
                Ok(Token(number.to_string()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Token, E> {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let whole = (1..=20).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
                if whole { Ok(Token(text.to_owned())) } else { Err(E::custom("not a whole number")) }
            }
        }

        from.deserialize_any(Visitor)
    }
}

/// What every call is answered with.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: i64,
    #[serde(default)]
    pub(crate) status_message: Option<String>,
    #[serde(default)]
    pub(crate) message_token: Option<Token>,
    #[serde(default)]
    pub(crate) billing_status: Option<i64>,
}

/// `get_account_info`.
#[derive(Debug, Deserialize)]
pub(crate) struct AccountInfo {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
}

/// `get_user_details`.
#[derive(Debug, Deserialize)]
pub(crate) struct UserDetails {
    pub(crate) user: User,
}

/// A person, in events and in `get_user_details`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) avatar: Option<String>,
    #[serde(default)]
    pub(crate) language: Option<String>,
}

/// What all events have.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) event: String,
    /// Unix milliseconds.
    #[serde(default)]
    pub(crate) timestamp: Option<i64>,
    #[serde(default)]
    pub(crate) message_token: Option<Token>,
}

/// `message`, beside its `sender`. With a `chat_id` it comes of another chat than the bot's own: chat extensions only (4.3).
#[derive(Debug, Deserialize)]
pub(crate) struct MessageEvent {
    pub(crate) message: Message,
}

/// What a customer sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) text: Option<String>,
    #[serde(default)]
    pub(crate) media: Option<String>,
    #[serde(default)]
    pub(crate) file_name: Option<String>,
    /// Bytes, of a film.
    #[serde(default)]
    pub(crate) size: Option<u64>,
    /// Bytes, of a file.
    #[serde(default)]
    pub(crate) file_size: Option<u64>,
    #[serde(default)]
    pub(crate) sticker_id: Option<Token>,
    #[serde(default)]
    pub(crate) contact: Option<Card>,
    #[serde(default)]
    pub(crate) location: Option<Place>,
}

/// A contact card.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Card {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) phone_number: String,
}

/// A place.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) lat: f64,
    pub(crate) lon: f64,
}

/// `subscribed`, `conversation_started`.
#[derive(Debug, Deserialize)]
pub(crate) struct UserEvent {
    pub(crate) user: User,
    /// What the deep link carried (4.3).
    #[serde(default)]
    pub(crate) context: Option<String>,
}

/// `unsubscribed`, `delivered`, `seen`, `failed`.
#[derive(Debug, Deserialize)]
pub(crate) struct UserIdEvent {
    pub(crate) user_id: String,
    #[serde(default)]
    pub(crate) desc: Option<String>,
}

/// A request that sends, or a welcome message, which has no receiver (2.2, 4.3).
#[derive(Debug, Serialize)]
pub(crate) struct Request<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receiver: Option<&'r str>,
    pub(crate) min_api_version: u8,
    pub(crate) sender: Sender<'r>,
    #[serde(flatten)]
    pub(crate) content: Outgoing,
}

/// Whose name stands above.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Sender<'r> {
    pub(crate) name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) avatar: Option<&'r str>,
}

/// What is sent (2.2).
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Outgoing {
    Text { text: String },
    Picture { text: String, media: String },
    Video { media: String, size: u64 },
    File { media: String, size: u64, file_name: String },
    Contact { contact: Card },
    Location { location: Place },
}
