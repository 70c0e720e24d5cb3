//! Rows of `episodes`.

use sea_orm::entity::prelude::*;

use crate::instant::Millis;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "episodes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub conversation_id: Uuid,
    pub number: i64,
    pub opened_at: Millis,
    #[sea_orm(column_type = "JsonBinary")]
    pub opened_by: Json,
    pub cause: String,
    pub cause_message_id: Option<Uuid>,
    pub closed_at: Option<Millis>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub closed_by: Option<Json>,
    pub agent_id: Option<Uuid>,
    pub team_id: Option<Uuid>,
    pub category: Option<String>,
    pub note: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
