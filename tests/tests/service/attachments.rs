//! Files end to end: what an agent uploads is what the platform gets, what a customer sends is what the API serves.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use time::Duration;
use transom_desk::housekeeping;
use transom_domain::{ConversationId, SettableClock};
use transom_sandbox::{Act, MediaAct, NewCustomer};
use transom_storage::both_databases;
use transom_tests::Stage;

const NAME: &str = "Mara Klein";
/// A picture's first bytes, which say 1280 by 960; nobody looks at the rest.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x05\x00\x00\x00\x03\xc0\x08\x02\x00\x00\x00 a broken box, seen from above";
/// The same bytes.
const BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAABQAAAAPACAIAAAAgYSBicm9rZW4gYm94LCBzZWVuIGZyb20gYWJvdmU=";
const PLATFORMS: [&str; 2] = ["whatsapp", "telegram"];

async fn upload(stage: &Stage, bytes: &'static [u8]) -> String {
    let form = Form::new().part("file", Part::bytes(bytes).file_name("box.png"));
    let made = stage.api.upload("/attachments", form).await.unwrap().expect(201).unwrap();
    made.text("/id").unwrap().to_owned()
}

/// Mara has just written.
async fn conversation(stage: &Stage, platform: &str) -> ConversationId {
    let (account, control) = (stage.world.account(platform).unwrap().at_sandbox.clone(), stage.world.control());
    // She is the same customer on both platforms.
    let _ = control.create_customer(NewCustomer::named("mara", NAME, "+4915550100001"));
    control.writes(&account, "mara", "hello").unwrap();
    stage.world.conversation_with(platform, NAME).await.unwrap().1
}

async fn send(stage: &Stage, conversation: ConversationId, body: Value) -> Value {
    let sent = stage.api.post(&format!("/conversations/{conversation}/messages"), body).await.unwrap();
    let id = sent.expect(202).unwrap().text("/id").unwrap().to_owned();
    stage.settled(&id).await.unwrap()
}

/// The bytes of the newest file that the business sent, as they are on the customer's phone.
fn on_the_phone(stage: &Stage, platform: &str) -> Vec<u8> {
    let account = &stage.world.account(platform).unwrap().at_sandbox;
    let control = stage.world.control();
    let chats = control.conversations();
    let chat = chats.iter().find(|chat| chat.account == *account && chat.customer == "mara").unwrap();
    let media = chat.entries.iter().rev().find_map(|entry| entry.media.clone()).expect("no file on the phone");
    control.media(&media).unwrap().bytes.to_vec()
}

both_databases! {
    /// what was uploaded is what arrives, by whatever way the platform takes files.
    async fn an_uploaded_file_arrives_as_it_was(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let file = upload(&stage, PNG).await;
        for platform in PLATFORMS {
            let conversation = conversation(&stage, platform).await;
            let body = json!({ "text": "like this?", "attachments": [{ "kind": "image", "id": file }] });
            let message = send(&stage, conversation, body).await;
            assert!(["sent", "delivered", "read"].contains(&message["state"].as_str().unwrap()), "{message}");
            let shown = &message["content"]["attachments"][0];
            assert_eq!((&shown["id"], &shown["mime"], &shown["state"]), (&json!(file), &json!("image/png"), &json!("stored")));
            assert_eq!(on_the_phone(&stage, platform), PNG, "{platform}");
        }
        stage.strike().await;
    }
}

both_databases! {
    /// A platform that fetches files gets an address that ends as pictures do, and finds the picture there.
    async fn a_picture_is_found_at_the_address_that_the_platform_gets(db: TestDatabase) {
        const PUBLIC: &str = "https://desk.example/transom";
        let stage = Stage::set_at(PUBLIC.parse().ok(), db, SettableClock::running()).await.unwrap();
        let file = upload(&stage, PNG).await;
        let conversation = conversation(&stage, "viber").await;
        let body = json!({ "text": "like this?", "attachments": [{ "kind": "image", "id": file }] });
        let message = send(&stage, conversation, body).await;
        assert!(["sent", "delivered", "read"].contains(&message["state"].as_str().unwrap()), "{message}");
        let sent = stage.world.control().ledger().into_iter().find(|send| send.kind == "picture").unwrap();
        let address = sent.body["media"].as_str().unwrap();
        assert!(address.split('?').next().unwrap().ends_with("/file.png"), "{address}");
        let here = |address: &str| address.replacen(PUBLIC, stage.world.server.base_url(), 1);
        assert_eq!(reqwest::get(here(address)).await.unwrap().bytes().await.unwrap(), PNG);
        // It is that file by that name and no other, and more than a person's link for an hour.
        let other = reqwest::get(here(&address.replacen("file.png", "file.html", 1))).await.unwrap();
        assert_eq!(other.status(), 404);
        stage.world.clock.advance(Duration::days(300));
        assert_eq!(reqwest::get(here(address)).await.unwrap().status(), 200);
        stage.world.clock.advance(Duration::days(66));
        assert_eq!(reqwest::get(here(address)).await.unwrap().status(), 404);
        stage.strike().await;
    }
}

