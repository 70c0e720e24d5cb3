//! How WeChat proves and encrypts its calls.

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use sha1::{Digest, Sha1};

/// Lower-case hexadecimal SHA-1 of the words, sorted and joined.
pub(super) fn signature(words: &[&str]) -> String {
    let mut words = words.to_vec();
    words.sort_unstable();
    hex::encode(Sha1::digest(words.concat()))
}

/// The key of 32 bytes that 43 characters stand for.
pub(super) fn key(encoding_aes_key: &str) -> Option<[u8; 32]> {
    // The last character may carry bits that belong to no byte.
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let lenient = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    lenient.decode(format!("{encoding_aes_key}=")).ok()?.try_into().ok()
}

/// What goes into `Encrypt`: random bytes, length, message and app, padded to 32, in AES-256-CBC, as base64.
pub(super) fn encrypt(key: &[u8; 32], random: &str, message: &str, app_id: &str) -> Option<String> {
    let length = u32::try_from(message.len()).ok()?.to_be_bytes();
    let mut plain = [random.as_bytes(), &length, message.as_bytes(), app_id.as_bytes()].concat();
    let pad = 32 - plain.len() % 32;
    plain.extend(std::iter::repeat_n(u8::try_from(pad).ok()?, pad));
    let iv: [u8; 16] = key.first_chunk().copied()?;
    let whole = plain.len();
    let cipher = cbc::Encryptor::<Aes256>::new(&(*key).into(), &iv.into());
    cipher.encrypt_padded::<NoPadding>(&mut plain, whole).ok()?;
    Some(STANDARD.encode(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Tencent's documents and of the fact sheet (4.2, 4.3).
    #[test]
    fn calls_are_proved_and_encrypted_as_in_the_documents() {
        let official = signature(&["AAAAA", "1714037059", "486452656"]);
        assert_eq!(official, "899cf89e464efb63f54ddac96b0a0a235f53aa78");
        let message = "<xml><ToUserName><![CDATA[gh_0000000000a1]]></ToUserName><FromUserName><![CDATA[oEXAMPLEopenid00000000000001]]></FromUserName><CreateTime>1767225600</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hello you, order 4711 pls]]></Content><MsgId>24000000000000001</MsgId></xml>";
        let key = key("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG").unwrap();
        let encrypted = encrypt(&key, "0123456789abcdef", message, "wx00000000000000a1").unwrap();
        let proof = signature(&["supporttoken01", "1767225600", "938271", &encrypted]);
        assert_eq!(proof, "7d03073b9431e1ff14d52c9fe1019f8844b9e385");
    }
}
