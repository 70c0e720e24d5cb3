//! Windows that were missed, and what reopening them took, over real HTTP, on both databases, with a clock that is moved.

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use time::Duration;
use time::format_description::well_known::Rfc3339;
use transom_desk::{moments, workspaces};
use transom_domain::{Role, SettableClock};
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Api, Stage, http};

const PEOPLE: [(&str, &str); 6] = [
    ("ann", "whatsapp"),
    ("ben", "whatsapp"),
    ("cho", "whatsapp"),
    ("dan", "whatsapp"),
    ("eve", "tiktok"),
    ("fay", "messenger"),
];

struct Scene {
    stage: Stage,
    /// The conversation of each.
    paths: BTreeMap<&'static str, String>,
}

impl Scene {
    /// Everybody has written.
    async fn set(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.add_templates().await.unwrap();
        let mut paths = BTreeMap::new();
        for (n, (name, platform)) in PEOPLE.into_iter().enumerate() {
            let shown = format!("{name} Klein");
            stage
                .world
                .control()
                .create_customer(NewCustomer::named(name, &shown, &format!("+4915550100{n:03}")))
                .unwrap();
            stage.world.control().writes(&stage.world.account(platform).unwrap().at_sandbox, name, "hello").unwrap();
            let (_, conversation) = stage.world.conversation_with(platform, &shown).await.unwrap();
            paths.insert(name, format!("/conversations/{conversation}"));
        }
        stage.quiet().await.unwrap();
        Self { stage, paths }
    }

    fn writes(&self, name: &str, text: &str) {
        let platform = PEOPLE.iter().find(|(known, _)| *known == name).unwrap().1;
        let account = self.stage.world.account(platform).unwrap().at_sandbox.clone();
        self.stage.world.control().writes(&account, name, text).unwrap();
    }

    async fn sends(&self, name: &str, message: Value) {
        let path = format!("{}/messages", self.paths[name]);
        let sent = self.stage.api.post(&path, message).await.unwrap().expect(202).unwrap();
        self.stage.settled(sent.text("/id").unwrap()).await.unwrap();
    }

    async fn after(&self, wait: Duration) {
        self.stage.world.clock.advance(wait);
        moments::look(self.stage.world.desk()).await.unwrap();
        self.stage.quiet().await.unwrap();
    }

    async fn report(&self, query: &str) -> Value {
        self.stage.api.get(&format!("/reports/missed-windows?{query}")).await.unwrap().expect(200).unwrap().body
    }

    /// The case of somebody.
    fn case<'r>(&self, report: &'r Value, name: &str) -> Option<&'r Value> {
        let id = self.paths[name].trim_start_matches("/conversations/");
        report["items"].as_array().unwrap().iter().find(|case| case["conversation"] == id)
    }

    async fn becomes(&self, name: &str, outcome: &str) -> Value {
        let look = || async {
            let report = self.report("limit=100").await;
            Ok(self.case(&report, name).filter(|case| case["outcome"] == outcome).cloned())
        };
        self.stage.world.until(&format!("{name}'s window is {outcome}"), look).await.unwrap()
    }
}

