//! From claimed to `sending`: person and conversation locked, decided anew, paid for, written; one transaction (P5, P6).
//!
//! Whoever changes what a person allows us locks that person too. So an opt-out, a block or an answer of theirs that was
//! committed before is seen here, and one that comes later finds `sending`: the part is on the wire.

use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;
use transom_domain::{Actor, Author, DeliveryState};
use transom_storage::{Claimed, Tx, WorkspaceScope};
use transom_windows::{Permit, Sender};

use super::outcome::tell;
use crate::house::{HouseRules, keeps_quiet};
use crate::may_send::{Verdict, ask_for, may_send, promoting};
use crate::quota::reservations;
use crate::situation::{Situation, Wires};
use crate::{Desk, DeskError, bots, letter};

/// What became of a claimed part before the wire.
pub(super) enum Begun {
    /// `sending` is committed: it may leave.
    Ready(Box<Ready>),
    /// It stays here, and its message says why.
    Withheld {
        /// For metrics.
        why: &'static str,
    },
    /// It may leave, but not yet: it is back in the queue, and that was no attempt.
    Postponed,
    /// Somebody else has it by now.
    Lost,
}

/// A part that may leave.
pub(super) struct Ready {
    pub(super) situation: Situation,
    pub(super) permit: Permit,
    pub(super) attempt: u32,
}

