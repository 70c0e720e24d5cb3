//! Many conversations in one go, said beforehand, taken back; over real HTTP, on both databases.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use time::Duration;
use transom_desk::workspaces;
use transom_domain::{ConversationId, Role, SettableClock};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::crowd::crowd;
use transom_tests::{Api, Stage};

async fn staged(db: TestDatabase, people: usize) -> (Stage, Vec<ConversationId>) {
    let stage = Stage::set(db, SettableClock::running()).await.unwrap();
    let ids = crowd(&stage, "whatsapp", people, 1).await.unwrap();
    (stage, ids)
}

async fn get(api: &Api, path: &str) -> Value {
    api.get(path).await.unwrap().expect(200).unwrap().body
}

async fn bulk(stage: &Stage, key: &str, body: Value) -> Value {
    stage.api.post_once("/conversations/bulk", key, body).await.unwrap().expect(202).unwrap().body
}

/// The job, once it has ended.
async fn ended(stage: &Stage, job: &Value) -> Value {
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    let ended = || async { Ok(Some(get(&stage.api, &path).await).filter(|job| job["finished_at"].is_string())) };
    // A busy machine may take longer than one wait.
    for _ in 0..5 {
        if let Ok(job) = stage.world.until("the job has ended", ended).await {
            return job;
        }
    }
    panic!("the job does not end: {}", get(&stage.api, &path).await)
}

/// All that came of a job, page by page.
async fn results(stage: &Stage, job: &Value) -> Vec<Value> {
    let path = format!("/jobs/{}/results?limit=100", job["id"].as_str().unwrap());
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&stage.api, &format!("{path}{cursor}")).await;
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn of_code(results: &[Value], result: &str, code: Option<&str>) -> usize {
    results.iter().filter(|one| one["result"] == result && one["code"].as_str() == code).count()
}

both_databases! {
    /// a few are closed while the caller waits: each as the single call closes it, what can't be is said.
    async fn a_few_are_changed_at_once_as_the_single_call_does(db: TestDatabase) {
        let (stage, ids) = staged(db, 4).await;
        let closed = json!({ "status": "closed", "category": "billing", "note": "paid" });
        stage.api.post(&format!("/conversations/{}/status", ids[0]), closed.clone()).await.unwrap().expect(200).unwrap();
        let nobody: ConversationId = "0192e4a0-7b5a-7c3e-8f00-000000000001".parse().unwrap();
        let body = json!({ "ids": [ids[0], ids[1], ids[1], ids[2], nobody], "status": closed });
        let job = bulk(&stage, "close", body.clone()).await;
        assert_eq!((&job["state"], &job["total"], &job["changed"], &job["failed"]), (&json!("done"), &json!(4), &json!(2), &json!(1)), "{job}");
        let came = job["results"].as_array().unwrap();
        assert_eq!(of_code(came, "changed", None), 2);
        assert_eq!(of_code(came, "unchanged", Some("status_unchanged")), 1);
        assert_eq!(of_code(came, "failed", Some("not_found")), 1);
        assert_eq!(results(&stage, &job).await.len(), 4);

        let (single, many) = (ids[0], ids[1]);
        for what in ["episodes", "messages"] {
            let of = async |id: ConversationId| {
                let mut page = get(&stage.api, &format!("/conversations/{id}/{what}")).await["items"].clone();
                for item in page.as_array_mut().unwrap() {
                    for own in ["id", "conversation", "opened_at", "closed_at", "at", "content", "author"] {
                        item.as_object_mut().unwrap().remove(own);
                    }
                }
                page
            };
            assert_eq!(of(single).await, of(many).await, "{what}");
        }
        assert_eq!(get(&stage.api, &format!("/conversations/{}", ids[3])).await["status"], "open", "not asked for");
        let again = bulk(&stage, "close", body).await;
        assert_eq!(again["id"], job["id"], "the same key, the same job");
        stage.strike().await;
    }
}

