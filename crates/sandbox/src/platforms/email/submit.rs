//! What becomes of commands: who may sign in, who may be written from and to, and where a letter goes.

use std::time::Duration as Pause;

use serde_json::json;

use super::account::{Letter, Mailboxes, is_address, mailbox};
use super::outgoing::{Outgoing, shown};
use super::reply::{SmtpError, enhanced};
use super::{reports, rules};
use crate::chats::{Author, ChatKey, Entry, Progress};
use crate::http::{Call, Reply};
use crate::ledger::{Send, Window};
use crate::media::Media;
use crate::platforms::Route;
use crate::world::{Receipts, World};

/// `AUTH`: finds the mailbox.
pub(super) fn signs_in(world: &mut World, call: &Call) -> Result<String, SmtpError> {
    let given = |name: &str| call.query(name).unwrap_or_default();
    let mut all = world.shelves.of::<Mailboxes>().all.iter();
    let found = all.find(|(_, mailbox)| {
        mailbox.settings.username == given("user") && mailbox.settings.password == given("password")
    });
    let (id, mailbox) = found.ok_or_else(|| SmtpError::of(535, "5.7.8", "authentication credentials invalid"))?;
    if mailbox.settings.requires_tls && given("secured") != "yes" {
        return Err(SmtpError::of(538, "5.7.11", "encryption is required for this"));
    }
    Ok(id.clone())
}

/// `MAIL FROM`.
pub(super) fn begins(world: &mut World, account: &str, call: &Call) -> Result<Reply, SmtpError> {
    let now = world.now();
    let found = mailbox(world, account).map_err(|_| gone())?;
    let from = call.query("from").unwrap_or_default();
    // Automatic answers and reports have no sender (RFC 3834 section 3.3).
    if !from.is_empty() && !found.settings.is_ours(from) {
        return Err(SmtpError::of(550, "5.7.1", "sender address not verified for this account"));
    }
    let announced = parameter(call.query("parameters").unwrap_or_default(), "SIZE").and_then(|size| size.parse().ok());
    if announced.is_some_and(|size: usize| size > found.settings.max_bytes) {
        return Err(too_big());
    }
    found.pace(now)?;
    Ok(Reply::text(250, "2.1.0 Ok"))
}

/// `RCPT TO`.
pub(super) fn addresses(world: &mut World, account: &str, call: &Call) -> Result<Reply, SmtpError> {
    let now = world.now();
    let to = call.query("to").unwrap_or_default();
    let so_far: u32 = call.query("so_far").and_then(|number| number.parse().ok()).unwrap_or_default();
    let used = rules::used(world, account, now);
    let settings = &mailbox(world, account).map_err(|_| gone())?.settings;
    if !is_address(to) {
        return Err(SmtpError::of(501, "5.1.3", "bad recipient address syntax"));
    }
    let listed = |list: &[String]| list.iter().any(|known| known.eq_ignore_ascii_case(to));
    if listed(&settings.unknown) {
        return Err(SmtpError::of(550, "5.1.1", "no such user"));
    }
    if listed(&settings.suppressed) {
        return Err(SmtpError::of(550, "5.1.1", "recipient is on the suppression list after a bounce"));
    }
    if usize::try_from(so_far).is_ok_and(|so_far| so_far >= settings.max_recipients) {
        return Err(SmtpError::of(452, "4.5.3", "too many recipients"));
    }
    if settings.daily_limit.is_some_and(|limit| used.saturating_add(so_far) >= limit) {
        return Err(SmtpError::of(550, "5.4.5", "daily user sending limit exceeded"));
    }
    Ok(Reply::text(250, "2.1.5 Ok"))
}

