//! Labels of contacts, and tags of conversations.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use transom_desk::labels::{self, COUNTED, LabelCount};
use transom_desk::{queries, tags};
use transom_storage::StoredConversation;
use uuid::Uuid;

use super::auth::Signed;
use super::body::Body;
use super::cursor::Place;
use super::version::{Gone, Versioned};
use super::views::contact::ContactView;
use super::views::conversation::ConversationView;
use super::{PAGE, Tag};
use crate::http::problem::{Listing, Making, Reading, Refused};
use crate::state::State;

pub(crate) struct LabelsApi(pub(super) Arc<State>);

/// A label.
#[derive(Debug, Object)]
#[oai(rename = "Label", skip_serializing_if_is_none)]
struct LabelView {
    /// Its name.
    name: String,
    /// How many contacts have it, counted to 10,000; only where `counts` asks for it.
    contacts: Option<u32>,
    /// Whether there are as many at least.
    more: Option<bool>,
}

impl From<&LabelCount> for LabelView {
    fn from(counted: &LabelCount) -> Self {
        Self {
            name: counted.label.name.clone(),
            contacts: counted.contacts,
            more: counted.contacts.map(|count| count >= COUNTED),
        }
    }
}

/// A page of labels.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct LabelPage {
    /// The labels, by name.
    items: Vec<LabelView>,
    /// Where the next page begins; left out on the last one.
    next_cursor: Option<String>,
}

/// A label's new name.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct LabelPatch {
    /// The name, on every contact that has the label.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
}

#[OpenApi(tag = "Tag::Contacts")]
impl LabelsApi {
    /// List labels
    ///
    /// By name. A label is made by putting it on a contact.
    #[oai(path = "/labels", method = "get", operation_id = "listLabels")]
    async fn list(
        &self,
        signed: Signed,
        /// Only those whose name begins so, whatever its case.
        #[oai(validator(max_length = 200))]
        q: Query<Option<String>>,
        /// Whether to count the contacts that have each.
        #[oai(default)]
        counts: Query<bool>,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<LabelPage>, Refused<Listing>> {
        let prefix = q.0.unwrap_or_default();
        let list = self.0.list(signed.caller(), format!("labels {prefix:?}"), limit.0);
        let place = list.after(cursor.0)?;
        let after = place.map(|place| place.id.into());
        let mut rows = labels::list(&self.0.desk, signed.caller(), &prefix, after, list.rows(), counts.0).await?;
        let next_cursor = list.cut(&mut rows, |row| Place { key: 0, id: row.label.id.uuid() });
        Ok(Json(LabelPage { items: rows.iter().map(Into::into).collect(), next_cursor }))
    }

    /// Rename a label
    ///
    /// Contacts follow in batches: with very many of them the answer takes a while.
    #[oai(path = "/labels/:label", method = "patch", operation_id = "renameLabel")]
    async fn rename(
        &self,
        signed: Signed,
        label: Path<String>,
        body: Body<LabelPatch>,
    ) -> Result<Json<LabelView>, Refused<Making>> {
        let label = labels::rename(&self.0.desk, signed.caller(), &label.0, &body.0.name).await?;
        Ok(Json((&LabelCount { label, contacts: None }).into()))
    }

    /// Delete a label
    ///
    /// And take it off every contact.
    #[oai(path = "/labels/:label", method = "delete", operation_id = "deleteLabel")]
    async fn delete(&self, signed: Signed, label: Path<String>) -> Result<Gone, Refused<Making>> {
        labels::delete(&self.0.desk, signed.caller(), &label.0).await?;
        Ok(Gone::Gone)
    }

    /// Put a label on a contact
    ///
    /// A label that is not there yet is made. Twice is once.
    #[oai(path = "/contacts/:id/labels/:label", method = "put", operation_id = "labelContact")]
    async fn put(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        label: Path<String>,
    ) -> Result<Versioned<ContactView>, Refused<Making>> {
        let stored = labels::put(&self.0.desk, signed.caller(), id.0.into(), &label.0).await?;
        Ok(Versioned::new((&stored).into(), stored.version))
    }

    /// Take a label off a contact
    ///
    /// One that it does not have is no error.
    #[oai(path = "/contacts/:id/labels/:label", method = "delete", operation_id = "unlabelContact")]
    async fn remove(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        label: Path<String>,
    ) -> Result<Versioned<ContactView>, Refused<Making>> {
        let stored = labels::remove(&self.0.desk, signed.caller(), id.0.into(), &label.0).await?;
        Ok(Versioned::new((&stored).into(), stored.version))
    }

    /// Put a tag on a conversation
    ///
    /// One of the workspace's tags. Twice is once.
    #[oai(path = "/conversations/:id/tags/:tag", method = "put", operation_id = "tagConversation")]
    async fn tag(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        tag: Path<String>,
    ) -> Result<Versioned<ConversationView>, Refused<Making>> {
        let stored = tags::put(&self.0.desk, signed.caller(), id.0.into(), &tag.0).await?;
        self.shown(&signed, stored).await
    }

    /// Take a tag off a conversation
    ///
    /// One that it does not have is no error.
    #[oai(path = "/conversations/:id/tags/:tag", method = "delete", operation_id = "untagConversation")]
    async fn untag(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        tag: Path<String>,
    ) -> Result<Versioned<ConversationView>, Refused<Making>> {
        let stored = tags::remove(&self.0.desk, signed.caller(), id.0.into(), &tag.0).await?;
        self.shown(&signed, stored).await
    }

    /// Delete a tag
    ///
    /// And take it off every conversation.
    #[oai(path = "/tags/:tag", method = "delete", operation_id = "deleteTag")]
    async fn delete_tag(&self, signed: Signed, tag: Path<String>) -> Result<Gone, Refused<Reading>> {
        tags::delete(&self.0.desk, signed.caller(), &tag.0).await?;
        Ok(Gone::Gone)
    }
}

impl LabelsApi {
    async fn shown(
        &self,
        signed: &Signed,
        stored: StoredConversation,
    ) -> Result<Versioned<ConversationView>, Refused<Making>> {
        let row = queries::shown(&self.0.desk, signed.caller(), stored).await?;
        Ok(Versioned::new((&row).into(), row.stored.version))
    }
}

fn page() -> u32 {
    PAGE
}
