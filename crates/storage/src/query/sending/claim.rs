//! Claims: who takes what is due (reliability rules, section 6).

use std::collections::{BTreeMap, HashMap, VecDeque};

use sea_orm::FromQueryResult;
use time::{Duration, OffsetDateTime};
use transom_domain::{Author, ChannelAccountId, Content, ConversationId, IdentityId, MessageId, PartId};
use uuid::Uuid;

use super::attempts::number;
use super::batch::{Batch, IdList, clock, locking_free};
use super::outbox::{CLOCK_SKEW, Priority};
use crate::instant::Millis;
use crate::query::{from_json, millis, sql};
use crate::{Storage, StorageError, Tx, WorkspaceScope};

/// How many rows are looked at for each one that is taken, so that accounts can take turns.
const CHOICE: u32 = 2;

/// What a worker asks for.
#[derive(Debug)]
pub struct ClaimRequest<'a> {
    /// The worker's process.
    pub owner: Uuid,
    /// At most this many.
    pub limit: u32,
    /// The present.
    pub now: OffsetDateTime,
    /// How long the worker may keep them before it begins to send, by the database's clock.
    pub lease: Duration,
    /// How far this worker has looked in this workspace.
    pub bound: &'a mut ClaimBound,
    /// How much each account can take.
    pub room: &'a AccountRoom,
}

/// How many more parts each account can take: none while its breaker is open or all of its slots are in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRoom {
    usual: u32,
    others: BTreeMap<ChannelAccountId, u32>,
}

impl Default for AccountRoom {
    /// As much as there is.
    fn default() -> Self {
        Self::of(u32::MAX)
    }
}

impl AccountRoom {
    /// So many for each account that is not [named](Self::with).
    pub fn of(usual: u32) -> Self {
        Self { usual, others: BTreeMap::new() }
    }

    /// So many for one account.
    #[must_use]
    pub fn with(mut self, account: ChannelAccountId, room: u32) -> Self {
        self.others.insert(account, room);
        self
    }

    /// So many for one account.
    pub fn on(&self, account: ChannelAccountId) -> u32 {
        self.others.get(&account).copied().unwrap_or(self.usual)
    }

    fn full(&self) -> Vec<ChannelAccountId> {
        self.others.iter().filter(|(_, room)| **room == 0).map(|(account, _)| *account).collect()
    }
}

/// How far a worker has looked in one workspace.
///
/// Rows leave the outbox at once, but while anybody holds a snapshot open PostgreSQL has to step over what they left behind;
/// this bound spares it that. It stays two seconds behind, for transactions that commit late and clocks that differ. What it
/// might miss all the same a sweep finds: [`reset`](Self::reset) it every 5 seconds.
#[derive(Debug, Clone)]
pub struct ClaimBound {
    places: Places,
    /// Where each skipped account stood when it began to be skipped: there its rows are looked for when it no longer is.
    skipped: BTreeMap<ChannelAccountId, Places>,
}

/// A place in the order of claims, for each priority.
type Places = [Place; Priority::ALL.len()];
/// Ready time and id.
type Place = (Millis, Uuid);

const BEGINNING: Places = [(Millis(i64::MIN), Uuid::nil()); Priority::ALL.len()];

impl Default for ClaimBound {
    fn default() -> Self {
        Self { places: BEGINNING, skipped: BTreeMap::new() }
    }
}

impl ClaimBound {
    /// Forgets how far it has looked.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn is_fresh(&self) -> bool {
        self.places == BEGINNING
    }

    /// Where to begin when these accounts are skipped.
    fn begin(&mut self, skip: &[ChannelAccountId]) -> Places {
        let places = &mut self.places;
        self.skipped.retain(|account, stood| {
            let skipped = skip.contains(account);
            if !skipped {
                places.iter_mut().zip(stood).for_each(|(place, stood)| *place = (*place).min(*stood));
            }
            skipped
        });
        for account in skip {
            self.skipped.entry(*account).or_insert(self.places);
        }
        self.places
    }
}

/// A part that this worker may send now, or give back.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The part.
    pub part: PartId,
    /// Its message.
    pub message: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The account it leaves by.
    pub account: ChannelAccountId,
    /// Whom the conversation answers to.
    pub identity: IdentityId,
    /// What goes first.
    pub priority: Priority,
    /// The number that the next attempt gets.
    pub attempt: u32,
    /// When it was accepted.
    pub accepted_at: OffsetDateTime,
    /// Since when it may go.
    pub due_at: OffsetDateTime,
    /// Until when it may go.
    pub expires_at: OffsetDateTime,
    /// What it says.
    pub content: Content,
    /// What it takes from quotas that count requests.
    pub cost: u32,
    /// The platform's thread; empty for none.
    pub thread: String,
    /// Who wrote it.
    pub author: Author,
    /// What was stored with the message beside its content.
    pub ask: serde_json::Value,
    /// Whether it holds something of a quota.
    pub holds_quota: bool,
}

