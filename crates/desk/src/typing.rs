//! Who types, shown to whoever looks now, either way. Nothing of it is stored (docs/decisions/071).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::time::Instant;
use transom_channel::{Channel, Typist};
use transom_domain::{Actor, AgentId, ContactId, ConversationId, Identity, Role};
use transom_storage::{Signal, StorageError, StoredConversation, WorkspaceScope};

use crate::authorise::{Action, Caller, authorise};
use crate::{Desk, DeskError, signature};

/// How long somebody types who does not say so again (webchat.md 4).
const LASTS: Duration = Duration::from_secs(6);
/// Who says so again sooner is not passed on.
const AGAIN: Duration = Duration::from_secs(3);
/// The kind of signal.
const TYPING: &str = "conversation.typing";

/// Somebody in a conversation types, or does no longer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Typing {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its customer.
    pub contact: ContactId,
    /// Who: the customer, or somebody of the business.
    pub by: Actor,
    /// Whether they do.
    pub on: bool,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Typing {
    /// The kind under which streams tell it.
    pub const KIND: &'static str = TYPING;

    /// Out of a signal, if it is one of these.
    pub fn of(signal: Signal) -> Option<Self> {
        (signal.kind == TYPING).then(|| serde_json::from_value(signal.data).ok()).flatten()
    }
}

/// Shows the customer and the colleagues who look now that the caller types; it is over by itself after six seconds.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Conflict`] where the channel can't show it, or for a bot that does not serve it.
pub async fn show(desk: &Desk, caller: &Caller, conversation: ConversationId, on: bool) -> Result<(), DeskError> {
    authorise(caller, Action::SendMessages)?;
    let reader = desk.reader(&caller.scope);
    let stored = reader.conversation(conversation).await?.ok_or(DeskError::NotFound { what: "conversation" })?;
    if caller.agent.role == Role::Bot && !reader.is_bot_on(caller.agent.id, stored.account).await? {
        let detail = "this bot does not serve the conversation's channel: an administrator binds it";
        return Err(DeskError::conflict("bot_unbound", detail));
    }
    let (_, channel) = desk.account(&caller.scope, stored.account).await?;
    if channel.typing().is_none() {
        return Err(DeskError::conflict("typing_not_shown", "this channel has no way to show that somebody types"));
    }
    let identity =
        reader.identity(stored.conversation.identity).await?.ok_or(DeskError::NotFound { what: "contact" })?;
    let name = match channel.capabilities().shows_sender {
        true => signature::name(reader.settings().await?.0, Some(caller.agent.clone())),
        false => None,
    };
    let shown = Shown { channel, to: identity, name, is_person: caller.agent.role != Role::Bot };
    let line = Line::new(desk, &caller.scope, &stored, Actor::from(&caller.agent), Some(shown));
    line.say(on).await;
    Ok(())
}

/// A customer types: whoever of the business looks now sees it.
pub(crate) async fn heard(desk: &Desk, scope: &WorkspaceScope, who: &Identity, on: bool) -> Result<(), StorageError> {
    let reader = desk.reader(scope);
    let Some(stored) = reader.conversation_of(who.id, "").await? else { return Ok(()) };
    if reader.contact(stored.contact).await?.is_some_and(|stored| stored.contact.blocked) {
        return Ok(());
    }
    Line::new(desk, scope, &stored, Actor::Customer, None).say(on).await;
    Ok(())
}

/// Who types where: the customer, or an agent.
type Who = (ConversationId, Option<AgentId>);

/// Who types at present, as this process heard it.
#[derive(Debug, Default)]
pub(crate) struct Typists(Mutex<HashMap<Who, Instant>>);

impl Typists {
    /// Whether it is passed on. An end always is: another replica may have heard the beginning.
    fn hears(&self, who: Who, on: bool, now: Instant) -> bool {
        let mut since = self.since();
        if !on {
            since.remove(&who);
            return true;
        }
        if since.get(&who).is_some_and(|since| now.duration_since(*since) < AGAIN) {
            return false;
        }
        since.insert(who, now);
        true
    }

    /// Whether what began then, and was not said again, ends by itself.
    fn ends(&self, who: Who, began: Instant) -> bool {
        let mut since = self.since();
        since.get(&who) == Some(&began) && since.remove(&who).is_some()
    }

    fn since(&self) -> MutexGuard<'_, HashMap<Who, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From somebody who types to those who see it.
struct Line {
    desk: Desk,
    scope: WorkspaceScope,
    conversation: ConversationId,
    contact: ContactId,
    by: Actor,
    shown: Option<Shown>,
}

/// How the customer sees it.
struct Shown {
    channel: Arc<dyn Channel>,
    to: Identity,
    name: Option<String>,
    is_person: bool,
}

impl Line {
    fn new(
        desk: &Desk,
        scope: &WorkspaceScope,
        stored: &StoredConversation,
        by: Actor,
        shown: Option<Shown>,
    ) -> Arc<Self> {
        let (conversation, contact) = (stored.conversation.id, stored.contact);
        Arc::new(Self { desk: desk.clone(), scope: scope.clone(), conversation, contact, by, shown })
    }

    /// Says it now, and after six seconds that it is over.
    async fn say(self: Arc<Self>, on: bool) {
        let agent = match &self.by {
            Actor::Agent { id, .. } => Some(*id),
            Actor::Automation { .. } | Actor::Customer | Actor::Platform => None,
        };
        let (who, now) = ((self.conversation, agent), Instant::now());
        if !self.desk.typists().hears(who, on, now) {
            return;
        }
        self.tell(on).await;
        if on {
            tokio::spawn(async move {
                tokio::time::sleep_until(now + LASTS).await;
                if self.desk.typists().ends(who, now) {
                    self.tell(false).await;
                }
            });
        }
    }

    async fn tell(&self, on: bool) {
        if let Some(Shown { channel, to, name, is_person }) = &self.shown
            && let Some(typing) = channel.typing()
        {
            let typist = Typist { name: name.as_deref(), is_person: *is_person, on };
            if let Err(error) = typing.show(to, &typist).await {
                tracing::debug!(code = error.code(), "that somebody types could not be shown");
            }
        }
        let (conversation, contact, by, at) = (self.conversation, self.contact, self.by.clone(), self.desk.now());
        if let Ok(data) = serde_json::to_value(Typing { conversation, contact, by, on, at }) {
            let signal = Signal { workspace: self.scope.workspace(), kind: TYPING.to_owned(), data };
            self.desk.storage().signal(signal).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use transom_domain::UuidV7;

    use super::*;

    #[test]
    fn who_types_is_passed_on_every_three_seconds_and_ends_after_the_last() {
        let (typists, began) = (Typists::default(), Instant::now());
        let who = (ConversationId::new(&UuidV7), None);
        let other = (who.0, Some(AgentId::new(&UuidV7)));
        let at = |millis| began + Duration::from_millis(millis);
        assert!(typists.hears(who, true, at(0)));
        assert!(!typists.hears(who, true, at(2_999)));
        assert!(typists.hears(other, true, at(2_999)), "somebody else");
        assert!(typists.hears(who, true, at(3_000)));
        assert!(!typists.ends(who, at(0)), "said again since");
        assert!(typists.ends(who, at(3_000)));
        assert!(!typists.ends(who, at(3_000)), "once");
        // An end is passed on, wherever the beginning was heard.
        assert!(typists.hears(other, false, at(3_100)) && typists.hears(who, false, at(3_100)));
        assert!(!typists.ends(other, at(2_999)));
        assert!(typists.since().is_empty());
    }
}
