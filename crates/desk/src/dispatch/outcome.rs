//! What an answer means, and its record: fenced by the attempt's number (reliability.md 5 and 6).

use std::time::Duration as Pause;

use serde_json::json;
use time::{Duration, OffsetDateTime};
use transom_channel::{Evidence, NextStep, PlatformReport, Receipt, SendError};
use transom_domain::{Address, DeliveryState, Identity, Profile};
use transom_storage::{Claimed, Outcome, PersonSeed, Settled, Settlement, Tx, WorkspaceScope};
use transom_windows::Permit;

use super::Dispatcher;
use super::breaker::{Health, Turn};
use super::schedule::next_try;
use crate::evidence::{self, Refused};
use crate::quota::taken;
use crate::situation::Situation;
use crate::{Desk, DeskError, changes};

/// A window that the platform holds shut while ours is open gets one more try after this long: platforms are known to lag
/// behind their own webhooks.
const SECOND_LOOK: Duration = Duration::seconds(60);
/// An answer is too dear to be lost for a database that is away for a moment: it is stored again after these pauses.
const STORE_AGAIN: [Pause; 4] =
    [Pause::from_millis(100), Pause::from_millis(500), Pause::from_secs(2), Pause::from_secs(5)];

/// For so long it is remembered that a message was booked anew: an answer is stored again within seconds, or never.
const BILLED_ONCE: Duration = Duration::DAY;

/// So many requests are made with the same key where the platform drops repeats; then people look at it.
const RESENDS: u32 = 10;

/// An attempt that was made.
#[derive(Debug, Clone)]
pub(super) struct Attempted {
    pub(super) claimed: Claimed,
    pub(super) situation: Situation,
    pub(super) permit: Permit,
    pub(super) attempt: u32,
    pub(super) started_at: OffsetDateTime,
    pub(super) duration_ms: u64,
}

/// How an attempt ended.
pub(super) enum Answer {
    /// The channel says it.
    Came(Result<Receipt, SendError>),
    /// The time was over before anything could be written: it was not sent, and is decided anew.
    TooLate(String),
}

/// What an answer means for the part.
struct Verdict {
    outcome: Outcome,
    state: DeliveryState,
    error: Option<SendError>,
    proof: Option<Evidence>,
    /// Further readers who don't get it.
    refused: Vec<(String, PlatformReport)>,
    /// What it says about the account; `None`: nothing.
    health: Option<Health>,
}

/// What is to be stored, as often as it takes.
#[derive(Debug, Clone)]
struct Record {
    desk: Desk,
    attempted: Attempted,
    settlement: Settlement,
    state: DeliveryState,
    proof: Option<Evidence>,
    refused: Vec<(String, PlatformReport)>,
    learned: Vec<Address>,
    turn: Option<Turn>,
    now: OffsetDateTime,
}

/// Records how an attempt ended.
///
/// # Errors
/// When the database stays away: the lease then makes the outcome unknown.
pub(super) async fn settle(
    dispatcher: &Dispatcher,
    scope: &WorkspaceScope,
    attempted: Attempted,
    answer: Answer,
) -> Result<(), DeskError> {
    let desk = dispatcher.desk.clone();
    let now = desk.now();
    let learned = match &answer {
        Answer::Came(Ok(receipt)) => receipt.learned.clone(),
        Answer::Came(Err(_)) | Answer::TooLate(_) => Vec::new(),
    };
    let verdict = verdict(&attempted, answer, now);
    let account = attempted.claimed.account;
    if let Some(SendError::RateLimited { .. }) = &verdict.error
        && let Outcome::Retry { due_at } = &verdict.outcome
    {
        dispatcher.pacers.slow_down(&attempted.situation.channel.capabilities().pacing, account, *due_at);
    }
    let turn = verdict.health.and_then(|health| dispatcher.breakers.note(account, scope, health, now));
    let settlement = Settlement {
        outcome: verdict.outcome,
        error: match &verdict.error {
            Some(error) => Some(json!({ "code": error.code(), "error": error })),
            None => (!verdict.refused.is_empty()).then(|| json!({ "refused": readers(&verdict.refused) })),
        },
        phase: phase(verdict.error.as_ref()).to_owned(),
        status: verdict.error.as_ref().and_then(|error| error.report()?.status),
        duration_ms: attempted.duration_ms,
    };
    let (state, proof, refused) = (verdict.state, verdict.proof, verdict.refused);
    let record = Record { desk, attempted, settlement, state, proof, refused, learned, turn, now };
    let mut pauses = STORE_AGAIN.into_iter();
    loop {
        let error = match store(scope, &record).await {
            Err(error @ DeskError::Storage(_)) => error,
            done => {
                if done? {
                    record.desk.channels().forget(scope);
                }
                return Ok(());
            }
        };
        let Some(pause) = pauses.next() else { return Err(error) };
        tracing::warn!(part = %record.attempted.claimed.part, %error, "an answer could not be stored; trying again");
        tokio::time::sleep(pause).await;
    }
}

