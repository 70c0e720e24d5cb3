//! The tables as sea-orm sees them, one file each. They stay inside this crate: domain types come out.

pub(crate) mod agent_duty;
pub(crate) mod agents;
pub(crate) mod aliases;
pub(crate) mod assignment_rules;
pub(crate) mod attachments;
pub(crate) mod attempt_evidence;
pub(crate) mod attempts;
pub(crate) mod audit_chains;
pub(crate) mod audit_log;
pub(crate) mod bot_bindings;
pub(crate) mod channel_accounts;
pub(crate) mod connections;
pub(crate) mod consents;
pub(crate) mod contact_fields;
pub(crate) mod contact_labels;
pub(crate) mod contact_merges;
pub(crate) mod contact_terms;
pub(crate) mod contacts;
pub(crate) mod conversation_tags;
pub(crate) mod conversations;
pub(crate) mod custom_fields;
pub(crate) mod data_keys;
pub(crate) mod dedicated_agents;
pub(crate) mod dedupe_keys;
pub(crate) mod episodes;
pub(crate) mod event_numberers;
pub(crate) mod events;
pub(crate) mod followers;
pub(crate) mod idempotency_keys;
pub(crate) mod identities;
pub(crate) mod identity_addresses;
pub(crate) mod job_items;
pub(crate) mod jobs;
pub(crate) mod journal;
pub(crate) mod label_moves;
pub(crate) mod labels;
pub(crate) mod leases;
pub(crate) mod message_reactions;
pub(crate) mod messages;
pub(crate) mod outbox;
pub(crate) mod parts;
pub(crate) mod provider_tokens;
pub(crate) mod pull_cursors;
pub(crate) mod quarantine;
pub(crate) mod quota_evidence;
pub(crate) mod quota_recipients;
pub(crate) mod quota_reservations;
pub(crate) mod quotas;
pub(crate) mod receipts_parked;
pub(crate) mod saved_replies;
pub(crate) mod saved_reply_variants;
pub(crate) mod tags;
pub(crate) mod team_members;
pub(crate) mod teams;
pub(crate) mod templates;
pub(crate) mod tokens;
pub(crate) mod vault_check;
pub(crate) mod webhook_attempts;
pub(crate) mod webhook_deliveries;
pub(crate) mod webhook_endpoints;
pub(crate) mod workspaces;
pub(crate) mod workspaces_due;

#[cfg(all(test, feature = "test-support"))]
mod tests {
    use sea_orm::EntityTrait;

    macro_rules! tables {
        ($($table:ident)*) => {
            /// Every entity names the columns that its table has.
            async fn every_column_is_there(db: &impl sea_orm::ConnectionTrait) {
                $(
                    let row = super::$table::Entity::find().one(db).await;
                    assert!(row.is_ok(), "{}: {row:?}", stringify!($table));
                )*
            }
        };
    }
    tables! { agent_duty agents aliases assignment_rules attachments attempt_evidence attempts audit_chains audit_log bot_bindings channel_accounts connections consents contact_fields contact_labels contact_merges contact_terms contacts conversation_tags conversations custom_fields data_keys dedicated_agents dedupe_keys episodes event_numberers events followers idempotency_keys identities identity_addresses job_items jobs journal label_moves labels leases message_reactions messages outbox parts provider_tokens pull_cursors quarantine quota_evidence quota_recipients quota_reservations quotas receipts_parked saved_replies saved_reply_variants tags team_members teams templates tokens vault_check webhook_attempts webhook_deliveries webhook_endpoints workspaces workspaces_due }

    crate::both_databases! {
        async fn entities_and_tables_agree(db: TestDatabase) {
            every_column_is_there(db.open().await.db()).await;
        }
    }
}
