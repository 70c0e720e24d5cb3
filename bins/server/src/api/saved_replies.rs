//! Texts kept for reuse.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use time::OffsetDateTime;
use transom_desk::saved_replies::{self, NewReply, Rendered, ReplyChange};
use transom_domain::SavedReplyVariant;
use transom_storage::StoredReply;
use uuid::Uuid;

use super::auth::Signed;
use super::body::Body;
use super::cursor::Place;
use super::idempotency::{Idempotent, answered};
use super::version::{Gone, IfMatch, Made, Versioned};
use super::{PAGE, Tag};
use crate::http::problem::{Changing, Listing, Making, Reading, Refused};
use crate::state::State;

pub(crate) struct SavedRepliesApi(pub(super) Arc<State>);

/// A text kept for reuse.
#[derive(Debug, Object)]
#[oai(rename = "SavedReply")]
struct ReplyView {
    /// Its id.
    id: Uuid,
    /// What agents find it by.
    title: String,
    /// The text, where no variant fits better. `{{field}}` stands for a field of the contact, a custom one too, or for `agent_name`.
    content: String,
    /// Wordings for a language, a platform or both.
    variants: Vec<VariantBody>,
    /// For `If-Match`: the same as in the `ETag`.
    version: u64,
    /// When it was made.
    created_at: OffsetDateTime,
    /// When it last changed.
    updated_at: OffsetDateTime,
}

/// A wording for a language, a platform or both. For a contact the one with their language is taken before the one with the
/// channel's platform, and `de` for `de-AT` where there is nothing closer.
#[derive(Debug, Object)]
#[oai(rename = "SavedReplyVariant", deny_unknown_fields, skip_serializing_if_is_none)]
struct VariantBody {
    /// BCP 47 language tag.
    #[oai(validator(max_length = 35))]
    language: Option<String>,
    /// The platform's name, such as `sms`.
    #[oai(validator(max_length = 40))]
    platform: Option<String>,
    /// The text.
    #[oai(validator(min_length = 1, max_length = 100_000))]
    content: String,
}

