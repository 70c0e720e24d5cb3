//! What mails come to, item by item.

use rstest::rstest;
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::{
    Answered, Inbound, InboundMessage, Item, OptOutScope, RawInbound, ReceiptFor, ReceiptState, SettingValues, Standing,
};
use transom_domain::{Body, Mail, MediaKind, MediaSource, PartId};

use super::{ARRIVED, parse};
use crate::config::Config;
use crate::token::Reader;

const ARRIVAL: OffsetDateTime = datetime!(2025-10-09 09:00 UTC);
const WRITTEN: OffsetDateTime = datetime!(2025-10-09 08:53:20 UTC);
const OURS: &str = "<0192e4a0-7b5a-7c3e-8f00-000000000009@shop.test>";

fn config() -> Config {
    let settings = SettingValues::default()
        .with("mailbox", "support@shop.test")
        .with("aliases", "abc@inbound.provider.test")
        .with("smtp_host", "smtp.shop.test")
        .with("smtp_password", "p")
        .with("token_secret", "a-secret-for-all-our-tokens")
        .with("bounce_address", "bounces@shop.test");
    Config::read(&settings).unwrap()
}

fn part() -> PartId {
    "0192e4a0-7b5a-7c3e-8f00-000000000001".parse().unwrap()
}

fn read(source: &str) -> Vec<Inbound> {
    read_with(&config(), source)
}

fn read_with(config: &Config, source: &str) -> Vec<Inbound> {
    parse(config, &RawInbound::new(source.replace('\n', "\r\n"), ARRIVAL)).unwrap()
}

fn one(source: &str) -> Inbound {
    let [item] = <[Inbound; 1]>::try_from(read(source)).unwrap();
    item
}

fn message(inbound: Inbound) -> (InboundMessage, Mail) {
    let Item::Message(message) = inbound.item else { panic!("{inbound:?}") };
    let Body::Mail(mail) = message.content.body.clone() else { panic!("{message:?}") };
    (message, mail)
}

fn mail(headers: &str, body: &str) -> String {
    let has = |name: &str| headers.lines().any(|line| line.starts_with(name));
    let from = if has("From:") { "" } else { "From: Ann Lee <Ann@Example.TEST>\n" };
    let to = if has("To:") { "" } else { "To: support@shop.test\n" };
    format!(
        "{from}{to}Date: Thu, 9 Oct 2025 08:53:20 +0000\nMessage-ID: <m1@example.test>\nSubject: Order 7\n{headers}\n{body}"
    )
}

#[test]
fn a_mail_is_a_message_with_its_source() {
    let source = mail("Cc: Bob <bob@example.test>, eve@example.test\n", "Where is it?\n-- \nAnn\n");
    let inbound = one(&source);
    assert_eq!((inbound.account.as_str(), inbound.at), ("support@shop.test", WRITTEN));
    assert_eq!(inbound.openings[0].kind, "message");
    let person = inbound.person.clone().unwrap();
    assert_eq!(person.addresses[0].value, "Ann@example.test");
    assert_eq!(person.profile.name.as_deref(), Some("Ann Lee"));
    let (message, mail) = message(inbound);
    assert_eq!((message.provider_id.as_str(), message.thread.as_str()), ("<m1@example.test>", "<m1@example.test>"));
    assert!(!message.automatic && message.answers.is_empty());
    assert_eq!((mail.subject.as_deref(), mail.text.as_str()), (Some("Order 7"), "Where is it?"));
    assert_eq!(mail.to, ["support@shop.test"]);
    assert_eq!(mail.cc, ["bob@example.test", "eve@example.test"]);
    assert!(mail.attachments.is_empty() && mail.html.is_none());
    assert_eq!(mail.source.unwrap().source, MediaSource::Enclosed { index: 0 });
    assert_eq!(message.enclosed[0].bytes, source.replace('\n', "\r\n").as_bytes());
    assert_eq!(message.enclosed[0].mime, "message/rfc822");
}

