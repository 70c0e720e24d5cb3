//! What leaves, to whom, and how far it got.

use std::time::Duration;

use transom_channel::conformance::PATIENCE;
use transom_channel::{NextStep, SendError};
use transom_domain::{Content, Mail, MessageId, UuidV7};
use transom_windows::Sender;

use crate::server::Mood;
use crate::world::{ANN, TOKEN_SECRET, World, letter};

const LINK: &str = "https://desk.example/unsubscribe/AZLkoHtafD6PAAAAAAAAAQGS5KB7Wnw-jwAAAAAAAAE?signature=5N8cW6m0b6sYz1S3b5J7Q2k4r9t0u1v2w3x4y5z6A7B";

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn blind_readers_have_envelopes_of_their_own_and_stand_in_no_header() {
    let world = World::new(PATIENCE).await.with("token_secret", TOKEN_SECRET);
    let mail = Mail {
        cc: strings(&["Bob@Example.test", "bob@example.test", "sales+x@shop.test"]),
        bcc: strings(&["eve@example.net", "mallory@example.net", "BOB@example.test"]),
        ..letter()
    };
    let channel = world.channel();
    let accepted = world.ports.clock.now() - time::Duration::HOUR;
    for part in world.parts(mail) {
        channel.send(&part.accepted_at(accepted)).await.unwrap();
    }
    let taken = world.server.taken();
    let envelopes: Vec<Vec<String>> = taken.iter().map(|mail| mail.to.clone()).collect();
    assert_eq!(
        envelopes,
        [strings(&[ANN, "Bob@example.test"]), strings(&["eve@example.net"]), strings(&["mallory@example.net"])]
    );
    for mail in &taken {
        let text = String::from_utf8(mail.data.clone()).unwrap();
        for word in ["eve@", "mallory@", "Bcc", "bcc"] {
            assert!(!text.contains(word), "{word} in:\n{text}");
        }
        assert_eq!(mail.parsed().message_id(), taken[0].parsed().message_id());
        assert!(
            mail.head().contains("To: ann@example.test") && mail.head().contains("Cc: Bob@example.test"),
            "{}",
            mail.head()
        );
    }
    // The copies differ in nothing, or what one knows of would tell of the others.
    assert!(taken[0].head().contains("Reply-To: sales+c_") || taken[0].head().contains("Reply-To: support+c_"));
    assert_eq!(taken[0].parsed().date().unwrap().to_timestamp(), accepted.unix_timestamp());
    assert!(taken.iter().all(|mail| mail.head() == taken[0].head()), "{}\n{}", taken[0].head(), taken[1].head());
}

#[tokio::test]
async fn a_reader_in_cc_who_is_refused_stops_nobody() {
    let world = World::new(PATIENCE).await;
    world
        .server
        .state
        .lock()
        .unwrap()
        .readers
        .insert("bob@example.test".into(), "550 5.1.1 <bob@example.test> unknown".into());
    let [part] =
        world.parts(Mail { cc: strings(&["bob@example.test", "carl@example.test"]), ..letter() }).try_into().unwrap();
    let receipt = world.channel().send(&part).await.unwrap();
    let [(address, report)] = receipt.refused.as_slice() else { panic!("{receipt:?}") };
    assert_eq!((address.as_str(), report.code.as_deref()), ("bob@example.test", Some("5.1.1")));
    assert!(!report.message.contains("bob@"));
    assert_eq!(world.server.taken()[0].to, strings(&[ANN, "carl@example.test"]));
}

