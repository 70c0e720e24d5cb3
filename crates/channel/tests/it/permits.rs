//! A part can be built with the right permit and with no other.

use rstest::rstest;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use transom_channel::{NotPermitted, OutboundPart, subject_of};
use transom_domain::{
    Address, ChannelAccountId, ContactId, Content, CountingIds, Identity, IdentityId, PartId, TemplateMessage,
    TemplateParameters,
};
use transom_windows::{Ask, Basis, Category, Event, Facts, Permit, Policies, Sender, What};

const WROTE: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);

fn somebody(seed: u64) -> Identity {
    let ids = CountingIds::new(seed);
    Identity {
        id: IdentityId::new(&ids),
        contact: ContactId::new(&ids),
        account: ChannelAccountId::new(&ids),
        addresses: vec![Address::new("phone", "+15005550006")],
    }
}

/// What WhatsApp permits to that person an hour after they wrote.
fn permits(to: &Identity) -> Vec<Permit> {
    let policies = Policies::builtin().unwrap();
    let policy = policies.get("whatsapp").unwrap();
    let mut facts = Facts::new(subject_of(to), policy);
    let what = What::Opening { kind: "message".into(), reference: None };
    facts.apply(policy, &Event { at: WROTE, what }).unwrap();
    let ask = Ask::by(Sender::Human).category(Category::Utility);
    policy.decide(&facts, ask, WROTE + Duration::HOUR).permits().to_vec()
}

fn free_form(to: &Identity) -> Permit {
    permits(to).into_iter().find(|permit| matches!(permit.basis(), Basis::FreeForm)).unwrap()
}

fn template_only(to: &Identity) -> Permit {
    permits(to).into_iter().find(|permit| matches!(permit.basis(), Basis::Template { .. })).unwrap()
}

fn template(category: &str) -> Content {
    Content::template(TemplateMessage {
        name: "order_update".into(),
        language: "en".into(),
        category: category.into(),
        parameters: TemplateParameters::default(),
        rendered: None,
        buttons: Vec::new(),
    })
}

fn part(permit: Permit, to: &Identity, content: Content, now: OffsetDateTime) -> Result<OutboundPart, NotPermitted> {
    OutboundPart::new(permit, to, (PartId::new(&CountingIds::new(9)), 1), content, now)
}

#[test]
fn a_permit_is_for_one_person() {
    let (mara, ann) = (somebody(1), somebody(2));
    let built = part(free_form(&mara), &mara, Content::text("hello"), WROTE + Duration::HOUR).unwrap();
    assert_eq!((built.to(), built.attempt(), built.content()), (&mara, 1, &Content::text("hello")));
    let refused = part(free_form(&mara), &ann, Content::text("hello"), WROTE + Duration::HOUR);
    assert_eq!(refused.unwrap_err(), NotPermitted::ForeignPermit);
}

#[rstest]
#[case(-Duration::NANOSECOND, true)]
#[case(Duration::ZERO, false)]
#[case(Duration::DAY, false)]
fn a_permit_ends_when_its_margin_begins(#[case] after: Duration, #[case] still: bool) {
    let mara = somebody(1);
    let permit = free_form(&mara);
    let send_before = permit.send_before().unwrap();
    assert!(send_before < WROTE + Duration::DAY, "there is a margin");
    let built = part(permit, &mara, Content::text("hello"), send_before + after);
    assert_eq!(built.is_ok(), still);
    if !still {
        assert_eq!(built.unwrap_err(), NotPermitted::Lapsed { send_before });
    }
}

#[test]
fn a_template_permit_is_for_templates_of_its_categories() {
    let mara = somebody(1);
    let build = |content| part(template_only(&mara), &mara, content, WROTE + Duration::HOUR);
    assert!(build(template("utility")).is_ok());
    assert!(matches!(build(Content::text("hello")), Err(NotPermitted::OtherContent { .. })));
    assert!(matches!(build(template("marketing")), Err(NotPermitted::OtherContent { .. })));
    assert!(matches!(build(template("no such thing")), Err(NotPermitted::OtherContent { .. })));
}
