//! WhatsApp over HTTP: every rule of the sheet that the sandbox plays.

use crate::common::{Bench, START, answer};
use rstest::rstest;
use serde_json::{Value, json};
use time::Duration;
use transom_sandbox::{
    AccountPatch, AccountView, Act, Action, Ask, Because, CustomerPatch, MediaAct, NewCustomer, Progress, ReceiptOrder,
    WindowState,
};

/// A number, a customer, and a client that speaks to the number.
struct Shop {
    bench: Bench,
    number: AccountView,
}

impl Shop {
    async fn open(settings: Value) -> Self {
        let bench = Bench::new().await;
        bench.mara();
        let number = bench.account("whatsapp", settings);
        Self { bench, number }
    }

    fn setting(&self, name: &str) -> String {
        self.number.settings[name].as_str().unwrap().to_owned()
    }

    fn graph(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/v25.0/{path}", self.number.api_base);
        let http = &self.bench.http;
        let request = match method {
            "POST" => http.post(url),
            "DELETE" => http.delete(url),
            _ => http.get(url),
        };
        request.bearer_auth(self.setting("access_token"))
    }

    async fn send(&self, message: Value) -> (u16, Value) {
        let mut body = json!({"messaging_product": "whatsapp", "to": "+4915550100001"});
        body.as_object_mut().unwrap().extend(message.as_object().unwrap().clone());
        answer(self.graph("POST", &format!("{}/messages", self.number.id)).json(&body)).await
    }

    async fn text(&self, text: &str) -> (u16, Value) {
        self.send(json!({"type": "text", "text": {"body": text}})).await
    }

    async fn put_template(&self, template: Value) {
        self.bench.control.platform(&self.number.id, "template", template).await.unwrap();
    }

    async fn shipped(&self) -> (u16, Value) {
        let parameters = json!([{"type": "text", "text": "Mara"}]);
        let template = json!({"name": "order_shipped", "language": {"code": "en_US"}, "components": [{"type": "body", "parameters": parameters}]});
        self.send(json!({"type": "template", "template": template})).await
    }

    fn writes(&self, text: &str) -> String {
        self.bench.control.writes(&self.number.id, "mara", text).unwrap().message_id.unwrap()
    }

    /// The values of the webhooks that arrived, with their field.
    async fn changes(&self) -> Vec<(String, Value)> {
        let bodies = self.bench.arrived().await;
        bodies
            .into_iter()
            .map(|body| {
                let change = &body["entry"][0]["changes"][0];
                (change["field"].as_str().unwrap().to_owned(), change["value"].clone())
            })
            .collect()
    }

    /// The statuses that arrived: message, status, code.
    async fn statuses(&self) -> Vec<(String, String, Option<i64>)> {
        let all = self.changes().await.into_iter().filter_map(|(_, value)| value.get("statuses").cloned());
        all.map(|statuses| {
            let one = &statuses[0];
            let code = one["errors"][0]["code"].as_i64();
            (one["id"].as_str().unwrap().to_owned(), one["status"].as_str().unwrap().to_owned(), code)
        })
        .collect()
    }
}

fn shipped_template() -> Value {
    json!({"name": "order_shipped", "language": "en_US", "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Hello {{1}}, your parcel has left."}]})
}

fn wamid(answer: &Value) -> String {
    answer["messages"][0]["id"].as_str().unwrap().to_owned()
}

fn code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error in {answer}"))
}

#[tokio::test]
async fn inside_the_window_text_is_accepted_sent_and_delivered() {
    let shop = Shop::open(json!({})).await;
    let quoted = shop.writes("Where is A-1001?");
    let body = json!({"type": "text", "text": {"body": "It left today."}, "context": {"message_id": quoted}, "biz_opaque_callback_data": "msg-42"});
    let (status, reply) = shop.send(body).await;
    assert_eq!((status, &reply["messaging_product"]), (200, &json!("whatsapp")));
    assert_eq!(reply["contacts"], json!([{"input": "+4915550100001", "wa_id": "4915550100001"}]));

    let changes = shop.changes().await;
    assert_eq!(changes[0].1["messages"][0]["text"]["body"], "Where is A-1001?");
    let statuses: Vec<_> = changes[1..].iter().map(|(_, value)| &value["statuses"][0]).collect();
    assert_eq!(statuses.iter().map(|one| one["status"].as_str().unwrap()).collect::<Vec<_>>(), ["sent", "delivered"]);
    for one in statuses {
        assert_eq!(one["id"], reply["messages"][0]["id"]);
        assert_eq!(one["biz_opaque_callback_data"], "msg-42");
        assert_eq!(one["recipient_id"], "4915550100001");
        assert_eq!(
            one["pricing"],
            json!({"billable": false, "pricing_model": "PMP", "type": "free_customer_service", "category": "service"})
        );
        assert_eq!(one["timestamp"], START.unix_timestamp().to_string());
    }

    let ledger = shop.bench.control.ledger();
    assert_eq!(ledger.len(), 1);
    assert_eq!(
        (ledger[0].customer.as_str(), ledger[0].text.as_str(), ledger[0].answered),
        ("mara", "It left today.", true)
    );
    assert_eq!(ledger[0].window.state, WindowState::Open);
    assert_eq!(ledger[0].receipt, Progress::Delivered);
    assert_eq!(ledger[0].provider_ids, [wamid(&reply)]);
}

#[tokio::test]
async fn the_window_is_24_hours_half_open_and_each_message_renews_it() {
    let shop = Shop::open(json!({"refusals": "sync"})).await;
    let (status, refused) = shop.text("too early").await;
    assert_eq!((status, code(&refused)), (400, 131_047));

    shop.writes("hi");
    shop.bench.control.advance(Duration::hours(12));
    shop.writes("hi again");
    shop.bench.control.advance(Duration::hours(24) - Duration::milliseconds(1));
    assert_eq!(shop.text("just in time").await.0, 200);
    shop.bench.control.advance(Duration::milliseconds(1));
    assert_eq!(code(&shop.text("at the very end").await.1), 131_047);
    assert_eq!(shop.bench.control.ledger().len(), 1);
}

