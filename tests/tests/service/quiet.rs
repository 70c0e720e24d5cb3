//! Quiet hours: over real HTTP, on both databases, with a clock that is moved.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use time::Duration;
use time::macros::datetime;
use transom_domain::SettableClock;
use transom_sandbox::{AccountPatch, NewCustomer};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::Stage;

async fn post(stage: &Stage, path: &str, body: Value, status: u16) -> Value {
    stage.api.post(path, body).await.unwrap().expect(status).unwrap().body
}

fn who_got_it(stage: &Stage) -> BTreeSet<String> {
    stage.world.control().ledger().into_iter().map(|send| send.customer).collect()
}

both_databases! {
    /// A broadcast at noon in Europe: Tokyo sleeps, and so may whoever has an American number. Each gets it in their morning.
    async fn a_broadcast_lets_everybody_sleep(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::frozen(datetime!(2026-11-20 12:30 UTC))).await.unwrap();
        stage.world.add_templates().await.unwrap();
        let account = stage.world.account("whatsapp").unwrap().clone();
        let unpaced = AccountPatch { settings: Some(json!({ "pacing": false })), ..AccountPatch::default() };
        stage.world.control().patch_account(&account.at_sandbox, unpaced).unwrap();
        let settings = json!({ "quiet_hours": { "from": "21:00", "to": "08:00" }, "time_zone": "Europe/Berlin" });
        let kept = stage.api.patch("/settings", settings.clone()).await.unwrap().expect(200).unwrap().body;
        assert_eq!((&kept["quiet_hours"], &kept["time_zone"]), (&settings["quiet_hours"], &settings["time_zone"]));
        let wrong = stage.api.patch("/settings", json!({ "time_zone": "Berlin" })).await.unwrap();
        assert_eq!((wrong.status, wrong.text("/code")), (422, Some("time_zone_unknown")));

        let mut contacts = Vec::new();
        for (id, phone, zone) in [
            ("berta", "+4915550600001", None),
            ("taro", "+4915550600002", Some("Asia/Tokyo")),
            ("hana", "+12025550103", None),
        ] {
            stage.world.control().create_customer(NewCustomer::named(id, id, phone)).unwrap();
            let mut body = json!({ "display_name": id, "phone": phone });
            if let Some(zone) = zone {
                body["time_zone"] = json!(zone);
            }
            contacts.push(post(&stage, "/contacts", body, 201).await["id"].clone());
        }
        let broadcast = json!({ "name": "News", "channel": account.ours.id, "audience": { "contacts": contacts },
            "promotional": false, "content": { "template": { "name": "order_update", "language": "en_US",
            "parameters": { "body": ["{{name}}", "B-7"] } } } });
        let made = post(&stage, "/broadcasts", broadcast, 201).await;
        let path = format!("/broadcasts/{}", made["id"].as_str().unwrap());
        let preview = post(&stage, &format!("{path}/preview"), json!({}), 200).await;
        assert_eq!((&preview["waiting"], &preview["permitted"][0]["count"]), (&json!(2), &json!(1)), "{preview}");

        stage.api.post_once(&format!("{path}/start"), "go", json!({})).await.unwrap().expect(202).unwrap();
        let got = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let reaches = async |names: &[&str]| {
            let expected = got(names);
            let look = || async { Ok((who_got_it(&stage) == expected).then_some(())) };
            stage.world.until(&format!("{names:?} got it"), look).await.unwrap();
        };
        reaches(&["berta"]).await;
        // 18:00 UTC: eight in the morning in Honolulu, the last of the American zones to wake.
        stage.world.clock.advance(Duration::hours(5) + Duration::minutes(25));
        transom_desk::broadcast::work(stage.world.desk()).await.unwrap();
        stage.quiet().await.unwrap();
        assert_eq!(who_got_it(&stage), got(&["berta"]), "five minutes too early");
        stage.world.clock.advance(Duration::minutes(6));
        reaches(&["berta", "hana"]).await;
        // 23:00 UTC: eight in the morning in Tokyo.
        stage.world.clock.advance(Duration::hours(5));
        reaches(&["berta", "hana", "taro"]).await;
        assert_eq!(stage.world.control().ledger().len(), 3, "each once");
        stage.strike().await;
    }
}

