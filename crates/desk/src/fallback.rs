//! Fallback: what somebody did not come to read goes to them in a letter, over another account.
//!
//! One letter brings everything that is unread, and then none until the person was here again. The row that says which letter
//! brought a message is written in the letter's own transaction: so no message is brought twice, whatever crashes and however
//! many replicas look. An answer to a letter belongs to the letters; both histories say how they hang together.

use std::sync::Arc;
use std::time::Duration as Pause;

use serde_json::json;
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use transom_channel::{Fallback, MailboxError};
use transom_domain::{
    Actor, Attachment, Body, ChannelAccountId, Choices, Contact, ContactId, Content, ConversationId, DeliveryState,
    MessageId,
};
use transom_storage::{Priority, StorageError, StoredConversation, StoredMessage, Tx, WorkspaceScope};
use transom_windows::{Sender, Stamped};

use crate::changes::{self, Change};
use crate::send::{Draft, Hand, Job, Target};
use crate::{Desk, DeskError};

/// How often it is looked for what nobody came to read.
const LOOK_EVERY: Pause = Pause::from_secs(5);
/// What is older than this beyond its time is left where it is: nobody wants a letter about it any more.
const WORTH_A_LETTER: Duration = Duration::DAY;
/// Conversations of one query.
const AT_ONCE: u32 = 100;
/// Messages of one letter; the next ones wait for the next.
const MOST: u32 = 50;
/// Under whose name letters stand.
const NAME: &str = "fallback";
/// Says in both histories which letter brought what.
const BROUGHT: &str = "message.brought";
/// Says in the first history why no letter could be written.
const NOT_BROUGHT: &str = "message.not_brought";
/// Says in the first history that a letter was answered.
const ANSWERED: &str = "message.answered";

