//! TikTok's business API over HTTP: every rule of the sheet that the sandbox plays.

use crate::common::{Bench, answer};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use time::Duration;
use transom_sandbox::{AccountView, Act, Ask, Because, WindowState};

const SECRET: &str = "tiktok-app-secret-01";

struct Stage {
    bench: Bench,
    shop: AccountView,
    mara: String,
}

impl Stage {
    async fn new(settings: Value) -> Self {
        let bench = Bench::new().await;
        let mut all = json!({ "business_id": "biz-open-0001", "app_secret": SECRET });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let shop = bench.account("tiktok", all);
        let mara = bench.mara().addresses["tiktok"].clone();
        Self { bench, shop, mara }
    }

    /// A setting as it is now: tokens change.
    fn setting(&self, name: &str) -> String {
        let now = self.bench.control.account(&self.shop.id).unwrap();
        now.settings[name].as_str().unwrap().to_owned()
    }

    fn call(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.call_with(&self.setting("access_token"), path, body)
    }

    fn call_with(&self, token: &str, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let request = self.bench.http.post(self.bench.url(&format!("/tiktok/{path}")));
        request.header("Access-Token", token).json(body)
    }

    fn conversation(&self) -> String {
        format!("cnv+{}/{}==", self.shop.id, self.mara)
    }

    fn message(&self, fields: &Value) -> Value {
        let mut message = json!({ "business_id": self.shop.id, "recipient_type": "CONVERSATION",
            "recipient": self.conversation(), "message_type": "TEXT", "text": { "body": "hi" } });
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        message
    }

    /// The code of an answer, which is HTTP 200 whatever it says.
    async fn code(&self, request: reqwest::RequestBuilder) -> i64 {
        let (http, body) = answer(request).await;
        assert_eq!(http, 200, "{body}");
        body["code"].as_i64().unwrap()
    }

    async fn send(&self, fields: Value) -> i64 {
        self.code(self.call("business/message/send/", &self.message(&fields))).await
    }

    async fn text(&self) -> i64 {
        self.send(json!({})).await
    }

    /// A private reply to a comment.
    async fn answers(&self, comment: &str) -> i64 {
        let reply = json!({ "reply_type": "COMMENT_TO_MESSAGE", "comment_reply": { "comment_id": comment } });
        let body = json!({ "business_id": self.shop.id, "message_type": "TEXT", "text": { "body": "hi" }, "direct_reply": reply });
        self.code(self.call("business/message/send/", &body)).await
    }

    async fn direct_reply(&self, status: &str) -> i64 {
        let body = json!({ "business_id": self.shop.id, "direct_reply_type": "COMMENT_TO_MESSAGE", "operation_status": status });
        self.code(self.call("business/message/direct_reply/update/", &body)).await
    }

    async fn refresh(&self, refresh_token: &str) -> (i64, Value) {
        let body = json!({ "client_id": self.setting("app_id"), "client_secret": SECRET, "grant_type": "refresh_token",
            "refresh_token": refresh_token });
        let (http, body) = answer(self.call_with("", "tt_user/oauth2/refresh_token/", &body)).await;
        assert_eq!(http, 200, "{body}");
        (body["code"].as_i64().unwrap(), body["data"].clone())
    }

    fn acts(&self, act: Act) -> Option<String> {
        self.bench.control.act(&self.shop.id, "mara", act).unwrap().message_id
    }

    fn comments(&self) -> String {
        self.acts(Act::Other { kind: "comment".into(), data: json!({ "text": "How much?" }) }).unwrap()
    }

    fn writes(&self) {
        self.bench.control.writes(&self.shop.id, "mara", "hello").unwrap();
    }

    fn after(&self, span: Duration) {
        self.bench.control.advance(span);
    }

    /// So long that the access token is over, and the next one is there.
    async fn after_days(&self, span: Duration) {
        self.after(span);
        assert_eq!(self.refresh(&self.setting("refresh_token")).await.0, 0);
    }

    /// The sandbox's own answer to what a send is answered with.
    fn allowed(&self, ask: &Ask) -> (bool, Option<Because>, WindowState) {
        let verdict = self.bench.control.would_accept(&self.shop.id, "mara", ask).unwrap();
        (verdict.allowed, verdict.because, verdict.window.state)
    }

    fn free_form(&self) -> (bool, Option<Because>, WindowState) {
        self.allowed(&Ask::free_form())
    }

    /// The contents of the events that arrived, by their names.
    async fn events(&self) -> Vec<(String, Value)> {
        let arrived = self.bench.arrived().await;
        let content = |event: &Value| serde_json::from_str(event["content"].as_str().unwrap()).unwrap();
        arrived.iter().map(|event| (event["event"].as_str().unwrap().to_owned(), content(event))).collect()
    }
}

