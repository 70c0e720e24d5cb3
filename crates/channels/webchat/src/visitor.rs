//! Who a visitor is to the desk, and where their mailbox stands.

use transom_domain::{Address, Identity};

/// The kind of address of an anonymous visitor: a random id of ours.
pub(crate) const VISITOR_ID: &str = "visitor_id";
/// The kind of address of somebody whom the site knows.
pub(crate) const EXTERNAL_ID: &str = "external_id";

/// A visitor of a widget.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Visitor {
    /// A stranger, by a random id.
    Anonymous(String),
    /// Somebody whom the site knows, by its own id of them, which was proven or which the desk was told.
    Known(String),
}

impl Visitor {
    /// By the id that frames and events carry.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        match id.split_once(':') {
            Some(("x", external)) if crate::proof::is_id(external) => Some(Visitor::Known(external.to_owned())),
            None if id.strip_prefix("v_").is_some_and(is_random) => Some(Visitor::Anonymous(id.to_owned())),
            _ => None,
        }
    }

    /// The id that frames and events carry.
    pub(crate) fn id(&self) -> String {
        match self {
            Visitor::Anonymous(id) => id.clone(),
            Visitor::Known(external) => format!("x:{external}"),
        }
    }

    /// The id of their one conversation.
    pub(crate) fn conversation(&self) -> String {
        format!("c_{}", self.id())
    }

    /// How the desk knows them.
    pub(crate) fn address(&self) -> Address {
        match self {
            Visitor::Anonymous(id) => Address::new(VISITOR_ID, id),
            Visitor::Known(external) => Address::new(EXTERNAL_ID, external),
        }
    }

    /// To whom a message goes: whoever has an external id is reached on every device under it.
    pub(crate) fn of(identity: &Identity) -> Option<Self> {
        let known = identity.address(EXTERNAL_ID).map(|id| Visitor::Known(id.to_owned()));
        known.or_else(|| identity.address(VISITOR_ID).map(|id| Visitor::Anonymous(id.to_owned())))
    }

    /// Their mailbox among those of the connection, which may have several widgets.
    pub(crate) fn mailbox(&self, widget: &str) -> String {
        format!("{widget}/{}", self.id())
    }

    /// Whose mailbox of that widget it is.
    pub(crate) fn of_mailbox(widget: &str, name: &str) -> Option<Self> {
        Self::parse(name.strip_prefix(widget)?.strip_prefix('/')?)
    }
}

/// 128 random bits in lower-case hexadecimal digits.
fn is_random(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_mailboxes_come_back_as_they_went() {
        for visitor in [Visitor::Anonymous(format!("v_{}", "0a".repeat(16))), Visitor::Known("cust:42/ä".into())] {
            assert_eq!(Visitor::parse(&visitor.id()).as_ref(), Some(&visitor));
            assert_eq!(Visitor::of_mailbox("wgt_1", &visitor.mailbox("wgt_1")).as_ref(), Some(&visitor));
            assert_eq!(Visitor::of_mailbox("wgt_2", &visitor.mailbox("wgt_1")), None);
        }
        for wrong in ["", "v_1", "x:", "y:1", "c_x:1", &format!("v_{}", "0A".repeat(16))] {
            assert_eq!(Visitor::parse(wrong), None, "{wrong}");
        }
    }
}
