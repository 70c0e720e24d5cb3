//! Everything that is kept of one person, as one JSON document, page by page.

mod told;

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{ContactId, ConversationId, MessageId};
use transom_storage::{ConversationQuery, Reader, StoredContact};

use super::Lines;
use crate::authorise::{Action, Caller, authorise};
use crate::{Desk, DeskError, queries};

/// How many ids and messages are read together.
const IDS: u32 = 500;
const PAGE: u32 = 200;

/// The document of one contact.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn contact(desk: &Desk, caller: &Caller, id: ContactId) -> Result<Lines, DeskError> {
    authorise(caller, Action::EraseContacts)?;
    let stored = queries::contact(desk, caller, id).await?;
    let query = ConversationQuery { contact: Some(stored.contact.id), ..ConversationQuery::new(desk.now()) };
    let walk = Walk {
        desk: desk.clone(),
        caller: caller.clone(),
        head: Some(head(desk, caller, &stored).await?),
        query: Some(query),
        after: None,
        ids: VecDeque::new(),
        begun: None,
        some: false,
        ended: false,
    };
    let lines =
        stream::try_unfold(walk, |mut walk| async move { Ok(walk.next().await?.map(|chunk| (chunk, walk))) }).boxed();
    super::record::kept(desk, caller, json!({ "contact": stored.contact.id }), lines).await
}

/// The beginning of the document, up to its conversations.
async fn head(desk: &Desk, caller: &Caller, stored: &StoredContact) -> Result<String, DeskError> {
    let text = told::contact(&desk.reader(&caller.scope), stored, desk.now()).await?.to_string();
    Ok(format!("{},\"conversations\":[", text.strip_suffix('}').unwrap_or(&text)))
}

struct Walk {
    desk: Desk,
    caller: Caller,
    head: Option<String>,
    query: Option<ConversationQuery>,
    after: Option<ConversationId>,
    ids: VecDeque<ConversationId>,
    /// The conversation whose messages are being written, and the last one that was.
    begun: Option<(ConversationId, Option<(OffsetDateTime, MessageId)>)>,
    /// Whether a conversation was written.
    some: bool,
    ended: bool,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<Bytes>, DeskError> {
        if self.ended {
            return Ok(None);
        }
        if let Some(head) = self.head.take() {
            return Ok(Some(head.into()));
        }
        let reader = self.desk.reader(&self.caller.scope);
        if let Some((id, after)) = self.begun.take() {
            return Ok(Some(self.messages(&reader, id, after).await?.into()));
        }
        while self.ids.is_empty()
            && let Some(query) = &self.query
        {
            let found = reader.conversation_ids(query, self.after, IDS).await?;
            self.after = found.last().copied();
            if found.len() as u64 != u64::from(IDS) {
                self.query = None;
            }
            self.ids = found.into();
        }
        while let Some(id) = self.ids.pop_front() {
            let Some(stored) = reader.conversation(id).await? else { continue };
            let separator = if self.some { "," } else { "" };
            (self.some, self.begun) = (true, Some((id, None)));
            let text = told::conversation(&reader, &stored).await?.to_string();
            let open = text.strip_suffix('}').unwrap_or(&text);
            return Ok(Some(format!("{separator}{open},\"messages\":[").into()));
        }
        self.ended = true;
        Ok(Some(Bytes::from_static(b"]}")))
    }

    async fn messages(
        &mut self,
        reader: &Reader,
        id: ConversationId,
        after: Option<(OffsetDateTime, MessageId)>,
    ) -> Result<String, DeskError> {
        let page = reader.messages_after(id, after, PAGE).await?;
        let texts: Vec<String> = told::messages(reader, &page).await?.iter().map(ToString::to_string).collect();
        let separator = if after.is_some() && !texts.is_empty() { "," } else { "" };
        let last = page.last().filter(|_| page.len() as u64 == u64::from(PAGE));
        self.begun = last.map(|last| (id, Some((last.message.at, last.message.id))));
        let end = if self.begun.is_some() { "" } else { "]}" };
        Ok(format!("{separator}{}{end}", texts.join(",")))
    }
}
