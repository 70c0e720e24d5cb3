//! What a refusal means: one table of stages, codes and enhanced codes (sheet 3).

use transom_channel::{PlatformReport, SendError};

use crate::smtp::reply::{Enhanced, NoReply, Reply};

/// The quota of the policy that a provider's daily limit stands for.
pub(crate) const DAILY_RECIPIENTS: &str = "daily_recipients";

/// During which command the server refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Greeting, EHLO, STARTTLS.
    Hello,
    /// Signing in.
    Auth,
    /// MAIL: it is about our sender.
    Sender,
    /// RCPT: it is about a reader.
    Reader,
    /// DATA and what follows: it is about the mail.
    Mail,
}

/// What a reply means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Again later.
    Later,
    /// Too fast, or not yet: greylisting.
    Slower,
    /// The provider's limit of a day.
    DailyLimit,
    /// The credentials.
    Auth,
    /// What we may send from, or whether at all.
    Account,
    /// Nobody there: the address is not written to again.
    Address,
    /// This mail will never be taken.
    Content,
    /// A command that the server does not know: our fault, or the server's.
    Protocol,
}

/// What a refusal means for the part.
pub(crate) fn refusal(stage: Stage, reply: &Reply) -> SendError {
    let report = report(reply);
    match meaning(stage, reply) {
        Meaning::Later => SendError::Temporary { report },
        Meaning::Slower => SendError::RateLimited { retry_after_ms: None, report },
        Meaning::DailyLimit => SendError::QuotaReached { quota: Some(DAILY_RECIPIENTS.to_owned()), report },
        Meaning::Auth => SendError::AuthFailed { report },
        Meaning::Account => SendError::AccountStopped { report },
        Meaning::Address => SendError::Unreachable { report },
        Meaning::Content => SendError::ContentRefused { report },
        Meaning::Protocol => SendError::Invalid { report },
    }
}

fn meaning(stage: Stage, reply: &Reply) -> Meaning {
    let words = reply.text().to_lowercase();
    let enhanced = reply.enhanced.map(|Enhanced(_, subject, detail)| (subject, detail));
    match (reply.code / 100, stage) {
        (4, _) => for_now(reply.code, enhanced, &words),
        (5, Stage::Hello) => Meaning::Account,
        (5, Stage::Auth) => Meaning::Auth,
        (5, _) => for_good(stage, reply.code, enhanced, &words),
        // A positive reply where another was due.
        _ => Meaning::Protocol,
    }
}

fn for_now(code: u16, enhanced: Option<(u16, u16)>, words: &str) -> Meaning {
    match (code, enhanced) {
        _ if is_daily_limit(words) => Meaning::DailyLimit,
        // Signing in or TLS is not to be had right now.
        (454, _) => Meaning::Later,
        (_, Some((7, _) | (2, 1))) => Meaning::Slower,
        // Too many recipients: the person comes first, so it is not about the others.
        (_, Some((5, 3))) => Meaning::Later,
        (421 | 450 | 451, _) if is_too_fast(words) => Meaning::Slower,
        _ => Meaning::Later,
    }
}

fn for_good(stage: Stage, code: u16, enhanced: Option<(u16, u16)>, words: &str) -> Meaning {
    match (code, enhanced) {
        // Providers word it; 5.4.5 is Gmail's.
        (_, Some((4, 5))) => Meaning::DailyLimit,
        _ if is_daily_limit(words) => Meaning::DailyLimit,
        (530 | 534 | 535 | 538, _) | (_, Some((7, 30 | 8 | 9))) => Meaning::Auth,
        (500..=504, None | Some((5, _))) => Meaning::Protocol,
        // Our own address, not the reader's.
        (_, Some((1, 7 | 8))) => Meaning::Account,
        (_, Some((1 | 7, _))) if stage == Stage::Sender => Meaning::Account,
        (550 | 551 | 553 | 554, None) if stage == Stage::Sender => Meaning::Account,
        (_, Some((1, _) | (2, 1))) => Meaning::Address,
        // A full mailbox is emptied, within days.
        (_, Some((2, 2))) => Meaning::Later,
        (552, None) if is_full(words) => Meaning::Later,
        (551 | 553 | 556, None) if stage == Stage::Reader => Meaning::Address,
        (550, None) if stage == Stage::Reader && is_nobody(words) => Meaning::Address,
        // Policy, content, size, routing, and whatever nobody knows yet: this mail, and not the reader.
        _ => Meaning::Content,
    }
}

