//! Telegram's Bot API over HTTP: every rule of the sheet that the sandbox plays.

use crate::common::{Bench, START, answer};
use rstest::rstest;
use serde_json::{Value, json};
use time::Duration;
use transom_sandbox::{
    AccountPatch, AccountView, Act, Action, Ask, Because, CustomerPatch, MediaAct, NewAccount, NewCustomer, WindowState,
};

/// A bot, a customer whose id is 700100200, and a client that speaks for the bot.
struct Chat {
    bench: Bench,
    bot: AccountView,
}

const ANN: i64 = 700_100_200;

impl Chat {
    async fn open(settings: Value) -> Self {
        let bench = Bench::new().await;
        let mut ann = NewCustomer::named("ann", "Ann Lee", "+4915550100001");
        ann.addresses.insert("telegram".into(), ANN.to_string());
        bench.control.create_customer(ann).unwrap();
        let bot = bench.account("telegram", settings);
        Self { bench, bot }
    }

    fn method(&self, name: &str) -> String {
        format!("{}/bot{}/{name}", self.bot.api_base, self.bot.settings["token"].as_str().unwrap())
    }

    async fn call(&self, name: &str, params: Value) -> (u16, Value) {
        answer(self.bench.http.post(self.method(name)).json(&params)).await
    }

    /// A call that succeeds, and its result.
    async fn ok(&self, name: &str, params: Value) -> Value {
        let (status, body) = self.call(name, params).await;
        assert_eq!((status, &body["ok"]), (200, &json!(true)), "{name}: {body}");
        body["result"].clone()
    }

    /// A call that fails: code and description.
    async fn refused(&self, name: &str, params: Value) -> (i64, String) {
        let (status, body) = self.call(name, params).await;
        assert_eq!(body["ok"], json!(false), "{name}: {body}");
        assert_eq!(body["error_code"].as_u64(), Some(u64::from(status)));
        (body["error_code"].as_i64().unwrap(), body["description"].as_str().unwrap().to_owned())
    }

    fn act(&self, action: impl Into<Action>) -> transom_sandbox::Acted {
        self.bench.control.act(&self.bot.id, "ann", action).unwrap()
    }

    fn starts(&self) -> String {
        self.act(Act::Start { payload: None }).message_id.unwrap()
    }

