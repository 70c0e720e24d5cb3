//! The ledger as the rule engine asks for it.

mod page;

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{FromQueryResult, Value};
use time::{Duration, OffsetDateTime, UtcOffset};
use transom_domain::{ChannelAccount, ChannelAccountId, IdentityId, PartId, TemplateStatus};
use transom_windows::{Account, Category, Counts, Per, Policy, Quota, Scope, Usage};
use uuid::Uuid;

pub use page::PeopleOf;

use super::quota::{KEY, Key, QuotaScope, ROLLING, after};
use crate::instant::Millis;
use crate::query::people::Sql;
use crate::query::sql;
use crate::{Reader, StorageError};

/// A row of the ledger, and how much of what is held the asking part holds itself.
#[derive(Debug, Clone, FromQueryResult)]
struct Row {
    scope: String,
    scope_id: String,
    name: String,
    period: String,
    used: i64,
    held: i64,
    used_up_at: Option<Millis>,
    mine: i64,
}

impl Reader {
    /// What everybody on the account shares, for the rule engine: features, limits, templates, and the quotas as they stand,
    /// what is held included. What `part` itself holds is left out: at dispatch its own share must not stand against it.
    ///
    /// Of quotas of one person only what is held is reported, since the engine counts their accepted messages itself; with one
    /// exception: a count per opening can't be reported to it. There what is held counts where it is taken:
    /// [`Tx::reserve`](crate::Tx::reserve) has the last word and refuses what the engine may still have allowed.
    pub async fn quota_facts(
        &self,
        account: &ChannelAccount,
        identity: IdentityId,
        policy: &Policy,
        part: Option<PartId>,
        now: OffsetDateTime,
    ) -> Result<Account, StorageError> {
        let ledger: Vec<(&Quota, Key)> =
            policy.quotas().iter().filter_map(|quota| Some((quota, key_of(account, identity, quota, now)?))).collect();
        let keys: Vec<&Key> = ledger.iter().map(|(_, key)| key).collect();
        let facts = self.account_facts(&[(account, policy)]).await?;
        let mut facts = facts.into_iter().next().unwrap_or_default();
        for row in self.ledger_rows(&keys, part).await? {
            let found = ledger.iter().find(|(_, key)| row.is(key));
            let Some((quota, key)) = found else { continue };
            let limit = facts.limits.get(quota.name()).copied().unwrap_or(quota.limit());
            let (usage, limit) = self.usage(quota, key, &row, identity, limit, now).await?;
            facts.quotas.insert(quota.name().to_owned(), usage);
            if let Some(limit) = limit {
                facts.limits.insert(quota.name().to_owned(), Some(limit));
            }
        }
        Ok(facts)
    }

    /// What each of these accounts is, whoever is asked about; in their order.
    async fn account_facts(&self, asked: &[(&ChannelAccount, &Policy)]) -> Result<Vec<Account>, StorageError> {
        let with_templates = asked.iter().filter(|(_, policy)| policy.has_templates());
        let approved = self.approved_categories(with_templates.map(|(account, _)| account.id)).await?;
        let facts = asked.iter().map(|(account, policy)| Account {
            suspended: account.suspended.clone(),
            country: account.country.as_deref().and_then(|country| country.parse().ok()),
            features: account.features.clone(),
            limits: account.limits.clone(),
            templates: policy.has_templates().then(|| approved.get(&account.id).cloned().unwrap_or_default()),
            ..Account::default()
        });
        Ok(facts.collect())
    }

    async fn approved_categories(
        &self,
        accounts: impl Iterator<Item = ChannelAccountId>,
    ) -> Result<BTreeMap<ChannelAccountId, BTreeSet<Category>>, StorageError> {
        #[derive(FromQueryResult)]
        struct Approved {
            account_id: Uuid,
            category: String,
        }
        let mut approved: BTreeMap<_, BTreeSet<Category>> = BTreeMap::new();
        let accounts: Vec<Uuid> = accounts.map(ChannelAccountId::uuid).collect();
        if accounts.is_empty() {
            return Ok(approved);
        }
        let mut find = Sql::new("SELECT DISTINCT account_id, category FROM templates WHERE workspace_id = ");
        find.bind(self.ws())
            .with(" AND status = ", TemplateStatus::Approved.as_str())
            .push(" AND account_id IN ")
            .list(accounts);
        for row in Approved::find_by_statement(find.on(&self.conn)).all(&self.conn).await? {
            approved.entry(row.account_id.into()).or_default().extend(row.category.parse::<Category>());
        }
        Ok(approved)
    }

