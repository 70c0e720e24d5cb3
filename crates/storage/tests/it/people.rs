//! People on both databases: met, joined, edited, found.

use std::collections::{BTreeMap, BTreeSet};

use crate::people_support::*;
use time::Duration;
use transom_windows::{Opening, Person, Stamped};

fn addresses(identity: &Identity) -> Vec<(&str, &str)> {
    identity.addresses.iter().map(|address| (address.kind.as_str(), address.value.as_str())).collect()
}

async fn everybody(desk: &Desk) -> Vec<StoredContact> {
    desk.reader().contacts(&ContactQuery { limit: 1_000, ..ContactQuery::default() }).await.unwrap()
}

async fn found(desk: &Desk, q: &str) -> Vec<String> {
    let query = ContactQuery { q: Some(q.into()), limit: 100, ..ContactQuery::default() };
    let mut names: Vec<String> =
        desk.reader().contacts(&query).await.unwrap().iter().filter_map(|found| found.contact.shown_name()).collect();
    names.sort();
    names
}

transom_storage::both_databases! {
    async fn a_person_is_made_once_and_met_again(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let seed = desk.named(&[("phone", "+4915550100001"), ("user_id", "u1")], "Mara Klein");
        let first = desk.meet(&seed).await;
        assert!(first.new_contact && first.new_identity && first.joined.is_empty());
        assert_eq!((first.identity.id, first.contact), (seed.identity, seed.contact));
        assert_eq!(addresses(&first.identity), [("phone", "+4915550100001"), ("user_id", "u1")]);

        let again = desk.meet(&desk.named(&[("user_id", "u1")], "Mara Klein")).await;
        assert_eq!(again, Met { new_contact: false, new_identity: false, ..first.clone() });
        assert_eq!(desk.reader().identity(first.identity.id).await.unwrap(), Some(first.identity.clone()));
        assert_eq!(desk.reader().identities_of(first.contact).await.unwrap(), std::slice::from_ref(&first.identity));
        let by_address = desk.reader().identity_by_address(desk.account, "user_id", "u1").await.unwrap();
        assert_eq!(by_address, Some(first.identity));
        assert_eq!(desk.reader().identity_by_address(desk.account, "phone", "u1").await.unwrap(), None);
        // The same name on another account is somebody else until a person says otherwise.
        let elsewhere = PersonSeed { account: desk.other_account, ..desk.seed(&[("user_id", "u1")]) };
        assert!(desk.meet(&elsewhere).await.new_contact);
    }

    async fn a_new_address_is_added_to_who_is_known(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let first = desk.meet(&desk.seed(&[("phone", "+4915550100001")])).await;
        let again = desk.meet(&desk.seed(&[("user_id", "u1"), ("phone", "+4915550100001")])).await;
        assert_eq!(again.identity.id, first.identity.id);
        assert_eq!(addresses(&again.identity), [("phone", "+4915550100001"), ("user_id", "u1")]);
        let by_address = desk.reader().identity_by_address(desk.account, "user_id", "u1").await.unwrap();
        assert_eq!(by_address, Some(again.identity));
    }

    async fn an_existing_contact_gets_an_identity(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let contact = Contact {
            id: id(),
            display_name: Some("VIP".into()),
            profile: Profile { email: Some("mara@example.org".into()), ..Profile::default() },
            blocked: false,
            created_at: NOON,
        };
        in_tx!(desk, [contact], tx => tx.insert_contact(&contact, NOON).await).unwrap();
        let seed = PersonSeed { contact: contact.id, ..desk.named(&[("email", "mara@example.org")], "Mara") };
        let met = desk.meet(&seed).await;
        assert!(!met.new_contact && met.new_identity);
        let stored = desk.reader().contact(contact.id).await.unwrap().unwrap();
        assert_eq!(stored.contact.display_name.as_deref(), Some("VIP"));
        assert_eq!(stored.contact.profile.name.as_deref(), Some("Mara"));
        assert_eq!(stored.contact.profile.email.as_deref(), Some("mara@example.org"));
        assert_eq!(stored.identities, [met.identity]);
    }

    async fn a_contact_is_found_by_the_very_address(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let contact = |profile: Profile, blocked: bool, at| {
            Contact { id: id(), display_name: None, profile, blocked, created_at: at }
        };
        let number = |phone: &str| Profile { phone: Some(phone.into()), ..Profile::default() };
        let older = contact(number("+491555010001"), false, NOON);
        let newer = contact(number("+491555010001"), false, NOON + Duration::MINUTE);
        let longer = contact(number("+4915550100012"), false, NOON);
        let long = format!("{}@shop.example", "x".repeat(60));
        let mail = contact(Profile { email: Some(long.clone()), ..Profile::default() }, false, NOON);
        for contact in [&older, &newer, &longer, &mail] {
            let contact = contact.clone();
            in_tx!(desk, [contact], tx => tx.insert_contact(&contact, NOON).await).unwrap();
        }
        let met = desk.meet(&desk.named(&[("user_id", "u1"), ("phone", "491555010009")], "Mara")).await;
        let named = async |kind: &str, value: &str| {
            desk.reader().contact_named(&Address::new(kind, value)).await.unwrap()
        };
        assert_eq!(named("phone", "+491555010001").await, Some(older.id), "the oldest of two");
        assert_eq!(named("phone", "+49155501000").await, None, "no beginning will do");
        assert_eq!(named("phone", "+491555010009").await, Some(met.contact), "whichever channel knows it");
        assert_eq!(named("user_id", "u1").await, Some(met.contact));
        assert_eq!(named("user_id", "u").await, None);
        assert_eq!(named("email", &long.to_uppercase()).await, Some(mail.id));
        assert_eq!(named("email", &long.replace("@shop", "@other")).await, None, "terms end early, addresses do not");
        let blocked = Contact { blocked: true, ..newer };
        in_tx!(desk, [blocked], tx => tx.update_contact(&blocked, None, NOON).await).unwrap();
        assert_eq!(named("phone", "+491555010001").await, Some(blocked.id), "a block goes first");
    }

    async fn nobody_is_without_an_address(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let seed = desk.seed(&[]);
        let refused = in_tx!(desk, [seed], tx => tx.meet(&seed, NOON).await);
        assert!(refused.unwrap_err().to_string().contains("at least one address"));
        assert_eq!(everybody(&desk).await, []);
    }

    async fn fifty_first_messages_make_one_person(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let mut meetings = tokio::task::JoinSet::new();
        for n in 0..50 {
            let desk = desk.clone();
            // Some name the phone first, some only one of the two.
            let addresses: &[(&str, &str)] = match n % 4 {
                0 => &[("phone", "+4915550100001"), ("user_id", "u1")],
                1 => &[("user_id", "u1"), ("phone", "+4915550100001")],
                2 => &[("user_id", "u1")],
                _ => &[("phone", "+4915550100001")],
            };
            let seed = desk.named(addresses, "Mara");
            let fresh = conversation(seed.identity, "");
            meetings.spawn(async move {
                in_tx!(desk, [seed, fresh], tx => {
                    let met = tx.meet(&seed, NOON).await?;
                    let fresh = Conversation { identity: met.identity.id, ..fresh };
                    if tx.lock_conversation_of(met.identity.id, "").await?.is_none() {
                        tx.insert_conversation(&fresh, met.contact, met.identity.account, NOON).await?;
                    }
                    let stored = tx.lock_conversation_of(met.identity.id, "").await?.unwrap();
                    tx.insert_message(&inbound(&stored, "hello", NOON), NOON).await
                })
            });
        }
        while let Some(done) = meetings.join_next().await {
            done.unwrap().unwrap();
        }
        // Whoever knew only one address waits for an event that names both, as here at the latest.
        let met = desk.meet(&desk.seed(&[("user_id", "u1"), ("phone", "+4915550100001")])).await;
        let contacts = everybody(&desk).await;
        assert_eq!(contacts.len(), 1);
        assert_eq!(contacts[0].identities, std::slice::from_ref(&met.identity));
        let conversations = desk.reader().conversations(&ConversationQuery::new(NOON)).await.unwrap();
        assert_eq!(conversations.len(), 1);
        let messages = desk.reader().messages(conversations[0].conversation.id, None, 100).await.unwrap();
        assert_eq!(messages.len(), 50);
        assert!(messages.iter().all(|message| message.identity == met.identity.id));
    }

    async fn many_who_are_known_are_met_in_one_go(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let mut seeds = Vec::new();
        for n in 0..40 {
            let user = format!("u{n}");
            let seed = desk.named(&[("user_id", &user)], &user);
            if n != 7 {
                desk.meet(&seed).await;
            }
            seeds.push(PersonSeed { identity: id(), contact: id(), at: NOON + Duration::MINUTE, ..seed });
        }
        seeds[3].profile.name = Some("Renamed".into());
        seeds[5].addresses.push(Address::new("phone", "+49155"));
        seeds.push(seeds[3].clone());
        let met = in_tx!(desk, [seeds], tx => tx.meet_known(&seeds, NOON).await).unwrap();
        assert_eq!(met.len(), seeds.len());
        for (n, (met, seed)) in met.iter().zip(&seeds).enumerate() {
            // One is unknown, one has an address that is: those are for `meet`.
            assert_eq!(met.is_none(), n == 7 || n == 5, "{n}");
            assert!(met.iter().all(|met| met.identity.addresses == seed.addresses && !met.new_identity));
        }
        assert_eq!(met[3], met[40]);
        assert_eq!(found(&desk, "renamed").await, ["Renamed"]);
        assert_eq!(found(&desk, "u30").await, ["u30"]);
    }

    async fn the_newest_profile_wins_whatever_the_order(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let told = |minute: i64, profile: Profile| PersonSeed {
            profile,
            at: NOON + Duration::minutes(minute),
            ..desk.seed(&[("user_id", "u1")])
        };
        let name = |name: &str| Profile { name: Some(name.into()), ..Profile::default() };
        let phone = |phone: &str| Profile { phone: Some(phone.into()), ..Profile::default() };
        let met = desk.meet(&told(1, Profile { phone: Some("+491551".into()), ..name("One") })).await;
        for seed in [told(5, name("Five")), told(5, name("Five")), told(3, name("Three")), told(4, phone("+491554"))] {
            desk.meet(&seed).await;
        }
        let contact = desk.reader().contact(met.contact).await.unwrap().unwrap();
        assert_eq!(contact.contact.profile, Profile { phone: Some("+491554".into()), ..name("Five") });
        // The same name told again at six counts from six.
        desk.meet(&told(7, name("Five"))).await;
        desk.meet(&told(6, name("Six"))).await;
        assert_eq!(desk.reader().contact(met.contact).await.unwrap().unwrap().contact.profile.name.as_deref(), Some("Five"));
    }

    async fn agents_edit_with_a_version(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let met = desk.meet(&desk.named(&[("user_id", "u1")], "Mara")).await;
        let stored = desk.reader().contact(met.contact).await.unwrap().unwrap();
        let edited = Contact {
            display_name: Some("Frau Klein".into()),
            blocked: true,
            profile: Profile { email: Some("mk@example.org".into()), ..stored.contact.profile.clone() },
            ..stored.contact.clone()
        };
        let version = stored.version;
        let later = NOON + Duration::HOUR;
        let outdated = in_tx!(desk, [edited], tx => tx.update_contact(&edited, Some(version + 7), later).await).unwrap();
        assert_eq!(outdated, None);
        let version = in_tx!(desk, [edited], tx => tx.update_contact(&edited, Some(version), later).await).unwrap();
        let stored = desk.reader().contact(met.contact).await.unwrap().unwrap();
        assert_eq!((Some(stored.version), stored.updated_at), (version, later));
        assert_eq!(stored.contact, edited);
        // A refresh changes the name that the platform tells, and not the one that the agent set.
        desk.meet(&PersonSeed { at: later + Duration::HOUR, ..desk.named(&[("user_id", "u1")], "Mara K.") }).await;
        let stored = desk.reader().contact(met.contact).await.unwrap().unwrap();
        assert_eq!(stored.contact.shown_name().as_deref(), Some("Frau Klein"));
        assert_eq!(stored.contact.profile.name.as_deref(), Some("Mara K."));
        assert_eq!(found(&desk, "klein").await, ["Frau Klein"]);
        let nobody = Contact { id: id(), ..edited };
        assert_eq!(in_tx!(desk, [nobody], tx => tx.update_contact(&nobody, None, later).await).unwrap(), None);
    }

    async fn labels_are_put_on_and_filtered_by(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (mara, _) = desk.customer("mara").await;
        desk.customer("ole").await;
        let contact = mara.contact;
        assert!(in_tx!(desk, [], tx => tx.label_contact(contact, "vip").await).unwrap());
        assert!(!in_tx!(desk, [], tx => tx.label_contact(contact, "vip").await).unwrap());
        in_tx!(desk, [], tx => tx.label_contact(contact, "b2b").await).unwrap();
        let query = ContactQuery { label: Some("vip".into()), limit: 10, ..ContactQuery::default() };
        let labelled = desk.reader().contacts(&query).await.unwrap();
        assert_eq!(labelled.len(), 1);
        assert_eq!(labelled[0].labels, ["b2b", "vip"]);
        assert!(in_tx!(desk, [], tx => tx.unlabel_contact(contact, "vip").await).unwrap());
        assert_eq!(desk.reader().contacts(&query).await.unwrap(), []);
        let nobody: ContactId = id();
        let refused = in_tx!(desk, [], tx => tx.label_contact(nobody, "vip").await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
    }

    async fn contacts_are_found_by_name_number_address_and_id(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let people = [
            ("José Ángel Muñoz", "+34 600 123 456", "jose@example.es", "JoseM", "id-jose-77"),
            ("Mara Klein", "+4915550100001", "mara.klein@example.org", "maraklein", "id-mara-1"),
            ("Maren Groß", "+4917699988877", "gross@example.org", "maren_g", "id-maren-2"),
            ("王小明", "+8613800138000", "ming@example.cn", "xiaoming", "id-ming-3"),
            ("Ann Bo Cy Dee Eve Flo Mara Gus", "+14155550123", "ann@example.com", "annbo", "id-ann-4"),
            ("สมชาย ใจดีมาก", "+66812345670", "somchai@example.co.th", "somchai", "id-somchai-5"),
        ];
        for (name, phone, email, username, user) in people {
            let profile = Profile {
                name: Some(name.into()),
                phone: Some(phone.into()),
                email: Some(email.into()),
                username: Some(username.into()),
                ..Profile::default()
            };
            desk.meet(&PersonSeed { profile, ..desk.seed(&[("user_id", user)]) }).await;
        }
        let cases: [(&str, &[&str]); 40] = [
            ("jose", &["José Ángel Muñoz"]),
            ("JOSÉ", &["José Ángel Muñoz"]),
            ("munoz jos", &["José Ángel Muñoz"]),
            ("mar", &["Ann Bo Cy Dee Eve Flo Mara Gus", "Mara Klein", "Maren Groß"]),
            ("mar kl", &["Mara Klein"]),
            ("mara groß", &[]),
            ("gross", &["Maren Groß"]),
            ("GROSS@EXAMPLE.ORG", &["Maren Groß"]),
            ("mara.kl", &["Mara Klein"]),
            ("example.org", &[]),
            ("@mara", &["Mara Klein"]),
            ("@mare", &["Maren Groß"]),
            ("maren_g", &["Maren Groß"]),
            ("+49 1555 0100001", &["Mara Klein"]),
            ("0155 50100001", &["Mara Klein"]),
            ("0001", &[]),
            ("100001", &["Mara Klein"]),
            ("8877", &["Maren Groß"]),
            ("877", &[]),
            ("123456", &["José Ángel Muñoz"]),
            ("id-ming-3", &["王小明"]),
            ("id-ming", &[]),
            ("王小", &["王小明"]),
            ("%", &[]),
            // Two words, however far they are typed; of which one is the beginning of the other, or the same.
            ("j m", &["José Ángel Muñoz"]),
            ("muñoz ángel josé", &["José Ángel Muñoz"]),
            ("munos jose", &[]),
            ("mun jox", &[]),
            ("mar mara", &["Ann Bo Cy Dee Eve Flo Mara Gus", "Mara Klein"]),
            ("mara mara klein", &["Mara Klein"]),
            ("gro%s mar", &[]),
            // Characters of a name without spaces.
            ("王 明", &["王小明"]),
            ("明 小", &["王小明"]),
            ("明 大", &[]),
            // More words than are put into couples.
            ("gus dee", &["Ann Bo Cy Dee Eve Flo Mara Gus"]),
            ("gus dex", &[]),
            ("fl eve", &["Ann Bo Cy Dee Eve Flo Mara Gus"]),
            ("ชาย ดี", &["สมชาย ใจดีมาก"]),
            ("ใจ ม", &["สมชาย ใจดีมาก"]),
            ("ใจ ท", &[]),
        ];
        for (q, expected) in cases {
            assert_eq!(found(&desk, q).await, expected, "{q}");
        }
        // A blank query is none.
        assert_eq!(found(&desk, "  ").await.len(), people.len());
    }

    async fn pages_of_contacts_neither_repeat_nor_skip(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let mut expected = Vec::new();
        for n in 0..25_i64 {
            // Several of one instant.
            let contact = Contact {
                id: id(),
                display_name: Some(format!("c{n}")),
                profile: Profile::default(),
                blocked: n % 5 == 0,
                created_at: NOON + Duration::minutes(n / 4),
            };
            in_tx!(desk, [contact], tx => tx.insert_contact(&contact, NOON).await).unwrap();
            expected.push((contact.created_at, contact.id));
        }
        expected.sort_unstable();
        expected.reverse();
        let mut query = ContactQuery { limit: 7, ..ContactQuery::default() };
        let mut seen = Vec::new();
        loop {
            let page = desk.reader().contacts(&query).await.unwrap();
            let Some(last) = page.last() else { break };
            query.after = Some((last.contact.created_at, last.contact.id));
            seen.extend(page.iter().map(|stored| (stored.contact.created_at, stored.contact.id)));
        }
        assert_eq!(seen, expected);
        for (blocked, count) in [(true, 5), (false, 20)] {
            let query = ContactQuery { blocked: Some(blocked), limit: 100, ..ContactQuery::default() };
            assert_eq!(desk.reader().contacts(&query).await.unwrap().len(), count);
        }
    }

    async fn facts_are_kept_as_they_are(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (mara, _) = desk.customer("mara").await;
        let (ole, _) = desk.customer("ole").await;
        assert_eq!(desk.reader().person_facts(mara.identity.id).await.unwrap(), Person::default());
        let facts = Person {
            sends: vec![transom_windows::Sent {
                id: u128::MAX,
                at: NOON,
                grant: "reply".into(),
                reference: None,
                cost: 1,
            }],
            wrote_before: true,
            ..Person::default()
        };
        let identity = mara.identity.id;
        in_tx!(desk, [facts], tx => tx.save_person_facts(identity, &facts, NOON).await).unwrap();
        assert_eq!(desk.reader().person_facts(identity).await.unwrap(), facts);
        assert_eq!(desk.meet(&desk.seed(&[("user_id", "mara")])).await.facts, facts);
        let both = desk.reader().known_people(&[identity, ole.identity.id, id()]).await.unwrap();
        let expected = [(mara.identity, facts.clone()), (ole.identity, Person::default())];
        assert_eq!(both, expected.into_iter().map(|(one, facts)| (one.id, (one, facts))).collect());
        let nobody: IdentityId = id();
        let refused = in_tx!(desk, [facts], tx => tx.save_person_facts(nobody, &facts, NOON).await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
        let window = WindowColumns::default();
        let refused = in_tx!(desk, [facts, window], tx => tx.save_person(nobody, &facts, &window, NOON).await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
    }

    async fn two_who_are_one_are_joined_and_nothing_is_lost(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let agent = desk.agent().await;
        let by_phone = desk.meet(&desk.named(&[("phone", "+4915550100001")], "Mara")).await;
        let old = desk.open_conversation(&by_phone).await;
        let by_id = desk.meet(&PersonSeed { at: NOON + Duration::MINUTE, ..desk.named(&[("user_id", "u1")], "Mara K.") }).await;
        let new = desk.open_conversation(&by_id).await;
        let side = conversation(by_id.identity.id, "side thread");
        let contact = by_id.contact;
        let account = desk.account;
        in_tx!(desk, [side], tx => tx.insert_conversation(&side, contact, account, NOON).await).unwrap();
        in_tx!(desk, [], tx => {
            tx.label_contact(contact, "vip").await?;
            tx.create_tag("billing", NOON).await?;
            Ok(())
        })
        .unwrap();
        // The older conversation is closed by now, the newer one is with an agent and waits.
        let mut closed = old.conversation.clone();
        closed.close(OnClose::Unassign, NOON).unwrap();
        let mut assigned = new.conversation.clone();
        assigned.assign(Assignment { agent: Some(agent.id), team: None }, NOON).unwrap();
        let (old_episode, tag) = (old.conversation.clone(), vec!["billing".to_owned()]);
        in_tx!(desk, [closed, assigned, old_episode, tag], tx => {
            tx.end_episode(&old_episode, &EpisodeEnd { by: Actor::Customer, category: None, note: None }, NOON).await?;
            tx.save_conversation(&closed, NOON).await?;
            tx.save_conversation(&assigned, NOON).await?;
            tx.add_tags(assigned.id, &tag, NOON).await
        })
        .unwrap();
        for (stored, text, minute) in [(&old, "first", 1), (&new, "second", 2), (&old, "third", 3), (&new, "fourth", 4)] {
            let message = inbound(stored, text, NOON + Duration::minutes(minute));
            let touch = touch(&message, false);
            in_tx!(desk, [message, touch], tx => tx.file_message(&message, &touch, NOON).await).unwrap();
        }
        let reply = outbound(&new, &agent, "fifth", NOON + Duration::minutes(5));
        let part = Part {
            id: id(),
            index: 0,
            content: reply.message.content.clone(),
            cost: 1,
            state: DeliveryState::Queued,
            provider_id: None,
        };
        in_tx!(desk, [reply, part], tx => {
            tx.insert_message(&reply, NOON).await?;
            tx.insert_parts(reply.message.id, &[part]).await
        })
        .unwrap();
        let opening = |kind: &str, minute: i64| Opening {
            kind: kind.into(),
            reference: None,
            at: NOON + Duration::minutes(minute),
            first_at: None,
            recent: Vec::new(),
            before_recent: None,
            sent_since: 0,
        };
        let stamped = |value, minute: i64| Some(Stamped { at: NOON + Duration::minutes(minute), value });
        let facts = [
            (by_phone.identity.id, Person {
                openings: vec![opening("message", 3), opening("follow", 1)],
                wrote_before: true,
                opted_out_of_all: stamped(true, 9),
                ..Person::default()
            }),
            (by_id.identity.id, Person {
                openings: vec![opening("message", 4)],
                opted_out_of_all: stamped(false, 2),
                ..Person::default()
            }),
        ];
        for (identity, facts) in facts {
            in_tx!(desk, [facts], tx => tx.save_person_facts(identity, &facts, NOON).await).unwrap();
        }

        let both = PersonSeed { at: NOON + Duration::minutes(2), ..desk.seed(&[("user_id", "u1"), ("phone", "+4915550100001")]) };
        let met = desk.meet(&both).await;
        assert_eq!(met.identity.id, by_phone.identity.id, "the older one stays");
        assert_eq!(met.joined, [by_id.identity.id]);
        assert_eq!(met.contact, by_phone.contact);
        assert_eq!(addresses(&met.identity), [("phone", "+4915550100001"), ("user_id", "u1")]);
        let kinds: BTreeMap<_, _> = met.facts.openings.iter().map(|opening| (opening.kind.as_str(), opening.at)).collect();
        let at = |minutes| NOON + Duration::minutes(minutes);
        assert_eq!(kinds, BTreeMap::from([("follow", at(1)), ("message", at(4))]));
        assert_eq!(met.facts.opted_out_of_all, stamped(true, 9), "the newest word counts");
        assert!(met.facts.wrote_before);

        // Old ids still find what they stood for.
        let reader = desk.reader();
        assert_eq!(reader.identity(by_id.identity.id).await.unwrap(), Some(met.identity.clone()));
        let contact = reader.contact(by_id.contact).await.unwrap().unwrap();
        assert_eq!(contact, reader.contact(by_phone.contact).await.unwrap().unwrap());
        assert_eq!((contact.labels.as_slice(), contact.identities.len()), (&["vip".to_owned()][..], 1));
        assert_eq!(contact.contact.profile.name.as_deref(), Some("Mara K."));
        assert_eq!(everybody(&desk).await.len(), 1);
        assert_eq!(found(&desk, "+4915550100001").await, ["Mara K."]);

        let stored = reader.conversation(new.conversation.id).await.unwrap().unwrap();
        assert_eq!(stored, reader.conversation(old.conversation.id).await.unwrap().unwrap());
        assert_eq!(stored.conversation.id, old.conversation.id);
        assert_eq!(stored.conversation.status, Status::Open, "what is open asks more than what is closed");
        assert_eq!(stored.conversation.assignment.agent, Some(agent.id));
        assert_eq!(stored.conversation.episode, new.conversation.episode);
        assert_eq!(stored.conversation.episodes, 2);
        assert_eq!(stored.tags, ["billing"]);
        assert_eq!((stored.last_message_at, stored.preview.as_deref()), (Some(at(4)), Some("fourth")));
        assert_eq!(stored.waiting_since, Some(at(1)));
        let episodes = reader.episodes(stored.conversation.id).await.unwrap();
        assert_eq!(episodes.iter().map(|episode| episode.number).collect::<Vec<_>>(), [1, 2]);
        let messages = reader.messages(stored.conversation.id, None, 10).await.unwrap();
        let texts: Vec<String> = messages.iter().rev().map(|message| message.message.content.preview()).collect();
        assert_eq!(texts, ["first", "second", "third", "fourth", "fifth"]);
        assert!(messages.iter().all(|message| message.identity == met.identity.id));
        assert_eq!(messages[0].parts.len(), 1);
        // A thread that only one of them had goes along as it is.
        let side = reader.conversation(side.id).await.unwrap().unwrap();
        assert_eq!((side.conversation.identity, side.contact), (met.identity.id, met.contact));
        let all = reader.conversations(&ConversationQuery::new(NOON)).await.unwrap();
        assert_eq!(all.iter().map(|stored| stored.contact).collect::<BTreeSet<_>>(), BTreeSet::from([met.contact]));
        assert_eq!(all.len(), 2);
    }

    async fn a_contact_with_other_identities_is_not_swallowed(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let by_phone = desk.meet(&desk.seed(&[("phone", "+4915550100001")])).await;
        let by_id = desk.meet(&desk.seed(&[("user_id", "u1")])).await;
        let elsewhere = Identity {
            id: id(),
            contact: by_id.contact,
            account: desk.other_account,
            addresses: vec![Address::new("email", "mara@example.org")],
        };
        in_tx!(desk, [elsewhere], tx => tx.insert_identity(&elsewhere, NOON).await).unwrap();
        let met = desk.meet(&desk.seed(&[("user_id", "u1"), ("phone", "+4915550100001")])).await;
        assert_eq!((met.contact, met.joined.as_slice()), (by_phone.contact, &[by_id.identity.id][..]));
        let other = desk.reader().contact(by_id.contact).await.unwrap().unwrap();
        assert_eq!(other.identities, std::slice::from_ref(&elsewhere));
        let taken = Identity { id: id(), ..elsewhere };
        let refused = in_tx!(desk, [taken], tx => tx.insert_identity(&taken, NOON).await);
        assert!(matches!(refused, Err(StorageError::Duplicate(_))), "{refused:?}");
    }

    async fn what_was_counted_for_both_counts_for_one(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let agent = desk.agent().await;
        let by_phone = desk.meet(&desk.seed(&[("phone", "+4915550100001")])).await;
        let by_id = desk.meet(&desk.seed(&[("user_id", "u1")])).await;
        let hold = async |met: &Met, quota: &str| {
            let stored = desk.open_conversation_or_known(met).await;
            let reply = outbound(&stored, &agent, "hello", NOON);
            let part = Part {
                id: id(),
                index: 0,
                content: reply.message.content.clone(),
                cost: 1,
                state: DeliveryState::Queued,
                provider_id: None,
            };
            let wanted = Reservation {
                quota: quota.into(),
                scope: QuotaScope::Identity(met.identity.id),
                period: "2026-11".into(),
                limit: Some(3),
                cost: 1,
                counting: Counting::Requests,
            };
            let identity = met.identity.id;
            in_tx!(desk, [reply, part, wanted], tx => {
                tx.insert_message(&reply, NOON).await?;
                tx.insert_parts(reply.message.id, std::slice::from_ref(&part)).await?;
                tx.reserve(part.id, identity, &[wanted], NOON).await
            })
            .unwrap()
        };
        assert_eq!(hold(&by_phone, "replies").await, Ok(()));
        assert_eq!(hold(&by_id, "replies").await, Ok(()));
        assert_eq!(hold(&by_id, "templates").await, Ok(()));
        let met = desk.meet(&desk.seed(&[("user_id", "u1"), ("phone", "+4915550100001")])).await;
        assert_eq!(met.joined, [by_id.identity.id]);
        assert_eq!(hold(&met, "replies").await, Ok(()));
        assert_eq!(hold(&met, "replies").await, Err(QuotaFull { quota: "replies".into() }), "three were held by both");
        assert_eq!(hold(&met, "templates").await, Ok(()));
        assert_eq!(hold(&met, "templates").await, Ok(()));
        assert_eq!(hold(&met, "templates").await, Err(QuotaFull { quota: "templates".into() }));
    }

    async fn many_pairs_that_are_joined_at_once_end_as_one(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let names = ["a", "b", "c", "d"];
        for name in names {
            desk.meet(&desk.seed(&[("user_id", name)])).await;
        }
        let mut joins = tokio::task::JoinSet::new();
        // Few enough that those who wait for each other's rows get them within the statement's time, also on a slow machine.
        for n in 0..6 {
            let (one, other) = (names[n % 4], names[(n + 1) % 4]);
            let seed = desk.seed(&[("user_id", one), ("user_id", other)]);
            let desk = desk.clone();
            joins.spawn(async move { in_tx!(desk, [seed], tx => tx.meet(&seed, NOON).await) });
        }
        while let Some(done) = joins.join_next().await {
            done.unwrap().unwrap();
        }
        let contacts = everybody(&desk).await;
        assert_eq!(contacts.len(), 1);
        let known: BTreeSet<_> = contacts[0].identities[0].addresses.iter().map(|address| address.value.as_str()).collect();
        assert_eq!(known, BTreeSet::from(names));
    }

    async fn another_workspaces_people_are_nobody(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (mara, stored) = desk.customer("mara").await;
        let scope = db.workspace(&desk.storage, "Other").await;
        let other = Desk::of(desk.storage.clone(), scope).await;
        let reader = other.reader();
        assert_eq!(reader.contact(mara.contact).await.unwrap(), None);
        assert_eq!(reader.identity(mara.identity.id).await.unwrap(), None);
        assert_eq!(reader.identities_of(mara.contact).await.unwrap(), []);
        assert_eq!(reader.identity_by_address(desk.account, "user_id", "mara").await.unwrap(), None);
        assert_eq!(reader.person_facts(mara.identity.id).await.unwrap(), Person::default());
        assert_eq!(reader.contacts(&ContactQuery { limit: 9, ..ContactQuery::default() }).await.unwrap(), []);
        assert_eq!(found(&other, "mara").await, Vec::<String>::new());
        assert_eq!(reader.conversation(stored.conversation.id).await.unwrap(), None);
        assert_eq!(in_tx!(other, [], tx => tx.lock_identity(mara.identity.id).await).unwrap(), None);
        // The other workspace's account can't be met on.
        let seed = desk.seed(&[("user_id", "mara")]);
        let refused = in_tx!(other, [seed], tx => tx.meet(&seed, NOON).await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
    }
}
