//! Windows that end soon, and windows that have ended: two events, each once for each end.
//!
//! A window may have two ends: that of free text, and a later one until which a person may still send under a tag. The
//! columns say when to look; what is told is decided anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use transom_domain::{ConversationId, truncate_to_millis};
use transom_storage::{Moment, StoredConversation};
use transom_windows::{Basis, WindowState};

use super::{BATCH, BATCHES, Look, instant, missed};
use crate::rows::{ConversationRow, row, rows};
use crate::{DeskError, changes};

/// Says that a window ends soon.
const CLOSING: &str = "window.closing";
/// Says that a window has ended.
const CLOSED: &str = "window.closed";
/// Ends that are over for longer are passed in silence, as after a long stop of the service: nobody acts on them any more.
const WORTH_TELLING: Duration = Duration::days(7);

/// A conversation with what holds now; only as stored where its channel can't be connected.
struct Seen {
    stored: StoredConversation,
    row: Option<ConversationRow>,
    end: OffsetDateTime,
}

/// Tells of windows that end soon; how many conversations were looked at.
pub(super) async fn tell_closing(look: &Look<'_>) -> Result<u32, DeskError> {
    let notice = Duration::minutes(look.settings.window_closing_notice.into());
    if notice.is_zero() {
        return Ok(0);
    }
    let span = (Some(look.now), look.now.saturating_add(notice));
    let mut done = 0;
    for _ in 0..BATCHES {
        let due = look.reader().ends_due(Moment::Notice, span, BATCH).await?;
        let told: BTreeMap<ConversationId, (OffsetDateTime, Option<Value>)> = seen(look, &due)
            .await?
            .into_iter()
            .map(|seen| (seen.stored.conversation.id, (seen.end, seen.closing(look.now))))
            .collect();
        let passed = pass_notices(look, told).await?;
        done += passed;
        if passed < BATCH {
            break;
        }
    }
    Ok(done)
}

async fn pass_notices(
    look: &Look<'_>,
    told: BTreeMap<ConversationId, (OffsetDateTime, Option<Value>)>,
) -> Result<u32, DeskError> {
    let (desk, told, now) = (look.desk.clone(), Arc::new(told), look.now);
    look.desk
        .storage()
        .transact(look.scope, move |tx| {
            let (desk, told) = (desk.clone(), told.clone());
            Box::pin(async move {
                let ends: Vec<_> = told.iter().map(|(id, (end, _))| (*id, *end)).collect();
                let locked = tx.lock_ends(Moment::Notice, &ends).await?;
                let (mut events, mut ids) = (Vec::new(), Vec::with_capacity(locked.len()));
                for stored in &locked {
                    ids.push(stored.conversation.id);
                    if let Some((_, Some(data))) = told.get(&stored.conversation.id) {
                        events.push(changes::event(desk.ids(), stored, CLOSING, data.clone(), now));
                    }
                }
                tx.pass_moment(Moment::Notice, &ids, now).await?;
                tx.emit_all(&events).await?;
                Ok::<_, DeskError>(u32::try_from(ids.len()).unwrap_or(u32::MAX))
            })
        })
        .await
}

/// What is told of an end that is over.
struct Ended {
    end: OffsetDateTime,
    data: Option<Value>,
    /// Whether anything may be sent before the customer writes again.
    is_reachable: bool,
}

/// Tells of windows that have ended, and notes those in which nobody answered; how many conversations were looked at.
pub(super) async fn tell_ended(look: &Look<'_>) -> Result<u32, DeskError> {
    let mut done = 0;
    for _ in 0..BATCHES {
        let due = look.reader().ends_due(Moment::End, (None, look.now), BATCH).await?;
        let told: BTreeMap<ConversationId, Ended> = seen(look, &due)
            .await?
            .into_iter()
            .map(|seen| (seen.stored.conversation.id, seen.ended(look.now)))
            .collect();
        let passed = pass_ends(look, told).await?;
        done += passed;
        if passed < BATCH {
            break;
        }
    }
    Ok(done)
}

