//! Message templates: texts that a platform has approved, with places for parameters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::content::{Attachment, Location};
use crate::placeholder::{Placeholders, TextError};
use crate::{ChannelAccountId, TemplateId};

/// A message template as the platform keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// Our id.
    pub id: TemplateId,
    /// The account that may send it.
    pub account: ChannelAccountId,
    /// What it says and where it stands.
    pub definition: TemplateDefinition,
    /// When the platform last told us about it.
    #[serde(with = "time::serde::rfc3339")]
    pub synced_at: OffsetDateTime,
}

/// What a platform says about a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateDefinition {
    /// The platform's id.
    pub provider_id: String,
    /// The name, which with the language is unique on the account.
    pub name: String,
    /// The language code as the platform writes it, such as `en_US`.
    pub language: String,
    /// The category, in lower case, as policies name it: `utility`, `marketing`, `authentication`.
    pub category: String,
    /// Whether it may be sent.
    pub status: TemplateStatus,
    /// The platform's own word for the status.
    pub provider_status: String,
    /// The line above, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<TemplateHeader>,
    /// The text with its placeholders.
    pub body: String,
    /// The small line below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// The buttons, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<TemplateButton>,
}

/// Whether a template may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateStatus {
    /// Yes.
    Approved,
    /// Not yet: the platform is looking at it.
    Pending,
    /// No, for a while.
    Paused,
    /// No: it was refused.
    Rejected,
    /// No, for good.
    Disabled,
    /// It is gone.
    Deleted,
}

impl TemplateStatus {
    /// Every status.
    pub const ALL: [TemplateStatus; 6] = [
        TemplateStatus::Approved,
        TemplateStatus::Pending,
        TemplateStatus::Paused,
        TemplateStatus::Rejected,
        TemplateStatus::Disabled,
        TemplateStatus::Deleted,
    ];

    /// The name used in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            TemplateStatus::Approved => "approved",
            TemplateStatus::Pending => "pending",
            TemplateStatus::Paused => "paused",
            TemplateStatus::Rejected => "rejected",
            TemplateStatus::Disabled => "disabled",
            TemplateStatus::Deleted => "deleted",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// The line above a template's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "format")]
pub enum TemplateHeader {
    /// Words, with at most one placeholder.
    Text {
        /// The words.
        text: String,
    },
    /// A picture, given with each send.
    Image,
    /// A film, given with each send.
    Video,
    /// A file, given with each send.
    Document,
    /// A place, given with each send.
    Location,
}

/// A button of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateButton {
    /// What it does.
    pub kind: TemplateButtonKind,
    /// What it says.
    pub text: String,
    /// The address with at most one placeholder at its end, for `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// What a button of a template does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateButtonKind {
    /// Answers with its text; carries a payload.
    QuickReply,
    /// Opens an address.
    Url,
    /// Calls a number.
    PhoneNumber,
    /// Copies a code.
    CopyCode,
    /// Anything else the platform has; sent as it is.
    Other,
}

/// The values for one send of a template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TemplateParameters {
    /// For the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderParameter>,
    /// For the body.
    #[serde(skip_serializing_if = "TextParameters::is_empty")]
    pub body: TextParameters,
    /// For the buttons: place of the button (from 0) to its payload, address ending or code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub buttons: BTreeMap<u32, String>,
}

/// The value for a template's header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderParameter {
    /// Values for a header of words.
    Text(TextParameters),
    /// A picture, film or file.
    Media(Attachment),
    /// A place.
    Location(Location),
}

/// Values for placeholders: by place (`{{1}}`) or by name (`{{first_name}}`), never both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TextParameters {
    /// In order, from `{{1}}`.
    Positional(Vec<String>),
    /// By name.
    Named(BTreeMap<String, String>),
}

impl Default for TextParameters {
    fn default() -> Self {
        TextParameters::Positional(Vec::new())
    }
}

