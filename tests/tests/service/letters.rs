//! Who wants no more mail gets answers and nothing else: over real HTTP, against the sandbox's mail provider, on both
//! databases.

use serde_json::{Value, json};
use transom_desk::unsubscribe;
use transom_domain::{ContactId, ConversationId, SettableClock};
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
