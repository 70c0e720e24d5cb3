//! Generated from the document: every operation asks for a token, for its role, and for ids of its own workspace, wherever
//! they stand; every one that makes something makes it once for each `Idempotency-Key`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Map, Value, json};
use transom_domain::Role;
use transom_server::api::{self, roles};
use transom_server::http::schema::Document;

use super::support::{Account, Bench, Client};

#[derive(Clone)]
struct Operation {
    id: &'static str,
    method: Method,
    path: &'static str,
    body: Option<Value>,
    /// It is refused without an `Idempotency-Key`.
    needs_key: bool,
}

impl Operation {
    /// The headers that it can't do without: a key of this request alone.
    fn headers(&self) -> Vec<(&'static str, String)> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let key = || ("idempotency-key", format!("matrix-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        self.needs_key.then(key).into_iter().collect()
    }
}

fn is_key(parameter: &Value) -> bool {
    parameter["name"].as_str().unwrap().eq_ignore_ascii_case("Idempotency-Key")
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
            body: document.body_of(operation).map(|schema| match operation["operationId"].as_str() {
                // One of two, which the document can't say.
                Some("setStatus") => json!({ "status": "open" }),
                _ => smallest(document, schema),
            }),
            needs_key: operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|one| is_key(one) && one["required"] == true),
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
    path.replace("{id}", id).replace("{name}", "whatsapp").replace("{label}", "vip").replace("{tag}", "vip")
}

async fn ask(client: &Client, operation: &Operation, id: &str) -> super::support::Reply {
    ask_at(client, operation, &filled(operation.path, id)).await
}

async fn ask_at(client: &Client, operation: &Operation, path: &str) -> super::support::Reply {
    let body = operation.body.as_ref().map(|body| body.to_string().into_bytes());
    let headers = operation.headers();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    client.call(operation.method.clone(), path, body, &headers).await
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

/// One of everything that a path can name.
struct Owned {
    by_path: Vec<(&'static str, String)>,
}

impl Owned {
    /// Of a workspace, over a channel of its own.
    async fn of(client: &Client, account: &Account, conversation: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (conversation, contact) = (text(&conversation["id"]), text(&conversation["contact"]));
        let messages = client.get(&format!("/conversations/{conversation}/messages")).await.expect(200);
        let me = client.get("/me").await.expect(200);
        let connections = client.get("/connections").await.expect(200);
        let spare = client.post("/contacts", json!({ "display_name": "Mara, again" })).await.expect(201);
        let other = client.post("/contacts", json!({ "display_name": "Mara, once more" })).await.expect(201);
        let merge =
            client.post(&format!("/contacts/{contact}/merge"), json!({ "from": other["id"] })).await.expect(201);
        let field = client.post("/custom-fields", json!({ "name": "Order num" })).await.expect(201);
        let reply =
            client.post("/saved-replies", json!({ "title": "Hours", "content": "From nine." })).await.expect(201);
        let team = client.post("/teams", json!({ "name": "Ours" })).await.expect(201);
        let rule = json!({ "name": "Everybody's own", "target": { "to": "dedicated" } });
        let rule = client.post("/assignment-rules", rule).await.expect(201);
        let by_path = vec![
            ("/teams/", text(&team["id"])),
            ("/assignment-rules/", text(&rule["id"])),
            ("/conversations/", conversation),
            ("/contacts/", contact.clone()),
            ("/messages/", text(&messages["items"][0]["id"])),
            ("/channels/", account.id.clone()),
            ("/connections/", text(&connections["items"][0]["id"])),
            ("/agents/", text(&me["agent"]["id"])),
            ("/tokens/", text(&me["token"])),
            ("/merges/", text(&merge["id"])),
            ("/spare/", text(&spare["id"])),
            ("/saved-replies/", text(&reply["id"])),
            ("/custom-fields/", text(&field["id"])),
            ("/broadcasts/", Self::broadcast(client, account, &contact).await),
            ("/webhook-endpoints/", text(&client.post("/webhook-endpoints", hook()).await.expect(201)["id"])),
            ("/attachments/", text(&super::attachments::upload(client, "a.csv", b"email\n").await["id"])),
        ];
        let mut owned = Self { by_path };
        let body = json!({ "ids": [owned.id("/conversations/")], "status": { "status": "closed" } });
        let key = [("idempotency-key", "owned")];
        let job = client.call(Method::POST, "/conversations/bulk", Some(body.to_string().into_bytes()), &key).await;
        owned.by_path.push(("/jobs/", text(&job.expect(202)["id"])));
        owned
    }

    async fn broadcast(client: &Client, account: &Account, contact: &str) -> String {
        let body = json!({ "name": "News", "channel": account.id, "content": { "text": "hello" },
            "audience": { "contacts": [contact] } });
        client.post("/broadcasts", body).await.expect(201)["id"].as_str().unwrap().to_owned()
    }

    /// The one that a path of that form names.
    fn named_in(&self, path: &str) -> &str {
        let found = self.by_path.iter().find(|(prefix, _)| path.starts_with(prefix));
        &found.unwrap_or_else(|| panic!("{path} has an id of a kind that this test does not know")).1
    }

    fn id(&self, prefix: &str) -> &str {
        self.named_in(prefix)
    }
}

/// A bench with one conversation over a channel, and all that belongs to it.
async fn furnished() -> (Bench, Account, Owned) {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let conversation = bench.hears(&account, "Mara", "+4915550100001", "hello").await;
    let mut owned = Owned::of(&bench.admin, &account, &conversation).await;
    let entry = stray(&bench, &account).await;
    for (prefix, what) in [("/quarantine/", "id"), ("/journal/", "call")] {
        owned.by_path.push((prefix, entry[what].as_str().unwrap().to_owned()));
    }
    (bench, account, owned)
}

/// A call about a number that nobody connected, in quarantine.
async fn stray(bench: &Bench, account: &Account) -> Value {
    let body = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [{ "field": "messages",
        "value": { "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": "1", "phone_number_id": "999" },
            "contacts": [{ "profile": { "name": "X" }, "wa_id": "4915550100008" }],
            "messages": [{ "from": "4915550100008", "id": "wamid.X", "timestamp": "1763600000", "type": "text",
                "text": { "body": "hello" } }] } }] }] });
    let body = body.to_string().into_bytes();
    let proof = super::webhooks::signed(account, &body);
    let headers = [("content-type", "application/json"), ("x-hub-signature-256", proof.as_str())];
    assert_eq!(bench.admin.raw(Method::POST, &account.webhook_url, body, &headers).await.status, 200);
    let look = || async { bench.admin.get("/quarantine").await.expect(200)["items"].get(0).cloned() };
    bench.until("it is in quarantine", look).await
}

