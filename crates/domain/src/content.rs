//! What a message says.

use serde::{Deserialize, Serialize};

use crate::AttachmentId;
use crate::mail::Mail;
use crate::template::TemplateMessage;

/// What an agent wants to say, or what a part of it carries.
///
/// A channel splits it into parts, one request each; what a platform can't take is refused before anything leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The substance.
    pub body: Body,
    /// The platform's id of the message that this one quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

impl Content {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { body: Body::Text { text: text.into(), attachments: Vec::new() }, reply_to: None }
    }

    /// An approved template with its parameters.
    pub fn template(template: TemplateMessage) -> Self {
        Self { body: Body::Template(template), reply_to: None }
    }

    /// The template, if it is one: only then do grants of basis `template` apply.
    pub fn as_template(&self) -> Option<&TemplateMessage> {
        match &self.body {
            Body::Template(template) => Some(template),
            _ => None,
        }
    }

    /// Whether a part that says this is for a further reader of a letter, not for the customer.
    pub fn is_for_further_reader(&self) -> bool {
        matches!(&self.body, Body::Mail(mail) if !mail.bcc.is_empty())
    }

    /// A line for lists and searches: the words, or what stands for them.
    pub fn preview(&self) -> String {
        match &self.body {
            Body::Text { text, attachments } if text.is_empty() => attachments
                .first()
                .map(|file| file.file_name.clone().unwrap_or_else(|| file.kind.as_str().to_owned()))
                .unwrap_or_default(),
            Body::Text { text, .. } | Body::Choices(Choices { text, .. }) => text.clone(),
            Body::Template(template) => template.rendered.clone().unwrap_or_else(|| template.name.clone()),
            Body::Location(place) => {
                place.name.clone().unwrap_or_else(|| format!("{}, {}", place.latitude, place.longitude))
            }
            Body::Contacts { contacts } => contacts.first().map(|card| card.name.clone()).unwrap_or_default(),
            Body::Reaction(reaction) => reaction.emoji.clone().unwrap_or_default(),
            Body::Mail(mail) => mail.preview(),
            Body::Unsupported { what } => what.clone(),
        }
    }
}

/// The substance of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Body {
    /// Words, files, or both.
    Text {
        /// The words, exactly as typed; empty when only files are sent.
        text: String,
        /// Files, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<Attachment>,
    },
    /// A message template of the platform with its parameters.
    Template(TemplateMessage),
    /// Words with buttons or a list to choose from.
    Choices(Choices),
    /// A place.
    Location(Location),
    /// Contact cards.
    Contacts {
        /// The cards.
        contacts: Vec<ContactCard>,
    },
    /// An emoji put to a message, or taken back.
    Reaction(Reaction),
    /// A letter with its subject and its readers.
    Mail(Mail),
    /// Something the customer sent that we can't show; kept so that nobody thinks there was nothing.
    Unsupported {
        /// What it was, in the platform's word.
        what: String,
    },
}

/// A file that goes with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is to the reader.
    pub kind: MediaKind,
    /// Where its bytes are.
    pub source: MediaSource,
    /// MIME type without parameters, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// The file's name as people see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Size in bytes, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// What a file is to the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A still picture.
    Image,
    /// A film.
    Video,
    /// Sound.
    Audio,
    /// Sound recorded as a message.
    Voice,
    /// Any other file.
    Document,
    /// A sticker.
    Sticker,
    /// A short silent film.
    Animation,
}

impl MediaKind {
    /// The name used in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            MediaKind::Image => "image",
            MediaKind::Video => "video",
            MediaKind::Audio => "audio",
            MediaKind::Voice => "voice",
            MediaKind::Document => "document",
            MediaKind::Sticker => "sticker",
            MediaKind::Animation => "animation",
        }
    }
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum MediaSource {
    /// A public address that the platform fetches itself.
    Url {
        /// The address, https.
        url: String,
    },
    /// Our own store.
    Stored {
        /// The stored file.
        id: AttachmentId,
    },
    /// The platform, under its own id; fetched through the channel.
    Platform {
        /// The platform's id of the file.
        id: String,
        /// A short-lived address, where the webhook carried one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// Base64 or hex SHA-256 of the bytes, where the platform states one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// The received call itself: the n-th of the files that its message brings along, from 0. Stored before the message is.
    Enclosed {
        /// Which one.
        index: u32,
    },
}

/// Words with something to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choices {
    /// The words.
    pub text: String,
    /// A title line above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// A small line below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// Buttons; exclusive with `list`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Choice>,
    /// The label that unfolds a list of choices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ChoiceList>,
}

/// A list that unfolds from a button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChoiceList {
    /// What the button says.
    pub label: String,
    /// Groups of choices.
    pub sections: Vec<ChoiceSection>,
}

/// A titled group of choices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChoiceSection {
    /// The title.
    pub title: String,
    /// The choices.
    pub rows: Vec<Choice>,
}

/// One thing to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What comes back when it is chosen.
    pub id: String,
    /// What the customer reads.
    pub title: String,
    /// A second line, in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// An address to open instead of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A place on earth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees, north positive.
    pub latitude: f64,
    /// Degrees, east positive.
    pub longitude: f64,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A card with a person's name and numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactCard {
    /// The full name.
    pub name: String,
    /// Phone numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phones: Vec<String>,
    /// Email addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<String>,
}

/// An emoji put to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// The platform's id of the message.
    pub to: String,
    /// The emoji; `None` takes an earlier one back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_survives_json() {
        let content = Content { reply_to: Some("wamid.1".into()), ..Content::text("hi {{there}}") };
        let json = serde_json::to_value(&content).unwrap();
        assert_eq!(json, serde_json::json!({"body": {"type": "text", "text": "hi {{there}}"}, "reply_to": "wamid.1"}));
        assert_eq!(serde_json::from_value::<Content>(json).unwrap(), content);
    }
}
