//! Letters: subjects, senders, further readers, threads, third parties, machines, and files that come in the call itself; on
//! both databases.

use std::collections::BTreeSet;

use crate::post::{Left, World, later, letter, mail, with, words};
use serde_json::{Value, json};
use time::Duration;
use transom_desk::contacts::{self, NewContact};
use transom_desk::messages::{Settle, settle};
use transom_desk::status::{self, NewStatus};
use transom_desk::{DeskError, Draft, Sent, Target, attachments, send};
use transom_domain::{Author, ContactId, ConversationId, DeliveryState, MediaSource, MessageId, Profile, Status, Tab};
use transom_storage::{AttachmentState, ContactQuery, both_databases};

const ANN: &str = "ann@a.test";
const BOB: &str = "bob@b.test";

async fn contact(world: &World, email: Option<&str>) -> ContactId {
    let profile = Profile { email: email.map(str::to_owned), ..Profile::default() };
    let new = NewContact { display_name: Some("Ann".into()), profile, ..NewContact::default() };
    contacts::add(&world.desk, &world.caller, new, None).await.unwrap().contact.id
}

async fn write(world: &World, contact: ContactId, draft: Draft) -> Result<Sent, DeskError> {
    let target = Target::Contact { contact, account: world.account.id };
    send(&world.desk, &world.caller, target, draft, None).await
}

fn about(subject: &str, text: &str) -> Draft {
    Draft { subject: Some(subject.into()), ..words(text) }
}

fn all(addresses: &[&str]) -> Vec<String> {
    addresses.iter().map(|address| (*address).to_owned()).collect()
}

/// Everybody whom letters reached, in order.
fn reached(left: &[Left]) -> Vec<&str> {
    left.iter().map(|left| left.to.as_str()).collect()
}

async fn closed(world: &World, conversation: ConversationId) {
    let status = NewStatus::Closed { category: None, note: None };
    status::set_status(&world.desk, &world.caller, conversation, status, None).await.unwrap();
}

async fn state(world: &World, message: MessageId) -> DeliveryState {
    world.message(message).await.message.state.unwrap()
}

async fn how_many_contacts(world: &World) -> usize {
    world.reader().contacts(&ContactQuery { limit: 100, ..ContactQuery::default() }).await.unwrap().len()
}

both_databases! {
    /// the first letter of a thread needs an address and a subject; each begins a conversation of its own.
    async fn a_new_letter_begins_a_thread(db: TestDatabase) {
        let world = World::open(&db).await;
        let nobody = contact(&world, None).await;
        assert_eq!(write(&world, nobody, about("Hello", "hi")).await.unwrap_err().code(), "no_email_address");
        let ann = contact(&world, Some("Ann@A.test")).await;
        assert_eq!(write(&world, ann, words("hi")).await.unwrap_err().code(), "subject_required");
        let stranger = Draft { from: Some("boss@shop.test".into()), ..about("Hello", "hi") };
        let refused = write(&world, ann, stranger).await.unwrap_err();
        assert_eq!(refused.code(), "sender_unknown");
        assert!(refused.to_string().contains("help@shop.test, sales@shop.test"), "{refused}");

        let draft = Draft {
            from: Some("sales@shop.test".into()),
            cc: all(&[BOB, "ANN@a.test"]),
            bcc: all(&["eve@e.test", BOB]),
            html: Some("<p>hi<script></p>".into()),
            ..about("Hello\r\nBcc: x", "hi")
        };
        let first = write(&world, ann, draft).await.unwrap();
        world.dispatch().await;
        let second = write(&world, ann, about("Something else", "hi again")).await.unwrap();
        assert_ne!(first.conversation, second.conversation);
        world.dispatch().await;

        let left = world.left();
        assert_eq!(reached(&left), [ANN, "eve@e.test", ANN]);
        let [to_ann, to_eve, other] = left.as_slice() else { panic!("{left:?}") };
        assert_eq!((to_ann.id.as_str(), to_ann.id == to_eve.id, to_ann.id == other.id), (to_eve.id.as_str(), true, false));
        assert!(to_ann.mail.bcc.is_empty() && to_ann.mail.references.is_empty());
        assert_eq!(to_ann.mail.subject.as_deref(), Some("Hello Bcc: x"));
        assert_eq!((to_ann.mail.from.as_deref(), &to_ann.mail.cc), (Some("sales@shop.test"), &all(&[BOB])));
        assert_eq!(other.mail.from.as_deref(), Some("help@shop.test"), "the default one");

        // Agents see who read it, and the HTML as it went out.
        let shown = world.message(first.message).await;
        assert_eq!((mail(&shown).bcc.clone(), mail(&shown).html.as_deref()), (all(&["eve@e.test"]), Some("<p>hi</p>")));
        assert_eq!(shown.message.state, Some(DeliveryState::Sent));
        assert_eq!(world.conversation(first.conversation).await.preview.as_deref(), Some("Hello Bcc: x"));
    }
}

