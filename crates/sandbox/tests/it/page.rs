//! The page as a browser gets it: its structure, and that nothing anybody wrote becomes markup.

use crate::common::{Bench, answer};
use serde_json::{Value, json};
use transom_sandbox::{AccountPatch, AccountView, Act, Action, MediaAct, NewCustomer};

/// Breaks out of text, of a quoted attribute and of a URL, if anything does.
const EVIL: &str = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>'&amp;\u{202e}";

struct Page {
    bench: Bench,
    shop: AccountView,
    bot: AccountView,
}

impl Page {
    async fn set(name: &str) -> Self {
        let bench = Bench::new().await;
        let customer = NewCustomer::named("mara", name, "+4915550100001");
        bench.control.create_customer(customer).unwrap();
        let (shop, bot) = (bench.account("whatsapp", json!({"pacing": false})), bench.account("telegram", json!({})));
        for account in [&shop, &bot] {
            let patch = AccountPatch { name: Some(name.to_owned()), ..AccountPatch::default() };
            bench.control.patch_account(&account.id, patch).unwrap();
        }
        Self { bench, shop, bot }
    }

    /// The business writes over WhatsApp.
    async fn sends(&self, message: Value) -> String {
        let mut body = json!({"messaging_product": "whatsapp", "to": "+4915550100001"});
        body.as_object_mut().unwrap().extend(message.as_object().unwrap().clone());
        let url = format!("{}/v25.0/{}/messages", self.shop.api_base, self.shop.id);
        let token = self.shop.settings["access_token"].as_str().unwrap();
        let (status, sent) = answer(self.bench.http.post(url).bearer_auth(token).json(&body)).await;
        assert_eq!(status, 200, "{sent}");
        sent["messages"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn bot_sends(&self, text: &str, keyboard: Value) {
        let chat = self.bench.control.customer("mara").unwrap().addresses["telegram"].clone();
        let url = format!("{}/bot{}/sendMessage", self.bot.api_base, self.bot.settings["token"].as_str().unwrap());
        let body = json!({"chat_id": chat, "text": text, "reply_markup": {"inline_keyboard": keyboard}});
        assert_eq!(answer(self.bench.http.post(url).json(&body)).await.0, 200);
    }

    async fn html(&self) -> String {
        self.bench.http.get(self.bench.url("/")).send().await.unwrap().text().await.unwrap()
    }

    async fn shipped(&self) {
        let template = json!({
            "name": "order_shipped", "language": "en_US", "category": "UTILITY",
            "components": [
                {"type": "HEADER", "format": "TEXT", "text": "Order {{1}}"},
                {"type": "BODY", "text": "Your parcel is on its way.\nIt arrives on {{1}}."},
                {"type": "FOOTER", "text": "The small print"},
                {"type": "BUTTONS", "buttons": [
                    {"type": "QUICK_REPLY", "text": "Change the day"},
                    {"type": "URL", "text": "Track it", "url": "https://example.com/t/{{1}}"},
                    {"type": "PHONE_NUMBER", "text": "Call us", "phone_number": "+4930123456"},
                ]},
            ],
        });
        self.bench.control.platform(&self.shop.id, "template", template).await.unwrap();
        let text = |text: &str| json!([{"type": "text", "text": text}]);
        let components = json!([
            {"type": "header", "parameters": text("A-1")},
            {"type": "body", "parameters": text("Monday")},
            {"type": "button", "sub_type": "url", "index": "1", "parameters": text("A-1")},
        ]);
        let language = json!({"code": "en_US"});
        self.sends(json!({"type": "template", "template": {"name": "order_shipped", "language": language, "components": components}}))
            .await;
    }
}

/// One tag of a page, with its attributes unescaped no further than needed to look at them.
#[derive(Debug, Clone)]
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
    text_after: String,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a page strictly: every tag is closed in its turn, every attribute stands in double quotes, every name is known.
fn read(html: &str) -> Vec<Tag> {
    const VOID: [&str; 4] = ["meta", "link", "img", "input"];
    let (mut tags, mut open, mut rest) = (Vec::new(), Vec::new(), html.strip_prefix("<!doctype html>").unwrap());
    while let Some((_, after)) = rest.split_once('<') {
        let mut quoted = false;
        let end = after.find(|letter| {
            quoted ^= letter == '"';
            letter == '>' && !quoted
        });
        let (inside, tail) = after.split_at(end.unwrap_or_else(|| panic!("a tag without an end: {after:.80}")));
        rest = &tail[1..];
        if let Some(name) = inside.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed out of turn");
            continue;
        }
        let (name, mut list) = inside.split_once([' ', '\n']).unwrap_or((inside, ""));
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "`<{inside}>` is no tag");
        let mut attributes = Vec::new();
        while !list.trim().is_empty() {
            let end = list.find(['=', ' ']).unwrap_or(list.len());
            let (name, after) = (list[..end].trim().to_owned(), &list[end..]);
            let value = after.strip_prefix("=\"").map(|after| after.split_once('"').unwrap());
            if !name.is_empty() {
                attributes.push((name, value.map(|(value, _)| value.to_owned()).unwrap_or_default()));
            }
            list = value.map_or_else(|| after.trim_start(), |(_, after)| after.trim_start());
        }
        let text_after = rest.split('<').next().unwrap_or_default().trim().to_owned();
        tags.push(Tag { name: name.to_owned(), attributes, text_after });
        if !VOID.contains(&name) {
            open.push(name.to_owned());
        }
    }
    assert_eq!(open, Vec::<String>::new(), "left open");
    tags
}