/// The fence makes it safe to repeat, also when the answer to a commit was lost. Whether the account is another one now.
async fn store(scope: &WorkspaceScope, record: &Record) -> Result<bool, DeskError> {
    let (storage, record) = (record.desk.storage().clone(), record.clone());
    storage
        .transact(scope, move |tx| {
            let record = record.clone();
            Box::pin(async move { record.run(tx).await })
        })
        .await
}

impl Record {
    async fn run(&self, tx: &Tx) -> Result<bool, DeskError> {
        let Self { desk, attempted, settlement, state, proof, refused, learned, turn, now } = self;
        let now = *now;
        let claimed = &attempted.claimed;
        // Before the message and the ledger: the order in which everybody locks.
        let person = match (state, proof) {
            (DeliveryState::Sent, _) | (_, Some(_)) => tx.lock_identity(claimed.identity).await?,
            _ => None,
        };
        let settled = tx.settle(claimed.part, attempted.attempt, settlement, now).await?;
        // A lease that was lost meanwhile: the answer stays as evidence, and whoever recovered the part decides.
        let Settled::Done { message_state, joined, echo } = settled else { return Ok(false) };
        if let Some(echo) = echo {
            changes::joined(tx, desk.ids(), claimed.message, echo, now).await?;
        }
        let mut account_changed = false;
        match (person, proof) {
            (Some(person), Some(proof)) => account_changed = learn(tx, desk, attempted, person, proof, now).await?,
            (Some(person), None) => accepted(tx, attempted, person, (learned, settlement), now).await?,
            (None, _) => {}
        }
        let detail = json!({ "message_state": message_state, "error": settlement.error, "attempt": attempted.attempt });
        tell(tx, desk, claimed, (DeliveryState::Sending, *state), Some(detail), now).await?;
        if !refused.is_empty() {
            tell_refused(tx, desk, claimed, refused, now).await?;
        }
        for receipt in joined {
            tell(tx, desk, claimed, (receipt.from, receipt.to), receipt.detail, now).await?;
        }
        if let Some(turn) = turn {
            let kind = if *turn == Turn::Opened { "channel.paused" } else { "channel.resumed" };
            let data = json!({ "account": claimed.account, "error": settlement.error });
            changes::tell(tx, desk.ids(), None, kind, data, now).await?;
        }
        Ok(account_changed)
    }
}

fn verdict(attempted: &Attempted, answer: Answer, now: OffsetDateTime) -> Verdict {
    let error = match answer {
        Answer::Came(Ok(receipt)) => {
            return Verdict {
                outcome: Outcome::Sent { provider_id: receipt.provider_id, billing: receipt.billing },
                state: DeliveryState::Sent,
                error: None,
                proof: None,
                refused: receipt.refused,
                health: Some(Health::Well),
            };
        }
        Answer::TooLate(detail) => {
            return Verdict {
                outcome: Outcome::Retry { due_at: now },
                state: DeliveryState::Queued,
                error: Some(SendError::NotConnected { detail }),
                proof: None,
                refused: Vec::new(),
                health: None,
            };
        }
        Answer::Came(Err(error)) => error,
    };
    let patience = attempted.situation.channel.patience();
    let retry =
        |wish| Outcome::Retry { due_at: next_try(patience, attempted.claimed.priority, attempted.attempt, wish, now) };
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
            let resend = attempted.attempt < RESENDS
                && dedupes.is_some_and(|span| now < attempted.started_at.saturating_add(span / 2));
            if resend {
                (retry(None), DeliveryState::Queued, None, Health::Ill)
            } else {
                (Outcome::Unknown, DeliveryState::Unknown, None, Health::Ill)
            }
        }
        NextStep::Reconnect => (retry(Some(Duration::MINUTE)), DeliveryState::Queued, proof, Health::Locked),
        NextStep::GiveUp => (Outcome::Failed, DeliveryState::Failed, proof, Health::Well),
    };
    Verdict { outcome, state, proof, refused: Vec::new(), health: Some(health), error: Some(error) }
}