both_databases! {
    async fn windows_that_ran_out_unanswered_are_reported(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let api = &scene.stage.api;
        let team = api.post("/teams", json!({ "name": "South" })).await.unwrap().expect(201).unwrap();
        let team = team.text("/id").unwrap();
        for name in ["ann", "ben"] {
            api.post(&format!("{}/assignee", scene.paths[name]), json!({ "team": team })).await.unwrap().expect(200).unwrap();
        }
        // Dan is answered in time; a note is no answer for Ann.
        scene.sends("dan", json!({ "text": "We look into it." })).await;
        let note = json!({ "type": "note", "text": "later" });
        let noted = api.post(&format!("{}/messages", scene.paths["ann"]), note).await.unwrap();
        assert!([201, 202].contains(&noted.status), "{}", noted.body);
        scene.after(Duration::hours(23)).await;
        assert_eq!(scene.report("").await["total"], 0, "not yet");
        scene.after(Duration::hours(2)).await;

        let report = scene.report("").await;
        assert_eq!(report["total"], 4, "of WhatsApp three, and Messenger's free text: {report}");
        assert!(scene.case(&report, "dan").is_none() && scene.case(&report, "eve").is_none(), "{report}");
        for name in ["ann", "ben", "cho", "fay"] {
            assert_eq!(scene.case(&report, name).unwrap()["outcome"], "not_reopened", "{name}");
        }
        let of_south = |report: &Value| {
            let groups = report["groups"].as_array().unwrap();
            groups.iter().filter(|group| group["team"] == team).map(|group| group["total"].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!(of_south(&report), 2, "{report}");
        let whatsapp = scene.stage.world.account("whatsapp").unwrap().ours.id.to_string();
        let by_channel = scene.report("group=channel").await;
        let group = by_channel["groups"].as_array().unwrap().iter().find(|group| group["channel"] == whatsapp).unwrap();
        assert_eq!((&group["total"], &group["outcomes"]["not_reopened"], group.get("team")), (&json!(3), &json!(3), None));
        let by_team = scene.report("group=team").await;
        assert_eq!((of_south(&by_team), by_team["groups"].as_array().unwrap().len()), (2, 2), "{by_team}");

        // Ann gets a template and answers; Ben writes by himself; Fay is written to under the tag; Cho waits on.
        let template = json!({ "template": { "name": "order_update", "language": "en_US",
            "parameters": { "body": ["Ann", "A-1"] } } });
        scene.sends("ann", template).await;
        let case = scene.becomes("ann", "template_sent").await;
        assert!(case["acted_at"].is_string() && case["act_message"].is_string() && case["reopened_at"].is_null(), "{case}");
        scene.writes("ann", "thank you");
        scene.writes("ben", "anybody there?");
        scene.sends("fay", json!({ "text": "Sorry!" })).await;
        let case = scene.becomes("ben", "customer_wrote").await;
        assert!(case["reopened_at"].is_string() && case["acted_at"].is_null(), "{case}");
        scene.becomes("fay", "other_sent").await;
        let reopened = || async {
            let report = scene.report("").await;
            Ok(scene.case(&report, "ann").unwrap()["reopened_at"].is_string().then_some(()))
        };
        scene.stage.world.until("Ann's window is open again", reopened).await.unwrap();
        let report = scene.report("").await;
        assert_eq!((&scene.case(&report, "ann").unwrap()["outcome"], &scene.case(&report, "cho").unwrap()["outcome"]), (&json!("template_sent"), &json!("not_reopened")));

        // Nothing at all may be sent once the two days of TikTok are over; and Ben is missed a second time.
        scene.after(Duration::hours(26)).await;
        let case = scene.becomes("eve", "nothing_possible").await;
        assert_eq!(case["status"], "open", "{case}");
        let report = scene.report("").await;
        let of_ben = report["items"].as_array().unwrap().iter().filter(|case| case["conversation"] == scene.case(&report, "ben").unwrap()["conversation"]).count();
        assert_eq!(of_ben, 2, "{report}");
        scene.writes("eve", "hello?");
        scene.becomes("eve", "customer_wrote").await;

        pages_and_tables(&scene).await;
        scene.stage.strike().await;
    }
}

/// Pages without gap or repeat, spans, CSV by parameter and by `Accept`, and who may.
async fn pages_and_tables(scene: &Scene) {
    let all = scene.report("limit=100").await;
    let total = all["total"].as_u64().unwrap();
    assert_eq!(all["items"].as_array().unwrap().len() as u64, total, "{all}");
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = scene.report(&format!("limit=2{cursor}")).await;
        paged.extend(page["items"].as_array().unwrap().iter().map(|case| case["message"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let whole: Vec<Value> = all["items"].as_array().unwrap().iter().map(|case| case["message"].clone()).collect();
    assert_eq!(paged, whole);

    let at = |back: Duration| (scene.stage.world.now() - back).format(&Rfc3339).unwrap();
    let none = scene.report(&format!("from={}&to={}", at(Duration::days(30)), at(Duration::days(20)))).await;
    assert_eq!((&none["total"], &none["items"]), (&json!(0), &json!([])));
    let wrong = format!("/reports/missed-windows?from={}&to={}", at(Duration::days(1)), at(Duration::days(2)));
    let refused = scene.stage.api.get(&wrong).await.unwrap();
    assert_eq!((refused.status, refused.text("/code")), (422, Some("span_invalid")), "{}", refused.body);

    let url = format!("{}/v1/reports/missed-windows", scene.stage.world.server.base_url());
    let token = scene.stage.world.token.expose_secret();
    for request in [http().get(format!("{url}?format=csv")), http().get(&url).header("Accept", "text/csv")] {
        let answer = request.bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
        let text = answer.text().await.unwrap();
        let mut table = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(&table.headers().unwrap()[9], "outcome");
        assert_eq!(table.records().map(Result::unwrap).count() as u64, total);
    }
    let (desk, caller) = (scene.stage.world.desk(), &scene.stage.world.caller);
    for (role, status) in [(Role::Supervisor, 200), (Role::Agent, 403)] {
        let (_, issued) = workspaces::add_agent(desk, caller, "Cem", role, None, None).await.unwrap();
        let api = Api::new(scene.stage.world.server.base_url(), issued.token.expose_secret()).unwrap();
        assert_eq!(api.get("/reports/missed-windows").await.unwrap().status, status);
    }
}
