//! Handing in a mail: one connection, one transaction, and at every moment certainty about how far it got.

pub(crate) mod reply;
mod session;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::time::Instant;
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
    let (progress, deadline) = (Progress::default(), Instant::now() + limit);
    let dialogue = async {
        let mut session = opened(server, tls, sign_in, &progress).await?;
        check_size(&mut session, mail).await?;
        let readers: Vec<&Mailbox> = [envelope.first].into_iter().chain(envelope.others).collect();
        let round = hand_over(&mut session, envelope, &readers, mail, &progress).await?;
        Ok((session, round))
    };
    let begun = tokio::time::timeout_at(deadline, dialogue).await.unwrap_or_else(|_| Err(progress.given_up()));
    let (mut session, Round { mut refused, mut put_off }) = begun?;
    // The person has it: whatever becomes of the others, that stays so.
    let others = further_rounds(&mut session, envelope, mail, &mut refused, &mut put_off);
    if tokio::time::timeout_at(deadline, others).await.is_ok() {
        session.quit().await;
    }
    let late = || own("the server takes no more readers at once, and there was no time for another try");
    refused.extend(put_off.into_iter().map(|reader| (reader.as_str().to_owned(), late())));
    Ok(Taken { refused })
}

/// Those whom the server put off, in transactions of their own, until all of them are settled (RFC 5321 section 4.5.3.1.10).
async fn further_rounds(
    session: &mut Session,
    envelope: &Envelope<'_>,
    mail: &[u8],
    refused: &mut Vec<(String, PlatformReport)>,
    put_off: &mut Vec<&Mailbox>,
) {
    while !put_off.is_empty() {
        let before = put_off.len();
        match hand_over(session, envelope, put_off, mail, &Progress::default()).await {
            Ok(round) => {
                refused.extend(round.refused);
                *put_off = round.put_off;
            }
            Err(error) => {
                let report = || own(&format!("a further try for this reader failed: {}", error.code()));
                refused.extend(put_off.drain(..).map(|reader| (reader.as_str().to_owned(), report())));
            }
        }
        if put_off.len() == before {
            return;
        }
    }
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

async fn check_size(session: &mut Session, mail: &[u8]) -> Result<(), SendError> {
    let Some(max) = session.max_size().filter(|max| mail.len() as u64 > *max) else { return Ok(()) };
    session.quit().await;
    Err(refused(&format!("the mail has {} bytes, and the server takes at most {max}", mail.len())))
}

/// A transaction that was accepted.
#[derive(Debug, Default)]
struct Round<'e> {
    /// Readers who get none, and what the server said.
    refused: Vec<(String, PlatformReport)>,
    /// Readers who were too many for one transaction.
    put_off: Vec<&'e Mailbox>,
}

/// One transaction. Where the person of the envelope is among the readers, they come first, and nobody gets it without them.
async fn hand_over<'e>(
    session: &mut Session,
    envelope: &Envelope<'_>,
    readers: &[&'e Mailbox],
    mail: &[u8],
    progress: &Progress,
) -> Result<Round<'e>, SendError> {
    let from = session.mail_command(envelope, mail.len());
    let reply = session.command(&from).await.map_err(broken)?;
    if !reply.is_positive() {
        session.quit().await;
        return Err(refusal(Stage::Sender, &reply));
    }
    let (mut round, mut accepted) = (Round::default(), 0_u32);
    for reader in readers {
        let reply = session.command(&session.rcpt_command(reader, envelope)).await.map_err(broken)?;
        if reply.is_positive() {
            accepted += 1;
        } else if std::ptr::eq(*reader, envelope.first) {
            session.abandon().await;
            return Err(refusal(Stage::Reader, &reply));
        } else if reply.is_too_many_readers() {
            round.put_off.push(reader);
        } else {
            round.refused.push((reader.as_str().to_owned(), crate::error::report(&reply)));
        }
    }
    if accepted == 0 {
        session.command("RSET").await.map_err(broken)?;
        return Ok(round);
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
    match taken(&reply) {
        Ok(()) => Ok(round),
        Err(error) => {
            session.quit().await;
            Err(error)
        }
    }
}

/// What the answer to a whole mail means.
fn taken(reply: &Reply) -> Result<(), SendError> {
    match reply.code {
        250..=259 => Ok(()),
        400..=599 => Err(refusal(Stage::Mail, reply)),
        // Some other positive reply: not the one that says it is taken, and no refusal either.
        _ => Err(SendError::OutcomeUnknown { detail: format!("the answer to the mail is {}", reply.code) }),
    }
}
