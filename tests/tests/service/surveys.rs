//! The survey after a person closed a conversation, over real HTTP, on both databases, with a clock that is moved.

use serde_json::{Value, json};
use time::Duration;
use transom_desk::moments;
use transom_domain::SettableClock;
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Reply, Stage};

const QUESTION: &str = "How was it? 1 (bad) to 5 (good)";

struct Scene {
    stage: Stage,
    account: String,
    path: String,
}

impl Scene {
    async fn set(db: TestDatabase, platform: &'static str) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let account = stage.world.account(platform).unwrap().at_sandbox.clone();
        stage.world.control().create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
        stage.world.control().writes(&account, "mara", "hello").unwrap();
        let (_, conversation) = stage.world.conversation_with(platform, "Mara Klein").await.unwrap();
        let scene = Self { stage, account, path: format!("/conversations/{conversation}") };
        scene.stage.quiet().await.unwrap();
        scene.set_up(json!({ "survey_question": QUESTION, "survey_on_close": true })).await;
        scene
    }

    async fn set_up(&self, settings: Value) {
        self.stage.api.patch("/settings", settings).await.unwrap().expect(200).unwrap();
    }

    async fn get(&self, path: &str) -> Value {
        self.stage.api.get(path).await.unwrap().expect(200).unwrap().body
    }

    async fn shown(&self) -> Value {
        self.get(&self.path).await
    }

    async fn closes(&self) -> Reply {
        self.stage.api.post(&format!("{}/status", self.path), json!({ "status": "closed" })).await.unwrap()
    }

    /// The survey, once it is so.
    async fn becomes(&self, state: &str) -> Value {
        let look = || async { Ok(Some(self.shown().await).filter(|now| now["survey"]["state"] == state)) };
        let now = self.stage.world.until(&format!("the survey is {state}"), look).await.unwrap();
        self.stage.quiet().await.unwrap();
        now
    }

    async fn writes(&self, text: &str) -> Value {
        let before = self.told("message.received").await.len();
        self.stage.world.control().writes(&self.account, "mara", text).unwrap();
        let come = || async { Ok((self.told("message.received").await.len() > before).then_some(())) };
        self.stage.world.until("her message arrives", come).await.unwrap();
        self.stage.quiet().await.unwrap();
        self.shown().await
    }

    async fn told(&self, kind: &str) -> Vec<Value> {
        let reader = self.stage.world.desk().storage().reader(&self.stage.world.caller.scope);
        let events = reader.events_after(0, 2_000).await.unwrap();
        events.into_iter().filter(|told| told.event.kind == kind).map(|told| told.event.data).collect()
    }

    async fn found(&self, filter: &str) -> usize {
        self.get(&format!("/conversations?{filter}")).await["items"].as_array().unwrap().len()
    }

    fn arrived(&self) -> Vec<String> {
        self.stage.world.control().ledger().into_iter().map(|send| send.text).collect()
    }
}

both_databases! {
    /// Asked once, into the closed conversation; neither question nor answer reopens; she may change her mind; the score is stored,
    /// shown, found, exported and told.
    async fn a_closed_case_is_followed_by_a_question_and_its_answer(db: TestDatabase) {
        let scene = Scene::set(db, "telegram").await;
        scene.closes().await.expect(200).unwrap();
        let now = scene.becomes("asked").await;
        assert_eq!((&now["status"], &now["survey"]["question"], &now["survey"]["scale"]), (&json!("closed"), &json!(QUESTION), &json!(5)));
        moments::look(scene.stage.world.desk()).await.unwrap();
        scene.stage.quiet().await.unwrap();
        assert_eq!(scene.arrived(), [QUESTION], "once");
        let question = scene.get(&format!("/messages/{}", now["survey"]["message"].as_str().unwrap())).await;
        assert_eq!((&question["author"]["kind"], &question["author"]["name"]), (&json!("automation"), &json!("survey")));

        scene.stage.world.clock.advance(Duration::minutes(3));
        let now = scene.writes(" 4 ").await;
        assert_eq!((&now["status"], &now["survey"]["state"], &now["survey_score"]), (&json!("closed"), &json!("answered"), &json!(4)), "{now}");
        assert!(now["waiting_since"].is_null(), "nobody has to answer: {now}");
        assert_eq!((scene.found("q=score:4").await, scene.found("score=4&score=5").await), (1, 1));
        assert_eq!((scene.found("q=score:3").await, scene.found("q=-score:4").await), (0, 0));

        scene.stage.world.clock.advance(Duration::HOUR);
        let now = scene.writes("2").await;
        assert_eq!((&now["status"], &now["survey"]["score"], &now["survey_score"]), (&json!("closed"), &json!(2), &json!(2)), "{now}");
        let told = scene.told("survey.answered").await;
        let scores: Vec<_> = told.iter().map(|data| (&data["score"], &data["before"], &data["scale"])).collect();
        assert_eq!(scores, [(&json!(4), &Value::Null, &json!(5)), (&json!(2), &json!(4), &json!(5))], "{told:?}");
        assert_eq!((scene.found("q=score:4").await, scene.found("q=score:2").await), (0, 1));
        let url = format!("{}/v1/conversations/export?format=csv", scene.stage.world.server.base_url());
        let token = secrecy::ExposeSecret::expose_secret(&scene.stage.world.token).to_owned();
        let csv = transom_tests::http().get(url).bearer_auth(token).send().await.unwrap().text().await.unwrap();
        let mut table = csv::Reader::from_reader(csv.as_bytes());
        let place = table.headers().unwrap().iter().position(|name| name == "survey_score").unwrap();
        assert_eq!(&table.records().next().unwrap().unwrap()[place], "2");

        // Anything else is a message like any other, and so is a number once somebody of ours wrote.
        let now = scene.writes("2 stars is fair").await;
        assert_eq!((&now["status"], &now["survey"]["score"]), (&json!("open"), &json!(2)), "{now}");
        scene.stage.api.post(&format!("{}/messages", scene.path), json!({ "text": "How many?" })).await.unwrap().expect(202).unwrap();
        scene.stage.quiet().await.unwrap();
        scene.stage.world.clock.advance(Duration::MINUTE);
        let now = scene.writes("5").await;
        assert_eq!((&now["status"], &now["survey"]["score"]), (&json!("open"), &json!(2)), "{now}");
        assert!(now["waiting_since"].is_string(), "{now}");
        scene.stage.strike().await;
    }
}