#[tokio::test]
async fn a_window_is_48_hours_from_the_last_message() {
    let stage = Stage::new(json!({})).await;
    assert_eq!(stage.free_form(), (false, Some(Because::NeverOpened), WindowState::NeverOpened));
    assert_eq!(stage.text().await, 40_007, "there is no conversation yet");
    stage.writes();
    stage.after(Duration::hours(40));
    stage.writes();
    stage.after_days(Duration::hours(48) - Duration::MILLISECOND).await;
    assert_eq!(stage.text().await, 0);
    stage.after(Duration::MILLISECOND);
    assert_eq!(stage.text().await, 40_064);
    assert_eq!(stage.free_form(), (false, Some(Because::WindowClosed), WindowState::Closed));
    stage.writes();
    assert_eq!(stage.text().await, 0);
}

#[tokio::test]
async fn each_message_of_the_customer_is_good_for_ten() {
    let stage = Stage::new(json!({})).await;
    stage.writes();
    for number in 1..=10 {
        assert_eq!(stage.text().await, 0, "{number}");
    }
    assert_eq!(stage.text().await, 40_064, "the eleventh");
    assert_eq!(stage.free_form(), (false, Some(Because::Quota), WindowState::Open));
    stage.after(Duration::SECOND);
    stage.writes();
    assert_eq!(stage.text().await, 0);
    assert_eq!(stage.bench.control.ledger().len(), 11);
}

#[tokio::test]
async fn by_the_other_reading_the_ten_hold_until_the_customer_answers() {
    let stage = Stage::new(json!({ "reading": "b", "reply_limit": 2 })).await;
    stage.writes();
    assert_eq!([stage.text().await, stage.text().await, stage.text().await], [0, 0, 40_064]);
    stage.after_days(Duration::hours(47)).await;
    stage.writes();
    for _ in 0..12 {
        assert_eq!(stage.text().await, 0, "both have written");
    }
    stage.after_days(Duration::hours(48)).await;
    assert_eq!(stage.free_form(), (true, None, WindowState::Closed));
    assert_eq!([stage.text().await, stage.text().await, stage.text().await, stage.text().await], [0, 0, 0, 40_064]);
    assert_eq!(stage.free_form(), (false, Some(Because::Quota), WindowState::Closed));
}

#[tokio::test]
async fn a_comment_gets_one_private_reply_where_they_are_on() {
    let stage = Stage::new(json!({})).await;
    let comment = stage.comments();
    let tagged = Ask::tagged("private_reply");
    assert_eq!(stage.answers(&comment).await, 40_064, "they are off");
    assert_eq!(stage.allowed(&tagged), (false, Some(Because::NeverOpened), WindowState::NeverOpened));
    assert_eq!(stage.direct_reply("ENABLE").await, 0);
    assert_eq!(stage.free_form(), (false, Some(Because::NeverOpened), WindowState::NeverOpened), "it opens no window");
    assert_eq!(stage.allowed(&tagged), (true, None, WindowState::None));
    assert_eq!(stage.answers("4711").await, 40_007, "nobody wrote that");
    assert_eq!(stage.answers(&comment).await, 0);
    assert_eq!(stage.answers(&comment).await, 40_064, "one each");
    assert_eq!(stage.allowed(&tagged), (false, Some(Because::NeverOpened), WindowState::NeverOpened));
    let second = stage.comments();
    assert_eq!(stage.answers(&second).await, 0, "another comment is another reply");
    assert_eq!(stage.direct_reply("DISABLE").await, 0);
    let third = stage.comments();
    assert_eq!(stage.answers(&third).await, 40_064);
    let (name, told) = stage.events().await.remove(0);
    assert_eq!(name, "im_receive_high_intent_comment");
    assert_eq!((&told["comment_id"], &told["comment_text"]), (&json!(comment), &json!("How much?")));
}

#[tokio::test]
async fn who_blocks_gets_nothing_and_nobody_is_told() {
    let stage = Stage::new(json!({ "direct_reply": true })).await;
    stage.writes();
    let comment = stage.comments();
    stage.bench.arrived().await;
    stage.acts(Act::Block);
    assert_eq!(stage.text().await, 40_064);
    assert_eq!(stage.answers(&comment).await, 40_064);
    let verdict = stage.bench.control.would_accept(&stage.shop.id, "mara", &Ask::free_form()).unwrap();
    assert!(verdict.allowed && verdict.blocked, "{verdict:?}");
    assert!(stage.bench.control.writes(&stage.shop.id, "mara", "hello").is_err(), "who blocks writes nothing");
    stage.acts(Act::Unblock);
    assert_eq!(stage.bench.arrived().await, Vec::<Value>::new(), "TikTok tells of neither");
    assert_eq!(stage.text().await, 0);
}

