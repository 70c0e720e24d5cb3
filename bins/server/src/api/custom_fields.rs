//! The workspace's own fields of contacts.

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use transom_desk::custom_fields::{self, FieldChange, NewField};
use transom_storage::StoredField;
use uuid::Uuid;

use super::Tag;
use super::auth::Signed;
use super::body::Body;
use super::idempotency::{Idempotent, answered};
use super::version::{IfMatch, Made, Versioned};
use super::views::custom_field::{FieldList, FieldPatchBody, FieldView, NewFieldBody};
use crate::http::problem::{Changing, Listing, Making, Reading, Refused};
use crate::state::State;

pub(crate) struct CustomFieldsApi(pub(super) Arc<State>);

#[OpenApi(tag = "Tag::Contacts")]
impl CustomFieldsApi {
    /// List custom fields
    ///
    /// By name. A workspace has at most 200.
    #[oai(path = "/custom-fields", method = "get", operation_id = "listCustomFields")]
    async fn list(
        &self,
        signed: Signed,
        /// Only those whose name begins so, whatever its case.
        #[oai(validator(max_length = 200))]
        q: Query<Option<String>>,
        /// Those in the archive too.
        #[oai(default)]
        archived: Query<bool>,
    ) -> Result<Json<FieldList>, Refused<Listing>> {
        let prefix = q.0.unwrap_or_default();
        let fields = custom_fields::list(&self.0.desk, signed.caller(), &prefix, archived.0).await?;
        Ok(Json(FieldList { items: fields.iter().map(Into::into).collect() }))
    }

    /// Add a custom field
    ///
    /// Its name is unique whatever its case and spacing, and may hold spaces. It can also be made while it is set on a contact.
    #[oai(
        path = "/custom-fields",
        method = "post",
        operation_id = "addCustomField",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn add(
        &self,
        signed: Signed,
        key: Idempotent,
        body: Body<NewFieldBody>,
    ) -> Result<Made<FieldView>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let NewFieldBody { name, kind, options } = body.0;
        let new = NewField { name, kind: kind.into(), options };
        let once = key.once(caller, 201, |stored: &StoredField| FieldView::from(stored));
        let added = custom_fields::add(desk, caller, new, once).await;
        let (view, replayed) = answered(added, |stored| FieldView::from(stored))?;
        Ok(Made::Made(view, replayed))
    }

    /// Read a custom field
    #[oai(path = "/custom-fields/:id", method = "get", operation_id = "getCustomField")]
    async fn get(&self, signed: Signed, id: Path<Uuid>) -> Result<Versioned<FieldView>, Refused<Reading>> {
        let stored = custom_fields::get(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Versioned::new((&stored).into(), stored.version))
    }

    /// Change a custom field
    ///
    /// Its name, its options, or whether it is in the archive: then it is offered no more, and its values stay.
    #[oai(
        path = "/custom-fields/:id",
        method = "patch",
        operation_id = "changeCustomField",
        request_header(name = "If-Match", ty = "Option<String>", description = "The `ETag` of the last answer.")
    )]
    async fn change(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        seen: IfMatch,
        body: Body<FieldPatchBody>,
    ) -> Result<Versioned<FieldView>, Refused<Changing>> {
        let FieldPatchBody { name, options, archived } = body.0;
        let change = FieldChange { name, options, archived };
        let stored = custom_fields::change(&self.0.desk, signed.caller(), id.0.into(), change, seen.0).await?;
        Ok(Versioned::new((&stored).into(), stored.version))
    }
}
