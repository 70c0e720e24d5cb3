//! A small HTTP/1.1 server whose every answer can be spoilt, which a real one would not allow.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What the server does about a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// Promises a body of this length and sends what there is.
    Short { promised: usize, body: Vec<u8> },
    /// Closes without a byte.
    Nothing,
    /// Waits first.
    Late(Duration, Box<Reply>),
}

impl Reply {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Reply::Answer { status, headers, body: body.to_string().into_bytes() }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Reply::Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A server on a free port; it stops when it is dropped.
pub(crate) struct Server {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    handler: Arc<Handler>,
    /// Ends with all its connections.
    task: Mutex<JoinHandle<()>>,
}

impl Server {
    pub(crate) async fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (requests, handler) = (Arc::default(), Arc::new(handler) as Arc<Handler>);
        let task = Mutex::new(tokio::spawn(accept(listener, Arc::clone(&handler), Arc::clone(&requests))));
        Self { address, requests, handler, task }
    }

    /// Hangs up on everybody and closes the port, or opens it again.
    pub(crate) async fn listen(&self, open: bool) {
        let port = self.address.trim_start_matches("http://");
        self.task.lock().unwrap().abort();
        loop {
            // The old listener goes when its task does.
            match TcpListener::bind(port).await {
                Ok(listener) if open => {
                    let accept = accept(listener, Arc::clone(&self.handler), Arc::clone(&self.requests));
                    *self.task.lock().unwrap() = tokio::spawn(accept);
                    return;
                }
                Ok(_) => return,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// What came in so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).abort();
    }
}

/// Takes connections; when it is aborted, they all end.
async fn accept(listener: TcpListener, handler: Arc<Handler>, log: Arc<Mutex<Vec<Request>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&handler), Arc::clone(&log)));
    }
}

/// Serves one connection until it is spoilt or closed.
async fn serve(stream: TcpStream, handler: Arc<Handler>, log: Arc<Mutex<Vec<Request>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let mut reply = handler(&request);
        log.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        if let Reply::Late(wait, then) = reply {
            tokio::time::sleep(wait).await;
            reply = *then;
        }
        let (status, headers, length, body) = match reply {
            Reply::Answer { status, headers, body } => (status, headers, body.len(), body),
            Reply::Short { promised, body } => (200, Vec::new(), promised, body),
            Reply::Nothing | Reply::Late(..) => return,
        };
        let headers: String = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
        let head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {length}\r\n{headers}\r\n");
        let bytes = [head.as_bytes(), &body].concat();
        if stream.write_all(&bytes).await.is_err() || length != body.len() {
            return;
        }
    }
}

/// The next request of a connection, `None` at its end.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut first = lines.first()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { method, path, headers, body })
}
