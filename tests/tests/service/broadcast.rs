//! Broadcasts: over real HTTP, on both databases.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use time::Duration;
use time::format_description::well_known::Rfc3339;
use transom_desk::broadcast;
use transom_domain::SettableClock;
use transom_sandbox::{AccountPatch, Act, NewCustomer};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Stage, Trouble};

/// A crowd on WhatsApp.
struct Crowd {
    stage: Stage,
    channel: Value,
    account: String,
}

impl Crowd {
    async fn gather(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.add_templates().await.unwrap();
        let found = stage.world.account("whatsapp").unwrap().clone();
        let unpaced = AccountPatch { settings: Some(json!({ "pacing": false })), ..AccountPatch::default() };
        stage.world.control().patch_account(&found.at_sandbox, unpaced).unwrap();
        Self { channel: json!(found.ours.id), account: found.at_sandbox, stage }
    }

    /// A contact with a number on WhatsApp; who it is.
    async fn contact(&self, index: usize, more: Value) -> String {
        let phone = format!("+491555060{index:04}");
        let (id, name) = (format!("crowd-{index}"), format!("Person {index}"));
        self.stage.world.control().create_customer(NewCustomer::named(&id, &name, &phone)).unwrap();
        let mut body = json!({ "display_name": name, "phone": phone });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.post("/contacts", body, 201).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// So many contacts, each with a first name.
    async fn contacts(&self, count: usize) -> Vec<String> {
        let mut contacts = Vec::with_capacity(count);
        for index in 0..count {
            contacts.push(self.contact(index, json!({ "first_name": "Ann" })).await);
        }
        contacts
    }

    /// Somebody who has just written, as `crowd-0`.
    async fn writer(&self) -> String {
        self.stage.world.control().create_customer(NewCustomer::named("crowd-0", "Ann Lee", "+4915550600000")).unwrap();
        self.stage.world.control().writes(&self.account, "crowd-0", "hello").unwrap();
        let (contact, _) = self.stage.world.conversation_with("whatsapp", "Ann Lee").await.unwrap();
        let name = json!({ "first_name": "Ann" });
        self.stage.api.patch(&format!("/contacts/{contact}"), name).await.unwrap().expect(200).unwrap();
        contact.to_string()
    }

    async fn opts_out(&self, contact: &str, scope: &str) {
        let body = json!({ "channel": self.channel, "scope": scope, "state": "opted_out", "source": "phone call" });
        self.stage.api.put(&format!("/contacts/{contact}/consents"), Some(body)).await.unwrap().expect(200).unwrap();
    }

    async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        self.stage.api.post(path, body).await.unwrap().expect(status).unwrap().body
    }

    async fn get(&self, path: &str) -> Value {
        self.stage.api.get(path).await.unwrap().expect(200).unwrap().body
    }

    async fn draft(&self, contacts: &[String], more: Value) -> String {
        let mut body = json!({ "name": "News", "channel": self.channel, "content": template(),
            "audience": { "contacts": contacts }, "promotional": false });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.post("/broadcasts", body, 201).await;
        assert_eq!(made["state"], "draft");
        made["id"].as_str().unwrap().to_owned()
    }

    async fn start(&self, id: &str) {
        let started = self.stage.api.post_once(&format!("/broadcasts/{id}/start"), "go", json!({})).await.unwrap();
        started.expect(202).unwrap();
    }

    async fn stands(&self, id: &str, state: &str) -> Value {
        let path = format!("/broadcasts/{id}");
        let look = || async { Ok(Some(self.get(&path).await).filter(|now| now["broadcast"]["state"] == state)) };
        self.patiently(&format!("the broadcast is {state}"), look).await
    }

    /// How the only recipient of a broadcast stands once it is started and done, and why.
    async fn only_recipient(&self, id: &str) -> (String, String) {
        self.start(id).await;
        let detail = self.stands(id, "done").await;
        let [one] = &detail["counts"].as_array().unwrap()[..] else { panic!("{detail}") };
        (one["state"].as_str().unwrap().to_owned(), one["reason"].as_str().unwrap_or_default().to_owned())
    }

    /// How many got it, once that many did.
    async fn reached(&self, count: usize) {
        let look = || async { Ok((self.got().len() >= count).then_some(())) };
        self.patiently(&format!("{count} are reached"), look).await;
        assert_eq!(self.got().len(), count);
    }