impl Storage {
    /// Takes parts that are due: replies before broadcasts, accounts in turn, and of each conversation only what nothing
    /// accepted earlier is in the way of (P9). An earlier part whose outcome nobody knows is in the way for 30 seconds at most,
    /// one that goes aside never.
    pub async fn claim(&self, scope: &WorkspaceScope, request: ClaimRequest<'_>) -> Result<Vec<Claimed>, StorageError> {
        let ClaimRequest { owner, limit, now, lease, bound, room } = request;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let sweep = bound.is_fresh();
        let skip = room.full();
        let from = bound.begin(&skip);
        let look = Look { owner, limit: limit.min(500), now, lease, from, skip, room: room.clone() };
        let (claimed, seen) = self
            .transact(scope, move |tx| {
                let look = look.clone();
                Box::pin(async move { tx.claim(&look, sweep).await })
            })
            .await?;
        bound.places = seen;
        Ok(claimed)
    }
}

/// One look at the outbox.
#[derive(Debug, Clone)]
struct Look {
    owner: Uuid,
    limit: u32,
    now: OffsetDateTime,
    lease: Duration,
    from: Places,
    skip: Vec<ChannelAccountId>,
    room: AccountRoom,
}

impl Look {
    /// How many rows of each priority are looked at.
    fn width(&self) -> u32 {
        self.limit.saturating_mul(CHOICE)
    }
}

/// A row that could be taken.
#[derive(Debug, Clone, FromQueryResult)]
struct Due {
    id: Uuid,
    account_id: Uuid,
    priority: i64,
    ready_at: Millis,
    clock: Millis,
}

impl Tx {
    async fn claim(&self, look: &Look, sweep: bool) -> Result<(Vec<Claimed>, Places), StorageError> {
        let due = self.due(look).await?;
        let Some(clock) = due.first().map(|row| row.clock) else {
            if sweep {
                self.tidy_hint(look.now).await?;
            }
            return Ok((Vec::new(), look_further(look, &due, &[])));
        };
        let taken = in_turn(&due, look.limit, &look.room);
        let seen = look_further(look, &due, &taken);
        Ok((self.take(look, &taken, clock.at() + look.lease).await?, seen))
    }

    /// What could be taken, each priority in the order in which it became ready.
    async fn due(&self, look: &Look) -> Result<Vec<Due>, StorageError> {
        let mut values = vec![self.ws().into(), millis(look.now), i64::from(look.width()).into()];
        let skip = if look.skip.is_empty() {
            String::new()
        } else {
            let skip: Vec<Uuid> = look.skip.iter().map(|account| account.uuid()).collect();
            let list = IdList::new(values.len() + 1, &skip);
            values.extend(list.values);
            format!(" AND o.account_id NOT IN ({})", list.places)
        };
        let mut arms = Vec::new();
        for (priority, (ready_at, id)) in Priority::ALL.into_iter().zip(look.from) {
            let place = values.len() + 1;
            values.extend([ready_at.into(), id.into()]);
            // A head has nothing in its way that was accepted before it. What waits for a better hour, as a broadcast by night,
            // is in nobody's way who goes before it.
            arms.push(format!(
                "SELECT * FROM (SELECT o.id, o.account_id, o.priority, o.ready_at, {clock} AS clock FROM outbox AS o \
                 WHERE o.workspace_id = $1 AND o.state = 'queued' AND o.priority = {rank} AND o.ready_at <= $2 \
                 AND (o.ready_at, o.id) > (${place}, ${next}){skip} AND NOT EXISTS (SELECT 1 FROM outbox AS e \
                 WHERE e.workspace_id = $1 AND e.conversation_id = o.conversation_id AND (e.seq, e.id) < (o.seq, o.id) \
                 AND NOT e.aside AND (e.state <> 'unknown' OR e.holds_until > $2) AND NOT (e.priority > {rank} AND \
                 e.state = 'queued' AND e.ready_at > $2)) ORDER BY o.ready_at, o.id LIMIT $3{lock}) AS p{rank}",
                clock = clock(&self.conn),
                rank = priority.rank(),
                next = place + 1,
                lock = locking_free(&self.conn, "o"),
            ));
        }
        let mut due =
            Due::find_by_statement(sql(&self.conn, &arms.join(" UNION ALL "), values)).all(&self.conn).await?;
        due.sort_by_key(|row| (row.priority, row.ready_at, row.id));
        Ok(due)
    }

