//! Contacts: what they must keep, and what platforms tell of them.

use serde_json::json;
use transom_sandbox::CustomerPatch;

use super::support::Bench;

#[tokio::test]
async fn a_contact_can_not_be_emptied() {
    let bench = Bench::start().await;
    for nobody in [json!({}), json!({ "display_name": " " }), json!({ "language": "de" })] {
        let problem = bench.admin.post("/contacts", nobody).await.refused(422, "contact_empty");
        assert_eq!(problem["field"], "display_name");
    }
    let made =
        bench.admin.post("/contacts", json!({ "display_name": "Nora", "phone": "+4915550100009" })).await.expect(201);
    let path = format!("/contacts/{}", made["id"].as_str().unwrap());
    bench.admin.patch(&path, json!({ "display_name": "" })).await.expect(200);
    bench.admin.patch(&path, json!({ "phone": "" })).await.refused(422, "contact_empty");
    bench.admin.patch(&path, json!({ "phone": "", "language": "de" })).await.refused(422, "contact_empty");
    let kept = bench.admin.get(&path).await.expect(200);
    assert_eq!(kept["profile"]["phone"], "+4915550100009", "a refused change changes nothing");
    bench.admin.patch(&path, json!({ "phone": "", "email": "nora@shop.example" })).await.expect(200);

    // Whom a channel knows needs no name.
    let account = bench.telegram().await;
    let conversation = bench.hears(&account, "Ann", "+4915550100002", "hello").await;
    let path = format!("/contacts/{}", conversation["contact"].as_str().unwrap());
    bench.admin.patch(&path, json!({ "display_name": "", "phone": "" })).await.expect(200);
    bench.stop().await;
}

#[tokio::test]
async fn a_refresh_asks_the_platform_and_keeps_what_the_agent_chose() {
    let bench = Bench::start().await;
    let account = bench.telegram().await;
    let conversation = bench.hears(&account, "Ann", "+4915550100002", "hello").await;
    let path = format!("/contacts/{}", conversation["contact"].as_str().unwrap());
    bench.admin.patch(&path, json!({ "display_name": "Ann from the fair" })).await.expect(200);
    let patch = CustomerPatch {
        name: Some("Annika".to_owned()),
        username: Some("annika".to_owned()),
        ..CustomerPatch::default()
    };
    bench.sandbox.control().patch_customer("Ann", patch).unwrap();
    assert_eq!(bench.admin.get(&path).await.expect(200)["profile"]["name"], "Ann");

    let refreshed = bench.admin.post(&format!("{path}/refresh"), json!({})).await.expect(200);
    assert_eq!(
        (&refreshed["profile"]["name"], &refreshed["profile"]["username"]),
        (&json!("Annika"), &json!("annika"))
    );
    assert_eq!(refreshed["name"], "Ann from the fair");
    assert_eq!(bench.admin.get(&path).await.expect(200), refreshed);
    assert_eq!(
        bench.admin.get("/contacts?q=annika").await.expect(200)["items"][0]["id"],
        refreshed["id"],
        "found by it"
    );

    bench.sandbox.control().refuse_connections(true).await;
    bench.admin.post(&format!("{path}/refresh"), json!({})).await.refused(502, "not_connected");
    bench.sandbox.control().refuse_connections(false).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_channel_without_profiles_says_so() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let conversation = bench.hears(&account, "Mara", "+4915550100001", "hello").await;
    let path = format!("/contacts/{}/refresh", conversation["contact"].as_str().unwrap());
    bench.admin.post(&path, json!({})).await.refused(409, "no_profiles");
    let made = bench.admin.post("/contacts", json!({ "display_name": "Nora" })).await.expect(201);
    let path = format!("/contacts/{}/refresh", made["id"].as_str().unwrap());
    bench.admin.post(&path, json!({})).await.refused(409, "no_profiles");
    bench.stop().await;
}

#[tokio::test]
async fn a_quoted_message_is_of_the_same_conversation() {
    let bench = Bench::start().await;
    let account = bench.telegram().await;
    let ann = bench.hears(&account, "Ann", "+4915550100002", "hello").await;
    let mara = bench.hears(&account, "Mara", "+4915550100001", "hi").await;
    let path =
        |conversation: &serde_json::Value| format!("/conversations/{}/messages", conversation["id"].as_str().unwrap());
    let messages = bench.admin.get(&path(&ann)).await.expect(200);
    let of_ann =
        messages["items"].as_array().unwrap().iter().find(|message| message["direction"] == "inbound").unwrap();
    let of_ann = of_ann["id"].clone();
    let quoting = json!({ "text": "yes", "reply_to": of_ann });
    bench.admin.post(&path(&mara), quoting.clone()).await.refused(422, "reply_to_unknown");
    bench.admin.post(&path(&ann), quoting).await.expect(202);
    bench.stop().await;
}
