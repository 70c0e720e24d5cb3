//! Who asks: a bearer token is one agent in one workspace.

use std::sync::Arc;
use std::time::Instant;

use poem::Request;
use poem_openapi::SecurityScheme;
use poem_openapi::auth::Bearer;
use transom_desk::Caller;
use transom_domain::TokenId;

use crate::http::problem::Problem;
use crate::http::signed_in::SignedIn;
use crate::state::State;

/// A token of this service: `Authorization: Bearer trn_…`.
#[derive(Debug, SecurityScheme)]
#[oai(ty = "bearer", rename = "token", bearer_format = "trn_", checker = "check")]
pub(crate) struct Signed(pub(crate) Session);

/// Somebody who signed in, and by which token.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) caller: Caller,
    pub(crate) token: TokenId,
    /// The token itself, to look at it again while a stream is open.
    pub(crate) bearer: secrecy::SecretString,
}

impl Signed {
    pub(crate) fn caller(&self) -> &Caller {
        &self.0.caller
    }
}

async fn check(request: &Request, bearer: Bearer) -> poem::Result<Session> {
    let Some(state) = request.data::<Arc<State>>() else {
        return Err(Problem::internal(&"a request without the service's state").into());
    };
    Ok(sign_in(state, request, bearer.token).await?)
}

async fn sign_in(state: &State, request: &Request, token: String) -> Result<Session, Problem> {
    let found = state.desk.storage().authenticate(&token, state.desk.now()).await?;
    let Some(found) = found else {
        metrics::counter!("transom_auth_refused_total").increment(1);
        return Err(Problem::new("unauthenticated", "the token is unknown, expired or revoked"));
    };
    state.rates.take(found.token, Instant::now()).map_err(|wait| {
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        Problem::new("too_many_requests", "this token asks too often").after(seconds)
    })?;
    let scope = SignedIn::scope(request, &found, state.desk.now());
    let caller = Caller { scope, agent: found.agent };
    Ok(Session { caller, token: found.token, bearer: token.into() })
}
