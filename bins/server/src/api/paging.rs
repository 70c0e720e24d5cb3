//! A list, page by page: what its cursors stand for, and where the next page begins.

use time::OffsetDateTime;
use transom_desk::Caller;
use transom_domain::WorkspaceId;
use uuid::Uuid;

use super::MAX_PAGE;
use super::contacts::instant;
use super::cursor::{Cursors, Place};
use crate::http::problem::Problem;
use crate::state::State;

/// A list of a workspace. Its cursors are good for no other.
pub(crate) struct List<'s> {
    cursors: &'s Cursors,
    workspace: WorkspaceId,
    name: String,
    limit: u32,
}

impl State {
    /// A list of the caller's workspace, `limit` a page; its name says with which filters and in which order.
    pub(super) fn list(&self, caller: &Caller, name: impl Into<String>, limit: u32) -> List<'_> {
        List {
            cursors: &self.cursors,
            workspace: caller.scope.workspace(),
            name: name.into(),
            limit: limit.min(MAX_PAGE),
        }
    }
}

impl List<'_> {
    /// Where the page begins: behind this place.
    ///
    /// # Errors
    /// `cursor_invalid` for a cursor that this list never gave.
    pub(super) fn after(&self, cursor: Option<String>) -> Result<Option<Place>, Problem> {
        cursor.map(|cursor| self.cursors.open(self.workspace, &self.name, &cursor)).transpose()
    }

    /// The same for a list in the order of time.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub(super) fn after_time<I: From<Uuid>>(
        &self,
        cursor: Option<String>,
    ) -> Result<Option<(OffsetDateTime, I)>, Problem> {
        self.after(cursor)?.map(|place| Ok((instant(place.key)?, place.id.into()))).transpose()
    }

    /// How many rows a page shows.
    pub(super) const fn shown(&self) -> u32 {
        self.limit
    }

    /// How many rows to ask for: one more than are shown says whether there is a next page.
    pub(super) const fn rows(&self) -> u32 {
        self.limit + 1
    }

    /// Takes that extra row away, and gives the cursor behind the last one that is shown, if there is more.
    pub(super) fn cut<T>(&self, rows: &mut Vec<T>, place: impl FnOnce(&T) -> Place) -> Option<String> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let is_more = rows.len() > limit;
        rows.truncate(limit);
        rows.last().filter(|_| is_more).map(|row| self.cursor(place(row)))
    }

    /// The cursor behind a place.
    pub(super) fn cursor(&self, place: Place) -> String {
        self.cursors.seal(self.workspace, &self.name, place)
    }
}
