//! The page: each conversation as it stands on the customer's phone. It works without scripts; one keeps it fresh.

use std::collections::BTreeMap;

use askama::Template;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::acts::{Act, Action};
use crate::chats::{Author, Button, Conversation, Entry, Progress};
use crate::control::Control;
use crate::http::{Call, Reply, pairs};
use crate::ledger::WindowState;
use crate::people::Customer;
use crate::platforms::{Ask, Verdict};
use crate::{AccountView, Problem};

const STYLE: &str = include_str!("../templates/phones.css");
const SCRIPT: &str = include_str!("../templates/live.js");

/// Everything comes from here, and forms go nowhere else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "phones.html")]
struct Phones {
    now: String,
    now_shown: String,
    accepting: bool,
    phones: Vec<Phone>,
    accounts: Vec<(String, String)>,
    customers: Vec<(String, String)>,
}

struct Phone {
    account: String,
    account_name: String,
    customer: String,
    customer_name: String,
    platform: String,
    via: Option<String>,
    via_value: String,
    link: String,
    window: String,
    window_class: &'static str,
    bubbles: Vec<Bubble>,
}

struct Bubble {
    id: String,
    /// The day, where a new one begins.
    day: Option<String>,
    side: &'static str,
    quote: Option<String>,
    picture: Option<String>,
    file: Option<String>,
    text: String,
    time: String,
    ticks: &'static str,
    tick_class: &'static str,
    tick_title: String,
    reactions: String,
    buttons: Vec<Button>,
    edited: bool,
    deleted: bool,
}

/// Answers a call to the page.
pub(crate) fn answer(control: &Control, call: &Call) -> Reply {
    let result = match (call.method.as_str(), call.pieces().as_slice()) {
        ("GET", []) => Ok(page(control, |_| true)),
        ("GET", ["phone"]) => Ok(page(control, |chat| {
            let asked = |name: &str| call.query(name).filter(|value| !value.is_empty());
            asked("account") == Some(&chat.account)
                && asked("customer").unwrap_or_default() == chat.customer
                && asked("via") == chat.via.as_deref()
        })),
        ("GET", ["phone", "style.css"]) => Ok(Reply::bytes(200, "text/css; charset=utf-8", STYLE.into())),
        ("GET", ["phone", "live.js"]) => Ok(Reply::bytes(200, "text/javascript; charset=utf-8", SCRIPT.into())),
        ("POST", ["write"]) => write(control, &form(call)),
        ("POST", ["advance"]) => advance(control, &form(call)),
        _ => Err(Problem::not_found("no such page")),
    };
    result.unwrap_or_else(|problem| Reply::text(problem.kind.status(), problem.detail))
}

fn page(control: &Control, wanted: impl Fn(&Conversation) -> bool) -> Reply {
    let accounts: BTreeMap<_, _> =
        control.accounts().into_iter().map(|account| (account.id.clone(), account)).collect();
    let customers: BTreeMap<_, _> =
        control.customers().into_iter().map(|customer| (customer.id.clone(), customer)).collect();
    let chats = control.conversations().into_iter().filter(wanted);
    let now = control.now();
    let page = Phones {
        now: now.format(&Rfc3339).unwrap_or_default(),
        now_shown: shown(now),
        accepting: control.is_accepting(),
        phones: chats
            .filter_map(|chat| Some(phone(control, accounts.get(&chat.account)?, customers.get(&chat.customer), chat)))
            .collect(),
        accounts: accounts
            .values()
            .map(|account| (account.id.clone(), format!("{} ({})", account.name, account.platform)))
            .collect(),
        customers: customers.values().map(|customer| (customer.id.clone(), customer.name.clone())).collect(),
    };
    match page.render() {
        Ok(html) => Reply::html(html).with("content-security-policy", POLICY),
        Err(error) => Reply::text(500, error.to_string()),
    }
}

fn phone(control: &Control, account: &AccountView, customer: Option<&Customer>, chat: Conversation) -> Phone {
    let ask = Ask { via: chat.via.clone(), ..Ask::free_form() };
    let verdict = customer.and_then(|customer| control.would_accept(&account.id, &customer.id, &ask).ok());
    let (window, window_class) = verdict.as_ref().map_or(("a group".to_owned(), "open"), described);
    let query = [
        ("account", account.id.as_str()),
        ("customer", &chat.customer),
        ("via", chat.via.as_deref().unwrap_or_default()),
    ];
    let link = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let has_receipts = control.has_receipts(&account.platform);
    let mut last_day = None;
    let bubbles =
        chat.entries.iter().map(|entry| bubble(control, has_receipts, &chat.entries, entry, &mut last_day)).collect();
    Phone {
        account: account.id.clone(),
        account_name: account.name.clone(),
        customer_name: customer.map_or_else(|| chat.via.clone().unwrap_or_default(), |customer| customer.name.clone()),
        customer: chat.customer,
        platform: account.platform.clone(),
        via_value: chat.via.clone().unwrap_or_default(),
        via: chat.via,
        link: format!("/phone?{link}"),
        window,
        window_class,
        bubbles,
    }
}

