//! What came in and could not be used: found in the journal, mended, replayed, discarded. Over real HTTP, on both
//! databases.

use futures_util::future::join_all;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::{PgPool, SqlitePool};
use time::Duration;
use transom_domain::SettableClock;
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Reply, Stage, http, instant};

const APPLE: &str = "a poisoned apple";

/// The fault: this database refuses the message that holds the word.
const BREAK_SQLITE: &[&str] =
    &["CREATE TRIGGER fault BEFORE INSERT ON messages WHEN NEW.content LIKE '%poisoned apple%' \
                                 BEGIN SELECT RAISE(ABORT, 'a fault of ours'); END"];
const BREAK_POSTGRES: &[&str] = &[
    "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.content::text LIKE '%poisoned apple%' THEN \
     RAISE EXCEPTION 'a fault of ours'; END IF; RETURN NEW; END $$",
    "CREATE TRIGGER fault BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION fault()",
];
const MEND_SQLITE: &[&str] = &["DROP TRIGGER fault"];
const MEND_POSTGRES: &[&str] = &["DROP TRIGGER fault ON messages"];

async fn run(db: &TestDatabase, on_sqlite: &'static [&'static str], on_postgres: &'static [&'static str]) {
    if db.is_postgres() {
        let pool = PgPool::connect(db.url()).await.unwrap();
        for statement in on_postgres {
            sqlx::query(*statement).execute(&pool).await.unwrap();
        }
        pool.close().await;
    } else {
        let pool = SqlitePool::connect(db.url()).await.unwrap();
        for statement in on_sqlite {
            sqlx::query(*statement).execute(&pool).await.unwrap();
        }
        pool.close().await;
    }
}

async fn get(stage: &Stage, path: &str) -> Value {
    stage.api.get(path).await.unwrap().expect(200).unwrap().body
}

async fn post(stage: &Stage, path: &str, body: Value) -> Reply {
    stage.api.post(path, body).await.unwrap()
}

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap()
}

/// The open entries, once there are so many.
async fn quarantined(stage: &Stage, count: usize) -> Vec<Value> {
    let look = || async {
        let page = stage.api.get("/quarantine").await?.expect(200)?.body;
        Ok(Some(items(&page).clone()).filter(|entries| entries.len() == count))
    };
    stage.world.until(&format!("{count} are in quarantine"), look).await.unwrap()
}

/// What the customers of all conversations wrote, oldest first.
async fn heard(stage: &Stage) -> Vec<Value> {
    let mut heard = Vec::new();
    for conversation in items(&get(stage, "/conversations?limit=100").await) {
        let path = format!("/conversations/{}/messages?limit=100", conversation["id"].as_str().unwrap());
        let page = get(stage, &path).await;
        heard.extend(items(&page).iter().filter(|message| message["direction"] == "inbound").cloned());
    }
    heard.sort_by_key(|message| instant(&message["at"]).unwrap());
    heard
}

/// Calls the address of the WhatsApp connection as the platform would, about a number of this id.
async fn call(stage: &Stage, number: &str, messages: Value) -> u16 {
    let first = stage.world.account("whatsapp").unwrap();
    let settings = stage.world.control().account(&first.at_sandbox).unwrap().settings;
    let body = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [{ "field": "messages",
        "value": { "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": "1", "phone_number_id": number },
            "contacts": [{ "profile": { "name": "Nora" }, "wa_id": "4915550100009" }], "messages": messages } }] }] });
    let body = body.to_string();
    let mut proof = Hmac::<Sha256>::new_from_slice(settings["app_secret"].as_str().unwrap().as_bytes()).unwrap();
    proof.update(body.as_bytes());
    let public_id = stage.world.desk().storage().public_id(&stage.world.caller.scope, first.ours.connection);
    let request = http()
        .post(format!("{}/webhooks/{public_id}", stage.world.server.base_url()))
        .header("content-type", "application/json")
        .header("x-hub-signature-256", format!("sha256={}", hex::encode(proof.finalize().into_bytes())));
    request.body(body).send().await.unwrap().status().as_u16()
}

