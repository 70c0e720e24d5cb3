//! One claimed part, from the decision to the record of what became of it.

use serde_json::json;
use time::{Duration, OffsetDateTime};
use transom_channel::{Evidence, NextStep, OutboundPart, Receipt, SendError};
use transom_domain::{Actor, Address, Author, DeliveryState, Profile};
use transom_storage::{Claimed, Outcome, PersonSeed, Settled, Settlement, Tx, WorkspaceScope};
use transom_windows::{Permit, Sender};

use super::Dispatcher;
use super::breaker::{Health, Turn};
use super::schedule::next_try;
use crate::house::HouseRules;
use crate::may_send::{ask_for, may_send};
use crate::quota::reservations;
use crate::situation::{Situation, wires};
use crate::{DeskError, changes, evidence};

/// A window that the platform holds shut while ours is open gets one more try after this long: platforms are known to lag
/// behind their own webhooks.
const SECOND_LOOK: Duration = Duration::seconds(60);

/// Handles a part; whatever goes wrong here leaves it to the lease.
pub(super) async fn handle(dispatcher: &Dispatcher, scope: &WorkspaceScope, claimed: Claimed) {
    let part = claimed.part;
    if let Err(error) = dispatch(dispatcher, scope, claimed).await {
        tracing::warn!(%part, %error, "a part could not be handled; its lease will bring it back");
    }
}

async fn dispatch(dispatcher: &Dispatcher, scope: &WorkspaceScope, claimed: Claimed) -> Result<(), DeskError> {
    let desk = &dispatcher.desk;
    let now = desk.now();
    let reader = desk.reader(scope);
    let Some(identity) = reader.identity(claimed.identity).await? else {
        return withhold(dispatcher, scope, &claimed, "erased", json!({ "reason": "erased" }), now).await;
    };
    let wires = wires(desk, scope, claimed.account).await?;
    let situation = Situation::load_without(&reader, identity, wires, Some(claimed.part), now).await?;
    if now >= claimed.expires_at {
        return withhold(dispatcher, scope, &claimed, "expired", json!({ "reason": "expired" }), now).await;
    }
    // Decided anew: the world may have changed since the message was accepted.
    let permit = match decide(dispatcher, scope, &claimed, &situation, now).await? {
        Ok(permit) => permit,
        Err(reason) => return withhold(dispatcher, scope, &claimed, "not_permitted", reason, now).await,
    };
    let pacing = situation.channel.capabilities().pacing;
    if let Err(at) = dispatcher.pacers.take(&pacing, claimed.account, claimed.identity, now) {
        return postpone(dispatcher, scope, &claimed, at, now).await;
    }
    if !keep_quota(dispatcher, scope, &claimed, &situation, &permit, now).await? {
        return withhold(dispatcher, scope, &claimed, "quota_used", json!({ "reason": "quota_used" }), now).await;
    }
    let outbound = OutboundPart::new(
        permit.clone(),
        &situation.identity,
        (claimed.part, claimed.attempt),
        claimed.content.clone(),
        now,
    );
    let outbound = match outbound {
        Ok(outbound) => outbound.in_thread(claimed.thread.clone()),
        Err(refused) => {
            let reason = json!({ "reason": "not_permitted", "detail": refused.to_string() });
            return withhold(dispatcher, scope, &claimed, "not_permitted", reason, now).await;
        }
    };
    let Some(attempt) = begin(dispatcher, scope, &claimed, now).await? else { return Ok(()) };

    let started = tokio::time::Instant::now();
    let answer = situation.channel.send(&outbound).await;
    let took = started.elapsed();
    let verdict = answer.as_ref().map_or_else(SendError::code, |_| "sent");
    let platform = situation.account.platform.clone();
    metrics::counter!("transom_send_attempts_total", "platform" => platform.clone(), "verdict" => verdict).increment(1);
    metrics::histogram!("transom_send_seconds", "platform" => platform).record(took.as_secs_f64());
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    settle(dispatcher, scope, Attempted { claimed, situation, permit, attempt, started_at: now, duration_ms }, answer)
        .await
}

