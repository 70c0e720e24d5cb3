//! Conversations, with or without their messages: by id, so that each comes once whatever happens to it meanwhile.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use transom_domain::{
    Body, ChannelAccount, ChannelAccountId, ContactId, Content, ConversationId, MediaSource, MessageId,
};
use transom_storage::{ConversationQuery, Reader, StoredConversation, StoredMessage};

use super::sheet::Sheet;
use super::{Format, Lines};
use crate::authorise::{Action, Caller, authorise};
use crate::bulk::Selection;
use crate::{Desk, DeskError, search};

/// How many ids one statement finds.
const IDS: u32 = 2_000;
/// How many conversations are read together: fewer with messages, of which each brings some.
const TOGETHER: usize = 200;
const TOGETHER_WITH_MESSAGES: usize = 16;
/// How many messages of each come with it; the others follow page by page.
const FIRST: u32 = 16;
const PAGE: u32 = 200;
/// A chunk goes out once it has so many bytes.
const CHUNK: usize = 64 * 1024;

const OF_CONVERSATION: [&str; 19] = [
    "conversation",
    "contact",
    "contact_name",
    "channel",
    "channel_name",
    "platform",
    "status",
    "snoozed_until",
    "agent",
    "team",
    "tags",
    "episodes",
    "created_at",
    "last_message_at",
    "last_inbound_at",
    "last_outbound_at",
    "waiting_since",
    "preview",
    "survey_score",
];
const OF_MESSAGE: [&str; 11] =
    ["message", "at", "kind", "direction", "author", "author_agent", "state", "subject", "text", "files", "reply_to"];

/// What to export.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which conversations; `None` for all.
    pub selection: Option<Selection>,
    /// Whether each message is a line of its own.
    pub messages: bool,
    /// As what.
    pub format: Format,
}

/// The lines of an export of conversations.
///
/// # Errors
/// [`DeskError::Invalid`] for a filter that can't be read, [`DeskError::NotFound`] if none of the ids is known.
pub async fn conversations(desk: &Desk, caller: &Caller, wanted: Wanted) -> Result<Lines, DeskError> {
    authorise(caller, Action::Export)?;
    let (reader, now) = (desk.reader(&caller.scope), desk.now());
    // Not the filter itself: it may name a customer.
    let by = match &wanted.selection {
        None => json!("all"),
        Some(Selection::Filter(_)) => json!("filter"),
        Some(Selection::Ids(ids)) => json!(ids.len()),
    };
    let what = json!({ "conversations": by, "messages": wanted.messages });
    let (ids, query) = match wanted.selection {
        None => (VecDeque::new(), Some(ConversationQuery::new(now))),
        Some(Selection::Filter(text)) => (
            VecDeque::new(),
            Some(search::conversation_query(desk, caller, &text, now).await.map_err(|error| error.in_field("filter"))?),
        ),
        Some(Selection::Ids(mut ids)) => {
            ids.sort_unstable();
            ids.dedup();
            crate::bulk::any_known(&reader, &ids).await?;
            (ids.into(), None)
        }
    };
    let mut columns: Vec<String> = OF_CONVERSATION.iter().map(ToString::to_string).collect();
    if wanted.messages {
        columns.extend(OF_MESSAGE.iter().map(ToString::to_string));
    }
    let walk = Walk {
        desk: desk.clone(),
        caller: caller.clone(),
        sheet: Sheet::new(wanted.format, columns)?,
        messages: wanted.messages,
        query,
        after: None,
        ids,
        accounts: BTreeMap::new(),
        waiting: VecDeque::new(),
        long: None,
        ended: false,
    };
    let lines =
        stream::try_unfold(walk, |mut walk| async move { Ok(walk.next().await?.map(|chunk| (chunk, walk))) }).boxed();
    super::record::kept(desk, caller, what, lines).await
}

/// A conversation with its first cells.
type Begun = (ConversationId, Vec<Value>);

struct Walk {
    desk: Desk,
    caller: Caller,
    sheet: Sheet,
    messages: bool,
    /// Where more ids come from; `None` once there are no more.
    query: Option<ConversationQuery>,
    after: Option<ConversationId>,
    ids: VecDeque<ConversationId>,
    accounts: BTreeMap<ChannelAccountId, ChannelAccount>,
    /// Read, and not written yet: with the first messages.
    waiting: VecDeque<(Begun, Vec<StoredMessage>)>,
    /// The conversation that is being written, behind its first messages.
    long: Option<(Begun, (OffsetDateTime, MessageId))>,
    ended: bool,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<Bytes>, DeskError> {
        while !self.ended && self.sheet.len() < CHUNK {
            if !self.write().await? {
                self.ended = !self.read().await?;
            }
        }
        let chunk = self.sheet.take();
        Ok((!chunk.is_empty()).then(|| Bytes::from(chunk)))
    }

    /// Writes something of what was read; `false` if nothing is left of it.
    async fn write(&mut self) -> Result<bool, DeskError> {
        if let Some((begun, after)) = self.long.take() {
            let page = self.reader().messages_after(begun.0, Some(after), PAGE).await?;
            self.of_messages(begun, &page, PAGE)?;
            return Ok(true);
        }
        let Some((begun, first)) = self.waiting.pop_front() else { return Ok(false) };
        if self.messages && !first.is_empty() {
            self.of_messages(begun, &first, FIRST)?;
        } else {
            self.sheet.line(begun.1)?;
        }
        Ok(true)
    }

