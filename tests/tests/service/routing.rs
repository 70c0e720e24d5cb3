//! Automatic assignment over real HTTP, on both databases.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::{Value, json};
use transom_channel::Ports;
use transom_desk::follow;
use transom_domain::{Role, SettableClock};
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Api, Stage, Trouble};
use transom_windows::Policies;

/// A desk with a team of two, and customers who write on WhatsApp.
struct Desk {
    stage: Stage,
    account: String,
    bea: (String, Api),
    cem: (String, Api),
    team: String,
}

impl Desk {
    async fn set(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let account = stage.world.account("whatsapp").unwrap().at_sandbox.clone();
        let bea = stage.agent("Bea", Role::Agent).await.unwrap();
        let cem = stage.agent("Cem", Role::Agent).await.unwrap();
        let team = json!({ "name": "Service", "members": [bea.0, cem.0] });
        let team = stage.api.post("/teams", team).await.unwrap().expect(201).unwrap().body;
        let team = team["id"].as_str().unwrap().to_owned();
        Self { stage, account, bea, cem, team }
    }

    async fn rule(&self, name: &str, condition: Value, target: Value) -> String {
        let rule = json!({ "name": name, "condition": condition, "target": target });
        let made = self.stage.api.post("/assignment-rules", rule).await.unwrap().expect(201).unwrap().body;
        made["id"].as_str().unwrap().to_owned()
    }

    fn meet(&self, who: usize) {
        let (id, phone) = (format!("c{who}"), format!("+49155502{who:05}"));
        self.stage.world.control().create_customer(NewCustomer::named(&id, &name(who), &phone)).unwrap();
    }

    /// Waits until everything that has happened was looked at.
    async fn followed(&self) {
        let world = &self.stage.world;
        self.stage.quiet().await.unwrap();
        let look = || async {
            let reader = world.desk().storage().reader(&world.caller.scope);
            let numbered = reader.last_event_seq().await.map_err(Trouble::new)?;
            let followed = reader.followed_to("automation").await.map_err(Trouble::new)?;
            Ok((numbered > 0 && followed == numbered).then_some(()))
        };
        world.until("every event was looked at", look).await.unwrap();
    }

    /// How a conversation stands once everything was looked at.
    async fn now(&self, who: usize) -> Value {
        self.followed().await;
        self.once(who, "it is there", |_| true).await
    }

    async fn assigns(&self, who: usize, to: Value) {
        let (_, id) = self.stage.world.conversation_with("whatsapp", &name(who)).await.unwrap();
        self.stage.api.post(&format!("/conversations/{id}/assignee"), to).await.unwrap().expect(200).unwrap();
    }

    async fn settings(&self, settings: Value) {
        self.stage.api.patch("/settings", settings).await.unwrap().expect(200).unwrap();
    }

    fn writes(&self, who: usize, text: &str) {
        self.stage.world.control().writes(&self.account, &format!("c{who}"), text).unwrap();
    }

    /// The conversation of a customer, once `is` holds for it.
    async fn once(&self, who: usize, what: &str, is: impl Fn(&Value) -> bool + Sync) -> Value {
        let (_, id) = self.stage.world.conversation_with("whatsapp", &name(who)).await.unwrap();
        let path = format!("/conversations/{id}");
        let look = || async { Ok(Some(get(&self.stage.api, &path).await).filter(|now| is(now))) };
        self.stage.world.until(what, look).await.unwrap()
    }

    /// Writes as somebody new, and waits until that conversation is an agent's.
    async fn given(&self, who: usize) -> String {
        self.meet(who);
        self.writes(who, "hello");
        let now = self.once(who, "it is given to somebody", |now| now["assignee"]["agent"].is_string()).await;
        now["assignee"]["agent"].as_str().unwrap().to_owned()
    }