/// Those for whom there is no room go in another transaction of the same mail (RFC 5321 section 4.5.3.1.10).
#[tokio::test]
async fn too_many_readers_at_once_are_split() {
    let world = World::new(PATIENCE).await;
    {
        let mut state = world.server.state.lock().unwrap();
        state.at_once = 2;
        state.readers.insert("dan@example.test".into(), "550 5.1.1 no such user".into());
    }
    let cc = ["bob@example.test", "carl@example.test", "dan@example.test", "eve@example.test", "fay@example.test"];
    let [part] = world.parts(Mail { cc: strings(&cc), ..letter() }).try_into().unwrap();
    let receipt = world.channel().send(&part).await.unwrap();
    assert_eq!(receipt.refused.iter().map(|(address, _)| address.as_str()).collect::<Vec<_>>(), ["dan@example.test"]);
    let taken = world.server.taken();
    let envelopes: Vec<Vec<String>> = taken.iter().map(|mail| mail.to.clone()).collect();
    let rounds = [strings(&[ANN, cc[0]]), strings(&[cc[1], cc[3]]), strings(&[cc[4]])];
    assert_eq!(envelopes, rounds);
    assert!(taken.iter().all(|mail| mail.data == taken[0].data));
    // A server that takes one reader and then no more at all: the person has it, and the others are told.
    world
        .server
        .state
        .lock()
        .unwrap()
        .readers
        .extend(cc.map(|reader| (reader.to_owned(), "452 4.5.3 too many recipients".to_owned())));
    let receipt = world.channel().send(&part).await.unwrap();
    assert_eq!(receipt.refused.len(), cc.len());
    assert_eq!(world.server.taken().pop().unwrap().to, strings(&[ANN]));
}

#[tokio::test]
async fn without_the_person_nobody_gets_it() {
    let world = World::new(PATIENCE).await;
    world.server.state.lock().unwrap().readers.insert(ANN.into(), "550 5.1.1 no such user".into());
    let [part] = world.parts(Mail { cc: strings(&["bob@example.test"]), ..letter() }).try_into().unwrap();
    let error = world.channel().send(&part).await.unwrap_err();
    assert!(matches!(error, SendError::Unreachable { .. }), "{error:?}");
    let commands = world.server.commands();
    assert!(commands.contains(&"RSET".to_owned()) && !commands.contains(&"DATA".to_owned()), "{commands:?}");
    assert!(world.server.taken().is_empty());
}

#[tokio::test]
async fn a_blind_reader_nobody_knows_says_nothing_about_the_person() {
    let world = World::new(PATIENCE).await;
    world.server.state.lock().unwrap().readers.insert("eve@example.net".into(), "550 5.1.1 no such user".into());
    let parts = world.parts(Mail { bcc: strings(&["eve@example.net"]), ..letter() });
    assert!(world.channel().send(&parts[0]).await.is_ok());
    let error = world.channel().send(&parts[1]).await.unwrap_err();
    assert_eq!((error.next_step(), error.evidence()), (NextStep::GiveUp, None));
}

#[tokio::test]
async fn before_the_final_dot_nothing_was_accepted() {
    let world = World::new(PATIENCE).await;
    let [part] = world.parts(letter()).try_into().unwrap();
    let channel = world.channel();
    world.server.mood(Mood::CutData);
    // Whatever the connection's buffers swallowed of so small a mail, its dot was not answered.
    let cut = channel.send(&part).await.unwrap_err();
    assert!(matches!(cut, SendError::OutcomeUnknown { .. } | SendError::Temporary { .. }), "{cut:?}");
    for (verb, reply, step) in [
        ("CONNECT", "554 5.3.2 no service", NextStep::Reconnect),
        ("CONNECT", "421 4.3.2 closing", NextStep::Retry { after: None }),
        ("CONNECT", "hello there", NextStep::Retry { after: None }),
        ("EHLO", "502 5.5.1 what", NextStep::Reconnect),
        ("DATA", "451 4.3.0 try later", NextStep::Retry { after: None }),
        ("DATA", "554 5.7.1 no", NextStep::GiveUp),
    ] {
        world.server.state.lock().unwrap().replies.insert(verb, reply.to_owned());
        let error = channel.send(&part).await.unwrap_err();
        assert_eq!(error.next_step(), step, "{verb} {reply}: {error:?}");
        world.server.state.lock().unwrap().replies.clear();
    }
    for (reply, step) in [
        ("552 5.3.4 too big", NextStep::GiveUp),
        ("452 4.3.1 out of space", NextStep::Retry { after: None }),
        ("550 5.7.1 spam", NextStep::GiveUp),
    ] {
        world.server.mood(Mood::RefuseData(reply.to_owned()));
        let error = channel.send(&part).await.unwrap_err();
        assert_eq!(error.next_step(), step, "{reply}: {error:?}");
    }
    assert!(world.server.taken().is_empty());
}

