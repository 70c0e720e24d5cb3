//! The only key to a workspace's rows.

use transom_domain::WorkspaceId;

/// Permission to work with one workspace's rows.
///
/// There is no public constructor: a scope comes out of [`Storage`](crate::Storage), where a token, a webhook address or
/// a background task earned it. So a query that forgets its workspace does not compile.
///
/// ```compile_fail
/// let id = transom_domain::WorkspaceId::new(&transom_domain::UuidV7);
/// let scope = transom_storage::WorkspaceScope { id };
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkspaceScope {
    id: WorkspaceId,
}

impl WorkspaceScope {
    pub(crate) fn of(id: WorkspaceId) -> Self {
        Self { id }
    }

    /// Which workspace.
    pub fn workspace(&self) -> WorkspaceId {
        self.id
    }
}