fn wrote(stage: &Stage, id: &str, text: &str) -> Value {
    let at = stage.world.now().unix_timestamp().to_string();
    json!({ "from": "4915550100009", "id": id, "timestamp": at, "type": "text", "text": { "body": text } })
}

both_databases! {
    /// a fault of ours is mended; then the message stands there with its own time, once, whoever replays it how often.
    async fn a_fault_is_mended_and_its_call_replayed_once(db: TestDatabase) {
        let stage = Stage::set(db.clone(), SettableClock::running()).await.unwrap();
        let account = stage.world.account("whatsapp").unwrap().at_sandbox.clone();
        stage.world.control().create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
        run(&db, BREAK_SQLITE, BREAK_POSTGRES).await;
        let wrote_at = stage.world.now();
        stage.world.control().writes(&account, "mara", APPLE).unwrap();
        let entry = quarantined(&stage, 1).await.remove(0);
        assert_eq!((&entry["reason"], &entry["state"]), (&json!("fault"), &json!("open")), "{entry}");
        let path = format!("/quarantine/{}", entry["id"].as_str().unwrap());
        let detail = get(&stage, &path).await;
        assert!(detail["raw"]["body"].as_str().unwrap().contains(APPLE), "byte for byte: {detail}");
        assert_eq!(detail["call"]["outcome"], "quarantined");
        assert_eq!(heard(&stage).await, Vec::<Value>::new());

        // Too early: it is tried, and stays. Nothing is added.
        let vain = post(&stage, &format!("{path}/replay"), json!({})).await.expect(200).unwrap().body;
        assert_eq!((&vain["entry"]["state"], &vain["entry"]["reason"]), (&json!("open"), &json!("fault")), "{vain}");
        assert!(vain["entry"]["tried_at"].is_string() && vain["call"]["replays"] == 1, "{vain}");
        assert_eq!(quarantined(&stage, 1).await[0]["id"], entry["id"]);

        run(&db, MEND_SQLITE, MEND_POSTGRES).await;
        stage.world.clock.advance(Duration::hours(2));
        let replay = format!("{path}/replay");
        let both = join_all([post(&stage, &replay, json!({})), post(&stage, &replay, json!({}))]).await;
        for reply in both {
            reply.expect(200).unwrap();
        }
        let settled = || async {
            let detail = stage.api.get(&path).await?.expect(200)?.body;
            Ok(Some(detail).filter(|detail| detail["entry"]["state"] == "replayed" && detail["call"]["outcome"] == "applied"))
        };
        let detail = stage.world.until("it is replayed", settled).await.unwrap();
        assert!(detail["entry"]["settled_at"].is_string(), "{detail}");
        let third = post(&stage, &replay, json!({})).await.expect(200).unwrap().body;
        assert_eq!(third["call"]["replays"], detail["call"]["replays"], "what was replayed is left alone");

        let heard = heard(&stage).await;
        assert_eq!(heard.len(), 1, "once: {heard:?}");
        assert_eq!(heard[0]["content"]["text"], APPLE);
        let at = instant(&heard[0]["at"]).unwrap();
        assert!((at - wrote_at).abs() < Duration::minutes(1), "its own time, not that of the replay: {at}");
        let (_, conversation) = stage.world.conversation_with("whatsapp", "Mara Klein").await.unwrap();
        let window = get(&stage, &format!("/conversations/{conversation}/window")).await;
        let closes_at = instant(&window["human"]["window"]["closes_at"]).unwrap();
        assert!((closes_at - (at + Duration::hours(24))).abs() < Duration::minutes(1), "{window}");
        let arrivals = stage.world.desk().storage().reader(&stage.world.caller.scope);
        // PostgreSQL numbers events a moment after their commit.
        let told = || async {
            let events = arrivals.events_after(0, 1_000).await.map_err(transom_tests::Trouble::new)?;
            let told = events.iter().filter(|event| event.event.kind == "message.received").count();
            Ok((told > 0).then_some(told))
        };
        assert_eq!(stage.world.until("the message is told", told).await.unwrap(), 1);

        quarantined(&stage, 0).await;
        assert_eq!(items(&get(&stage, "/quarantine?state=replayed").await).len(), 1);
        let log = get(&stage, "/audit?action=replayQuarantineEntry").await;
        assert!(!items(&log).is_empty(), "who replayed it stands in the log");
        stage.strike().await;
    }
}