/// Who stands behind a part, as the rule engine asks.
fn sender_of(claimed: &Claimed) -> Sender {
    match &claimed.author {
        Author::Actor(Actor::Agent { role, .. }) => crate::may_send::sender_of(*role),
        Author::Actor(_) | Author::Echo | Author::ThirdParty { .. } => Sender::Automation,
    }
}

async fn decide(
    dispatcher: &Dispatcher,
    scope: &WorkspaceScope,
    claimed: &Claimed,
    situation: &Situation,
    now: OffsetDateTime,
) -> Result<Result<Permit, serde_json::Value>, DeskError> {
    let Some(stored) = dispatcher.desk.reader(scope).conversation(claimed.conversation).await? else {
        return Ok(Err(json!({ "reason": "erased" })));
    };
    let house = HouseRules::of(stored.conversation.status, situation.account.enabled);
    let ask = ask_for(sender_of(claimed), &claimed.content, claimed.cost)?;
    let tag = claimed.ask.pointer("/ask/tag").and_then(serde_json::Value::as_str);
    let verdict = may_send(situation, &house, ask, &claimed.content, tag, now);
    let result = if verdict.is_allowed() { "allowed" } else { "refused" };
    metrics::counter!("transom_decisions_total", "platform" => situation.account.platform.clone(), "result" => result)
        .increment(1);
    match verdict.into_permit() {
        Ok(permit) => Ok(Ok(permit)),
        Err(DeskError::NotPermitted(verdict)) => {
            Ok(Err(json!({ "reason": verdict.code(), "house": verdict.house, "decision": verdict.decision })))
        }
        Err(other) => Err(other),
    }
}

/// Moves what was reserved to the present period or opening (reliability.md 8); false when that is used up.
async fn keep_quota(
    dispatcher: &Dispatcher,
    scope: &WorkspaceScope,
    claimed: &Claimed,
    situation: &Situation,
    permit: &Permit,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    let wanted = reservations(situation, permit, claimed.cost);
    if wanted.is_empty() && !claimed.holds_quota {
        return Ok(true);
    }
    let (part, identity) = (claimed.part, claimed.identity);
    let moved = dispatcher
        .desk
        .storage()
        .transact(scope, move |tx| {
            let wanted = wanted.clone();
            Box::pin(async move { Ok::<_, DeskError>(tx.move_reservation(part, identity, &wanted, now).await?) })
        })
        .await?;
    Ok(moved.is_ok())
}

async fn begin(
    dispatcher: &Dispatcher,
    scope: &WorkspaceScope,
    claimed: &Claimed,
    now: OffsetDateTime,
) -> Result<Option<u32>, DeskError> {
    let (part, owner) = (claimed.part, dispatcher.desk.owner());
    dispatcher
        .desk
        .storage()
        .transact(scope, move |tx| Box::pin(async move { Ok(tx.begin_sending(part, owner, now).await?) }))
        .await
}

async fn postpone(
    dispatcher: &Dispatcher,
    scope: &WorkspaceScope,
    claimed: &Claimed,
    at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let (part, owner) = (claimed.part, dispatcher.desk.owner());
    dispatcher
        .desk
        .storage()
        .transact(scope, move |tx| {
            Box::pin(async move { Ok::<_, DeskError>(tx.postpone(part, owner, at, now).await?) })
        })
        .await?;
    Ok(())
}

/// Not sent, before the wire: the quota goes back, and a person sees why.
async fn withhold(
    dispatcher: &Dispatcher,
    scope: &WorkspaceScope,
    claimed: &Claimed,
    why: &'static str,
    reason: serde_json::Value,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    metrics::counter!("transom_withheld_total", "reason" => why).increment(1);
    let desk = dispatcher.desk.clone();
    let claimed = claimed.clone();
    dispatcher
        .desk
        .storage()
        .transact(scope, move |tx| {
            let (desk, claimed, reason) = (desk.clone(), claimed.clone(), reason.clone());
            Box::pin(async move {
                if tx.withhold(claimed.part, desk.owner(), DeliveryState::NotSent, &reason, now).await? {
                    tell(tx, &desk, &claimed, DeliveryState::Queued, DeliveryState::NotSent, Some(reason), now).await?;
                }
                Ok(())
            })
        })
        .await
}

