//! One attempt: the event as JSON, signed, posted, and what the answer means.

use std::time::Duration as StdDuration;

use bytes::Bytes;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;
use transom_channel::outside::{OutsideError, OutsideRefused};
use transom_domain::EventId;
use transom_storage::{
    DeliveryAttempt, EndpointSecrets, NewAttempt, NewEvent, NumberedEvent, StoredEndpoint, WorkspaceScope,
};
use url::Url;

use super::{UNKNOWN, sign};
use crate::{Desk, DeskError};

/// How long a receiver may take (Standard Webhooks 1.0: 15 to 30 seconds).
const WITHIN: StdDuration = StdDuration::from_secs(15);
/// What a receiver answers is of no interest.
const MAX_ANSWER: usize = 1_024;

/// Posts an event once.
pub(super) async fn attempt(
    desk: &Desk,
    scope: &WorkspaceScope,
    endpoint: &StoredEndpoint,
    event: &NumberedEvent,
) -> Result<NewAttempt, DeskError> {
    let (at, began) = (desk.now(), Instant::now());
    let secrets = desk.reader(scope).endpoint_secrets(endpoint.endpoint.id, at).await?.ok_or(UNKNOWN)?;
    let (outcome, status) = post(desk, scope, &endpoint.endpoint.url, event, at, &secrets).await?;
    metrics::counter!("transom_webhook_out_attempts_total", "result" => outcome).increment(1);
    metrics::histogram!("transom_webhook_out_seconds").record(began.elapsed().as_secs_f64());
    let took = Duration::try_from(began.elapsed()).unwrap_or(Duration::MAX);
    Ok(NewAttempt { at, took, outcome, status })
}

/// Posts an event that says nothing.
pub(super) async fn test(
    desk: &Desk,
    scope: &WorkspaceScope,
    endpoint: &StoredEndpoint,
) -> Result<DeliveryAttempt, DeskError> {
    let event = NewEvent {
        id: EventId::new(desk.ids()),
        kind: "webhook_endpoint.test".to_owned(),
        conversation: None,
        contact: None,
        data: json!({ "endpoint": endpoint.endpoint.id }),
        at: desk.now(),
    };
    let NewAttempt { at, took, outcome, status } =
        attempt(desk, scope, endpoint, &NumberedEvent { seq: 0, event }).await?;
    let took_ms = u64::try_from(took.whole_milliseconds()).unwrap_or(u64::MAX);
    Ok(DeliveryAttempt { number: 1, at, took_ms, outcome: outcome.to_owned(), status })
}

async fn post(
    desk: &Desk,
    scope: &WorkspaceScope,
    url: &str,
    event: &NumberedEvent,
    at: OffsetDateTime,
    secrets: &EndpointSecrets,
) -> Result<(&'static str, Option<u16>), DeskError> {
    let body = payload(scope, event);
    let unsealed = || DeskError::conflict("secret_unreadable", "the endpoint's secret can't be used: rotate it");
    let headers = sign::headers(&event.event.id.to_string(), at, &body, secrets).ok_or_else(unsealed)?;
    let Ok(url) = Url::parse(url) else { return Ok(("address_refused", None)) };
    Ok(match desk.outside().post(&url, headers, body, WITHIN, MAX_ANSWER).await {
        Ok(answer) => (meaning(answer.status), Some(answer.status)),
        Err(OutsideError::Refused(OutsideRefused::Address | OutsideRefused::NotHttp)) => ("address_refused", None),
        Err(OutsideError::Refused(OutsideRefused::Port)) => ("port_refused", None),
        Err(OutsideError::NotConnected) => ("not_connected", None),
        Err(OutsideError::Timeout) => ("timeout", None),
        Err(OutsideError::Broken | OutsideError::TooLong { .. }) => ("broken", None),
    })
}

/// What an answer means, as a stable word.
fn meaning(status: u16) -> &'static str {
    match status {
        200..300 => DELIVERED,
        300..400 => "redirected",
        410 => GONE,
        400..500 => "refused",
        _ => "failed",
    }
}

/// The receiver took it.
pub(super) const DELIVERED: &str = "delivered";
/// The receiver wants nothing any more.
pub(super) const GONE: &str = "gone";

/// The same bytes for the same event, however often it is told.
fn payload(scope: &WorkspaceScope, NumberedEvent { seq, event }: &NumberedEvent) -> Bytes {
    let body = json!({
        "type": event.kind,
        "timestamp": event.at.format(&Rfc3339).unwrap_or_default(),
        "id": event.id,
        "seq": seq,
        "workspace": scope.workspace(),
        "conversation": event.conversation,
        "contact": event.contact,
        "data": event.data,
    });
    body.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2xx_is_success_and_410_is_the_end() {
        let cases =
            [(200, DELIVERED), (204, DELIVERED), (302, "redirected"), (410, GONE), (404, "refused"), (503, "failed")];
        for (status, word) in cases {
            assert_eq!(meaning(status), word, "{status}");
        }
    }
}
