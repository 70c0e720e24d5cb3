//! A workspace with conversations, and short ways to put parts on their way and to see how they fare.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use serde_json::json;
use time::{Duration, OffsetDateTime};

pub(crate) use crate::common::*;

pub(crate) const ADA: Uuid = Uuid::from_u128(0xada);
pub(crate) const BOB: Uuid = Uuid::from_u128(0xb0b);
pub(crate) const LEASE: Duration = Duration::seconds(60);

/// One workspace on one database.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(crate) storage: Storage,
    pub(crate) scope: WorkspaceScope,
    pub(crate) account: ChannelAccount,
    pub(crate) agent: Agent,
}

/// A conversation with somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Talk {
    pub(crate) conversation: ConversationId,
    pub(crate) identity: IdentityId,
    pub(crate) account: ChannelAccountId,
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OnItsWay {
    pub(crate) message: MessageId,
    pub(crate) parts: Vec<PartId>,
    pub(crate) talk: Talk,
}

impl OnItsWay {
    pub(crate) fn part(&self) -> PartId {
        self.parts[0]
    }
}

pub(crate) fn done(outcome: Outcome) -> Settlement {
    let failed = !matches!(outcome, Outcome::Sent { .. });
    let error = failed.then(|| json!({ "code": "boom" }));
    Settlement { outcome, error, phase: "answered".into(), status: Some(200), duration_ms: 7 }
}

pub(crate) fn sent(provider_id: &str) -> Settlement {
    done(Outcome::Sent { provider_id: Some(provider_id.into()), billing: None })
}

impl Desk {
    pub(crate) async fn open(db: &TestDatabase) -> Self {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        Self::of(db, storage, scope).await
    }

    pub(crate) async fn of(db: &TestDatabase, storage: Storage, scope: WorkspaceScope) -> Self {
        let agent = db.agent(&storage, &scope, Role::Agent).await;
        let account = an_account(id(), "alpha");
        let desk = Self { storage, scope, account, agent };
        desk.add_account(&desk.account).await;
        desk
    }

    /// The same workspace through another process.
    pub(crate) async fn replica(&self, db: &TestDatabase) -> Self {
        Self { storage: db.open().await, ..self.clone() }
    }

    pub(crate) async fn add_account(&self, account: &ChannelAccount) {
        let account = account.clone();
        in_tx!(self, [account], tx => {
            let connection =
                Connection { id: account.connection, platform: account.platform.clone(), name: account.name.clone() };
            tx.put_connection(&connection, &json!({}), NOON).await?;
            tx.put_account(&account, NOON).await
        })
        .unwrap();
    }

    pub(crate) fn reader(&self) -> Reader {
        self.storage.reader(&self.scope)
    }

    pub(crate) fn by(&self) -> Actor {
        Actor::from(&self.agent)
    }

    pub(crate) async fn talk(&self) -> Talk {
        self.talk_on(self.account.id).await
    }

    pub(crate) async fn talk_on(&self, account: ChannelAccountId) -> Talk {
        self.talks_on(account, 1).await[0]
    }

    /// Several conversations at once.
    pub(crate) async fn talks_on(&self, account: ChannelAccountId, count: usize) -> Vec<Talk> {
        let talks: Vec<Talk> = (0..count).map(|_| Talk { conversation: id(), identity: id(), account }).collect();
        in_tx!(self, [talks], tx => {
            for talk in &talks {
                let seed = PersonSeed {
                    identity: talk.identity,
                    contact: id(),
                    account: talk.account,
                    addresses: vec![Address::new("phone", talk.identity.to_string())],
                    profile: Profile::default(),
                    at: NOON,
                };
                let met = tx.meet(&seed, NOON).await?;
                let conversation = Conversation {
                    id: talk.conversation,
                    identity: talk.identity,
                    thread: String::new(),
                    status: Status::Open,
                    assignment: Assignment::NONE,
                    episode: id(),
                    episodes: 1,
                    status_since: NOON,
                };
                assert!(tx.insert_conversation(&conversation, met.contact, talk.account, NOON).await?);
            }
            Ok(())
        })
        .unwrap();
        talks
    }

    /// A reply of one part, due now.
    pub(crate) async fn reply(&self, talk: Talk) -> OnItsWay {
        self.send(talk, 1, Priority::Reply, NOON).await
    }

    pub(crate) async fn send(&self, talk: Talk, parts: u32, priority: Priority, due_at: OffsetDateTime) -> OnItsWay {
        self.send_many(&[talk], parts, priority, due_at).await.remove(0)
    }

