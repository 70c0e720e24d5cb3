//! Messages: read, written, settled.

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use transom_desk::{Target, messages, note, preview, queries, send};
use uuid::Uuid;

use super::auth::Signed;
use super::body::Body;
use super::contacts::millis;
use super::cursor::Place;
use super::idempotency::{Idempotent, answered};
use super::version::Accepted;
use super::views::file;
use super::views::message::{MessagePage, MessageType, MessageView, NewMessageBody, SentView, SettleBody};
use super::views::preview::PreviewView;
use super::{PAGE, Tag};
use crate::http::problem::{Changing, Making, Problem, Reading, Refused};
use crate::state::State;

pub(crate) struct MessagesApi(pub(super) Arc<State>);

#[OpenApi(tag = "Tag::Messages")]
impl MessagesApi {
    /// List a conversation's messages
    ///
    /// Replies, notes and what happened, newest first.
    #[oai(path = "/conversations/:id/messages", method = "get", operation_id = "listMessages")]
    async fn messages(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<MessagePage>, Refused<Reading>> {
        let list = self.0.list(signed.caller(), format!("messages {}", id.0), limit.0);
        let before = list.after_time(cursor.0)?;
        let mut rows = queries::messages(&self.0.desk, signed.caller(), id.0.into(), before, list.rows()).await?;
        let next_cursor = list.cut(&mut rows, |row| Place { key: millis(row.message.at), id: row.message.id.uuid() });
        Ok(Json(MessagePage { items: file::messages(&self.0, signed.caller(), &rows).await?, next_cursor }))
    }

    /// Write to a conversation
    ///
    /// A reply goes to the customer; by a person, it opens the conversation if it is not open, and assigns it to its sender. A
    /// note stays with the team and changes nothing.
    #[oai(
        path = "/conversations/:id/messages",
        method = "post",
        operation_id = "sendMessage",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn write(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        key: Idempotent,
        body: Body<NewMessageBody>,
    ) -> Result<Accepted<SentView>, Refused<Changing>> {
        let (desk, caller, conversation) = (&self.0.desk, signed.caller(), id.0);
        let (view, replayed) = match body.0.kind {
            MessageType::Reply => {
                let draft = body.0.into_draft()?;
                let once = key.once(caller, 202, |sent| SentView::from(sent));
                let target = Target::Conversation(conversation.into());
                answered(send(desk, caller, target, draft, once).await, |sent| SentView::from(sent))?
            }
            MessageType::Note => {
                let view = move |note: &transom_domain::MessageId| SentView::note(note.uuid(), conversation);
                let once = key.once(caller, 202, view);
                let text = note_only(body.0)?.text.unwrap_or_default();
                answered(note(desk, caller, conversation.into(), text, once).await, view)?
            }
        };
        Ok(Accepted::Accepted(view, replayed))
    }

    /// See what a message would become
    ///
    /// The parts in which it would leave, what each costs and how the platform counts it, and whether it may be sent now.
    /// Nothing is stored.
    #[oai(path = "/conversations/:id/messages/preview", method = "post", operation_id = "previewMessage")]
    async fn preview(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<NewMessageBody>,
    ) -> Result<Json<PreviewView>, Refused<Making>> {
        let draft = reply_only(body.0)?.into_draft()?;
        let preview = preview(&self.0.desk, signed.caller(), Target::Conversation(id.0.into()), draft).await?;
        Ok(Json((&preview).into()))
    }

    /// Read a message
    ///
    /// With its parts and every try to send them.
    #[oai(path = "/messages/:id", method = "get", operation_id = "getMessage")]
    async fn message(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<MessageView>, Refused<Reading>> {
        let (stored, attempts) = queries::message(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(file::message(&self.0, signed.caller(), &stored).await?.with_attempts(attempts)))
    }

    /// Settle a message that needs a person
    ///
    /// One whose outcome nobody knows, that did not go out, or that shall not. Each choice counts once.
    #[oai(path = "/messages/:id/settle", method = "post", operation_id = "settleMessage")]
    async fn settle(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<SettleBody>,
    ) -> Result<Json<MessageView>, Refused<Making>> {
        let choice = body.0.choice.into();
        let stored = messages::settle(&self.0.desk, signed.caller(), id.0.into(), choice).await?;
        Ok(Json(file::message(&self.0, signed.caller(), &stored).await?))
    }
}

/// Only a reply goes anywhere: notes are written to a conversation and stay there.
pub(super) fn reply_only(message: NewMessageBody) -> Result<NewMessageBody, Problem> {
    match message.kind {
        MessageType::Reply => Ok(message),
        MessageType::Note => {
            let detail = "a note goes to nobody: write it with POST /v1/conversations/{id}/messages";
            Err(Problem::with_status(422, "invalid_value", detail).at("message.type"))
        }
    }
}

/// A note has a text and nothing else.
fn note_only(message: NewMessageBody) -> Result<NewMessageBody, Problem> {
    if message.is_more_than_text() {
        let detail = "a note is a text for the team: leave everything else out";
        return Err(Problem::with_status(422, "content_ambiguous", detail).at("type"));
    }
    Ok(message)
}

fn page() -> u32 {
    PAGE
}
