//! Messages, their parts and attempts.

use poem_openapi::{Enum, Object};
use time::OffsetDateTime;
use transom_desk::messages::Settle;
use transom_desk::{Draft, Sent, TemplateChoice};
use transom_domain::MessageKind;
use transom_storage::{Attempt, StoredMessage, StoredPart, StoredReaction};
use uuid::Uuid;

use super::content::{ChoicesBody, ContactCardBody, ContentView, LocationBody, NewAttachment, TemplateParametersBody};
use super::file::FileView;
use super::people::ActorView;
use crate::api::contract::{As, PermitRecordBody};
use crate::http::problem::Problem;

/// What a message is to its readers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "MessageType")]
pub(crate) enum MessageType {
    /// Between the customer and us.
    #[default]
    Reply,
    /// For the team only.
    Note,
}

/// A message to send, or a note to write.
#[derive(Debug, Object)]
#[oai(rename = "NewMessage", deny_unknown_fields)]
pub(crate) struct NewMessageBody {
    /// What it is; `reply` unless said.
    #[oai(rename = "type", default)]
    pub(crate) kind: MessageType,
    /// Words.
    #[oai(validator(max_length = 100_000))]
    pub(crate) text: Option<String>,
    /// The saved reply that the words are. With `text`, that is what you made of it. Its `{{places}}` are filled either way; in a
    /// `text` without a saved reply braces are just braces.
    saved_reply: Option<Uuid>,
    /// Files.
    #[oai(default, validator(max_items = 30))]
    attachments: Vec<NewAttachment>,
    /// An approved template instead.
    template: Option<TemplateChoiceBody>,
    /// Buttons or a list, with the words above them.
    choices: Option<ChoicesBody>,
    /// A place.
    location: Option<LocationBody>,
    /// Contact cards.
    #[oai(default, validator(max_items = 30))]
    contacts: Vec<ContactCardBody>,
    /// The message that this one quotes; for a letter the one that it answers, if not the customer's last.
    reply_to: Option<Uuid>,
    /// Of a letter: its subject. Needed for the first of a thread; an answer keeps the thread's.
    #[oai(validator(max_length = 2_000))]
    subject: Option<String>,
    /// Of a letter: from which address, one of `GET /v1/channels/{id}/senders`; unless said, the one that the customer wrote to.
    #[oai(validator(max_length = 254))]
    from: Option<String>,
    /// Of a letter: addresses of readers that everybody sees.
    #[oai(default, validator(max_items = 100))]
    cc: Vec<String>,
    /// Of a letter: addresses of readers that only agents see.
    #[oai(default, validator(max_items = 100))]
    bcc: Vec<String>,
    /// Of a letter: the words as HTML, beside `text`.
    #[oai(validator(max_length = 500_000))]
    html: Option<String>,
    /// The platform's message tag, if you insist on one.
    #[oai(validator(max_length = 100))]
    message_tag: Option<String>,
    /// Tags for the conversation that this message opens.
    #[oai(default, validator(max_items = 50))]
    conversation_tags: Vec<String>,
    /// When it shall leave, if not at once: a time to come, at most a year away. It is refused if nothing will permit it then,
    /// and decided anew when that time has come.
    send_at: Option<OffsetDateTime>,
}

/// Which template, with which values.
#[derive(Debug, Object)]
#[oai(rename = "TemplateChoice", deny_unknown_fields)]
pub(crate) struct TemplateChoiceBody {
    /// Its name.
    name: String,
    /// Its language.
    language: String,
    /// The values.
    parameters: Option<TemplateParametersBody>,
}

impl TryFrom<TemplateChoiceBody> for TemplateChoice {
    type Error = Problem;

    fn try_from(choice: TemplateChoiceBody) -> Result<Self, Problem> {
        let parameters: Option<transom_domain::TemplateParameters> =
            choice.parameters.map(TryInto::try_into).transpose()?;
        Ok(Self { name: choice.name, language: choice.language, parameters: parameters.unwrap_or_default() })
    }
}