#[tokio::test]
async fn a_late_webhook_opens_from_its_own_time() {
    let shop = Shop::open(json!({"refusals": "sync"})).await;
    let late = Action::from(Act::Text { text: "yesterday".into() }).at(START - Duration::hours(23));
    shop.bench.control.act(&shop.number.id, "mara", late).unwrap();
    let verdict = shop.bench.control.would_accept(&shop.number.id, "mara", &Ask::free_form()).unwrap();
    assert_eq!(verdict.window.closes_at, Some(START + Duration::hours(1)));
    shop.bench.control.advance(Duration::hours(1));
    let verdict = shop.bench.control.would_accept(&shop.number.id, "mara", &Ask::free_form()).unwrap();
    assert_eq!((verdict.allowed, verdict.because, verdict.code), (false, Some(Because::WindowClosed), Some(131_047)));
    assert_eq!(code(&shop.text("late").await.1), 131_047);
}

#[rstest]
#[case::call(Act::Call, true)]
#[case::location(Act::Location { latitude: 47.0, longitude: 15.4, name: None, address: None }, true)]
#[case::contact(Act::Contact { name: "Bo".into(), phone: "+431".into(), own: false }, true)]
#[case::unsupported(Act::Unsupported, true)]
#[case::order(Act::Other { kind: "order".into(), data: json!({"catalog_id": "1", "product_items": []}) }, true)]
#[case::ad(Act::Ad { text: "Hi".into(), headline: None }, true)]
#[case::image(Act::Media(MediaAct { media: "image".into(), ..MediaAct::default() }), true)]
#[case::opt_in(Act::OptIn, false)]
#[case::opt_out(Act::OptOut, false)]
#[case::number_change(Act::NumberChange { phone: "+4915550100999".into() }, false)]
#[case::echo(Act::Echo { text: "from the app".into() }, false)]
#[case::read(Act::Read, false)]
#[tokio::test]
async fn what_opens_the_window(#[case] act: Act, #[case] opens: bool) {
    let shop = Shop::open(json!({})).await;
    shop.bench.control.act(&shop.number.id, "mara", act).unwrap();
    let verdict = shop.bench.control.would_accept(&shop.number.id, "mara", &Ask::free_form()).unwrap();
    assert_eq!(verdict.allowed, opens, "{verdict:?}");
}

#[tokio::test]
async fn reactions_edits_and_deletions_do_not_renew_the_window() {
    let shop = Shop::open(json!({})).await;
    let message_id = shop.writes("hi");
    shop.bench.control.advance(Duration::hours(20));
    for act in [
        Act::Reaction { message_id: message_id.clone(), emoji: Some("👍".into()) },
        Act::Edit { message_id: message_id.clone(), text: "hello".into() },
        Act::Delete { message_id },
    ] {
        shop.bench.control.act(&shop.number.id, "mara", act).unwrap();
    }
    let verdict = shop.bench.control.would_accept(&shop.number.id, "mara", &Ask::free_form()).unwrap();
    assert_eq!(verdict.window.closes_at, Some(START + Duration::hours(24)));
}

#[tokio::test]
async fn refusals_come_as_a_failed_status_by_default_and_stay_out_of_the_ledger() {
    let shop = Shop::open(json!({})).await;
    let body = json!({"type": "text", "text": {"body": "hello?"}, "biz_opaque_callback_data": "msg-1"});
    let (status, reply) = shop.send(body).await;
    assert_eq!(status, 200);
    let changes = shop.changes().await;
    assert_eq!(changes.len(), 1);
    let failed = &changes[0].1["statuses"][0];
    assert_eq!((failed["status"].as_str(), failed["errors"][0]["code"].as_i64()), (Some("failed"), Some(131_047)));
    assert_eq!((&failed["id"], &failed["biz_opaque_callback_data"]), (&reply["messages"][0]["id"], &json!("msg-1")));
    assert!(changes[0].1.get("contacts").is_none());
    assert!(shop.bench.control.ledger().is_empty());
    let call = shop.bench.control.calls().pop().unwrap();
    assert_eq!((call.status, call.code), (Some(200), Some(131_047)));
}

#[tokio::test]
async fn a_template_passes_outside_the_window_and_does_not_open_it() {
    let shop = Shop::open(json!({"refusals": "sync"})).await;
    shop.put_template(shipped_template()).await;
    let (status, reply) = shop.shipped().await;
    assert_eq!((status, &reply["messages"][0]["message_status"]), (200, &json!("accepted")));
    let send = shop.bench.control.ledger().pop().unwrap();
    assert_eq!(
        (send.text.as_str(), send.category.as_deref(), send.counted),
        ("Hello Mara, your parcel has left.", Some("utility"), true)
    );
    assert_eq!(code(&shop.text("and?").await.1), 131_047);
    let changes = shop.changes().await;
    assert_eq!(
        changes[0].1["statuses"][0]["pricing"],
        json!({"billable": true, "pricing_model": "PMP", "type": "regular", "category": "utility"})
    );
}

#[rstest]
#[case::too_few(json!([]), 132_000)]
#[case::too_many(json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), 132_000)]
#[case::wrong_type(json!([{"type": "image", "image": {"id": "1"}}]), 132_012)]
#[case::line_end(json!([{"type": "text", "text": "a\nb"}]), 132_018)]
#[case::too_long(json!([{"type": "text", "text": "x".repeat(1_020)}]), 132_005)]
#[tokio::test]
async fn template_parameters_must_fit(#[case] parameters: Value, #[case] expected: i64) {
    let shop = Shop::open(json!({})).await;
    shop.put_template(shipped_template()).await;
    let template = json!({"name": "order_shipped", "language": {"code": "en_US"}, "components": [{"type": "body", "parameters": parameters}]});
    let (_, refused) = shop.send(json!({"type": "template", "template": template})).await;
    assert_eq!(code(&refused), expected, "{refused}");
}