both_databases! {
    /// What a customer sends is fetched behind its message, served as it was, told as an event, and can be sent on.
    async fn a_customers_picture_is_served_as_it_was(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        for platform in PLATFORMS {
            let conversation = conversation(&stage, platform).await;
            let account = &stage.world.account(platform).unwrap().at_sandbox;
            let picture = MediaAct {
                media: "image".into(),
                mime: Some("image/png".into()),
                base64: Some(BASE64.into()),
                ..MediaAct::default()
            };
            stage.world.control().act(account, "mara", Act::Media(picture)).unwrap();
            let path = format!("/conversations/{conversation}/messages");
            let file = stage
                .world
                .until("the picture is here", || async {
                    let page = stage.api.get(&path).await?.expect(200)?;
                    let mut files = page.body["items"].as_array().unwrap().iter().map(|item| &item["content"]["attachments"][0]);
                    Ok(files.find(|file| file["state"] == "stored").cloned())
                })
                .await
                .unwrap();
            assert_eq!((&file["mime"], &file["size"]), (&json!("image/png"), &json!(PNG.len())), "{file}");
            let served = reqwest::get(file["content_url"].as_str().unwrap()).await.unwrap();
            assert_eq!(served.bytes().await.unwrap(), PNG, "{platform}");

            let id = file["id"].as_str().unwrap();
            let (reader, kinds) = (stage.world.desk().storage().reader(&stage.world.caller.scope), ["attachment.stored"]);
            let told = stage
                .world
                .until("it is told", || async {
                    let events = reader.events_after(0, 1_000).await.map_err(transom_tests::Trouble::new)?;
                    let told = |event: &transom_storage::NumberedEvent| {
                        kinds.contains(&event.event.kind.as_str()) && event.event.data["attachment"] == id
                    };
                    Ok(events.into_iter().find(told))
                })
                .await
                .unwrap();
            assert_eq!(told.event.conversation, Some(conversation));

            let message = send(&stage, conversation, json!({ "attachments": [{ "kind": "image", "id": id }] })).await;
            assert!(["sent", "delivered", "read"].contains(&message["state"].as_str().unwrap()), "{message}");
            assert_eq!(on_the_phone(&stage, platform), PNG, "{platform}: sent on");
        }
        stage.strike().await;
    }
}

both_databases! {
    /// Bytes that no file has any more go, and those that one has stay.
    async fn bytes_that_no_file_has_are_swept_away(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let desk = stage.world.desk();
        let blobs = &desk.files().unwrap().blobs;
        let scope = &stage.world.caller.scope;
        let file = upload(&stage, PNG).await;
        // As if a process had died between the bytes and the row.
        let lost = blobs.put(scope, bytes::Bytes::from_static(b"named by nobody")).await.unwrap();
        assert_eq!(housekeeping::sweep_files(desk, Duration::DAY).await.unwrap(), 0, "they may be named in an instant");
        assert_eq!(housekeeping::sweep_files(desk, -Duration::HOUR).await.unwrap(), 1);
        assert!(blobs.read(scope, lost).await.is_err());
        let path = format!("/attachments/{file}");
        assert_eq!(stage.api.get(&path).await.unwrap().expect(200).unwrap().body["state"], "stored");
        let request = transom_tests::http().get(format!("{}/v1{path}/content", stage.world.server.base_url()));
        let token = secrecy::ExposeSecret::expose_secret(&stage.world.token);
        assert_eq!(request.bearer_auth(token).send().await.unwrap().bytes().await.unwrap(), PNG);
        stage.strike().await;
    }
}
