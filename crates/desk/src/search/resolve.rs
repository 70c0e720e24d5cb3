//! From the clauses of a search to the conditions of a query.

use std::str::FromStr;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime};
use transom_domain::{CustomField, FieldKind, FieldValue, Tab, field_key, truncate_to_millis};
use transom_storage::{
    Comparison, ContactCondition, ConversationCondition, FieldTest, Filter, Find, FindBy, StatusFilter, WindowState,
};
use uuid::Uuid;

use super::fields::{Field, Subject};
use super::names::Names;
use super::text::{Clause, SearchText, Word, custom};
use super::{Problem, SearchError};

/// The longest span that counts: a hundred years.
const LONGEST: i64 = 36_500 * 86_400;

pub(super) fn conversations(
    search: &SearchText,
    names: &Names,
) -> Result<Vec<Filter<ConversationCondition>>, SearchError> {
    let mut filters = Vec::with_capacity(search.clauses.len());
    for clause in &search.clauses {
        match clause {
            Clause::Words(word) => filters.push(Filter::is(ConversationCondition::Contact(found(word, names)))),
            Clause::Field { holds, field, values, .. } => {
                let condition = conversation_condition(*field, values, names)?;
                filters.extend(condition.map(|condition| Filter { holds: *holds, condition }));
            }
            Clause::Custom { holds, name, values } => {
                let condition = ConversationCondition::Contact(filled(name, values, names)?);
                filters.push(Filter { holds: *holds, condition });
            }
        }
    }
    Ok(filters)
}

pub(super) fn contacts(search: &SearchText, names: &Names) -> Result<Vec<Filter<ContactCondition>>, SearchError> {
    let mut filters = Vec::with_capacity(search.clauses.len());
    for clause in &search.clauses {
        filters.push(match clause {
            Clause::Words(word) => Filter::is(found(word, names)),
            Clause::Field { holds, field, values, at } => {
                let Some(condition) = contact_condition(*field, values, names)? else {
                    return Err(SearchError::new(at.0, Problem::NotOf(*field, Subject::Contacts)));
                };
                Filter { holds: *holds, condition }
            }
            Clause::Custom { holds, name, values } => Filter { holds: *holds, condition: filled(name, values, names)? },
        });
    }
    Ok(filters)
}

/// `None` where the value leaves everything as it is.
fn conversation_condition(
    field: Field,
    values: &[Word],
    names: &Names,
) -> Result<Option<ConversationCondition>, SearchError> {
    use ConversationCondition as C;
    let Some(value) = values.first() else { return Ok(None) };
    Ok(Some(match field {
        Field::Inbox => match one_of(field, value, INBOXES)? {
            Whose::Mine => C::Agent(vec![names.me]),
            Whose::Unassigned => C::Unassigned,
            Whose::Team => C::Team(names.own_teams.clone()),
            Whose::All => return Ok(None),
        },
        Field::Tab => C::Tab(tabs(field, values, TABS)?),
        Field::Status => C::Tab(tabs(field, values, STATUSES)?),
        Field::Platform => C::Platform(platforms(values, names)?),
        Field::Channel => C::Account(named(field, values, &names.channels)?),
        Field::Assignee => match values {
            [nobody] if nobody.text.eq_ignore_ascii_case("none") => C::Unassigned,
            _ => C::Agent(agents(values, names)?),
        },
        Field::Team => C::Team(named(field, values, &names.teams)?),
        Field::Tag => C::Tag(tags(values, names)?),
        Field::Score => C::Score(scores(values)?),
        Field::Window => C::Window(one_of(field, value, WINDOWS)?),
        Field::ClosingWithin => {
            let span = span(&value.text).ok_or_else(|| SearchError::value(field, value, SPANS))?;
            C::ClosingBefore(names.now.saturating_add(span))
        }
        Field::InboundBefore => C::InboundBefore(instant(field, value, names.now)?),
        Field::InboundAfter => C::InboundAfter(instant(field, value, names.now)?),
        Field::Contact
        | Field::Label
        | Field::Blocked
        | Field::Name
        | Field::Email
        | Field::Phone
        | Field::Username
        | Field::Id => return Ok(contact_condition(field, values, names)?.map(C::Contact)),
    }))
}

