//! Every law of the channel contract, in the plain and in the secure mode.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aes::Aes256;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use sha1::{Digest, Sha1};
use time::OffsetDateTime;
use transom_channel::conformance::{Accepted, Double, Fault, Harness, PATIENCE, Proof, Sample, SignedCall, Webhooks};
use transom_domain::{Clock, SettableClock};
use transom_sandbox::{Fault as Strike, FaultKind};
use transom_wechat::WeChat;

use crate::world::{ACCOUNT, APP, KEY, OPENID, TOKEN, World};

mod plain {
    transom_channel::conformance!(super::plain_harness);
}

mod secure {
    transom_channel::conformance!(super::secure_harness);
}

async fn plain_harness() -> Harness {
    harness(World::new(PATIENCE).await, "signature", plain_call).await
}

async fn secure_harness() -> Harness {
    let mut world = World::new(PATIENCE).await;
    world.settings = world.settings.clone().with("encoding_aes_key", KEY);
    harness(world, "msg_signature", secure_call).await
}

async fn harness(world: World, proof: &'static str, call: fn(&SettableClock, &[u8]) -> SignedCall) -> Harness {
    world.mara_writes("hello");
    let template = world.template().await;
    let clock = world.clock.clone();
    Harness {
        platform: Arc::new(WeChat),
        revoked: world.settings.clone().with("app_secret", "an-earlier-secret"),
        settings: world.settings.clone(),
        ports: world.ports.clone(),
        account: ACCOUNT.to_owned(),
        identity: world.mara.clone(),
        quotable: None,
        template: Some(template),
        policy: "wechat",
        opening: ("message", None),
        webhooks: Webhooks {
            secret: "token",
            sign: Box::new(move |body| call(&clock, body)),
            proof: Proof::Query(proof),
            // In the plain mode nothing of the body, in the secure mode what is encrypted: see `fixtures` for that.
            covers_body: false,
            events: events(),
            unknown: unknown(),
            states_retry_after: false,
        },
        double: Arc::new(Platform { world, refused: AtomicBool::new(false) }),
    }
}

fn signature(words: &[&str]) -> String {
    let mut words = words.to_vec();
    words.sort_unstable();
    hex::encode(Sha1::digest(words.concat()))
}

pub(crate) fn plain_call(clock: &SettableClock, body: &[u8]) -> SignedCall {
    let (at, nonce) = (clock.now().unix_timestamp().to_string(), "486452656");
    let mut call = SignedCall::json(body.to_vec()).with_header("content-type", "text/xml");
    let proof = signature(&[TOKEN, &at, nonce]);
    call.url.query_pairs_mut().extend_pairs([("signature", &*proof), ("timestamp", &at), ("nonce", nonce)]);
    call
}

pub(crate) fn secure_call(clock: &SettableClock, body: &[u8]) -> SignedCall {
    let key: [u8; 32] = STANDARD.decode("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFE=").unwrap().try_into().unwrap();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let mut plain = [b"0123456789abcdef", &length[..], body, APP.as_bytes()].concat();
    let pad = 32 - plain.len() % 32;
    plain.extend(vec![u8::try_from(pad).unwrap(); pad]);
    let (iv, whole) = (*key.first_chunk::<16>().unwrap(), plain.len());
    let cipher = cbc::Encryptor::<Aes256>::new(&key.into(), &iv.into());
    cipher.encrypt_padded::<NoPadding>(&mut plain, whole).unwrap();
    let encrypted = STANDARD.encode(&plain);
    let document = format!("<xml><ToUserName>{ACCOUNT}</ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>");
    let mut call = plain_call(clock, document.as_bytes());
    let at = clock.now().unix_timestamp().to_string();
    let proof = signature(&[TOKEN, &at, "486452656", &encrypted]);
    // The clock runs: both proofs are of one second.
    call.url.query_pairs_mut().clear();
    let plain = signature(&[TOKEN, &at, "486452656"]);
    call.url.query_pairs_mut().extend_pairs([
        ("signature", &*plain),
        ("timestamp", &at),
        ("nonce", "486452656"),
        ("openid", OPENID),
        ("encrypt_type", "aes"),
        ("msg_signature", &proof),
    ]);
    call
}

struct Platform {
    world: World,
    refused: AtomicBool,
}

#[async_trait]
impl Double for Platform {
    async fn requests(&self) -> usize {
        self.world.calls("/message/custom/send")
    }

    async fn accepted(&self) -> Vec<Accepted> {
        let accepted = |send: transom_sandbox::Send| Accepted {
            provider_id: None,
            text: Some(send.text).filter(|text| !text.is_empty()),
        };
        self.world.control.ledger().into_iter().map(accepted).collect()
    }