    fn of_messages(&mut self, begun: Begun, page: &[StoredMessage], full: u32) -> Result<(), DeskError> {
        for stored in page {
            let mut cells = begun.1.clone();
            cells.extend(of_message(stored));
            self.sheet.line(cells)?;
        }
        let last = page.last().filter(|_| page.len() as u64 == u64::from(full));
        self.long = last.map(|last| (begun, (last.message.at, last.message.id)));
        Ok(())
    }

    /// Reads the next few conversations; `false` if there are none.
    async fn read(&mut self) -> Result<bool, DeskError> {
        let reader = self.reader();
        if self.ids.is_empty()
            && let Some(query) = &self.query
        {
            // Who was let go meanwhile gets no more.
            let agent = reader.agent(self.caller.agent.id).await?.filter(|agent| agent.active);
            let agent = agent.ok_or(DeskError::NotFound { what: "agent" })?;
            authorise(&Caller { agent: agent.agent, ..self.caller.clone() }, Action::Export)?;
            let found = reader.conversation_ids(query, self.after, IDS).await?;
            self.after = found.last().copied();
            if found.len() as u64 != u64::from(IDS) {
                self.query = None;
            }
            self.ids = found.into();
        }
        let together = if self.messages { TOGETHER_WITH_MESSAGES } else { TOGETHER };
        let few: Vec<ConversationId> = self.ids.drain(..together.min(self.ids.len())).collect();
        if few.is_empty() {
            return Ok(self.query.is_some());
        }
        let page = reader.conversations_of(&few).await?;
        let contacts: Vec<ContactId> = page.iter().map(|stored| stored.contact).collect();
        let names = reader.contact_names(&contacts).await?;
        let mut first = if self.messages { reader.first_messages(&few, FIRST).await? } else { BTreeMap::new() };
        for stored in page {
            let id = stored.conversation.id;
            if !self.accounts.contains_key(&stored.account)
                && let Some(account) = reader.account(stored.account).await?
            {
                self.accounts.insert(account.id, account);
            }
            let cells = self.of_conversation(&stored, names.get(&stored.contact));
            self.waiting.push_back(((id, cells), first.remove(&id).unwrap_or_default()));
        }
        Ok(true)
    }

    fn reader(&self) -> Reader {
        self.desk.reader(&self.caller.scope)
    }

    fn of_conversation(&self, stored: &StoredConversation, name: Option<&String>) -> Vec<Value> {
        let conversation = &stored.conversation;
        let account = self.accounts.get(&stored.account);
        vec![
            json!(conversation.id),
            json!(stored.contact),
            json!(name),
            json!(stored.account),
            json!(account.map(|account| &account.name)),
            json!(account.map(|account| &account.platform)),
            json!(conversation.status.as_str()),
            at(conversation.status.snoozed_until()),
            json!(conversation.assignment.agent),
            json!(conversation.assignment.team),
            json!(stored.tags),
            json!(conversation.episodes),
            at(Some(stored.created_at)),
            at(stored.last_message_at),
            at(stored.last_inbound_at),
            at(stored.last_outbound_at),
            at(stored.waiting_since),
            json!(stored.preview),
            json!(stored.survey_score),
        ]
    }
}

fn of_message(stored: &StoredMessage) -> Vec<Value> {
    let message = &stored.message;
    let author = serde_json::to_value(&message.author).unwrap_or_default();
    let named = |key: &str| author.get(key).cloned().unwrap_or_default();
    let (subject, text) = words(&message.content);
    vec![
        json!(message.id),
        at(Some(message.at)),
        json!(message.kind.as_str()),
        json!(message.direction.as_str()),
        match named("address") {
            Value::Null => named("kind"),
            address => address,
        },
        named("id"),
        json!(message.state.map(transom_domain::DeliveryState::as_str)),
        json!(subject),
        json!(text),
        Value::Array(files(&message.content)),
        json!(stored.reply_to),
    ]
}

/// The subject of a letter, and the words.
fn words(content: &Content) -> (Option<&str>, String) {
    match &content.body {
        Body::Mail(mail) => (mail.subject.as_deref(), mail.text.clone()),
        Body::Text { text, .. } => (None, text.clone()),
        _ => (None, content.preview()),
    }
}

/// The ids, or addresses, of the files.
pub(super) fn files(content: &Content) -> Vec<Value> {
    let attachments = match &content.body {
        Body::Text { attachments, .. } => attachments.as_slice(),
        Body::Mail(mail) => mail.attachments.as_slice(),
        _ => &[],
    };
    let named = |source: &MediaSource| match source {
        MediaSource::Stored { id } => Some(json!(id)),
        MediaSource::Url { url } => Some(json!(url)),
        MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => None,
    };
    attachments.iter().filter_map(|file| named(&file.source)).collect()
}

/// An instant as text.
pub(super) fn at(instant: Option<OffsetDateTime>) -> Value {
    instant.and_then(|at| at.format(&Rfc3339).ok()).map_or(Value::Null, Value::from)
}
