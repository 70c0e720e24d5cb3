//! Missed windows, a line each.

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use time::OffsetDateTime;
use transom_domain::MessageId;
use transom_storage::StoredMissed;

use super::conversations::at;
use super::sheet::Sheet;
use super::{Format, Lines};
use crate::authorise::{Action, Caller, authorise};
use crate::{Desk, DeskError, reports};

const PAGE: u32 = 500;
const COLUMNS: [&str; 13] = [
    "conversation",
    "contact",
    "channel",
    "team",
    "agent",
    "status",
    "message",
    "wrote_at",
    "ended_at",
    "outcome",
    "acted_at",
    "act_message",
    "reopened_at",
];

/// The lines of an export of missed windows, the newest first.
///
/// # Errors
/// [`DeskError::Forbidden`].
pub async fn missed_windows(
    desk: &Desk,
    caller: &Caller,
    span: (OffsetDateTime, OffsetDateTime),
    format: Format,
) -> Result<Lines, DeskError> {
    authorise(caller, Action::ReadReports)?;
    let columns = COLUMNS.iter().map(ToString::to_string).collect();
    let sheet = Sheet::new(format, columns)?;
    let walk = Walk { desk: desk.clone(), caller: caller.clone(), span, sheet, after: None, ended: false };
    Ok(stream::try_unfold(walk, |mut walk| async move {
        let chunk = walk.next().await?;
        Ok((!chunk.is_empty()).then(|| (chunk.into(), walk)))
    })
    .boxed())
}

struct Walk {
    desk: Desk,
    caller: Caller,
    span: (OffsetDateTime, OffsetDateTime),
    sheet: Sheet,
    after: Option<(OffsetDateTime, MessageId)>,
    ended: bool,
}

impl Walk {
    async fn next(&mut self) -> Result<Vec<u8>, DeskError> {
        if !self.ended {
            let page = reports::missed_windows(&self.desk, &self.caller, self.span, self.after, PAGE).await?;
            self.ended = page.len() < PAGE as usize;
            self.after = page.last().map(|last| (last.missed.ended_at, last.missed.message));
            for missed in &page {
                self.line(missed)?;
            }
        }
        Ok(self.sheet.take())
    }

    fn line(&mut self, StoredMissed { missed, contact }: &StoredMissed) -> Result<(), DeskError> {
        self.sheet.line(vec![
            json!(missed.conversation),
            json!(contact),
            json!(missed.account),
            json!(missed.team),
            json!(missed.agent),
            json!(missed.status),
            json!(missed.message),
            at(Some(missed.wrote_at)),
            at(Some(missed.ended_at)),
            json!(missed.outcome.as_str()),
            at(missed.act.map(|(_, at)| at)),
            json!(missed.act.and_then(|(message, _)| message)),
            at(missed.reopened_at),
        ])
    }
}
