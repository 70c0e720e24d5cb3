//! The API under `/v1`: parse, call the desk, map. No rule lives here.

mod attachments;
mod audit;
pub(crate) mod auth;
mod body;
mod bulk;
mod channels;
mod contacts;
pub(crate) mod contract;
mod conversations;
pub(crate) mod cursor;
mod custom_fields;
pub(crate) mod events;
pub(crate) mod idempotency;
mod jobs;
mod labels;
mod messages;
mod outbound;
mod people;
mod privacy;
pub mod roles;
mod saved_replies;
mod scheduled;
mod version;
mod views;
mod webhook_endpoints;
mod windows;
mod workspace;

use std::sync::{Arc, OnceLock};

use poem_openapi::{OpenApiService, Tags};
use serde_json::{Value, json};

use crate::state::State;

/// The longest page.
const MAX_PAGE: u32 = 100;
/// The page of those who do not say.
const PAGE: u32 = 50;

/// The chapters of the document.
#[derive(Tags)]
enum Tag {
    /// Who you are, who works here, and how the workspace works.
    Workspace,
    /// What may be sent, by the rules of the platforms.
    Windows,
    /// Connected numbers, bots and pages, and their templates.
    Channels,
    /// Customers.
    Contacts,
    /// Threads with customers.
    Conversations,
    /// What was written, and how it fares.
    Messages,
    /// Files: of customers, and to be sent.
    Attachments,
    /// Work on many things that outlives its request.
    Jobs,
    /// What happens, as it happens.
    Events,
    /// Addresses that are told what happens.
    Webhooks,
    /// Who did what.
    Audit,
}

/// In groups, since a tuple of them has an end.
type Apis = (
    (workspace::WorkspaceApi, windows::WindowsApi, channels::ChannelsApi),
    (contacts::ContactsApi, custom_fields::CustomFieldsApi, labels::LabelsApi, people::PeopleApi, privacy::PrivacyApi),
    (
        conversations::ConversationsApi,
        messages::MessagesApi,
        scheduled::ScheduledApi,
        outbound::OutboundApi,
        saved_replies::SavedRepliesApi,
        attachments::AttachmentsApi,
    ),
    (bulk::BulkApi, jobs::JobsApi, events::EventsApi, webhook_endpoints::WebhookEndpointsApi, audit::AuditApi),
);

fn described<A>(apis: A) -> OpenApiService<A, ()> {
    OpenApiService::new(apis, "Transom", env!("CARGO_PKG_VERSION"))
        .summary("Outbound customer-support messaging: know what may be sent, and send it")
        .description(
            "A bearer token is one agent in one workspace. Errors are `application/problem+json` with a stable `code` \
             (docs/errors.md). Lists are paged: give `next_cursor` back as `cursor`, with the same filters and order. \
             Unknown fields are refused. Times are RFC 3339, in UTC.",
        )
        .server("/v1")
}

/// The API of a running service.
pub(crate) fn service(state: &Arc<State>) -> OpenApiService<Apis, ()> {
    let state = || state.clone();
    described((
        (workspace::WorkspaceApi(state()), windows::WindowsApi(state()), channels::ChannelsApi(state())),
        (
            contacts::ContactsApi(state()),
            custom_fields::CustomFieldsApi(state()),
            labels::LabelsApi(state()),
            people::PeopleApi(state()),
            privacy::PrivacyApi(state()),
        ),
        (
            conversations::ConversationsApi(state()),
            messages::MessagesApi(state()),
            scheduled::ScheduledApi(state()),
            outbound::OutboundApi(state()),
            saved_replies::SavedRepliesApi(state()),
            attachments::AttachmentsApi(state()),
        ),
        (
            bulk::BulkApi(state()),
            jobs::JobsApi(state()),
            events::EventsApi(state()),
            webhook_endpoints::WebhookEndpointsApi(state()),
            audit::AuditApi(state()),
        ),
    ))
}

/// The OpenAPI document.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let mut document = serde_json::from_str(&spec()).unwrap_or_default();
        close_requests(&mut document);
        document
    })
}

/// The OpenAPI document as it is served, printed and kept in docs/openapi.json.
pub fn document_text() -> String {
    let mut text = serde_json::to_string_pretty(document()).unwrap_or_default();
    text.push('\n');
    text
}

/// A page that shows the document in a browser.
pub(crate) fn page() -> String {
    spec_service().swagger_ui_html()
}

fn spec() -> String {
    spec_service().spec()
}

/// The document needs no state: it is made of types.
fn spec_service() -> OpenApiService<Described<Apis>, ()> {
    described(Described(std::marker::PhantomData))
}

/// An API that can be described and not called.
struct Described<A>(std::marker::PhantomData<A>);

impl<A: poem_openapi::OpenApi> poem_openapi::OpenApi for Described<A> {
    fn meta() -> Vec<poem_openapi::registry::MetaApi> {
        A::meta()
    }

    fn register(registry: &mut poem_openapi::registry::Registry) {
        A::register(registry);
    }

    fn add_routes(self, _: &mut Routes) {}
}

type Routes = std::collections::HashMap<
    String,
    std::collections::HashMap<poem::http::Method, poem::endpoint::BoxEndpoint<'static>>,
>;

/// What bodies refuse, the document says too: no object of a request takes fields that it does not name.
fn close_requests(document: &mut Value) {
    let mut waiting: Vec<String> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let operations = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    for (_, methods) in operations {
        for (_, operation) in methods.as_object().into_iter().flatten() {
            references(operation.get("requestBody").unwrap_or(&Value::Null), &mut waiting);
        }
    }
    while let Some(name) = waiting.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let schema = document.pointer_mut(name.trim_start_matches('#'));
        let Some(schema) = schema else { continue };
        references(schema, &mut waiting);
        if let Some(schema) = schema.as_object_mut().filter(|schema| schema.contains_key("properties")) {
            schema.entry("additionalProperties").or_insert(json!(false));
        }
    }
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// A refusal that is of the search: it came as `q`.
fn in_q(error: transom_desk::DeskError) -> crate::http::problem::Problem {
    let is_of_search = error.code() == "search_invalid";
    let problem = crate::http::problem::Problem::from(error);
    if is_of_search { problem.at("q") } else { problem }
}

/// Takes the extra row away that says whether there is a next page, and gives the last row that is shown.
fn cut<T>(rows: &mut Vec<T>, limit: u32) -> Option<&T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if rows.len() <= limit {
        return None;
    }
    rows.truncate(limit);
    rows.last()
}
