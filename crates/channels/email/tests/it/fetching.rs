//! Fetching over IMAP: nothing is lost, nothing is marked before it is stored, and trouble is told.

use std::sync::Arc;

use transom_channel::conformance::PATIENCE;
use transom_channel::{Channel, Item, RawInbound, SendError};

use crate::folder::Folder;
use crate::samples::{source, written};
use crate::world::World;

struct Fetched {
    world: World,
    folder: Folder,
    channel: Arc<dyn Channel>,
}

impl Fetched {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        let folder = Folder::start().await;
        let mut world = World::new(PATIENCE)
            .await
            .with("imap_host", "127.0.0.1")
            .with("imap_security", "plain")
            .with("imap_port", &folder.address.port().to_string());
        for (name, value) in settings {
            world = world.with(name, value);
        }
        Self { channel: world.channel(), world, folder }
    }

    fn mail(&self, id: &str) -> String {
        source(id, written(&self.world), "", "Hello\n")
    }

    async fn next(&self, cursor: Option<&str>) -> Result<(Vec<RawInbound>, String), SendError> {
        self.channel.pull().unwrap().next(cursor).await
    }

    fn ids(&self, raw: &[RawInbound]) -> Vec<String> {
        let id = |raw: &RawInbound| match self.channel.parse(raw).unwrap().remove(0).item {
            Item::Message(message) => message.provider_id,
            other => panic!("{other:?}"),
        };
        raw.iter().map(id).collect()
    }
}

#[tokio::test]
async fn what_comes_after_the_mailbox_was_connected_is_fetched_and_marked_once_stored() {
    let fetched = Fetched::new().await;
    fetched.folder.deliver(&fetched.mail("old"));
    let (raw, cursor) = fetched.next(None).await.unwrap();
    assert!(raw.is_empty());
    fetched.channel.pull().unwrap().done(&cursor).await.unwrap();
    fetched.folder.deliver(&fetched.mail("a"));
    fetched.folder.deliver(&fetched.mail("b"));
    let (raw, next) = fetched.next(Some(&cursor)).await.unwrap();
    assert_eq!(fetched.ids(&raw), ["<a@example.test>", "<b@example.test>"]);
    assert_eq!(fetched.folder.seen(), [false, false, false]);
    // Not stored: they come again.
    let (again, same) = fetched.next(Some(&cursor)).await.unwrap();
    assert_eq!((fetched.ids(&again), &same), (fetched.ids(&raw), &next));
    let pull = fetched.channel.pull().unwrap();
    pull.done(&next).await.unwrap();
    pull.done(&next).await.unwrap();
    // What was there before is nobody's to mark.
    assert_eq!(fetched.folder.seen(), [false, true, true]);
    assert!(fetched.folder.commands().iter().all(|command| !command.contains("BODY[")), "never without PEEK");
}

/// However late the first look is: what came since the mailbox was connected is no history, and what was there is nobody's to mark.
#[tokio::test]
async fn what_came_before_the_first_look_is_not_lost() {
    let fetched = Fetched::new().await;
    fetched.folder.deliver_at(&fetched.mail("old"), "09-Oct-2025 08:50:00 +0000");
    fetched.folder.deliver_at(&fetched.mail("new"), "09-Oct-2025 08:53:20 +0000");
    let pull = fetched.channel.pull().unwrap();
    let connected_at = time::macros::datetime!(2025-10-09 08:53 UTC);
    let beginning = pull.beginning(connected_at).unwrap();
    assert_eq!(pull.beginning(connected_at).as_ref(), Some(&beginning));
    let (raw, cursor) = fetched.next(Some(&beginning)).await.unwrap();
    assert_eq!(fetched.ids(&raw), ["<new@example.test>"]);
    pull.done(&cursor).await.unwrap();
    assert_eq!(fetched.folder.seen(), [false, true]);
    fetched.folder.deliver(&fetched.mail("next"));
    assert_eq!(fetched.ids(&fetched.next(Some(&cursor)).await.unwrap().0), ["<next@example.test>"]);
}

#[tokio::test]
async fn news_are_waited_for_by_idle() {
    let fetched = Fetched::new().await;
    let (_, cursor) = fetched.next(None).await.unwrap();
    let (waiting, delivering) = (fetched.next(Some(&cursor)), async {
        fetched.folder.idling.clone().wait_for(|count| *count == 1).await.unwrap();
        fetched.folder.deliver(&fetched.mail("a"));
    });
    let (answer, ()) = tokio::join!(waiting, delivering);
    assert_eq!(fetched.ids(&answer.unwrap().0), ["<a@example.test>"]);
}

