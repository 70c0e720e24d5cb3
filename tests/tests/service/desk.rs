//! The work of the desk: open, assign, snooze, close, notes; over real HTTP, on both databases.

use futures_util::future::join_all;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use time::Duration;
use time::format_description::well_known::Rfc3339;
use transom_domain::{ConversationId, Role, SettableClock};
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Api, Stage, Trouble};

const NAME: &str = "Mara Klein";

async fn begun(db: TestDatabase) -> (Stage, String, ConversationId) {
    let stage = Stage::set(db, SettableClock::running()).await.unwrap();
    let account = stage.world.account("whatsapp").unwrap().at_sandbox.clone();
    stage.world.control().create_customer(NewCustomer::named("mara", NAME, "+4915550100001")).unwrap();
    stage.world.control().writes(&account, "mara", "hello").unwrap();
    let (_, conversation) = stage.world.conversation_with("whatsapp", NAME).await.unwrap();
    (stage, account, conversation)
}

pub(crate) async fn get(api: &Api, path: &str) -> Value {
    api.get(path).await.unwrap().expect(200).unwrap().body
}

both_databases! {
    /// new ones start open, closing unassigns, a person's message reopens for its sender.
    async fn a_conversation_opens_closes_and_reopens_for_its_sender(db: TestDatabase) {
        let (stage, _, id) = begun(db).await;
        let path = format!("/conversations/{id}");
        let (first, first_api) = stage.agent("Bea", Role::Agent).await.unwrap();
        let (second, second_api) = stage.agent("Cem", Role::Agent).await.unwrap();
        assert_eq!(get(&first_api, &path).await["status"], "open");
        assert_eq!(get(&first_api, &path).await["tab"], "open");

        let reply = json!({ "type": "reply", "text": "Hello Mara" });
        first_api.post(&format!("{path}/messages"), reply.clone()).await.unwrap().expect(202).unwrap();
        let now = get(&first_api, &path).await;
        assert_eq!((&now["status"], &now["tab"]), (&json!("open"), &json!("assigned")));
        assert!(now["assignee"].to_string().contains(&first), "{now}");

        first_api.post(&format!("{path}/status"), json!({ "status": "closed" })).await.unwrap().expect(200).unwrap();
        let now = get(&first_api, &path).await;
        assert_eq!(now["status"], "closed");
        assert!(!now["assignee"].to_string().contains(&first), "closing unassigns: {now}");

        second_api.post(&format!("{path}/messages"), reply).await.unwrap().expect(202).unwrap();
        let now = get(&first_api, &path).await;
        assert_eq!(now["status"], "open");
        assert!(now["assignee"].to_string().contains(&second), "{now}");
        stage.strike().await;
    }
}

both_databases! {
    /// a note is for the team: it leaves nothing, opens nothing, moves no window.
    async fn a_note_stays_inside(db: TestDatabase) {
        let (stage, _, id) = begun(db).await;
        let path = format!("/conversations/{id}");
        stage.api.post(&format!("{path}/status"), json!({ "status": "closed" })).await.unwrap().expect(200).unwrap();
        let before = get(&stage.api, &format!("{path}/window")).await;
        let note = json!({ "type": "note", "text": "she is a VIP" });
        let reply = stage.api.post(&format!("{path}/messages"), note).await.unwrap();
        assert!([201, 202].contains(&reply.status), "{}", reply.body);
        stage.quiet().await.unwrap();
        assert_eq!(get(&stage.api, &path).await["status"], "closed");
        assert!(stage.world.control().ledger().is_empty());
        let after = get(&stage.api, &format!("{path}/window")).await;
        assert_eq!(before["human"]["window"], after["human"]["window"]);
        stage.strike().await;
    }
}