    /// One message to each, in one transaction.
    pub(crate) async fn send_many(
        &self,
        talks: &[Talk],
        parts: u32,
        priority: Priority,
        due_at: OffsetDateTime,
    ) -> Vec<OnItsWay> {
        let ways: Vec<OnItsWay> = talks
            .iter()
            .map(|talk| OnItsWay { message: id(), parts: (0..parts).map(|_| id()).collect(), talk: *talk })
            .collect();
        let by = self.by();
        in_tx!(self, [ways, by], tx => {
            let mut rows = Vec::new();
            for way in &ways {
                let message = Message {
                    id: way.message,
                    conversation: way.talk.conversation,
                    kind: MessageKind::Reply,
                    direction: Direction::Outbound,
                    author: Author::Actor(by.clone()),
                    content: Content::text("hello"),
                    state: Some(DeliveryState::Queued),
                    at: NOON,
                };
                let new = NewMessage {
                    message,
                    account: way.talk.account,
                    identity: way.talk.identity,
                    provider_id: None,
                    reply_to: None,
                    payload: None,
                    permit: None,
                    extra: json!({ "ask": { "tag": null } }),
                };
                tx.insert_message(&new, NOON).await?;
                let parts: Vec<Part> = (0..)
                    .zip(&way.parts)
                    .map(|(index, part)| Part {
                        id: *part,
                        index,
                        content: Content::text(format!("part {index}")),
                        cost: 1,
                        state: DeliveryState::Queued,
                        provider_id: None,
                    })
                    .collect();
                tx.insert_parts(way.message, &parts).await?;
                rows.extend(parts.iter().map(|part| NewOutbox {
                    part: part.id,
                    message: way.message,
                    conversation: way.talk.conversation,
                    account: way.talk.account,
                    identity: way.talk.identity,
                    index: part.index,
                    priority,
                    due_at,
                    expires_at: due_at + Duration::hours(4),
                    aside: false,
                }));
            }
            tx.enqueue(&rows, NOON).await
        })
        .unwrap();
        ways
    }

    pub(crate) async fn claim(&self, owner: Uuid, limit: u32, now: OffsetDateTime) -> Vec<Claimed> {
        self.claim_from(&mut ClaimBound::default(), owner, limit, now).await
    }

    pub(crate) async fn claim_from(
        &self,
        bound: &mut ClaimBound,
        owner: Uuid,
        limit: u32,
        now: OffsetDateTime,
    ) -> Vec<Claimed> {
        let room = AccountRoom::default();
        let request = ClaimRequest { owner, limit, now, lease: LEASE, bound, room: &room };
        self.storage.claim(&self.scope, request).await.unwrap()
    }

    /// Claims everything that is due, as parts.
    pub(crate) async fn claim_parts(&self, now: OffsetDateTime) -> Vec<PartId> {
        self.claim(ADA, 100, now).await.into_iter().map(|claimed| claimed.part).collect()
    }

    pub(crate) async fn begin(&self, part: PartId, now: OffsetDateTime) -> Option<u32> {
        in_tx!(self, [part], tx => tx.begin_sending(part, ADA, LEASE, now).await).unwrap()
    }

    pub(crate) async fn settle(
        &self,
        part: PartId,
        attempt: u32,
        settlement: Settlement,
        now: OffsetDateTime,
    ) -> Settled {
        in_tx!(self, [settlement], tx => tx.settle(part, attempt, &settlement, now).await).unwrap()
    }

    /// A reply in the middle of its first attempt.
    pub(crate) async fn sending(&self, talk: Talk) -> OnItsWay {
        let way = self.reply(talk).await;
        self.claim_and_begin(way.part(), NOON).await;
        way
    }

    /// Replies on so many conversations, each in the middle of its first attempt.
    pub(crate) async fn sending_many(&self, count: usize) -> Vec<OnItsWay> {
        let talks = self.talks_on(self.account.id, count).await;
        let ways = self.send_many(&talks, 1, Priority::Reply, NOON).await;
        let parts = self.claim_parts(NOON).await;
        assert_eq!(parts.len(), count, "all can be claimed");
        self.storage.begin_sending_many(&self.scope, ADA, &parts, LEASE, NOON).await.unwrap();
        ways
    }

    pub(crate) async fn claim_and_begin(&self, part: PartId, now: OffsetDateTime) -> u32 {
        assert!(self.claim_parts(now).await.contains(&part), "the part can be claimed");
        self.begin(part, now).await.unwrap()
    }

    /// A reply that the platform accepted at its first attempt.
    pub(crate) async fn sent(&self, talk: Talk, provider_id: &str) -> OnItsWay {
        let way = self.sending(talk).await;
        self.settle(way.part(), 1, sent(provider_id), NOON).await;
        way
    }