/// The platform says "closed" and our own facts say "open": worth one more look, once.
fn is_first_surprise(attempted: &Attempted, error: &SendError) -> bool {
    attempted.attempt == 1 && matches!(error, SendError::WindowClosed { .. }) && attempted.permit.lapses_at().is_some()
}

/// The platform has it: counted in the facts, and what the answer told of the person is kept.
async fn accepted(
    tx: &Tx,
    attempted: &Attempted,
    person: Identity,
    (learned, settlement): (&[Address], &Settlement),
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let mut situation = attempted.situation.again(tx, person, now).await?;
    let grant = match &settlement.outcome {
        Outcome::Sent { billing: Some(word), .. } => book_anew(tx, attempted, &situation, word, now).await?,
        _ => None,
    };
    let what = transom_windows::What::Sent {
        id: attempted.claimed.part.uuid().as_u128(),
        grant: grant.unwrap_or_else(|| attempted.permit.grant().to_owned()),
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

/// The platform says how it counted the message: where that is not the grant it was sent by, the ledger follows the platform.
/// The grant by which it was counted, then.
async fn book_anew(
    tx: &Tx,
    attempted: &Attempted,
    situation: &Situation,
    word: &str,
    now: OffsetDateTime,
) -> Result<Option<String>, DeskError> {
    let Some(anew) = situation.policy.rebooking(&situation.facts, &attempted.permit, word) else { return Ok(None) };
    let claimed = &attempted.claimed;
    // An answer is stored again when it is not known whether it was.
    let once = format!("billing {} {}", claimed.part, attempted.attempt);
    if tx.first_sight(claimed.account, &once, Some(now.saturating_add(BILLED_ONCE)), now).await? {
        let shares = |spends| taken(situation, spends, claimed.cost);
        tx.rebook(&shares(&anew.release), &shares(&anew.book), now).await?;
        tracing::info!(part = %claimed.part, sent_by = attempted.permit.grant(), counted_by = anew.grant, "booked anew");
    }
    Ok(Some(anew.grant))
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

/// What the refusal proves goes into the facts before anything is decided again. Whether the account is another one now.
async fn learn(
    tx: &Tx,
    desk: &Desk,
    attempted: &Attempted,
    person: Identity,
    proof: &Evidence,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    if attempted.claimed.content.is_for_further_reader() {
        // It is no proof about the customer.
        return Ok(false);
    }
    if let (Evidence::Template(status), Some(template)) = (proof, attempted.claimed.content.as_template()) {
        // The next one of this template is refused before it leaves; the platform's notice or the next sync says more.
        let (account, word) = (attempted.claimed.account, status.as_str());
        tx.set_template_status(account, &template.name, &template.language, *status, word, None, now).await?;
        return Ok(false);
    }
    let mut situation = attempted.situation.again(tx, person, now).await?;
    let (record, spends) = (attempted.permit.record(), attempted.permit.spends());
    let refused = Refused { permit: Some(&record), spends: Some(&spends), sent_at: attempted.started_at };
    let learnt = evidence::record(tx, desk.ids(), &mut situation, &refused, proof, now).await?;
    situation.save(tx, now).await?;
    Ok(learnt)
}

fn phase(error: Option<&SendError>) -> &'static str {
    match error {
        None => "accepted",
        Some(SendError::NotConnected { .. }) => "nothing_written",
        Some(SendError::OutcomeUnknown { .. }) => "written",
        Some(_) => "answered",
    }
}

/// The event of a part that changed.
pub(super) async fn tell(
    tx: &Tx,
    desk: &Desk,
    claimed: &Claimed,
    (from, to): (DeliveryState, DeliveryState),
    detail: Option<serde_json::Value>,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let Some(stored) = tx.conversation(claimed.conversation).await? else { return Ok(()) };
    let data = json!({ "message": claimed.message, "part": claimed.part, "from": from, "to": to, "detail": detail });
    changes::emit(tx, desk.ids(), &stored, "message.state", data, now).await
}

/// Tells agents that further readers don't get a message that the customer gets.
async fn tell_refused(
    tx: &Tx,
    desk: &Desk,
    claimed: &Claimed,
    refused: &[(String, PlatformReport)],
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let Some(stored) = tx.conversation(claimed.conversation).await? else { return Ok(()) };
    changes::reader_refused(tx, desk.ids(), &stored, (claimed.message, claimed.part), &readers(refused), now).await
}

fn readers(refused: &[(String, PlatformReport)]) -> serde_json::Value {
    refused.iter().map(|(address, report)| json!({ "address": address, "report": report })).collect()
}
