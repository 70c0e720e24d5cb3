//! Server-sent events, for where no WebSocket gets through (webchat.md 4).

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use poem::http::StatusCode;
use poem::web::sse::{Event, SSE};
use poem::{IntoResponse, Request, Response};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use transom_channel::MailboxKey;

use super::access::{Widget, parameter};
use super::acts;
use super::conversation::{acknowledged, frames};
use super::hub::{Hub, Seat};
use super::receipts::Receipts;
use super::refusal::Refused;
use super::session::{self, Session};
use crate::protocol::{Resume, ServerFrame, Welcome};
use crate::visitor::Visitor;

/// How long a ticket is good.
const TICKET: time::Duration = time::Duration::seconds(60);
/// How soon a browser comes again, in milliseconds.
const RETRY: u64 = 3_000;
/// How often something is said, so that nobody in between gives the connection up.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long a stream lasts: its ticket is not looked at again, so it ends, and a new one is asked for.
const LASTS: Duration = Duration::from_mins(5);
/// Events that wait for a slow reader; who is slower comes again and resumes.
const WAITING: usize = 256;
/// Events that are read in one go.
const AT_ONCE: u32 = 100;
/// What the key of a ticket opens besides the mailbox: nothing that a token opens.
const FOR_EVENTS: &str = "#events#";

/// `POST ticket`: what stands for the token in an address, once.
pub(super) async fn ticket(hub: Arc<Hub>, widget: Arc<Widget>, request: Request) -> Result<Response, Refused> {
    let session = session::of_request(&widget, &request).await?;
    acts::unless_blocked(&hub, &widget, &session.visitor).await?;
    let (ticket, ports) = (session::random("tk_"), &widget.site.ports);
    let name = format!("{FOR_EVENTS}{}#{}", hex::encode(session.key), session.mailbox);
    let opens = MailboxKey { name, until: ports.clock.now().saturating_add(TICKET) };
    ports.mailbox.put_key(session::hash(&ticket), &opens).await?;
    let answer = json!({ "ticket": ticket, "expires_in": TICKET.whole_seconds() });
    Ok(super::json(StatusCode::CREATED, &answer))
}

/// `GET events`.
pub(super) async fn open(hub: Arc<Hub>, widget: Arc<Widget>, request: Request) -> Result<Response, Refused> {
    let ticket = parameter(&request, "ticket").ok_or_else(Refused::unauthorized)?;
    let opened = widget.site.ports.mailbox.take_key(session::hash(&ticket)).await?;
    let session = opened.and_then(|key| of_ticket(&widget, &key.name)).ok_or_else(Refused::unauthorized)?;
    let last = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let last = last.filter(|id| !id.is_empty()).or_else(|| parameter(&request, "last_seq"));
    let last = last.map(|seq| seq.parse::<u64>()).transpose().map_err(|_| Refused::bad("`last_seq` is a number"))?;
    let seat = hub.seat(format!("{}/{}", widget.site.key, session.mailbox), widget.address.clone())?;
    let (welcome, from) = session::welcome(&hub, &widget, &session, last).await?;
    if welcome.resume == Resume::Ok && from > 0 {
        acknowledged(&hub, &widget, &session, from).await?;
    }
    let (events, waiting) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        tell(&events, Event::Retry { retry: RETRY }).await?;
        run(&hub, &widget, &session, &seat, (welcome, from), &events).await
    });
    let stream = futures_util::stream::unfold(waiting, |mut waiting| async move {
        waiting.recv().await.map(|event| (event, waiting))
    });
    Ok(SSE::new(stream).keep_alive(KEEP_ALIVE).into_response())
}

fn of_ticket(widget: &Widget, name: &str) -> Option<Session> {
    let (key, mailbox) = name.strip_prefix(FOR_EVENTS)?.split_once('#')?;
    let visitor = Visitor::of_mailbox(&widget.config.widget, mailbox)?;
    let key = hex::decode(key).ok()?.try_into().ok()?;
    Some(Session::known(visitor, mailbox.to_owned(), key))
}

/// Passes on what is new until somebody ends it; `None`, since the reader is gone by then.
async fn run(
    hub: &Hub,
    widget: &Widget,
    session: &Session,
    seat: &Seat,
    (welcome, mut sent): (Welcome, u64),
    events: &mpsc::Sender<Event>,
) -> Option<()> {
    let mailbox = &widget.site.ports.mailbox;
    let (mut news, mut whispers) = (mailbox.news(&session.mailbox), mailbox.whispers(&session.mailbox));
    // Whoever has heard it misses nothing from then on.
    tell(events, as_event(None, &ServerFrame::Welcome(Box::new(welcome)))).await?;
    let (stopping, end) = (hub.host.stopping(), Instant::now() + LASTS);
    tokio::pin!(stopping);
    let mut look = tokio::time::interval(Duration::from_secs(5));
    let mut receipts = Receipts::default();
    acts::present(hub, widget, session).await;
    loop {
        let page = widget.site.ports.mailbox.read_after(&session.mailbox, sent, AT_ONCE).await.ok()?;
        if page.leads_to.is_some() {
            return None;
        }
        let newest = page.entries.last().map(|entry| entry.seq);
        for (seq, frame) in frames(hub, widget, page.entries) {
            if let Some(receipt) = receipts.before(widget, session, seq, &frame).await {
                tell(events, as_event(None, &receipt)).await?;
            }
            tell(events, as_event(Some(seq), &frame)).await?;
        }
        if let Some(newest) = newest {
            sent = newest;
            continue;
        }
        tokio::select! {
            () = &mut stopping => return None,
            () = seat.replaced.notified() => return None,
            () = tokio::time::sleep_until(end) => return None,
            () = events.closed() => return None,
            Some(()) = news.next() => {}
            Some(whisper) = whispers.next() => {
                if let Ok(frame) = serde_json::from_value(whisper) {
                    tell(events, as_event(None, &frame)).await?;
                }
            }
            _ = look.tick() => {
                let opens = widget.site.ports.mailbox.key(session.key).await.ok()?;
                opens.filter(|opens| opens.name == session.mailbox)?;
                acts::unless_blocked(hub, widget, &session.visitor).await.ok()?;
                acts::present(hub, widget, session).await;
            }
        }
    }
}

async fn tell(events: &mpsc::Sender<Event>, event: Event) -> Option<()> {
    events.send(event).await.ok()
}

fn as_event(seq: Option<u64>, frame: &ServerFrame) -> Event {
    let event = Event::message(serde_json::to_string(frame).unwrap_or_default()).event_type(frame.name());
    match seq {
        Some(seq) => event.id(seq.to_string()),
        None => event,
    }
}
