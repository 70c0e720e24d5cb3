//! Faults of calls and of webhooks, the control API over HTTP, and the page.

use std::time::Duration;

use crate::common::{Bench, answer};
use rstest::rstest;
use serde_json::{Value, json};
use transom_domain::{Clock, SettableClock};
use transom_sandbox::{
    AccountPatch, AccountView, Act, CallState, DeliveryState, Fault, FaultKind, MediaAct, On, ReleaseOrder, Sandbox,
    SandboxConfig, StartError, WebhookOrder,
};

/// Both platforms, each with a customer who has written, and nothing on its way.
struct Stage {
    bench: Bench,
    number: AccountView,
    bot: AccountView,
}

impl Stage {
    async fn set() -> Self {
        let bench = Bench::new().await;
        bench.mara();
        let (number, bot) = (
            bench.account("whatsapp", json!({"pacing": false})),
            bench.account("telegram", json!({"secret_token": "abc"})),
        );
        for account in [&number, &bot] {
            bench.control.writes(&account.id, "mara", "hi").unwrap();
        }
        bench.arrived().await;
        Self { bench, number, bot }
    }

    fn account(&self, platform: &str) -> &AccountView {
        if platform == "whatsapp" { &self.number } else { &self.bot }
    }

    fn send(&self, platform: &str, text: &str) -> reqwest::RequestBuilder {
        let account = self.account(platform);
        let setting = |name: &str| account.settings[name].as_str().unwrap().to_owned();
        if platform == "whatsapp" {
            let url = format!("{}/v25.0/{}/messages", account.api_base, account.id);
            let body = json!({"messaging_product": "whatsapp", "to": "+4915550100001", "type": "text", "text": {"body": text}});
            return self.bench.http.post(url).bearer_auth(setting("access_token")).json(&body);
        }
        let chat = self.bench.control.customer("mara").unwrap().addresses["telegram"].clone();
        let url = format!("{}/bot{}/sendMessage", account.api_base, setting("token"));
        self.bench.http.post(url).json(&json!({"chat_id": chat, "text": text}))
    }

    fn fault(&self, platform: &str, kind: FaultKind) {
        self.bench.control.fault(&self.account(platform).id, Fault::once(kind)).unwrap();
    }

    /// The texts in the ledger, with whether their sender was told.
    fn accepted(&self) -> Vec<(String, bool)> {
        self.bench.control.ledger().into_iter().map(|send| (send.text, send.answered)).collect()
    }

    fn webhooks(&self, order: &WebhookOrder) -> Vec<u64> {
        self.bench.control.webhooks(&self.number.id, order).unwrap()
    }

    fn writes(&self, text: &str) -> u64 {
        self.bench.control.writes(&self.number.id, "mara", text).unwrap().deliveries[0]
    }

    /// The texts of the webhooks that arrived.
    async fn texts(&self) -> Vec<String> {
        let bodies = self.bench.arrived().await;
        bodies
            .iter()
            .map(|body| {
                body["entry"][0]["changes"][0]["value"]["messages"][0]["text"]["body"].as_str().unwrap().to_owned()
            })
            .collect()
    }
}

#[rstest]
#[case("whatsapp")]
#[case("telegram")]
#[tokio::test]
async fn a_lost_answer_is_a_message_nevertheless(#[case] platform: &str) {
    let stage = Stage::set().await;
    stage.fault(platform, FaultKind::LoseAnswer);
    assert!(stage.send(platform, "lost").send().await.is_err());
    assert_eq!(stage.accepted(), [("lost".to_owned(), false)]);
    let last = stage.bench.control.calls().pop().unwrap();
    assert_eq!((last.status, last.fault), (None, Some("lose_answer")));
    assert_eq!(answer(stage.send(platform, "again")).await.0, 200);
    assert_eq!(stage.accepted()[1], ("again".to_owned(), true));
}

#[rstest]
#[case("whatsapp")]
#[case("telegram")]
#[tokio::test]
async fn a_dropped_call_is_no_message(#[case] platform: &str) {
    let stage = Stage::set().await;
    stage.fault(platform, FaultKind::Drop);
    assert!(stage.send(platform, "dropped").send().await.is_err());
    assert!(stage.accepted().is_empty());
}

