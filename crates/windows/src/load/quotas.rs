//! Reads `[[quota]]`.

use toml::de::DeValue;

use super::Names;
use super::reader::{Problems, Table, Value, duration};
use crate::quota::{Counts, Per, Quota, Scope};

/// Reads one quota, whose name was taken when the names were collected.
pub(super) fn quota(name: &str, mut table: Table<'_>, names: &Names<'_>, problems: &mut Problems<'_>) -> Quota {
    let about = table.text("about", problems).map(|(text, _)| text.into()).unwrap_or_default();
    let limit = table.number("limit", problems);
    let per = per(&mut table, problems);
    let scope = scope(&mut table, problems);
    let counts = counts(&mut table, problems);
    let zone = zone(&mut table, per, problems);
    let possible = table.numbers("possible", problems);
    let reset_by = table
        .texts("reset_by", problems)
        .map(|kinds| Names::bits(&names.kinds, &kinds, "kind", problems))
        .unwrap_or_default();
    let free_within = table
        .text("free_within", problems)
        .and_then(|(grant, span)| Names::position(&names.grants, grant, &span, "grant", problems));
    table.finish(problems);
    Quota { name: name.into(), about, limit, per, scope, counts, zone, possible, reset_by, free_within }
}

fn per(table: &mut Table<'_>, problems: &mut Problems<'_>) -> Per {
    const EXPECTED: &str =
        "\"opening\", \"month\", \"day\", { rolling = \"24h\" } or { rolling_since_opening = \"1h\" }";
    let Some((value, span)) = table.take("per") else {
        problems.at(&table.span, format!("`per` is missing: {EXPECTED} is expected"));
        return Per::Opening;
    };
    match value {
        DeValue::String(text) if text == "opening" => Per::Opening,
        DeValue::String(text) if text == "month" => Per::Month,
        DeValue::String(text) if text == "day" => Per::Day,
        DeValue::Table(_) => rolling((value, span), problems),
        _ => {
            problems.at(&span, format!("`per` must be {EXPECTED}"));
            Per::Opening
        }
    }
}

fn rolling(value: Value<'_>, problems: &mut Problems<'_>) -> Per {
    let span = value.1.clone();
    let Some(mut table) = Table::of(value, "per", problems) else { return Per::Opening };
    let since_start = table.text("rolling", problems);
    let since_opening = table.text("rolling_since_opening", problems);
    table.finish(problems);
    let per = match (since_start, since_opening) {
        (Some((text, span)), None) => duration(text, &span, "rolling", problems).map(Per::Rolling),
        (None, Some((text, span))) => {
            duration(text, &span, "rolling_since_opening", problems).map(Per::RollingSinceOpening)
        }
        _ => {
            problems.at(&span, "`per` must be either `rolling` or `rolling_since_opening`");
            None
        }
    };
    per.unwrap_or(Per::Opening)
}

fn scope(table: &mut Table<'_>, problems: &mut Problems<'_>) -> Scope {
    match table.text("scope", problems) {
        Some(("identity", _)) => Scope::Identity,
        Some(("account", _)) => Scope::Account,
        Some(("group", _)) => Scope::Group,
        Some((other, span)) => {
            problems.at(&span, format!("`scope` is `{other}`: `identity`, `account` or `group` is expected"));
            Scope::Identity
        }
        None => {
            problems.at(&table.span, "`scope` is missing: `identity`, `account` or `group` is expected");
            Scope::Identity
        }
    }
}

fn counts(table: &mut Table<'_>, problems: &mut Problems<'_>) -> Counts {
    match table.text("counts", problems) {
        None | Some(("requests", _)) => Counts::Requests,
        Some(("recipients", _)) => Counts::Recipients,
        Some(("distinct_recipients", _)) => Counts::DistinctRecipients,
        Some((other, span)) => {
            let expected = "`requests`, `recipients` or `distinct_recipients` is expected";
            problems.at(&span, format!("`counts` is `{other}`: {expected}"));
            Counts::Requests
        }
    }
}

/// Seconds east of UTC: `Z`, `UTC` or `+08:00`.
fn zone(table: &mut Table<'_>, per: Per, problems: &mut Problems<'_>) -> i32 {
    let turns = matches!(per, Per::Month | Per::Day);
    let Some((text, span)) = table.text("zone", problems) else {
        if turns {
            problems
                .at(&table.span, "`zone` is missing: months and days turn somewhere, such as \"UTC\" or \"+09:00\"");
        }
        return 0;
    };
    if !turns {
        problems.at(&span, "`zone` is for quotas per month or day only");
    }
    let offset = match text {
        "UTC" | "Z" => Some(0),
        _ => offset(text),
    };
    offset.unwrap_or_else(|| {
        problems.at(&span, format!("`zone` is `{text}`: \"UTC\" or a fixed offset such as \"+09:00\" is expected"));
        0
    })
}

fn offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let digits = |text: &str, most: i32| {
        let number = (text.len() == 2).then(|| text.parse::<i32>().ok())??;
        (0..=most).contains(&number).then_some(number)
    };
    Some(sign * (digits(hours, 14)? * 3_600 + digits(minutes, 59)? * 60))
}
