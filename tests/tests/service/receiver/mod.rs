//! Somebody's server that gets webhooks: plain HTTP over a socket, and signatures checked as the specification says, with
//! nothing of ours.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One call as it came.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) timestamp: i64,
    pub(crate) signatures: Vec<String>,
    pub(crate) raw: Vec<u8>,
    pub(crate) body: Value,
}

impl Call {
    /// Whether one of its signatures is by this secret.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let Ok(key) = STANDARD.decode(secret.trim_start_matches("whsec_")) else { return false };
        let content = [self.id.as_bytes(), b".", self.timestamp.to_string().as_bytes(), b".", &self.raw].concat();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(&content);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.signatures.contains(&expected)
    }
}

/// A server on a port of its own.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    port: u16,
    status: Arc<Mutex<u16>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Self { port, status: Arc::new(Mutex::new(200)), calls: Arc::default() };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks", self.port)
    }

    /// What it answers from now on.
    pub(crate) fn answers(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }

    /// What came so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let headers = String::from_utf8_lossy(&bytes[..head]).into_owned();
        let header = |name: &str| {
            let found = headers.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            });
            found.unwrap_or_default()
        };
        let length: usize = header("content-length").parse().ok()?;
        while bytes.len() < head + length {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        let raw = bytes[head..].to_vec();
        let call = Call {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp").parse().ok()?,
            signatures: header("webhook-signature").split(' ').map(str::to_owned).collect(),
            body: serde_json::from_slice(&raw).ok()?,
            raw,
        };
        let status = *self.status.lock().unwrap();
        self.calls.lock().unwrap().push(call);
        let elsewhere = if status == 302 { format!("Location: {}\r\n", self.url()) } else { String::new() };
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{elsewhere}Connection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.ok()
    }
}