    /// A crowd takes its time where many tests run at once.
    async fn patiently<T, F: Future<Output = Result<Option<T>, Trouble>>>(
        &self,
        what: &str,
        mut look: impl FnMut() -> F,
    ) -> T {
        for _ in 0..4 {
            if let Ok(found) = self.stage.world.until(what, &mut look).await {
                return found;
            }
        }
        self.stage.world.until(what, look).await.unwrap()
    }

    /// How many messages each customer got.
    fn got(&self) -> BTreeMap<String, usize> {
        let mut got = BTreeMap::new();
        for send in self.stage.world.control().ledger() {
            *got.entry(send.customer).or_insert(0) += 1;
        }
        got
    }

    /// So many messages have left.
    async fn settles(&self, id: &str, count: u64) {
        let look = || async { Ok((self.count(id, &GONE).await == count).then_some(())) };
        self.stage.world.until(&format!("{count} have left"), look).await.unwrap();
        self.stage.quiet().await.unwrap();
    }

    /// How many recipients stand so, whatever the reason.
    async fn count(&self, id: &str, states: &[&str]) -> u64 {
        let detail = self.get(&format!("/broadcasts/{id}")).await;
        let counts = detail["counts"].as_array().unwrap().iter();
        counts
            .filter(|one| states.contains(&one["state"].as_str().unwrap()))
            .map(|one| one["count"].as_u64().unwrap())
            .sum()
    }
}

fn template() -> Value {
    json!({ "template": { "name": "order_update", "language": "en_US", "parameters": { "body": ["{{ first_name }}", "B-7"] } } })
}

const GONE: [&str; 4] = ["sent", "delivered", "read", "unknown"];

both_databases! {
    /// two hundred with mixed rights; the rehearsal says what becomes of whom, and so it happens.
    async fn two_hundred_with_mixed_rights_get_it_once_or_are_told_why_not(db: TestDatabase) {
        const CROWD: usize = 200;
        let crowd = Crowd::gather(db).await;
        let mut contacts = Vec::new();
        for index in 0..CROWD {
            // Every tenth has no first name, every tenth is blocked, every tenth wants nothing from us any more.
            let more = if index % 10 == 3 { json!({}) } else { json!({ "first_name": format!("P{index}") }) };
            contacts.push(crowd.contact(index, more).await);
            if index % 10 == 7 {
                crowd.post(&format!("/contacts/{}/block", contacts[index]), json!({}), 200).await;
            }
            if index % 10 == 9 {
                crowd.opts_out(&contacts[index], "all").await;
            }
        }
        let id = crowd.draft(&contacts, json!({})).await;
        let preview = crowd.post(&format!("/broadcasts/{id}/preview"), json!({}), 200).await;
        assert_eq!((&preview["looked_at"], &preview["complete"], &preview["requests"]), (&json!(200), &json!(true), &json!(140)));
        assert_eq!(preview["permitted"][0]["permit"]["basis"], "template", "{preview}");
        assert_eq!((&preview["permitted"][0]["count"], &preview["permitted"].as_array().unwrap().len()), (&json!(140), &1));
        let refused: BTreeMap<&str, u64> = preview["refused"].as_array().unwrap().iter()
            .map(|one| (one["reason"].as_str().unwrap(), one["count"].as_u64().unwrap())).collect();
        let reasons = BTreeMap::from([("blocked", 20), ("opted_out", 20), ("saved_reply_fields_missing", 20)]);
        assert_eq!(refused, reasons);
        assert_eq!(crowd.get("/conversations").await["items"], json!([]), "nothing is stored");
        assert_eq!(crowd.got(), BTreeMap::new());

        crowd.start(&id).await;
        crowd.stands(&id, "done").await;
        crowd.reached(140).await;
        crowd.settles(&id, 140).await;
        let got = crowd.got();
        assert!(got.values().all(|count| *count == 1), "{got:?}");
        assert!(!["crowd-3", "crowd-7", "crowd-9"].iter().any(|left_out| got.contains_key(*left_out)));
        let detail = crowd.get(&format!("/broadcasts/{id}")).await;
        let left_out: BTreeMap<&str, u64> = detail["counts"].as_array().unwrap().iter()
            .filter(|one| one["state"] == "not_sent")
            .map(|one| (one["reason"].as_str().unwrap(), one["count"].as_u64().unwrap())).collect();
        assert_eq!(left_out, reasons, "as the rehearsal said");
        let page = crowd.get(&format!("/broadcasts/{id}/recipients?state=not_sent&limit=50")).await;
        let next = page["next_cursor"].as_str().unwrap();
        let rest = crowd.get(&format!("/broadcasts/{id}/recipients?state=not_sent&limit=50&cursor={next}")).await;
        let listed = [&page, &rest].map(|page| page["items"].as_array().unwrap().len());
        assert_eq!(listed, [50, 10]);

        // it changes neither status nor assignee, and says of which broadcast it is.
        let conversation = crowd.get(&format!("/conversations?contact={}", contacts[0])).await["items"][0].clone();
        assert_eq!((&conversation["status"], &conversation["assignee"]), (&json!("closed"), &json!({})));
        let messages = crowd.get(&format!("/conversations/{}/messages", conversation["id"].as_str().unwrap())).await;
        assert_eq!(messages["items"][0]["broadcast"], id);
        crowd.stage.strike().await;
    }
}

