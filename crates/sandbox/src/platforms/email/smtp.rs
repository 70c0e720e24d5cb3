//! The dialogue at the SMTP port (RFC 5321, 6409): lines in, replies out. What decides is asked like a call of HTTP, so that
//! faults strike here too: AUTH, MAIL and RCPT as calls, and the end of DATA as the one that sends.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::account::Mailboxes;
use super::reply::{SmtpError, on_the_wire};
use crate::http::{Call, Ending, Reply};
use crate::sandbox::{Shared, answered};

/// How long the next line may take (RFC 5321 section 4.5.3.2).
const PATIENCE: Duration = Duration::from_mins(5);
/// The longest line of a command: AUTH needs the most (RFC 4954 section 4.5.3).
const LONGEST_COMMAND: u64 = 12_288;
/// Beyond this nobody goes on reading.
const LARGEST: usize = 110 * 1024 * 1024;

/// A connection, whether protected or not.
trait Line: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Line for T {}

/// Carries one connection.
pub(super) fn serve(shared: Arc<Shared>, stream: TcpStream) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let line: Box<dyn Line> = Box::new(stream);
        let mut session =
            Session { shared, line: BufReader::new(line), secured: false, greeted: false, account: None, letter: None };
        if let Err(error) = session.run().await {
            tracing::debug!(%error, "an SMTP connection ended early");
        }
    })
}

/// The envelope so far.
#[derive(Debug, Default)]
struct Envelope {
    from: String,
    parameters: String,
    recipients: Vec<(String, String)>,
}

struct Session {
    shared: Arc<Shared>,
    line: BufReader<Box<dyn Line>>,
    secured: bool,
    greeted: bool,
    account: Option<String>,
    letter: Option<Envelope>,
}

/// Whether the dialogue goes on.
enum Then {
    Goes,
    Ends,
}

