//! The sandbox as Messenger: the documents' requests and answers, over HTTP.

use serde_json::{Value, json};
use time::Duration;
use transom_sandbox::{AccountView, Act, Action, Ask, Progress, ReceiptOrder};

use crate::common::{Bench, START, answer};

struct Page {
    bench: Bench,
    account: AccountView,
    psid: String,
}

impl Page {
    async fn open(settings: Value) -> Self {
        let bench = Bench::new().await;
        let account = bench.account("messenger", settings);
        let psid = bench.mara().addresses["messenger"].clone();
        Self { bench, account, psid }
    }

    /// With a customer who wrote just now.
    async fn written_to(settings: Value) -> Self {
        let page = Self::open(settings).await;
        page.bench.control.writes(&page.account.id, "mara", "Where is A-1001?").unwrap();
        page.bench.arrived().await;
        page
    }

    async fn post(&self, edge: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/v25.0/{}/{edge}", self.account.api_base, self.account.id);
        let token = self.account.settings["access_token"].as_str().unwrap();
        answer(self.bench.http.post(url).bearer_auth(token).json(&body)).await
    }

    /// Sends a text with these fields beside the message: code and subcode of the refusal, or 0.
    async fn says(&self, right: Value) -> (i64, i64) {
        let mut body = json!({"recipient": {"id": self.psid}, "message": {"text": "hello"}});
        body.as_object_mut().unwrap().extend(right.as_object().unwrap().clone());
        let (_, answered) = self.post("messages", body).await;
        let number = |name: &str| answered["error"][name].as_i64().unwrap_or_default();
        (number("code"), number("error_subcode"))
    }

    fn passes(&self, time: Duration) {
        self.bench.control.advance(time);
    }
}

const OUTSIDE: (i64, i64) = (10, 2_018_278);
const TAKEN: (i64, i64) = (0, 0);

#[tokio::test]
async fn a_text_is_taken_echoed_and_delivered() {
    let page = Page::written_to(json!({})).await;
    let body = json!({"recipient": {"id": page.psid}, "messaging_type": "RESPONSE",
        "message": {"text": "Your parcel left Graz.", "metadata": "msg-42"}});
    let (status, answered) = page.post("messages", body).await;
    assert_eq!((status, answered["recipient_id"].as_str()), (200, Some(page.psid.as_str())));
    let mid = answered["message_id"].as_str().unwrap().to_owned();

    let told = page.bench.arrived().await;
    let events: Vec<&Value> = told.iter().map(|call| &call["entry"][0]["messaging"][0]).collect();
    let [echo, delivery] = events.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        (echo["sender"]["id"].as_str(), echo["recipient"]["id"].as_str()),
        (Some(page.account.id.as_str()), Some(page.psid.as_str()))
    );
    assert_eq!(
        echo["message"],
        json!({"mid": mid, "is_echo": true, "app_id": 880_000_000_000_001_u64, "text": "Your parcel left Graz.", "metadata": "msg-42"})
    );
    let now = START.unix_timestamp() * 1_000;
    assert_eq!(delivery["delivery"], json!({"mids": [mid], "watermark": now}));

    page.bench.control.receipt(&page.account.id, &ReceiptOrder::new(mid, Progress::Read)).unwrap();
    let told = page.bench.arrived().await;
    assert_eq!(told[0]["entry"][0]["messaging"][0]["read"], json!({"watermark": now}));
}

#[tokio::test]
async fn the_window_is_24_hours_from_the_last_opening() {
    let page = Page::written_to(json!({})).await;
    page.passes(Duration::hours(24) - Duration::MILLISECOND);
    assert_eq!(page.says(json!({"messaging_type": "RESPONSE"})).await, TAKEN);
    page.passes(Duration::MILLISECOND);
    assert_eq!(page.says(json!({"messaging_type": "RESPONSE"})).await, OUTSIDE);
    // Without a type it is taken as an answer.
    assert_eq!(page.says(json!({})).await, OUTSIDE);

    let other = |kind: &str, data: Value| Act::Other { kind: kind.to_owned(), data };
    for (opens, act) in [
        (false, other("referral", json!({"ref": "spring", "source": "ADS"}))),
        (false, other("optin", json!({"type": "notification_messages"}))),
        (false, Act::Echo { text: "a colleague".into() }),
        (true, other("referral", json!({"ref": "qr7", "source": "SHORTLINK"}))),
        (true, other("optin", json!({"ref": "cart9"}))),
        (true, Act::Start { payload: None }),
    ] {
        page.passes(Duration::days(2));
        page.bench.control.act(&page.account.id, "mara", act.clone()).unwrap();
        let expected = if opens { TAKEN } else { OUTSIDE };
        assert_eq!(page.says(json!({"messaging_type": "UPDATE"})).await, expected, "{act:?}");
    }
}

#[tokio::test]
async fn a_person_has_seven_days_if_the_feature_is_granted() {
    let tag = || json!({"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"});
    let granted = Page::written_to(json!({"human_agent": true})).await;
    granted.passes(Duration::days(7) - Duration::MILLISECOND);
    assert_eq!(granted.says(tag()).await, TAKEN);
    let verdict = granted.bench.control.would_accept(&granted.account.id, "mara", &Ask::tagged("HUMAN_AGENT")).unwrap();
    assert!(verdict.allowed);
    granted.passes(Duration::MILLISECOND);
    assert_eq!(granted.says(tag()).await, OUTSIDE);
    assert!(!granted.bench.control.would_accept(&granted.account.id, "mara", &Ask::free_form()).unwrap().allowed);

    let not = Page::written_to(json!({})).await;
    assert_eq!(not.says(tag()).await, OUTSIDE);
    assert_eq!(not.says(json!({"messaging_type": "MESSAGE_TAG"})).await, (100, 0));
}