both_databases! {
    /// What may not be asked is not, and says why; so does what was opened again. An answer that comes too late, or that the scale does
    /// not have, is a message.
    async fn a_survey_without_a_right_is_skipped_and_says_why(db: TestDatabase) {
        let scene = Scene::set(db, "whatsapp").await;
        scene.stage.world.clock.advance(Duration::hours(25));
        scene.closes().await.expect(200).unwrap();
        let now = scene.becomes("skipped").await;
        let reason = &now["survey"]["reason"];
        assert!(["not_permitted", "template_required"].contains(&reason["reason"].as_str().unwrap()), "{now}");
        assert!(reason["decision"]["refusals"].to_string().contains("window_over"), "{now}");
        // Events get their numbers a moment after the change.
        let told = || async { Ok((scene.told("survey.skipped").await.len() == 1).then_some(())) };
        scene.stage.world.until("it is told", told).await.unwrap();
        assert!(scene.get(&format!("{}/messages", scene.path)).await.to_string().contains("survey.skipped"));
        assert_eq!((scene.arrived(), &now["status"]), (Vec::new(), &json!("closed")));

        // She writes, the case is closed again, and now there is a right: within ten, for a day.
        scene.set_up(json!({ "survey_scale": 10, "survey_answer_days": 1 })).await;
        let now = scene.writes("hello?").await;
        assert_eq!(now["status"], "open");
        scene.closes().await.expect(200).unwrap();
        scene.becomes("asked").await;
        scene.stage.world.clock.advance(Duration::MINUTE);
        let now = scene.writes("10").await;
        assert_eq!((&now["status"], &now["survey_score"]), (&json!("closed"), &json!(10)), "{now}");
        scene.stage.world.clock.advance(Duration::hours(25));
        let now = scene.writes("1").await;
        assert_eq!((&now["status"], &now["survey_score"]), (&json!("open"), &json!(10)), "too late: {now}");
        let refused = scene.stage.api.patch("/settings", json!({ "survey_scale": 7 })).await.unwrap();
        assert_eq!(refused.status, 400, "{}", refused.body);
        scene.stage.strike().await;
    }
}

both_databases! {
    /// Closing many asks each; what nobody of ours closed is not asked; and it is off unless it is on.
    async fn closing_many_asks_each_once(db: TestDatabase) {
        let scene = Scene::set(db, "telegram").await;
        let control = scene.stage.world.control();
        for n in 0..5 {
            control.create_customer(NewCustomer::named(&format!("p{n}"), &format!("Person {n}"), &format!("+49155502{n:05}"))).unwrap();
            control.writes(&scene.account, &format!("p{n}"), "hello").unwrap();
        }
        let all = || async { Ok((scene.told("message.received").await.len() == 6).then_some(())) };
        scene.stage.world.until("all have written", all).await.unwrap();
        let body = json!({ "filter": "status:open", "status": { "status": "closed" } });
        let job = scene.stage.api.post_once("/conversations/bulk", "close", body).await.unwrap().expect(202).unwrap();
        let path = format!("/jobs/{}", job.text("/id").unwrap());
        let ended = || async { Ok(Some(scene.get(&path).await).filter(|job| job["finished_at"].is_string())) };
        assert_eq!(scene.stage.world.until("the job has ended", ended).await.unwrap()["changed"], 6);
        let asked = || async { Ok((scene.told("survey.asked").await.len() == 6).then_some(())) };
        scene.stage.world.until("all are asked", asked).await.unwrap();
        let arrived = || async { Ok((scene.arrived().len() >= 6).then_some(())) };
        scene.stage.world.until("all questions arrive", arrived).await.unwrap();
        scene.stage.quiet().await.unwrap();
        assert_eq!(scene.arrived(), [QUESTION; 6]);

        scene.set_up(json!({ "survey_on_close": false })).await;
        scene.writes("not a number").await;
        scene.closes().await.expect(200).unwrap();
        moments::look(scene.stage.world.desk()).await.unwrap();
        scene.stage.quiet().await.unwrap();
        assert_eq!((scene.arrived().len(), scene.told("survey.skipped").await.len()), (6, 0));
        scene.stage.strike().await;
    }
}
