//! Reads `[[grant]]`.

use time::Duration;
use toml::de::DeValue;

use super::Names;
use super::reader::{Problems, Table};
use crate::grant::{Basis, Condition, CountedFrom, Countries, Grant, standing};
use crate::moment::Moment;
use crate::policy::Bits;
use crate::vocabulary::{Category, CategorySet, Country, Sender, SenderSet};

/// How long before a grant's end sending stops, unless the policy says otherwise.
const MARGIN: Duration = Duration::seconds(5);

/// Reads one grant, whose name was taken when the names were collected.
pub(super) fn grant(name: &str, mut table: Table<'_>, names: &Names<'_>, problems: &mut Problems<'_>) -> Grant {
    let about = table.text("about", problems).map(|(text, _)| text.into()).unwrap_or_default();
    let basis = basis(&mut table, problems);
    let by = senders(&mut table, problems);
    let opened_by = table
        .texts("opened_by", problems)
        .map(|kinds| Names::bits(&names.kinds, &kinds, "kind", problems))
        .unwrap_or_default();
    let counted_from = counted_from(&mut table, opened_by != 0, problems);
    let ended_by = ended_by(&mut table, opened_by, counted_from, names, problems);
    let within = within(&mut table, opened_by != 0, problems);
    let margin = margin(&mut table, within, problems);
    let needs = condition(&mut table, "needs", names, problems);
    let unless = condition(&mut table, "unless", names, problems);
    let countries = countries(&mut table, names, problems);
    let spends = table
        .texts("spends", problems)
        .map(|quotas| Names::bits(&names.quotas, &quotas, "quota", problems))
        .unwrap_or_default();
    let billed_as = billed_as(&mut table, problems);
    let promotional = table.flag("promotional", problems).unwrap_or(true);
    let (from, until) = in_force(&mut table, problems);
    table.finish(problems);
    Grant {
        name: name.into(),
        about,
        basis,
        by,
        opened_by,
        ended_by,
        counted_from,
        within,
        margin,
        needs,
        unless,
        countries,
        spends,
        billed_as,
        promotional,
        from,
        until,
    }
}

fn basis(table: &mut Table<'_>, problems: &mut Problems<'_>) -> Basis {
    const EXPECTED: &str = "\"free_form\", \"initiated\", { tagged = \"...\" } or { template = [...] }";
    let Some((value, span)) = table.take("basis") else {
        problems.at(&table.span, format!("`basis` is missing: {EXPECTED} is expected"));
        return Basis::FreeForm;
    };
    match value {
        DeValue::String(text) if text == "free_form" => Basis::FreeForm,
        DeValue::String(text) if text == "initiated" => Basis::Initiated,
        DeValue::Table(inner) => {
            let mut inner = Table::new(inner, span.clone());
            let tag = inner.text("tagged", problems);
            let template = inner.texts("template", problems);
            inner.finish(problems);
            match (tag, template) {
                (Some((tag, _)), None) if !tag.is_empty() => Basis::Tagged { tag: tag.into() },
                (None, Some(words)) => {
                    let categories = words
                        .into_iter()
                        .filter_map(|(word, span)| {
                            word.parse::<Category>().map_err(|error| problems.at(&span, error.to_string())).ok()
                        })
                        .collect::<CategorySet>();
                    if categories.is_empty() {
                        problems.at(&span, "no message can use a template grant without a category");
                    }
                    Basis::Template { categories }
                }
                _ => {
                    problems.at(&span, format!("`basis` must be {EXPECTED}"));
                    Basis::FreeForm
                }
            }
        }
        _ => {
            problems.at(&span, format!("`basis` must be {EXPECTED}"));
            Basis::FreeForm
        }
    }
}

fn senders(table: &mut Table<'_>, problems: &mut Problems<'_>) -> SenderSet {
    let Some(words) = table.texts("by", problems) else { return SenderSet::ALL };
    let by: SenderSet = words
        .into_iter()
        .filter_map(|(word, span)| word.parse::<Sender>().map_err(|error| problems.at(&span, error.to_string())).ok())
        .collect();
    if by.is_empty() {
        problems.at(&table.span, "no message can use a grant that nobody may use: `by` is empty");
    }
    by
}

fn counted_from(table: &mut Table<'_>, opened: bool, problems: &mut Problems<'_>) -> CountedFrom {
    let expected = "`latest`, `first` or `each` is expected";
    let counted = table.text("counted_from", problems);
    match counted {
        Some((_, span)) if !opened => {
            problems.at(&span, "`counted_from` is for grants with `opened_by`");
            CountedFrom::Latest
        }
        None if opened => {
            problems.at(&table.span, format!("`counted_from` is missing: {expected}"));
            CountedFrom::Latest
        }
        None | Some(("latest", _)) => CountedFrom::Latest,
        Some(("first", _)) => CountedFrom::First,
        Some(("each", _)) => CountedFrom::Each,
        Some((other, span)) => {
            problems.at(&span, format!("`counted_from` is `{other}`: {expected}"));
            CountedFrom::Latest
        }
    }
}

