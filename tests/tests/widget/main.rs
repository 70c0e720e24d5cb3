//! The web chat's widget in headless Chromium, on a site with a strict policy, against the real service.
//!
//! Without Chromium these tests are skipped, which is said on stderr; `CI=true` or `TRANSOM_REQUIRE_CHROMIUM=1` make that a failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod looks;
mod people;
mod shop;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use transom_domain::Role;
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;

use shop::{ROOT, Shop, bubbles, is_clean, open, ui, until_bubbles, until_sent, write};

both_databases! {
    /// A visitor writes, an agent answers, and a reload shows all of it again.
    async fn a_visitor_writes_and_an_agent_answers(db: TestDatabase) {
        let Some(shop) = Shop::open(db).await else { return };
        let page = shop.tab(&shop.visitor().await, "").await;
        open(&page).await;
        write(&page, "Where is my parcel?").await;
        until_bubbles(&page, &["Where is my parcel?"]).await;
        let conversation = shop.conversation_saying("Where is my parcel?").await;
        let id = conversation["id"].as_str().unwrap();

        let answer = shop.answers(id, json!({ "text": "It is on its way." })).await;
        until_bubbles(&page, &["Where is my parcel?", "It is on its way."]).await;
        shop.until_state(&answer, "read").await;

        page.reload().await.unwrap();
        until_bubbles(&page, &["Where is my parcel?", "It is on its way."]).await;
        assert_eq!(page.eval(&format!("{}.hidden", ui(".panel"))).await.unwrap(), json!(false), "it stays open");
        write(&page, "Thank you!").await;
        shop.conversation_saying("Thank you!").await;
        assert_eq!(shop.written(id).await, ["Where is my parcel?", "Thank you!"]);

        // Closed, it says how much is unread and shows what came; opened, all of it is read.
        page.press("Escape").await.unwrap();
        let last = shop.answers(id, json!({ "text": "You are welcome." })).await;
        page.until(&format!("{}.textContent === '1'", ui(".badge"))).await.unwrap();
        page.until(&format!("{}.textContent.includes('You are welcome.')", ui(".teaser"))).await.unwrap();
        shop.until_state(&last, "delivered").await;
        open(&page).await;
        shop.until_state(&last, "read").await;
        assert_eq!(page.eval(&format!("{}.hidden", ui(".badge"))).await.unwrap(), json!(true));
        is_clean(&page).await;
        shop.close().await;
    }
}

both_databases! {
    /// What is written and sent while the visitor is offline arrives afterwards: in order, all of it, once.
    async fn offline_then_online_loses_nothing(db: TestDatabase) {
        let Some(shop) = Shop::open(db).await else { return };
        let page = shop.tab(&shop.visitor().await, "").await;
        open(&page).await;
        write(&page, "one").await;
        let conversation = shop.conversation_saying("one").await;
        let id = conversation["id"].as_str().unwrap();
        until_sent(&page).await;

        page.offline(true).await.unwrap();
        page.until(&format!("{}.textContent.includes('offline')", ui(".note"))).await.unwrap();
        for text in ["two", "three", "four"] {
            write(&page, text).await;
        }
        until_bubbles(&page, &["one", "two", "three", "four"]).await;
        assert!(page.eval(&format!("{}.textContent", ui("ol"))).await.unwrap().as_str().unwrap().contains("Waiting to be sent"));
        for text in ["A", "B"] {
            let answer = shop.answers(id, json!({ "text": text })).await;
            shop.until_state(&answer, "sent").await;
        }
        assert_eq!(shop.written(id).await, ["one"]);

        page.offline(false).await.unwrap();
        shop.conversation_saying("four").await;
        assert_eq!(shop.written(id).await, ["one", "two", "three", "four"]);
        until_sent(&page).await;
        let shown = bubbles(&page).await;
        let of = |wanted: &[&str]| shown.iter().filter(|text| wanted.contains(&text.as_str())).cloned().collect::<Vec<_>>();
        assert_eq!(shown.len(), 6, "{shown:?}");
        assert_eq!((of(&["one", "two", "three", "four"]), of(&["A", "B"])), (vec!["one".into(), "two".into(), "three".into(), "four".into()], vec!["A".into(), "B".to_owned()]));

        // The line goes between the message and its answer, again and again.
        for round in 0..5 {
            write(&page, &format!("round {round}")).await;
            page.offline(true).await.unwrap();
            page.until("navigator.onLine === false").await.unwrap();
            page.offline(false).await.unwrap();
        }
        shop.conversation_saying("round 4").await;
        let rounds: Vec<_> = (0..5).map(|round| format!("round {round}")).collect();
        assert_eq!(shop.written(id).await[4..], rounds);
        until_sent(&page).await;
        page.reload().await.unwrap();
        page.until(&format!("{ROOT}.querySelectorAll('.msg .text').length === 11")).await.unwrap();
        is_clean(&page).await;
        shop.close().await;
    }
}