    async fn close(&self, who: usize) {
        let (_, id) = self.stage.world.conversation_with("whatsapp", &name(who)).await.unwrap();
        let closed = json!({ "status": "closed" });
        self.stage.api.post(&format!("/conversations/{id}/status"), closed).await.unwrap().expect(200).unwrap();
    }

    async fn away(&self, agent: &str, away: bool) {
        let path = format!("/agents/{agent}/presence");
        self.stage.api.put(&path, json!({ "away": away })).await.unwrap().expect(200).unwrap();
    }
}

fn name(who: usize) -> String {
    format!("Customer {who:02}")
}

async fn get(api: &Api, path: &str) -> Value {
    api.get(path).await.unwrap().expect(200).unwrap().body
}

both_databases! {
    /// a team's members take turns; whoever is away gets nothing; where all are away it stays the team's.
    async fn members_of_a_team_take_turns(db: TestDatabase) {
        let desk = Desk::set(db).await;
        desk.rule("everybody", json!({}), json!({ "to": "team", "team": desk.team, "pick": "round_robin" })).await;
        let (first, second, third) = (desk.given(0).await, desk.given(1).await, desk.given(2).await);
        assert_ne!(first, second);
        assert_eq!(first, third);

        desk.away(&desk.bea.0, true).await;
        assert_eq!(get(&desk.stage.api, "/agents/away").await["agents"], json!([desk.bea.0]));
        for who in [3, 4] {
            assert_eq!(desk.given(who).await, desk.cem.0);
        }
        desk.away(&desk.cem.0, true).await;
        desk.meet(5);
        desk.writes(5, "hello");
        let team = desk.team.clone();
        let now = desk.once(5, "it is the team's", |now| now["assignee"]["team"] == json!(team)).await;
        assert!(now["assignee"]["agent"].is_null(), "{now}");
        // It comes back to the team it was kept by, and now somebody is there.
        desk.close(5).await;
        desk.away(&desk.cem.0, false).await;
        desk.writes(5, "me again");
        desk.once(5, "its team's member has it", |now| now["assignee"]["agent"] == json!(desk.cem.0)).await;
        desk.stage.strike().await;
    }
}

both_databases! {
    /// VIPs, new and returning contacts and somebody's own: the first rule that finds somebody decides.
    async fn the_first_rule_that_finds_somebody_decides(db: TestDatabase) {
        let desk = Desk::set(db).await;
        let to = |agent: &str| json!({ "to": "agent", "agent": agent });
        let own = desk.rule("somebody's own", json!({}), json!({ "to": "dedicated" })).await;
        let back = desk.rule("who comes back", json!({ "contact": "returning" }), to(&desk.bea.0)).await;
        let new = desk.rule("who is new", json!({ "contact": "new" }), to(&desk.cem.0)).await;
        assert_eq!(desk.given(0).await, desk.cem.0);
        desk.close(0).await;
        desk.writes(0, "again");
        let is_bea = |now: &Value| now["assignee"]["agent"] == json!(desk.bea.0);
        desk.once(0, "who comes back is Bea's", is_bea).await;

        let contact = desk.once(0, "it has a contact", |now| now["contact"].is_string()).await["contact"].clone();
        let path = format!("/contacts/{}/agent", contact.as_str().unwrap());
        desk.stage.api.put(&path, json!({ "agent": desk.cem.0 })).await.unwrap().expect(200).unwrap();
        desk.close(0).await;
        desk.writes(0, "once more");
        desk.once(0, "whose own it is", |now| now["assignee"]["agent"] == json!(desk.cem.0)).await;

        // Another order, another answer; and a deleted rule is asked no more.
        let order = json!({ "rules": [back, own, new] });
        desk.stage.api.put("/assignment-rules/order", order).await.unwrap().expect(200).unwrap();
        desk.close(0).await;
        desk.writes(0, "and again");
        desk.once(0, "the first in the order decides", is_bea).await;
        desk.stage.api.delete(&format!("/assignment-rules/{new}")).await.unwrap().expect(204).unwrap();
        desk.meet(1);
        desk.writes(1, "hello");
        let now = desk.now(1).await;
        assert_eq!((&now["status"], &now["tab"]), (&json!("open"), &json!("open")), "nobody's: {now}");

        // A label makes a VIP, who has a rule of their own.
        let vip = desk.rule("VIPs", json!({ "labels": ["vip"] }), to(&desk.cem.0)).await;
        let order = json!({ "rules": [vip, back, own] });
        desk.stage.api.put("/assignment-rules/order", order).await.unwrap().expect(200).unwrap();
        let path = format!("/contacts/{}/labels/vip", contact.as_str().unwrap());
        desk.stage.api.put(&path, None::<Value>).await.unwrap().expect(200).unwrap();
        desk.close(0).await;
        desk.writes(0, "hello, hello");
        desk.once(0, "a VIP is Cem's", |now| now["assignee"]["agent"] == json!(desk.cem.0)).await;
        desk.stage.strike().await;
    }
}