impl TextParameters {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        match self {
            TextParameters::Positional(values) => values.is_empty(),
            TextParameters::Named(values) => values.is_empty(),
        }
    }
}

/// One send of a template: which one, with which values, as checked against its definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateMessage {
    /// The template's name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Its category at that time.
    pub category: String,
    /// The values.
    pub parameters: TemplateParameters,
    /// The text as the customer reads it: header, body, footer, line by line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<String>,
    /// What each button does, so that a channel can write its parameters without the catalogue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<TemplateButton>,
}

/// Parameters that do not fit a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template can't be sent in its present state.
    #[error("template `{name}` ({language}) is {status}: only approved templates can be sent")]
    NotApproved {
        /// Its name.
        name: String,
        /// Its language.
        language: String,
        /// What it is instead.
        status: &'static str,
    },
    /// A text's parameters are missing, too many, or of the wrong sort.
    #[error("template {place}: {error}")]
    Text {
        /// `header` or `body`.
        place: &'static str,
        /// What is wrong.
        error: TextError,
    },
    /// The header needs something else.
    #[error("the template's header needs {expected}")]
    Header {
        /// What it needs.
        expected: &'static str,
    },
    /// A header was given, and the template has none that takes parameters.
    #[error("the template's header takes no parameter")]
    HeaderTakesNone,
    /// A button's value is missing.
    #[error("button {index} of the template needs a value: the ending of its address")]
    ButtonMissing {
        /// Its place, from 0.
        index: u32,
    },
    /// A value for a button that takes none.
    #[error("button {index} of the template takes no value; the template has {count} buttons")]
    ButtonTakesNone {
        /// Its place, from 0.
        index: u32,
        /// How many buttons there are.
        count: usize,
    },
}

impl TemplateDefinition {
    /// Whether it may be sent in its present state.
    ///
    /// # Errors
    /// [`TemplateError::NotApproved`].
    pub fn check_approved(&self) -> Result<(), TemplateError> {
        if self.status == TemplateStatus::Approved {
            return Ok(());
        }
        let (name, language) = (self.name.clone(), self.language.clone());
        Err(TemplateError::NotApproved { name, language, status: self.status.as_str() })
    }

    /// Checks the values against the definition and gives what can be sent.
    ///
    /// # Errors
    /// [`TemplateError`] says which value is wrong and what is expected.
    pub fn fill(&self, parameters: TemplateParameters) -> Result<TemplateMessage, TemplateError> {
        self.check_approved()?;
        let mut lines = Vec::new();
        lines.extend(self.fill_header(parameters.header.as_ref())?);
        lines.push(fill_text("body", &self.body, &parameters.body)?);
        lines.extend(self.footer.clone());
        self.check_buttons(&parameters.buttons)?;
        Ok(TemplateMessage {
            name: self.name.clone(),
            language: self.language.clone(),
            category: self.category.clone(),
            parameters,
            rendered: Some(lines.join("\n")),
            buttons: self.buttons.clone(),
        })
    }

