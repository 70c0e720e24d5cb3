//! Whom a broadcast is for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use transom_domain::{BroadcastId, ContactId};
use transom_storage::{ContactQuery, StorageError, StoredContact};

use crate::authorise::Caller;
use crate::{Desk, DeskError, search};

/// The longest list of contacts (reliability.md 16).
const MAX_CONTACTS: usize = 10_000;

/// Whom a broadcast is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// These contacts.
    Contacts(Vec<ContactId>),
    /// Everybody with a label.
    Label(String),
    /// Everybody whom a search finds.
    Filter(String),
}

/// Where a page of an audience ends, and the contacts on it.
pub(super) struct Page {
    pub(super) contacts: Vec<StoredContact>,
    pub(super) after: Option<(OffsetDateTime, ContactId)>,
    /// Whether it is the last one.
    pub(super) last: bool,
}

impl Audience {
    pub(super) fn read(id: BroadcastId, stored: &Value) -> Result<Self, DeskError> {
        let unreadable = |error: serde_json::Error| StorageError::Unreadable {
            table: "broadcasts",
            column: "audience",
            row: id.uuid(),
            reason: error.to_string(),
        };
        Ok(Self::deserialize(stored).map_err(unreadable)?)
    }

    pub(super) fn stored(&self) -> Result<Value, DeskError> {
        Ok(serde_json::to_value(self).map_err(|error| StorageError::Database(error.to_string()))?)
    }

    pub(super) async fn check(&self, desk: &Desk, caller: &Caller) -> Result<(), DeskError> {
        match self {
            Audience::Contacts(ids) if ids.is_empty() || ids.len() > MAX_CONTACTS => {
                let detail = format!("1 to {MAX_CONTACTS} contacts; for more, use a label or a filter");
                Err(DeskError::invalid("too_many", "audience.contacts", detail))
            }
            Audience::Contacts(ids) => {
                let known: BTreeSet<ContactId> =
                    desk.reader(&caller.scope).known_contacts(ids).await?.into_iter().collect();
                if ids.iter().all(|id| known.contains(id)) {
                    Ok(())
                } else {
                    Err(DeskError::NotFound { what: "contact" })
                }
            }
            Audience::Label(_) | Audience::Filter(_) => self.query(desk, caller).await.map(|_| ()),
        }
    }

    /// A page behind the place where the last one ended.
    pub(super) async fn page(
        &self,
        (desk, caller): (&Desk, &Caller),
        after: Option<(OffsetDateTime, ContactId)>,
        limit: u32,
    ) -> Result<Page, DeskError> {
        let reader = desk.reader(&caller.scope);
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        if let Audience::Contacts(ids) = self {
            let begin = after.and_then(|(_, id)| ids.iter().position(|one| *one == id)).map_or(0, |at| at + 1);
            let ids: Vec<ContactId> = ids.iter().skip(begin).take(size).copied().collect();
            let mut contacts = Vec::new();
            for id in &ids {
                contacts.extend(reader.contact(*id).await?);
            }
            let after = ids.last().map(|id| (OffsetDateTime::UNIX_EPOCH, *id));
            return Ok(Page { contacts, after, last: ids.len() < size });
        }
        let contacts = reader.contacts(&ContactQuery { after, limit, ..self.query(desk, caller).await? }).await?;
        let after = contacts.last().map(|stored| (stored.contact.created_at, stored.contact.id));
        Ok(Page { last: contacts.len() < size, contacts, after })
    }

    async fn query(&self, desk: &Desk, caller: &Caller) -> Result<ContactQuery, DeskError> {
        Ok(match self {
            Audience::Label(label) => ContactQuery { label: Some(label.clone()), ..ContactQuery::default() },
            Audience::Filter(text) if text.trim().is_empty() => {
                let detail = "a filter names somebody, such as label:vip";
                return Err(DeskError::invalid("invalid_value", "audience.filter", detail));
            }
            Audience::Filter(text) => {
                search::contact_query(desk, caller, text).await.map_err(|error| error.in_field("audience.filter"))?
            }
            Audience::Contacts(_) => ContactQuery::default(),
        })
    }
}