both_databases! {
    /// what a customer writes to somebody who is away is given to a colleague, where the setting wants it.
    async fn who_is_away_is_relieved(db: TestDatabase) {
        let desk = Desk::set(db).await;
        desk.rule("fewest", json!({}), json!({ "to": "team", "team": desk.team, "pick": "fewest_open" })).await;
        let first = desk.given(0).await;
        let other = if first == desk.bea.0 { &desk.cem } else { &desk.bea };
        let own = if first == desk.bea.0 { &desk.bea } else { &desk.cem };
        // An agent speaks for themselves only.
        let wrong = other.1.put(&format!("/agents/{first}/presence"), json!({ "away": true })).await.unwrap();
        assert_eq!((wrong.status, wrong.text("/code")), (403, Some("forbidden")));
        own.1.put(&format!("/agents/{first}/presence"), json!({ "away": true })).await.unwrap().expect(200).unwrap();

        desk.writes(0, "are you there?");
        let now = desk.now(0).await;
        assert_eq!(now["assignee"]["agent"], json!(first), "not unless the setting wants it: {now}");
        desk.settings(json!({ "reassign_when_away": true })).await;
        desk.writes(0, "hello?");
        desk.once(0, "a colleague has it", |now| now["assignee"]["agent"] == json!(other.0)).await;

        // With both away it must not wait unseen: it goes back to the team.
        desk.away(&other.0, true).await;
        desk.writes(0, "anybody?");
        let now = desk.once(0, "nobody has it", |now| now["assignee"]["agent"].is_null()).await;
        assert_eq!(now["assignee"]["team"], json!(desk.team), "{now}");
        desk.stage.strike().await;
    }
}

both_databases! {
    /// What a rule names must be there, and what is used can't be deleted.
    async fn wrong_rules_are_refused(db: TestDatabase) {
        let desk = Desk::set(db).await;
        let nobody = "01900000-0000-7000-8000-000000000000";
        let pigeon = json!({ "platforms": ["pigeon"] });
        for (rule, status, code) in [
            (json!({ "name": "x", "target": { "to": "team", "team": nobody } }), 404, "not_found"),
            (json!({ "name": "x", "target": { "to": "agent", "agent": nobody } }), 404, "not_found"),
            (json!({ "name": " ", "target": { "to": "dedicated" } }), 422, "name_missing"),
            (json!({ "name": "x", "condition": pigeon, "target": { "to": "dedicated" } }), 422, "unknown_platform"),
            (json!({ "name": "x", "target": { "to": "agent" } }), 422, "target_incomplete"),
            (json!({ "name": "x", "target": { "to": "moon" } }), 400, "body_malformed"),
        ] {
            let reply = desk.stage.api.post("/assignment-rules", rule.clone()).await.unwrap();
            assert_eq!((reply.status, reply.text("/code")), (status, Some(code)), "{rule}: {}", reply.body);
        }
        desk.rule("everybody", json!({}), json!({ "to": "team", "team": desk.team })).await;
        let used = desk.stage.api.delete(&format!("/teams/{}", desk.team)).await.unwrap();
        assert_eq!((used.status, used.text("/code")), (409, Some("team_in_use")));
        let order = desk.stage.api.put("/assignment-rules/order", json!({ "rules": [] })).await.unwrap();
        assert_eq!((order.status, order.text("/code")), (422, Some("rules_incomplete")));
        desk.stage.strike().await;
    }
}

