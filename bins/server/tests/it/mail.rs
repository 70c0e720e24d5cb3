//! Letters over the API: written, refused with a reason, shown, and received with their files.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use transom_channel::http::HttpClient;
use transom_domain::Clock as _;

use crate::support::{Bench, Client};

const ANN: &str = "ann@example.test";

/// A mailbox whose mail comes by webhook, and whose server nobody can reach.
async fn mailbox(bench: &Bench) -> (String, String) {
    let settings = json!({
        "mailbox": "help@shop.test",
        "senders": r#"[{ "address": "help@shop.test", "name": "Shop", "default": true }, { "address": "sales@shop.test" }]"#,
        "smtp_host": "127.0.0.1",
        "smtp_port": "1",
        "smtp_security": "plain",
        "smtp_auth": "none",
        "inbound_parse": "postmark",
        "webhook_user": "postmark",
        "webhook_password": "a-long-random-text",
        "token_secret": "another-long-random-text",
    });
    let body = json!({ "platform": "email", "name": "Mail", "settings": settings, "check": false });
    let made = bench.admin.post("/channels", body).await.expect(201);
    (made["id"].as_str().unwrap().to_owned(), made["webhook_url"].as_str().unwrap().to_owned())
}

async fn ann(bench: &Bench, email: Option<&str>) -> String {
    let made = bench.admin.post("/contacts", json!({ "display_name": "Ann", "email": email })).await.expect(201);
    format!("/contacts/{}/messages", made["id"].as_str().unwrap())
}

async fn shown(client: &Client, sent: &Value) -> Value {
    client.get(&format!("/messages/{}", sent["id"].as_str().unwrap())).await.expect(200)
}

#[tokio::test]
async fn a_letter_is_written_with_subject_sender_and_readers() {
    let bench = Bench::start().await;
    let (channel, _) = mailbox(&bench).await;
    let senders = bench.admin.get(&format!("/channels/{channel}/senders")).await.expect(200);
    let addresses: Vec<&str> =
        senders["items"].as_array().unwrap().iter().map(|one| one["address"].as_str().unwrap()).collect();
    assert_eq!(addresses, ["help@shop.test", "sales@shop.test"]);
    assert_eq!((&senders["items"][0]["default"], &senders["items"][1]["default"]), (&json!(true), &json!(false)));

    let nobody = ann(&bench, None).await;
    let letter = |message: Value| json!({ "channel": channel, "message": message });
    bench
        .admin
        .post(&nobody, letter(json!({ "text": "hi", "subject": "Hello" })))
        .await
        .refused(409, "no_email_address");
    let path = ann(&bench, Some("Ann@Example.test")).await;
    let refused = async |message: Value, code: &str| {
        bench.admin.post(&path, letter(message)).await.refused(422, code);
    };
    refused(json!({ "text": "hi" }), "subject_required").await;
    refused(json!({ "text": "hi", "subject": "\r\n" }), "subject_required").await;
    refused(json!({ "text": "hi", "subject": "x".repeat(256) }), "subject_too_long").await;
    refused(json!({ "text": "hi", "subject": "Hello", "from": "boss@shop.test" }), "sender_unknown").await;
    refused(json!({ "text": "hi", "subject": "Hello", "cc": ["Bob <bob@b.test>"] }), "reader_invalid").await;
    let crowd: Vec<String> = (0..60).map(|n| format!("r{n}@b.test")).collect();
    let others: Vec<String> = (60..120).map(|n| format!("r{n}@b.test")).collect();
    refused(json!({ "text": "hi", "subject": "Hello", "cc": crowd, "bcc": others }), "too_many_readers").await;
    refused(json!({ "html": "<p>hi</p>", "subject": "Hello" }), "text_missing").await;
    let place = json!({ "latitude": 1.0, "longitude": 2.0 });
    refused(json!({ "location": place, "subject": "Hello" }), "content_ambiguous").await;

    let message = json!({
        "text": "hi", "html": "<p>hi</p>", "subject": "Hello\r\nBcc: x", "from": "sales@shop.test",
        "cc": ["bob@b.test", "ann@example.test"], "bcc": ["eve@E.test", "bob@b.test"],
    });
    let sent = bench.admin.post(&path, letter(message.clone())).await.expect(202);
    let again = bench.admin.post(&path, letter(message)).await.expect(202);
    assert_ne!(sent["conversation"], again["conversation"], "each begins a thread");
    let content = &shown(&bench.admin, &sent).await["content"];
    let expected = json!({
        "text": "hi", "html": "<p>hi</p>", "subject": "Hello Bcc: x", "from": "sales@shop.test", "cc": ["bob@b.test"],
        "bcc": ["eve@e.test"],
    });
    assert_eq!(content, &expected);
    // An answer in the thread keeps its subject and its sender.
    let path = format!("/conversations/{}/messages", sent["conversation"].as_str().unwrap());
    let more = bench.admin.post(&path, json!({ "text": "one more thing" })).await.expect(202);
    let content = &shown(&bench.admin, &more).await["content"];
    assert_eq!(content, &json!({ "text": "one more thing", "subject": "Re: Hello Bcc: x", "from": "sales@shop.test" }));
    bench.stop().await;
}