/// Three tags ended on 2026-04-27.
#[tokio::test]
async fn three_tags_have_an_end() {
    let page = Page::written_to(json!({})).await;
    let tag = |tag: &str| json!({"messaging_type": "MESSAGE_TAG", "tag": tag});
    let updates = ["CONFIRMED_EVENT_UPDATE", "ACCOUNT_UPDATE", "POST_PURCHASE_UPDATE"];
    page.passes(time::macros::datetime!(2026-04-26 23:59:59 UTC) - START);
    for update in updates {
        assert_eq!(page.says(tag(update)).await, TAKEN, "{update}");
    }
    page.passes(Duration::SECOND);
    for update in updates.into_iter().chain(["SHIPPING_UPDATE", "CUSTOMER_FEEDBACK"]) {
        assert_eq!(page.says(tag(update)).await, (100, 0), "{update}");
    }
}

#[tokio::test]
async fn a_comment_gets_one_answer() {
    let page = Page::open(json!({})).await;
    let act = |kind: &str| Action::from(Act::Other { kind: kind.into(), data: json!({"text": "price?"}) });
    for (kind, field) in [("comment", "comment_id"), ("visitor_post", "post_id")] {
        let id = page.bench.control.act(&page.account.id, "mara", act(kind)).unwrap().message_id.unwrap();
        let told = page.bench.arrived().await;
        assert_eq!(told[0]["entry"][0]["changes"][0]["value"][field].as_str(), Some(id.as_str()));
        let body = json!({"recipient": {field: id}, "message": {"text": "We wrote you here."}});
        let (status, answered) = page.post("messages", body.clone()).await;
        assert_eq!((status, answered["recipient_id"].as_str()), (200, Some(page.psid.as_str())));
        assert_eq!(page.post("messages", body).await.0, 400);
        page.bench.arrived().await;
    }
    // It opened nothing.
    assert_eq!(page.says(json!({})).await, OUTSIDE);

    let late = page.bench.control.act(&page.account.id, "mara", act("comment")).unwrap().message_id.unwrap();
    page.passes(Duration::days(7));
    let body = json!({"recipient": {"comment_id": late}, "message": {"text": "late"}});
    assert_eq!(page.post("messages", body).await.0, 403);
}

#[tokio::test]
async fn requests_are_held_against_the_documents() {
    let page = Page::written_to(json!({})).await;
    let to = |message: Value| json!({"recipient": {"id": page.psid}, "messaging_type": "RESPONSE", "message": message});
    let reply = |n: usize| json!({"content_type": "text", "title": format!("T{n}"), "payload": "P"});
    let many: Vec<Value> = (0..14).map(reply).collect();
    let button = json!({"type": "postback", "title": "a".repeat(21), "payload": "P"});
    let template = json!({"template_type": "button", "text": "?", "buttons": [button]});
    let both = json!({"recipient": {"id": page.psid}, "sender_action": "typing_on", "message": {"text": "x"}});
    for (body, subcode) in [
        (to(json!({"text": "x".repeat(2_000)})), 0),
        (to(json!({})), 0),
        (to(json!({"text": "x", "quick_replies": many})), 0),
        (to(json!({"attachment": {"type": "template", "payload": template}})), 0),
        (to(json!({"attachment": {"type": "image", "payload": {"attachment_id": "5"}}})), 2_018_074),
        (to(json!({"attachment": {"type": "image", "payload": {"url": "https://nowhere.example/x.png"}}})), 2_018_008),
        (both, 2_018_014),
        (json!({"recipient": {"id": "1"}, "message": {"text": "x"}}), 2_018_001),
    ] {
        let (_, answered) = page.post("messages", body.clone()).await;
        assert_eq!(answered["error"]["code"], 100, "{body}");
        assert_eq!(answered["error"]["error_subcode"].as_i64().unwrap_or_default(), subcode, "{body}: {answered}");
    }
    assert!(page.bench.control.ledger().is_empty());
}

#[tokio::test]
async fn another_app_may_have_the_thread() {
    let page = Page::written_to(json!({"thread_owner": false})).await;
    assert_eq!(page.says(json!({})).await, (2_018_300, 0));
    page.bench.control.writes(&page.account.id, "mara", "hello?").unwrap();
    let told = page.bench.arrived().await;
    assert_eq!(told[0]["entry"][0]["standby"][0]["message"]["text"], "hello?");
    page.post("take_thread_control", json!({"recipient": {"id": page.psid}})).await;
    assert_eq!(page.says(json!({})).await, TAKEN);
}

#[tokio::test]
async fn webhooks_are_signed_and_shaken_hands_over() {
    let page = Page::open(json!({"app_secret": "test-app-secret-0001"})).await;
    page.bench.control.writes(&page.account.id, "mara", "caf\u{e9}").unwrap();
    page.bench.settled().await;
    let call = page.bench.receiver.take().remove(0);
    assert!(std::str::from_utf8(&call.body).unwrap().contains("caf\\u00e9"));
    assert!(call.header("x-hub-signature-256").starts_with("sha256="));
    let shaken = page.bench.control.platform(&page.account.id, "handshake", json!({})).await.unwrap();
    assert_eq!(shaken["ok"], true);
}