    async fn fail_next(&self, fault: Fault) {
        let refused = fault == Fault::Refused;
        if self.refused.swap(refused, Ordering::SeqCst) != refused {
            self.world.control.refuse_connections(refused).await;
        }
        let late = u64::try_from(PATIENCE.as_millis()).unwrap() * 2;
        let kind = match fault {
            Fault::LoseAnswer => FaultKind::LoseAnswer,
            Fault::Garbage => FaultKind::Garbage,
            Fault::Truncated => FaultKind::Truncated,
            Fault::Silence => FaultKind::SlowAnswer { ms: late },
            Fault::Gateway => FaultKind::Status { status: 502 },
            Fault::RateLimited { retry_after } => FaultKind::RateLimited { retry_after: Some(retry_after) },
            Fault::Refused => return,
        };
        self.world.control.fault(ACCOUNT, Strike::once(kind)).unwrap();
    }
}

const STAMP: i64 = 1_767_225_600;

fn sample(name: &'static str, number: i64, inner: &str) -> Sample {
    let at = STAMP + number;
    let document = format!(
        "<xml><ToUserName><![CDATA[{ACCOUNT}]]></ToUserName><FromUserName><![CDATA[{OPENID}]]></FromUserName>\
         <CreateTime>{at}</CreateTime>{inner}</xml>"
    );
    Sample::at(name, OffsetDateTime::from_unix_timestamp(at).unwrap(), document)
}

fn message(kind: &str, more: &str, id: i64) -> String {
    format!("<MsgType><![CDATA[{kind}]]></MsgType>{more}<MsgId>2400000000000{id:04}</MsgId>")
}

fn event(name: &str, more: &str) -> String {
    format!("<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{name}]]></Event>{more}")
}

fn events() -> Vec<Sample> {
    let key = |key: &str| format!("<EventKey><![CDATA[{key}]]></EventKey>");
    let grants = "<SubscribeMsgPopupEvent><List><TemplateId>T1</TemplateId><SubscribeStatusString>accept</SubscribeStatusString></List></SubscribeMsgPopupEvent>";
    let samples = [
        ("a text", message("text", "<Content><![CDATA[Hello]]></Content>", 1)),
        ("an item of a menu message", message("text", "<Content>yes</Content><bizmsgmenuid>101</bizmsgmenuid>", 2)),
        ("a picture", message("image", "<PicUrl>http://mmbiz.example/p</PicUrl><MediaId>M1</MediaId>", 3)),
        ("a voice", message("voice", "<MediaId>M2</MediaId><Format>amr</Format>", 4)),
        ("a film", message("video", "<MediaId>M3</MediaId><ThumbMediaId>T3</ThumbMediaId>", 5)),
        (
            "a place",
            message("location", "<Location_X>23.1</Location_X><Location_Y>113.3</Location_Y><Label>Here</Label>", 6),
        ),
        ("a link", message("link", "<Title>t</Title><Description>d</Description><Url>https://e.com</Url>", 7)),
        ("a follow", event("subscribe", &key(""))),
        ("a follow by a code", event("subscribe", &key("qrscene_4711"))),
        ("a scan", event("SCAN", &key("4711"))),
        ("a tap on the menu", event("CLICK", &key("HELP"))),
        (
            "a code from the menu",
            event("scancode_push", &format!("{}<ScanCodeInfo><ScanResult>1</ScanResult></ScanCodeInfo>", key("QR"))),
        ),
        ("a link from the menu", event("VIEW", &key("https://e.com"))),
        ("a location report", event("LOCATION", "<Latitude>23.1</Latitude>")),
        (
            "a template receipt",
            event("TEMPLATESENDJOBFINISH", "<MsgID>3001002003004005006</MsgID><Status>success</Status>"),
        ),
        ("a permission", event("subscribe_msg_popup_event", grants)),
        ("a goodbye", event("unsubscribe", &key(""))),
    ];
    (1..).zip(samples).map(|(number, (name, inner))| sample(name, number, &inner)).collect()
}

fn unknown() -> Vec<Sample> {
    vec![
        sample("a type of message that is not there yet", 90, &message("hologram", "<Content>x</Content>", 90)),
        sample("an event that is not there yet", 91, &event("teleport", "<EventKey>x</EventKey>")),
        sample("an event without a name", 92, "<MsgType>event</MsgType>"),
        sample("a picture without a file", 93, &message("image", "", 93)),
    ]
}
