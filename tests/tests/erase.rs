//! What is known of one person, given out and erased for good, over real HTTP, on both databases.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use transom_domain::SettableClock;
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_storage::test_support::every_row;
use transom_tests::Stage;

const PHONE: &str = "+4915559998887";
/// What nobody else says, is called or has.
const WORDS: [&str; 8] =
    ["xyzzy", "plughverse", "frobnicate", "grue", "Zsuzsanna", "quuxley", "4915559998887", "zsuzsanna.q@"];

async fn ended(stage: &Stage, job: &Value) -> Value {
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    let ended = || async {
        let job = stage.api.get(&path).await?.expect(200)?.body;
        Ok(Some(job).filter(|job| job["finished_at"].is_string()))
    };
    stage.world.until("the job has ended", ended).await.unwrap()
}

async fn tables_with(stage: &Stage, word: &str) -> Vec<String> {
    let rows = every_row(stage.world.desk().storage()).await.unwrap();
    let holds = |row: &str| row.to_lowercase().contains(&word.to_lowercase());
    let mut tables: Vec<String> = rows.into_iter().filter(|(_, row)| holds(row)).map(|(table, _)| table).collect();
    tables.dedup();
    tables
}

both_databases! {
    /// all of a person is given out; then no table of the database holds a word, name or number of theirs, the others' stay,
    /// and no list brings the person back.
    async fn nothing_is_left_of_an_erased_person(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let account = stage.world.account("whatsapp").unwrap();
        let control = stage.world.control();
        control.create_customer(NewCustomer::named("zsu", "Zsuzsanna Quuxley", PHONE)).unwrap();
        control.create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
        control.writes(&account.at_sandbox, "zsu", "the magic word is xyzzy").unwrap();
        control.writes(&account.at_sandbox, "mara", "please keep these words").unwrap();
        let (contact, conversation) = stage.world.conversation_with("whatsapp", "Zsuzsanna Quuxley").await.unwrap();
        stage.world.conversation_with("whatsapp", "Mara Klein").await.unwrap();
        let path = format!("/conversations/{conversation}");
        let reply = json!({ "type": "reply", "text": "Dear Zsuzsanna, plughverse" });
        let sent = stage.api.post_once(&format!("{path}/messages"), "k1", reply).await.unwrap().expect(202).unwrap();
        stage.settled(sent.text("/id").unwrap()).await.unwrap();
        stage.api.post(&format!("{path}/messages"), json!({ "type": "note", "text": "she will frobnicate" })).await.unwrap();
        let patch = json!({ "display_name": "Zsuzsanna Q.", "email": "zsuzsanna.q@example.com" });
        stage.api.patch(&format!("/contacts/{contact}"), patch).await.unwrap().expect(200).unwrap();
        let closed = json!({ "status": "closed", "category": "games", "note": "eaten by a grue" });
        stage.api.post(&format!("{path}/status"), closed).await.unwrap().expect(200).unwrap();
        stage.quiet().await.unwrap();
        for word in WORDS {
            assert!(!tables_with(&stage, word).await.is_empty(), "{word} is nowhere: the test looks for nothing");
        }

        let request = transom_tests::http().get(format!("{}/v1/contacts/{contact}/export", stage.world.server.base_url()));
        let reply = request.bearer_auth(stage.world.token.expose_secret()).send().await.unwrap();
        let known: Value = reply.json().await.unwrap();
        let messages = known["conversations"][0]["messages"].as_array().unwrap();
        assert_eq!(known["contact"]["display_name"], "Zsuzsanna Q.");
        for word in WORDS {
            assert!(known.to_string().to_lowercase().contains(&word.to_lowercase()), "{word} is not given out");
        }
        assert!(messages.len() >= 3, "{known}");

        let erase = format!("/contacts/{contact}/erase");
        let begun = stage.api.post(&erase, json!({})).await.unwrap().expect(202).unwrap().body;
        let done = ended(&stage, &begun).await;
        assert_eq!((&done["kind"], &done["state"]), (&json!("erase"), &json!("done")), "{done}");
        stage.quiet().await.unwrap();
        for word in WORDS {
            assert_eq!(tables_with(&stage, word).await, Vec::<String>::new(), "{word} is left");
        }
        assert!(!tables_with(&stage, "please keep these words").await.is_empty(), "others' words stay");

        assert_eq!(stage.api.get(&format!("/contacts/{contact}")).await.unwrap().status, 404);
        let listed = stage.api.get("/contacts").await.unwrap().expect(200).unwrap().body;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
        let again = stage.api.post(&erase, json!({})).await.unwrap().expect(202).unwrap().body;
        assert_eq!(again["id"], begun["id"], "once is enough");

        let back = json!({ "display_name": "Z", "phone": PHONE });
        let refused = stage.api.post("/contacts", back).await.unwrap();
        assert_eq!((refused.status, refused.text("/code")), (409, Some("contact_erased")), "{}", refused.body);
        let list = json!({ "csv": format!("phone\n{PHONE}\n") });
        let job = stage.api.post_once("/contacts/import", "list", list).await.unwrap().expect(202).unwrap().body;
        assert_eq!(ended(&stage, &job).await["failed"], 1);
        let reach = json!({
            "channel": account.ours.id, "to": { "phone": PHONE }, "message": { "text": "we miss you" },
        });
        let refused = stage.api.post_once("/outbound", "reach", reach).await.unwrap();
        assert_eq!((refused.status, refused.text("/code")), (409, Some("contact_erased")), "{}", refused.body);
        stage.quiet().await.unwrap();
        assert_eq!(tables_with(&stage, "4915559998887").await, Vec::<String>::new(), "nor is it stored by the attempt");
        stage.strike().await;
    }
}