/// An attempt that was made.
#[derive(Debug, Clone)]
struct Attempted {
    claimed: Claimed,
    situation: Situation,
    permit: Permit,
    attempt: u32,
    started_at: OffsetDateTime,
    duration_ms: u64,
}

/// What an answer means for the part.
struct Verdict {
    outcome: Outcome,
    state: DeliveryState,
    error: Option<SendError>,
    proof: Option<Evidence>,
    health: Health,
}

async fn settle(
    dispatcher: &Dispatcher,
    scope: &WorkspaceScope,
    attempted: Attempted,
    answer: Result<Receipt, SendError>,
) -> Result<(), DeskError> {
    let desk = dispatcher.desk.clone();
    let now = desk.now();
    let learned = answer.as_ref().map(|receipt| receipt.learned.clone()).unwrap_or_default();
    let verdict = verdict(&attempted, answer, now);
    let account = attempted.claimed.account;
    if let Some(SendError::RateLimited { .. }) = &verdict.error
        && let Outcome::Retry { due_at } = &verdict.outcome
    {
        dispatcher.pacers.slow_down(&attempted.situation.channel.capabilities().pacing, account, *due_at);
    }
    let turn = dispatcher.breakers.note(account, verdict.health, now);
    let settlement = Settlement {
        outcome: verdict.outcome,
        error: verdict.error.as_ref().map(|error| json!({ "code": error.code(), "error": error })),
        phase: phase(verdict.error.as_ref()).to_owned(),
        status: verdict.error.as_ref().and_then(|error| error.report()?.status),
        duration_ms: attempted.duration_ms,
    };
    let (state, proof) = (verdict.state, verdict.proof);
    desk.storage()
        .clone()
        .transact(scope, move |tx| {
            let (desk, attempted, settlement, proof, learned) =
                (desk.clone(), attempted.clone(), settlement.clone(), proof.clone(), learned.clone());
            Box::pin(async move {
                let settled = tx.settle(attempted.claimed.part, attempted.attempt, &settlement, now).await?;
                // A lease that was lost meanwhile: the answer stays as evidence, and whoever recovered the part decides.
                let Settled::Done { message_state, joined } = settled else { return Ok(()) };
                if state == DeliveryState::Sent {
                    accepted(tx, &attempted, &learned, now).await?;
                }
                if let Some(proof) = &proof {
                    learn(tx, &attempted, proof, now).await?;
                }
                let detail =
                    json!({ "message_state": message_state, "error": settlement.error, "attempt": attempted.attempt });
                tell(tx, &desk, &attempted.claimed, DeliveryState::Sending, state, Some(detail), now).await?;
                for receipt in joined {
                    tell(tx, &desk, &attempted.claimed, receipt.from, receipt.to, receipt.detail, now).await?;
                }
                if let Some(turn) = turn {
                    let kind = if turn == Turn::Opened { "channel.paused" } else { "channel.resumed" };
                    let data = json!({ "account": attempted.claimed.account, "error": settlement.error });
                    emit_plain(tx, &desk, kind, data, now).await?;
                }
                Ok(())
            })
        })
        .await
}

fn verdict(attempted: &Attempted, answer: Result<Receipt, SendError>, now: OffsetDateTime) -> Verdict {
    let error = match answer {
        Ok(receipt) => {
            return Verdict {
                outcome: Outcome::Sent { provider_id: receipt.provider_id, billing: receipt.billing },
                state: DeliveryState::Sent,
                error: None,
                proof: None,
                health: Health::Well,
            };
        }
        Err(error) => error,
    };
    let retry = |wish| Outcome::Retry { due_at: next_try(attempted.claimed.priority, attempted.attempt, wish, now) };
    let proof = error.evidence();
    let (outcome, state, proof, health) = match error.next_step() {
        NextStep::Retry { after } => {
            let health = if matches!(error, SendError::RateLimited { .. }) { Health::Well } else { Health::Ill };
            (retry(after), DeliveryState::Queued, None, health)
        }
        NextStep::DecideAgain if is_first_surprise(attempted, &error) => {
            (retry(Some(SECOND_LOOK)), DeliveryState::Queued, None, Health::Well)
        }
        // With the evidence recorded, the next decision withholds it, or finds another right to send by.
        NextStep::DecideAgain => (retry(Some(Duration::ZERO)), DeliveryState::Queued, proof, Health::Well),
        NextStep::Settle => {
            let dedupes = attempted.situation.channel.dedupes_for(&attempted.permit);
            let resend = dedupes.is_some_and(|span| now < attempted.started_at.saturating_add(span));
            if resend {
                (retry(None), DeliveryState::Queued, None, Health::Ill)
            } else {
                (Outcome::Unknown, DeliveryState::Unknown, None, Health::Ill)
            }
        }
        NextStep::Reconnect => (retry(Some(Duration::MINUTE)), DeliveryState::Queued, proof, Health::Locked),
        NextStep::GiveUp => (Outcome::Failed, DeliveryState::Failed, proof, Health::Well),
    };
    Verdict { outcome, state, proof, health, error: Some(error) }
}

