//! Laws of planning: what a channel offers is carried, what it leaves out never leaves.

use transom_domain::{Attachment, Body, Choice, Content};

use super::samples::{self, KINDS};
use super::trial::Trial;
use super::{Harness, SampleFiles, Verdict, Violation, must};
use crate::{ChoiceRule, PlannedPart, TextLimit, Unsendable};

/// A text of exactly the limit goes out, whole.
pub async fn text_at_the_limit_leaves(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let limit = trial.channel.capabilities().text;
    for wide in [false, true] {
        let text = samples::text_of(limit, wide);
        let what = format!("a text of {} {}", limit.length(&text), limit.unit());
        let arrived = trial.carry(&Content::text(text.clone()), &what).await?;
        let arrived: Vec<_> = arrived.into_iter().filter_map(|message| message.text).collect();
        must!(arrived == [text], "{what} arrives as something else");
    }
    Ok(())
}

/// One unit more does not.
pub async fn text_over_the_limit_never_leaves(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let limit = trial.channel.capabilities().text;
    for wide in [false, true] {
        let text = samples::text_of(limit, wide) + "x";
        let what = format!("a text of {} {}", limit.length(&text), limit.unit());
        trial.never_leaves(&Content::text(text), &what).await?;
    }
    Ok(())
}

/// A message without anything in it does not leave either.
pub async fn an_empty_message_never_leaves(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    trial.never_leaves(&Content::text(""), "an empty message").await?;
    trial.never_leaves(&Content::text(" \n\t"), "a message of blanks").await
}

/// Each sort of file is carried, or refused where the capabilities leave it out.
pub async fn files_are_carried_or_refused(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let known = trial.channel.capabilities();
    for kind in KINDS {
        let rule = known.media.iter().find(|rule| rule.kind == kind);
        let mime = rule.map_or_else(|| "application/pdf".to_owned(), samples::mime_of);
        let content = samples::with_files("", vec![SampleFiles::attachment(kind, &mime)]);
        trial.carries_or_refuses(rule.is_some(), &content, &format!("a file of kind {}", kind.as_str())).await?;
    }
    Ok(())
}

/// A type that no rule takes is refused.
pub async fn files_of_other_types_never_leave(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let known = trial.channel.capabilities();
    for rule in &known.media {
        let others = ["application/x-conformance", "x-conformance/x-type"];
        let taken = |mime: &str| known.media.iter().any(|r| r.kind == rule.kind && r.accepts(mime));
        for mime in others.into_iter().filter(|mime| !taken(mime)) {
            let content = samples::with_files("", vec![SampleFiles::attachment(rule.kind, mime)]);
            trial.never_leaves(&content, &format!("a {} of type {mime}", rule.kind.as_str())).await?;
        }
    }
    Ok(())
}

/// A file over the limit is refused, in our store and at an address.
pub async fn files_over_the_limit_never_leave(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let known = trial.channel.capabilities();
    for rule in &known.media {
        let sample = SampleFiles::attachment(rule.kind, &samples::mime_of(rule));
        let largest = known.media.iter().filter(|r| r.kind == rule.kind && r.accepts(&samples::mime_of(rule)));
        let (mut stored, mut by_url) = (0, 0);
        for rule in largest {
            stored = stored.max(rule.max_bytes);
            by_url = by_url.max(rule.max_bytes_by_url.unwrap_or(rule.max_bytes));
        }
        let stored = Attachment { size: Some(stored + 1), ..sample.clone() };
        let by_url = Attachment { size: Some(by_url + 1), ..samples::at_url(sample) };
        for (file, place) in [(stored, "in our store"), (by_url, "at an address")] {
            let what = format!("a {} of {} bytes {place}", file.kind.as_str(), file.size.unwrap_or_default());
            trial.never_leaves(&samples::with_files("", vec![file]), &what).await?;
        }
    }
    Ok(())
}

