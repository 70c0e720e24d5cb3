//! What customers do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::Problem;

/// Something a customer does, and when, and through what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Action {
    /// What.
    #[serde(flatten)]
    pub act: Act,
    /// The event's own time; the present if left out. An older one plays a late webhook.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
    /// A business connection or a group of the platform.
    #[serde(default)]
    pub via: Option<String>,
    /// The message that the customer quotes.
    #[serde(default)]
    pub reply_to: Option<String>,
}

impl From<Act> for Action {
    fn from(act: Act) -> Self {
        Self { act, at: None, via: None, reply_to: None }
    }
}

impl Action {
    /// At an instant of its own.
    #[must_use]
    pub fn at(mut self, at: OffsetDateTime) -> Self {
        self.at = Some(at);
        self
    }

    /// Through a business connection or in a group.
    #[must_use]
    pub fn via(mut self, via: impl Into<String>) -> Self {
        self.via = Some(via.into());
        self
    }

    /// Quoting a message.
    #[must_use]
    pub fn reply_to(mut self, message: impl Into<String>) -> Self {
        self.reply_to = Some(message.into());
        self
    }
}

/// What a customer can do. Each platform knows some of it and refuses the rest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Act {
    /// Writes.
    Text {
        /// The words.
        text: String,
    },
    /// Sends a file.
    Media(MediaAct),
    /// Sends a place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// The place's name.
        #[serde(default)]
        name: Option<String>,
        /// The place's address.
        #[serde(default)]
        address: Option<String>,
    },
    /// Sends a contact card.
    Contact {
        /// The name on the card.
        name: String,
        /// The number on the card.
        phone: String,
        /// It is the customer's own card.
        #[serde(default)]
        own: bool,
    },
    /// Reacts to a message; `None` takes it back.
    Reaction {
        /// The message.
        message_id: String,
        /// The emoji.
        #[serde(default)]
        emoji: Option<String>,
    },
    /// Taps a button under a message.
    Button {
        /// The message with the button.
        message_id: String,
        /// What the button carries.
        data: String,
        /// What it says; taken from the message if left out.
        #[serde(default)]
        text: Option<String>,
    },
    /// Picks a row of a list.
    Choice {
        /// The message with the list.
        message_id: String,
        /// The row.
        id: String,
        /// What it says; taken from the message if left out.
        #[serde(default)]
        title: Option<String>,
    },
    /// Changes the words of an own message.
    Edit {
        /// The message.
        message_id: String,
        /// The new words.
        text: String,
    },
    /// Takes an own message back.
    Delete {
        /// The message.
        message_id: String,
    },
    /// Opens the conversation and reads everything.
    Read,
    /// Calls.
    Call,
    /// Writes after tapping an advertisement.
    Ad {
        /// The words.
        text: String,
        /// The advertisement's headline.
        #[serde(default)]
        headline: Option<String>,
    },
    /// Follows a start link.
    Start {
        /// What the link carries.
        #[serde(default)]
        payload: Option<String>,
    },
    /// Blocks the account.
    Block,
    /// Unblocks it.
    Unblock,
    /// Deletes the own account on the platform.
    Deactivate,
    /// Wants no more marketing.
    OptOut,
    /// Wants it again.
    OptIn,
    /// Changes the phone number.
    NumberChange {
        /// The new number, E.164 with its plus.
        phone: String,
    },
    /// Not the customer: somebody of the business answers in the platform's own app.
    Echo {
        /// The words.
        text: String,
    },
    /// Sends something that the platform does not pass on.
    Unsupported,
    /// Anything else that the platform knows, in its own shape.
    Other {
        /// The platform's word for it.
        kind: String,
        /// The object that goes under that word.
        data: Value,
    },
}

/// A file that a customer sends.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MediaAct {
    /// `image`, `video`, `audio`, `voice`, `document`, `sticker`, `animation` or `video_note`.
    pub media: String,
    /// The content type; the usual one of its kind if left out.
    pub mime: Option<String>,
    /// The file name.
    pub file_name: Option<String>,
    /// The caption.
    pub caption: Option<String>,
    /// The content; a small sample if left out.
    pub base64: Option<String>,
    /// Files with the same word here make an album (Telegram).
    pub album: Option<String>,
}

impl MediaAct {
    /// The content type and the bytes.
    pub(crate) fn content(&self) -> Result<(String, Bytes), Problem> {
        let usual = match self.media.as_str() {
            "image" => "image/jpeg",
            "video" | "animation" | "video_note" => "video/mp4",
            "audio" => "audio/mpeg",
            "voice" => "audio/ogg",
            "sticker" => "image/webp",
            "document" => "application/pdf",
            other => {
                let kinds = "image, video, audio, voice, document, sticker, animation or video_note";
                return Err(Problem::invalid(format!("media is `{other}`, and must be {kinds}")));
            }
        };
        let mime = self.mime.clone().unwrap_or_else(|| usual.to_owned());
        let bytes = match &self.base64 {
            None => crate::media::sample(&mime),
            Some(text) => BASE64.decode(text).map_err(|error| Problem::invalid(format!("base64: {error}")))?.into(),
        };
        Ok((mime, bytes))
    }
}

/// What came of an act.
#[derive(Debug, Clone, Serialize)]
pub struct Acted {
    /// The platform's id of the message or event, where it has one; on Telegram `chat:message`.
    pub message_id: Option<String>,
    /// The webhook deliveries it made.
    pub deliveries: Vec<u64>,
    /// The event's own time.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}
