//! A submission server: real SMTP on loopback, with moods.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A mail that was taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken {
    pub(crate) to: Vec<String>,
    pub(crate) data: Vec<u8>,
}

impl Taken {
    pub(crate) fn parsed(&self) -> mail_parser::Message<'_> {
        mail_parser::MessageParser::default().parse(&self.data).unwrap()
    }

    /// The words, with the line end that every mail has taken off.
    pub(crate) fn text(&self) -> String {
        let text = self.parsed().body_text(0).unwrap_or_default().replace("\r\n", "\n");
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    }

    pub(crate) fn head(&self) -> String {
        let text = String::from_utf8_lossy(&self.data).into_owned();
        text.split("\r\n\r\n").next().unwrap().to_owned()
    }
}

/// What happens at the end of the next mail, or before it.
#[derive(Debug, Clone)]
pub(crate) enum Mood {
    /// Taken, and the connection closes.
    LoseAnswer,
    /// Taken, and this comes as the answer, and the end.
    Answer(String),
    /// Taken, and the answer comes after so long.
    Late(Duration),
    /// The connection closes amid the mail.
    CutData,
    /// `MAIL` is refused so.
    RefuseMail(String),
    /// The whole mail is refused so.
    RefuseData(String),
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) taken: Vec<Taken>,
    pub(crate) commands: Vec<String>,
    /// Transactions that began.
    pub(crate) begun: usize,
    pub(crate) moods: VecDeque<Mood>,
    /// Replies to single readers.
    pub(crate) readers: BTreeMap<String, String>,
    /// So many readers are taken in one transaction; 0 for any number.
    pub(crate) at_once: usize,
    /// Replies to a verb, whatever it says.
    pub(crate) replies: BTreeMap<&'static str, String>,
    pub(crate) extensions: Vec<&'static str>,
    pub(crate) password: String,
    pub(crate) bearer: Option<String>,
}

pub(crate) struct Server {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) address: SocketAddr,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = self.listening.lock().unwrap().take() {
            task.abort();
        }
    }
}

impl Server {
    pub(crate) async fn start(password: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let extensions = vec!["SIZE 30000000", "DSN", "AUTH PLAIN LOGIN XOAUTH2", "ENHANCEDSTATUSCODES"];
        let state = State { password: password.to_owned(), extensions, ..State::default() };
        let server = Self { state: Arc::new(Mutex::new(state)), address, listening: Mutex::new(None) };
        server.listen(listener);
        server
    }

    fn listen(&self, listener: TcpListener) {
        let state = Arc::clone(&self.state);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&state);
                tokio::spawn(async move { Dialogue::new(stream, state).run().await });
            }
        });
        *self.listening.lock().unwrap() = Some(task);
    }

    /// Nobody listens, or somebody does again.
    pub(crate) async fn refuse(&self, refuse: bool) {
        let task = self.listening.lock().unwrap().take();
        match (task, refuse) {
            (Some(task), true) => {
                task.abort();
                // The port is closed once the task is gone.
                let _ = task.await;
            }
            (None, false) => self.listen(TcpListener::bind(self.address).await.unwrap()),
            (task, _) => *self.listening.lock().unwrap() = task,
        }
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.state.lock().unwrap().taken.clone()
    }

    pub(crate) fn mood(&self, mood: Mood) {
        self.state.lock().unwrap().moods.push_back(mood);
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.state.lock().unwrap().commands.clone()
    }
}

struct Dialogue {
    stream: BufReader<TcpStream>,
    state: Arc<Mutex<State>>,
}

impl Dialogue {
    fn new(stream: TcpStream, state: Arc<Mutex<State>>) -> Self {
        Self { stream: BufReader::new(stream), state }
    }

    async fn say(&mut self, text: &str) -> Option<()> {
        self.stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await.ok()
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let count = self.stream.read_line(&mut line).await.ok()?;
        (count > 0).then(|| line.trim_end().to_owned())
    }

    fn scripted(&self, verb: &str) -> Option<String> {
        self.state.lock().unwrap().replies.get(verb).cloned()
    }