both_databases! {
    /// a snoozed conversation wakes on time, or when the customer writes.
    async fn a_snooze_ends_on_time_or_with_a_message(db: TestDatabase) {
        let (stage, account, id) = begun(db).await;
        let path = format!("/conversations/{id}");
        let snooze = |until: time::OffsetDateTime| json!({ "status": "snoozed", "until": until.format(&Rfc3339).unwrap() });
        let until = stage.world.now() + Duration::HOUR;
        stage.api.post(&format!("{path}/status"), snooze(until)).await.unwrap().expect(200).unwrap();
        assert_eq!(get(&stage.api, &path).await["status"], "snoozed");
        stage.world.clock.advance(Duration::HOUR + Duration::SECOND);
        let awake = || async { Ok((get(&stage.api, &path).await["status"] == "open").then_some(())) };
        stage.world.until("it wakes", awake).await.unwrap();

        let until = stage.world.now() + Duration::DAY;
        stage.api.post(&format!("{path}/status"), snooze(until)).await.unwrap().expect(200).unwrap();
        stage.world.control().writes(&account, "mara", "still there?").unwrap();
        stage.world.until("her message wakes it", awake).await.unwrap();

        let past = stage.api.post(&format!("{path}/status"), snooze(stage.world.now() - Duration::HOUR)).await.unwrap();
        assert_eq!((past.status, past.text("/code")), (422, Some("snooze_into_past")));
        stage.strike().await;
    }
}

both_databases! {
    /// the answer to a person's message opens for that person, whatever the settings say.
    async fn an_answer_comes_back_to_who_asked(db: TestDatabase) {
        let (stage, account, id) = begun(db).await;
        let path = format!("/conversations/{id}");
        let (bea, api) = stage.agent("Bea", Role::Agent).await.unwrap();
        let settings = get(&stage.api, "/settings").await;
        assert!(settings.to_string().contains("new_conversation_status"), "{settings}");
        let reply = json!({ "type": "reply", "text": "Which order?" });
        api.post(&format!("{path}/messages"), reply).await.unwrap().expect(202).unwrap();
        stage.quiet().await.unwrap();
        api.post(&format!("{path}/status"), json!({ "status": "closed" })).await.unwrap().expect(200).unwrap();
        stage.world.clock.advance(Duration::MINUTE);
        stage.world.control().writes(&account, "mara", "A-1001").unwrap();
        let open = || async { Ok(Some(get(&stage.api, &path).await).filter(|now| now["status"] == "open")) };
        let now = stage.world.until("her answer opens it", open).await.unwrap();
        assert!(now["assignee"].to_string().contains(&bea), "{now}");
        stage.strike().await;
    }
}

both_databases! {
    /// what a customer writes into a closed conversation opens it where the setting says so, and else is as new.
    async fn inbound_opens_what_is_closed_where_the_setting_says_so(db: TestDatabase) {
        let (stage, account, id) = begun(db).await;
        let path = format!("/conversations/{id}");
        let set = async |settings: Value| { stage.api.patch("/settings", settings).await.unwrap().expect(200).unwrap() };
        let close = async || {
            stage.api.post(&format!("{path}/status"), json!({ "status": "closed" })).await.unwrap().expect(200).unwrap();
        };
        let writes = async |text: &str| {
            let messages = async || get(&stage.api, &format!("{path}/messages?limit=100")).await;
            let of_her = |all: &Value| all["items"].as_array().unwrap().iter().filter(|it| it["direction"] == "inbound").count();
            let before = of_her(&messages().await);
            stage.world.control().writes(&account, "mara", text).unwrap();
            let come = || async { Ok((of_her(&messages().await) > before).then_some(())) };
            stage.world.until("her message is there", come).await.unwrap();
            get(&stage.api, &path).await
        };
        set(json!({ "new_conversation_status": "closed" })).await;
        close().await;
        assert_eq!(writes("anybody?").await["status"], "closed", "as a new one would be");
        set(json!({ "inbound_on_closed": "open" })).await;
        let now = writes("hello?").await;
        assert_eq!((&now["status"], &now["tab"]), (&json!("open"), &json!("open")), "{now}");
        stage.strike().await;
    }
}

