//! Addresses of mail: a strict reader for what we write to, and how two of them are compared.

use std::fmt;

use url::Host;

/// The longest address and the longest local part, in octets (RFC 5321 section 4.5.3.1).
const MAX_ADDRESS: usize = 254;
const MAX_LOCAL: usize = 64;

/// One addr-spec that is safe to write into a command or a header: ASCII, no quotes, no blanks, its domain in lower case.
///
/// Internationalised domains become punycode. Local parts outside ASCII need SMTPUTF8, which few servers speak to each
/// other, and are refused.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mailbox {
    text: String,
    at: usize,
}

impl Mailbox {
    /// Reads one bare address.
    ///
    /// # Errors
    /// What is wrong with it, in words for people; never the address itself.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err("an address holds no blanks and no control characters");
        }
        if text.contains([',', ';', '<', '>', '"', '(', ')', '[', ']', '\\']) {
            return Err("one bare address is expected, such as ann@example.test");
        }
        let (local, domain) = text.rsplit_once('@').ok_or("an address has an @")?;
        if !local.is_ascii() {
            return Err("letters outside ASCII before the @ are not supported");
        }
        let lower = local.to_ascii_lowercase();
        if local.len() > MAX_LOCAL
            || !is_dot_atom(local)
            || ["%0a", "%0d", "%00"].iter().any(|code| lower.contains(code))
        {
            return Err("the part before the @ is malformed");
        }
        let Ok(Host::Domain(domain)) = Host::parse(domain) else { return Err("the domain is malformed") };
        if !is_domain(&domain) {
            return Err("the domain is malformed");
        }
        let text = format!("{local}@{domain}");
        if text.len() > MAX_ADDRESS {
            return Err("an address has at most 254 characters");
        }
        Ok(Self { at: local.len(), text })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn local(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    pub(crate) fn domain(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }

    /// What two spellings of one mailbox have in common: in practice no server tells letters of another case apart (sheet 5).
    pub(crate) fn key(&self) -> String {
        self.text.to_ascii_lowercase()
    }

    /// A sub-address of it, `local+tag@domain`.
    pub(crate) fn tagged(&self, tag: &str) -> String {
        format!("{}+{tag}@{}", self.local(), self.domain())
    }
}

/// Not even a log may tell who is written to.
impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…@{}", self.domain())
    }
}

fn is_dot_atom(local: &str) -> bool {
    let is_atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// Labels of letters, digits and hyphens, at least two of them.
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.contains('.') && domain.split('.').all(is_label)
}

/// How a foreign address is known: its domain in lower case, the local part as it was written, no dot or tag taken away.
/// Anything but an address is `None`.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let sane = !local.is_empty()
        && !domain.is_empty()
        && text.len() <= MAX_ADDRESS
        && !text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '<' || c == '>');
    sane.then(|| format!("{local}@{}", domain.to_lowercase()))
}

/// An address without its sub-address, and that sub-address, all in lower case: `Support+c_1@Shop.test` is
/// `support@shop.test` and `c_1`.
pub(crate) fn untagged(text: &str) -> Option<(String, Option<String>)> {
    let text = canonical(text)?.to_lowercase();
    let (local, domain) = text.rsplit_once('@')?;
    match local.split_once('+') {
        Some((base, tag)) if !base.is_empty() => Some((format!("{base}@{domain}"), Some(tag.to_owned()))),
        _ => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("ann@example.test", "ann@example.test")]
    #[case("Ann.Lee+tag@Example.TEST", "Ann.Lee+tag@example.test")]
    #[case("o'neil=x@sub.example.test", "o'neil=x@sub.example.test")]
    #[case("info@bücher.example", "info@xn--bcher-kva.example")]
    fn addresses_are_read(#[case] text: &str, #[case] read: &str) {
        assert_eq!(Mailbox::parse(text).unwrap().as_str(), read);
    }

    #[rstest]
    #[case("")]
    #[case("ann")]
    #[case("@example.test")]
    #[case("ann@")]
    #[case("ann@localhost")]
    #[case("ann@[127.0.0.1]")]
    #[case("ann@127.0.0.1")]
    #[case("ann lee@example.test")]
    #[case("ann@example.test,bob@example.test")]
    #[case("Ann <ann@example.test>")]
    #[case("\"ann\"@example.test")]
    #[case("ann@example.test\r\nBcc: eve@example.test")]
    #[case("ann@example.test\0")]
    #[case("ann%0abcc@example.test")]
    #[case(".ann@example.test")]
    #[case("ann..lee@example.test")]
    #[case("an\u{e9}@example.test")]
    #[case("ann@exa_mple.test")]
    #[case("ann@-example.test")]
    #[case("ann@example.test>")]
    #[case(&format!("{}@example.test", "a".repeat(65)))]
    #[case(&format!("a@{}.test", "a".repeat(64)))]
    #[case(&format!("a@{}test", "abcdefgh.".repeat(30)))]
    fn what_is_no_address_is_refused(#[case] text: &str) {
        let reason = Mailbox::parse(text).unwrap_err();
        assert!(text.is_empty() || !reason.contains(text), "{reason}");
    }

    #[test]
    fn foreign_addresses_keep_what_tells_them_apart() {
        assert_eq!(canonical(" A.nn+x@Example.Test ").as_deref(), Some("A.nn+x@example.test"));
        assert_eq!(canonical("no address"), None);
        let tagged = untagged("Support+c_A1@Shop.test").unwrap();
        assert_eq!(tagged, ("support@shop.test".to_owned(), Some("c_a1".to_owned())));
        assert_eq!(untagged("+x@shop.test").unwrap().1, None);
    }
}