both_databases! {
    /// by filter, first dry, then as a job with progress; taken back but where somebody was faster.
    async fn a_filter_is_tried_done_and_taken_back(db: TestDatabase) {
        let (stage, ids) = staged(db, 320).await;
        let (agent, _) = workspaces::add_agent(stage.world.desk(), &stage.world.caller, "Bea", Role::Agent, None, None)
            .await
            .unwrap();
        let assign = json!({ "agent": agent.id });
        let all = json!({ "ids": ids, "assignee": assign });
        let job = ended(&stage, &bulk(&stage, "assign", all).await).await;
        assert_eq!((&job["state"], &job["changed"]), (&json!("done"), &json!(320)), "{job}");
        stage.api.post(&format!("/conversations/{}/status", ids[5]), json!({ "status": "closed" })).await.unwrap().expect(200).unwrap();

        let filter = format!("tab:all assignee:{} platform:whatsapp", agent.id);
        let mut close = json!({ "filter": filter, "status": { "status": "closed" }, "dry_run": true });
        let dry = stage.api.post_once("/conversations/bulk", "dry", close.clone()).await.unwrap().expect(200).unwrap().body;
        assert_eq!((&dry["looked_at"], &dry["change"], &dry["failed"]), (&json!(319), &json!(319), &json!(0)), "{dry}");
        assert_eq!(get(&stage.api, &format!("/conversations/{}", ids[0])).await["status"], "open", "a dry run stores nothing");

        close["dry_run"] = json!(false);
        let begun = bulk(&stage, "close", close).await;
        assert!(begun["results"].is_null(), "a job: {begun}");
        let done = ended(&stage, &begun).await;
        assert_eq!((&done["state"], &done["total"], &done["done"], &done["changed"]), (&json!("done"), &json!(319), &json!(319), &json!(319)), "{done}");
        assert_eq!(results(&stage, &done).await.len(), 319);
        let counts = get(&stage.api, "/conversations?counts=true&limit=1").await["counts"].clone();
        assert_eq!(counts["closed"], 320, "{counts}");

        stage.api.post(&format!("/conversations/{}/status", ids[9]), json!({ "status": "open" })).await.unwrap().expect(200).unwrap();
        let undo = format!("/jobs/{}/undo", done["id"].as_str().unwrap());
        let undone = stage.api.post_once(&undo, "undo", json!({})).await.unwrap().expect(202).unwrap().body;
        let undone = ended(&stage, &undone).await;
        let again = stage.api.post_once(&undo, "undo", json!({})).await.unwrap().expect(202).unwrap().body;
        assert_eq!(again["id"], undone["id"], "the same key, the same job");
        let twice = stage.api.post_once(&undo, "twice", json!({})).await.unwrap();
        assert_eq!((twice.status, twice.text("/code")), (409, Some("job_undone")), "{}", twice.body);
        let says = format!("the job was taken back before: `GET /v1/jobs/{}` says", undone["id"].as_str().unwrap());
        assert!(twice.text("/detail").unwrap().starts_with(&says), "{}", twice.body);
        assert_eq!((&undone["changed"], &undone["failed"]), (&json!(318), &json!(1)), "{undone}");
        let failed: Vec<Value> = results(&stage, &undone).await.into_iter().filter(|one| one["result"] == "failed").collect();
        assert_eq!((failed.len(), &failed[0]["conversation"], &failed[0]["code"]), (1, &json!(ids[9]), &json!("version_mismatch")));
        let back = get(&stage.api, &format!("/conversations/{}", ids[0])).await;
        assert_eq!((&back["status"], &back["assignee"]["agent"]), (&json!("open"), &json!(agent.id)), "{back}");

        stage.world.clock.advance(Duration::minutes(11));
        let late = stage.api.post_once(&undo, "late", json!({})).await.unwrap();
        assert_eq!((late.status, late.text("/code")), (409, Some("undo_over")), "{}", late.body);
        stage.strike().await;
    }
}

