//! The only key to a workspace's rows.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use transom_domain::WorkspaceId;

use crate::audit::Trail;

/// Permission to work with one workspace's rows.
///
/// There is no public constructor: a scope comes out of [`Storage`](crate::Storage), where a token, a webhook address or
/// a background task earned it. So a query that forgets its workspace does not compile.
///
/// ```compile_fail
/// let id = transom_domain::WorkspaceId::new(&transom_domain::UuidV7);
/// let scope = transom_storage::WorkspaceScope { id };
/// ```
#[derive(Debug, Clone)]
pub struct WorkspaceScope {
    id: WorkspaceId,
    trail: Option<Arc<Trail>>,
}

impl WorkspaceScope {
    pub(crate) fn of(id: WorkspaceId) -> Self {
        Self { id, trail: None }
    }

    /// The same in somebody's name: each transaction that changes something leaves a row in the audit log.
    #[must_use]
    pub fn audited(&self, trail: Trail) -> Self {
        Self { id: self.id, trail: Some(Arc::new(trail)) }
    }

    /// The same in nobody's name, for work that goes on by itself.
    #[must_use]
    pub fn unaudited(&self) -> Self {
        Self::of(self.id)
    }

    /// In whose name, if in anybody's.
    pub fn trail(&self) -> Option<&Arc<Trail>> {
        self.trail.as_ref()
    }

    /// Which workspace.
    pub fn workspace(&self) -> WorkspaceId {
        self.id
    }
}

// A workspace is the same in whosever name.
impl PartialEq for WorkspaceScope {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for WorkspaceScope {}

impl PartialOrd for WorkspaceScope {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WorkspaceScope {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl Hash for WorkspaceScope {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}