#[test]
fn an_answer_names_what_it_answers_the_surest_first() {
    let tag = config().tokens.reply(part()).unwrap();
    let headers = format!(
        "To: Shop <Support+{}@shop.test>\nIn-Reply-To: <c@x.test>\nReferences: <a@x.test> <b@x.test>\n",
        tag.to_uppercase()
    );
    let (message, answer) = message_of(&mail(&headers, "Yes"));
    let by_id = |id: &str| Answered::Message(id.to_owned());
    assert_eq!(
        message.answers,
        [Answered::Part(part().to_string()), by_id("<c@x.test>"), by_id("<b@x.test>"), by_id("<a@x.test>")]
    );
    assert_eq!(message.thread, "<a@x.test>");
    assert_eq!(answer.references, ["<a@x.test>", "<b@x.test>", "<c@x.test>"]);
    // A forged token, and one at somebody else's address, are none.
    for to in
        [format!("support+{}@shop.test", tag.replace('a', "b")), format!("support+{tag}@evil.test, support@shop.test")]
    {
        let (message, _) = message_of(&mail(&format!("To: {to}\n"), "Yes"));
        assert!(message.answers.is_empty(), "{to}");
    }
}

fn message_of(source: &str) -> (InboundMessage, Mail) {
    message(one(source))
}

#[test]
fn files_keep_their_bytes_and_lose_their_paths() {
    let body = "--b\nContent-Type: text/plain; charset=utf-8\n\nSee.\n--b\nContent-Type: image/png; name=\"../a.png\"\nContent-Transfer-Encoding: base64\n\
        Content-Disposition: attachment;\n filename=\n \"../a.png\"\n\niVBORw0KGgo=\n--b\nContent-Type: message/rfc822\n\nFrom: x@y.test\nSubject: inner\n\nwords\n--b--\n";
    let (message, mail) =
        message_of(&mail("MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=\n\t\"b\"\n", body));
    assert_eq!(mail.text, "See.");
    let names: Vec<_> =
        mail.attachments.iter().map(|file| (file.file_name.clone().unwrap(), file.kind, file.source.clone())).collect();
    assert_eq!(names[0], ("a.png".to_owned(), MediaKind::Image, MediaSource::Enclosed { index: 0 }));
    assert_eq!(mail.attachments[1].mime.as_deref(), Some("message/rfc822"));
    assert_eq!(&message.enclosed[0].bytes[..], b"\x89PNG\r\n\x1a\n");
    assert!(message.enclosed[1].bytes.starts_with(b"From: x@y.test"), "{}", message.enclosed[1].bytes.escape_ascii());
    assert_eq!((message.enclosed.len(), mail.source.unwrap().source), (3, MediaSource::Enclosed { index: 2 }));
}

#[rstest]
#[case("charset=iso-8859-1", b"Gr\xfc\xdfe", "Grüße")]
#[case("charset=utf-8", "Grüße".as_bytes(), "Grüße")]
#[case("charset=\"no-such-charset\"", "Grüße".as_bytes(), "Grüße")]
#[case("charset=no-such-charset", b"Gr\xfc\xdfe", "Grüße")]
#[case("charset=utf-8", b"Gr\xfc\xdfe", "Grüße")]
#[case("format=flowed", b"\x80 5", "€ 5")]
#[case("charset=iso-2022-jp", b"\x1b$BF|K\\\x1b(B", "日本")]
#[case("charset=windows-1251", b"\xcf\xf0\xe8\xe2\xe5\xf2", "Привет")]
#[case("charset=koi8-r", b"\xf0\xd2\xc9\xd7\xc5\xd4", "Привет")]
fn words_are_read_by_their_charset_or_the_likeliest(#[case] charset: &str, #[case] body: &[u8], #[case] text: &str) {
    let head = mail(&format!("Content-Type: text/plain; {charset}\nContent-Transfer-Encoding: 8bit\n"), "")
        .replace('\n', "\r\n");
    let raw = RawInbound::new([head.as_bytes(), body].concat(), ARRIVAL);
    let (_, mail) = message(parse(&config(), &raw).unwrap().remove(0));
    assert_eq!(mail.text, text);
}

