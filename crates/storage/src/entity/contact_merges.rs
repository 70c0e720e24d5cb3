//! Rows of `contact_merges`.

use sea_orm::entity::prelude::*;

use crate::instant::Millis;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "contact_merges")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kept_id: Uuid,
    pub gone_id: Uuid,
    #[sea_orm(column_type = "JsonBinary")]
    pub record: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub merged_by: Json,
    pub merged_at: Millis,
    #[sea_orm(column_type = "JsonBinary")]
    pub undone_by: Option<Json>,
    pub undone_at: Option<Millis>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
