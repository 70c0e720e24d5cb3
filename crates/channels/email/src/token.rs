//! Tokens in our own addresses: which part a reply answers, which part a bounce is about, who unsubscribes.
//!
//! `support+c_TOKEN@…` stands in Reply-To, `bounces+b_TOKEN@…` in the envelope. A token is the part's id and a truncated
//! HMAC-SHA256 over kind and content, in base 32 and lower case, since some servers change the case of a local part.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use transom_domain::PartId;
use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Octets of the proof: nobody guesses 64 bits by mail.
const PROOF: usize = 8;
/// Octets that tell whether a failed recipient is the person that a part went to.
const READER: usize = 3;

/// What a token is for. They are never taken for each other: the proof covers the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An answer to the letter.
    Reply,
    /// A report on the part.
    Bounce,
    /// No more mail of this kind.
    Unsubscribe,
}

impl Purpose {
    const ALL: [Purpose; 3] = [Purpose::Reply, Purpose::Bounce, Purpose::Unsubscribe];

    const fn prefix(self) -> &'static str {
        match self {
            Purpose::Reply => "c_",
            Purpose::Bounce => "b_",
            Purpose::Unsubscribe => "u_",
        }
    }

    /// The longest local part that leaves room for such a token in the 64 octets of RFC 5321.
    pub(crate) const fn longest_local(self) -> usize {
        64 - "+c_".len() - length(16 + PROOF + if matches!(self, Purpose::Reply) { 0 } else { READER })
    }
}

/// How many letters so many octets take.
const fn length(octets: usize) -> usize {
    (octets * 8).div_ceil(5)
}

/// For whom a part left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader<'a> {
    /// The person of the conversation.
    Person(&'a str),
    /// Somebody in Bcc.
    Blind(&'a str),
}

/// A token that came back with the right proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) purpose: Purpose,
    /// The part; in a reply the whole letter.
    pub(crate) part: PartId,
    reader: Option<[u8; READER]>,
}

/// What tokens are proved with: the first secret signs, all are accepted.
pub(crate) struct Tokens {
    secrets: Vec<SecretString>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.secrets.len())
    }
}

impl Tokens {
    pub(crate) fn new(secrets: Vec<SecretString>) -> Self {
        Self { secrets }
    }

    /// The tag of an address that answers to a letter come to, named by its own id or a part's. `None` without a secret.
    pub(crate) fn reply(&self, letter: PartId) -> Option<String> {
        self.tag(Purpose::Reply, letter, &[])
    }

    /// The tag of an address that reports on a part come to.
    pub(crate) fn bounce(&self, part: PartId, reader: Reader<'_>) -> Option<String> {
        self.tag(Purpose::Bounce, part, &mark(self.secrets.first()?, reader))
    }

    /// The tag of an address to which `reader` writes for no more of this.
    pub(crate) fn unsubscribe(&self, part: PartId, reader: &str) -> Option<String> {
        self.tag(Purpose::Unsubscribe, part, &mark(self.secrets.first()?, Reader::Person(reader)))
    }

    /// Reads a tag in any case. `None` for what is not ours.
    pub(crate) fn read(&self, tag: &str) -> Option<Token> {
        let tag = tag.to_ascii_lowercase();
        let (purpose, letters) = Purpose::ALL.iter().find_map(|p| Some((*p, tag.strip_prefix(p.prefix())?)))?;
        let octets = decode(letters)?;
        let (content, proof) = octets.split_at_checked(octets.len().checked_sub(PROOF)?)?;
        let (part, reader) = content.split_at_checked(16)?;
        let reader = match (purpose, reader) {
            (Purpose::Reply, []) => None,
            (Purpose::Bounce | Purpose::Unsubscribe, reader) => Some(reader.try_into().ok()?),
            _ => return None,
        };
        let is_ours = |secret: &SecretString| bool::from(prove(secret, purpose, content).ct_eq(proof));
        let proved = self.secrets.iter().fold(false, |found, secret| is_ours(secret) | found);
        let part: [u8; 16] = part.try_into().ok()?;
        proved.then(|| Token { purpose, part: PartId::from(Uuid::from_bytes(part)), reader })
    }

    /// Who this address is to a token's part: the one for whom it left, or `None` for everybody else.
    pub(crate) fn reader<'a>(&self, token: &Token, address: &'a str) -> Option<Reader<'a>> {
        let known = token.reader?;
        let either = [Reader::Person(address), Reader::Blind(address)];
        either.into_iter().find(|reader| self.secrets.iter().any(|secret| mark(secret, *reader) == known))
    }

    fn tag(&self, purpose: Purpose, part: PartId, more: &[u8]) -> Option<String> {
        let secret = self.secrets.first()?;
        let mut octets = part.uuid().as_bytes().to_vec();
        octets.extend_from_slice(more);
        let proof = prove(secret, purpose, &octets);
        octets.extend_from_slice(&proof);
        Some(format!("{}{}", purpose.prefix(), encode(&octets)))
    }
}