both_databases! {
    /// a tab is set as a whole: `open` takes a conversation from whoever has it, `assigned` needs somebody.
    async fn a_conversation_is_put_into_a_tab(db: TestDatabase) {
        let (stage, _, id) = begun(db).await;
        let path = format!("/conversations/{id}");
        let put = async |body: Value| stage.api.post(&format!("{path}/status"), body).await.unwrap();
        let (bea, _) = stage.agent("Bea", Role::Agent).await.unwrap();
        let assigned = json!({ "tab": "assigned", "assignee": { "agent": bea } });
        let now = put(assigned.clone()).await.expect(200).unwrap().body;
        assert_eq!((&now["status"], &now["tab"], &now["assignee"]["agent"]), (&json!("open"), &json!("assigned"), &json!(bea)));
        assert_eq!(put(assigned.clone()).await.text("/code"), Some("status_unchanged"));
        assert_eq!(put(json!({ "status": "open" })).await.text("/code"), Some("status_unchanged"), "a status leaves who has it");

        let now = put(json!({ "tab": "open" })).await.expect(200).unwrap().body;
        assert_eq!((&now["status"], &now["tab"], &now["assignee"]), (&json!("open"), &json!("open"), &json!({})));
        assert_eq!(put(json!({ "tab": "open" })).await.text("/code"), Some("status_unchanged"));
        let now = put(json!({ "tab": "closed", "category": "delivery" })).await.expect(200).unwrap().body;
        assert_eq!(now["tab"], "closed");
        let episodes = get(&stage.api, &format!("{path}/episodes")).await["items"].as_array().unwrap().len();
        assert_eq!(put(assigned).await.expect(200).unwrap().body["tab"], "assigned");
        let after = get(&stage.api, &format!("{path}/episodes")).await["items"].as_array().unwrap().len();
        assert_eq!(after, episodes + 1, "out of closed it begins anew");

        for (wrong, code) in [
            (json!({ "tab": "assigned" }), "assignee_missing"),
            (json!({ "tab": "assigned", "assignee": {} }), "assignee_missing"),
            (json!({ "tab": "open", "assignee": { "agent": bea } }), "invalid_value"),
            (json!({ "tab": "open", "status": "open" }), "invalid_value"),
            (json!({ "tab": "all" }), "invalid_value"),
            (json!({}), "invalid_value"),
            (json!({ "tab": "snoozed" }), "until_missing"),
        ] {
            let refused = put(wrong.clone()).await;
            assert_eq!((refused.status, refused.text("/code")), (422, Some(code)), "{wrong}");
        }
        let unknown = put(json!({ "tab": "assigned", "assignee": { "agent": id } })).await;
        assert_eq!((unknown.status, unknown.text("/code")), (404, Some("not_found")));
        let change = json!({ "ids": [id], "status": { "tab": "open" } });
        let done = stage.api.post_once("/conversations/bulk", "all", change).await.unwrap().expect(202).unwrap().body;
        assert_eq!(done["results"][0]["result"], "changed", "{done}");
        assert_eq!(get(&stage.api, &path).await["tab"], "open");
        stage.strike().await;
    }
}

both_databases! {
    /// a bot answers only in closed conversations, and changes neither status nor assignee.
    async fn a_bot_is_paused_while_people_work(db: TestDatabase) {
        let (stage, _, id) = begun(db).await;
        let path = format!("/conversations/{id}");
        let (robo, bot) = stage.agent("Robo", Role::Bot).await.unwrap();
        let bindings = json!({ "bindings": [{ "channel": stage.world.account("whatsapp").unwrap().ours.id }] });
        stage.api.put(&format!("/agents/{robo}/bindings"), bindings).await.unwrap().expect(200).unwrap();
        let reply = json!({ "type": "reply", "text": "I am a bot" });
        let refused = bot.post(&format!("{path}/messages"), reply.clone()).await.unwrap();
        assert_eq!((refused.status, refused.text("/code")), (409, Some("bot_paused")), "{}", refused.body);
        stage.api.post(&format!("{path}/status"), json!({ "status": "closed" })).await.unwrap().expect(200).unwrap();
        bot.post(&format!("{path}/messages"), reply).await.unwrap().expect(202).unwrap();
        stage.quiet().await.unwrap();
        let now = get(&stage.api, &path).await;
        assert_eq!((&now["status"], &now["tab"]), (&json!("closed"), &json!("closed")));
        stage.strike().await;
    }
}

