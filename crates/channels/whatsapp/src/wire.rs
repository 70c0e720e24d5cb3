//! The JSON of the Cloud API, without logic: what we post, and what comes back.
//!
//! Webhooks are read in [`crate::inbound`], field by field, because every part of them may be missing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /{phone_number_id}/messages`.
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

/// Whom to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Addressee {
    /// A phone number. Without its plus sign the business's own country code would be put before it.
    To(String),
    /// A business-scoped user id.
    Recipient(String),
}

/// The message that is quoted.
#[derive(Debug, Serialize)]
pub(crate) struct Quoted<'m> {
    pub(crate) message_id: &'m str,
}

/// What is sent, by its type.
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

#[derive(Debug, Serialize)]
pub(crate) struct Text<'m> {
    pub(crate) preview_url: bool,
    pub(crate) body: &'m str,
}

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

/// Where the platform finds a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileRef {
    /// A public address, https.
    Link(String),
    /// Uploaded before, or received.
    Id(String),
}

#[derive(Debug, Serialize)]
pub(crate) struct Place<'m> {
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<&'m str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Card<'m> {
    pub(crate) name: CardName<'m>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) phones: Vec<CardPhone<'m>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) emails: Vec<CardEmail<'m>>,
}

/// One more name than the formatted one must be there.
#[derive(Debug, Serialize)]
pub(crate) struct CardName<'m> {
    pub(crate) formatted_name: &'m str,
    pub(crate) first_name: &'m str,
}

#[derive(Debug, Serialize)]
pub(crate) struct CardPhone<'m> {
    pub(crate) phone: &'m str,
}

#[derive(Debug, Serialize)]
pub(crate) struct CardEmail<'m> {
    pub(crate) email: &'m str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Reaction<'m> {
    pub(crate) message_id: &'m str,
    /// Empty takes it back.
    pub(crate) emoji: &'m str,
}

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

#[derive(Debug, Serialize)]
pub(crate) struct TextHeader<'m> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) text: &'m str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Line<'m> {
    pub(crate) text: &'m str,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Action<'m> {
    Buttons { buttons: Vec<Button<'m>> },
    List { button: &'m str, sections: Vec<Section<'m>> },
    Link { name: &'static str, parameters: LinkButton<'m> },
}

#[derive(Debug, Serialize)]
pub(crate) struct Button<'m> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) reply: Answer<'m>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Answer<'m> {
    pub(crate) id: &'m str,
    pub(crate) title: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<&'m str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Section<'m> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) title: &'m str,
    pub(crate) rows: Vec<Answer<'m>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct LinkButton<'m> {
    pub(crate) display_text: &'m str,
    pub(crate) url: &'m str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Template<'m> {
    pub(crate) name: &'m str,
    pub(crate) language: Language<'m>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) components: Vec<Component<'m>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Language<'m> {
    pub(crate) code: &'m str,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Component<'m> {
    Header { parameters: Vec<Parameter<'m>> },
    Body { parameters: Vec<Parameter<'m>> },
    Button { sub_type: &'static str, index: String, parameters: Vec<Parameter<'m>> },
}

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

/// The answer of `POST /{phone_number_id}/messages`: accepted, not delivered.
#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    #[serde(default)]
    pub(crate) contacts: Vec<SentTo>,
    pub(crate) messages: Vec<SentMessage>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SentTo {
    pub(crate) wa_id: Option<String>,
    pub(crate) user_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SentMessage {
    pub(crate) id: String,
    /// Only for templates that are paced.
    pub(crate) message_status: Option<String>,
}

/// The answer of `POST /{phone_number_id}/media`.
#[derive(Debug, Deserialize)]
pub(crate) struct Uploaded {
    pub(crate) id: String,
}

/// The answer of `GET /{media_id}`.
#[derive(Debug, Deserialize)]
pub(crate) struct MediaNode {
    /// Lives five minutes, and wants the token too.
    pub(crate) url: String,
    pub(crate) mime_type: Option<String>,
    pub(crate) sha256: Option<String>,
    pub(crate) file_size: Option<Value>,
}

/// The answer of `GET /{phone_number_id}`.
#[derive(Debug, Deserialize)]
pub(crate) struct PhoneNode {
    pub(crate) id: Option<String>,
    pub(crate) display_phone_number: Option<String>,
    pub(crate) verified_name: Option<String>,
    pub(crate) whatsapp_business_manager_messaging_limit: Option<Value>,
}
