//! Message templates.

use poem_openapi::Object;
use time::OffsetDateTime;
use transom_desk::templates;
use transom_domain::Template;
use transom_domain::template::{TemplateButton, TemplateButtonKind, TemplateHeader};
use transom_storage::SyncCounts;
use uuid::Uuid;

/// A message template as the platform keeps it.
#[derive(Debug, Object)]
#[oai(rename = "Template", skip_serializing_if_is_none)]
pub(crate) struct TemplateView {
    /// Its id.
    id: Uuid,
    /// The platform's id.
    provider_id: String,
    /// The name, which with the language is unique on the channel.
    name: String,
    /// The language code as the platform writes it.
    language: String,
    /// `utility`, `marketing` or `authentication`.
    category: String,
    /// `approved`, `pending`, `paused`, `rejected`, `disabled` or `deleted`: only approved ones can be sent.
    status: String,
    /// The platform's own word for the status.
    provider_status: String,
    /// What the header is: `text`, `image`, `video`, `document` or `location`.
    header_format: Option<String>,
    /// The header's words.
    header_text: Option<String>,
    /// The text with its placeholders.
    body: String,
    /// The small line below.
    footer: Option<String>,
    /// The buttons, in order.
    buttons: Vec<TemplateButtonView>,
    /// When the platform last told about it.
    synced_at: OffsetDateTime,
    /// The platform has not confirmed it for a day: it may be otherwise by now. It can be sent all the same.
    stale: bool,
}

/// A button of a template.
#[derive(Debug, Object)]
#[oai(rename = "TemplateButton", skip_serializing_if_is_none)]
struct TemplateButtonView {
    /// `quick_reply`, `url`, `phone_number`, `copy_code` or `other`.
    kind: String,
    /// What it says.
    text: String,
    /// The address, with at most one placeholder.
    url: Option<String>,
}

impl From<&TemplateButton> for TemplateButtonView {
    fn from(button: &TemplateButton) -> Self {
        let kind = match button.kind {
            TemplateButtonKind::QuickReply => "quick_reply",
            TemplateButtonKind::Url => "url",
            TemplateButtonKind::PhoneNumber => "phone_number",
            TemplateButtonKind::CopyCode => "copy_code",
            TemplateButtonKind::Other => "other",
        };
        Self { kind: kind.to_owned(), text: button.text.clone(), url: button.url.clone() }
    }
}

impl TemplateView {
    /// A template as it stands at `now`.
    pub(crate) fn at(template: &Template, now: OffsetDateTime) -> Self {
        let definition = &template.definition;
        let (format, text) = match &definition.header {
            None => (None, None),
            Some(TemplateHeader::Text { text }) => (Some("text"), Some(text.clone())),
            Some(TemplateHeader::Image) => (Some("image"), None),
            Some(TemplateHeader::Video) => (Some("video"), None),
            Some(TemplateHeader::Document) => (Some("document"), None),
            Some(TemplateHeader::Location) => (Some("location"), None),
        };
        Self {
            id: template.id.uuid(),
            provider_id: definition.provider_id.clone(),
            name: definition.name.clone(),
            language: definition.language.clone(),
            category: definition.category.clone(),
            status: definition.status.as_str().to_owned(),
            provider_status: definition.provider_status.clone(),
            header_format: format.map(str::to_owned),
            header_text: text,
            body: definition.body.clone(),
            footer: definition.footer.clone(),
            buttons: definition.buttons.iter().map(Into::into).collect(),
            synced_at: template.synced_at,
            stale: templates::is_stale(template, now),
        }
    }
}

/// What a sync changed.
#[derive(Debug, Object)]
#[oai(rename = "SyncCounts")]
pub(crate) struct SyncView {
    /// Templates that are new.
    added: u64,
    /// Templates that are different now.
    changed: u64,
    /// Templates that the platform no longer has.
    gone: u64,
}

impl From<SyncCounts> for SyncView {
    fn from(counts: SyncCounts) -> Self {
        Self { added: counts.added.into(), changed: counts.changed.into(), gone: counts.gone.into() }
    }
}
