//! The WebSocket of a visitor (webchat.md 4).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use poem::web::websocket::{CloseCode, Message as WsMessage, WebSocket, WebSocketConfig, WebSocketStream};
use poem::{FromRequest, IntoResponse, Request, Response};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::access::Widget;
use super::acts;
use super::conversation::{acknowledged, act, frames};
use super::hub::Hub;
use super::receipts::Receipts;
use super::refusal::Refused;
use super::session::{self, Session};
use crate::error::Code;
use crate::protocol::{ClientFrame, ConversationStatus, MAX_FRAME, SUBPROTOCOL, ServerFrame};

/// How long the first frame may take.
const HELLO: Duration = Duration::from_secs(10);
/// How long a side may say nothing.
const SILENCE: Duration = Duration::from_mins(1);
/// How often it is looked whether the visitor may still be here, and how their conversation stands.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a frame may take to leave: who reads slower comes again and resumes.
const SLOW: Duration = Duration::from_secs(10);
/// How often somebody may be told that they are too fast.
const PATIENCE: u32 = 200;
/// Events that are read in one go.
const AT_ONCE: u32 = 200;
/// What is read at all before it is looked at: over this the connection is broken off.
const LARGEST: usize = 16 * MAX_FRAME;

const REPLACED: u16 = 4409;
const TOO_LATE: u16 = 4408;

/// `GET ws`.
pub(super) async fn open(hub: Arc<Hub>, widget: Arc<Widget>, request: Request) -> Result<Response, Refused> {
    let (request, mut body) = request.split();
    let socket = WebSocket::from_request(&request, &mut body).await;
    let socket = socket.map_err(|_| Refused::bad("this is a WebSocket: ask for an upgrade"))?;
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    let upgraded = socket.protocols(vec![SUBPROTOCOL]).config(config).on_upgrade(move |stream| async move {
        let mut talk = Talk { hub, widget, stream };
        let end = talk.run().await;
        let _ = timeout(SLOW, talk.close(end)).await;
    });
    Ok(upgraded.into_response())
}

/// Why a socket ends.
enum End {
    /// The other side went.
    Gone,
    /// It is closed with a code, after an error that says why.
    Closed(u16, Option<Refused>),
}

impl std::convert::From<Refused> for End {
    fn from(refused: Refused) -> Self {
        let (_, _, close) = refused.code.row();
        End::Closed(close.unwrap_or(4400), Some(refused))
    }
}

struct Talk {
    hub: Arc<Hub>,
    widget: Arc<Widget>,
    stream: WebSocketStream,
}

impl Talk {
    async fn run(&mut self) -> End {
        match self.talk().await {
            Ok(()) => End::Gone,
            Err(end) => end,
        }
    }

    async fn talk(&mut self) -> Result<(), End> {
        let stopping = self.hub.host.stopping();
        tokio::pin!(stopping);
        let first = tokio::select! {
            () = &mut stopping => return Err(restart()),
            first = timeout(HELLO, self.next()) => first.map_err(|_| End::Closed(TOO_LATE, None))??,
        };
        let ClientFrame::Hello(hello) = first else {
            return Err(Refused::unauthorized().into());
        };
        let session = session::enter(&self.hub, &self.widget, &hello).await?;
        let seat =
            self.hub.seat(format!("{}/{}", self.widget.site.key, session.mailbox), self.widget.address.clone())?;
        let mailbox = Arc::clone(&self.widget.site.ports.mailbox);
        let (mut news, mut whispers) = (mailbox.news(&session.mailbox), mailbox.whispers(&session.mailbox));
        let (welcome, from) = session::welcome(&self.hub, &self.widget, &session, hello.last_seq).await?;
        let resumes = welcome.resume == crate::protocol::Resume::Ok;
        let mut status = welcome.conversations.first().map(|conversation| conversation.status);
        acts::present(&self.hub, &self.widget, &session).await;
        self.say(&ServerFrame::Welcome(Box::new(welcome))).await?;
        if resumes && from > 0 {
            acknowledged(&self.hub, &self.widget, &session, from).await?;
        }
        let mut sent = Sent { up_to: from, own: HashSet::new(), receipts: Receipts::default() };
        self.pass_on(&session, &mut sent).await?;
        let config = &self.widget.config;
        let presence = ServerFrame::Presence { online: config.online, expected_reply: config.expected_reply.clone() };
        self.say(&presence).await?;
        // That somebody is there must not keep them from being served.
        if let Err(error) = acts::visited(&self.hub, &self.widget, &session).await {
            tracing::debug!(code = ?error.code, "a visit could not be told");
        }

        let (mut heard, mut refusals) = (Instant::now(), 0_u32);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        look.tick().await;
        loop {
            tokio::select! {
                () = &mut stopping => return Err(restart()),
                () = seat.replaced.notified() => return Err(End::Closed(REPLACED, None)),
                () = tokio::time::sleep_until(heard + SILENCE) => return Err(End::Closed(TOO_LATE, None)),
                frame = self.next() => {
                    heard = Instant::now();
                    self.hear(&session, frame?, &mut sent, &mut refusals).await?;
                    self.pass_on(&session, &mut sent).await?;
                }
                Some(()) = news.next() => self.pass_on(&session, &mut sent).await?,
                Some(whisper) = whispers.next() => self.whisper(whisper).await?,
                _ = look.tick() => self.look(&session, &mut status).await?,
            }
        }
    }

