//! A session with a submission server: connection, TLS, EHLO, signing in, commands (RFC 5321, 6409, 3207, 4954).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use transom_channel::SendError;

use super::Envelope;
use super::reply::{NoReply, Reply};
use crate::address::Mailbox;
use crate::config::Server;
use crate::error::{Stage, broken, refusal};
use crate::oauth::SignIn;
use crate::tls::{Security, Tls};

/// The longest time for a connection, TLS aside.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may take to say good-bye; by then everything is decided.
const GOODBYE: Duration = Duration::from_millis(500);

/// A connection, protected or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(super) struct Session {
    stream: BufReader<Box<dyn Stream>>,
    hello: String,
    can: Extensions,
}

/// What the server says it can, as far as it matters.
#[derive(Debug, Default)]
struct Extensions {
    starttls: bool,
    dsn: bool,
    size: bool,
    max_size: Option<u64>,
}

impl Session {
    /// Connects, protects the connection as the settings say, and never with less, and says hello.
    pub(super) async fn open(server: &Server, tls: &Tls) -> Result<Self, SendError> {
        let tcp = connected(&server.host, server.port).await?;
        let hello = own_name(tcp.local_addr().ok());
        if server.security == Security::StartTls {
            // Greeting and EHLO in the open, then nothing of it counts any more.
            let mut open = BufReader::new(tcp);
            let mut plain = Plain(&mut open);
            plain.greeting().await?;
            if !plain.hello(&hello).await?.starttls {
                return Err(not_connected("the server offers no STARTTLS, and nothing is sent without TLS"));
            }
            let reply = plain.command("STARTTLS").await.map_err(broken)?;
            if reply.code != 220 {
                return Err(not_connected("the server refuses STARTTLS, and nothing is sent without TLS"));
            }
            // What came before TLS and would be read after it can be anybody's.
            if !open.buffer().is_empty() {
                return Err(not_connected("the server talks on after STARTTLS"));
            }
            let stream = tls.protect(open.into_inner(), &server.host).await.map_err(not_connected)?;
            let mut session = Self::over(Box::new(stream), hello);
            session.hello().await?;
            return Ok(session);
        }
        let stream: Box<dyn Stream> = match server.security {
            Security::Tls => Box::new(tls.protect(tcp, &server.host).await.map_err(not_connected)?),
            Security::Plain | Security::StartTls => Box::new(tcp),
        };
        let mut session = Self::over(stream, hello);
        Plain(&mut session.stream).greeting().await?;
        session.hello().await?;
        Ok(session)
    }

    fn over(stream: Box<dyn Stream>, hello: String) -> Self {
        Self { stream: BufReader::new(stream), hello, can: Extensions::default() }
    }

    async fn hello(&mut self) -> Result<(), SendError> {
        self.can = Plain(&mut self.stream).hello(&self.hello).await?;
        Ok(())
    }

    /// The largest mail that the server takes, where it says (RFC 1870).
    pub(super) fn max_size(&self) -> Option<u64> {
        self.can.max_size
    }

    /// Signs in.
    pub(super) async fn sign_in(&mut self, user: &str, how: &SignIn<'_>) -> Result<(), SendError> {
        let reply = match how {
            SignIn::Nobody => return Ok(()),
            SignIn::Plain(password) => {
                let response = STANDARD.encode(format!("\0{user}\0{}", password.expose_secret()));
                self.command(&format!("AUTH PLAIN {response}")).await.map_err(broken)?
            }
            SignIn::Login(password) => self.login(user, password).await?,
            SignIn::Bearer(token) => {
                let response = STANDARD.encode(bearer(user, token));
                let reply = self.command(&format!("AUTH XOAUTH2 {response}")).await.map_err(broken)?;
                // The reason comes as a challenge; an empty answer ends it.
                if reply.goes_on() { self.command("").await.map_err(broken)? } else { reply }
            }
        };
        match reply.code {
            235 => Ok(()),
            _ => {
                self.quit().await;
                Err(refusal(Stage::Auth, &reply))
            }
        }
    }

    async fn login(&mut self, user: &str, password: &SecretString) -> Result<Reply, SendError> {
        let mut reply = self.command("AUTH LOGIN").await.map_err(broken)?;
        for answer in [user, password.expose_secret()] {
            if !reply.goes_on() {
                return Ok(reply);
            }
            reply = self.command(&STANDARD.encode(answer)).await.map_err(broken)?;
        }
        Ok(reply)
    }

    /// `MAIL`, with what the server understands of size and reports.
    pub(super) fn mail_command(&self, envelope: &Envelope<'_>, size: usize) -> String {
        let mut command = format!("MAIL FROM:<{}>", envelope.from);
        if self.can.size {
            command.extend([" SIZE=", &size.to_string()]);
        }
        if self.can.dsn {
            // Headers are enough to know our mail by, and tell nobody its words.
            command.extend([" RET=HDRS ENVID=", envelope.id]);
        }
        command
    }

    /// `RCPT`, with what is to be reported about this reader.
    pub(super) fn rcpt_command(&self, reader: &Mailbox, envelope: &Envelope<'_>) -> String {
        let mut command = format!("RCPT TO:<{}>", reader.as_str());
        if self.can.dsn {
            let when = if envelope.receipts { "SUCCESS,FAILURE,DELAY" } else { "FAILURE,DELAY" };
            command.extend([" NOTIFY=", when, " ORCPT=rfc822;", &xtext(reader.as_str())]);
        }
        command
    }

    pub(super) async fn command(&mut self, line: &str) -> Result<Reply, NoReply> {
        Plain(&mut self.stream).command(line).await
    }