impl NewMessageBody {
    /// Whether it has anything that a note can't have.
    pub(crate) fn is_more_than_text(&self) -> bool {
        !self.attachments.is_empty()
            || self.saved_reply.is_some()
            || self.template.is_some()
            || self.choices.is_some()
            || self.location.is_some()
            || !self.contacts.is_empty()
            || self.reply_to.is_some()
            || self.subject.is_some()
            || self.from.is_some()
            || !self.cc.is_empty()
            || !self.bcc.is_empty()
            || self.html.is_some()
            || self.message_tag.is_some()
            || !self.conversation_tags.is_empty()
            || self.send_at.is_some()
    }

    /// It as the desk wants it.
    pub(crate) fn into_draft(self) -> Result<Draft, Problem> {
        let template: Option<TemplateChoice> = self.template.map(TryInto::try_into).transpose()?;
        Ok(Draft {
            text: self.text,
            saved_reply: self.saved_reply.map(Into::into),
            attachments: self.attachments.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            template,
            choices: self.choices.map(Into::into),
            location: self.location.map(Into::into),
            contacts: self.contacts.into_iter().map(Into::into).collect(),
            reply_to: self.reply_to.map(Into::into),
            subject: self.subject,
            from: self.from,
            cc: self.cc,
            bcc: self.bcc,
            html: self.html,
            message_tag: self.message_tag,
            conversation_tags: self.conversation_tags,
            send_at: self.send_at,
        })
    }
}

/// A message to a contact, over a channel of the sender's choice.
#[derive(Debug, Object)]
#[oai(rename = "NewContactMessage", deny_unknown_fields)]
pub(crate) struct NewContactMessageBody {
    /// The channel.
    pub(crate) channel: Uuid,
    /// The message.
    pub(crate) message: NewMessageBody,
}

/// What became of a message that was taken.
#[derive(Debug, Object)]
#[oai(rename = "Sent", skip_serializing_if_is_none)]
pub(crate) struct SentView {
    /// The message.
    id: Uuid,
    /// Where it stands.
    conversation: Uuid,
    /// `reply` or `note`.
    #[oai(rename = "type")]
    kind: String,
    /// How a reply fares so far.
    state: Option<String>,
    /// By which right a reply goes.
    permit: Option<As<PermitRecordBody>>,
    /// Whether it opened the conversation.
    opened: bool,
}

impl From<&Sent> for SentView {
    fn from(sent: &Sent) -> Self {
        Self {
            id: sent.message.uuid(),
            conversation: sent.conversation.uuid(),
            kind: MessageKind::Reply.as_str().to_owned(),
            state: Some(sent.state.as_str().to_owned()),
            permit: Some(As::of(&sent.permit)),
            opened: sent.opened,
        }
    }
}

impl SentView {
    /// For a note: it goes nowhere.
    pub(crate) fn note(id: Uuid, conversation: Uuid) -> Self {
        Self { id, conversation, kind: MessageKind::Note.as_str().to_owned(), state: None, permit: None, opened: false }
    }
}

/// A message in a conversation.
#[derive(Debug, Object)]
#[oai(rename = "Message", skip_serializing_if_is_none)]
pub(crate) struct MessageView {
    /// Its id.
    id: Uuid,
    /// Where it stands.
    conversation: Uuid,
    /// The channel that it came in or goes out by.
    channel: Uuid,
    /// The saved reply that it was made of.
    saved_reply: Option<Uuid>,
    /// `reply`, `note` or `activity`.
    #[oai(rename = "type")]
    kind: String,
    /// `inbound`, `outbound` or `internal`.
    direction: String,
    /// Who wrote it.
    author: ActorView,
    /// The name that the customer sees above it, where the channel shows one of ours.
    sender_name: Option<String>,
    /// What it says.
    content: ContentView,
    /// How it fares: `scheduled`, `queued`, `sending`, `sent`, `delivered`, `read`, `failed`, `not_sent`, `unknown` or
    /// `canceled`; the worst of its parts.
    state: Option<String>,
    /// When its author wanted it to leave, where that was not at once.
    send_at: Option<String>,
    /// The broadcast that it is of.
    broadcast: Option<String>,
    /// The message that it answers or quotes.
    reply_to: Option<Uuid>,
    /// What came with a button that the customer pressed.
    payload: Option<String>,
    /// Whether a machine wrote what came in, such as a note of absence: it woke nothing and is nobody's answer.
    automatic: Option<bool>,
    /// By which right it went.
    permit: Option<As<PermitRecordBody>>,
    /// What was sent in which request; empty for what came in.
    parts: Vec<PartView>,
    /// Why it did not arrive.
    failure: Option<serde_json::Value>,
    /// What others put to it.
    reactions: Vec<ReactionView>,
    /// For an activity: what happened, such as `conversation.closed`.
    activity: Option<String>,
    /// For an activity: what exactly.
    activity_data: Option<serde_json::Value>,
    /// When its author last edited it.
    edited_at: Option<OffsetDateTime>,
    /// When its author took it back.
    unsent_at: Option<OffsetDateTime>,
    /// When it was written: the platform's own time for what came in.
    at: OffsetDateTime,
}

