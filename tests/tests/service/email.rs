//! Email against Debian's servers: Exim takes what Transom sends and what customers answer, Dovecot holds the mailbox.
//!
//! Where the servers are not installed this says so and passes; `CI=true` or `TRANSOM_REQUIRE_MAIL=1` make it fail.

use std::collections::BTreeMap;
use std::time::Duration as Pause;

use secrecy::SecretString;
use serde_json::{Value, json};
use time::Duration;
use tokio::time::Instant;
use transom_desk::channels::{self, ChannelPatch, NewChannel};
use transom_domain::{ChannelAccount, SettableClock};
use transom_storage::ConversationQuery;
use transom_storage::test_support::TestDatabase;
use transom_tests::mail::{Delivered, MailServers};
use transom_tests::{Stage, Trouble};

const ANN: &str = "ann@example.test";

/// How the servers are spoken to.
#[derive(Clone, Copy, PartialEq)]
enum Security {
    Tls,
    StartTls,
}

struct Scene {
    stage: Stage,
    servers: MailServers,
    ours: ChannelAccount,
}

/// The mailbox's settings.
fn settings(servers: &MailServers, security: Security) -> BTreeMap<String, SecretString> {
    let (word, smtp, imap) = match security {
        Security::Tls => ("tls", servers.smtps_port, servers.imaps_port),
        Security::StartTls => ("starttls", servers.smtp_port, servers.imap_port),
    };
    let (smtp, imap) = (smtp.to_string(), imap.to_string());
    let senders = json!([
        { "address": MailServers::SHOP, "name": "Shop, Köln", "default": true },
        { "address": "sales@shop.test", "name": "Sales" },
    ]);
    let all = [
        ("mailbox", MailServers::SHOP),
        ("senders", &senders.to_string()),
        ("bounce_address", "bounces@shop.test"),
        ("smtp_host", "127.0.0.1"),
        ("smtp_port", &smtp),
        ("smtp_security", word),
        ("smtp_user", "support"),
        ("smtp_password", servers.password()),
        ("imap_host", "localhost"),
        ("imap_port", &imap),
        ("imap_security", word),
        ("ca_certificate", &servers.authority),
        ("token_secret", "a secret of the tests that is long enough"),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), SecretString::from(value.to_owned()))).collect()
}

fn channel(settings: BTreeMap<String, SecretString>) -> NewChannel {
    NewChannel { platform: "email".to_owned(), name: "Mail".to_owned(), settings, check: true, ..NewChannel::default() }
}

impl Scene {
    /// A mailbox, connected; `None` where there are no servers.
    async fn set(security: Security) -> Option<Self> {
        let servers = MailServers::start().await.unwrap()?;
        let stage = Stage::set(TestDatabase::sqlite(), SettableClock::running()).await.unwrap();
        let new = channel(settings(&servers, security));
        let ours = channels::connect(stage.world.desk(), &stage.world.caller, new, None).await.unwrap().account;
        let scene = Self { stage, servers, ours };
        scene.until_watched().await;
        Some(scene)
    }

    /// What lies in a mailbox when it is first looked at is history: from here on letters are fetched.
    async fn until_watched(&self) {
        let world = &self.stage.world;
        let look = || async {
            let reader = world.desk().storage().reader(&world.caller.scope);
            Ok(reader.pull_cursor(self.ours.id).await.map_err(Trouble::new)?.map(|_| ()))
        };
        world.until("the mailbox is watched", look).await.unwrap();
    }

    /// An agent begins a thread.
    async fn writes_to(&self, address: &str, mut message: Value) -> Value {
        let contact = json!({ "display_name": "Somebody", "email": address });
        let contact = self.stage.api.post("/contacts", contact).await.unwrap().expect(201).unwrap();
        let path = format!("/contacts/{}/messages", contact.text("/id").unwrap());
        message["type"] = json!("reply");
        let body = json!({ "channel": self.ours.id, "message": message });
        self.stage.api.post(&path, body).await.unwrap().expect(202).unwrap().body
    }

    /// A message, once it is in one of the states.
    async fn until_state(&self, message: &Value, states: &[&str]) -> Value {
        let path = format!("/messages/{}", message["id"].as_str().unwrap());
        let what = format!("the message is {}", states.join(" or "));
        let look = || async {
            let now = self.stage.api.get(&path).await?.expect(200)?.body;
            Ok(Some(now).filter(|now| now["state"].as_str().is_some_and(|state| states.contains(&state))))
        };
        self.stage.world.until(&what, look).await.unwrap()
    }

