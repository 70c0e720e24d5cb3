//! The rules of the policies as a Markdown page, for docs/rules.md.

use std::fmt::Write;

use time::{Duration, OffsetDateTime};

use crate::grant::{Basis, Condition, CountedFrom, Grant, category_list, standing};
use crate::permit::rfc3339;
use crate::policies::Policies;
use crate::policy::{Policy, Rules};
use crate::quota::{Counts, Per, Quota};
use crate::vocabulary::{CategorySet, SenderSet, one_of};

/// All rules of all policies as Markdown, generated from the policy files: nothing here is written by hand.
///
/// ```
/// use transom_windows::{Policies, rules_table};
///
/// let page = rules_table(&Policies::builtin()?);
/// assert!(page.contains("| `customer_service` |"));
/// # Ok::<(), transom_windows::PolicyError>(())
/// ```
pub fn rules_table(policies: &Policies) -> String {
    let mut page = String::from(
        "# What may be sent\n\n\
         Generated from the policy files by `cargo run -p transom-windows --example rules_table`. \
         The grants of a policy stand in the order in which a sender should prefer them.\n",
    );
    for policy in policies.iter() {
        // Writing to a String does not fail.
        let _ = section(&mut page, policy);
    }
    page
}

fn section(page: &mut String, policy: &Policy) -> std::fmt::Result {
    let rules = &policy.0;
    write!(page, "\n## {}\n\n{}", policy.name(), policy.about())?;
    if policy.name() != policy.platform() {
        write!(page, " A policy of the platform `{}`.", policy.platform())?;
    }
    writeln!(page, " Version {}.\n", policy.version())?;
    writeln!(page, "| Grant | What | Who | Opened by | Lasts | Needs | Counts | Promotion | In force |")?;
    writeln!(page, "|---|---|---|---|---|---|---|---|---|")?;
    for grant in policy.grants() {
        let cells = [
            format!("`{}`", grant.name()),
            format!("{}: {}", basis(grant), grant.about()),
            senders(grant.by()),
            opened(rules, grant),
            lasts(grant),
            needs(rules, grant),
            list(policy.spent_by(grant).map(|quota| format!("`{}`", quota.name()))),
            if grant.promotional() { "yes" } else { "no" }.to_owned(),
            in_force(grant),
        ];
        writeln!(page, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))?;
    }
    if !policy.quotas().is_empty() {
        writeln!(page, "\n| Quota | Limit | Counted | What |\n|---|---|---|---|")?;
        for quota in policy.quotas() {
            let name = quota.name();
            writeln!(page, "| `{name}` | {} | {} | {} |", limit(quota), counted(rules, quota), quota.about())?;
        }
    }
    write!(page, "\nEvents: ")?;
    let kinds = policy.kinds().iter().map(|kind| match kind.about() {
        "" => format!("`{}`", kind.name()),
        about => format!("`{}` ({about})", kind.name()),
    });
    writeln!(page, "{}.", list(kinds))?;
    if !policy.features().is_empty() {
        writeln!(page, "\nFeatures:\n")?;
        for feature in policy.features() {
            writeln!(page, "- `{}`: {}", feature.name(), feature.about())?;
        }
    }
    writeln!(page, "\nSources:\n")?;
    for source in policy.sources() {
        let sheet = source.sheet.as_deref().map(|sheet| format!("; fact sheet {sheet}")).unwrap_or_default();
        let read = source.read.as_deref().map(|read| format!(", read {read}")).unwrap_or_default();
        writeln!(page, "- {}{read}{sheet}", source.document)?;
    }
    Ok(())
}

fn basis(grant: &Grant) -> String {
    match grant.basis() {
        Basis::FreeForm => "free text".to_owned(),
        Basis::Tagged { tag } => format!("tagged `{tag}`"),
        Basis::Template { categories } => format!("template, {}", category_list(*categories)),
        Basis::Initiated => "free text, booked as started by the business".to_owned(),
    }
}

fn senders(by: SenderSet) -> String {
    if by == SenderSet::ALL { "anyone".to_owned() } else { list(by.iter().map(|sender| sender.to_string())) }
}

