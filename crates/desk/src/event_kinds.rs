//! Which events there are. docs/events.md says what each of them means.

/// Every kind that streams and webhooks tell, in the order of the alphabet.
pub const KINDS: &[&str] = &[
    "agent.changed",
    "agent.created",
    "agent.presence",
    "assignment_rule.changed",
    "assignment_rule.created",
    "assignment_rule.deleted",
    "assignment_rules.ordered",
    "attachment.failed",
    "attachment.stored",
    "bot.bound",
    "broadcast.canceled",
    "broadcast.changed",
    "broadcast.created",
    "broadcast.done",
    "broadcast.paused",
    "broadcast.resumed",
    "broadcast.running",
    "broadcast.started",
    "channel.changed",
    "channel.fetch_failing",
    "channel.fetch_resumed",
    "channel.limit_learnt",
    "channel.notice",
    "channel.paused",
    "channel.removed",
    "channel.resumed",
    "channel.unsupported",
    "connection.changed",
    "connection.removed",
    "contact.blocked",
    "contact.changed",
    "contact.consent",
    "contact.created",
    "contact.dedicated",
    "contact.erased",
    "contact.labelled",
    "contact.merged",
    "contact.opening",
    "contact.standing",
    "contact.unblocked",
    "contact.unlabelled",
    "contact.unmerged",
    "conversation.assigned",
    "conversation.closed",
    "conversation.ended",
    "conversation.handed_over",
    "conversation.opened",
    "conversation.snoozed",
    "conversation.tagged",
    "conversation.untagged",
    "custom_field.changed",
    "custom_field.created",
    "identity.changed",
    "identity.joined",
    "job.finished",
    "job.progress",
    "label.deleted",
    "label.renamed",
    "message.answered",
    "message.brought",
    "message.echoed",
    "message.edited",
    "message.joined",
    "message.not_brought",
    "message.queued",
    "message.reaction",
    "message.reader_refused",
    "message.received",
    "message.scheduled",
    "message.settled",
    "message.state",
    "message.unsent",
    "note.added",
    "reminder.sent",
    "reminder.skipped",
    "saved_reply.changed",
    "saved_reply.created",
    "saved_reply.deleted",
    "settings.changed",
    "survey.answered",
    "survey.asked",
    "survey.skipped",
    "tag.created",
    "tag.deleted",
    "team.changed",
    "team.created",
    "team.deleted",
    "template.changed",
    "templates.failing",
    "templates.synced",
    "token.created",
    "token.revoked",
    "webhook_endpoint.changed",
    "webhook_endpoint.created",
    "webhook_endpoint.deleted",
    "webhook_endpoint.disabled",
    "webhook_endpoint.rotated",
    "window.closed",
    "window.closing",
];

/// A kind as an event carries it. One that the list lacks could not be asked for, so tests stop at it.
pub(crate) fn told(kind: &str) -> String {
    debug_assert!(KINDS.contains(&kind), "`{kind}` is missing in the list of kinds");
    kind.to_owned()
}

/// Why nobody is ever told an event of this kind, if that is so: `message.*` stands for every kind of its noun.
pub(crate) fn why_never_told(kind: &str) -> Option<String> {
    let (noun, verb) = kind.split_once('.').unwrap_or((kind, ""));
    let nouns = || KINDS.iter().filter_map(|kind| kind.split_once('.')).map(|(noun, _)| noun);
    let is_told = KINDS.contains(&kind) || (verb == "*" && nouns().any(|known| known == noun));
    if is_told {
        return None;
    }
    let named: String = kind.chars().take(64).collect();
    let of_noun: Vec<String> = KINDS
        .iter()
        .filter(|known| known.split_once('.').is_some_and(|(known, _)| known == noun))
        .map(quoted)
        .collect();
    if !of_noun.is_empty() {
        return Some(format!(
            "`{named}` is no kind of event; there is {}, or `{noun}.*` for all of these",
            of_noun.join(", ")
        ));
    }
    let mut nouns: Vec<String> = nouns().map(|noun| format!("`{noun}.*`")).collect();
    nouns.dedup();
    Some(format!("`{named}` is no kind of event; docs/events.md lists them all, which are of {}", nouns.join(", ")))
}

fn quoted(kind: &&str) -> String {
    format!("`{kind}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_in_order_and_a_noun_and_a_verb() {
        assert!(KINDS.is_sorted());
        for kind in KINDS {
            let (noun, verb) = kind.split_once('.').unwrap();
            let word =
                |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(word(noun) && word(verb), "{kind}");
        }
    }

    #[test]
    fn only_what_can_happen_can_be_asked_for() {
        for right in ["message.state", "message.*", "webhook_endpoint.disabled", "assignment_rules.*"] {
            assert_eq!(why_never_told(right), None, "{right}");
        }
        for wrong in ["", "*", "message", ".state", "message.", "Message.state", "message.s*", "a.b.c", "massage.*"] {
            assert!(why_never_told(wrong).is_some(), "{wrong}");
        }
        let verb = why_never_told("note.aded").unwrap();
        assert_eq!(verb, "`note.aded` is no kind of event; there is `note.added`, or `note.*` for all of these");
        let noun = why_never_told("massage.sent").unwrap();
        assert!(noun.contains("docs/events.md") && noun.contains("`message.*`, `note.*`"), "{noun}");
    }
}