both_databases! {
    /// tags in bulk; a job that is cancelled before its end keeps what it did, and says so; nobody stops another's job.
    async fn tags_are_put_and_a_job_is_cancelled(db: TestDatabase) {
        let (stage, ids) = staged(db, 3).await;
        stage.api.post("/tags", json!({ "name": "refund" })).await.unwrap().expect(201).unwrap();
        let tags = json!({ "ids": ids, "tags": { "add": ["refund"] } });
        let job = bulk(&stage, "tags", tags.clone()).await;
        assert_eq!(job["changed"], 3, "{job}");
        assert_eq!(get(&stage.api, "/conversations?conversation_tag=refund").await["items"].as_array().unwrap().len(), 3);
        assert_eq!(bulk(&stage, "again", tags).await["changed"], 0);
        let undo = format!("/jobs/{}/undo", job["id"].as_str().unwrap());
        let refused = stage.api.post_once(&undo, "undo", json!({})).await.unwrap();
        assert_eq!((refused.status, refused.text("/code")), (409, Some("undo_impossible")));

        let (_, issued) = workspaces::add_agent(stage.world.desk(), &stage.world.caller, "Bea", Role::Agent, None, None)
            .await
            .unwrap();
        let bea = Api::new(stage.world.server.base_url(), issued.token.expose_secret()).unwrap();
        let cancel = format!("/jobs/{}/cancel", job["id"].as_str().unwrap());
        assert_eq!(bea.post(&cancel, json!({})).await.unwrap().status, 403, "another's job");
        let late = stage.api.post(&cancel, json!({})).await.unwrap();
        assert_eq!((late.status, late.text("/code")), (409, Some("job_finished")), "{}", late.body);
        let says = late.text("/detail").unwrap();
        assert!(says.starts_with("the job is `done`, and there is nothing left to stop; `POST /v1/jobs/"), "{says}");
        assert_eq!(get(&stage.api, &format!("/jobs/{}", job["id"].as_str().unwrap())).await["state"], "done");
        for (body, code) in [
            (json!({ "ids": ids, "filter": "tab:all", "status": { "status": "open" } }), "selection_ambiguous"),
            (json!({ "ids": ids }), "action_ambiguous"),
            (json!({ "ids": ids, "tags": { "add": ["nope"] } }), "tag_unknown"),
        ] {
            let refused = stage.api.post_once("/conversations/bulk", code, body).await.unwrap();
            assert_eq!((refused.status, refused.text("/code")), (422, Some(code)), "{}", refused.body);
        }
        let unread = json!({ "filter": "colour:red", "status": { "status": "open" } });
        let refused = stage.api.post_once("/conversations/bulk", "unread", unread).await.unwrap();
        assert_eq!(refused.text("/code"), Some("search_invalid"), "{}", refused.body);
        let keyless = stage.api.post("/conversations/bulk", json!({ "ids": ids, "status": { "status": "open" } })).await.unwrap();
        assert_eq!(keyless.text("/code"), Some("idempotency_key_missing"));
        stage.strike().await;
    }
}

both_databases! {
    /// Stopping twice is stopping once, however far the job came meanwhile.
    async fn a_job_that_was_stopped_stays_so(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let lines: Vec<String> = (0..8_000).map(|n| format!("Person {n},+49155{n:08}")).collect();
        let body = json!({ "csv": format!("display_name,phone\n{}", lines.join("\n")) });
        let job = stage.api.post_once("/contacts/import", "long", body).await.unwrap().expect(202).unwrap().body;
        let cancel = format!("/jobs/{}/cancel", job["id"].as_str().unwrap());
        stage.api.post(&cancel, json!({})).await.unwrap().expect(200).unwrap();
        stage.api.post(&cancel, json!({})).await.unwrap().expect(200).unwrap();
        let stopped = ended(&stage, &job).await;
        assert_eq!(stopped["state"], "canceled", "{stopped}");
        let again = stage.api.post(&cancel, json!({})).await.unwrap().expect(200).unwrap().body;
        assert_eq!(again, stopped, "nothing more happened");
        stage.strike().await;
    }
}