/// `None` where contacts have no such field.
fn contact_condition(field: Field, values: &[Word], names: &Names) -> Result<Option<ContactCondition>, SearchError> {
    use ContactCondition as C;
    let Some(value) = values.first() else { return Ok(None) };
    let find = |by| C::Found(values.iter().map(|word| find(by, &word.text, names)).collect());
    Ok(Some(match field {
        Field::Contact => C::Id(ids(field, values)?),
        Field::Platform => C::Platform(platforms(values, names)?),
        Field::Channel => C::Account(named(field, values, &names.channels)?),
        Field::Label => C::Label(values.iter().map(|word| word.text.clone()).collect()),
        Field::Blocked => C::Blocked(one_of(field, value, ANSWERS)?),
        Field::Name => find(FindBy::Name),
        Field::Email => find(FindBy::Email),
        Field::Phone => {
            for word in values {
                if word.text.chars().filter(char::is_ascii_digit).count() < 4 {
                    return Err(SearchError::value(field, word, "give 4 of its last digits at least"));
                }
            }
            find(FindBy::Phone)
        }
        Field::Username => find(FindBy::Username),
        Field::Id => find(FindBy::Id),
        Field::Inbox
        | Field::Tab
        | Field::Status
        | Field::Assignee
        | Field::Team
        | Field::Tag
        | Field::Score
        | Field::Window
        | Field::ClosingWithin
        | Field::InboundBefore
        | Field::InboundAfter => return Ok(None),
    }))
}

fn scores(values: &[Word]) -> Result<Vec<u8>, SearchError> {
    let score = |word: &Word| {
        let score = word.text.parse().ok().filter(|score| (1..=10).contains(score));
        score.ok_or_else(|| SearchError::value(Field::Score, word, "give a number from 1 to 10"))
    };
    values.iter().map(score).collect()
}

#[derive(Debug, Clone, Copy)]
enum Whose {
    Mine,
    Unassigned,
    Team,
    All,
}

const INBOXES: &[(&str, Whose)] =
    &[("mine", Whose::Mine), ("unassigned", Whose::Unassigned), ("team", Whose::Team), ("all", Whose::All)];
const TABS: &[(&str, &[Tab])] = &[
    ("open", &[Tab::Open]),
    ("assigned", &[Tab::Assigned]),
    ("snoozed", &[Tab::Snoozed]),
    ("closed", &[Tab::Closed]),
    ("all", &Tab::ALL),
];
const STATUSES: &[(&str, &[Tab])] = &[
    ("open", StatusFilter::Open.tabs()),
    ("snoozed", StatusFilter::Snoozed.tabs()),
    ("closed", StatusFilter::Closed.tabs()),
    ("all", &Tab::ALL),
];
const WINDOWS: &[(&str, WindowState)] = &[("open", WindowState::Open), ("closed", WindowState::Closed)];
const ANSWERS: &[(&str, bool)] = &[("yes", true), ("no", false), ("true", true), ("false", false)];
const SPANS: &str = "give a span such as 30m, 12h, 7d or 2w";

/// The value that a word of a closed set stands for.
fn one_of<T: Copy>(field: Field, word: &Word, known: &[(&str, T)]) -> Result<T, SearchError> {
    let found = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word.text));
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| SearchError::value(field, word, choice(known.iter().map(|(name, _)| *name))))
}

/// `use one of …`, as far as they are few.
fn choice<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [] => "there is none in this workspace".to_owned(),
        few if few.len() <= 20 => format!("use one of {}", few.join(", ")),
        many => format!("use one of the {} that there are", many.len()),
    }
}

fn tabs(field: Field, values: &[Word], known: &[(&str, &[Tab])]) -> Result<Vec<Tab>, SearchError> {
    let mut tabs = Vec::new();
    for word in values {
        tabs.extend(one_of(field, word, known)?);
    }
    Ok(tabs)
}

