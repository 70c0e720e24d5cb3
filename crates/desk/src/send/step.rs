//! Which step of a message's way is taken: it is sent at once, kept for its time, changed meanwhile, or leaves when that has
//! come.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use transom_domain::{DeliveryState, Message, MessageId};
use transom_storage::{NewMessage, StorageError, StoredConversation, Tx};

use super::{Draft, Job};
use crate::{DeskError, changes};

/// Nobody knows the rules and people of a later time.
const FURTHEST: Duration = Duration::days(366);

/// A message that is kept for its time, as its schedule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) message: MessageId,
    pub(crate) version: u64,
    /// When it shall leave.
    pub(crate) send_at: OffsetDateTime,
}

/// What happens to the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is new and leaves at once.
    Send,
    /// It is new and kept for that time.
    Keep(OffsetDateTime),
    /// It is kept already, and for that time from now on.
    Change(Waiting),
    /// Its time has come.
    Leave(Waiting),
}

impl Step {
    /// The step of a new message.
    ///
    /// # Errors
    /// `send_at_invalid` for a time that is over, or too far away.
    pub(super) fn first(draft: &Draft, now: OffsetDateTime) -> Result<Self, DeskError> {
        draft.send_at.map_or(Ok(Step::Send), |at| Ok(Step::Keep(in_time(at, now)?)))
    }

    /// The id that the message has already.
    pub(super) fn message(self) -> Option<MessageId> {
        match self {
            Step::Send | Step::Keep(_) => None,
            Step::Change(waiting) | Step::Leave(waiting) => Some(waiting.message),
        }
    }

    /// Whether it leaves now.
    pub(super) fn leaves(self) -> bool {
        matches!(self, Step::Send | Step::Leave(_))
    }

    pub(super) fn state(self) -> DeliveryState {
        if self.leaves() { DeliveryState::Queued } else { DeliveryState::Scheduled }
    }

    /// When its author wants it to leave, if that was said.
    pub(super) fn wanted_at(self) -> Option<OffsetDateTime> {
        match self {
            Step::Send => None,
            Step::Keep(at) => Some(at),
            Step::Change(waiting) | Step::Leave(waiting) => Some(waiting.send_at),
        }
    }

    /// For which instant it is decided.
    pub(super) fn decided_at(self, now: OffsetDateTime) -> OffsetDateTime {
        if self.leaves() { now } else { self.wanted_at().unwrap_or(now) }
    }

    /// What is stored beside the content, with the time for which it is meant.
    pub(super) fn mark(self, mut extra: Value) -> Value {
        let at = self.wanted_at().and_then(|at| at.format(&Rfc3339).ok());
        if let (Some(at), Some(extra)) = (at, extra.as_object_mut()) {
            extra.insert("send_at".to_owned(), json!(at));
        }
        extra
    }
}

/// A time for which a message may be kept.
pub(crate) fn in_time(at: OffsetDateTime, now: OffsetDateTime) -> Result<OffsetDateTime, DeskError> {
    if now < at && at <= now.saturating_add(FURTHEST) {
        return Ok(at);
    }
    let detail = format!("`send_at` is a time to come, at most {} days away", FURTHEST.whole_days());
    Err(DeskError::invalid("send_at_invalid", "send_at", detail))
}

impl Job {
    /// Stores the message, or writes it anew where it is stored.
    pub(super) async fn keep(&self, tx: &Tx, new: &NewMessage) -> Result<(), DeskError> {
        let draft = || {
            let draft = Draft { send_at: None, ..self.draft.clone() };
            serde_json::to_value(&draft).map_err(|error| StorageError::Database(error.to_string()))
        };
        match self.step {
            Step::Send => tx.insert_message(new, self.now).await?,
            Step::Keep(at) => {
                tx.insert_message(new, self.now).await?;
                tx.insert_schedule(new.message.id, at, &draft()?, self.now).await?;
            }
            Step::Change(Waiting { message, version, send_at }) => {
                if !tx.change_schedule((message, version), send_at, &draft()?, self.now).await? {
                    return Err(overtaken());
                }
                tx.rewrite_scheduled(new).await?;
            }
            Step::Leave(Waiting { message, version, .. }) => {
                if !tx.take_schedule(message, Some(version)).await? {
                    return Err(overtaken());
                }
                tx.rewrite_scheduled(new).await?;
            }
        }
        Ok(())
    }

    /// Tells that a message is kept for its time.
    pub(super) async fn tell_of_plan(
        &self,
        tx: &Tx,
        stored: &StoredConversation,
        message: &Message,
    ) -> Result<(), DeskError> {
        let send_at = self.step.wanted_at().and_then(|at| at.format(&Rfc3339).ok());
        let data =
            json!({ "message": message.id, "state": message.state, "author": message.author, "send_at": send_at });
        changes::emit(tx, self.desk.ids(), stored, "message.scheduled", data, self.now).await
    }
}

/// Somebody changed, sent or withdrew it first.
pub(crate) fn overtaken() -> DeskError {
    DeskError::conflict("not_scheduled", "the message is not scheduled any more, or was changed: read it again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_message_is_kept_for_a_time_to_come_and_not_for_ever() {
        let now = datetime!(2026-11-20 10:00 UTC);
        assert!(in_time(now + Duration::SECOND, now).is_ok());
        for wrong in [now, now - Duration::DAY, now + Duration::days(367)] {
            assert_eq!(in_time(wrong, now).unwrap_err().code(), "send_at_invalid");
        }
    }
}
