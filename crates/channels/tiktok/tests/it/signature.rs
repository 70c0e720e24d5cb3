//! A signature that was made elsewhere (tiktok.md 4.2).

use bytes::Bytes;
use http::{HeaderMap, Method};
use time::{Duration, OffsetDateTime};
use transom_channel::{Platform, Ports, SettingValues, VerifyError, WebhookCall};
use transom_tiktok::TikTok;

const SECRET: &str = "tiktok-app-secret-01";
const SIGNED_AT: i64 = 1_767_225_600;
const BODY: &str = r#"{"client_key":"7000000000000000001","event":"im_receive_msg","create_time":1767225600,"user_openid":"biz-open-0001","content":"{}"}"#;
const SIGNATURE: &str = "f152ca92d144a1b6485da2b29648418894978a2bcf91bac903b798c2d365105b";

fn judged(body: &'static str, late: Duration) -> Result<u16, VerifyError> {
    let settings = SettingValues::default()
        .with("app_id", "7000000000000000001")
        .with("app_secret", SECRET)
        .with("business_id", "biz-open-0001")
        .with("refresh_token", "rft.1");
    let channel = TikTok.connect(&settings, &Ports::system().unwrap()).unwrap();
    let proof = format!("t={SIGNED_AT},s={SIGNATURE}");
    let headers = HeaderMap::from_iter([("tiktok-signature".parse().unwrap(), proof.parse().unwrap())]);
    let (url, body) = ("https://desk.example/webhooks/1".parse().unwrap(), Bytes::from_static(body.as_bytes()));
    let received_at = OffsetDateTime::from_unix_timestamp(SIGNED_AT).unwrap() + late;
    let call = WebhookCall { method: &Method::POST, url: &url, headers: &headers, body: &body, received_at };
    channel.verify(&call).map(|answer| answer.status)
}

#[test]
fn the_vector_is_ours() {
    assert_eq!(judged(BODY, Duration::seconds(5)), Ok(200));
    assert!(matches!(judged(BODY, Duration::seconds(301)), Err(VerifyError::Stale)));
    assert!(matches!(judged("{}", Duration::ZERO), Err(VerifyError::Wrong)));
}
