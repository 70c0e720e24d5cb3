//! The page: each conversation as it stands on the customer's phone. It works without scripts; one keeps it fresh.

use std::collections::BTreeMap;

use askama::Template;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::acts::{Act, Action};
use crate::chats::{Author, Button, Conversation, Entry, Link, Progress};
use crate::control::Control;
use crate::http::{Call, Reply, pairs};
use crate::ledger::{CallRecord, CallState, WindowState};
use crate::people::Customer;
use crate::platforms::{Ask, Verdict};
use crate::{AccountView, Problem};

const STYLE: &str = include_str!("../templates/phones.css");
const SCRIPT: &str = include_str!("../templates/live.js");
const ICON: &str = include_str!("../templates/icon.svg");

/// Everything comes from here, and forms go nowhere else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// How many refused calls are shown, the newest first.
const REFUSED: usize = 8;

#[derive(Template)]
#[template(path = "phones.html")]
struct Phones {
    now: String,
    now_shown: String,
    accepting: bool,
    /// What was wrong with the last order.
    problem: Option<String>,
    phones: Vec<Phone>,
    refused: Vec<RefusedCall>,
    accounts: Vec<(String, String)>,
    customers: Vec<(String, String)>,
}

struct Phone {
    account: String,
    account_name: String,
    /// The first letter of the account's name.
    initial: String,
    customer: String,
    customer_name: String,
    platform: String,
    via: Option<String>,
    via_value: String,
    /// The query that names this conversation; also its name within the page.
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
    author: String,
    kind: String,
    quote: Option<String>,
    picture: Option<String>,
    /// A file's name, and where it is fetched.
    file: Option<(String, String)>,
    header: Option<String>,
    text: String,
    footer: Option<String>,
    time: String,
    ticks: &'static str,
    tick_class: &'static str,
    tick_title: String,
    reactions: String,
    buttons: Vec<Button>,
    links: Vec<Link>,
    edited: bool,
    deleted: bool,
}

struct RefusedCall {
    time: String,
    method: String,
    path: String,
    outcome: String,
}

/// Answers a call to the page.
pub(crate) fn answer(control: &Control, call: &Call) -> Reply {
    let result = match (call.method.as_str(), call.pieces().as_slice()) {
        ("GET", []) => Ok(page(control, call, None)),
        ("GET", ["phone"]) => Ok(page(control, call, None)),
        ("GET", ["phone", "style.css"]) => Ok(Reply::bytes(200, "text/css; charset=utf-8", STYLE.into())),
        ("GET", ["phone", "live.js"]) => Ok(Reply::bytes(200, "text/javascript; charset=utf-8", SCRIPT.into())),
        ("GET", ["phone", "icon.svg"]) => Ok(Reply::bytes(200, "image/svg+xml", ICON.into())),
        ("POST", ["write"]) => write(control, &form(call)),
        ("POST", ["advance"]) => advance(control, &form(call)),
        _ => Err(Problem::not_found("no such page")),
    };
    result.unwrap_or_else(|problem| {
        let status = problem.kind.status();
        // A form that a browser sent without the script gets the page back, with what was wrong.
        let reads_pages = call.header("accept").is_some_and(|accept| accept.contains("text/html"));
        if reads_pages && call.method == "POST" {
            return Reply { status, ..page(control, call, Some(problem.detail)) };
        }
        Reply::text(status, problem.detail)
    })
}

/// All conversations, or the one that the query names.
fn page(control: &Control, call: &Call, problem: Option<String>) -> Reply {
    let accounts: BTreeMap<_, _> =
        control.accounts().into_iter().map(|account| (account.id.clone(), account)).collect();
    let customers: BTreeMap<_, _> =
        control.customers().into_iter().map(|customer| (customer.id.clone(), customer)).collect();
    let asked = |name: &str| call.query(name).filter(|value| !value.is_empty());
    let alone = call.path.first().is_some_and(|first| first == "phone");
    let wanted = |chat: &Conversation| {
        asked("account") == Some(&chat.account)
            && asked("customer").unwrap_or_default() == chat.customer
            && asked("via") == chat.via.as_deref()
    };
    let chats = control.conversations().into_iter().filter(|chat| !alone || wanted(chat));
    let concerned = |record: &&CallRecord| !alone || record.account.as_deref() == asked("account");
    let now = control.now();
    let page = Phones {
        now: now.format(&Rfc3339).unwrap_or_default(),
        now_shown: shown(now),
        accepting: control.is_accepting(),
        problem,
        phones: chats
            .filter_map(|chat| Some(phone(control, accounts.get(&chat.account)?, customers.get(&chat.customer), chat)))
            .collect(),
        refused: control.calls().iter().rev().filter(concerned).filter_map(refused).take(REFUSED).collect(),
        accounts: accounts
            .values()
            .map(|account| (account.id.clone(), format!("{} ({})", account.name, account.platform)))
            .collect(),
        customers: customers.values().map(|customer| (customer.id.clone(), customer.name.clone())).collect(),
    };
    match page.render() {
        Ok(html) => Reply::html(html).with("content-security-policy", POLICY).with("referrer-policy", "no-referrer"),
        Err(error) => Reply::text(500, error.to_string()),
    }
}

