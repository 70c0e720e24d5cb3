//! The headers that say how much of a limit is used, and when a closed one opens again.

use http::HeaderMap;
use serde_json::Value;

/// No wish is followed for longer than this, in milliseconds (reliability.md 5).
const LONGEST_WAIT_MS: u64 = 3_600_000;

/// What `X-App-Usage` and `X-Business-Use-Case-Usage` say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The fullest of all limits, in percent.
    pub busiest: Option<u64>,
    /// When a closed limit opens again, in milliseconds, at most an hour.
    pub regain_ms: Option<u64>,
}

impl Usage {
    /// Reads what is there; headers that can't be read count as absent.
    pub fn read(headers: &HeaderMap) -> Self {
        let mut usage = Self::default();
        let json =
            |name: &str| headers.get(name).and_then(|value| serde_json::from_slice::<Value>(value.as_bytes()).ok());
        if let Some(Value::Object(app)) = json("x-app-usage") {
            usage.add(&Value::Object(app));
        }
        if let Some(Value::Object(accounts)) = json("x-business-use-case-usage") {
            accounts.values().filter_map(Value::as_array).flatten().for_each(|entry| usage.add(entry));
        }
        usage
    }

    fn add(&mut self, entry: &Value) {
        let number = |name: &str| entry.get(name).and_then(Value::as_f64).filter(|number| *number > 0.0);
        let percent = ["call_count", "total_time", "total_cputime"].into_iter().filter_map(number).fold(0.0, f64::max);
        self.busiest = self.busiest.max(Some(whole(percent)));
        // In minutes; 0 while nothing is closed.
        if let Some(minutes) = number("estimated_time_to_regain_access") {
            self.regain_ms = self.regain_ms.max(Some(whole(minutes * 60_000.0).min(LONGEST_WAIT_MS)));
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and the cast saturates")]
fn whole(number: f64) -> u64 {
    number.ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use rstest::rstest;

    #[rstest]
    #[case(&[], Usage::default())]
    #[case(&[("x-app-usage", r#"{"call_count":28,"total_time":95,"total_cputime":25}"#)], Usage { busiest: Some(95), regain_ms: None })]
    #[case(&[("x-business-use-case-usage", r#"{"700":[{"type":"whatsapp","call_count":100,"estimated_time_to_regain_access":5}]}"#)],
        Usage { busiest: Some(100), regain_ms: Some(300_000) })]
    #[case(&[("x-business-use-case-usage", r#"{"700":[{"call_count":1,"estimated_time_to_regain_access":600}]}"#)],
        Usage { busiest: Some(1), regain_ms: Some(3_600_000) })]
    #[case(&[("x-business-use-case-usage", r#"{"700":[{"call_count":1,"estimated_time_to_regain_access":0}]}"#)],
        Usage { busiest: Some(1), regain_ms: None })]
    #[case(&[("x-app-usage", "not json"), ("x-business-use-case-usage", "[1]")], Usage::default())]
    fn headers_are_read(#[case] given: &[(&'static str, &'static str)], #[case] expected: Usage) {
        let headers =
            given.iter().map(|(name, value)| ((*name).try_into().unwrap(), HeaderValue::from_static(value))).collect();
        assert_eq!(Usage::read(&headers), expected);
    }
}
