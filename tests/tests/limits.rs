//! What refusals teach about an account: over real HTTP, on both databases.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use serde_json::json;
use time::Duration;
use transom_domain::SettableClock;
use transom_sandbox::AccountPatch;
use transom_server::demo::cast::{Began, Role, Then};
use transom_server::demo::scene::Scene;
use transom_storage::both_databases;
use transom_tests::Stage;

/// Somebody who wrote a minute ago.
const fn writer(name: &'static str, customer: &'static str, phone: &'static str) -> Role {
    let began = Began::Wrote("你好", Duration::MINUTE);
    Role { name, customer, phone, story: "", began, then: Then::Nothing }
}

/// Five go out, and the platform refuses the sixth.
async fn five_and_no_more(scene: &Scene<'_>) {
    for number in 1..=5 {
        scene.sends_text(&format!("Answer {number}"), "goes out").await.unwrap();
    }
    let sixth = scene.post("messages", json!({ "type": "reply", "text": "Answer 6" })).await.unwrap();
    assert_eq!(sixth.status, 202, "nobody knows yet: {}", sixth.body);
    scene.wait_state(sixth.text("/id").unwrap(), &["not_sent"]).await.unwrap();
}

both_databases! {
    async fn two_people_teach_the_limit_of_an_account_and_a_person_takes_it_back(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let world = &stage.world;
        let account = world.account("wechat").unwrap();
        let settings = Some(json!({ "message_limit": 5 }));
        let patch = AccountPatch { settings, ..AccountPatch::default() };
        world.control().patch_account(&account.at_sandbox, patch).unwrap();
        let path = format!("/channels/{}", account.ours.id);
        let channel = async || stage.api.get(&path).await.unwrap().expect(200).unwrap().body;

        let first = Scene::set(world, "wechat", &writer("An Li", "an", "+8613800000201")).await.unwrap();
        five_and_no_more(&first).await;
        let known = channel().await;
        assert_eq!(known["limits"], json!({}), "one person proves nothing about the account");
        assert_eq!(known["limit_evidence"].as_array().unwrap().len(), 1, "{known}");

        let second = Scene::set(world, "wechat", &writer("Bo Li", "bo", "+8613800000202")).await.unwrap();
        five_and_no_more(&second).await;
        let known = channel().await;
        assert_eq!(known["limits"], json!({ "message_count": 5 }), "{known}");
        let evidence = known["limit_evidence"].as_array().unwrap();
        assert!(evidence.len() == 2 && evidence.iter().all(|one| one["refused_at_count"] == 5), "{known}");

        let third = Scene::set(world, "wechat", &writer("Cai Li", "cai", "+8613800000203")).await.unwrap();
        for number in 1..=5 {
            third.sends_text(&format!("Answer {number}"), "goes out").await.unwrap();
        }
        third.refuses_text("Answer 6", "and the sixth is refused before it leaves").await.unwrap();
        assert_eq!(third.ledger().len(), 5);

        let reset = stage.api.patch(&path, json!({ "limits": {} })).await.unwrap().expect(200).unwrap().body;
        assert_eq!((&reset["limits"], &reset["limit_evidence"]), (&json!({}), &json!([])), "{reset}");
        let fourth = Scene::set(world, "wechat", &writer("Du Li", "du", "+8613800000204")).await.unwrap();
        five_and_no_more(&fourth).await;
        assert_eq!(channel().await["limits"], json!({}), "what was known before the reset counts no more");
        stage.strike().await;
    }
}