/// Looks until told to stop.
pub(crate) async fn run(desk: Desk, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = write_due(&desk).await {
            tracing::warn!(%error, "what nobody came to read could not be brought; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Writes every letter that is due; how many.
///
/// # Errors
/// When the database fails; what is not written is looked at again.
pub async fn write_due(desk: &Desk) -> Result<u32, DeskError> {
    let mut written = 0;
    for scope in desk.storage().all_scopes().await? {
        for account in desk.reader(&scope).accounts().await?.into_iter().filter(|account| account.enabled) {
            // An account that can't be connected sends nothing either.
            let Ok((_, channel)) = desk.account(&scope, account.id).await else { continue };
            if let Some(fallback) = channel.fallback() {
                written += Look { desk, scope: &scope, fallback, now: desk.now() }.over(account.id).await?;
            }
        }
    }
    if written > 0 {
        desk.work().outbound.notify_one();
    }
    Ok(written)
}

/// The account that a channel falls back on is there, and writes letters.
///
/// # Errors
/// [`DeskError::Invalid`].
pub(crate) async fn check(
    desk: &Desk,
    scope: &WorkspaceScope,
    fallback: Option<&dyn Fallback>,
) -> Result<(), DeskError> {
    let Some(fallback) = fallback else { return Ok(()) };
    let carries_letters = match desk.account(scope, fallback.account()).await {
        Ok((account, channel)) => account.removed_at.is_none() && channel.capabilities().threads,
        Err(error @ DeskError::Storage(_)) => return Err(error),
        Err(_) => false,
    };
    let detail = "the channel that writes to visitors who are away has to be an email channel of this workspace";
    if carries_letters { Ok(()) } else { Err(DeskError::invalid("fallback_unknown", "settings", detail)) }
}

/// Tells in the history of a conversation that the letter which brought its messages was answered.
pub(crate) async fn answered(
    desk: &Desk,
    tx: &Tx,
    letter: MessageId,
    (answer, conversation): (MessageId, ConversationId),
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let Some(chat) = tx.brought_from(letter).await? else { return Ok(()) };
    let Some(stored) = tx.conversation(chat).await? else { return Ok(()) };
    let data = json!({ "letter": letter, "message": answer, "conversation": conversation });
    changes::line(tx, desk.ids(), &stored, ANSWERED, data, &Change::new(&Actor::Customer, ANSWERED, now)).await
}

/// One look at the conversations of an account.
struct Look<'l> {
    desk: &'l Desk,
    scope: &'l WorkspaceScope,
    fallback: &'l dyn Fallback,
    now: OffsetDateTime,
}

/// What is to become of messages that nobody read.
enum Fate {
    /// Their reader may still come, or something else has to happen first.
    Waits,
    /// They stay where they are.
    Stay,
    /// A letter brings them.
    Letter {
        to: Target,
        /// The letter begins a thread, or what its thread began with may never have arrived.
        begins: bool,
    },
}

impl Look<'_> {
    async fn over(&self, account: ChannelAccountId) -> Result<u32, DeskError> {
        let until = self.now.saturating_sub(self.fallback.after());
        let (mut written, mut after) = (0, None);
        loop {
            let span = (self.since(), until);
            let found = self.desk.reader(self.scope).unread_conversations(account, span, after, AT_ONCE).await?;
            for conversation in &found {
                match self.at(*conversation).await {
                    Ok(is_written) => written += u32::from(is_written),
                    // Another replica was first.
                    Err(DeskError::Storage(StorageError::Duplicate { .. })) => {}
                    // One conversation's trouble is not the others'.
                    Err(error) => tracing::warn!(%error, %conversation, "a letter could not be written; trying again"),
                }
            }
            after = found.last().copied();
            if after.is_none() || found.len() < AT_ONCE as usize {
                return Ok(written);
            }
        }
    }

    fn since(&self) -> OffsetDateTime {
        self.now.saturating_sub(self.fallback.after()).saturating_sub(WORTH_A_LETTER)
    }

    /// Whether a letter was written for a conversation.
    async fn at(&self, conversation: ConversationId) -> Result<bool, DeskError> {
        let reader = self.desk.reader(self.scope);
        let Some(stored) = reader.conversation(conversation).await? else { return Ok(false) };
        let unread = reader.unread_messages(conversation, self.since(), MOST).await?;
        // What only their presence allowed, such as an invitation, is nothing for a letter.
        let (unread, momentary): (Vec<_>, Vec<_>) =
            unread.into_iter().partition(|message| message.permit.as_ref().is_none_or(|permit| permit.tag.is_none()));
        let fate = if unread.is_empty() { Fate::Stay } else { self.fate(&stored).await? };
        match fate {
            Fate::Waits => Ok(false),
            Fate::Stay => {
                self.leave(&stored, ids(unread.iter().chain(&momentary)), None).await?;
                Ok(false)
            }
            Fate::Letter { to, begins } => match self.write(&stored, &unread, to, begins).await {
                Ok(is_written) => Ok(is_written),
                Err(error @ DeskError::Storage(_)) => Err(error),
                Err(refused) => {
                    self.leave(&stored, ids(&unread), Some(&refused)).await?;
                    Ok(false)
                }
            },
        }
    }

    async fn fate(&self, stored: &StoredConversation) -> Result<Fate, DeskError> {
        let reader = self.desk.reader(self.scope);
        let Some(identity) = reader.identity(stored.conversation.identity).await? else { return Ok(Fate::Stay) };
        let seen = self.fallback.last_here(&identity).await.map_err(unreadable)?;
        let here = seen.max(stored.last_inbound_at);
        if here.is_some_and(|here| here > self.now.saturating_sub(self.fallback.after())) {
            return Ok(Fate::Waits);
        }
        let facts = reader.person_facts(identity.id).await?;
        let is_set = |said: &Option<Stamped<bool>>| said.as_ref().is_some_and(|said| said.value);
        // Who ended the chat is left alone until they write again (decision 012): then they wait for an answer.
        let wrote_since = facts.opted_out_of_marketing.as_ref().zip(stored.last_inbound_at);
        let wrote_since = wrote_since.is_some_and(|(said, wrote)| wrote > said.at);
        if is_set(&facts.opted_out_of_all) || is_set(&facts.opted_out_of_marketing) && !wrote_since {
            return Ok(Fate::Stay);
        }
        let Some(reachable) = self.reachable(stored.contact).await? else { return Ok(Fate::Stay) };
        let begun = Fate::Letter {
            to: Target::Contact { contact: reachable.id, account: self.fallback.account() },
            begins: true,
        };
        let Some(last) = reader.last_fallback(stored.conversation.id).await? else { return Ok(begun) };
        if here.is_none_or(|here| here <= last.at) {
            // One letter is enough until they come (webchat.md 4).
            return Ok(Fate::Stay);
        }
        let Some(letter) = reader.message(last.letter).await? else { return Ok(begun) };
        if letter.account != self.fallback.account() {
            return Ok(begun);
        }
        let to = Target::Conversation(letter.message.conversation);
        Ok(match letter.message.state {
            // The thread is named after what arrived.
            Some(DeliveryState::Scheduled | DeliveryState::Queued | DeliveryState::Sending) => Fate::Waits,
            None | Some(DeliveryState::Sent | DeliveryState::Delivered | DeliveryState::Read) => {
                Fate::Letter { to, begins: false }
            }
            Some(DeliveryState::Failed | DeliveryState::NotSent | DeliveryState::Canceled | DeliveryState::Unknown) => {
                Fate::Letter { to, begins: true }
            }
        })
    }

    /// The contact, if letters may go to them and there is an address for one.
    async fn reachable(&self, contact: ContactId) -> Result<Option<Contact>, DeskError> {
        let Some(found) = self.desk.reader(self.scope).contact(contact).await? else { return Ok(None) };
        let has_address = found.contact.profile.email.is_some()
            || found.identities.iter().any(|identity| identity.account == self.fallback.account());
        Ok(Some(found.contact).filter(|contact| has_address && !contact.blocked))
    }

    /// Writes the letter and what it brings, in one transaction; `false` if some of it was read meanwhile.
    async fn write(
        &self,
        stored: &StoredConversation,
        unread: &[StoredMessage],
        to: Target,
        begins: bool,
    ) -> Result<bool, DeskError> {
        let draft = Draft { subject: begins.then(|| self.fallback.subject().to_owned()), ..draft_of(unread) };
        let job = Job::of(self.desk, self.scope, hand(), to, draft, None).await?;
        let (desk, messages, chat) = (self.desk.clone(), Arc::new(ids(unread)), stored.conversation.id);
        let (account, since, now) = (self.fallback.account(), self.since(), self.now);
        self.desk
            .storage()
            .transact(self.scope, move |tx| {
                let (desk, job, messages) = (desk.clone(), job.clone(), messages.clone());
                Box::pin(async move {
                    let still = ids(&tx.unread_messages(chat, since, MOST).await?);
                    if !messages.iter().all(|message| still.contains(message)) {
                        return Ok(false);
                    }
                    let sent = job.run(tx).await?;
                    tx.put_fallbacks(&messages, Some(sent.message), now).await?;
                    let data = json!({
                        "letter": sent.message, "to": sent.conversation, "account": account, "from": chat,
                        "messages": *messages,
                    });
                    let by = Actor::Automation { name: NAME.to_owned() };
                    let change = Change::new(&by, BROUGHT, now).by_message(sent.message);
                    for place in [chat, sent.conversation] {
                        let missing = DeskError::NotFound { what: "conversation" };
                        let stored = tx.conversation(place).await?.ok_or(missing)?;
                        changes::line(tx, desk.ids(), &stored, BROUGHT, data.clone(), &change).await?;
                    }
                    Ok(true)
                })
            })
            .await
    }

    /// No letter brings these messages; where one was refused, the history says why.
    async fn leave(
        &self,
        stored: &StoredConversation,
        messages: Vec<MessageId>,
        refused: Option<&DeskError>,
    ) -> Result<(), DeskError> {
        let (desk, now, messages) = (self.desk.clone(), self.now, Arc::new(messages));
        let line = refused
            .map(|refused| json!({ "code": refused.code(), "detail": refused.to_string(), "messages": *messages }));
        let (stored, line) = (Arc::new(stored.clone()), Arc::new(line));
        self.desk
            .storage()
            .transact(self.scope, move |tx| {
                let (desk, messages, stored, line) = (desk.clone(), messages.clone(), stored.clone(), line.clone());
                Box::pin(async move {
                    tx.put_fallbacks(&messages, None, now).await?;
                    let Some(data) = line.as_ref().clone() else { return Ok(()) };
                    let by = Actor::Automation { name: NAME.to_owned() };
                    let change = Change::new(&by, NOT_BROUGHT, now);
                    changes::line(tx, desk.ids(), &stored, NOT_BROUGHT, data, &change).await
                })
            })
            .await
    }
}

fn unreadable(error: MailboxError) -> StorageError {
    StorageError::Unavailable(error.to_string())
}

fn ids<'m>(messages: impl IntoIterator<Item = &'m StoredMessage>) -> Vec<MessageId> {
    messages.into_iter().map(|stored| stored.message.id).collect()
}

