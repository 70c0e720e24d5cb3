//! What people say in public: no window, but the right to one private reply each (messenger.md 1.4, instagram.md 1.3).

use transom_channel::{Inbound, InboundMessage, Item, Opening, Person};
use transom_domain::Content;

use super::Happening;

/// The longest part of a comment that is kept.
const LONGEST: usize = 2_000;
/// Stands before the ids under which comments are kept, so that none is taken for a message's.
const PUBLIC: [&str; 2] = ["comment:", "visitor_post:"];

impl Happening<'_> {
    /// Somebody said something of this `kind` in public. It stands in the conversation under the kind's name, so that nobody
    /// takes it for a message to the business alone; the reference is what a private reply must carry.
    pub fn in_public(&self, kind: &str, reference: String, person: Person, words: &str) -> Inbound {
        let event_key = format!("{kind}:{reference}");
        let said = if words.trim().is_empty() { kind.to_owned() } else { format!("{kind}: {words}") };
        let said = Content::text(said.chars().take(LONGEST).collect::<String>());
        let item = Item::Message(InboundMessage::new(event_key.clone(), said));
        Inbound {
            event_key,
            person: Some(person),
            openings: vec![Opening { kind: kind.to_owned(), reference: Some(reference) }],
            ..self.item(kind, item)
        }
    }
}

/// Whether an id is one of what was said in public: it can't be quoted in private.
pub(super) fn is_public(id: &str) -> bool {
    PUBLIC.iter().any(|prefix| id.starts_with(prefix))
}