#[rstest]
#[case("whatsapp", 130_429)]
#[case("telegram", 429)]
#[tokio::test]
async fn too_fast_in_the_platforms_words(#[case] platform: &str, #[case] code: i64) {
    let stage = Stage::set().await;
    stage.fault(platform, FaultKind::RateLimited { retry_after: Some(14) });
    let reply = stage.send(platform, "x").send().await.unwrap();
    assert_eq!(reply.status(), 429);
    let header = reply.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let body: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
    if platform == "whatsapp" {
        assert_eq!((body["error"]["code"].as_i64(), header.as_deref()), (Some(code), Some("14")));
    } else {
        assert_eq!((body["error_code"].as_i64(), &body["parameters"]["retry_after"]), (Some(code), &json!(14)));
    }
    assert!(stage.accepted().is_empty());
}

#[rstest]
#[case("whatsapp", 500)]
#[case("telegram", 503)]
#[tokio::test]
async fn a_bare_status_is_no_message(#[case] platform: &str, #[case] status: u16) {
    let stage = Stage::set().await;
    stage.fault(platform, FaultKind::Status { status });
    let (got, body) = answer(stage.send(platform, "x")).await;
    assert_eq!((got, body), (status, json!("upstream error")));
    assert!(stage.accepted().is_empty());
}

#[rstest]
#[case("whatsapp")]
#[case("telegram")]
#[tokio::test]
async fn garbage_and_truncated_answers_hide_a_message(#[case] platform: &str) {
    let stage = Stage::set().await;
    stage.fault(platform, FaultKind::Garbage);
    stage.fault(platform, FaultKind::Truncated);
    let (status, body) = answer(stage.send(platform, "garbage")).await;
    assert!(status == 200 && body.is_string(), "{body}");
    let reply = stage.send(platform, "cut").send().await.unwrap();
    assert_eq!(reply.status(), 200);
    assert!(reply.text().await.is_err(), "the body breaks off");
    assert_eq!(stage.accepted(), [("garbage".to_owned(), false), ("cut".to_owned(), false)]);
}

#[tokio::test]
async fn platform_errors_come_at_once_or_later() {
    let stage = Stage::set().await;
    let error = |code, asynchronous| FaultKind::Error { code, detail: Some("because".into()), asynchronous };
    stage.fault("whatsapp", error(131_042, false));
    let (status, body) = answer(stage.send("whatsapp", "x")).await;
    assert_eq!(
        (status, &body["error"]["code"], &body["error"]["error_data"]["details"]),
        (400, &json!(131_042), &json!("because"))
    );
    stage.fault("whatsapp", error(131_026, true));
    assert_eq!(answer(stage.send("whatsapp", "x")).await.0, 200);
    let value = stage.bench.arrived().await.remove(0)["entry"][0]["changes"][0]["value"]["statuses"][0].clone();
    assert_eq!((&value["status"], &value["errors"][0]["code"]), (&json!("failed"), &json!(131_026)));
    stage.fault("telegram", error(403, false));
    assert_eq!(
        answer(stage.send("telegram", "x")).await.1,
        json!({"ok": false, "error_code": 403, "description": "because"})
    );
    assert!(stage.accepted().is_empty());
}