both_databases! {
    /// Queued by day, and the platform can't be reached before it is night: it waits for the morning, which is no attempt. What
    /// a person writes meanwhile is not kept back by it.
    async fn what_is_queued_by_day_leaves_no_more_by_night(db: TestDatabase) {
        // 20:59 in Berlin.
        let stage = Stage::set(db, SettableClock::frozen(datetime!(2026-11-20 19:59 UTC))).await.unwrap();
        stage.world.add_templates().await.unwrap();
        let (account, control) = (stage.world.account("whatsapp").unwrap().clone(), stage.world.control());
        let settings = json!({ "quiet_hours": { "from": "21:00", "to": "08:00" }, "time_zone": "Europe/Berlin" });
        stage.api.patch("/settings", settings).await.unwrap().expect(200).unwrap();
        control.create_customer(NewCustomer::named("berta", "Berta", "+4915550600001")).unwrap();
        control.writes(&account.at_sandbox, "berta", "Good evening").unwrap();
        let (contact, conversation) = stage.world.conversation_with("whatsapp", "Berta").await.unwrap();
        stage.quiet().await.unwrap();

        control.refuse_connections(true).await;
        let broadcast = json!({ "name": "News", "channel": account.ours.id, "audience": { "contacts": [contact] },
            "promotional": false, "content": { "template": { "name": "order_update", "language": "en_US",
            "parameters": { "body": ["{{name}}", "B-7"] } } } });
        let made = post(&stage, "/broadcasts", broadcast, 201).await;
        let path = format!("/broadcasts/{}", made["id"].as_str().unwrap());
        stage.api.post_once(&format!("{path}/start"), "go", json!({})).await.unwrap().expect(202).unwrap();
        let message = stage.world.until("it was tried", || async {
            let page = stage.api.get(&format!("{path}/recipients")).await?.expect(200)?.body;
            let Some(message) = page["items"][0]["message"].as_str() else { return Ok(None) };
            let now = stage.api.get(&format!("/messages/{message}")).await?.expect(200)?.body;
            // Until it has a verdict it is under way, and its next try would be counted from the clock as it is put then.
            Ok((now["parts"][0]["attempts"][0]["verdict"] == "retry").then(|| message.to_owned()))
        });
        let message = message.await.unwrap();
        control.refuse_connections(false).await;

        // 21:09: its next try is due.
        stage.world.clock.advance(Duration::minutes(10));
        stage.quiet().await.unwrap();
        let seen = async || stage.api.get(&format!("/messages/{message}")).await.unwrap().expect(200).unwrap().body;
        let now = seen().await;
        assert_eq!((&now["state"], &now["parts"][0]["tries"]), (&json!("queued"), &json!(1)), "{now}");
        assert!(control.ledger().is_empty());
        let reply = json!({ "type": "reply", "text": "Good evening, Berta" });
        let reply = post(&stage, &format!("/conversations/{conversation}/messages"), reply, 202).await;
        let reply = stage.settled(reply["id"].as_str().unwrap()).await.unwrap();
        assert_eq!(reply["state"], "delivered", "a person may write at any hour: {reply}");

        // 07:59, and 08:00.
        stage.world.clock.advance(datetime!(2026-11-21 06:59 UTC) - stage.world.now());
        stage.quiet().await.unwrap();
        assert_eq!(control.ledger().len(), 1);
        stage.world.clock.advance(Duration::MINUTE);
        let gone = || async { Ok((control.ledger().len() == 2).then_some(())) };
        stage.world.until("it is morning", gone).await.unwrap();
        assert_eq!(seen().await["parts"][0]["tries"], 2);
        stage.strike().await;
    }
}