impl From<&StoredReply> for ReplyView {
    fn from(stored: &StoredReply) -> Self {
        let reply = stored.reply.clone();
        Self {
            id: reply.id.uuid(),
            title: reply.title,
            content: reply.content,
            variants: reply.variants.into_iter().map(Into::into).collect(),
            version: stored.version,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

impl From<SavedReplyVariant> for VariantBody {
    fn from(variant: SavedReplyVariant) -> Self {
        let SavedReplyVariant { language, platform, content } = variant;
        Self { language, platform, content }
    }
}

impl From<VariantBody> for SavedReplyVariant {
    fn from(body: VariantBody) -> Self {
        let VariantBody { language, platform, content } = body;
        Self { language, platform, content }
    }
}

/// A page of saved replies.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct ReplyPage {
    /// The saved replies, by title.
    items: Vec<ReplyView>,
    /// Where the next page begins; left out on the last one.
    next_cursor: Option<String>,
}

/// A saved reply to keep.
#[derive(Debug, Object)]
#[oai(rename = "NewSavedReply", deny_unknown_fields)]
struct NewReplyBody {
    /// What agents find it by.
    #[oai(validator(min_length = 1, max_length = 200))]
    title: String,
    /// The text, where no variant fits better. `{{field}}` has to be a field that there is.
    #[oai(validator(min_length = 1, max_length = 100_000))]
    content: String,
    /// Wordings for a language, a platform or both.
    #[oai(default, validator(max_items = 100))]
    variants: Vec<VariantBody>,
}

/// What may change about a saved reply; what is left out stays.
#[derive(Debug, Object)]
#[oai(rename = "SavedReplyPatch", deny_unknown_fields)]
struct ReplyPatchBody {
    /// What agents find it by.
    #[oai(validator(min_length = 1, max_length = 200))]
    title: Option<String>,
    /// The text, where no variant fits better.
    #[oai(validator(min_length = 1, max_length = 100_000))]
    content: Option<String>,
    /// Its wordings, all of them.
    #[oai(validator(max_items = 100))]
    variants: Option<Vec<VariantBody>>,
}

/// A saved reply as a contact would read it.
#[derive(Debug, Object)]
#[oai(rename = "RenderedReply", skip_serializing_if_is_none)]
struct RenderedView {
    /// The text, with every place filled.
    text: String,
    /// The language of the variant that was chosen.
    language: Option<String>,
    /// The platform of the variant that was chosen.
    platform: Option<String>,
}

impl From<Rendered> for RenderedView {
    fn from(rendered: Rendered) -> Self {
        let (language, platform) = rendered.variant.unwrap_or_default();
        Self { text: rendered.text, language, platform }
    }
}

#[OpenApi(tag = "Tag::Messages")]
impl SavedRepliesApi {
    /// List saved replies
    #[oai(path = "/saved-replies", method = "get", operation_id = "listSavedReplies")]
    async fn list(
        &self,
        signed: Signed,
        /// Only those whose title begins so, without regard to case and accents.
        #[oai(validator(max_length = 200))]
        q: Query<Option<String>>,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<ReplyPage>, Refused<Listing>> {
        let prefix = q.0.unwrap_or_default();
        let list = self.0.list(signed.caller(), format!("saved-replies {prefix:?}"), limit.0);
        let place = list.after(cursor.0)?;
        let after = place.map(|place| place.id.into());
        let mut rows = saved_replies::list(&self.0.desk, signed.caller(), &prefix, after, list.rows()).await?;
        let next_cursor = list.cut(&mut rows, |row| Place { key: 0, id: row.reply.id.uuid() });
        Ok(Json(ReplyPage { items: rows.iter().map(Into::into).collect(), next_cursor }))
    }

    /// Keep a saved reply
    #[oai(
        path = "/saved-replies",
        method = "post",
        operation_id = "addSavedReply",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn add(
        &self,
        signed: Signed,
        key: Idempotent,
        body: Body<NewReplyBody>,
    ) -> Result<Made<ReplyView>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let NewReplyBody { title, content, variants } = body.0;
        let new = NewReply { title, content, variants: variants.into_iter().map(Into::into).collect() };
        let once = key.once(caller, 201, |stored: &StoredReply| ReplyView::from(stored));
        let added = saved_replies::add(desk, caller, new, once).await;
        let (view, replayed) = answered(added, |stored| ReplyView::from(stored))?;
        Ok(Made::Made(view, replayed))
    }

    /// Read a saved reply
    #[oai(path = "/saved-replies/:id", method = "get", operation_id = "getSavedReply")]
    async fn get(&self, signed: Signed, id: Path<Uuid>) -> Result<Versioned<ReplyView>, Refused<Reading>> {
        let stored = saved_replies::get(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Versioned::new((&stored).into(), stored.version))
    }

    /// Change a saved reply
    #[oai(
        path = "/saved-replies/:id",
        method = "patch",
        operation_id = "changeSavedReply",
        request_header(name = "If-Match", ty = "Option<String>", description = "The `ETag` of the last answer.")
    )]
    async fn change(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        seen: IfMatch,
        body: Body<ReplyPatchBody>,
    ) -> Result<Versioned<ReplyView>, Refused<Changing>> {
        let ReplyPatchBody { title, content, variants } = body.0;
        let variants = variants.map(|variants| variants.into_iter().map(Into::into).collect());
        let change = ReplyChange { title, content, variants };
        let stored = saved_replies::change(&self.0.desk, signed.caller(), id.0.into(), change, seen.0).await?;
        Ok(Versioned::new((&stored).into(), stored.version))
    }

    /// Delete a saved reply
    ///
    /// What was sent with it stays as it was sent.
    #[oai(path = "/saved-replies/:id", method = "delete", operation_id = "deleteSavedReply")]
    async fn delete(&self, signed: Signed, id: Path<Uuid>) -> Result<Gone, Refused<Reading>> {
        saved_replies::delete(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Gone::Gone)
    }

    /// See what a saved reply would say
    ///
    /// To a contact, over a channel: in the wording for their language and the channel's platform. A field that is unknown or
    /// empty is an error that names it.
    #[oai(path = "/saved-replies/:id/render", method = "get", operation_id = "renderSavedReply")]
    async fn render(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        /// For whom. Without, only `agent_name` has a value.
        contact: Query<Option<Uuid>>,
        /// Over which channel.
        channel: Query<Option<Uuid>>,
    ) -> Result<Json<RenderedView>, Refused<Making>> {
        let (contact, channel) = (contact.0.map(Into::into), channel.0.map(Into::into));
        let rendered = saved_replies::rendered(&self.0.desk, signed.caller(), id.0.into(), contact, channel).await?;
        Ok(Json(rendered.into()))
    }
}

fn page() -> u32 {
    PAGE
}
