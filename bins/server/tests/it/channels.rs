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
    let detail = unknown["detail"].as_str().unwrap();
    assert!(detail.contains("telegram") && detail.contains("whatsapp"), "{detail}");
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

    // Another bot's token makes it no other bot.
    let other = json!({ "settings": { "bot_token": "77:AAinvented" } });
    bench.admin.patch(&path, other).await.refused(422, "other_account");
    let other = json!({ "settings": { "account_id": "77" } });
    let problem = bench.admin.patch(&path, other).await.refused(422, "settings_invalid");
    assert!(problem["detail"].as_str().unwrap().contains("another bot's id"), "{problem}");
    bench.stop().await;
}

#[tokio::test]
async fn a_removed_channel_leaves_its_history_and_nothing_else() {
    let bench = Bench::start().await;
    let account = bench.telegram().await;
    let conversation = bench.hears(&account, "Ann", "+4915550100002", "hello").await;
    let path = format!("/conversations/{}", conversation["id"].as_str().unwrap());
    let messages = format!("{path}/messages");
    let token = account.twin.settings["token"].as_str().unwrap();
    bench.sandbox.control().refuse_connections(true).await;
    let waiting = bench.admin.post(&messages, json!({ "text": "It is on its way." })).await.expect(202);

    let channel = format!("/channels/{}", account.id);
    assert_eq!(bench.admin.delete(&channel).await.status, 204);
    bench.admin.delete(&channel).await.refused(404, "not_found");
    bench.admin.get(&channel).await.refused(404, "not_found");
    bench.admin.patch(&channel, json!({ "enabled": true })).await.refused(404, "not_found");
    bench.admin.get(&format!("{channel}/templates")).await.refused(404, "not_found");
    bench.admin.post(&format!("{channel}/templates/sync"), json!({})).await.refused(404, "not_found");
    for list in ["/channels", "/connections"] {
        assert_eq!(bench.admin.get(list).await.expect(200)["items"], json!([]), "{list}");
    }
    let reader = bench.server.desk().storage().reader(&bench.caller.scope);
    let kept = reader.account(account.id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(reader.secrets(kept.connection).await.unwrap().unwrap().iter().count(), 0);
    assert_eq!(reader.account_settings(kept.id).await.unwrap(), json!({}));

    // What waited is not sent and says why; what was said stays.
    let path_of_it = format!("/messages/{}", waiting["id"].as_str().unwrap());
    let withheld = bench
        .until("it is withheld", || async {
            let message = bench.admin.get(&path_of_it).await.expect(200);
            (message["state"] == "not_sent").then_some(message)
        })
        .await;
    assert!(withheld.to_string().contains("channel_removed"), "{withheld}");
    bench.sandbox.control().refuse_connections(false).await;
    let shown = bench.admin.get(&messages).await.expect(200);
    let said = shown["items"].as_array().unwrap().iter().filter(|message| message["direction"] != "internal");
    assert_eq!(said.count(), 2);
    assert_eq!(bench.admin.get("/conversations").await.expect(200)["items"][0]["preview"], "It is on its way.");
    assert_eq!(
        bench.admin.get(&format!("/conversations?channel={}", account.id)).await.expect(200)["items"][0]["contact_name"],
        "Ann"
    );

    // Nothing goes out, and everything says why.
    let window = bench.admin.get(&format!("{path}/window")).await.expect(200);
    assert_eq!(window["human"]["house"][0]["reason"], "channel_removed", "{window}");
    bench.admin.post(&messages, json!({ "text": "hello?" })).await.refused(409, "channel_removed");
    let contact = conversation["contact"].as_str().unwrap();
    let body = json!({ "channel": account.id, "message": { "text": "hello?" } });
    bench.admin.post(&format!("/contacts/{contact}/messages"), body).await.refused(409, "channel_removed");
    let reach = bench.admin.get(&format!("/contacts/{contact}/reachability")).await.expect(200);
    assert_eq!(reach["channels"], json!([]));
    bench
        .admin
        .post(&format!("/messages/{}/settle", waiting["id"].as_str().unwrap()), json!({ "choice": "retry" }))
        .await;
    bench
        .until("it is withheld again", || async {
            (bench.admin.get(&path_of_it).await.expect(200)["state"] == "not_sent").then_some(())
        })
        .await;
    assert!(bench.sandbox.control().ledger().is_empty());

    // Nothing comes in.
    let headers = [("content-type", "application/json"), ("x-telegram-bot-api-secret-token", "a-long-random-text")];
    let call =
        bench.admin.raw(reqwest::Method::POST, &account.webhook_url, b"{\"update_id\":9}".to_vec(), &headers).await;
    call.refused(404, "not_found");

    // The same bot again is a new channel.
    let settings = json!({ "bot_token": token, "webhook_secret": "another-random-text" });
    let again =
        bench.admin.post("/channels", json!({ "platform": "telegram", "settings": settings })).await.expect(201);
    assert_ne!(again["id"], json!(account.id));
    assert_eq!(again["external_key"], json!(kept.external_key));
    bench.stop().await;
}

#[tokio::test]
async fn one_channel_of_a_connection_goes_without_the_others() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let first = bench.admin.get(&format!("/channels/{}", account.id)).await.expect(200);
    let body = json!({ "platform": "whatsapp", "name": "Second", "connection": first["connection"], "check": false,
        "settings": { "phone_number_id": "5550002", "waba_id": account.twin.settings["waba_id"] } });
    let second = bench.admin.post("/channels", body.clone()).await.expect(201);
    assert_eq!(bench.admin.delete(&format!("/channels/{}", account.id)).await.status, 204);
    let connections = bench.admin.get("/connections").await.expect(200);
    assert_eq!(connections["items"][0]["channels"], json!([second["id"]]), "the connection serves the other one");

    // What still comes for the removed one is kept aside.
    let control = bench.sandbox.control();
    let _ = control.create_customer(transom_sandbox::NewCustomer::named("Mara", "Mara", "+4915550100001"));
    control.writes(&account.twin.id, "Mara", "anybody there?").unwrap();
    let kept = bench
        .until("it is quarantined", || async {
            let page = bench.admin.get("/quarantine").await.expect(200);
            page["items"].get(0).cloned()
        })
        .await;
    assert_eq!(kept["reason"], "unknown_account", "{kept}");
    assert_eq!(bench.admin.get("/conversations").await.expect(200)["items"], json!([]));

    assert_eq!(bench.admin.delete(&format!("/channels/{}", second["id"].as_str().unwrap())).await.status, 204);
    assert_eq!(bench.admin.get("/connections").await.expect(200)["items"], json!([]), "it goes with the last one");
    bench.admin.post("/channels", body).await.refused(404, "not_found");
    bench.stop().await;
}