    async fn take(&self, look: &Look, taken: &[Uuid], until: OffsetDateTime) -> Result<Vec<Claimed>, StorageError> {
        let mut batch = Batch::on(&self.conn);
        let list = IdList::new(4, taken);
        let fixed = [self.ws().into(), look.owner.into(), millis(until)];
        batch.add(
            format!(
                "UPDATE outbox SET state = 'claimed', owner = $2, lease_until = $3 WHERE workspace_id = $1 AND id IN ({})",
                list.places
            ),
            fixed.into_iter().chain(list.values),
        );
        let list = IdList::new(2, taken);
        let rows = batch
            .and(
                format!(
                    "SELECT o.id, o.message_id, o.conversation_id, o.account_id, c.identity_id, o.priority, o.attempt, \
                     o.created_at, o.due_at, o.expires_at, p.content, p.cost, c.thread, m.author, m.extra, EXISTS (SELECT 1 FROM \
                     quota_reservations AS r WHERE r.workspace_id = $1 AND r.part_id = o.id AND r.state = 'held') AS holds \
                     FROM outbox AS o JOIN parts AS p ON p.workspace_id = o.workspace_id AND p.id = o.id JOIN messages AS m \
                     ON m.workspace_id = o.workspace_id AND m.id = o.message_id JOIN conversations AS c \
                     ON c.workspace_id = o.workspace_id AND c.id = o.conversation_id WHERE o.workspace_id = $1 AND o.id IN \
                     ({})",
                    list.places
                ),
                std::iter::once(self.ws().into()).chain(list.values),
            )
            .await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in rows {
            let row = Details::from_query_result(&row, "")?;
            found.insert(row.id, Claimed::try_from(row)?);
        }
        Ok(taken.iter().filter_map(|id| found.remove(id)).collect())
    }
}

/// What a claimed row is about.
#[derive(FromQueryResult)]
struct Details {
    id: Uuid,
    message_id: Uuid,
    conversation_id: Uuid,
    account_id: Uuid,
    identity_id: Uuid,
    priority: i64,
    attempt: i64,
    created_at: Millis,
    due_at: Millis,
    expires_at: Millis,
    content: serde_json::Value,
    cost: i64,
    thread: String,
    author: serde_json::Value,
    extra: serde_json::Value,
    holds: bool,
}

impl TryFrom<Details> for Claimed {
    type Error = StorageError;

    fn try_from(row: Details) -> Result<Self, StorageError> {
        Ok(Self {
            part: row.id.into(),
            message: row.message_id.into(),
            conversation: row.conversation_id.into(),
            account: row.account_id.into(),
            identity: row.identity_id.into(),
            priority: Priority::of_rank(row.priority),
            attempt: number(row.attempt + 1),
            accepted_at: row.created_at.at(),
            due_at: row.due_at.at(),
            expires_at: row.expires_at.at(),
            content: from_json(row.content, ("parts", "content", row.id))?,
            cost: number(row.cost),
            thread: row.thread,
            author: from_json(row.author, ("messages", "author", row.message_id))?,
            ask: row.extra,
            holds_quota: row.holds,
        })
    }
}

/// Picks up to `limit` rows: priority by priority, within each the accounts in turn, within an account the oldest first and
/// no more than it has room for.
fn in_turn(due: &[Due], limit: u32, room: &AccountRoom) -> Vec<Uuid> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut taken = Vec::new();
    let mut rooms: HashMap<Uuid, u32> = HashMap::new();
    for priority in due.chunk_by(|a, b| a.priority == b.priority) {
        let mut accounts: Vec<(Uuid, VecDeque<Uuid>)> = Vec::new();
        for row in priority {
            let room = rooms.entry(row.account_id).or_insert_with(|| room.on(row.account_id.into()));
            if *room == 0 {
                continue;
            }
            *room -= 1;
            match accounts.iter_mut().find(|(account, _)| *account == row.account_id) {
                Some((_, rows)) => rows.push_back(row.id),
                None => accounts.push((row.account_id, VecDeque::from([row.id]))),
            }
        }
        while !accounts.is_empty() && taken.len() < limit {
            let room = limit - taken.len();
            taken.extend(accounts.iter_mut().filter_map(|(_, rows)| rows.pop_front()).take(room));
            accounts.retain(|(_, rows)| !rows.is_empty());
        }
    }
    taken
}