/// Names that are what they stand for.
fn among(field: Field, values: &[Word], known: &[String]) -> Result<Vec<String>, SearchError> {
    let mut found = Vec::with_capacity(values.len());
    for word in values {
        // As it is written, or else whatever the case.
        let exact = known.iter().find(|name| **name == word.text);
        let name = exact.or_else(|| known.iter().find(|name| name.to_lowercase() == word.text.to_lowercase()));
        let expected = || SearchError::value(field, word, choice(known.iter().map(String::as_str)));
        found.push(name.ok_or_else(expected)?.clone());
    }
    Ok(found)
}

fn platforms(values: &[Word], names: &Names) -> Result<Vec<String>, SearchError> {
    among(Field::Platform, values, &names.platforms)
}

fn tags(values: &[Word], names: &Names) -> Result<Vec<String>, SearchError> {
    among(Field::Tag, values, &names.tags)
}

/// By id or by name; a name that several have stands for all of them.
fn named<T: Copy + Into<Uuid>>(field: Field, values: &[Word], known: &[(T, String)]) -> Result<Vec<T>, SearchError> {
    let mut found = Vec::new();
    for word in values {
        let (id, name) = (Uuid::from_str(&word.text).ok(), word.text.to_lowercase());
        let is_meant = |(known, called): &&(T, String)| match id {
            Some(id) => (*known).into() == id,
            None => called.to_lowercase() == name,
        };
        let before = found.len();
        found.extend(known.iter().filter(is_meant).map(|(id, _)| *id));
        if found.len() == before {
            return Err(SearchError::value(field, word, choice(known.iter().map(|(_, name)| name.as_str()))));
        }
    }
    Ok(found)
}

fn agents(values: &[Word], names: &Names) -> Result<Vec<transom_domain::AgentId>, SearchError> {
    let mut found = Vec::new();
    for word in values {
        match word.text.to_lowercase().as_str() {
            "me" => found.push(names.me),
            "none" => return Err(SearchError::value(Field::Assignee, word, "`none` stands alone")),
            _ => found.extend(named(Field::Assignee, std::slice::from_ref(word), &names.agents)?),
        }
    }
    Ok(found)
}

fn ids<T: From<Uuid>>(field: Field, values: &[Word]) -> Result<Vec<T>, SearchError> {
    let id = |word: &Word| {
        Uuid::from_str(&word.text).map(T::from).map_err(|_| SearchError::value(field, word, "give an id"))
    };
    values.iter().map(id).collect()
}

/// `90s`, `30m`, `12h`, `7d`, `2w`.
fn span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    let number: u32 = number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    let seconds = i64::from(number).saturating_mul(seconds);
    (1..=LONGEST).contains(&seconds).then(|| Duration::seconds(seconds))
}

/// An instant, the beginning of a day in UTC, or so long ago.
fn instant(field: Field, word: &Word, now: OffsetDateTime) -> Result<OffsetDateTime, SearchError> {
    const EXPECTED: &str =
        "give a day such as 2026-11-20, an instant such as 2026-11-20T12:00:00Z, or how long ago, such as 7d";
    let text = word.text.as_str();
    let of_day =
        || Date::parse(text, format_description!("[year]-[month]-[day]")).ok().map(|day| day.midnight().assume_utc());
    let of_instant =
        || OffsetDateTime::parse(text, &Rfc3339).ok().and_then(|at| at.checked_to_offset(time::UtcOffset::UTC));
    let ago = || span(text).map(|span| now.saturating_sub(span));
    let at = ago().or_else(of_day).or_else(of_instant).filter(|at| (1970..=9_999).contains(&at.year()));
    at.map(truncate_to_millis).ok_or_else(|| SearchError::value(field, word, EXPECTED))
}

/// The signs of comparisons, the longer ones first.
const COMPARISONS: [Comparison; 4] = [Comparison::AtMost, Comparison::AtLeast, Comparison::Less, Comparison::More];