/// Without WebSockets the same goes over server-sent events and calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_will_do() {
    let Some(shop) = Shop::open(TestDatabase::sqlite()).await else { return };
    let page = shop.tab(&shop.visitor().await, "line=stream").await;
    assert_eq!(page.eval("typeof WebSocket").await.unwrap(), json!("undefined"));
    open(&page).await;
    write(&page, "over a stream").await;
    let conversation = shop.conversation_saying("over a stream").await;
    let id = conversation["id"].as_str().unwrap();
    let answer = shop.answers(id, json!({ "text": "streamed back" })).await;
    until_bubbles(&page, &["over a stream", "streamed back"]).await;
    shop.until_state(&answer, "read").await;
    page.offline(true).await.unwrap();
    page.until("navigator.onLine === false").await.unwrap();
    write(&page, "while away").await;
    page.offline(false).await.unwrap();
    shop.conversation_saying("while away").await;
    assert_eq!(shop.written(id).await, ["over a stream", "while away"]);
    is_clean(&page).await;
    shop.close().await;
}

/// With the site's proof a visitor is one person on every device; with a wrong one nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_proven_is_one_person_everywhere() {
    let Some(shop) = Shop::open(TestDatabase::sqlite()).await else { return };
    let as_ada = format!("as=cust-42&name=Ada&proof={}", shop.proof("cust-42"));
    let desktop = shop.tab(&shop.visitor().await, &as_ada).await;
    open(&desktop).await;
    write(&desktop, "from the desktop").await;
    let conversation = shop.conversation_saying("from the desktop").await;
    let id = conversation["id"].as_str().unwrap();
    until_sent(&desktop).await;

    let phone = shop.visitor().await.tab(390, 844).await.unwrap();
    shop.goto(&phone, &as_ada).await;
    open(&phone).await;
    until_bubbles(&phone, &["from the desktop"]).await;
    write(&phone, "from the phone").await;
    until_bubbles(&desktop, &["from the desktop", "from the phone"]).await;
    shop.conversation_saying("from the phone").await;
    assert_eq!(shop.written(id).await, ["from the desktop", "from the phone"]);

    // Signing off leaves nothing behind on the device.
    desktop.eval("Transom('logout')").await.unwrap();
    until_bubbles(&desktop, &["Hello! What can we do for you?"]).await;
    assert_eq!(desktop.eval("JSON.stringify(localStorage).includes('from the')").await.unwrap(), json!(false));

    let forger = shop.tab(&shop.visitor().await, &format!("as=cust-42&proof={}", shop.proof("cust-43"))).await;
    forger.until("told.includes('identity_invalid')").await.unwrap();
    open(&forger).await;
    write(&forger, "let me in").await;
    let shown = forger.eval(&format!("{}.textContent", ui(".meta"))).await.unwrap();
    assert!(shown.as_str().unwrap().contains("Waiting"), "{shown}");
    assert!(!bubbles(&forger).await.contains(&"from the desktop".to_owned()));
    is_clean(&desktop).await;
    shop.close().await;
}

/// Two tabs are one visitor: each shows what the other writes, and what is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tabs_are_one_visitor() {
    let Some(shop) = Shop::open(TestDatabase::sqlite()).await else { return };
    let visitor = shop.visitor().await;
    let first = shop.tab(&visitor, "").await;
    open(&first).await;
    write(&first, "from the first").await;
    let conversation = shop.conversation_saying("from the first").await;
    let id = conversation["id"].as_str().unwrap();
    until_sent(&first).await;
    let second = shop.tab(&visitor, "").await;
    open(&second).await;
    until_bubbles(&second, &["from the first"]).await;
    write(&second, "from the second").await;
    for page in [&first, &second] {
        until_bubbles(page, &["from the first", "from the second"]).await;
    }
    shop.conversation_saying("from the second").await;
    shop.answers(id, json!({ "text": "to both" })).await;
    for page in [&first, &second] {
        until_bubbles(page, &["from the first", "from the second", "to both"]).await;
        is_clean(page).await;
    }
    assert_eq!(shop.written(id).await, ["from the first", "from the second"]);
    shop.close().await;
}

