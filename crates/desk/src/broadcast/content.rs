//! What a broadcast says, and what it says to one contact.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use transom_domain::saved_reply::render;
use transom_domain::{Agent, BroadcastId, ChannelAccount, MissingFields, TemplateParameters};
use transom_storage::{Reader, StorageError, StoredContact};

use crate::send::{Draft, TemplateChoice};
use crate::{DeskError, attachments, saved_replies};

/// The category of templates that promote something, as policies name it.
const MARKETING: &str = "marketing";

/// What a broadcast says: words or a template, with `{{field}}` for fields of the contact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BroadcastContent {
    /// Words.
    pub text: Option<String>,
    /// Of letters: the subject.
    pub subject: Option<String>,
    /// An approved template instead.
    pub template: Option<TemplateChoice>,
}

impl BroadcastContent {
    pub(super) fn read(id: BroadcastId, stored: &Value) -> Result<Self, DeskError> {
        let unreadable = |error: serde_json::Error| StorageError::Unreadable {
            table: "broadcasts",
            column: "content",
            row: id.uuid(),
            reason: error.to_string(),
        };
        Ok(Self::deserialize(stored).map_err(unreadable)?)
    }

    pub(super) fn stored(&self) -> Result<Value, DeskError> {
        Ok(serde_json::to_value(self).map_err(|error| StorageError::Database(error.to_string()))?)
    }

    /// What can be said of it before anybody gets it.
    pub(super) async fn check(
        &self,
        reader: &Reader,
        account: &ChannelAccount,
        promotional: bool,
    ) -> Result<(), DeskError> {
        // What is named must be there, whatever else is wrong.
        if let Some(choice) = &self.template {
            attachments::header_is_known(reader, &choice.parameters).await?;
        }
        let has_words = self.text.as_ref().is_some_and(|text| !text.trim().is_empty());
        let Some(choice) = &self.template else {
            if has_words {
                return Ok(());
            }
            return Err(DeskError::invalid("message_empty", "content", "give a text or a template"));
        };
        if has_words || self.subject.is_some() {
            let detail = "a template goes alone: leave text and subject out";
            return Err(DeskError::invalid("content_ambiguous", "content", detail));
        }
        let known = reader.template(account.id, &choice.name, &choice.language).await?;
        let Some(template) = known else {
            let detail = format!("the account has no template `{}` in `{}`", choice.name, choice.language);
            return Err(DeskError::invalid("template_unknown", "content.template", detail));
        };
        if promotional && template.definition.category != MARKETING {
            let category = &template.definition.category;
            let detail = format!(
                "a template of the category `{category}` must not promote anything: set `promotional` to false, or choose one of `{MARKETING}`"
            );
            return Err(DeskError::invalid("template_not_promotional", "content.template", detail));
        }
        Ok(())
    }

    /// The message for one contact.
    ///
    /// # Errors
    /// [`DeskError::Invalid`] names every field that the contact lacks: never a gap in front of a customer.
    pub(super) fn for_contact(&self, stored: &StoredContact, author: &Agent) -> Result<Draft, DeskError> {
        let fields = saved_replies::fields(Some(stored), Some(author));
        let filled = |text: &Option<String>| text.as_ref().map(|text| render(text, &fields)).transpose();
        let template = match &self.template {
            None => None,
            Some(choice) => Some(TemplateChoice {
                parameters: parameters(choice, &fields)?,
                name: choice.name.clone(),
                language: choice.language.clone(),
            }),
        };
        Ok(Draft { text: filled(&self.text)?, subject: filled(&self.subject)?, template, ..Draft::default() })
    }
}

/// The values of a template with every `{{field}}` looked up.
fn parameters(choice: &TemplateChoice, fields: &BTreeMap<String, String>) -> Result<TemplateParameters, DeskError> {
    let unstorable = |error: serde_json::Error| StorageError::Database(error.to_string());
    let mut values = serde_json::to_value(&choice.parameters).map_err(unstorable)?;
    fill(&mut values, fields)?;
    Ok(serde_json::from_value(values).map_err(unstorable)?)
}

fn fill(value: &mut Value, fields: &BTreeMap<String, String>) -> Result<(), MissingFields> {
    match value {
        Value::String(text) => *text = render(text, fields)?,
        Value::Array(items) => items.iter_mut().try_for_each(|item| fill(item, fields))?,
        Value::Object(members) => members.values_mut().try_for_each(|member| fill(member, fields))?,
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}
