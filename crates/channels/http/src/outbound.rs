//! From content to parts: what fits, what is refused, one part for each request.

use transom_channel::{Capabilities, PlannedPart, Unsendable, checks};
use transom_domain::{Body, Choice, Choices, ContactCard, Content, Reaction};

use crate::capabilities::{BUTTON_ID, BUTTON_TITLE, MAX_BUTTONS, MAX_ROWS};

/// Splits content into requests. Files go one by one, the words with the first of them if it takes any, else before.
pub(crate) fn plan(content: &Content, known: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    if content.reply_to.as_deref().is_some_and(|id| id.trim().is_empty()) {
        return Err(checks::malformed("reply_to", "the id of a message is needed"));
    }
    let bodies = match &content.body {
        Body::Text { text, attachments } => {
            checks::text_and_files(text, attachments, known)?;
            attachments.iter().try_for_each(|file| checks::own_file(file, &["https"]))?;
            checks::one_by_one(text, attachments, known)
        }
        Body::Template(template) => {
            if template.name.trim().is_empty() || template.language.trim().is_empty() {
                return Err(checks::malformed("template", "a name and a language are needed"));
            }
            vec![content.body.clone()]
        }
        Body::Choices(choices) => checked(content, check_choices(choices, known))?,
        Body::Location(place) => checked(content, checks::place(place))?,
        Body::Contacts { contacts } => checked(content, check_cards(contacts))?,
        Body::Reaction(reaction) => checked(content, check_reaction(reaction, content))?,
        Body::Mail(_) | Body::Unsupported { .. } => return Err(checks::not_carried(&content.body)),
    };
    Ok(checks::parts(bodies, content.reply_to.as_ref()))
}

fn checked(content: &Content, check: Result<(), Unsendable>) -> Result<Vec<Body>, Unsendable> {
    check.map(|()| vec![content.body.clone()])
}

fn check_choices(choices: &Choices, known: &Capabilities) -> Result<(), Unsendable> {
    if choices.text.trim().is_empty() {
        return Err(Unsendable::Empty);
    }
    checks::length("text", known.text, &choices.text)?;
    let rows = || choices.list.iter().flat_map(|list| &list.sections).flat_map(|section| &section.rows);
    let (buttons, listed) = (choices.buttons.len(), rows().count());
    match (buttons, &choices.list) {
        (0, None) => return Err(checks::malformed("buttons", "at least one is needed")),
        (0, Some(_)) if listed == 0 => return Err(checks::malformed("list", "at least one row is needed")),
        (1.., Some(_)) => return Err(checks::malformed("list", "buttons or a list, not both")),
        _ => {}
    }
    checks::at_most("buttons", buttons, MAX_BUTTONS)?;
    checks::at_most("rows", listed, MAX_ROWS)?;
    choices.buttons.iter().chain(rows()).try_for_each(check_choice)
}

fn check_choice(choice: &Choice) -> Result<(), Unsendable> {
    checks::label(choice, BUTTON_TITLE)?;
    match &choice.url {
        Some(url) => checks::address("button.url", url, &["https"]),
        None => checks::answer(choice, BUTTON_ID),
    }
}

fn check_cards(contacts: &[ContactCard]) -> Result<(), Unsendable> {
    if contacts.is_empty() {
        return Err(Unsendable::Empty);
    }
    match contacts.iter().any(|card| card.name.trim().is_empty()) {
        true => Err(checks::malformed("contacts", "each card needs a name")),
        false => Ok(()),
    }
}

fn check_reaction(reaction: &Reaction, content: &Content) -> Result<(), Unsendable> {
    if reaction.to.trim().is_empty() {
        return Err(checks::malformed("reaction.to", "the id of a message is needed"));
    }
    if content.reply_to.is_some() {
        return Err(checks::malformed("reply_to", "a reaction quotes nothing"));
    }
    match reaction.emoji.as_deref().map(str::trim) {
        Some("") => Err(checks::malformed("reaction.emoji", "give an emoji, or none to take it back")),
        _ => Ok(()),
    }
}
