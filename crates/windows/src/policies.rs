//! The set of policies that a service or a program works with.

use std::collections::BTreeMap;
use std::fmt;

use crate::policy::Policy;

/// Policies by name, each checked.
///
/// ```
/// use transom_windows::Policies;
///
/// let mut policies = Policies::builtin()?;
/// assert!(policies.get("whatsapp").is_some());
///
/// let error = policies.add("mine.toml", "name = 12").unwrap_err();
/// assert!(error.to_string().starts_with("mine.toml:1: `name` must be a text"), "{error}");
/// # Ok::<(), transom_windows::PolicyError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Policies {
    by_name: BTreeMap<String, Policy>,
}

macro_rules! builtin {
    ($($name:literal)*) => {
        &[$((concat!($name, ".toml"), include_str!(concat!("../policies/", $name, ".toml"))),)*]
    };
}

/// The files compiled in: adding a platform adds its file here.
const BUILTIN: &[(&str, &str)] = builtin! {
    "email" "instagram" "line" "messenger" "sms" "telegram" "telegram_business" "tiktok" "tiktok_b" "viber" "viber_business"
    "viber_sliding" "webchat" "wechat" "whatsapp"
};

impl Policies {
    /// No policies.
    pub fn new() -> Self {
        Self::default()
    }

    /// The policies that come with this crate.
    pub fn builtin() -> Result<Self, PolicyError> {
        let mut policies = Self::new();
        for (file, toml) in BUILTIN {
            policies.add(file, toml)?;
        }
        Ok(policies)
    }

    /// Reads, checks and adds a policy; one of the same name is replaced. A wrong file changes nothing.
    pub fn add(&mut self, file: &str, toml: &str) -> Result<(), PolicyError> {
        let policy = Policy::parse(file, toml)?;
        self.by_name.insert(policy.name().to_owned(), policy);
        Ok(())
    }

    /// The policy of that name.
    pub fn get(&self, name: &str) -> Option<&Policy> {
        self.by_name.get(name)
    }

    /// The policy that accounts of this platform have unless they name another: the one named like the platform.
    pub fn for_platform(&self, platform: &str) -> Option<&Policy> {
        self.get(platform).filter(|policy| policy.platform() == platform)
    }

    /// All policies, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.by_name.values()
    }
}

/// Why a policy file was refused: every problem that was found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    problems: Vec<Problem>,
}

impl PolicyError {
    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// The problems, in the order of the file. At least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}

/// One thing wrong with a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name, as it was given.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, and what is expected.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}