both_databases! {
    /// Two agents reopen the same closed conversation at once: one episode, one assignee, both messages.
    async fn two_agents_reopen_at_once(db: TestDatabase) {
        let (stage, _, id) = begun(db).await;
        let path = format!("/conversations/{id}");
        stage.api.post(&format!("{path}/status"), json!({ "status": "closed" })).await.unwrap().expect(200).unwrap();
        let (bea_id, bea) = stage.agent("Bea", Role::Agent).await.unwrap();
        let (cem_id, cem) = stage.agent("Cem", Role::Agent).await.unwrap();
        let messages = format!("{path}/messages");
        let sends = [&bea, &cem].map(|api| api.post(&messages, json!({ "type": "reply", "text": "mine!" })));
        for reply in join_all(sends).await {
            let sent = reply.unwrap().expect(202).unwrap();
            stage.settled(sent.text("/id").unwrap()).await.unwrap();
        }
        let reader = stage.world.desk().storage().reader(&stage.world.caller.scope);
        let episodes = reader.episodes(id).await.unwrap();
        assert_eq!(episodes.len(), 2, "the closed one and one that both write in: {episodes:?}");
        assert_eq!(episodes.iter().filter(|episode| episode.closed_at.is_none()).count(), 1, "{episodes:?}");
        let now = get(&stage.api, &path).await;
        let assignee = now["assignee"]["agent"].as_str().unwrap();
        assert!([bea_id.as_str(), cem_id.as_str()].contains(&assignee), "{now}");
        let path = format!("{path}/messages");
        let lines = get(&stage.api, &path).await;
        let given = |line: &&Value| line.to_string().contains("conversation.assigned");
        assert_eq!(lines["items"].as_array().unwrap().iter().filter(given).count(), 1, "the first keeps it: {lines}");
        assert_eq!(stage.world.control().ledger().iter().filter(|send| send.text == "mine!").count(), 2);
        stage.strike().await;
    }
}

both_databases! {
    /// Fifty first messages of one new person at once make one contact and one conversation.
    async fn fifty_first_messages_make_one_conversation(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let account = stage.world.account("whatsapp").unwrap().at_sandbox.clone();
        let control = stage.world.control();
        control.create_customer(NewCustomer::named("new", "New Person", "+4915550100077")).unwrap();
        for index in 0..50 {
            control.writes(&account, "new", &format!("message {index}")).unwrap();
        }
        stage.quiet().await.unwrap();
        let conversations = get(&stage.api, "/conversations?limit=100").await;
        assert_eq!(conversations["items"].as_array().unwrap().len(), 1, "{conversations}");
        let contacts = get(&stage.api, "/contacts?limit=100").await;
        assert_eq!(contacts["items"].as_array().unwrap().len(), 1, "{contacts}");
        let id = conversations["items"][0]["id"].as_str().unwrap();
        let messages = get(&stage.api, &format!("/conversations/{id}/messages?limit=100")).await;
        let inbound = messages["items"].as_array().unwrap().iter().filter(|m| m["direction"] == "inbound").count();
        assert_eq!(inbound, 50);
        stage.strike().await;
    }
}

both_databases! {
    /// The same over the platform's own calls, made at the same moment, half of them to another replica where there may be one.
    async fn fifty_webhooks_at_once_make_one_conversation(db: TestDatabase) {
        const CALLS: usize = 50;
        let is_shared = db.is_postgres();
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let replica = if is_shared { Some(stage.world.replica().await.unwrap()) } else { None };
        let account = stage.world.control().account(&stage.world.account("whatsapp").unwrap().at_sandbox).unwrap();
        let ours = stage.world.server.base_url();
        let here = account.webhook_url.unwrap();
        let there = replica.as_ref().map_or_else(|| here.clone(), |replica| here.replacen(ours, replica.base_url(), 1));
        let secret = account.settings["app_secret"].as_str().unwrap();
        let written = stage.world.now().unix_timestamp().to_string();
        let calls = (0..CALLS).map(|n| {
            let body = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [{ "field": "messages",
                "value": { "messaging_product": "whatsapp",
                    "metadata": { "display_phone_number": "1", "phone_number_id": account.settings["phone_number_id"] },
                    "contacts": [{ "profile": { "name": "New Person" }, "wa_id": "4915550100077" }],
                    "messages": [{ "from": "4915550100077", "id": format!("wamid.new{n}"), "timestamp": written,
                        "type": "text", "text": { "body": format!("message {n}") } }] } }] }] });
            let body = body.to_string();
            let proof = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&body).finalize();
            let proof = format!("sha256={}", hex::encode(proof.into_bytes()));
            ([&here, &there][n % 2].clone(), body, proof)
        });
        let calls: Vec<(String, String, String)> = calls.collect();
        let http = transom_tests::http();
        let (http, world) = (&http, &stage.world);
        join_all(calls.iter().map(async |(url, body, proof)| {
            let call = || async {
                let call = http.post(url).header("content-type", "application/json").header("x-hub-signature-256", proof);
                let answer = call.body(body.clone()).send().await.map_err(Trouble::new)?.status().as_u16();
                // What is told "not now" comes again, as from the platform.
                Ok((answer != 503).then_some(answer))
            };
            assert_eq!(world.until("the call is answered", call).await.unwrap(), 200);
        }))
        .await;
        stage.quiet().await.unwrap();
        let conversations = get(&stage.api, "/conversations?limit=100").await["items"].clone();
        let contacts = get(&stage.api, "/contacts?limit=100").await["items"].clone();
        assert_eq!((conversations.as_array().unwrap().len(), contacts.as_array().unwrap().len()), (1, 1), "{conversations}");
        assert_eq!((&conversations[0]["contact"], &contacts[0]["name"]), (&contacts[0]["id"], &json!("New Person")));
        let path = format!("/conversations/{}", conversations[0]["id"].as_str().unwrap());
        let messages = get(&stage.api, &format!("{path}/messages?limit=100")).await;
        let inbound = messages["items"].as_array().unwrap().iter().filter(|item| item["direction"] == "inbound");
        let mut texts: Vec<&str> = inbound.map(|item| item["content"]["text"].as_str().unwrap()).collect();
        texts.sort_unstable();
        let mut expected: Vec<String> = (0..CALLS).map(|n| format!("message {n}")).collect();
        expected.sort_unstable();
        assert_eq!(texts, expected, "each once");
        assert_eq!(get(&stage.api, &format!("{path}/episodes")).await["items"].as_array().unwrap().len(), 1);
        if let Some(replica) = replica {
            replica.stop().await;
        }
        stage.strike().await;
    }
}

