//! Twilio Programmable Messaging: the only I/O, and what is Twilio's own.

mod error;
mod inbound;
mod list;
mod signature;

use async_trait::async_trait;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use time::OffsetDateTime;
use transom_channel::http::{HttpAnswer, HttpClient, Phase, TransportError};
use transom_channel::outside::OutsideClient;
use transom_channel::{
    AccountInfo, Answer, Inbound, MediaBytes, MediaError, ParseError, Ports, RawInbound, Receipt, SendError,
    VerifyError, WebhookCall,
};
use transom_domain::Clock;
use url::Url;

use self::signature::Proofs;
use crate::config::{Line, Sender, TwilioConfig, is_api_host};
use crate::provider::{Outgoing, Provider, Sent};

const TWILIO: &str = "https://api.twilio.com";
/// The query parameter of the status callback that carries our reference.
const PART: &str = "part";

/// One sender of a Twilio account. `Debug` shows no secret.
pub(crate) struct Twilio {
    http: HttpClient,
    outside: OutsideClient,
    base: String,
    account_sid: String,
    user: String,
    password: SecretString,
    sender: Sender,
    validity_seconds: Option<u16>,
    webhook_url: Option<String>,
    proofs: Proofs,
    clock: std::sync::Arc<dyn Clock>,
}

impl std::fmt::Debug for Twilio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Twilio")
            .field("base", &self.base)
            .field("account_sid", &self.account_sid)
            .finish_non_exhaustive()
    }
}

/// The answer to a created message (sms.md 2).
#[derive(Deserialize)]
struct Created {
    sid: Option<String>,
    status: Option<String>,
    num_segments: Option<String>,
    error_code: Option<i64>,
}

/// `GET /Accounts/{sid}.json`.
#[derive(Deserialize)]
struct Account {
    friendly_name: Option<String>,
    status: Option<String>,
}

impl Twilio {
    pub(crate) fn new(config: TwilioConfig, line: &Line, ports: &Ports) -> Self {
        let own = config.api_host.as_ref().map_or_else(|| TWILIO.to_owned(), |host| format!("https://{host}"));
        let first = config.auth_tokens.first().cloned().unwrap_or_default();
        let (user, password) = config.api_key.unwrap_or_else(|| (config.account_sid.clone(), first));
        Self {
            http: ports.http.clone(),
            outside: ports.outside.clone(),
            base: ports.endpoint("sms", &own),
            user,
            password,
            sender: line.sender.clone(),
            validity_seconds: line.validity_seconds,
            proofs: Proofs {
                auth_tokens: config.auth_tokens,
                signing_key: config.signing_key,
                webhook_url: config.webhook_url.clone(),
            },
            webhook_url: config.webhook_url,
            account_sid: config.account_sid,
            clock: std::sync::Arc::clone(&ports.clock),
        }
    }

    /// The fields of a message (sms.md 2).
    fn form(&self, message: &Outgoing<'_>) -> Vec<(&'static str, String)> {
        let mut form = vec![("To", message.to.to_owned())];
        form.push(match &self.sender {
            Sender::Address(address) => ("From", address.clone()),
            Sender::Service(service) => ("MessagingServiceSid", service.clone()),
        });
        if !message.text.is_empty() {
            form.push(("Body", message.text.to_owned()));
        }
        form.extend(message.files.iter().map(|file| ("MediaUrl", file.clone())));
        form.extend(self.validity_seconds.map(|seconds| ("ValidityPeriod", seconds.to_string())));
        form.extend(self.callback(&message.correlation).map(|url| ("StatusCallback", url)));
        form
    }

    /// Where receipts go, with our reference.
    fn callback(&self, correlation: &str) -> Option<String> {
        let mut url = Url::parse(self.webhook_url.as_ref()?).ok()?;
        url.query_pairs_mut().append_pair(PART, correlation);
        Some(url.to_string())
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let request =
            self.http.request(method, &format!("{}/2010-04-01/Accounts/{}{path}", self.base, self.account_sid));
        request.basic_auth(&self.user, Some(self.password.expose_secret()))
    }

    /// The address of a file at Twilio; any other is not fetched with our credentials (sms.md 6).
    fn media_address(&self, address: &str) -> Option<String> {
        let url = Url::parse(address).ok()?;
        let path = url.path();
        let ours = url.scheme() == "https"
            && url.host_str().is_some_and(is_api_host)
            && url.username().is_empty()
            && url.port().is_none()
            && path.starts_with("/2010-04-01/Accounts/");
        ours.then(|| format!("{}{path}", self.base))
    }
}

