//! What goes over the wire, and back, against the sandbox.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests may fail loudly"
)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration as Pause;

use base64::Engine as _;
use rstest::rstest;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use transom_channel::conformance::SampleFiles;
use transom_channel::{
    Inbound, Item, MediaError, OptOutScope, OutboundPart, Receipt, ReceiptFor, ReceiptState, SendError, Standing,
};
use transom_domain::template::{HeaderParameter, TextParameters};
use transom_domain::{
    Address, Attachment, Body, Content, Identity, MediaKind, MediaSource, PartId, TemplateParameters, TemplateStatus,
};
use transom_sandbox::{Act, Action, Fault, FaultKind, MediaAct};
use transom_stage::{Why, identity};
use transom_whatsapp::WhatsApp;

use crate::common::{NUMBER, PHONE, Stage, components, template};

impl Stage {
    fn part(&self, to: &Identity, content: Content, now: OffsetDateTime) -> OutboundPart {
        let permit = transom_stage::permit((&WhatsApp, &[]), to, &content, &Why::default(), now).unwrap();
        OutboundPart::new(permit, to, (PartId::new(self.ports.ids.as_ref()), 1), content, now).unwrap()
    }

    /// Sends one part to the customer, as if its permit had been given at `now`.
    async fn send_as_of(&self, content: Content, now: OffsetDateTime) -> Result<Receipt, SendError> {
        self.channel().send(&self.part(&self.identity, content, now)).await
    }

    /// Everything that the webhooks told since the first message.
    fn told(&self) -> Vec<Inbound> {
        self.heard().into_iter().filter(|told| told.event_key != self.quotable).collect()
    }

    /// What an act of the customer is told as.
    fn acts(&self, action: impl Into<Action>) -> Inbound {
        let before = self.told().len();
        self.act(action);
        let told = self.told();
        assert_eq!(told.len(), before + 1, "{told:#?}");
        told.into_iter().next_back().unwrap()
    }

    fn uploads(&self) -> usize {
        self.calls_on("/media")
    }
}

fn with_file(text: &str, file: Attachment) -> Content {
    Content { body: Body::Text { text: text.to_owned(), attachments: vec![file] }, reply_to: None }
}

fn places(values: &[&str]) -> TextParameters {
    TextParameters::Positional(values.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn a_text_is_addressed_and_marked() {
    let stage = Stage::open().await;
    let content =
        Content { reply_to: Some(stage.quotable.clone()), ..Content::text("On its way: https://acme.example/t/1") };
    let part = stage.part(&stage.identity, content, stage.now());
    let receipt = stage.channel().send(&part).await.unwrap();
    assert_eq!(
        stage.last_body(),
        json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": PHONE, "context": {"message_id": stage.quotable},
            "biz_opaque_callback_data": part.id().to_string(), "type": "text",
            "text": {"preview_url": false, "body": "On its way: https://acme.example/t/1"}})
    );
    assert_eq!(receipt.learned, [Address::new("phone", PHONE)]);
    assert!(!receipt.held);
}

#[tokio::test]
async fn who_hides_their_number_is_written_to_by_id() {
    let stage = Stage::open().await;
    stage.control.patch_customer("mara", serde_json::from_value(json!({"hides_phone": true})).unwrap()).unwrap();
    let wrote = stage.acts(Act::Text { text: "hi".into() });
    let addresses = wrote.person.unwrap().addresses;
    assert_eq!((addresses.len(), addresses[0].kind.as_str()), (1, "bsuid"));

    let hidden = identity(&[("bsuid", &addresses[0].value)]);
    let part = stage.part(&hidden, Content::text("hello"), stage.now());
    let receipt = stage.channel().send(&part).await.unwrap();
    assert_eq!(
        (stage.last_body()["recipient"].as_str(), stage.last_body().get("to")),
        (Some(addresses[0].value.as_str()), None)
    );
    assert_eq!(receipt.learned, addresses);
}

