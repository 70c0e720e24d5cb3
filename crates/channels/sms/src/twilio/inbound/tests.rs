use rstest::rstest;
use time::macros::datetime;
use transom_channel::SendError;

use super::*;

const NUMBER: &str = "+12025550199";
const ANN: &str = "+12025550123";
const SERVICE: &str = "MG00000000000000000000000000000001";

/// The message of sms.md 4.
const PICTURE: &str = "ToCountry=US&MessageSid=SM00000000000000000000000000000001&NumMedia=1&MediaContentType0=image%2Fjpeg&MediaUrl0=https%3A%2F%2Fapi.twilio.com%2F2010-04-01%2FAccounts%2FAC0%2FMessages%2FMM0%2FMedia%2FME0&Body=see+photo&From=%2B12025550123&To=%2B12025550199&SmsStatus=received&AccountSid=AC0&ApiVersion=2010-04-01";
/// The status callback of sms.md 4.
const UNDELIVERED: &str = "MessageSid=SM0000000000000000000000000000000a&MessageStatus=undelivered&ErrorCode=30005&To=%2B12025550123&From=%2B12025550199&AccountSid=AC0&ApiVersion=2010-04-01";

fn number() -> Sender {
    Sender::Address(NUMBER.into())
}

fn raw(body: &str) -> RawInbound {
    RawInbound::new(body.to_owned(), datetime!(2026-11-20 10:00 UTC))
}

fn read(body: &str) -> Vec<Inbound> {
    parse(&number(), &raw(body)).unwrap()
}

fn text(body: &str, more: &str) -> String {
    format!("MessageSid=SM1&From=%2B12025550123&To=%2B12025550199&SmsStatus=received&NumMedia=0&Body={body}{more}")
}

#[test]
fn a_picture_with_words() {
    let [item] = <[Inbound; 1]>::try_from(read(PICTURE)).unwrap();
    assert_eq!((item.account.as_str(), item.at), (NUMBER, datetime!(2026-11-20 10:00 UTC)));
    assert_eq!(item.event_key, "message:SM00000000000000000000000000000001");
    assert_eq!(item.openings, [Opening::of("message")]);
    let person = item.person.unwrap();
    assert_eq!((person.addresses, person.profile.phone.as_deref()), (vec![Address::new("phone", ANN)], Some(ANN)));
    let Item::Message(message) = item.item else { panic!() };
    let Body::Text { text, attachments } = message.content.body else { panic!() };
    assert_eq!((text.as_str(), attachments.len()), ("see photo", 1));
    assert_eq!((attachments[0].kind, attachments[0].mime.as_deref()), (MediaKind::Image, Some("image/jpeg")));
    let url = Some("https://api.twilio.com/2010-04-01/Accounts/AC0/Messages/MM0/Media/ME0".to_owned());
    assert_eq!(attachments[0].source, MediaSource::Platform { id: "ME0".into(), url, sha256: None });
}

#[rstest]
#[case("STOP", "", Some(Standing::OptedOut(OptOutScope::All)))]
#[case("+stop%0A", "", Some(Standing::OptedOut(OptOutScope::All)))]
#[case("Stop+it", "", None)]
#[case("START", "", Some(Standing::OptedIn(OptOutScope::All)))]
#[case("HELP", "", None)]
// Advanced Opt-Out knows other words, and its own is believed.
#[case("ARRET", "&OptOutType=STOP", Some(Standing::OptedOut(OptOutScope::All)))]
#[case("QUIT", "&OptOutType=HELP", None)]
fn keywords_are_kept_and_obeyed(#[case] body: &str, #[case] more: &str, #[case] standing: Option<Standing>) {
    let items = read(&text(body, more));
    assert!(matches!(items[0].item, Item::Message(_)));
    assert_eq!(items.get(1).map(|item| item.item.clone()), standing.map(Item::Standing));
}

#[test]
fn a_receipt_says_why_and_brings_our_reference() {
    let call = RawInbound { query: Some("tenant=7&part=0192-a".into()), ..raw(UNDELIVERED) };
    let [item] = <[Inbound; 1]>::try_from(parse(&number(), &call).unwrap()).unwrap();
    assert_eq!(
        (item.account.as_str(), item.event_key.as_str()),
        (NUMBER, "status:SM0000000000000000000000000000000a:undelivered")
    );
    assert_eq!(item.person.unwrap().addresses, [Address::new("phone", ANN)]);
    let Item::Receipt { of, state: ReceiptState::Failed(error) } = item.item else { panic!() };
    assert!(
        matches!(&error, SendError::Unreachable { report } if report.code.as_deref() == Some("30005")),
        "{error:?}"
    );
    let provider_id = "SM0000000000000000000000000000000a".to_owned();
    assert_eq!(of, ReceiptFor::Message { provider_id, correlation: Some("0192-a".into()) });
}

#[rstest]
#[case("queued", Some(ReceiptState::Sent))]
#[case("sending", Some(ReceiptState::Sent))]
#[case("sent", Some(ReceiptState::Sent))]
#[case("delivered", Some(ReceiptState::Delivered))]
#[case("read", Some(ReceiptState::Read))]
#[case("teleported", None)]
fn states_are_read(#[case] status: &str, #[case] expected: Option<ReceiptState>) {
    let body = format!("MessageSid=SM1&MessageStatus={status}&To=%2B12025550123&From=%2B12025550199");
    match (read(&body).remove(0).item, expected) {
        (Item::Receipt { state, .. }, Some(expected)) => assert_eq!(state, expected),
        (Item::Unsupported { .. }, None) => {}
        (item, _) => panic!("{item:?}"),
    }
}

#[test]
fn a_service_is_the_account_of_its_numbers() {
    let service = Sender::Service(SERVICE.into());
    let body = text("Hi", &format!("&MessagingServiceSid={SERVICE}"));
    assert_eq!(parse(&service, &raw(&body)).unwrap()[0].account, SERVICE);
    assert_eq!(parse(&service, &raw(&text("Hi", ""))).unwrap()[0].account, SERVICE);
    assert_eq!(read(&body)[0].account, NUMBER);
}

#[test]
fn who_has_no_number_has_another_kind_of_address() {
    let items = read("MessageSid=SM1&From=MEBEFI&To=%2B12025550199&SmsStatus=received&Body=hi");
    let person = items[0].person.clone().unwrap();
    assert_eq!((person.addresses, person.profile.phone), (vec![Address::new("sender_id", "MEBEFI")], None));
}

#[test]
fn other_channels_are_kept_apart() {
    let items =
        read("MessageSid=SM1&From=whatsapp%3A%2B12025550123&To=whatsapp%3A%2B12025550199&SmsStatus=received&Body=hi");
    assert!(matches!(&items[0].item, Item::Unsupported { from_customer: false, .. }) && items[0].openings.is_empty());
}

#[test]
fn a_call_by_get_stands_in_its_query() {
    let call = RawInbound { query: Some(text("Hi", "")), ..raw("") };
    assert!(matches!(parse(&number(), &call).unwrap()[0].item, Item::Message(_)));
}

#[rstest]
#[case("")]
#[case("no such format")]
#[case("From=%2B12025550123&Body=hi")]
fn what_is_no_call_is_an_error(#[case] body: &str) {
    let error = parse(&number(), &raw(body)).unwrap_err().to_string();
    assert!(error.contains("MessageSid"), "{error}");
}