#[tokio::test]
async fn headers_buttons_and_named_parameters_are_checked() {
    let shop = Shop::open(json!({})).await;
    shop.put_template(json!({"name": "invoice", "language": "de", "category": "UTILITY", "parameter_format": "NAMED", "components": [
        {"type": "HEADER", "format": "IMAGE"},
        {"type": "BODY", "text": "Hallo {{first_name}}, Rechnung {{number}} {{first_name}}"},
        {"type": "FOOTER", "text": "Sandbox"},
        {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Hilfe"}, {"type": "URL", "text": "Zahlen", "url": "https://x.example/{{1}}"}]},
    ]})).await;
    let send = async |components: Value| {
        let template = json!({"name": "invoice", "language": {"code": "de"}, "components": components});
        shop.send(json!({"type": "template", "template": template})).await
    };
    shop.bench.control.publish("https://cdn.example/a.jpg", "image/jpeg", vec![0xFF, 0xD8, 0xFF]);
    let header =
        json!({"type": "header", "parameters": [{"type": "image", "image": {"link": "https://cdn.example/a.jpg"}}]});
    let body = json!({"type": "body", "parameters": [
        {"type": "text", "parameter_name": "number", "text": "{{first_name}}"}, {"type": "text", "parameter_name": "first_name", "text": "Mara"}]});
    let url =
        json!({"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "A-1"}]});
    let reply = json!({"type": "button", "sub_type": "quick_reply", "index": 0, "parameters": [{"type": "payload", "payload": "HELP"}]});

    let (status, sent) = send(json!([header, body, url, reply])).await;
    assert_eq!(status, 200, "{sent}");
    let text = shop.bench.control.ledger().pop().unwrap().text;
    assert_eq!(text, "[image]\nHallo Mara, Rechnung {{first_name}} Mara\nSandbox");

    assert_eq!(code(&send(json!([body, url])).await.1), 132_012);
    assert_eq!(code(&send(json!([header, body])).await.1), 131_008);
    assert_eq!(code(&send(json!([header, url])).await.1), 132_000);
    let unnamed = json!({"type": "body", "parameters": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]});
    assert_eq!(code(&send(json!([header, unnamed, url])).await.1), 132_012);
    let stray =
        json!({"type": "button", "sub_type": "url", "index": "7", "parameters": [{"type": "text", "text": "A"}]});
    assert_eq!(code(&send(json!([header, body, url, stray])).await.1), 132_018);

    // The tap on the quick reply comes back with its payload, as a button message, and opens the window.
    shop.changes().await;
    let tap = Act::Button { message_id: wamid(&sent), data: "HELP".into(), text: None };
    shop.bench.control.act(&shop.number.id, "mara", tap).unwrap();
    let inbound = shop.changes().await.into_iter().find_map(|(_, value)| value.get("messages").cloned()).unwrap();
    assert_eq!(
        (&inbound[0]["type"], &inbound[0]["button"]),
        (&json!("button"), &json!({"payload": "HELP", "text": "Hilfe"}))
    );
    assert_eq!(inbound[0]["context"]["id"], sent["messages"][0]["id"]);
    assert_eq!(shop.text("help is near").await.0, 200);
}

#[rstest]
#[case("APPROVED", None)]
#[case("FLAGGED", None)]
#[case("PENDING", Some(132_001))]
#[case("REJECTED", Some(132_001))]
#[case("PAUSED", Some(132_015))]
#[case("DISABLED", Some(132_016))]
#[case("ARCHIVED", Some(132_001))]
#[tokio::test]
async fn only_usable_templates_are_sent(#[case] status: &str, #[case] refused: Option<i64>) {
    let shop = Shop::open(json!({})).await;
    shop.put_template(shipped_template()).await;
    let order = json!({"name": "order_shipped", "language": "en_US", "status": status});
    shop.bench.control.platform(&shop.number.id, "template_status", order).await.unwrap();
    let (field, value) = shop.changes().await.remove(0);
    assert_eq!((field.as_str(), value["event"].as_str()), ("message_template_status_update", Some(status)));
    assert_eq!(value["message_template_name"], "order_shipped");
    assert_eq!(shop.shipped().await.1["error"]["code"].as_i64(), refused);
}

#[tokio::test]
async fn account_notices_carry_a_time_that_tells_them_apart_and_messages_none() {
    let shop = Shop::open(json!({})).await;
    shop.put_template(shipped_template()).await;
    for status in ["PAUSED", "APPROVED", "PAUSED"] {
        let order = json!({"name": "order_shipped", "language": "en_US", "status": status});
        shop.bench.control.platform(&shop.number.id, "template_status", order).await.unwrap();
    }
    let start = START.unix_timestamp();
    let notices = shop.bench.arrived().await;
    let times: Vec<_> = notices.iter().map(|body| body["entry"][0]["time"].as_i64().unwrap()).collect();
    assert_eq!(times, [start, start + 1, start + 2], "the clock stands, and yet no two are the same");
    shop.bench.control.advance(Duration::hours(1));
    shop.writes("hello");
    assert!(shop.bench.arrived().await[0]["entry"][0].get("time").is_none());
}

#[tokio::test]
async fn an_unknown_template_or_language_is_132001() {
    let shop = Shop::open(json!({})).await;
    shop.put_template(shipped_template()).await;
    let send = async |name: &str, language: &str| {
        let template = json!({"name": name, "language": {"code": language}});
        shop.send(json!({"type": "template", "template": template})).await
    };
    let (status, refused) = send("order_shipped", "de").await;
    assert_eq!((status, code(&refused)), (404, 132_001));
    assert_eq!(code(&send("nothing", "en_US").await.1), 132_001);
}

#[tokio::test]
async fn the_portfolio_counts_unique_users_outside_windows_in_a_moving_day() {
    let shop =
        Shop::open(json!({"portfolio": "P1", "messaging_limit": 2, "waba_id": "W1", "access_token": "T1"})).await;
    let sister = shop.bench.account("whatsapp", json!({"portfolio": "P1", "waba_id": "W1", "access_token": "T1"}));
    assert_eq!(sister.settings["messaging_limit"], 2);
    shop.put_template(shipped_template()).await;
    for (id, phone) in [("bo", "+4915550100002"), ("cy", "+4915550100003"), ("di", "+4915550100004")] {
        shop.bench.control.create_customer(NewCustomer::named(id, id, phone)).unwrap();
    }
    let to = async |number: &str, phone: &str| {
        let parameters = json!([{"type": "text", "text": "x"}]);
        let template = json!({"name": "order_shipped", "language": {"code": "en_US"}, "components": [{"type": "body", "parameters": parameters}]});
        let body = json!({"messaging_product": "whatsapp", "to": phone, "type": "template", "template": template});
        answer(shop.graph("POST", &format!("{number}/messages")).json(&body)).await
    };
    let ask = |who: &str| shop.bench.control.would_accept(&shop.number.id, who, &Ask::template("utility")).unwrap();

    assert_eq!(to(&shop.number.id, "+4915550100001").await.0, 200);
    shop.bench.control.advance(Duration::hours(1));
    assert_eq!(to(&sister.id, "+4915550100002").await.0, 200);
    assert_eq!(to(&shop.number.id, "+4915550100001").await.0, 200, "a user who counts already costs nothing more");
    let (status, refused) = to(&shop.number.id, "+4915550100003").await;
    assert_eq!((status, code(&refused)), (400, 131_048));
    let verdict = ask("cy");
    assert_eq!((verdict.allowed, verdict.because), (false, Some(Because::Quota)));
    assert_eq!(verdict.quota.map(|quota| (quota.limit, quota.used, quota.counts_me)), Some((2, 2, false)));

    // Who has a window open does not count, now or later.
    shop.bench.control.writes(&shop.number.id, "di", "hi").unwrap();
    assert_eq!(to(&shop.number.id, "+4915550100004").await.0, 200);
    assert_eq!(ask("cy").quota.map(|quota| quota.used), Some(2));

    // Bo's send at hour 1 leaves the moving day at hour 25, not before; Mara's was renewed at hour 1 as well.
    shop.bench.control.advance(Duration::hours(24) - Duration::milliseconds(1));
    assert!(!ask("cy").allowed);
    shop.bench.control.advance(Duration::milliseconds(1));
    assert!(ask("cy").allowed);
    assert_eq!(to(&shop.number.id, "+4915550100003").await.0, 200);
}

#[tokio::test]
async fn marketing_respects_opt_out_cap_and_the_american_pause() {
    let shop = Shop::open(json!({"refusals": "sync"})).await;
    shop.put_template(json!({"name": "sale", "language": "en", "category": "MARKETING", "components": [{"type": "BODY", "text": "Sale"}]})).await;
    shop.put_template(shipped_template()).await;
    let control = &shop.bench.control;
    let sale = async |to: &str| {
        let body = json!({"to": to, "type": "template", "template": {"name": "sale", "language": {"code": "en"}}});
        shop.send(body).await
    };
    control.act(&shop.number.id, "mara", Act::OptOut).unwrap();
    let (field, value) = shop.changes().await.remove(0);
    assert_eq!(field, "user_preferences");
    assert_eq!(value["user_preferences"][0]["value"], "stop");
    assert_eq!(code(&sale("+4915550100001").await.1), 131_050);
    assert_eq!(shop.shipped().await.0, 200, "utility is still welcome");
    control.act(&shop.number.id, "mara", Act::OptIn).unwrap();
    assert_eq!(sale("+4915550100001").await.0, 200);

    control.patch_customer("mara", CustomerPatch { marketing_capped: Some(true), ..CustomerPatch::default() }).unwrap();
    assert_eq!(code(&sale("+4915550100001").await.1), 131_049);
    control.create_customer(NewCustomer::named("us", "Al", "+12125550100")).unwrap();
    control.create_customer(NewCustomer::named("ca", "Bea", "+14165550100")).unwrap();
    assert_eq!(code(&sale("+12125550100").await.1), 131_049);
    assert_eq!(sale("+14165550100").await.0, 200);
}

#[tokio::test]
async fn recipients_can_be_unknown_blocked_or_the_sender() {
    let shop = Shop::open(json!({"refusals": "sync", "display_phone_number": "43 1 234567"})).await;
    let to = async |to: &str| shop.send(json!({"to": to, "type": "text", "text": {"body": "x"}})).await;
    assert_eq!(code(&to("+4915550109999").await.1), 131_026);
    assert_eq!(code(&to("+431234567").await.1), 131_021);

    shop.writes("hi");
    let blocks = json!({"messaging_product": "whatsapp", "block_users": [{"user": "+4915550100001"}]});
    let path = format!("{}/block_users", shop.number.id);
    let (status, reply) = answer(shop.graph("POST", &path).json(&blocks)).await;
    assert_eq!((status, &reply["block_users"]["added_users"][0]["wa_id"]), (200, &json!("4915550100001")));
    assert_eq!(code(&to("+4915550100001").await.1), 130_403);
    assert_eq!(answer(shop.graph("DELETE", &path).json(&blocks)).await.0, 200);
    assert_eq!(to("(+49) 155-5010 0001").await.0, 200);
    shop.statuses().await;

    // A customer who blocks the business gets nothing, and the business learns nothing.
    shop.bench.control.act(&shop.number.id, "mara", Act::Block).unwrap();
    let (_, sent) = to("+4915550100001").await;
    assert_eq!(shop.statuses().await, [(wamid(&sent), "sent".to_owned(), None)]);
    let refused = shop.bench.control.writes(&shop.number.id, "mara", "x").unwrap_err();
    assert!(refused.to_string().contains("blocks this account"), "{refused}");
}

#[tokio::test]
async fn the_pair_rate_is_a_burst_of_45_and_then_one_in_six_seconds() {
    let shop = Shop::open(json!({})).await;
    shop.writes("hi");
    for n in 0..45 {
        assert_eq!(shop.text(&n.to_string()).await.0, 200, "message {n}");
    }
    assert_eq!(code(&shop.text("one too many").await.1), 131_056);
    shop.bench.control.advance(Duration::seconds(6));
    assert_eq!(shop.text("later").await.0, 200);
    assert_eq!(code(&shop.text("too soon").await.1), 131_056);
    let free = AccountPatch { settings: Some(json!({"pacing": false})), ..AccountPatch::default() };
    shop.bench.control.patch_account(&shop.number.id, free).unwrap();
    assert_eq!(shop.text("unpaced").await.0, 200);
}

#[tokio::test]
async fn a_number_sends_80_messages_a_second_and_no_more() {
    let shop = Shop::open(json!({})).await;
    for n in 0..10 {
        let customer = NewCustomer::named(&format!("c{n}"), "C", &format!("+491555020000{n}"));
        shop.bench.control.create_customer(customer).unwrap();
        shop.bench.control.writes(&shop.number.id, &format!("c{n}"), "hi").unwrap();
    }
    let sends = (0..400).map(|n| {
        let to = format!("+491555020000{}", n % 10);
        let shop = &shop;
        async move { shop.send(json!({"to": to, "type": "text", "text": {"body": "x"}})).await }
    });
    let answers = futures_util::future::join_all(sends).await;
    let refused: Vec<_> = answers.iter().filter(|(status, _)| *status != 200).map(|(_, body)| code(body)).collect();
    assert!(refused.contains(&130_429) && refused.iter().all(|code| *code == 130_429), "{refused:?}");
    assert!(answers.len() - refused.len() >= 80);
}

#[rstest]
#[case::no_product(json!({"messaging_product": "sms"}), 100)]
#[case::no_recipient(json!({"to": null}), 131_008)]
#[case::unknown_type(json!({"type": "hologram", "hologram": {}}), 131_051)]
#[case::no_body(json!({"type": "text", "text": {}}), 131_008)]
#[case::no_content(json!({"type": "image"}), 131_008)]
#[case::text_too_long(json!({"type": "text", "text": {"body": "x".repeat(4_097)}}), 100)]
#[case::text_no_string(json!({"type": "text", "text": {"body": ["x"]}}), 100)]
#[case::caption_too_long(json!({"type": "image", "image": {"id": "1", "caption": "x".repeat(1_025)}}), 100)]
#[case::caption_on_audio(json!({"type": "audio", "audio": {"id": "1", "caption": "x"}}), 100)]
#[case::id_and_link(json!({"type": "image", "image": {"id": "1", "link": "https://x.example/a.jpg"}}), 131_009)]
#[case::unknown_media(json!({"type": "image", "image": {"id": "123"}}), 131_009)]
#[case::bad_link(json!({"type": "image", "image": {"link": "ftp://x"}}), 131_009)]
#[case::north_of_the_pole(json!({"type": "location", "location": {"latitude": 91, "longitude": 0}}), 131_009)]
#[case::reaction_to_nothing(json!({"type": "reaction", "reaction": {"message_id": "wamid.X", "emoji": "👍"}}), 131_009)]
#[case::four_buttons(json!({"type": "interactive", "interactive": {"type": "button", "body": {"text": "x"}, "action": {"buttons": [
    {"reply": {"id": "1", "title": "1"}}, {"reply": {"id": "2", "title": "2"}}, {"reply": {"id": "3", "title": "3"}}, {"reply": {"id": "4", "title": "4"}}]}}}), 131_009)]
