//! A signed-in IMAP connection (RFC 9051, 3501): every command has an end, whatever the server does.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use async_imap::types::{Fetch, UnsolicitedResponse};
use async_imap::{Authenticator, Client, Session};
use futures_util::TryStreamExt as _;
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite};
use transom_channel::SendError;

use super::error::of_imap;
use crate::config::Imap;
use crate::oauth::SignIn;
use crate::smtp::{bearer, connected};
use crate::tls::{Security, Tls};

/// The longest answer to a command.
const COMMAND: Duration = Duration::from_secs(30);
/// The longest answer that brings mails.
const BODIES: Duration = Duration::from_mins(3);

/// A connection, protected or not.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug> Wire for S {}

/// A folder that is open.
pub(super) struct Connection {
    session: Session<Box<dyn Wire>>,
    pub(super) idles: bool,
    pub(super) moves: bool,
    pub(super) validity: u32,
    /// What the next mail will have at least.
    pub(super) next_uid: Option<u32>,
}

/// What is known of a mail before it is fetched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed {
    pub(super) size: u64,
    /// When it arrived, in seconds since 1970.
    pub(super) arrived: Option<i64>,
}

impl Connection {
    /// Connects, signs in and opens the folder.
    pub(super) async fn open(imap: &Imap, tls: &Tls, sign_in: &SignIn<'_>) -> Result<Self, SendError> {
        let server = &imap.server;
        let tcp = connected(&server.host, server.port).await?;
        let not_connected = |detail: String| SendError::NotConnected { detail };
        let stream: Box<dyn Wire> = match server.security {
            Security::Tls => {
                let protected = tokio::time::timeout(COMMAND, tls.protect(tcp, &server.host)).await;
                Box::new(protected.map_err(|_| not_connected("TLS took too long".to_owned()))?.map_err(not_connected)?)
            }
            Security::Plain => Box::new(tcp),
            Security::StartTls => {
                let mut open = Client::new(tcp);
                greeted(&mut open).await?;
                in_time(open.run_command_and_check_ok("STARTTLS", None)).await?;
                // What came before TLS goes with the client's buffer.
                let protected = tokio::time::timeout(COMMAND, tls.protect(open.into_inner(), &server.host)).await;
                Box::new(protected.map_err(|_| not_connected("TLS took too long".to_owned()))?.map_err(not_connected)?)
            }
        };
        let mut client = Client::new(stream);
        if server.security != Security::StartTls {
            greeted(&mut client).await?;
        }
        let mut session = signed_in(client, &server.user, sign_in).await?;
        let able = in_time(session.capabilities()).await?;
        let (idles, moves) = (able.has_str("IDLE"), able.has_str("MOVE"));
        let folder = in_time(session.select(&imap.folder)).await?;
        let validity = folder.uid_validity.ok_or_else(|| SendError::Temporary {
            report: crate::error::own("the folder has no UIDVALIDITY: mail can't be told apart"),
        })?;
        Ok(Self { session, idles, moves, validity, next_uid: folder.uid_next })
    }

    /// Whether the server told of new mail since this was asked.
    pub(super) fn heard_of_mail(&self) -> bool {
        let mut heard = false;
        while let Ok(told) = self.session.unsolicited_responses.try_recv() {
            heard |= matches!(told, UnsolicitedResponse::Exists(_));
        }
        heard
    }

    /// The mails after a UID, in order. `n:*` always gives the newest one, also an old one (sheet 4).
    pub(super) async fn list(&mut self, after: u32) -> Result<BTreeMap<u32, Listed>, SendError> {
        let set = format!("{}:*", after.saturating_add(1));
        // One line holds all UIDs or none; the answers to a FETCH may break off amid them.
        let uids = in_time(self.session.uid_search(format!("UID {set}"))).await?;
        let uids: BTreeSet<u32> = uids.into_iter().filter(|uid| *uid > after).collect();
        if uids.is_empty() {
            self.noop().await?;
            return Ok(BTreeMap::new());
        }
        let fetched = self.fetch(&set, "(UID INTERNALDATE RFC822.SIZE)").await?;
        let told = fetched.iter().filter_map(|mail| {
            let arrived = mail.internal_date().map(|at| at.timestamp());
            Some((mail.uid?, Listed { size: mail.size.map_or(0, u64::from), arrived }))
        });
        let told: BTreeMap<u32, Listed> = told.collect();
        let unknown = Listed { size: 0, arrived: None };
        Ok(uids.into_iter().map(|uid| (uid, told.get(&uid).copied().unwrap_or(unknown))).collect())
    }