/// What the business may write now, in words.
fn described(verdict: &Verdict) -> (String, &'static str) {
    if verdict.blocked {
        return ("blocks the business".to_owned(), "blocked");
    }
    let until = verdict.window.closes_at.map(shown).unwrap_or_default();
    match verdict.window.state {
        WindowState::None => ("free messages at any time".to_owned(), "open"),
        WindowState::Open => (format!("free messages until {until}"), "open"),
        WindowState::Closed => (format!("window closed since {until}"), "closed"),
        WindowState::NeverOpened => ("never wrote: no free messages".to_owned(), "closed"),
    }
}

fn bubble(
    control: &Control,
    has_receipts: bool,
    all: &[Entry],
    entry: &Entry,
    last_day: &mut Option<time::Date>,
) -> Bubble {
    let day = (*last_day != Some(entry.at.date())).then(|| entry.at.date().to_string());
    *last_day = Some(entry.at.date());
    let quoted = entry.reply_to.as_ref().and_then(|id| all.iter().find(|one| one.id == *id));
    let media = entry.media.as_ref().and_then(|id| control.media(id));
    let is_picture = media.as_ref().is_some_and(|media| media.mime.starts_with("image/"));
    let file = media.as_ref().filter(|_| !is_picture);
    let (ticks, tick_class, tick_title) = ticks(has_receipts, entry);
    Bubble {
        id: entry.id.clone(),
        day,
        side: if entry.author == Author::Customer { "me" } else { "them" },
        quote: quoted.map(|quoted| quoted.text.chars().take(80).collect()),
        picture: media.as_ref().filter(|_| is_picture).map(|media| format!("/control/media/{}", media.id)),
        file: file.map(|media| format!("{} {}", entry.kind, media.file_name.as_deref().unwrap_or(&media.mime))),
        text: entry.text.clone(),
        time: entry.at.format(format_description!("[hour]:[minute]")).unwrap_or_default(),
        ticks,
        tick_class,
        tick_title,
        reactions: entry.reactions.values().cloned().collect(),
        buttons: entry.buttons.clone(),
        edited: entry.edited,
        deleted: entry.deleted,
    }
}

/// The ticks of a message: what its sender knows of its way.
fn ticks(has_receipts: bool, entry: &Entry) -> (&'static str, &'static str, String) {
    let word = |word: &'static str| word.to_owned();
    match (entry.author, entry.progress) {
        (Author::Customer, Progress::Read) => ("✓✓", "read", word("read by the business")),
        // Where there are no receipts, a message stays at "sent".
        (Author::Business, Progress::Accepted) if has_receipts => ("·", "accepted", word("accepted")),
        (Author::Business, Progress::Delivered) => ("✓✓", "delivered", word("delivered")),
        (Author::Business, Progress::Read | Progress::Played) => ("✓✓", "read", word("read")),
        (Author::Business, Progress::Failed) => {
            ("!", "failed", format!("failed: {}", entry.failed.unwrap_or_default()))
        }
        _ => ("✓", "sent", word("sent")),
    }
}

fn shown(at: OffsetDateTime) -> String {
    at.format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC")).unwrap_or_default()
}

type Form = BTreeMap<String, String>;

fn form(call: &Call) -> Form {
    pairs(&String::from_utf8_lossy(&call.body)).into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// The customer writes, or taps a button.
fn write(control: &Control, form: &Form) -> Result<Reply, Problem> {
    let field = |name: &str| form.get(name).cloned().ok_or_else(|| Problem::invalid(format!("`{name}` is needed")));
    let (account, customer) = (field("account")?, field("customer")?);
    let act = match (form.get("data").cloned(), form.get("choice").map(String::as_str)) {
        (Some(id), Some("true")) => Act::Choice { message_id: field("message_id")?, id, title: None },
        (Some(data), _) => Act::Button { message_id: field("message_id")?, data, text: None },
        (None, _) => Act::Text { text: field("text")? },
    };
    control.act(&account, &customer, Action { via: form.get("via").cloned(), ..Action::from(act) })?;
    Ok(Reply::see_other("/"))
}

fn advance(control: &Control, form: &Form) -> Result<Reply, Problem> {
    let seconds = form
        .get("seconds")
        .and_then(|seconds| seconds.parse().ok())
        .filter(|seconds| (0..=1_000_000_000).contains(seconds));
    control.advance(time::Duration::seconds(seconds.ok_or_else(|| Problem::invalid("`seconds` is a whole number"))?));
    Ok(Reply::see_other("/"))
}
