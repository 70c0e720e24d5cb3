//! Events as they happen: server-sent, numbered, resumable (reliability.md 11).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use poem::web::sse::Event;
use poem_openapi::param::{Header, Query};
use poem_openapi::payload::EventStream;
use poem_openapi::types::ToJSON;
use poem_openapi::{ApiResponse, OpenApi};
use secrecy::ExposeSecret;
use time::OffsetDateTime;
use tokio::sync::broadcast;
use tokio::time::Instant;
use transom_desk::typing::Typing;
use transom_desk::{DeskError, queries};
use transom_domain::{AgentId, Role, WorkspaceId};
use transom_storage::Signal;

use super::Tag;
use super::auth::{Session, Signed};
use super::views::event::EventView;
use crate::http::problem::{Listing, Problem, Refused};
use crate::state::State;

/// How many events are read at once.
const BATCH: u64 = 100;
/// How often to look without a hint: other replicas number events, too.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often the token is looked at again.
const RECHECK_EVERY: Duration = Duration::from_secs(5);
/// A comment this often keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// After how many milliseconds a client should come back.
const RECONNECT_AFTER: u64 = 1_000;

pub(crate) struct EventsApi(pub(super) Arc<State>);

/// A stream of events.
#[derive(ApiResponse)]
enum Streaming {
    /// One event after the other, for as long as you listen. The `id:` of each is its number: give the last one as
    /// `Last-Event-ID` to go on behind it.
    #[oai(status = 200)]
    Events(EventStream<BoxStream<'static, Told>>),
}

/// What a stream tells: an event, what passes without a number, or that the client should come back later.
enum Told {
    Event(EventView),
    Passing(EventView),
    ComeBack,
}

impl poem_openapi::types::Type for Told {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> std::borrow::Cow<'static, str> {
        EventView::name()
    }

    fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
        EventView::schema_ref()
    }

    fn register(registry: &mut poem_openapi::registry::Registry) {
        EventView::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ToJSON for Told {
    fn to_json(&self) -> Option<serde_json::Value> {
        match self {
            Told::Event(event) | Told::Passing(event) => event.to_json(),
            Told::ComeBack => None,
        }
    }
}

#[OpenApi(tag = "Tag::Events")]
impl EventsApi {
    /// Follow events
    ///
    /// Every change in the workspace in one order, without a gap and without a repeat. Begins behind `Last-Event-ID`, or `after`,
    /// or with what happens from now on. A bot hears of what is for it, by its bindings. If the events behind it are no longer kept, the first event is `reset`.
    /// `conversation.typing` passes by as it happens: it has no `id:`, is never told again, and its `seq` is that of the event before it.
    #[oai(path = "/events", method = "get", operation_id = "followEvents")]
    async fn follow(
        &self,
        signed: Signed,
        /// The number of the last event that you have; goes before `after`.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<u64>>,
        /// The number of the last event that you have; 0 for everything that is kept.
        after: Query<Option<u64>>,
    ) -> Result<Streaming, Refused<Listing>> {
        let bounds = queries::event_bounds(&self.0.desk, signed.caller()).await?;
        let after = last_event_id.0.or(after.0).unwrap_or(bounds.last);
        let caller = signed.caller();
        let seat = Streams::take(&self.0.streams, caller.scope.workspace(), caller.agent.id)?;
        metrics::gauge!("transom_stream_clients").increment(1.0);
        let mut follower = Follower {
            hints: self.0.desk.storage().event_hints(),
            signals: self.0.desk.storage().signals(),
            state: self.0.clone(),
            session: signed.0,
            seq: after,
            checked: Instant::now(),
            ended: false,
            _seat: seat,
        };
        let beginning = match bounds.oldest {
            // What was asked for is gone, or never was: the client has to read afresh.
            oldest if after > bounds.last || oldest.is_some_and(|oldest| after + 1 < oldest && after != 0) => {
                follower.seq = oldest.map_or(bounds.last, |oldest| oldest - 1).min(bounds.last);
                vec![follower.reset()]
            }
            _ => Vec::new(),
        };
        let events = futures_util::stream::unfold(follower, |mut follower| async move {
            let told = follower.next().await?;
            Some((futures_util::stream::iter(told), follower))
        });
        let events = futures_util::stream::iter(beginning).chain(events.flatten()).boxed();
        let events = EventStream::new(events).keep_alive(KEEP_ALIVE).to_event(|told| match told {
            Told::Event(event) => {
                let (id, kind) = (event.seq.to_string(), event.kind.clone());
                Event::message(event.to_json_string()).id(id).event_type(kind)
            }
            Told::Passing(event) => Event::message(event.to_json_string()).event_type(event.kind.clone()),
            Told::ComeBack => Event::retry(RECONNECT_AFTER),
        });
        Ok(Streaming::Events(events))
    }
}

/// One client's place in the events of its workspace. Nothing is buffered: what a slow client does not read is not fetched.
struct Follower {
    state: Arc<State>,
    session: Session,
    hints: broadcast::Receiver<WorkspaceId>,
    signals: broadcast::Receiver<Signal>,
    seq: u64,
    checked: Instant,
    ended: bool,
    _seat: Seat,
}

impl Follower {
    /// What to tell next; `None` ends the stream.
    async fn next(&mut self) -> Option<Vec<Told>> {
        loop {
            if self.ended {
                return None;
            }
            if self.state.stopping.is_cancelled() {
                self.ended = true;
                return Some(vec![Told::ComeBack]);
            }
            match self.look().await {
                Ok(told) if told.is_empty() => {
                    if let Some(typing) = self.wait().await {
                        return Some(vec![self.passing(typing)]);
                    }
                }
                Ok(told) => return Some(told),
                // Revoked, or the database is away: the client comes back and is told.
                Err(error) => {
                    tracing::info!(agent = %self.session.caller.agent.id, %error, "an event stream ends");
                    return None;
                }
            }
        }
    }

    async fn look(&mut self) -> Result<Vec<Told>, Problem> {
        if self.checked.elapsed() >= RECHECK_EVERY {
            self.recheck().await?;
        }
        loop {
            let (events, last) = queries::events(&self.state.desk, &self.session.caller, self.seq, BATCH).await?;
            if !events.is_empty() || last == self.seq {
                self.seq = last;
                return Ok(events.iter().map(|event| Told::Event(event.into())).collect());
            }
            self.seq = last;
        }
    }

    /// Whether the token still works, and what its agent may do by now.
    async fn recheck(&mut self) -> Result<(), Problem> {
        let desk = &self.state.desk;
        let found = desk.storage().authenticate(self.session.bearer.expose_secret(), desk.now()).await;
        let found = found.map_err(DeskError::from)?;
        let found = found.ok_or_else(|| Problem::new("unauthenticated", "the token was revoked or has expired"))?;
        self.session.caller.agent = found.agent;
        self.checked = Instant::now();
        Ok(())
    }

    /// Until there may be something new, or somebody types.
    async fn wait(&mut self) -> Option<Typing> {
        let mine = self.session.caller.scope.workspace();
        let hinted = async {
            loop {
                match self.hints.recv().await {
                    Ok(workspace) if workspace != mine => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => break,
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        let hears = self.session.caller.agent.role != Role::Bot;
        let typed = async {
            loop {
                match self.signals.recv().await {
                    Ok(signal) if signal.workspace == mine && hears => {
                        if let Some(typing) = Typing::of(signal) {
                            break typing;
                        }
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = hinted => None,
            typing = typed => Some(typing),
            () = self.state.stopping.cancelled() => None,
            () = tokio::time::sleep(LOOK_EVERY) => None,
        }
    }

    fn passing(&self, typing: Typing) -> Told {
        let Typing { conversation, contact, by, on, at } = typing;
        Told::Passing(EventView {
            seq: self.seq,
            id: None,
            kind: Typing::KIND.to_owned(),
            conversation: Some(conversation.uuid()),
            contact: Some(contact.uuid()),
            data: serde_json::json!({ "by": by, "on": on }),
            at,
        })
    }

    fn reset(&self) -> Told {
        let at: OffsetDateTime = self.state.desk.now();
        Told::Event(EventView {
            seq: self.seq,
            id: None,
            kind: "reset".to_owned(),
            conversation: None,
            contact: None,
            data: serde_json::json!({}),
            at,
        })
    }
}

/// The open streams of each agent.
#[derive(Debug)]
pub(crate) struct Streams {
    most: usize,
    open: Mutex<HashMap<(WorkspaceId, AgentId), usize>>,
}

impl Streams {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, open: Mutex::default() }
    }

    fn take(streams: &Arc<Self>, workspace: WorkspaceId, agent: AgentId) -> Result<Seat, Problem> {
        let mut open = streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry((workspace, agent)).or_insert(0);
        if *count >= streams.most {
            let detail = format!("this agent has {count} event streams open, and no more are allowed");
            return Err(Problem::new("too_many_streams", detail).after(5));
        }
        *count += 1;
        Ok(Seat { streams: streams.clone(), whose: (workspace, agent) })
    }
}

/// A place among an agent's streams, given back when the stream ends.
struct Seat {
    streams: Arc<Streams>,
    whose: (WorkspaceId, AgentId),
}

impl Drop for Seat {
    fn drop(&mut self) {
        metrics::gauge!("transom_stream_clients").decrement(1.0);
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.whose) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.whose);
            }
        }
    }
}