/// The end of `DATA`: takes the letter, or says why not.
pub(super) fn hands_in(world: &mut World, account: &str, route: &Route, call: &Call) -> Result<Reply, SmtpError> {
    let settings = mailbox(world, account).map_err(|_| gone())?.settings.clone();
    let parameters = call.query("parameters").unwrap_or_default();
    if call.body.len() > settings.max_bytes {
        return Err(too_big());
    }
    let letter = Outgoing::read(&call.body, parameter(parameters, "BODY").as_deref() == Some("8BITMIME"))?;
    let is_ours = |address: &str| settings.senders.iter().any(|known| known.eq_ignore_ascii_case(address));
    if !letter.from.iter().all(|(_, address)| is_ours(address)) || letter.from.is_empty() {
        return Err(SmtpError::of(550, "5.7.1", "sender address not verified for this account"));
    }
    let readers = readers(world, call);
    for reader in &readers {
        let Some(customer) = &reader.customer else { continue };
        let left = world.chats.get(&ChatKey::direct(account, customer)).is_some_and(rules::has_left);
        if left && !answers(world, account, customer, &letter) {
            return Err(SmtpError::of(550, "5.7.1", "the recipient has unsubscribed"));
        }
    }
    let loops = |customer: &String| rules::is_loop(world, account, customer, world.now());
    if rules::is_automatic(&letter.fields) && readers.iter().filter_map(|reader| reader.customer.as_ref()).any(loops) {
        return Err(SmtpError::of(550, "5.7.1", "too many automatic mails to this reader: a loop"));
    }
    let queued = format!("{:08X}", world.names.number());
    book(world, account, call, &letter, &readers, settings.daily_limit.is_some());
    let ordered = route.fails_later.as_ref().map(|(code, _)| enhanced(*code));
    follow_up(world, account, &letter, &readers, ordered.as_deref());
    Ok(Reply::text(250, format!("2.0.0 Ok: queued as {queued}")))
}

/// Whether it answers a mail that this customer wrote.
fn answers(world: &mut World, account: &str, customer: &str, letter: &Outgoing) -> bool {
    let Ok(found) = mailbox(world, account) else { return false };
    letter.answers().any(|id| found.letter(id).is_some_and(|known| !known.ours && known.customer == customer))
}

/// One address of the envelope.
struct Reader {
    address: String,
    customer: Option<String>,
    /// A report of delivery was asked for (RFC 3461).
    wants_report: bool,
}

fn readers(world: &World, call: &Call) -> Vec<Reader> {
    let named = |name: &'static str| call.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value);
    let pairs = named("to").zip(named("to_parameters"));
    let reader = |(address, parameters): (&String, &String)| Reader {
        customer: customer_at(world, address),
        address: address.clone(),
        wants_report: parameter(parameters, "NOTIFY").is_some_and(|when| when.to_uppercase().contains("SUCCESS")),
    };
    pairs.map(reader).collect()
}

/// The customer whose mailbox this is, whatever the case.
pub(super) fn customer_at(world: &World, address: &str) -> Option<String> {
    let mut all = world.customers.values();
    all.find(|customer| customer.address("email").eq_ignore_ascii_case(address)).map(|customer| customer.id.clone())
}