#[test]
fn html_is_shown_without_what_it_loads_runs_or_quotes() {
    let html = "<p onclick=x>Yes <img src=\"https://track.test/1.gif\"><a href=\"https://a.test\">a</a><a href=\"javascript:x\">b</a></p>\
        <script>x</script><style>p{}</style><form action=y><input></form><div class=\"gmail_quote\">old</div>";
    let (_, mail) = message_of(&mail("MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n", html));
    let shown = mail.html.unwrap();
    for word in ["onclick", "img", "track", "javascript", "script", "style", "form", "input", "old"] {
        assert!(!shown.contains(word), "{word} in {shown}");
    }
    assert!(shown.contains("href=\"https://a.test\"") && shown.contains("noopener noreferrer"), "{shown}");
    assert!(mail.text.starts_with("Yes") && !mail.text.contains("old"), "{}", mail.text);
}

#[rstest]
#[case("Auto-Submitted: auto-replied (vacation)")]
#[case("Auto-Submitted: auto-generated")]
#[case("Return-Path: <>")]
#[case("Precedence: bulk")]
#[case("Precedence: auto_reply")]
#[case("List-Id: News <news.example.test>")]
#[case("List-Unsubscribe: <mailto:x@y.test>")]
#[case("X-Autoreply: yes")]
#[case("X-Autorespond: yes")]
#[case("X-Auto-Reply-From: ann@example.test")]
#[case("From: No Reply <noreply@example.test>")]
#[case("From: <do-not-reply+7@example.test>")]
#[case("X-Auto-Response-Suppress: All\nSubject: Out of Office: Order 7")]
fn machines_are_recognised(#[case] mark: &str) {
    let source = mail(&format!("{mark}\n"), "words");
    let source = if mark.contains("Subject:") { source.replacen("Subject: Order 7\n", "", 1) } else { source };
    let inbound = one(&source);
    assert_eq!(
        inbound.openings.iter().map(|opening| opening.kind.as_str()).collect::<Vec<_>>(),
        ["automatic_mail"],
        "{mark}"
    );
    assert!(message(inbound).0.automatic, "{mark}");
}

#[rstest]
#[case("Auto-Submitted: no")]
#[case("X-Auto-Response-Suppress: All")]
#[case("Return-Path: <ann@example.test>")]
#[case("Precedence: first-class")]
fn people_are_not_taken_for_machines(#[case] mark: &str) {
    assert!(!message_of(&mail(&format!("{mark}\n"), "words")).0.automatic, "{mark}");
}

#[test]
fn our_own_mail_is_kept_and_does_nothing() {
    for source in [
        mail("X-Loop: Support@shop.test\n", "x"),
        mail("From: support@shop.test\n", "x"),
        mail("From: Shop <Support@shop.test>\nReply-To: desk@example.test\n", "x").replace("<m1@example.test>", OURS),
    ] {
        assert!(matches!(one(&source).item, Item::Unsupported { from_customer: false, .. }), "{source}");
    }
    // A colleague's program writes UUIDs at the shop's domain, as Thunderbird does; some write the newer ones.
    for id in ["<7c9e6679-7425-40de-944b-e07fc1f90ae7@shop.test>", OURS] {
        let colleague = mail("From: Bob <bob@shop.test>\n", "Where is it?").replace("<m1@example.test>", id);
        assert_eq!(message_of(&colleague).0.provider_id, id);
    }
    // A form on the shop's page writes for its visitor.
    let form = one(&mail("From: Shop <support@shop.test>\nReply-To: Ann <ann@example.test>\n", "x"));
    assert_eq!(form.person.unwrap().addresses[0].value, "ann@example.test");
}

#[test]
fn names_are_believed_where_a_trusted_receiver_checked_them() {
    let settings = SettingValues::default()
        .with("mailbox", "support@shop.test")
        .with("smtp_host", "smtp.shop.test")
        .with("smtp_password", "p")
        .with("authserv_id", "mx.shop.test");
    let config = Config::read(&settings).unwrap();
    let name = |results: &str| read_with(&config, &mail(results, "x")).remove(0).person.unwrap().profile.name;
    assert_eq!(
        name("Authentication-Results: mx.shop.test; dkim=pass; dmarc=pass header.from=example.test\n").as_deref(),
        Some("Ann Lee")
    );
    for results in [
        "",
        "Authentication-Results: mx.shop.test; dmarc=fail\n",
        "Authentication-Results: mx.evil.test; dmarc=pass\n",
        "Authentication-Results: mx.shop.test; dmarc=fail\nAuthentication-Results: mx.shop.test; dmarc=pass\n",
    ] {
        assert_eq!(name(results), None, "{results}");
    }
}

