//! Rows of `messages`.

use sea_orm::entity::prelude::*;

use crate::instant::Millis;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub conversation_id: Uuid,
    pub contact_id: Uuid,
    pub identity_id: Uuid,
    pub account_id: Uuid,
    pub kind: String,
    pub direction: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub author: Json,
    pub agent_id: Option<Uuid>,
    #[sea_orm(column_type = "JsonBinary")]
    pub content: Json,
    pub state: Option<String>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub reason: Option<Json>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub permit: Option<Json>,
    pub provider_id: Option<String>,
    pub reply_to: Option<Uuid>,
    pub payload: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub extra: Json,
    pub at: Millis,
    pub stored_at: Millis,
    pub edited_at: Option<Millis>,
    pub unsent_at: Option<Millis>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
