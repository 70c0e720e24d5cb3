//! Viber's Bot API over HTTP: every rule of the sheet that the sandbox plays.

use crate::common::{Bench, answer};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use time::Duration;
use transom_sandbox::{Act, Ask, Because, MediaAct, NewAccount, WindowState};

const TOKEN: &str = "4453b6ac12345678-e02c5f12174805f9-daec9cbb5448c51f";

struct Stage {
    bench: Bench,
    bot: String,
    mara: String,
}

impl Stage {
    async fn new(settings: Value) -> Self {
        let bench = Bench::new().await;
        let mut all = json!({"token": TOKEN});
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let bot = bench.account("viber", all).id;
        let mara = bench.mara().addresses["viber"].clone();
        Self { bench, bot, mara }
    }

    fn call(&self, method: &str, body: &Value) -> reqwest::RequestBuilder {
        let request = self.bench.http.post(self.bench.url(&format!("/viber/{method}")));
        request.header("X-Viber-Auth-Token", TOKEN).json(body)
    }

    fn message(&self, fields: Value) -> Value {
        let mut message = json!({"receiver": self.mara, "type": "text", "sender": {"name": "Shop"}, "text": "hi"});
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        message
    }

    /// Sends; status and billing status of the answer, which is HTTP 200 whatever it says.
    async fn send(&self, fields: Value) -> (i64, Option<i64>) {
        let (http, body) = answer(self.call("send_message", &self.message(fields))).await;
        assert_eq!(http, 200, "{body}");
        (body["status"].as_i64().unwrap(), body["billing_status"].as_i64())
    }

    async fn text(&self) -> (i64, Option<i64>) {
        self.send(json!({})).await
    }

    fn acts(&self, act: Act) {
        self.bench.control.act(&self.bot, "mara", act).unwrap();
    }

    fn writes(&self) {
        self.bench.control.writes(&self.bot, "mara", "hello").unwrap();
    }

    fn after(&self, span: Duration) {
        self.bench.control.advance(span);
    }

    /// The sandbox's own answer to what a send is answered with.
    fn allowed(&self) -> (bool, Option<Because>, WindowState) {
        let verdict = self.bench.control.would_accept(&self.bot, "mara", &Ask::free_form()).unwrap();
        (verdict.allowed, verdict.because, verdict.window.state)
    }
}

#[tokio::test]
async fn only_subscribers_are_written_to() {
    let stage = Stage::new(json!({})).await;
    assert_eq!(stage.text().await, (6, None));
    assert_eq!(stage.allowed(), (false, Some(Because::NeverOpened), WindowState::NeverOpened));
    stage.acts(Act::Start { payload: None });
    assert_eq!(stage.text().await, (6, None), "an opened chat allows the welcome alone");
    stage.acts(Act::OptIn);
    assert_eq!(stage.text().await, (0, Some(3)), "a subscription opens no session");
    stage.acts(Act::OptOut);
    assert_eq!(stage.text().await, (6, None));
    stage.after(Duration::SECOND);
    stage.writes();
    assert_eq!(stage.text().await, (0, Some(1)), "who writes is a subscriber");
}

#[tokio::test]
async fn a_session_is_24_hours_from_the_message_that_opened_it() {
    let stage = Stage::new(json!({})).await;
    stage.writes();
    stage.after(Duration::hours(23));
    stage.writes();
    assert_eq!(stage.text().await, (0, Some(1)));
    stage.after(Duration::hours(1) - Duration::MILLISECOND);
    assert_eq!(stage.text().await, (0, Some(1)));
    stage.after(Duration::MILLISECOND);
    assert_eq!(stage.text().await, (0, Some(3)), "the message inside did not prolong it");
    assert_eq!(stage.allowed(), (true, None, WindowState::Closed));
    stage.writes();
    assert_eq!(stage.text().await, (0, Some(1)));
}

#[tokio::test]
async fn a_session_may_slide() {
    let stage = Stage::new(json!({"session": "sliding"})).await;
    stage.writes();
    stage.after(Duration::hours(23));
    stage.writes();
    stage.after(Duration::hours(23));
    assert_eq!(stage.text().await, (0, Some(1)));
}

#[tokio::test]
async fn a_month_has_its_free_messages() {
    let stage = Stage::new(json!({"used_before": 9_999})).await;
    stage.writes();
    stage.after(Duration::DAY);
    assert_eq!(stage.text().await, (0, Some(3)));
    assert_eq!(stage.text().await, (23, None), "the 10,001st");
    assert_eq!(stage.allowed(), (false, Some(Because::Quota), WindowState::Closed));
    stage.writes();
    assert_eq!(stage.text().await, (0, Some(1)), "a session is free");
    // It is 2026-03-02 09:00: the month turns at midnight, UTC.
    stage.after(Duration::days(29) + Duration::hours(15));
    assert_eq!(stage.text().await, (0, Some(3)));
}

#[tokio::test]
async fn money_buys_more() {
    let stage = Stage::new(json!({"billable": true, "free_messages": 1, "balance": 1})).await;
    stage.writes();
    assert_eq!(stage.text().await, (0, Some(2)));
    stage.after(Duration::DAY);
    assert_eq!([stage.text().await, stage.text().await, stage.text().await], [(0, Some(4)), (0, Some(5)), (24, None)]);
}

