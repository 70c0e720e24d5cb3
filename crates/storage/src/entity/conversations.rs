//! Rows of `conversations`.

use sea_orm::entity::prelude::*;

use crate::instant::Millis;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "conversations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub identity_id: Uuid,
    pub contact_id: Uuid,
    pub account_id: Uuid,
    pub thread: String,
    pub status: String,
    pub tab: String,
    pub snoozed_until: Option<Millis>,
    pub agent_id: Option<Uuid>,
    pub team_id: Option<Uuid>,
    pub episode_id: Uuid,
    pub episodes: i64,
    pub status_since: Millis,
    pub window_closes_at: Option<Millis>,
    pub free_form_until: Option<Millis>,
    pub closing_at: Option<Millis>,
    pub window_policy_version: String,
    pub window_recompute_at: Option<Millis>,
    pub window_ends_at: Option<Millis>,
    pub active_at: Millis,
    pub last_message_at: Option<Millis>,
    pub last_inbound_at: Option<Millis>,
    pub last_outbound_at: Option<Millis>,
    pub last_answer_at: Option<Millis>,
    pub waiting_since: Option<Millis>,
    pub missed_at: Option<Millis>,
    pub survey_score: Option<i64>,
    pub preview: Option<String>,
    pub marks: i64,
    pub version: i64,
    pub created_at: Millis,
    pub updated_at: Millis,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