/// "Daily user sending quota exceeded", "sending limit reached", "daily recipient limit" and the like.
fn is_daily_limit(words: &str) -> bool {
    let limit = words.contains("quota") || words.contains("limit");
    let sending = words.contains("daily") || words.contains("per day") || words.contains("sending limit");
    limit && sending && !words.contains("mailbox")
}

fn is_too_fast(words: &str) -> bool {
    ["too many", "rate limit", "too fast", "slow down", "greylist", "graylist", "try again later", "throttl"]
        .iter()
        .any(|known| words.contains(known))
}

fn is_full(words: &str) -> bool {
    words.contains("full") || words.contains("over quota") || words.contains("quota exceeded")
}

fn is_nobody(words: &str) -> bool {
    [
        "user unknown",
        "unknown user",
        "no such user",
        "no such recipient",
        "no such mailbox",
        "does not exist",
        "mailbox not found",
        "invalid mailbox",
    ]
    .iter()
    .any(|known| words.contains(known))
}

/// What the server said, without what it may quote of ours.
pub(crate) fn report(reply: &Reply) -> PlatformReport {
    let code = reply.enhanced.map_or_else(|| reply.code.to_string(), |enhanced| enhanced.to_string());
    PlatformReport::new(Some(reply.code), code, scrubbed(&reply.text()))
}