    /// Everything that was received, as `(conversation, text)`.
    async fn received(&self) -> Result<Vec<(String, String)>, Trouble> {
        let world = &self.stage.world;
        let reader = world.desk().storage().reader(&world.caller.scope);
        let query =
            ConversationQuery { accounts: vec![self.ours.id], limit: 50, ..ConversationQuery::new(world.now()) };
        let mut all = Vec::new();
        for stored in reader.conversations(&query).await.map_err(Trouble::new)? {
            let id = stored.conversation.id.to_string();
            let page = self.stage.api.get(&format!("/conversations/{id}/messages?limit=100")).await?.expect(200)?.body;
            for item in page["items"].as_array().into_iter().flatten().filter(|item| item["direction"] == "inbound") {
                let text = item.pointer("/content/text").and_then(Value::as_str).unwrap_or_default().to_owned();
                all.push((item["created_at"].as_str().unwrap_or_default().to_owned(), id.clone(), text));
            }
        }
        all.sort();
        Ok(all.into_iter().map(|(_, conversation, text)| (conversation, text)).collect())
    }

    async fn until_received(&self, count: usize) -> Vec<(String, String)> {
        let look = || async { Ok(Some(self.received().await?).filter(|all| all.len() >= count)) };
        self.stage.world.until(&format!("{count} letters were fetched"), look).await.unwrap()
    }

    async fn texts(&self, count: usize) -> Vec<String> {
        let mut texts: Vec<String> = self.until_received(count).await.into_iter().map(|(_, text)| text).collect();
        texts.sort();
        texts
    }

    /// Ann writes a letter of her own.
    async fn ann_writes(&self, id: &str, text: &str) {
        let letter = letter(id, MailServers::SHOP, "A question", text, "");
        self.servers.receives(ANN, MailServers::SHOP, &letter).await.unwrap();
    }

    /// Waits until the mailbox holds so many letters, all of them marked as read.
    async fn until_marked(&self, count: usize) {
        let look = || async {
            let letters = self.servers.mailbox("support")?;
            Ok((letters.len() == count && letters.iter().all(|letter| letter.seen)).then_some(()))
        };
        self.stage.world.until("the letters are marked as read", look).await.unwrap();
    }

    async fn change(&self, name: &str, value: &str) {
        let settings = BTreeMap::from([(name.to_owned(), SecretString::from(value.to_owned()))]);
        let patch = ChannelPatch { settings, ..ChannelPatch::default() };
        channels::change(self.stage.world.desk(), &self.stage.world.caller, self.ours.id, patch).await.unwrap();
    }
}

fn letter(id: &str, to: &str, subject: &str, text: &str, more: &str) -> String {
    format!(
        "From: Ann <{ANN}>\nTo: {to}\nSubject: {subject}\nDate: Sat, 21 Nov 2026 09:00:00 +0000\nMessage-ID: <{id}@example.test>\n\
         {more}MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n{text}\n"
    )
}

