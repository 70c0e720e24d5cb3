//! Generated from the document: every operation asks for a token, for its role, and for an id of its own workspace.

use reqwest::Method;
use serde_json::{Map, Value, json};
use transom_domain::Role;
use transom_server::api::{self, roles};
use transom_server::http::schema::Document;

use super::support::{Bench, Client};

struct Operation {
    id: &'static str,
    method: Method,
    path: &'static str,
    body: Option<Value>,
}

/// Every operation with the smallest body that it reads.
fn operations() -> Vec<Operation> {
    let document = Document::new(api::document());
    document
        .operations()
        .map(|(path, method, operation)| Operation {
            id: operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no id")),
            method: method.to_uppercase().parse().unwrap(),
            path,
            body: document.body_of(operation).map(|schema| smallest(document, schema)),
        })
        .collect()
}

/// The smallest value of a schema.
fn smallest(document: Document<'static>, schema: &'static Value) -> Value {
    let schema = document.resolve(schema);
    if let Some(first) = ["allOf", "oneOf", "anyOf"].iter().find_map(|kind| schema[*kind].get(0)) {
        return smallest(document, first);
    }
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let field = |name: &str| (name.to_owned(), smallest(document, &schema["properties"][name]));
            Value::Object(required.map(field).collect::<Map<_, _>>())
        }
        Some("array") => json!([]),
        Some("string") => match schema["format"].as_str() {
            Some("uuid") => json!(UNKNOWN),
            Some("date-time") => json!("2026-11-20T10:00:00Z"),
            _ => json!("x".repeat(usize::try_from(schema["minLength"].as_u64().unwrap_or(1)).unwrap())),
        },
        Some("boolean") => json!(true),
        _ => json!(1),
    }
}

const UNKNOWN: &str = "0192e4a0-7b5a-7c3e-8f00-000000000001";

fn filled(path: &str, id: &str) -> String {
    path.replace("{id}", id).replace("{name}", "whatsapp")
}

async fn ask(client: &Client, operation: &Operation, id: &str) -> super::support::Reply {
    let body = operation.body.as_ref().map(|body| body.to_string().into_bytes());
    client.call(operation.method.clone(), &filled(operation.path, id), body, &[]).await
}

#[test]
fn every_operation_has_a_row_in_the_table_of_roles() {
    let operations = operations();
    for operation in &operations {
        assert!(roles::row(operation.id).is_some(), "{} is missing in api/roles.rs", operation.id);
    }
    for (id, _) in roles::OPERATIONS {
        assert!(operations.iter().any(|operation| operation.id == *id), "{id} is no operation");
    }
}

#[tokio::test]
async fn nobody_does_anything_without_a_token() {
    let bench = Bench::start().await;
    let nobody = bench.admin.with_token("trn_nobody");
    for operation in operations() {
        ask(&nobody, &operation, UNKNOWN).await.refused(401, "unauthenticated");
    }
    bench.stop().await;
}

#[tokio::test]
async fn every_role_may_what_the_table_says_and_no_more() {
    let bench = Bench::start().await;
    for role in Role::ALL {
        let client = bench.client(role.as_str()).await;
        for operation in operations() {
            if operation.id == "followEvents" {
                continue; // It has no end: events.rs follows it.
            }
            let (_, action) = roles::row(operation.id).unwrap();
            let may = action.is_none_or(|action| action.roles().contains(&role));
            let reply = ask(&client, &operation, UNKNOWN).await;
            let refused = reply.status == 403;
            assert_eq!(refused, !may, "{} as {}: {}", operation.id, role.as_str(), reply.body);
        }
    }
    bench.stop().await;
}

#[tokio::test]
async fn foreign_ids_are_unknown_ids() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let conversation = bench.hears(&account, "Mara", "+4915550100001", "hello").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (conversation_id, contact) = (text(&conversation["id"]), text(&conversation["contact"]));
    let messages = bench.admin.get(&format!("/conversations/{conversation_id}/messages")).await.expect(200);
    let me = bench.admin.get("/me").await.expect(200);
    let connections = bench.admin.get("/connections").await.expect(200);
    let team = bench.admin.post("/teams", json!({ "name": "North" })).await.expect(201);
    let ours = [
        ("/conversations/", conversation_id.clone()),
        ("/contacts/", contact.clone()),
        ("/messages/", text(&messages["items"][0]["id"])),
        ("/channels/", account.id.clone()),
        ("/connections/", text(&connections["items"][0]["id"])),
        ("/agents/", text(&me["agent"]["id"])),
        ("/tokens/", text(&me["token"])),
        ("/attachments/", text(&super::attachments::upload(&bench.admin, "a.txt", b"text").await["id"])),
    ];
    let eve = bench.neighbour().await;
    let mut checked = 0;
    for operation in operations().iter().filter(|operation| operation.path.contains("{id}")) {
        let (_, id) = ours
            .iter()
            .find(|(prefix, _)| operation.path.starts_with(prefix))
            .unwrap_or_else(|| panic!("{} has an id of a kind that this test does not know", operation.path));
        ask(&eve, operation, id).await.refused(404, "not_found");
        checked += 1;
    }
    assert!(checked > 20, "{checked}");

    // The same ids in filters and bodies.
    for (name, id) in [
        ("channel", &account.id),
        ("contact", &contact),
        ("assignee", &text(&me["agent"]["id"])),
        ("team", &text(&team["id"])),
    ] {
        eve.get(&format!("/conversations?{name}={id}")).await.refused(404, "not_found");
    }
    let own = eve.post("/contacts", json!({ "display_name": "Nora", "phone": "+4915550100009" })).await.expect(201);
    let body = json!({ "channel": account.id, "message": { "text": "hello" } });
    eve.post(&format!("/contacts/{}/messages", text(&own["id"])), body).await.refused(404, "not_found");
    eve.post("/teams", json!({ "name": "T", "members": [me["agent"]["id"]] })).await.refused(404, "not_found");
    eve.post("/tokens", json!({ "agent": me["agent"]["id"], "name": "t" })).await.refused(404, "not_found");
    let settings = json!({ "bot_token": "1:AA", "secret_token": "x" });
    let body = json!({ "platform": "whatsapp", "connection": connections["items"][0]["id"], "settings": settings, "check": false });
    eve.post("/channels", body).await.refused(404, "not_found");
    let assignee = json!({ "agent": eve.get("/me").await.expect(200)["agent"]["id"] });
    bench.admin.post(&format!("/conversations/{conversation_id}/assignee"), assignee).await.refused(404, "not_found");
    assert_eq!(
        bench.admin.get(&format!("/conversations/{conversation_id}")).await.expect(200)["version"],
        conversation["version"]
    );
    bench.stop().await;
}

#[tokio::test]
async fn no_smallest_body_is_a_fault_of_ours() {
    let bench = Bench::start().await;
    for operation in operations().iter().filter(|operation| operation.id != "followEvents") {
        // The client fails the test on any status that the document lacks, and on every 5xx but 502.
        ask(&bench.admin, operation, UNKNOWN).await;
        for wrong in [json!(null), json!([]), json!({ "workspace": UNKNOWN }), json!("x")] {
            if operation.body.is_some() {
                let odd = Operation {
                    id: operation.id,
                    method: operation.method.clone(),
                    path: operation.path,
                    body: Some(wrong),
                };
                let reply = ask(&bench.admin, &odd, UNKNOWN).await;
                assert_eq!(reply.status, 400, "{}: {}", operation.id, reply.body);
            }
        }
    }
    bench.stop().await;
}