both_databases! {
    /// Clocks go forward on 29 March 2026: 02:30 does not exist in Berlin, and the night ends at 03:30. They go back on 25 October:
    /// 02:30 comes twice, and the night ends at the first.
    async fn a_night_in_which_clocks_change_ends_once(db: TestDatabase) {
        for (now, early, ends) in [
            (datetime!(2026-03-29 00:15 UTC), datetime!(2026-03-29 01:29 UTC), datetime!(2026-03-29 01:30 UTC)),
            (datetime!(2026-10-24 23:45 UTC), datetime!(2026-10-25 00:29 UTC), datetime!(2026-10-25 00:30 UTC)),
        ] {
            let db = if db.is_postgres() { TestDatabase::postgres().await.unwrap() } else { TestDatabase::sqlite() };
            let stage = Stage::set(db, SettableClock::frozen(now)).await.unwrap();
            stage.world.add_templates().await.unwrap();
            let account = stage.world.account("whatsapp").unwrap().clone();
            let settings = json!({ "quiet_hours": { "from": "21:00", "to": "02:30" } });
            stage.api.patch("/settings", settings).await.unwrap().expect(200).unwrap();
            stage.world.control().create_customer(NewCustomer::named("berta", "Berta", "+4915550600001")).unwrap();
            let berta = json!({ "display_name": "Berta", "phone": "+4915550600001", "time_zone": "Europe/Berlin" });
            let contact = post(&stage, "/contacts", berta, 201).await["id"].clone();
            let broadcast = json!({ "name": "News", "channel": account.ours.id, "audience": { "contacts": [contact] },
                "promotional": false, "content": { "template": { "name": "order_update", "language": "en_US",
                "parameters": { "body": ["{{name}}", "B-7"] } } } });
            let made = post(&stage, "/broadcasts", broadcast, 201).await;
            let path = format!("/broadcasts/{}", made["id"].as_str().unwrap());
            stage.api.post_once(&format!("{path}/start"), "go", json!({})).await.unwrap().expect(202).unwrap();
            for (at, sent) in [(early, 0), (ends, 1)] {
                stage.world.clock.advance(at - stage.world.now());
                let waits = || async {
                    let worked = transom_desk::broadcast::work(stage.world.desk()).await;
                    worked.map_err(transom_tests::Trouble::new)?;
                    let page = stage.api.get(&format!("{path}/recipients")).await?.expect(200)?.body;
                    Ok(page["items"].as_array().is_some_and(|items| !items.is_empty()).then_some(()))
                };
                stage.world.until("the audience is written down", waits).await.unwrap();
                let look = || async { Ok((stage.world.control().ledger().len() == sent).then_some(())) };
                stage.world.until(&format!("at {at} {sent} are sent"), look).await.unwrap();
                stage.quiet().await.unwrap();
                assert_eq!(stage.world.control().ledger().len(), sent, "at {at}");
            }
            stage.strike().await;
        }
    }
}

both_databases! {
    /// Automation keeps quiet as well, by the customer's own clock: a case that is closed at ten in the evening in Tokyo, which is
    /// the afternoon of the workspace, is asked about at eight, once.
    async fn a_survey_waits_for_the_morning(db: TestDatabase) {
        // 22:00 in Tokyo, 14:00 in Berlin.
        let stage = Stage::set(db, SettableClock::frozen(datetime!(2026-11-20 13:00 UTC))).await.unwrap();
        let (account, control) = (stage.world.account("whatsapp").unwrap().clone(), stage.world.control());
        let settings = json!({ "quiet_hours": { "from": "21:00", "to": "08:00" }, "time_zone": "Europe/Berlin",
            "survey_question": "How was it?", "survey_on_close": true });
        stage.api.patch("/settings", settings).await.unwrap().expect(200).unwrap();
        control.create_customer(NewCustomer::named("taro", "Taro", "+4915550600002")).unwrap();
        control.writes(&account.at_sandbox, "taro", "thank you").unwrap();
        let (contact, conversation) = stage.world.conversation_with("whatsapp", "Taro").await.unwrap();
        stage.quiet().await.unwrap();
        let zone = json!({ "time_zone": "Asia/Tokyo" });
        stage.api.patch(&format!("/contacts/{contact}"), zone).await.unwrap().expect(200).unwrap();
        let path = format!("/conversations/{conversation}");
        post(&stage, &format!("{path}/status"), json!({ "status": "closed" }), 200).await;

        // It is written down, and does not leave.
        let asked = || async {
            let now = stage.api.get(&path).await?.expect(200)?.body;
            Ok(now["survey"]["message"].as_str().map(str::to_owned))
        };
        let message = stage.world.until("the survey is written", asked).await.unwrap();
        let state = async || {
            let now = stage.api.get(&format!("/messages/{message}")).await.unwrap().expect(200).unwrap().body;
            now["state"].as_str().unwrap().to_owned()
        };
        for late in [datetime!(2026-11-20 13:00 UTC), datetime!(2026-11-20 22:59 UTC)] {
            stage.world.clock.advance(late - stage.world.now());
            transom_desk::moments::look(stage.world.desk()).await.unwrap();
            stage.quiet().await.unwrap();
            assert_eq!((state().await.as_str(), control.ledger().len()), ("queued", 0), "at {late}");
        }
        stage.world.clock.advance(Duration::MINUTE);
        let gone = || async { Ok((!control.ledger().is_empty()).then_some(())) };
        stage.world.until("it is morning", gone).await.unwrap();
        stage.settled(&message).await.unwrap();
        transom_desk::moments::look(stage.world.desk()).await.unwrap();
        stage.quiet().await.unwrap();
        let ledger = control.ledger();
        let texts: Vec<(&str, &str)> = ledger.iter().map(|send| (send.customer.as_str(), send.text.as_str())).collect();
        assert_eq!(texts, [("taro", "How was it?")], "once");
        assert_eq!(stage.api.get(&path).await.unwrap().body["status"], "closed");
        stage.strike().await;
    }
}
