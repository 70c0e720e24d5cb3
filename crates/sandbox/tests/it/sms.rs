//! Twilio's Programmable Messaging over HTTP: every rule of the sheet that the sandbox plays.

use std::collections::BTreeMap;

use crate::common::{Bench, Received, answer};
use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use rstest::rstest;
use serde_json::{Value, json};
use sha1::Sha1;
use time::Duration;
use transom_sandbox::{AccountView, Act, Ask, MediaAct, NewCustomer, Progress, ReceiptOrder};

const ANN: &str = "+14155550123";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const SERVICE: &str = "MG00000000000000000000000000000001";

struct Chat {
    bench: Bench,
    sender: AccountView,
}

impl Chat {
    async fn open(settings: Value) -> Self {
        let bench = Bench::new().await;
        bench.control.create_customer(NewCustomer::named("ann", "Ann Lee", ANN)).unwrap();
        let mut whole = json!({"auth_token": TOKEN});
        whole.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let sender = bench.account("sms", whole);
        Self { bench, sender }
    }

    fn account_sid(&self) -> &str {
        self.sender.settings["account_sid"].as_str().unwrap()
    }

    async fn send(&self, fields: &[(&str, &str)]) -> (u16, Value) {
        let from = if self.sender.id.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        let mut form = vec![(from, self.sender.id.as_str())];
        form.extend(fields);
        let url = format!("{}/2010-04-01/Accounts/{}/Messages.json", self.sender.api_base, self.account_sid());
        answer(self.bench.http.post(url).basic_auth(self.account_sid(), Some(TOKEN)).form(&form)).await
    }

    fn writes(&self, text: &str) {
        self.bench.control.act(&self.sender.id, "ann", Act::Text { text: text.into() }).unwrap();
    }

    fn allowed(&self) -> (bool, bool) {
        let verdict = self.bench.control.would_accept(&self.sender.id, "ann", &Ask::free_form()).unwrap();
        (verdict.allowed, verdict.opted_out)
    }

    async fn arrived(&self) -> Vec<Received> {
        self.bench.settled().await;
        self.bench.receiver.take()
    }
}

fn form(call: &Received) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(&call.body).into_owned().collect()
}