    async fn connection(&self, more: Value) -> String {
        if self.bench.control.customer("owner").is_err() {
            self.bench.control.create_customer(NewCustomer::named("owner", "Owner", "+431")).unwrap();
        }
        let mut order = json!({"id": "bc-77", "owner": "owner"});
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.bench.control.platform(&self.bot.id, "business_connection", order).await.unwrap();
        made["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_bot_may_write_to_who_started_it_for_ever() {
    let chat = Chat::open(json!({})).await;
    let hello = json!({"chat_id": ANN, "text": "Your parcel left today."});
    let (code, why) = chat.refused("sendMessage", hello.clone()).await;
    assert_eq!((code, why.as_str()), (403, "Forbidden: bot can't initiate conversation with a user"));
    assert_eq!(chat.refused("sendMessage", json!({"chat_id": 1, "text": "x"})).await.1, "Bad Request: chat not found");
    let ask = |via: Option<&str>| {
        let ask = Ask { via: via.map(str::to_owned), ..Ask::free_form() };
        chat.bench.control.would_accept(&chat.bot.id, "ann", &ask).unwrap()
    };
    assert_eq!((ask(None).allowed, ask(None).because), (false, Some(Because::NeverOpened)));

    chat.starts();
    chat.bench.control.advance(Duration::days(400));
    assert_eq!((ask(None).allowed, ask(None).window.state), (true, WindowState::None));
    let sent = chat.ok("sendMessage", hello).await;
    assert_eq!(sent["chat"], json!({"id": ANN, "type": "private", "first_name": "Ann", "last_name": "Lee"}));
    assert_eq!((&sent["from"]["is_bot"], &sent["text"]), (&json!(true), &json!("Your parcel left today.")));
    let send = chat.bench.control.ledger().pop().unwrap();
    assert_eq!(send.provider_ids, [format!("{ANN}:{}", sent["message_id"])]);
    assert_eq!((send.customer.as_str(), send.method.as_str(), send.recipient), ("ann", "sendMessage", ANN.to_string()));
}

#[tokio::test]
async fn blocking_closes_and_unblocking_opens() {
    let chat = Chat::open(json!({})).await;
    chat.starts();
    chat.act(Act::Block);
    let text = json!({"chat_id": ANN, "text": "x"});
    assert_eq!(
        chat.refused("sendMessage", text.clone()).await,
        (403, "Forbidden: bot was blocked by the user".to_owned())
    );
    assert!(chat.bench.control.writes(&chat.bot.id, "ann", "x").is_err(), "who blocks does not write");
    chat.act(Act::Unblock);
    chat.ok("sendMessage", text.clone()).await;
    let updates = chat.bench.arrived().await;
    let member = |at: usize, which: &str| updates[at]["my_chat_member"][which]["status"].clone();
    assert_eq!((member(1, "old_chat_member"), member(1, "new_chat_member")), (json!("member"), json!("kicked")));
    assert_eq!((member(2, "old_chat_member"), member(2, "new_chat_member")), (json!("kicked"), json!("member")));

    chat.act(Act::Deactivate);
    assert_eq!(chat.refused("sendMessage", text).await, (403, "Forbidden: user is deactivated".to_owned()));
}

#[tokio::test]
async fn a_block_and_its_end_are_no_start() {
    let chat = Chat::open(json!({})).await;
    chat.act(Act::Block);
    chat.act(Act::Unblock);
    let (code, why) = chat.refused("sendMessage", json!({"chat_id": ANN, "text": "x"})).await;
    assert_eq!((code, why.as_str()), (403, "Forbidden: bot can't initiate conversation with a user"));
}

#[tokio::test]
async fn updates_look_like_the_sheet() {
    let chat = Chat::open(json!({"secret_token": "s3cret_-"})).await;
    chat.act(Act::Start { payload: Some("k3Jf_9a".into()) });
    chat.bench.settled().await;
    let call = chat.bench.receiver.take().remove(0);
    assert_eq!(
        (call.header("x-telegram-bot-api-secret-token"), call.header("content-type")),
        ("s3cret_-", "application/json")
    );
    let update = call.json();
    assert_eq!(update.as_object().unwrap().len(), 2, "update_id and one kind");
    let message = &update["message"];
    assert_eq!(message["text"], "/start k3Jf_9a");
    assert_eq!(message["entities"], json!([{"type": "bot_command", "offset": 0, "length": 6}]));
    assert_eq!(message["from"], json!({"id": ANN, "is_bot": false, "first_name": "Ann", "last_name": "Lee"}));
    assert_eq!(message["date"], START.unix_timestamp());

    let first = chat.act(Act::Text { text: "box?".into() }).message_id.unwrap();
    chat.act(Action::from(Act::Text { text: "this one".into() }).reply_to(&first));
    let photo = MediaAct {
        media: "image".into(),
        caption: Some("broken".into()),
        album: Some("a1".into()),
        ..MediaAct::default()
    };
    chat.act(Act::Media(photo));
    chat.act(Act::Location {
        latitude: 47.0,
        longitude: 15.5,
        name: Some("Shop".into()),
        address: Some("Main St 1".into()),
    });
    chat.act(Act::Contact { name: "Ann".into(), phone: "+4915550100001".into(), own: true });
    chat.act(Act::Edit { message_id: first.clone(), text: "box!".into() });
    chat.act(Act::Delete { message_id: first.clone() });
    chat.act(Act::Reaction { message_id: first.clone(), emoji: Some("👍".into()) });
    chat.act(Act::Unsupported);
    let updates = chat.bench.arrived().await;
    let ids: Vec<_> = updates.iter().map(|update| update["update_id"].as_i64().unwrap()).collect();
    assert!(ids.windows(2).all(|two| two[1] == two[0] + 1), "{ids:?}");
    assert_eq!(updates[1]["message"]["reply_to_message"]["text"], "box?");
    let photo = &updates[2]["message"];
    assert_eq!((&photo["caption"], &photo["media_group_id"]), (&json!("broken"), &json!("a1")));
    let sizes = photo["photo"].as_array().unwrap();
    assert!(sizes.len() == 2 && sizes[0]["file_id"] != sizes[1]["file_id"]);
    assert_eq!(updates[3]["message"]["venue"]["title"], "Shop");
    assert_eq!(updates[4]["message"]["contact"]["user_id"], ANN);
    assert_eq!(
        (&updates[5]["edited_message"]["text"], updates[5]["edited_message"]["edit_date"].is_i64()),
        (&json!("box!"), true)
    );
    // Deletions in bot chats are not told, and reactions only to who asked for them.
    assert!(updates[6]["message"]["story"].is_object());
    assert_eq!(updates.len(), 7);

    let wants =
        AccountPatch { settings: Some(json!({"allowed_updates": ["message_reaction"]})), ..AccountPatch::default() };
    chat.bench.control.patch_account(&chat.bot.id, wants).unwrap();
    chat.act(Act::Reaction { message_id: first, emoji: None });
    chat.act(Act::Text { text: "unwanted".into() });
    let updates = chat.bench.arrived().await;
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0]["message_reaction"]["old_reaction"], json!([{"type": "emoji", "emoji": "👍"}]));
}

