//! Laws of settings and capabilities.

use std::collections::BTreeSet;

use time::Duration;

use super::trial::Trial;
use super::{Harness, Verdict, Violation, must};
use crate::{Capabilities, ChoiceRule, SettingsError};

/// What a channel says of itself can be true.
pub async fn capabilities_are_sane(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let known = trial.channel.capabilities();
    must!(known.text.max() > 0, "no text fits");
    must!(known.files_per_part > 0 || known.media.is_empty(), "files are taken, and none in a request");
    must!(known.caption.is_none_or(|limit| limit.max() > 0), "a caption of no length: say None");
    must!(
        known.caption.is_some() || known.media.iter().all(|rule| !rule.caption),
        "a file takes a caption, and there is no limit for captions"
    );
    for rule in &known.media {
        let kind = rule.kind.as_str();
        must!(!rule.mimes.is_empty(), "{kind}: no type is taken");
        must!(rule.max_bytes > 0 && rule.max_bytes_by_url != Some(0), "{kind}: no file fits");
        let mime =
            |mime: &&&str| mime.contains('/') && **mime == mime.to_ascii_lowercase() && !mime.contains([';', ' ']);
        must!(
            rule.mimes.iter().all(|m| mime(&m)),
            "{kind}: MIME types are `type/subtype` in lower case: {:?}",
            rule.mimes
        );
    }
    if let Some(ChoiceRule { max_buttons, button_title, button_id, max_rows, text }) = known.choices {
        must!(max_buttons > 0 || max_rows > 0, "choices without buttons and lists: say None");
        must!(button_title.max() > 0 && button_id.max() > 0 && text.max() > 0, "choices in which nothing fits");
    }
    must!(
        known.pacing.account.each > Duration::ZERO && known.pacing.recipient.each > Duration::ZERO,
        "a pace without a span"
    );
    must!(
        known.settling.wait >= Duration::ZERO && known.settling.wait <= Duration::DAY,
        "an unknown outcome waits for ever"
    );
    must!(known.settling.dedupes_for.is_none_or(|span| span > Duration::ZERO), "a dedupe span of nothing: say None");
    must!(knows_an_address(known, harness), "the harness's customer has no address of a kind that the channel knows");
    Ok(())
}

fn knows_an_address(known: &Capabilities, harness: &Harness) -> bool {
    known.addresses.iter().any(|rule| harness.identity.address(rule.kind).is_some())
}

/// Connecting without a setting that is needed names it.
pub async fn a_missing_setting_is_named(harness: &Harness) -> Verdict {
    let fields = harness.platform.settings();
    let names: BTreeSet<_> = fields.iter().map(|field| field.name).collect();
    must!(names.len() == fields.len(), "two settings have one name");
    must!(fields.iter().any(|field| field.external_key), "no setting says how the platform names the account");
    must!(names.contains(harness.webhooks.secret), "there is no setting `{}`", harness.webhooks.secret);
    for field in fields.iter().filter(|field| field.required) {
        let settings = harness.settings.clone().with(field.name, " ");
        match harness.platform.connect(&settings, &harness.ports) {
            Err(SettingsError::Missing(name) | SettingsError::Wrong { name, .. }) if name == field.name => {}
            Err(error) => return Err(Violation::new(format!("without `{}` the error is: {error}", field.name))),
            Ok(_) => return Err(Violation::new(format!("it connects without `{}`, which is required", field.name))),
        }
    }
    Ok(())
}

/// The platform's own word on the account fits what we know of it.
pub async fn the_account_can_be_checked(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let info = trial.channel.check().await.map_err(|error| Violation::new(format!("the check fails: {error}")))?;
    let key = info.external_key.as_deref();
    must!(key.is_none_or(|key| key == harness.account), "the check is about another account: {key:?}");
    Ok(())
}

/// What is logged by accident gives nothing away.
pub async fn debug_holds_no_secret(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let shown = format!("{:?} {:#?} {:?}", trial.channel, trial.channel, harness.platform);
    match secrets(harness).find(|secret| shown.contains(*secret)) {
        None => Ok(()),
        // The secret itself stays out of this message too.
        Some(_) => Err(Violation::new("Debug of the channel shows a secret setting")),
    }
}

/// The values of the settings that are secret.
pub(super) fn secrets(harness: &Harness) -> impl Iterator<Item = &str> {
    let secret = harness.platform.settings().iter().filter(|field| field.secret);
    secret.filter_map(|field| harness.settings.get(field.name))
}
