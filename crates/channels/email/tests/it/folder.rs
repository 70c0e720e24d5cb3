//! A folder on an IMAP server: real IMAP on loopback, as much of it as the channel speaks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::world::PASSWORD;

#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) uid: u32,
    pub(crate) seen: bool,
    pub(crate) arrived: &'static str,
    pub(crate) source: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) mails: Vec<Stored>,
    pub(crate) moved: Vec<(u32, String)>,
    pub(crate) validity: u32,
    pub(crate) next_uid: u32,
    pub(crate) capabilities: &'static str,
    pub(crate) commands: Vec<String>,
    /// The next command that begins so is answered by the end of the connection.
    pub(crate) cut_at: Option<&'static str>,
    /// `FETCH` is refused.
    pub(crate) withheld: bool,
    /// What `SELECT` answers instead.
    pub(crate) refuse_select: Option<&'static str>,
}

pub(crate) struct Folder {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) address: SocketAddr,
    news: watch::Sender<usize>,
    /// How many connections wait in IDLE.
    pub(crate) idling: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Folder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            mails: Vec::new(),
            moved: Vec::new(),
            validity: 7,
            next_uid: 1,
            capabilities: "IMAP4rev1 IDLE MOVE AUTH=PLAIN",
            commands: Vec::new(),
            cut_at: None,
            withheld: false,
            refuse_select: None,
        }));
        let (news, heard) = watch::channel(0);
        let (idles, idling) = watch::channel(0);
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let dialogue = Dialogue {
                    stream: BufReader::new(stream),
                    state: Arc::clone(&shared),
                    news: heard.clone(),
                    idles: idles.clone(),
                };
                tokio::spawn(dialogue.run());
            }
        });
        Self { state, address, news, idling, task }
    }

    pub(crate) fn deliver(&self, source: &str) -> u32 {
        self.deliver_at(source, "09-Oct-2025 08:53:20 +0000")
    }

    pub(crate) fn deliver_at(&self, source: &str, arrived: &'static str) -> u32 {
        let (uid, count) = {
            let mut state = self.state.lock().unwrap();
            let uid = state.next_uid;
            // UIDs only grow, and leave gaps.
            state.next_uid += 3;
            state.mails.push(Stored { uid, seen: false, arrived, source: source.as_bytes().to_vec() });
            (uid, state.mails.len())
        };
        self.news.send_replace(count);
        uid
    }

    pub(crate) fn seen(&self) -> Vec<bool> {
        self.state.lock().unwrap().mails.iter().map(|mail| mail.seen).collect()
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.state.lock().unwrap().commands.clone()
    }
}

struct Dialogue {
    stream: BufReader<TcpStream>,
    state: Arc<Mutex<State>>,
    news: watch::Receiver<usize>,
    idles: watch::Sender<usize>,
}

impl Dialogue {
    async fn say(&mut self, text: &str) -> Option<()> {
        self.stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await.ok()
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let count = self.stream.read_line(&mut line).await.ok()?;
        (count > 0).then(|| line.trim_end().to_owned())
    }

    async fn run(mut self) -> Option<()> {
        self.say("* OK ready").await?;
        while let Some(line) = self.line().await {
            let (tag, command) = line.split_once(' ')?;
            let (tag, command) = (tag.to_owned(), command.to_owned());
            {
                let mut state = self.state.lock().unwrap();
                state.commands.push(command.clone());
                if state.cut_at.is_some_and(|cut| command.starts_with(cut)) {
                    state.cut_at = None;
                    return None;
                }
            }
            let verb = command.split(' ').next()?.to_uppercase();
            let status = match verb.as_str() {
                "CAPABILITY" => {
                    let capabilities = self.state.lock().unwrap().capabilities;
                    self.say(&format!("* CAPABILITY {capabilities}")).await?;
                    "OK done".to_owned()
                }
                "LOGIN" => {
                    if command.contains(PASSWORD) { "OK hello" } else { "NO [AUTHENTICATIONFAILED] no" }.to_owned()
                }
                "AUTHENTICATE" => {
                    self.say("+ ").await?;
                    let response = STANDARD.decode(self.line().await?).unwrap();
                    let good = String::from_utf8(response).unwrap().ends_with(&format!("\0{PASSWORD}"));
                    if good { "OK hello" } else { "NO [AUTHENTICATIONFAILED] no" }.to_owned()
                }
                "SELECT" => self.select().await?,
                "UID" => self.uid(&command).await?,
                "IDLE" => {
                    self.idle().await?;
                    "OK done".to_owned()
                }
                "NOOP" => "OK done".to_owned(),
                "LOGOUT" => {
                    self.say("* BYE bye").await?;
                    self.say(&format!("{tag} OK bye")).await?;
                    return Some(());
                }
                _ => "BAD what".to_owned(),
            };
            self.say(&format!("{tag} {status}")).await?;
        }
        Some(())
    }