/// Everything goes without a mouse, and the focus neither gets lost nor leaves the open panel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_is_enough() {
    let Some(shop) = Shop::open(TestDatabase::sqlite()).await else { return };
    let page = shop.tab(&shop.visitor().await, "").await;
    let focused = format!("{ROOT}.activeElement?.matches.bind({ROOT}.activeElement)");
    let is_on = |selector: &str| format!("Boolean({focused}?.('{selector}'))");
    // The page's three links come first.
    for _ in 0..8 {
        page.press("Tab").await.unwrap();
        if page.eval(&is_on(".launcher")).await.unwrap() == json!(true) {
            break;
        }
    }
    assert_eq!(page.eval(&is_on(".launcher")).await.unwrap(), json!(true), "a few tabs lead to the chat");
    page.press("Enter").await.unwrap();
    page.until(&is_on("textarea")).await.unwrap();
    page.types("without a mouse").await.unwrap();
    page.press("Enter").await.unwrap();
    let conversation = shop.conversation_saying("without a mouse").await;
    let buttons = json!([{ "id": "yes", "title": "Yes" }, { "id": "no", "title": "No" }]);
    shop.answers(
        conversation["id"].as_str().unwrap(),
        json!({ "choices": { "text": "Was that all?", "buttons": buttons } }),
    )
    .await;
    page.until(&format!("{ROOT}.querySelectorAll('.choices button').length === 2")).await.unwrap();

    let (mut stops, describe) = (
        Vec::new(),
        format!(
            "(() => {{ const one = {ROOT}.activeElement; return one && `${{one.tagName}} ${{one.getAttribute('aria-label') || one.textContent}}` }})()"
        ),
    );
    for _ in 0..12 {
        page.press("Tab").await.unwrap();
        stops.push(page.eval(&describe).await.unwrap().as_str().unwrap_or("nothing").to_owned());
    }
    assert!(!stops.contains(&"nothing".to_owned()), "the focus left the panel: {stops:?}");
    for wanted in [
        "BUTTON Close chat",
        "OL Messages",
        "BUTTON Yes",
        "BUTTON No",
        "BUTTON Attach a file",
        "TEXTAREA Write a message",
    ] {
        assert!(stops.contains(&wanted.to_owned()), "no way to {wanted}: {stops:?}");
    }
    while page.eval(&describe).await.unwrap() != json!("BUTTON Yes") {
        page.press("Shift+Tab").await.unwrap();
    }
    page.press("Enter").await.unwrap();
    until_bubbles(&page, &["without a mouse", "Was that all?", "Yes"]).await;
    shop.conversation_saying("Yes").await;
    page.press("Escape").await.unwrap();
    page.until(&is_on(".launcher")).await.unwrap();

    let named = format!(
        "[...{ROOT}.querySelectorAll('button, textarea, input:not([type=file]), [role=dialog], [role=log]')].filter((one) => \
         !(one.getAttribute('aria-label') || one.getAttribute('aria-labelledby') || one.textContent.trim())).length"
    );
    assert_eq!(page.eval(&named).await.unwrap(), json!(0), "everything has a name");
    is_clean(&page).await;
    shop.close().await;
}

/// What visitors and agents write is text, whatever it looks like.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markup_is_shown_and_never_obeyed() {
    let Some(shop) = Shop::open(TestDatabase::sqlite()).await else { return };
    let page = shop.tab(&shop.visitor().await, "").await;
    open(&page).await;
    let attacks = [
        "<img src=x onerror=\"window.hacked = 1\">",
        "<script>window.hacked = 2</script>",
        "javascript:window.hacked=3 data:text/html,<script>hacked=4</script>",
        "https://example.com/\"onmouseover=\"window.hacked=5",
        "</div><style>*{display:none}</style>{{7*7}}${7*7}",
    ];
    write(&page, attacks[0]).await;
    let conversation = shop.conversation_saying(attacks[0]).await;
    let id = conversation["id"].as_str().unwrap();
    for attack in attacks {
        shop.answers(id, json!({ "text": attack })).await;
    }
    shop.answers(id, json!({ "text": "See https://example.com/a?b=1. Or mail mailto:help@example.com!" })).await;
    page.until(&format!("{ROOT}.querySelectorAll('.msg .text').length === 7")).await.unwrap();
    assert_eq!(bubbles(&page).await[1..6], attacks);
    assert_eq!(page.eval("window.hacked ?? null").await.unwrap(), Value::Null);
    let foreign =
        page.eval(&format!("{}.querySelectorAll('img, script, style, iframe').length", ui("ol"))).await.unwrap();
    assert_eq!(foreign, json!(0));
    let links = page
        .eval(&format!("[...{ROOT}.querySelectorAll('.text a')].map((one) => [one.protocol, one.rel, one.target])"))
        .await
        .unwrap();
    let safe = |protocol: &str| json!([protocol, "noopener noreferrer nofollow", "_blank"]);
    assert_eq!(links, json!([safe("https:"), safe("https:"), safe("mailto:")]));
    is_clean(&page).await;
    shop.close().await;
}