    fn fill_header(&self, given: Option<&HeaderParameter>) -> Result<Option<String>, TemplateError> {
        let none = TextParameters::default();
        match (&self.header, given) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(TemplateError::HeaderTakesNone),
            (Some(TemplateHeader::Text { text }), Some(HeaderParameter::Text(values))) => {
                fill_text("header", text, values).map(Some)
            }
            (Some(TemplateHeader::Text { text }), None) => fill_text("header", text, &none).map(Some),
            (Some(TemplateHeader::Text { .. }), Some(_)) => Err(TemplateError::Header { expected: "text" }),
            (Some(TemplateHeader::Location), Some(HeaderParameter::Location(_)))
            | (
                Some(TemplateHeader::Image | TemplateHeader::Video | TemplateHeader::Document),
                Some(HeaderParameter::Media(_)),
            ) => Ok(None),
            (Some(TemplateHeader::Image), _) => Err(TemplateError::Header { expected: "an image" }),
            (Some(TemplateHeader::Video), _) => Err(TemplateError::Header { expected: "a video" }),
            (Some(TemplateHeader::Document), _) => Err(TemplateError::Header { expected: "a document" }),
            (Some(TemplateHeader::Location), _) => Err(TemplateError::Header { expected: "a location" }),
        }
    }

    fn check_buttons(&self, values: &BTreeMap<u32, String>) -> Result<(), TemplateError> {
        for (index, button) in (0..).zip(&self.buttons) {
            let has_place = button.url.as_deref().is_some_and(|url| url.contains("{{"));
            let needs = has_place || button.kind == TemplateButtonKind::CopyCode;
            let takes = needs || button.kind == TemplateButtonKind::QuickReply;
            match values.get(&index) {
                None if needs => return Err(TemplateError::ButtonMissing { index }),
                Some(_) if !takes => {
                    return Err(TemplateError::ButtonTakesNone { index, count: self.buttons.len() });
                }
                _ => {}
            }
        }
        match values.keys().find(|index| usize::try_from(**index).is_ok_and(|i| i >= self.buttons.len())) {
            Some(index) => Err(TemplateError::ButtonTakesNone { index: *index, count: self.buttons.len() }),
            None => Ok(()),
        }
    }
}

fn fill_text(place: &'static str, text: &str, values: &TextParameters) -> Result<String, TemplateError> {
    Placeholders::parse(text).and_then(|holes| holes.fill(values)).map_err(|error| TemplateError::Text { place, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order_shipped() -> TemplateDefinition {
        TemplateDefinition {
            provider_id: "1".into(),
            name: "order_shipped".into(),
            language: "en_US".into(),
            category: "utility".into(),
            status: TemplateStatus::Approved,
            provider_status: "APPROVED".into(),
            header: Some(TemplateHeader::Text { text: "Order".into() }),
            body: "Hi {{1}}, {{2}} is on its way".into(),
            footer: Some("Acme".into()),
            buttons: vec![
                TemplateButton { kind: TemplateButtonKind::QuickReply, text: "Help".into(), url: None },
                TemplateButton {
                    kind: TemplateButtonKind::Url,
                    text: "Track".into(),
                    url: Some("https://acme.example/t/{{1}}".into()),
                },
            ],
        }
    }

    fn body(values: &[&str]) -> TemplateParameters {
        TemplateParameters {
            body: TextParameters::Positional(values.iter().map(ToString::to_string).collect()),
            buttons: BTreeMap::from([(1, "A-1001".into())]),
            ..TemplateParameters::default()
        }
    }

    #[test]
    fn a_filled_template_reads_as_the_customer_sees_it() {
        let filled = order_shipped().fill(body(&["Mara", "A-1001"])).unwrap();
        assert_eq!(filled.rendered.as_deref(), Some("Order\nHi Mara, A-1001 is on its way\nAcme"));
    }

    #[test]
    fn wrong_parameters_say_what_is_expected() {
        let count = order_shipped().fill(body(&["Mara"])).unwrap_err();
        assert_eq!(count.to_string(), "template body: 2 parameters are needed and 1 was given");
        let no_button = TemplateParameters { buttons: BTreeMap::new(), ..body(&["a", "b"]) };
        assert_eq!(order_shipped().fill(no_button), Err(TemplateError::ButtonMissing { index: 1 }));
        let stray =
            TemplateParameters { buttons: BTreeMap::from([(1, "x".into()), (7, "y".into())]), ..body(&["a", "b"]) };
        assert_eq!(order_shipped().fill(stray), Err(TemplateError::ButtonTakesNone { index: 7, count: 2 }));
    }

    #[test]
    fn only_approved_templates_can_be_sent() {
        let paused = TemplateDefinition { status: TemplateStatus::Paused, ..order_shipped() };
        let error = paused.fill(body(&["a", "b"])).unwrap_err();
        assert!(error.to_string().contains("is paused"), "{error}");
    }
}