#[tokio::test]
async fn buttons_come_back_as_callback_queries_that_are_answered_once() {
    let chat = Chat::open(json!({})).await;
    chat.starts();
    chat.bench.arrived().await;
    let keyboard = json!({"inline_keyboard": [[{"text": "Good", "callback_data": "csat:5"}, {"text": "Site", "url": "https://x.example"}]]});
    let sent = chat.ok("sendMessage", json!({"chat_id": ANN, "text": "How was it?", "reply_markup": keyboard})).await;
    let id = sent["message_id"].to_string();
    assert!(
        chat.bench
            .control
            .act(&chat.bot.id, "ann", Act::Button { message_id: id.clone(), data: "csat:1".into(), text: None })
            .is_err()
    );
    chat.act(Act::Button { message_id: id, data: "csat:5".into(), text: None });
    let query = chat.bench.arrived().await.remove(0)["callback_query"].clone();
    assert_eq!(
        (&query["data"], &query["message"]["message_id"], &query["from"]["id"]),
        (&json!("csat:5"), &sent["message_id"], &json!(ANN))
    );
    let answer = json!({"callback_query_id": query["id"], "text": "thanks"});
    assert_eq!(chat.ok("answerCallbackQuery", answer.clone()).await, true);
    let (code, why) = chat.refused("answerCallbackQuery", answer).await;
    assert!(code == 400 && why.starts_with("Bad Request: query is too old"), "{why}");

    let with = |data: String| json!({"chat_id": ANN, "text": "x", "reply_markup": {"inline_keyboard": [[{"text": "b", "callback_data": data}]]}});
    assert_eq!(chat.refused("sendMessage", with("x".repeat(65))).await.1, "Bad Request: BUTTON_DATA_INVALID");
    chat.ok("sendMessage", with("x".repeat(64))).await;
}

#[rstest]
#[case::empty(json!({"text": " "}), "message text is empty")]
#[case::missing(json!({}), "message text is empty")]
#[case::long(json!({"text": "x".repeat(4_097)}), "message is too long")]
#[case::long_in_utf16(json!({"text": "👋".repeat(2_049)}), "message is too long")]
#[case::bad_html(json!({"text": "<b>x", "parse_mode": "HTML"}), "can't parse entities: ")]
#[case::bad_mode(json!({"text": "x", "parse_mode": "BBCode"}), "unsupported parse_mode")]
#[case::reply_to_nothing(json!({"text": "x", "reply_parameters": {"message_id": 999_999}}), "message to be replied not found")]
#[case::bad_markup(json!({"text": "x", "reply_markup": "{"}), "can't parse reply markup JSON object")]
#[tokio::test]
async fn bad_text_is_refused(#[case] params: Value, #[case] why: &str) {
    let chat = Chat::open(json!({})).await;
    chat.starts();
    let mut all = json!({"chat_id": ANN});
    all.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
    let (code, description) = chat.refused("sendMessage", all).await;
    assert!(code == 400 && description.starts_with(&format!("Bad Request: {why}")), "{description}");
    assert!(chat.bench.control.ledger().is_empty());
}

#[tokio::test]
async fn limits_and_replies_pass() {
    let chat = Chat::open(json!({})).await;
    let first = chat.starts();
    chat.ok("sendMessage", json!({"chat_id": ANN, "text": "👋".repeat(2_048)})).await;
    let formatted =
        json!({"chat_id": ANN.to_string(), "text": format!("<b>{}</b>", "x".repeat(4_096)), "parse_mode": "HTML"});
    let sent = chat.ok("sendMessage", formatted).await;
    assert_eq!(sent["entities"], json!([{"type": "bold", "offset": 0, "length": 4_096}]));

    let number: i64 = first.split(':').nth(1).unwrap().parse().unwrap();
    let reply = |parameters: Value| json!({"chat_id": ANN, "text": "x", "reply_parameters": parameters});
    let sent = chat.ok("sendMessage", reply(json!({"message_id": number, "quote": "start"}))).await;
    assert_eq!(sent["reply_to_message"]["message_id"], number);
    assert_eq!(
        chat.refused("sendMessage", reply(json!({"message_id": number, "quote": "stop"}))).await.1,
        "Bad Request: QUOTE_TEXT_INVALID"
    );
    let sent = chat.ok("sendMessage", reply(json!({"message_id": 999_999, "allow_sending_without_reply": true}))).await;
    assert!(sent.get("reply_to_message").is_none());
}

