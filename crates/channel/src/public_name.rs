//! What a file is called in its public address.

use std::path::Path;

/// A name that says no more than what kind of file it is: platforms tell pictures and films by the ending of their address.
/// The type decides, since the bytes told it; the file's own ending where the type has none that everybody knows.
pub fn public_name(mime: &str, file_name: Option<&str>) -> String {
    let usual = match mime {
        "image/jpeg" => Some("jpg"),
        "image/png" => Some("png"),
        "image/gif" => Some("gif"),
        "image/webp" => Some("webp"),
        "video/mp4" => Some("mp4"),
        "video/quicktime" => Some("mov"),
        "audio/mpeg" => Some("mp3"),
        "audio/mp4" | "audio/m4a" | "audio/x-m4a" => Some("m4a"),
        "audio/ogg" => Some("ogg"),
        "audio/amr" => Some("amr"),
        "application/pdf" => Some("pdf"),
        _ => None,
    };
    let own = || Path::new(file_name?).extension()?.to_str().map(str::to_ascii_lowercase);
    let plain = |ending: &String| ending.len() <= 8 && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let ending = usual.map(str::to_owned).or_else(own).filter(plain).unwrap_or_else(|| "bin".to_owned());
    format!("file.{ending}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("image/jpeg", Some("Photo 1.JPEG"), "file.jpg")]
    #[case("video/mp4", None, "file.mp4")]
    #[case("image/png", Some("page.html"), "file.png")]
    #[case("text/csv", Some("Umsätze.CSV"), "file.csv")]
    #[case("text/plain", Some("a.b/../c\r\n"), "file.bin")]
    #[case("text/plain", Some("a.très"), "file.bin")]
    #[case("application/octet-stream", Some("none"), "file.bin")]
    #[case("application/octet-stream", None, "file.bin")]
    fn it_ends_as_its_type_does(#[case] mime: &str, #[case] file_name: Option<&str>, #[case] name: &str) {
        assert_eq!(super::public_name(mime, file_name), name);
    }
}