fn prove(secret: &SecretString, purpose: Purpose, content: &[u8]) -> [u8; PROOF] {
    first(&keyed(secret, &[purpose.prefix().as_bytes(), content]))
}

fn mark(secret: &SecretString, reader: Reader<'_>) -> [u8; READER] {
    let (role, address): (&[u8], _) = match reader {
        Reader::Person(address) => (b"person", address),
        Reader::Blind(address) => (b"blind", address),
    };
    first(&keyed(secret, &[role, address.trim().to_lowercase().as_bytes()]))
}

fn keyed(secret: &SecretString, pieces: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else { return [0; 32] };
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes().into()
}

fn first<const N: usize>(octets: &[u8; 32]) -> [u8; N] {
    let mut first = [0; N];
    first.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
    first
}

fn encode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(length(octets.len()));
    let (mut held, mut bits) = (0_u32, 0_u32);
    for octet in octets {
        (held, bits) = (held << 8 | u32::from(*octet), bits + 8);
        while bits >= 5 {
            bits -= 5;
            text.push(letter(held >> bits));
        }
    }
    if bits > 0 {
        text.push(letter(held << (5 - bits)));
    }
    text
}

fn letter(value: u32) -> char {
    ALPHABET.get((value & 31) as usize).map_or('a', |letter| char::from(*letter))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let (mut held, mut bits) = (0_u32, 0_u32);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        (held, bits) = ((held << 5 | u32::try_from(value).ok()?) & 0xfff, bits + 5);
        if bits >= 8 {
            bits -= 8;
            octets.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    // What is left over is padding: one tag has one spelling.
    (bits < 5 && held & ((1 << bits) - 1) == 0).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(secrets: &[&str]) -> Tokens {
        Tokens::new(secrets.iter().map(|secret| SecretString::from((*secret).to_owned())).collect())
    }

    fn part() -> PartId {
        "0192e4a0-7b5a-7c3e-8f00-000000000001".parse().unwrap()
    }

    #[test]
    fn a_token_names_its_part_whatever_the_case() {
        let ours = tokens(&["new", "old"]);
        for (tag, purpose) in [
            (ours.reply(part()), Purpose::Reply),
            (ours.bounce(part(), Reader::Person("ann@example.test")), Purpose::Bounce),
            (ours.unsubscribe(part(), "ann@example.test"), Purpose::Unsubscribe),
            (tokens(&["old"]).reply(part()), Purpose::Reply),
        ] {
            let token = ours.read(&tag.unwrap().to_uppercase()).unwrap();
            assert_eq!((token.part, token.purpose), (part(), purpose));
        }
    }

    #[test]
    fn forged_tokens_are_not_ours() {
        let ours = tokens(&["secret"]);
        let tag = ours.reply(part()).unwrap();
        assert_eq!(tokens(&["another"]).read(&tag), None);
        assert_eq!(ours.read(&tag.replacen("c_", "b_", 1)), None);
        for at in 2..tag.len() {
            let other = if tag.as_bytes()[at] == b'a' { "b" } else { "a" };
            let forged = format!("{}{other}{}", &tag[..at], &tag[at + 1..]);
            assert_eq!(ours.read(&forged), None, "{at}");
        }
        for wrong in ["", "c_", "c_a", "c_0189", &tag[..tag.len() - 1], &format!("{tag}a")] {
            assert_eq!(ours.read(wrong), None, "{wrong}");
        }
        assert_eq!(tokens(&[]).reply(part()), None);
    }

    #[test]
    fn a_report_tells_whether_it_is_about_the_person() {
        let ours = tokens(&["secret"]);
        let token = ours.read(&ours.bounce(part(), Reader::Person("Ann@example.test")).unwrap()).unwrap();
        assert_eq!(ours.reader(&token, "ann@Example.test"), Some(Reader::Person("ann@Example.test")));
        assert_eq!(ours.reader(&token, "bob@example.test"), None);
        let token = ours.read(&ours.bounce(part(), Reader::Blind("eve@example.test")).unwrap()).unwrap();
        assert_eq!(ours.reader(&token, "eve@example.test"), Some(Reader::Blind("eve@example.test")));
        let token = ours.read(&ours.reply(part()).unwrap()).unwrap();
        assert_eq!(ours.reader(&token, "ann@example.test"), None);
    }

    #[test]
    fn tagged_addresses_keep_to_64_octets() {
        let ours = tokens(&["secret"]);
        let longest = |purpose: Purpose, tag: String| purpose.longest_local() + 1 + tag.len();
        assert_eq!(longest(Purpose::Reply, ours.reply(part()).unwrap()), 64);
        assert_eq!(longest(Purpose::Bounce, ours.bounce(part(), Reader::Blind("a@b.c")).unwrap()), 64);
    }

    proptest! {
        #[test]
        fn base_32_is_undone(octets in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(decode(&encode(&octets)), Some(octets));
        }
    }
}