/// Words of a server without addresses, ids, links and anything in quotation marks.
pub(crate) fn scrubbed(text: &str) -> String {
    let unquoted = text.split(['"', '\'']).enumerate().map(|(n, piece)| if n % 2 == 0 { piece } else { "…" });
    let unquoted: String = unquoted.collect();
    let is_private = |word: &str| {
        word.contains(['@', '<', '>', '=']) || word.contains("://") || word.len() > 32 || {
            word.chars().filter(char::is_ascii_digit).count() >= 5
        }
    };
    let mut kept: Vec<&str> = Vec::new();
    for word in unquoted.split_whitespace() {
        match (is_private(word), kept.last()) {
            (true, Some(&"…")) => {}
            (true, _) => kept.push("…"),
            (false, _) => kept.push(word),
        }
    }
    kept.join(" ").chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Before the mail was handed over nothing was accepted, whatever broke.
pub(crate) fn broken(lost: NoReply) -> SendError {
    SendError::Temporary {
        report: own(match lost {
            NoReply::Lost => "the connection broke before the mail was handed over",
            NoReply::Garbled => "the server does not answer as SMTP servers do",
        }),
    }
}

/// What was wrong before anything left.
pub(crate) fn invalid(why: &str) -> SendError {
    SendError::Invalid { report: own(why) }
}

pub(crate) fn refused(why: &str) -> SendError {
    SendError::ContentRefused { report: own(why) }
}

pub(crate) fn own(why: &str) -> PlatformReport {
    PlatformReport { status: None, code: None, message: why.chars().take(500).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::reply::parse_diagnostic;
    use rstest::rstest;
    use transom_channel::NextStep;

    fn refused_by(stage: Stage, line: &str) -> SendError {
        refusal(stage, &parse_diagnostic(line).unwrap())
    }

    /// Every row of sheet 3, at the command where it comes.
    #[rstest]
    #[case(Stage::Hello, "421 4.3.2 service closing", "temporary")]
    #[case(Stage::Sender, "421 4.7.0 too many connections", "rate_limited")]
    #[case(Stage::Hello, "421 too many connections", "rate_limited")]
    #[case(Stage::Reader, "450 4.7.1 greylisted", "rate_limited")]
    #[case(Stage::Reader, "451 4.7.1 greylisted", "rate_limited")]
    #[case(Stage::Reader, "451 Greylisted, try again later", "rate_limited")]
    #[case(Stage::Reader, "450 4.2.1 receives mail too quickly", "rate_limited")]
    #[case(Stage::Reader, "452 4.2.2 mailbox full", "temporary")]
    #[case(Stage::Reader, "552 5.2.2 mailbox full", "temporary")]
    #[case(Stage::Reader, "552 mailbox is full", "temporary")]
    #[case(Stage::Reader, "452 4.5.3 too many recipients", "temporary")]
    #[case(Stage::Auth, "454 4.7.0 temporary authentication failure", "temporary")]
    #[case(Stage::Sender, "500 5.5.2 syntax error", "invalid_request")]
    #[case(Stage::Sender, "501 5.5.4 bad parameter", "invalid_request")]
    #[case(Stage::Mail, "502 5.5.1 not implemented", "invalid_request")]
    #[case(Stage::Mail, "503 bad sequence", "invalid_request")]
    #[case(Stage::Auth, "504 5.5.4 mechanism unknown", "auth_failed")]
    #[case(Stage::Sender, "530 5.7.0 authentication required", "auth_failed")]
    #[case(Stage::Auth, "534 5.7.9 mechanism too weak", "auth_failed")]
    #[case(Stage::Auth, "535 5.7.8 bad credentials", "auth_failed")]
    #[case(Stage::Auth, "538 5.7.11 encryption required", "auth_failed")]
    #[case(Stage::Auth, "550 5.7.30 basic authentication is not supported", "auth_failed")]
    #[case(Stage::Sender, "550 5.7.30 basic authentication is not supported", "auth_failed")]
    #[case(Stage::Reader, "550 5.1.1 no such user", "unreachable")]
    #[case(Stage::Mail, "550 5.1.1 no such user", "unreachable")]
    #[case(Stage::Reader, "551 user not local", "unreachable")]
    #[case(Stage::Reader, "551 5.1.6 user has moved", "unreachable")]
    #[case(Stage::Reader, "553 5.1.3 bad address", "unreachable")]
    #[case(Stage::Reader, "550 5.1.2 bad domain", "unreachable")]
    #[case(Stage::Reader, "550 5.1.10 null MX", "unreachable")]
    #[case(Stage::Reader, "556 domain takes no mail", "unreachable")]
    #[case(Stage::Reader, "550 5.2.1 mailbox disabled", "unreachable")]
    #[case(Stage::Reader, "450 4.4.1 no route", "temporary")]
    #[case(Stage::Reader, "550 5.4.1 relay access denied", "content_refused")]
    #[case(Stage::Sender, "552 5.3.4 message too big", "content_refused")]
    #[case(Stage::Mail, "552 5.2.3 message too big for the mailbox", "content_refused")]
    #[case(Stage::Mail, "550 5.7.1 looks like spam", "content_refused")]
    #[case(Stage::Mail, "554 5.7.1 refused by policy", "content_refused")]
    #[case(Stage::Mail, "550 5.7.26 unauthenticated mail is prohibited", "content_refused")]
    #[case(Stage::Sender, "550 5.7.1 sender not verified", "account_stopped")]
    #[case(Stage::Sender, "553 5.7.1 not owned by user", "account_stopped")]
    #[case(Stage::Reader, "550 5.1.8 sender address rejected", "account_stopped")]
    #[case(Stage::Mail, "554 5.6.0 encoding not accepted", "content_refused")]
    #[case(Stage::Mail, "550 5.4.5 Daily user sending limit exceeded", "quota_reached")]
    #[case(Stage::Sender, "550 5.7.36 daily sending quota exceeded", "quota_reached")]
    #[case(Stage::Reader, "454 4.7.1 sending limit reached", "quota_reached")]
    // Without an enhanced code.
    #[case(Stage::Reader, "550 User unknown", "unreachable")]
    #[case(Stage::Reader, "550 blocked", "content_refused")]
    #[case(Stage::Mail, "554 transaction failed", "content_refused")]
    #[case(Stage::Hello, "554 no service for you", "account_stopped")]
    // What nobody knows yet is about this mail alone.
    #[case(Stage::Mail, "599 5.9.9 who knows", "content_refused")]
    #[case(Stage::Reader, "499 who knows", "temporary")]
    #[case(Stage::Reader, "354 go on", "invalid_request")]
    fn refusals_are_told_apart(#[case] stage: Stage, #[case] line: &str, #[case] code: &str) {
        assert_eq!(refused_by(stage, line).code(), code, "{line}");
    }

    #[test]
    fn only_failures_of_the_address_bar_it() {
        let bars = |line| refused_by(Stage::Reader, line).evidence().is_some();
        assert!(bars("550 5.1.1 no such user") && bars("550 5.2.1 disabled"));
        assert!(!bars("550 5.7.1 spam") && !bars("552 5.2.2 full") && !bars("554 5.7.26 no SPF"));
    }

    #[test]
    fn a_report_quotes_neither_addresses_nor_ids() {
        let line = "550 5.1.1 <ann@example.test>: user \"Ann Lee\" unknown, see https://help.example/1?q=2 id 4f00f43d17b1e0000042";
        let error = refused_by(Stage::Reader, line);
        let shown = error.to_string();
        assert!(!shown.contains("ann@") && !shown.contains("Lee") && !shown.contains("4f00"), "{shown}");
        assert!(shown.contains("unknown") && shown.contains("5.1.1"), "{shown}");
        assert_eq!(error.next_step(), NextStep::GiveUp);
    }
}