both_databases! {
    /// twenty newcomers at once are shared out fairly and each only once, though two services look after them.
    async fn newcomers_are_shared_out_fairly_whoever_looks(db: TestDatabase) {
        const NEWCOMERS: usize = 20;
        let desk = Desk::set(db).await;
        desk.rule("everybody", json!({}), json!({ "to": "team", "team": desk.team })).await;
        let (storage, policies) = (desk.stage.world.desk().storage().clone(), Policies::builtin().unwrap());
        let registry = transom_server::registry::registry();
        let other = transom_desk::Desk::new(storage, policies, registry, Ports::system().unwrap());
        let (done, acted) = (AtomicBool::new(false), AtomicU32::new(0));
        let second = async {
            while !done.load(Ordering::Relaxed) {
                acted.fetch_add(follow::follow_all(&other).await.unwrap(), Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        };
        // Who comes first looks after them: if that was the same service each time, more newcomers come.
        let first = async {
            for crowd in 1..=20 {
                let newcomers = (crowd - 1) * NEWCOMERS..crowd * NEWCOMERS;
                newcomers.clone().for_each(|who| desk.meet(who));
                newcomers.clone().for_each(|who| desk.writes(who, "hello"));
                for who in newcomers {
                    desk.once(who, "it is given to somebody", |now| now["assignee"]["agent"].is_string()).await;
                }
                desk.followed().await;
                if acted.load(Ordering::Relaxed) > 0 {
                    done.store(true, Ordering::Relaxed);
                    return crowd * NEWCOMERS;
                }
            }
            panic!("the other service did nothing");
        };
        let ((), newcomers) = tokio::join!(second, first);

        let reader = desk.stage.world.desk().storage().reader(&desk.stage.world.caller.scope);
        let mut given: BTreeMap<String, usize> = BTreeMap::new();
        for event in reader.events_after(0, 10_000).await.unwrap() {
            if event.event.kind == "conversation.assigned" {
                *given.entry(event.event.data["assigned_to"]["agent"].to_string()).or_default() += 1;
            }
        }
        let fair = [&desk.bea.0, &desk.cem.0].map(|agent| (json!(agent).to_string(), newcomers / 2));
        assert_eq!(given, BTreeMap::from(fair));
        desk.stage.strike().await;
    }
}

both_databases! {
    /// who has fewer open conversations gets the next one; what people did by hand stays.
    async fn the_fewest_open_decide_and_people_have_the_last_word(db: TestDatabase) {
        let desk = Desk::set(db).await;
        let fewest = json!({ "to": "team", "team": desk.team, "pick": "fewest_open" });
        let rule = desk.rule("fewest", json!({}), fewest).await;
        let (first, second) = (desk.given(0).await, desk.given(1).await);
        assert_ne!(first, second);
        desk.close(1).await;
        assert_eq!(desk.given(2).await, second, "who has none");
        desk.assigns(2, json!({ "agent": first })).await;
        assert_eq!(desk.given(3).await, second, "who was relieved by hand");

        desk.writes(2, "more");
        assert_eq!(desk.now(2).await["assignee"]["agent"], json!(first), "given by hand");
        let off = json!({ "enabled": false });
        let path = format!("/assignment-rules/{rule}");
        desk.stage.api.patch(&path, off).await.unwrap().expect(200).unwrap();
        desk.meet(4);
        desk.writes(4, "hello");
        assert_eq!(desk.now(4).await["tab"], "open", "a rule that is off is not asked");
        let team = json!({ "name": "Others", "members": [] });
        let team = desk.stage.api.post("/teams", team).await.unwrap().expect(201).unwrap().body["id"].clone();
        desk.assigns(4, json!({ "team": team })).await;
        desk.stage.api.patch(&path, json!({ "enabled": true })).await.unwrap().expect(200).unwrap();
        desk.writes(4, "more");
        assert_eq!(desk.now(4).await["assignee"], json!({ "team": team }), "given to a team by hand");
        // Reopened it is the kept team's, for which there is no rule.
        desk.close(4).await;
        desk.writes(4, "again");
        desk.once(4, "it opens again", |now| now["status"] == "open").await;
        assert_eq!(desk.now(4).await["assignee"], json!({ "team": team }), "another team's rule is not for it");
        desk.stage.strike().await;
    }
}

both_databases! {
    /// who has left gets nothing, and keeps nothing that opens.
    async fn who_has_left_gets_nothing(db: TestDatabase) {
        let desk = Desk::set(db).await;
        desk.settings(json!({ "on_close": "keep" })).await;
        desk.rule("hers", json!({}), json!({ "to": "agent", "agent": desk.bea.0 })).await;
        desk.rule("everybody", json!({}), json!({ "to": "team", "team": desk.team })).await;
        assert_eq!(desk.given(0).await, desk.bea.0);
        desk.close(0).await;
        let gone = json!({ "active": false });
        desk.stage.api.patch(&format!("/agents/{}", desk.bea.0), gone).await.unwrap().expect(200).unwrap();
        for who in [1, 2] {
            assert_eq!(desk.given(who).await, desk.cem.0);
        }
        desk.writes(0, "still there?");
        desk.once(0, "Cem has what was kept", |now| now["assignee"]["agent"] == json!(desk.cem.0)).await;
        let unfit = json!({ "name": "x", "target": { "to": "agent", "agent": desk.bea.0 } });
        let refused = desk.stage.api.post("/assignment-rules", unfit).await.unwrap();
        assert_eq!((refused.status, refused.text("/code")), (422, Some("agent_unfit")));
        desk.stage.strike().await;
    }
}

both_databases! {
    /// what was for those with a label stays for them under its new name, in rules and in bindings.
    async fn a_renamed_label_keeps_its_rules(db: TestDatabase) {
        let desk = Desk::set(db).await;
        let api = &desk.stage.api;
        desk.rule("to Bea", json!({ "labels": ["Vip", "press"] }), json!({ "to": "agent", "agent": desk.bea.0 })).await;
        let (bot, _) = desk.stage.agent("Robo", Role::Bot).await.unwrap();
        let channel = desk.stage.world.account("telegram").unwrap().ours.id;
        let bindings = json!({ "bindings": [{ "channel": channel, "condition": { "labels": ["vip"] } }] });
        let path = format!("/agents/{bot}/bindings");
        api.put(&path, bindings).await.unwrap().expect(200).unwrap();
        let contact = json!({ "display_name": "Ann", "phone": "+4915550200001" });
        let ann = api.post("/contacts", contact).await.unwrap().expect(201).unwrap();
        let label = format!("/contacts/{}/labels/vip", ann.text("/id").unwrap());
        api.put(&label, None).await.unwrap().expect(200).unwrap();

        api.patch("/labels/vip", json!({ "name": "gold" })).await.unwrap().expect(200).unwrap();
        let rules = get(api, "/assignment-rules").await;
        assert_eq!(rules["items"][0]["condition"]["labels"], json!(["gold", "press"]), "{rules}");
        let bindings = get(api, &path).await;
        assert!(bindings.to_string().contains("\"labels\":[\"gold\"]"), "{bindings}");
        desk.stage.strike().await;
    }
}
