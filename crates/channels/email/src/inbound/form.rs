//! Bodies of web forms: `application/x-www-form-urlencoded` and `multipart/form-data` (RFC 7578).

/// A field of a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field<'f> {
    pub(crate) name: String,
    pub(crate) value: Value<'f>,
}

/// What a field holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value<'f> {
    Text(String),
    File { name: String, mime: Option<String>, bytes: &'f [u8] },
}

/// The most fields that are read.
const MAX_FIELDS: usize = 1_000;

/// The fields of a form; `None` for a body that is none.
pub(crate) fn read(body: &[u8]) -> Option<Vec<Field<'_>>> {
    if body.starts_with(b"--") { multipart(body) } else { urlencoded(body) }
}

fn urlencoded(body: &[u8]) -> Option<Vec<Field<'_>>> {
    // No line ends, no blanks: nothing else that comes looks like this.
    let first = body.split(|byte| *byte == b'=').next()?;
    let is_name =
        !first.is_empty() && first.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.%[]".contains(byte));
    if !is_name || !body.contains(&b'=') || body.iter().any(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'<')) {
        return None;
    }
    let field = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| Field {
        name: name.into_owned(),
        value: Value::Text(value.into_owned()),
    };
    Some(form_urlencoded::parse(body).take(MAX_FIELDS).map(field).collect())
}

fn multipart(body: &[u8]) -> Option<Vec<Field<'_>>> {
    let end = body.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    let boundary = body.get(..end).filter(|line| (3..=72).contains(&line.len()))?;
    let mut rest = body.get(end..)?;
    let mut fields = Vec::new();
    while fields.len() < MAX_FIELDS {
        rest = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n"))?;
        let at = delimiter(rest, boundary)?;
        fields.extend(field(rest.get(..at)?));
        rest = rest.get(at..)?;
        rest = rest.strip_prefix(b"\r").unwrap_or(rest);
        rest = rest.strip_prefix(b"\n")?.strip_prefix(boundary)?;
        if rest.starts_with(b"--") {
            break;
        }
    }
    Some(fields).filter(|fields| !fields.is_empty())
}

/// Where the line end before the next boundary stands.
fn delimiter(body: &[u8], boundary: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + body.get(from..)?.windows(boundary.len()).position(|window| window == boundary)?;
        let before = body.get(..at)?;
        if let Some(line) = before.strip_suffix(b"\n") {
            return Some(line.strip_suffix(b"\r").map_or(line.len(), <[u8]>::len));
        }
        from = at + 1;
    }
}

fn field(part: &[u8]) -> Option<Field<'_>> {
    let crlf = part.windows(4).position(|window| window == b"\r\n\r\n").map(|at| (at, 4));
    let lf = || part.windows(2).position(|window| window == b"\n\n").map(|at| (at, 2));
    let (at, length) = crlf.or_else(lf)?;
    let head = String::from_utf8_lossy(part.get(..at)?);
    let bytes = part.get(at + length..)?;
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let disposition = header("content-disposition")?;
    let name = parameter(&disposition, "name")?;
    let value = match parameter(&disposition, "filename") {
        Some(file_name) => Value::File { name: file_name, mime: header("content-type"), bytes },
        None => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
    };
    Some(Field { name, value })
}

/// A parameter of a header: `name="a \"b\""`.
fn parameter(header: &str, name: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once(';') {
        rest = after.trim_start();
        let Some((known, value)) = rest.split_once('=') else { continue };
        if !known.trim().eq_ignore_ascii_case(name) {
            // A quoted value may hold a semicolon.
            if let Some(quoted) = value.trim_start().strip_prefix('"') {
                rest = quoted.split_once('"').map_or("", |(_, after)| after);
            }
            continue;
        }
        let Some(quoted) = value.trim_start().strip_prefix('"') else {
            return Some(value.split(';').next().unwrap_or_default().trim().to_owned());
        };
        let mut out = String::new();
        let mut letters = quoted.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => return Some(out),
                '\\' => out.extend(letters.next()),
                letter => out.push(letter),
            }
        }
        return None;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sorts_of_forms_are_read() {
        let text = |name: &str, value: &str| Field { name: name.into(), value: Value::Text(value.into()) };
        assert_eq!(read(b"a=1&body-plain=x%0Ay+z"), Some(vec![text("a", "1"), text("body-plain", "x\ny z")]));
        let body = b"--xyz\r\nContent-Disposition: form-data; name=\"a;b\"\r\n\r\nline\r\n--xy\r\n--xyz\r\nContent-Disposition: form-data; name=f; \
            filename=\"a \\\"b\\\".txt\"\r\nContent-Type: text/plain\r\n\r\n\0\xff\r\n\r\n--xyz--\r\n";
        let file = Value::File { name: "a \"b\".txt".into(), mime: Some("text/plain".into()), bytes: b"\0\xff\r\n" };
        assert_eq!(read(body), Some(vec![text("a;b", "line\r\n--xy"), Field { name: "f".into(), value: file }]));
    }

    #[test]
    fn what_is_no_form_is_none() {
        for other in [
            &b""[..],
            b" ",
            b"no such format",
            b"From: a@b\r\n\r\nx=1",
            b"<html>a=1</html>",
            b"--",
            b"--x\r\n",
            b"--xyz\r\n\r\n--xyz--",
        ] {
            assert_eq!(read(other), None, "{}", other.escape_ascii());
        }
    }
}