#[tokio::test]
async fn a_hundred_an_hour_without_a_reply() {
    let stage = Stage::new(json!({})).await;
    stage.writes();
    for _ in 0..100 {
        assert_eq!(stage.text().await.0, 0);
    }
    assert_eq!(stage.text().await.0, 12);
    stage.after(Duration::HOUR);
    assert_eq!(stage.text().await.0, 0);
}

#[tokio::test]
async fn malformed_messages_are_refused() {
    let stage = Stage::new(json!({})).await;
    stage.writes();
    for (fields, status) in [
        (json!({"sender": {}}), 4),
        (json!({"sender": {"name": "x".repeat(29)}}), 3),
        (json!({"text": ""}), 4),
        (json!({"text": "x".repeat(7_001)}), 3),
        (json!({"tracking_data": null}), 3),
        (json!({"type": "carousel"}), 3),
        (json!({"type": "picture", "media": "https://x.example/a.webp"}), 3),
        (json!({"type": "video", "media": "https://x.example/a.mp4"}), 4),
        (json!({"type": "video", "media": "https://x.example/a.mp4", "size": 27_262_977}), 3),
        (json!({"type": "file", "media": "https://x.example/a", "size": 1, "file_name": "a.exe"}), 3),
        (json!({"type": "contact", "contact": {"name": "x", "phone_number": "1".repeat(19)}}), 3),
        (json!({"type": "location", "location": {"lat": 91, "lon": 0}}), 3),
        (json!({"receiver": "nobody"}), 5),
        (json!({"type": "video", "media": "https://x.example/a.mp4", "size": 27_262_976}), 0),
    ] {
        assert_eq!(stage.send(fields.clone()).await.0, status, "{fields}");
    }
    assert_eq!(stage.bench.control.ledger().len(), 1);
}

#[tokio::test]
async fn a_bot_needs_its_token_and_its_webhook() {
    let stage = Stage::new(json!({})).await;
    let bare = stage.bench.http.post(stage.bench.url("/viber/send_message")).json(&json!({}));
    assert_eq!(answer(bare).await.1["status"], 2);
    stage.writes();
    let removed = answer(stage.call("set_webhook", &json!({"url": ""}))).await.1;
    assert_eq!(removed["status"], 0);
    assert_eq!(stage.text().await.0, 10);
    stage.bench.receiver.take();
    let set = json!({"url": stage.bench.receiver.url, "event_types": ["seen"]});
    assert_eq!(answer(stage.call("set_webhook", &set)).await.1["status"], 0);
    assert_eq!(stage.bench.receiver.take()[0].json()["event"], "webhook");
    assert_eq!(stage.text().await.0, 0);
    assert_eq!(stage.bench.arrived().await, Vec::<Value>::new(), "delivered is not wanted");
    let nobody = json!({"url": "http://127.0.0.1:9/"});
    assert_eq!(answer(stage.call("set_webhook", &nobody)).await.1["status"], 1);
}

#[tokio::test]
async fn events_are_signed_and_tokens_are_whole_numbers() {
    let stage = Stage::new(json!({})).await;
    stage.writes();
    let file = MediaAct { media: "image".into(), caption: Some("box".into()), ..MediaAct::default() };
    stage.acts(Act::Media(file));
    stage.bench.settled().await;
    let calls = stage.bench.receiver.take();
    for call in &calls {
        let mac = Hmac::<sha2::Sha256>::new_from_slice(TOKEN.as_bytes()).unwrap();
        let proof = hex::encode(mac.chain_update(&call.body).finalize().into_bytes());
        assert_eq!(call.header("x-viber-content-signature"), proof);
        assert!(call.json()["message_token"].as_u64().unwrap() > 1 << 53);
    }
    let picture = calls[1].json()["message"].clone();
    assert_eq!((&picture["type"], &picture["text"]), (&json!("picture"), &json!("box")));
    let fetched = stage.bench.http.get(picture["media"].as_str().unwrap()).send().await.unwrap();
    assert!(fetched.status().is_success() && !fetched.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn one_seen_stands_for_all() {
    let stage = Stage::new(json!({})).await;
    stage.writes();
    for _ in 0..2 {
        stage.text().await;
    }
    stage.bench.settled().await;
    stage.bench.receiver.take();
    stage.acts(Act::Read);
    let arrived = stage.bench.arrived().await;
    assert_eq!(arrived.len(), 1, "{arrived:?}");
    let last = stage.bench.control.ledger().pop().unwrap().provider_ids.remove(0);
    assert_eq!((&arrived[0]["event"], arrived[0]["message_token"].to_string()), (&json!("seen"), last));
}

#[tokio::test]
async fn two_bots_do_not_share_a_token() {
    let stage = Stage::new(json!({})).await;
    let twin = NewAccount::on("viber").settings(json!({"token": TOKEN}));
    assert!(stage.bench.control.create_account(twin).is_err());
}