#[tokio::test]
async fn parameters_come_in_every_dress() {
    let chat = Chat::open(json!({})).await;
    chat.starts();
    let http = &chat.bench.http;
    let query =
        http.get(chat.method("sendMessage")).query(&[("chat_id", ANN.to_string()), ("text", "by query".to_owned())]);
    assert_eq!(answer(query).await.0, 200);
    let parameters = json!({"message_id": 1, "allow_sending_without_reply": true}).to_string();
    let form = [("chat_id", ANN.to_string()), ("text", "by form".to_owned()), ("reply_parameters", parameters)];
    assert_eq!(answer(http.post(chat.method("SENDMESSAGE")).form(&form)).await.0, 200);
    let multipart = reqwest::multipart::Form::new().text("chat_id", ANN.to_string()).text("text", "by multipart");
    assert_eq!(answer(http.post(chat.method("sendMessage")).multipart(multipart)).await.0, 200);
    let texts: Vec<_> = chat.bench.control.ledger().into_iter().map(|send| send.text).collect();
    assert_eq!(texts, ["by query", "by form", "by multipart"]);
    let location = json!({"chat_id": ANN, "latitude": 52.5, "longitude": 13.4});
    assert_eq!(answer(http.post(chat.method("sendlocation")).json(&location)).await.0, 200);
    let methods: Vec<_> = chat.bench.control.ledger().into_iter().map(|send| send.method).collect();
    assert_eq!(methods, ["sendMessage", "sendMessage", "sendMessage", "sendLocation"], "in the reference's spelling");
    let (status, body) =
        answer(http.post(chat.method("sendMessage")).header("content-type", "application/json").body("{")).await;
    assert_eq!((status, body["ok"].as_bool()), (400, Some(false)));
}

const PNG: &[u8] = b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x20";

fn part(bytes: &[u8], name: &str, mime: &str) -> reqwest::multipart::Part {
    reqwest::multipart::Part::bytes(bytes.to_vec()).file_name(name.to_owned()).mime_str(mime).unwrap()
}

#[tokio::test]
async fn files_are_uploaded_sent_again_and_fetched() {
    let chat = Chat::open(json!({})).await;
    chat.starts();
    let upload = async |method: &str, field: &'static str, part| {
        let form =
            reqwest::multipart::Form::new().text("chat_id", ANN.to_string()).text("caption", "see").part(field, part);
        answer(chat.bench.http.post(chat.method(method)).multipart(form)).await
    };
    let (status, body) = upload("sendPhoto", "photo", part(PNG, "a.png", "image/png")).await;
    assert_eq!(status, 200, "{body}");
    let largest = body["result"]["photo"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&largest["width"], &largest["height"]), (&json!(64), &json!(32)));
    assert_eq!(chat.bench.control.ledger()[0].method, "sendPhoto");
    let summary = &chat.bench.control.ledger()[0].body["photo"];
    assert_eq!((&summary["size"], &summary["file_name"]), (&json!(PNG.len()), &json!("a.png")));

    let file_id = largest["file_id"].as_str().unwrap();
    chat.ok("sendPhoto", json!({"chat_id": ANN, "photo": file_id})).await;
    assert!(
        chat.refused("sendDocument", json!({"chat_id": ANN, "document": file_id}))
            .await
            .1
            .contains("wrong file identifier")
    );
    let file = chat.ok("getFile", json!({"file_id": file_id})).await;
    let url = format!(
        "{}/file/bot{}/{}",
        chat.bot.api_base,
        chat.bot.settings["token"].as_str().unwrap(),
        file["file_path"].as_str().unwrap()
    );
    assert_eq!(chat.bench.http.get(&url).send().await.unwrap().bytes().await.unwrap(), PNG);
    chat.bench.control.advance(Duration::hours(1));
    assert_eq!(chat.bench.http.get(&url).send().await.unwrap().status(), 404, "the link has run out");

    assert_eq!(
        upload("sendDocument", "document", part(b"%PDF-1.4", "inv.pdf", "application/pdf")).await.1["result"]["document"]
            ["file_name"],
        "inv.pdf"
    );
    assert_eq!(upload("sendVoice", "voice", part(b"OggS", "v.ogg", "audio/ogg")).await.0, 200);
    let (_, body) = upload("sendPhoto", "photo", part(b"no picture", "a.png", "image/png")).await;
    assert_eq!(body["description"], "Bad Request: IMAGE_PROCESS_FAILED");
    let flat = [&PNG[..16], &[0, 0, 0x0F, 0xA0, 0, 0, 0, 0x10]].concat();
    let (_, body) = upload("sendPhoto", "photo", part(&flat, "a.png", "image/png")).await;
    assert_eq!(body["description"], "Bad Request: PHOTO_INVALID_DIMENSIONS");
    let (status, body) =
        upload("sendDocument", "document", part(&vec![1; 50 * 1024 * 1024 + 1], "b.bin", "application/zip")).await;
    assert_eq!((status, &body["description"]), (413, &json!("Request Entity Too Large")));
    assert!(chat.refused("sendPhoto", json!({"chat_id": ANN})).await.1.contains("there is no photo in the request"));
    let long = json!({"chat_id": ANN, "photo": file_id, "caption": "x".repeat(1_025)});
    assert_eq!(chat.refused("sendPhoto", long).await.1, "Bad Request: message caption is too long");
}

