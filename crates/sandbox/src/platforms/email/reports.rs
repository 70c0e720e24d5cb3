//! What servers report of our letters: not delivered, delivered, complained about.

use time::format_description::well_known::Rfc2822;

use super::account::mailbox;
use super::compose::{Content, Draft};
use super::reply::enhanced;
use super::webhook;
use crate::Problem;
use crate::chats::{ChatKey, Happened, Progress};
use crate::platforms::ReceiptOrder;
use crate::world::World;

/// A letter came back: a delivery status notification (RFC 3464) goes to the envelope's sender.
pub(super) fn bounced(world: &mut World, account: &str, id: &str, address: &str, status: &str) -> Option<u64> {
    let customer = super::submit::customer_at(world, address);
    if let Some(customer) = &customer {
        world.progress(&ChatKey::direct(account, customer), id, Progress::Failed, code(status));
        let at = world.now();
        world.chat_mut(&ChatKey::direct(account, customer)).history.push(Happened { at, kind: "bounce".to_owned() });
    }
    // An address that does not exist is written to once (sheet 1).
    if let (true, Ok(found)) = (status.starts_with("5.1"), mailbox(world, account)) {
        found.settings.suppressed.push(address.to_owned());
    }
    notify(world, account, id, address, "failed", status)
}

/// A server still tries.
pub(super) fn delayed(world: &mut World, account: &str, id: &str, address: &str) -> Option<u64> {
    notify(world, account, id, address, "delayed", "4.4.1")
}

/// A letter arrived; the report goes out if one was asked for.
pub(super) fn arrived(
    world: &mut World,
    account: &str,
    id: &str,
    address: &str,
    customer: Option<&str>,
    wants_report: bool,
) {
    if let Some(customer) = customer {
        world.progress(&ChatKey::direct(account, customer), id, Progress::Delivered, None);
    }
    if wants_report {
        notify(world, account, id, address, "delivered", "2.1.5");
    }
}

/// A report by hand.
pub(super) fn receipt(world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
    let unknown = || Problem::not_found(format!("mailbox `{account}` has sent no letter `{}`", order.message_id));
    let sent = world.ledger.by_provider_id(account, &order.message_id).ok_or_else(unknown)?;
    let address = sent.recipient.split(", ").next().unwrap_or_default().to_owned();
    match order.status {
        Progress::Failed => {
            let status = enhanced(order.code.unwrap_or(511));
            Ok(bounced(world, account, &order.message_id, &address, &status))
        }
        Progress::Delivered => Ok(notify(world, account, &order.message_id, &address, "delivered", "2.1.5")),
        _ => Err(Problem::invalid("mail servers report `delivered` and `failed`")),
    }
}

/// 5.1.1 as 511.
fn code(status: &str) -> Option<i64> {
    status.replace('.', "").parse().ok()
}

fn notify(world: &mut World, account: &str, id: &str, address: &str, action: &str, status: &str) -> Option<u64> {
    let letter = mailbox(world, account).ok()?.letter(id)?.clone();
    // Nobody reports on a letter without a sender.
    if letter.envelope_from.is_empty() {
        return None;
    }
    let now = world.now();
    let (reply, words) = match action {
        "failed" => (format!("{} {status}", if status.starts_with('4') { 450 } else { 550 }), "could not be delivered"),
        "delayed" => ("450".to_owned(), "is still on its way"),
        _ => ("250".to_owned(), "was delivered"),
    };
    let envelope = letter.envelope_id.as_ref().map(|id| format!("Original-Envelope-Id: {id}\r\n")).unwrap_or_default();
    let machine = format!(
        "Reporting-MTA: dns; mx.sandbox.test\r\n{envelope}Arrival-Date: {}\r\n\r\nOriginal-Recipient: rfc822;{address}\r\n\
         Final-Recipient: rfc822; {address}\r\nAction: {action}\r\nStatus: {status}\r\nRemote-MTA: dns; mx2.sandbox.test\r\n\
         Diagnostic-Code: smtp; {reply} {words}\r\n",
        now.format(&Rfc2822).unwrap_or_default()
    );
    let draft = Draft {
        fields: vec![("Auto-Submitted".to_owned(), "auto-replied".to_owned())],
        subject: if action == "failed" { "Undelivered Mail Returned to Sender" } else { "Delivery report" }.to_owned(),
        content: Content::Report {
            kind: "delivery-status",
            words: format!("Your message to {address} {words}."),
            machine: ("message/delivery-status", machine),
            about: letter.head.clone(),
        },
        ..from_the_server(world, &letter.envelope_from)
    };
    webhook::report(world, account, "bounce", &draft).ok().flatten()
}

/// The customer's provider passes on that they called a letter spam (RFC 5965).
pub(super) fn complaint(world: &mut World, account: &str, customer: &str) -> Result<Option<u64>, Problem> {
    let address = world.customer(customer)?.address("email").to_owned();
    let none = || Problem::conflict(format!("customer `{customer}` got no letter to complain about"));
    let letter = mailbox(world, account)?.latest(customer, |letter| letter.ours).ok_or_else(none)?.clone();
    let machine = format!(
        "Feedback-Type: abuse\r\nUser-Agent: Sandbox/1.0\r\nVersion: 1\r\nOriginal-Mail-From: <{}>\r\n\
         Original-Rcpt-To: <{address}>\r\n",
        letter.envelope_from
    );
    let to = mailbox(world, account)?.settings.mailbox.clone();
    let draft = Draft {
        from: ("Feedback loop".to_owned(), "fbl@sandbox.test".to_owned()),
        envelope_from: "fbl@sandbox.test".to_owned(),
        subject: "Email feedback report".to_owned(),
        content: Content::Report {
            kind: "feedback-report",
            words: "This is an email abuse report.".to_owned(),
            machine: ("message/feedback-report", machine),
            about: letter.head.clone(),
        },
        ..from_the_server(world, &to)
    };
    webhook::report(world, account, "complaint", &draft)
}

/// What reports have in common.
fn from_the_server(world: &mut World, to: &str) -> Draft {
    Draft {
        id: format!("<report-{}-{}@mx.sandbox.test>", world.names.seed(), world.names.number()),
        at: world.now(),
        from: ("Mail Delivery System".to_owned(), "MAILER-DAEMON@mx.sandbox.test".to_owned()),
        envelope_from: String::new(),
        to: vec![to.to_owned()],
        cc: Vec::new(),
        recipient: to.to_owned(),
        subject: String::new(),
        answers: None,
        references: Vec::new(),
        fields: Vec::new(),
        content: Content::Words { text: String::new(), html: None, files: Vec::new() },
    }
}
