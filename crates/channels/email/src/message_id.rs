//! Message-IDs: ours, and how those of others are read.

use transom_channel::OutboundPart;
use uuid::Uuid;

/// The longest that goes into a header; the syntax has no limit but the line's.
const MAX: usize = 250;

/// The same for all parts and attempts of a message: many stores drop a mail whose id they have seen.
pub(crate) fn of_part(part: &OutboundPart, domain: &str) -> String {
    format!("<{}@{domain}>", letter_of(part))
}

/// The letter that a part is a copy of: its message, where that is known.
pub(crate) fn letter_of(part: &OutboundPart) -> Uuid {
    part.message().map_or_else(|| part.id().uuid(), transom_domain::MessageId::uuid)
}

/// Whether this is one id in angle brackets, safe to write into a header.
pub(crate) fn is_message_id(text: &str) -> bool {
    let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    text.len() <= MAX
        && inner.is_some_and(|id| {
            !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'<' && byte != b'>')
        })
}

/// The ids of a header such as References, in order, with their angle brackets; what is no id is left out.
pub(crate) fn read(text: &str) -> Vec<String> {
    let bracketed = text.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(id, _)| id);
    // Some programs leave the brackets out.
    let bare = text.split_whitespace().filter(|word| word.contains('@'));
    let ids: Vec<&str> = if text.contains('<') { bracketed.collect() } else { bare.collect() };
    let written = ids.into_iter().map(|id| format!("<{}>", id.split_whitespace().collect::<String>()));
    written.filter(|id| is_message_id(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("<a@b>", &["<a@b>"])]
    #[case("<a@b> (comment) <c@d>\r\n\t<e@f>", &["<a@b>", "<c@d>", "<e@f>"])]
    #[case("a@b", &["<a@b>"])]
    #[case("<broken\r\n @fold>", &["<broken@fold>"])]
    #[case("<>", &[])]
    #[case("no id", &[])]
    #[case("<\u{e9}@b>", &[])]
    fn ids_are_read(#[case] text: &str, #[case] ids: &[&str]) {
        assert_eq!(read(text), ids);
    }

    #[rstest]
    #[case("<a@b>", true)]
    #[case("a@b", false)]
    #[case("<a@b>\r\nX: y", false)]
    #[case("<a b@c>", false)]
    #[case("<a@b><c@d>", false)]
    #[case(&format!("<{}>", "a".repeat(300)), false)]
    fn one_id_is_told_from_anything_else(#[case] text: &str, #[case] is_one: bool) {
        assert_eq!(is_message_id(text), is_one);
    }
}