both_databases! {
    /// an answer opens for the broadcast's author, shows the message that was answered, and is counted.
    async fn an_answer_opens_for_the_author_and_is_counted(db: TestDatabase) {
        let crowd = Crowd::gather(db).await;
        let settings = json!({ "new_conversation_status": "closed" });
        crowd.stage.api.patch("/settings", settings).await.unwrap().expect(200).unwrap();
        let mut contacts = Vec::new();
        for index in 0..3 {
            contacts.push(crowd.contact(index, json!({ "first_name": "Ann" })).await);
        }
        let id = crowd.draft(&contacts, json!({})).await;
        crowd.start(&id).await;
        crowd.stands(&id, "done").await;
        crowd.reached(3).await;
        crowd.settles(&id, 3).await;
        crowd.stage.world.control().writes(&crowd.account, "crowd-1", "Tell me more").unwrap();
        crowd.stage.quiet().await.unwrap();

        let me = crowd.get("/me").await;
        let conversation = crowd.get(&format!("/conversations?contact={}", contacts[1])).await["items"][0].clone();
        assert_eq!((&conversation["status"], &conversation["assignee"]["agent"]), (&json!("open"), &me["agent"]["id"]));
        let path = format!("/conversations/{}", conversation["id"].as_str().unwrap());
        let episodes = crowd.get(&format!("{path}/episodes")).await;
        let sent = crowd.get(&format!("/broadcasts/{id}/recipients")).await;
        let sent = sent["items"].as_array().unwrap().iter().find(|one| one["contact"] == contacts[1]).unwrap().clone();
        assert_eq!((&episodes["items"][0]["cause"], &episodes["items"][0]["cause_message"]), (&json!("answer"), &sent["message"]));
        assert_eq!(sent["answered"], true);
        let detail = crowd.get(&format!("/broadcasts/{id}")).await;
        assert_eq!((&detail["recipients"], &detail["answered"]), (&json!(3), &json!(1)));
        crowd.stage.strike().await;
    }
}