#[tokio::test]
async fn a_silent_server_before_the_mail_is_tried_again() {
    let world = World::new(Duration::from_secs(1)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = world.with("smtp_port", &listener.local_addr().unwrap().port().to_string());
    let [part] = world.parts(letter()).try_into().unwrap();
    let error = world.channel().send(&part).await.unwrap_err();
    assert!(matches!(error, SendError::Temporary { .. } | SendError::NotConnected { .. }), "{error:?}");
}

#[tokio::test]
async fn nothing_is_sent_without_tls_where_tls_was_asked_for() {
    let world = World::new(PATIENCE).await.with("smtp_security", "starttls");
    let [part] = world.parts(letter()).try_into().unwrap();
    let channel = world.channel();
    let error = channel.send(&part).await.unwrap_err();
    assert!(matches!(&error, SendError::NotConnected { detail } if detail.contains("STARTTLS")), "{error:?}");
    // Offered, accepted, and more said in the open: that would be read as if it came by TLS.
    world.server.state.lock().unwrap().extensions.push("STARTTLS");
    world.server.state.lock().unwrap().replies.insert("STARTTLS", "220 go\r\n250 injected".to_owned());
    let error = channel.send(&part).await.unwrap_err();
    assert!(matches!(error, SendError::NotConnected { .. }), "{error:?}");
    world.server.state.lock().unwrap().replies.insert("STARTTLS", "454 4.7.0 no TLS now".to_owned());
    let error = channel.send(&part).await.unwrap_err();
    assert!(matches!(error, SendError::NotConnected { .. }), "{error:?}");
    let commands = world.server.commands();
    assert!(!commands.iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")), "{commands:?}");
}

#[tokio::test]
async fn what_the_server_can_is_used_and_its_limit_kept() {
    let world =
        World::new(PATIENCE).await.with("token_secret", TOKEN_SECRET).with("bounce_address", "bounces@shop.test");
    let [part] = world.parts(Mail { from: Some("Sales@shop.test".into()), ..letter() }).try_into().unwrap();
    let channel = world.channel();
    channel.send(&part).await.unwrap();
    let commands = world.server.commands();
    let mail = commands.iter().find(|line| line.starts_with("MAIL")).unwrap();
    assert!(
        mail.starts_with("MAIL FROM:<bounces+b_") && mail.contains(" SIZE=") && mail.contains(" RET=HDRS ENVID=b_"),
        "{mail}"
    );
    let rcpt = commands.iter().find(|line| line.starts_with("RCPT")).unwrap();
    assert_eq!(rcpt, "RCPT TO:<ann@example.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;ann@example.test");
    let head = world.server.taken()[0].head();
    assert!(head.contains("Reply-To: sales+c_") && head.contains("From: sales@shop.test"), "{head}");
    assert!(head.contains(&format!("<{}@shop.test>", part.message().unwrap())), "{head}");

    world.server.state.lock().unwrap().extensions = vec!["SIZE 100", "AUTH PLAIN"];
    let error = channel.send(&part).await.unwrap_err();
    assert!(matches!(&error, SendError::ContentRefused { report } if report.message.contains("100")), "{error:?}");
}

#[tokio::test]
async fn each_way_of_signing_in_works() {
    for mechanism in ["plain", "login"] {
        let world = World::new(PATIENCE).await.with("smtp_auth", mechanism);
        let [part] = world.parts(letter()).try_into().unwrap();
        world.channel().send(&part).await.unwrap();
        let wrong = world.with("smtp_password", "wrong");
        let error = wrong.channel().send(&part).await.unwrap_err();
        assert!(matches!(error, SendError::AuthFailed { .. }), "{mechanism}: {error:?}");
    }
}

#[tokio::test]
async fn a_machine_says_what_it_is_and_a_person_does_not() {
    let world = World::new(PATIENCE).await.with("token_secret", TOKEN_SECRET);
    let channel = world.channel();
    let message = MessageId::new(&UuidV7);
    let answer = || Content { reply_to: Some("<m1@example.test>".into()), ..Content::text("Hello") };
    for (content, sender, expected) in [
        (answer(), Sender::Human, None),
        (answer(), Sender::Bot, Some("auto-replied")),
        (Content::text("News"), Sender::Broadcast, Some("auto-generated")),
    ] {
        let to_many = (sender == Sender::Broadcast).then(|| LINK.to_owned());
        channel.send(&world.part(content, sender, message).unsubscribed_at(to_many)).await.unwrap();
        let mail = world.server.taken().pop().unwrap();
        let head = mail.head();
        assert_eq!(head.contains("Auto-Submitted: "), expected.is_some(), "{head}");
        assert!(expected.is_none_or(|how| head.contains(&format!("Auto-Submitted: {how}"))), "{head}");
        // RFC 8058: the address to post to, first, and the word for what is posted.
        let ways = head.replace("\r\n ", " ");
        let ways = ways.contains(&format!("List-Unsubscribe: <{LINK}>, <mailto:support+u_"));
        let one_click = head.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click");
        assert_eq!((ways, one_click), (sender == Sender::Broadcast, sender == Sender::Broadcast), "{head}");
        assert!(head.contains("X-Loop: support@shop.test"), "{head}");
        assert_eq!(mail.parsed().in_reply_to().as_text(), (sender != Sender::Broadcast).then_some("m1@example.test"));
    }
}

/// Grants tokens one after the other, until it grants none.
async fn provider(answers: Vec<&'static str>) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = String::new();
            while !request.contains("refresh_token=a-refresh-token") {
                let mut some = [0; 4_096];
                let count = stream.read(&mut some).await.unwrap();
                request.push_str(&String::from_utf8_lossy(&some[..count]));
            }
            let status = if answer.contains("error") { "400 Bad Request" } else { "200 OK" };
            let length = answer.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
        }
    });
    port
}

