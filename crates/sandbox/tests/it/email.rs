//! The mail provider's side: a real SMTP dialogue, with TLS, its own rules and moods; and what customers' letters look like.

use std::sync::Arc;

use crate::common::Bench;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail_parser::MessageParser;
use rstest::rstest;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use transom_sandbox::{
    AccountPatch, Act, Action, Ask, Because, CustomerPatch, Fault, FaultKind, NewCustomer, On, Progress, ReceiptOrder,
};

const SHOP: &str = "support@shop.test";

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A client that says exactly what the test says.
struct Client {
    wire: BufReader<Box<dyn Wire>>,
}

impl Client {
    async fn connect(port: u64) -> Self {
        let tcp: Box<dyn Wire> =
            Box::new(TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap())).await.unwrap());
        let mut client = Self { wire: BufReader::new(tcp) };
        assert!(client.reply().await.starts_with("220 "));
        client
    }

    /// All lines of a reply; empty when the connection is over.
    async fn reply(&mut self) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            if self.wire.read_line(&mut line).await.unwrap_or(0) == 0 {
                return all;
            }
            all.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return all;
            }
        }
    }

    async fn says(&mut self, line: &str) -> String {
        self.wire.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.wire.flush().await.unwrap();
        self.reply().await
    }

    async fn secured(mut self, authority: &str) -> Self {
        assert!(self.says("STARTTLS").await.starts_with("220 "));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost").unwrap();
        let tls: Box<dyn Wire> = Box::new(connector.connect(name, self.wire.into_inner()).await.unwrap());
        Self { wire: BufReader::new(tls) }
    }
}

struct Shop {
    bench: Bench,
    settings: Value,
}

impl Shop {
    async fn open(settings: Value) -> Self {
        let mut all = json!({"mailbox": SHOP, "senders": [SHOP, "sales@shop.test"]});
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let bench = Bench::new().await;
        let settings = bench.account("email", all).settings;
        bench.mara();
        Self { bench, settings }
    }

    async fn signed_in(&self) -> Client {
        let mut client = Client::connect(self.settings["smtp_port"].as_u64().unwrap()).await;
        client.says("EHLO tests.test").await;
        let reply = client.says(&self.credentials()).await;
        assert!(reply.starts_with("235 2.7.0"), "{reply}");
        client
    }

    fn credentials(&self) -> String {
        let (user, password) =
            (self.settings["username"].as_str().unwrap(), self.settings["password"].as_str().unwrap());
        format!("AUTH PLAIN {}", BASE64.encode(format!("\0{user}\0{password}")))
    }

    /// Hands a letter in, and gives the first reply that is no success, or the last one.
    async fn sends(&self, to: &[&str], head: &str, text: &str) -> String {
        let mut client = self.signed_in().await;
        let mut lines = vec!["MAIL FROM:<support+b_token@shop.test> BODY=8BITMIME".to_owned()];
        lines.extend(to.iter().map(|to| format!("RCPT TO:<{to}>")));
        for line in lines {
            let reply = client.says(&line).await;
            if !reply.starts_with('2') {
                return reply;
            }
        }
        assert!(client.says("DATA").await.starts_with("354 "));
        client.says(&format!("{head}\r\n{text}\r\n.")).await
    }

    async fn letter(&self, id: &str, more: &str) -> String {
        self.sends(&["mara@example.test"], &head(id, more), "Hello!").await
    }