#[tokio::test]
async fn links_are_fetched_at_once() {
    let chat = Chat::open(json!({})).await;
    chat.starts();
    chat.bench.control.publish("https://cdn.example/a.png", "image/png", PNG);
    chat.bench.control.publish("https://cdn.example/a.txt", "text/plain", "text");
    chat.ok("sendPhoto", json!({"chat_id": ANN, "photo": "https://cdn.example/a.png"})).await;
    let (_, why) = chat.refused("sendPhoto", json!({"chat_id": ANN, "photo": "https://cdn.example/none.png"})).await;
    assert_eq!(why, "Bad Request: failed to get HTTP URL content");
    let (_, why) = chat.refused("sendDocument", json!({"chat_id": ANN, "document": "https://cdn.example/a.txt"})).await;
    assert_eq!(why, "Bad Request: wrong type of the web page content");
}

#[tokio::test]
async fn an_album_is_several_messages_and_one_send() {
    let chat = Chat::open(json!({})).await;
    chat.starts();
    let media = json!([{"type": "photo", "media": "attach://one", "caption": "both"}, {"type": "photo", "media": "attach://two"}]);
    let form = reqwest::multipart::Form::new()
        .text("chat_id", ANN.to_string())
        .text("media", media.to_string())
        .part("one", part(PNG, "1.png", "image/png"))
        .part("two", part(PNG, "2.png", "image/png"));
    let (status, body) = answer(chat.bench.http.post(chat.method("sendMediaGroup")).multipart(form)).await;
    assert_eq!(status, 200, "{body}");
    let sent = body["result"].as_array().unwrap();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0]["media_group_id"], sent[1]["media_group_id"]);
    let ledger = chat.bench.control.ledger();
    assert_eq!((ledger.len(), ledger[0].provider_ids.len()), (1, 2));

    let id = sent[0]["photo"][1]["file_id"].as_str().unwrap();
    let album = |items: Value| json!({"chat_id": ANN, "media": items});
    assert_eq!(chat.refused("sendMediaGroup", album(json!([{"type": "photo", "media": id}]))).await.0, 400);
    let mixed = album(json!([{"type": "photo", "media": id}, {"type": "document", "media": id}]));
    assert!(chat.refused("sendMediaGroup", mixed).await.1.contains("can't be mixed"));
}