/// A job that takes a while.
async fn long_job(client: &Client) -> String {
    let lines: Vec<String> = (0..4_000).map(|n| format!("Person {n},+49155{n:08}")).collect();
    let body = json!({ "csv": format!("display_name,phone\n{}", lines.join("\n")) });
    let key = [("idempotency-key", "a-long-job")];
    let begun = client.call(Method::POST, "/contacts/import", Some(body.to_string().into_bytes()), &key).await;
    begun.expect(202)["id"].as_str().unwrap().to_owned()
}

fn hook() -> Value {
    json!({ "url": "https://example.com/hook", "kinds": ["message.*"] })
}

/// What an operation has to be told so that nothing but an id, or a key, can be wrong.
fn sound(operation: &Operation, ours: &Owned) -> Value {
    if operation.id == "setStatus" {
        return given_to(ours);
    }
    let more = match operation.id {
        "addAgent" => json!({ "name": "Bea", "role": "agent" }),
        "addTeam" => json!({ "name": "South" }),
        "changeTeam" => json!({ "name": "Ours, renamed" }),
        "addAssignmentRule" => json!({ "name": "All", "target": { "to": "dedicated" } }),
        "orderAssignmentRules" => json!({ "rules": [ours.id("/assignment-rules/")] }),
        "handOver" => json!({ "note": "asks for a person" }),
        "createToken" => json!({ "name": "laptop", "agent": ours.id("/agents/") }),
        "addWebhookEndpoint" => hook(),
        "assign" => json!({ "agent": ours.id("/agents/") }),
        "createTag" => json!({ "name": "vip" }),
        "mergeContacts" => json!({ "from": ours.id("/spare/") }),
        "recordConsent" => {
            json!({ "channel": ours.id("/channels/"), "scope": "all", "state": "opted_out", "source": "a call" })
        }
        "addSavedReply" => json!({ "title": "Thanks", "content": "Thank you!" }),
        "addCustomField" => json!({ "name": "Size", "type": "choice", "options": ["S"] }),
        "addContact" => json!({ "display_name": "Nora" }),
        "connectChannel" => json!({ "platform": "telegram", "check": false,
            "settings": { "bot_token": "77:AAinvented", "webhook_secret": "also-invented" } }),
        "bulkConversations" => json!({ "ids": [ours.id("/conversations/")], "assignee": {} }),
        "importContacts" => json!({ "attachment": ours.id("/attachments/") }),
        "sendMessage" | "previewMessage" => json!({ "text": "hello" }),
        "reachPerson" => {
            json!({ "channel": ours.id("/channels/"), "to": { "contact": ours.id("/contacts/") }, "message": { "text": "hello" } })
        }
        "createBroadcast" => json!({ "name": "News", "channel": ours.id("/channels/"), "content": { "text": "hello" },
            "audience": { "contacts": [ours.id("/contacts/")] } }),
        "sendToContact" | "previewToContact" => {
            json!({ "channel": ours.id("/channels/"), "message": { "text": "hello" } })
        }
        _ => json!({}),
    };
    let mut body = operation.body.clone().unwrap_or_default();
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    body
}

