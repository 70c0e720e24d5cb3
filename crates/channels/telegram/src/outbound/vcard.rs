//! The card behind a contact, for what `sendContact` has no field: further numbers and email addresses.

use std::fmt::Write as _;

use transom_domain::ContactCard;

/// A vCard 3.0 (RFC 2426); `None` where name and number say everything.
pub(super) fn of(card: &ContactCard) -> Option<String> {
    if card.phones.len() < 2 && card.emails.is_empty() {
        return None;
    }
    let name = escaped(&card.name);
    let mut text = format!("BEGIN:VCARD\r\nVERSION:3.0\r\nN:;{name};;;\r\nFN:{name}\r\n");
    for phone in &card.phones {
        let _ = write!(text, "TEL:{}\r\n", escaped(phone));
    }
    for email in &card.emails {
        let _ = write!(text, "EMAIL:{}\r\n", escaped(email));
    }
    text.push_str("END:VCARD\r\n");
    Some(text)
}

/// A text value (RFC 2426, section 4): no line of it can start a property of its own.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' | ',' | ';' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\r' => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(name: &str, phones: &[&str], emails: &[&str]) -> ContactCard {
        let owned = |list: &[&str]| list.iter().map(|&one| one.to_owned()).collect();
        ContactCard { name: name.to_owned(), phones: owned(phones), emails: owned(emails) }
    }

    #[test]
    fn one_number_needs_no_card() {
        assert_eq!(of(&card("Ann", &["+15005550006"], &[])), None);
    }

    #[test]
    fn all_numbers_and_addresses_are_on_it() {
        let text = of(&card("Lost; Found", &["+15005550006", "+15005550001"], &["a@shop.example"])).unwrap();
        assert_eq!(
            text,
            "BEGIN:VCARD\r\nVERSION:3.0\r\nN:;Lost\\; Found;;;\r\nFN:Lost\\; Found\r\nTEL:+15005550006\r\n\
             TEL:+15005550001\r\nEMAIL:a@shop.example\r\nEND:VCARD\r\n"
        );
    }

    #[test]
    fn a_name_can_start_no_property() {
        let text = of(&card("Ann\r\nTEL:+1", &["+15005550006", "+15005550001"], &[])).unwrap();
        assert!(text.contains("FN:Ann\\nTEL:+1\r\n") && !text.contains("\r\nTEL:+1\r\n"), "{text}");
    }
}
