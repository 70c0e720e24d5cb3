//! What is done to one conversation of many.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{Actor, Assignment, ConversationId, EpisodeId, Settings, Status};
use transom_storage::{ItemState, JobItem, StoredConversation, Tx};

use super::BulkAction;
use crate::authorise::Caller;
use crate::{Desk, DeskError, changes, status};

/// How a conversation was, and the version that the change gave it: an undo puts it back unless somebody changed it since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) status: Status,
    pub(super) assignment: Assignment,
    pub(super) version: u64,
}

/// What would come of one.
pub(super) type Verdict = (ItemState, Option<&'static str>);

/// One action on one conversation after the other.
pub(super) struct Act<'a> {
    pub(super) desk: &'a Desk,
    pub(super) caller: &'a Caller,
    pub(super) action: &'a BulkAction,
    pub(super) settings: &'a Settings,
    pub(super) now: OffsetDateTime,
}

impl Act<'_> {
    /// Does it; what came of it is in the thing.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn on(&self, tx: &Tx, item: JobItem) -> Result<JobItem, DeskError> {
        let (state, code, before) = self.one(tx, item.item.map(ConversationId::from)).await?;
        let outcome = before.map(|before| json!(before));
        Ok(JobItem { state, code: code.map(str::to_owned), input: None, outcome, ..item })
    }

    async fn one(
        &self,
        tx: &Tx,
        id: Option<ConversationId>,
    ) -> Result<(ItemState, Option<&'static str>, Option<Before>), DeskError> {
        let Some(id) = id else { return Ok((ItemState::Failed, Some("not_found"), None)) };
        let Some(stored) = tx.lock_conversation(id).await? else {
            return Ok((ItemState::Failed, Some("not_found"), None));
        };
        // Asked first: a refusal must leave nothing behind.
        match self.verdict(&stored) {
            (ItemState::Changed, _) => {}
            (state, code) => return Ok((state, code, None)),
        }
        let by = Actor::from(&self.caller.agent);
        match self.action {
            BulkAction::Status(status) => {
                status::change(self.desk, tx, &stored, &by, status, self.settings, self.now).await?;
            }
            BulkAction::Assign(to) => {
                status::give(self.desk, tx, &stored, &by, *to, self.now).await?;
            }
            BulkAction::Tags { add, remove } => self.tag(tx, &stored, &by, add, remove).await?,
        }
        let conversation = &stored.conversation;
        let before =
            Before { status: conversation.status, assignment: conversation.assignment, version: stored.version + 1 };
        Ok((ItemState::Changed, None, Some(before)))
    }

    /// What would come of it; nothing is stored.
    pub(super) fn verdict(&self, stored: &StoredConversation) -> Verdict {
        match self.action {
            BulkAction::Status(status) => {
                let episode: EpisodeId = stored.conversation.episode;
                match status::planned(stored, status, self.settings, episode, self.now) {
                    Ok(_) => (ItemState::Changed, None),
                    Err(error) if error.code() == "status_unchanged" => (ItemState::Unchanged, Some(error.code())),
                    Err(error) => (ItemState::Failed, Some(error.code())),
                }
            }
            BulkAction::Assign(to) if *to == stored.conversation.assignment => {
                (ItemState::Unchanged, Some("assignee_unchanged"))
            }
            BulkAction::Tags { add, remove } => {
                let has = |tag: &String| stored.tags.contains(tag);
                if add.iter().all(has) && !remove.iter().any(has) {
                    (ItemState::Unchanged, Some("tags_unchanged"))
                } else {
                    (ItemState::Changed, None)
                }
            }
            BulkAction::Assign(_) => (ItemState::Changed, None),
        }
    }

    async fn tag(
        &self,
        tx: &Tx,
        stored: &StoredConversation,
        by: &Actor,
        add: &[String],
        remove: &[String],
    ) -> Result<(), DeskError> {
        let id = stored.conversation.id;
        tx.add_tags(id, add, self.now).await?;
        for tag in remove {
            tx.remove_tag(id, tag, self.now).await?;
        }
        let data = json!({ "added": add, "removed": remove, "by": by });
        changes::emit(tx, self.desk.ids(), stored, "conversation.tagged", data, self.now).await
    }
}