#[tokio::test]
async fn a_call_is_listed_when_it_arrives_and_again_when_it_is_answered() {
    let stage = Stage::set().await;
    let (control, number) = (&stage.bench.control, &stage.number.id);
    // What it carries is fetched from a server that does not answer before it is told to.
    let gate = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = format!("http://{}/a.jpg", gate.local_addr().unwrap());
    let body =
        json!({"messaging_product": "whatsapp", "to": "+4915550100001", "type": "image", "image": {"link": link}});
    let url = format!("{}/v25.0/{number}/messages", stage.number.api_base);
    let token = stage.number.settings["access_token"].as_str().unwrap();
    let call = tokio::spawn(answer(stage.bench.http.post(url).bearer_auth(token).json(&body)));
    let (stream, _) = gate.accept().await.unwrap();

    let listed = control.calls().pop().unwrap();
    assert_eq!((listed.state, listed.status, listed.account.as_ref()), (CallState::Arrived, None, Some(number)));
    let (_, over_http) = stage.bench.get(&format!("/control/calls?account={number}")).await;
    assert_eq!(over_http["calls"].as_array().unwrap().last().unwrap()["state"], "arrived");

    drop(stream);
    let (status, _) = call.await.unwrap();
    let done = control.calls().pop().unwrap();
    assert_eq!((done.seq, done.state, done.status), (listed.seq, CallState::Answered, Some(status)));

    stage.fault("whatsapp", FaultKind::Drop);
    stage.send("whatsapp", "dropped").send().await.unwrap_err();
    let dropped = control.calls().pop().unwrap();
    assert_eq!((dropped.seq, dropped.state, dropped.status), (listed.seq + 1, CallState::Dropped, None));
}

#[tokio::test]
async fn slow_answers_and_delays_outlive_their_caller() {
    let stage = Stage::set().await;
    stage.fault("whatsapp", FaultKind::SlowAnswer { ms: 400 });
    assert!(stage.send("whatsapp", "slow").timeout(Duration::from_millis(150)).send().await.unwrap_err().is_timeout());
    assert_eq!(stage.accepted().len(), 1, "accepted before the answer");
    stage.fault("whatsapp", FaultKind::Delay { ms: 300 });
    assert!(
        stage.send("whatsapp", "delayed").timeout(Duration::from_millis(100)).send().await.unwrap_err().is_timeout()
    );
    assert_eq!(stage.accepted().len(), 1, "not accepted yet");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(stage.accepted().len(), 2, "accepted though the caller has left");
}

#[tokio::test]
async fn faults_count_and_spare_what_they_are_not_for() {
    let stage = Stage::set().await;
    let fault = |on, count| Fault { kind: FaultKind::Status { status: 500 }, count, on };
    stage.bench.control.fault(&stage.number.id, fault(On::Send, Some(2))).unwrap();
    let about = || {
        let url = format!("{}/v25.0/{}", stage.number.api_base, stage.number.id);
        stage.bench.http.get(url).bearer_auth(stage.number.settings["access_token"].as_str().unwrap())
    };
    assert_eq!(answer(about()).await.0, 200);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(answer(stage.send("whatsapp", "x")).await.0);
    }
    assert_eq!(statuses, [500, 500, 200]);
    stage.bench.control.fault(&stage.number.id, fault(On::Any, None)).unwrap();
    assert_eq!((answer(about()).await.0, answer(about()).await.0), (500, 500));
    assert_eq!(answer(stage.send("telegram", "x")).await.0, 200, "another account is another matter");
    stage.bench.control.clear_faults(&stage.number.id).unwrap();
    assert_eq!(answer(about()).await.0, 200);
}

#[rstest]
#[case("whatsapp")]
#[case("telegram")]
#[tokio::test]
async fn with_accept_off_nothing_is_sent(#[case] platform: &str) {
    let stage = Stage::set().await;
    assert_eq!(stage.bench.post("/control/accept", json!({"on": false})).await.0, 200);
    assert_eq!(answer(stage.send(platform, "x")).await.0, 403);
    assert!(stage.accepted().is_empty());
    stage.bench.control.accept(true);
    assert_eq!(answer(stage.send(platform, "x")).await.0, 200);
}