/// Buttons and lists are carried, or refused where there are none.
pub async fn choices_are_carried_or_refused(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let rule = trial.channel.capabilities().choices;
    let shape = rule.unwrap_or(ANY_CHOICES);
    let (buttons, rows) = rule.map_or((0, 0), |rule| (usize::from(rule.max_buttons), usize::from(rule.max_rows)));
    let content = samples::content(Body::Choices(samples::buttons(&shape, buttons.max(1))));
    trial.carries_or_refuses(buttons > 0, &content, "a message with buttons").await?;
    let content = samples::content(Body::Choices(samples::list(&shape, rows.max(1))));
    trial.carries_or_refuses(rows > 0, &content, "a message with a list").await
}

/// A rule by which samples are made for a channel that has none.
const ANY_CHOICES: ChoiceRule = ChoiceRule {
    max_buttons: 1,
    button_title: TextLimit::Scalars(20),
    button_id: TextLimit::Scalars(20),
    max_rows: 1,
    text: TextLimit::Scalars(100),
};

/// Too many buttons, and labels, answers and words that are too long, are refused.
pub async fn choices_over_the_limit_never_leave(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let Some(rule) = trial.channel.capabilities().choices else { return Ok(()) };
    let mut cases = Vec::new();
    if rule.max_buttons > 0 {
        let one = samples::buttons(&rule, 1);
        let with = |change: &dyn Fn(&mut Choice)| {
            let mut choices = one.clone();
            choices.buttons.iter_mut().for_each(change);
            choices
        };
        let title = samples::text_of(rule.button_title, true) + "x";
        let id = samples::text_of(rule.button_id, true) + "x";
        cases.push(("too many buttons", samples::buttons(&rule, usize::from(rule.max_buttons) + 1)));
        cases.push(("a button with a label that is too long", with(&|choice| choice.title.clone_from(&title))));
        cases.push(("a button with an answer that is too long", with(&|choice| choice.id.clone_from(&id))));
        let text = samples::text_of(rule.text, true) + "x";
        cases.push(("buttons under words that are too long", transom_domain::Choices { text, ..one.clone() }));
    }
    if rule.max_rows > 0 {
        cases.push(("a list with too many rows", samples::list(&rule, usize::from(rule.max_rows) + 1)));
    }
    for (what, choices) in cases {
        trial.never_leaves(&samples::content(Body::Choices(choices)), what).await?;
    }
    Ok(())
}

/// Places are carried, bare and with a name, or refused.
pub async fn places_are_carried_or_refused(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    for place in samples::places() {
        trial.carries_or_refuses(trial.channel.capabilities().location, &place, "a place").await?;
    }
    Ok(())
}

/// Contact cards are carried, or refused.
pub async fn contact_cards_are_carried_or_refused(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    trial.carries_or_refuses(trial.channel.capabilities().contacts, &samples::card(), "a contact card").await
}

/// Reactions are carried, there and back, or refused.
pub async fn reactions_are_carried_or_refused(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let offered = trial.channel.capabilities().reactions;
    let to = quotable(harness, offered)?;
    for emoji in [Some("👍"), None] {
        trial.carries_or_refuses(offered, &samples::reaction(&to, emoji), "a reaction").await?;
    }
    Ok(())
}

/// Quotes are carried, or refused.
pub async fn quotes_are_carried_or_refused(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let offered = trial.channel.capabilities().quotes;
    let quoting = Content { reply_to: Some(quotable(harness, offered)?), ..Content::text("As you wrote.") };
    trial.carries_or_refuses(offered, &quoting, "a message that quotes another").await
}

fn quotable(harness: &Harness, needed: bool) -> Result<String, Violation> {
    match (&harness.quotable, needed) {
        (Some(id), _) => Ok(id.clone()),
        (None, false) => Ok("a-message".to_owned()),
        (None, true) => Err(Violation::new("the harness names no message to quote or react to")),
    }
}

/// Templates are carried, or refused where the platform keeps none.
pub async fn templates_are_carried_or_refused(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let is_told = harness.platform.keeps_templates() || trial.channel.templates().is_none();
    must!(is_told, "there are templates, and the platform says that it keeps none: nobody would refresh them");
    match (trial.channel.templates(), &harness.template) {
        (Some(_), Some(template)) => trial.carry(template, "a template").await.map(drop),
        (Some(_), None) => Err(Violation::new("the harness gives no template")),
        (None, _) => trial.never_leaves(&samples::invented_template(), "a template").await,
    }
}