/// A call that was refused or lost, in words.
fn refused(call: &CallRecord) -> Option<RefusedCall> {
    let status = call.status.filter(|status| *status >= 400);
    let dropped = (call.state == CallState::Dropped).then(|| "connection dropped".to_owned());
    let words = [
        status.map(|status| status.to_string()).or(dropped),
        call.code
            .filter(|code| status.is_none_or(|status| i64::from(status) != *code))
            .map(|code| format!("code {code}")),
        call.fault.map(|fault| format!("told to: {fault}")),
    ];
    let outcome = words.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let time = call.at.format(format_description!("[hour]:[minute]:[second]")).unwrap_or_default();
    (!outcome.is_empty()).then(|| RefusedCall { time, method: call.method.clone(), path: call.path.clone(), outcome })
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
    let customer_name = customer.map_or_else(|| chat.via.clone().unwrap_or_default(), |customer| customer.name.clone());
    let mut last_day = None;
    let bubbles = chat.entries.iter().map(|entry| {
        let author = if entry.author == Author::Customer { &customer_name } else { &account.name };
        let day = (last_day != Some(entry.at.date())).then(|| day(entry.at));
        last_day = Some(entry.at.date());
        Bubble { author: author.clone(), day, ..bubble(control, has_receipts, &chat.entries, entry) }
    });
    let bubbles = bubbles.collect();
    Phone {
        account: account.id.clone(),
        account_name: account.name.clone(),
        initial: account.name.chars().next().map(|letter| letter.to_uppercase().collect()).unwrap_or_default(),
        customer_name,
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

fn bubble(control: &Control, has_receipts: bool, all: &[Entry], entry: &Entry) -> Bubble {
    let quoted = entry.reply_to.as_ref().and_then(|id| all.iter().find(|one| one.id == *id));
    let media = entry.media.as_ref().filter(|_| !entry.deleted).and_then(|id| control.media(id));
    let is_picture = media.as_ref().is_some_and(|media| media.mime.starts_with("image/"));
    let place = |id: &str| format!("/control/media/{id}");
    let file = media.as_ref().filter(|_| !is_picture);
    let (ticks, tick_class, tick_title) = ticks(has_receipts, entry);
    Bubble {
        id: entry.id.clone(),
        day: None,
        side: if entry.author == Author::Customer { "me" } else { "them" },
        author: String::new(),
        kind: entry.kind.clone(),
        quote: quoted.map(|quoted| quoted.body().chars().take(80).collect()),
        picture: media.as_ref().filter(|_| is_picture).map(|media| place(&media.id)),
        file: file.map(|media| (media.file_name.clone().unwrap_or_else(|| entry.kind.clone()), place(&media.id))),
        header: entry.header.clone(),
        text: entry.body().to_owned(),
        footer: entry.footer.clone(),
        time: entry.at.format(format_description!("[hour]:[minute]")).unwrap_or_default(),
        ticks,
        tick_class,
        tick_title,
        reactions: entry.reactions.values().cloned().collect(),
        buttons: entry.buttons.clone(),
        links: entry.links.clone(),
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
            let code = entry.failed.map(|code| format!(": code {code}")).unwrap_or_default();
            ("!", "failed", format!("not delivered{code}"))
        }
        _ => ("✓", "sent", word("sent")),
    }
}

fn day(at: OffsetDateTime) -> String {
    let day = format_description!("[weekday] [day padding:none] [month repr:long] [year]");
    at.format(day).unwrap_or_default()
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
    let act = match (form.get("row").cloned(), form.get("data").cloned()) {
        (Some(id), _) => Act::Choice { message_id: field("message_id")?, id, title: None },
        (None, Some(data)) => Act::Button { message_id: field("message_id")?, data, text: None },
        (None, None) => Act::Text { text: field("text")? },
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