both_databases! {
    /// an answer stays in its thread, keeps the subject, bears the name that was written to, and names the thread so far.
    async fn an_answer_stays_in_its_thread(db: TestDatabase) {
        let world = World::open(&db).await;
        let first = with(letter("<1@a>", ANN, &["<0@a>"], "where is it?"), json!({ "to": ["x@else.test", "Sales@shop.test"] }));
        world.comes(&[first]).await;
        let conversation = world.received("<1@a>").await.message.conversation;
        let sent = world.answer(conversation, words("on its way")).await.unwrap();
        assert_eq!(sent.conversation, conversation);
        world.dispatch().await;
        let [ours] = world.left().try_into().unwrap_or_else(|left| panic!("{left:?}"));
        assert_eq!((ours.mail.subject.as_deref(), ours.mail.from.as_deref()), (Some("Re: Order 7"), Some("sales@shop.test")));
        assert_eq!((ours.mail.references.clone(), ours.reply_to.as_deref()), (all(&["<0@a>", "<1@a>"]), Some("<1@a>")));
        assert_eq!(world.message(sent.message).await.reply_to, Some(world.received("<1@a>").await.message.id));

        // Ours again before hers: still hers is what is answered. Another subject stays in the conversation.
        let again = world.answer(conversation, about("Your parcel", "one more thing")).await.unwrap();
        world.dispatch().await;
        assert_eq!(again.conversation, conversation);
        let ours = world.left().pop().unwrap();
        assert_eq!((ours.mail.subject.as_deref(), ours.reply_to.as_deref()), (Some("Your parcel"), Some("<1@a>")));

        // An answer to one of ours comes back to where it left from, whatever thread it says it is of.
        let back = letter("<2@a>", ANN, &["<unknown@x>", &ours.id], "thanks");
        world.comes(&[back]).await;
        assert_eq!(world.received("<2@a>").await.message.conversation, conversation);
        let explicit = Draft { reply_to: Some(world.received("<1@a>").await.message.id), ..words("as I said") };
        world.answer(conversation, explicit).await.unwrap();
        world.dispatch().await;
        assert_eq!(world.left().pop().unwrap().reply_to.as_deref(), Some("<1@a>"));
        assert_eq!(world.conversations().await.len(), 1);
    }
}