#[tokio::test]
async fn a_wait_that_is_given_up_loses_nothing() {
    let fetched = Fetched::new().await;
    let (_, cursor) = fetched.next(None).await.unwrap();
    {
        let mut idling = fetched.folder.idling.clone();
        tokio::select! {
            _ = fetched.next(Some(&cursor)) => panic!("nothing came"),
            _ = idling.wait_for(|count| *count == 1) => {}
        }
    }
    fetched.folder.deliver(&fetched.mail("a"));
    assert_eq!(fetched.ids(&fetched.next(Some(&cursor)).await.unwrap().0), ["<a@example.test>"]);
}

#[tokio::test]
async fn a_connection_that_ends_at_any_command_loses_nothing() {
    for command in [
        "CAPABILITY",
        "AUTHENTICATE",
        "SELECT",
        "UID SEARCH",
        "UID FETCH",
        "UID FETCH 1 (UID BODY",
        "NOOP",
        "UID STORE",
        "IDLE",
    ] {
        let fetched = Fetched::new().await;
        let (_, cursor) = fetched.next(None).await.unwrap();
        // As after a restart: nothing is kept.
        let channel = fetched.world.channel();
        let pull = channel.pull().unwrap();
        if command != "IDLE" {
            fetched.folder.deliver(&fetched.mail("a"));
        }
        fetched.folder.state.lock().unwrap().cut_at = Some(command);
        let first = pull.next(Some(&cursor)).await;
        if command == "IDLE" {
            assert!(matches!(first, Err(SendError::NotConnected { .. })), "{command}: {first:?}");
            fetched.folder.deliver(&fetched.mail("a"));
        }
        let (raw, next) = match first {
            Ok(answer) => answer,
            Err(_) => pull.next(Some(&cursor)).await.unwrap(),
        };
        assert_eq!(fetched.ids(&raw), ["<a@example.test>"], "{command}");
        if pull.done(&next).await.is_err() {
            pull.done(&next).await.unwrap();
        }
        assert_eq!(fetched.folder.seen(), [true], "{command}");
        assert_eq!(fetched.folder.state.lock().unwrap().cut_at, None, "{command} was never said");
    }
}

#[tokio::test]
async fn other_uids_are_looked_at_again_and_old_mail_stays_where_it_is() {
    let fetched = Fetched::new().await;
    fetched.folder.deliver_at(&fetched.mail("old"), "01-Jan-2020 08:53:20 +0000");
    let (_, cursor) = fetched.next(None).await.unwrap();
    fetched.folder.deliver_at(&fetched.mail("a"), "01-Jan-2099 08:53:20 +0000");
    let (raw, cursor) = fetched.next(Some(&cursor)).await.unwrap();
    assert_eq!(fetched.ids(&raw), ["<a@example.test>"]);
    {
        let mut state = fetched.folder.state.lock().unwrap();
        state.validity = 8;
        let count = u32::try_from(state.mails.len()).unwrap();
        state.mails.iter_mut().zip(1..=count).for_each(|(mail, uid)| mail.uid = uid);
        state.next_uid = count + 1;
    }
    let restarted = fetched.world.channel();
    let pull = restarted.pull().unwrap();
    // By the old UIDs nothing is marked any more.
    pull.done(&cursor).await.unwrap();
    assert_eq!(fetched.folder.seen(), [false, false]);
    let (raw, next) = pull.next(Some(&cursor)).await.unwrap();
    assert_eq!(fetched.ids(&raw), ["<a@example.test>"], "known by its Message-ID, so it comes to nothing");
    fetched.folder.deliver_at(&fetched.mail("b"), "01-Jan-2099 08:53:20 +0000");
    assert_eq!(fetched.ids(&pull.next(Some(&next)).await.unwrap().0), ["<b@example.test>"]);
}