both_databases! {
    /// A crash between two recipients: whoever goes on repeats nobody and forgets nobody. Several at once neither.
    async fn workers_that_die_repeat_nobody_and_forget_nobody(db: TestDatabase) {
        const CROWD: usize = 60;
        let crowd = Crowd::gather(db).await;
        let contacts = crowd.contacts(CROWD).await;
        let id = crowd.draft(&contacts, json!({})).await;
        crowd.start(&id).await;
        // Workers that die at any point of their work, beside the one that lives: one lease holds for all of this process.
        for polls in 0..60_usize {
            let desk = crowd.stage.world.desk().clone();
            let mut work = Box::pin(async move { broadcast::work(&desk).await });
            for _ in 0..polls {
                if futures_util::poll!(&mut work).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        crowd.stands(&id, "done").await;
        crowd.reached(CROWD).await;
        crowd.stage.quiet().await.unwrap();
        let got = crowd.got();
        assert!(got.values().all(|count| *count == 1), "{got:?}");
        crowd.settles(&id, 60).await;
        crowd.stage.strike().await;
    }
}

both_databases! {
    /// The service stops between two batches and starts again: each gets it once.
    async fn a_broadcast_goes_on_after_a_restart(db: TestDatabase) {
        const CROWD: usize = 30;
        let mut crowd = Crowd::gather(db).await;
        let contacts = crowd.contacts(CROWD).await;
        let id = crowd.draft(&contacts, json!({ "per_minute": 10 })).await;
        crowd.start(&id).await;
        for reached in [10, 20] {
            crowd.reached(reached).await;
            crowd.stage = crowd.stage.restarted(|| {}).await.unwrap();
            assert_eq!(crowd.get(&format!("/broadcasts/{id}")).await["broadcast"]["state"], "running");
            crowd.stage.world.clock.advance(Duration::minutes(2));
        }
        crowd.stands(&id, "done").await;
        crowd.reached(CROWD).await;
        crowd.stage.quiet().await.unwrap();
        let got = crowd.got();
        assert!(got.values().all(|count| *count == 1), "{got:?}");
        crowd.stage.strike().await;
    }
}

/// Two replicas on one PostgreSQL: both look, and when the one that works stops, the other goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_reach_each_once() {
    const CROWD: usize = 40;
    let Some(database) = TestDatabase::postgres().await else { return };
    let crowd = Crowd::gather(database).await;
    let there = crowd.stage.world.replica().await.unwrap();
    let contacts = crowd.contacts(CROWD).await;
    let id = crowd.draft(&contacts, json!({ "per_minute": 20 })).await;
    crowd.start(&id).await;
    crowd.reached(20).await;
    there.stop().await;
    crowd.stage.world.clock.advance(Duration::minutes(2));
    crowd.stands(&id, "done").await;
    crowd.reached(CROWD).await;
    crowd.stage.quiet().await.unwrap();
    let got = crowd.got();
    assert!(got.values().all(|count| *count == 1), "{got:?}");
    crowd.stage.strike().await;
}

both_databases! {
    async fn a_broadcast_waits_for_its_time_is_held_up_and_ended(db: TestDatabase) {
        const CROWD: usize = 20;
        let crowd = Crowd::gather(db).await;
        let contacts = crowd.contacts(CROWD).await;
        let at = (crowd.stage.world.now() + Duration::HOUR).format(&Rfc3339).unwrap();
        let id = crowd.draft(&contacts, json!({ "per_minute": 5, "send_at": at })).await;
        let path = format!("/broadcasts/{id}");
        let change = async |body: Value| crowd.stage.api.patch(&path, body).await.unwrap();
        assert_eq!(change(json!({ "name": "Better news" })).await.expect(200).unwrap().body["name"], "Better news");
        crowd.start(&id).await;
        let late = change(json!({ "name": "Too late" })).await;
        assert_eq!((late.status, late.text("/code")), (409, Some("broadcast_state")));
        let says = "the broadcast is `scheduled`, which does not allow this; it allows `pause`, `cancel`";
        assert_eq!(late.text("/detail"), Some(says));
        crowd.stands(&id, "scheduled").await;
        broadcast::work(crowd.stage.world.desk()).await.unwrap();
        assert_eq!(crowd.got().len(), 0, "its time has not come");

        crowd.stage.world.clock.advance(Duration::HOUR + Duration::SECOND);
        crowd.stands(&id, "running").await;
        crowd.reached(5).await;
        // The same request again, after its time: answered as the first time, and begun no second time.
        crowd.start(&id).await;
        crowd.post(&format!("{path}/pause"), json!({}), 200).await;
        crowd.stage.world.clock.advance(Duration::minutes(2));
        broadcast::work(crowd.stage.world.desk()).await.unwrap();
        crowd.stage.quiet().await.unwrap();
        assert_eq!(crowd.got().len(), 5, "five a minute, and then it was held up");

        crowd.post(&format!("{path}/resume"), json!({}), 200).await;
        crowd.reached(10).await;
        // The next five are queued while the platform can't be reached: ending it withdraws them.
        crowd.stage.world.control().refuse_connections(true).await;
        crowd.stage.world.clock.advance(Duration::minutes(2));
        let queued = || async { Ok((crowd.count(&id, &["queued"]).await == 5).then_some(())) };
        crowd.stage.world.until("five more are queued", queued).await.unwrap();
        let ended = crowd.post(&format!("{path}/cancel"), json!({}), 200).await;
        assert_eq!(ended["state"], "canceled");
        let over = crowd.post(&format!("{path}/resume"), json!({}), 409).await;
        assert_eq!(over["detail"], "the broadcast is `canceled`, which does not allow this; it has ended: make another one");
        // One that was being tried comes back, and is withdrawn then.
        let nothing_left = || async { Ok(crowd.get(&path).await["broadcast"]["ended_at"].as_str().map(|_| ())) };
        crowd.stage.world.until("all is withdrawn", nothing_left).await.unwrap();
        crowd.stage.world.control().refuse_connections(false).await;
        crowd.stage.world.clock.advance(Duration::minutes(30));
        broadcast::work(crowd.stage.world.desk()).await.unwrap();
        crowd.stage.quiet().await.unwrap();
        assert_eq!(crowd.got().len(), 10);
        assert_eq!(crowd.count(&id, &["canceled"]).await, 10);
        let withdrawn = crowd.get(&format!("{path}/recipients?state=canceled")).await;
        let withdrawn = withdrawn["items"].as_array().unwrap().iter().filter(|one| one["message"].is_string()).count();
        assert_eq!(withdrawn, 5, "those whose message was queued already");
        crowd.stage.strike().await;
    }
}

both_databases! {
    /// what promotes goes only by rights that allow it, and past nobody who opted out.
    async fn what_promotes_needs_a_right_to(db: TestDatabase) {
        let crowd = Crowd::gather(db).await;
        let contact = crowd.writer().await;
        let body = |more: Value| {
            let mut body = json!({ "name": "Sale", "channel": crowd.channel, "audience": { "contacts": [contact] } });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let refused = crowd.stage.api.post("/broadcasts", body(json!({ "content": template() }))).await.unwrap();
        assert_eq!((refused.status, refused.text("/code")), (422, Some("template_not_promotional")), "{}", refused.body);

        let sale = json!({ "content": { "text": "Sale, {{first_name}}!" } });
        let made = crowd.post("/broadcasts", body(sale.clone()), 201).await["id"].as_str().unwrap().to_owned();
        let preview = async |id: &str| crowd.post(&format!("/broadcasts/{id}/preview"), json!({}), 200).await;
        let seen = preview(&made).await;
        let permit = &seen["permitted"][0]["permit"];
        assert_eq!((&permit["basis"], &permit["promotional"]), (&json!("free_form"), &json!(true)), "{seen}");

        // They want no more of it: what promotes leaves them out, an answer of a person's does not.
        crowd.opts_out(&contact, "marketing").await;
        let seen = preview(&made).await;
        assert_eq!((&seen["permitted"], &seen["refused"][0]["reason"]), (&json!([]), &json!("opted_out")), "{seen}");
        let agreed = json!({ "channel": crowd.channel, "scope": "marketing", "state": "opted_in", "source": "phone call" });
        let path = format!("/contacts/{contact}/consents");
        crowd.stage.api.put(&path, Some(agreed)).await.unwrap().expect(200).unwrap();

        // The window closes between the preview and the start: no free text, whatever the preview said.
        crowd.stage.world.clock.advance(Duration::hours(25));
        assert_eq!(crowd.only_recipient(&made).await, ("not_sent".into(), "template_required".into()));

        // It closes between the queue and the wire.
        crowd.stage.world.control().writes(&crowd.account, "crowd-0", "hello again").unwrap();
        crowd.stage.quiet().await.unwrap();
        let made = crowd.post("/broadcasts", body(sale), 201).await["id"].as_str().unwrap().to_owned();
        crowd.stage.world.control().refuse_connections(true).await;
        crowd.start(&made).await;
        crowd.stands(&made, "done").await;
        assert_eq!(crowd.count(&made, &["queued", "sending"]).await, 1);
        crowd.stage.world.clock.advance(Duration::hours(25));
        crowd.stage.world.control().refuse_connections(false).await;
        let withheld = || async {
            // A try that was under way when the hours passed is repeated half a minute from now.
            crowd.stage.world.clock.advance(Duration::SECOND);
            Ok((crowd.count(&made, &["not_sent"]).await == 1).then_some(()))
        };
        crowd.stage.world.until("it is withheld", withheld).await.unwrap();
        crowd.stage.quiet().await.unwrap();
        assert_eq!(crowd.got(), BTreeMap::new());
        crowd.stage.strike().await;
    }
}

both_databases! {
    /// a recipient who becomes a part of another contact gets it all the same, once, and is counted as before.
    async fn who_is_merged_meanwhile_is_not_forgotten(db: TestDatabase) {
        let crowd = Crowd::gather(db).await;
        let contacts = crowd.contacts(2).await;
        let id = crowd.draft(&contacts, json!({ "per_minute": 1 })).await;
        let path = format!("/broadcasts/{id}");
        crowd.start(&id).await;
        crowd.reached(1).await;
        crowd.settles(&id, 1).await;
        crowd.post(&format!("{path}/pause"), json!({}), 200).await;
        let listed = crowd.get(&format!("{path}/recipients")).await["items"].as_array().unwrap().clone();
        let of_state = |waits: bool| {
            let one = listed.iter().find(|one| (one["state"] == "waiting") == waits).unwrap();
            one["contact"].as_str().unwrap().to_owned()
        };
        let mut now = Vec::new();
        for (waits, name) in [(true, "Ada"), (false, "Bea")] {
            let kept = crowd.post("/contacts", json!({ "display_name": name, "external_id": name }), 201).await;
            let kept = kept["id"].as_str().unwrap().to_owned();
            crowd.post(&format!("/contacts/{kept}/merge"), json!({ "from": of_state(waits) }), 201).await;
            now.push(kept);
        }
        crowd.post(&format!("{path}/resume"), json!({}), 200).await;
        crowd.stage.world.clock.advance(Duration::minutes(2));
        crowd.stands(&id, "done").await;
        crowd.reached(2).await;
        crowd.settles(&id, 2).await;
        let listed = crowd.get(&format!("{path}/recipients")).await;
        let listed: Vec<&str> = listed["items"].as_array().unwrap().iter().map(|one| one["contact"].as_str().unwrap()).collect();
        now.sort();
        assert_eq!(listed, now);
        assert_eq!(crowd.got().into_values().collect::<Vec<_>>(), [1, 1]);
        crowd.stage.strike().await;
    }
}

both_databases! {
    /// A channel that is switched off, and a limit of the last 24 hours that is used up, leave nobody out: the broadcast is held up,
    /// says why, and goes on.
    async fn what_stops_everybody_holds_the_broadcast_up(db: TestDatabase) {
        let crowd = Crowd::gather(db).await;
        let contacts = crowd.contacts(5).await;
        let channel = format!("/channels/{}", crowd.channel.as_str().unwrap());
        let switch = async |body: Value| crowd.stage.api.patch(&channel, body).await.unwrap().expect(200).unwrap();
        switch(json!({ "limits": { "messaging_limit": 3 } })).await;
        let id = crowd.draft(&contacts, json!({ "per_minute": 2 })).await;
        let path = format!("/broadcasts/{id}");
        crowd.start(&id).await;
        crowd.settles(&id, 2).await;

        switch(json!({ "enabled": false })).await;
        crowd.stage.world.clock.advance(Duration::minutes(2));
        let paused = crowd.stands(&id, "paused").await;
        assert_eq!(paused["broadcast"]["held"], json!({ "because": "account_disabled" }), "{paused}");
        assert_eq!(crowd.count(&id, &["waiting"]).await, 3, "nobody is left out");
        switch(json!({ "enabled": true })).await;
        let resumed = crowd.post(&format!("{path}/resume"), json!({}), 200).await;
        assert_eq!((&resumed["state"], resumed.get("held")), (&json!("running"), None));

        // One more, and the limit of three people a day is used up.
        crowd.settles(&id, 3).await;
        crowd.stage.world.clock.advance(Duration::minutes(2));
        let held = || async { Ok(crowd.get(&path).await["broadcast"].get("held").cloned()) };
        let held = crowd.stage.world.until("the broadcast is held up", held).await.unwrap();
        assert_eq!(held["because"], "quota_used", "{held}");
        assert!(transom_tests::instant(&held["until"]).unwrap() > crowd.stage.world.now() + Duration::hours(23), "{held}");
        assert_eq!((crowd.count(&id, &["waiting"]).await, crowd.count(&id, &["not_sent"]).await), (2, 0));
        crowd.stage.world.clock.advance(Duration::hours(24));
        let done = crowd.stands(&id, "done").await;
        assert_eq!(done["broadcast"].get("held"), None, "{done}");
        crowd.reached(5).await;
        crowd.settles(&id, 5).await;
        crowd.stage.strike().await;
    }
}

/// The worker is handed to tasks: it must be able to move between threads.
#[test]
fn the_worker_can_be_spawned() {
    fn is_send<T: Send + 'static>(_: T) {}
    fn check(desk: Arc<transom_desk::Desk>) {
        is_send(async move { broadcast::work(&desk).await });
    }
    let _ = check;
}

both_databases! {
    /// By mail: a letter to many says how to get no more, and who says so is left out of the next one (RFC 2369, R-512).
    async fn letters_to_many_say_how_to_get_no_more(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let email = stage.world.account("email").unwrap().clone();
        let control = stage.world.control();
        for (id, name, phone) in [("mara", "Mara Klein", "+4915550100001"), ("rudi", "Rudi Kurz", "+4915550100002")] {
            control.create_customer(NewCustomer::named(id, name, phone)).unwrap();
            let act = Act::Other { kind: "mail".into(), data: json!({ "subject": "Order 7", "text": "Where is it?" }) };
            control.act(&email.at_sandbox, id, act).unwrap();
            let (contact, _) = stage.world.conversation_with("email", name).await.unwrap();
            stage.api.put(&format!("/contacts/{contact}/labels/reader"), None).await.unwrap().expect(200).unwrap();
            let agreed = json!({ "channel": email.ours.id, "scope": "marketing", "state": "opted_in", "source": "form" });
            stage.api.put(&format!("/contacts/{contact}/consents"), Some(agreed)).await.unwrap().expect(200).unwrap();
        }
        let run = async |audience: Value| {
            let body = json!({ "name": "Letter", "channel": email.ours.id, "audience": audience,
                "content": { "subject": "Spring, {{name}}", "text": "Everything is green." } });
            let made = stage.api.post("/broadcasts", body).await.unwrap().expect(201).unwrap().body;
            let path = format!("/broadcasts/{}", made["id"].as_str().unwrap());
            stage.api.post_once(&format!("{path}/start"), &path, json!({})).await.unwrap().expect(202).unwrap();
            let done = || async {
                let now = stage.api.get(&path).await?.expect(200)?.body;
                Ok((now["broadcast"]["state"] == "done").then_some(()))
            };
            stage.world.until("the letter is written to all", done).await.unwrap();
            let settled = || async {
                let page = stage.api.get(&format!("{path}/recipients")).await?.expect(200)?.body;
                let is_under_way = |one: &Value| one["state"] == "queued" || one["state"] == "sending";
                Ok(Some(page).filter(|page| !page["items"].as_array().unwrap().iter().any(is_under_way)))
            };
            let page = stage.world.until("all letters are sent", settled).await.unwrap();
            (path, page)
        };
        let (path, first) = run(json!({ "label": "reader" })).await;
        let states = |page: &Value| page["items"].as_array().unwrap().iter().map(|one| one["state"].clone()).collect::<Vec<_>>();
        assert_eq!(states(&first), ["sent", "sent"], "{first}");
        let subjects: Vec<Value> = control.ledger().iter().map(|send| send.body["subject"].clone()).collect();
        assert!(subjects.contains(&json!("Spring, Mara Klein")) && subjects.contains(&json!("Spring, Rudi Kurz")), "{subjects:?}");

        // A machine answers for Rudi, and Mara herself: one answered.
        let away = Act::Other { kind: "auto_reply".into(), data: json!({}) };
        control.act(&email.at_sandbox, "rudi", away).unwrap();
        control.act(&email.at_sandbox, "mara", Act::Text { text: "How green it is!".into() }).unwrap();
        stage.quiet().await.unwrap();
        let detail = stage.api.get(&path).await.unwrap().expect(200).unwrap().body;
        assert_eq!(detail["answered"], 1, "{detail}");

        // It answers where the letter says: there would be no such place otherwise.
        control.act(&email.at_sandbox, "mara", Act::OptOut).unwrap();
        let (mara, _) = stage.world.conversation_with("email", "Mara Klein").await.unwrap();
        let heard = || async {
            let now = stage.api.get(&format!("/contacts/{mara}/consents")).await?.expect(200)?.body;
            Ok(now.to_string().contains("opted_out").then_some(()))
        };
        stage.world.until("the unsubscription is known", heard).await.unwrap();
        let (_, second) = run(json!({ "filter": "label:reader" })).await;
        let mut states = states(&second);
        states.sort_by_key(Value::to_string);
        assert_eq!(states, ["not_sent", "sent"], "{second}");
        assert!(second.to_string().contains("opted_out"), "{second}");
        assert_eq!(control.ledger().len(), 3);
        stage.strike().await;
    }
}
