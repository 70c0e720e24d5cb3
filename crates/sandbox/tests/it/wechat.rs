//! The sandbox as WeChat, over HTTP: tokens, counts and windows, signed and encrypted calls.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::Duration;
use transom_sandbox::{AccountView, Act, Action};

use crate::common::{Bench, answer};

struct Shop {
    bench: Bench,
    account: AccountView,
    openid: String,
}

impl Shop {
    async fn with(settings: Value) -> Self {
        let bench = Bench::new().await;
        let account = bench.account("wechat", settings);
        let openid = bench.mara().addresses["wechat"].clone();
        Self { bench, account, openid }
    }

    async fn asks_token(&self, force: bool) -> Value {
        let url = format!("{}/cgi-bin/stable_token", self.account.api_base);
        let body = json!({"grant_type": "client_credential", "appid": self.account.settings["app_id"],
            "secret": self.account.settings["app_secret"], "force_refresh": force});
        answer(self.bench.http.post(url).json(&body)).await.1
    }

    async fn sends_raw(&self, body: String) -> i64 {
        let token = self.asks_token(false).await;
        let url = format!("{}/cgi-bin/message/custom/send", self.account.api_base);
        let query = [("access_token", token["access_token"].as_str().unwrap())];
        answer(self.bench.http.post(url).query(&query).body(body)).await.1["errcode"].as_i64().unwrap()
    }

    async fn sends(&self, text: &str) -> i64 {
        self.sends_raw(json!({"touser": self.openid, "msgtype": "text", "text": {"content": text}}).to_string()).await
    }

    fn acts(&self, act: Act) {
        self.bench.control.act(&self.account.id, "mara", act).unwrap();
    }

    fn clicks(&self) {
        self.acts(Act::Other { kind: "CLICK".into(), data: json!({"EventKey": "HELP"}) });
    }

    fn passes(&self, span: Duration) {
        self.bench.control.advance(span);
    }
}

#[tokio::test]
async fn a_token_is_the_same_until_it_ends_or_is_forced() {
    let shop = Shop::with(json!({})).await;
    let first = shop.asks_token(false).await;
    shop.passes(Duration::hours(1));
    let again = shop.asks_token(false).await;
    assert_eq!((&again["access_token"], &again["expires_in"]), (&first["access_token"], &json!(3_600)));
    let forced = shop.asks_token(true).await;
    assert_ne!(forced["access_token"], first["access_token"]);
    shop.passes(Duration::hours(2));
    assert_ne!(shop.asks_token(false).await["access_token"], forced["access_token"]);
}

#[tokio::test]
async fn a_message_gives_its_count_for_two_days() {
    let shop = Shop::with(json!({"message_limit": 5})).await;
    assert_eq!(shop.sends("before anything").await, 45_015);
    shop.bench.control.writes(&shop.account.id, "mara", "hello").unwrap();
    for _ in 0..5 {
        assert_eq!(shop.sends("hi").await, 0);
    }
    assert_eq!(shop.sends("one too many").await, 45_047);
    shop.passes(Duration::hours(1));
    shop.bench.control.writes(&shop.account.id, "mara", "again").unwrap();
    shop.passes(Duration::hours(48) - Duration::SECOND);
    assert_eq!(shop.sends("just in time").await, 0);
    shop.passes(Duration::SECOND);
    assert_eq!(shop.sends("too late").await, 45_015);
}

#[tokio::test]
async fn what_ends_first_is_spent_first_and_a_payment_has_no_count() {
    let shop = Shop::with(json!({"message_limit": 1})).await;
    shop.bench.control.writes(&shop.account.id, "mara", "hello").unwrap();
    shop.passes(Duration::hours(1));
    shop.clicks();
    for _ in 0..4 {
        assert_eq!(shop.sends("three for the tap, one for the message").await, 0);
    }
    assert_eq!(shop.sends("no more").await, 45_047);
    shop.acts(Act::Start { payload: Some("4711".into()) });
    shop.passes(Duration::MINUTE);
    assert_eq!(shop.sends("a scan lasts a minute").await, 45_047);
    shop.acts(Act::Other { kind: "payment".into(), data: json!({}) });
    for _ in 0..9 {
        assert_eq!(shop.sends("paid").await, 0);
    }
}

