//! The ledger for a page of people: what they share is read once.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::FromQueryResult;
use time::{Duration, OffsetDateTime};
use transom_domain::{ChannelAccount, IdentityId};
use transom_windows::{Account, Counts, Per, Policy, Quota};
use uuid::Uuid;

use super::{Key, Row, after, key_of};
use crate::instant::Millis;
use crate::query::people::Sql;
use crate::{Reader, StorageError};

/// How many rows of the ledger one statement names: SQLite reads at most a thousand conditions deep.
const CHUNK: usize = 200;

impl Reader {
    /// [`quota_facts`](Self::quota_facts) for many people of one account, with as many statements as for one.
    pub async fn quota_facts_of(
        &self,
        account: &ChannelAccount,
        identities: &[IdentityId],
        policy: &Policy,
        now: OffsetDateTime,
    ) -> Result<BTreeMap<IdentityId, Account>, StorageError> {
        let shared = self.account_facts(account, policy).await?;
        let mut all: BTreeMap<IdentityId, Account> = identities.iter().map(|id| (*id, shared.clone())).collect();
        let mut keys: BTreeMap<Key, (&Quota, BTreeSet<IdentityId>)> = BTreeMap::new();
        for identity in identities {
            for quota in policy.quotas() {
                if let Some(key) = key_of(account, *identity, quota, now) {
                    keys.entry(key).or_insert_with(|| (quota, BTreeSet::new())).1.insert(*identity);
                }
            }
        }
        let ledger: Vec<(&Quota, Key)> = keys.iter().map(|(key, (quota, _))| (*quota, key.clone())).collect();
        for ledger in ledger.chunks(CHUNK) {
            for row in self.ledger_rows(ledger, None).await? {
                let found = keys.iter().find(|(key, _)| row.is(key));
                if let Some((key, (quota, people))) = found {
                    self.tell(&mut all, (quota, key, &row), people, now).await?;
                }
            }
        }
        Ok(all)
    }

    /// What one row of the ledger says, told to everybody whom it counts.
    async fn tell(
        &self,
        all: &mut BTreeMap<IdentityId, Account>,
        (quota, key, row): (&Quota, &Key, &Row),
        people: &BTreeSet<IdentityId>,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let Some(first) = people.first() else { return Ok(()) };
        let limits = all.get(first).map(|facts| facts.limits.clone()).unwrap_or_default();
        let limit = limits.get(quota.name()).copied().unwrap_or(quota.limit());
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