async fn pass_ends(look: &Look<'_>, told: BTreeMap<ConversationId, Ended>) -> Result<u32, DeskError> {
    let (desk, told, now) = (look.desk.clone(), Arc::new(told), look.now);
    look.desk
        .storage()
        .transact(look.scope, move |tx| {
            let (desk, told) = (desk.clone(), told.clone());
            Box::pin(async move {
                let ends: Vec<_> = told.iter().map(|(id, ended)| (*id, ended.end)).collect();
                let locked = tx.lock_ends(Moment::End, &ends).await?;
                let (mut events, mut ids) = (Vec::new(), Vec::with_capacity(locked.len()));
                for stored in &locked {
                    ids.push(stored.conversation.id);
                    let Some(Ended { end, data: Some(data), is_reachable }) = told.get(&stored.conversation.id) else {
                        continue;
                    };
                    let mut data = data.clone();
                    let is_missed = missed::note(tx, stored, *end, *is_reachable).await?;
                    if let Some(data) = data.as_object_mut() {
                        data.insert("unanswered".to_owned(), is_missed.into());
                    }
                    events.push(changes::event(desk.ids(), stored, CLOSED, data, now));
                }
                tx.pass_moment(Moment::End, &ids, now).await?;
                tx.emit_all(&events).await?;
                Ok::<_, DeskError>(u32::try_from(ids.len()).unwrap_or(u32::MAX))
            })
        })
        .await
}

async fn seen(look: &Look<'_>, due: &[ConversationId]) -> Result<Vec<Seen>, DeskError> {
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let reader = look.reader();
    let page = reader.conversations_of(due).await?;
    let mut seen = Vec::with_capacity(page.len());
    let with_end = |stored: StoredConversation, row| Some(Seen { end: stored.window.ends_at?, stored, row });
    match rows(look.desk, look.scope, &reader, page.clone()).await {
        Ok(rows) => seen.extend(rows.into_iter().filter_map(|row| with_end(row.stored.clone(), Some(row)))),
        Err(error @ DeskError::Storage(_)) => return Err(error),
        // One channel's trouble is not the others'.
        Err(_) => {
            for stored in page {
                let row = match row(look.desk, look.scope, &reader, stored.clone()).await {
                    Err(error @ DeskError::Storage(_)) => return Err(error),
                    decided => decided.ok(),
                };
                seen.extend(with_end(stored, row));
            }
        }
    }
    Ok(seen)
}

impl Seen {
    /// What is told of an end that comes; nothing if by now it is another one, or none.
    fn closing(&self, now: OffsetDateTime) -> Option<Value> {
        let next = match &self.row {
            Some(row) => {
                let window = row.human.window();
                let closes_at = window.closes_at.filter(|_| window.state == WindowState::Open);
                [row.free_form_until(), closes_at].into_iter().flatten().min().map(truncate_to_millis)
            }
            None => Some(self.end),
        };
        let minutes = (self.end - now).whole_seconds().max(0).cast_unsigned().div_ceil(60);
        (next == Some(self.end)).then(|| self.told(self.later_end(), &[("minutes", json!(minutes))]))
    }

    /// What is told of an end that is over; nothing if it never came, or long ago.
    fn ended(&self, now: OffsetDateTime) -> Ended {
        let is_recent = self.end > now.saturating_sub(WORTH_TELLING);
        let data = (is_recent && !self.went_on()).then(|| self.told(self.later_end(), &[]));
        let is_reachable = self.row.as_ref().is_none_or(|row| !row.human.permits().is_empty());
        Ended { end: self.end, data, is_reachable }
    }

    /// Whether free text could be sent all the time: a message from before the end came in late, or the rules changed.
    fn went_on(&self) -> bool {
        let Some(row) = &self.row else { return false };
        let window = row.human.window();
        if matches!(window.state, WindowState::None | WindowState::NeverOpened) {
            return true;
        }
        let mut free = row.human.permits().iter().filter(|permit| matches!(permit.basis(), Basis::FreeForm));
        self.opened_before() && free.any(|permit| permit.lapses_at().is_none_or(|lapses| lapses > self.end))
    }

    fn opened_before(&self) -> bool {
        let opened_at = self.row.as_ref().and_then(|row| row.human.window().opened_at);
        opened_at.is_some_and(|opened| opened <= self.end)
    }

    /// The end behind this one, until which a person may still send under a tag.
    fn later_end(&self) -> Option<OffsetDateTime> {
        let closes_at = match &self.row {
            Some(row) if self.opened_before() => row.human.window().closes_at,
            Some(_) => None,
            None => self.stored.window.closes_at,
        };
        closes_at.filter(|closes| truncate_to_millis(*closes) > self.end)
    }

    fn told(&self, later: Option<OffsetDateTime>, more: &[(&str, Value)]) -> Value {
        let mut data = json!({
            "closes_at": instant(self.end),
            "what": if later.is_some() { "free_form" } else { "window" },
            "tagged_until": later.map(instant),
            "channel": self.stored.account,
            "status": self.stored.conversation.status.as_str(),
            "assignee": self.stored.conversation.assignment,
            "waiting_since": self.stored.waiting_since.map(instant),
        });
        if let Some(data) = data.as_object_mut() {
            data.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        }
        data
    }
}