#[tokio::test]
async fn access_tokens_live_a_day_and_refresh_tokens_are_spent() {
    let stage = Stage::new(json!({})).await;
    stage.writes();
    let (access, refresh) = (stage.setting("access_token"), stage.setting("refresh_token"));
    stage.after(Duration::DAY);
    assert_eq!(stage.text().await, 40_105, "it is over");
    let (code, next) = stage.refresh(&refresh).await;
    assert_eq!((code, &next["expires_in"]), (0, &json!(86_400)));
    assert_eq!(next["open_id"], json!(stage.shop.id));
    assert_ne!(next["refresh_token"], json!(refresh));
    assert_eq!(
        (&next["access_token"], &next["refresh_token"]),
        (&json!(stage.setting("access_token")), &json!(stage.setting("refresh_token")))
    );
    assert_eq!(stage.text().await, 0);
    let with_the_old = stage.call_with(&access, "business/message/send/", &stage.message(&json!({})));
    assert_eq!(stage.code(with_the_old).await, 40_105);
    assert_eq!(stage.refresh(&refresh).await.0, 40_105, "each is good for one exchange");
    let stranger = json!({ "client_id": "7", "client_secret": "x", "grant_type": "refresh_token",
        "refresh_token": stage.setting("refresh_token") });
    assert_eq!(stage.code(stage.call_with("", "tt_user/oauth2/refresh_token/", &stranger)).await, 40_001);
}

#[tokio::test]
async fn malformed_messages_are_refused() {
    let stage = Stage::new(json!({})).await;
    stage.writes();
    let card = |buttons: Value, title: &str| json!({ "message_type": "TEMPLATE", "template": { "type": "QA_BUTTON_CARD", "title": title, "buttons": buttons } });
    let button = |title: &str| json!({ "type": "REPLY", "title": title, "id": "b1" });
    for (fields, code) in [
        (json!({ "business_id": "biz-open-0002" }), 40_001),
        (json!({ "recipient_type": "USER" }), 40_002),
        (json!({ "recipient": "cnv+nobody==" }), 40_007),
        (json!({ "text": { "body": "" } }), 40_002),
        (json!({ "text": { "body": "x".repeat(6_001) } }), 40_002),
        (json!({ "message_type": "VIDEO" }), 40_002),
        (json!({ "message_type": "IMAGE", "image": { "media_id": "media-1" } }), 40_002),
        (json!({ "referenced_message_info": { "referenced_message_id": "msg+none==" } }), 40_007),
        (card(json!([]), "Which topic?"), 40_002),
        (card(json!([button("Order"), button("Return"), button("Else"), button("None")]), "Which topic?"), 40_002),
        (card(json!([button(&"x".repeat(21))]), "Which topic?"), 40_002),
        (card(json!([button("Order")]), &"x".repeat(41)), 40_002),
        (card(json!([button("Order")]), "Which topic?"), 0),
    ] {
        assert_eq!(stage.send(fields.clone()).await, code, "{fields}");
    }
    let bare = stage.call("business/message/send", &stage.message(&json!({})));
    assert_eq!(stage.code(bare).await, 40_002, "every path ends with a slash");
    assert_eq!(stage.bench.control.ledger().len(), 1);
}

#[tokio::test]
async fn events_are_signed_over_their_time() {
    let stage = Stage::new(json!({})).await;
    stage.writes();
    stage.bench.settled().await;
    let calls = stage.bench.receiver.take();
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    let signature = call.header("tiktok-signature");
    let (at, proof) = signature.strip_prefix("t=").unwrap().split_once(",s=").unwrap();
    let mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let mac = mac.chain_update(at).chain_update(b".").chain_update(&call.body);
    assert_eq!(proof, hex::encode(mac.finalize().into_bytes()));
    let event = call.json();
    assert_eq!((&event["create_time"].to_string(), &event["user_openid"]), (&at.to_owned(), &json!(stage.shop.id)));
    let content: Value = serde_json::from_str(event["content"].as_str().unwrap()).unwrap();
    assert_eq!((&content["type"], &content["text"]["body"]), (&json!("text"), &json!("hello")));
    assert_eq!(content["conversation_id"], json!(stage.conversation()));
    assert_eq!(content["from_user"]["id"], json!(stage.mara));
}

#[tokio::test]
async fn a_message_from_the_eea_comes_without_its_content() {
    let stage = Stage::new(json!({})).await;
    let content = json!({ "timestamp": 1, "from_user": { "id": stage.mara, "role": "personal_account" } });
    let order = json!({ "event": "im_receive_msg_eu", "content": content });
    stage.bench.control.platform(&stage.shop.id, "event", order).await.unwrap();
    assert_eq!(stage.events().await, [("im_receive_msg_eu".to_owned(), content)]);
    assert_eq!(stage.free_form(), (false, Some(Because::NeverOpened), WindowState::NeverOpened), "and opens nothing");
}

#[tokio::test]
async fn what_was_sent_is_told_and_one_reading_stands_for_all() {
    let stage = Stage::new(json!({})).await;
    stage.writes();
    stage.text().await;
    stage.text().await;
    stage.bench.settled().await;
    let names: Vec<String> = stage.events().await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["im_receive_msg", "im_send_msg", "im_send_msg"]);
    stage.acts(Act::Read);
    let told = stage.events().await;
    let [(name, content)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(name, "im_mark_read_msg");
    assert!(content["read"]["last_read_timestamp"].is_u64(), "{content}");
    stage.acts(Act::Echo { text: "from the app".into() });
    let (_, echo) = stage.events().await.remove(0);
    assert_eq!(echo["message_tag"]["source"], "APP");
}