#[test]
fn the_same_mail_has_one_key_and_others_have_others() {
    let key = |source: &str| one(source).event_key;
    let first = key(&mail("", "x"));
    assert_eq!(first, key(&mail("Delivered-To: support@shop.test\n", "x")));
    // Nobody can keep a mail away by sending its id first.
    assert_ne!(first, key(&mail("From: eve@example.test\n", "x")));
    let nameless = |body: &str| mail("", body).replace("Message-ID: <m1@example.test>\n", "");
    assert_ne!(key(&nameless("x")), key(&nameless("y")));
    assert_eq!(key(&nameless("x")), key(&nameless("x")));
    assert!(message_of(&nameless("x")).0.provider_id.ends_with("@shop.test>"));
}

#[test]
fn a_date_is_believed_within_reason() {
    let at = |date: &str| one(&mail("", "x").replace("Thu, 9 Oct 2025 08:53:20 +0000", date)).at;
    assert_eq!(at("Thu, 9 Oct 2025 10:53:20 +0200"), WRITTEN);
    for wrong in ["Thu, 9 Oct 2099 08:53:20 +0000", "Thu, 1 Jan 1970 00:00:00 +0000", "yesterday"] {
        assert_eq!(at(wrong), ARRIVAL, "{wrong}");
    }
    let mut raw = RawInbound::new(mail("", "x").replace('\n', "\r\n"), datetime!(2025-12-01 00:00 UTC));
    raw.headers.push((ARRIVED.to_owned(), "2025-10-09T08:54:00Z".to_owned()));
    assert_eq!(
        parse(&config(), &raw).unwrap()[0].at,
        WRITTEN,
        "what arrived long before it was fetched keeps its time"
    );
}

fn report(to: &str, cc: &str, recipient: &str, action: &str, status: &str, said: &str) -> String {
    let headers = format!(
        "From: MAILER-DAEMON@mx.test\nTo: {to}\nReturn-Path: <>\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n"
    );
    let body = format!(
        "--b\nContent-Type: text/plain\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.test\n\n\
        Final-Recipient: rfc822; {recipient}\nAction: {action}\nStatus: {status}\nDiagnostic-Code: smtp;\n {said}\n\n\
        --b\nContent-Type: message/rfc822\n\nMessage-ID: {OURS}\nTo: ann@example.test\n{cc}Subject: Order 7\n\nwords\n--b--\n"
    );
    mail(&headers, &body)
}

fn receipts(items: &[Inbound]) -> Vec<(ReceiptFor, ReceiptState)> {
    items
        .iter()
        .filter_map(|item| match &item.item {
            Item::Receipt { of, state } => Some((of.clone(), state.clone())),
            _ => None,
        })
        .collect()
}

#[rstest]
#[case("failed", "5.1.1", "550 5.1.1 no such user", "unreachable", true)]
#[case("failed", "5.2.2", "552 5.2.2 mailbox full", "temporary", false)]
#[case("failed", "4.4.7", "451 4.4.7 gave up", "temporary", false)]
#[case("failed", "5.7.1", "550 5.7.1 spam", "content_refused", false)]
#[case("failed", "5.0.0", "550 5.1.1 no such user", "unreachable", true)]
#[case("failed", "5.1.1", "x-unknown; words", "unreachable", true)]
fn a_bounce_is_the_parts_failure(
    #[case] action: &str,
    #[case] status: &str,
    #[case] said: &str,
    #[case] code: &str,
    #[case] bars: bool,
) {
    let tag = config().tokens.bounce(part(), Reader::Person("ann@example.test")).unwrap();
    let items = read(&report(&format!("bounces+{tag}@shop.test"), "", "Ann@example.test", action, status, said));
    let [(of, ReceiptState::Failed(error))] = <[_; 1]>::try_from(receipts(&items)).unwrap() else {
        panic!("{items:?}")
    };
    assert_eq!(of, ReceiptFor::Message { provider_id: OURS.to_owned(), correlation: Some(part().to_string()) });
    assert_eq!((error.code(), error.evidence().is_some()), (code, bars), "{error:?}");
    assert_eq!(items[1].openings[0].kind, "bounce");
    assert_eq!(items[0].person, items[1].person);
    assert_ne!(items[0].event_key, items[1].event_key);
}

