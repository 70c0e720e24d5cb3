//! Letters to one and to further readers, and who wants no more mail gets answers and nothing else: over real
//! HTTP, against the sandbox's mail provider, on both databases.

use serde_json::{Value, json};
use transom_desk::unsubscribe;
use transom_domain::{ContactId, ConversationId, Role, SettableClock};
use transom_sandbox::{Act, NewCustomer};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::Stage;

/// Mara wrote once.
struct Desk {
    stage: Stage,
    contact: ContactId,
    conversation: ConversationId,
}

impl Desk {
    async fn open(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let account = stage.world.account("email").unwrap().at_sandbox.clone();
        stage.world.control().create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
        let act = Act::Other { kind: "mail".into(), data: json!({ "subject": "Order 7", "text": "Where is it?" }) };
        stage.world.control().act(&account, "mara", act).unwrap();
        let (contact, conversation) = stage.world.conversation_with("email", "Mara Klein").await.unwrap();
        Self { stage, contact, conversation }
    }

    fn letters(&self) -> usize {
        self.stage.world.control().ledger().iter().filter(|send| send.customer == "mara").count()
    }

    /// A letter that begins a thread: the code of the refusal, if it is refused.
    async fn new_thread(&self) -> Option<String> {
        let channel = self.stage.world.account("email").unwrap().ours.id;
        let body = json!({ "channel": channel, "message": { "subject": "Our sale", "text": "Everything is green." } });
        self.sent(&format!("/contacts/{}/messages", self.contact), body).await
    }

    async fn answer(&self) -> Option<String> {
        let path = format!("/conversations/{}/messages", self.conversation);
        self.sent(&path, json!({ "type": "reply", "text": "It left today." })).await
    }

    async fn sent(&self, path: &str, body: Value) -> Option<String> {
        let before = self.letters();
        let reply = self.stage.api.post(path, body).await.unwrap();
        if reply.status != 202 {
            assert_eq!((reply.status, self.letters()), (409, before), "{}", reply.body);
            return reply.text("/code").map(str::to_owned);
        }
        let message = self.stage.settled(reply.text("/id").unwrap()).await.unwrap();
        assert_eq!((message["state"].as_str(), self.letters()), (Some("sent"), before + 1), "{message}");
        None
    }
}

both_databases! {
    async fn who_complained_is_answered_and_not_written_to(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let account = desk.stage.world.account("email").unwrap().at_sandbox.clone();
        assert_eq!(desk.new_thread().await, None);
        assert_eq!(desk.answer().await, None);
        desk.stage.world.control().act(&account, "mara", Act::Block).unwrap();
        desk.stage.quiet().await.unwrap();
        assert_eq!(desk.new_thread().await.as_deref(), Some("answers_only"));
        assert_eq!(desk.answer().await, None);

        // Into a thread in which only we wrote it would be no answer either.
        let all = desk.stage.api.get(&format!("/conversations?contact={}", desk.contact)).await.unwrap().expect(200).unwrap();
        let ours = all.body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned());
        let ours = ours.into_iter().find(|id| *id != desk.conversation.to_string()).unwrap();
        let again = json!({ "type": "reply", "text": "Still interested?" });
        assert_eq!(desk.sent(&format!("/conversations/{ours}/messages"), again).await.as_deref(), Some("answers_only"));
        desk.stage.strike().await;
    }
}

both_databases! {
    /// RFC 8058: looking changes nothing, one post does, without sign-in, and nobody can make such an address.
    async fn one_click_ends_unsolicited_mail(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let (world, base) = (&desk.stage.world, desk.stage.world.server.base_url());
        let reader = world.desk().storage().reader(&world.caller.scope);
        let identity = reader.conversation(desk.conversation).await.unwrap().unwrap().conversation.identity;
        let own = base.parse().unwrap();
        let link = unsubscribe::link_under(world.desk(), &own, &world.caller.scope, identity).unwrap().to_string();
        assert!(link.starts_with(&format!("{base}/unsubscribe/")), "{link}");
        let http = transom_tests::http();
        let click = [("List-Unsubscribe", "One-Click")];

        let page = http.get(&link).send().await.unwrap();
        assert_eq!((page.status().as_u16(), page.headers()["content-type"].to_str().unwrap()), (200, "text/html; charset=utf-8"));
        let page = page.text().await.unwrap();
        assert!(page.contains("<form method=\"post\">") && page.contains("<button>"), "{page}");
        let empty = http.post(&link).form(&[("a", "b")]).send().await.unwrap();
        assert_eq!(empty.status().as_u16(), 400);
        for wrong in [link.replace("signature=", "signature=A"), link.split('?').next().unwrap().to_owned()] {
            assert_eq!(http.get(&wrong).send().await.unwrap().status().as_u16(), 404);
            assert_eq!(http.post(&wrong).form(&click).send().await.unwrap().status().as_u16(), 404);
        }
        assert_eq!(desk.new_thread().await, None, "nobody has said so yet");

        for _ in 0..2 {
            assert_eq!(http.post(&link).form(&click).send().await.unwrap().status().as_u16(), 200);
        }
        let consents = desk.stage.api.get(&format!("/contacts/{}/consents", desk.contact)).await.unwrap().expect(200).unwrap();
        let records = consents.body["records"].as_array().unwrap().clone();
        let said: Vec<_> = records.iter().map(|record| (&record["scope"], &record["state"], &record["source"])).collect();
        assert_eq!(said, [(&json!("marketing"), &json!("opted_out"), &json!("platform"))], "said twice it is the same");
        assert_eq!(desk.new_thread().await.as_deref(), Some("answers_only"));
        assert_eq!(desk.answer().await, None);
        desk.stage.strike().await;
    }
}