#[tokio::test]
async fn a_file_goes_up_once_and_arrives_whole() {
    let stage = Stage::open().await;
    let channel = stage.channel();
    let file = SampleFiles::attachment(MediaKind::Image, "image/jpeg");
    for text in ["Label", "Label again"] {
        channel.send(&stage.part(&stage.identity, with_file(text, file.clone()), stage.now())).await.unwrap();
    }
    assert_eq!(stage.uploads(), 1);
    let body = stage.last_body();
    assert_eq!((body["type"].as_str(), body["image"]["caption"].as_str()), (Some("image"), Some("Label again")));
    let uploaded = stage.control.media(body["image"]["id"].as_str().unwrap()).unwrap();
    let MediaSource::Stored { id } = file.source else { panic!() };
    let stored = stage.ports.media.read(id).await.unwrap();
    assert_eq!((uploaded.bytes, uploaded.mime), (stored.bytes, stored.mime));

    // Refused as bad media: the next attempt uploads it anew.
    stage
        .control
        .fault(NUMBER, Fault::once(FaultKind::Error { code: 131_053, detail: None, asynchronous: false }))
        .unwrap();
    for _ in 0..2 {
        let _ = channel.send(&stage.part(&stage.identity, with_file("", file.clone()), stage.now())).await;
    }
    assert_eq!(stage.uploads(), 2);
}

#[tokio::test]
async fn an_upload_that_fails_is_no_unknown_outcome() {
    let stage = Stage::open().await;
    let fault: Fault = serde_json::from_value(json!({"kind": "lose_answer", "count": 1, "on": "any"})).unwrap();
    stage.control.fault(NUMBER, fault).unwrap();
    let error = stage.send(with_file("", SampleFiles::attachment(MediaKind::Image, "image/jpeg"))).await.unwrap_err();
    assert!(matches!(error, SendError::Temporary { .. }), "{error:?}");
    assert!(stage.control.ledger().is_empty());

    let lost = Attachment {
        source: MediaSource::Stored { id: uuid::Uuid::from_u128(u128::MAX).into() },
        ..SampleFiles::attachment(MediaKind::Image, "image/jpeg")
    };
    assert!(matches!(stage.send(with_file("", lost)).await, Err(SendError::ContentRefused { .. })));
}

/// The permit ends while the file is on its way up: the message does not follow.
#[tokio::test]
async fn what_became_too_late_does_not_leave() {
    let stage = Stage::open().await;
    let content = with_file("", SampleFiles::attachment(MediaKind::Image, "image/jpeg"));
    let part = stage.part(&stage.identity, content, stage.now());
    stage.control.advance(Duration::hours(24));
    let error = stage.channel().send(&part).await.unwrap_err();
    assert!(matches!(error, SendError::Temporary { .. }), "{error:?}");
    let sends = stage.control.calls().iter().filter(|call| call.path.ends_with("/messages")).count();
    assert_eq!((stage.uploads(), sends), (1, 0));
}

#[tokio::test]
async fn a_link_is_handed_on() {
    let stage = Stage::open().await;
    stage.control.publish("https://cdn.example.com/a.pdf", "application/pdf", b"%PDF-1.7\n".to_vec());
    let file = Attachment {
        kind: MediaKind::Document,
        source: MediaSource::Url { url: "https://cdn.example.com/a.pdf".into() },
        mime: Some("application/pdf".into()),
        file_name: Some("March.pdf".into()),
        size: None,
    };
    stage.send(with_file("March", file)).await.unwrap();
    assert_eq!(
        stage.last_body()["document"],
        json!({"link": "https://cdn.example.com/a.pdf", "filename": "March.pdf", "caption": "March"})
    );
    assert_eq!(stage.uploads(), 0);
}

