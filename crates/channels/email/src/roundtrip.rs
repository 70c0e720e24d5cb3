//! What is written is read back: any words, names, subjects and addresses, by the parser that reads what comes in.

use bytes::Bytes;
use proptest::prelude::*;
use time::macros::datetime;
use transom_channel::MediaBytes;

use crate::address::Mailbox;
use crate::compose::{Letter, Unsubscribe};
use crate::inbound::mime;
use crate::outbound::one_line;

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

/// Letters, blanks, line ends, controls and what headers are made of.
fn words() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[ -~]{0,12}",
        3 => any::<String>(),
        2 => prop::sample::select(vec![
            "\r\n", "\n", "\r", "\0", "\r\nBcc: eve@example.test\r\n", "\r\n.\r\n", "\n.\n", "=?utf-8?q?x?=", "=?", "?=", "\"", "\\", "<a@b.test>",
            "Grüße ", "日本語", "😀", "\u{2028}", " ", "\t", "From ", ".", "..", "--=_a_", "=3D", "a,b;c:d", "(comment)", "\u{85}",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn local() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9!#$&'*/=?^_`{|}~-]{1,12}(\\.[a-zA-Z0-9+]{1,8}){0,2}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_is_read(
        subject in words(),
        name in words(),
        text in words(),
        file_name in words(),
        locals in prop::collection::vec(local(), 1..4),
        references in prop::collection::vec("<[a-z0-9.]{1,60}@[a-z]{1,20}\\.test>", 0..22),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        with_file in any::<bool>(),
    ) {
        let from = mailbox("support@shop.test");
        let readers: Vec<Mailbox> = locals.iter().filter_map(|local| Mailbox::parse(&format!("{local}@example.test")).ok()).collect();
        prop_assume!(!readers.is_empty());
        let file = MediaBytes { bytes: Bytes::from(bytes.clone()), mime: "application/x-sample".into(), file_name: Some(file_name.clone()) };
        let letter = Letter {
            message_id: "<0192e4a0-7b5a-7c3e-8f00-000000000001@shop.test>",
            date: datetime!(2025-10-09 08:53:20 UTC),
            from: (&from, Some(&name)),
            reply_to: Some("support+c_abc@shop.test".into()),
            to: &readers[0],
            cc: readers[1..].to_vec(),
            subject: subject.clone(),
            in_reply_to: references.last().map(String::as_str),
            references: references.iter().map(String::as_str).collect(),
            text: &text,
            html: None,
            files: if with_file { vec![file] } else { Vec::new() },
            loop_mark: "support@shop.test",
            automatic: Some("auto-generated"),
            unsubscribe: Unsubscribe::default(),
        };
        let mail = letter.write().unwrap();
        for line in mail.split(|byte| *byte == b'\n') {
            prop_assert!(line.len() <= 999, "a line of {} octets", line.len());
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            prop_assert!(!line.contains(&b'\r') && !line.contains(&0), "{}", line.escape_ascii());
        }
        prop_assert!(mail.windows(2).all(|two| two[1] != b'\n' || two[0] == b'\r'), "a bare line feed");
        prop_assert!(mail.is_ascii());

        let read = mime::Letter::read(&mail).unwrap();
        let names: Vec<&str> = read.headers.iter().map(|(name, _)| name.as_str()).collect();
        let expected = ["date", "message-id", "from", "to", "cc", "reply-to", "subject", "in-reply-to", "references", "x-loop",
            "auto-submitted", "x-auto-response-suppress", "mime-version", "content-type"];
        prop_assert!(names.iter().all(|name| expected.contains(name)), "{:?}", names);
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        prop_assert_eq!(distinct.len(), names.len());
        prop_assert_eq!(read.subject.unwrap_or_default(), one_line(&subject));
        let sender = read.from.unwrap();
        prop_assert_eq!(sender.address, "support@shop.test");
        prop_assert_eq!(sender.name.unwrap_or_default(), one_line(&name));
        prop_assert_eq!(read.to, vec![readers[0].as_str().to_owned()]);
        let mut cc: Vec<String> = Vec::new();
        for reader in &readers[1..] {
            if !cc.contains(&reader.as_str().to_owned()) {
                cc.push(reader.as_str().to_owned());
            }
        }
        prop_assert_eq!(read.cc, cc);
        prop_assert_eq!(read.references, references);
        let written = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "");
        let (words, written) = (read.text.unwrap_or_default(), if written.trim().is_empty() { String::new() } else { written });
        prop_assert_eq!(words.trim_end_matches('\n'), written.trim_end_matches('\n'));
        prop_assert_eq!(read.files.len(), usize::from(with_file));
        if with_file {
            prop_assert_eq!(&read.files[0].bytes[..], &bytes[..]);
        }
    }
}
