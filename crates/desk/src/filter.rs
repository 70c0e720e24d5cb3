//! Filters as text, as requests for many conversations take them: the words of the list's own parameters.
//!
//! `status:closed tag:billing platform:whatsapp "jane d"`: what has no key is looked for as in `q`.

use time::{Duration, OffsetDateTime};
use transom_domain::Tab;
use transom_storage::{ConversationQuery, Inbox, Reader, StatusFilter, WindowState};
use uuid::Uuid;

use crate::DeskError;
use crate::authorise::Caller;

/// The longest filter.
const LONGEST: usize = 2_000;

/// Reads a filter of conversations.
///
/// # Errors
/// [`DeskError::Invalid`] with `filter_invalid`; [`DeskError::NotFound`] for an id that is not of this workspace.
pub(crate) async fn conversations(
    reader: &Reader,
    caller: &Caller,
    text: &str,
    now: OffsetDateTime,
) -> Result<ConversationQuery, DeskError> {
    if text.trim().is_empty() || text.len() > LONGEST {
        return Err(wrong("a filter has 1 to 2,000 bytes: write `tab:all` for every conversation"));
    }
    let mut query = ConversationQuery::new(now);
    let mut sought = Vec::new();
    for word in words(text)? {
        match word.key {
            Some(key) => set(reader, caller, &mut query, &key, word.value).await?,
            None => sought.push(word.value),
        }
    }
    query.q = Some(sought.join(" ")).filter(|sought| !sought.is_empty());
    crate::queries::check_filters(reader, &query).await?;
    Ok(query)
}

async fn set(
    reader: &Reader,
    caller: &Caller,
    query: &mut ConversationQuery,
    key: &str,
    value: String,
) -> Result<(), DeskError> {
    let unknown = |value: &str| wrong(format!("`{key}` can't be `{value}`"));
    let id = |value: &str| Uuid::parse_str(value).map_err(|_| unknown(value));
    match (key, value.as_str()) {
        ("status", "open") => query.status = Some(StatusFilter::Open),
        ("status", "snoozed") => query.status = Some(StatusFilter::Snoozed),
        ("status", "closed") => query.status = Some(StatusFilter::Closed),
        ("tab", "all") => query.tab = None,
        ("tab", "open") => query.tab = Some(Tab::Open),
        ("tab", "assigned") => query.tab = Some(Tab::Assigned),
        ("tab", "snoozed") => query.tab = Some(Tab::Snoozed),
        ("tab", "closed") => query.tab = Some(Tab::Closed),
        ("inbox", "all") => query.inbox = Some(Inbox::All),
        ("inbox", "mine") => query.inbox = Some(Inbox::Mine(caller.agent.id)),
        ("inbox", "unassigned") => query.inbox = Some(Inbox::Unassigned),
        ("inbox", "team") => query.inbox = Some(Inbox::Team(reader.teams_of(caller.agent.id).await?)),
        ("window", "open") => query.window = Some(WindowState::Open),
        ("window", "closed") => query.window = Some(WindowState::Closed),
        ("assignee", "me") => query.assignees.push(caller.agent.id),
        ("assignee", "none") => query.inbox = Some(Inbox::Unassigned),
        ("assignee", value) => query.assignees.push(id(value)?.into()),
        ("team", value) => query.teams.push(id(value)?.into()),
        ("channel", value) => query.accounts.push(id(value)?.into()),
        ("contact", value) => query.contact = Some(id(value)?.into()),
        ("platform", _) => query.platforms.push(value),
        ("tag", _) => query.tags.push(value),
        ("closing_within", value) => {
            let seconds: u32 = value.parse().map_err(|_| unknown(value))?;
            query.closing_before = Some(query.now.saturating_add(Duration::seconds(seconds.into())));
        }
        ("status" | "tab" | "inbox" | "window", value) => return Err(unknown(value)),
        _ => {
            return Err(wrong(format!(
                "there is no filter `{key}`: use status, tab, inbox, window, assignee, team, channel, contact, platform, tag or \
                 closing_within; put text with a colon between quotes"
            )));
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Word {
    key: Option<String>,
    value: String,
}

/// Words between spaces; what stands between quotes is one, and has no key inside.
fn words(text: &str) -> Result<Vec<Word>, DeskError> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_whitespace() || c == '"' || c == ':').unwrap_or(rest.len());
        let (head, tail) = rest.split_at(end);
        let (key, tail) = match tail.strip_prefix(':') {
            Some(tail) if !head.is_empty() => (Some(head.to_owned()), tail),
            _ => (None, rest),
        };
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(|| wrong("a quote is not closed"))?,
            None => tail.split_at(tail.find(char::is_whitespace).unwrap_or(tail.len())),
        };
        if value.is_empty() {
            return Err(wrong("a filter has a key without a value"));
        }
        words.push(Word { key, value: value.to_owned() });
        rest = tail.trim_start();
    }
    Ok(words)
}

fn wrong(detail: impl ToString) -> DeskError {
    DeskError::invalid("filter_invalid", "filter", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_keys_and_quotes_keep_together() {
        let word = |key: Option<&str>, value: &str| Word { key: key.map(str::to_owned), value: value.to_owned() };
        assert_eq!(
            words(r#"status:closed  tag:"two words" "jane d: x" mara"#).unwrap(),
            [
                word(Some("status"), "closed"),
                word(Some("tag"), "two words"),
                word(None, "jane d: x"),
                word(None, "mara")
            ]
        );
        for text in [r#""open"#, "status:", "status: closed"] {
            assert_eq!(words(text).unwrap_err().code(), "filter_invalid", "{text}");
        }
    }
}