#[tokio::test]
async fn access_tokens_are_asked_for_and_renewed_when_they_are_refused() {
    let port = provider(vec![
        r#"{"access_token": "first", "expires_in": 3600}"#,
        r#"{"access_token": "first", "expires_in": 3600}"#,
        r#"{"access_token": "second", "expires_in": 3600}"#,
        r#"{"error": "invalid_grant"}"#,
    ])
    .await;
    let world = World::new(PATIENCE)
        .await
        .with("smtp_auth", "xoauth2")
        .with("oauth_token_url", &format!("http://127.0.0.1:{port}/token"))
        .with("oauth_client_id", "a-client")
        .with("oauth_refresh_token", "a-refresh-token");
    world.server.state.lock().unwrap().bearer = Some("first".into());
    let [part] = world.parts(letter()).try_into().unwrap();
    let channel = world.channel();
    channel.send(&part).await.unwrap();
    // Taken back before its time: the next one is asked for, and the dispatcher comes again.
    world.server.state.lock().unwrap().bearer = Some("second".into());
    let error = channel.send(&part).await.unwrap_err();
    assert!(matches!(&error, SendError::Temporary { report } if report.message.contains("renewed")), "{error:?}");
    // Consent was withdrawn.
    let error = channel.send(&part).await.unwrap_err();
    assert!(
        matches!(&error, SendError::AuthFailed { report } if report.message.contains("invalid_grant")),
        "{error:?}"
    );
    assert_eq!(world.server.taken().len(), 1);
}