#[case::long_title(json!({"type": "interactive", "interactive": {"type": "button", "body": {"text": "x"}, "action": {"buttons": [
    {"reply": {"id": "1", "title": "x".repeat(21)}}]}}}), 100)]
#[case::eleven_rows(json!({"type": "interactive", "interactive": {"type": "list", "body": {"text": "x"}, "action": {"button": "b", "sections": [{"rows":
    (0..11).map(|n| json!({"id": n.to_string(), "title": "t"})).collect::<Vec<_>>()}]}}}), 131_009)]
#[case::callback_too_long(json!({"type": "text", "text": {"body": "x"}, "biz_opaque_callback_data": "x".repeat(513)}), 100)]
#[tokio::test]
async fn malformed_messages_are_refused_at_once(#[case] message: Value, #[case] expected: i64) {
    let shop = Shop::open(json!({})).await;
    shop.writes("hi");
    let (status, refused) = shop.send(message).await;
    assert_eq!((status, code(&refused)), (400, expected), "{refused}");
    assert!(refused["error"]["error_data"]["details"].as_str().is_some_and(|details| !details.is_empty()));
    assert!(shop.bench.control.ledger().is_empty());
}

#[tokio::test]
async fn the_limits_themselves_pass() {
    let shop = Shop::open(json!({})).await;
    shop.writes("hi");
    assert_eq!(shop.text(&"ö".repeat(4_096)).await.0, 200);
    let rows: Vec<_> = (0..10).map(|n| json!({"id": n.to_string(), "title": "x".repeat(24)})).collect();
    let list = json!({"type": "list", "body": {"text": "Pick"}, "action": {"button": "Topics", "sections": [{"title": "T", "rows": rows}]}});
    let (status, sent) = shop.send(json!({"type": "interactive", "interactive": list})).await;
    assert_eq!(status, 200);
    shop.changes().await;
    let pick = Act::Choice { message_id: wamid(&sent), id: "3".into(), title: None };
    shop.bench.control.act(&shop.number.id, "mara", pick).unwrap();
    let inbound = shop.changes().await.into_iter().find_map(|(_, value)| value.get("messages").cloned()).unwrap();
    assert_eq!(
        inbound[0]["interactive"],
        json!({"type": "list_reply", "list_reply": {"id": "3", "title": "x".repeat(24)}})
    );
    let nonsense = Act::Button { message_id: wamid(&sent), data: "3".into(), text: None };
    assert!(shop.bench.control.act(&shop.number.id, "mara", nonsense).is_err());
}