#[tokio::test]
async fn other_kinds_of_message() {
    let chat = Chat::open(json!({})).await;
    chat.starts();
    let place = json!({"chat_id": ANN, "latitude": 47.07, "longitude": "15.43"});
    assert_eq!(chat.ok("sendLocation", place).await["location"], json!({"latitude": 47.07, "longitude": 15.43}));
    let venue = json!({"chat_id": ANN, "latitude": 47, "longitude": 15, "title": "Shop", "address": "Main St 1"});
    assert_eq!(chat.ok("sendVenue", venue).await["venue"]["title"], "Shop");
    let card = json!({"chat_id": ANN, "phone_number": "+431", "first_name": "Bo"});
    assert_eq!(chat.ok("sendContact", card).await["contact"]["first_name"], "Bo");
    assert_eq!(chat.ok("sendChatAction", json!({"chat_id": ANN, "action": "typing"})).await, true);
    let texts = chat.bench.control.ledger().len();
    assert_eq!(texts, 3, "a chat action is no message");

    let sent = chat.ok("sendMessage", json!({"chat_id": ANN, "text": "first"})).await;
    let id = &sent["message_id"];
    let copied = chat.ok("copyMessage", json!({"chat_id": ANN, "from_chat_id": ANN, "message_id": id})).await;
    assert_ne!(&copied["message_id"], id);
    let edited = chat.ok("editMessageText", json!({"chat_id": ANN, "message_id": id, "text": "second"})).await;
    assert_eq!(edited["text"], "second");
    let same = chat.refused("editMessageText", json!({"chat_id": ANN, "message_id": id, "text": "second"})).await;
    assert!(same.1.starts_with("Bad Request: message is not modified"));
    let emoji = json!({"chat_id": ANN, "message_id": id, "reaction": [{"type": "emoji", "emoji": "👍"}]});
    assert_eq!(chat.ok("setMessageReaction", emoji).await, true);
    chat.bench.control.advance(Duration::hours(48));
    assert!(
        chat.refused("deleteMessage", json!({"chat_id": ANN, "message_id": id})).await.1.contains("can't be deleted")
    );
    let fresh = chat.ok("sendMessage", json!({"chat_id": ANN, "text": "oops"})).await;
    assert_eq!(chat.ok("deleteMessage", json!({"chat_id": ANN, "message_id": fresh["message_id"]})).await, true);
    let entries = chat.bench.control.conversations().remove(0).entries;
    assert!(entries.last().unwrap().deleted);
    assert!(
        entries
            .iter()
            .any(|entry| entry.edited && entry.text == "second" && entry.reactions.values().any(|emoji| emoji == "👍"))
    );
}

#[tokio::test]
async fn the_business_window_is_24_hours_from_the_customers_last_message() {
    let chat = Chat::open(json!({})).await;
    let via = chat.connection(json!({})).await;
    let text = json!({"chat_id": ANN, "text": "x", "business_connection_id": via});
    assert_eq!(
        chat.refused("sendMessage", text.clone()).await,
        (400, "Bad Request: BUSINESS_PEER_USAGE_MISSING".to_owned())
    );

    let hello = chat.act(Action::from(Act::Text { text: "hello".into() }).via(&via)).message_id.unwrap();
    let sent = chat.ok("sendMessage", text.clone()).await;
    assert_eq!(sent["business_connection_id"], via);
    assert_eq!((&sent["from"]["first_name"], &sent["sender_business_bot"]["is_bot"]), (&json!("Owner"), &json!(true)));
    assert_eq!(chat.bench.control.ledger()[0].via.as_deref(), Some(via.as_str()));
    assert_eq!(
        chat.refused("sendMessage", json!({"chat_id": ANN, "text": "x"})).await.0,
        403,
        "the bot's own chat is another matter"
    );

    // Neither the owner's own words nor an edit open it anew.
    chat.bench.control.advance(Duration::hours(24) - Duration::milliseconds(1));
    chat.act(Action::from(Act::Echo { text: "the owner here".into() }).via(&via));
    chat.act(Action::from(Act::Edit { message_id: hello.clone(), text: "hello!".into() }).via(&via));
    chat.ok("sendMessage", text.clone()).await;
    let ask = Ask { via: Some(via.clone()), ..Ask::free_form() };
    assert!(chat.bench.control.would_accept(&chat.bot.id, "ann", &ask).unwrap().allowed);
    chat.bench.control.advance(Duration::milliseconds(1));
    assert_eq!(
        chat.bench.control.would_accept(&chat.bot.id, "ann", &ask).unwrap().because,
        Some(Because::WindowClosed)
    );
    assert_eq!(chat.refused("sendMessage", text).await.1, "Bad Request: BUSINESS_PEER_USAGE_MISSING");

    chat.act(Action::from(Act::Delete { message_id: hello }).via(&via));
    let updates = chat.bench.arrived().await;
    assert_eq!(updates[0]["business_connection"]["rights"], json!({"can_reply": true, "can_read_messages": true}));
    assert_eq!(updates[1]["business_message"]["business_connection_id"], "bc-77");
    let owner = &updates[2]["business_message"]["from"];
    assert_eq!((&owner["first_name"], &updates[2]["business_message"]["chat"]["id"]), (&json!("Owner"), &json!(ANN)));
    assert!(updates[3]["edited_business_message"].is_object());
    assert!(updates[4]["deleted_business_messages"]["message_ids"].is_array());
}

