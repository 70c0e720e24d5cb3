//! LINE's Messaging API over HTTP: every rule of the sheet that the sandbox plays.

use crate::common::{Bench, answer};
use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use rstest::rstest;
use serde_json::{Value, json};
use sha2::Sha256;
use time::Duration;
use time::macros::datetime;
use transom_sandbox::{AccountPatch, AccountView, Act, Ask, Because, NewCustomer};

const AKI: &str = "U0000000000000000000000000000a001";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

struct Chat {
    bench: Bench,
    shop: AccountView,
}

impl Chat {
    async fn open(settings: Value) -> Self {
        let bench = Bench::new().await;
        let mut aki = NewCustomer::named("aki", "Aki", "+819000000001");
        aki.addresses.insert("line".into(), AKI.into());
        bench.control.create_customer(aki).unwrap();
        let mut whole = json!({"channel_secret": SECRET});
        whole.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let shop = bench.account("line", whole);
        Self { bench, shop }
    }

    fn request(&self, path: &str) -> reqwest::RequestBuilder {
        let token = self.shop.settings["access_token"].as_str().unwrap();
        self.bench.http.post(format!("{}/v2/bot/{path}", self.shop.api_base)).bearer_auth(token)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let token = self.shop.settings["access_token"].as_str().unwrap();
        answer(self.bench.http.get(format!("{}/v2/bot/{path}", self.shop.api_base)).bearer_auth(token)).await
    }

    async fn push(&self, messages: Value) -> (u16, Value) {
        answer(self.request("message/push").json(&json!({"to": AKI, "messages": messages}))).await
    }

    async fn reply(&self, token: &str) -> (u16, Value) {
        let body = json!({"replyToken": token, "messages": [{"type": "text", "text": "hi"}]});
        answer(self.request("message/reply").json(&body)).await
    }

    fn acts(&self, act: Act) {
        self.bench.control.act(&self.shop.id, "aki", act).unwrap();
    }

    fn writes(&self) {
        self.acts(Act::Text { text: "hello".into() });
    }

    /// The token of the newest event.
    async fn token(&self) -> String {
        let calls = self.bench.arrived().await;
        calls.last().unwrap()["events"][0]["replyToken"].as_str().unwrap().to_owned()
    }

    fn allowed(&self) -> (bool, Option<Because>) {
        let verdict = self.bench.control.would_accept(&self.shop.id, "aki", &Ask::free_form()).unwrap();
        (verdict.allowed, verdict.because)
    }

    fn later(&self, by: Duration) {
        self.bench.sandbox.clock().advance(by);
    }

    async fn used(&self) -> u64 {
        self.get("message/quota/consumption").await.1["totalUsage"].as_u64().unwrap()
    }
}

fn text() -> Value {
    json!([{"type": "text", "text": "hi"}])
}

#[tokio::test]
async fn events_are_signed_and_marked_when_they_come_again() {
    let chat = Chat::open(json!({})).await;
    chat.bench.receiver.answers([500, 200, 200]);
    chat.writes();
    chat.bench.settled().await;
    let calls = chat.bench.receiver.take();
    // Following comes before the first words; the refused try comes again.
    let kinds: Vec<_> = calls.iter().map(|call| call.json()["events"][0]["type"].clone()).collect();
    assert_eq!(kinds, ["follow", "follow", "message"]);
    let again: Vec<_> =
        calls.iter().map(|call| call.json()["events"][0]["deliveryContext"]["isRedelivery"].clone()).collect();
    assert_eq!(again, [false, true, false]);
    assert_eq!(calls[0].json()["events"][0]["webhookEventId"], calls[1].json()["events"][0]["webhookEventId"]);
    for call in &calls {
        let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(&call.body);
        let proof = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(call.header("x-line-signature"), proof);
        assert_eq!(call.json()["destination"], chat.shop.id);
    }
}

#[tokio::test]
async fn a_token_answers_once_and_soon_and_costs_nothing() {
    let chat = Chat::open(json!({"monthly_limit": 0})).await;
    chat.writes();
    let token = chat.token().await;
    assert_eq!(chat.allowed(), (true, None));
    assert_eq!(chat.reply(&token).await.0, 200);
    assert_eq!(chat.reply(&token).await, (400, json!({"message": "Invalid reply token"})));
    // Following brought a token of its own, which lives as long.
    assert_eq!(chat.allowed(), (true, None));
    chat.later(Duration::seconds(60));
    assert_eq!(chat.allowed(), (false, Some(Because::Quota)));
    chat.writes();
    let token = chat.token().await;
    chat.later(Duration::seconds(60));
    assert_eq!((chat.reply(&token).await.0, chat.allowed().0, chat.used().await), (400, false, 0));
}

