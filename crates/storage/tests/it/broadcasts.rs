//! Recipients of broadcasts who turn out to be one person, on both databases.

use serde_json::json;
use time::Duration;

use crate::people_support::*;

/// How a contact stands in a broadcast; nothing for one who is not in it.
const STANDINGS: [&str; 4] = ["", "not_sent", "waiting", "queued"];

impl Desk {
    /// A running broadcast in which these contacts stand so.
    async fn broadcast(&self, author: AgentId, standings: &[(ContactId, &'static str)]) -> BroadcastId {
        let plan = BroadcastPlan {
            name: "News".into(),
            account: self.account,
            content: json!({}),
            audience: json!({}),
            promotional: false,
            per_minute: 60,
            send_at: None,
        };
        let (broadcast, standings): (BroadcastId, _) = (id(), standings.to_vec());
        in_tx!(self, [plan, standings], tx => {
            tx.insert_broadcast(broadcast, &plan, author, NOON).await?;
            tx.turn_broadcast(broadcast, &[BroadcastState::Draft], BroadcastState::Running, None, NOON).await?;
            let stored = tx.broadcast(broadcast).await?.unwrap();
            let within: Vec<ContactId> = standings.iter().filter(|(_, state)| !state.is_empty()).map(|(who, _)| *who).collect();
            tx.collect_recipients(&stored, &within, None, true, NOON).await?;
            for (contact, state) in &standings {
                match *state {
                    "queued" => assert!(tx.take_recipient(broadcast, *contact, NOON).await?),
                    "not_sent" => assert!(tx.leave_recipient_out(broadcast, *contact, &json!({ "code": "blocked" })).await?),
                    _ => {}
                }
            }
            Ok(())
        })
        .unwrap();
        broadcast
    }

    async fn standings(&self, broadcast: BroadcastId) -> Vec<(ContactId, String)> {
        let page = self.reader().recipients(broadcast, None, None, 100, Duration::DAY).await.unwrap();
        page.into_iter().map(|recipient| (recipient.contact, recipient.state)).collect()
    }

    /// A broadcast for each pair of standings.
    async fn every_pair(
        &self,
        author: AgentId,
        kept: ContactId,
        gone: ContactId,
    ) -> Vec<(BroadcastId, [&'static str; 2])> {
        let mut pairs = Vec::new();
        for own in STANDINGS {
            for theirs in STANDINGS {
                let broadcast = self.broadcast(author, &[(kept, own), (gone, theirs)]).await;
                pairs.push((broadcast, [own, theirs]));
            }
        }
        pairs
    }

    /// Of two standings the further one is the kept contact's.
    async fn are_one(&self, pairs: &[(BroadcastId, [&'static str; 2])], kept: ContactId) {
        for (broadcast, both) in pairs {
            let further = STANDINGS.into_iter().rev().find(|state| both.contains(state)).unwrap();
            let expected: Vec<_> =
                Some((kept, further.to_owned())).filter(|_| !further.is_empty()).into_iter().collect();
            assert_eq!(self.standings(*broadcast).await, expected, "{both:?}");
        }
    }
}

transom_storage::both_databases! {
    async fn recipients_are_carried_over_by_a_merge_and_given_back(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let author = desk.agent().await;
        let (kept, gone) = (desk.customer("mara").await.0.contact, desk.customer("nora").await.0.contact);
        let pairs = desk.every_pair(author.id, kept, gone).await;
        let mut before = Vec::new();
        for (broadcast, _) in &pairs {
            before.push(desk.standings(*broadcast).await);
        }
        let (merge, by) = (id(), Actor::from(&author));
        in_tx!(desk, [by], tx => tx.merge_contacts(merge, (kept, gone), &by, NOON).await).unwrap().unwrap();
        desk.are_one(&pairs, kept).await;
        assert!(in_tx!(desk, [by], tx => tx.undo_merge(merge, &by, NOON).await).unwrap());
        for ((broadcast, both), before) in pairs.iter().zip(before) {
            assert_eq!(desk.standings(*broadcast).await, before, "{both:?}");
        }
    }

    async fn who_waits_again_after_the_end_is_told_so(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let author = desk.agent().await;
        let (kept, gone) = (desk.customer("mara").await.0.contact, desk.customer("nora").await.0.contact);
        let broadcast = desk.broadcast(author.id, &[(kept, "queued"), (gone, "waiting")]).await;
        let (merge, by) = (id(), Actor::from(&author));
        in_tx!(desk, [by], tx => tx.merge_contacts(merge, (kept, gone), &by, NOON).await).unwrap().unwrap();
        let turned = in_tx!(desk, [], tx => {
            tx.turn_broadcast(broadcast, &[BroadcastState::Running], BroadcastState::Done, None, NOON).await
        });
        assert!(turned.unwrap());
        assert!(in_tx!(desk, [by], tx => tx.undo_merge(merge, &by, NOON).await).unwrap());
        let page = desk.reader().recipients(broadcast, Some("not_sent"), None, 9, Duration::DAY).await.unwrap();
        assert_eq!((page[0].contact, page[0].reason.clone()), (gone, Some(json!({ "code": "broadcast_done" }))));
    }

    async fn recipients_are_carried_over_when_two_turn_out_to_be_one(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let author = desk.agent().await;
        let kept = desk.meet(&desk.seed(&[("phone", "+4915550100001")])).await.contact;
        let gone = desk.meet(&PersonSeed { at: NOON + Duration::MINUTE, ..desk.seed(&[("user_id", "u1")]) }).await.contact;
        let pairs = desk.every_pair(author.id, kept, gone).await;
        let met = desk.meet(&desk.seed(&[("phone", "+4915550100001"), ("user_id", "u1")])).await;
        assert_eq!((met.contact, met.joined.len()), (kept, 1));
        desk.are_one(&pairs, kept).await;
    }
}
