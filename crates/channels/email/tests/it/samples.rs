//! Mails as they come: from providers, and as they stand in a mailbox.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc2822;
use time::{Duration, OffsetDateTime};
use transom_channel::conformance::Sample;

use crate::world::{ANN, MAILBOX, World};

/// When the samples were written: a while before they arrive, to the second.
pub(crate) fn written(world: &World) -> OffsetDateTime {
    (world.ports.clock.now() - Duration::HOUR).replace_nanosecond(0).unwrap()
}

pub(crate) fn date(at: OffsetDateTime) -> String {
    at.format(&Rfc2822).unwrap()
}

/// A mail's source, of Ann's unless the headers say otherwise.
pub(crate) fn source(id: &str, at: OffsetDateTime, headers: &str, body: &str) -> String {
    let from = if headers.contains("From: ") { String::new() } else { format!("From: Ann Lee <{ANN}>\n") };
    let kind = if headers.contains("Content-Type: ") { "" } else { "Content-Type: text/plain; charset=utf-8\n" };
    let head = format!(
        "Received: from mx.example.test by mx.shop.test; {}\n{from}To: {MAILBOX}\nSubject: Order 7\nDate: {}\nMessage-ID: <{id}@example.test>\nMIME-Version: 1.0\n",
        date(at),
        date(at)
    );
    format!("{head}{kind}{headers}\n{body}").replace('\n', "\r\n")
}

fn postmark(id: &str, at: OffsetDateTime, more: Value) -> String {
    let mut call = json!({"MessageStream": "inbound", "MessageID": format!("a1b2-{id}"), "From": ANN,
        "FromFull": {"Email": ANN, "Name": "Ann Lee", "MailboxHash": ""},
        "ToFull": [{"Email": MAILBOX, "Name": "", "MailboxHash": ""}], "To": MAILBOX, "OriginalRecipient": MAILBOX,
        "Subject": "Re: Order 7", "Date": date(at), "TextBody": "Yes\n\n> old", "HtmlBody": "", "StrippedTextReply": "Yes",
        "Headers": [{"Name": "Message-ID", "Value": format!("<{id}@example.test>")},
                    {"Name": "In-Reply-To", "Value": "<u1.c9@shop.test>"}], "Attachments": []});
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    call.to_string()
}

/// A report on a mail to Ann.
pub(crate) fn bounce(id: &str, at: OffsetDateTime, of: &str, action: &str, status: &str, said: &str) -> String {
    let headers = "From: Mail Delivery <MAILER-DAEMON@mx.example.test>\nReturn-Path: <>\nAuto-Submitted: auto-replied\n\
        Content-Type: multipart/report; report-type=delivery-status; boundary=\"b0\"\n";
    let body = format!(
        "--b0\nContent-Type: text/plain\n\nIt could not be delivered.\n--b0\nContent-Type: message/delivery-status\n\n\
        Reporting-MTA: dns; mx.example.test\n\nOriginal-Recipient: rfc822;{ANN}\nFinal-Recipient: rfc822; {ANN}\nAction: {action}\n\
        Status: {status}\nDiagnostic-Code: smtp; {said}\n\n--b0\nContent-Type: text/rfc822-headers\n\nMessage-ID: {of}\nTo: {ANN}\n\
        Subject: Order 7\n\n--b0--\n"
    );
    source(id, at, headers, &body)
}

