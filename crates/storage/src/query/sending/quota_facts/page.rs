//! The ledger for a page of people: what they share is read once.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join;
use sea_orm::FromQueryResult;
use time::{Duration, OffsetDateTime};
use transom_domain::{ChannelAccount, ChannelAccountId, IdentityId};
use transom_windows::{Account, Counts, Per, Policy, Quota};
use uuid::Uuid;

use super::{Key, Row, after, key_of};
use crate::instant::Millis;
use crate::query::people::Sql;
use crate::{Reader, StorageError};

/// How many rows of the ledger one statement names: SQLite reads at most a thousand conditions deep.
const CHUNK: usize = 200;

/// People of one account, and the policy that they are looked at by.
#[derive(Debug, Clone, Copy)]
pub struct PeopleOf<'a> {
    /// Their account.
    pub account: &'a ChannelAccount,
    /// Its policy, or another to compare with.
    pub policy: &'a Policy,
    /// Who they are.
    pub identities: &'a [IdentityId],
}

/// A quota, and whom of an account one row of the ledger counts.
struct Counter<'a> {
    account: &'a ChannelAccount,
    quota: &'a Quota,
    people: BTreeSet<IdentityId>,
}

impl Reader {
    /// [`quota_facts`](Self::quota_facts) for many people of several accounts. Nobody is of two accounts.
    ///
    /// The first two statements are those for one person. A row of the ledger that counts over a span, or counts people, takes one or two
    /// more for each account, as it does for one person.
    pub async fn quota_facts_of(
        &self,
        asked: &[PeopleOf<'_>],
        now: OffsetDateTime,
    ) -> Result<BTreeMap<IdentityId, Account>, StorageError> {
        let counters = counters(asked, now);
        let keys: Vec<&Key> = counters.keys().collect();
        let ledger = async {
            let mut rows = Vec::new();
            for keys in keys.chunks(CHUNK) {
                rows.extend(self.ledger_rows(keys, None).await?);
            }
            Ok(rows)
        };
        let accounts: Vec<_> = asked.iter().map(|of| (of.account, of.policy)).collect();
        let (facts, rows) = try_join(self.account_facts(&accounts), ledger).await?;
        let mut all = BTreeMap::new();
        for (of, facts) in asked.iter().zip(facts) {
            all.extend(of.identities.iter().map(|id| (*id, facts.clone())));
        }
        for row in rows {
            let Some((key, of_accounts)) = counters.iter().find(|(key, _)| row.is(key)) else { continue };
            for counter in of_accounts.values() {
                self.tell(&mut all, (counter, key, &row), now).await?;
            }
        }
        Ok(all)
    }

    /// What one row of the ledger says, told to everybody whom it counts.
    async fn tell(
        &self,
        all: &mut BTreeMap<IdentityId, Account>,
        (Counter { account, quota, people }, key, row): (&Counter<'_>, &Key, &Row),
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let Some(first) = people.first() else { return Ok(()) };
        let limit = account.limits.get(quota.name()).copied().unwrap_or(quota.limit());
        let (usage, limit) = self.usage(quota, key, row, *first, limit, now).await?;
        let counted = match quota.counts() {
            Counts::DistinctRecipients => self.counted(key, quota, people, now).await?,
            Counts::Requests | Counts::Recipients => BTreeSet::new(),
        };
        for identity in people {
            let Some(facts) = all.get_mut(identity) else { continue };
            let mut usage = usage.clone();
            if matches!(quota.counts(), Counts::DistinctRecipients) {
                usage.counts_me = counted.contains(identity);
            }
            facts.quotas.insert(quota.name().to_owned(), usage);
            if let Some(limit) = limit {
                facts.limits.insert(quota.name().to_owned(), Some(limit));
            }
        }
        Ok(())
    }

    /// Who of these people is counted already: written to lately, or about to be.
    async fn counted(
        &self,
        key: &Key,
        quota: &Quota,
        people: &BTreeSet<IdentityId>,
        now: OffsetDateTime,
    ) -> Result<BTreeSet<IdentityId>, StorageError> {
        #[derive(FromQueryResult)]
        struct Counted {
            identity_id: Uuid,
            held: i64,
            last_at: Option<Millis>,
        }
        let span = match quota.per() {
            Per::Rolling(span) | Per::RollingSinceOpening(span) => span,
            Per::Opening | Per::Month | Per::Day => Duration::days(31),
        };
        let from = after(now, span);
        let mut select = Sql::new("SELECT identity_id, held, last_at FROM quota_recipients WHERE workspace_id = ");
        select
            .bind(self.ws())
            .with(" AND scope = ", key.scope)
            .with(" AND scope_id = ", key.scope_id.as_str())
            .with(" AND name = ", key.name.as_str())
            .with(" AND period = ", key.period.as_str())
            .push(" AND identity_id IN ")
            .list(people.iter().map(|id| id.uuid()));
        let rows = Counted::find_by_statement(select.on(&self.conn)).all(&self.conn).await?;
        let counts = |row: &Counted| row.held > 0 || row.last_at.is_some_and(|at| at >= from);
        Ok(rows.iter().filter(|row| counts(row)).map(|row| row.identity_id.into()).collect())
    }
}

type Counters<'a> = BTreeMap<Key, BTreeMap<ChannelAccountId, Counter<'a>>>;

/// Whom each row of the ledger counts. Accounts of one group share rows, and each has limits of its own.
fn counters<'a>(asked: &[PeopleOf<'a>], now: OffsetDateTime) -> Counters<'a> {
    let mut counters = Counters::new();
    for PeopleOf { account, policy, identities } in asked {
        for (quota, identity) in policy.quotas().iter().flat_map(|quota| identities.iter().map(move |id| (quota, *id)))
        {
            let Some(key) = key_of(account, identity, quota, now) else { continue };
            let new = || Counter { account, quota, people: BTreeSet::new() };
            counters.entry(key).or_default().entry(account.id).or_insert_with(new).people.insert(identity);
        }
    }
    counters
}