/// What everybody got is one letter, in which no one stands who was hidden.
async fn a_letter_arrives(security: Security) {
    let Some(scene) = Scene::set(security).await else { return };
    let message = json!({ "subject": "Ihre Bestellung – Größe 42", "text": "It left today.\n.\nBye", "from": "sales@shop.test",
        "cc": ["bob@example.test"], "bcc": ["audit@example.test"] });
    let sent = scene.writes_to(ANN, message).await;
    scene.until_state(&sent, &["sent"]).await;
    let ann = scene.servers.delivered("ann", 1).await.unwrap().remove(0);
    let bob = scene.servers.delivered("bob", 1).await.unwrap().remove(0);
    let audit = scene.servers.delivered("audit", 1).await.unwrap().remove(0);
    for (copy, is_theirs) in [(&ann, false), (&bob, false), (&audit, true)] {
        assert_eq!(copy.field("Bcc"), None);
        let head = copy.raw.split("\n\n").next().unwrap();
        let (trace, rest) = head.split_at(head.find("\nDate:").unwrap());
        assert!(!rest.contains("audit"), "{head}");
        assert_eq!(rest, ann.raw.split("\n\n").next().unwrap().split_at(ann.raw.find("\nDate:").unwrap()).1);
        assert_eq!(trace.contains("audit@example.test"), is_theirs, "only their own copy names them: {head}");
        assert_eq!(copy.field("Message-ID"), ann.field("Message-ID"));
        assert_eq!(copy.field("To").as_deref(), Some(ANN));
        assert_eq!(copy.field("Cc").as_deref(), Some("bob@example.test"));
    }
    assert!(ann.field("Message-ID").unwrap().ends_with("@shop.test>"));
    assert_eq!(ann.field("From").as_deref(), Some("Ada <sales@shop.test>"));
    assert!(ann.field("Reply-To").unwrap().starts_with("sales+c_"), "{:?}", ann.field("Reply-To"));
    assert!(ann.field("Return-path").unwrap().starts_with("<bounces+b_"), "{:?}", ann.field("Return-path"));
    assert!(ann.field("Received").unwrap().contains("esmtpsa"), "TLS and signed in: {:?}", ann.field("Received"));
    assert_eq!((ann.field("References"), ann.field("Auto-Submitted")), (None, None));
    assert!(ann.raw.contains("It left today.\n.\nBye"), "{}", ann.raw);
    let shown = scene.until_state(&sent, &["sent"]).await;
    assert_eq!(shown.pointer("/content/bcc"), Some(&json!(["audit@example.test"])), "{shown}");
    scene.stage.strike().await;
}

#[tokio::test]
async fn a_letter_arrives_by_starttls() {
    a_letter_arrives(Security::StartTls).await;
}

#[tokio::test]
async fn a_letter_arrives_by_tls() {
    a_letter_arrives(Security::Tls).await;
}

/// Where the account says so, a copy of what was sent lies in the mailbox, once, as read; none of it is fetched.
#[tokio::test]
async fn a_copy_of_what_was_sent_is_kept() {
    let Some(scene) = Scene::set(Security::Tls).await else { return };
    scene.change("imap_sent_folder", "Sent").await;
    let letters = [(ANN, "It left today."), ("bob@example.test", "It arrives tomorrow.")];
    for (count, (to, text)) in (1..).zip(letters) {
        let message = json!({ "subject": "Order 7", "text": text, "bcc": ["audit@example.test"] });
        let sent = scene.writes_to(to, message).await;
        scene.until_state(&sent, &["sent"]).await;
        let copies = scene.servers.delivered("support/.Sent", count).await.unwrap();
        let copy = copies.iter().find(|copy| copy.raw.contains(text)).unwrap();
        assert!(copy.seen && copy.field("Bcc").is_none(), "{}", copy.raw);
    }
    scene.servers.delivered("audit", 2).await.unwrap();
    // What comes in is fetched as before, and only that.
    scene.ann_writes("first", "Thank you").await;
    assert_eq!(scene.texts(1).await, ["Thank you"]);
    assert_eq!(scene.servers.mailbox("support/.Sent").unwrap().len(), 2);
    scene.stage.strike().await;
}

