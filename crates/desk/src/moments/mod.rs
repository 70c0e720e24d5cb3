//! What happens at moments of a conversation by itself: its window ends soon or has ended, the customer is reminded before that,
//! and asked how it was after it was closed.
//!
//! Every replica looks. What makes each thing happen once is the row: it is locked, it still has the end that was found, and what
//! was told of that end is noted in the same transaction.

pub(crate) mod missed;
mod reminder;
pub(crate) mod survey;
mod window;

use std::time::Duration as Pause;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;
use transom_domain::{Actor, Settings};
use transom_storage::{Priority, Reader, WorkspaceScope};
use transom_windows::Sender;

use crate::send::Hand;
use crate::{Desk, DeskError};

/// How often it is looked what has come.
const LOOK_EVERY: Pause = Pause::from_secs(2);
/// How many conversations one transaction takes.
const BATCH: u32 = 64;
/// How many of these follow each other before other workspaces have their turn.
const BATCHES: usize = 50;

/// Looks until told to stop.
pub(crate) async fn run(desk: Desk, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = look(&desk).await {
            tracing::warn!(%error, "what windows and surveys wait for could not be done; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = desk.work().moments.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Does everything whose moment has come; of how many conversations.
///
/// # Errors
/// When the database fails; what is not done is looked at again.
pub async fn look(desk: &Desk) -> Result<u32, DeskError> {
    let (mut done, mut sent) = (0, 0);
    for scope in desk.storage().all_scopes().await? {
        let (settings, _) = desk.reader(&scope).settings().await?;
        let look = Look { desk, scope: &scope, settings: &settings, now: desk.now() };
        done += window::tell_ended(&look).await?;
        done += window::tell_closing(&look).await?;
        sent += reminder::remind(&look).await?;
        sent += survey::ask(&look).await?;
    }
    if sent > 0 {
        desk.work().outbound.notify_one();
    }
    Ok(done + sent)
}

/// One look at a workspace.
struct Look<'l> {
    desk: &'l Desk,
    scope: &'l WorkspaceScope,
    settings: &'l Settings,
    now: OffsetDateTime,
}

impl Look<'_> {
    fn reader(&self) -> Reader {
        self.desk.reader(self.scope)
    }
}

/// A rule of ours writes: it opens nothing, and takes nobody's place.
fn hand(name: &str) -> Hand {
    Hand {
        actor: actor(name),
        sender: Sender::Automation,
        opens_for: None,
        priority: Priority::Automation,
        broadcast: None,
        promotional: false,
    }
}

fn actor(name: &str) -> Actor {
    Actor::Automation { name: name.to_owned() }
}

/// An instant as events have it.
fn instant(at: OffsetDateTime) -> Value {
    at.format(&Rfc3339).map_or(Value::Null, Value::from)
}

/// Whether what is set makes sense together: what is turned on has its words.
///
/// # Errors
/// [`DeskError::Invalid`], or [`DeskError::NotFound`] for a saved reply that is none of the workspace's.
pub(crate) async fn check(reader: &Reader, before: &Settings, after: &Settings) -> Result<(), DeskError> {
    if let Some(reply) = after.keep_open_saved_reply.filter(|reply| before.keep_open_saved_reply != Some(*reply)) {
        reader.saved_reply(reply).await?.ok_or(DeskError::NotFound { what: "saved reply" })?;
    }
    if after.keep_open_text.is_some() && after.keep_open_saved_reply.is_some() {
        let detail = "a reminder has a text or a saved reply: give one of the two";
        return Err(DeskError::invalid("content_ambiguous", "keep_open_text", detail));
    }
    let has_words = after.keep_open_text.is_some() || after.keep_open_saved_reply.is_some();
    if after.keep_open_reminder && !has_words {
        let detail = "a reminder needs words: give `keep_open_text` or `keep_open_saved_reply`";
        return Err(DeskError::invalid("words_missing", "keep_open_reminder", detail));
    }
    if after.survey_on_close && after.survey_question.is_none() {
        let detail = "a survey needs its question: give `survey_question`";
        return Err(DeskError::invalid("words_missing", "survey_on_close", detail));
    }
    Ok(())
}
