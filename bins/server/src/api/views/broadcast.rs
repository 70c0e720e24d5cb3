//! Broadcasts, their recipients and their rehearsal.

use poem_openapi::{Enum, Object};
use serde::Deserialize as _;
use time::OffsetDateTime;
use transom_desk::TemplateChoice;
use transom_desk::broadcast::{Audience, BroadcastChange, BroadcastContent, BroadcastDetail, NewBroadcast, Rehearsal};
use transom_storage::{BroadcastRecipient, RecipientCount, StoredBroadcast};
use uuid::Uuid;

use super::message::TemplateChoiceBody;
use crate::api::contract::{As, PermitRecordBody};
use crate::http::problem::Problem;

/// As many messages a minute as most platforms like.
const USUAL_PACE: u32 = 600;

/// What a broadcast says: words or a template. `{{field}}` in them stands for a field of the contact: `name`, `first_name`,
/// `last_name`, `username`, `email`, `phone`, `language`, `external_id`, or one of the workspace's own. Who lacks one is left out.
#[derive(Debug, Object)]
#[oai(rename = "NewBroadcastContent", deny_unknown_fields)]
pub(crate) struct ContentBody {
    /// Words.
    #[oai(validator(max_length = 100_000))]
    text: Option<String>,
    /// Of letters: the subject.
    #[oai(validator(max_length = 2_000))]
    subject: Option<String>,
    /// An approved template instead.
    template: Option<TemplateChoiceBody>,
}

/// Whom a broadcast is for: exactly one of these.
#[derive(Debug, Object)]
#[oai(rename = "Audience", deny_unknown_fields, skip_serializing_if_is_none)]
pub(crate) struct AudienceBody {
    /// These contacts, each once.
    #[oai(validator(max_items = 10_000))]
    contacts: Option<Vec<Uuid>>,
    /// Everybody with this label.
    #[oai(validator(max_length = 200))]
    label: Option<String>,
    /// Everybody whom this search finds, such as `label:vip -blocked:yes`: as `q` of `GET /v1/contacts`.
    #[oai(validator(max_length = 1_000))]
    filter: Option<String>,
}

/// A broadcast to be made.
#[derive(Debug, Object)]
#[oai(rename = "NewBroadcast", deny_unknown_fields)]
pub(crate) struct NewBroadcastBody {
    /// What agents find it by.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: String,
    /// The channel.
    channel: Uuid,
    /// What it says.
    content: ContentBody,
    /// Whom it is for.
    audience: AudienceBody,
    /// Whether it promotes something; true unless said. Then only rights that allow promotion are used.
    promotional: Option<bool>,
    /// How many messages are queued a minute at most; 600 unless said.
    #[oai(validator(minimum(value = "1"), maximum(value = "100000")))]
    per_minute: Option<u32>,
    /// When it shall begin once it is started, if not at once.
    send_at: Option<OffsetDateTime>,
}

/// What may change about a draft; what is left out stays.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastPatch", deny_unknown_fields)]
pub(crate) struct BroadcastPatch {
    /// What agents find it by.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: Option<String>,
    /// What it says.
    content: Option<ContentBody>,
    /// Whom it is for.
    audience: Option<AudienceBody>,
    /// Whether it promotes something.
    promotional: Option<bool>,
    /// How many messages are queued a minute at most.
    #[oai(validator(minimum(value = "1"), maximum(value = "100000")))]
    per_minute: Option<u32>,
    /// When it shall begin once it is started.
    send_at: Option<OffsetDateTime>,
}

impl ContentBody {
    fn into_content(self) -> Result<BroadcastContent, Problem> {
        let template: Option<TemplateChoice> = self.template.map(TryInto::try_into).transpose()?;
        Ok(BroadcastContent { text: self.text, subject: self.subject, template })
    }
}

impl AudienceBody {
    fn into_audience(self) -> Result<Audience, Problem> {
        match (self.contacts, self.label, self.filter) {
            (Some(ids), None, None) => Ok(Audience::Contacts(ids.into_iter().map(Into::into).collect())),
            (None, Some(label), None) => Ok(Audience::Label(label)),
            (None, None, Some(filter)) => Ok(Audience::Filter(filter)),
            _ => {
                let detail = "name the audience by exactly one of `contacts`, `label`, `filter`";
                Err(Problem::new("audience_ambiguous", detail).at("audience"))
            }
        }
    }
}

impl NewBroadcastBody {
    pub(crate) fn into_new(self) -> Result<NewBroadcast, Problem> {
        Ok(NewBroadcast {
            name: self.name,
            account: self.channel.into(),
            content: self.content.into_content()?,
            audience: self.audience.into_audience()?,
            promotional: self.promotional.unwrap_or(true),
            per_minute: self.per_minute.unwrap_or(USUAL_PACE),
            send_at: self.send_at,
        })
    }
}

