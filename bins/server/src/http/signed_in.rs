//! Who a request turned out to be from: known inside, where the token is read, and needed outside, where refusals are kept.

use std::sync::{Arc, OnceLock};

use poem::Request;
use poem::http::Method;
use serde_json::Value;
use transom_domain::TokenId;
use transom_storage::{Authenticated, Trail, WorkspaceScope};
use uuid::Uuid;

use super::errors;
use super::schema::Document;
use crate::api;
use crate::state::State;

/// The id of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId(pub(crate) Uuid);

/// A place for the scope that a request signed in to.
#[derive(Debug, Clone, Default)]
pub(crate) struct SignedIn(Arc<OnceLock<WorkspaceScope>>);

impl SignedIn {
    /// The scope of whoever signed in, with the trail of this request on it.
    pub(crate) fn scope(request: &Request, found: &Authenticated, at: time::OffsetDateTime) -> WorkspaceScope {
        let scope = found.scope.audited(trail(request, found, at));
        if let Some(SignedIn(place)) = request.data::<SignedIn>() {
            let _ = place.set(scope.clone());
        }
        scope
    }

    /// Keeps in the audit log that the request was refused, if it was a matter of rights or rules.
    pub(super) async fn refused(&self, state: &State, method: &Method, error: &poem::Error) {
        let Some(scope) = self.0.get() else { return };
        let status = error.status().as_u16();
        let changes = !matches!(*method, Method::GET | Method::HEAD);
        if status != 403 && !(changes && matches!(status, 409 | 412 | 422)) {
            return;
        }
        let code = errors::as_problem(error).code();
        if let Err(error) = state.desk.storage().audit_refusal(scope, code).await {
            tracing::warn!(%error, code, "a refusal could not be kept in the audit log");
        }
    }
}

fn trail(request: &Request, found: &Authenticated, at: time::OffsetDateTime) -> Trail {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let operation = Document::new(api::document()).operation_at(method, path);
    let name = operation.and_then(|operation| operation.get("operationId")).and_then(Value::as_str);
    let address = request.remote_addr().as_socket_addr().map(|address| address.ip().to_string());
    Trail {
        actor: found.agent.id,
        role: found.agent.role.as_str(),
        via: "api",
        token: Some(TokenId::from(found.token.uuid())),
        action: name.unwrap_or("unknown").to_owned(),
        object: object(path, found),
        address,
        request: request.data::<RequestId>().map(|id| id.0),
        at,
    }
}

/// What a path names: `/agents/{id}/…`, or the settings of the workspace.
fn object(path: &str, found: &Authenticated) -> Option<(String, String)> {
    let mut parts = path.trim_start_matches('/').split('/');
    match (parts.next()?, parts.next()) {
        ("settings", None) => Some(("settings".to_owned(), found.scope.workspace().to_string())),
        (collection, Some(id)) => {
            let id = Uuid::try_parse(id).ok()?;
            Some((collection.to_owned(), id.to_string()))
        }
        _ => None,
    }
}