#[tokio::test]
async fn files_go_up_and_come_down_byte_for_byte() {
    let shop = Shop::open(json!({})).await;
    shop.writes("hi");
    let png = b"\x89PNG\r\n\x1A\n and then some".to_vec();
    let upload = async |bytes: Vec<u8>, mime: &str| {
        let part = reqwest::multipart::Part::bytes(bytes).file_name("label.png").mime_str(mime).unwrap();
        let form = reqwest::multipart::Form::new()
            .text("messaging_product", "whatsapp")
            .text("type", mime.to_owned())
            .part("file", part);
        answer(shop.graph("POST", &format!("{}/media", shop.number.id)).multipart(form)).await
    };
    let (status, kept) = upload(png.clone(), "image/png").await;
    assert_eq!(status, 200, "{kept}");
    let id = kept["id"].as_str().unwrap();
    assert_eq!(code(&upload(png.clone(), "image/jpeg").await.1), 131_053, "the content is no jpeg");
    assert_eq!(code(&upload(png.clone(), "image/gif").await.1), 100, "no gifs here");
    assert_eq!(code(&upload([png.clone(), vec![0; 5 * 1024 * 1024]].concat(), "image/png").await.1), 131_053);

    assert_eq!(shop.send(json!({"type": "image", "image": {"id": id, "caption": "the label"}})).await.0, 200);
    assert_eq!(
        code(&shop.send(json!({"type": "audio", "audio": {"id": id}})).await.1),
        131_053,
        "a picture is no sound"
    );
    let entry = shop.bench.control.conversations().remove(0).entries.pop().unwrap();
    assert_eq!(shop.bench.control.media(&entry.media.unwrap()).unwrap().bytes, png);

    let (_, meta) = answer(shop.graph("GET", id)).await;
    assert_eq!((&meta["mime_type"], &meta["file_size"]), (&json!("image/png"), &json!(png.len())));
    let url = meta["url"].as_str().unwrap();
    let fetch = async |token: &str| shop.bench.http.get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(fetch(&shop.setting("access_token")).await.bytes().await.unwrap(), png);
    assert_eq!(fetch("wrong").await.status(), 401);
    shop.bench.control.advance(Duration::minutes(5));
    assert_eq!(fetch(&shop.setting("access_token")).await.status(), 404, "the URL lives five minutes");
    assert_eq!(answer(shop.graph("DELETE", id)).await.1, json!({"success": true}));
    assert_eq!(code(&answer(shop.graph("GET", id)).await.1), 100);
}