#[test]
fn a_bounce_is_known_by_the_headers_that_it_returns() {
    let items = read(&report("support@shop.test", "", "ann@example.test", "failed", "5.1.1", "550 5.1.1 no"));
    assert_eq!(receipts(&items)[0].0, ReceiptFor::Message { provider_id: OURS.to_owned(), correlation: None });
    let delivered = read(&report("support@shop.test", "", "ann@example.test", "delivered", "2.0.0", "250 ok"));
    assert_eq!(receipts(&delivered)[0].1, ReceiptState::Delivered);
    // About another's mail: anybody can write this.
    let foreign =
        report("support@shop.test", "", "ann@example.test", "failed", "5.1.1", "550 no").replace(OURS, "<x@evil.test>");
    assert!(matches!(one(&foreign).item, Item::Unsupported { .. }));
}

#[test]
fn trouble_of_further_readers_is_not_the_persons() {
    let cc = "Cc: bob@example.test\n";
    let tag = config().tokens.bounce(part(), Reader::Person("ann@example.test")).unwrap();
    let items =
        read(&report(&format!("bounces+{tag}@shop.test"), cc, "bob@example.test", "failed", "5.1.1", "550 5.1.1 no"));
    let [only] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!(only.person.as_ref().unwrap().addresses[0].value, "bob@example.test");
    assert!(matches!(only.item, Item::Receipt { .. }) && only.openings.is_empty());
    // Blind: the part fails, and nothing is proved about anybody.
    let tag = config().tokens.bounce(part(), Reader::Blind("eve@example.test")).unwrap();
    let items =
        read(&report(&format!("bounces+{tag}@shop.test"), cc, "eve@example.test", "failed", "5.1.1", "550 5.1.1 no"));
    let [(_, ReceiptState::Failed(error))] = <[_; 1]>::try_from(receipts(&items)).unwrap() else { panic!("{items:?}") };
    assert_eq!((error.evidence(), items.len(), &items[0].person), (None, 1, &None));
    // Who that is, nobody can tell: a line for people.
    let (message, mail) =
        message_of(&report("support@shop.test", cc, "zoe@example.test", "failed", "5.1.1", "550 5.1.1 no"));
    assert!(
        message.automatic
            && message.answers == [Answered::Message(OURS.to_owned())]
            && mail.text.contains("zoe@example.test")
    );
}

#[test]
fn a_delay_is_a_line_for_people() {
    let inbound = one(&report("support@shop.test", "", "ann@example.test", "delayed", "4.4.1", "451 4.4.1 no answer"));
    let (message, mail) = message(inbound);
    assert!(
        message.automatic && mail.text.contains("delayed") && message.answers == [Answered::Message(OURS.to_owned())]
    );
}

#[test]
fn bounces_of_no_standard_are_read_by_their_address() {
    let tag = config().tokens.bounce(part(), Reader::Person("ann@example.test")).unwrap();
    let headers = format!(
        "From: Mailer-Daemon@mx.test\nTo: bounces+{tag}@shop.test\nReturn-Path: <>\nX-Failed-Recipients: ann@example.test\n"
    );
    let items = read(&mail(
        &headers,
        "A message could not be delivered:\n  ann@example.test\n    host mx.test said: 550 5.1.1 no such user\n",
    ));
    let [(of, ReceiptState::Failed(error))] = <[_; 1]>::try_from(receipts(&items)).unwrap() else {
        panic!("{items:?}")
    };
    assert!(matches!(of, ReceiptFor::Message { correlation: Some(id), .. } if id == part().to_string()));
    assert_eq!(error.code(), "unreachable");
    // A server's words that say nothing we can use open no conversation.
    let vague = one(&mail("From: Mailer-Daemon@mx.test\nReturn-Path: <>\n", "Something went wrong."));
    assert!(matches!(vague.item, Item::Unsupported { .. }));
}

