//! The same verbs over HTTP.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Control;
use crate::Problem;
use crate::http::{Call, Reply};
use crate::platforms::{Ask, AskKind};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: Option<f64>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    to: Option<OffsetDateTime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    on: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publication {
    url: String,
    mime: String,
    base64: String,
}

/// Answers a call to `/control/…`.
pub(crate) async fn answer(control: &Control, call: &Call) -> Reply {
    match carried_out(control, call).await {
        Ok(reply) => reply,
        Err(problem) => {
            let body = json!({"error": problem.kind.to_string(), "detail": problem.detail});
            Reply::json(problem.kind.status(), &body)
        }
    }
}

async fn carried_out(control: &Control, call: &Call) -> Result<Reply, Problem> {
    let ok = |value: Value| Ok(Reply::json(200, &value));
    match (call.method.as_str(), call.pieces().as_slice()) {
        ("GET", ["clock"]) => ok(clock(control.now())),
        ("POST", ["clock"]) => ok(clock(advance(control, &body(call)?)?)),

        ("GET", ["accounts"]) => ok(json!({"accounts": control.accounts()})),
        ("POST", ["accounts"]) => ok(json!(control.create_account(body(call)?)?)),
        ("GET", ["accounts", id]) => ok(json!(control.account(id)?)),
        ("PATCH", ["accounts", id]) => ok(json!(control.patch_account(id, body(call)?)?)),
        ("DELETE", ["accounts", id]) => control.close_account(id).map(|()| Reply::json(200, &json!({}))),

        ("GET", ["customers"]) => ok(json!({"customers": control.customers()})),
        ("POST", ["customers"]) => ok(json!(control.create_customer(body(call)?)?)),
        ("GET", ["customers", id]) => ok(json!(control.customer(id)?)),
        ("PATCH", ["customers", id]) => ok(json!(control.patch_customer(id, body(call)?)?)),

        ("POST", ["accounts", account, "customers", customer, "acts"]) => {
            ok(json!(control.act(account, customer, body::<crate::Action>(call)?)?))
        }
        ("POST", ["accounts", account, "receipts"]) => ok(json!({"delivery": control.receipt(account, &body(call)?)?})),
        ("GET", ["accounts", account, "faults"]) => ok(json!({"faults": control.account(account)?.faults})),
        ("POST", ["accounts", account, "faults"]) => {
            control.fault(account, body(call)?)?;
            ok(json!({"faults": control.account(account)?.faults}))
        }
        ("DELETE", ["accounts", account, "faults"]) => {
            control.clear_faults(account)?;
            ok(json!({"faults": []}))
        }
        ("POST", ["accounts", account, "webhooks"]) => {
            ok(json!({"deliveries": control.webhooks(account, &body(call)?)?}))
        }
        ("POST", ["accounts", account, "do", verb]) => ok(control.platform(account, verb, body(call)?).await?),

        ("GET", ["ledger"]) => {
            let sends: Vec<_> = control.ledger().into_iter().filter(|send| wanted(call, &send.account)).collect();
            ok(json!({"sends": sends, "dropped": control.ledger_dropped()}))
        }
        ("GET", ["deliveries"]) => {
            let deliveries: Vec<_> =
                control.deliveries().into_iter().filter(|one| wanted(call, &one.account)).collect();
            // The bodies are raw JSON, which only a serializer of text can carry.
            let text = serde_json::to_string(&json_list("deliveries", &deliveries)).unwrap_or_default();
            Ok(Reply::bytes(200, "application/json", text.into()))
        }
        ("GET", ["calls"]) => {
            let asked =
                |record: &crate::CallRecord| record.account.as_deref().is_none_or(|account| wanted(call, account));
            ok(json!({"calls": control.calls().into_iter().filter(asked).collect::<Vec<_>>()}))
        }
        ("GET", ["conversations"]) => {
            let chats: Vec<_> =
                control.conversations().into_iter().filter(|chat| wanted(call, &chat.account)).collect();
            ok(json!({"conversations": chats}))
        }
        ("GET", ["would-accept"]) => {
            let needed = |name| call.query(name).ok_or_else(|| Problem::invalid(format!("the query needs `{name}`")));
            ok(json!(control.would_accept(needed("account")?, needed("customer")?, &ask(call)?)?))
        }

        ("GET", ["accept"]) => ok(json!({"on": control.is_accepting()})),
        ("POST", ["accept"]) => {
            control.accept(body::<Switch>(call)?.on);
            ok(json!({"on": control.is_accepting()}))
        }
        ("POST", ["refuse-connections"]) => {
            let on = body::<Switch>(call)?.on;
            // Through the platforms' own port this very answer might be cut off, so the switch is thrown behind it.
            let hand = control.clone();
            control.shared.spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                hand.refuse_connections(on).await;
            });
            ok(json!({"on": on}))
        }
        ("POST", ["urls"]) => {
            let new: Publication = body(call)?;
            let bytes = BASE64.decode(&new.base64).map_err(|error| Problem::invalid(format!("base64: {error}")))?;
            control.publish(&new.url, &new.mime, bytes);
            ok(json!({}))
        }
        ("GET", ["media", id]) => {
            let media = control.media(id).ok_or_else(|| Problem::not_found(format!("there is no file `{id}`")))?;
            // Never by the declared type: nothing that a customer sent may run on this page's origin.
            Ok(Reply::bytes(200, shown_type(&media.mime), media.bytes).with("x-content-type-options", "nosniff"))
        }
        ("GET", ["idle"]) => {
            let patience = call.query("timeout_ms").and_then(|ms| ms.parse().ok()).unwrap_or(5_000);
            ok(json!({"idle": control.idle(Duration::from_millis(patience)).await}))
        }
        (method, _) => {
            Err(Problem::not_found(format!("there is no {method} {}; see the crate's documentation", call.full_path)))
        }
    }
}