/// What a custom field must hold.
fn filled(name: &Word, values: &[Word], names: &Names) -> Result<ContactCondition, SearchError> {
    let known = names.custom_fields.iter().find(|field| field_key(&field.name) == field_key(&name.text));
    let Some(field) = known else {
        let expected = choice(names.custom_fields.iter().map(|field| field.name.as_str()));
        return Err(SearchError::new(name.at.0, Problem::UnknownCustom { name: name.text.clone(), expected }));
    };
    let compares = matches!(field.kind, FieldKind::Number | FieldKind::Date);
    let compared = |word: &Word| {
        let sign = COMPARISONS.into_iter().find(|comparison| word.text.starts_with(comparison.sign()));
        sign.filter(|_| compares)
    };
    let test = match values {
        [word] if let Some(how) = compared(word) => {
            let text = word.text.get(how.sign().len()..).unwrap_or_default();
            FieldTest::Compared(how, typed(field, word, text)?)
        }
        _ => {
            if let Some(word) = values.iter().find(|word| compared(word).is_some()) {
                return Err(SearchError::value_of(&custom(&field.name), word, "a comparison stands alone"));
            }
            let values = values.iter().map(|word| typed(field, word, &word.text));
            FieldTest::OneOf(values.collect::<Result<_, _>>()?)
        }
    };
    Ok(ContactCondition::Field(field.id, test))
}