/// One of each kind, no two of them the same event.
pub(crate) fn events(world: &World) -> Vec<Sample> {
    let at = written(world);
    let ours = "<0192e4a0-7b5a-7c3e-8f00-000000000001@shop.test>";
    let file = json!([{"Name": "a.png", "Content": "iVBORw0KGgo=", "ContentType": "image/png", "ContentLength": 8, "ContentID": ""}]);
    let mailgun = format!(
        "timestamp=1760000000&token={}&signature=00&recipient=support%40shop.test&sender=ann%40example.test&from=Ann+%3Cann%40example.test%3E\
        &subject=Re%3A+Order+7&Date={}&body-plain=Yes%0A%0AOn+1+Jan+2026%2C+Shop+wrote%3A%0A%3E+old&Message-Id=%3Cg1%40example.test%3E",
        "t".repeat(50),
        date(at).replace('+', "%2B").replace(' ', "+").replace(':', "%3A"),
    );
    let mixed = "Content-Type: multipart/mixed; boundary=x1\n";
    let parts = "--x1\nContent-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n<p>Gr=FC=DFe</p>\n--x1\n\
        Content-Type: application/pdf;\n name*=utf-8''na%C3%AFve.pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0xLjQK\n--x1--\n";
    let read = "Content-Type: multipart/report; report-type=disposition-notification; boundary=b0\n";
    let disposition = format!(
        "--b0\nContent-Type: text/plain\n\nRead.\n--b0\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822;{ANN}\n\
        Original-Message-ID: {ours}\nDisposition: manual-action/MDN-sent-manually; displayed\n\n--b0--\n"
    );
    let complaint =
        "From: <fbl@isp.example>\nContent-Type: multipart/report; report-type=feedback-report; boundary=b0\n";
    let feedback = format!(
        "--b0\nContent-Type: text/plain\n\nA complaint.\n--b0\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n\
        Original-Rcpt-To: {ANN}\n\n--b0\nContent-Type: message/rfc822\n\nMessage-ID: {ours}\nTo: {ANN}\nSubject: Order 7\n\nwords\n--b0--\n"
    );
    vec![
        Sample::at("a mail by Postmark", at, postmark("p1", at, json!({}))),
        Sample::at("a mail with a file by Postmark", at, postmark("p2", at, json!({"Attachments": file}))),
        Sample::at(
            "a mail whole by Postmark",
            at,
            postmark("p3", at, json!({"RawEmail": source("p3", at, "", "Hello")})),
        ),
        Sample::at("a mail by Mailgun", at, mailgun),
        Sample::at("a mail", at, source("m1", at, "", "Where is it?\n")),
        Sample::at(
            "an answer",
            at,
            source("m2", at, &format!("In-Reply-To: {ours}\nReferences: <r@x.test> {ours}\n"), "Yes\n"),
        ),
        Sample::at("a mail of parts", at, source("m3", at, mixed, parts)),
        Sample::at("an answer of absence", at, source("m4", at, "Auto-Submitted: auto-replied\n", "I am away.\n")),
        Sample::at("a list's mail", at, source("m5", at, "List-Id: <news.example.test>\n", "News.\n")),
        Sample::at("our own mail", at, source("m6", at, &format!("X-Loop: {MAILBOX}\n"), "Hello\n")),
        Sample::at("a bounce", at, bounce("m7", at, ours, "failed", "5.1.1", "550 5.1.1 no such user")),
        Sample::at("a delay", at, bounce("m8", at, ours, "delayed", "4.4.1", "451 4.4.1 no answer")),
        Sample::at("a delivery", at, bounce("m9", at, ours, "delivered", "2.0.0", "250 ok")),
        Sample::at("a receipt of reading", at, source("m10", at, read, &disposition)),
        Sample::at("a complaint", at, source("m11", at, complaint, &feedback)),
    ]
}

/// What no provider sends yet.
pub(crate) fn unknown() -> Vec<Sample> {
    vec![
        Sample::timeless("a record of tomorrow", json!({"RecordType": "TimeTravel", "To": 1}).to_string()),
        Sample::timeless("a mail without a sender", json!({"MessageID": "a", "Subject": "x"}).to_string()),
        Sample::timeless("a form of tomorrow", "event=hologram&token=1"),
        Sample::timeless(
            "a mail from nobody",
            "Date: Thu, 9 Oct 2025 08:53:20 +0000\r\nSubject: hello\r\n\r\nwords\r\n",
        ),
    ]
}
