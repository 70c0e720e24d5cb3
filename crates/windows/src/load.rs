//! From a TOML file to the rules of a policy: everything wrong is reported at once, with its line.

mod check;
mod grants;
mod quotas;
mod reader;

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeTable;

use crate::grant::standing;
use crate::policies::PolicyError;
use crate::policy::{Bits, Feature, Kind, RefusalEnds, Rules, Source};
use crate::vocabulary::{Country, one_of};
use reader::{Problems, Table};

/// How many names of a kind a policy may declare: one bit each.
const MOST_NAMES: usize = 64;

/// Reads and checks one policy file.
pub(crate) fn policy(file: &str, text: &str) -> Result<Rules, PolicyError> {
    let mut problems = Problems::new(file, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        problems.at(&error.span().unwrap_or(0..0), error.message());
    }
    if !problems.is_empty() {
        return Err(PolicyError::new(problems.into_list()));
    }
    let rules = read(Table::new(document.get_ref(), 0..0), text, &mut problems);
    if problems.is_empty() { Ok(rules) } else { Err(PolicyError::new(problems.into_list())) }
}

/// What the sections of a file name, with their places, for the sections that refer to them.
#[derive(Default)]
struct Names<'t> {
    kinds: Vec<(&'t str, Range<usize>)>,
    features: Vec<(&'t str, Range<usize>)>,
    quotas: Vec<(&'t str, Range<usize>)>,
    grants: Vec<(&'t str, Range<usize>)>,
    regions: BTreeMap<&'t str, Vec<Country>>,
}

impl Names<'_> {
    /// The bits of the names listed; those not declared are problems.
    fn bits(
        declared: &[(&str, Range<usize>)],
        listed: &[(&str, Range<usize>)],
        what: &str,
        problems: &mut Problems<'_>,
    ) -> Bits {
        listed
            .iter()
            .filter_map(|(name, span)| Self::position(declared, name, span, what, problems))
            .fold(0, |bits, position| bits | 1 << position)
    }

    fn position(
        declared: &[(&str, Range<usize>)],
        name: &str,
        span: &Range<usize>,
        what: &str,
        problems: &mut Problems<'_>,
    ) -> Option<usize> {
        let position = declared.iter().position(|(known, _)| *known == name);
        if position.is_none() {
            let known = one_of(declared.iter().map(|(known, _)| *known));
            problems.at(span, format!("no {what} is named `{name}`: {known} is expected"));
        }
        position
    }
}

fn read(mut file: Table<'_>, text: &str, problems: &mut Problems<'_>) -> Rules {
    let mut names = Names::default();
    let name = file.required_text("name", problems);
    let platform = file.required_text("platform", problems);
    let version = file.required_text("version", problems);
    let about = file.required_text("about", problems);
    let sources = sources(&mut file, problems);
    let refusal_ends = refusal_ends(&mut file, problems);
    regions(&mut file, &mut names, problems);
    let kinds = kinds(&mut file, &mut names, problems);
    let features = features(&mut file, &mut names, problems);

    let mut quota_tables = sections(&mut file, "quota", problems);
    let mut grant_tables = sections(&mut file, "grant", problems);
    names.quotas = section_names(&mut quota_tables, "quota", problems);
    names.grants = section_names(&mut grant_tables, "grant", problems);
    file.finish(problems);

    let quotas = names.quotas.iter().zip(quota_tables);
    let quotas = quotas.map(|((name, _), table)| quotas::quota(name, table, &names, problems)).collect();
    let grants = names.grants.iter().zip(grant_tables);
    let grants = grants.map(|((name, _), table)| grants::grant(name, table, &names, problems)).collect();
    let mut rules = Rules {
        name,
        platform,
        version,
        about,
        sources,
        kinds,
        features,
        quotas,
        grants,
        refusal_ends,
        text: text.into(),
    };
    // What contradicts itself is only looked for where every part could be read.
    if problems.is_empty() {
        check::check(&mut rules, &names, problems);
    }
    rules
}

fn sources(file: &mut Table<'_>, problems: &mut Problems<'_>) -> Vec<Source> {
    let Some((value, span)) = file.take("sources") else {
        problems.at(&file.span, "`sources` is missing: a rule names the document it was read in");
        return Vec::new();
    };
    let Some(array) = value.as_array().filter(|array| !array.is_empty()) else {
        problems.at(&span, "`sources` must be a list of tables with a `document` each, at least one");
        return Vec::new();
    };
    let mut sources = Vec::new();
    for item in array {
        let Some(mut table) = Table::of((item.get_ref(), item.span()), "sources", problems) else { continue };
        sources.push(Source {
            document: table.required_text("document", problems),
            sheet: table.text("sheet", problems).map(|(text, _)| text.into()),
            read: table.text("read", problems).map(|(text, _)| text.into()),
        });
        table.finish(problems);
    }
    sources
}

fn refusal_ends(file: &mut Table<'_>, problems: &mut Problems<'_>) -> RefusalEnds {
    match file.text("a_refusal_ends", problems) {
        None | Some(("its_grant", _)) => RefusalEnds::ItsGrant,
        Some(("every_opening", _)) => RefusalEnds::EveryOpening,
        Some((other, span)) => {
            let reason = format!("`a_refusal_ends` is `{other}`: `its_grant` or `every_opening` is expected");
            problems.at(&span, reason);
            RefusalEnds::ItsGrant
        }
    }
}

/// Lists of countries that grants refer to as `@name`.
fn regions<'t>(file: &mut Table<'t>, names: &mut Names<'t>, problems: &mut Problems<'_>) {
    let Some(regions) = file.take("regions").and_then(|value| Table::of(value, "regions", problems)) else { return };
    for (name, _, (value, span)) in regions.into_entries() {
        let countries = reader::list(value, span, name, problems)
            .into_iter()
            .filter_map(|(text, span)| {
                text.parse().map_err(|error: crate::UnknownWord| problems.at(&span, error.to_string())).ok()
            })
            .collect();
        names.regions.insert(name, countries);
    }
}

fn kinds<'t>(file: &mut Table<'t>, names: &mut Names<'t>, problems: &mut Problems<'_>) -> Vec<Kind> {
    let Some(section) = file.take("kinds").and_then(|value| Table::of(value, "kinds", problems)) else {
        problems.at(&file.span, "`kinds` is missing: a policy names the kinds of events it knows");
        return Vec::new();
    };
    let entries: Vec<_> = section.into_entries().collect();
    names.kinds = entries.iter().map(|(name, span, _)| (*name, span.clone())).collect();
    too_many(&names.kinds, "kinds", problems);
    let mut kinds = Vec::new();
    for (name, _, value) in entries {
        check_name(name, &value.1, problems);
        let Some(mut table) = Table::of(value, name, problems) else { continue };
        let mut implies = 0;
        for (word, span) in table.texts("implies", problems).unwrap_or_default() {
            match word {
                "wrote_before" => implies |= standing::WROTE_BEFORE,
                "subscribed" => implies |= standing::SUBSCRIBED,
                "reachable" => implies |= standing::REACHABLE,
                _ => problems.at(&span, format!("`{word}` is nothing that an event implies: `wrote_before`, `subscribed` or `reachable` is expected")),
            }
        }
        let after_send = table
            .text("after_a_message_of_ours", problems)
            .and_then(|(kind, span)| Names::position(&names.kinds, kind, &span, "kind", problems));
        let about = table.text("about", problems).map(|(text, _)| text.into()).unwrap_or_default();
        table.finish(problems);
        kinds.push(Kind { name: name.into(), about, implies, after_send, needs_ref: false, session: None });
    }
    kinds
}