both_databases! {
    /// whoever writes into what is snoozed and nobody's wakes it, and has it.
    async fn a_snoozed_conversation_wakes_for_its_sender(db: TestDatabase) {
        let (stage, _, id) = begun(db).await;
        let path = format!("/conversations/{id}");
        let (cem, api) = stage.agent("Cem", Role::Agent).await.unwrap();
        let until = (stage.world.now() + Duration::DAY).format(&Rfc3339).unwrap();
        let snooze = json!({ "status": "snoozed", "until": until });
        let now = stage.api.post(&format!("{path}/status"), snooze).await.unwrap().expect(200).unwrap().body;
        assert_eq!((&now["status"], &now["assignee"]), (&json!("snoozed"), &json!({})));

        let note = json!({ "type": "note", "text": "on Monday" });
        api.post(&format!("{path}/messages"), note).await.unwrap().expect(202).unwrap();
        let now = get(&api, &path).await;
        assert_eq!((&now["status"], &now["assignee"]), (&json!("snoozed"), &json!({})), "a note wakes nothing");

        let reply = json!({ "type": "reply", "text": "It is here already" });
        let sent = api.post(&format!("{path}/messages"), reply).await.unwrap().expect(202).unwrap();
        let now = get(&api, &path).await;
        assert_eq!((&now["status"], &now["tab"], &now["assignee"]), (&json!("open"), &json!("assigned"), &json!({ "agent": cem })));
        assert!(now["snoozed_until"].is_null(), "{now}");
        stage.settled(sent.text("/id").unwrap()).await.unwrap();
        assert_eq!(stage.world.control().ledger().iter().filter(|send| send.text == "It is here already").count(), 1);
        stage.strike().await;
    }
}

both_databases! {
    /// a new client can be written to by phone number with an approved template, and with nothing else.
    async fn a_stranger_is_reached_by_template_only(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.add_templates().await.unwrap();
        stage.world.control().create_customer(NewCustomer::named("nora", "Nora Lind", "+46700000007")).unwrap();
        let contact = json!({ "display_name": "Nora Lind", "phone": "+46 70 000 00 07" });
        let made = stage.api.post("/contacts", contact).await.unwrap().expect(201).unwrap();
        let path = format!("/contacts/{}/messages", made.text("/id").unwrap());
        let channel = |platform: &str| stage.world.account(platform).unwrap().ours.id;
        let text = json!({ "channel": channel("whatsapp"), "message": { "text": "Hello!" } });
        let refused = stage.api.post(&path, text).await.unwrap();
        assert_eq!(refused.status, 409, "{}", refused.body);
        let template = json!({
            "channel": channel("whatsapp"),
            "message": {
                "template": { "name": "order_update", "language": "en_US", "parameters": { "body": ["Nora", "B-7"] } },
            },
        });
        let sent = stage.api.post(&path, template).await.unwrap().expect(202).unwrap();
        let message = stage.settled(sent.text("/id").unwrap()).await.unwrap();
        let taken = stage.world.control().ledger();
        let to_her = taken.iter().filter(|send| send.kind == "template" && send.customer == "nora").count();
        assert_eq!(to_her, 1, "{message}");
        let bot = json!({ "channel": channel("telegram"), "message": { "text": "Hello!" } });
        let refused = stage.api.post(&path, bot).await.unwrap();
        assert_eq!((refused.status, refused.text("/code")), (409, Some("cannot_start")), "{}", refused.body);
        stage.strike().await;
    }
}

