//! The document of one person (R-527): one of everything that can be stored of somebody, and each of it given out, over real HTTP,
//! on both databases.

use reqwest::multipart::{Form, Part};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use time::Duration;
use time::format_description::well_known::Rfc3339;
use transom_domain::{Role, SettableClock};
use transom_sandbox::{Act, MediaAct, NewCustomer};
use transom_storage::both_databases;
use transom_tests::Stage;

/// A picture's first bytes; nobody looks at the rest.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x05\x00\x00\x00\x03\xc0\x08\x02\x00\x00\x00 a broken box, seen from above";
/// The same bytes.
const BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAABQAAAAPACAIAAAAgYSBicm9rZW4gYm94LCBzZWVuIGZyb20gYWJvdmU=";

async fn document(stage: &Stage, contact: &str) -> Value {
    let request = transom_tests::http().get(format!("{}/v1/contacts/{contact}/export", stage.world.server.base_url()));
    let reply = request.bearer_auth(stage.world.token.expose_secret()).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    reply.json().await.unwrap()
}

/// The one of these that is so.
fn only(items: &Value, is_so: impl Fn(&Value) -> bool) -> &Value {
    let found: Vec<&Value> = items.as_array().unwrap().iter().filter(|item| is_so(item)).collect();
    assert_eq!(found.len(), 1, "{items}");
    found[0]
}