fn features<'t>(file: &mut Table<'t>, names: &mut Names<'t>, problems: &mut Problems<'_>) -> Vec<Feature> {
    let Some(section) = file.take("features").and_then(|value| Table::of(value, "features", problems)) else {
        return Vec::new();
    };
    let mut features = Vec::new();
    for (name, span, (value, value_span)) in section.into_entries() {
        check_name(name, &span, problems);
        names.features.push((name, span));
        match value.as_str() {
            Some(about) => features.push(Feature { name: name.into(), about: about.into() }),
            None => problems.at(&value_span, format!("`{name}` must be a text that says what the feature is")),
        }
    }
    too_many(&names.features, "features", problems);
    features
}

/// The tables of `[[quota]]` or `[[grant]]`.
fn sections<'t>(file: &mut Table<'t>, key: &'static str, problems: &mut Problems<'_>) -> Vec<Table<'t>> {
    let Some((value, span)) = file.take(key) else { return Vec::new() };
    let Some(array) = value.as_array() else {
        problems.at(&span, format!("`{key}` must be written as [[{key}]]"));
        return Vec::new();
    };
    array.iter().filter_map(|item| Table::of((item.get_ref(), item.span()), key, problems)).collect()
}

fn section_names<'t>(
    tables: &mut [Table<'t>],
    what: &str,
    problems: &mut Problems<'_>,
) -> Vec<(&'t str, Range<usize>)> {
    let mut names: Vec<(&str, Range<usize>)> = Vec::new();
    for table in tables {
        let (name, span) = table.text("name", problems).unwrap_or_else(|| {
            problems.at(&table.span, format!("this {what} has no `name`"));
            ("", table.span.clone())
        });
        check_name(name, &span, problems);
        if !name.is_empty() && names.iter().any(|(known, _)| *known == name) {
            problems.at(&span, format!("two {what}s are named `{name}`"));
        }
        names.push((name, span));
    }
    too_many(&names, what, problems);
    names
}

fn check_name(name: &str, span: &Range<usize>, problems: &mut Problems<'_>) {
    let good = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !good || name.len() > 64 {
        problems.at(span, format!("`{name}` is no name: up to 64 small letters, digits and `_` are expected"));
    }
}

fn too_many(names: &[(&str, Range<usize>)], what: &str, problems: &mut Problems<'_>) {
    if let Some((_, span)) = names.get(MOST_NAMES) {
        problems.at(span, format!("more than {MOST_NAMES} {what}"));
    }
}
