//! The JSON of the Cloud API, without logic: what we post, and what comes back.
//!
//! Webhooks are read in [`crate::inbound`], field by field, because every part of them may be missing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /{phone_number_id}/messages` (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct Request<'m> {
    pub(crate) messaging_product: &'static str,
    pub(crate) recipient_type: &'static str,
    #[serde(flatten)]
    pub(crate) to: Addressee,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) context: Option<Quoted<'m>>,
    /// Comes back in every status of the message.
    pub(crate) biz_opaque_callback_data: String,
    #[serde(flatten)]
    pub(crate) message: Message<'m>,
}

/// Whom to (whatsapp.md 2, 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Addressee {
    /// A phone number. Without its plus sign the business's own country code would be put before it.
    To(String),
    /// A business-scoped user id.
    Recipient(String),
}

/// The message that is quoted (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct Quoted<'m> {
    pub(crate) message_id: &'m str,
}

/// What is sent, by its type (whatsapp.md 2).
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Message<'m> {
    Text { text: Text<'m> },
    Image { image: File<'m> },
    Video { video: File<'m> },
    Audio { audio: File<'m> },
    Document { document: File<'m> },
    Sticker { sticker: File<'m> },
    Location { location: Place<'m> },
    Contacts { contacts: Vec<Card<'m>> },
    Reaction { reaction: Reaction<'m> },
    Interactive { interactive: Interactive<'m> },
    Template { template: Template<'m> },
}

/// Words (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct Text<'m> {
    pub(crate) preview_url: bool,
    pub(crate) body: &'m str,
}

/// A file, with what may stand beside it (whatsapp.md 2, 6).
#[derive(Debug, Serialize)]
pub(crate) struct File<'m> {
    #[serde(flatten)]
    pub(crate) source: FileRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) caption: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) filename: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) voice: Option<bool>,
}

/// Where the platform finds a file (whatsapp.md 2, 6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileRef {
    /// A public address, https.
    Link(String),
    /// Uploaded before, or received.
    Id(String),
}

/// A place (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct Place<'m> {
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<&'m str>,
}

/// A contact card. The sheet says that one may go, and not how it looks (whatsapp.md 1.1).
#[derive(Debug, Serialize)]
pub(crate) struct Card<'m> {
    pub(crate) name: CardName<'m>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) phones: Vec<CardPhone<'m>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) emails: Vec<CardEmail<'m>>,
}

/// One more name than the formatted one must be there (whatsapp.md 1.1).
#[derive(Debug, Serialize)]
pub(crate) struct CardName<'m> {
    pub(crate) formatted_name: &'m str,
    pub(crate) first_name: &'m str,
}

/// A phone number of a card (whatsapp.md 1.1).
#[derive(Debug, Serialize)]
pub(crate) struct CardPhone<'m> {
    pub(crate) phone: &'m str,
}

/// An email address of a card (whatsapp.md 1.1).
#[derive(Debug, Serialize)]
pub(crate) struct CardEmail<'m> {
    pub(crate) email: &'m str,
}

/// A reaction to a message (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct Reaction<'m> {
    pub(crate) message_id: &'m str,
    /// Empty takes it back.
    pub(crate) emoji: &'m str,
}

/// Words with buttons, a list or a link under them (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct Interactive<'m> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) header: Option<TextHeader<'m>>,
    pub(crate) body: Line<'m>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) footer: Option<Line<'m>>,
    pub(crate) action: Action<'m>,
}

/// What stands above them (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct TextHeader<'m> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) text: &'m str,
}

/// Words of an interactive message (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct Line<'m> {
    pub(crate) text: &'m str,
}

/// What can be chosen (whatsapp.md 2).
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Action<'m> {
    Buttons { buttons: Vec<Button<'m>> },
    List { button: &'m str, sections: Vec<Section<'m>> },
    Link { name: &'static str, parameters: LinkButton<'m> },
}

/// A button that answers (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct Button<'m> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) reply: Answer<'m>,
}

/// What comes back of a button or a row (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct Answer<'m> {
    pub(crate) id: &'m str,
    pub(crate) title: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<&'m str>,
}

/// Rows of a list under a title (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct Section<'m> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) title: &'m str,
    pub(crate) rows: Vec<Answer<'m>>,
}

/// The button that opens an address, `cta_url` (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct LinkButton<'m> {
    pub(crate) display_text: &'m str,
    pub(crate) url: &'m str,
}

/// An approved template with what its variables say (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct Template<'m> {
    pub(crate) name: &'m str,
    pub(crate) language: Language<'m>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) components: Vec<Component<'m>>,
}

/// A template's language (whatsapp.md 2).
#[derive(Debug, Serialize)]
pub(crate) struct Language<'m> {
    pub(crate) code: &'m str,
}

/// A part of a template that has variables (whatsapp.md 2).
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Component<'m> {
    Header { parameters: Vec<Parameter<'m>> },
    Body { parameters: Vec<Parameter<'m>> },
    Button { sub_type: &'static str, index: String, parameters: Vec<Parameter<'m>> },
}

/// What a variable says (whatsapp.md 2).
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Parameter<'m> {
    Text {
        #[serde(skip_serializing_if = "Option::is_none")]
        parameter_name: Option<&'m str>,
        text: &'m str,
    },
    Image {
        image: File<'m>,
    },
    Video {
        video: File<'m>,
    },
    Document {
        document: File<'m>,
    },
    Location {
        location: Place<'m>,
    },
    Payload {
        payload: &'m str,
    },
    CouponCode {
        coupon_code: &'m str,
    },
}

/// The answer of `POST /{phone_number_id}/messages`: accepted, not delivered (whatsapp.md 2).
#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    #[serde(default)]
    pub(crate) contacts: Vec<SentTo>,
    pub(crate) messages: Vec<SentMessage>,
}

/// Whom it was accepted for: their id may differ from the number that was written to (whatsapp.md 2, 5).
#[derive(Debug, Deserialize)]
pub(crate) struct SentTo {
    pub(crate) wa_id: Option<String>,
    pub(crate) user_id: Option<String>,
}

/// What was accepted (whatsapp.md 2).
#[derive(Debug, Deserialize)]
pub(crate) struct SentMessage {
    pub(crate) id: String,
    /// Only for templates that are paced.
    pub(crate) message_status: Option<String>,
}

/// The answer of `POST /{phone_number_id}/media` (whatsapp.md 6).
#[derive(Debug, Deserialize)]
pub(crate) struct Uploaded {
    pub(crate) id: String,
}

/// The answer of `GET /{media_id}` (whatsapp.md 6).
#[derive(Debug, Deserialize)]
pub(crate) struct MediaNode {
    /// Lives five minutes, and wants the token too.
    pub(crate) url: String,
    pub(crate) mime_type: Option<String>,
    pub(crate) sha256: Option<String>,
    pub(crate) file_size: Option<Value>,
}

/// The answer of `GET /{phone_number_id}` (whatsapp.md 1.5).
#[derive(Debug, Deserialize)]
pub(crate) struct PhoneNode {
    pub(crate) id: Option<String>,
    pub(crate) display_phone_number: Option<String>,
    pub(crate) verified_name: Option<String>,
    pub(crate) whatsapp_business_manager_messaging_limit: Option<Value>,
}
