//! Rows of `consents`.

use sea_orm::entity::prelude::*;

use crate::instant::Millis;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "consents")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub identity_id: Uuid,
    pub account_id: Uuid,
    pub scope: String,
    pub allowed: bool,
    pub source: String,
    pub detail: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub recorded_by: Json,
    pub at: Millis,
    pub recorded_at: Millis,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