#[test]
fn no_more_of_this_is_an_opt_out_from_marketing() {
    let tag = config().tokens.unsubscribe(part(), "ann@example.test").unwrap();
    let inbound = one(&mail(&format!("To: support+{tag}@shop.test\n"), "unsubscribe"));
    assert_eq!(inbound.item, Item::Standing(Standing::OptedOut(OptOutScope::Marketing)));
    assert_eq!(inbound.person.unwrap().addresses[0].value, "Ann@example.test");
    let by_another = one(&mail(&format!("From: eve@example.test\nTo: support+{tag}@shop.test\n"), "unsubscribe"));
    assert!(matches!(by_another.item, Item::Unsupported { .. }));
    let complaint = format!(
        "From: fbl@isp.test\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n\
        --b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nOriginal-Rcpt-To: <ann@example.test>\n\n\
        --b\nContent-Type: message/rfc822\n\nMessage-ID: {OURS}\nTo: ann@example.test\n\nwords\n--b--\n"
    );
    let inbound = one(&format!("To: support@shop.test\nMessage-ID: <f@isp.test>\n{complaint}"));
    assert_eq!(inbound.item, Item::Standing(Standing::OptedOut(OptOutScope::Marketing)));
    assert_eq!(inbound.person.unwrap().addresses[0].value, "ann@example.test");
}

/// The sheet's own example, and with a file.
#[test]
fn mailguns_forms_are_read() {
    let headers = "%5B%5B%22Message-Id%22%2C%22%3Cm1%40example.test%3E%22%5D%2C%5B%22In-Reply-To%22%2C%22%3Cu1.c9%40shop.test%3E%22%5D%5D";
    let form = format!(
        "timestamp=1760000000&token=tttt&signature=7f8d&recipient=support%2Bc_9f%40shop.test&sender=ann%40example.test&from=Ann+%3Cann%40example.test%3E\
        &subject=Re%3A+Order+7&body-plain=Yes%0A%0AOn+1+Jan+2025%2C+Shop+wrote%3A%0A%3E+old&stripped-text=Yes&message-headers={headers}&attachment-count=0"
    );
    let (message, mail) = message_of(&form);
    assert_eq!(
        (message.provider_id.as_str(), mail.text.as_str(), mail.subject.as_deref()),
        ("<m1@example.test>", "Yes", Some("Re: Order 7"))
    );
    assert_eq!(message.answers, [Answered::Message("<u1.c9@shop.test>".to_owned())]);
    assert!(String::from_utf8_lossy(&message.enclosed[0].bytes).contains("> old"), "all of it is kept");

    let part = |head: &str, value: &str| format!("--xx\nContent-Disposition: form-data; {head}\n\n{value}\n");
    let whole = part("name=\"recipient\"", "support@shop.test")
        + &part("name=\"from\"", "ann@example.test")
        + &part("name=\"body-plain\"", "See.")
        + &part("name=\"attachment-1\"; filename=\"a.pdf\"\nContent-Type: application/pdf", "%PDF-1.4")
        + "--xx--\n";
    let (message, mail) = message_of(&whole);
    assert_eq!((mail.text.as_str(), mail.attachments[0].file_name.as_deref()), ("See.", Some("a.pdf")));
    assert_eq!(&message.enclosed[0].bytes[..], b"%PDF-1.4");

    let raw = part("name=\"recipient\"", "support@shop.test")
        + &part("name=\"body-mime\"", &super::tests::mail("", "Whole."))
        + "--xx--\n";
    let (message, mail) = message_of(&raw);
    assert_eq!((message.provider_id.as_str(), mail.text.as_str()), ("<m1@example.test>", "Whole."));
}

#[test]
fn a_form_for_another_mailbox_names_that_one() {
    let form = |recipient: &str| format!("recipient={recipient}&from=ann%40example.test&body-plain=x");
    assert_eq!(one(&form("Sales%2Bx%40shop.test")).account, "sales@shop.test");
    assert_eq!(one(&form("abc%40inbound.provider.test")).account, "support@shop.test");
}
