//! By what right a request leaves: written from the permit, so that no code can claim another.

use transom_channel::{OutboundPart, Unsendable};
use transom_windows::{Basis, Permit, Sender};

use super::Recipient;

/// Tags that only a person's message may carry: HUMAN_AGENT is a person's answer after the window (messenger.md 1.3).
const OF_PERSONS: &[&str] = &["HUMAN_AGENT"];
/// The policies' word for one message to whoever commented (messenger.md 1.4, instagram.md 1.3).
const PRIVATE_REPLY: &str = "private_reply";
/// Stands before a reference that is a post and not a comment.
const POST: &str = "post:";
/// Tags that go with a content of their own, which no message of ours is.
const WITH_OTHER_CONTENT: &[&str] = &["CUSTOMER_FEEDBACK"];

/// Recipient, `messaging_type` and tag of a request. [`Right::of`] is the only way to one, so nobody else can claim a tag:
///
/// ```compile_fail,E0451
/// use transom_meta::messaging::{Recipient, Right};
/// let _ = Right { recipient: Recipient::Id("1"), messaging_type: "MESSAGE_TAG", tag: Some("HUMAN_AGENT") };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right<'p> {
    recipient: Recipient<'p>,
    messaging_type: &'static str,
    tag: Option<&'p str>,
}

impl<'p> Right<'p> {
    /// The right that a part's permit gives. `address` is the kind of the platform's own ids.
    ///
    /// # Errors
    /// [`Unsendable`] when the person has no such address, or the permit's tag is not for this content or sender.
    pub fn of(part: &'p OutboundPart, address: &str) -> Result<Self, Unsendable> {
        let permit = part.permit();
        // The newest: what stood under a comment may be another id than the one that the answer told (messenger.md 5).
        let known = part.to().addresses.iter().rev().find(|known| known.kind == address);
        let known = known.map(|known| known.value.trim()).filter(|id| !id.is_empty());
        let to_known = || {
            known
                .map(Recipient::Id)
                .ok_or_else(|| malformed("identity", format!("there is no address of kind `{address}`")))
        };
        if part.template().is_some() {
            return Ok(Self { recipient: to_known()?, messaging_type: "UTILITY", tag: None });
        }
        match permit.basis() {
            Basis::FreeForm | Basis::Initiated => {
                Ok(Self { recipient: to_known()?, messaging_type: answer_or_news(permit.sender()), tag: None })
            }
            Basis::Tagged { tag } if tag.as_ref() == PRIVATE_REPLY => {
                Ok(Self { recipient: commenter(permit)?, messaging_type: "RESPONSE", tag: None })
            }
            Basis::Tagged { tag } => Self::tagged(tag.as_ref(), permit.sender(), to_known),
            Basis::Template { .. } => Err(malformed("template", "the permit is for an approved template only")),
        }
    }

    /// The right under a tag: the one place where a tag gets into a request, and where the platform's own word about who may
    /// carry it counts, whatever a policy says (messenger.md 1.3).
    fn tagged(
        tag: &'p str,
        sender: Sender,
        recipient: impl FnOnce() -> Result<Recipient<'p>, Unsendable>,
    ) -> Result<Self, Unsendable> {
        if OF_PERSONS.contains(&tag) && sender != Sender::Human {
            return Err(malformed("permit", format!("{tag} is for a person's message only, not for {sender}")));
        }
        if WITH_OTHER_CONTENT.contains(&tag) {
            return Err(Unsendable::NotSupported { what: format!("the template that goes with the tag {tag}") });
        }
        Ok(Self { recipient: recipient()?, messaging_type: "MESSAGE_TAG", tag: Some(tag) })
    }

    /// Whom to.
    pub fn recipient(&self) -> Recipient<'p> {
        self.recipient
    }

    /// `RESPONSE`, `UPDATE`, `MESSAGE_TAG` or `UTILITY` (messenger.md 1.2).
    pub fn messaging_type(&self) -> &'static str {
        self.messaging_type
    }

    /// The tag of `MESSAGE_TAG`.
    pub fn tag(&self) -> Option<&'p str> {
        self.tag
    }

    /// Whether it leaves inside the standard window, where quotes and reactions are allowed.
    pub fn is_standard(&self) -> bool {
        matches!((self.messaging_type, self.recipient), ("RESPONSE" | "UPDATE", Recipient::Id(_)))
    }

    /// Whether it is the one message to whoever commented.
    pub fn is_private_reply(&self) -> bool {
        !matches!(self.recipient, Recipient::Id(_))
    }
}

/// Somebody answers, or the business speaks up by itself (messenger.md 1.2).
fn answer_or_news(sender: Sender) -> &'static str {
    match sender {
        Sender::Human | Sender::Bot => "RESPONSE",
        Sender::Automation | Sender::Broadcast => "UPDATE",
    }
}

fn commenter(permit: &Permit) -> Result<Recipient<'_>, Unsendable> {
    let reference = permit.reference().unwrap_or_default();
    match reference.strip_prefix(POST) {
        Some(post) if !post.is_empty() => Ok(Recipient::PostId(post)),
        None if !reference.is_empty() => Ok(Recipient::CommentId(reference)),
        _ => Err(malformed("permit", "a private reply needs the comment or post that it answers")),
    }
}

fn malformed(field: &str, reason: impl Into<String>) -> Unsendable {
    Unsendable::Malformed { field: field.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Sender::Human, "HUMAN_AGENT", Ok(()))]
    #[case(Sender::Bot, "HUMAN_AGENT", Err("content_malformed"))]
    #[case(Sender::Automation, "HUMAN_AGENT", Err("content_malformed"))]
    #[case(Sender::Broadcast, "HUMAN_AGENT", Err("content_malformed"))]
    #[case(Sender::Human, "CUSTOMER_FEEDBACK", Err("not_supported_by_channel"))]
    #[case(Sender::Bot, "A_TAG_OF_TOMORROW", Ok(()))]
    fn a_tag_asks_who_carries_it(#[case] sender: Sender, #[case] tag: &str, #[case] expected: Result<(), &str>) {
        let seen = Right::tagged(tag, sender, || Ok(Recipient::Id("1")));
        let seen = seen.map(|right| (right.messaging_type(), right.tag())).map_err(|refused| refused.code());
        assert_eq!(seen, expected.map(|()| ("MESSAGE_TAG", Some(tag))));
    }
}