#[tokio::test]
async fn a_linked_file_is_fetched_or_fails_later() {
    let shop = Shop::open(json!({})).await;
    shop.writes("hi");
    shop.changes().await;
    shop.bench.control.publish("https://cdn.example/a.pdf", "application/pdf", b"%PDF-1.4".to_vec());
    let document = |link: &str| json!({"type": "document", "document": {"link": link, "filename": "a.pdf"}});
    assert_eq!(shop.send(document("https://cdn.example/a.pdf")).await.0, 200);
    shop.changes().await;
    let (status, gone) = shop.send(document("https://cdn.example/nothing.pdf")).await;
    assert_eq!(status, 200);
    assert_eq!(shop.statuses().await, [(wamid(&gone), "failed".to_owned(), Some(131_053))]);
    assert_eq!(shop.bench.control.ledger().len(), 1);
}

#[tokio::test]
async fn what_customers_send_looks_like_the_sheet() {
    let shop = Shop::open(json!({})).await;
    let control = &shop.bench.control;
    control.patch_customer("mara", CustomerPatch { name: Some("Mára 👋".into()), ..CustomerPatch::default() }).unwrap();
    let first = shop.writes("Grüße");
    shop.bench.settled().await;
    let call = shop.bench.receiver.take().remove(0);
    assert!(call.body.is_ascii(), "Meta escapes everything beyond ASCII");
    let value = call.json();
    assert_eq!(value["object"], "whatsapp_business_account");
    assert_eq!(value["entry"][0]["id"].as_str().unwrap(), shop.setting("waba_id"));
    let value = &value["entry"][0]["changes"][0]["value"];
    assert_eq!(value["metadata"]["phone_number_id"].as_str().unwrap(), shop.number.id);
    assert_eq!(value["contacts"][0]["profile"]["name"], "Mára 👋");
    let message = &value["messages"][0];
    assert_eq!(message["from"], "4915550100001");
    assert_eq!(message["from_user_id"], value["contacts"][0]["user_id"]);
    assert!(message["from_user_id"].as_str().unwrap().starts_with("DE."));
    assert_eq!(message["timestamp"], START.unix_timestamp().to_string());

    let act = |action: Action| control.act(&shop.number.id, "mara", action).unwrap();
    act(Act::Media(MediaAct { media: "voice".into(), ..MediaAct::default() }).into());
    act(Action::from(Act::Text { text: "this one".into() }).reply_to(&first));
    act(Act::Reaction { message_id: first.clone(), emoji: None }.into());
    act(Act::Unsupported.into());
    act(Act::Edit { message_id: first.clone(), text: "Hallo".into() }.into());
    act(Act::Delete { message_id: first.clone() }.into());
    act(Act::Echo { text: "from the app".into() }.into());
    act(Act::Call.into());
    act(Act::NumberChange { phone: "+4915550100099".into() }.into());
    let changes = shop.changes().await;
    let message = |at: usize| &changes[at].1["messages"][0];
    assert_eq!((&message(0)["type"], &message(0)["audio"]["voice"]), (&json!("audio"), &json!(true)));
    assert_eq!(message(1)["context"], json!({"from": "4915550100001", "id": first}));
    assert_eq!(message(2)["reaction"], json!({"message_id": first}));
    assert_eq!(message(3)["errors"][0]["code"], 131_051);
    assert_eq!(message(4)["edit"]["original_message_id"], first.as_str());
    assert_eq!(message(5)["revoke"], json!({"original_message_id": first}));
    assert_eq!(
        (changes[6].0.as_str(), &changes[6].1["message_echoes"][0]["text"]["body"]),
        ("smb_message_echoes", &json!("from the app"))
    );
    assert_eq!((changes[7].0.as_str(), &changes[7].1["calls"][0]["event"]), ("calls", &json!("connect")));
    assert_eq!(
        (&message(8)["system"]["type"], &message(8)["system"]["wa_id"]),
        (&json!("user_changed_number"), &json!("4915550100099"))
    );
    assert_ne!(
        message(8)["system"]["user_id"],
        message(3)["from_user_id"],
        "a new number has a new business-scoped id"
    );

    // A file from a customer can be fetched with its id.
    let media = message(0)["audio"]["id"].as_str().unwrap();
    assert_eq!(answer(shop.graph("GET", media)).await.1["mime_type"], "audio/ogg");
}

