//! What can be sent once a window has run out is shown while it is open: over real HTTP, on both databases, with a clock
//! that is moved.

use serde_json::{Value, json};
use time::Duration;
use transom_domain::SettableClock;
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Stage, instant};

/// Where Mara has just written.
const PLATFORMS: [&str; 4] = ["whatsapp", "messenger", "tiktok", "telegram"];

/// What a permit is, without when and how often.
fn ways(permits: &Value) -> Value {
    let one = |permit: &Value| {
        let mut way = json!({ "grant": permit["grant"], "basis": permit["basis"] });
        for name in ["tag", "categories"] {
            if !permit[name].is_null() {
                way[name] = permit[name].clone();
            }
        }
        way
    };
    permits.as_array().unwrap().iter().map(one).collect()
}

struct Scene {
    stage: Stage,
    contact: String,
    conversations: Vec<String>,
}

impl Scene {
    async fn set(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.add_templates().await.unwrap();
        stage.world.control().create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
        let (mut contact, mut conversations) = (String::new(), Vec::new());
        for platform in PLATFORMS {
            let account = stage.world.account(platform).unwrap().at_sandbox.clone();
            stage.world.control().writes(&account, "mara", "hello").unwrap();
            let (whose, conversation) = stage.world.conversation_with(platform, "Mara Klein").await.unwrap();
            if platform == "whatsapp" {
                contact = whose.to_string();
            }
            conversations.push(conversation.to_string());
        }
        stage.quiet().await.unwrap();
        Self { stage, contact, conversations }
    }

    async fn get(&self, path: &str) -> Value {
        self.stage.api.get(path).await.unwrap().expect(200).unwrap().body
    }

    /// What is shown of it in the list, by itself, and with every grant.
    async fn shown(&self, conversation: &str) -> [Value; 3] {
        let list = self.get("/conversations").await;
        let row = list["items"].as_array().unwrap().iter().find(|row| row["id"] == conversation).unwrap();
        let (path, row) = (format!("/conversations/{conversation}"), row["window"].clone());
        [row, self.get(&path).await["window"].clone(), self.get(&format!("{path}/window")).await]
    }
}

both_databases! {
    async fn what_is_left_once_a_window_has_run_out_is_shown_before(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let mut told = Vec::new();
        for (platform, conversation) in PLATFORMS.iter().zip(&scene.conversations) {
            let [row, one, window] = scene.shown(conversation).await;
            assert_eq!(row["afterwards"], one["afterwards"], "{platform}");
            for sender in ["human", "automation"] {
                let left = &one["afterwards"][sender];
                assert_eq!(left, &window[sender]["afterwards"], "{platform}");
                let Some(end) = instant(&one[sender]["closes_at"]) else {
                    assert_eq!((&one[sender]["state"], left), (&json!("none"), &Value::Null), "{platform}: no time ends it");
                    continue;
                };
                let timeline = scene.get(&format!("/conversations/{conversation}/timeline?sender={sender}")).await;
                let mut intervals = timeline["intervals"].as_array().unwrap().iter();
                let after = intervals.find(|interval| instant(&interval["from"]) == Some(end)).unwrap();
                assert_eq!(left, &ways(&after["permits"]), "{platform}, {sender}: as the timeline says");
            }
            told.push(one);
        }
        let [whatsapp, messenger, tiktok, telegram] = &told[..] else { panic!("{told:?}") };
        let left = whatsapp["afterwards"]["human"].as_array().unwrap();
        assert!(!left.is_empty() && left.iter().all(|way| way["basis"] == "template"), "{left:?}");
        assert_eq!(left[0]["categories"], json!(["utility"]), "what is most freely sent comes first");
        // A person's window outlasts that of automation by the tag; none of it is left after either.
        assert!(instant(&messenger["human"]["closes_at"]) > instant(&messenger["automation"]["closes_at"]), "{messenger}");
        assert!(!messenger["afterwards"].to_string().contains("tagged"), "{messenger}");
        assert_eq!(tiktok["afterwards"], json!({ "human": [], "automation": [] }), "nothing at all");
        assert_eq!(telegram["afterwards"], json!({}), "it never runs out");

        // Who looks at the contact sees the same.
        let channels = scene.get(&format!("/contacts/{}/reachability", scene.contact)).await;
        let mut channels = channels["channels"].as_array().unwrap().iter();
        let reach = channels.find(|reach| reach["platform"] == "whatsapp").unwrap();
        assert_eq!(reach["afterwards"], whatsapp["afterwards"]["human"], "{reach}");

        // Once it has run out, that is what may be sent.
        let end = instant(&whatsapp["human"]["closes_at"]).unwrap();
        scene.stage.world.clock.advance(end + Duration::SECOND - scene.stage.world.now());
        let [row, one, window] = scene.shown(&scene.conversations[0]).await;
        assert_eq!(one["human"]["state"], "closed", "{one}");
        assert_eq!(ways(&window["human"]["permits"]), whatsapp["afterwards"]["human"]);
        assert_eq!((&one["afterwards"], &row["afterwards"]), (&whatsapp["afterwards"], &whatsapp["afterwards"]));
        scene.stage.strike().await;
    }
}