both_databases! {
    /// a new thread needs a subject; who sends is chosen, who else reads is said, and nobody sees the hidden ones but
    /// our own people; an answer keeps the subject.
    async fn a_thread_has_a_subject_a_sender_and_hidden_readers(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let (stage, control) = (&desk.stage, desk.stage.world.control());
        let account = stage.world.account("email").unwrap().clone();
        for (id, name, phone) in [("kim", "Kim Berg", "+4915550100002"), ("lena", "Lena Roth", "+4915550100003")] {
            control.create_customer(NewCustomer::named(id, name, phone)).unwrap();
        }
        let (kim, lena, mara) = ("kim@example.test", "lena@example.test", "mara@example.test");
        let (bea, api) = stage.agent("Bea", Role::Agent).await.unwrap();
        let get = async |path: &str| api.get(path).await.unwrap().expect(200).unwrap().body;
        let senders = get(&format!("/channels/{}/senders", account.ours.id)).await;
        let senders = senders["items"].as_array().unwrap().clone();
        let sender = senders.iter().find(|sender| sender["default"] == false).unwrap()["address"].as_str().unwrap();

        let path = format!("/contacts/{}/messages", desk.contact);
        let write = async |message: &Value| {
            api.post(&path, json!({ "channel": account.ours.id, "message": message })).await.unwrap()
        };
        let mut letter = json!({ "text": "It is ready.", "from": sender, "cc": [kim], "bcc": [lena] });
        let refused = write(&letter).await;
        assert_eq!((refused.status, refused.text("/code"), desk.letters()), (422, Some("subject_required"), 0));
        letter["subject"] = json!("Your offer");
        let sent = write(&letter).await.expect(202).unwrap();
        stage.settled(sent.text("/id").unwrap()).await.unwrap();
        let conversation = format!("/conversations/{}", sent.text("/conversation").unwrap());
        assert_ne!(sent.text("/conversation").unwrap(), desk.conversation.to_string(), "a thread of its own");

        let ledger = control.ledger();
        let reached: Vec<(&str, &str)> = ledger.iter().map(|send| (send.customer.as_str(), send.recipient.as_str())).collect();
        let hers = format!("{mara}, {kim}");
        assert_eq!(reached, [("mara", hers.as_str()), ("lena", lena)], "one envelope for who may know of each other");
        for send in &ledger {
            assert_eq!((&send.body["subject"], &send.body["cc"]), (&json!("Your offer"), &json!([kim])), "{}", send.body);
            let from = send.body["from"][0].as_str().unwrap();
            assert!(from.ends_with(&format!("<{sender}>")), "{from}");
            // Her own envelope has to name her; what she and the others read does not.
            let mut shown = send.body.clone();
            if send.customer == "lena" {
                shown.as_object_mut().unwrap().remove("envelope");
            }
            assert!(!shown.to_string().to_lowercase().contains("lena"), "{shown}");
        }

        let history = get(&format!("/contacts/{}/history", desk.contact)).await;
        let ours = history["items"].as_array().unwrap().iter().find(|item| item["content"]["text"] == "It is ready.").unwrap();
        assert_eq!((&ours["content"]["bcc"], &ours["content"]["cc"]), (&json!([lena]), &json!([kim])), "{ours}");
        assert_eq!((&ours["content"]["from"], &ours["author"]["agent"]), (&json!(sender), &json!(bea)), "{ours}");

        // She answers into the thread, and is answered there: the subject stays, and so does who writes.
        control.act(&account.at_sandbox, "mara", Act::Text { text: "What does it cost?".into() }).unwrap();
        stage.quiet().await.unwrap();
        let answers = get(&format!("{conversation}/messages")).await;
        assert!(answers["items"].as_array().unwrap().iter().any(|item| item["content"]["text"] == "What does it cost?"), "{answers}");
        let answer = json!({ "type": "reply", "text": "Nothing." });
        let sent = api.post(&format!("{conversation}/messages"), answer).await.unwrap().expect(202).unwrap();
        let message = stage.settled(sent.text("/id").unwrap()).await.unwrap();
        assert_eq!(message["content"]["subject"], "Re: Your offer", "{message}");
        let ledger = control.ledger();
        let answer = ledger.last().unwrap();
        assert_eq!((answer.customer.as_str(), &answer.body["subject"]), ("mara", &json!("Re: Your offer")));
        assert!(answer.body["from"][0].as_str().unwrap().contains(sender), "{}", answer.body);
        assert!(!answer.body.to_string().to_lowercase().contains("lena"), "{}", answer.body);
        desk.stage.strike().await;
    }
}