both_databases! {
    /// P7: a thread is the same whatever order its letters come in, and however often, also before our own has a receipt.
    async fn a_thread_is_the_same_in_any_order(db: TestDatabase) {
        let ours = {
            let world = World::open(&db).await;
            let ann = contact(&world, Some(ANN)).await;
            let sent = write(&world, ann, about("Order 7", "your order")).await.unwrap();
            world.dispatch().await;
            (world, sent)
        };
        let (world, sent) = ours;
        let left = world.left().pop().unwrap();
        let calls = |round: usize| {
            let id = |name: &str| format!("<{name}{round}@x>");
            [
                // By the proof in its address, and by nothing else.
                with(letter(&id("proof"), ANN, &[], "1"), json!({ "part": left.part, "at": 1 })),
                // By the name of ours.
                with(letter(&id("named"), ANN, &[&left.id], "2"), json!({ "at": 2 })),
                with(letter(&id("third"), BOB, &[&left.id], "3"), json!({ "at": 3 })),
                with(letter(&id("away"), ANN, &[&left.id], "4"), json!({ "at": 4, "automatic": true })),
                json!({ "id": id("seen"), "delivered": left.id, "part": left.part, "at": 5 }),
                // A thread of her own.
                with(letter(&id("own"), ANN, &[], "5"), json!({ "at": 6 })),
                with(letter(&id("more"), ANN, &[&id("own")], "6"), json!({ "at": 7 })),
            ]
        };
        let mut stories = BTreeSet::new();
        for round in 0..7 {
            let mut order = calls(round).to_vec();
            order.rotate_left(round);
            if round % 2 == 1 {
                order.reverse();
            }
            let repeated: Vec<Value> = order.iter().chain(&order).cloned().collect();
            // In one batch, and each by itself.
            if round % 3 == 0 {
                for call in &repeated {
                    world.comes(std::slice::from_ref(call)).await;
                }
            } else {
                world.comes(&repeated).await;
            }
            let of = |name: &str| format!("<{name}{round}@x>");
            for name in ["proof", "named", "third", "away"] {
                assert_eq!(world.received(&of(name)).await.message.conversation, sent.conversation, "{name}, {round}");
            }
            let own = world.received(&of("own")).await.message.conversation;
            assert_eq!(own, world.received(&of("more")).await.message.conversation, "{round}");
            let thread = world.conversation(own).await;
            let messages = world.reader().messages(own, None, 100).await.unwrap();
            let said: BTreeSet<String> = messages.iter().map(|one| one.message.content.preview()).collect();
            stories.insert(format!("{said:?} {:?} {:?}", thread.conversation.status, thread.waiting_since));
            assert_ne!(own, sent.conversation);
        }
        assert_eq!(stories.len(), 1, "{stories:?}");
        assert_eq!(state(&world, sent.message).await, DeliveryState::Delivered);
        assert_eq!(how_many_contacts(&world).await, 1, "a third party is nobody's contact");
    }
}

both_databases! {
    /// Somebody in copy answers: shown in the customer's conversation under their address, without rights and without R-523.
    async fn a_third_party_writes_into_the_thread(db: TestDatabase) {
        let world = World::open(&db).await;
        let ann = contact(&world, Some(ANN)).await;
        let sent = write(&world, ann, Draft { cc: all(&[BOB]), ..about("Order 7", "hi") }).await.unwrap();
        world.dispatch().await;
        let ours = world.left().pop().unwrap();
        world.comes(&[with(letter("<1@b>", BOB, &[&ours.id], "I agree"), json!({ "at": 60 }))]).await;
        let theirs = world.received("<1@b>").await;
        assert_eq!(theirs.message.author, Author::ThirdParty { address: BOB.into() });
        assert_eq!((theirs.message.conversation, theirs.reply_to), (sent.conversation, Some(sent.message)));
        let stored = world.conversation(sent.conversation).await;
        assert_eq!(stored.waiting_since, Some(later(Duration::MINUTE)), "somebody waits for an answer");
        let facts = world.reader().person_facts(stored.conversation.identity).await.unwrap();
        assert!(!facts.wrote_before, "{facts:?}");
        assert_eq!(how_many_contacts(&world).await, 1);

        // What is answered is the customer's, or ours as long as there is none; the third party gets nothing by it.
        let answer = world.answer(sent.conversation, words("good")).await.unwrap();
        world.dispatch().await;
        assert_eq!(reached(&world.left()), [ANN, ANN]);
        assert_eq!(world.message(answer.message).await.reply_to, Some(theirs.message.id));

        // Snoozed opens; closed follows the settings, and goes to nobody's agent.
        let snooze = NewStatus::Snoozed { until: later(Duration::DAY) };
        status::set_status(&world.desk, &world.caller, sent.conversation, snooze, None).await.unwrap();
        world.comes(&[letter("<2@b>", BOB, &[&ours.id], "and?")]).await;
        assert_eq!(world.conversation(sent.conversation).await.conversation.status, Status::Open);
        closed(&world, sent.conversation).await;
        world.comes(&[letter("<3@b>", BOB, &[&ours.id], "hello?")]).await;
        let stored = world.conversation(sent.conversation).await;
        assert_eq!((stored.conversation.status, stored.conversation.tab()), (Status::Open, Tab::Open));
        // The customer's own answer to a letter goes to whoever wrote it.
        closed(&world, sent.conversation).await;
        world.comes(&[letter("<4@a>", ANN, &[&ours.id], "thanks")]).await;
        let stored = world.conversation(sent.conversation).await;
        assert_eq!(stored.conversation.assignment.agent, Some(world.caller.agent.id));
    }
}