#[async_trait]
impl Provider for Twilio {
    async fn send(&self, message: &Outgoing<'_>) -> Result<Receipt, SendError> {
        let request = self.call(Method::POST, "/Messages.json").form(&self.form(message));
        receipt(&self.http.execute(request).await?)
    }

    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        self.proofs.verify(call)?;
        // TwiML that says nothing: Twilio answers the keywords itself, and agents the rest.
        Ok(Answer { content_type: "text/xml", body: "<Response></Response>".to_owned(), ..Answer::accepted() })
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        inbound::parse(&self.sender, raw)
    }

    fn correlates(&self) -> bool {
        self.webhook_url.is_some()
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        let answer = self.http.execute(self.call(Method::GET, ".json")).await;
        let answer = answer.map_err(|error| error::of_a_read(error.into()))?;
        if !answer.is_success() {
            return Err(error::of_a_read(refused(&answer)));
        }
        let account: Option<Account> = answer.json();
        let account = account.ok_or_else(|| error::of_a_read(error::unreadable(answer.status)))?;
        match account.status.as_deref() {
            None | Some("active") => Ok(AccountInfo {
                name: account.friendly_name.map(|name| format!("{name} ({})", self.sender.as_str())),
                at: Some(self.clock.now()),
                ..AccountInfo::default()
            }),
            Some(_) => Err(error::inactive()),
        }
    }

    async fn received(&self, since: OffsetDateTime, until: OffsetDateTime) -> Result<Vec<RawInbound>, SendError> {
        list::received(self, since, until).await
    }

    async fn sent(&self, to: &str, since: OffsetDateTime) -> Result<Vec<Sent>, SendError> {
        list::sent(self, to, since).await
    }

    async fn download(&self, address: &str, max: u64) -> Result<MediaBytes, MediaError> {
        let most = usize::try_from(max).unwrap_or(usize::MAX);
        let too_large = |error: TransportError| match error.phase {
            Phase::Answered if error.detail.contains("is over") => MediaError::TooLarge { max },
            _ => MediaError::Unavailable(error.detail),
        };
        let address = self.media_address(address).ok_or(MediaError::NotFound)?;
        let request = self.http.request(Method::GET, &address);
        let request = request.basic_auth(&self.user, Some(self.password.expose_secret()));
        let mut answer = self.http.execute_up_to(request, most).await.map_err(too_large)?;
        if matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
            // The storage behind it: our credentials do not go there.
            let base = Url::parse(&address).ok();
            let next = answer.header("location").zip(base).and_then(|(next, base)| base.join(next).ok());
            let next = next.ok_or_else(|| MediaError::Unavailable("a redirection to nowhere".to_owned()))?;
            let stored = if Url::parse(&self.base).is_ok_and(|base| base.origin() == next.origin()) {
                self.http.execute_up_to(self.http.request(Method::GET, next.as_str()), most).await
            } else if next.scheme() == "https" {
                self.outside.get(&next, self.http.total_timeout(), most).await.map_err(Into::into)
            } else {
                return Err(MediaError::Unavailable("a redirection to nowhere".to_owned()));
            };
            answer = stored.map_err(too_large)?;
        }
        match answer.status {
            200 => {
                let mime = answer.header("content-type").and_then(|mime| mime.split(';').next()).map(str::trim);
                let mime = mime.unwrap_or("application/octet-stream").to_owned();
                Ok(MediaBytes { bytes: answer.body, mime, file_name: None })
            }
            404 | 410 => Err(MediaError::NotFound),
            status => Err(MediaError::Unavailable(format!("the provider answered {status}"))),
        }
    }
}

/// What became of a send: any 2xx with an id is accepted (sms.md 2).
fn receipt(answer: &HttpAnswer) -> Result<Receipt, SendError> {
    if !answer.is_success() {
        return Err(refused(answer));
    }
    let created: Option<Created> = answer.json();
    match created {
        Some(Created { error_code: Some(code), .. }) => Err(error::of_code(code, Some(answer.status), "")),
        Some(Created { sid: Some(sid), status, num_segments, .. }) if !sid.is_empty() => Ok(Receipt {
            provider_id: Some(sid),
            // A Messaging Service counts later and says 0.
            billing: num_segments.filter(|count| count != "0").map(|count| format!("{count} segments")),
            held: status.as_deref() == Some("scheduled"),
            ..Receipt::default()
        }),
        _ => Err(error::unreadable(answer.status)),
    }
}