/// The ledger and every reader's screen.
fn book(world: &mut World, account: &str, call: &Call, letter: &Outgoing, readers: &[Reader], counted: bool) {
    let now = world.now();
    let from = call.query("from").unwrap_or_default().to_owned();
    let addresses: Vec<String> = readers.iter().map(|reader| reader.address.clone()).collect();
    let first = readers.iter().find_map(|reader| reader.customer.clone()).unwrap_or_default();
    let key = ChatKey::direct(account, &first);
    let since = world.chats.get(&key).and_then(|chat| chat.latest(|kind| kind == "message"));
    let parameters = call.query("parameters").unwrap_or_default();
    let send = Send {
        seq: 0,
        at: now,
        platform: "email".to_owned(),
        account: account.to_owned(),
        customer: first.clone(),
        recipient: addresses.join(", "),
        via: None,
        provider_ids: vec![letter.id.clone()],
        method: "DATA".to_owned(),
        kind: if letter.files.is_empty() { "text" } else { "files" }.to_owned(),
        category: None,
        text: letter.text.clone(),
        body: letter.view(json!({"from": from, "to": addresses})),
        window: Window::unlimited(since),
        counted,
        answered: true,
        receipt: Progress::Accepted,
        failed: None,
    };
    let media = kept(world, account, letter);
    let entry = || {
        let mut entry = Entry::new(&letter.id, Author::Business, now, "mail", on_screen(letter));
        entry.header = Some(letter.subject.clone()).filter(|subject| !subject.is_empty());
        entry.footer = Some(envelope_of(letter));
        entry.media.clone_from(&media);
        entry.reply_to = letter.in_reply_to.last().cloned();
        entry
    };
    world.accept(&key, send, if first.is_empty() { Vec::new() } else { vec![entry()] });
    for customer in readers.iter().filter_map(|reader| reader.customer.as_ref()) {
        if *customer != first {
            world.chat_mut(&ChatKey::direct(account, customer)).entries.push(entry());
        }
        let kept = Letter {
            id: letter.id.clone(),
            customer: customer.clone(),
            subject: letter.subject.clone(),
            reply_to: letter
                .reply_to
                .first()
                .or(letter.from.first())
                .map(|(_, address)| address.clone())
                .unwrap_or_default(),
            references: letter.references.clone(),
            unsubscribe: letter.unsubscribe(),
            ours: true,
            envelope_from: from.clone(),
            envelope_id: parameter(parameters, "ENVID"),
            head: letter.head.clone(),
            text: letter.text.clone(),
        };
        if let Ok(found) = mailbox(world, account) {
            found.letters.push(kept);
        }
    }
}

/// The first file, for the screen.
fn kept(world: &mut World, account: &str, letter: &Outgoing) -> Option<String> {
    let file = letter.files.first()?;
    let (id, at) = (world.names.digits('6', 16), world.now());
    let (mime, file_name, bytes) = (file.mime.clone(), file.name.clone(), file.bytes.clone().into());
    world.files.keep(Media { id: id.clone(), account: account.to_owned(), mime, file_name, bytes, at });
    Some(id)
}

/// Subject, words, and who else sees it.
fn on_screen(letter: &Outgoing) -> String {
    format!("{}\n{}\n{}", letter.subject, letter.text, envelope_of(letter)).trim_start().to_owned()
}

fn envelope_of(letter: &Outgoing) -> String {
    let listed = |word: &str, people: &[(Option<String>, String)]| {
        let all = people.iter().map(shown).collect::<Vec<_>>().join(", ");
        (!people.is_empty()).then(|| format!("{word} {all}"))
    };
    let lines = [listed("From", &letter.from), listed("To", &letter.to), listed("Cc", &letter.cc)];
    lines.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// What happens behind the provider's back: it arrives, or bounces.
fn follow_up(world: &mut World, account: &str, letter: &Outgoing, readers: &[Reader], ordered: Option<&str>) {
    let pauses = match world.accounts.get(account).map(|account| account.receipts) {
        Some(Receipts::Auto(pauses)) => pauses,
        _ if ordered.is_some() => crate::AutoReceipts::default(),
        _ => return,
    };
    for reader in readers {
        let unreachable =
            |customer: &String| world.customers.get(customer).is_some_and(|one| one.unreachable_on.contains("email"));
        let gone = reader.customer.as_ref().is_some_and(unreachable);
        let status = ordered.map(str::to_owned).or(gone.then(|| "5.1.1".to_owned()));
        let (account, id, address) = (account.to_owned(), letter.id.clone(), reader.address.clone());
        let (customer, wants_report) = (reader.customer.clone(), reader.wants_report);
        world.later(Pause::from_millis(pauses.delivered_ms), move |world| match status {
            Some(status) => {
                reports::bounced(world, &account, &id, &address, &status);
            }
            None => reports::arrived(world, &account, &id, &address, customer.as_deref(), wants_report),
        });
    }
}

/// The value of an ESMTP parameter.
pub(super) fn parameter(parameters: &str, name: &str) -> Option<String> {
    let mut all = parameters.split_ascii_whitespace().filter_map(|word| word.split_once('='));
    all.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

fn too_big() -> SmtpError {
    SmtpError::of(552, "5.3.4", "message size exceeds the fixed maximum")
}

fn gone() -> SmtpError {
    SmtpError::of(421, "4.3.0", "the mailbox is closed")
}