#[tokio::test]
async fn stored_mail_is_moved_where_that_is_wanted() {
    let fetched = Fetched::with(&[("imap_move_to", "Done")]).await;
    let (_, cursor) = fetched.next(None).await.unwrap();
    let uid = fetched.folder.deliver(&fetched.mail("a"));
    let (_, next) = fetched.next(Some(&cursor)).await.unwrap();
    fetched.channel.pull().unwrap().done(&next).await.unwrap();
    assert_eq!(fetched.folder.state.lock().unwrap().moved, [(uid, "Done".to_owned())]);
    fetched.folder.state.lock().unwrap().capabilities = "IMAP4rev1 IDLE";
    let error = fetched.channel.check().await.unwrap_err();
    assert!(
        matches!(&error, SendError::AccountStopped { report } if report.message.contains("imap_move_to")),
        "{error:?}"
    );
}

#[tokio::test]
async fn mail_that_is_too_large_comes_as_its_headers() {
    let fetched = Fetched::with(&[("max_inbound_bytes", "2000")]).await;
    let (_, cursor) = fetched.next(None).await.unwrap();
    fetched.folder.deliver(&source("large", written(&fetched.world), "", &"x\n".repeat(5_000)));
    fetched.folder.deliver(&fetched.mail("small"));
    let (raw, _) = fetched.next(Some(&cursor)).await.unwrap();
    assert_eq!(fetched.ids(&raw), ["<large@example.test>", "<small@example.test>"]);
    assert!(raw[0].body.len() < 1_000);
}

#[tokio::test]
async fn many_mails_come_in_batches_that_miss_none() {
    let fetched = Fetched::new().await;
    let (_, mut cursor) = fetched.next(None).await.unwrap();
    let expected: Vec<String> = (0..120).map(|n| format!("<m{n}@example.test>")).collect();
    for n in 0..120 {
        fetched.folder.deliver(&fetched.mail(&format!("m{n}")));
    }
    let mut came = Vec::new();
    while came.len() < 120 {
        let (raw, next) = fetched.next(Some(&cursor)).await.unwrap();
        assert!((1..=50).contains(&raw.len()), "{}", raw.len());
        came.extend(fetched.ids(&raw));
        fetched.channel.pull().unwrap().done(&next).await.unwrap();
        cursor = next;
    }
    assert_eq!(came, expected);
    assert!(fetched.folder.seen().into_iter().all(|seen| seen));
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let fetched = Fetched::with(&[("imap_password", "wrong")]).await;
    for auth in ["plain", "login"] {
        let channel = fetched.channel.clone();
        let error = channel.pull().unwrap().next(None).await.unwrap_err();
        assert!(matches!(error, SendError::AuthFailed { .. }), "{auth}: {error:?}");
    }
    let fetched = Fetched::new().await;
    fetched.folder.state.lock().unwrap().refuse_select = Some("NO [UNAVAILABLE] later");
    assert!(matches!(fetched.next(None).await, Err(SendError::Temporary { .. })));
    fetched.folder.state.lock().unwrap().refuse_select = Some("NO [NONEXISTENT] no such folder");
    assert!(matches!(fetched.next(None).await, Err(SendError::AccountStopped { .. })));
}

#[tokio::test]
async fn without_idle_it_is_asked_again_and_again() {
    let fetched = Fetched::with(&[("imap_poll_seconds", "1")]).await;
    fetched.folder.state.lock().unwrap().capabilities = "IMAP4rev1";
    let (_, cursor) = fetched.next(None).await.unwrap();
    let (raw, same) = fetched.next(Some(&cursor)).await.unwrap();
    assert!(raw.is_empty() && same == cursor);
    fetched.folder.deliver(&fetched.mail("a"));
    assert_eq!(fetched.ids(&fetched.next(Some(&cursor)).await.unwrap().0), ["<a@example.test>"]);
    assert!(!fetched.folder.commands().contains(&"IDLE".to_owned()));
}

#[tokio::test]
async fn a_mail_that_the_server_withholds_is_not_passed_over() {
    let fetched = Fetched::new().await;
    let (_, cursor) = fetched.next(None).await.unwrap();
    fetched.folder.deliver(&fetched.mail("a"));
    fetched.folder.state.lock().unwrap().withheld = true;
    assert!(matches!(fetched.next(Some(&cursor)).await, Err(SendError::Temporary { .. })));
    fetched.folder.state.lock().unwrap().withheld = false;
    assert_eq!(fetched.ids(&fetched.next(Some(&cursor)).await.unwrap().0), ["<a@example.test>"]);
}