/// Decides anew and writes that an attempt begins, or takes the part off its way. `wait` puts off what is allowed: too fast,
/// too many retries.
///
/// # Errors
/// When the database fails: then nothing of it is stored.
pub(super) async fn begin(
    desk: &Desk,
    scope: &WorkspaceScope,
    claimed: &Claimed,
    wires: Wires,
    wait: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<Begun, DeskError> {
    let platform = wires.0.platform.clone();
    let start = Arc::new(Start { desk: desk.clone(), claimed: claimed.clone(), wires, wait, now });
    let begun = desk
        .storage()
        .transact(scope, move |tx| {
            let start = start.clone();
            Box::pin(async move { start.run(tx).await })
        })
        .await?;
    count(&platform, &begun);
    Ok(begun)
}

fn count(platform: &str, begun: &Begun) {
    let decided = match begun {
        Begun::Ready(_) | Begun::Postponed => Some("allowed"),
        Begun::Withheld { why: "not_permitted" } => Some("refused"),
        Begun::Withheld { .. } | Begun::Lost => None,
    };
    if let Some(result) = decided {
        metrics::counter!("transom_decisions_total", "platform" => platform.to_owned(), "result" => result)
            .increment(1);
    }
    if let Begun::Withheld { why } = begun {
        metrics::counter!("transom_withheld_total", "reason" => *why).increment(1);
    }
}

struct Start {
    desk: Desk,
    claimed: Claimed,
    wires: Wires,
    wait: Option<OffsetDateTime>,
    now: OffsetDateTime,
}

impl Start {
    async fn run(&self, tx: &Tx) -> Result<Begun, DeskError> {
        let claimed = &self.claimed;
        let Some(identity) = tx.lock_identity(claimed.identity).await? else { return self.erased(tx).await };
        let Some(stored) = tx.lock_conversation(claimed.conversation).await? else { return self.erased(tx).await };
        let Some(account) = tx.account(claimed.account).await? else { return self.erased(tx).await };
        if self.now >= claimed.expires_at {
            return self.withhold(tx, "expired", json!({ "reason": "expired" })).await;
        }
        if let Some(reason) = self.template_refused(tx).await? {
            return self.withhold(tx, "template_not_approved", reason).await;
        }
        let policy = self.desk.policy_of(&account)?.clone();
        let wires = (Arc::new(account), self.wires.1.clone(), policy);
        let situation = Situation::load_without(tx, identity, wires, Some(claimed.part), self.now).await?;
        let house = HouseRules::of(stored.conversation.status, situation.account.enabled).over(&situation.account);
        let house = if keeps_quiet(sender_of(claimed)) {
            let (settings, _) = tx.settings().await?;
            house.by_the_clock(tx, &settings, sender_of(claimed), stored.contact, self.now).await?
        } else {
            house
        };
        let unsolicited = letter::is_unsolicited(tx, &situation.identity, &claimed.content).await?;
        let bot_unbound = bots::is_unbound(tx, sender_of(claimed), &claimed.author, claimed.account).await?;
        let house = HouseRules { bot_unbound, unsolicited, ..house };
        let permit = match self.decide(&situation, &house)? {
            Ok(permit) => permit,
            Err(verdict) => match verdict.waits_until().filter(|until| *until < claimed.expires_at) {
                Some(until) => return self.postpone(tx, until).await,
                None => return self.withhold(tx, "not_permitted", verdict.told()).await,
            },
        };
        if let Some(at) = self.wait {
            return self.postpone(tx, at).await;
        }
        if !self.keep_quota(tx, &situation, &permit).await? {
            return self.withhold(tx, "quota_used", json!({ "reason": "quota_used" })).await;
        }
        let (owner, lease) = (self.desk.owner(), self.desk.config().lease);
        let Some(attempt) = tx.begin_sending(claimed.part, owner, lease, self.now).await? else {
            return Ok(Begun::Lost);
        };
        // Where only some rights carry a key, a recovery must know which one this was.
        let keyed = situation.channel.dedupes_for(&permit).is_some();
        if !keyed && situation.channel.capabilities().settling.dedupes_for.is_some() {
            tx.note_unrepeatable(claimed.part, attempt, self.now).await?;
        }
        Ok(Begun::Ready(Box::new(Ready { situation, permit, attempt })))
    }

    /// What the platform said of the template since it was accepted, where it may not be sent any more.
    async fn template_refused(&self, tx: &Tx) -> Result<Option<Value>, DeskError> {
        let Some(sent) = self.claimed.content.as_template() else { return Ok(None) };
        let Some(known) = tx.template(self.claimed.account, &sent.name, &sent.language).await? else { return Ok(None) };
        let refused = known.definition.check_approved().err();
        Ok(refused.map(|error| {
            let status = known.definition.status;
            json!({ "reason": "template_not_approved", "detail": error.to_string(), "status": status })
        }))
    }

    async fn postpone(&self, tx: &Tx, at: OffsetDateTime) -> Result<Begun, DeskError> {
        let postponed = tx.postpone(self.claimed.part, self.desk.owner(), at, self.now).await?;
        Ok(if postponed { Begun::Postponed } else { Begun::Lost })
    }

    fn decide(&self, situation: &Situation, house: &HouseRules) -> Result<Result<Permit, Box<Verdict>>, DeskError> {
        let claimed = &self.claimed;
        let promotional = claimed.ask.pointer("/ask/promotional") == Some(&Value::Bool(true));
        let ask = ask_for(sender_of(claimed), &claimed.content, claimed.cost)?;
        let ask = if promotional { promoting(ask, &claimed.content) } else { ask };
        let tag = claimed.ask.pointer("/ask/tag").and_then(Value::as_str);
        let verdict = may_send(situation, house, ask, &claimed.content, tag, self.now);
        match verdict.into_permit() {
            Ok(permit) => Ok(Ok(permit)),
            Err(DeskError::NotPermitted(verdict)) => Ok(Err(verdict)),
            Err(other) => Err(other),
        }
    }

    /// Moves what was reserved to the present period or opening (reliability.md 8); false when that is used up.
    async fn keep_quota(&self, tx: &Tx, situation: &Situation, permit: &Permit) -> Result<bool, DeskError> {
        let wanted = reservations(situation, permit, self.claimed.cost);
        if wanted.is_empty() && !self.claimed.holds_quota {
            return Ok(true);
        }
        Ok(tx.move_reservation(self.claimed.part, situation.identity.id, &wanted, self.now).await?.is_ok())
    }

    async fn erased(&self, tx: &Tx) -> Result<Begun, DeskError> {
        self.withhold(tx, "erased", json!({ "reason": "erased" })).await
    }

    /// Not sent, before the wire: the quota goes back, and a person sees why.
    async fn withhold(&self, tx: &Tx, why: &'static str, reason: Value) -> Result<Begun, DeskError> {
        let (claimed, state) = (&self.claimed, DeliveryState::NotSent);
        if !tx.withhold(claimed.part, self.desk.owner(), state, &reason, self.now).await? {
            return Ok(Begun::Lost);
        }
        tell(tx, &self.desk, claimed, (DeliveryState::Queued, state), Some(reason), self.now).await?;
        Ok(Begun::Withheld { why })
    }
}

/// What the rules took the sender for when the message was accepted; its author says it where that was not kept.
fn sender_of(claimed: &Claimed) -> Sender {
    let asked = claimed.ask.pointer("/ask/sender").and_then(Value::as_str).and_then(|sender| sender.parse().ok());
    asked.unwrap_or_else(|| match &claimed.author {
        Author::Actor(Actor::Agent { role, .. }) => crate::may_send::sender_of(*role),
        Author::Actor(_) | Author::Echo | Author::ThirdParty { .. } => Sender::Automation,
    })
}