#[tokio::test]
async fn a_template_goes_out_as_the_catalogue_has_it() {
    let stage = Stage::open().await;
    let with_picture =
        json!([{"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Hi {{1}}"}, components()[3]]);
    template(&stage.control, "picture", "MARKETING", &with_picture).await;
    let parameters = TemplateParameters {
        header: Some(HeaderParameter::Media(SampleFiles::attachment(MediaKind::Image, "image/png"))),
        body: places(&["Mara"]),
        buttons: BTreeMap::from([(0, "HELP_A1001".into()), (1, "A-1001".into())]),
    };
    let content = stage.template("picture", parameters).await;
    assert_eq!(content.as_template().unwrap().category, "marketing");
    stage.send(content).await.unwrap();
    let body = stage.last_body();
    let image = body["template"]["components"][0]["parameters"][0]["image"]["id"].as_str().unwrap();
    assert_eq!(
        body["template"],
        json!({"name": "picture", "language": {"code": "en_US"}, "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"id": image}}]},
            {"type": "body", "parameters": [{"type": "text", "text": "Mara"}]},
            {"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [{"type": "payload", "payload": "HELP_A1001"}]},
            {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "A-1001"}]}]})
    );
}

/// The vectors' components, as they leave: text in the catalogue, values filled in, request seen by the platform.
#[tokio::test]
async fn the_vectors_components_go_over_the_wire() {
    let stage = Stage::open().await;
    let set: Value = serde_json::from_str(include_str!("fixtures/templates.json")).unwrap();
    let mut sent = 0;
    for vector in set["vectors"].as_array().unwrap().iter().filter(|vector| !vector["expect"]["component"].is_null()) {
        let values = match &vector["params"] {
            Value::Array(list) => TextParameters::Positional(
                list.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect(),
            ),
            Value::Object(map) => TextParameters::Named(
                map.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
            ),
            other => panic!("{other}"),
        };
        let named = matches!(values, TextParameters::Named(_));
        let definition = json!({"name": "vector", "language": "en_US", "category": "UTILITY",
            "parameter_format": if named { "NAMED" } else { "POSITIONAL" },
            "components": [{"type": "BODY", "text": vector["text"]}]});
        stage.control.platform(NUMBER, "template", definition).await.unwrap();
        let content =
            stage.template("vector", TemplateParameters { body: values, ..TemplateParameters::default() }).await;
        assert_eq!(content.as_template().unwrap().rendered.as_deref(), vector["expect"]["rendered"].as_str());

        let refuses = vector["tags"].as_array().is_some_and(|tags| tags.contains(&json!("platform-refuses")));
        assert_eq!(stage.channel().plan(&content).is_err(), refuses, "{}", vector["id"]);
        if refuses {
            continue;
        }
        stage.send(content).await.unwrap();
        let in_order = |component: &Value| {
            let mut parameters = component["parameters"].as_array().unwrap().clone();
            // Names say what belongs where; only places have an order.
            if named {
                parameters.sort_by_key(ToString::to_string);
            }
            (component["type"].clone(), parameters)
        };
        let component = stage.last_body()["template"]["components"][0].clone();
        assert_eq!(in_order(&component), in_order(&vector["expect"]["component"]), "{}", vector["id"]);
        sent += 1;
    }
    assert_eq!(sent, 10);
}

#[tokio::test]
async fn the_whole_catalogue_is_listed() {
    let stage = Stage::open().await;
    for n in 0..130 {
        template(&stage.control, &format!("template_{n}"), "UTILITY", &json!([{"type": "BODY", "text": "Hi"}])).await;
    }
    stage
        .control
        .platform(NUMBER, "template_status", json!({"name": "template_7", "language": "en_US", "status": "PAUSED"}))
        .await
        .unwrap();
    let channel = stage.channel();
    let listed = channel.templates().unwrap().list().await.unwrap();
    assert_eq!(listed.len(), 131);
    let paused: Vec<_> =
        listed.iter().filter(|one| one.status == TemplateStatus::Paused).map(|one| one.name.as_str()).collect();
    assert_eq!(paused, ["template_7"]);
    let pages = stage.control.calls().iter().filter(|call| call.path.contains("/message_templates")).count();
    assert_eq!(pages, 2);
}