    async fn select(&mut self) -> Option<String> {
        let (count, validity, next, refused) = {
            let state = self.state.lock().unwrap();
            (state.mails.len(), state.validity, state.next_uid, state.refuse_select)
        };
        if let Some(refused) = refused {
            return Some(refused.to_owned());
        }
        self.news.mark_unchanged();
        self.say(&format!(
            "* {count} EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY {validity}] .\r\n* OK [UIDNEXT {next}] ."
        ))
        .await?;
        Some("OK [READ-WRITE] open".to_owned())
    }

    async fn idle(&mut self) -> Option<()> {
        self.say("+ idling").await?;
        self.idles.send_modify(|count| *count += 1);
        let mut line = String::new();
        let done = loop {
            tokio::select! {
                read = self.stream.read_line(&mut line) => break read.ok().filter(|count| *count > 0).map(drop),
                changed = self.news.changed() => {
                    if changed.is_err() {
                        break None;
                    }
                    let count = *self.news.borrow_and_update();
                    let _ = self.stream.get_mut().write_all(format!("* {count} EXISTS\r\n").as_bytes()).await;
                }
            }
        };
        self.idles.send_modify(|count| *count -= 1);
        done
    }

    async fn uid(&mut self, command: &str) -> Option<String> {
        let words: Vec<&str> = command.splitn(4, ' ').collect();
        let set = if words[1] == "SEARCH" { words[3] } else { words[2] };
        let (mails, withheld) = {
            let state = self.state.lock().unwrap();
            (chosen(&state.mails, set), state.withheld)
        };
        match words[1] {
            "SEARCH" => {
                let uids: Vec<String> = mails.iter().map(|(_, mail)| mail.uid.to_string()).collect();
                self.say(&format!("* SEARCH {}", uids.join(" "))).await?;
            }
            "FETCH" if withheld => return Some("NO [SERVERBUG] not now".to_owned()),
            "FETCH" => {
                for (place, mail) in mails {
                    let body = words[3].contains("BODY.PEEK[]");
                    let (uid, arrived, size) = (mail.uid, mail.arrived, mail.source.len());
                    let answer = if body {
                        format!("* {place} FETCH (UID {uid} BODY[] {{{size}}}\r\n")
                    } else if words[3].contains("BODY.PEEK[HEADER]") {
                        let text = String::from_utf8_lossy(&mail.source).into_owned();
                        let head = format!("{}\r\n\r\n", text.split("\r\n\r\n").next().unwrap());
                        let size = head.len();
                        self.say(&format!("* {place} FETCH (UID {uid} BODY[HEADER] {{{size}}}\r\n{head})")).await?;
                        continue;
                    } else {
                        format!("* {place} FETCH (UID {uid} INTERNALDATE \"{arrived}\" RFC822.SIZE {size}")
                    };
                    let stream = self.stream.get_mut();
                    stream.write_all(answer.as_bytes()).await.ok()?;
                    if body {
                        stream.write_all(&mail.source).await.ok()?;
                    }
                    self.say(")").await?;
                }
            }
            "STORE" => {
                assert_eq!(words[3], "+FLAGS.SILENT (\\Seen)");
                let mut state = self.state.lock().unwrap();
                for (place, _) in mails {
                    state.mails[place - 1].seen = true;
                }
            }
            "MOVE" => {
                let mut state = self.state.lock().unwrap();
                for (_, mail) in mails {
                    state.mails.retain(|kept| kept.uid != mail.uid);
                    state.moved.push((mail.uid, words[3].trim_matches('"').to_owned()));
                }
            }
            other => panic!("{other}"),
        }
        Some("OK done".to_owned())
    }
}

/// The mails of a set; `n:*` holds the newest one in any case.
fn chosen(mails: &[Stored], set: &str) -> Vec<(usize, Stored)> {
    let newest = mails.iter().map(|mail| mail.uid).max().unwrap_or(0);
    let in_range = |uid: u32| {
        set.split(',').any(|piece| match piece.split_once(':') {
            None => piece.parse() == Ok(uid),
            Some((from, "*")) => {
                let from: u32 = from.parse().unwrap();
                (from.min(newest)..=from.max(newest)).contains(&uid)
            }
            Some((from, to)) => (from.parse().unwrap()..=to.parse().unwrap()).contains(&uid),
        })
    };
    mails.iter().cloned().enumerate().filter(|(_, mail)| in_range(mail.uid)).map(|(n, mail)| (n + 1, mail)).collect()
}