/// What one request to the platform carries of a message.
#[derive(Debug, Object)]
#[oai(rename = "Part", skip_serializing_if_is_none)]
pub(crate) struct PartView {
    /// Its id.
    id: Uuid,
    /// Its place in the message, from 0.
    index: u32,
    /// What it says.
    content: ContentView,
    /// How it fares.
    state: String,
    /// The platform's id, once accepted.
    provider_id: Option<String>,
    /// Why it did not arrive.
    failure: Option<serde_json::Value>,
    /// How often it was tried.
    tries: u32,
    /// The tries; only when one message is asked for.
    attempts: Option<Vec<AttemptView>>,
    /// When the platform accepted it.
    sent_at: Option<OffsetDateTime>,
    /// When it reached the customer.
    delivered_at: Option<OffsetDateTime>,
    /// When the customer saw it.
    read_at: Option<OffsetDateTime>,
}

/// One try to hand a part to the platform.
#[derive(Debug, Object)]
#[oai(rename = "Attempt", skip_serializing_if_is_none)]
pub(crate) struct AttemptView {
    /// Its number, from 1.
    number: u32,
    /// Who asked for it, where a person did.
    asked_by: Option<ActorView>,
    /// When it began.
    started_at: OffsetDateTime,
    /// When its outcome was stored.
    ended_at: Option<OffsetDateTime>,
    /// How long the platform took, in milliseconds.
    duration_ms: Option<u64>,
    /// How far it came.
    phase: Option<String>,
    /// The platform's HTTP status.
    status: Option<u16>,
    /// `sent`, `retry`, `failed`, `not_sent` or `unknown`.
    verdict: Option<String>,
    /// What the platform said.
    detail: Option<serde_json::Value>,
    /// The platform's own word on how it counted the message.
    billing: Option<String>,
}

/// An emoji that somebody put to a message.
#[derive(Debug, Object)]
#[oai(rename = "MessageReaction")]
pub(crate) struct ReactionView {
    /// Who.
    by: ActorView,
    /// The emoji.
    emoji: String,
    /// When.
    at: OffsetDateTime,
}

impl From<&StoredMessage> for MessageView {
    fn from(stored: &StoredMessage) -> Self {
        let message = &stored.message;
        let activity = stored.extra.get("activity").and_then(serde_json::Value::as_str);
        Self {
            id: message.id.uuid(),
            conversation: message.conversation.uuid(),
            channel: stored.account.uuid(),
            saved_reply: stored.extra.get("saved_reply").and_then(|id| id.as_str()?.parse().ok()),
            kind: message.kind.as_str().to_owned(),
            direction: message.direction.as_str().to_owned(),
            author: (&message.author).into(),
            sender_name: stored.extra.pointer("/ask/signed").and_then(serde_json::Value::as_str).map(str::to_owned),
            content: match message.kind {
                // An activity says what happened in words of its own.
                MessageKind::Activity => ContentView::default(),
                MessageKind::Reply | MessageKind::Note => (&message.content).into(),
            },
            state: message.state.map(|state| state.as_str().to_owned()),
            send_at: stored.extra.get("send_at").and_then(serde_json::Value::as_str).map(str::to_owned),
            broadcast: stored.extra.get("broadcast").and_then(serde_json::Value::as_str).map(str::to_owned),
            reply_to: stored.reply_to.map(Into::into),
            payload: stored.payload.clone(),
            automatic: stored.extra.get("automatic").and_then(serde_json::Value::as_bool),
            permit: stored.permit.as_ref().map(As::of),
            parts: stored.parts.iter().map(Into::into).collect(),
            failure: stored.failure.clone(),
            reactions: stored.reactions.iter().map(Into::into).collect(),
            activity: activity.map(str::to_owned),
            activity_data: activity.and_then(|_| stored.extra.get("data").cloned()),
            edited_at: stored.edited_at,
            unsent_at: stored.unsent_at,
            at: message.at,
        }
    }
}

