//! Mail that no person wrote (RFC 3834, sheet 3).

use super::mime::Letter;
use crate::config::Config;
use crate::message_id;

/// Local parts that machines write from.
const MACHINES: &[&str] = &[
    "mailer-daemon",
    "postmaster",
    "noreply",
    "no-reply",
    "no_reply",
    "donotreply",
    "do-not-reply",
    "do_not_reply",
    "bounce",
    "bounces",
];
/// Subjects of absence. People write them too: they count beside another mark only.
const AWAY: &[&str] = &[
    "out of office",
    "automatic reply",
    "auto-reply",
    "autoreply",
    "auto reply",
    "abwesenheit",
    "automatische antwort",
    "réponse automatique",
    "absence du bureau",
    "respuesta automática",
    "fuera de la oficina",
    "автоответ",
    "автоматический ответ",
];

/// Whether a machine wrote it: any of the marks.
pub(crate) fn is_automatic(letter: &Letter) -> bool {
    let lower = |name: &str| letter.header(name).map(str::to_lowercase);
    let submitted = lower("auto-submitted").is_some_and(|how| how.split([';', ' ']).next() != Some("no"));
    let precedence =
        lower("precedence").is_some_and(|how| ["bulk", "junk", "list", "auto_reply"].contains(&how.trim()));
    let marked = ["list-id", "list-unsubscribe", "x-autoreply", "x-autorespond", "x-auto-reply-from"]
        .iter()
        .any(|name| letter.header(name).is_some());
    let away = lower("x-auto-response-suppress").is_some()
        && letter.subject.as_deref().is_some_and(|subject| {
            let subject = subject.to_lowercase();
            AWAY.iter().any(|known| subject.contains(known))
        });
    submitted || precedence || marked || away || has_no_return(letter) || is_machine(letter)
}

/// Nobody is to be told of trouble with it: `Return-Path: <>`.
pub(crate) fn has_no_return(letter: &Letter) -> bool {
    letter.header("return-path").is_some_and(|path| path.trim() == "<>")
}

fn is_machine(letter: &Letter) -> bool {
    letter.from.as_ref().is_some_and(|from| MACHINES.contains(&local(&from.address).as_str()))
}

/// Whether a mail server itself writes.
pub(crate) fn is_daemon(letter: &Letter) -> bool {
    letter.from.as_ref().is_some_and(|from| ["mailer-daemon", "postmaster"].contains(&local(&from.address).as_str()))
}

fn local(address: &str) -> String {
    address.split(['@', '+']).next().unwrap_or_default().to_lowercase()
}

/// Whether it is a mail of ours that came back: nothing good comes of reading it. Its mark tells, and where somebody on the way
/// took that off, an id of our making below a sender of ours. The id alone is no proof: programs of people write UUIDs too.
pub(crate) fn is_our_own(letter: &Letter, account: &str, config: &Config) -> bool {
    let is_ours = |mark: &str| [account, config.mailbox.as_str()].iter().any(|own| mark.eq_ignore_ascii_case(own));
    let marked = letter.all("x-loop").any(|mark| is_ours(mark.trim()));
    let by_us = || letter.from.as_ref().is_some_and(|from| config.sender(Some(&from.address)).is_some());
    marked || letter.message_id.as_deref().is_some_and(|id| is_our_id(id, config)) && by_us()
}

/// Whether a Message-ID is as we make them: a UUID of version 7 at the domain of one of our senders.
pub(crate) fn is_our_id(id: &str, config: &Config) -> bool {
    if !message_id::is_message_id(id) {
        return false;
    }
    let Some((local, domain)) = id.trim_matches(['<', '>']).rsplit_once('@') else { return false };
    let of_sender =
        |address: &str| address.rsplit_once('@').is_some_and(|(_, known)| known.eq_ignore_ascii_case(domain));
    uuid::Uuid::try_parse(local).is_ok_and(|id| id.get_version_num() == 7 && id.hyphenated().to_string() == local)
        && config.senders.iter().any(|sender| of_sender(&sender.address))
}