impl BroadcastPatch {
    pub(crate) fn into_change(self) -> Result<BroadcastChange, Problem> {
        Ok(BroadcastChange {
            name: self.name,
            content: self.content.map(ContentBody::into_content).transpose()?,
            audience: self.audience.map(AudienceBody::into_audience).transpose()?,
            promotional: self.promotional,
            per_minute: self.per_minute,
            send_at: self.send_at,
        })
    }
}

/// Why a broadcast is held up.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastHold", skip_serializing_if_is_none)]
pub(crate) struct HoldView {
    /// `account_disabled`, `channel_removed`, `account_suspended`, `author_inactive`, or `quota_used`.
    because: String,
    /// Then it goes on by itself, as where a limit of the last 24 hours is used up. A paused one waits for somebody to resume it.
    until: Option<OffsetDateTime>,
}

/// A broadcast.
#[derive(Debug, Object)]
#[oai(rename = "Broadcast", skip_serializing_if_is_none)]
pub(crate) struct BroadcastView {
    /// Its id.
    id: Uuid,
    /// What agents find it by.
    name: String,
    /// The channel.
    channel: Uuid,
    /// In whose name it goes.
    author: Uuid,
    /// `draft`, `scheduled`, `running`, `paused`, `done` or `canceled`.
    state: String,
    /// Why it is held up, where no person did that.
    held: Option<HoldView>,
    /// What it says: `text` with `subject`, or `template`.
    content: serde_json::Value,
    /// Whom it is for.
    audience: AudienceBody,
    /// Whether it promotes something.
    promotional: bool,
    /// How many messages are queued a minute at most.
    per_minute: u32,
    /// When it shall begin once it is started, if not at once.
    send_at: Option<OffsetDateTime>,
    /// When it was made.
    created_at: OffsetDateTime,
    /// When it began.
    started_at: Option<OffsetDateTime>,
    /// When it was done or canceled.
    ended_at: Option<OffsetDateTime>,
}

impl From<&StoredBroadcast> for BroadcastView {
    fn from(stored: &StoredBroadcast) -> Self {
        let plan = &stored.plan;
        let mut content = plan.content.clone();
        if let Some(content) = content.as_object_mut() {
            content.retain(|_, value| !value.is_null());
        }
        let mut audience = AudienceBody { contacts: None, label: None, filter: None };
        match Audience::deserialize(&plan.audience) {
            Ok(Audience::Contacts(ids)) => {
                audience.contacts = Some(ids.into_iter().map(transom_domain::ContactId::uuid).collect());
            }
            Ok(Audience::Label(label)) => audience.label = Some(label),
            Ok(Audience::Filter(filter)) => audience.filter = Some(filter),
            Err(_) => {}
        }
        Self {
            id: stored.id.uuid(),
            name: plan.name.clone(),
            channel: plan.account.uuid(),
            author: stored.author.uuid(),
            state: stored.state.as_str().to_owned(),
            held: stored.held.as_ref().map(|held| HoldView { because: held.because.clone(), until: held.until }),
            content,
            audience,
            promotional: plan.promotional,
            per_minute: plan.per_minute,
            send_at: plan.send_at,
            created_at: stored.created_at,
            started_at: stored.started_at,
            ended_at: stored.ended_at,
        }
    }
}

/// A broadcast with how its recipients stand.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastDetail", skip_serializing_if_is_none)]
pub(crate) struct BroadcastDetailView {
    /// The broadcast.
    broadcast: BroadcastView,
    /// How many contacts of the audience are written down so far.
    recipients: u64,
    /// How many of them answered in time.
    answered: u64,
    /// How many stand where, and why.
    counts: Vec<RecipientCountView>,
}

impl From<&BroadcastDetail> for BroadcastDetailView {
    fn from(detail: &BroadcastDetail) -> Self {
        Self {
            broadcast: (&detail.stored).into(),
            recipients: detail.counts.iter().map(|count| count.count).sum(),
            answered: detail.answered,
            counts: detail.counts.iter().map(Into::into).collect(),
        }
    }
}

/// How many recipients stand so, for a reason.
#[derive(Debug, Object)]
#[oai(rename = "RecipientCount", skip_serializing_if_is_none)]
pub(crate) struct RecipientCountView {
    /// `waiting`, `not_sent`, `canceled`, or the state of the message.
    state: String,
    /// The code of the reason, where there is one.
    reason: Option<String>,
    /// How many.
    count: u64,
}