#[tokio::test]
async fn what_carries_no_letters_says_so() {
    let bench = Bench::start().await;
    let account = bench.telegram().await;
    let conversation = bench.hears(&account, "Mara", "+4915550100001", "hello").await;
    let path = format!("/conversations/{}/messages", conversation["id"].as_str().unwrap());
    for (field, value) in [
        ("subject", json!("Hello")),
        ("from", json!("help@shop.test")),
        ("cc", json!(["bob@b.test"])),
        ("bcc", json!(["bob@b.test"])),
        ("html", json!("<p>hi</p>")),
    ] {
        let refused = bench.admin.post(&path, json!({ "text": "hi", field: value })).await.refused(422, "no_letters");
        assert_eq!(refused["field"], field);
        let note = json!({ "type": "note", "text": "hi", field: value });
        bench.admin.post(&path, note).await.refused(422, "content_ambiguous");
    }
    let senders = bench.admin.get(&format!("/channels/{}/senders", account.id)).await.expect(200);
    assert_eq!(senders, json!({ "items": [] }));
    let unknown = "/channels/01900000-0000-7000-8000-000000000000/senders";
    bench.admin.get(unknown).await.refused(404, "not_found");
    bench.stop().await;
}

#[tokio::test]
async fn a_letter_that_came_is_shown_with_its_files_and_answered() {
    let bench = Bench::start().await;
    let (channel, webhook) = mailbox(&bench).await;
    let call = json!({
        "MessageStream": "inbound", "MessageID": "a1b2", "From": ANN, "FromFull": { "Email": ANN, "Name": "Ann", "MailboxHash": "" },
        "ToFull": [{ "Email": "sales@shop.test", "Name": "", "MailboxHash": "" }],
        "CcFull": [{ "Email": "bob@b.test", "Name": "", "MailboxHash": "" }], "BccFull": [],
        "To": "sales@shop.test", "Cc": "bob@b.test", "OriginalRecipient": "sales@shop.test", "Subject": "Order 7", "Date": "Thu, 9 Oct 2025 08:53:20 +0000",
        "TextBody": "Where is it?", "HtmlBody": "", "StrippedTextReply": "",
        "Headers": [{ "Name": "Message-ID", "Value": "<m1@example.test>" }],
        "Attachments": [{ "Name": "list.csv", "Content": "YTtiCjE7Mgo=", "ContentType": "text/csv", "ContentLength": 8, "ContentID": "" }],
    });
    // postmark:a-long-random-text
    let proof = [("authorization", "Basic cG9zdG1hcms6YS1sb25nLXJhbmRvbS10ZXh0"), ("content-type", "application/json")];
    for _ in 0..2 {
        bench.admin.raw(Method::POST, &webhook, call.to_string().into_bytes(), &proof).await.expect(200);
    }
    let list = format!("/conversations?channel={channel}");
    let conversation = bench
        .until("the letter arrives", || async {
            bench.admin.get(&list).await.expect(200)["items"].as_array().unwrap().first().cloned()
        })
        .await;
    assert_eq!(conversation["preview"], "Order 7");
    let path = format!("/conversations/{}/messages", conversation["id"].as_str().unwrap());
    let messages = bench.admin.get(&path).await.expect(200);
    let replies: Vec<&Value> =
        messages["items"].as_array().unwrap().iter().filter(|one| one["type"] == "reply").collect();
    let [letter] = replies.as_slice() else { panic!("{messages}") };
    let content = &letter["content"];
    assert_eq!(
        (&content["subject"], &content["text"], &content["from"]),
        (&json!("Order 7"), &json!("Where is it?"), &json!(ANN))
    );
    assert_eq!((&content["to"], &content["cc"]), (&json!(["sales@shop.test"]), &json!(["bob@b.test"])));
    let file = &content["attachments"][0];
    assert_eq!(
        (&file["file_name"], &file["mime"], &file["state"]),
        (&json!("list.csv"), &json!("text/csv"), &json!("stored"))
    );
    let bytes = bench.admin.raw(Method::GET, file["content_url"].as_str().unwrap(), Vec::new(), &[]).await;
    assert_eq!(bytes.expect(200), "a;b\n1;2\n");
    assert_eq!(content["source"]["state"], "stored");

    let sent = bench.admin.post(&path, json!({ "text": "on its way" })).await.expect(202);
    let answer = shown(&bench.admin, &sent).await;
    let expected = json!({ "text": "on its way", "subject": "Re: Order 7", "from": "sales@shop.test" });
    assert_eq!((&answer["content"], &answer["reply_to"]), (&expected, &letter["id"]));
    bench.stop().await;
}