    /// Mails whole, or their headers alone; none is marked as read by it.
    pub(super) async fn bodies(
        &mut self,
        uids: &[u32],
        headers_only: bool,
    ) -> Result<BTreeMap<u32, Vec<u8>>, SendError> {
        if uids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let set = uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let what = if headers_only { "(UID BODY.PEEK[HEADER])" } else { "(UID BODY.PEEK[])" };
        let fetched = self.fetch(&set, what).await?;
        let body = |mail: &Fetch| if headers_only { mail.header() } else { mail.body() }.map(<[u8]>::to_vec);
        let bodies: BTreeMap<u32, Vec<u8>> = fetched.iter().filter_map(|mail| Some((mail.uid?, body(mail)?))).collect();
        let missing: Vec<u32> = uids.iter().copied().filter(|uid| !bodies.contains_key(uid)).collect();
        if let Some(first) = missing.first() {
            // Deleted meanwhile, or the server did not give it: only one of them may be passed over.
            let there = self.list(first.saturating_sub(1)).await?;
            if missing.iter().any(|uid| there.contains_key(uid)) {
                return Err(SendError::Temporary {
                    report: crate::error::own("the IMAP server did not give a mail that is there"),
                });
            }
        }
        Ok(bodies)
    }

    /// The answers end alike where the server is done and where the connection ends: a word more tells.
    async fn fetch(&mut self, set: &str, what: &str) -> Result<Vec<Fetch>, SendError> {
        let all = async { self.session.uid_fetch(set, what).await?.try_collect::<Vec<_>>().await };
        let all = tokio::time::timeout(BODIES, all).await.map_err(|_| too_late())?.map_err(|error| of_imap(&error))?;
        self.noop().await?;
        Ok(all)
    }

    /// Marks mails as read.
    pub(super) async fn mark(&mut self, from: u32, to: u32) -> Result<(), SendError> {
        let set = format!("{from}:{to}");
        let all = async {
            let answers = self.session.uid_store(&set, "+FLAGS.SILENT (\\Seen)").await?;
            answers.try_collect::<Vec<_>>().await
        };
        in_time(all).await?;
        self.noop().await
    }

    /// Moves mails to another folder (RFC 6851).
    pub(super) async fn move_to(&mut self, from: u32, to: u32, folder: &str) -> Result<(), SendError> {
        in_time(self.session.uid_mv(format!("{from}:{to}"), folder)).await
    }

    /// Puts a mail into another folder, as read; the folder is made where it is missing.
    pub(super) async fn put(&mut self, folder: &str, mail: &[u8]) -> Result<(), SendError> {
        let flags = Some("(\\Seen)");
        if in_time(self.session.append(folder, flags, None, mail)).await.is_ok() {
            return Ok(());
        }
        in_time(self.session.create(folder)).await?;
        in_time(self.session.append(folder, flags, None, mail)).await
    }

    /// Waits for news, by IDLE (RFC 2177). Gives the connection back while it lives.
    pub(super) async fn idle(self, longest: Duration) -> Result<Self, SendError> {
        let Self { session, idles, moves, validity, next_uid } = self;
        let mut idle = session.idle();
        in_time(idle.init()).await?;
        {
            let (news, _stop) = idle.wait_with_timeout(longest);
            news.await.map_err(|error| of_imap(&error))?;
        }
        let session = in_time(idle.done()).await?;
        Ok(Self { session, idles, moves, validity, next_uid })
    }

    /// Keeps the connection alive, and hears what is new.
    pub(super) async fn noop(&mut self) -> Result<(), SendError> {
        in_time(self.session.noop()).await
    }

    /// Says good-bye; whether it is heard changes nothing.
    pub(super) async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.session.logout()).await;
    }
}

async fn greeted<W: Wire>(client: &mut Client<W>) -> Result<(), SendError> {
    let lost = || SendError::NotConnected { detail: "the server closed the connection without a greeting".to_owned() };
    let greeting = tokio::time::timeout(COMMAND, client.read_response()).await.map_err(|_| too_late())?;
    match greeting {
        Ok(Some(_)) => Ok(()),
        Ok(None) | Err(_) => Err(lost()),
    }
}

async fn signed_in(
    client: Client<Box<dyn Wire>>,
    user: &str,
    how: &SignIn<'_>,
) -> Result<Session<Box<dyn Wire>>, SendError> {
    let attempt = async {
        match how {
            SignIn::Nobody => client.login(user, "").await,
            SignIn::Login(password) => client.login(user, password.expose_secret()).await,
            SignIn::Plain(password) => {
                let response = format!("\0{user}\0{}", password.expose_secret());
                client.authenticate("PLAIN", Once(Some(response))).await
            }
            SignIn::Bearer(token) => client.authenticate("XOAUTH2", Once(Some(bearer(user, token)))).await,
        }
    };
    let answer = tokio::time::timeout(COMMAND, attempt).await.map_err(|_| too_late())?;
    answer.map_err(|(error, _)| super::error::of_sign_in(&error))
}

/// Answers the first challenge, and ends whatever comes after it: a refusal's reason.
struct Once(Option<String>);

impl Authenticator for Once {
    type Response = String;

    fn process(&mut self, _challenge: &[u8]) -> String {
        self.0.take().unwrap_or_default()
    }
}

async fn in_time<T>(work: impl Future<Output = async_imap::error::Result<T>>) -> Result<T, SendError> {
    tokio::time::timeout(COMMAND, work).await.map_err(|_| too_late())?.map_err(|error| of_imap(&error))
}

fn too_late() -> SendError {
    SendError::Temporary { report: crate::error::own("the IMAP server took too long") }
}