fn ended_by(
    table: &mut Table<'_>,
    opened_by: Bits,
    counted_from: CountedFrom,
    names: &Names<'_>,
    problems: &mut Problems<'_>,
) -> Bits {
    let Some(kinds) = table.texts("ended_by", problems) else { return 0 };
    let ended_by = Names::bits(&names.kinds, &kinds, "kind", problems);
    if opened_by == 0 || counted_from != CountedFrom::Latest {
        problems.at(&table.span, "`ended_by` is for grants with `opened_by` that are counted from the latest event");
    }
    if ended_by & opened_by != 0 {
        problems.at(&table.span, "`ended_by` names a kind that opens the same grant");
    }
    ended_by
}

fn within(table: &mut Table<'_>, opened: bool, problems: &mut Problems<'_>) -> Option<Duration> {
    let within = table.duration("within", problems);
    if within.is_some() && !opened {
        problems.at(
            &table.span,
            "`within` is for grants with `opened_by`: without an event there is nothing to count from",
        );
    }
    within
}

/// The margin as written, at most a tenth of the span; else five seconds, or a tenth if that is less.
fn margin(table: &mut Table<'_>, within: Option<Duration>, problems: &mut Problems<'_>) -> Duration {
    let tenth = within.map_or(Duration::MAX, |within| within / 10);
    match table.duration("margin", problems) {
        None => MARGIN.min(tenth),
        Some(margin) if margin <= tenth => margin,
        Some(_) => {
            problems.at(&table.span, "`margin` is more than a tenth of `within`");
            MARGIN
        }
    }
}

/// The words of the platform; that no other grant has them is checked where all are known.
fn billed_as(table: &mut Table<'_>, problems: &mut Problems<'_>) -> Vec<Box<str>> {
    let words = table.texts("billed_as", problems).unwrap_or_default();
    for (word, span) in &words {
        if word.trim().is_empty() {
            problems.at(span, "`billed_as` lists an empty word");
        }
    }
    words.into_iter().map(|(word, _)| word.into()).collect()
}

fn condition(table: &mut Table<'_>, key: &'static str, names: &Names<'_>, problems: &mut Problems<'_>) -> Condition {
    let mut condition = Condition::default();
    for (word, span) in table.texts(key, problems).unwrap_or_default() {
        match word {
            "wrote_before" => condition.standing |= standing::WROTE_BEFORE,
            "subscribed" => condition.standing |= standing::SUBSCRIBED,
            "unsubscribed" => condition.standing |= standing::UNSUBSCRIBED,
            "consented" => condition.standing |= standing::CONSENTED,
            "opted_out:marketing" => condition.standing |= standing::OPTED_OUT_OF_MARKETING,
            _ => match word.split_once(':') {
                Some(("feature", name)) => {
                    let position = Names::position(&names.features, name, &span, "feature", problems);
                    condition.features |= position.map_or(0, |position| 1 << position);
                }
                Some(("template", category)) => match category.parse() {
                    Ok(category) => condition.templates = condition.templates.with(category),
                    Err(error) => problems.at(&span, format!("`{key}`: {error}")),
                },
                _ => problems.at(
                    &span,
                    format!(
                        "`{word}` is nothing that `{key}` can name: `wrote_before`, `subscribed`, `unsubscribed`, `consented`, \
                         `opted_out:marketing`, `feature:...` or `template:...` is expected"
                    ),
                ),
            },
        }
    }
    condition
}

fn countries(table: &mut Table<'_>, names: &Names<'_>, problems: &mut Problems<'_>) -> Option<Countries> {
    let value = table.take("countries")?;
    let span = value.1.clone();
    let mut inner = Table::of(value, "countries", problems)?;
    let only = inner.texts("only", problems);
    let except = inner.texts("except", problems);
    let of = inner.texts("of", problems);
    inner.finish(problems);
    let (words, only) = match (only, except) {
        (Some(words), None) => (words, true),
        (None, Some(words)) => (words, false),
        _ => {
            problems.at(&span, "`countries` must hold either `only` or `except`");
            return None;
        }
    };
    let mut list: Vec<Country> = Vec::new();
    for (word, span) in &words {
        match word.strip_prefix('@') {
            Some(region) => match names.regions.get(region) {
                Some(countries) => list.extend(countries),
                None => problems.at(span, format!("no region is named `{region}`")),
            },
            None => match word.parse() {
                Ok(country) => list.push(country),
                Err(error) => problems.at(span, format!("{error}")),
            },
        }
    }
    list.sort_unstable();
    list.dedup();
    if list.is_empty() {
        problems.at(&span, "`countries` lists none");
    }
    let (mut of_contact, mut of_account) = (of.is_none(), false);
    for (word, span) in of.into_iter().flatten() {
        match word {
            "contact" => of_contact = true,
            "account" => of_account = true,
            _ => problems.at(&span, format!("`of` lists `{word}`: `contact` or `account` is expected")),
        }
    }
    if !of_contact && !of_account {
        problems.at(&span, "`of` lists neither `contact` nor `account`");
    }
    Some(Countries { list, only, of_contact, of_account })
}

fn in_force(table: &mut Table<'_>, problems: &mut Problems<'_>) -> (Option<Moment>, Option<Moment>) {
    let Some(value) = table.take("in_force") else { return (None, None) };
    let span = value.1.clone();
    let Some(mut inner) = Table::of(value, "in_force", problems) else { return (None, None) };
    let (from, until) = (inner.instant("from", problems), inner.instant("until", problems));
    inner.finish(problems);
    if from.is_some() && until.is_some() && from >= until {
        problems.at(&span, "no message can use a grant whose `in_force` ends before it begins");
    }
    (from, until)
}