    async fn run(mut self) -> Option<()> {
        let greeting = self.scripted("CONNECT").unwrap_or_else(|| "220 mx.example.test ready".to_owned());
        self.say(&greeting).await?;
        let mut mail = Taken::default();
        let mut signed_in = false;
        while let Some(line) = self.line().await {
            self.state.lock().unwrap().commands.push(line.clone());
            let verb = line.split(' ').next().unwrap().to_uppercase();
            if let Some(reply) = self.scripted(&verb) {
                self.say(&reply).await?;
                continue;
            }
            match verb.as_str() {
                "EHLO" => {
                    let extensions = self.state.lock().unwrap().extensions.clone();
                    self.say("250-mx.example.test").await?;
                    for extension in &extensions {
                        self.say(&format!("250-{extension}")).await?;
                    }
                    self.say("250 8BITMIME").await?;
                }
                "AUTH" => {
                    signed_in = self.auth(&line).await?;
                    let reply = if signed_in { "235 2.7.0 welcome" } else { "535 5.7.8 bad credentials" };
                    self.say(reply).await?;
                }
                "MAIL" if !signed_in => self.say("530 5.7.0 authentication required").await?,
                "MAIL" => {
                    let mood = {
                        let mut state = self.state.lock().unwrap();
                        state.begun += 1;
                        let refuses = matches!(state.moods.front(), Some(Mood::RefuseMail(_)));
                        if refuses { state.moods.pop_front() } else { None }
                    };
                    if let Some(Mood::RefuseMail(reply)) = mood {
                        self.say(&reply).await?;
                        continue;
                    }
                    mail = Taken::default();
                    self.say("250 2.1.0 ok").await?;
                }
                "RCPT" => {
                    let to = path(&line);
                    let reply = self.state.lock().unwrap().readers.get(&to).cloned();
                    match reply {
                        Some(reply) => self.say(&reply).await?,
                        None if is_full(mail.to.len(), self.state.lock().unwrap().at_once) => {
                            self.say("452 4.5.3 too many recipients").await?;
                        }
                        None => {
                            mail.to.push(to);
                            self.say("250 2.1.5 ok").await?;
                        }
                    }
                }
                "DATA" => {
                    self.say("354 go on").await?;
                    let mood = self.state.lock().unwrap().moods.pop_front();
                    if matches!(mood, Some(Mood::CutData)) {
                        let mut some = [0; 64];
                        let _ = self.stream.read(&mut some).await;
                        return None;
                    }
                    mail.data = self.data().await?;
                    self.finish(std::mem::take(&mut mail), mood).await?;
                }
                "RSET" => {
                    mail = Taken::default();
                    self.say("250 2.0.0 ok").await?;
                }
                "QUIT" => {
                    self.say("221 2.0.0 bye").await?;
                    return Some(());
                }
                _ => self.say("500 5.5.2 what").await?,
            }
        }
        Some(())
    }

    async fn finish(&mut self, mail: Taken, mood: Option<Mood>) -> Option<()> {
        if let Some(Mood::RefuseData(reply)) = mood {
            return self.say(&reply).await;
        }
        let number = {
            let mut state = self.state.lock().unwrap();
            state.taken.push(mail);
            state.taken.len()
        };
        match mood {
            Some(Mood::LoseAnswer) => None,
            Some(Mood::Answer(answer)) => {
                self.stream.get_mut().write_all(answer.as_bytes()).await.ok()?;
                None
            }
            Some(Mood::Late(late)) => {
                tokio::time::sleep(late).await;
                self.say("250 2.0.0 queued").await
            }
            _ => self.say(&format!("250 2.0.0 queued as {number}")).await,
        }
    }

    async fn auth(&mut self, line: &str) -> Option<bool> {
        let (password, bearer) = {
            let state = self.state.lock().unwrap();
            (state.password.clone(), state.bearer.clone())
        };
        let words: Vec<&str> = line.split(' ').collect();
        Some(match words[1] {
            "PLAIN" => {
                let decoded = String::from_utf8(STANDARD.decode(words[2]).unwrap()).unwrap();
                decoded.split('\0').nth(2) == Some(password.as_str())
            }
            "LOGIN" => {
                self.say("334 VXNlcm5hbWU6").await?;
                self.line().await?;
                self.say("334 UGFzc3dvcmQ6").await?;
                STANDARD.decode(self.line().await?).unwrap() == password.as_bytes()
            }
            "XOAUTH2" => {
                let decoded = String::from_utf8(STANDARD.decode(words[2]).unwrap()).unwrap();
                let good = bearer.is_some_and(|token| decoded.contains(&format!("auth=Bearer {token}\x01\x01")));
                if !good {
                    self.say("334 eyJzdGF0dXMiOiI0MDEifQ==").await?;
                    assert_eq!(self.line().await?, "");
                }
                good
            }
            other => panic!("{other}"),
        })
    }

    /// The mail up to the final dot, the doubled dots undone. Line ends must be CRLF.
    async fn data(&mut self) -> Option<Vec<u8>> {
        let mut data = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await.ok()? == 0 {
                return None;
            }
            assert!(line.ends_with(b"\r\n"), "a bare line feed");
            assert!(!line[..line.len() - 2].contains(&b'\r'), "a bare carriage return");
            assert!(line.len() <= 1_000, "a line of {} octets", line.len());
            if line == b".\r\n" {
                return Some(data);
            }
            data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }
}

fn path(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

fn is_full(taken: usize, at_once: usize) -> bool {
    at_once > 0 && taken >= at_once
}
