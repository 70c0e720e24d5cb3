//! Reports: what became of a mail (RFC 3464), that it was read (RFC 8098), that somebody complained (RFC 5965).
//!
//! A report opens no conversation. It changes something only where it proves to be about a mail of ours: by our token, or by
//! the Message-ID in the headers that it returns; anybody can write the rest.

use transom_channel::{
    Answered, Inbound, InboundMessage, Item, OptOutScope, ReceiptFor, ReceiptState, SendError, Standing,
};
use transom_domain::{Body, Content, Mail};

use super::automatic::{has_no_return, is_daemon, is_our_id};
use super::mime::{Letter, Report};
use super::{AUTOMATIC_MAIL, BOUNCE, Ground, person};
use crate::address::canonical;
use crate::error::{self, Stage};
use crate::smtp::reply::{Enhanced, Reply, parse_diagnostic, parse_enhanced};
use crate::token::{Purpose, Reader, Token};

/// The items of a report; `None` for a mail that is none.
pub(crate) fn items(letter: &Letter, ground: &Ground<'_>) -> Option<Vec<Inbound>> {
    let told = match &letter.report {
        Some(report) => match report.kind.as_str() {
            "delivery-status" => statuses(letter, report, ground),
            "disposition-notification" => read_receipt(report, ground),
            "feedback-report" => complaint(letter, report, ground),
            _ => Vec::new(),
        },
        None => freely_worded(letter, ground)?,
    };
    // Kept, whatever it was.
    Some(if told.is_empty() {
        vec![ground.unsupported("a report that is about no mail of this account")]
    } else {
        told
    })
}

/// Which mail of ours a report is about.
struct Subject<'r> {
    token: Option<Token>,
    message_id: Option<&'r str>,
    to: &'r [String],
    cc: &'r [String],
}

impl<'r> Subject<'r> {
    fn of(letter: &Letter, report: &'r Report, ground: &Ground<'_>) -> Option<Self> {
        let envelope = report.blocks.first().and_then(|block| field(block, "original-envelope-id"));
        let by_envelope = envelope.and_then(|id| ground.config.tokens.read(id));
        let token = ground.token(letter, Purpose::Bounce);
        let token = token.or_else(|| by_envelope.filter(|token| token.purpose == Purpose::Bounce));
        let about = report.about.as_deref();
        let message_id = about.and_then(|about| about.message_id.as_deref()).filter(|id| is_our_id(id, ground.config));
        (token.is_some() || message_id.is_some()).then(|| Self {
            token,
            message_id,
            to: about.map_or(&[], |about| &about.to),
            cc: about.map_or(&[], |about| &about.cc),
        })
    }

    fn receipt_for(&self) -> ReceiptFor {
        ReceiptFor::Message {
            provider_id: self.message_id.unwrap_or_default().to_owned(),
            correlation: self.token.map(|token| token.part.to_string()),
        }
    }

    /// Who an address is to the mail.
    fn role(&self, ground: &Ground<'_>, addresses: &[String]) -> Role {
        let is_in = |list: &[String]| {
            addresses.iter().any(|address| list.iter().any(|known| known.eq_ignore_ascii_case(address)))
        };
        if let Some(token) = &self.token {
            let known = addresses.iter().find_map(|address| ground.config.tokens.reader(token, address));
            match known {
                Some(Reader::Person(_)) => return Role::Person,
                Some(Reader::Blind(_)) => return Role::Blind,
                None if is_in(self.cc) => return Role::Copied,
                None => return Role::Unknown,
            }
        }
        // The same headers go to blind readers: whoever stands in none of them may be anybody.
        if is_in(self.to) {
            Role::Person
        } else if is_in(self.cc) {
            Role::Copied
        } else {
            Role::Unknown
        }
    }

