//! Our own messages coming back from platforms that don't say which they are.

use transom_channel::{InboundMessage, ReceiptFor, ReceiptState};
use transom_domain::{Body, Content, IdentityId, PartId};
use transom_storage::Earlier;

use super::item::Case;
use super::receipt;
use crate::DeskError;

/// Whom it was written to, if we know them; locked.
pub(super) async fn known(case: &Case<'_>) -> Result<Option<IdentityId>, DeskError> {
    match &case.inbound.person {
        Some(person) => receipt::known(case, person).await,
        None => Ok(None),
    }
}

/// The part that an echo names, if it is one of this account: others may name theirs in our way.
pub(super) async fn named(case: &Case<'_>, correlation: Option<&str>) -> Result<Option<PartId>, DeskError> {
    let Some(part) = correlation.and_then(|id| id.parse().ok()) else { return Ok(None) };
    let known = case.tx.first_known(case.account.id, &[Earlier::Part(part)]).await?;
    Ok(known.map(|_| part))
}

/// The part that an echo without a name of ours is of: it comes before the answer to the send, or instead of it. Only where it
/// is the only one to this person that says the same and waits for an answer.
pub(super) async fn unanswered(
    case: &Case<'_>,
    to: Option<IdentityId>,
    echo: &InboundMessage,
) -> Result<Option<PartId>, DeskError> {
    let Some(identity) = to else { return Ok(None) };
    let waiting = case.tx.parts_in_flight(case.account.id, identity).await?;
    let mut same = waiting.into_iter().filter(|(_, content)| says_the_same(content, &echo.content));
    Ok(same.next().map(|(part, _)| part).filter(|_| same.next().is_none()))
}

/// An echo of ours proves that the platform has the message.
pub(super) async fn settles(
    case: &Case<'_>,
    echo: &InboundMessage,
    correlation: Option<PartId>,
) -> Result<(), DeskError> {
    let correlation = correlation.map(|part| part.to_string());
    let of = ReceiptFor::Message { provider_id: echo.provider_id.clone(), correlation };
    receipt::arrived(case, &of, &ReceiptState::Sent).await
}

/// The same words, and as many files: platforms name files anew.
fn says_the_same(ours: &Content, echo: &Content) -> bool {
    said(ours).zip(said(echo)).is_some_and(|(ours, echo)| ours == echo)
}

fn said(content: &Content) -> Option<(&str, usize)> {
    match &content.body {
        Body::Text { text, attachments } => Some((text.trim(), attachments.len())),
        Body::Choices(choices) => Some((choices.text.trim(), 0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use transom_domain::{Attachment, Body, Content, MediaKind, MediaSource};

    fn says(text: &str, files: usize) -> Content {
        let source = MediaSource::Url { url: "https://files.example/1".to_owned() };
        let file = Attachment { kind: MediaKind::Image, source, mime: None, file_name: None, size: None };
        Content { body: Body::Text { text: text.to_owned(), attachments: vec![file; files] }, reply_to: None }
    }

    #[rstest]
    #[case(says("hello", 0), says("hello ", 0), true)]
    #[case(says("", 1), says("", 1), true)]
    #[case(says("hello", 0), says("Hello", 0), false)]
    #[case(says("hello", 1), says("hello", 0), false)]
    #[case(says("hello", 0), Content { body: Body::Unsupported { what: "hello".into() }, reply_to: None }, false)]
    fn words_and_the_number_of_files_count(#[case] ours: Content, #[case] echo: Content, #[case] same: bool) {
        assert_eq!(super::says_the_same(&ours, &echo), same);
    }
}