#[tokio::test]
async fn refused_connections_are_really_refused_and_come_back() {
    let stage = Stage::set().await;
    stage.bench.control.refuse_connections(true).await;
    let error = stage.send("whatsapp", "x").send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    let operator = format!("{}/control/refuse-connections", stage.bench.sandbox.control_url());
    let (status, _) = answer(stage.bench.http.post(operator).json(&json!({"on": false}))).await;
    assert_eq!(status, 200);
    let mut tries = 0;
    while stage.send("whatsapp", "back").send().await.is_err() {
        tries += 1;
        assert!(tries < 100, "the port stays closed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stage.accepted(), [("back".to_owned(), true)]);
}

#[tokio::test]
async fn webhooks_are_tried_until_they_are_taken_and_stay_in_order() {
    let stage = Stage::set().await;
    stage.bench.receiver.answers([500, 302, 404]);
    let first = stage.writes("one");
    stage.writes("two");
    assert_eq!(stage.texts().await, ["one", "one", "one", "one", "two"]);
    let delivery = stage.bench.control.deliveries().into_iter().find(|one| one.id == first).unwrap();
    assert_eq!(delivery.state, DeliveryState::Delivered);
    assert_eq!(
        delivery.tries.iter().map(|one| one.status).collect::<Vec<_>>(),
        [Some(500), Some(302), Some(404), Some(200)]
    );
}

#[tokio::test]
async fn a_receiver_that_is_away_gets_everything_later() {
    let stage = Stage::set().await;
    let away = |url: &str| AccountPatch { webhook_url: Some(url.to_owned()), ..AccountPatch::default() };
    stage.bench.control.patch_account(&stage.number.id, away("http://127.0.0.1:9/nobody")).unwrap();
    let id = stage.writes("one");
    assert!(!stage.bench.control.idle(Duration::from_millis(60)).await);
    stage.bench.control.patch_account(&stage.number.id, away(&stage.bench.receiver.url)).unwrap();
    assert_eq!(stage.texts().await, ["one"]);
    let tries = stage.bench.control.deliveries().into_iter().find(|one| one.id == id).unwrap().tries;
    assert!(tries.len() > 1 && tries[0].error.is_some(), "{tries:?}");
}

#[tokio::test]
async fn webhooks_are_given_up_in_the_end() {
    let mut config = SandboxConfig::new(SettableClock::running());
    config.redelivery.first = Duration::from_millis(1);
    config.redelivery.longest = Duration::from_millis(1);
    config.redelivery.tries = 3;
    let sandbox = Sandbox::start(config).await.unwrap();
    let control = sandbox.control();
    let account = transom_sandbox::NewAccount::on("whatsapp").webhook("http://127.0.0.1:9/nobody");
    let account = control.create_account(account).unwrap();
    control.create_customer(transom_sandbox::NewCustomer::named("mara", "Mara", "+4915550100001")).unwrap();
    control.writes(&account.id, "mara", "anybody?").unwrap();
    assert!(control.idle(Duration::from_mins(1)).await);
    let delivery = control.deliveries().remove(0);
    assert_eq!((delivery.state, delivery.tries.len()), (DeliveryState::GaveUp, 3));
    sandbox.shutdown().await;
}

#[tokio::test]
async fn webhooks_are_held_reordered_repeated_and_badly_signed() {
    let stage = Stage::set().await;
    stage.webhooks(&WebhookOrder::Hold);
    for text in ["one", "two", "three"] {
        stage.writes(text);
    }
    assert!(stage.texts().await.is_empty(), "held webhooks do not count as on their way");
    stage.webhooks(&WebhookOrder::Release { order: ReleaseOrder::Reverse });
    assert_eq!(stage.texts().await, ["three", "two", "one"]);

    stage.webhooks(&WebhookOrder::Hold);
    (0..8).for_each(|n| {
        stage.writes(&n.to_string());
    });
    stage.webhooks(&WebhookOrder::Release { order: ReleaseOrder::Shuffle });
    let mut shuffled = stage.texts().await;
    assert_ne!(shuffled, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    shuffled.sort();
    assert_eq!(shuffled, ["0", "1", "2", "3", "4", "5", "6", "7"]);

    stage.webhooks(&WebhookOrder::Duplicate { count: 1 });
    let delivery = stage.writes("twice");
    stage.writes("once");
    assert_eq!(stage.texts().await, ["twice", "twice", "once"]);
    stage.webhooks(&WebhookOrder::Redeliver { delivery });
    assert_eq!(stage.texts().await, ["twice"]);
    assert!(
        stage.bench.control.webhooks(&stage.bot.id, &WebhookOrder::Redeliver { delivery }).is_err(),
        "another account's"
    );

    stage.webhooks(&WebhookOrder::BadSignature { count: 1 });
    stage.bench.receiver.answers([401]);
    stage.writes("signed");
    stage.bench.settled().await;
    let calls = stage.bench.receiver.take();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].body, calls[1].body);
    assert_ne!(calls[0].header("x-hub-signature-256"), calls[1].header("x-hub-signature-256"));
    stage.bench.control.webhooks(&stage.bot.id, &WebhookOrder::BadSignature { count: 1 }).unwrap();
    stage.bench.control.writes(&stage.bot.id, "mara", "x").unwrap();
    stage.bench.settled().await;
    assert_ne!(stage.bench.receiver.take()[0].header("x-telegram-bot-api-secret-token"), "abc");
}

#[tokio::test]
async fn the_control_api_plays_a_whole_conversation_over_http() {
    let bench = Bench::new().await;
    let new = json!({"platform": "whatsapp", "name": "Shop", "webhook_url": bench.receiver.url, "receipts": "manual",
        "settings": {"messaging_limit": 250, "refusals": "sync"}});
    let (status, account) = bench.post("/control/accounts", new).await;
    assert_eq!(
        (status, &account["settings"]["messaging_limit"], &account["receipts"]),
        (200, &json!(250), &json!("manual"))
    );
    let id = account["id"].as_str().unwrap();
    let (_, mara) =
        bench.post("/control/customers", json!({"id": "mara", "name": "Mara", "phone": "+4915550100001"})).await;
    assert_eq!(mara["addresses"]["whatsapp"], "4915550100001");
    let acts = format!("/control/accounts/{id}/customers/mara/acts");
    let (status, acted) = bench.post(&acts, json!({"type": "text", "text": "hi", "at": "2026-03-01T03:00:00Z"})).await;
    assert_eq!((status, &acted["at"]), (200, &json!("2026-03-01T03:00:00Z")));

    let ask = format!("/control/would-accept?account={id}&customer=mara&kind=free_form");
    assert_eq!(bench.get(&ask).await.1["window"]["closes_at"], "2026-03-02T03:00:00Z");
    assert_eq!(
        bench.post("/control/clock", json!({"advance_seconds": 64_800})).await.1,
        json!({"now": "2026-03-02T03:00:00Z"})
    );
    let (_, verdict) = bench.get(&ask).await;
    assert_eq!(
        (&verdict["allowed"], &verdict["because"], &verdict["code"]),
        (&json!(false), &json!("window_closed"), &json!(131_047))
    );
    assert_eq!(
        bench.post("/control/clock", json!({"to": "2026-03-03T00:00:00Z"})).await.1["now"],
        "2026-03-03T00:00:00Z"
    );
    assert_eq!(bench.post("/control/clock", json!({"to": "2026-03-01T00:00:00Z"})).await.0, 422, "never backwards");
    assert_eq!(bench.sandbox.clock().now(), bench.control.now());

    bench.post(&acts, json!({"type": "text", "text": "again"})).await;
    let url = format!("{}/v25.0/{id}/messages", account["api_base"].as_str().unwrap());
    let message =
        json!({"messaging_product": "whatsapp", "to": "+4915550100001", "type": "text", "text": {"body": "hello"}});
    let token = account["settings"]["access_token"].as_str().unwrap();
    let (_, sent) = answer(bench.http.post(url).bearer_auth(token).json(&message)).await;
    let receipt = json!({"message_id": sent["messages"][0]["id"], "status": "read"});
    assert_eq!(bench.post(&format!("/control/accounts/{id}/receipts"), receipt).await.0, 200);
    assert_eq!(bench.get("/control/idle?timeout_ms=5000").await.1, json!({"idle": true}));

    let (_, ledger) = bench.get(&format!("/control/ledger?account={id}")).await;
    assert_eq!(ledger["sends"].as_array().unwrap().len(), 1);
    let send = &ledger["sends"][0];
    assert_eq!(
        (&send["text"], &send["receipt"], &send["window"]["state"]),
        (&json!("hello"), &json!("read"), &json!("open"))
    );
    assert_eq!(bench.get("/control/ledger?account=other").await.1["sends"], json!([]));
    let (_, deliveries) = bench.get("/control/deliveries").await;
    assert_eq!(deliveries["deliveries"][2]["event"], "statuses");
    assert_eq!(deliveries["deliveries"][2]["body"]["entry"][0]["changes"][0]["value"]["statuses"][0]["status"], "read");
    assert_eq!(bench.get("/control/calls").await.1["calls"][0]["status"], 200);
    assert_eq!(bench.get("/control/conversations").await.1["conversations"][0]["entries"][2]["text"], "hello");
    assert_eq!(bench.get("/control/accounts").await.1["accounts"][0]["name"], "Shop");
    let patched = json!({"name": "Store", "settings": {"pacing": false}});
    let (_, patched) = answer(bench.http.patch(bench.url(&format!("/control/accounts/{id}"))).json(&patched)).await;
    assert_eq!(
        (&patched["name"], &patched["settings"]["pacing"], &patched["settings"]["messaging_limit"]),
        (&json!("Store"), &json!(false), &json!(250))
    );
    let faults = format!("/control/accounts/{id}/faults");
    assert_eq!(bench.post(&faults, json!({"kind": "delay", "ms": 5, "count": 3})).await.1["faults"][0]["count"], 3);
    assert_eq!(answer(bench.http.delete(bench.url(&faults))).await.1, json!({"faults": []}));
    assert_eq!(answer(bench.http.delete(bench.url(&format!("/control/accounts/{id}")))).await.0, 200);
    assert_eq!(bench.get(&format!("/control/accounts/{id}")).await.0, 404);
}

#[rstest]
#[case("/control/accounts", json!({"platform": "pigeon"}), 422)]
#[case("/control/accounts", json!({"platform": "whatsapp", "settings": {"colour": "red"}}), 422)]
#[case("/control/accounts", json!({"platform": "whatsapp", "settings": []}), 422)]
#[case("/control/accounts", json!({"platform": "telegram", "settings": {"token": "no colon"}}), 422)]
#[case("/control/accounts", json!({"platform": "telegram", "settings": {"secret_token": "not allowed!"}}), 422)]
#[case("/control/accounts", json!([1]), 422)]
#[case("/control/customers", json!({"id": "mara"}), 409)]
#[case("/control/customers", json!({"phone": "+4915550100001"}), 409)]
#[case("/control/customers", json!({"id": "a/b"}), 422)]
#[case("/control/accounts/none/faults", json!({"kind": "drop"}), 404)]
#[case("/control/accounts/none/customers/mara/acts", json!({"type": "text", "text": "x"}), 404)]
#[case("/control/accounts/WA/customers/none/acts", json!({"type": "text", "text": "x"}), 404)]
#[case("/control/accounts/WA/customers/mara/acts", json!({"type": "sing"}), 422)]
#[case("/control/accounts/WA/customers/mara/acts", json!({"type": "media", "media": "hologram"}), 422)]
#[case("/control/accounts/WA/customers/mara/acts", json!({"type": "media", "media": "image", "base64": "?"}), 422)]
#[case("/control/accounts/WA/customers/mara/acts", json!({"type": "text", "text": "x", "via": "bc-1"}), 422)]
#[case("/control/accounts/WA/customers/mara/acts", json!({"type": "text", "text": "x", "reply_to": "nothing"}), 404)]
#[case("/control/accounts/WA/faults", json!({"kind": "earthquake"}), 422)]
#[case("/control/accounts/WA/receipts", json!({"message_id": "x", "status": "read"}), 404)]
#[case("/control/accounts/WA/do/dance", json!({}), 404)]
#[case("/control/accounts/WA/do/template", json!({"name": "Bad Name", "language": "en", "category": "UTILITY"}), 422)]
#[case("/control/accounts/WA/webhooks", json!({"do": "redeliver", "delivery": 999}), 404)]
#[case("/control/clock", json!({}), 422)]
#[case("/control/clock", json!({"advance_seconds": 1e300}), 422)]
#[case("/control/urls", json!({"url": "u", "mime": "m", "base64": "%"}), 422)]
#[case("/control/nothing", json!({}), 404)]
#[tokio::test]
async fn bad_orders_say_what_is_wrong(#[case] path: &str, #[case] body: Value, #[case] expected: u16) {
    let bench = Bench::new().await;
    bench.mara();
    bench.account("whatsapp", json!({"phone_number_id": "WA"}));
    let (status, problem) = bench.post(path, body).await;
    assert_eq!(status, expected, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
}

#[tokio::test]
async fn the_page_shows_the_phones_and_writes_for_the_customer() {
    let stage = Stage::set().await;
    answer(stage.send("whatsapp", "<b>not bold</b>")).await;
    stage
        .bench
        .control
        .act(&stage.number.id, "mara", Act::Media(MediaAct { media: "image".into(), ..MediaAct::default() }))
        .unwrap();
    stage.bench.settled().await;
    let page = stage.bench.http.get(stage.bench.url("/")).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let html = page.text().await.unwrap();
    for expected in [
        "2026-03-01 09:00:00 UTC",
        "Mara K.",
        "&#60;b&#62;not bold",
        "free messages until 2026-03-02 09:00:00 UTC",
        "free messages at any time",
        "✓✓",
        "/control/media/",
    ] {
        assert!(html.contains(expected), "no {expected} in {html}");
    }
    for path in ["/phone/style.css", "/phone/live.js"] {
        assert_eq!(stage.bench.http.get(stage.bench.url(path)).send().await.unwrap().status(), 200);
    }
    let one = format!("/phone?account={}&customer=mara&via=", stage.bot.id);
    let one = stage.bench.http.get(stage.bench.url(&one)).send().await.unwrap().text().await.unwrap();
    assert!(one.contains("telegram") && !one.contains("not bold"));

    let form =
        |text: &str| [("account", stage.number.id.clone()), ("customer", "mara".to_owned()), ("text", text.to_owned())];
    let reply = stage.bench.http.post(stage.bench.url("/write")).form(&form("from the page")).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers()["location"].to_str().unwrap()), (303, "/"));
    let arrived = stage.bench.arrived().await;
    assert_eq!(
        arrived.last().unwrap()["entry"][0]["changes"][0]["value"]["messages"][0]["text"]["body"],
        "from the page"
    );
    let foreign =
        stage.bench.http.post(stage.bench.url("/write")).header("sec-fetch-site", "cross-site").form(&form("x"));
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    let forward = stage.bench.http.post(stage.bench.url("/advance")).form(&[("seconds", "3600")]).send().await.unwrap();
    assert_eq!(
        (forward.status().as_u16(), stage.bench.control.now()),
        (303, crate::common::START + time::Duration::hours(1))
    );
    assert_eq!(stage.bench.http.get(stage.bench.url("/nothing")).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn it_stays_on_loopback_and_stops_cleanly() {
    let mut config = SandboxConfig::new(SettableClock::running());
    config.listen = ([0, 0, 0, 0], 0).into();
    assert!(matches!(Sandbox::start(config.clone()).await, Err(StartError::NotLoopback(_))));
    config.listen = ([127, 0, 0, 1], 0).into();
    let sandbox = Sandbox::start(config.clone()).await.unwrap();
    config.listen = sandbox.base_url().trim_start_matches("http://").parse().unwrap();
    assert!(matches!(Sandbox::start(config.clone()).await, Err(StartError::Listen { .. })));
    sandbox.shutdown().await;
    let again = Sandbox::start(config).await.unwrap();
    again.shutdown().await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_ids() {
    let ids = async || {
        let mut config = SandboxConfig::new(SettableClock::frozen(crate::common::START));
        config.seed = Some(7);
        let sandbox = Sandbox::start(config).await.unwrap();
        let control = sandbox.control();
        let accounts = ["whatsapp", "telegram"]
            .map(|platform| control.create_account(transom_sandbox::NewAccount::on(platform)).unwrap());
        control.create_customer(transom_sandbox::NewCustomer { id: Some("c".into()), ..Default::default() }).unwrap();
        let acted = accounts.each_ref().map(|account| control.writes(&account.id, "c", "x").unwrap().message_id);
        sandbox.shutdown().await;
        (accounts.map(|account| account.settings.to_string()), acted)
    };
    assert_eq!(ids().await, ids().await);
}
