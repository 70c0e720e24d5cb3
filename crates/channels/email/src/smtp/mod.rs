//! Handing in a mail: one connection, one transaction, and at every moment certainty about how far it got.

pub(crate) mod reply;
mod session;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use transom_channel::{PlatformReport, SendError};

use crate::address::Mailbox;
use crate::config::Server;
use crate::error::{Stage, broken, own, refusal, refused};
use crate::oauth::SignIn;
use crate::tls::Tls;
use reply::Reply;
use session::Session;
pub(crate) use session::{bearer, connected};

/// Who gets a mail, and who hears of trouble.
#[derive(Debug)]
pub(crate) struct Envelope<'e> {
    /// Where reports go.
    pub(crate) from: String,
    /// Without this reader there is no mail.
    pub(crate) first: &'e Mailbox,
    /// Further readers: those who are refused get none, the others do.
    pub(crate) others: &'e [Mailbox],
    /// Comes back in reports (RFC 3461).
    pub(crate) id: &'e str,
    /// Whether success is to be reported too.
    pub(crate) receipts: bool,
}

/// A mail that was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Further readers who get none, and what the server said.
    pub(crate) refused: Vec<(String, PlatformReport)>,
}

/// How far a dialogue got.
#[derive(Debug, Default)]
struct Progress(AtomicU8);

/// Nothing was said yet.
const SILENT: u8 = 0;
/// We talk, and the mail is not handed over.
const TALKING: u8 = 1;
/// The final dot may have been written: from here on only the answer tells.
const HANDED_OVER: u8 = 2;

impl Progress {
    fn reach(&self, phase: u8) {
        self.0.store(phase, Ordering::SeqCst);
    }

    fn given_up(&self) -> SendError {
        match self.0.load(Ordering::SeqCst) {
            SILENT => SendError::NotConnected { detail: "connecting took too long".to_owned() },
            TALKING => {
                SendError::Temporary { report: own("the server took too long, and the mail was not handed over") }
            }
            _ => SendError::OutcomeUnknown { detail: "no answer after the mail, within the time limit".to_owned() },
        }
    }
}

/// Hands in a mail. It ends with CRLF and has no other line ends.
///
/// # Errors
/// By the phase reached: [`SendError::OutcomeUnknown`] only after the final dot.
pub(crate) async fn submit(
    server: &Server,
    tls: &Tls,
    sign_in: &SignIn<'_>,
    envelope: &Envelope<'_>,
    mail: &[u8],
    limit: Duration,
) -> Result<Taken, SendError> {
    let progress = Progress::default();
    let dialogue = async {
        let mut session = opened(server, tls, sign_in, &progress).await?;
        transaction(&mut session, envelope, mail, &progress).await
    };
    tokio::time::timeout(limit, dialogue).await.unwrap_or_else(|_| Err(progress.given_up()))
}

/// Connects and signs in, and sends nothing.
///
/// # Errors
/// As for a mail.
pub(crate) async fn check(
    server: &Server,
    tls: &Tls,
    sign_in: &SignIn<'_>,
    limit: Duration,
) -> Result<Option<u64>, SendError> {
    let progress = Progress::default();
    let dialogue = async {
        let mut session = opened(server, tls, sign_in, &progress).await?;
        session.quit().await;
        Ok(session.max_size())
    };
    tokio::time::timeout(limit, dialogue).await.unwrap_or_else(|_| Err(progress.given_up()))
}

async fn opened(server: &Server, tls: &Tls, sign_in: &SignIn<'_>, progress: &Progress) -> Result<Session, SendError> {
    let mut session = Session::open(server, tls).await?;
    progress.reach(TALKING);
    session.sign_in(&server.user, sign_in).await?;
    Ok(session)
}

async fn transaction(
    session: &mut Session,
    envelope: &Envelope<'_>,
    mail: &[u8],
    progress: &Progress,
) -> Result<Taken, SendError> {
    if let Some(max) = session.max_size().filter(|max| mail.len() as u64 > *max) {
        session.quit().await;
        return Err(refused(&format!("the mail has {} bytes, and the server takes at most {max}", mail.len())));
    }
    let from = session.mail_command(envelope, mail.len());
    let reply = session.command(&from).await.map_err(broken)?;
    if !reply.is_positive() {
        session.quit().await;
        return Err(refusal(Stage::Sender, &reply));
    }
    let reply = session.command(&session.rcpt_command(envelope.first, envelope)).await.map_err(broken)?;
    if !reply.is_positive() {
        // Nobody else may get it without the person.
        session.abandon().await;
        return Err(refusal(Stage::Reader, &reply));
    }
    let mut turned_away = Vec::new();
    for reader in envelope.others {
        let reply = session.command(&session.rcpt_command(reader, envelope)).await.map_err(broken)?;
        if !reply.is_positive() {
            turned_away.push((reader.as_str().to_owned(), crate::error::report(&reply)));
        }
    }
    let reply = session.command("DATA").await.map_err(broken)?;
    if !reply.goes_on() {
        session.abandon().await;
        return Err(refusal(Stage::Mail, &reply));
    }
    session.body(mail).await.map_err(broken)?;
    progress.reach(HANDED_OVER);
    let unknown = |what: &str| SendError::OutcomeUnknown { detail: what.to_owned() };
    session.final_dot().await.map_err(|_| unknown("the connection broke while the mail was handed over"))?;
    let reply = session.answer().await.map_err(|lost| match lost {
        reply::NoReply::Lost => unknown("the connection broke before the answer"),
        reply::NoReply::Garbled => unknown("an answer that can't be read"),
    })?;
    let outcome = taken(&reply, turned_away);
    session.quit().await;
    outcome
}

/// What the answer to a whole mail means.
fn taken(reply: &Reply, refused: Vec<(String, PlatformReport)>) -> Result<Taken, SendError> {
    match reply.code {
        250..=259 => Ok(Taken { refused }),
        400..=599 => Err(refusal(Stage::Mail, reply)),
        // Some other positive reply: not the one that says it is taken, and no refusal either.
        _ => Err(SendError::OutcomeUnknown { detail: format!("the answer to the mail is {}", reply.code) }),
    }
}
