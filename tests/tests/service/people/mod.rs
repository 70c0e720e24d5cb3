//! Contacts beyond their defaults: fields, labels, saved replies, history, merge, consent; over real HTTP, on both databases.

mod consents;
mod fields;
mod merging;
mod replies;

use serde_json::{Value, json};
use transom_domain::SettableClock;
use transom_sandbox::NewCustomer;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Api, Stage};

/// Mara, who writes over several channels.
const MARA: &str = "+4915550100001";

/// The API, and the short ways to ask it.
struct Desk {
    stage: Stage,
}

impl Desk {
    async fn open(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.control().create_customer(NewCustomer::named("mara", "Mara Klein", MARA)).unwrap();
        Self { stage }
    }

    fn api(&self) -> &Api {
        &self.stage.api
    }

    fn channel(&self, platform: &str) -> String {
        self.stage.world.account(platform).unwrap().ours.id.to_string()
    }

    /// Mara writes; her contact and the conversation there.
    async fn hears(&self, platform: &str, text: &str) -> (String, String) {
        let account = self.stage.world.account(platform).unwrap().at_sandbox.clone();
        self.stage.world.control().writes(&account, "mara", text).unwrap();
        self.stage.quiet().await.unwrap();
        let channel = self.channel(platform);
        let list = self.get(&format!("/conversations?channel={channel}")).await;
        let found = &list["items"][0];
        (found["contact"].as_str().unwrap().to_owned(), found["id"].as_str().unwrap().to_owned())
    }

    async fn get(&self, path: &str) -> Value {
        self.api().get(path).await.and_then(|reply| reply.expect(200)).unwrap().body
    }

    async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        self.api().post(path, body).await.and_then(|reply| reply.expect(status)).unwrap().body
    }

    async fn patch(&self, path: &str, body: Value) -> Value {
        self.api().patch(path, body).await.and_then(|reply| reply.expect(200)).unwrap().body
    }

    async fn put(&self, path: &str) -> Value {
        self.api().put(path, None).await.and_then(|reply| reply.expect(200)).unwrap().body
    }

    async fn delete(&self, path: &str, status: u16) -> Value {
        self.api().delete(path).await.and_then(|reply| reply.expect(status)).unwrap().body
    }

    async fn add(&self, body: Value) -> String {
        self.post("/contacts", body, 201).await["id"].as_str().unwrap().to_owned()
    }
}

/// An answer that refuses.
#[track_caller]
fn refused(answer: transom_tests::Reply, status: u16, code: &str) -> Value {
    assert_eq!((answer.status, answer.text("/code")), (status, Some(code)), "{}", answer.body);
    answer.body
}

/// The values of a contact's own fields, by name.
fn values(contact: &Value) -> Value {
    let fields = contact["fields"].as_array().unwrap().iter();
    Value::Object(fields.map(|field| (field["name"].as_str().unwrap().to_owned(), field["value"].clone())).collect())
}

/// The names in a list.
fn names(list: &Value) -> Value {
    json!(list["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect::<Vec<_>>())
}
