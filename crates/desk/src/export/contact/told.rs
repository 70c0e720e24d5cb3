//! What the document tells of a contact, a conversation and a message: everything that is stored of it.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::{Value, json};
use time::OffsetDateTime;
use transom_domain::{AttachmentId, MessageId};
use transom_storage::{
    Consent, Reader, StoredAttachment, StoredContact, StoredConversation, StoredMerge, StoredMessage, StoredPart,
    StoredSchedule,
};

use transom_windows::OptOutScope;

use super::super::conversations::{at, files};
use crate::DeskError;
use crate::consent::{self, Standing};
use crate::of_parts::of_parts;

/// Nobody has more records, or was merged more often.
const ALL: u32 = i32::MAX.unsigned_abs();

pub(super) async fn contact(reader: &Reader, stored: &StoredContact, now: OffsetDateTime) -> Result<Value, DeskError> {
    let (standings, records) = consent::known(reader, &stored.identities, ALL).await?;
    let merges = reader.merges_into(stored.contact.id, ALL).await?;
    let dedicated = reader.dedicated_agent(stored.contact.id).await?;
    let fields = stored.fields.iter().map(|field| {
        json!({ "id": field.field, "name": field.name, "type": field.value.kind().as_str(), "value": field.value.json() })
    });
    let sources = stored.sources.iter().map(|(field, source)| (field.clone(), source.as_str()));
    Ok(json!({
        "contact": stored.contact,
        "sources": sources.collect::<BTreeMap<_, _>>(),
        "updated_at": at(Some(stored.updated_at)),
        "fields": fields.collect::<Vec<_>>(),
        "labels": stored.labels,
        "dedicated_agent": dedicated,
        "identities": stored.identities,
        "standing": standings.iter().map(standing).collect::<Vec<_>>(),
        "consents": records.iter().map(record).collect::<Vec<_>>(),
        "merges": merges.iter().map(merge).collect::<Vec<_>>(),
        "exported_at": at(Some(now)),
    }))
}

fn standing(standing: &Standing) -> Value {
    json!({
        "channel": standing.account,
        "identity": standing.identity,
        "opted_out": standing.opted_out.map(OptOutScope::as_str),
        "since": at(standing.since),
        "blocked_by_customer": standing.blocked_by_customer,
    })
}

fn record(record: &Consent) -> Value {
    json!({
        "channel": record.account,
        "identity": record.identity,
        "scope": record.scope.as_str(),
        "state": if record.allowed { "opted_in" } else { "opted_out" },
        "source": record.source,
        "text": record.detail,
        "recorded_by": record.by,
        "at": at(Some(record.at)),
        "recorded_at": at(Some(record.recorded_at)),
    })
}

fn merge(merge: &StoredMerge) -> Value {
    let conflicts = merge.conflicts.iter();
    let conflicts = conflicts.map(|lost| json!({ "field": lost.field, "kept": lost.kept, "lost": lost.lost }));
    json!({
        "id": merge.id,
        "gone": merge.gone,
        "conflicts": conflicts.collect::<Vec<_>>(),
        "identities": merge.moved,
        "by": merge.by,
        "at": at(Some(merge.at)),
        "undone_at": at(merge.undone.as_ref().map(|(_, undone)| *undone)),
    })
}

pub(super) async fn conversation(reader: &Reader, stored: &StoredConversation) -> Result<Value, DeskError> {
    let episodes = reader.episodes(stored.conversation.id).await?;
    let episode = |episode: &transom_storage::Episode| {
        json!({
            "opened_at": at(Some(episode.opened_at)),
            "closed_at": at(episode.closed_at),
            "category": episode.category,
            "note": episode.note,
        })
    };
    Ok(json!({
        "conversation": stored.conversation,
        "channel": stored.account,
        "tags": stored.tags,
        "survey_score": stored.survey_score,
        "created_at": at(Some(stored.created_at)),
        "episodes": episodes.iter().map(episode).collect::<Vec<_>>(),
    }))
}

/// Messages in the order of a page, whole.
pub(super) async fn messages(reader: &Reader, page: &[StoredMessage]) -> Result<Vec<Value>, DeskError> {
    if page.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<MessageId> = page.iter().map(|stored| stored.message.id).collect();
    let whole = reader.messages_of_ids(&ids).await?.into_iter().map(|stored| (stored.message.id, of_parts(stored)));
    let whole: BTreeMap<_, _> = whole.collect();
    let schedules = reader.schedules_of(&ids).await?.into_iter().map(|schedule| (schedule.message, schedule));
    let schedules: BTreeMap<_, _> = schedules.collect();
    let named = whole.values().flat_map(|stored| files(&stored.message.content));
    let named: Vec<AttachmentId> = named.filter_map(|file| AttachmentId::deserialize(file).ok()).collect();
    let attachments = reader.attachments(&named).await?.into_iter().map(|file| (file.id, file)).collect();
    let told = ids.iter().filter_map(|id| Some(message(whole.get(id)?, schedules.get(id), &attachments)));
    Ok(told.collect())
}

fn message(
    stored: &StoredMessage,
    schedule: Option<&StoredSchedule>,
    attachments: &BTreeMap<AttachmentId, StoredAttachment>,
) -> Value {
    let message = &stored.message;
    let reactions = stored.reactions.iter();
    let reactions = reactions.map(|by| json!({ "author": by.by, "emoji": by.emoji, "at": at(Some(by.at)) }));
    let files = files(&message.content);
    json!({
        "id": message.id,
        "at": at(Some(message.at)),
        "kind": message.kind.as_str(),
        "direction": message.direction.as_str(),
        "author": message.author,
        "state": message.state.map(transom_domain::DeliveryState::as_str),
        "failure": stored.failure,
        "content": message.content,
        "files": files.iter().map(|named| file(named, attachments)).collect::<Vec<_>>(),
        "payload": stored.payload,
        "extra": stored.extra,
        "identity": stored.identity,
        "channel": stored.account,
        "provider_id": stored.provider_id,
        "reply_to": stored.reply_to,
        "permit": stored.permit,
        "parts": stored.parts.iter().map(part).collect::<Vec<_>>(),
        "reactions": reactions.collect::<Vec<_>>(),
        "send_at": at(schedule.map(|schedule| schedule.send_at)),
        "draft": schedule.map(|schedule| &schedule.draft),
        "edited_at": at(stored.edited_at),
        "unsent_at": at(stored.unsent_at),
        "stored_at": at(Some(stored.stored_at)),
    })
}

fn part(stored: &StoredPart) -> Value {
    let part = &stored.part;
    json!({
        "id": part.id,
        "index": part.index,
        "content": part.content,
        "state": part.state.as_str(),
        "failure": stored.failure,
        "provider_id": part.provider_id,
        "attempts": stored.attempts,
        "sent_at": at(stored.sent_at),
        "delivered_at": at(stored.delivered_at),
        "read_at": at(stored.read_at),
    })
}

/// A file that a message names by its id, or else by its address.
fn file(named: &Value, attachments: &BTreeMap<AttachmentId, StoredAttachment>) -> Value {
    let id = AttachmentId::deserialize(named).ok();
    let Some(stored) = id.and_then(|id| attachments.get(&id)) else { return json!({ "url": named }) };
    json!({
        "id": stored.id,
        "state": stored.state.as_str(),
        "file_name": stored.file_name,
        "mime": stored.mime,
        "size": stored.blob.as_ref().map(|blob| blob.size),
        "sha256": stored.blob.as_ref().map(|blob| hex::encode(blob.sha256)),
        "created_at": at(Some(stored.created_at)),
        "content": format!("/v1/attachments/{}/content", stored.id),
    })
}
