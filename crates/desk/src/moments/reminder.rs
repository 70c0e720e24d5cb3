//! The keep-open reminder: shortly before the window ends, a customer who did not answer is asked for a word.
//!
//! It is decided once for each end, at its moment: whoever wrote later than that moment reminded them better.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use transom_domain::{ConversationId, Status};
use transom_storage::{Moment, StoredConversation};

use super::{BATCH, BATCHES, Look, actor, hand, instant};
use crate::DeskError;
use crate::changes::{self, Change};
use crate::schedule::reason;
use crate::send::{Draft, Job, Target, overtaken};

/// Under whose name reminders stand.
const NAME: &str = "keep_open_reminder";
const SENT: &str = "reminder.sent";
/// Says in the history why there was none.
const SKIPPED: &str = "reminder.skipped";

/// Reminds whoever is to be reminded; how many were.
pub(super) async fn remind(look: &Look<'_>) -> Result<u32, DeskError> {
    if !look.settings.keep_open_reminder {
        return Ok(0);
    }
    let lead = Duration::minutes(look.settings.keep_open_minutes.into());
    let span = (Some(look.now), look.now.saturating_add(lead));
    let mut sent = 0;
    for _ in 0..BATCHES {
        let due = look.reader().ends_due(Moment::Reminder, span, BATCH).await?;
        let mut failed = 0;
        for stored in look.reader().conversations_of(&due).await? {
            let Some(end) = stored.window.ends_at else { continue };
            let conversation = stored.conversation.id;
            match (Reminder { look, stored, end, lead }).decide().await {
                Ok(is_sent) => sent += u32::from(is_sent),
                Err(error @ DeskError::Storage(_)) => return Err(error),
                Err(error) => {
                    failed += 1;
                    tracing::warn!(%error, %conversation, "a reminder could not be sent; trying again");
                }
            }
        }
        if failed > 0 || due.len() < BATCH as usize {
            break;
        }
    }
    Ok(sent)
}

struct Reminder<'r> {
    look: &'r Look<'r>,
    stored: StoredConversation,
    end: OffsetDateTime,
    lead: Duration,
}

impl Reminder<'_> {
    fn conversation(&self) -> ConversationId {
        self.stored.conversation.id
    }

    /// Whether it was sent.
    async fn decide(&self) -> Result<bool, DeskError> {
        if !self.is_due().await? {
            self.pass(None).await?;
            return Ok(false);
        }
        match self.send().await {
            Ok(()) => Ok(true),
            // Another replica was first, or the customer wrote.
            Err(error) if error.code() == overtaken().code() => Ok(false),
            Err(error) => match reason(&error) {
                Some(reason) => {
                    self.pass(Some(reason)).await?;
                    Ok(false)
                }
                None => Err(error),
            },
        }
    }

    /// The case is open, and a person of ours had the last word, some time ago.
    async fn is_due(&self) -> Result<bool, DeskError> {
        if self.stored.conversation.status != Status::Open {
            return Ok(false);
        }
        let word = self.look.reader().last_word(self.conversation()).await?;
        Ok(word.is_some_and(|word| word.by_person && word.at <= self.end.saturating_sub(self.lead)))
    }

    async fn send(&self) -> Result<(), DeskError> {
        let Look { desk, scope, settings, now } = *self.look;
        let draft = Draft {
            text: settings.keep_open_text.clone(),
            saved_reply: settings.keep_open_saved_reply,
            ..Draft::default()
        };
        let target = Target::Conversation(self.conversation());
        let job = Job::of(desk, scope, hand(NAME), target, draft, None).await?;
        let (desk_in, id, end) = (desk.clone(), self.conversation(), self.end);
        desk.storage()
            .transact(scope, move |tx| {
                let (desk, job) = (desk_in.clone(), job.clone());
                Box::pin(async move {
                    let sent = job.run(tx).await?;
                    // No right that costs, and none that is meant for something else.
                    if sent.permit.basis != "free_form" {
                        let detail = "an automation may send no free text now";
                        return Err(DeskError::conflict("no_free_text", detail));
                    }
                    let stored = tx.conversation(id).await?.ok_or(DeskError::NotFound { what: "conversation" })?;
                    if stored.conversation.status != Status::Open || !tx.reminded(id, end).await? {
                        return Err(overtaken());
                    }
                    let data = json!({ "message": sent.message, "closes_at": instant(end) });
                    changes::emit(tx, desk.ids(), &stored, SENT, data, now).await
                })
            })
            .await
    }

    /// No reminder for this end; where one was wanted, the history says why there is none.
    async fn pass(&self, refused: Option<Value>) -> Result<(), DeskError> {
        let (desk, now, id, end) = (self.look.desk.clone(), self.look.now, self.conversation(), self.end);
        self.look
            .desk
            .storage()
            .transact(self.look.scope, move |tx| {
                let (desk, refused) = (desk.clone(), refused.clone());
                Box::pin(async move {
                    if !tx.reminded(id, end).await? {
                        return Ok(());
                    }
                    let (Some(reason), Some(stored)) = (refused, tx.conversation(id).await?) else { return Ok(()) };
                    let data = json!({ "closes_at": instant(end), "detail": reason });
                    let by = actor(NAME);
                    let change = Change::new(&by, SKIPPED, now);
                    changes::line(tx, desk.ids(), &stored, SKIPPED, data, &change).await
                })
            })
            .await
    }
}
