//! The JSON of a Page that only Messenger has, without logic. The Send API's is [`transom_meta::messaging`].
//!
//! Webhooks are read in [`crate::inbound`], field by field, because every part of them may be missing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A utility template in a message (messenger.md 2.3).
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
}

#[derive(Debug, Serialize)]
pub(crate) struct Parameter<'m> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// Only for templates whose placeholders have names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameter_name: Option<&'m str>,
    pub(crate) text: &'m str,
}

/// `GET /{page}`.
#[derive(Debug, Deserialize)]
pub(crate) struct PageNode {
    pub(crate) id: Option<Value>,
    pub(crate) name: Option<String>,
}

/// `GET /{psid}`: empty without consent (messenger.md 5).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PersonNode {
    pub(crate) name: Option<String>,
    pub(crate) first_name: Option<String>,
    pub(crate) last_name: Option<String>,
    pub(crate) profile_pic: Option<String>,
    pub(crate) locale: Option<String>,
}

/// `POST /{page}/take_thread_control`.
#[derive(Debug, Serialize)]
pub(crate) struct Thread<'m> {
    pub(crate) recipient: transom_meta::messaging::Recipient<'m>,
}
