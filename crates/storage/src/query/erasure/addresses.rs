//! Addresses of people who were erased, as digests under a key of the workspace: recognised when they come again, and not read.

use hmac::{Hmac, KeyInit, Mac};
use sea_orm::ConnectionTrait;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use time::OffsetDateTime;
use transom_domain::Address;

use crate::query::people::Sql;
use crate::query::{millis, sql};
use crate::{Reader, StorageError, Tx};

const PLACE: (&str, &str) = ("erasure_keys", "sealed");

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
                .push(" ON CONFLICT DO NOTHING");
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
