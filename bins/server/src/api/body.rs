//! JSON bodies, checked against the document before anything else reads them: what it says is what is taken.

use poem::{FromRequest, Request, RequestBody};
use poem_openapi::impl_apirequest_for_payload;
use poem_openapi::payload::{Json, ParsePayload, Payload};
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{ParseFromJSON, Type};
use serde_json::Value;

use crate::api;
use crate::http::problem::Problem;
use crate::http::schema::Document;

/// A body of an operation.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = Json::<T>::CONTENT_TYPE;

    fn check_content_type(content_type: &str) -> bool {
        Json::<T>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ParseFromJSON> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = T::IS_REQUIRED;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = Vec::<u8>::from_request(request, body).await?;
        Ok(Self(read(&bytes)?))
    }
}

impl_apirequest_for_payload!(Body<T>, T: ParseFromJSON);

fn read<T: ParseFromJSON>(body: &[u8]) -> Result<T, Problem> {
    let malformed = |detail: String| Problem::new("body_malformed", detail);
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(_) if body.is_empty() => return Err(malformed("the body is empty, and JSON is expected".to_owned())),
        Err(error) => {
            // Its own words would quote the body.
            let (line, column) = (error.line(), error.column());
            return Err(malformed(format!("the body is not JSON, at line {line} column {column}")));
        }
    };
    let document = Document::new(api::document());
    let difference = match T::schema_ref() {
        MetaSchemaRef::Reference(name) => document.schema(&name).and_then(|schema| document.mismatch(schema, &value)),
        MetaSchemaRef::Inline(_) => None,
    };
    match difference {
        Some(difference) if difference.at.is_empty() => Err(malformed(format!("the body: {}", difference.detail))),
        Some(difference) => Err(malformed(format!("`{}`: {}", difference.at, difference.detail)).at(difference.at)),
        // What the document can't say, such as a pattern.
        None => T::parse_from_json(Some(value)).map_err(|error| malformed(readable(error.message()))),
    }
}

/// An error of poem's own reader without the names of types.
fn readable(message: &str) -> String {
    match message.split_once("\": ") {
        Some((kind, why)) if kind.starts_with("failed to parse \"") => why.to_owned(),
        _ => "the body is not as `/openapi.json` describes it".to_owned(),
    }
}
