//! What a message says: the content that a draft asks for.

use transom_channel::PlannedPart;
use transom_domain::{Body, Content, Identity, MessageId, TemplateMessage};
use transom_storage::{StoredConversation, Tx};

use super::{Draft, Job, TemplateChoice};
use crate::{DeskError, attachments, letter, saved_replies};

impl Job {
    /// What it says, and the message that it answers or quotes.
    pub(super) async fn content(
        &self,
        tx: &Tx,
        stored: &StoredConversation,
        identity: &Identity,
    ) -> Result<(Content, Option<MessageId>), DeskError> {
        let filled = self.filled(tx, stored).await?;
        let draft = filled.as_ref().unwrap_or(&self.draft);
        let (letters, of_letters) = (self.channel.capabilities().threads, letter::field_of(draft));
        if let Some(field) = of_letters.filter(|_| !letters) {
            let detail = format!("this channel carries no letters: leave `{field}` out");
            return Err(DeskError::invalid("no_letters", field, detail));
        }
        // What is named must be there, whatever else is wrong with the message.
        let mut attachments = draft.attachments.clone();
        attachments::resolve(tx, &mut attachments).await?;
        let mut template = draft.template.clone();
        if let Some(choice) = &mut template {
            attachments::resolve_header(tx, &mut choice.parameters).await?;
        }
        let body = match (&template, &draft.choices, &draft.location, draft.contacts.is_empty()) {
            (Some(_), None, None, true) if draft.text.is_some() || !draft.attachments.is_empty() => {
                return Err(DeskError::invalid(
                    "content_ambiguous",
                    "template",
                    "a template goes alone: leave text and attachments out",
                ));
            }
            (Some(choice), None, None, true) => Body::Template(self.fill(tx, choice).await?),
            (None, Some(choices), None, true) => Body::Choices(choices.clone()),
            (None, None, Some(place), true) => Body::Location(place.clone()),
            (None, None, None, false) => Body::Contacts { contacts: draft.contacts.clone() },
            (None, None, None, true) if letters => {
                let place = (stored, identity);
                let letter = letter::compose(tx, self.channel.as_ref(), place, draft, attachments).await?;
                return Ok((letter.content, letter.answers));
            }
            (None, None, None, true) => Body::Text { text: draft.text.clone().unwrap_or_default(), attachments },
            _ => {
                return Err(DeskError::invalid(
                    "content_ambiguous",
                    "type",
                    "give one of: text with attachments, template, choices, location, contacts",
                ));
            }
        };
        if let Some(field) = of_letters {
            let detail = format!("only text and attachments make a letter: leave `{field}` out, or the rest");
            return Err(DeskError::invalid("content_ambiguous", field, detail));
        }
        let reply_to = match draft.reply_to {
            None => None,
            Some(id) => Some(quoted_provider_id(tx, stored, id).await?),
        };
        Ok((Content { body, reply_to }, draft.reply_to))
    }

    /// The draft with the words of its saved reply; `None` where it has none.
    async fn filled(&self, tx: &Tx, stored: &StoredConversation) -> Result<Option<Draft>, DeskError> {
        let draft = &self.draft;
        let Some(reply) = draft.saved_reply else { return Ok(None) };
        let others = [
            ("template", draft.template.is_some()),
            ("choices", draft.choices.is_some()),
            ("location", draft.location.is_some()),
            ("contacts", !draft.contacts.is_empty()),
            ("html", draft.html.is_some()),
        ];
        if let Some((field, _)) = others.into_iter().find(|(_, given)| *given) {
            let detail = format!("a saved reply is the words of a message: leave `{field}` out, or the saved reply");
            return Err(DeskError::invalid("content_ambiguous", field, detail));
        }
        let to = (stored.contact, self.account.platform.as_str());
        let words = saved_replies::words(tx, reply, draft.text.as_deref(), to, self.hand.actor.agent()).await?;
        Ok(Some(Draft { text: Some(words), ..draft.clone() }))
    }

    async fn fill(&self, tx: &Tx, choice: &TemplateChoice) -> Result<TemplateMessage, DeskError> {
        let template = tx.template(self.account.id, &choice.name, &choice.language).await?.ok_or_else(|| {
            DeskError::invalid(
                "template_unknown",
                "template",
                format!(
                    "the account has no template `{}` in `{}`: list them with GET /v1/channels/{}/templates",
                    choice.name, choice.language, self.account.id
                ),
            )
        })?;
        Ok(template.definition.fill(choice.parameters.clone())?)
    }
}

/// Keeps what goes out where the channel changed it: harmless HTML, and copies without our own addresses.
pub(super) fn keep_as_planned(content: &mut Content, plan: &[PlannedPart]) {
    let planned = plan.first().map(|part| &part.content.body);
    if let (Body::Mail(mail), Some(Body::Mail(planned))) = (&mut content.body, planned) {
        mail.html.clone_from(&planned.html);
        mail.cc.clone_from(&planned.cc);
    }
}

/// The platform's id of a message of the same conversation, for quoting it.
pub(crate) async fn quoted_provider_id(
    tx: &Tx,
    stored: &StoredConversation,
    id: MessageId,
) -> Result<String, DeskError> {
    let quoted = tx.message(id).await?.ok_or(DeskError::NotFound { what: "message to quote" })?;
    if quoted.message.conversation != stored.conversation.id {
        let detail = "the message to quote belongs to another conversation";
        return Err(DeskError::invalid("reply_to_unknown", "reply_to", detail));
    }
    let of_part = || quoted.parts.iter().find_map(|part| part.part.provider_id.clone());
    quoted.provider_id.clone().or_else(of_part).ok_or_else(|| {
        DeskError::conflict("reply_to_unsent", "the quoted message has no id on the platform yet: it can't be quoted")
    })
}