    /// Does what a frame asks for. What is refused is told, and only who does not stop is sent away.
    async fn hear(
        &mut self,
        session: &Session,
        frame: ClientFrame,
        sent: &mut Sent,
        refusals: &mut u32,
    ) -> Result<(), End> {
        let client_id = match &frame {
            ClientFrame::Message(message) => Some(message.client_id.clone()),
            ClientFrame::Button { client_id, .. } => client_id.clone(),
            _ => None,
        };
        match act(&self.hub, &self.widget, session, frame).await {
            Ok(None) => Ok(()),
            Ok(Some(answer)) => {
                if let ServerFrame::Ack { seq, .. } = &answer {
                    // The side that wrote it knows it by its ack.
                    sent.own.insert(*seq);
                }
                self.say(&answer).await
            }
            Err(refused) => match refused.code {
                Code::Blocked | Code::Unauthorized | Code::OriginNotAllowed => Err(refused.into()),
                _ => {
                    *refusals += 1;
                    if *refusals > PATIENCE {
                        return Err(Refused::too_fast(60).into());
                    }
                    self.say(&refused.about(client_id)).await
                }
            },
        }
    }

    /// Passes on what is new in the mailbox.
    async fn pass_on(&mut self, session: &Session, sent: &mut Sent) -> Result<(), End> {
        loop {
            let page = self.widget.site.ports.mailbox.read_after(&session.mailbox, sent.up_to, AT_ONCE).await;
            let page = match page {
                Ok(page) => page,
                // The next look comes soon; who comes back resumes.
                Err(error) => return Err(Refused::from(error).into()),
            };
            if page.leads_to.is_some() {
                // The visitor turned out to be somebody, on another tab: come again, with the same token.
                return Err(restart());
            }
            let Some(newest) = page.entries.last().map(|entry| entry.seq) else { return Ok(()) };
            for (seq, frame) in frames(&self.hub, &self.widget, page.entries) {
                if let Some(receipt) = sent.receipts.before(&self.widget, session, seq, &frame).await {
                    self.say(&receipt).await?;
                }
                if !sent.own.remove(&seq) {
                    self.say(&frame).await?;
                }
            }
            sent.up_to = newest;
        }
    }

    /// Whether the visitor may still be here, and whether their conversation stands differently.
    async fn look(&mut self, session: &Session, status: &mut Option<ConversationStatus>) -> Result<(), End> {
        let site = &self.widget.site;
        let opens = site.ports.mailbox.key(session.key).await.map_err(Refused::from)?;
        if opens.is_none_or(|opens| opens.name != session.mailbox) {
            return Err(Refused::unauthorized().into());
        }
        let account = Some(site.account.as_str());
        if self.hub.host.site(crate::NAME, &site.key, account).await.map_err(Refused::from)?.is_none() {
            return Err(Refused::new(Code::OriginNotAllowed, "this widget is closed").into());
        }
        let known = self.hub.host.acquaintance(site, &[session.visitor.address()]).await.map_err(Refused::from)?;
        if known.is_some_and(|known| known.blocked) {
            return Err(Refused::new(Code::Blocked, "this visitor is blocked").into());
        }
        let now = known.and_then(|known| known.conversation).map(acts::status);
        if let Some(now) = now.filter(|now| status.replace(*now) != Some(*now)) {
            let conversation_id = session.visitor.conversation();
            self.say(&ServerFrame::Conversation { seq: 0, conversation_id, status: now, assignee: None }).await?;
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<ClientFrame, End> {
        loop {
            match self.stream.next().await {
                Some(Ok(WsMessage::Text(text))) if text.len() > MAX_FRAME => return Err(too_big()),
                Some(Ok(WsMessage::Text(text))) => return Ok(super::read(text.as_bytes())?),
                Some(Ok(WsMessage::Binary(_))) => return Err(Refused::bad("frames are text").into()),
                Some(Ok(WsMessage::Ping(_) | WsMessage::Pong(_))) => {}
                Some(Ok(WsMessage::Close(_))) | None => return Err(End::Gone),
                // Over the limit of what is read at all, or no WebSocket any more.
                Some(Err(_)) => return Err(too_big()),
            }
        }
    }

    /// Passes on what is told only to who is here now.
    async fn whisper(&mut self, whisper: Value) -> Result<(), End> {
        match serde_json::from_value(whisper) {
            Ok(frame) => self.say(&frame).await,
            // Of another version.
            Err(_) => Ok(()),
        }
    }

    async fn say(&mut self, frame: &ServerFrame) -> Result<(), End> {
        let text = serde_json::to_string(frame).unwrap_or_default();
        match timeout(SLOW, self.stream.send(WsMessage::text(text))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    async fn close(&mut self, end: End) {
        let End::Closed(code, refused) = end else { return };
        if let Some(refused) = &refused {
            let _ = self.say(&refused.about(None)).await;
        }
        let why = refused.map(|refused| refused.code.row().0).unwrap_or_default();
        let _ = self.stream.send(WsMessage::close_with(CloseCode::from(code), why)).await;
        // The other side closes too, or is cut off.
        while let Some(Ok(_)) = self.stream.next().await {}
    }
}

/// What a socket has passed on.
struct Sent {
    up_to: u64,
    /// What its own side wrote.
    own: HashSet<u64>,
    receipts: Receipts,
}

fn restart() -> End {
    End::Closed(1012, None)
}

fn too_big() -> End {
    Refused::new(Code::TooLarge, "a frame has at most 64 KiB").into()
}