both_databases! {
    /// calls for a number that nobody had connected wait for it; what is discarded stays out.
    async fn what_came_for_an_unknown_number_is_replayed_once_it_is_connected(db: TestDatabase) {
        const NUMBER: &str = "790000000000777";
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let first = stage.world.account("whatsapp").unwrap().ours.clone();
        // One call with two messages, and one with a third.
        let two = json!([wrote(&stage, "wamid.ONE", "the first"), wrote(&stage, "wamid.TWO", "not needed")]);
        assert_eq!(call(&stage, NUMBER, two).await, 200);
        assert_eq!(call(&stage, NUMBER, json!([wrote(&stage, "wamid.THREE", "the third")])).await, 200);
        let entries = quarantined(&stage, 3).await;
        assert!(entries.iter().all(|entry| entry["reason"] == "unknown_account"), "{entries:?}");
        assert!(entries.iter().all(|entry| entry["connection"] == json!(first.connection)), "{entries:?}");
        let unwanted = entries.iter().find(|entry| entry["item"].to_string().contains("wamid.TWO")).unwrap();
        let path = format!("/quarantine/{}/discard", unwanted["id"].as_str().unwrap());
        assert_eq!(post(&stage, &path, json!({ "reason": " " })).await.status, 422);
        let dropped = post(&stage, &path, json!({ "reason": "a test of theirs" })).await.expect(200).unwrap().body;
        assert_eq!((&dropped["entry"]["state"], &dropped["entry"]["discarded_because"]), (&json!("dropped"), &json!("a test of theirs")));
        let again = post(&stage, &path, json!({ "reason": "another reason" })).await.expect(200).unwrap().body;
        assert_eq!(again["entry"]["discarded_because"], "a test of theirs", "the first reason stands");

        let body = json!({ "platform": "whatsapp", "name": "Second", "connection": first.connection, "check": false,
            "settings": { "phone_number_id": NUMBER, "waba_id": "1" } });
        post(&stage, "/channels", body).await.expect(201).unwrap();
        let other = post(&stage, "/quarantine/replay", json!({ "reason": "fault" })).await.expect(200).unwrap().body;
        assert_eq!(other["calls"], 0);
        let all = post(&stage, "/quarantine/replay", json!({ "reason": "unknown_account" })).await.expect(200).unwrap();
        assert_eq!((&all.body["calls"], &all.body["next_cursor"]), (&json!(2), &Value::Null), "{}", all.body);
        quarantined(&stage, 0).await;
        let texts = |heard: &[Value]| -> Vec<String> {
            let mut texts: Vec<String> = heard.iter().map(|one| one["content"]["text"].as_str().unwrap().to_owned()).collect();
            texts.sort();
            texts
        };
        assert_eq!(texts(&heard(&stage).await), ["the first", "the third"]);
        assert_eq!(items(&get(&stage, "/quarantine?state=replayed").await).len(), 2);

        // The same two calls again, as platforms repeat them: nothing new.
        assert_eq!(call(&stage, NUMBER, json!([wrote(&stage, "wamid.THREE", "the third")])).await, 200);
        stage.quiet().await.unwrap();
        assert_eq!(heard(&stage).await.len(), 2);
        // Needed after all.
        let wanted = path.replace("discard", "replay");
        let replayed = post(&stage, &wanted, json!({})).await.expect(200).unwrap().body;
        let state = || async {
            let detail = stage.api.get(&wanted.replace("/replay", "")).await?.expect(200)?.body;
            Ok((detail["entry"]["state"] == "replayed").then_some(()))
        };
        stage.world.until("it is replayed", state).await.unwrap();
        assert_eq!(texts(&heard(&stage).await), ["not needed", "the first", "the third"], "{replayed}");
        let late = post(&stage, &path, json!({ "reason": "too late" })).await;
        assert_eq!((late.status, late.text("/code")), (409, Some("quarantine_replayed")));
        stage.strike().await;
    }
}