/// A rule of ours writes: it opens nothing, and takes nobody's place.
fn hand() -> Hand {
    let actor = Actor::Automation { name: NAME.to_owned() };
    Hand {
        actor,
        sender: Sender::Automation,
        opens_for: None,
        priority: Priority::Automation,
        broadcast: None,
        promotional: false,
    }
}

/// One letter's words and files.
fn draft_of(messages: &[StoredMessage]) -> Draft {
    let (mut words, mut attachments) = (Vec::new(), Vec::new());
    for stored in messages {
        let (said, files) = said(&stored.message.content);
        words.push(said);
        attachments.extend(files);
    }
    words.retain(|said| !said.trim().is_empty());
    let text = words.join("\n\n");
    Draft { text: Some(text), attachments, ..Draft::default() }
}

/// What a message says, in words, and its files.
fn said(content: &Content) -> (String, Vec<Attachment>) {
    match &content.body {
        Body::Text { text, attachments } => (text.clone(), attachments.clone()),
        Body::Choices(choices) => (lines_of(choices), Vec::new()),
        _ => (content.preview(), Vec::new()),
    }
}

/// The words around buttons, and a line for each.
fn lines_of(choices: &Choices) -> String {
    let Choices { text, header, footer, buttons, list } = choices;
    let rows = list.iter().flat_map(|list| &list.sections).flat_map(|section| &section.rows);
    let rows = buttons.iter().chain(rows).map(|choice| match &choice.url {
        Some(url) => format!("- {}: {url}", choice.title),
        None => format!("- {}", choice.title),
    });
    let words = [header.clone(), Some(text.clone())].into_iter().flatten().chain(rows).chain(footer.clone());
    words.filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use transom_domain::Choice;

    #[test]
    fn buttons_become_lines() {
        let button = |title: &str, url: Option<&str>| Choice {
            id: title.to_lowercase(),
            title: title.into(),
            description: None,
            url: url.map(str::to_owned),
        };
        let choices = Choices {
            text: "Was it good?".into(),
            header: None,
            footer: Some("Thank you".into()),
            buttons: vec![button("Yes", None), button("Tell us", Some("https://shop.example/tell"))],
            list: None,
        };
        let content = Content { body: Body::Choices(choices), reply_to: None };
        let lines = "Was it good?\n- Yes\n- Tell us: https://shop.example/tell\nThank you";
        assert_eq!(said(&content), (lines.to_owned(), Vec::new()));
    }
}