impl From<&RecipientCount> for RecipientCountView {
    fn from(count: &RecipientCount) -> Self {
        Self { state: count.state.clone(), reason: count.reason.clone(), count: count.count }
    }
}

/// How a recipient stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "RecipientState")]
pub(crate) enum RecipientStateWord {
    /// Their turn has not come.
    Waiting,
    /// On its way.
    Queued,
    /// On the wire.
    Sending,
    /// The platform has it.
    Sent,
    /// It reached the customer's device.
    Delivered,
    /// The customer saw it.
    Read,
    /// The platform refused it.
    Failed,
    /// They were left out, or it never left.
    NotSent,
    /// It may have arrived.
    Unknown,
    /// Withdrawn.
    Canceled,
}

impl RecipientStateWord {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            RecipientStateWord::Waiting => "waiting",
            RecipientStateWord::Queued => "queued",
            RecipientStateWord::Sending => "sending",
            RecipientStateWord::Sent => "sent",
            RecipientStateWord::Delivered => "delivered",
            RecipientStateWord::Read => "read",
            RecipientStateWord::Failed => "failed",
            RecipientStateWord::NotSent => "not_sent",
            RecipientStateWord::Unknown => "unknown",
            RecipientStateWord::Canceled => "canceled",
        }
    }
}

/// Somebody for whom a broadcast is.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastRecipient", skip_serializing_if_is_none)]
pub(crate) struct RecipientView {
    /// Who.
    contact: Uuid,
    /// `waiting`, `not_sent`, `canceled`, or the state of the message.
    state: String,
    /// Why it was not sent, or did not arrive.
    reason: Option<serde_json::Value>,
    /// The message.
    message: Option<Uuid>,
    /// When it was queued.
    queued_at: Option<OffsetDateTime>,
    /// Whether the customer answered in time.
    answered: bool,
}

impl From<&BroadcastRecipient> for RecipientView {
    fn from(recipient: &BroadcastRecipient) -> Self {
        Self {
            contact: recipient.contact.uuid(),
            state: recipient.state.clone(),
            reason: recipient.reason.clone(),
            message: recipient.message.map(Into::into),
            queued_at: recipient.queued_at,
            answered: recipient.answered,
        }
    }
}

/// A page of recipients.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct RecipientPage {
    /// The recipients.
    pub(crate) items: Vec<RecipientView>,
    /// Where the next page begins; left out on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// A page of broadcasts.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct BroadcastPage {
    /// The broadcasts, newest first.
    pub(crate) items: Vec<BroadcastView>,
    /// Where the next page begins; left out on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// What would become of a broadcast now.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastPreview")]
pub(crate) struct RehearsalView {
    /// How many contacts were looked at.
    looked_at: u64,
    /// Whether that is all of the audience.
    complete: bool,
    /// How many requests the platform would get.
    requests: u64,
    /// Those who would get it, by right.
    permitted: Vec<PermittedView>,
    /// How many would wait for the end of their quiet hours.
    waiting: u64,
    /// Those who would not get it, by reason.
    refused: Vec<RefusedView>,
}

/// How many would get it by a right.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastPermitted")]
pub(crate) struct PermittedView {
    /// The right, as of one of them.
    permit: As<PermitRecordBody>,
    /// How many contacts.
    count: u64,
    /// How many requests.
    requests: u64,
    /// Some of the contacts.
    examples: Vec<Uuid>,
}

/// How many would not get it for a reason.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastRefused")]
pub(crate) struct RefusedView {
    /// The code of the reason.
    reason: String,
    /// How many contacts.
    count: u64,
    /// Some of them.
    examples: Vec<ExampleView>,
}

/// Somebody who would not get it.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastExample")]
pub(crate) struct ExampleView {
    /// Who.
    contact: Uuid,
    /// Everything that stands against it.
    why: serde_json::Value,
}

impl From<Rehearsal> for RehearsalView {
    fn from(rehearsal: Rehearsal) -> Self {
        let permitted = rehearsal.permitted.into_iter().map(|count| PermittedView {
            permit: As::of(&count.permit),
            count: count.count,
            requests: count.requests,
            examples: count.examples.into_iter().map(Into::into).collect(),
        });
        let refused = rehearsal.refused.into_iter().map(|count| RefusedView {
            reason: count.reason,
            count: count.count,
            examples: count
                .examples
                .into_iter()
                .map(|example| ExampleView { contact: example.contact.into(), why: example.why })
                .collect(),
        });
        Self {
            looked_at: rehearsal.looked_at,
            complete: rehearsal.complete,
            requests: rehearsal.requests,
            permitted: permitted.collect(),
            waiting: rehearsal.waiting,
            refused: refused.collect(),
        }
    }
}
