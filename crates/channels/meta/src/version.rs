//! The version of the Graph API that requests name in their path.

use std::fmt;
use std::str::FromStr;

/// A version such as `v25.0`. The default is the one the platform sheets were checked against.
///
/// ```
/// use transom_meta::ApiVersion;
/// assert_eq!(ApiVersion::default().to_string(), "v25.0");
/// assert_eq!("v26.1".parse::<ApiVersion>()?.to_string(), "v26.1");
/// assert!("latest".parse::<ApiVersion>().is_err());
/// # Ok::<_, transom_meta::BadVersion>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    major: u16,
    minor: u16,
}

/// A text that is no version of the Graph API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadVersion;

impl fmt::Display for BadVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a Graph API version is written like {}", ApiVersion::default())
    }
}

impl std::error::Error for BadVersion {}

impl Default for ApiVersion {
    fn default() -> Self {
        Self { major: 25, minor: 0 }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}", self.major, self.minor)
    }
}

impl FromStr for ApiVersion {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?;
        let (major, minor) = text.trim().strip_prefix('v').and_then(|rest| rest.split_once('.')).ok_or(BadVersion)?;
        Ok(Self { major: digits(major).ok_or(BadVersion)?, minor: digits(minor).ok_or(BadVersion)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("v25.0", true)]
    #[case(" v25.0 ", true)]
    #[case("25.0", false)]
    #[case("v25", false)]
    #[case("v25.+1", false)]
    #[case("v25.0/me", false)]
    #[case("v99999.0", false)]
    fn only_versions_are_taken(#[case] text: &str, #[case] taken: bool) {
        assert_eq!(text.parse::<ApiVersion>().is_ok(), taken);
    }
}