/// The signature over an address and the sorted fields.
fn proof(url: &str, call: &Received) -> String {
    let text = form(call).into_iter().fold(url.to_owned(), |text, (name, value)| text + &name + &value);
    let mac = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).unwrap().chain_update(text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

#[tokio::test]
async fn forms_are_signed_with_their_address() {
    let chat = Chat::open(json!({})).await;
    chat.writes("Hi & bye");
    let callback = format!("{}?part=1", chat.bench.receiver.url);
    let (status, created) = chat.send(&[("To", ANN), ("Body", "Hello"), ("StatusCallback", &callback)]).await;
    assert_eq!((status, &created["status"], &created["num_segments"]), (201, &json!("queued"), &json!("1")));
    let calls = chat.arrived().await;
    let seen: Vec<_> = calls.iter().map(|call| form(call)["SmsStatus"].clone()).collect();
    assert_eq!(seen, ["received", "sent", "delivered"]);
    assert_eq!((form(&calls[0])["Body"].as_str(), form(&calls[0])["From"].as_str()), ("Hi & bye", ANN));
    assert_eq!(calls[0].header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(calls[0].header("x-twilio-signature"), proof(&chat.bench.receiver.url, &calls[0]));
    for call in &calls[1..] {
        assert_eq!(
            (call.query.as_str(), call.header("x-twilio-signature")),
            ("part=1", proof(&callback, call).as_str())
        );
        assert_eq!(form(call)["MessageSid"], created["sid"].as_str().unwrap());
    }
}

#[tokio::test]
async fn a_service_hears_of_its_messages_by_itself_and_a_number_does_not() {
    let chat = Chat::open(json!({})).await;
    chat.send(&[("To", ANN), ("Body", "Hello")]).await;
    assert!(chat.arrived().await.is_empty());
    let chat = Chat::open(json!({"sender": SERVICE, "number": "+12025550177"})).await;
    let (_, created) = chat.send(&[("To", ANN), ("Body", "Hello")]).await;
    assert_eq!(
        (&created["status"], &created["from"], &created["num_segments"]),
        (&json!("accepted"), &Value::Null, &json!("0"))
    );
    let calls = chat.arrived().await;
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (form(&calls[0])["MessagingServiceSid"].as_str(), form(&calls[0])["From"].as_str()),
        (SERVICE, "+12025550177")
    );
}

#[tokio::test]
async fn stop_and_start_count_and_nothing_else_does() {
    let chat = Chat::open(json!({"advanced_opt_out": true})).await;
    for (text, allowed) in [
        ("hello", true),
        (" stop\n", false),
        ("stop it", false),
        ("hello?", false),
        ("START", true),
        ("Cancel", false),
        ("yes", true),
    ] {
        chat.bench.sandbox.clock().advance(Duration::SECOND);
        chat.writes(text);
        assert_eq!(chat.allowed(), (allowed, !allowed), "{text}");
        let (status, body) = chat.send(&[("To", ANN), ("Body", "x")]).await;
        let expected = if allowed { (201, None) } else { (400, Some(21_610)) };
        assert_eq!((status, body["code"].as_i64()), expected, "{text}");
    }
    let calls = chat.arrived().await;
    let words: Vec<_> = calls.iter().filter_map(|call| form(call).get("OptOutType").cloned()).collect();
    assert_eq!(words, ["STOP", "START", "STOP", "START"]);
}

#[tokio::test]
async fn the_day_is_counted_in_segments() {
    let chat = Chat::open(json!({"daily_limit": 3})).await;
    assert_eq!(chat.send(&[("To", ANN), ("Body", &"ж".repeat(71))]).await.1["num_segments"], "2");
    assert_eq!(chat.send(&[("To", ANN), ("Body", "one")]).await.0, 201);
    assert_eq!(chat.send(&[("To", ANN), ("Body", "one too many")]).await.1["code"], 63_038);
    chat.bench.sandbox.clock().advance(Duration::DAY);
    assert_eq!(chat.send(&[("To", ANN), ("Body", "a new day")]).await.0, 201);
}

#[rstest]
#[case(&[("Body", "x")], 21_604)]
#[case(&[("To", "4155550123"), ("Body", "x")], 21_211)]
#[case(&[("To", "whatsapp:+14155550123"), ("Body", "x")], 21_211)]
#[case(&[("To", ANN)], 21_619)]
#[case(&[("To", ANN), ("MediaUrl", "http://a.example/a.jpg")], 21_620)]
#[case(&[("To", ANN), ("Body", "x"), ("StatusCallback", "nowhere")], 21_609)]
#[tokio::test]
async fn wrong_requests_have_their_code(#[case] fields: &[(&str, &str)], #[case] code: i64) {
    let chat = Chat::open(json!({})).await;
    let (status, body) = chat.send(fields).await;
    assert_eq!((status, &body["code"]), (400, &json!(code)), "{body}");
    assert!(chat.bench.control.ledger().is_empty());
}

#[tokio::test]
async fn what_does_not_arrive_is_told_later() {
    let chat = Chat::open(json!({"sender": SERVICE, "number": "+12025550177"})).await;
    chat.send(&[("To", "+14155559999"), ("Body", "nobody has this number")]).await;
    chat.bench.control.act(&chat.sender.id, "ann", Act::Block).unwrap();
    let (_, created) = chat.send(&[("To", ANN), ("Body", "blocked")]).await;
    let codes: Vec<_> = chat.arrived().await.iter().map(|call| form(call)["ErrorCode"].clone()).collect();
    assert_eq!(codes, ["30005", "30004"]);
    let order = ReceiptOrder::new(created["sid"].as_str().unwrap(), Progress::Delivered);
    chat.bench.control.receipt(&chat.sender.id, &order).unwrap();
    assert_eq!(form(&chat.arrived().await[0])["MessageStatus"], "delivered");
}

#[tokio::test]
async fn files_need_credentials_at_the_door_and_none_behind_it() {
    let chat = Chat::open(json!({})).await;
    let media = MediaAct { media: "image".into(), ..MediaAct::default() };
    chat.bench.control.act(&chat.sender.id, "ann", Act::Media(media)).unwrap();
    let fields = form(&chat.arrived().await[0]);
    assert_eq!((fields["NumMedia"].as_str(), fields["MediaContentType0"].as_str()), ("1", "image/jpeg"));
    let path = fields["MediaUrl0"].strip_prefix("https://api.twilio.com").unwrap().to_owned();
    let url = format!("{}{path}", chat.sender.api_base);
    assert_eq!(answer(chat.bench.http.get(&url)).await.0, 401);
    let moved = chat.bench.http.get(&url).basic_auth(chat.account_sid(), Some(TOKEN)).send().await.unwrap();
    assert_eq!(moved.status().as_u16(), 307);
    let storage = moved.headers()["location"].to_str().unwrap().to_owned();
    let file = chat.bench.http.get(storage).send().await.unwrap();
    assert_eq!(&file.bytes().await.unwrap()[..3], b"\xff\xd8\xff");
}