/// The tab of what somebody has.
fn given_to(ours: &Owned) -> Value {
    json!({ "tab": "assigned", "assignee": { "agent": ours.id("/agents/") } })
}

/// Where ids stand in a body, each with a way to put one there.
fn ids_in(document: Document<'static>, schema: &'static Value, at: &str, found: &mut Vec<String>) {
    let schema = document.resolve(schema);
    for kind in ["allOf", "oneOf", "anyOf"] {
        schema[kind].as_array().into_iter().flatten().for_each(|part| ids_in(document, part, at, found));
    }
    if schema["format"] == "uuid" {
        found.push(at.to_owned());
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        ids_in(document, field, &format!("{at}/{name}"), found);
    }
    if schema["items"].is_object() {
        ids_in(document, &schema["items"], &format!("{at}/0"), found);
    }
}

/// The body with `value` at a place; what is missing on the way is the smallest that the document takes.
fn with(document: Document<'static>, schema: &'static Value, mut body: Value, at: &str, value: &str) -> Value {
    let schema = document.resolve(schema);
    if let Some(part) = ["allOf", "oneOf", "anyOf"].iter().find_map(|kind| schema[*kind].get(0)) {
        return with(document, part, body, at, value);
    }
    let Some(rest) = at.strip_prefix('/') else { return json!(value) };
    let (name, rest) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    if schema["items"].is_object() {
        return json!([with(document, &schema["items"], smallest(document, &schema["items"]), rest, value)]);
    }
    let field = &schema["properties"][name];
    let inner = body.get(name).cloned().unwrap_or_else(|| smallest(document, field));
    body[name] = with(document, field, inner, rest, value);
    body
}