both_databases! {
    /// What a message would become is shown as it would be sent, and nothing of it is stored.
    async fn a_preview_says_parts_cost_and_right_and_stores_nothing(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.add_templates().await.unwrap();
        stage.world.control().create_customer(NewCustomer::named("nora", "Nora Lind", "+46700000007")).unwrap();
        let contact = json!({ "display_name": "Nora Lind", "phone": "+46700000007" });
        let contact = stage.api.post("/contacts", contact).await.unwrap().expect(201).unwrap();
        let contact = format!("/contacts/{}", contact.text("/id").unwrap());
        let over = |platform: &str, message: &Value| {
            json!({ "channel": stage.world.account(platform).unwrap().ours.id, "message": message })
        };
        let previewed = async |platform: &str, message: Value| {
            let path = format!("{contact}/messages/preview");
            stage.api.post(&path, over(platform, &message)).await.unwrap().expect(200).unwrap().body
        };

        let plain = previewed("sms", json!({ "text": "a".repeat(161) })).await;
        assert_eq!((&plain["allowed"], &plain["cost"]), (&json!(true), &json!(2)), "{plain}");
        assert_eq!(plain["parts"][0]["note"], "2 segments in GSM-7, 161 of 306 units");
        let wide = previewed("sms", json!({ "text": format!("{}—", "a".repeat(70)) })).await;
        assert_eq!(wide["parts"][0]["note"], "2 segments in UCS-2, 71 of 134 units: `—` is not in GSM-7");
        let words = previewed("whatsapp", json!({ "text": "Hello!" })).await;
        assert_eq!((&words["allowed"], &words["code"]), (&json!(false), &json!("template_required")), "{words}");
        assert!(words["permit"].is_null() && words["decision"]["refusals"][0]["because"].is_array(), "{words}");
        let parameters = json!({ "body": ["Nora", "B-7"] });
        let template =
            previewed("whatsapp", json!({ "template": { "name": "order_update", "language": "en_US", "parameters": parameters } }))
                .await;
        assert_eq!((&template["allowed"], &template["permit"]["basis"]), (&json!(true), &json!("template")), "{template}");
        let path = format!("{contact}/messages/preview");
        for (platform, message, code) in [
            ("sms", json!({ "text": "x".repeat(1_601) }), "text_too_long"),
            ("telegram", json!({ "text": "Hello!" }), "cannot_start"),
            ("sms", json!({ "type": "note", "text": "x" }), "invalid_value"),
        ] {
            let refused = stage.api.post(&path, over(platform, &message)).await.unwrap();
            assert_eq!(refused.text("/code"), Some(code), "{}", refused.body);
        }
        assert_eq!(get(&stage.api, &contact).await["identities"], json!([]));
        assert_eq!(get(&stage.api, "/conversations").await["items"], json!([]));

        // What was shown is what is sent.
        let text = json!({ "text": "я".repeat(71) });
        let seen = previewed("sms", text.clone()).await;
        let sent = stage.api.post(&format!("{contact}/messages"), over("sms", &text)).await.unwrap().expect(202).unwrap();
        assert_eq!(sent.body["permit"]["grant"], seen["permit"]["grant"]);
        let message = stage.settled(sent.text("/id").unwrap()).await.unwrap();
        assert_eq!(message["parts"].as_array().unwrap().len(), seen["parts"].as_array().unwrap().len());
        let conversation = sent.text("/conversation").unwrap().to_owned();
        let path = format!("/conversations/{conversation}/messages");
        let again = stage.api.post(&format!("{path}/preview"), text).await.unwrap().expect(200).unwrap().body;
        assert_eq!((&again["cost"], &again["parts"]), (&seen["cost"], &seen["parts"]));
        assert_eq!(get(&stage.api, &path).await["items"].as_array().unwrap().iter().filter(|m| m["type"] == "reply").count(), 1);
        stage.strike().await;
    }
}