/// A file that is dropped into the panel is at the desk, and one from there is shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_both_ways() {
    const PNG: &str =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let Some(shop) = Shop::open(TestDatabase::sqlite()).await else { return };
    let page = shop.tab(&shop.visitor().await, "").await;
    open(&page).await;
    page.until(&format!("!{}.disabled", ui("[aria-label=\"Attach a file\"]"))).await.unwrap();
    let drop = format!(
        "(() => {{ const bytes = Uint8Array.from(atob('{PNG}'), (c) => c.charCodeAt(0)), data = new DataTransfer(); \
         data.items.add(new File([bytes], 'lamp.png', {{ type: 'image/png' }})); \
         {}.dispatchEvent(new DragEvent('drop', {{ dataTransfer: data, bubbles: true, cancelable: true }})) }})()",
        ui(".panel")
    );
    page.eval(&drop).await.unwrap();
    page.until(&format!("!{}.disabled", ui(".send"))).await.unwrap();
    write(&page, "this one").await;
    let conversation = shop.conversation_saying("this one").await;
    let id = conversation["id"].as_str().unwrap();
    let path = format!("/conversations/{id}/messages");
    let found = shop.stage.api.get(&path).await.unwrap().expect(200).unwrap();
    let items = found.body["items"].as_array().unwrap();
    let file = items.iter().find_map(|item| item.pointer("/content/attachments/0")).cloned().unwrap_or_default();
    assert_eq!((&file["mime"], &file["file_name"]), (&json!("image/png"), &json!("lamp.png")), "{}", found.body);

    shop.answers(id, json!({ "text": "like this?", "attachments": [{ "kind": "image", "id": file["id"] }] })).await;
    page.until(&format!(
        "[...{ROOT}.querySelectorAll('.msg:not(.mine) img')].some((one) => one.complete && one.naturalWidth === 1)"
    ))
    .await
    .unwrap();
    is_clean(&page).await;
    shop.close().await;
}

/// Who types is shown on the other side, and no longer once they have written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_types_is_shown_until_they_have_written() {
    let Some(shop) = Shop::open(TestDatabase::sqlite()).await else { return };
    let page = shop.tab(&shop.visitor().await, "").await;
    open(&page).await;
    write(&page, "Anybody there?").await;
    let conversation = shop.conversation_saying("Anybody there?").await;
    let id = conversation["id"].as_str().unwrap();
    until_sent(&page).await;
    let (_, eva) = shop.stage.colleague("Eva", Role::Agent).await.unwrap();
    let events = format!("{}/v1/events", shop.stage.world.server.base_url());
    let mut events = transom_tests::http().get(events).bearer_auth(eva.expose_secret()).send().await.unwrap();
    page.types("I wonder").await.unwrap();
    let mut told = String::new();
    while !told.contains("conversation.typing") {
        told.push_str(&String::from_utf8_lossy(&events.chunk().await.unwrap().expect("the stream goes on")));
    }

    shop.stage
        .api
        .post(&format!("/conversations/{id}/typing"), json!({ "on": true }))
        .await
        .unwrap()
        .expect(204)
        .unwrap();
    page.until(&format!("{}.textContent.includes('is typing')", ui(".typing[role=status][aria-live=polite]")))
        .await
        .unwrap();
    shop.answers(id, json!({ "text": "Yes!" })).await;
    until_bubbles(&page, &["Anybody there?", "Yes!"]).await;
    page.until(&format!("{}.textContent === ''", ui(".typing"))).await.unwrap();
    is_clean(&page).await;
    shop.close().await;
}