    /// The letters that arrived by webhook, as mail programs write them.
    async fn inbound(&self) -> Vec<String> {
        let bodies = self.bench.arrived().await;
        bodies.iter().map(|body| body["RawEmail"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn writes(&self, act: Act) -> String {
        self.bench.control.act(SHOP, "mara", act).unwrap().message_id.unwrap_or_default()
    }

    fn other(&self, kind: &str, data: Value) -> String {
        self.writes(Act::Other { kind: kind.to_owned(), data })
    }

    fn patch(&self, settings: Value) {
        let patch = AccountPatch { settings: Some(settings), ..AccountPatch::default() };
        self.bench.control.patch_account(SHOP, patch).unwrap();
    }

    fn says_it_would(&self) -> (bool, Option<Because>) {
        let verdict = self.bench.control.would_accept(SHOP, "mara", &Ask::free_form()).unwrap();
        (verdict.allowed, verdict.because)
    }
}

fn head(id: &str, more: &str) -> String {
    format!(
        "From: Shop <{SHOP}>\r\nTo: mara@example.test\r\nSubject: Order 7\r\nDate: Sun, 1 Mar 2026 09:00:00 +0000\r\n\
         Message-ID: <{id}@shop.test>\r\nReply-To: support+c_{id}@shop.test\r\n{more}"
    )
}

fn text(text: &str) -> Act {
    Act::Text { text: text.to_owned() }
}

/// A field of a letter's header.
fn field(raw: &str, name: &str) -> String {
    let head = raw.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
    let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{}:", name.to_lowercase())));
    line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned()).unwrap_or_default()
}

fn words(raw: &str) -> String {
    MessageParser::default().parse(raw.as_bytes()).unwrap().body_text(0).unwrap_or_default().into_owned()
}

#[tokio::test]
async fn a_letter_is_taken_over_tls() {
    let shop = Shop::open(json!({"requires_tls": true})).await;
    let mut client = Client::connect(shop.settings["smtp_port"].as_u64().unwrap()).await;
    let greeting = client.says("EHLO tests.test").await;
    for word in
        ["SIZE 26214400", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES", "STARTTLS", "AUTH PLAIN LOGIN", "DSN"]
    {
        assert!(greeting.contains(word), "{greeting}");
    }
    assert!(client.says(&shop.credentials()).await.starts_with("538 5.7.11"));
    let mut client = client.secured(shop.settings["ca_certificate"].as_str().unwrap()).await;
    let greeting = client.says("EHLO tests.test").await;
    assert!(!greeting.contains("STARTTLS"), "{greeting}");
    assert!(client.says("MAIL FROM:<support@shop.test>").await.starts_with("530 5.7.0"));
    assert!(client.says("AUTH LOGIN").await.starts_with("334 VXNlcm5hbWU6"));
    let password = shop.settings["password"].as_str().unwrap();
    assert!(client.says(&BASE64.encode(SHOP)).await.starts_with("334 UGFzc3dvcmQ6"));
    assert!(client.says(&BASE64.encode(password)).await.starts_with("235 "));
    // Several commands at once (RFC 2920), and a line that begins with a dot.
    let replies = client.says("MAIL FROM:<support+b_1@shop.test>\r\nRCPT TO:<mara@example.test>\r\nDATA").await
        + &client.reply().await
        + &client.reply().await;
    assert!(replies.contains("250 2.1.0") && replies.contains("250 2.1.5") && replies.contains("354 "), "{replies}");
    let taken = client.says(&format!("{}\r\n..dot\r\nend\r\n.", head("m1", "Cc: Bob <bob@example.test>\r\n"))).await;
    assert!(taken.starts_with("250 2.0.0 Ok: queued as "), "{taken}");
    assert!(client.says("QUIT").await.starts_with("221 "));

    let ledger = shop.bench.control.ledger();
    let [send] = ledger.as_slice() else { panic!("{ledger:?}") };
    assert_eq!((send.customer.as_str(), send.recipient.as_str()), ("mara", "mara@example.test"));
    assert_eq!((send.text.as_str(), send.provider_ids[0].as_str()), (".dot\nend", "<m1@shop.test>"));
    assert_eq!(send.body["cc"], json!(["Bob <bob@example.test>"]));
    assert_eq!(send.body["envelope"]["from"], "support+b_1@shop.test");
    let screens = shop.bench.control.conversations();
    let entry = &screens[0].entries[0];
    assert_eq!(entry.header.as_deref(), Some("Order 7"));
    assert!(entry.text.contains("Cc Bob <bob@example.test>"), "{}", entry.text);
}

#[tokio::test]
async fn who_is_hidden_gets_a_copy_like_the_others() {
    let shop = Shop::open(json!({})).await;
    shop.bench.control.create_customer(NewCustomer::named("bob", "Bob", "+4915550100002")).unwrap();
    let head = head("m1", "");
    assert!(shop.sends(&["mara@example.test"], &head, "Hi").await.starts_with("250 "));
    assert!(shop.sends(&["bob@example.test", "else@where.test"], &head, "Hi").await.starts_with("250 "));
    let screens = shop.bench.control.conversations();
    let shown: Vec<_> = screens.iter().map(|chat| (chat.customer.as_str(), chat.entries[0].text.as_str())).collect();
    assert_eq!(shown[0].0, "bob");
    assert_eq!(shown[0].1, shown[1].1, "the copy says nothing of its reader");
    assert_eq!(shop.bench.control.ledger()[1].recipient, "bob@example.test, else@where.test");
}

#[rstest]
#[case::unknown(json!({"unknown": ["mara@example.test"]}), "", "550 5.1.1")]
#[case::suppressed(json!({"suppressed": ["Mara@Example.test"]}), "", "550 5.1.1")]
#[case::not_ours(json!({}), "From: eve@shop.test\r\n", "554 5.6.0")]
#[case::too_big(json!({"max_bytes": 100}), "", "552 5.3.4")]
#[case::daily_limit(json!({"daily_limit": 0}), "", "550 5.4.5")]
#[case::too_many(json!({"max_recipients": 0}), "", "452 4.5.3")]
#[tokio::test]
async fn what_the_provider_refuses(#[case] settings: Value, #[case] more: &str, #[case] reply: &str) {
    let shop = Shop::open(settings).await;
    let said = shop.letter("m1", more).await;
    assert!(said.starts_with(reply), "{said}");
    assert!(shop.bench.control.ledger().is_empty() && shop.bench.control.conversations().is_empty());
}

#[tokio::test]
async fn only_verified_senders_write() {
    let shop = Shop::open(json!({})).await;
    let foreign = head("m1", "").replace(SHOP, "boss@shop.test");
    let said = shop.sends(&["mara@example.test"], &foreign, "Hi").await;
    assert!(said.starts_with("550 5.7.1"), "{said}");
    let mut client = shop.signed_in().await;
    assert!(client.says("MAIL FROM:<eve@evil.test>").await.starts_with("550 5.7.1"));
    assert!(client.says("MAIL FROM:<>").await.starts_with("250 "), "reports have no sender");
    assert!(client.says("RCPT TO:<a@b@c>").await.starts_with("501 5.1.3"));
    assert!(client.says("DATA").await.starts_with("503 "));
    let mut client = Client::connect(shop.settings["smtp_port"].as_u64().unwrap()).await;
    client.says("EHLO tests.test").await;
    assert!(client.says(&format!("AUTH PLAIN {}", BASE64.encode("\0a\0b"))).await.starts_with("535 5.7.8"));
}

/// Only CR LF ends a line: what hides a second letter behind a bare line feed is refused with it (SMTP smuggling).
#[tokio::test]
async fn nothing_is_smuggled() {
    let shop = Shop::open(json!({})).await;
    let said = shop.sends(&["mara@example.test"], &head("m1", ""), "Hi\n.\r\nMAIL FROM:<support@shop.test>").await;
    assert!(said.starts_with("554 5.6.0"), "{said}");
    assert!(shop.bench.control.ledger().is_empty());
}

#[rstest]
#[case::lost(FaultKind::LoseAnswer, "", true)]
#[case::dropped(FaultKind::Drop, "", false)]
#[case::closing(FaultKind::Status { status: 421 }, "421 upstream error", false)]
#[case::greylisted(FaultKind::Error { code: 451, detail: Some("4.7.1 greylisted".into()), asynchronous: false }, "451 4.7.1 greylisted", false)]
#[case::short(FaultKind::Error { code: 550_572, detail: None, asynchronous: false }, "550 5.7.2 ", false)]
#[case::fast(FaultKind::RateLimited { retry_after: None }, "450 4.7.1", false)]
#[case::garbage(FaultKind::Garbage, "<html>", true)]
#[case::truncated(FaultKind::Truncated, "250 2.0.0", true)]
#[case::delayed(FaultKind::Delay { ms: 20 }, "250 2.0.0", true)]
#[case::slow(FaultKind::SlowAnswer { ms: 20 }, "250 2.0.0", true)]
#[tokio::test]
async fn its_moods_strike_at_the_final_dot(#[case] fault: FaultKind, #[case] reply: &str, #[case] taken: bool) {
    let shop = Shop::open(json!({})).await;
    shop.bench.control.fault(SHOP, Fault::once(fault.clone())).unwrap();
    let said = shop.letter("m1", "").await;
    assert!(said.starts_with(reply) && said.is_empty() == reply.is_empty(), "{said}");
    assert_eq!(shop.bench.control.ledger().len(), usize::from(taken));
    let told = !matches!(fault, FaultKind::LoseAnswer | FaultKind::Garbage | FaultKind::Truncated);
    assert!(shop.bench.control.ledger().iter().all(|send| send.answered == told));
    assert!(shop.letter("m2", "").await.starts_with("250 "), "once");
}

#[tokio::test]
async fn the_operators_switches_work_here_too() {
    let shop = Shop::open(json!({})).await;
    shop.bench
        .control
        .fault(
            SHOP,
            Fault {
                kind: FaultKind::Error { code: 454, detail: None, asynchronous: false },
                count: Some(1),
                on: On::Any,
            },
        )
        .unwrap();
    let mut client = Client::connect(shop.settings["smtp_port"].as_u64().unwrap()).await;
    client.says("EHLO tests.test").await;
    assert!(client.says(&shop.credentials()).await.starts_with("454 4.0.0"));
    shop.bench.control.accept(false);
    assert!(shop.letter("m1", "").await.starts_with("451 4.3.2"));
    shop.bench.control.accept(true);
    shop.bench.control.refuse_connections(true).await;
    let port = u16::try_from(shop.settings["smtp_port"].as_u64().unwrap()).unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    assert_eq!(client.reply().await, "", "open connections are closed");
    shop.bench.control.refuse_connections(false).await;
    assert!(shop.letter("m1", "").await.starts_with("250 "));
    let calls = shop.bench.control.calls();
    let last: Vec<_> = calls.iter().rev().take(4).map(|call| (call.method.as_str(), call.status)).collect();
    assert_eq!(last, [("DATA", Some(250)), ("RCPT", Some(250)), ("MAIL", Some(250)), ("AUTH", Some(235))]);
}

#[tokio::test]
async fn a_day_has_so_many_recipients() {
    let shop = Shop::open(json!({"daily_limit": 2})).await;
    let to = ["mara@example.test", "bob@example.test", "cy@example.test"];
    assert!(shop.sends(&to, &head("m1", ""), "Hi").await.starts_with("550 5.4.5"));
    assert!(shop.sends(&to[..2], &head("m1", ""), "Hi").await.starts_with("250 "));
    assert_eq!(shop.says_it_would(), (false, Some(Because::Quota)));
    shop.bench.control.advance(Duration::hours(24) - Duration::SECOND);
    assert!(shop.letter("m2", "").await.starts_with("550 5.4.5"));
    shop.bench.control.advance(Duration::SECOND);
    assert_eq!(shop.says_it_would(), (true, None));
    assert!(shop.letter("m2", "").await.starts_with("250 "));
}

#[tokio::test]
async fn a_customer_answers_in_the_thread() {
    let shop = Shop::open(json!({})).await;
    let first = shop.writes(text("Where is my parcel? Grüße"));
    assert!(shop.letter("m1", &format!("In-Reply-To: {first}\r\nReferences: {first}\r\n")).await.starts_with("250 "));
    shop.writes(text("Thank you"));
    let inbound = shop.inbound().await;
    let [asked, answered] = inbound.as_slice() else { panic!("{inbound:?}") };
    assert_eq!((field(asked, "Message-ID"), field(asked, "To")), (first.clone(), SHOP.to_owned()));
    assert_eq!(words(asked), "Where is my parcel? Grüße");
    assert_eq!(field(answered, "To"), "support+c_m1@shop.test");
    assert_eq!(field(answered, "In-Reply-To"), "<m1@shop.test>");
    assert_eq!(field(answered, "References"), format!("{first} <m1@shop.test>"));
    assert!(field(answered, "Subject").ends_with("?="), "{answered}");
    assert_eq!(words(answered), "Thank you\n\nOn Sun, 1 Mar 2026 at 09:00, support+c_m1@shop.test wrote:\n> Hello!\n");
    // Quoting a letter of one's own choice.
    let third =
        shop.bench.control.act(SHOP, "mara", Action::from(text("One more thing")).reply_to(first.clone())).unwrap();
    assert_eq!(field(&shop.inbound().await[0], "In-Reply-To"), first);
    assert!(third.message_id.is_some());
    let lost = shop.bench.control.act(SHOP, "mara", Action::from(text("?")).reply_to("<no@where.test>"));
    assert!(lost.is_err());
}

#[tokio::test]
async fn what_only_mail_has() {
    let shop = Shop::open(json!({})).await;
    shop.letter("m1", "List-Unsubscribe: <https://shop.test/u>, <mailto:support+u_1@shop.test?subject=x>\r\n").await;
    shop.other("auto_reply", json!({}));
    shop.other("list", json!({"subject": "News"}));
    shop.other("third_party", json!({"name": "Bob", "address": "bob@example.test", "text": "I know"}));
    shop.other(
        "mail",
        json!({"subject": "Another matter", "text": "Hi", "html": "<p>Hi</p>", "cc": ["bob@example.test"]}),
    );
    shop.writes(Act::OptOut);
    shop.writes(Act::Block);
    let inbound = shop.inbound().await;
    let [away, list, third, mail, unsubscribe, complaint] = inbound.as_slice() else { panic!("{inbound:?}") };
    assert_eq!((field(away, "Auto-Submitted").as_str(), field(away, "Return-Path").as_str()), ("auto-replied", "<>"));
    assert_eq!(
        (field(away, "Subject").as_str(), field(list, "Precedence").as_str()),
        ("=?utf-8?B?T3V0IG9mIG9mZmljZTogT3JkZXIgNw==?=", "bulk")
    );
    assert!(field(third, "From").ends_with("<bob@example.test>"));
    assert_eq!(
        (field(third, "In-Reply-To").as_str(), field(third, "Cc").as_str()),
        ("<m1@shop.test>", "mara@example.test")
    );
    assert_eq!((field(mail, "In-Reply-To").as_str(), field(mail, "Cc").as_str()), ("", "bob@example.test"));
    assert_eq!(field(unsubscribe, "To"), "support+u_1@shop.test");
    assert!(complaint.contains("report-type=feedback-report") && complaint.contains("Feedback-Type: abuse"));
    assert!(complaint.contains("Message-ID: <m1@shop.test>"), "{complaint}");
}

/// Who unsubscribed gets answers to their own letters, and nothing else.
#[tokio::test]
async fn who_unsubscribed_is_only_answered() {
    let shop = Shop::open(json!({})).await;
    let nowhere = shop.bench.control.act(SHOP, "mara", Act::OptOut);
    assert!(nowhere.is_err(), "no letter says where to");
    assert!(shop.letter("m1", "List-Unsubscribe: <mailto:support+u_1@shop.test>\r\n").await.starts_with("250 "));
    shop.writes(Act::OptOut);
    let said = shop.letter("m2", "").await;
    assert!(said.starts_with("550 5.7.1"), "{said}");
    assert_eq!(shop.says_it_would(), (false, Some(Because::WindowClosed)));
    shop.bench.control.advance(Duration::HOUR);
    let asked = shop.writes(text("One question after all"));
    assert!(shop.letter("m3", "").await.starts_with("550 5.7.1"), "still nothing unasked");
    assert!(shop.letter("m4", &format!("In-Reply-To: {asked}\r\n")).await.starts_with("250 "));
    assert_eq!(shop.says_it_would(), (true, None));
    shop.bench.control.act(SHOP, "mara", Act::OptIn).unwrap();
    assert!(shop.letter("m5", "").await.starts_with("250 "));
}

#[tokio::test]
async fn letters_to_nobody_come_back() {
    let shop = Shop::open(json!({})).await;
    let gone = CustomerPatch { unreachable_on: Some(["email".to_owned()].into()), ..CustomerPatch::default() };
    shop.bench.control.patch_customer("mara", gone).unwrap();
    assert!(shop.letter("m1", "").await.starts_with("250 "), "the provider learns it later");
    let inbound = shop.inbound().await;
    let [report] = inbound.as_slice() else { panic!("{inbound:?}") };
    assert_eq!(
        (field(report, "To").as_str(), field(report, "Return-Path").as_str()),
        ("support+b_token@shop.test", "<>")
    );
    for line in [
        "report-type=delivery-status",
        "Action: failed",
        "Status: 5.1.1",
        "Final-Recipient: rfc822; mara@example.test",
        "Message-ID: <m1@shop.test>",
    ] {
        assert!(report.contains(line), "{line} in {report}");
    }
    assert_eq!(shop.bench.control.ledger()[0].receipt, Progress::Failed);
    assert!(shop.letter("m2", "").await.starts_with("550 5.1.1"), "the provider remembers");
    shop.patch(json!({"suppressed": []}));
    assert!(shop.letter("m3", "").await.starts_with("250 "));
}

#[tokio::test]
async fn reports_of_delivery_come_when_they_are_asked_for() {
    let shop = Shop::open(json!({})).await;
    let mut client = shop.signed_in().await;
    client.says("MAIL FROM:<support+b_1@shop.test> ENVID=env-77").await;
    client.says("RCPT TO:<mara@example.test> NOTIFY=SUCCESS,FAILURE").await;
    client.says("DATA").await;
    client.says(&format!("{}\r\nHi\r\n.", head("m1", ""))).await;
    let report = shop.inbound().await.pop().unwrap();
    assert!(report.contains("Action: delivered") && report.contains("Original-Envelope-Id: env-77"), "{report}");
    shop.letter("m2", "").await;
    assert!(shop.inbound().await.is_empty(), "nobody asked");
    shop.bench.control.receipt(SHOP, &ReceiptOrder::failed("<m2@shop.test>", 522)).unwrap();
    assert!(shop.inbound().await[0].contains("Status: 5.2.2"));
}

#[tokio::test]
async fn postmark_carries_a_password() {
    let shop = Shop::open(json!({"raw": false, "webhook_user": "u", "webhook_password": "p"})).await;
    shop.letter("m1", "").await;
    shop.writes(Act::Media(transom_sandbox::MediaAct {
        media: "image".into(),
        caption: Some("See".into()),
        ..Default::default()
    }));
    shop.bench.settled().await;
    let call = shop.bench.receiver.take().pop().unwrap();
    assert_eq!(call.header("authorization"), format!("Basic {}", BASE64.encode("u:p")));
    let body = call.json();
    assert_eq!(
        (&body["From"], &body["OriginalRecipient"], &body["MailboxHash"]),
        (&json!("mara@example.test"), &json!("support+c_m1@shop.test"), &json!("c_m1"))
    );
    assert_eq!(body["FromFull"]["Name"], "Mara K.");
    assert_eq!(body["Attachments"][0]["ContentType"], "image/jpeg");
    assert!(body.get("RawEmail").is_none());
    let listed = body["Headers"].as_array().unwrap();
    assert!(listed.contains(&json!({"Name": "In-Reply-To", "Value": "<m1@shop.test>"})), "{listed:?}");
}

#[tokio::test]
async fn mailgun_signs_time_and_token() {
    use hmac::{Hmac, KeyInit, Mac};
    let shop = Shop::open(json!({"inbound": "mailgun", "signing_key": "key-example-1", "raw": false})).await;
    shop.writes(text("Hi"));
    shop.patch(json!({"raw": true}));
    shop.writes(text("Hi again"));
    shop.bench.settled().await;
    let calls = shop.bench.receiver.take();
    let forms: Vec<std::collections::BTreeMap<String, String>> =
        calls.iter().map(|call| url::form_urlencoded::parse(&call.body).into_owned().collect()).collect();
    assert_eq!((forms[0]["sender"].as_str(), forms[0]["recipient"].as_str()), ("mara@example.test", SHOP));
    assert_eq!(forms[0]["body-plain"], "Hi");
    assert!(forms[0]["message-headers"].contains("Message-ID") && forms[1]["body-mime"].contains("Message-ID: "));
    assert_eq!(forms[0]["token"].len(), 50);
    let mac = Hmac::<sha2::Sha256>::new_from_slice(b"key-example-1").unwrap();
    let mac = mac.chain_update(format!("{}{}", forms[0]["timestamp"], forms[0]["token"]));
    assert_eq!(forms[0]["signature"], hex::encode(mac.finalize().into_bytes()));
}