both_databases! {
    /// RFC 3834: what a machine wrote is shown; it wakes nothing, reopens nothing, and makes nobody wait.
    async fn a_machines_letter_changes_nothing(db: TestDatabase) {
        let world = World::open(&db).await;
        let ann = contact(&world, Some(ANN)).await;
        let sent = write(&world, ann, about("Order 7", "hi")).await.unwrap();
        world.dispatch().await;
        let ours = world.left().pop().unwrap();
        closed(&world, sent.conversation).await;
        let away = with(letter("<1@a>", ANN, &[&ours.id], "I am away"), json!({ "automatic": true }));
        let news = with(letter("<1@n>", "news@n.test", &[], "Buy!"), json!({ "automatic": true }));
        let noise = with(letter("<1@b>", BOB, &[&ours.id], "me too"), json!({ "automatic": true }));
        world.comes(&[away, news, noise]).await;
        let received = world.received("<1@a>").await;
        assert_eq!((received.message.conversation, &received.extra["automatic"]), (sent.conversation, &json!(true)));
        for conversation in world.conversations().await {
            assert_eq!(conversation.conversation.status, Status::Closed);
            assert_eq!((conversation.waiting_since, conversation.last_inbound_at), (None, None));
        }
        assert_eq!(world.conversations().await.len(), 2);
        // What a person wrote is what is answered, also after a machine's.
        let note = with(letter("<2@a>", ANN, &[&ours.id], "I am back"), json!({ "at": 1 }));
        let away = with(letter("<3@a>", ANN, &[&ours.id], "I am away"), json!({ "at": 2, "automatic": true }));
        world.comes(&[note, away]).await;
        world.answer(sent.conversation, words("welcome")).await.unwrap();
        world.dispatch().await;
        assert_eq!(world.left().pop().unwrap().reply_to.as_deref(), Some("<2@a>"));
    }
}

