//! Channels: connected, shown without secrets, changed, removed.

use serde_json::json;

use super::support::Bench;

#[tokio::test]
async fn secrets_go_in_and_never_come_out() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let path = format!("/channels/{}", account.id);
    let shown = bench.admin.get(&path).await.expect(200);
    let secret = account.twin.settings["app_secret"].as_str().unwrap();
    let access = account.twin.settings["access_token"].as_str().unwrap();
    for everything in [
        shown.clone(),
        bench.admin.get("/channels").await.expect(200),
        bench.admin.get("/connections").await.expect(200),
    ] {
        assert!(!everything.to_string().contains(secret) && !everything.to_string().contains(access), "{everything}");
    }
    let setting = &shown["settings"]["app_secret"];
    assert_eq!((&setting["set"], &setting["secret"]), (&json!(true), &json!(true)));
    assert!(secret.ends_with(setting["last4"].as_str().unwrap()));
    assert_eq!(shown["settings"]["phone_number_id"]["value"], account.twin.settings["phone_number_id"]);
    assert!(shown["webhook_url"].as_str().unwrap().starts_with(&format!("{}/webhooks/", bench.server.base_url())));
    bench.stop().await;
}

#[tokio::test]
async fn wrong_settings_names_and_credentials_are_told() {
    let bench = Bench::start().await;
    let connect = |body| bench.admin.post("/channels", body);
    let unknown = connect(json!({ "platform": "pigeon" })).await.refused(422, "unknown_platform");
    assert!(unknown["detail"].as_str().unwrap().contains("instagram, messenger, telegram, whatsapp"));
    let missing = connect(json!({ "platform": "telegram", "settings": {} })).await.refused(422, "settings_invalid");
    assert!(missing["detail"].as_str().unwrap().contains("bot_token"), "{missing}");
    let settings = json!({ "bot_token": "123456:AAinventedinventedinventedinvented0", "webhook_secret": "x-secret", "account_id": "123456", "colour": "red" });
    connect(json!({ "platform": "telegram", "settings": settings })).await.refused(422, "settings_invalid");
    let settings = json!({ "bot_token": "123456:AAinventedinventedinventedinvented0", "webhook_secret": "x-secret", "account_id": "123456" });
    let body = json!({ "platform": "telegram", "settings": settings, "policy": "whatsapp" });
    connect(body).await.refused(422, "unknown_policy");
    let body = json!({ "platform": "telegram", "settings": settings, "features": ["wings"] });
    connect(body).await.refused(422, "unknown_feature");
    // The platform is asked, and does not know this token.
    let refused = connect(json!({ "platform": "telegram", "settings": settings })).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert_eq!(bench.admin.get("/channels").await.expect(200)["items"], json!([]), "nothing was stored");
    bench.admin.get("/platforms").await.expect(200);
    bench.stop().await;
}

#[tokio::test]
async fn channels_are_changed_switched_off_and_kept_while_in_use() {
    let bench = Bench::start().await;
    let account = bench.telegram().await;
    let conversation = bench.hears(&account, "Ann", "+4915550100002", "hello").await;
    let path = format!("/channels/{}", account.id);
    let changed = bench.admin.patch(&path, json!({ "name": "Bot two", "enabled": false })).await.expect(200);
    assert_eq!((&changed["name"], &changed["enabled"]), (&json!("Bot two"), &json!(false)));
    let body = json!({ "text": "hello" });
    let write = format!("/conversations/{}/messages", conversation["id"].as_str().unwrap());
    bench.admin.post(&write, body.clone()).await.refused(409, "account_disabled");
    bench.admin.patch(&path, json!({ "enabled": true })).await.expect(200);
    bench.admin.post(&write, body).await.expect(202);
    bench.admin.patch(&path, json!({ "policy": "nothing" })).await.refused(422, "unknown_policy");
    bench.admin.post(&format!("{path}/templates/sync"), json!({})).await.refused(409, "no_templates");
    let connections = bench.admin.get("/connections").await.expect(200);
    let connection = &connections["items"][0];
    assert_eq!(connection["channels"], json!([account.id]));
    let gone = bench.admin.delete(&format!("/connections/{}", connection["id"].as_str().unwrap())).await;
    gone.refused(409, "connection_in_use");
    bench.stop().await;
}

#[tokio::test]
async fn a_platform_that_is_away_is_502() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    bench.sandbox.control().refuse_connections(true).await;
    let away = bench.admin.post(&format!("/channels/{}/templates/sync", account.id), json!({})).await;
    let problem = away.refused(502, "not_connected");
    assert_eq!(problem["retryable"], true);
    bench.sandbox.control().refuse_connections(false).await;
    bench.stop().await;
}