#[tokio::test]
async fn foreign_ids_in_paths_are_unknown_ids() {
    let (bench, _, ours) = furnished().await;
    let eve = bench.neighbour().await;
    let mut checked = 0;
    for operation in operations().iter().filter(|operation| operation.path.contains("{id}")) {
        let asked = Operation {
            id: operation.id,
            method: operation.method.clone(),
            path: operation.path,
            body: operation.body.as_ref().map(|_| sound(operation, &ours)),
            needs_key: operation.needs_key,
        };
        ask(&eve, &asked, ours.named_in(operation.path)).await.refused(404, "not_found");
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
    bench.stop().await;
}

#[tokio::test]
async fn foreign_and_unknown_ids_in_bodies_and_filters_are_404() {
    let (bench, account, ours) = furnished().await;
    let eve = bench.neighbour().await;
    let settings = ["app_secret", "verify_token", "access_token", "phone_number_id", "waba_id"]
        .map(|name| (name, account.twin.settings[name].clone()));
    let settings: Map<String, Value> = settings.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    let body = json!({ "platform": "whatsapp", "name": "Hers", "settings": settings, "check": false });
    let channel = eve.post("/channels", body).await.expect(201);
    let body = json!({ "display_name": "Nora", "phone": "+4915550100009" });
    let contact = eve.post("/contacts", body).await.expect(201);
    let me = eve.get("/me").await.expect(200);
    let team = eve.post("/teams", json!({ "name": "Theirs" })).await.expect(201);
    let theirs =
        [&channel["id"], &channel["connection"], &contact["id"], &me["agent"]["id"], &me["token"], &team["id"]]
            .map(|id| id.as_str().unwrap().to_owned());

    let document = Document::new(api::document());
    let mut checked = Vec::new();
    for operation in operations() {
        let described = document.operation(operation.id).unwrap();
        let path =
            filled(operation.path, if operation.path.contains("{id}") { ours.named_in(operation.path) } else { "" });
        let mut places = Vec::new();
        let schema = document.body_of(described);
        if let Some(schema) = schema {
            ids_in(document, schema, "", &mut places);
        }
        for place in places {
            for id in theirs.iter().map(String::as_str).chain([UNKNOWN]) {
                let sound = match place.starts_with("/status/") {
                    true => json!({ "ids": [ours.id("/conversations/")], "status": given_to(&ours) }),
                    false => sound(&operation, &ours),
                };
                let body = with(document, schema.unwrap(), sound, &place, id);
                let asked = Operation { body: Some(body), ..operation.clone() };
                ask_at(&bench.admin, &asked, &path).await.refused(404, "not_found");
            }
            checked.push(format!("{}{place}", operation.id));
        }
        for parameter in described["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "query") {
            let of_one = parameter["schema"].get("items").unwrap_or(&parameter["schema"]);
            if document.resolve(of_one)["format"] == "uuid" {
                let name = parameter["name"].as_str().unwrap();
                for id in theirs.iter().map(String::as_str).chain([UNKNOWN]) {
                    bench.admin.get(&format!("{path}?{name}={id}")).await.refused(404, "not_found");
                }
                checked.push(format!("{}?{name}", operation.id));
            }
        }
    }
    for known in [
        "sendMessage/reply_to",
        "sendMessage/attachments/0/id",
        "sendToContact/channel",
        "reachPerson/to/contact",
        "addTeam/members/0",
        "listConversations?assignee",
    ] {
        assert!(checked.iter().any(|place| place == known), "{known} is no longer found: {checked:?}");
    }
    let seen = bench.admin.get(&format!("/conversations/{}/messages", ours.id("/conversations/"))).await.expect(200);
    let sent = seen["items"].as_array().unwrap().iter().filter(|message| message["direction"] == "outbound");
    assert_eq!(sent.count(), 0, "nothing was sent");
    bench.stop().await;
}

#[tokio::test]
async fn whatever_makes_something_makes_it_once_for_each_key() {
    let (bench, _, ours) = furnished().await;
    let document = Document::new(api::document());
    let mut checked = 0;
    for operation in operations().iter().filter(|operation| operation.method == Method::POST) {
        let described = document.operation(operation.id).unwrap();
        let makes = ["201", "202"].iter().any(|status| described["responses"].get(status).is_some());
        if !makes {
            continue;
        }
        assert!(described["parameters"].as_array().unwrap().iter().any(is_key), "{} takes no key", operation.id);
        if operation.body.is_none() {
            continue; // A form: attachments.rs repeats it.
        }
        let path =
            filled(operation.path, if operation.path.contains("{id}") { ours.named_in(operation.path) } else { "" });
        let key = [("idempotency-key", operation.id)];
        let post = |body: String| bench.admin.call(Method::POST, &path, Some(body.into_bytes()), &key);
        let body = sound(operation, &ours).to_string();

        let first = post(body.clone()).await;
        assert!(matches!(first.status, 201 | 202), "{}: {}", operation.id, first.body);
        assert_eq!(first.header("idempotency-replayed"), None);
        let again = post(body.clone()).await;
        if first.body["secret"].is_string() {
            again.refused(409, "secret_shown_once");
        } else if let Some(token) = first.body["token"].as_str() {
            // It is stored as a digest, so it can't be given again: the first answer names it.
            let told = again.refused(409, "token_shown_once");
            assert!(!told.to_string().contains(token), "{told}");
            let id = first.body["token_id"].as_str().or(first.body["id"].as_str()).unwrap();
            assert!(told["detail"].as_str().unwrap().contains(id), "{told}");
            assert!(!bench.stores(token), "{} keeps its token", operation.id);
        } else {
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", operation.id);
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{}", operation.id);
        }
        // To the byte: what differs is another request.
        post(format!("{body} ")).await.refused(422, "idempotency_key_reused");
        checked += 1;
    }
    assert!(checked >= 8, "{checked}");
    let agents = bench.admin.get("/agents").await.expect(200);
    let named = agents["items"].as_array().unwrap().iter().filter(|agent| agent["name"] == "Bea");
    assert_eq!(named.count(), 1, "one agent, whatever was repeated");
    bench.stop().await;
}

/// Posts that ask, and changes to what it is already.
const LEAVES_NOTHING: [&str; 8] = [
    "evaluate",
    "previewBroadcast",
    "previewMessage",
    "previewToContact",
    "testWebhookEndpoint",
    "changeWebhookEndpoint",
    "replayWebhookDeliveries",
    "revokeToken",
];

/// The turn of an operation: what is put on something is taken off again before it gets another name, and what removes comes last.
fn turn_of(operation: &Operation) -> usize {
    match (operation.id, &operation.method) {
        ("createTag", _) => 0,
        ("labelContact" | "tagConversation", _) => 1,
        ("unlabelContact" | "untagConversation", _) => 2,
        ("eraseContact", _) => 4,
        (_, &Method::DELETE) => 5,
        _ => 3,
    }
}

/// walks every route that changes something, once as somebody who may and once as somebody who may not.
#[tokio::test]
async fn whatever_changes_something_leaves_a_row_in_the_audit_log() {
    let (bench, _, ours) = furnished().await;
    let bot = bench.client("bot").await;
    let mut changing: Vec<Operation> =
        operations().into_iter().filter(|operation| operation.method != Method::GET).collect();
    changing.sort_by_key(turn_of);
    let (mut done, mut refused, mut silent) = (BTreeSet::new(), 0, Vec::new());
    for operation in changing.iter().filter(|operation| !LEAVES_NOTHING.contains(&operation.id)) {
        let path = match operation.id {
            "cancelJob" => filled(operation.path, &long_job(&bench.admin).await),
            _ if operation.path.contains("{id}") => filled(operation.path, ours.named_in(operation.path)),
            _ => filled(operation.path, ""),
        };
        let asked = Operation { body: operation.body.as_ref().map(|_| sound(operation, &ours)), ..operation.clone() };
        for client in [&bot, &bench.admin] {
            let reply = ask_at(client, &asked, &path).await;
            let log = bench.admin.get(&format!("/audit?action={}&limit=1", operation.id)).await.expect(200);
            let row = &log["items"][0];
            let outcome = match reply.status {
                200..300 => "done",
                403 | 409 | 412 | 422 => reply.body["code"].as_str().unwrap(),
                _ => continue,
            };
            if row["outcome"] != outcome || row["request"].as_str() != reply.header("x-request-id") {
                silent.push(format!("{} ({outcome})", operation.id));
                continue;
            }
            assert_eq!(row["address"], "127.0.0.1");
            if outcome == "done" {
                done.insert(operation.id);
            }
            refused += usize::from(outcome == "forbidden");
        }
    }
    assert_eq!(silent, Vec::<String>::new(), "these left no row");
    assert!(done.len() >= 15 && refused >= 15, "{done:?} done, {refused} refused");
    for id in
        ["cancelJob", "labelContact", "unlabelContact", "tagConversation", "untagConversation", "replayQuarantineEntry"]
    {
        assert!(done.contains(id), "{id} changed nothing: {done:?}");
    }
    let log = bench.admin.get("/audit?limit=100").await.expect(200);
    for secret in ["invented", bench.admin.token.as_str(), "Mara", "+4915550100001"] {
        assert!(!log.to_string().contains(secret), "{secret} stands in the log");
    }
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
                    needs_key: operation.needs_key,
                };
                let reply = ask(&bench.admin, &odd, UNKNOWN).await;
                assert_eq!(reply.status, 400, "{}: {}", operation.id, reply.body);
            }
        }
    }
    bench.stop().await;
}