/// Mails are larger than other platforms' calls, and a wrong password is refused whatever comes with it.
#[tokio::test]
async fn a_call_is_as_large_as_a_mail_may_be() {
    let bench = Bench::start().await;
    let (_, url) = mailbox(&bench).await;
    let size = 4 * 1024 * 1024 + 1;
    bench.admin.raw(Method::POST, &url, vec![b'x'; size], &[]).await.refused(401, "webhook_untrusted");
    bench.admin.raw(Method::POST, &url, vec![b'x'; 50 * 1024 * 1024], &[]).await.refused(413, "body_too_large");
    let nowhere = format!("{}/webhooks/{}", bench.admin.base, "A".repeat(43));
    bench.admin.raw(Method::POST, &nowhere, vec![b'x'; size], &[]).await.refused(413, "body_too_large");
    bench.stop().await;
}

/// Mailgun signs no words: what it says again is taken, and its proof under other words is not.
#[tokio::test]
async fn a_proof_of_mailguns_is_good_for_one_mail() {
    const KEY: &str = "key-example-1";
    let http = HttpClient::new().unwrap();
    let bench = Bench::start().await;
    let settings = json!({
        "mailbox": "help@shop.test", "smtp_host": "127.0.0.1", "smtp_port": "1", "smtp_security": "plain",
        "smtp_auth": "none", "inbound_parse": "mailgun", "mailgun_signing_key": KEY,
    });
    let body = json!({ "platform": "email", "name": "Mail", "settings": settings, "check": false });
    let made = bench.admin.post("/channels", body).await.expect(201);
    let webhook = made["webhook_url"].as_str().unwrap();
    let call = async |at: i64, token: &str, id: &str, words: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
        mac.update(format!("{at}{token}").as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let headers = json!([["Message-Id", format!("<{id}@example.test>")]]).to_string();
        let form = [
            ("recipient", "help@shop.test"),
            ("from", ANN),
            ("subject", "Order 7"),
            ("body-plain", words),
            ("message-headers", &headers),
            ("timestamp", &at.to_string()),
            ("token", token),
            ("signature", &signature),
        ];
        http.execute(http.request(Method::POST, webhook).form(&form)).await.unwrap().status
    };
    let now = bench.clock.now().unix_timestamp();
    assert_eq!(call(now - 8 * 3_600, "t1", "m1", "Where is it?").await, 200, "after an outage");
    assert_eq!(call(now, "t1", "m1", "Where is it?").await, 200, "tried again");
    assert_eq!(call(now, "t1", "m2", "Pay here").await, 401);
    assert_eq!(call(now - 10 * 3_600, "t2", "m3", "Long ago").await, 401);
    bench.stop().await;
}
