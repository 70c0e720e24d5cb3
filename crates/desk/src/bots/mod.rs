//! Bots: on which accounts each serves, which messages it is told of, and how it hands over to people.

mod handover;
mod hours;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{
    Actor, Agent, AgentId, Author, BotBinding, BotCondition, ChannelAccountId, ContactId, Message, Role,
};
use transom_storage::{Reader, Tx};
use transom_windows::Sender;

use crate::authorise::{Action, Caller, authorise};
use crate::{Desk, DeskError, changes};

pub use handover::{HandedOver, Handover, hand_over};

/// More keywords, labels or spans of hours no binding has.
const MAX_WORDS: usize = 100;
/// The longest keyword, in characters.
const MAX_KEYWORD: usize = 100;
/// Bindings change one after the other, and while no label is renamed that they ask for.
pub(crate) const BINDINGS_TURN: &str = "bot bindings";

/// What a bot is bound to.
///
/// # Errors
/// [`DeskError::NotFound`], also for a bot that asks about another; [`DeskError::Invalid`] for a person.
pub async fn bindings(desk: &Desk, caller: &Caller, bot: AgentId) -> Result<Vec<BotBinding>, DeskError> {
    authorise(caller, Action::ReadBindings)?;
    if caller.agent.role == Role::Bot && bot != caller.agent.id {
        return Err(DeskError::NotFound { what: "agent" });
    }
    let reader = desk.reader(&caller.scope);
    is_bot(&reader.agent(bot).await?.ok_or(DeskError::NotFound { what: "agent" })?.agent)?;
    Ok(reader.bot_bindings(bot).await?)
}

/// Binds a bot to these accounts, and to no others.
///
/// # Errors
/// [`DeskError::NotFound`] for an agent or account that is not of this workspace; [`DeskError::Invalid`] for a person, an
/// account named twice, or a condition that says nothing sound.
pub async fn bind(
    desk: &Desk,
    caller: &Caller,
    bot: AgentId,
    bindings: Vec<BotBinding>,
) -> Result<Vec<BotBinding>, DeskError> {
    authorise(caller, Action::ManageAgents)?;
    let bindings: Vec<BotBinding> = bindings.into_iter().map(checked).collect::<Result<_, _>>()?;
    let accounts: BTreeSet<ChannelAccountId> = bindings.iter().map(|binding| binding.account).collect();
    if accounts.len() < bindings.len() {
        return Err(DeskError::invalid("binding_invalid", "bindings", "each channel is named once"));
    }
    let (desk_in, bindings, now) = (desk.clone(), Arc::new(bindings), desk.now());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, bindings) = (desk_in.clone(), bindings.clone());
            Box::pin(async move {
                tx.take_turn(BINDINGS_TURN).await?;
                let stored = tx.agent(bot).await?.ok_or(DeskError::NotFound { what: "agent" })?;
                for binding in bindings.iter() {
                    let known = tx.account(binding.account).await?.filter(|account| account.removed_at.is_none());
                    known.ok_or(DeskError::NotFound { what: "channel" })?;
                }
                is_bot(&stored.agent)?;
                tx.bind_bot(bot, &bindings).await?;
                let accounts: Vec<_> = bindings.iter().map(|binding| binding.account).collect();
                changes::tell(tx, desk.ids(), None, "bot.bound", json!({ "bot": bot, "channels": accounts }), now)
                    .await?;
                Ok(tx.bot_bindings(bot).await?)
            })
        })
        .await
}

pub(crate) fn is_bot(agent: &Agent) -> Result<(), DeskError> {
    if agent.role == Role::Bot {
        return Ok(());
    }
    let detail =
        format!("`{}` is a person: only bots are bound to channels and have endpoints of their own", agent.name);
    Err(DeskError::invalid("not_a_bot", "id", detail))
}

fn checked(binding: BotBinding) -> Result<BotBinding, DeskError> {
    let BotBinding { account, enabled, condition } = binding;
    let BotCondition { first_message, keywords, labels, hours } = condition;
    let wrong = |detail: String| DeskError::invalid("binding_invalid", "bindings", detail);
    let trimmed = |words: Vec<String>| words.into_iter().map(|word| word.trim().to_owned()).collect::<Vec<_>>();
    let (keywords, labels) = (trimmed(keywords), trimmed(labels));
    if keywords.len().max(labels.len()) > MAX_WORDS {
        return Err(wrong(format!("at most {MAX_WORDS} keywords and as many labels are taken")));
    }
    if keywords.iter().chain(&labels).any(|word| word.is_empty() || word.chars().count() > MAX_KEYWORD) {
        return Err(wrong(format!("keywords and labels have 1 to {MAX_KEYWORD} characters")));
    }
    if let Some(hours) = &hours {
        hours::check(hours)?;
    }
    Ok(BotBinding { account, enabled, condition: BotCondition { first_message, keywords, labels, hours } })
}

/// A message of a customer, as the conditions of bots look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard<'h> {
    pub(crate) message: &'h Message,
    pub(crate) contact: ContactId,
    pub(crate) now: OffsetDateTime,
}

/// Which of an account's bots are told of a message.
///
/// # Errors
/// When the database fails.
pub(crate) async fn told_of(
    tx: &Tx,
    bots: &[(AgentId, BotCondition)],
    heard: Heard<'_>,
) -> Result<Vec<AgentId>, DeskError> {
    let mut told = Vec::new();
    for (bot, condition) in bots {
        if holds(tx, condition, heard).await? {
            told.push(*bot);
        }
    }
    Ok(told)
}

async fn holds(tx: &Tx, condition: &BotCondition, heard: Heard<'_>) -> Result<bool, DeskError> {
    let Heard { message, contact, now } = heard;
    if !condition.has_keyword(&message.content.preview()) {
        return Ok(false);
    }
    if condition.hours.as_ref().is_some_and(|hours| !hours::hold(hours, now)) {
        return Ok(false);
    }
    if !condition.labels.is_empty() {
        let labels = tx.contact(contact).await?.map(|stored| stored.labels).unwrap_or_default();
        if !condition.has_label(&labels) {
            return Ok(false);
        }
    }
    Ok(!condition.first_message || !tx.wrote_before(contact, message.id).await?)
}

/// Whether a message is of a bot that does not serve the account: then it may not be sent.
pub(crate) async fn is_unbound(
    reader: &Reader,
    sender: Sender,
    author: &Author,
    account: ChannelAccountId,
) -> Result<bool, DeskError> {
    match author {
        Author::Actor(Actor::Agent { id, .. }) if sender == Sender::Bot => Ok(!reader.is_bot_on(*id, account).await?),
        _ => Ok(false),
    }
}