/// A value as the field takes it.
fn typed(field: &CustomField, word: &Word, text: &str) -> Result<FieldValue, SearchError> {
    let expected = match field.read_text(text) {
        Ok(Some(value)) => return Ok(value),
        Ok(None) => "give a value behind the sign".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(SearchError::value_of(&custom(&field.name), word, expected))
}

fn found(word: &Word, names: &Names) -> ContactCondition {
    ContactCondition::Found(vec![find(FindBy::Anything, &word.text, names)])
}

fn find(by: FindBy, text: &str, names: &Names) -> Find {
    let may_be_a_number = matches!(by, FindBy::Anything | FindBy::Phone);
    let number = may_be_a_number.then(|| national(text, names.country.as_deref()?)).flatten();
    Find { by, text: text.to_owned(), number }
}

/// The digits of the international number that people of a country mean by a text; `None` if it is none.
fn national(text: &str, country: &str) -> Option<String> {
    let is_number = text.chars().all(|c| c.is_ascii_digit() || " +-()./\u{a0}".contains(c));
    if !is_number || text.chars().filter(char::is_ascii_digit).count() < 4 {
        return None;
    }
    let region: Region = country.to_uppercase().parse().ok()?;
    let number = PHONE_NUMBER_UTIL.parse(text, Some(region)).ok()?;
    // Possible, not valid: platforms know numbers that no plan lists yet.
    let possible = PHONE_NUMBER_UTIL.is_possible_number(&number);
    possible.then(|| PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).trim_start_matches('+').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;
    use transom_domain::{AgentId, TeamId, UuidV7};

    const NOW: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

    fn names() -> Names {
        let ids = &UuidV7;
        Names {
            agents: vec![(AgentId::new(ids), "Ada".into()), (AgentId::new(ids), "Bob Ray".into())],
            teams: vec![(TeamId::new(ids), "Billing".into())],
            own_teams: vec![TeamId::new(ids)],
            platforms: vec!["whatsapp".into(), "telegram".into()],
            tags: vec!["refund".into()],
            country: Some("RU".into()),
            ..Names::of(AgentId::new(ids), NOW)
        }
    }

    fn read(text: &str) -> Vec<Filter<ConversationCondition>> {
        super::super::conversations(text, &names()).unwrap()
    }

    fn refused(text: &str) -> String {
        super::super::conversations(text, &names()).unwrap_err().to_string()
    }

    #[test]
    fn clauses_become_conditions() {
        use ConversationCondition as C;
        assert_eq!(read("tab:open,closed"), [Filter::is(C::Tab(vec![Tab::Open, Tab::Closed]))]);
        assert_eq!(read("-status:open"), [Filter::is_not(C::Tab(vec![Tab::Open, Tab::Assigned]))]);
        assert_eq!(read("inbox:all"), []);
        assert_eq!(read("assignee:none"), [Filter::is(C::Unassigned)]);
        assert_eq!(read("-score:1,2"), [Filter::is_not(C::Score(vec![1, 2]))]);
        assert_eq!(read("closing_within:2h"), [Filter::is(C::ClosingBefore(NOW + Duration::hours(2)))]);
        assert_eq!(read("inbound_before:7d"), [Filter::is(C::InboundBefore(NOW - Duration::days(7)))]);
        let midnight = datetime!(2026-11-19 00:00 UTC);
        assert_eq!(read("inbound_after:2026-11-19"), [Filter::is(C::InboundAfter(midnight))]);
        assert_eq!(read("inbound_after:2026-11-19T01:00:00+01:00"), [Filter::is(C::InboundAfter(midnight))]);
        assert_eq!(read("platform:WhatsApp"), [Filter::is(C::Platform(vec!["whatsapp".into()]))]);
        assert_eq!(
            read("label:VIP blocked:no"),
            [
                Filter::is(C::Contact(ContactCondition::Label(vec!["VIP".into()]))),
                Filter::is(C::Contact(ContactCondition::Blocked(false))),
            ]
        );
    }

    #[test]
    fn names_stand_for_ids() {
        let names = names();
        let read = |text: &str| super::super::conversations(text, &names).unwrap();
        let agents = vec![names.me, names.agents[1].0];
        assert_eq!(read("assignee:me,\"bob ray\""), [Filter::is(ConversationCondition::Agent(agents))]);
        let text = format!("assignee:{}", names.agents[0].0.uuid());
        assert_eq!(read(&text), [Filter::is(ConversationCondition::Agent(vec![names.agents[0].0]))]);
        assert_eq!(read("inbox:team"), [Filter::is(ConversationCondition::Team(names.own_teams.clone()))]);
        assert_eq!(read("team:billing"), [Filter::is(ConversationCondition::Team(vec![names.teams[0].0]))]);
    }

    #[test]
    fn unknown_values_say_what_there_is() {
        assert_eq!(
            refused("tab:opne"),
            "at character 5: `opne` is no value of `tab`: use one of open, assigned, snoozed, closed, all"
        );
        assert!(refused("platform:whatsapp,fax").starts_with("at character 19: `fax` is no value of `platform`"));
        assert!(refused("assignee:carl").ends_with("use one of Ada, Bob Ray"));
        assert!(refused("channel:x").ends_with("there is none in this workspace"));
        for wrong in [
            "closing_within:2",
            "closing_within:0h",
            "closing_within:h",
            "closing_within:+1h",
            "closing_within:9999999999w",
        ] {
            assert!(refused(wrong).contains("give a span"), "{wrong}");
        }
        for wrong in ["inbound_before:2026-13-01", "inbound_before:yesterday", "inbound_before:0001-01-01"] {
            assert!(refused(wrong).contains("give a day"), "{wrong}");
        }
        assert!(refused("score:0").contains("give a number from 1 to 10"));
        assert!(refused("contact:7").contains("give an id"));
        assert!(refused("phone:123").contains("4 of its last digits"));
        assert!(refused("assignee:none,ada").contains("stands alone"));
    }

    #[test]
    fn contacts_have_fewer_fields() {
        let error = super::super::contacts("label:vip tab:open", &names()).unwrap_err().to_string();
        assert!(
            error.starts_with("at character 11: contacts have no field `tab`: use one of contact, platform"),
            "{error}"
        );
    }

    #[test]
    fn national_numbers_are_those_of_the_workspaces_country() {
        // Russians dial 8 where abroad one dials +7; Americans dial 011 before a country code.
        assert_eq!(national("8 (916) 123-45-67", "RU").as_deref(), Some("79161234567"));
        assert_eq!(national("011 49 155 50100001", "US").as_deref(), Some("4915550100001"));
        assert_eq!(national("(202) 555-0123", "us").as_deref(), Some("12025550123"));
        assert_eq!(national("06 698 12345", "IT").as_deref(), Some("390669812345"));
        for none in ["jane", "12", "123456789012345678", "id-1234"] {
            assert_eq!(national(none, "US"), None, "{none}");
        }
    }
}
