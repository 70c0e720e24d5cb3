//! How a message fares, by the parts that are shown beside it.

use transom_domain::DeliveryState;
use transom_storage::StoredMessage;

/// The message with the state and the failure of these parts. It is read before them, and what happens in between changes both.
pub(crate) fn of_parts(mut stored: StoredMessage) -> StoredMessage {
    if let Some(state) = DeliveryState::of_message(stored.parts.iter().map(|part| part.part.state)) {
        let worst = stored.parts.iter().find(|part| part.part.state == state);
        stored.failure = worst.and_then(|part| part.failure.clone());
        stored.message.state = Some(state);
    }
    stored
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;
    use transom_domain::{Author, Content, CountingIds, Direction, Ids, Message, MessageKind, Part};
    use transom_storage::StoredPart;

    use super::*;

    /// As it was read when it failed, beside parts that were read later.
    fn failed(parts: &[(DeliveryState, Option<&str>)]) -> StoredMessage {
        let (ids, at) = (CountingIds::new(1), datetime!(2026-11-20 10:00 UTC));
        let part = |(index, (state, failure)): (u32, &(DeliveryState, Option<&str>))| StoredPart {
            part: Part {
                id: ids.next().into(),
                index,
                content: Content::text("hello"),
                cost: 1,
                state: *state,
                provider_id: None,
            },
            failure: failure.map(|code| json!({ "code": code })),
            attempts: 1,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            updated_at: at,
        };
        StoredMessage {
            message: Message {
                id: ids.next().into(),
                conversation: ids.next().into(),
                kind: MessageKind::Reply,
                direction: Direction::Outbound,
                author: Author::Echo,
                content: Content::text("hello"),
                state: Some(DeliveryState::Failed),
                at,
            },
            account: ids.next().into(),
            identity: ids.next().into(),
            provider_id: None,
            reply_to: None,
            payload: None,
            permit: None,
            parts: (0..).zip(parts).map(part).collect(),
            failure: Some(json!({ "code": "temporary" })),
            edited_at: None,
            unsent_at: None,
            reactions: Vec::new(),
            extra: json!({}),
            stored_at: at,
        }
    }

    #[test]
    fn a_message_never_contradicts_its_parts() {
        use DeliveryState::{Failed, Queued, Sent};
        for (parts, state, failure) in [
            (&[(Sent, None), (Sent, None)][..], Sent, None),
            // Somebody has it tried again.
            (&[(Sent, None), (Queued, None)], Queued, None),
            (&[(Sent, None), (Failed, Some("blocked")), (Failed, Some("unreachable"))], Failed, Some("blocked")),
            // Without parts it speaks for itself.
            (&[], Failed, Some("temporary")),
        ] {
            let shown = of_parts(failed(parts));
            let failure = failure.map(|code| json!({ "code": code }));
            assert_eq!((shown.message.state, shown.failure), (Some(state), failure), "{parts:?}");
        }
    }
}