/// How far everything was taken that could be, so that the next look may begin there.
fn look_further(look: &Look, due: &[Due], taken: &[Uuid]) -> Places {
    let behind = (Millis::from(look.now - CLOCK_SKEW), Uuid::nil());
    let mut places = look.from;
    for (place, priority) in places.iter_mut().zip(Priority::ALL) {
        let rows: Vec<&Due> = due.iter().filter(|row| row.priority == priority.rank()).collect();
        let left = rows.iter().position(|row| !taken.contains(&row.id));
        let full = u32::try_from(rows.len()).unwrap_or(u32::MAX) >= look.width();
        let reached = match left {
            // Up to the last one before the first that was left.
            Some(first) => first.checked_sub(1).and_then(|last| rows.get(last)).map(|row| (row.ready_at, row.id)),
            None if full => rows.last().map(|row| (row.ready_at, row.id)),
            None => Some(behind),
        };
        *place = reached.map_or(*place, |reached| reached.min(behind)).max(*place);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

    fn due(id: u128, account: u128, priority: Priority, seconds_ago: i64) -> Due {
        Due {
            id: Uuid::from_u128(id),
            account_id: Uuid::from_u128(account),
            priority: priority.rank(),
            ready_at: (NOW - Duration::seconds(seconds_ago)).into(),
            clock: NOW.into(),
        }
    }

    fn look(limit: u32) -> Look {
        let room = AccountRoom::default();
        Look { owner: Uuid::nil(), limit, now: NOW, lease: Duration::ZERO, from: BEGINNING, skip: Vec::new(), room }
    }

    fn ids(taken: &[Uuid]) -> Vec<u128> {
        taken.iter().map(Uuid::as_u128).collect()
    }

    #[test]
    fn replies_go_first_and_accounts_take_turns() {
        use Priority::{Broadcast, Reply};
        let rows = [
            due(1, 9, Reply, 50),
            due(2, 9, Reply, 40),
            due(3, 9, Reply, 30),
            due(4, 8, Reply, 20),
            due(5, 7, Broadcast, 90),
        ];
        assert_eq!(ids(&in_turn(&rows, 3, &AccountRoom::default())), [1, 4, 2]);
        assert_eq!(ids(&in_turn(&rows, 9, &AccountRoom::default())), [1, 4, 2, 3, 5]);
    }

    #[test]
    fn an_account_gets_no_more_than_it_has_room_for() {
        let nine = ChannelAccountId::from(Uuid::from_u128(9));
        let rows = [
            due(1, 9, Priority::Reply, 50),
            due(2, 9, Priority::Reply, 40),
            due(3, 8, Priority::Reply, 30),
            due(4, 9, Priority::Broadcast, 90),
        ];
        let taken = in_turn(&rows, 9, &AccountRoom::of(5).with(nine, 1));
        assert_eq!(ids(&taken), [1, 3], "over all priorities together");
        assert_eq!(
            look_further(&look(9), &rows, &taken)[0],
            (rows[0].ready_at, rows[0].id),
            "the rest is looked at again"
        );
        assert_eq!(ids(&in_turn(&rows, 9, &AccountRoom::of(2))), [1, 3, 2]);
    }

    #[test]
    fn the_bound_stops_before_what_was_left() {
        let rows = [due(1, 9, Priority::Reply, 50), due(2, 9, Priority::Reply, 40), due(4, 8, Priority::Reply, 20)];
        let taken = in_turn(&rows, 2, &AccountRoom::default());
        assert_eq!(ids(&taken), [1, 4]);
        assert_eq!(look_further(&look(2), &rows, &taken)[0], (rows[0].ready_at, rows[0].id));
        let all = in_turn(&rows, 3, &AccountRoom::default());
        assert_eq!(look_further(&look(3), &rows, &all)[0].0, (NOW - CLOCK_SKEW).into(), "nothing was left");
        assert_eq!(look_further(&look(2), &rows, &[])[0], BEGINNING[0], "the first was left");
    }

    #[test]
    fn the_bound_stays_behind_the_clock() {
        let rows = [due(1, 9, Priority::Reply, 1), due(2, 9, Priority::Reply, 1)];
        assert_eq!(
            look_further(&look(1), &rows, &in_turn(&rows, 2, &AccountRoom::default()))[0].0,
            (NOW - CLOCK_SKEW).into()
        );
    }

    #[test]
    fn an_account_that_was_skipped_is_looked_for_where_it_stood() {
        let (account, mut bound) = (ChannelAccountId::from(Uuid::from_u128(9)), ClaimBound::default());
        let early = [(Millis(5), Uuid::nil()); 3];
        let late = [(Millis(50), Uuid::nil()); 3];
        bound.places = early;
        assert_eq!(bound.begin(&[account]), early);
        bound.places = late;
        assert_eq!(bound.begin(&[account]), late);
        assert_eq!(bound.begin(&[]), early);
        assert!(bound.skipped.is_empty());
    }
}