impl Session {
    async fn run(&mut self) -> std::io::Result<()> {
        self.say(&Reply::text(220, "mx.sandbox.test ESMTP ready")).await?;
        while let Some(line) = self.command().await? {
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let rest = rest.trim();
            let then = match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.greets(rest).await?,
                "HELO" => {
                    (self.greeted, self.letter) = (true, None);
                    self.say(&Reply::text(250, "mx.sandbox.test")).await?
                }
                "STARTTLS" => self.secures().await?,
                "AUTH" => self.signs_in(rest).await?,
                "MAIL" => self.begins(rest).await?,
                "RCPT" => self.addresses(rest).await?,
                "DATA" => self.hands_in().await?,
                "RSET" => {
                    self.letter = None;
                    self.say(&Reply::text(250, "2.0.0 Ok")).await?
                }
                "NOOP" => self.say(&Reply::text(250, "2.0.0 Ok")).await?,
                "VRFY" => self.say(&Reply::text(252, "2.1.5 try it")).await?,
                "QUIT" => {
                    self.say(&Reply::text(221, "2.0.0 Bye")).await?;
                    Then::Ends
                }
                _ => self.refuse(500, "5.5.2", "command not recognised").await?,
            };
            if matches!(then, Then::Ends) {
                break;
            }
        }
        self.line.shutdown().await
    }

    /// The next line; `None` at the end.
    async fn command(&mut self) -> std::io::Result<Option<String>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.line).take(LONGEST_COMMAND);
        if tokio::time::timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await.is_err() {
            self.refuse(421, "4.4.2", "timeout").await?;
            return Ok(None);
        }
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(Some(String::from_utf8_lossy(line).into_owned())),
            None if line.is_empty() => Ok(None),
            None => {
                self.refuse(421, "4.5.2", "a line ends with CR LF").await?;
                Ok(None)
            }
        }
    }

    /// Sends a reply. A broken one ends the dialogue, as 421 does.
    async fn say(&mut self, reply: &Reply) -> std::io::Result<Then> {
        self.line.write_all(&on_the_wire(reply)).await?;
        self.line.flush().await?;
        Ok(if reply.ending != Ending::Whole || reply.status == 421 { Then::Ends } else { Then::Goes })
    }

    async fn refuse(&mut self, code: u16, enhanced: &str, words: &str) -> std::io::Result<Then> {
        self.say(&SmtpError::of(code, enhanced, words).reply()).await
    }

    /// Asks the platform, through its faults.
    async fn ask(&mut self, verb: Method, query: &[(&str, &str)], body: Bytes) -> Reply {
        let account = self.account.as_deref().unwrap_or_default();
        let query =
            [("account", account)].iter().chain(query).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let call = Call {
            path: vec![verb.as_str().to_owned()],
            full_path: format!("smtp:{account}"),
            method: verb,
            query,
            headers: HeaderMap::new(),
            body,
        };
        answered(&self.shared, "email".to_owned(), call).await
    }

    async fn greets(&mut self, name: &str) -> std::io::Result<Then> {
        if name.is_empty() {
            return self.refuse(501, "5.5.4", "EHLO needs a name").await;
        }
        (self.greeted, self.letter) = (true, None);
        let size = self.largest();
        let mut lines =
            format!("mx.sandbox.test greets you\nSIZE {size}\n8BITMIME\nPIPELINING\nDSN\nENHANCEDSTATUSCODES");
        if !self.secured {
            lines.push_str("\nSTARTTLS");
        }
        lines.push_str("\nAUTH PLAIN LOGIN");
        self.say(&Reply::text(250, lines)).await
    }

    /// Before anybody signed in, what the most generous mailbox takes.
    fn largest(&self) -> usize {
        let mut world = self.shared.world();
        let all = &world.shelves.of::<Mailboxes>().all;
        let ours = all.iter().filter(|(id, _)| self.account.as_ref().is_none_or(|account| account == *id));
        ours.map(|(_, mailbox)| mailbox.settings.max_bytes).max().unwrap_or(LARGEST)
    }

    async fn secures(&mut self) -> std::io::Result<Then> {
        let acceptor =
            self.shared.world().shelves.of::<Mailboxes>().certificates.as_ref().map(|made| made.acceptor.clone());
        let Some(acceptor) = acceptor.filter(|_| !self.secured) else {
            return self.refuse(454, "4.7.0", "TLS is not available").await;
        };
        self.say(&Reply::text(220, "2.0.0 go ahead")).await?;
        let bare: Box<dyn Line> = Box::new(tokio::io::empty());
        // What was sent ahead of the handshake is dropped with its buffer: it could come from anybody.
        let line = std::mem::replace(&mut self.line, BufReader::new(bare)).into_inner();
        self.line = BufReader::new(Box::new(acceptor.accept(line).await?));
        (self.secured, self.greeted, self.account, self.letter) = (true, false, None, None);
        Ok(Then::Goes)
    }

    async fn signs_in(&mut self, rest: &str) -> std::io::Result<Then> {
        if !self.greeted || self.account.is_some() || self.letter.is_some() {
            return self.refuse(503, "5.5.1", "not now").await;
        }
        let (mechanism, initial) =
            rest.split_once(' ').map_or((rest, None), |(name, first)| (name, Some(first.to_owned())));
        let (user, password) = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let Some(response) = self.challenge(initial, "").await? else { return Ok(Then::Ends) };
                let mut fields = response.split('\0').skip(1).map(str::to_owned);
                (fields.next().unwrap_or_default(), fields.next().unwrap_or_default())
            }
            "LOGIN" => {
                let Some(user) = self.challenge(initial, "Username:").await? else { return Ok(Then::Ends) };
                let Some(password) = self.challenge(None, "Password:").await? else { return Ok(Then::Ends) };
                (user, password)
            }
            _ => return self.refuse(504, "5.5.4", "PLAIN and LOGIN are spoken here").await,
        };
        let secured = if self.secured { "yes" } else { "no" };
        let query = [("user", user.as_str()), ("password", &password), ("secured", secured)];
        let reply = self.ask(method("AUTH"), &query, Bytes::new()).await;
        if reply.status == 235 {
            let mut world = self.shared.world();
            let mut all = world.shelves.of::<Mailboxes>().all.iter();
            self.account = all.find(|(_, mailbox)| mailbox.settings.username == user).map(|(id, _)| id.clone());
        }
        self.say(&reply).await
    }

    /// What the client answers to a question, unless it said it at once.
    async fn challenge(&mut self, initial: Option<String>, question: &str) -> std::io::Result<Option<String>> {
        let encoded = match initial {
            Some(initial) => initial,
            None => {
                self.say(&Reply::text(334, if question.is_empty() { " ".to_owned() } else { BASE64.encode(question) }))
                    .await?;
                let Some(line) = self.command().await? else { return Ok(None) };
                line
            }
        };
        Ok(Some(String::from_utf8(BASE64.decode(encoded.trim()).unwrap_or_default()).unwrap_or_default()))
    }

    async fn begins(&mut self, rest: &str) -> std::io::Result<Then> {
        if self.account.is_none() {
            return self.refuse(530, "5.7.0", "sign in first").await;
        }
        if self.letter.is_some() {
            return self.refuse(503, "5.5.1", "one sender a letter").await;
        }
        let Some((from, parameters)) = path(rest, "FROM:") else {
            return self.refuse(501, "5.5.4", "MAIL FROM:<address> is expected").await;
        };
        let reply = self.ask(method("MAIL"), &[("from", &from), ("parameters", &parameters)], Bytes::new()).await;
        if reply.is_success() {
            self.letter = Some(Envelope { from, parameters, recipients: Vec::new() });
        }
        self.say(&reply).await
    }

    async fn addresses(&mut self, rest: &str) -> std::io::Result<Then> {
        let Some(so_far) = self.letter.as_ref().map(|letter| letter.recipients.len().to_string()) else {
            return self.refuse(503, "5.5.1", "MAIL comes first").await;
        };
        let Some((to, parameters)) = path(rest, "TO:") else {
            return self.refuse(501, "5.5.4", "RCPT TO:<address> is expected").await;
        };
        let reply = self.ask(method("RCPT"), &[("to", &to), ("so_far", &so_far)], Bytes::new()).await;
        if let Some(letter) = self.letter.as_mut().filter(|_| reply.is_success()) {
            letter.recipients.push((to, parameters));
        }
        self.say(&reply).await
    }

    async fn hands_in(&mut self) -> std::io::Result<Then> {
        if self.letter.as_ref().is_none_or(|letter| letter.recipients.is_empty()) {
            return self.refuse(503, "5.5.1", "RCPT comes first").await;
        }
        self.say(&Reply::text(354, "end with <CR><LF>.<CR><LF>")).await?;
        let Some(content) = self.content().await? else { return Ok(Then::Ends) };
        let letter = self.letter.take().unwrap_or_default();
        let mut query = vec![("from", letter.from.as_str()), ("parameters", letter.parameters.as_str())];
        for (to, parameters) in &letter.recipients {
            query.extend([("to", to.as_str()), ("to_parameters", parameters.as_str())]);
        }
        let reply = self.ask(method("DATA"), &query, content.into()).await;
        self.say(&reply).await
    }

    /// Everything up to a dot alone on a line, with doubled dots made single. Only CR LF ends a line (SMTP smuggling).
    async fn content(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let (mut content, mut begins) = (Vec::new(), true);
        loop {
            let mut line = Vec::new();
            let reading = self.line.read_until(b'\n', &mut line);
            if !matches!(tokio::time::timeout(PATIENCE, reading).await, Ok(Ok(1..))) || content.len() > LARGEST {
                return Ok(None);
            }
            if begins && line == b".\r\n" {
                return Ok(Some(content));
            }
            content.extend_from_slice(if begins { line.strip_prefix(b".").unwrap_or(&line) } else { &line });
            begins = line.ends_with(b"\r\n");
            if !begins {
                // A bare line feed: read on, and the letter is refused as a whole.
                content.push(0);
            }
        }
    }
}

/// A verb of SMTP, in the place of one of HTTP.
fn method(verb: &str) -> Method {
    Method::from_bytes(verb.as_bytes()).unwrap_or_default()
}

/// `FROM:<ann@example.test> SIZE=12` gives address and parameters.
fn path(text: &str, begins: &str) -> Option<(String, String)> {
    let rest =
        text.get(..begins.len()).filter(|word| word.eq_ignore_ascii_case(begins)).and(text.get(begins.len()..))?;
    let (address, parameters) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    Some((address.to_owned(), parameters.trim().to_owned()))
}