#[tokio::test]
async fn pushes_are_counted_by_the_month_in_japan() {
    let chat = Chat::open(json!({"monthly_limit": 2})).await;
    chat.writes();
    assert_eq!(chat.get("message/quota").await.1, json!({"type": "limited", "value": 2}));
    // Three messages to one person are one.
    let three = json!([{"type": "text", "text": "1"}, {"type": "text", "text": "2"}, {"type": "sticker", "packageId": "1", "stickerId": "2"}]);
    let (status, sent) = chat.push(three).await;
    assert_eq!((status, sent["sentMessages"].as_array().unwrap().len()), (200, 3));
    assert_eq!(chat.push(text()).await.0, 200);
    assert_eq!((chat.push(text()).await.0, chat.used().await), (429, 2));
    // 2026-03 ends at 15:00 UTC of its last day.
    let end = datetime!(2026-03-31 15:00 UTC);
    chat.later(end - chat.bench.control.now() - Duration::MINUTE);
    assert_eq!(chat.push(text()).await.1, json!({"message": "You have reached your monthly limit."}));
    chat.later(Duration::MINUTE);
    assert_eq!((chat.push(text()).await.0, chat.used().await), (200, 1));
}

#[tokio::test]
async fn a_retry_key_makes_one_message_of_two_requests() {
    let chat = Chat::open(json!({})).await;
    chat.writes();
    let key = "123e4567-e89b-12d3-a456-426614174000";
    let send =
        || chat.request("message/push").header("x-line-retry-key", key).json(&json!({"to": AKI, "messages": text()}));
    let first = answer(send()).await;
    let second = send().send().await.unwrap();
    assert_eq!((first.0, second.status().as_u16()), (200, 409));
    assert!(second.headers().contains_key("x-line-accepted-request-id"));
    let body: Value = serde_json::from_str(&second.text().await.unwrap()).unwrap();
    assert_eq!(body["sentMessages"], first.1["sentMessages"]);
    assert_eq!(chat.bench.control.ledger().len(), 1);
    chat.later(Duration::hours(24));
    assert_eq!(answer(send()).await.0, 200);
    let reply = chat.request("message/reply").header("x-line-retry-key", key).json(&json!({"replyToken": "x"}));
    assert_eq!(answer(reply).await.0, 400);
}

#[tokio::test]
async fn who_blocked_the_account_is_accepted_and_not_reached() {
    let chat = Chat::open(json!({"monthly_limit": 5})).await;
    assert_eq!(chat.allowed(), (false, Some(Because::NeverOpened)));
    assert_eq!((chat.push(text()).await.0, chat.used().await), (200, 0));
    chat.writes();
    chat.acts(Act::Block);
    assert_eq!((chat.push(text()).await.0, chat.used().await, chat.allowed().0), (200, 0, false));
    assert_eq!(chat.get(&format!("profile/{AKI}")).await.0, 404);
    assert!(chat.bench.control.act(&chat.shop.id, "aki", Act::Text { text: "x".into() }).is_err());
    chat.acts(Act::Unblock);
    assert_eq!((chat.push(text()).await.0, chat.used().await, chat.allowed().0), (200, 1, true));
    assert_eq!(chat.get(&format!("profile/{AKI}")).await.1["displayName"], "Aki");
    let unknown = json!({"to": "U0000000000000000000000000000ffff", "messages": text()});
    assert_eq!(
        answer(chat.request("message/push").json(&unknown)).await,
        (400, json!({"message": "Failed to send messages"}))
    );
}

#[rstest]
#[case(json!([]), "messages")]
#[case(json!([{"type": "text", "text": ""}]), "messages[0].text")]
#[case(json!([{"type": "text", "text": "x".repeat(5_001)}]), "messages[0].text")]
#[case(json!([{"type": "image", "originalContentUrl": "http://a.example/a.jpg", "previewImageUrl": "https://a.example/a.jpg"}]), "messages[0].originalContentUrl")]
#[case(json!([{"type": "audio", "originalContentUrl": "https://a.example/a.m4a"}]), "messages[0].duration")]
#[case(json!([{"type": "file"}]), "messages[0].type")]
#[tokio::test]
async fn wrong_messages_are_named(#[case] messages: Value, #[case] property: &str) {
    let chat = Chat::open(json!({})).await;
    chat.writes();
    let (status, body) = chat.push(messages).await;
    assert_eq!((status, &body["details"][0]["property"]), (400, &json!(property)), "{body}");
    assert!(chat.bench.control.ledger().is_empty());
}

#[tokio::test]
async fn another_token_opens_nothing() {
    let chat = Chat::open(json!({})).await;
    let (url, patch) = (format!("{}/v2/bot/info", chat.shop.api_base), json!({"access_token": "renewed"}));
    assert_eq!(chat.get("info").await.1["userId"], chat.shop.id);
    let patch = AccountPatch { settings: Some(patch), ..AccountPatch::default() };
    chat.bench.control.patch_account(&chat.shop.id, patch).unwrap();
    assert_eq!(chat.get("info").await.0, 401);
    assert_eq!(answer(chat.bench.http.get(url).bearer_auth("renewed")).await.0, 200);
}