both_databases! {
    /// R-527: profile, fields, labels, consents, merges, episodes, notes, messages with parts, reactions, files and schedules.
    async fn everything_that_is_kept_is_given_out(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let (api, control) = (&stage.api, stage.world.control());
        let account = stage.world.account("whatsapp").unwrap();
        control.create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
        control.writes(&account.at_sandbox, "mara", "where is my order?").unwrap();
        let (contact, conversation) = stage.world.conversation_with("whatsapp", "Mara Klein").await.unwrap();
        let (contact, path) = (contact.to_string(), format!("/conversations/{conversation}"));
        let (person, messages) = (format!("/contacts/{contact}"), format!("{path}/messages"));

        let picture = MediaAct {
            media: "image".into(),
            mime: Some("image/png".into()),
            base64: Some(BASE64.into()),
            ..MediaAct::default()
        };
        control.act(&account.at_sandbox, "mara", Act::Media(picture)).unwrap();
        stage.world.until("the picture is here", || async {
            let page = api.get(&messages).await?.expect(200)?;
            Ok(page.body.to_string().contains("\"stored\"").then_some(()))
        }).await.unwrap();
        let form = Form::new().part("file", Part::bytes(PNG).file_name("box.png"));
        let file = api.upload("/attachments", form).await.unwrap().expect(201).unwrap().text("/id").unwrap().to_owned();
        let reply = json!({ "type": "reply", "text": "It is on its way", "attachments": [{ "kind": "image", "id": file }] });
        let reply = api.post_once(&messages, "r", reply).await.unwrap().expect(202).unwrap().text("/id").unwrap().to_owned();
        let settled = stage.settled(&reply).await.unwrap();
        let at_platform = settled["parts"][0]["provider_id"].as_str().unwrap().to_owned();
        control.act(&account.at_sandbox, "mara", Act::Reaction { message_id: at_platform.clone(), emoji: Some("🎉".into()) }).unwrap();
        stage.quiet().await.unwrap();
        let note = json!({ "type": "note", "text": "prefers mornings" });
        api.post_once(&messages, "n", note).await.unwrap().expect(202).unwrap();
        let later = (stage.world.now() + Duration::HOUR).format(&Rfc3339).unwrap();
        let scheduled = json!({ "type": "reply", "text": "Has it arrived?", "send_at": later });
        api.post_once(&messages, "s", scheduled).await.unwrap().expect(202).unwrap();

        let patch = json!({
            "display_name": "Mara K.", "email": "mara@example.com",
            "fields": [{ "name": "Shoe size", "type": "number", "value": 38.5 }],
        });
        api.patch(&person, patch).await.unwrap().expect(200).unwrap();
        api.put(&format!("{person}/labels/vip"), None).await.unwrap().expect(200).unwrap();
        let (bea, _) = stage.agent("Bea", Role::Agent).await.unwrap();
        api.put(&format!("{person}/agent"), Some(json!({ "agent": bea }))).await.unwrap().expect(200).unwrap();
        let consent = json!({
            "channel": account.ours.id, "scope": "marketing", "state": "opted_out", "source": "phone call", "text": "no more offers",
        });
        api.put(&format!("{person}/consents"), Some(consent)).await.unwrap().expect(200).unwrap();
        let other = json!({ "display_name": "M. Klein", "email": "klein@example.com" });
        let other = api.post("/contacts", other).await.unwrap().expect(201).unwrap().text("/id").unwrap().to_owned();
        let merge = format!("/contacts/{other}/merge");
        api.post_once(&merge, "m", json!({ "into": contact })).await.unwrap().expect(201).unwrap();
        let closed = json!({ "status": "closed", "category": "delivery", "note": "solved by phone" });
        api.post(&format!("{path}/status"), closed).await.unwrap().expect(200).unwrap();

        let told = document(&stage, &contact).await;
        assert_eq!((&told["contact"]["display_name"], &told["contact"]["profile"]["email"]), (&json!("Mara K."), &json!("mara@example.com")));
        assert_eq!(told["sources"]["email"], "manual", "{told}");
        let size = only(&told["fields"], |field| field["name"] == "Shoe size");
        assert_eq!((&size["type"], &size["value"]), (&json!("number"), &json!(38.5)));
        assert_eq!(told["labels"], json!(["vip"]));
        assert_eq!(told["dedicated_agent"], json!(bea));
        assert!(told["identities"].to_string().contains("4915550100001"), "{told}");
        assert_eq!(only(&told["standing"], |at| at["channel"] == json!(account.ours.id))["opted_out"], "marketing");
        let consent = only(&told["consents"], |record| record["source"] == "phone call");
        assert_eq!((&consent["state"], &consent["text"]), (&json!("opted_out"), &json!("no more offers")));
        let merge = only(&told["merges"], |merge| merge["gone"] == json!(other));
        assert_eq!(only(&merge["conflicts"], |lost| lost["field"] == "email")["lost"], "klein@example.com");

        let chat = only(&told["conversations"], |chat| chat["conversation"]["id"] == json!(conversation));
        let episode = only(&chat["episodes"], |episode| episode["category"] == "delivery");
        assert_eq!((&episode["note"], episode["closed_at"].is_string()), (&json!("solved by phone"), true));
        let said = |text: &'static str| move |message: &Value| message["content"].to_string().contains(text);
        let asked = only(&chat["messages"], said("where is my order?"));
        assert_eq!((&asked["direction"], asked["provider_id"].is_string()), (&json!("inbound"), true), "{asked}");
        assert_eq!(only(&chat["messages"], said("prefers mornings"))["kind"], "note");
        let waits = only(&chat["messages"], said("Has it arrived?"));
        assert_eq!((&waits["state"], waits["send_at"].is_string()), (&json!("scheduled"), true), "{waits}");
        assert!(waits["draft"].to_string().contains("Has it arrived?"), "{waits}");

        let ours = only(&chat["messages"], |message| message["id"] == json!(reply));
        assert_eq!(ours["state"], settled["state"]);
        assert!(ours["permit"]["grant"].is_string(), "{ours}");
        let part = only(&ours["parts"], |part| part["provider_id"] == json!(at_platform));
        assert!(part["sent_at"].is_string() && ["sent", "delivered", "read"].contains(&part["state"].as_str().unwrap()), "{part}");
        assert_eq!(only(&ours["reactions"], |_| true)["emoji"], "🎉");
        let sent = only(&ours["files"], |sent| sent["id"] == json!(file));
        assert_eq!((&sent["file_name"], &sent["mime"], &sent["size"]), (&json!("box.png"), &json!("image/png"), &json!(PNG.len())));
        let theirs = only(&chat["messages"], |message| message["direction"] == "inbound" && message["files"][0].is_object());
        let content = theirs["files"][0]["content"].as_str().unwrap().trim_start_matches("/v1").to_owned();
        assert_eq!((&theirs["files"][0]["mime"], &theirs["files"][0]["size"]), (&json!("image/png"), &json!(PNG.len())));
        let request = transom_tests::http().get(format!("{}/v1{content}", stage.world.server.base_url()));
        let bytes = request.bearer_auth(stage.world.token.expose_secret()).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes, PNG, "the path of a file gives its bytes");
        stage.strike().await;
    }
}
