//! What the platform's crate is given to connect an account: its own settings, and the connection's secrets one by one.

use sea_orm::ConnectionTrait;
use secrecy::SecretString;
use transom_domain::ChannelAccountId;

use super::statement::Sql;
use crate::query::Secrets;
use crate::{Reader, StorageError, Tx};

impl IntoIterator for Secrets {
    type Item = (String, SecretString);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        let secrets: Vec<_> = self.iter().map(|(field, secret)| (field.to_owned(), secret.clone())).collect();
        secrets.into_iter()
    }
}

impl Reader {
    /// The account's own settings: an object, empty if nothing was set or there is no such account.
    pub async fn account_settings(&self, account: ChannelAccountId) -> Result<serde_json::Value, StorageError> {
        let mut statement = Sql::new("SELECT settings FROM channel_accounts WHERE workspace_id = ");
        statement.bind(self.ws()).with(" AND id = ", account.uuid());
        let row = self.conn.query_one_raw(statement.on(&self.conn)).await?;
        let settings = row.map(|row| row.try_get_by_index(0)).transpose()?;
        Ok(settings.unwrap_or_else(|| serde_json::json!({})))
    }
}

impl Tx {
    /// Stores the account's own settings in place of those it had.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if there is no such account.
    pub async fn put_account_settings(
        &self,
        account: ChannelAccountId,
        settings: &serde_json::Value,
    ) -> Result<(), StorageError> {
        let mut statement = Sql::new("UPDATE channel_accounts SET settings = ");
        statement.bind(settings.clone()).with(" WHERE workspace_id = ", self.ws()).with(" AND id = ", account.uuid());
        match self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() {
            0 => Err(StorageError::MissingReference("there is no such account".to_owned())),
            _ => Ok(()),
        }
    }
}
