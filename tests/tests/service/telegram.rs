//! Telegram end to end: taps are answered, `/stop` is honoured, and what is no photo goes as a document.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use transom_domain::{ConversationId, SettableClock};
use transom_sandbox::{Act, NewCustomer};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Stage, http};

const NAME: &str = "Mara Klein";

/// Mara has just written.
async fn met(db: TestDatabase) -> (Stage, ConversationId, String) {
    let stage = Stage::set(db, SettableClock::running()).await.unwrap();
    let (bot, control) = (stage.world.account("telegram").unwrap().at_sandbox.clone(), stage.world.control());
    control.create_customer(NewCustomer::named("mara", NAME, "+4915550100001")).unwrap();
    control.writes(&bot, "mara", "hello").unwrap();
    let conversation = stage.world.conversation_with("telegram", NAME).await.unwrap().1;
    (stage, conversation, bot)
}

async fn sends(stage: &Stage, conversation: ConversationId, body: Value) -> Value {
    let sent = stage.api.post(&format!("/conversations/{conversation}/messages"), body).await.unwrap();
    let message = stage.settled(sent.expect(202).unwrap().text("/id").unwrap()).await.unwrap();
    assert_eq!(message["state"], "sent", "{message}");
    message
}

both_databases! {
    async fn a_tap_is_answered_with_the_webhook(db: TestDatabase) {
        let (stage, conversation, bot) = met(db).await;
        let choices = json!({ "text": "Was it good?", "buttons": [{ "id": "yes", "title": "Yes" }] });
        let asked = sends(&stage, conversation, json!({ "choices": choices })).await;
        let control = stage.world.control();
        let message_id = asked["parts"][0]["provider_id"].as_str().unwrap().to_owned();
        control.act(&bot, "mara", Act::Button { message_id, data: "yes".into(), text: None }).unwrap();
        stage.quiet().await.unwrap();
        let deliveries = control.deliveries();
        let tap: Value = serde_json::from_str(deliveries.last().unwrap().body.get()).unwrap();
        let id = tap["callback_query"]["id"].as_str().unwrap();
        // The platform has its answer, and takes no second one.
        let account = control.account(&bot).unwrap();
        let method = format!("{}/bot{}/answerCallbackQuery", account.api_base, account.settings["token"].as_str().unwrap());
        let again = http().post(method).json(&json!({ "callback_query_id": id })).send().await.unwrap();
        let (status, said) = (again.status().as_u16(), again.text().await.unwrap());
        assert!(status == 400 && said.contains("query is too old"), "{status} {said}");
        stage.strike().await;
    }

    async fn who_writes_stop_is_left_alone_until_they_start_again(db: TestDatabase) {
        let (stage, conversation, bot) = met(db).await;
        let control = stage.world.control();
        let path = format!("/conversations/{conversation}/messages");
        control.writes(&bot, "mara", "/stop").unwrap();
        stage.quiet().await.unwrap();
        let refused = stage.api.post(&path, json!({ "text": "Still there?" })).await.unwrap().expect(409).unwrap();
        assert!(refused.body.to_string().contains("opted_out"), "{}", refused.body);
        control.writes(&bot, "mara", "just a question").unwrap();
        stage.quiet().await.unwrap();
        stage.api.post(&path, json!({ "text": "Still there?" })).await.unwrap().expect(409).unwrap();
        // Telegram's times are whole seconds, and what was told in the course of one counts from its end.
        stage.world.clock.advance(time::Duration::seconds(2));
        control.writes(&bot, "mara", "/start").unwrap();
        stage.quiet().await.unwrap();
        sends(&stage, conversation, json!({ "text": "Welcome back." })).await;
        stage.strike().await;
    }

    async fn a_picture_that_is_no_photo_goes_as_a_document(db: TestDatabase) {
        let (stage, conversation, _) = met(db).await;
        // Their first bytes say how large they are; nobody looks at the rest.
        let png = |width: u32, height: u32| {
            [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &width.to_be_bytes()[..], &height.to_be_bytes()[..], &[8, 2, 0, 0, 0]].concat()
        };
        for (picture, kind) in [(png(1_280, 960), "photo"), (png(2_100, 100), "document"), (png(9_000, 2_000), "document")] {
            let form = Form::new().part("file", Part::bytes(picture).file_name("plan.png"));
            let file = stage.api.upload("/attachments", form).await.unwrap().expect(201).unwrap();
            let attachments = json!([{ "kind": "image", "id": file.body["id"] }]);
            sends(&stage, conversation, json!({ "text": "The plan", "attachments": attachments })).await;
            let arrived = stage.world.control().ledger().pop().unwrap();
            assert_eq!((arrived.kind.as_str(), arrived.text.as_str()), (kind, "The plan"));
        }
        stage.strike().await;
    }
}
