//! A dry run: who would change, who not and why. Nothing is stored.

use std::collections::BTreeMap;

use transom_domain::ConversationId;
use transom_storage::{ItemState, Reader};

use super::act::Act;
use super::{BulkRequest, Selection, checked};
use crate::authorise::Caller;
use crate::{Desk, DeskError, jobs, search};

/// How many conversations a dry run looks at: nothing is counted exactly beyond (reliability.md 16).
const LOOKS_AT: u64 = 10_000;
/// How many examples there are of each kind.
const EXAMPLES: usize = 20;

/// One conversation of a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Which.
    pub conversation: ConversationId,
    /// What would come of it.
    pub state: ItemState,
    /// Why, where it would not change.
    pub code: Option<&'static str>,
}

/// What a request would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// How many conversations were looked at.
    pub looked_at: u64,
    /// Whether there are more than those.
    pub more: bool,
    /// How many would change.
    pub change: u64,
    /// How many are so already.
    pub unchanged: u64,
    /// How many can't be changed.
    pub failed: u64,
    /// Why conversations would not change, and how many for each reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// The first ones of each kind.
    pub examples: Vec<Example>,
}

impl Preview {
    fn count(&mut self, conversation: ConversationId, (state, code): (ItemState, Option<&'static str>)) {
        self.looked_at += 1;
        let of_kind = match state {
            ItemState::Unchanged => &mut self.unchanged,
            ItemState::Failed => &mut self.failed,
            ItemState::Pending | ItemState::Created | ItemState::Changed => &mut self.change,
        };
        *of_kind += 1;
        if let Some(code) = code {
            *self.reasons.entry(code).or_default() += 1;
        }
        if self.examples.iter().filter(|example| example.state == state).count() < EXAMPLES {
            self.examples.push(Example { conversation, state, code });
        }
    }
}

/// Says what a request would do.
///
/// # Errors
/// As [`start`](super::start).
pub async fn preview(desk: &Desk, caller: &Caller, request: BulkRequest) -> Result<Preview, DeskError> {
    let BulkRequest { selection, action } = checked(desk, caller, request).await?;
    let (reader, now) = (desk.reader(&caller.scope), desk.now());
    let (settings, _) = reader.settings().await?;
    let act = Act { desk, caller, action: &action, settings: &settings, now };
    let mut seen = Preview::default();
    match selection {
        Selection::Ids(ids) => {
            for ids in ids.chunks(usize::try_from(jobs::BATCH).unwrap_or(usize::MAX)) {
                look(&reader, &act, ids, &mut seen).await?;
            }
        }
        Selection::Filter(text) => {
            let query =
                search::conversation_query(desk, caller, &text, now).await.map_err(|error| error.in_field("filter"))?;
            let mut after = None;
            loop {
                let limit = u32::try_from(jobs::BATCH).unwrap_or(u32::MAX);
                let ids = reader.conversation_ids(&query, after, limit).await?;
                let Some(last) = ids.last() else { break };
                if seen.looked_at >= LOOKS_AT {
                    seen.more = true;
                    break;
                }
                after = Some(*last);
                look(&reader, &act, &ids, &mut seen).await?;
            }
        }
    }
    Ok(seen)
}

async fn look(reader: &Reader, act: &Act<'_>, ids: &[ConversationId], seen: &mut Preview) -> Result<(), DeskError> {
    let known = reader.known_conversations(ids).await?;
    for id in ids {
        let verdict = known.get(id).map_or((ItemState::Failed, Some("not_found")), |stored| act.verdict(stored));
        seen.count(*id, verdict);
    }
    Ok(())
}