    fn answered(&self) -> Vec<Answered> {
        let part = self.token.map(|token| Answered::Part(token.part.to_string()));
        part.into_iter().chain(self.message_id.map(|id| Answered::Message(id.to_owned()))).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Person,
    Blind,
    /// In Cc.
    Copied,
    Unknown,
}

fn statuses(letter: &Letter, report: &Report, ground: &Ground<'_>) -> Vec<Inbound> {
    let Some(subject) = Subject::of(letter, report, ground) else { return Vec::new() };
    let recipients = report.blocks.iter().filter(|block| field(block, "final-recipient").is_some());
    let mut items = Vec::new();
    for block in recipients.take(200) {
        let named = ["original-recipient", "final-recipient"].map(|name| field(block, name).and_then(typed_address));
        let addresses: Vec<String> = named.into_iter().flatten().collect();
        let action = field(block, "action").unwrap_or_default().to_lowercase();
        let role = subject.role(ground, &addresses);
        let error = failure(field(block, "status"), field(block, "diagnostic-code"));
        told(
            &mut items,
            letter,
            ground,
            &subject,
            role,
            &addresses,
            action.split(' ').next().unwrap_or_default(),
            error,
        );
    }
    items
}

/// What one recipient's fate says.
#[expect(clippy::too_many_arguments, reason = "the columns of one row of a report")]
fn told(
    items: &mut Vec<Inbound>,
    letter: &Letter,
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    role: Role,
    addresses: &[String],
    action: &str,
    error: SendError,
) {
    let mine = |address: &String| person(address, None);
    let about = addresses.first().map(mine);
    match (action, role) {
        ("failed", Role::Person) => {
            let state = ReceiptState::Failed(error);
            items.push(Inbound {
                person: about.clone(),
                ..ground.item(items.len(), Item::Receipt { of: subject.receipt_for(), state })
            });
            let item = Item::Opening { what: BOUNCE.to_owned() };
            items.push(Inbound {
                person: about,
                openings: vec![ground.opening(BOUNCE)],
                ..ground.item(items.len(), item)
            });
        }
        ("failed", Role::Blind) => {
            // That somebody in Bcc can't be reached says nothing about the person.
            let error = match error {
                SendError::Unreachable { report } => SendError::ContentRefused { report },
                error => error,
            };
            let item = Item::Receipt { of: subject.receipt_for(), state: ReceiptState::Failed(error) };
            items.push(ground.item(items.len(), item));
        }
        ("failed", Role::Copied) => {
            // The receipt's person says that it is about somebody else than the customer.
            let item = Item::Receipt { of: subject.receipt_for(), state: ReceiptState::Failed(error) };
            items.push(Inbound { person: about, ..ground.item(items.len(), item) });
        }
        ("delivered", Role::Person | Role::Blind) => {
            let item = Item::Receipt { of: subject.receipt_for(), state: ReceiptState::Delivered };
            items.push(Inbound { person: about, ..ground.item(items.len(), item) });
        }
        ("failed" | "delayed", _) => {
            let who = addresses.first().map_or("a reader", String::as_str);
            let what = if action == "failed" { "could not be delivered" } else { "is delayed, and is still tried" };
            items.extend(notice(letter, ground, subject, format!("The mail to {who} {what}: {error}"), items.len()));
        }
        _ => {}
    }
}

/// A line in the conversation, for people.
fn notice(letter: &Letter, ground: &Ground<'_>, subject: &Subject<'_>, text: String, n: usize) -> Option<Inbound> {
    let from = letter.from.as_ref()?;
    let mail = Mail {
        subject: letter.subject.clone(),
        text,
        from: Some(from.address.clone()),
        references: subject.message_id.map(str::to_owned).into_iter().collect(),
        ..Mail::default()
    };
    let mut message =
        InboundMessage::new(ground.provider_id(letter, n), Content { body: Body::Mail(mail), reply_to: None });
    message.automatic = true;
    message.answers = subject.answered();
    subject.message_id.unwrap_or_default().clone_into(&mut message.thread);
    Some(Inbound {
        person: Some(person(&from.address, None)),
        openings: vec![ground.opening(AUTOMATIC_MAIL)],
        ..ground.item(n, Item::Message(message))
    })
}

fn read_receipt(report: &Report, ground: &Ground<'_>) -> Vec<Inbound> {
    let Some(block) = report.blocks.first() else { return Vec::new() };
    let shown = field(block, "disposition").is_some_and(|how| how.to_lowercase().contains("displayed"));
    let id = field(block, "original-message-id").and_then(|id| crate::message_id::read(id).into_iter().next());
    let reader =
        ["original-recipient", "final-recipient"].iter().find_map(|name| field(block, name).and_then(typed_address));
    let among =
        |list: &[String]| reader.as_ref().is_some_and(|one| list.iter().any(|known| known.eq_ignore_ascii_case(one)));
    let by_person = report.about.as_deref().is_none_or(|about| about.to.is_empty() || among(&about.to));
    match id.filter(|id| shown && by_person && is_our_id(id, ground.config)) {
        None => Vec::new(),
        Some(provider_id) => {
            let of = ReceiptFor::Message { provider_id, correlation: None };
            let item = Item::Receipt { of, state: ReceiptState::Read };
            vec![Inbound { person: reader.map(|address| person(&address, None)), ..ground.item(0, item) }]
        }
    }
}

/// A complaint is an opt-out from what nobody asked for.
fn complaint(letter: &Letter, report: &Report, ground: &Ground<'_>) -> Vec<Inbound> {
    let Some(subject) = Subject::of(letter, report, ground) else { return Vec::new() };
    let mut named =
        report.blocks.iter().flatten().filter(|(name, _)| {
            ["original-rcpt-to", "removal-recipient", "original-recipient"].contains(&name.as_str())
        });
    let named = named.find_map(|(_, value)| typed_address(value));
    let reader = named.or_else(|| if let [one] = subject.to { Some(one.clone()) } else { None });
    let item = Item::Standing(Standing::OptedOut(OptOutScope::Marketing));
    reader.map(|address| Inbound { person: Some(person(&address, None)), ..ground.item(0, item) }).into_iter().collect()
}

/// Bounces that follow no standard: from nobody or a server, with the recipients in a header of their own.
fn freely_worded(letter: &Letter, ground: &Ground<'_>) -> Option<Vec<Inbound>> {
    let token = ground.token(letter, Purpose::Bounce);
    let failed: Vec<String> =
        letter.all("x-failed-recipients").flat_map(|list| list.split(',')).filter_map(canonical).collect();
    let is_bounce = token.is_some() || (has_no_return(letter) || is_daemon(letter)) && !failed.is_empty();
    if !is_bounce {
        // A server's mail that tells nothing that we can use.
        return (has_no_return(letter) && is_daemon(letter)).then(Vec::new);
    }
    let report = Report::default();
    let mut items = Vec::new();
    let Some(mut subject) = Subject::of(letter, &report, ground).or_else(|| {
        let about = letter.in_reply_to.iter().chain(&letter.references).find(|id| is_our_id(id, ground.config))?;
        Some(Subject { token: None, message_id: Some(about), to: &[], cc: &[] })
    }) else {
        return Some(items);
    };
    subject.token = subject.token.or(token);
    let error = failure(None, diagnostic_in(&letter.words()).as_deref());
    // An answer of absence that goes to the envelope's sender is none: it names no code.
    let coded = !failed.is_empty() || diagnostic_in(&letter.words()).is_some();
    if !coded {
        return None;
    }
    for address in failed.into_iter().take(200) {
        let addresses = [address];
        let role = subject.role(ground, &addresses);
        told(&mut items, letter, ground, &subject, role, &addresses, "failed", error.clone());
    }
    Some(items)
}

/// The first reply of a server within words for people.
fn diagnostic_in(text: &str) -> Option<String> {
    text.lines().take(500).find_map(|line| {
        line.char_indices().find_map(|(at, _)| {
            let starts = at == 0 || line.get(..at).is_some_and(|before| before.ends_with([' ', ':', ';', '(', '<']));
            let rest = line.get(at..).filter(|rest| starts && rest.starts_with(['4', '5']))?;
            let reply = parse_diagnostic(rest)?;
            (reply.enhanced.is_some()).then(|| rest.to_owned())
        })
    })
}

/// Status and diagnostic code as a server's refusal of a reader.
fn failure(status: Option<&str>, diagnostic: Option<&str>) -> SendError {
    let said = diagnostic
        .map(|text| text.split_once(';').filter(|(kind, _)| !kind.contains(' ')).map_or(text, |(_, rest)| rest));
    let reply = said.and_then(parse_diagnostic).filter(|reply| matches!(reply.code, 400..=599));
    let status = status.and_then(|status| parse_enhanced(status.split_whitespace().next()?));
    let reply = match (reply, status) {
        // The status is what the reporting server made of it; 5.0.0 is what it says when it made nothing of it.
        (Some(reply), Some(Enhanced(_, 0, 0)) | None) => reply,
        (Some(reply), Some(status)) if reply.code / 100 == status.0 => {
            Reply { enhanced: reply.enhanced.or(Some(status)), ..reply }
        }
        (reply, Some(status)) => {
            let lines = reply.map(|reply| reply.lines).unwrap_or_default();
            Reply { code: if status.0 == 4 { 450 } else { 550 }, enhanced: Some(status), lines }
        }
        (None, None) => Reply { code: 550, enhanced: None, lines: vec!["not delivered".to_owned()] },
    };
    error::refusal(Stage::Reader, &reply)
}

fn field<'b>(block: &'b [(String, String)], name: &str) -> Option<&'b str> {
    block.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// `rfc822; ann@example.test`, where the address may be in xtext.
fn typed_address(value: &str) -> Option<String> {
    let (kind, address) = value.split_once(';').unwrap_or(("rfc822", value));
    let is_mail = ["rfc822", "utf-8"].contains(&kind.trim().to_lowercase().as_str());
    let address = address.trim().trim_start_matches('<').trim_end_matches('>');
    is_mail.then(|| canonical(&from_xtext(address))).flatten()
}

/// Undoes `+2B` and the like; a plus sign that begins no code is a plus sign.
fn from_xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('+') {
        out.push_str(before);
        let code = after.get(..2).filter(|code| code.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')));
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|byte| matches!(byte, b'+' | b'=')) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push('+');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}