#[tokio::test]
async fn an_owner_can_take_the_right_back() {
    let chat = Chat::open(json!({})).await;
    let via = chat.connection(json!({})).await;
    let got = chat.ok("getBusinessConnection", json!({"business_connection_id": via})).await;
    assert_eq!((&got["is_enabled"], &got["user"]["first_name"]), (&json!(true), &json!("Owner")));
    chat.act(Action::from(Act::Text { text: "hello".into() }).via(&via));
    let text = |via: &str| json!({"chat_id": ANN, "text": "x", "business_connection_id": via});
    assert_eq!(chat.refused("sendMessage", text("bc-0")).await.1, "Bad Request: BUSINESS_CONNECTION_INVALID");
    chat.connection(json!({"excluded": ["ann"]})).await;
    assert_eq!(chat.refused("sendMessage", text(&via)).await.1, "Bad Request: BUSINESS_PEER_INVALID");
    chat.connection(json!({"is_enabled": false})).await;
    assert!(chat.refused("sendMessage", text(&via)).await.1.starts_with("Bad Request: not enough rights"));
    let updates = chat.bench.arrived().await;
    assert_eq!(updates.last().unwrap()["business_connection"]["is_enabled"], false);
}

#[tokio::test]
async fn a_join_request_gives_five_minutes() {
    let chat = Chat::open(json!({})).await;
    chat.act(Act::Other { kind: "chat_join_request".into(), data: json!({}) });
    let text = json!({"chat_id": ANN, "text": "welcome"});
    chat.ok("sendMessage", text.clone()).await;
    chat.bench.control.advance(Duration::minutes(5));
    assert_eq!(chat.refused("sendMessage", text).await.0, 403);
}

#[tokio::test]
async fn groups_are_chats_of_their_own() {
    let chat = Chat::open(json!({})).await;
    let made = chat
        .bench
        .control
        .platform(&chat.bot.id, "group", json!({"id": -1_002_000_000_001_i64, "title": "Team"}))
        .await
        .unwrap();
    let (via, id) = (made["id"].to_string(), made["id"].clone());
    chat.act(Action::from(Act::Text { text: "hi all".into() }).via(&via));
    chat.act(Action::from(Act::Text { text: "/help".into() }).via(&via));
    let updates = chat.bench.arrived().await;
    assert_eq!(updates.len(), 1, "privacy mode hides what does not concern the bot");
    assert_eq!(updates[0]["message"]["chat"], json!({"id": id, "type": "supergroup", "title": "Team"}));
    let text = json!({"chat_id": id, "text": "hello"});
    chat.ok("sendMessage", text.clone()).await;
    let moved = json!({"id": id, "title": "Team", "migrated_to": -100_777});
    chat.bench.control.platform(&chat.bot.id, "group", moved).await.unwrap();
    let (_, body) = chat.call("sendMessage", text.clone()).await;
    assert_eq!(body["parameters"]["migrate_to_chat_id"], -100_777);
    let kicked = json!({"id": id, "title": "Team", "kicked": true});
    chat.bench.control.platform(&chat.bot.id, "group", kicked).await.unwrap();
    assert_eq!(chat.refused("sendMessage", text).await.1, "Forbidden: bot was kicked from the supergroup chat");
}

#[tokio::test]
async fn too_fast_is_429_with_seconds_to_wait() {
    let chat = Chat::open(json!({})).await;
    chat.starts();
    let text = json!({"chat_id": ANN, "text": "x"});
    for _ in 0..20 {
        chat.ok("sendMessage", text.clone()).await;
    }
    let (status, body) = chat.call("sendMessage", text.clone()).await;
    assert_eq!((status, &body["error_code"]), (429, &json!(429)));
    let wait = body["parameters"]["retry_after"].as_i64().unwrap();
    assert_eq!(body["description"], format!("Too Many Requests: retry after {wait}"));
    chat.bench.control.advance(Duration::seconds(wait));
    chat.ok("sendMessage", text).await;
}

