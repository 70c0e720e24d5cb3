//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use transom_channel::conformance::chance;
use transom_channel::{Channel, Item, Platform, Ports, RawInbound, SettingValues};
use transom_domain::Body;
use transom_email::Email;

use crate::world::{MAILBOX, TOKEN_SECRET};

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("mailbox", MAILBOX)
        .with("smtp_host", "smtp.shop.test")
        .with("smtp_password", "p")
        .with("token_secret", TOKEN_SECRET);
    Email.connect(&settings, &Ports::system().unwrap()).unwrap()
});

/// Words and lines that parsers look for, so that chance finds their corners.
const PIECES: &[&str] = &[
    "From: ann@example.test",
    "From: =?utf-8?q?=C3=A9?= <a@b.test>",
    "To: support@shop.test",
    "Cc: x@y.test, ",
    "Subject: =?utf-8?b?w6k=?=",
    "Message-ID: <m@example.test>",
    "In-Reply-To: <a@b>",
    "References: <a@b> <c@d>",
    "Date: Thu, 9 Oct 2025 08:53:20 +0000",
    "MIME-Version: 1.0",
    "Content-Type: text/plain",
    "Content-Type: text/html; charset=iso-2022-jp",
    "Content-Type: text/plain; charset=utf-16",
    "Content-Type: multipart/mixed; boundary=b",
    "Content-Type: multipart/alternative;\r\n boundary=\r\n\t\"b\"",
    "Content-Type: multipart/digest; boundary=b",
    "Content-Type: message/rfc822",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
    "Content-Type: message/delivery-status",
    "Content-Type: text/rfc822-headers",
    "Content-Transfer-Encoding: base64",
    "Content-Transfer-Encoding: quoted-printable",
    "Content-Disposition: attachment; filename*=utf-8''a%2e",
    "Content-Disposition: inline; filename=\"",
    "Return-Path: <>",
    "Auto-Submitted: auto-replied",
    "X-Failed-Recipients: a@b.test",
    "Final-Recipient: rfc822; a@b.test",
    "Action: failed",
    "Status: 5.1.1",
    "Diagnostic-Code: smtp; 550 5.1.1 no",
    "Reply-To: z@z.test",
    "--b",
    "--b--",
    "",
    "",
    " folded",
    "=",
    "=3D",
    "SGVsbG8=",
    "> quoted",
    "On 9 Oct 2025, a@b wrote:",
    "-- ",
    "<blockquote type=cite>",
    "</div",
    "<div class=gmail_quote>",
    "\u{0}",
    "\u{ff}",
    "=E9",
    "From: ",
];

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        12 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..30),
    ];
    let end = prop::sample::select(vec![&b"\r\n"[..], b"\r\n", b"\n", b"\r"]);
    prop::collection::vec((piece, end), 0..40)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line, end.to_vec()].concat()).collect())
}

/// What can be read is not of the future, hides nothing, and what it encloses is there.
fn survives(body: Vec<u8>) -> Result<(), TestCaseError> {
    let items = chance::read(&**CHANNEL, body)?;
    for item in items.into_iter().flatten() {
        prop_assert!(item.at <= chance::RECEIVED, "{}", item.at);
        if let Item::Message(message) = item.item {
            let Body::Mail(mail) = message.content.body else { panic!("no letter") };
            let shown = format!("{} {} {:?}", mail.text, mail.html.clone().unwrap_or_default(), mail.subject);
            prop_assert!(!shown.contains('\0'));
            if !message.enclosed.is_empty() {
                prop_assert_eq!(message.enclosed.len(), mail.attachments.len() + 1);
            }
            let html = mail.html.unwrap_or_default().to_lowercase();
            prop_assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<form"), "{}", html);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_bytes(body in chance::bytes()) {
        survives(body)?;
    }

    #[test]
    fn any_mail(body in lines()) {
        survives(body)?;
    }

    #[test]
    fn any_report(body in lines()) {
        let head = b"From: MAILER-DAEMON@mx.test\r\nTo: support@shop.test\r\nMessage-ID: <r@mx.test>\r\nReturn-Path: <>\r\n\
            Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n";
        survives([&head[..], &body].concat())?;
    }

    #[test]
    fn any_html(tags in prop::collection::vec(prop::sample::select(vec!["<div class=gmail_quote>", "<div>", "</div>", "<script>alert(1)</script>",
        "<img src=x onerror=y>", "<svg><script>", "<style>@import 'x'</style>", "<math><mtext><img>", "<form action=z>", "<a href='javascript:x'>", "<", "\"",
        "words ", "<!--", "-->", "<p style='background:url(http://t.test)'>", "<blockquote type=\"cite\">", "</blockquote>", "<noscript><p title='</noscript><img src=x>'>"]), 0..25)) {
        let head = "From: ann@example.test\r\nTo: support@shop.test\r\nContent-Type: text/html; charset=utf-8\r\n\r\n";
        survives([head.as_bytes(), tags.concat().as_bytes()].concat())?;
    }
}

/// What is nested deeper than anybody nests costs no stack, and what has more parts than anybody sends no time.
#[test]
fn hostile_shapes_are_read_in_bounded_space() {
    let head = "From: ann@example.test\r\nTo: support@shop.test\r\nMIME-Version: 1.0\r\n";
    let nested = head.to_owned() + &"Content-Type: message/rfc822\r\n\r\n".repeat(50_000) + "end";
    let digests =
        head.to_owned() + &"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n".repeat(400) + "end";
    let many = head.to_owned()
        + "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + &"--b\r\n\r\nx\r\n".repeat(50_000)
        + "--b--";
    let encoded = {
        use base64::Engine as _;
        let inner = "Content-Type: message/rfc822\r\n\r\n".repeat(50_000);
        let inner = base64::engine::general_purpose::STANDARD.encode(inner);
        format!("{head}Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{inner}")
    };
    let plain = |text: String| format!("{head}Content-Type: text/plain\r\n\r\n{text}");
    let html = |text: String| format!("{head}Content-Type: text/html\r\n\r\n{text}");
    let quotes = plain(">\r\n".repeat(300_000) + "mine");
    let introduced = plain("On 1 Jan 2025, a@b.test wrote:\r\n>\r\n".repeat(20_000) + "mine");
    let blanks = plain("From: a\r\n".to_owned() + &"\r\n".repeat(400_000) + "mine");
    let open = html("<a ".repeat(600_000));
    let quoted = html("<a \"".repeat(400_000));
    let equals = plain("=".repeat(2_000_000));
    for mail in [nested, digests, many, encoded, quotes, introduced, blanks, open, quoted, equals] {
        let items = CHANNEL.parse(&RawInbound::new(mail.into_bytes(), chance::RECEIVED)).unwrap();
        assert_eq!(items.len(), 1);
    }
}
