//! What was counted is not counted again for some seconds: the next page of a list asks the same.
//!
//! Only the way that a list is read depends on such a count, never what is in it.

use std::fmt;
use std::time::Duration;

use moka::sync::Cache;
use transom_domain::WorkspaceId;

/// How long a count holds. A set that is kept at hand leaves somebody out only if it grows by [75,000](super::weights::KEPT) in
/// this time: six times as fast as either database takes people in.
const HOLDS: Duration = Duration::from_secs(5);
/// How many counts are remembered: some hundred bytes each.
const MANY: u64 = 10_000;
/// Less than this is counted again at once, which costs next to nothing: so whoever is new in a small set is never far away.
const WORTH: i64 = 1_000;

/// A set, named by what is counted.
#[derive(PartialEq, Eq, Hash)]
struct Key(WorkspaceId, String);

/// What was counted, and where counting stopped.
#[derive(Clone, Copy)]
struct Counted {
    count: i64,
    bound: i64,
}

/// The counts of some seconds, of all workspaces.
#[derive(Clone)]
pub(crate) struct Remembered(Cache<Key, Counted>);

impl Default for Remembered {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MANY).time_to_live(HOLDS).build())
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered").field("counts", &self.0.entry_count()).finish()
    }
}

impl Remembered {
    /// How many of these there were, if they were counted as far as `bound`.
    pub(super) fn count(&self, workspace: WorkspaceId, of: &impl fmt::Debug, bound: i64) -> Option<i64> {
        let known = self.0.get(&key(workspace, of))?;
        let is_whole = known.count < known.bound;
        (is_whole || bound <= known.bound).then(|| known.count.min(bound))
    }

    /// Remembers how many of these there are: they were counted as far as `bound`.
    pub(super) fn learn(&self, workspace: WorkspaceId, of: &impl fmt::Debug, count: i64, bound: i64) {
        if count >= WORTH {
            self.0.insert(key(workspace, of), Counted { count, bound });
        }
    }
}

fn key(workspace: WorkspaceId, of: &impl fmt::Debug) -> Key {
    Key(workspace, format!("{of:?}"))
}

#[cfg(test)]
mod tests {
    use transom_domain::UuidV7;

    use super::*;

    #[test]
    fn a_count_answers_as_far_as_it_went() {
        let (remembered, mine, other) = (Remembered::default(), WorkspaceId::new(&UuidV7), WorkspaceId::new(&UuidV7));
        assert_eq!(remembered.count(mine, &"a", 1_300), None);
        // Counted to its end.
        remembered.learn(mine, &"a", 9_000, 25_000);
        assert_eq!(remembered.count(mine, &"a", 1_300), Some(1_300));
        assert_eq!(remembered.count(mine, &"a", 50_000), Some(9_000));
        assert_eq!(remembered.count(mine, &"b", 1_300), None);
        assert_eq!(remembered.count(other, &"a", 1_300), None, "another workspace has its own");
        // There are more, nobody knows how many.
        remembered.learn(mine, &"a", 25_000, 25_000);
        assert_eq!(remembered.count(mine, &"a", 1_300), Some(1_300));
        assert_eq!(remembered.count(mine, &"a", 25_000), Some(25_000));
        assert_eq!(remembered.count(mine, &"a", 50_000), None);
    }

    #[test]
    fn what_is_small_is_counted_again() {
        let (remembered, mine) = (Remembered::default(), WorkspaceId::new(&UuidV7));
        remembered.learn(mine, &"a", 999, 1_300);
        assert_eq!(remembered.count(mine, &"a", 1_300), None);
    }
}