/// The platform says "closed" and our own facts say "open": worth one more look, once.
fn is_first_surprise(attempted: &Attempted, error: &SendError) -> bool {
    attempted.attempt == 1 && matches!(error, SendError::WindowClosed { .. }) && attempted.permit.lapses_at().is_some()
}

/// The platform has it: counted in the facts, and what the answer told of the person is kept.
async fn accepted(tx: &Tx, attempted: &Attempted, learned: &[Address], now: OffsetDateTime) -> Result<(), DeskError> {
    let Some(identity) = tx.lock_identity(attempted.claimed.identity).await? else { return Ok(()) };
    let mut situation = attempted.situation.again(tx, identity, now).await?;
    let what = transom_windows::What::Sent {
        id: attempted.claimed.part.uuid().as_u128(),
        grant: attempted.permit.record().grant,
        reference: attempted.permit.reference().map(Into::into),
        cost: attempted.claimed.cost,
    };
    situation.apply(&transom_windows::Event { at: attempted.started_at, what });
    situation.save(tx, now).await?;
    if learned.iter().any(|address| !situation.identity.addresses.contains(address)) {
        meet_again(tx, &situation, learned, now).await?;
    }
    Ok(())
}

/// The answer named the person in another way: all of it is one person.
async fn meet_again(tx: &Tx, situation: &Situation, learned: &[Address], now: OffsetDateTime) -> Result<(), DeskError> {
    let seed = PersonSeed {
        identity: situation.identity.id,
        contact: situation.identity.contact,
        account: situation.account.id,
        addresses: situation.identity.addresses.iter().chain(learned).cloned().collect(),
        profile: Profile::default(),
        at: now,
    };
    tx.meet(&seed, now).await?;
    Ok(())
}

async fn learn(tx: &Tx, attempted: &Attempted, proof: &Evidence, now: OffsetDateTime) -> Result<(), DeskError> {
    let Some(identity) = tx.lock_identity(attempted.claimed.identity).await? else { return Ok(()) };
    let mut situation = attempted.situation.again(tx, identity, now).await?;
    let record = attempted.permit.record();
    evidence::record(tx, &mut situation, Some(&record), &attempted.permit.spends(), proof, attempted.started_at, now)
        .await?;
    situation.save(tx, now).await
}

fn phase(error: Option<&SendError>) -> &'static str {
    match error {
        None => "accepted",
        Some(SendError::NotConnected { .. }) => "nothing_written",
        Some(SendError::OutcomeUnknown { .. }) => "written",
        Some(_) => "answered",
    }
}

async fn tell(
    tx: &Tx,
    desk: &crate::Desk,
    claimed: &Claimed,
    from: DeliveryState,
    to: DeliveryState,
    detail: Option<serde_json::Value>,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let Some(stored) = tx.conversation(claimed.conversation).await? else { return Ok(()) };
    let data = json!({ "message": claimed.message, "part": claimed.part, "from": from, "to": to, "detail": detail });
    changes::emit(tx, desk.ids(), &stored, "message.state", data, now).await
}

async fn emit_plain(
    tx: &Tx,
    desk: &crate::Desk,
    kind: &str,
    data: serde_json::Value,
    at: OffsetDateTime,
) -> Result<(), DeskError> {
    let id = transom_domain::EventId::new(desk.ids());
    let event = transom_storage::NewEvent { id, kind: kind.to_owned(), conversation: None, contact: None, data, at };
    Ok(tx.emit(&event).await?)
}