/// An answer is there within seconds, in the thread, and is marked only once it is stored.
#[tokio::test]
async fn an_answer_comes_back_in_its_thread() {
    let Some(scene) = Scene::set(Security::Tls).await else { return };
    let sent = scene.writes_to(ANN, json!({ "subject": "Order 7", "text": "Did it arrive?" })).await;
    let ours: Delivered = scene.servers.delivered("ann", 1).await.unwrap().remove(0);
    let (id, reply_to) = (ours.field("Message-ID").unwrap(), ours.field("Reply-To").unwrap());
    // So the mailbox is open and waited at.
    scene.ann_writes("first", "Hello, a letter of my own").await;
    scene.until_received(1).await;

    let written = Instant::now();
    let more = format!("In-Reply-To: {id}\nReferences: {id}\n");
    let quoted = "Yes, thank you.\n\nOn Sat, 21 Nov 2026 at 09:00, Shop <support@shop.test> wrote:\n> Did it arrive?";
    let answer = letter("answer", &reply_to, "Re: Order 7", quoted, &more);
    scene.servers.receives(ANN, &reply_to, &answer).await.unwrap();
    let all = scene.until_received(2).await;
    assert!(written.elapsed() < Pause::from_secs(5), "it took {:?}", written.elapsed());
    let thread = sent["conversation"].as_str().unwrap().to_owned();
    let in_thread = |all: &[(String, String)], text: &str| all.contains(&(thread.clone(), text.to_owned()));
    assert!(in_thread(&all, "Yes, thank you."), "{all:?}");
    assert!(!in_thread(&all, "Hello, a letter of my own"), "{all:?}");
    scene.until_marked(2).await;

    // Without any header the address alone leads back.
    scene.servers.receives(ANN, &reply_to, &letter("bare", &reply_to, "no thread", "Me again", "")).await.unwrap();
    let all = scene.until_received(3).await;
    assert!(in_thread(&all, "Me again"), "{all:?}");

    // And ours names the whole thread.
    let path = format!("/conversations/{thread}/messages");
    let body = json!({ "type": "reply", "text": "You are welcome." });
    scene.stage.api.post(&path, body).await.unwrap().expect(202).unwrap();
    let ours = scene.servers.delivered("ann", 2).await.unwrap().remove(1);
    let references = ours.field("References").unwrap();
    assert!(references.ends_with("<bare@example.test>"), "{references}");
    assert_eq!(ours.field("In-Reply-To").as_deref(), Some("<bare@example.test>"));
    scene.stage.strike().await;
}

/// As long as nothing can be committed, nothing is marked.
#[tokio::test]
async fn nothing_is_marked_before_it_is_stored() {
    let Some(scene) = Scene::set(Security::Tls).await else { return };
    scene.ann_writes("first", "So the mailbox is open").await;
    scene.until_marked(1).await;
    let (held, release) =
        (std::sync::Arc::new(tokio::sync::Notify::new()), std::sync::Arc::new(tokio::sync::Notify::new()));
    let blocker = {
        let (held, release) = (held.clone(), release.clone());
        let (storage, scope) = (scene.stage.world.desk().storage().clone(), scene.stage.world.caller.scope.clone());
        tokio::spawn(async move {
            let done: Result<(), transom_storage::StorageError> = storage
                .transact(&scope, move |_| {
                    let (held, release) = (held.clone(), release.clone());
                    Box::pin(async move {
                        held.notify_one();
                        release.notified().await;
                        Ok(())
                    })
                })
                .await;
            done.unwrap();
        })
    };
    held.notified().await;
    scene.ann_writes("second", "While nothing can be stored").await;
    scene.servers.delivered("support", 2).await.unwrap();
    let until = Instant::now() + Pause::from_secs(3);
    while Instant::now() < until {
        let unseen = scene.servers.mailbox("support").unwrap().iter().filter(|letter| !letter.seen).count();
        assert_eq!(unseen, 1, "marked before it was stored");
        tokio::time::sleep(Pause::from_millis(20)).await;
    }
    release.notify_one();
    blocker.await.unwrap();
    scene.until_marked(2).await;
    assert_eq!(scene.texts(2).await.len(), 2);
    scene.stage.strike().await;
}

#[tokio::test]
async fn a_restart_of_the_server_loses_nothing() {
    let Some(mut scene) = Scene::set(Security::StartTls).await else { return };
    scene.ann_writes("1", "one").await;
    scene.until_received(1).await;
    scene.servers.kill_imap().await.unwrap();
    for text in ["two", "three", "four"] {
        scene.ann_writes(text, text).await;
    }
    scene.servers.delivered("support", 4).await.unwrap();
    scene.servers.start_imap().await.unwrap();
    scene.ann_writes("5", "five").await;
    assert_eq!(scene.texts(5).await, ["five", "four", "one", "three", "two"]);
    scene.until_marked(5).await;
    assert_eq!(scene.received().await.unwrap().len(), 5, "and each once");
    scene.stage.strike().await;
}

/// Another UIDVALIDITY (RFC 9051 section 2.3.1.1): everything is looked at again, and nothing comes twice.
#[tokio::test]
async fn a_mailbox_that_is_numbered_anew_repeats_nothing() {
    let Some(mut scene) = Scene::set(Security::Tls).await else { return };
    scene.ann_writes("1", "one").await;
    scene.ann_writes("2", "two").await;
    scene.until_received(2).await;
    scene.until_marked(2).await;
    scene.servers.kill_imap().await.unwrap();
    scene.servers.renumber("support").unwrap();
    scene.ann_writes("3", "three").await;
    scene.servers.start_imap().await.unwrap();
    assert_eq!(scene.texts(3).await, ["one", "three", "two"]);
    scene.ann_writes("4", "four").await;
    assert_eq!(scene.texts(4).await, ["four", "one", "three", "two"]);
    scene.stage.strike().await;
}

