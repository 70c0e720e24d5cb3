//! Replies of an SMTP server (RFC 5321 section 4.2, RFC 3463).

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// The longest line and the most lines that are read of one reply.
const MAX_LINE: usize = 4_096;
const MAX_LINES: usize = 128;

/// A whole reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    /// The enhanced code, where the server gives one.
    pub(crate) enhanced: Option<Enhanced>,
    pub(crate) lines: Vec<String>,
}

/// An enhanced status code: class, subject, detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Enhanced(pub(crate) u16, pub(crate) u16, pub(crate) u16);

impl std::fmt::Display for Enhanced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// No reply, or none that is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoReply {
    /// The connection ended or broke.
    Lost,
    /// Something else than SMTP came.
    Garbled,
}

impl Reply {
    pub(crate) const fn is_positive(&self) -> bool {
        matches!(self.code, 200..=299)
    }

    pub(crate) const fn goes_on(&self) -> bool {
        matches!(self.code, 300..=399)
    }

    /// So many readers in one transaction are enough for now: the others go in another (RFC 5321 section 4.5.3.1.10).
    pub(crate) fn is_too_many_readers(&self) -> bool {
        let says = || self.text().to_lowercase().contains("too many recipients");
        self.code == 452 && self.enhanced.map_or_else(says, |Enhanced(_, subject, detail)| (subject, detail) == (5, 3))
    }

    /// What the server says, in one line.
    pub(crate) fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// Reads one.
    pub(crate) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Self, NoReply> {
        let mut reply: Option<Reply> = None;
        for _ in 0..MAX_LINES {
            let line = read_line(from).await?;
            let (code, last, text) = split(&line).ok_or(NoReply::Garbled)?;
            let (enhanced, text) = enhanced(text, code);
            let reply = reply.get_or_insert_with(|| Reply { code, enhanced, lines: Vec::new() });
            if reply.code != code {
                return Err(NoReply::Garbled);
            }
            reply.lines.push(text.to_owned());
            if last {
                return Ok(reply.clone());
            }
        }
        Err(NoReply::Garbled)
    }
}

async fn read_line(from: &mut (impl AsyncBufRead + Unpin)) -> Result<String, NoReply> {
    let mut line = Vec::new();
    loop {
        let held = from.fill_buf().await.map_err(|_| NoReply::Lost)?;
        let end = held.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(held.len(), |end| end + 1);
        if taken == 0 {
            return Err(NoReply::Lost);
        }
        line.extend_from_slice(held.get(..taken).unwrap_or_default());
        from.consume(taken);
        if line.len() > MAX_LINE {
            return Err(NoReply::Garbled);
        }
        if end.is_some() {
            return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    }
}

/// Code, whether it is the last line, and the text.
fn split(line: &str) -> Option<(u16, bool, &str)> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let code = digits.parse().ok().filter(|code| (200..600).contains(code))?;
    match rest.chars().next() {
        None => Some((code, true, "")),
        Some(' ') => Some((code, true, rest.get(1..).unwrap_or_default())),
        Some('-') => Some((code, false, rest.get(1..).unwrap_or_default())),
        Some(_) => None,
    }
}

/// The enhanced code at the start of a line, if it is one of this reply's class.
fn enhanced(text: &str, code: u16) -> (Option<Enhanced>, &str) {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    match parse_enhanced(first) {
        Some(enhanced) if enhanced.0 == code / 100 => (Some(enhanced), rest.trim_start()),
        _ => (None, text),
    }
}

/// Reads `5.1.1`.
pub(crate) fn parse_enhanced(text: &str) -> Option<Enhanced> {
    let mut numbers = text.split('.').map(|number| number.parse::<u16>().ok().filter(|_| number.len() <= 3));
    let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
    (numbers.next().is_none() && matches!(class, 2 | 4 | 5)).then_some(Enhanced(class, subject, detail))
}

/// Reads the code and the enhanced code out of a diagnostic text such as `550 5.1.1 no such user` or `550-5.1.1 …`.
pub(crate) fn parse_diagnostic(text: &str) -> Option<Reply> {
    let text = text.trim();
    let (code, _, rest) = split(text)?;
    let (enhanced, rest) = enhanced(rest, code);
    Some(Reply { code, enhanced, lines: vec![rest.to_owned()] })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &str) -> Result<Reply, NoReply> {
        Reply::read(&mut text.as_bytes()).await
    }

    #[tokio::test]
    async fn replies_of_one_and_of_several_lines_are_read() {
        let reply = read("250-mx.example.test\r\n250-SIZE 1000\r\n250 8BITMIME\r\n").await.unwrap();
        assert_eq!((reply.code, reply.lines.len()), (250, 3));
        let reply = read("550 5.1.1 no such user\r\n").await.unwrap();
        assert_eq!((reply.enhanced, reply.text().as_str()), (Some(Enhanced(5, 1, 1)), "no such user"));
        assert_eq!(read("250\r\n").await.unwrap().code, 250);
        // A version number is no enhanced code of this class.
        assert_eq!(read("220 5.0.1 ready\r\n").await.unwrap().enhanced, None);
    }

    #[tokio::test]
    async fn anything_else_is_no_reply() {
        for lost in ["", "250-first\r\n", "250 no line end"] {
            assert_eq!(read(lost).await, Err(NoReply::Lost), "{lost}");
        }
        let endless = format!("250 {}\r\n", "x".repeat(5_000));
        let many = "250-x\r\n".repeat(200);
        for garbled in [
            "hello\r\n",
            "25\r\n",
            "250x\r\n",
            "250-a\r\n251 b\r\n",
            "HTTP/1.1 502 Bad Gateway\r\n",
            "099 x\r\n",
            &endless,
            &many,
        ] {
            assert_eq!(read(garbled).await, Err(NoReply::Garbled), "{garbled}");
        }
    }
}
