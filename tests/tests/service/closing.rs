//! Closing with a category and a note, assignment by hand, and who the platform says somebody is: over real HTTP, on both databases.

use serde_json::{Value, json};
use transom_domain::{Role, SettableClock};
use transom_sandbox::{CustomerPatch, NewCustomer};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::Stage;

use super::desk::get;

/// Ann, who has written by Telegram; the path of her conversation, and of her.
async fn ann(db: TestDatabase) -> (Stage, String, String) {
    let stage = Stage::set(db, SettableClock::running()).await.unwrap();
    let account = stage.world.account("telegram").unwrap().at_sandbox.clone();
    stage.world.control().create_customer(NewCustomer::named("ann", "Ann", "+4915550100002")).unwrap();
    stage.world.control().writes(&account, "ann", "hello").unwrap();
    let (contact, conversation) = stage.world.conversation_with("telegram", "Ann").await.unwrap();
    (stage, format!("/conversations/{conversation}"), format!("/contacts/{contact}"))
}

both_databases! {
    /// both are kept with the episode; where a setting asks for them, nobody closes without.
    async fn closing_takes_a_category_and_a_note(db: TestDatabase) {
        let (stage, path, _) = ann(db).await;
        let (bea, api) = stage.agent("Bea", Role::Agent).await.unwrap();
        let close = async |body: Value| {
            let mut whole = json!({ "status": "closed" });
            whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            api.post(&format!("{path}/status"), whole).await.unwrap()
        };
        let told = json!({ "category": "delivery", "note": "The parcel was at the neighbour's." });
        close(told.clone()).await.expect(200).unwrap();
        let episode = get(&api, &format!("{path}/episodes")).await["items"][0].clone();
        for (field, value) in told.as_object().unwrap() {
            assert_eq!(&episode[field], value, "{episode}");
        }
        assert_eq!(episode["closed_by"]["agent"], bea, "{episode}");

        stage.api.patch("/settings", json!({ "close_note_required": true })).await.unwrap().expect(200).unwrap();
        api.post(&format!("{path}/status"), json!({ "status": "open" })).await.unwrap().expect(200).unwrap();
        for lacking in [json!({}), json!({ "category": "delivery" }), json!({ "note": "done" })] {
            let refused = close(lacking.clone()).await;
            assert_eq!((refused.status, refused.text("/code")), (422, Some("close_note_required")), "{lacking}");
        }
        assert_eq!(get(&api, &path).await["status"], "open", "nothing is half done");
        close(told).await.expect(200).unwrap();
        stage.strike().await;
    }
}

both_databases! {
    /// where the setting keeps who had it they still have it when it is closed; whoever reopens it takes the agent's
    /// place, and the team stays.
    async fn closing_may_keep_who_had_it(db: TestDatabase) {
        let (stage, path, _) = ann(db).await;
        stage.api.patch("/settings", json!({ "on_close": "keep" })).await.unwrap().expect(200).unwrap();
        let (bea, bea_api) = stage.agent("Bea", Role::Agent).await.unwrap();
        let (cem, cem_api) = stage.agent("Cem", Role::Agent).await.unwrap();
        let team = json!({ "name": "North", "members": [bea] });
        let team = stage.api.post("/teams", team).await.unwrap().expect(201).unwrap().body["id"].clone();
        let both = json!({ "agent": bea, "team": team });
        stage.api.post(&format!("{path}/assignee"), both.clone()).await.unwrap().expect(200).unwrap();

        bea_api.post(&format!("{path}/status"), json!({ "status": "closed" })).await.unwrap().expect(200).unwrap();
        let now = get(&bea_api, &path).await;
        assert_eq!((&now["status"], &now["tab"], &now["assignee"]), (&json!("closed"), &json!("closed"), &both));
        let mine = get(&bea_api, "/conversations?inbox=mine&status=closed").await;
        assert_eq!(mine["items"].as_array().unwrap().len(), 1, "it is still hers: {mine}");

        let reply = json!({ "type": "reply", "text": "One more thing" });
        cem_api.post(&format!("{path}/messages"), reply).await.unwrap().expect(202).unwrap();
        let now = get(&bea_api, &path).await;
        assert_eq!((&now["status"], &now["tab"]), (&json!("open"), &json!("assigned")));
        assert_eq!(now["assignee"], json!({ "agent": cem, "team": team }), "{now}");
        stage.strike().await;
    }
}

both_databases! {
    /// to an agent, to a team, to both, to nobody; whoever has it finds it in their inbox.
    async fn a_conversation_is_assigned_by_hand(db: TestDatabase) {
        let (stage, path, _) = ann(db).await;
        let (bea, api) = stage.agent("Bea", Role::Agent).await.unwrap();
        let team = json!({ "name": "North", "members": [bea] });
        let team = stage.api.post("/teams", team).await.unwrap().expect(201).unwrap().body["id"].clone();
        let assign = async |to: &Value| stage.api.post(&format!("{path}/assignee"), to.clone()).await.unwrap();
        let seen = async |inbox: &str| {
            get(&api, &format!("/conversations?inbox={inbox}")).await["items"].as_array().unwrap().len()
        };
        for (to, mine, of_team) in [
            (json!({ "agent": bea }), 1, 0),
            (json!({ "team": team }), 0, 1),
            (json!({ "agent": bea, "team": team }), 1, 1),
            (json!({}), 0, 0),
        ] {
            let now = assign(&to).await.expect(200).unwrap().body;
            assert_eq!(now["assignee"], to);
            assert_eq!((seen("mine").await, seen("team").await), (mine, of_team), "{to}");
        }
        let nobody = json!({ "agent": team });
        assert_eq!(assign(&nobody).await.status, 404, "a team is no agent");
        assert_eq!(get(&api, &path).await["assignee"], json!({}));
        stage.strike().await;
    }
}

both_databases! {
    /// a refresh asks the platform, and keeps the name that an agent chose.
    async fn a_profile_is_asked_for_anew(db: TestDatabase) {
        let (stage, _, contact) = ann(db).await;
        let chosen = json!({ "display_name": "Ann from the fair" });
        stage.api.patch(&contact, chosen).await.unwrap().expect(200).unwrap();
        let patch = CustomerPatch {
            name: Some("Annika".to_owned()),
            username: Some("annika".to_owned()),
            ..CustomerPatch::default()
        };
        stage.world.control().patch_customer("ann", patch).unwrap();
        let refresh = async || stage.api.post(&format!("{contact}/refresh"), json!({})).await.unwrap();
        let now = refresh().await.expect(200).unwrap().body;
        let profile = &now["profile"];
        assert_eq!((&profile["name"], &profile["username"], &now["name"]), (&json!("Annika"), &json!("annika"), &json!("Ann from the fair")));
        assert_eq!(get(&stage.api, "/contacts?q=annika").await["items"][0]["id"], now["id"], "found by it");

        stage.world.control().refuse_connections(true).await;
        let refused = refresh().await;
        assert_eq!((refused.status, refused.text("/code")), (502, Some("not_connected")));
        assert_eq!(get(&stage.api, &contact).await, now, "what was known stays");
        stage.world.control().refuse_connections(false).await;
        stage.strike().await;
    }
}
