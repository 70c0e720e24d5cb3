//! Reading what WeChat posts: XML, or JSON for newer set-ups (4.1), as one small tree. No entities of a document's own, nothing
//! fetched, and no deeper or longer than any call is.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use serde_json::Value;
use transom_channel::{ParseError, json};

/// The longest and the deepest that is read: real calls have a few dozen elements in four layers.
const MAX_NODES: usize = 2_000;
const MAX_DEPTH: usize = 12;

/// An element with its text and its elements.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    name: String,
    text: String,
    children: Vec<Node>,
}

impl Node {
    /// Reads a document.
    pub(crate) fn read(document: &[u8]) -> Result<Self, ParseError> {
        match document.trim_ascii_start().first() {
            Some(b'{') => Self::of_json("xml", &json::read(document)?, &mut 0, 0),
            // What is not UTF-8 must not lose a message.
            _ => of_xml(&String::from_utf8_lossy(document)),
        }
    }

    /// The text of the first element of that name, if it has one.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str()).filter(|text| !text.is_empty())
    }

    /// The first element of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All elements of that name.
    pub(crate) fn all<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn of_json(name: &str, value: &Value, nodes: &mut usize, depth: usize) -> Result<Self, ParseError> {
        *nodes += 1;
        if *nodes > MAX_NODES || depth > MAX_DEPTH {
            return Err(too_large());
        }
        let mut node = Self { name: name.to_owned(), ..Self::default() };
        match value {
            Value::Null => {}
            Value::Bool(value) => node.text = value.to_string(),
            Value::Number(value) => node.text = value.to_string(),
            Value::String(value) => node.text.clone_from(value),
            Value::Array(items) => {
                for item in items {
                    node.children.push(Self::of_json(name, item, nodes, depth + 1)?);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        // A list is the same element several times.
                        Value::Array(items) => {
                            for item in items {
                                node.children.push(Self::of_json(name, item, nodes, depth + 1)?);
                            }
                        }
                        member => node.children.push(Self::of_json(name, member, nodes, depth + 1)?),
                    }
                }
            }
        }
        Ok(node)
    }
}

fn of_xml(document: &str) -> Result<Node, ParseError> {
    let mut reader = Reader::from_str(document);
    let mut open: Vec<Node> = Vec::new();
    let mut nodes = 0;
    let unreadable = |at: u64| ParseError::new(format!("not XML, at byte {at}"));
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|_| unreadable(reader.error_position()))?;
        let text = |open: &mut Vec<Node>, text: &str| match open.last_mut() {
            Some(node) => {
                node.text.push_str(text);
                Ok(())
            }
            None if text.trim().is_empty() => Ok(()),
            None => Err(unreadable(at)),
        };
        let closed = match event {
            Event::Start(tag) => {
                nodes += 1;
                if nodes > MAX_NODES || open.len() >= MAX_DEPTH {
                    return Err(too_large());
                }
                open.push(Node { name: name_of(tag.name().as_ref()), ..Node::default() });
                None
            }
            Event::Empty(tag) => {
                nodes += 1;
                if nodes > MAX_NODES {
                    return Err(too_large());
                }
                Some(Node { name: name_of(tag.name().as_ref()), ..Node::default() })
            }
            Event::End(_) => Some(open.pop().ok_or_else(|| unreadable(at))?),
            Event::Text(words) => {
                text(&mut open, &words)?;
                None
            }
            Event::CData(words) => {
                text(&mut open, &words)?;
                None
            }
            Event::GeneralRef(entity) => {
                let named = resolve_predefined_entity(&entity).map(str::to_owned);
                let character = || entity.resolve_char_ref().ok().flatten().map(String::from);
                // An entity of the document's own is not looked up: it stays what it is.
                let written = named.or_else(character).unwrap_or_else(|| format!("&{};", &*entity));
                text(&mut open, &written)?;
                None
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => None,
            Event::DocType(_) => return Err(ParseError::new("XML with a document type, which WeChat never sends")),
            Event::Eof => return Err(ParseError::new("XML that breaks off")),
        };
        let Some(closed) = closed else { continue };
        match open.last_mut() {
            Some(parent) => parent.children.push(closed),
            // What stands behind the root is nothing of ours.
            None if closed.name == "xml" => return Ok(closed),
            None => return Err(ParseError::new("not a call of WeChat: the document's root is not `xml`")),
        }
    }
}

fn name_of(name: impl AsRef<str>) -> String {
    name.as_ref().to_owned()
}

fn too_large() -> ParseError {
    ParseError::new("more or deeper elements than any call of WeChat has")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn content(document: &str) -> String {
        Node::read(document.as_bytes()).unwrap().text("C").unwrap_or_default().to_owned()
    }

    #[rstest]
    #[case("<xml><C><![CDATA[a ]]]]><![CDATA[> b]]></C></xml>", "a ]]> b")]
    #[case("<?xml version=\"1.0\"?>\n<xml>\n<C>&lt;b&gt; &amp; &#20013;&#x6587;</C>\n</xml>", "<b> & 中文")]
    #[case("<xml><C><![CDATA[ keeps\n\tblanks ]]></C></xml>", " keeps\n\tblanks ")]
    #[case("<xml><C>&secret;</C></xml>", "&secret;")]
    #[case("<xml><C/></xml>", "")]
    #[case("{\"C\": \"a\\u4e2d\"}", "a中")]
    #[case("{\"C\": 24000000000000001}", "24000000000000001")]
    fn texts_are_kept_as_they_are(#[case] document: &str, #[case] text: &str) {
        assert_eq!(content(document), text);
    }

    #[test]
    fn bytes_that_are_no_text_do_not_lose_the_message() {
        let read = Node::read(b"<xml><C><![CDATA[a\xffb\x01]]></C></xml>").unwrap();
        assert_eq!(read.text("C"), Some("a\u{fffd}b\u{1}"));
    }

    #[test]
    fn lists_are_elements_of_one_name_in_both_formats() {
        let json = Node::read(br#"{"E": {"List": [{"T": "1"}, {"T": "2"}]}}"#).unwrap();
        let xml = Node::read(b"<xml><E><List><T>1</T></List><List><T>2</T></List></E></xml>").unwrap();
        assert_eq!(json, xml);
        assert_eq!(xml.child("E").unwrap().all("List").filter_map(|one| one.text("T")).collect::<String>(), "12");
    }

    #[rstest]
    #[case("<!DOCTYPE xml [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><xml><C>&x;</C></xml>")]
    #[case("<xml><C>never closed")]
    #[case("<xml><C></D></xml>")]
    #[case("<html><C>1</C></html>")]
    #[case("words <xml></xml>")]
    #[case("")]
    fn what_no_call_is_is_refused(#[case] document: &str) {
        assert!(Node::read(document.as_bytes()).is_err());
    }

    #[test]
    fn depth_and_size_have_their_bounds() {
        let deep = |n: usize| format!("<xml>{}{}</xml>", "<a>".repeat(n), "</a>".repeat(n));
        assert!(Node::read(deep(11).as_bytes()).is_ok());
        assert!(Node::read(deep(12).as_bytes()).is_err());
        assert!(Node::read(format!("<xml>{}</xml>", "<a/>".repeat(1_999)).as_bytes()).is_ok());
        assert!(Node::read(format!("<xml>{}</xml>", "<a/>".repeat(2_000)).as_bytes()).is_err());
        assert!(Node::read(format!("{{\"a\": {}1{}}}", "[".repeat(40), "]".repeat(40)).as_bytes()).is_err());
    }
}
