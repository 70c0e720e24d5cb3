//! Laws of sending, while all goes well.

use transom_domain::{Address, Content, Identity};

use super::samples::{self, WORDS};
use super::trial::Trial;
use super::{Harness, Verdict, Violation, must};
use crate::SendError;

/// One text is one request and one message, word for word, under the id that the receipt names.
pub async fn a_send_makes_exactly_one_message(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let sent = trial.send(Content::text(WORDS)).await?;
    let receipt = sent.map_err(|error| Violation::new(format!("a text is not sent: {error}")))?;
    let requests = harness.double.requests().await;
    must!(requests == 1, "one text makes {requests} requests");
    let accepted = harness.double.accepted().await;
    let [message] = accepted.as_slice() else {
        return Err(Violation::new(format!("one text makes {} messages", accepted.len())));
    };
    must!(message.text.as_deref() == Some(WORDS), "the words arrive changed: {:?}", message.text);
    must!(
        receipt.provider_id == message.provider_id,
        "the receipt names {:?}, and the platform {:?}",
        receipt.provider_id,
        message.provider_id
    );
    Ok(())
}

/// One part is one request and one message.
pub async fn every_part_is_one_message(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let files = samples::files(trial.channel.capabilities());
    let content = samples::with_files("All of it.", files);
    let planned = trial.plan(&content, "words with every sort of file")?.len();
    let accepted = trial.carry(&content, "words with every sort of file").await?.len();
    let requests = harness.double.requests().await;
    must!(
        (requests, accepted) == (planned, planned),
        "{planned} part(s) make {requests} requests and {accepted} messages"
    );
    Ok(())
}

/// Whoever signs, the message arrives: a name is cut to what the platform takes, and changes no word of the message.
pub async fn a_name_of_any_length_is_shown_or_left_out(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let last = async || harness.double.accepted().await.pop().and_then(|message| message.text);
    let _ = trial.send(Content::text(WORDS)).await?;
    let unsigned = last().await;
    for name in ["Jo", &"Dr. Zoë \"😀\" <Ops>, ".repeat(12)] {
        let part = trial.part(Content::text(WORDS))?.signed(Some(name.to_owned()));
        if let Err(error) = trial.channel.send(&part).await {
            return Err(Violation::new(format!("a text signed with {} bytes is not sent: {error}", name.len())));
        }
        let signed = last().await;
        must!(signed == unsigned, "words arrive changed by a signature: {signed:?}");
    }
    Ok(())
}

/// A person of whom no usable address is known is refused before anything leaves.
pub async fn an_address_of_no_known_kind_never_leaves(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let stranger = Identity { addresses: vec![Address::new("carrier_pigeon", "7")], ..harness.identity.clone() };
    let part = trial.part_to(&stranger, Content::text("coo"))?;
    trial.never_sent(&part, "a message to an address of an unknown kind").await
}

/// Credentials that no longer work stop the account, and not just this message.
pub async fn revoked_credentials_ask_for_a_reconnect(harness: &Harness) -> Verdict {
    let trial = Trial::with(harness, &harness.revoked)?;
    match trial.send(Content::text(WORDS)).await? {
        Err(SendError::AuthFailed { .. }) => {}
        other => return Err(Violation::new(format!("a send with revoked credentials says {other:?}"))),
    }
    match trial.channel.check().await {
        Err(SendError::AuthFailed { .. }) => Ok(()),
        other => Err(Violation::new(format!("a check with revoked credentials says {other:?}"))),
    }
}
