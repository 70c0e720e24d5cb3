//! The workspace's own fields, and what a contact has in them.

use poem_openapi::{Enum, Object};
use time::OffsetDateTime;
use transom_desk::custom_fields::FieldPatch;
use transom_domain::FieldKind;
use transom_storage::{ContactField, StoredField};
use uuid::Uuid;

/// What the values of a custom field are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "CustomFieldType")]
pub(crate) enum FieldTypeWord {
    /// Any text of up to 1,000 characters.
    #[default]
    Text,
    /// A number.
    Number,
    /// A day, such as `2026-11-20`.
    Date,
    /// `true` or `false`.
    Boolean,
    /// One of the field's options.
    Choice,
}

impl From<FieldTypeWord> for FieldKind {
    fn from(word: FieldTypeWord) -> Self {
        match word {
            FieldTypeWord::Text => FieldKind::Text,
            FieldTypeWord::Number => FieldKind::Number,
            FieldTypeWord::Date => FieldKind::Date,
            FieldTypeWord::Boolean => FieldKind::Boolean,
            FieldTypeWord::Choice => FieldKind::Choice,
        }
    }
}

impl From<FieldKind> for FieldTypeWord {
    fn from(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Text => FieldTypeWord::Text,
            FieldKind::Number => FieldTypeWord::Number,
            FieldKind::Date => FieldTypeWord::Date,
            FieldKind::Boolean => FieldTypeWord::Boolean,
            FieldKind::Choice => FieldTypeWord::Choice,
        }
    }
}

/// A field that contacts can have.
#[derive(Debug, Object)]
#[oai(rename = "CustomField")]
pub(crate) struct FieldView {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// What its values are.
    #[oai(rename = "type")]
    kind: FieldTypeWord,
    /// What can be chosen; empty for every other type.
    options: Vec<String>,
    /// Whether it is offered no more.
    archived: bool,
    /// For `If-Match`: the same as in the `ETag`.
    version: u64,
    /// When it was made.
    created_at: OffsetDateTime,
}

impl From<&StoredField> for FieldView {
    fn from(stored: &StoredField) -> Self {
        let field = &stored.field;
        Self {
            id: field.id.uuid(),
            name: field.name.clone(),
            kind: field.kind.into(),
            options: field.options.clone(),
            archived: field.archived,
            version: stored.version,
            created_at: stored.created_at,
        }
    }
}

/// All custom fields.
#[derive(Debug, Object)]
pub(crate) struct FieldList {
    /// The fields, by name.
    pub(crate) items: Vec<FieldView>,
}

/// A field to add.
#[derive(Debug, Object)]
#[oai(rename = "NewCustomField", deny_unknown_fields)]
pub(crate) struct NewFieldBody {
    /// Its name.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(crate) name: String,
    /// What its values are; `text` unless said. It never changes.
    #[oai(rename = "type", default)]
    pub(crate) kind: FieldTypeWord,
    /// What can be chosen, for `choice`.
    #[oai(default, validator(max_items = 200))]
    pub(crate) options: Vec<String>,
}

/// What may change about a field; what is left out stays.
#[derive(Debug, Object)]
#[oai(rename = "CustomFieldPatch", deny_unknown_fields)]
pub(crate) struct FieldPatchBody {
    /// Its name.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(crate) name: Option<String>,
    /// What can be chosen, all of it. A contact keeps an option that is gone until it is changed.
    #[oai(validator(max_items = 200))]
    pub(crate) options: Option<Vec<String>>,
    /// Whether it is offered no more.
    pub(crate) archived: Option<bool>,
}

/// What a contact has in a custom field.
#[derive(Debug, Object)]
#[oai(rename = "ContactField")]
pub(crate) struct ContactFieldView {
    /// The field.
    id: Uuid,
    /// Its name.
    name: String,
    /// What its values are.
    #[oai(rename = "type")]
    kind: FieldTypeWord,
    /// The value: a text, a number, or `true` or `false`.
    value: serde_json::Value,
}

impl From<&ContactField> for ContactFieldView {
    fn from(field: &ContactField) -> Self {
        Self {
            id: field.field.uuid(),
            name: field.name.clone(),
            kind: field.value.kind().into(),
            value: field.value.json(),
        }
    }
}

/// What a contact is to have in a custom field. A field that is not there yet is made.
#[derive(Debug, Object)]
#[oai(rename = "ContactFieldPatch", deny_unknown_fields)]
pub(crate) struct ContactFieldBody {
    /// The field's name, whatever its case.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
    /// The type of a new field; `text` unless said.
    #[oai(rename = "type")]
    kind: Option<FieldTypeWord>,
    /// What can be chosen in a new field of type `choice`.
    #[oai(default, validator(max_items = 200))]
    options: Vec<String>,
    /// The value: a text, a number, or `true` or `false`. Left out or `null`, it empties the field.
    value: Option<serde_json::Value>,
}

impl From<ContactFieldBody> for FieldPatch {
    fn from(body: ContactFieldBody) -> Self {
        let ContactFieldBody { name, kind, options, value } = body;
        Self { name, kind: kind.map(Into::into), options, value: value.unwrap_or_default() }
    }
}