    /// A reply that nobody came back from.
    pub(crate) async fn unknown(&self, talk: Talk) -> OnItsWay {
        let way = self.sending(talk).await;
        self.settle(way.part(), 1, done(Outcome::Unknown), NOON).await;
        way
    }

    pub(crate) async fn stored(&self, message: MessageId) -> StoredMessage {
        self.reader().message(message).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, way: &OnItsWay) -> DeliveryState {
        self.stored(way.message).await.message.state.unwrap()
    }

    pub(crate) async fn part_states(&self, way: &OnItsWay) -> Vec<DeliveryState> {
        self.stored(way.message).await.parts.into_iter().map(|part| part.part.state).collect()
    }

    pub(crate) async fn receipt(&self, provider_id: &str, state: DeliveryState) -> Vec<Changed> {
        self.receipt_with(provider_id, None, state).await
    }

    pub(crate) async fn receipt_with(
        &self,
        provider_id: &str,
        correlation: Option<PartId>,
        state: DeliveryState,
    ) -> Vec<Changed> {
        self.receipt_for(ReceiptKey::Message { provider_id: provider_id.into(), correlation }, None, state, NOON).await
    }

    pub(crate) async fn receipt_for(
        &self,
        key: ReceiptKey,
        identity: Option<IdentityId>,
        state: DeliveryState,
        at: OffsetDateTime,
    ) -> Vec<Changed> {
        let account = self.account.id;
        let detail = (state == DeliveryState::Failed).then(|| json!({ "code": "undeliverable" }));
        in_tx!(self, [key, detail], tx => {
            tx.apply_receipt(account, identity, &key, state, detail.as_ref(), at, NOON).await
        })
        .unwrap()
    }

    pub(crate) async fn reserve(
        &self,
        way: &OnItsWay,
        wanted: &[Reservation],
        now: OffsetDateTime,
    ) -> Result<(), QuotaFull> {
        let (part, identity, wanted) = (way.part(), way.talk.identity, wanted.to_vec());
        in_tx!(self, [wanted], tx => tx.reserve(part, identity, &wanted, now).await).unwrap()
    }

    /// A reply that reserves, leaves and is accepted at once; without room it is withdrawn.
    pub(crate) async fn spend(&self, talk: Talk, wanted: &[Reservation], at: OffsetDateTime) -> Result<(), QuotaFull> {
        let way = self.reply(talk).await;
        if let Err(full) = self.reserve(&way, wanted, at).await {
            let (message, by) = (way.message, self.by());
            assert!(in_tx!(self, [by], tx => tx.cancel_message(message, &by, at).await).unwrap());
            return Err(full);
        }
        self.claim_and_begin(way.part(), at).await;
        self.settle(way.part(), 1, sent(&way.part().to_string()), at).await;
        Ok(())
    }

    pub(crate) async fn move_to(
        &self,
        way: &OnItsWay,
        wanted: &[Reservation],
        now: OffsetDateTime,
    ) -> Result<(), QuotaFull> {
        let (part, identity, wanted) = (way.part(), way.talk.identity, wanted.to_vec());
        in_tx!(self, [wanted], tx => tx.move_reservation(part, identity, &wanted, now).await).unwrap()
    }
}

/// A connection of one's own, past the storage: for clocks and snapshots that tests need to reach.
pub(crate) async fn raw(db: &TestDatabase) -> DatabaseConnection {
    Database::connect(db.url()).await.unwrap()
}

/// Lets every lease lapse.
pub(crate) async fn lapse(db: &TestDatabase) {
    raw(db).await.execute_unprepared("UPDATE outbox SET lease_until = 1 WHERE lease_until IS NOT NULL").await.unwrap();
}

/// How many rows a table has, of all workspaces.
pub(crate) async fn rows(db: &TestDatabase, table: &str) -> i64 {
    let raw = raw(db).await;
    let count = format!("SELECT count(*) AS count FROM {table}");
    let statement = sea_orm::Statement::from_string(raw.get_database_backend(), count);
    raw.query_one_raw(statement).await.unwrap().unwrap().try_get("", "count").unwrap()
}

/// The ledger: used and held by quota and period.
pub(crate) async fn ledger(db: &TestDatabase) -> BTreeMap<(String, String), (i64, i64)> {
    let raw = raw(db).await;
    let statement =
        sea_orm::Statement::from_string(raw.get_database_backend(), "SELECT name, period, used, held FROM quotas");
    let rows = raw.query_all_raw(statement).await.unwrap();
    let row = |row: sea_orm::QueryResult| {
        let text = |column| row.try_get::<String>("", column).unwrap();
        let count = |column| row.try_get::<i64>("", column).unwrap();
        ((text("name"), text("period")), (count("used"), count("held")))
    };
    rows.into_iter().map(row).collect()
}