    /// The mail without its final dot; lines that start with a dot get another (RFC 5321 section 4.5.2).
    pub(super) async fn body(&mut self, mail: &[u8]) -> Result<(), NoReply> {
        let mut stuffed = Vec::with_capacity(mail.len() + mail.len() / 64 + 2);
        let mut at_start = true;
        for byte in mail {
            if at_start && *byte == b'.' {
                stuffed.push(b'.');
            }
            stuffed.push(*byte);
            at_start = *byte == b'\n';
        }
        if !stuffed.ends_with(b"\r\n") {
            stuffed.extend_from_slice(b"\r\n");
        }
        self.write(&stuffed).await
    }

    /// From here on the mail may be accepted.
    pub(super) async fn final_dot(&mut self) -> Result<(), NoReply> {
        self.write(b".\r\n").await
    }

    pub(super) async fn answer(&mut self) -> Result<Reply, NoReply> {
        Reply::read(&mut self.stream).await
    }

    /// Takes a begun transaction back.
    pub(super) async fn abandon(&mut self) {
        let _ = tokio::time::timeout(GOODBYE, self.command("RSET")).await;
        self.quit().await;
    }

    /// Says good-bye; whether it is heard changes nothing.
    pub(super) async fn quit(&mut self) {
        let _ = tokio::time::timeout(GOODBYE, self.command("QUIT")).await;
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), NoReply> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes).await.map_err(|_| NoReply::Lost)?;
        stream.flush().await.map_err(|_| NoReply::Lost)
    }
}

/// The dialogue's first steps, over whatever connection.
struct Plain<'s, S>(&'s mut BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Plain<'_, S> {
    async fn greeting(&mut self) -> Result<(), SendError> {
        let reply = Reply::read(self.0).await.map_err(broken)?;
        if reply.is_positive() { Ok(()) } else { Err(refusal(Stage::Hello, &reply)) }
    }

    async fn hello(&mut self, name: &str) -> Result<Extensions, SendError> {
        let reply = self.command(&format!("EHLO {name}")).await.map_err(broken)?;
        if !reply.is_positive() {
            return Err(refusal(Stage::Hello, &reply));
        }
        Ok(extensions(&reply))
    }

    /// One line and its answer. No line of ours can hold another: all that goes into one is checked or encoded.
    async fn command(&mut self, line: &str) -> Result<Reply, NoReply> {
        if line.contains(['\r', '\n', '\0']) {
            return Err(NoReply::Garbled);
        }
        let stream = self.0.get_mut();
        stream.write_all(format!("{line}\r\n").as_bytes()).await.map_err(|_| NoReply::Lost)?;
        stream.flush().await.map_err(|_| NoReply::Lost)?;
        Reply::read(self.0).await
    }
}

fn extensions(reply: &Reply) -> Extensions {
    let mut can = Extensions::default();
    for line in reply.lines.iter().skip(1) {
        let mut words = line.split_ascii_whitespace();
        match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "STARTTLS" => can.starttls = true,
            "DSN" => can.dsn = true,
            "SIZE" => {
                can.size = true;
                // 0 means that there is no limit (RFC 1870 section 4).
                can.max_size = words.next().and_then(|size| size.parse().ok()).filter(|size| *size > 0);
            }
            _ => {}
        }
    }
    can
}

/// Connects to the first of the host's addresses that answers.
pub(crate) async fn connected(host: &str, port: u16) -> Result<TcpStream, SendError> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await {
        Ok(Ok(tcp)) => {
            // A socket without this option sends as well, only later.
            let _ = tcp.set_nodelay(true);
            Ok(tcp)
        }
        Ok(Err(_)) => Err(not_connected("the connection was refused or could not be made")),
        Err(_) => Err(not_connected("connecting took too long")),
    }
}

/// What XOAUTH2 is told (sheet 2).
pub(crate) fn bearer(user: &str, token: &SecretString) -> String {
    format!("user={user}\x01auth=Bearer {}\x01\x01", token.expose_secret())
}

/// Who says hello: a client without a name of its own gives its address (RFC 5321 section 4.1.3).
fn own_name(local: Option<SocketAddr>) -> String {
    match local.map(|local| local.ip()) {
        Some(IpAddr::V4(ip)) => format!("[{ip}]"),
        Some(IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        None => "[127.0.0.1]".to_owned(),
    }
}

/// RFC 3461 section 4: what is no plain character is written as a plus sign and two hexadecimal digits.
fn xtext(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'+' | b'=' => format!("+{byte:02X}"),
        b'!'..=b'~' => char::from(byte).to_string(),
        _ => format!("+{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

fn not_connected(detail: impl Into<String>) -> SendError {
    SendError::NotConnected { detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_written_as_the_sheet_says() {
        let plain = STANDARD.encode(format!("\0{}\0{}", "agent@example.test", "pw"));
        assert_eq!(plain, "AGFnZW50QGV4YW1wbGUudGVzdABwdw==");
        assert_eq!(bearer("U", &SecretString::from("T".to_owned())), "user=U\x01auth=Bearer T\x01\x01");
    }

    #[test]
    fn extensions_are_read() {
        let lines = ["mx", "SIZE 1000", "starttls", "DSN", "AUTH PLAIN"].map(str::to_owned).to_vec();
        let can = extensions(&Reply { code: 250, enhanced: None, lines });
        assert!(can.starttls && can.dsn && can.size);
        assert_eq!(can.max_size, Some(1_000));
    }

    #[test]
    fn reports_are_asked_for_by_an_address_in_xtext() {
        assert_eq!(xtext("ann+x=y@example.test"), "ann+2Bx+3Dy@example.test");
    }
}
