//! Addresses of people who were erased, as digests under a key of the workspace: recognised when they come again, and not read.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sea_orm::ConnectionTrait;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use time::{Duration, OffsetDateTime};
use transom_domain::{Address, ChannelAccountId};

use crate::instant::Millis;
use crate::query::people::Sql;
use crate::query::people::statement::runs;
use crate::query::{millis, sql};
use crate::{Reader, StorageError, Tx};

const PLACE: (&str, &str) = ("erasure_keys", "sealed");
/// Some platforms tell the second of an event, and no more: what may be of after the erasure counts as that.
const EXACTNESS: Duration = Duration::SECOND;

/// What is told of somebody: where, by which addresses they are known, and when it happened.
pub type ToldOf<'a> = (ChannelAccountId, &'a [Address], OffsetDateTime);

impl Reader {
    /// Whether one of these is the address of somebody who was erased.
    pub async fn any_erased(&self, addresses: &[Address]) -> Result<bool, StorageError> {
        let Some(key) = self.erasure_key().await?.filter(|_| !addresses.is_empty()) else { return Ok(false) };
        let mut find = Sql::of(self);
        find.push("SELECT 1 FROM erased_addresses WHERE workspace_id = $1 AND digest IN ")
            .list(addresses.iter().map(|address| digest(&key, address)))
            .push(" LIMIT 1");
        Ok(self.conn.query_one_raw(find.on(&self.conn)).await?.is_some())
    }

    /// Of whom is told what happened before they were erased: platforms repeat old events. Whom the account knows since before
    /// that is another one with the same address.
    pub async fn erased_since(&self, told: &[ToldOf<'_>]) -> Result<Vec<bool>, StorageError> {
        let mut answers = vec![false; told.len()];
        let Some(key) = self.erasure_key().await? else { return Ok(answers) };
        let mut digests: Vec<_> =
            told.iter().flat_map(|(_, addresses, _)| *addresses).map(|one| digest(&key, one)).collect();
        digests.sort();
        digests.dedup();
        let mut erased = BTreeMap::new();
        for run in runs(&digests) {
            let mut find = Sql::of(self);
            find.push("SELECT digest, erased_at FROM erased_addresses WHERE workspace_id = $1 AND digest IN ")
                .list(run.iter().cloned());
            for row in self.conn.query_all_raw(find.on(&self.conn)).await? {
                erased.insert(row.try_get_by_index::<Vec<u8>>(0)?, row.try_get_by_index::<Millis>(1)?.at());
            }
        }
        if erased.is_empty() {
            return Ok(answers);
        }
        for (answer, (account, addresses, at)) in answers.iter_mut().zip(told) {
            let last = addresses.iter().filter_map(|address| erased.get(&digest(&key, address))).max();
            let Some(last) = last.filter(|last| at.saturating_add(EXACTNESS) <= **last) else { continue };
            *answer = !self.is_known_since(*account, addresses, *last).await?;
        }
        Ok(answers)
    }

    /// Whether an account knew somebody of these addresses at an instant.
    async fn is_known_since(
        &self,
        account: ChannelAccountId,
        addresses: &[Address],
        at: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let mut find = Sql::of(self);
        find.push(
            "SELECT 1 FROM identity_addresses AS a JOIN identities AS i ON i.workspace_id = a.workspace_id AND i.id = ",
        )
        .with("a.identity_id WHERE a.workspace_id = $1 AND a.account_id = ", account.uuid())
        .with(" AND i.created_at <= ", millis(at))
        .push(" AND (a.kind, a.value) IN (VALUES ")
        .rows(addresses.iter().map(|address| [address.kind.as_str(), address.value.as_str()]))
        .push(") LIMIT 1");
        Ok(self.conn.query_one_raw(find.on(&self.conn)).await?.is_some())
    }

    async fn erasure_key(&self) -> Result<Option<SecretString>, StorageError> {
        const READ: &str = "SELECT sealed FROM erasure_keys WHERE workspace_id = $1";
        let Some(row) = self.conn.query_one_raw(sql(&self.conn, READ, [self.ws().into()])).await? else {
            return Ok(None);
        };
        let sealed: Vec<u8> = row.try_get_by_index(0)?;
        Ok(Some(self.unseal(PLACE.0, PLACE.1, self.ws(), &sealed).await?))
    }
}

impl Tx {
    /// Remembers the addresses of somebody who is erased.
    pub async fn remember_erased(&self, addresses: &[Address], now: OffsetDateTime) -> Result<(), StorageError> {
        let key = match self.erasure_key().await? {
            Some(key) => key,
            None => self.make_erasure_key().await?,
        };
        for address in addresses {
            let mut note = Sql::new("INSERT INTO erased_addresses (workspace_id, digest, erased_at) VALUES ");
            note.list([sea_orm::Value::from(self.ws()), digest(&key, address).into(), millis(now)])
                .push(" ON CONFLICT (workspace_id, digest) DO UPDATE SET erased_at = excluded.erased_at");
            self.conn.execute_raw(note.on(&self.conn)).await?;
        }
        Ok(())
    }

    async fn make_erasure_key(&self) -> Result<SecretString, StorageError> {
        const KEEP: &str = "INSERT INTO erasure_keys (workspace_id, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let key = SecretString::from(hex::encode(crate::vault::random::<32>()?));
        let sealed = self.seal(PLACE.0, PLACE.1, self.ws(), &key).await?;
        self.conn.execute_raw(sql(&self.conn, KEEP, [self.ws().into(), sealed.into()])).await?;
        // Another transaction may have been faster.
        Ok(self.erasure_key().await?.unwrap_or(key))
    }
}

/// Of phone numbers only the digits count, in email addresses no upper or lower case.
fn digest(key: &SecretString, address: &Address) -> Vec<u8> {
    let value = match address.kind.as_str() {
        "phone" => address.value.chars().filter(char::is_ascii_digit).collect(),
        "email" => address.value.trim().to_lowercase(),
        _ => address.value.clone(),
    };
    // HMAC takes keys of any length: there is no other error.
    let mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes());
    let mac = mac.unwrap_or_else(|_| Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
    mac.chain_update(&address.kind).chain_update([0]).chain_update(value).finalize().into_bytes().to_vec()
}