#[tokio::test]
async fn who_hides_the_phone_is_known_by_the_business_scoped_id() {
    let shop = Shop::open(json!({})).await;
    let hidden = CustomerPatch { hides_phone: Some(true), username: Some("mara".into()), ..CustomerPatch::default() };
    shop.bench.control.patch_customer("mara", hidden).unwrap();
    shop.writes("hi");
    let value = shop.changes().await.remove(0).1;
    assert!(value["messages"][0].get("from").is_none() && value["contacts"][0].get("wa_id").is_none());
    assert_eq!(value["contacts"][0]["profile"]["username"], "mara");
    let user_id = value["contacts"][0]["user_id"].as_str().unwrap().to_owned();

    let (status, reply) =
        shop.send(json!({"to": null, "recipient": user_id, "type": "text", "text": {"body": "hello"}})).await;
    assert_eq!((status, &reply["contacts"][0]["user_id"]), (200, &json!(user_id)));
    let status = &shop.changes().await[0].1["statuses"][0];
    assert!(status.get("recipient_id").is_none());
    assert_eq!(status["recipient_user_id"], user_id.as_str());
}

#[tokio::test]
async fn reading_and_receipts_by_hand() {
    let shop = Shop::open(json!({})).await;
    let manual =
        AccountPatch { receipts: Some(serde_json::from_value(json!("manual")).unwrap()), ..AccountPatch::default() };
    shop.bench.control.patch_account(&shop.number.id, manual).unwrap();
    let theirs = shop.writes("hi");
    let (_, sent) = shop.text("hello").await;
    assert!(shop.statuses().await.is_empty());
    let id = wamid(&sent);
    let receipt = |order| shop.bench.control.receipt(&shop.number.id, &order).unwrap();
    receipt(ReceiptOrder::new(&id, Progress::Read));
    receipt(ReceiptOrder::new(&id, Progress::Delivered));
    receipt(ReceiptOrder::failed(&id, 131_026));
    let seen: Vec<_> = shop.statuses().await.into_iter().map(|(_, status, code)| (status, code)).collect();
    assert_eq!(seen, [("read".to_owned(), None), ("delivered".to_owned(), None), ("failed".to_owned(), Some(131_026))]);
    let problem =
        shop.bench.control.receipt(&shop.number.id, &ReceiptOrder::new("wamid.none", Progress::Read)).unwrap_err();
    assert_eq!(problem.kind.status(), 404);

    // Marking as read is no send.
    let (status, reply) =
        shop.send(json!({"status": "read", "message_id": theirs, "typing_indicator": {"type": "text"}})).await;
    assert_eq!((status, reply), (200, json!({"success": true})));
    let entry = &shop.bench.control.conversations()[0].entries[0];
    assert_eq!((entry.id.as_str(), entry.progress), (theirs.as_str(), Progress::Read));
    assert_eq!(shop.bench.control.ledger().len(), 1);
}

#[tokio::test]
async fn who_answers_has_read() {
    let shop = Shop::open(json!({})).await;
    shop.writes("hi");
    let (_, sent) = shop.text("hello").await;
    shop.bench.settled().await;
    shop.writes("thanks");
    let statuses = shop.statuses().await;
    assert_eq!(statuses.last(), Some(&(wamid(&sent), "read".to_owned(), None)));
}

#[tokio::test]
async fn a_receipt_by_hand_takes_the_place_of_the_automatic_one() {
    let shop = Shop::open(json!({})).await;
    let slow = json!({"sent_ms": 0, "delivered_ms": 300, "read_ms": 350});
    let slow = AccountPatch { receipts: Some(serde_json::from_value(slow).unwrap()), ..AccountPatch::default() };
    shop.bench.control.patch_account(&shop.number.id, slow).unwrap();
    shop.writes("hi");
    let (_, sent) = shop.text("hello").await;
    let order = ReceiptOrder::new(wamid(&sent), Progress::Delivered);
    shop.bench.control.receipt(&shop.number.id, &order).unwrap();
    let mut seen: Vec<_> = shop.statuses().await.into_iter().map(|(_, status, _)| status).collect();
    seen.sort();
    assert_eq!(seen, ["delivered", "read", "sent"]);
}