#[tokio::test]
async fn nothing_that_anybody_wrote_becomes_markup() {
    let page = Page::set(EVIL).await;
    let control = &page.bench.control;
    for account in [&page.shop, &page.bot] {
        control.writes(&account.id, "mara", EVIL).unwrap();
    }
    let media = MediaAct {
        media: "document".into(),
        file_name: Some(EVIL.into()),
        caption: Some(EVIL.into()),
        ..MediaAct::default()
    };
    control.act(&page.shop.id, "mara", Act::Media(media)).unwrap();
    let action = json!({"buttons": [{"type": "reply", "reply": {"id": EVIL, "title": "\"><b>x</b>"}}]});
    let text = |text: &str| json!({"type": "text", "text": text});
    let short = "<i>\"'>&</i>";
    let interactive =
        json!({"type": "button", "header": text(short), "body": text(EVIL), "footer": text(short), "action": action});
    let sent = page.sends(json!({"type": "interactive", "interactive": interactive})).await;
    let reaction = Act::Reaction { message_id: sent.clone(), emoji: Some("<b>".into()) };
    control.act(&page.shop.id, "mara", reaction).unwrap();
    control.act(&page.shop.id, "mara", Action::from(Act::Text { text: EVIL.into() }).reply_to(sent)).unwrap();
    page.bot_sends(
        EVIL,
        json!([[{"text": EVIL, "callback_data": EVIL.get(..40)}], [{"text": "go", "url": "javascript:alert(1)"}]]),
    )
    .await;
    page.bench.settled().await;

    let html = page.html().await;
    let tags = read(&html);
    let known = [
        "html",
        "head",
        "meta",
        "title",
        "link",
        "script",
        "body",
        "a",
        "header",
        "time",
        "form",
        "button",
        "p",
        "main",
        "article",
        "div",
        "h2",
        "bdi",
        "span",
        "blockquote",
        "img",
        "input",
        "section",
        "ul",
        "li",
        "code",
        "strong",
        "footer",
        "label",
        "select",
        "option",
    ];
    for tag in &tags {
        assert!(known.contains(&tag.name.as_str()), "{tag:?}");
        let handlers = tag.attributes.iter().find(|(name, _)| name.starts_with("on"));
        assert!(handlers.is_none(), "{tag:?}");
        for name in ["src", "href", "action"] {
            let leads = tag.get(name).is_none_or(|value| value.starts_with('/') || value.starts_with('#'));
            assert!(leads, "{tag:?}");
        }
    }
    assert_eq!(tags.iter().filter(|tag| tag.name == "script").count(), 1, "only the page's own");
    assert_eq!(tags.iter().filter(|tag| tag.name == "img").count(), 0);
    assert!(!html.contains("javascript:alert(1)\" target"));
    assert!(html.matches("&#60;script&#62;alert(1)&#60;/script&#62;").count() > 6, "it is shown as it was written");
}