/// What stands for something that we could not read is not sent back to anybody.
pub async fn unreadable_content_never_leaves(harness: &Harness) -> Verdict {
    let content = samples::content(Body::Unsupported { what: "a game".to_owned() });
    Trial::of(harness)?.never_leaves(&content, "content that could not be read").await
}

/// Every file and every word is in the plan, once, in order; the quote goes with the first part.
pub async fn plans_lose_nothing(harness: &Harness) -> Verdict {
    for_each_mixture(harness, |content, parts, what| {
        let planned: Vec<&Attachment> = parts.iter().flat_map(|part| files_of(&part.content)).collect();
        let given: Vec<&Attachment> = files_of(content).iter().collect();
        must!(planned == given, "{what}: {} file(s) become {}, or change places", given.len(), planned.len());
        let planned: Vec<&str> =
            parts.iter().map(|part| text_of(&part.content)).filter(|text| !text.is_empty()).collect();
        let given: Vec<&str> = Some(text_of(content)).into_iter().filter(|text| !text.is_empty()).collect();
        must!(planned == given, "{what}: the words are lost, doubled or torn");
        let first = parts.first().and_then(|part| part.content.reply_to.as_deref());
        must!(first == content.reply_to.as_deref(), "{what}: the first part does not quote what the message quotes");
        Ok(())
    })
}

/// No part is more than one request can take.
pub async fn plans_keep_to_the_limits(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let known = trial.channel.capabilities();
    let captioned = |file: &Attachment| known.media.iter().any(|rule| rule.kind == file.kind && rule.caption);
    for_each_mixture(harness, |_, parts, what| {
        for PlannedPart { content, cost, note } in parts {
            let (text, files) = (text_of(content), files_of(content));
            must!(*cost > 0, "{what}: a part costs nothing");
            must!(note.as_ref().is_none_or(|note| !note.trim().is_empty()), "{what}: a note that says nothing");
            must!(files.len() <= usize::from(known.files_per_part), "{what}: a part of {} files", files.len());
            must!(!text.trim().is_empty() || !files.is_empty(), "{what}: a part with nothing in it");
            must!(known.text.fits(text), "{what}: a text that is too long");
            if !files.is_empty() && !text.is_empty() {
                must!(known.caption.is_some_and(|limit| limit.fits(text)), "{what}: a caption that is too long");
                must!(files.iter().any(captioned), "{what}: words with a file that takes none");
            }
        }
        Ok(())
    })
}

/// The same message is planned the same way.
pub async fn plans_are_the_same_every_time(harness: &Harness) -> Verdict {
    let again = Trial::of(harness)?;
    for_each_mixture(harness, |content, parts, what| {
        let same = again.plan(content, what)? == parts && again.plan(content, what)? == parts;
        must!(same, "{what}: planned in another way the second time");
        Ok(())
    })
}

fn for_each_mixture(harness: &Harness, law: impl Fn(&Content, &[PlannedPart], &str) -> Verdict) -> Verdict {
    let trial = Trial::of(harness)?;
    for content in samples::mixtures(trial.channel.capabilities(), harness.quotable.as_deref()) {
        // Where only words can quote, a quote without any is refused by name; nothing is dropped without a word.
        let refused = trial.channel.plan(&content).err();
        if text_of(&content).is_empty()
            && matches!(&refused, Some(Unsendable::Malformed { field, .. }) if content.reply_to.is_some() && field == "reply_to")
        {
            continue;
        }
        let (words, files) = (text_of(&content).chars().count(), files_of(&content));
        let kinds: Vec<&str> = files.iter().map(|file| file.kind.as_str()).collect();
        let what = format!("a message of {words} characters and {} file(s) {kinds:?}", files.len());
        law(&content, &trial.plan(&content, &what)?, &what)?;
    }
    Ok(())
}

fn text_of(content: &Content) -> &str {
    match &content.body {
        Body::Text { text, .. } => text,
        _ => "",
    }
}

fn files_of(content: &Content) -> &[Attachment] {
    match &content.body {
        Body::Text { attachments, .. } => attachments,
        _ => &[],
    }
}
