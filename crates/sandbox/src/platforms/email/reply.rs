//! What the server answers: a code, an enhanced code (RFC 3463), words.

use crate::http::{Ending, Reply};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SmtpError {
    code: u16,
    text: String,
}

impl SmtpError {
    pub(super) fn of(code: u16, enhanced: &str, words: &str) -> Self {
        Self { code, text: format!("{enhanced} {words}") }
    }

    /// By a code alone, as the operator orders it: 550, or 550511 for `550 5.1.1`. Words that begin with an enhanced code keep it.
    pub(super) fn ordered(code: i64, words: Option<&str>) -> Self {
        let code = u32::try_from(code).unwrap_or(550);
        let (code, enhanced) = match code {
            100_000.. => (code / 1_000, Some(dotted(code % 1_000))),
            _ => (code, None),
        };
        let words = words.unwrap_or("as the sandbox was told");
        let says_it = words.split(' ').next().is_some_and(|word| word.split('.').count() == 3);
        let text = match enhanced {
            _ if says_it => words.to_owned(),
            Some(enhanced) => format!("{enhanced} {words}"),
            None => format!("{}.0.0 {words}", code / 100),
        };
        Self { code: u16::try_from(code).unwrap_or(550), text }
    }

    pub(super) fn reply(&self) -> Reply {
        Reply::text(self.code, self.text.clone())
    }
}

fn dotted(digits: u32) -> String {
    format!("{}.{}.{}", digits / 100, digits / 10 % 10, digits % 10)
}

/// An enhanced code out of what an operator writes: 511, 550511 or 550.
pub(super) fn enhanced(code: i64) -> String {
    match u32::try_from(code).unwrap_or(511) {
        long @ 100_000.. => dotted(long % 1_000),
        // A bare reply code says nothing of the mailbox: it is the usual one.
        421 | 450..=459 => "4.2.1".to_owned(),
        550..=559 => "5.1.1".to_owned(),
        short => dotted(short % 1_000),
    }
}

/// A reply as it goes over the wire; what has no code of SMTP goes as it is.
pub(super) fn on_the_wire(reply: &Reply) -> Vec<u8> {
    let text = String::from_utf8_lossy(&reply.body);
    let (last, is_smtp) = (text.lines().count().saturating_sub(1), matches!(reply.status, 211..=599));
    let lines = text.lines().enumerate().map(|(at, line)| match (is_smtp, at == last) {
        (true, true) => format!("{} {line}\r\n", reply.status),
        (true, false) => format!("{}-{line}\r\n", reply.status),
        (false, _) => format!("{line}\r\n"),
    });
    let wire = lines.collect::<Vec<_>>().concat();
    match reply.ending {
        Ending::Whole => wire.into_bytes(),
        Ending::Dropped => Vec::new(),
        Ending::Cut => wire.bytes().take(text.len() / 2).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_read_like_rfc_5321() {
        let wire = |reply: &Reply| String::from_utf8(on_the_wire(reply)).unwrap();
        assert_eq!(wire(&Reply::text(250, "one\ntwo")), "250-one\r\n250 two\r\n");
        assert_eq!(wire(&SmtpError::ordered(550_511, Some("gone")).reply()), "550 5.1.1 gone\r\n");
        assert_eq!(wire(&SmtpError::ordered(421, None).reply()), "421 4.0.0 as the sandbox was told\r\n");
        assert_eq!(wire(&SmtpError::ordered(550, Some("5.7.26 not aligned")).reply()), "550 5.7.26 not aligned\r\n");
        assert_eq!(wire(&Reply::text(200, "<html>")), "<html>\r\n");
        assert_eq!(wire(&Reply::text(250, "2.0.0 Ok").ending(Ending::Dropped)), "");
    }

    #[test]
    fn an_operators_code_becomes_a_status() {
        assert_eq!([511, 550_522, 550, 451].map(enhanced), ["5.1.1", "5.2.2", "5.1.1", "4.2.1"]);
    }
}