both_databases! {
    /// A letter waits for days where a chat gives up in hours.
    async fn a_letter_is_sent_patiently(db: TestDatabase) {
        let world = World::open(&db).await;
        let ann = contact(&world, Some(ANN)).await;
        world.office.busy.lock().unwrap().push(ANN.into());
        let sent = write(&world, ann, about("Order 7", "hi")).await.unwrap();
        let mut tries = Vec::new();
        for minutes in [0, 1, 5, 15, 60, 240, 240] {
            world.clock.advance(Duration::minutes(minutes));
            world.dispatch().await;
            let [part] = world.message(sent.message).await.parts.try_into().unwrap_or_else(|parts| panic!("{parts:?}"));
            tries.push(part.attempts);
        }
        assert_eq!(tries, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(state(&world, sent.message).await, DeliveryState::Queued);
        world.clock.advance(Duration::hours(72));
        world.dispatch().await;
        assert_eq!(state(&world, sent.message).await, DeliveryState::NotSent);
        // A person gives it another three days.
        settle(&world.desk, &world.caller, sent.message, Settle::Retry).await.unwrap();
        world.dispatch().await;
        world.clock.advance(Duration::hours(71));
        world.office.busy.lock().unwrap().clear();
        world.dispatch().await;
        assert_eq!(state(&world, sent.message).await, DeliveryState::Sent);
    }
}

both_databases! {
    /// What befalls further readers is told, and is no proof about the customer.
    async fn a_reader_who_is_not_reached_is_told(db: TestDatabase) {
        let world = World::open(&db).await;
        let ann = contact(&world, Some(ANN)).await;
        world.office.gone.lock().unwrap().push(BOB.into());
        let draft = Draft { cc: all(&[BOB, "cee@c.test"]), bcc: all(&["eve@e.test", "fay@f.test"]), ..about("Order 7", "hi") };
        let sent = write(&world, ann, draft).await.unwrap();
        world.dispatch().await;
        // Refused in copy: an activity, and a word on the attempt. The letter is sent.
        assert_eq!(state(&world, sent.message).await, DeliveryState::Sent);
        assert_eq!(world.activities(sent.conversation).await.iter().filter(|told| *told == "message.reader_refused").count(), 1);
        let parts = world.message(sent.message).await.parts;
        let attempt = world.reader().attempts(parts[0].part.id).await.unwrap().remove(0);
        assert_eq!(attempt.detail.unwrap()["refused"][0]["address"], BOB);

        // Bounced in copy: the same, by the bounce's own reader.
        let mut left = world.left();
        left.sort_by(|one, other| one.to.cmp(&other.to));
        let [ours, eves, fays] = <[Left; 3]>::try_from(left).unwrap_or_else(|left| panic!("{left:?}"));
        let in_copy = json!({ "id": "b1", "bounce": ours.id, "part": ours.part, "from": "cee@c.test" });
        world.comes(&[in_copy]).await;
        assert_eq!(state(&world, sent.message).await, DeliveryState::Sent);
        assert_eq!(world.activities(sent.conversation).await.iter().filter(|told| *told == "message.reader_refused").count(), 2);

        // Bounced alone: that part failed and the message shows its worst part, but nothing is said about the customer.
        let blind = json!({ "id": "b2", "bounce": eves.id, "part": eves.part, "from": "eve@e.test" });
        world.comes(&[blind]).await;
        let shown = world.message(sent.message).await;
        let states: Vec<DeliveryState> = shown.parts.iter().map(|part| part.part.state).collect();
        assert_eq!(states, [DeliveryState::Sent, DeliveryState::Failed, DeliveryState::Sent]);
        assert_eq!(shown.message.state, Some(DeliveryState::Failed));
        let identity = world.conversation(sent.conversation).await.conversation.identity;
        assert!(world.reader().person_facts(identity).await.unwrap().unreachable.is_none());
        world.answer(sent.conversation, words("still there")).await.unwrap();

        // A receipt without a proof is the customer's: all parts bear the letter's one name.
        assert_eq!(ours.id, fays.id);
        world.comes(&[json!({ "id": "d1", "delivered": ours.id })]).await;
        let states: Vec<DeliveryState> = world.message(sent.message).await.parts.iter().map(|part| part.part.state).collect();
        assert_eq!(states, [DeliveryState::Delivered, DeliveryState::Failed, DeliveryState::Sent]);
        // With the proof alone it finds its part.
        world.comes(&[json!({ "id": "d2", "delivered": "", "part": fays.part })]).await;
        let states: Vec<DeliveryState> = world.message(sent.message).await.parts.iter().map(|part| part.part.state).collect();
        assert_eq!(states, [DeliveryState::Delivered, DeliveryState::Failed, DeliveryState::Delivered]);

        // The customer's own bounce is proof.
        world.dispatch().await;
        let last = world.left().pop().unwrap();
        world.comes(&[json!({ "id": "b3", "bounce": last.id, "part": last.part, "from": ANN })]).await;
        assert!(world.reader().person_facts(identity).await.unwrap().unreachable.is_some());
    }
}

both_databases! {
    /// Files that come in the call itself are stored before their message is; a replay stores none twice.
    async fn files_come_with_their_letter(db: TestDatabase) {
        let world = World::open(&db).await;
        let big = "x".repeat(1_001);
        let whole = "From: ann\r\n\r\nsee below";
        let call = with(letter("<1@a>", ANN, &[], "see below"), json!({ "files": [whole, "a;b\n1;2\n", big, ""] }));
        // Plain ones before and behind it in the same batch.
        let (before, behind) = (letter("<0@b>", BOB, &[], "before"), letter("<2@b>", BOB, &[], "behind"));
        let more = with(letter("<3@a>", ANN, &["<1@a>"], "once more"), json!({ "files": [whole] }));
        world.comes(&[before, call.clone(), behind, more]).await;
        let received = world.received("<1@a>").await;
        let letter = mail(&received);
        let mut kept = Vec::new();
        for file in letter.source.iter().chain(&letter.attachments) {
            let MediaSource::Stored { id } = file.source else { panic!("{file:?}") };
            let stored = attachments::attachment(&world.desk, &world.caller, id).await.unwrap();
            assert_eq!((stored.message, stored.file_name.as_deref()), (Some(received.message.id), Some("a.csv")));
            kept.push((stored.state, stored.reason.clone(), stored.blob.map(|blob| blob.size)));
        }
        let lost = |reason: &str| (AttachmentState::Failed, Some(reason.to_owned()), None);
        let here = |size: usize| (AttachmentState::Stored, None, Some(size as u64));
        assert_eq!(kept, [here(whole.len()), here(8), lost("too_large"), lost("empty")]);
        assert_eq!(letter.attachments[0].mime.as_deref(), Some("text/csv"));
        let MediaSource::Stored { id } = letter.attachments[0].source else { panic!() };
        let mut download = attachments::download(&world.desk, &world.caller, id).await.unwrap();
        let bytes = futures_util::StreamExt::next(&mut download.bytes).await.unwrap().unwrap();
        assert_eq!(bytes, "a;b\n1;2\n");

        // A repeat, and a replay of the same row, make no second message and no second file.
        let rows = |world: &World| std::fs::read_dir(world.folder.path().join("files")).unwrap().count();
        let before = rows(&world);
        world.comes(&[call.clone(), call]).await;
        assert_eq!(rows(&world), before);
        let again = world.received("<1@a>").await;
        assert_eq!(again.message.content, received.message.content);
        // What came can be sent on.
        let on = Draft { attachments: letter.attachments[..1].to_vec(), ..words("this one?") };
        world.answer(received.message.conversation, on).await.unwrap();
        let lost = Draft { attachments: letter.attachments[1..2].to_vec(), ..words("and this?") };
        let refused = world.answer(received.message.conversation, lost).await.unwrap_err();
        assert_eq!(refused.code(), "attachment_not_stored");
    }
}

both_databases! {
    /// Where no files are kept their names stay, and nothing pretends to have the bytes.
    async fn without_a_place_for_files_their_names_stay(db: TestDatabase) {
        let world = World::with_files(&db, None).await;
        world.comes(&[with(letter("<1@a>", ANN, &[], "see below"), json!({ "files": ["whole", "a;b"] }))]).await;
        let received = world.received("<1@a>").await;
        assert_eq!(mail(&received).attachments.len(), 1);
        assert!(matches!(mail(&received).attachments[0].source, MediaSource::Enclosed { index: 1 }));
    }
}

both_databases! {
    /// A mailbox is one person's however it is written, and a name that somebody took keeps no letter away.
    async fn spellings_and_names_lose_no_letter(db: TestDatabase) {
        let world = World::open(&db).await;
        let ann = contact(&world, Some("Ann@A.test")).await;
        let sent = write(&world, ann, about("Order 7", "hi")).await.unwrap();
        world.dispatch().await;
        let ours = world.left().pop().unwrap();
        world.comes(&[letter("<1@a>", "ANN@a.TEST", &[&ours.id], "yes")]).await;
        let hers = world.received("<1@a>").await;
        assert_eq!((hers.message.conversation, how_many_contacts(&world).await), (sent.conversation, 1));
        assert!(!matches!(hers.message.author, Author::ThirdParty { .. }));

        // By somebody else, alone and in one batch with another of that name.
        world.comes(&[letter("<1@a>", "eve@e.test", &[], "mine")]).await;
        world.comes(&[letter("<2@a>", "eve@e.test", &[], "first"), letter("<2@a>", ANN, &[], "second")]).await;
        assert_eq!(how_many_contacts(&world).await, 2);
        assert_eq!(world.received("<1@a>").await.message.id, hers.message.id);
        let previews: Vec<_> = world.conversations().await.into_iter().map(|stored| stored.contact).collect();
        assert_eq!(previews.iter().filter(|contact| **contact == ann).count(), 2);
        assert_eq!(previews.len(), 4);
    }
}

both_databases! {
    /// one active conversation per contact does not hold up letters.
    async fn letters_are_exempt_from_one_conversation_a_contact(db: TestDatabase) {
        let world = World::open(&db).await;
        let mut settings = world.reader().settings().await.unwrap().0;
        settings.one_active_conversation_per_contact = true;
        let stored: Result<_, transom_storage::StorageError> = world
            .desk
            .storage()
            .transact(&world.caller.scope, move |tx| {
                let settings = settings.clone();
                Box::pin(async move { tx.update_settings(&settings, None).await })
            })
            .await;
        stored.unwrap();
        let ann = contact(&world, Some(ANN)).await;
        for subject in ["One", "Two"] {
            assert!(write(&world, ann, about(subject, "hi")).await.unwrap().opened, "{subject}");
        }
    }
}

both_databases! {
    /// P9 is about what the customer sees: a blind copy that can't be delivered for now keeps no later letter back, and no other
    /// copy; it still comes after what was accepted before it.
    async fn a_copy_that_waits_keeps_no_letter_back(db: TestDatabase) {
        let world = World::open(&db).await;
        let ann = contact(&world, Some(ANN)).await;
        world.office.busy.lock().unwrap().push("eve@e.test".into());
        let copies = Draft { bcc: all(&["eve@e.test", "cee@c.test"]), ..about("Order 7", "your order") };
        let first = write(&world, ann, copies).await.unwrap();
        world.dispatch().await;
        assert_eq!(reached(&world.left()), [ANN, "cee@c.test"]);
        let second = world.answer(first.conversation, words("one more thing")).await.unwrap();
        world.dispatch().await;
        assert_eq!((state(&world, second.message).await, reached(&world.left())), (DeliveryState::Sent, vec![ANN, "cee@c.test", ANN]));
        assert_eq!(state(&world, first.message).await, DeliveryState::Queued);

        // The customer's own letter keeps back the next one, and its copies.
        world.office.busy.lock().unwrap().push(ANN.into());
        let third = Draft { bcc: all(&["dan@d.test"]), ..words("a third") };
        let third = world.answer(first.conversation, third).await.unwrap();
        let fourth = world.answer(first.conversation, words("a fourth")).await.unwrap();
        world.dispatch().await;
        assert_eq!(world.left().len(), 3);
        world.office.busy.lock().unwrap().clear();
        world.clock.advance(Duration::minutes(10));
        world.dispatch().await;
        let left = world.left();
        let mut last = reached(&left).split_off(3);
        last.sort_unstable();
        assert_eq!(last, [ANN, ANN, "dan@d.test", "eve@e.test"]);
        for message in [first.message, third.message, fourth.message] {
            assert_eq!(state(&world, message).await, DeliveryState::Sent);
        }
    }
}
