//! A webhook call: verified, journalled, answered.

use bytes::Bytes;
use http::{HeaderMap, Method};
use transom_channel::{Answer, Once, VerifyError, WebhookCall};
use transom_domain::{ConnectionId, JournalId};
use transom_storage::{CallSource, NewCall, WorkspaceScope};
use url::Url;

use crate::{Desk, DeskError};

/// Headers worth keeping for a replay; the rest say nothing about the event.
const KEPT_HEADERS: [&str; 4] = ["content-type", "user-agent", "x-request-id", "date"];

/// Where the query of a call stands among the headers that were kept: no real header has such a name.
pub(super) const QUERY: &str = ":query";

/// What a call to a webhook address was.
#[derive(Debug)]
pub struct Heard {
    /// The platform's name, for metrics.
    pub platform: &'static str,
    /// What the platform wants to hear.
    pub answer: Answer,
}

/// A call that is answered with an error.
#[derive(Debug, thiserror::Error)]
pub enum WebhookRefused {
    /// There is no such address.
    #[error("there is no such webhook address")]
    Unknown,
    /// It can't be trusted: nothing of it is kept.
    #[error("{error}")]
    Untrusted {
        /// The platform's name, for metrics.
        platform: &'static str,
        /// Why.
        error: VerifyError,
    },
    /// It could not be stored: the platform calls again.
    #[error(transparent)]
    Failed(#[from] DeskError),
}

/// The largest call to a webhook address that its platform makes, in bytes, where it is more than the usual.
///
/// # Errors
/// When the database fails.
pub async fn largest_call(desk: &Desk, public_id: &str) -> Result<Option<u64>, DeskError> {
    let Some((scope, connection)) = desk.channels().address(desk.storage(), public_id).await? else { return Ok(None) };
    let hook = desk.channels().hook(&desk.reader(&scope), &scope, connection).await?;
    Ok(hook.and_then(|hook| desk.registry().get(hook.platform)?.largest_call()))
}

/// Takes a call to a webhook address in: once this returns, it is stored and survives a crash (P1).
///
/// # Errors
/// [`WebhookRefused`]; nothing is stored then.
pub async fn accept(
    desk: &Desk,
    public_id: &str,
    method: &Method,
    url: &Url,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Heard, WebhookRefused> {
    let (scope, connection) =
        desk.channels().address(desk.storage(), public_id).await?.ok_or(WebhookRefused::Unknown)?;
    let hook = desk.channels().hook(&desk.reader(&scope), &scope, connection).await?.ok_or(WebhookRefused::Unknown)?;
    let received_at = desk.now();
    let call = WebhookCall { method, url, headers, body: &body, received_at };
    let answer =
        hook.channel.verify(&call).map_err(|error| WebhookRefused::Untrusted { platform: hook.platform, error })?;
    if let Some(once) = &answer.once
        && !is_good(desk, &scope, connection, once).await?
    {
        return Err(WebhookRefused::Untrusted { platform: hook.platform, error: VerifyError::Reused });
    }
    if answer.journal {
        let call = NewCall {
            id: JournalId::new(desk.ids()),
            connection,
            account: None,
            source: CallSource::Webhook,
            headers: kept(headers, url),
            body,
            received_at,
        };
        desk.storage().append_call(&scope, &call).await.map_err(DeskError::from)?;
        desk.work().inbound.notify_one();
    }
    Ok(Heard { platform: hook.platform, answer })
}

/// Whether a proof was never used for other words.
async fn is_good(
    desk: &Desk,
    scope: &WorkspaceScope,
    connection: ConnectionId,
    once: &Once,
) -> Result<bool, DeskError> {
    let once = once.clone();
    desk.storage()
        .transact(scope, move |tx| {
            let Once { proof, said, kept_until } = once.clone();
            Box::pin(async move { Ok(tx.take_proof(connection, &proof, &said, kept_until).await?) })
        })
        .await
}

fn kept(headers: &HeaderMap, url: &Url) -> Vec<(String, String)> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let query = url.query().filter(|query| !query.is_empty()).map(|query| (QUERY.to_owned(), query.to_owned()));
    let kept = KEPT_HEADERS.iter().filter_map(|name| text(name).map(|value| ((*name).to_owned(), value)));
    kept.chain(query).collect()
}