#[tokio::test]
async fn tokens_and_methods_are_checked() {
    let chat = Chat::open(json!({})).await;
    let me = chat.ok("getMe", json!({})).await;
    assert_eq!(me["id"].to_string(), chat.bot.id);
    assert_eq!(chat.refused("sendNothing", json!({})).await, (404, "Not Found".to_owned()));
    let call = async |token: &str| answer(chat.bench.http.get(format!("{}/bot{token}/getMe", chat.bot.api_base))).await;
    let (status, body) = call(&format!("{}:wrong", chat.bot.id)).await;
    assert_eq!((status, &body["description"]), (401, &json!("Unauthorized")));
    assert_eq!(call("nonsense").await.0, 404);
    let logged = chat.bench.control.calls();
    assert!(logged.iter().all(|call| !call.path.contains("wrong")), "secrets are not logged: {logged:?}");

    let revoked = json!({"token": format!("{}:fresh", chat.bot.id)});
    chat.bench
        .control
        .patch_account(&chat.bot.id, AccountPatch { settings: Some(revoked), ..AccountPatch::default() })
        .unwrap();
    assert_eq!(chat.refused("getMe", json!({})).await.0, 401);
}

#[tokio::test]
async fn set_webhook_delivers_and_polling_takes_turns_with_it() {
    let bench = Bench::new().await;
    let mut ann = NewCustomer::named("ann", "Ann", "+49");
    ann.addresses.insert("telegram".into(), ANN.to_string());
    bench.control.create_customer(ann).unwrap();
    let bot = bench.control.create_account(NewAccount::on("telegram")).unwrap();
    let chat = Chat { bench, bot };
    for text in ["one", "two", "three"] {
        chat.act(Act::Text { text: text.into() });
    }
    let texts = |updates: &Value| {
        updates
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["message"]["text"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = chat.ok("getUpdates", json!({"limit": 2})).await;
    assert_eq!(texts(&first), ["one", "two"]);
    let offset = first[1]["update_id"].as_i64().unwrap() + 1;
    let rest = chat.ok("getUpdates", json!({"offset": offset})).await;
    assert_eq!(texts(&rest), ["three"]);
    let waiting = chat.ok("getUpdates", json!({"offset": offset, "timeout": 0})).await;
    assert_eq!(texts(&waiting), ["three"], "unconfirmed updates come again");

    assert!(chat.refused("setWebhook", json!({"url": "http://bot.example/hook"})).await.1.contains("HTTPS"));
    assert!(chat.refused("setWebhook", json!({"url": "https://bot.example:9999/hook"})).await.1.contains("ports"));
    assert_eq!(chat.refused("setWebhook", json!({"url": chat.bench.receiver.url, "secret_token": "a b"})).await.0, 400);
    let hook = json!({"url": chat.bench.receiver.url, "secret_token": "abc", "allowed_updates": ["message"]});
    assert_eq!(chat.ok("setWebhook", hook).await, true);
    let arrived = chat.bench.arrived().await;
    assert_eq!(arrived.len(), 1, "what was not confirmed is delivered");
    let (code, why) = chat.refused("getUpdates", json!({})).await;
    assert!(code == 409 && why.contains("webhook is active"), "{why}");
    let info = chat.ok("getWebhookInfo", json!({})).await;
    assert_eq!((&info["url"], &info["pending_update_count"]), (&json!(chat.bench.receiver.url), &json!(0)));
    assert_eq!(chat.ok("deleteWebhook", json!({})).await, true);
    chat.act(Act::Text { text: "four".into() });
    assert_eq!(texts(&chat.ok("getUpdates", json!({})).await), ["four"]);
}

#[tokio::test]
async fn a_second_poller_ends_the_first() {
    let bench = Bench::new().await;
    let bot = bench.control.create_account(NewAccount::on("telegram")).unwrap();
    let chat = Chat { bench, bot };
    let (first, second) = tokio::join!(chat.call("getUpdates", json!({"timeout": 5})), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        chat.call("getUpdates", json!({"timeout": 0})).await
    });
    assert_eq!((first.0, second.0), (409, 200));
}

#[tokio::test]
async fn get_chat_knows_who_it_has_met() {
    let chat = Chat::open(json!({})).await;
    assert_eq!(chat.refused("getChat", json!({"chat_id": ANN})).await.1, "Bad Request: chat not found");
    chat.starts();
    chat.bench
        .control
        .patch_customer("ann", CustomerPatch { username: Some("ann_l".into()), ..CustomerPatch::default() })
        .unwrap();
    let got = chat.ok("getChat", json!({"chat_id": ANN})).await;
    assert_eq!((&got["username"], &got["first_name"]), (&json!("ann_l"), &json!("Ann")));
}
