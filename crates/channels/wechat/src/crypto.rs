//! Proofs and encryption of webhooks (4.2, 4.3).

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The last character of a key may carry bits that mean nothing, and the padding is left out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The block that plaintexts are padded to, in bytes: twice that of the cipher.
const PADDED_TO: usize = 32;
/// Random bytes before the length of the message.
const RANDOM: usize = 16;

/// Whether a proof is that of these words: the lower-case hexadecimal SHA-1 of all of them, sorted by their bytes and joined.
pub(crate) fn proves(proof: &str, words: &[&str]) -> bool {
    let mut sorted = words.to_vec();
    sorted.sort_unstable();
    let expected = hex::encode(Sha1::digest(sorted.concat()));
    expected.as_bytes().ct_eq(proof.as_bytes()).into()
}

/// A key of 32 bytes, wiped when it is dropped.
pub(crate) struct AesKey(Zeroizing<[u8; 32]>);

impl AesKey {
    /// The key that an EncodingAESKey of 43 characters stands for.
    pub(crate) fn read(encoded: &str) -> Option<Self> {
        let bytes = Zeroizing::new(LENIENT.decode(encoded).ok().filter(|_| encoded.len() == 43)?);
        Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    /// The message inside an `Encrypt`, if it was made with this key for this app.
    pub(crate) fn open(&self, encrypt: &str, app_id: &str) -> Option<Vec<u8>> {
        let mut bytes = LENIENT.decode(encrypt).ok()?;
        let iv: [u8; 16] = self.0.first_chunk().copied()?;
        let cipher = cbc::Decryptor::<Aes256>::new(&(*self.0).into(), &iv.into());
        let padded = cipher.decrypt_padded::<NoPadding>(&mut bytes).ok()?;
        // PKCS#7 by hand: the block is larger than what the cipher's own unpadding allows.
        let pad = usize::from(*padded.last()?);
        let (plain, padding) = padded.split_at_checked(padded.len().checked_sub(pad)?)?;
        if !(1..=PADDED_TO).contains(&pad) || padding.iter().any(|byte| usize::from(*byte) != pad) {
            return None;
        }
        let (length, rest) = plain.get(RANDOM..)?.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (message, for_app) = rest.split_at_checked(length)?;
        (for_app == app_id.as_bytes()).then(|| message.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
    const APP: &str = "wx00000000000000a1";
    /// The vector of wechat.md 4.3.
    const ENCRYPT: &str = "Q3stYC6hdFzMh9T8HCvyDCh9c+ep0zYzymB6Et/ZFAopjm9IQIiYzZ6TiVfKxofi+89S0Ikjw+Ndvosk60MxFqIXAqcPnfqj8l7BdExRs0e4GK6a+jRUip9uQ5TWF+WUh/9KyB1ZGVmhXM52B/t+11nGJ6XYjdyXugkHOugfl8UH+yGf9rwVNd5Q+4/K8haa7jBYi4fZa0O0Vt3TsY20kgbVIU8Lr20jNfDcEel+vZnm+PUAFO7KmEeGjTo2gi5N7nhFQjMMA4WpAM76PDdcG4GBATGabnomNwkMX3KQK8kyUKfHQw7KCssssFsq+Q/7u1uzxclY8QcP/MWGJLWeWzmJ3zXePE5Ku9go3If6PqgVAlX7T/0CbNFE9caDYwbm4/bgyAiKt3RWEGb5CyuKGU7gzlR3N9HTLHsBsLUYoZHdLTN7xpzwDBinS7V+o7SFObmEDBR4N0k5SYvdoRxq4g==";

    #[rstest]
    #[case("899cf89e464efb63f54ddac96b0a0a235f53aa78", &["AAAAA", "1714037059", "486452656"])]
    #[case("ed666d982db7ef391c0e0f294d43588ac0e4d576", &["supporttoken01", "1767225600", "938271"])]
    #[case("7d03073b9431e1ff14d52c9fe1019f8844b9e385", &["supporttoken01", "1767225600", "938271", ENCRYPT])]
    fn proofs_are_those_of_the_sheet(#[case] proof: &str, #[case] words: &[&str]) {
        assert!(proves(proof, words));
        assert!(!proves(&proof.to_uppercase(), words) && !proves("", words) && !proves(proof, &words[1..]));
    }

    #[test]
    fn the_sheets_vector_opens_and_no_changed_one_does() {
        let key = AesKey::read(KEY).unwrap();
        let message = key.open(ENCRYPT, APP).unwrap();
        assert_eq!(message.len(), 290);
        assert!(message.starts_with(b"<xml><ToUserName><![CDATA[gh_0000000000a1]]></ToUserName>"));
        assert!(message.ends_with(b"<MsgId>24000000000000001</MsgId></xml>"));
        assert_eq!(key.open(ENCRYPT, "wx00000000000000a2"), None);
        let other = AesKey::read("bbcdefghijklmnopqrstuvwxyz0123456789ABCDEFG").unwrap();
        assert_eq!(other.open(ENCRYPT, APP), None);
        for spoilt in ["", "AAAA", "no base64!", &ENCRYPT[..64], &ENCRYPT[..43]] {
            assert_eq!(key.open(spoilt, APP), None, "{spoilt}");
        }
    }

    #[test]
    fn a_key_has_43_characters_and_its_last_bits_do_not_matter() {
        // `G` and `H` differ in the two bits that no byte takes.
        let (one, other) = (AesKey::read(KEY).unwrap(), AesKey::read(&KEY.replace('G', "H")).unwrap());
        assert_eq!(*one.0, *other.0);
        for wrong in ["", &KEY[..42], &format!("{KEY}A"), &format!("{KEY}="), &KEY.replace('a', "*")] {
            assert!(AesKey::read(wrong).is_none(), "{wrong}");
        }
    }
}