#[tokio::test]
async fn a_wrong_password_is_told_and_mended() {
    let Some(servers) = MailServers::start().await.unwrap() else { return };
    let stage = Stage::set(TestDatabase::sqlite(), SettableClock::running()).await.unwrap();
    let right = settings(&servers, Security::Tls);
    let mut wrong = right.clone();
    wrong.insert("smtp_password".to_owned(), SecretString::from("not this one"));
    let refused = channels::connect(stage.world.desk(), &stage.world.caller, channel(wrong), None).await.unwrap_err();
    assert_eq!(refused.code(), "auth_failed", "{refused}");
    let mut untrusting = right.clone();
    untrusting.remove("ca_certificate");
    let refused =
        channels::connect(stage.world.desk(), &stage.world.caller, channel(untrusting), None).await.unwrap_err();
    assert!(refused.to_string().contains("TLS"), "an unknown authority is not trusted: {refused}");

    // The mailbox has another password than the door to SMTP.
    let mut apart = right.clone();
    apart.insert("imap_password".to_owned(), SecretString::from("not this one"));
    let refused =
        channels::connect(stage.world.desk(), &stage.world.caller, channel(apart.clone()), None).await.unwrap_err();
    assert_eq!(refused.code(), "auth_failed", "{refused}");
    assert!(refused.to_string().contains("IMAP"), "{refused}");
    let unchecked = NewChannel { check: false, ..channel(apart) };
    let ours = channels::connect(stage.world.desk(), &stage.world.caller, unchecked, None).await.unwrap().account;
    let scene = Scene { stage, servers, ours };
    scene.change("imap_password", scene.servers.password()).await;
    scene.until_watched().await;
    scene.ann_writes("1", "one").await;
    scene.until_received(1).await;
    scene.stage.strike().await;
}

/// What can't be handed in waits, and leaves once.
#[tokio::test]
async fn a_server_that_is_down_gets_it_later() {
    let Some(mut scene) = Scene::set(Security::StartTls).await else { return };
    scene.servers.kill_smtp().await.unwrap();
    let sent = scene.writes_to(ANN, json!({ "subject": "Order 7", "text": "It left today." })).await;
    let path = format!("/messages/{}", sent["id"].as_str().unwrap());
    let look = || async {
        let now = scene.stage.api.get(&path).await?.expect(200)?.body;
        let tried = now.pointer("/parts/0/attempts/0/verdict").and_then(Value::as_str);
        Ok(tried.map(str::to_owned).map(|verdict| (verdict, now)))
    };
    let (verdict, waiting) = scene.stage.world.until("it was tried", look).await.unwrap();
    assert_eq!((verdict.as_str(), &waiting["state"]), ("retry", &json!("queued")), "{waiting}");
    scene.servers.start_smtp().await.unwrap();
    let later = || async {
        // Time for the try that the step before made due: days would pass over it.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        scene.stage.world.clock.advance(Duration::minutes(5));
        Ok(Some(scene.servers.mailbox("ann")?).filter(|letters| !letters.is_empty()))
    };
    scene.stage.world.until("it leaves", later).await.unwrap();
    scene.until_state(&sent, &["sent"]).await;
    assert_eq!(scene.servers.mailbox("ann").unwrap().len(), 1);
    scene.stage.strike().await;
}

/// The server takes a letter for somebody who does not exist and reports it later (RFC 3464): the message failed. Exim says
/// 5.0.0, which is no word about the address.
#[tokio::test]
async fn a_bounce_comes_back_as_a_failure() {
    let Some(scene) = Scene::set(Security::Tls).await else { return };
    let sent = scene.writes_to("nobody@example.test", json!({ "subject": "Hello", "text": "Are you there?" })).await;
    let failed = scene.until_state(&sent, &["failed"]).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(scene.received().await.unwrap().is_empty(), "a report is no letter");
    scene.stage.strike().await;
}