impl MessageView {
    /// With what is known of its files.
    pub(crate) fn with_files(mut self, look: &dyn Fn(Uuid) -> Option<FileView>) -> Self {
        self.content.complete(look);
        self.parts.iter_mut().for_each(|part| part.content.complete(look));
        self
    }

    /// With the tries of each part, in the order of the parts.
    pub(crate) fn with_attempts(mut self, attempts: impl IntoIterator<Item = Vec<Attempt>>) -> Self {
        for (part, attempts) in self.parts.iter_mut().zip(attempts) {
            part.attempts = Some(attempts.iter().map(Into::into).collect());
        }
        self
    }
}

impl From<&StoredPart> for PartView {
    fn from(stored: &StoredPart) -> Self {
        let part = &stored.part;
        Self {
            id: part.id.uuid(),
            index: part.index,
            content: (&part.content).into(),
            state: part.state.as_str().to_owned(),
            provider_id: part.provider_id.clone(),
            failure: stored.failure.clone(),
            tries: stored.attempts,
            attempts: None,
            sent_at: stored.sent_at,
            delivered_at: stored.delivered_at,
            read_at: stored.read_at,
        }
    }
}

impl From<&Attempt> for AttemptView {
    fn from(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            asked_by: attempt.asked_by.as_ref().map(Into::into),
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            duration_ms: attempt.duration_ms,
            phase: attempt.phase.clone(),
            status: attempt.status,
            verdict: attempt.verdict.clone(),
            detail: attempt.detail.clone(),
            billing: attempt.billing.clone(),
        }
    }
}

impl From<&StoredReaction> for ReactionView {
    fn from(reaction: &StoredReaction) -> Self {
        Self { by: (&reaction.by).into(), emoji: reaction.emoji.clone(), at: reaction.at }
    }
}

/// A page of messages.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct MessagePage {
    /// The messages, newest first.
    pub(crate) items: Vec<MessageView>,
    /// Where the next page begins; left out on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// Another time, or other words, for a scheduled message: what is left out stays.
#[derive(Debug, Object)]
#[oai(rename = "ScheduleChange", deny_unknown_fields)]
pub(crate) struct ScheduleChangeBody {
    /// When it shall leave.
    pub(crate) send_at: Option<OffsetDateTime>,
    /// What it says.
    #[oai(validator(max_length = 100_000))]
    pub(crate) text: Option<String>,
}

/// What to do with a message that needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum SettleChoice {
    /// Unknown: it arrived, a person saw it on the customer's side.
    Confirm,
    /// Unknown: send it again, knowing that it may arrive twice.
    SendAgain,
    /// Unknown: leave it, it counts as failed.
    GiveUp,
    /// Failed or not sent: try once more, decided anew.
    Retry,
    /// Scheduled or queued: withdraw it.
    Cancel,
}

impl From<SettleChoice> for Settle {
    fn from(choice: SettleChoice) -> Self {
        match choice {
            SettleChoice::Confirm => Settle::Confirm,
            SettleChoice::SendAgain => Settle::SendAgain,
            SettleChoice::GiveUp => Settle::GiveUp,
            SettleChoice::Retry => Settle::Retry,
            SettleChoice::Cancel => Settle::Cancel,
        }
    }
}

/// What to do with a message that needs a person.
#[derive(Debug, Object)]
#[oai(rename = "Settlement", deny_unknown_fields)]
pub(crate) struct SettleBody {
    /// The choice. Each counts once.
    pub(crate) choice: SettleChoice,
}