fn json_list<'a, T>(name: &'a str, list: &'a [T]) -> std::collections::BTreeMap<&'a str, &'a [T]> {
    std::collections::BTreeMap::from([(name, list)])
}

fn wanted(call: &Call, account: &str) -> bool {
    call.query("account").is_none_or(|wanted| wanted == account)
}

fn clock(now: OffsetDateTime) -> Value {
    json!({"now": now.format(&Rfc3339).unwrap_or_default()})
}

fn advance(control: &Control, order: &Advance) -> Result<OffsetDateTime, Problem> {
    let by = match (order.advance_seconds, order.to) {
        (Some(seconds), None) if (0.0..=1e10).contains(&seconds) => time::Duration::seconds_f64(seconds),
        (None, Some(to)) if to >= control.now() => to - control.now(),
        _ => return Err(Problem::invalid("give either `advance_seconds` or `to`; the clock moves forward only")),
    };
    Ok(control.advance(by))
}

fn ask(call: &Call) -> Result<Ask, Problem> {
    let kind = match call.query("kind") {
        None | Some("free_form") => AskKind::FreeForm,
        Some("tagged") => AskKind::Tagged,
        Some("template") => AskKind::Template,
        Some(other) => {
            return Err(Problem::invalid(format!("kind is `{other}`, and must be free_form, tagged or template")));
        }
    };
    let field = |name| call.query(name).map(str::to_owned);
    Ok(Ask { kind, category: field("category"), tag: field("tag"), via: field("via") })
}

/// The pictures that a browser may show; everything else is a download.
fn shown_type(mime: &str) -> &'static str {
    ["image/jpeg", "image/png", "image/gif", "image/webp"]
        .into_iter()
        .find(|known| *known == mime)
        .unwrap_or("application/octet-stream")
}

fn body<T: DeserializeOwned>(call: &Call) -> Result<T, Problem> {
    let text: &[u8] = if call.body.is_empty() { b"{}" } else { &call.body };
    serde_json::from_slice(text).map_err(|error| Problem::invalid(format!("the body does not fit: {error}")))
}
