//! A web site on loopback that carries the chat and lets nothing else in.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::Trouble;

/// A site of a few files. It ends with this value.
#[derive(Debug)]
pub struct Site {
    origin: String,
    serving: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Site {
    /// A listener for a site: its origin is known before the page is.
    ///
    /// # Errors
    /// [`Trouble`] when no port is free.
    pub async fn door() -> Result<(TcpListener, String), Trouble> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Trouble::new)?;
        let origin = format!("http://{}", listener.local_addr().map_err(Trouble::new)?);
        Ok((listener, origin))
    }

    /// Serves files under their paths, the first under every other path too, with a policy that allows only these and the chat's
    /// service, and that one no style.
    pub fn serve(listener: TcpListener, origin: String, service: &str, files: Vec<File>) -> Self {
        let socket = service.replacen("http", "ws", 1);
        let policy = format!(
            "default-src 'none'; script-src 'self' {service}; connect-src {service} {socket}; img-src {service}; style-src 'self'; \
             base-uri 'none'"
        );
        let shown = Arc::new((files, policy));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&shown)));
            }
        });
        Self { origin, serving }
    }

    /// `http://127.0.0.1:…`, without a slash at the end.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// A path, a MIME type, and what is served there.
pub type File = (&'static str, &'static str, String);

async fn answer(mut stream: TcpStream, shown: Arc<(Vec<File>, String)>) -> std::io::Result<()> {
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await? {
            0 => return Ok(()),
            read => head.extend(piece.iter().take(read)),
        }
    }
    let (files, policy) = &*shown;
    let is_asked = |(path, ..): &&File| head.starts_with(format!("GET {path} ").as_bytes());
    let Some((_, mime, body)) = files.iter().find(is_asked).or(files.first()) else { return Ok(()) };
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {mime}; charset=utf-8\r\ncontent-security-policy: {policy}\r\n\
         content-length: {}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await
}
