//! The API under `/v1`: parse, call the desk, map. No rule lives here.

/// The words of the API for the nouns of ours, variant by variant, both ways.
macro_rules! words {
    ($word:ident = $noun:ident: $($name:ident)*) => {
        impl From<$word> for $noun {
            fn from(word: $word) -> Self {
                match word { $($word::$name => $noun::$name,)* }
            }
        }

        impl From<$noun> for $word {
            fn from(noun: $noun) -> Self {
                match noun { $($noun::$name => $word::$name,)* }
            }
        }
    };
}

mod attachments;
mod audit;
pub(crate) mod auth;
mod body;
mod bots;
mod broadcasts;
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
mod paging;
mod people;
mod privacy;
mod quarantine;
mod reports;
pub mod roles;
mod routing;
mod saved_replies;
mod scheduled;
mod version;
mod views;
mod webhook_endpoints;
mod windows;
mod workspace;

use std::sync::{Arc, OnceLock};

use poem_openapi::{OpenApiService, Tags};
use serde_json::{Map, Value, json};

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
    /// One text to many.
    Broadcasts,
    /// Files: of customers, and to be sent.
    Attachments,
    /// Work on many things that outlives its request.
    Jobs,
    /// What happens, as it happens.
    Events,
    /// Addresses that are told what happens.
    Webhooks,
    /// What platforms told us, as it came, and what of it could not be used.
    Inbound,
    /// Who did what.
    Audit,
    /// What supervisors look back on.
    Reports,
}

/// In groups, since a tuple of them has an end.
type Apis = (
    (workspace::WorkspaceApi, windows::WindowsApi, channels::ChannelsApi),
    (contacts::ContactsApi, custom_fields::CustomFieldsApi, labels::LabelsApi, people::PeopleApi, privacy::PrivacyApi),
    (
        conversations::ConversationsApi,
        messages::MessagesApi,
        scheduled::ScheduledApi,
        broadcasts::BroadcastsApi,
        routing::RoutingApi,
        bots::BotsApi,
        outbound::OutboundApi,
        saved_replies::SavedRepliesApi,
        attachments::AttachmentsApi,
    ),
    (
        bulk::BulkApi,
        jobs::JobsApi,
        events::EventsApi,
        webhook_endpoints::WebhookEndpointsApi,
        quarantine::QuarantineApi,
        audit::AuditApi,
        reports::ReportsApi,
    ),
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
            broadcasts::BroadcastsApi(state()),
            routing::RoutingApi(state()),
            bots::BotsApi(state()),
            outbound::OutboundApi(state()),
            saved_replies::SavedRepliesApi(state()),
            attachments::AttachmentsApi(state()),
        ),
        (
            bulk::BulkApi(state()),
            jobs::JobsApi(state()),
            events::EventsApi(state()),
            webhook_endpoints::WebhookEndpointsApi(state()),
            quarantine::QuarantineApi(state()),
            audit::AuditApi(state()),
            reports::ReportsApi(state()),
        ),
    ))
}

/// The OpenAPI document.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let mut document = serde_json::from_str(&spec()).unwrap_or_default();
        close_requests(&mut document);
        free_lists(&mut document);
        // The engine's own JSON says null where others leave out.
        if let Some(window) = document.pointer_mut("/components/schemas/Window").and_then(Value::as_object_mut) {
            allow_nulls(window);
        }
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
            allow_nulls(schema);
        }
    }
}

/// What may be left out may be null.
fn allow_nulls(schema: &mut Map<String, Value>) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|known| known == name));
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten();
    for (_, property) in properties.filter(|(name, _)| !is_required(name)) {
        // What stands beside a reference is not looked at.
        if property.get("$ref").is_some() {
            *property = json!({ "allOf": [property] });
        }
        if let Some(property) = property.as_object_mut() {
            property.insert("nullable".into(), json!(true));
        }
    }
}

/// The methods of a path under `/v1`, for `Allow`.
pub(crate) fn methods_of(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.strip_prefix("/v1/")?.split('/').collect();
    let fits = |pattern: &str| {
        let known: Vec<&str> = pattern.trim_start_matches('/').split('/').collect();
        known.len() == parts.len()
            && known.iter().zip(&parts).all(|(known, part)| known.starts_with('{') || known == part)
    };
    let paths = document().get("paths")?.as_object()?;
    let (_, methods) = paths.iter().filter(|(path, _)| fits(path)).min_by_key(|(path, _)| path.matches('{').count())?;
    let methods: Vec<String> = methods.as_object()?.keys().map(|method| method.to_ascii_uppercase()).collect();
    Some(methods.join(", "))
}

/// A list in a query may be left out, whatever is said of it: that is how an empty one is given.
fn free_lists(document: &mut Value) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    let operations = paths.filter_map(|(_, methods)| methods.as_object_mut()).flatten();
    let parameters = operations.filter_map(|(_, operation)| operation.get_mut("parameters")?.as_array_mut()).flatten();
    for parameter in parameters.filter_map(Value::as_object_mut) {
        let is_of_query = parameter.get("in").is_some_and(|place| place == "query");
        let is_list = parameter.get("schema").and_then(|schema| schema.get("type")).is_some_and(|kind| kind == "array");
        if is_of_query && is_list {
            parameter.insert("required".into(), json!(false));
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
