//! HTML: what comes in and what goes out passes one allow-list.

use std::collections::HashSet;
use std::sync::LazyLock;

use ammonia::Builder;

/// What is loaded from afar tells the sender that and when somebody reads (sheet 7): pictures are not.
static RECEIVED: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .rm_tags(["img", "map", "area"])
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel"]))
        .link_rel(Some("noopener noreferrer nofollow"))
        .strip_comments(true);
    builder
});

/// Ours to send: pictures by https are ours to show.
static SENT: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .url_schemes(HashSet::from(["https", "http", "mailto", "tel"]))
        .add_generic_attributes(["dir", "style"])
        .filter_style_properties(HashSet::from([
            "color",
            "background-color",
            "font-family",
            "font-size",
            "font-style",
            "font-weight",
            "margin",
            "padding",
            "text-align",
            "text-decoration",
            "white-space",
        ]))
        .link_rel(Some("noopener noreferrer"));
    builder
});

/// HTML of somebody else, as it may be shown: no scripts, forms, styles or anything loaded from afar.
pub(crate) fn for_showing(html: &str) -> String {
    RECEIVED.clean(html).to_string()
}

/// HTML of ours, as it may leave.
pub(crate) fn for_sending(html: &str) -> String {
    SENT.clean(html).to_string()
}

/// Words as HTML: escaped, with their line ends.
pub(crate) fn of_text(text: &str) -> String {
    let escaped = |line: &str| {
        line.chars().fold(String::with_capacity(line.len()), |mut out, c| {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                c => out.push(c),
            }
            out
        })
    };
    let lines: Vec<String> = text.lines().map(escaped).collect();
    format!("<div dir=\"auto\">{}</div>\n", lines.join("<br>\n"))
}

/// The words of HTML.
pub(crate) fn to_text(html: &str) -> String {
    mail_parser::decoders::html::html_to_text(html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_escaped() {
        let html = of_text("a < b & \"c\"\n<script>alert('x')</script>");
        assert_eq!(
            html,
            "<div dir=\"auto\">a &lt; b &amp; &quot;c&quot;<br>\n&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;</div>\n"
        );
    }

    #[test]
    fn html_of_ours_keeps_its_looks_and_nothing_that_acts() {
        let html = for_sending(
            "<p style=\"color: red; position: fixed; background-image: url(http://t.test)\" onclick=\"x\">Hi <img src=\"https://a.test/l.png\">\
             <a href=\"javascript:x\">b</a></p><script>x</script><iframe src=\"https://a.test\"></iframe>",
        );
        for word in ["onclick", "javascript", "script", "iframe", "position", "url("] {
            assert!(!html.contains(word), "{word} in {html}");
        }
        assert!(html.contains("color:") && html.contains("https://a.test/l.png"), "{html}");
    }

    #[test]
    fn html_of_others_loads_nothing() {
        let html = for_showing(
            "<p style=\"background:url(https://t.test)\">Hi<img src=\"cid:1\"><video src=\"https://t.test\"></video></p>",
        );
        assert_eq!(html, "<p>Hi</p>");
    }
}
