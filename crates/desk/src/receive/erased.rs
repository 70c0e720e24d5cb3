//! Events from before somebody was erased, which platforms may repeat whenever they like: they bring nobody back.

use transom_domain::Address;
use transom_storage::{ToldOf, Tx};

use super::item::Case;
use crate::DeskError;

/// Which cases tell of somebody who was erased since it happened.
///
/// # Errors
/// When the database fails.
pub(super) async fn since(tx: &Tx, cases: &[&Case<'_>]) -> Result<Vec<bool>, DeskError> {
    Ok(tx.erased_since(&cases.iter().map(|case| told_of(case)).collect::<Vec<_>>()).await?)
}

fn told_of<'c>(case: &Case<'c>) -> ToldOf<'c> {
    let addresses: &[Address] = case.inbound.person.as_ref().map_or(&[], |person| &person.addresses);
    (case.account.id, addresses, case.at)
}
