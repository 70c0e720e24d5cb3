//! How an address without a token names a person.

use transom_domain::IdentityId;

use crate::query::connections::{read_public_id, write_public_id};
use crate::{Storage, WorkspaceScope};

impl Storage {
    /// The public id of an identity, for a signed address: it carries the workspace, so that a call finds both at once.
    pub fn public_identity_id(&self, scope: &WorkspaceScope, id: IdentityId) -> String {
        write_public_id(scope.workspace().uuid(), id.uuid())
    }

    /// The workspace and identity of a [public id](Self::public_identity_id). The id proves nothing: check the signature first.
    pub fn identity_of_public_id(&self, public_id: &str) -> Option<(WorkspaceScope, IdentityId)> {
        let (workspace, id) = read_public_id(public_id)?;
        Some((WorkspaceScope::of(workspace.into()), id.into()))
    }
}