fn refused(answer: &HttpAnswer) -> SendError {
    error::refusal(answer.status, &answer.body, answer.retry_after_ms())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use rstest::rstest;
    use transom_channel::SettingValues;

    fn twilio(settings: &[(&str, &str)]) -> Twilio {
        let base = SettingValues::default()
            .with("account_sid", "AC00000000000000000000000000000001")
            .with("auth_token", "t")
            .with("sender", "+12025550199");
        let settings = settings.iter().fold(base, |all, (name, value)| all.with(*name, *value));
        let config = Config::read(&settings).unwrap();
        Twilio::new(config.twilio, &config.line, &Ports::system().unwrap())
    }

    fn message() -> Outgoing<'static> {
        Outgoing {
            to: "+12025550123",
            text: "Hi",
            files: vec!["https://f.example/a.jpg".into()],
            correlation: "0192".into(),
        }
    }

    #[test]
    fn a_message_is_written_as_the_reference_says() {
        let form = twilio(&[]).form(&message());
        let number = ("From", "+12025550199".to_owned());
        let file = ("MediaUrl", "https://f.example/a.jpg".to_owned());
        assert_eq!(form, [("To", "+12025550123".to_owned()), number, ("Body", "Hi".to_owned()), file]);
        let service = "MG00000000000000000000000000000001";
        let url = "https://hooks.example/webhooks/1?tenant=7#rc=5&rp=all";
        let form = twilio(&[("sender", service), ("webhook_url", url), ("validity_seconds", "600")]).form(&message());
        assert!(form.contains(&("MessagingServiceSid", service.to_owned())));
        assert!(form.contains(&("ValidityPeriod", "600".to_owned())));
        let callback = "https://hooks.example/webhooks/1?tenant=7&part=0192#rc=5&rp=all";
        assert!(form.contains(&("StatusCallback", callback.to_owned())), "{form:?}");
    }

    /// sms.md 6: only Twilio's own host gets our credentials.
    #[rstest]
    #[case("https://api.twilio.com/2010-04-01/Accounts/AC0/Messages/MM0/Media/ME0", true)]
    #[case("https://api.dublin.ie1.twilio.com/2010-04-01/Accounts/AC0/Messages/MM0/Media/ME0", true)]
    #[case("http://api.twilio.com/2010-04-01/Accounts/AC0/Messages/MM0/Media/ME0", false)]
    #[case("https://api.twilio.com.evil.example/2010-04-01/Accounts/AC0/Media", false)]
    #[case("https://user@api.twilio.com/2010-04-01/Accounts/AC0", false)]
    #[case("https://api.twilio.com:8443/2010-04-01/Accounts/AC0", false)]
    #[case("https://169.254.169.254/2010-04-01/Accounts/AC0", false)]
    #[case("https://api.twilio.com/other", false)]
    #[case("file:///etc/passwd", false)]
    fn files_are_fetched_from_twilio_only(#[case] address: &str, #[case] fetched: bool) {
        assert_eq!(twilio(&[]).media_address(address).is_some(), fetched);
    }

    fn answer(status: u16, body: &'static str) -> HttpAnswer {
        HttpAnswer { status, headers: http::HeaderMap::new(), body: body.as_bytes().into() }
    }

    /// The answers of sms.md 2 and 3.
    #[rstest]
    #[case(201, r#"{"sid":"SM0000000000000000000000000000000a","status":"queued","num_segments":"2","error_code":null}"#, Ok(("SM0000000000000000000000000000000a", Some("2 segments"))))]
    #[case(200, r#"{"sid":"SM1","status":"accepted","from":null,"num_segments":"0"}"#, Ok(("SM1", None)))]
    #[case(201, r#"{"sid":"SM1","status":"failed","error_code":21610}"#, Err("opted_out"))]
    #[case(201, r#"{"status":"queued"}"#, Err("outcome_unknown"))]
    #[case(201, "<html>", Err("outcome_unknown"))]
    #[case(400, r#"{"code":21211,"message":"Invalid 'To' Phone Number: +1202","more_info":"https://www.twilio.com/docs/errors/21211","status":400}"#, Err("unreachable"))]
    #[case(429, r#"{"code":20429,"message":"Too Many Requests","status":429}"#, Err("rate_limited"))]
    #[case(500, r#"{"code":20500,"message":"Internal Server Error","status":500}"#, Err("outcome_unknown"))]
    #[case(502, "a proxy's page", Err("outcome_unknown"))]
    fn what_was_accepted_is_told_from_what_was_not(
        #[case] status: u16,
        #[case] body: &'static str,
        #[case] expected: Result<(&str, Option<&str>), &str>,
    ) {
        let read = receipt(&answer(status, body));
        let read = read.as_ref().map(|read| (read.provider_id.as_deref().unwrap(), read.billing.as_deref()));
        assert_eq!(read.map_err(SendError::code), expected);
    }
}
