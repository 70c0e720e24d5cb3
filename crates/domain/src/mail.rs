//! What a message has beyond words and files where the channel is mail.

use serde::{Deserialize, Serialize};

use crate::Attachment;

/// How many ids of a thread are kept at its beginning and at its end, when a list of references grows long (email.md 2).
const KEPT_AT_EACH_END: (usize, usize) = (1, 20);

/// A letter: words and files with a subject, a sender and more than one reader.
///
/// Addresses are bare (`ann@example.test`), in the order in which they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mail {
    /// The subject. What goes out always has one; `None` only where a received mail had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The words as people read them: of a received mail without quoted history and signature.
    pub text: String,
    /// The same as HTML, sanitised, where it came as HTML or was written so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// Files, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// From whom: one of the account's [senders](SenderAddress) for what goes out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Of a received mail, all addresses in To: which of ours was written to tells whose name the answer bears.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// Readers that everybody sees.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cc: Vec<String>,
    /// Readers that only we see. In a part of a letter: the one whom it is for, instead of the customer and those in `cc`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bcc: Vec<String>,
    /// Ids of the thread's earlier mails, oldest first; the last is the one answered (RFC 5322 section 3.6.4).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// The mail as it was received, whole, where it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Attachment>,
}

impl Mail {
    /// A line for lists: the subject, else how the words begin.
    pub fn preview(&self) -> String {
        let subject = self.subject.as_deref().map(str::trim).filter(|subject| !subject.is_empty());
        subject.map_or_else(|| self.text.clone(), str::to_owned)
    }

    /// The subject of an answer to this mail: the same, with one `Re: ` in front unless it has such a prefix in any language.
    pub fn subject_of_answer(&self) -> Option<String> {
        let subject = self.subject.as_deref()?.trim();
        Some(if is_answer(subject) { subject.to_owned() } else { format!("Re: {subject}") })
    }

    /// The references of an answer to this mail, whose id is `id`: the thread's first and its last ones.
    pub fn references_of_answer(&self, id: &str) -> Vec<String> {
        let mut all: Vec<String> = self.references.iter().filter(|known| *known != id).cloned().collect();
        all.push(id.to_owned());
        let (first, last) = KEPT_AT_EACH_END;
        if all.len() > first + last {
            all.drain(first..all.len() - last);
        }
        all
    }
}

/// Whether a subject says that it answers another: `Re`, and what mail programs of other languages write instead.
fn is_answer(subject: &str) -> bool {
    let Some((prefix, _)) = subject.split_once(':') else { return false };
    let prefix = prefix.split_once('[').map_or(prefix, |(word, _)| word).trim().to_lowercase();
    ["re", "aw", "sv", "vs", "antw", "odp", "ynt", "отв", "на"].contains(&prefix.as_str())
}

/// An address from which an account may write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderAddress {
    /// The bare address.
    pub address: String,
    /// The name that readers see beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where answers are to go, if not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Whether it is taken where nobody chose; one of an account is.
    #[serde(default)]
    pub default: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("Order 7", "Re: Order 7")]
    #[case("Re: Order 7", "Re: Order 7")]
    #[case("AW: Order 7", "AW: Order 7")]
    #[case("RE[2]: Order 7", "RE[2]: Order 7")]
    #[case("Отв: Заказ", "Отв: Заказ")]
    #[case("Fwd: Order 7", "Re: Fwd: Order 7")]
    #[case("Regarding: Order 7", "Re: Regarding: Order 7")]
    fn an_answer_says_so_once(#[case] subject: &str, #[case] answer: &str) {
        let mail = Mail { subject: Some(subject.to_owned()), ..Mail::default() };
        assert_eq!(mail.subject_of_answer().as_deref(), Some(answer));
    }

    #[test]
    fn a_long_thread_keeps_its_first_and_its_last_mails() {
        let ids: Vec<String> = (0..40).map(|n| format!("<{n}@a.test>")).collect();
        let mail = Mail { references: ids, ..Mail::default() };
        let kept = mail.references_of_answer("<40@a.test>");
        assert_eq!((kept.len(), kept.first().unwrap().as_str()), (21, "<0@a.test>"));
        assert_eq!((kept[1].as_str(), kept[20].as_str()), ("<21@a.test>", "<40@a.test>"));
        assert_eq!(Mail::default().references_of_answer("<1@a.test>"), ["<1@a.test>"]);
    }
}