fn opened(rules: &Rules, grant: &Grant) -> String {
    let kinds = one_of(rules.kind_names(grant.opened_by));
    match grant.counted_from() {
        None => "-".to_owned(),
        Some(CountedFrom::Latest) if grant.ended_by != 0 => {
            format!("the latest {kinds}, unless {} came later", one_of(rules.kind_names(grant.ended_by)))
        }
        Some(CountedFrom::Latest) => format!("the latest {kinds}"),
        Some(CountedFrom::First) => format!("the {kinds} that found it closed"),
        Some(CountedFrom::Each) => format!("each {kinds}"),
    }
}

fn lasts(grant: &Grant) -> String {
    let margin = format!("sending stops {} before", span(grant.margin()));
    match grant.within() {
        Some(within) => format!("{}; {margin}", span(within)),
        None => "no end".to_owned(),
    }
}

fn needs(rules: &Rules, grant: &Grant) -> String {
    let needs = conditions(rules, &grant.needs).map(|word| format!("`{word}`"));
    let unless = conditions(rules, &grant.unless).map(|word| format!("not `{word}`"));
    let countries = grant.countries.iter().map(|countries| {
        let sign = if countries.only { "only in" } else { "not in" };
        format!("{sign} {}", list(countries.list.iter().map(ToString::to_string)))
    });
    list(needs.chain(unless).chain(countries))
}

fn conditions(rules: &Rules, condition: &Condition) -> impl Iterator<Item = String> {
    let Condition { standing: bits, features, templates } = *condition;
    let known = [
        (standing::WROTE_BEFORE, "wrote_before"),
        (standing::SUBSCRIBED, "subscribed"),
        (standing::UNSUBSCRIBED, "unsubscribed"),
        (standing::CONSENTED, "consented"),
        (standing::OPTED_OUT_OF_MARKETING, "opted_out:marketing"),
    ];
    let standing = known.into_iter().filter(move |(bit, _)| bits & bit != 0).map(|(_, name)| name.to_owned());
    let features = rules.feature_names(features).map(|name| format!("feature:{name}"));
    let templates = CategorySet::iter(templates).map(|category| format!("template:{category}"));
    standing.chain(features).chain(templates)
}

fn limit(quota: &Quota) -> String {
    let limit = quota.limit().map_or("the account's".to_owned(), |limit| limit.to_string());
    match quota.possible() {
        [] => limit,
        possible => format!("{limit}; possible: {}", list(possible.iter().map(ToString::to_string))),
    }
}

fn counted(rules: &Rules, quota: &Quota) -> String {
    let what = match quota.counts() {
        Counts::Requests => "requests",
        Counts::Recipients => "recipients",
        Counts::DistinctRecipients => "people",
    };
    let per = match quota.per() {
        Per::Opening => "with each opening".to_owned(),
        Per::Month => format!("a calendar month at {}", zone(quota.zone_seconds())),
        Per::Day => format!("a day at {}", zone(quota.zone_seconds())),
        Per::Rolling(length) => format!("any {}", span(length)),
        Per::RollingSinceOpening(length) => {
            format!("any {} since the latest {}", span(length), one_of(rules.kind_names(quota.reset_by)))
        }
    };
    let free = quota.free_within.and_then(|grant| rules.grants.get(grant));
    let free = free.map(|grant| format!(", but not while `{}` is open", grant.name)).unwrap_or_default();
    format!("{what}, {per}, per {}{free}", quota.scope().as_str())
}

fn zone(seconds: i32) -> String {
    if seconds == 0 {
        return "UTC".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn in_force(grant: &Grant) -> String {
    let text = |word: &str, at: Option<OffsetDateTime>| at.map(|at| format!("{word} {}", rfc3339(at)));
    let parts = [text("from", grant.in_force_from()), text("until", grant.in_force_until())];
    match list(parts.into_iter().flatten()).as_str() {
        "-" => "always".to_owned(),
        parts => parts.to_owned(),
    }
}

/// `24 h`, `7 d`, `50 s`.
fn span(span: Duration) -> String {
    let seconds = span.whole_seconds();
    match seconds {
        _ if span.subsec_milliseconds() != 0 => format!("{} ms", span.whole_milliseconds()),
        _ if seconds % 86_400 == 0 && seconds > 2 * 86_400 => format!("{} d", seconds / 86_400),
        _ if seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        _ if seconds % 60 == 0 && seconds > 60 => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}