#[tokio::test]
async fn the_account_tells_its_limit() {
    let stage = Stage::open().await;
    let info = stage.channel().check().await.unwrap();
    assert_eq!(info.name.as_deref(), Some("Acme (4312345678)"));
    assert_eq!((info.external_key.as_deref(), info.at), (Some(NUMBER), Some(stage.now())));
    assert_eq!(info.limits, [("messaging_limit".to_owned(), Some(250))]);
}

#[tokio::test]
async fn receipts_find_their_part() {
    let stage = Stage::open().await;
    let part = stage.part(&stage.identity, Content::text("hello"), stage.now());
    let receipt = stage.channel().send(&part).await.unwrap();
    assert!(wait_for(|| stage.told().len() == 2).await, "{:?}", stage.told());
    let states: Vec<_> = stage
        .told()
        .into_iter()
        .map(|told| match told.item {
            Item::Receipt { of: ReceiptFor::Message { provider_id, correlation }, state } => {
                assert_eq!(
                    (Some(provider_id), correlation),
                    (receipt.provider_id.clone(), Some(part.id().to_string()))
                );
                state
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(states, [ReceiptState::Sent, ReceiptState::Delivered]);
}

/// Our clock says open, the platform's says closed: told at once, or by a failed status.
#[rstest]
#[case("sync")]
#[case("async")]
#[tokio::test]
async fn a_closed_window_is_told(#[case] refusals: &str) {
    let stage = Stage::open().await;
    stage
        .control
        .patch_account(NUMBER, serde_json::from_value(json!({"settings": {"refusals": refusals}})).unwrap())
        .unwrap();
    let wrote = stage.now();
    stage.control.advance(Duration::hours(25));
    let sent = stage.send_as_of(Content::text("still there?"), wrote).await;
    let error = if refusals == "sync" {
        sent.unwrap_err()
    } else {
        let receipt = sent.unwrap();
        assert!(wait_for(|| !stage.told().is_empty()).await);
        match stage.told().remove(0).item {
            Item::Receipt { of: ReceiptFor::Message { provider_id, .. }, state: ReceiptState::Failed(error) } => {
                assert_eq!(Some(provider_id), receipt.provider_id);
                error
            }
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(error, SendError::WindowClosed { .. }), "{error:?}");
    assert!(stage.control.ledger().is_empty());
}

#[rstest]
#[case(131_056, "rate_limited")]
#[case(132_015, "template_refused")]
#[case(131_042, "account_stopped")]
#[case(131_016, "temporary")]
#[case(131_000, "outcome_unknown")]
#[tokio::test]
async fn refusals_are_told_apart_over_http(#[case] code: i64, #[case] expected: &str) {
    let stage = Stage::open().await;
    stage.control.fault(NUMBER, Fault::once(FaultKind::Error { code, detail: None, asynchronous: false })).unwrap();
    let error = stage.send(Content::text("hello")).await.unwrap_err();
    assert_eq!(error.code(), expected, "{error:?}");
}

#[tokio::test]
async fn customers_files_are_fetched_and_checked() {
    let stage = Stage::open().await;
    let bytes = b"%PDF-1.7 the parcel's papers".to_vec();
    let sent = MediaAct {
        media: "document".into(),
        file_name: Some("papers.pdf".into()),
        caption: Some("here".into()),
        base64: Some(base64::engine::general_purpose::STANDARD.encode(&bytes)),
        ..MediaAct::default()
    };
    let told = stage.acts(Act::Media(sent));
    let Item::Message(message) = told.item else { panic!("{told:?}") };
    let Body::Text { text, attachments } = message.content.body else { panic!() };
    assert_eq!((text.as_str(), attachments[0].file_name.as_deref()), ("here", Some("papers.pdf")));

    let channel = stage.channel();
    let media = channel.media().unwrap();
    let fetched = media.download(&attachments[0], 1_000).await.unwrap();
    assert_eq!((fetched.bytes.as_ref(), fetched.mime.as_str()), (bytes.as_slice(), "application/pdf"));
    assert_eq!(media.download(&attachments[0], 10).await, Err(MediaError::TooLarge { max: 10 }));

    let MediaSource::Platform { id, .. } = &attachments[0].source else { panic!() };
    let another = |source| Attachment { source, ..attachments[0].clone() };
    let forged = MediaSource::Platform { id: id.clone(), url: None, sha256: Some("00".repeat(32)) };
    assert_eq!(media.download(&another(forged), 1_000).await, Err(MediaError::Corrupt));
    let gone = MediaSource::Platform { id: "800000000000009".into(), url: None, sha256: None };
    assert_eq!(media.download(&another(gone), 1_000).await, Err(MediaError::NotFound));
    // The address in a webhook is never asked: it would get our token.
    let elsewhere =
        MediaSource::Platform { id: "../1".into(), url: Some("http://127.0.0.1:9/steal".into()), sha256: None };
    assert_eq!(media.download(&another(elsewhere), 1_000).await, Err(MediaError::NotFound));
}

#[tokio::test]
async fn what_customers_do_is_read() {
    let stage = Stage::open().await;
    let opens = |told: &Inbound| told.openings.first().map(|opening| opening.kind.clone());

    let text = stage.acts(Act::Text { text: "again".into() });
    assert_eq!((text.account.as_str(), text.at, opens(&text).as_deref()), (NUMBER, stage.now(), Some("message")));
    let called = stage.acts(Act::Call);
    assert_eq!(opens(&called).as_deref(), Some("call"));
    let poll = stage.acts(Act::Unsupported);
    assert!(
        matches!(poll.item, Item::Unsupported { from_customer: true, .. })
            && opens(&poll).as_deref() == Some("message")
    );
    let liked = stage.acts(Act::Reaction { message_id: stage.quotable.clone(), emoji: Some("👍".into()) });
    assert_eq!(
        (liked.item.clone(), opens(&liked)),
        (Item::Reaction { to: stage.quotable.clone(), emoji: Some("👍".into()) }, None)
    );
    let tomorrow = stage.acts(Act::Other { kind: "hologram".into(), data: json!({}) });
    assert!(matches!(tomorrow.item, Item::Unsupported { from_customer: true, .. }) && opens(&tomorrow).is_none());
    let stopped = stage.acts(Act::OptOut);
    assert_eq!(stopped.item, Item::Standing(Standing::OptedOut(OptOutScope::Marketing)));
    let echo = stage.acts(Act::Echo { text: "from the app".into() });
    assert!(matches!(echo.item, Item::Echo { .. }) && opens(&echo).is_none());
    let moved = stage.acts(Act::NumberChange { phone: "+4915550100077".into() });
    let Item::IdentityChange { new } = &moved.item else { panic!("{moved:?}") };
    assert!(new.contains(&Address::new("phone", "+4915550100077")));
    assert!(moved.person.unwrap().addresses.contains(&Address::new("phone", PHONE)));
}

#[tokio::test]
async fn notices_of_the_account_name_its_group() {
    let stage = Stage::open().await;
    let paused = json!({"name": "order_shipped", "language": "en_US", "status": "PAUSED"});
    stage.control.platform(NUMBER, "template_status", paused).await.unwrap();
    let told = stage.told().remove(0);
    assert_eq!(Some(told.account), stage.channel().group_key());
    let Item::TemplateNotice(notice) = told.item else { panic!("{:?}", told.item) };
    assert_eq!((notice.name.as_str(), notice.status), ("order_shipped", Some(TemplateStatus::Paused)));
}

async fn wait_for(holds: impl Fn() -> bool) -> bool {
    for _ in 0..200 {
        if holds() {
            return true;
        }
        tokio::time::sleep(Pause::from_millis(10)).await;
    }
    false
}
