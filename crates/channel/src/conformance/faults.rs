//! Laws of sending, when something goes wrong on the way (reliability.md 5).

use super::samples::PRIVATE;
use super::setup::secrets;
use super::trial::Trial;
use super::{Fault, Harness, Verdict, Violation, must};
use crate::{Receipt, SendError};

/// Accepted, and the answer never came: that is no failure and no success.
pub async fn a_lost_answer_is_unknown(harness: &Harness) -> Verdict {
    leaves_the_outcome_unknown(harness, Fault::LoseAnswer).await
}

/// Accepted, and nobody can read the answer.
pub async fn an_unreadable_answer_is_unknown(harness: &Harness) -> Verdict {
    leaves_the_outcome_unknown(harness, Fault::Garbage).await
}

/// Accepted, and the answer breaks off.
pub async fn a_truncated_answer_is_unknown(harness: &Harness) -> Verdict {
    leaves_the_outcome_unknown(harness, Fault::Truncated).await
}

/// Accepted, and the answer comes too late.
pub async fn silence_is_unknown(harness: &Harness) -> Verdict {
    leaves_the_outcome_unknown(harness, Fault::Silence).await
}

/// A gateway in between answered: nobody knows how far the request got.
pub async fn a_gateway_error_is_unknown(harness: &Harness) -> Verdict {
    leaves_the_outcome_unknown(harness, Fault::Gateway).await
}

async fn leaves_the_outcome_unknown(harness: &Harness, fault: Fault) -> Verdict {
    match Trial::of(harness)?.send_into(fault, "Is it there?").await? {
        Err(SendError::OutcomeUnknown { .. }) => Ok(()),
        other => Err(Violation::new(format!("{fault:?}: the outcome is unknown, and the channel says {other:?}"))),
    }
}

/// Without a connection nothing was written, and that is certain.
pub async fn a_refused_connection_is_not_connected(harness: &Harness) -> Verdict {
    match Trial::of(harness)?.send_into(Fault::Refused, "Is it there?").await? {
        Err(SendError::NotConnected { .. }) => Ok(()),
        other => Err(Violation::new(format!("nobody listens, and the channel says {other:?}"))),
    }
}

/// Too fast is told from refused, with the platform's wish where it states one.
pub async fn too_fast_is_rate_limited(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let wish = harness.webhooks.states_retry_after.then_some(7_000);
    match trial.send_into(Fault::RateLimited { retry_after: 7 }, "Again!").await? {
        Err(SendError::RateLimited { retry_after_ms, .. }) => {
            must!(
                wish.is_none() || retry_after_ms == wish,
                "the platform wants {wish:?} ms, and {retry_after_ms:?} is told"
            );
            Ok(())
        }
        other => Err(Violation::new(format!("the platform says too fast, and the channel {other:?}"))),
    }
}

/// Every fault after which a request was seen.
const SEEN: [Fault; 6] = [
    Fault::LoseAnswer,
    Fault::Garbage,
    Fault::Truncated,
    Fault::Silence,
    Fault::Gateway,
    Fault::RateLimited { retry_after: 1 },
];

/// Whatever happens, the dispatcher decides whether to try again: one send is one request.
pub async fn no_failure_is_tried_again(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    for fault in SEEN {
        let before = harness.double.requests().await;
        // Whether it is classified well is for other laws to say.
        let _ = trial.send_into(fault, "Once.").await?;
        let requests = harness.double.requests().await - before;
        must!(requests <= 1, "{fault:?}: one send makes {requests} requests");
    }
    Ok(())
}

/// What is stored and logged of a failure gives nothing away.
pub async fn errors_hold_no_secret_address_or_text(harness: &Harness) -> Verdict {
    let revoked = Trial::with(harness, &harness.revoked)?;
    let refused = revoked.send(transom_domain::Content::text(PRIVATE)).await?;
    tells_nothing(harness, "revoked credentials", &refused)?;
    let trial = Trial::of(harness)?;
    for fault in SEEN.into_iter().chain([Fault::Refused]) {
        let outcome = trial.send_into(fault, PRIVATE).await?;
        tells_nothing(harness, &format!("{fault:?}"), &outcome)?;
    }
    Ok(())
}

fn tells_nothing(harness: &Harness, what: &str, outcome: &Result<Receipt, SendError>) -> Verdict {
    let Err(error) = outcome else { return Ok(()) };
    let json = serde_json::to_string(error).map_err(|error| Violation::new(format!("{what}: {error}")))?;
    let shown = format!("{error} {error:?} {error:#?} {json}");
    let addresses = harness.identity.addresses.iter().map(|address| address.value.as_str());
    let told = secrets(harness).chain(addresses).chain([PRIVATE]).find(|word| shown.contains(word));
    // A secret stays out of this message too.
    must!(told.is_none(), "{what}: the error shows a secret, an address or a text");
    Ok(())
}