#[tokio::test]
async fn everything_is_named_and_nothing_comes_from_outside() {
    let page = Page::set("Mara K.").await;
    page.bench.control.writes(&page.shop.id, "mara", "مرحبا").unwrap();
    let media = MediaAct { media: "image".into(), ..MediaAct::default() };
    page.bench.control.act(&page.shop.id, "mara", Act::Media(media)).unwrap();
    page.shipped().await;
    let reply = page.bench.http.get(page.bench.url("/")).send().await.unwrap();
    let policy = reply.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("http"));
    let html = reply.text().await.unwrap();
    let tags = read(&html);
    let named = |tag: &Tag| tag.get("aria-label").is_some() || tag.get("type") == Some("hidden");
    for (at, tag) in tags.iter().enumerate() {
        match tag.name.as_str() {
            "input" => assert!(named(tag), "{tag:?}"),
            "select" => assert_eq!(tags[at - 1].name, "label"),
            "button" => assert!(!tag.text_after.is_empty(), "{tag:?}"),
            "img" => assert!(tag.get("alt").is_some_and(|alt| !alt.is_empty()), "{tag:?}"),
            "html" => assert_eq!(tag.get("lang"), Some("en")),
            _ => {}
        }
        assert!(tag.get("style").is_none());
    }
    let ids: Vec<_> = tags.iter().filter_map(|tag| tag.get("id")).collect();
    assert_eq!(ids.len(), ids.iter().collect::<std::collections::BTreeSet<_>>().len(), "{ids:?}");
    assert!(tags.iter().any(|tag| tag.get("class") == Some("text") && tag.get("dir") == Some("auto")));
    assert!(tags.iter().any(|tag| tag.get("role") == Some("log") && tag.get("tabindex") == Some("0")));
    for path in ["/phone/style.css", "/phone/live.js", "/phone/icon.svg"] {
        let reply = page.bench.http.get(page.bench.url(path)).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let text = reply.text().await.unwrap().replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("@import"), "{path}");
        assert!(!text.contains("innerHTML"), "{path}");
    }
}

#[tokio::test]
async fn a_template_shows_its_parts_and_where_its_buttons_lead() {
    let page = Page::set("Mara K.").await;
    page.bench.control.writes(&page.shop.id, "mara", "hi").unwrap();
    page.shipped().await;
    let tags = read(&page.html().await);
    let said = |class: &str| {
        let found = tags.iter().filter(|tag| tag.get("class") == Some(class)).map(|tag| tag.text_after.clone());
        found.collect::<Vec<_>>()
    };
    assert_eq!(said("head"), ["Order A-1"]);
    assert_eq!(said("text"), ["hi", "Your parcel is on its way.\nIt arrives on Monday."]);
    assert_eq!(said("foot"), ["The small print"]);
    let links: Vec<_> = tags.iter().filter(|tag| tag.get("rel") == Some("noopener noreferrer")).collect();
    let links: Vec<_> = links.iter().map(|tag| (tag.text_after.as_str(), tag.get("href").unwrap())).collect();
    assert_eq!(links, [("Track it", "https://example.com/t/A-1"), ("Call us", "tel:+4930123456")]);
    assert!(tags.iter().any(|tag| tag.name == "button" && tag.text_after == "Change the day"));
    let entry = page.bench.control.conversations()[0].entries.last().unwrap().clone();
    assert_eq!(entry.text, "Order A-1\nYour parcel is on its way.\nIt arrives on Monday.\nThe small print");
}

#[tokio::test]
async fn taps_and_wrong_orders_are_answered_by_the_page() {
    let page = Page::set("Mara K.").await;
    page.bench.control.writes(&page.shop.id, "mara", "hi").unwrap();
    page.shipped().await;
    page.bench.arrived().await;
    let tags = read(&page.html().await);
    let hidden =
        tags.iter().find(|tag| tag.get("name") == Some("message_id")).unwrap().get("value").unwrap().to_owned();
    let form =
        [("account", page.shop.id.as_str()), ("customer", "mara"), ("message_id", &hidden), ("data", "Change the day")];
    let reply = page.bench.http.post(page.bench.url("/write")).form(&form).send().await.unwrap();
    assert_eq!(reply.status(), 303);
    let arrived = page.bench.arrived().await;
    let tap = &arrived.last().unwrap()["entry"][0]["changes"][0]["value"]["messages"][0];
    assert_eq!(tap["button"]["text"], "Change the day");

    let nobody = [("account", page.shop.id.as_str()), ("customer", "<b>nobody</b>"), ("text", "x")];
    let order = || page.bench.http.post(page.bench.url("/write")).form(&nobody);
    let reply = order().header("accept", "text/html").send().await.unwrap();
    assert_eq!(reply.status(), 404);
    let tags = read(&reply.text().await.unwrap());
    let problem = tags.iter().find(|tag| tag.get("id") == Some("problem")).unwrap();
    assert!(problem.get("hidden").is_none() && problem.text_after.contains("&#60;b&#62;nobody"), "{problem:?}");
    let reply = order().send().await.unwrap();
    assert_eq!(reply.headers()["content-type"], "text/plain; charset=utf-8");

    page.bench.control.advance(time::Duration::days(2));
    let url = format!("{}/v25.0/{}/nothing", page.shop.api_base, page.shop.id);
    assert_eq!(page.bench.http.get(url).send().await.unwrap().status(), 401);
    let tags = read(&page.html().await);
    let said: Vec<_> = tags.iter().filter(|tag| tag.name == "strong").map(|tag| tag.text_after.as_str()).collect();
    assert_eq!(said, ["401, code 190"], "refused calls are listed");
    assert!(tags.iter().any(|tag| tag.text_after.starts_with("window closed since 2026-03-02")));
}