#[tokio::test]
async fn who_leaves_or_switches_messages_off_is_not_reached() {
    let shop = Shop::with(json!({})).await;
    shop.bench.control.writes(&shop.account.id, "mara", "hello").unwrap();
    shop.acts(Act::OptOut);
    assert_eq!(shop.sends("hi").await, 48_002);
    shop.acts(Act::OptIn);
    assert_eq!(shop.sends("hi").await, 0);
    shop.passes(Duration::MINUTE);
    shop.acts(Act::Block);
    assert_eq!(shop.sends("hi").await, 45_015);
    // A new follow begins anew: three for a minute, and nothing of before.
    shop.passes(Duration::MINUTE);
    shop.acts(Act::Unblock);
    for _ in 0..3 {
        assert_eq!(shop.sends("welcome").await, 0);
    }
    assert_eq!(shop.sends("welcome").await, 45_047);
}

#[tokio::test]
async fn what_is_told_late_of_a_time_before_they_left_brings_nobody_back() {
    let shop = Shop::with(json!({})).await;
    let control = &shop.bench.control;
    control.writes(&shop.account.id, "mara", "hello").unwrap();
    let before = control.now();
    shop.passes(Duration::HOUR);
    shop.acts(Act::Block);
    shop.passes(Duration::MINUTE);
    let scan = || Act::Start { payload: Some("4711".into()) };
    control.act(&shop.account.id, "mara", Action::from(scan()).at(before)).unwrap();
    control.act(&shop.account.id, "mara", Action::from(Act::Text { text: "hello?".into() }).at(before)).unwrap();
    assert_eq!(shop.sends("hi").await, 45_015);
    assert!(control.act(&shop.account.id, "mara", Act::Text { text: "hello?".into() }).is_err(), "they are gone");
    shop.acts(scan());
    assert_eq!(shop.sends("welcome back").await, 0);
}

#[tokio::test]
async fn escaped_characters_are_refused() {
    let shop = Shop::with(json!({})).await;
    shop.bench.control.writes(&shop.account.id, "mara", "hello").unwrap();
    let with =
        |content: &str| format!(r#"{{"touser":"{}","msgtype":"text","text":{{"content":"{content}"}}}}"#, shop.openid);
    assert_eq!(shop.sends_raw(with("\\u4e2d")).await, 40_033);
    assert_eq!(shop.sends_raw(with("中")).await, 0);
    assert_eq!(shop.sends_raw(with("")).await, 44_004);
    assert_eq!(shop.sends_raw(with(&"x".repeat(2_049))).await, 45_002);
}

#[tokio::test]
async fn calls_are_proved_in_their_address_and_encrypted_where_there_is_a_key() {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
    for encrypted in [false, true] {
        let shop = Shop::with(json!({"encoding_aes_key": encrypted.then_some(key)})).await;
        shop.bench.control.writes(&shop.account.id, "mara", "a ]]> b").unwrap();
        shop.bench.settled().await;
        let call = shop.bench.receiver.take().remove(0);
        let query: BTreeMap<String, String> = url::form_urlencoded::parse(call.query.as_bytes()).into_owned().collect();
        let body = String::from_utf8(call.body.to_vec()).unwrap();
        assert_eq!(call.header("content-type"), "text/xml");
        assert_eq!(query["signature"].len(), 40);
        assert_eq!(query.contains_key("msg_signature"), encrypted);
        assert_eq!(body.contains("<Encrypt>"), encrypted, "{body}");
        assert_eq!(body.contains("<![CDATA[a ]]]]><![CDATA[> b]]>"), !encrypted, "{body}");
    }
}