both_databases! {
    /// did this message ever reach us?
    async fn the_journal_says_what_reached_us_and_what_became_of_it(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let account = stage.world.account("whatsapp").unwrap().clone();
        stage.world.control().create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
        for text in ["one", "two", "three"] {
            stage.world.control().writes(&account.at_sandbox, "mara", text).unwrap();
            stage.quiet().await.unwrap();
        }
        assert_eq!(call(&stage, "999", json!([wrote(&stage, "wamid.STRAY", "hello?")])).await, 200);
        quarantined(&stage, 1).await;
        let all = get(&stage, "/journal").await;
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = get(&stage, &format!("/journal?limit=1{cursor}")).await;
            found.extend(items(&page).iter().map(|call| call["id"].clone()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(found, items(&all).iter().map(|call| call["id"].clone()).collect::<Vec<_>>(), "page by page");
        let times: Vec<_> = items(&all).iter().map(|call| instant(&call["received_at"]).unwrap()).collect();
        assert!(times.len() >= 4 && times.is_sorted_by(|a, b| a >= b), "newest first: {times:?}");

        let stray = get(&stage, "/journal?text=wamid.STRAY").await;
        assert_eq!(items(&stray).len(), 1, "{stray}");
        assert_eq!(items(&stray)[0]["outcome"], "quarantined");
        assert_eq!(get(&stage, "/journal?outcome=quarantined").await["items"], stray["items"]);
        let path = format!("/journal/{}", items(&stray)[0]["id"].as_str().unwrap());
        let detail = get(&stage, &path).await;
        assert!(detail["raw"]["body"].as_str().unwrap().contains("hello?"), "{detail}");
        assert_eq!(detail["quarantined"][0]["reason"], "unknown_account");
        // By the person: three calls, each applied, on this channel and on no other.
        let theirs = get(&stage, &format!("/journal?text=4915550100001&channel={}", account.ours.id)).await;
        assert_eq!(items(&theirs).len(), 3, "{theirs}");
        assert!(items(&theirs).iter().all(|call| call["outcome"] == "applied" && call["summary"]["items"] == 1), "{theirs}");
        let sms = stage.world.account("sms").unwrap().ours.id;
        assert_eq!(items(&get(&stage, &format!("/journal?text=4915550100001&channel={sms}")).await).len(), 0);
        assert_eq!(items(&get(&stage, "/journal?text=wamid.NEVER").await).len(), 0, "it never reached us");
        let refused = stage.api.get("/journal?text=abc").await.unwrap();
        assert_eq!((refused.status, refused.text("/code")), (400, Some("parameter_invalid")));
        let later = stage.world.now() + Duration::hours(1);
        let since = later.format(&time::format_description::well_known::Rfc3339).unwrap();
        assert_eq!(items(&get(&stage, &format!("/journal?since={since}")).await).len(), 0);
        stage.strike().await;
    }
}

both_databases! {
    /// An empty list would say that all is well: a reason that no entry can have is refused, with those that there are.
    async fn a_reason_that_there_is_not_is_refused(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let words = "`fault`, `poison`, `unknown_account`, `unknown_connection`, `unreadable`, `unusable_connection`";
        let says = format!("`reason`: one of {words}, or a code of docs/errors.md, is expected, and it is `foo`");
        let listed = stage.api.get("/quarantine?reason=foo").await.unwrap();
        assert_eq!((listed.status, listed.text("/code")), (400, Some("parameter_invalid")), "{}", listed.body);
        let replayed = post(&stage, "/quarantine/replay", json!({ "reason": "foo" })).await;
        assert_eq!((replayed.status, replayed.text("/code")), (422, Some("invalid_value")), "{}", replayed.body);
        for refused in [listed, replayed] {
            assert_eq!((refused.text("/field"), refused.text("/detail")), (Some("reason"), Some(says.as_str())));
        }
        for known in ["unreadable", "policy_missing"] {
            assert_eq!(get(&stage, &format!("/quarantine?reason={known}")).await["items"], json!([]));
            post(&stage, "/quarantine/replay", json!({ "reason": known })).await.expect(200).unwrap();
        }
        stage.strike().await;
    }
}