#[tokio::test]
async fn settings_are_merged_and_secrets_renewed_for_all_channels() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let path = format!("/channels/{}", account.id);
    let first = bench.admin.get(&path).await.expect(200);
    let body = json!({ "platform": "whatsapp", "name": "Second", "connection": first["connection"], "check": false,
        "settings": { "phone_number_id": "5550002", "waba_id": "777" } });
    let second = bench.admin.post("/channels", body).await.expect(201);

    let changed = bench.admin.patch(&path, json!({ "settings": { "waba_id": "888", "api_version": "v26.0" } })).await;
    let settings = changed.expect(200)["settings"].clone();
    assert_eq!(
        settings["phone_number_id"]["value"], first["settings"]["phone_number_id"]["value"],
        "what is not given stays"
    );
    assert_eq!((&settings["waba_id"]["value"], &settings["api_version"]["value"]), (&json!("888"), &json!("v26.0")));
    let other = bench.admin.get(&format!("/channels/{}", second["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(
        (&other["settings"]["waba_id"]["value"], &other["settings"]["api_version"]["value"]),
        (&json!("777"), &json!("v26.0"))
    );
    let changed = bench.admin.patch(&path, json!({ "settings": { "api_version": "" } })).await.expect(200);
    assert_eq!(changed["settings"]["api_version"], json!(null), "an empty text takes it away");

    let app = format!("/connections/{}", first["connection"].as_str().unwrap());
    let body = json!({ "name": "Acme's app", "settings": { "app_secret": "a-renewed-secret-9876" } });
    let renewed = bench.admin.patch(&app, body).await.expect(200);
    assert_eq!((&renewed["name"], &renewed["secrets"]["app_secret"]), (&json!("Acme's app"), &json!("9876")));
    assert!(renewed["secrets"]["access_token"].is_string(), "what is not given stays");
    assert_eq!(bench.admin.get(&app).await.expect(200), renewed);
    assert_eq!(renewed["channels"].as_array().unwrap().len(), 2);
    // Of a channel, unknown, or such that a channel would no longer work.
    for wrong in [json!({ "phone_number_id": "1" }), json!({ "colour": "red" }), json!({ "access_token": "" })] {
        bench.admin.patch(&app, json!({ "settings": wrong })).await.refused(422, "settings_invalid");
    }

    // The new secret counts at once, and the old one no more.
    let call = br#"{"object":"whatsapp_business_account","entry":[]}"#.to_vec();
    let old = super::webhooks::signed(&account, &call);
    let mut renewed_account = account.clone();
    renewed_account.twin.settings["app_secret"] = json!("a-renewed-secret-9876");
    let new = super::webhooks::signed(&renewed_account, &call);
    for (proof, status) in [(old, 401), (new, 200)] {
        let headers = [("content-type", "application/json"), ("x-hub-signature-256", proof.as_str())];
        let reply = bench.admin.raw(reqwest::Method::POST, &account.webhook_url, call.clone(), &headers).await;
        assert_eq!(reply.status, status, "{}", reply.body);
    }

    bench.admin.delete(&app).await.refused(409, "connection_in_use");
    assert_eq!(bench.admin.delete(&format!("{app}?with_channels=true")).await.status, 204);
    assert_eq!(bench.admin.get("/channels").await.expect(200)["items"], json!([]));
    bench.admin.get(&app).await.refused(404, "not_found");
    bench.admin.delete(&format!("{app}?with_channels=true")).await.refused(404, "not_found");
    let gone = bench.admin.raw(reqwest::Method::POST, &account.webhook_url, call.clone(), &[]).await;
    gone.refused(404, "not_found");
    bench.stop().await;
}

#[tokio::test]
async fn the_token_says_which_bot_it_is() {
    let bench = Bench::start().await;
    let connect = |settings| {
        bench.admin.post("/channels", json!({ "platform": "telegram", "settings": settings, "check": false }))
    };
    let token = "123456:AAinventedinventedinventedinvented0";
    let made = connect(json!({ "bot_token": token, "webhook_secret": "x-secret" })).await.expect(201);
    assert_eq!(made["external_key"], "123456");
    let other = json!({ "bot_token": token, "webhook_secret": "x-secret", "account_id": "654321" });
    let problem = connect(other).await.refused(422, "settings_invalid");
    assert!(problem["detail"].as_str().unwrap().contains("the token is that of bot 123456"), "{problem}");
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