    async fn ledger_rows(&self, keys: &[&Key], part: Option<PartId>) -> Result<Vec<Row>, StorageError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut values: Vec<Value> = vec![self.ws().into(), part.map(PartId::uuid).unwrap_or_default().into()];
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            let [scope, id, name, period] = [1, 2, 3, 4].map(|place| values.len() + place);
            rows.push(format!(
                "(q.scope = ${scope} AND q.scope_id = ${id} AND q.name = ${name} AND q.period = ${period})"
            ));
            values.extend(key.values(self.ws()).into_iter().skip(1));
        }
        let find = format!(
            "SELECT q.scope, q.scope_id, q.name, q.period, q.used, q.held, q.used_up_at, (SELECT CAST(coalesce(sum(r.cost), 0) \
             AS bigint) FROM quota_reservations AS r WHERE r.workspace_id = $1 AND r.part_id = $2 AND r.state = 'held' AND \
             r.scope = q.scope AND r.scope_id = q.scope_id AND r.name = q.name AND r.period = q.period) AS mine FROM quotas AS q \
             WHERE q.workspace_id = $1 AND ({})",
            rows.join(" OR ")
        );
        Ok(Row::find_by_statement(sql(&self.conn, &find, values)).all(&self.conn).await?)
    }

    /// What one row says, and the limit that holds in place of the account's, if the platform said that it is used up.
    async fn usage(
        &self,
        quota: &Quota,
        key: &Key,
        row: &Row,
        identity: IdentityId,
        limit: Option<u32>,
        now: OffsetDateTime,
    ) -> Result<(Usage, Option<u32>), StorageError> {
        let others = row.held - row.mine;
        let span = match quota.per() {
            Per::Rolling(span) | Per::RollingSinceOpening(span) => Some(span),
            Per::Opening | Per::Month | Per::Day => None,
        };
        let mut usage = match (quota.scope(), quota.counts(), span) {
            (_, Counts::DistinctRecipients, span) => {
                self.people(key, row, identity, span.unwrap_or(Duration::days(31)), now).await?
            }
            (Scope::Identity, ..) => Usage { used: count(others), ..Usage::default() },
            (_, _, Some(span)) => self.rolled(key, others, span, now).await?,
            (_, _, None) => Usage { used: count(row.used + others), ..Usage::default() },
        };
        if span.is_none() {
            usage.period = Some(key.period.clone());
        }
        let begins = span.map_or(Millis(i64::MIN), |span| after(now, span));
        if row.used_up_at.is_none_or(|at| at < begins) {
            return Ok((usage, None));
        }
        let most = limit.unwrap_or(usage.used);
        usage.used = usage.used.max(most);
        usage.frees_at = row.used_up_at.zip(span).map(|(at, span)| at.at() + span);
        Ok((usage, Some(most)))
    }

    /// What was used over the last while, and when the oldest of it no longer counts.
    async fn rolled(&self, key: &Key, others: i64, span: Duration, now: OffsetDateTime) -> Result<Usage, StorageError> {
        #[derive(FromQueryResult)]
        struct Used {
            used: i64,
            oldest: Option<Millis>,
        }
        let sum = format!(
            "SELECT CAST(coalesce(sum(cost), 0) AS bigint) AS used, min(at) AS oldest FROM quota_reservations WHERE {KEY} AND state \
             = 'used' AND at >= $6"
        );
        let values = key.values(self.ws()).into_iter().chain([after(now, span).into()]);
        let used = Used::find_by_statement(sql(&self.conn, &sum, values)).one(&self.conn).await?;
        let (used, oldest) = used.map_or((0, None), |row| (row.used, row.oldest));
        let frees_at = oldest.map(|at| at.at() + span);
        Ok(Usage { used: count(used + others), frees_at, ..Usage::default() })
    }

    /// How many people count, whether this one is among them, and when the first of them no longer does.
    async fn people(
        &self,
        key: &Key,
        row: &Row,
        identity: IdentityId,
        span: Duration,
        now: OffsetDateTime,
    ) -> Result<Usage, StorageError> {
        #[derive(FromQueryResult)]
        struct People {
            gone: i64,
            oldest: Option<Millis>,
            held: Option<i64>,
            last_at: Option<Millis>,
        }
        let me = format!("FROM quota_recipients WHERE {KEY} AND identity_id = $6");
        let count_people = format!(
            "SELECT (SELECT count(*) FROM quota_recipients WHERE {KEY} AND held = 0 AND last_at < $7) AS gone, (SELECT min(last_at) \
             FROM quota_recipients WHERE {KEY} AND held = 0 AND last_at >= $7) AS oldest, (SELECT held {me}) AS held, (SELECT \
             last_at {me}) AS last_at"
        );
        let from = after(now, span);
        let values = key.values(self.ws()).into_iter().chain([identity.uuid().into(), from.into()]);
        let found = People::find_by_statement(sql(&self.conn, &count_people, values)).one(&self.conn).await?;
        let Some(people) = found else { return Ok(Usage::default()) };
        let lately = people.last_at.is_some_and(|at| at >= from);
        // The asking part holds one place, whatever it costs.
        let held_by_others = people.held.unwrap_or(0) - i64::from(row.mine > 0);
        let only_me = row.mine > 0 && held_by_others == 0 && !lately;
        Ok(Usage {
            used: count(row.used - people.gone + row.held - i64::from(only_me)),
            period: None,
            frees_at: people.oldest.map(|at| at.at() + span),
            counts_me: lately || held_by_others > 0,
        })
    }
}

impl Row {
    fn is(&self, key: &Key) -> bool {
        (self.scope.as_str(), &self.scope_id, &self.name, &self.period)
            == (key.scope, &key.scope_id, &key.name, &key.period)
    }
}

/// The row in which a quota is counted now; `None` for counts that the engine keeps itself.
fn key_of(account: &ChannelAccount, identity: IdentityId, quota: &Quota, now: OffsetDateTime) -> Option<Key> {
    let scope = match (quota.scope(), &account.quota_group) {
        (Scope::Identity, _) => QuotaScope::Identity(identity),
        (Scope::Group, Some(group)) => QuotaScope::Group(group.clone()),
        // An account without a group is a group of its own.
        (Scope::Account | Scope::Group, _) => QuotaScope::Account(account.id),
    };
    let zone = UtcOffset::from_whole_seconds(quota.zone_seconds()).unwrap_or(UtcOffset::UTC);
    let date = now.to_offset(zone).date();
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let period = match quota.per() {
        Per::Opening => return None,
        Per::Month => format!("{year:04}-{month:02}"),
        Per::Day => format!("{year:04}-{month:02}-{day:02}"),
        Per::Rolling(_) | Per::RollingSinceOpening(_) => ROLLING.to_owned(),
    };
    Some(Key::new(&scope, quota.name(), &period))
}

fn count(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}