#[tokio::test]
async fn an_advertisement_makes_the_answers_free_and_nothing_more() {
    let shop = Shop::open(json!({"refusals": "sync"})).await;
    shop.bench
        .control
        .act(&shop.number.id, "mara", Act::Ad { text: "Hi".into(), headline: Some("Sale".into()) })
        .unwrap();
    assert_eq!(shop.text("welcome").await.0, 200);
    let changes = shop.changes().await;
    assert_eq!(changes[0].1["messages"][0]["referral"]["headline"], "Sale");
    assert_eq!(changes[1].1["statuses"][0]["pricing"]["type"], "free_entry_point");
    assert_eq!(changes[1].1["statuses"][0]["conversation"]["origin"]["type"], "referral_conversion");
    shop.bench.control.advance(Duration::hours(24));
    assert_eq!(code(&shop.text("still free?").await.1), 131_047);
}

#[tokio::test]
async fn tokens_are_checked() {
    let shop = Shop::open(json!({})).await;
    let url = format!("{}/v25.0/{}/messages", shop.number.api_base, shop.number.id);
    let body = json!({"messaging_product": "whatsapp"});
    for request in [shop.bench.http.post(&url), shop.bench.http.post(&url).bearer_auth("wrong")] {
        let (status, refused) = answer(request.json(&body)).await;
        assert_eq!((status, code(&refused)), (401, 190));
    }
    let foreign = shop.bench.account("whatsapp", json!({}));
    let (status, refused) = answer(shop.graph("POST", &format!("{}/messages", foreign.id)).json(&body)).await;
    assert_eq!((status, code(&refused)), (400, 100));
    let (status, refused) = answer(shop.graph("POST", &format!("{}/messages", shop.number.id)).body("{")).await;
    assert_eq!((status, code(&refused)), (400, 100));
}

#[tokio::test]
async fn templates_are_listed_in_pages_made_and_deleted() {
    let shop = Shop::open(json!({})).await;
    for n in 0..7 {
        let template = json!({"name": format!("t_{n}"), "language": "en", "category": "UTILITY", "components": [{"type": "BODY", "text": "x"}]});
        shop.put_template(template).await;
    }
    let waba = shop.setting("waba_id");
    let (mut names, mut next) = (
        Vec::new(),
        Some(format!("{}/v25.0/{waba}/message_templates?limit=3&fields=name,status", shop.number.api_base)),
    );
    let mut pages = 0;
    while let Some(url) = next {
        let (status, page) = answer(shop.bench.http.get(url).bearer_auth(shop.setting("access_token"))).await;
        assert_eq!(status, 200);
        names.extend(page["data"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()));
        assert!(page["data"][0].get("components").is_none(), "only the fields asked for");
        assert!(page["paging"]["cursors"]["after"].is_string());
        next = page["paging"]["next"].as_str().map(str::to_owned);
        pages += 1;
    }
    assert_eq!((pages, names), (3, (0..7).map(|n| format!("t_{n}")).collect::<Vec<_>>()));

    let path = format!("{waba}/message_templates");
    let new = json!({"name": "fresh", "language": "en", "category": "utility", "components": [{"type": "BODY", "text": "Hi {{1}}"}]});
    let (status, made) = answer(shop.graph("POST", &path).json(&new)).await;
    assert_eq!((status, &made["status"]), (200, &json!("PENDING")));
    let (field, value) = shop.changes().await.remove(0);
    assert_eq!((field.as_str(), &value["event"]), ("message_template_status_update", &json!("APPROVED")));
    let (_, one) = answer(shop.graph("GET", made["id"].as_str().unwrap())).await;
    assert_eq!((&one["status"], &one["parameter_format"]), (&json!("APPROVED"), &json!("POSITIONAL")));
    assert_eq!(code(&answer(shop.graph("POST", &path).json(&new)).await.1), 100, "the name is taken");
    assert_eq!(answer(shop.graph("DELETE", &format!("{path}?name=fresh"))).await.0, 200);
    assert_eq!(answer(shop.graph("GET", &format!("{path}?name=fresh"))).await.1["data"], json!([]));
}

#[tokio::test]
async fn the_number_tells_about_itself() {
    let shop = Shop::open(json!({"messaging_limit": 2_000, "verified_name": "Shop"})).await;
    let fields = "verified_name,whatsapp_business_manager_messaging_limit";
    let (_, phone) = answer(shop.graph("GET", &format!("{}?fields={fields}", shop.number.id))).await;
    assert_eq!(
        phone,
        json!({"id": shop.number.id, "verified_name": "Shop", "whatsapp_business_manager_messaging_limit": "TIER_2K"})
    );
    let (_, phones) = answer(shop.graph("GET", &format!("{}/phone_numbers", shop.setting("waba_id")))).await;
    assert_eq!(phones["data"][0]["id"].as_str().unwrap(), shop.number.id);
    assert_eq!(answer(shop.graph("POST", &format!("{}/subscribed_apps", shop.setting("waba_id")))).await.0, 200);
}

#[tokio::test]
async fn the_handshake_and_the_signature_are_metas() {
    let shop = Shop::open(json!({"app_secret": "test-app-secret-0001", "verify_token": "tok"})).await;
    let shaken = shop.bench.control.platform(&shop.number.id, "handshake", json!({})).await.unwrap();
    assert_eq!(shaken["ok"], true, "{shaken}");
    let call = shop.bench.receiver.take().remove(0);
    assert_eq!(call.method, "GET");
    assert!(call.query.contains("hub.mode=subscribe") && call.query.contains("hub.verify_token=tok"), "{}", call.query);

    shop.writes("hi");
    shop.bench.settled().await;
    let call = shop.bench.receiver.take().remove(0);
    assert_eq!(call.header("x-hub-signature-256"), signature("test-app-secret-0001", &call.body));
}

fn signature(secret: &str, body: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}
