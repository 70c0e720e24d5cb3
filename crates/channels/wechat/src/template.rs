//! Template messages: important notices of a service account to its followers (1.3, 2.3). Pure.

use std::collections::BTreeMap;

use transom_channel::Unsendable;
use transom_domain::template::{TemplateHeader, TextParameters};
use transom_domain::{TemplateDefinition, TemplateMessage, TemplateStatus};

use crate::wire::{Listed, Value};

/// The catalogue tells no language: what these accounts write is Chinese unless they say otherwise.
const LANGUAGE: &str = "zh_CN";
/// "Important service notices only, no marketing" (1.3).
const CATEGORY: &str = "utility";

/// Whether a send can be written, before anything leaves.
pub(crate) fn check(template: &TemplateMessage) -> Result<(), Unsendable> {
    let id = template.name.as_str();
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed("template.name", "it is the template's id in WeChat"));
    }
    if template.category != CATEGORY {
        return Err(not_supported("a template of a category other than utility"));
    }
    if template.parameters.header.is_some() || !template.parameters.buttons.is_empty() {
        return Err(not_supported("values for a template's title or buttons"));
    }
    match &template.parameters.body {
        TextParameters::Positional(values) if !values.is_empty() => {
            Err(malformed("template.parameters.body", "WeChat names its places: give the values by name"))
        }
        TextParameters::Named(values) if values.values().any(|value| value.trim().is_empty()) => {
            Err(malformed("template.parameters.body", "no value may be empty"))
        }
        TextParameters::Positional(_) | TextParameters::Named(_) => Ok(()),
    }
}

/// The values, each in an object of its own (2.3).
pub(crate) fn data(template: &TemplateMessage) -> BTreeMap<&str, Value<'_>> {
    match &template.parameters.body {
        TextParameters::Positional(_) => BTreeMap::new(),
        TextParameters::Named(values) => values.iter().map(|(name, value)| (name.as_str(), Value { value })).collect(),
    }
}

/// An entry of the catalogue: its id is its name, since titles repeat. What is listed may be sent.
pub(crate) fn definition(listed: &Listed) -> Option<TemplateDefinition> {
    let id = Some(listed.template_id.trim()).filter(|id| !id.is_empty())?;
    let title = listed.title.trim();
    Some(TemplateDefinition {
        provider_id: id.to_owned(),
        name: id.to_owned(),
        language: LANGUAGE.to_owned(),
        category: CATEGORY.to_owned(),
        status: TemplateStatus::Approved,
        provider_status: "listed".to_owned(),
        header: (!title.is_empty()).then(|| TemplateHeader::Text { text: title.to_owned() }),
        // `{{thing1.DATA}}`: the place is named `thing1`.
        body: listed.content.trim().replace(".DATA}}", "}}"),
        footer: None,
        buttons: Vec::new(),
    })
}

fn not_supported(what: &str) -> Unsendable {
    Unsendable::NotSupported { what: what.to_owned() }
}

fn malformed(field: &str, reason: &str) -> Unsendable {
    Unsendable::Malformed { field: field.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transom_domain::TemplateParameters;

    fn listed() -> Listed {
        Listed {
            template_id: "TPL_1".into(),
            title: "订单通知".into(),
            content: "订单:{{thing1.DATA}}\n时间:{{time2.DATA}}".into(),
        }
    }

    fn values(pairs: &[(&str, &str)]) -> TemplateParameters {
        let named = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        TemplateParameters { body: TextParameters::Named(named), ..TemplateParameters::default() }
    }

    #[test]
    fn places_are_filled_by_name() {
        let definition = definition(&listed()).unwrap();
        let filled = definition.fill(values(&[("thing1", "4711"), ("time2", "10:00")])).unwrap();
        assert_eq!(filled.rendered.as_deref(), Some("订单通知\n订单:4711\n时间:10:00"));
        check(&filled).unwrap();
        let data = serde_json::to_value(data(&filled)).unwrap();
        assert_eq!(data, serde_json::json!({"thing1": {"value": "4711"}, "time2": {"value": "10:00"}}));
    }

    #[test]
    fn what_wechat_would_refuse_does_not_leave() {
        let definition = definition(&listed()).unwrap();
        let filled = definition.fill(values(&[("thing1", "4711"), ("time2", "10:00")])).unwrap();
        let positional = TextParameters::Positional(vec!["4711".into()]);
        for wrong in [
            TemplateMessage { name: String::new(), ..filled.clone() },
            TemplateMessage { category: "marketing".into(), ..filled.clone() },
            TemplateMessage { parameters: values(&[("thing1", " ")]), ..filled.clone() },
            TemplateMessage {
                parameters: TemplateParameters { body: positional, ..Default::default() },
                ..filled.clone()
            },
        ] {
            assert!(check(&wrong).is_err(), "{wrong:?}");
        }
        assert!(super::definition(&Listed { template_id: " ".into(), ..listed() }).is_none());
    }
}
