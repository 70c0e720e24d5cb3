//! Utility templates: the parameters of a send (messenger.md 1.5 and 2.3). Pure.

use serde_json::Value;
use transom_channel::{TextLimit, Unsendable};
use transom_domain::template::{HeaderParameter, TemplateButtonKind, TemplateHeader, TextParameters};
use transom_domain::{TemplateDefinition, TemplateMessage, TemplateStatus};

use crate::wire::{Component, Language, Parameter, Template};

/// The longest name of a template, as on Meta's other platform that has them.
const NAME: TextLimit = TextLimit::Scalars(512);

/// Whether a send can be written, before anything leaves.
pub(crate) fn check(template: &TemplateMessage) -> Result<(), Unsendable> {
    if template.name.trim().is_empty() || !NAME.fits(&template.name) {
        return Err(malformed("template.name", "it must have 1 to 512 characters"));
    }
    if template.language.trim().is_empty() {
        return Err(malformed("template.language", "it must not be empty"));
    }
    if template.category != "utility" {
        return Err(Unsendable::NotSupported { what: "a template of a category other than utility".to_owned() });
    }
    match &template.parameters.header {
        None => {}
        Some(HeaderParameter::Text(values)) => check_texts("header", values)?,
        Some(HeaderParameter::Media(_) | HeaderParameter::Location(_)) => {
            return Err(Unsendable::NotSupported { what: "a template's header that is no text".to_owned() });
        }
    }
    check_texts("body", &template.parameters.body)?;
    if template.parameters.buttons.is_empty() {
        return Ok(());
    }
    Err(Unsendable::NotSupported { what: "a value for a template's button".to_owned() })
}

fn check_texts(place: &str, values: &TextParameters) -> Result<(), Unsendable> {
    let all: Vec<&String> = match values {
        TextParameters::Positional(list) => list.iter().collect(),
        TextParameters::Named(map) => map.values().collect(),
    };
    if all.iter().any(|value| value.trim().is_empty()) {
        return Err(malformed(&format!("template.{place}"), "no value may be empty"));
    }
    Ok(())
}

fn malformed(field: &str, reason: &str) -> Unsendable {
    Unsendable::Malformed { field: field.to_owned(), reason: reason.to_owned() }
}

/// The send, as the platform wants it. Parts of the template without parameters are left out.
pub(crate) fn write(template: &TemplateMessage) -> Template<'_> {
    let mut components = Vec::new();
    if let Some(HeaderParameter::Text(values)) = template.parameters.header.as_ref().filter(|header| !is_empty(header))
    {
        components.push(Component::Header { parameters: texts(values) });
    }
    if !template.parameters.body.is_empty() {
        components.push(Component::Body { parameters: texts(&template.parameters.body) });
    }
    Template { name: &template.name, language: Language { code: &template.language }, components }
}

fn is_empty(header: &HeaderParameter) -> bool {
    matches!(header, HeaderParameter::Text(values) if values.is_empty())
}

fn texts(values: &TextParameters) -> Vec<Parameter<'_>> {
    match values {
        TextParameters::Positional(list) => {
            list.iter().map(|text| Parameter { kind: "text", parameter_name: None, text }).collect()
        }
        TextParameters::Named(map) => {
            map.iter().map(|(name, text)| Parameter { kind: "text", parameter_name: Some(name), text }).collect()
        }
    }
}

/// One entry of the catalogue; `None` for one without id, name or language.
///
/// The documents show parameters of words alone: a template that needs a picture, or a value for a button, is listed as
/// disabled, with the reason in the platform's word.
pub(crate) fn definition(entry: &Value) -> Option<TemplateDefinition> {
    let mut definition = transom_meta::template::definition(entry)?;
    let has_other_header = !matches!(definition.header, None | Some(TemplateHeader::Text { .. }));
    let has_open_button = definition.buttons.iter().any(|button| match button.kind {
        TemplateButtonKind::Url => button.url.as_deref().is_some_and(|url| url.contains("{{")),
        TemplateButtonKind::CopyCode => true,
        TemplateButtonKind::QuickReply | TemplateButtonKind::PhoneNumber | TemplateButtonKind::Other => false,
    });
    let beyond_us = match (has_other_header, has_open_button) {
        (true, _) => "header",
        (false, true) => "button",
        (false, false) => return Some(definition),
    };
    definition.provider_status = format!("{}, but Transom can't fill its {beyond_us}", definition.provider_status);
    if definition.status == TemplateStatus::Approved {
        definition.status = TemplateStatus::Disabled;
    }
    Some(definition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;
    use std::collections::BTreeMap;
    use transom_domain::TemplateParameters;

    fn message(parameters: TemplateParameters) -> TemplateMessage {
        TemplateMessage {
            name: "order_shipped".into(),
            language: "en".into(),
            category: "utility".into(),
            parameters,
            rendered: None,
            buttons: Vec::new(),
        }
    }

    /// The body of messenger.md 2.3.
    #[test]
    fn the_sheets_template_is_written() {
        let parameters = TemplateParameters {
            header: Some(HeaderParameter::Text(TextParameters::Positional(vec!["Order".into()]))),
            body: TextParameters::Named(BTreeMap::from([("order_id".to_owned(), "A-1001".to_owned())])),
            ..TemplateParameters::default()
        };
        let message = message(parameters);
        check(&message).unwrap();
        assert_eq!(
            serde_json::to_value(write(&message)).unwrap(),
            json!({"name": "order_shipped", "language": {"code": "en"}, "components": [
                {"type": "header", "parameters": [{"type": "text", "text": "Order"}]},
                {"type": "body", "parameters": [{"type": "text", "parameter_name": "order_id", "text": "A-1001"}]}]})
        );
    }

    #[test]
    fn a_template_without_parameters_has_no_components() {
        let message = message(TemplateParameters::default());
        assert_eq!(
            serde_json::to_value(write(&message)).unwrap(),
            json!({"name": "order_shipped", "language": {"code": "en"}})
        );
    }

    #[test]
    fn what_the_documents_do_not_show_is_refused() {
        let marketing = TemplateMessage { category: "marketing".into(), ..message(TemplateParameters::default()) };
        assert_eq!(check(&marketing).unwrap_err().code(), "not_supported_by_channel");
        let button =
            TemplateParameters { buttons: BTreeMap::from([(0, "x".to_owned())]), ..TemplateParameters::default() };
        assert_eq!(check(&message(button)).unwrap_err().code(), "not_supported_by_channel");
        let empty =
            TemplateParameters { body: TextParameters::Positional(vec![" ".into()]), ..TemplateParameters::default() };
        assert_eq!(check(&message(empty)).unwrap_err().code(), "content_malformed");
    }

    #[rstest]
    #[case(json!([{"type": "BODY", "text": "Hi {{1}}"}]), TemplateStatus::Approved)]
    #[case(json!([{"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Hi"}]), TemplateStatus::Disabled)]
    #[case(json!([{"type": "BODY", "text": "Hi"}, {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Track", "url": "https://a.example/{{1}}"}]}]), TemplateStatus::Disabled)]
    #[case(json!([{"type": "BODY", "text": "Hi"}, {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Shop", "url": "https://a.example"}]}]), TemplateStatus::Approved)]
    fn what_cannot_be_filled_is_listed_as_disabled(#[case] components: Value, #[case] status: TemplateStatus) {
        let entry = json!({"id": "1", "name": "t", "language": "en", "status": "APPROVED", "category": "UTILITY", "components": components});
        assert_eq!(definition(&entry).unwrap().status, status);
    }
}
