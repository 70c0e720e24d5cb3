//! What every workspace of a test needs.

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use transom_domain::*;
pub(crate) use transom_storage::test_support::{NOON, TestDatabase};
pub(crate) use transom_storage::*;
pub(crate) use uuid::Uuid;

/// Runs one transaction; what it uses from outside is named and cloned.
macro_rules! in_tx {
    ($desk:expr, [$($kept:ident),* $(,)?], $tx:ident => $body:expr) => {{
        $(let $kept = $kept.clone();)*
        let done: Result<_, StorageError> = $desk
            .storage
            .transact(&$desk.scope, move |$tx| {
                $(let $kept = $kept.clone();)*
                Box::pin(async move { $body })
            })
            .await;
        done
    }};
}
pub(crate) use in_tx;

pub(crate) fn id<T: From<Uuid>>() -> T {
    UuidV7.next().into()
}

/// An account of its platform's own policy.
pub(crate) fn an_account(connection: ConnectionId, platform: &str) -> ChannelAccount {
    ChannelAccount {
        id: id(),
        connection,
        platform: platform.into(),
        policy: platform.into(),
        name: platform.into(),
        external_key: Uuid::from(id::<ChannelAccountId>()).to_string(),
        features: BTreeSet::new(),
        limits: BTreeMap::new(),
        quota_group: None,
        country: None,
        enabled: true,
        suspended: None,
        removed_at: None,
    }
}
