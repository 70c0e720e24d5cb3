//! What refusals teach about an account, and what platforms say of it: over real HTTP, on both databases.

use futures_util::future::join_all;
use serde_json::json;
use time::Duration;
use transom_domain::SettableClock;
use transom_sandbox::{AccountPatch, Fault, FaultKind, On};
use transom_server::demo::cast::Role;
use transom_server::demo::scene::Scene;
use transom_storage::both_databases;
use transom_tests::{Stage, Trouble};

/// Somebody who wrote a minute ago.
const fn writer(name: &'static str, customer: &'static str, phone: &'static str) -> Role {
    Role::wrote(name, customer, phone, "你好", Duration::MINUTE)
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

both_databases! {
    /// 200 messages at once into one conversation: 20 are taken and arrive, the others are refused, and the platform refuses none.
    async fn two_hundred_senders_never_pass_a_count(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let scene = Scene::set(&stage.world, "wechat", &writer("An Li", "an", "+8613800000201")).await.unwrap();
        let sends = (0..200).map(|number| {
            let body = json!({ "type": "reply", "text": format!("Answer {number}") });
            let scene = &scene;
            async move { scene.post("messages", body).await.unwrap() }
        });
        let replies = join_all(sends).await;
        let (taken, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 202);
        for reply in &taken {
            scene.wait_state(reply.text("/id").unwrap(), &["sent", "delivered", "read"]).await.unwrap();
        }
        for reply in &refused {
            let code = reply.text("/code").unwrap();
            assert!(reply.status == 409 && ["quota_used", "not_permitted"].contains(&code), "{}", reply.body);
        }
        assert_eq!((taken.len(), refused.len(), scene.ledger().len()), (20, 180, 20));
        stage.strike().await;
    }
}

both_databases! {
    /// what was accepted and then withheld gives its share of the count back: the whole count is sent in the end.
    async fn what_is_withheld_gives_its_share_of_the_count_back(db: TestDatabase) {
        const COUNT: usize = 20;
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let (world, control) = (&stage.world, stage.world.control());
        let scene = Scene::set(world, "wechat", &writer("An Li", "an", "+8613800000201")).await.unwrap();
        for number in 1..COUNT {
            scene.sends_text(&format!("Answer {number}"), "goes out").await.unwrap();
        }
        stage.quiet().await.unwrap();

        control.refuse_connections(true).await;
        let last = scene.post("messages", json!({ "type": "reply", "text": "withheld" })).await.unwrap().expect(202).unwrap();
        let path = format!("/messages/{}", last.text("/id").unwrap());
        let tried = || async {
            let message = stage.api.get(&path).await?.expect(200)?.body;
            Ok((message.pointer("/parts/0/attempts/0/verdict") == Some(&json!("retry"))).then_some(()))
        };
        world.until("nobody was there", tried).await.unwrap();
        let full = scene.refuses_text("one too many", "what waits has its share").await.unwrap();
        assert!(["quota_used", "not_permitted"].contains(&full.text("/code").unwrap()), "{}", full.body);

        let contact = scene.get("").await.unwrap().text("/contact").unwrap().to_owned();
        let set = async |what: &str| {
            stage.api.post(&format!("/contacts/{contact}/{what}"), json!({})).await.unwrap().expect(200).unwrap();
        };
        set("block").await;
        control.refuse_connections(false).await;
        world.clock.advance(Duration::MINUTE);
        scene.wait_state(last.text("/id").unwrap(), &["not_sent"]).await.unwrap();
        set("unblock").await;

        scene.sends_text("Answer 20", "takes the share that came back").await.unwrap();
        scene.refuses_text("Answer 21", "and there was one").await.unwrap();
        stage.quiet().await.unwrap();
        let texts: Vec<String> = scene.ledger().into_iter().map(|send| send.text).collect();
        assert_eq!(texts, (1..=COUNT).map(|number| format!("Answer {number}")).collect::<Vec<_>>());
        stage.strike().await;
    }
}

both_databases! {
    /// line.md 1.3: LINE tells nobody of a larger plan; it is asked, and its answer is in force. A limit that can't be asked for
    /// takes nothing from the account.
    async fn a_larger_plan_is_noticed_within_the_hour(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let (world, control) = (&stage.world, stage.world.control());
        let account = world.account("line").unwrap();
        let path = format!("/channels/{}", account.ours.id);
        let channel = async || Ok::<_, Trouble>(stage.api.get(&path).await?.expect(200)?.body);
        let reader = world.desk().storage().reader(&world.caller.scope);
        let cursor = async || reader.pull_cursor(account.ours.id).await.map_err(Trouble::new);
        world.until("the limit is known", cursor).await.unwrap();

        let down = FaultKind::Status { status: 503 };
        control.fault(&account.at_sandbox, Fault { on: On::Any, ..Fault::once(down) }).unwrap();
        let settings = Some(json!({ "monthly_limit": 5_000 }));
        control.patch_account(&account.at_sandbox, AccountPatch { settings, ..AccountPatch::default() }).unwrap();
        assert_eq!(channel().await.unwrap()["limits"], json!({ "monthly_messages": 200 }));
        let in_force = || async {
            world.clock.advance(Duration::minutes(1));
            Ok(Some(channel().await?).filter(|now| now["limits"] == json!({ "monthly_messages": 5_000 })))
        };
        world.until("the larger plan is in force", in_force).await.unwrap();
        let told = async |kind: &str| {
            let events = reader.events_after(0, 1_000).await.map_err(Trouble::new)?;
            Ok::<_, Trouble>(events.iter().filter(|event| event.event.kind == kind).count())
        };
        // Events get their numbers a moment after the change.
        let notices = || async { Ok(Some(told("channel.notice").await?).filter(|told| *told > 0)) };
        assert_eq!(world.until("it is told", notices).await.unwrap(), 1);
        assert_eq!(told("channel.fetch_failing").await.unwrap(), 0);
        stage.strike().await;
    }
}

both_databases! {
    /// line.md 1.3: others use the month's messages too, and LINE tells nobody. It is asked, and what it would refuse does not leave.
    async fn what_others_used_of_the_month_is_counted_within_the_hour(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let world = &stage.world;
        let scene = Scene::set(world, "line", &writer("Aoi Tan", "aoi", "+81900000201")).await.unwrap();
        let settings = Some(json!({ "used_elsewhere": 200 }));
        let patch = AccountPatch { settings, ..AccountPatch::default() };
        world.control().patch_account(&world.account("line").unwrap().at_sandbox, patch).unwrap();
        assert!(!scene.permits().await.unwrap().is_empty());
        let barred = || async {
            world.clock.advance(Duration::minutes(1));
            Ok(scene.permits().await?.is_empty().then_some(()))
        };
        world.until("LINE's count is known", barred).await.unwrap();
        scene.refuses_text("One too many", "is refused before it leaves").await.unwrap();
        assert_eq!(scene.ledger().len(), 0);
        stage.strike().await;
    }
}
