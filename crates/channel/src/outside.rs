//! Requests to addresses that came from outside: a name is resolved once, every address it has is checked, and the connection
//! goes to one that was (reliability.md 15).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use url::{Host, Url};

use crate::http::{HttpAnswer, HttpSetupError, Phase, TransportError};

/// The longest time for a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// IPv4 that is not the open internet, as address and prefix length.
///
/// Source: <https://www.iana.org/assignments/iana-ipv4-special-registry>
const CLOSED_V4: [(Ipv4Addr, u32); 14] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// IPv6 that is not the open internet, as address and prefix length.
///
/// Source: <https://www.iana.org/assignments/iana-ipv6-special-registry>
const CLOSED_V6: [(Ipv6Addr, u32); 12] = [
    // Unspecified, loopback and addresses that are compatible with IPv4.
    (Ipv6Addr::UNSPECIFIED, 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 9),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

/// A range of addresses, such as `10.1.0.0/16`; one address alone is a range, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    prefix: u32,
}

/// A text that is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no range of addresses: such as `10.1.0.0/16`, `fd00::/8` or `127.0.0.1` is expected")]
pub struct NotARange(String);

impl FromStr for AddressRange {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let wrong = || NotARange(text.to_owned());
        let (first, prefix) = text.trim().split_once('/').map_or((text.trim(), None), |(a, b)| (a, Some(b)));
        let first: IpAddr = first.parse().map_err(|_| wrong())?;
        let longest = if first.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), str::parse).map_err(|_| wrong())?;
        if prefix > longest { Err(wrong()) } else { Ok(Self { first, prefix }) }
    }
}

impl AddressRange {
    /// Whether an address is in it; a mapped IPv4 address is the address that it stands for.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => same_v4(first, address, self.prefix),
            (IpAddr::V6(first), IpAddr::V6(address)) => same_v6(first, address, self.prefix),
            _ => false,
        }
    }
}

fn same_v4(a: Ipv4Addr, b: Ipv4Addr, prefix: u32) -> bool {
    (a.to_bits() ^ b.to_bits()).checked_shr(32 - prefix.min(32)).unwrap_or(0) == 0
}

fn same_v6(a: Ipv6Addr, b: Ipv6Addr, prefix: u32) -> bool {
    (a.to_bits() ^ b.to_bits()).checked_shr(128 - prefix.min(128)).unwrap_or(0) == 0
}

/// Which addresses may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideRules {
    /// Ranges that are allowed although they are not the open internet.
    pub allowed: Vec<AddressRange>,
    /// The ports that are allowed, as first and last.
    pub ports: Vec<(u16, u16)>,
}

impl Default for OutsideRules {
    fn default() -> Self {
        Self { allowed: Vec::new(), ports: vec![(80, 80), (443, 443)] }
    }
}

/// Why an address is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutsideRefused {
    /// It is no http or https address, or it holds a user name.
    #[error("an http or https address without a user name is expected")]
    NotHttp,
    /// The port is not one that may be called.
    #[error("this port may not be called: use 443 or 80, or have the deployer allow it in `outside.ports`")]
    Port,
    /// It leads to an address that is not the open internet.
    #[error("this leads to an address that is not on the open internet; a deployer may allow it in `outside.allow`")]
    Address,
}

impl OutsideRules {
    /// Whether an address may be called: what can be said before its name is resolved.
    ///
    /// # Errors
    /// [`OutsideRefused`].
    pub fn check(&self, url: &Url) -> Result<(), OutsideRefused> {
        let plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !plain {
            return Err(OutsideRefused::NotHttp);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        if !self.ports.iter().any(|(first, last)| (*first..=*last).contains(&port)) {
            return Err(OutsideRefused::Port);
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err(OutsideRefused::NotHttp),
        };
        if literal.is_none_or(|address| self.allows(address)) { Ok(()) } else { Err(OutsideRefused::Address) }
    }

    /// Whether connections to an address are allowed.
    pub fn allows(&self, address: IpAddr) -> bool {
        // A mapped address is the IPv4 address that it stands for.
        let address = address.to_canonical();
        let closed = match address {
            IpAddr::V4(address) => CLOSED_V4.iter().any(|(first, prefix)| same_v4(*first, address, *prefix)),
            IpAddr::V6(address) => CLOSED_V6.iter().any(|(first, prefix)| same_v6(*first, address, *prefix)),
        };
        !closed || self.allowed.iter().any(|range| range.holds(address))
    }
}

/// Resolves names to addresses that were checked; all of a name's addresses must be good.
struct Checked(Arc<OutsideRules>);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = Arc::clone(&self.0);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().all(|address| rules.allows(address.ip())) {
                Ok(Box::new(found.into_iter()) as Addrs)
            } else {
                Err(OutsideRefused::Address.into())
            }
        })
    }
}

/// A request that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutsideError {
    /// The address may not be called.
    #[error(transparent)]
    Refused(#[from] OutsideRefused),
    /// No connection could be made.
    #[error("no connection could be made")]
    NotConnected,
    /// No whole answer came in time.
    #[error("no answer came in time")]
    Timeout,
    /// The connection broke, or what came is no answer.
    #[error("the connection broke")]
    Broken,
    /// The answer is longer than was asked for.
    #[error("the answer is over {max} bytes")]
    TooLong {
        /// What was asked for, in bytes.
        max: usize,
    },
}

impl From<OutsideError> for TransportError {
    fn from(error: OutsideError) -> Self {
        let phase = match error {
            OutsideError::Refused(_) | OutsideError::NotConnected => Phase::NothingWritten,
            OutsideError::Timeout | OutsideError::Broken => Phase::Written,
            OutsideError::TooLong { .. } => Phase::Answered,
        };
        Self { phase, detail: error.to_string() }
    }
}

/// Calls addresses that came from outside. No redirects, no retries, no connection is kept: each request resolves and checks
/// anew.
#[derive(Debug, Clone)]
pub struct OutsideClient {
    client: reqwest::Client,
    rules: Arc<OutsideRules>,
}

impl OutsideClient {
    /// A client by these rules.
    ///
    /// # Errors
    /// [`HttpSetupError`], such as without root certificates.
    #[expect(clippy::disallowed_methods, reason = "the one place that builds a client for addresses from outside")]
    pub fn new(rules: OutsideRules) -> Result<Self, HttpSetupError> {
        // A second call finds the provider installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let rules = Arc::new(rules);
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Checked(Arc::clone(&rules))))
            .user_agent(concat!("transom/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(HttpSetupError::from)?;
        Ok(Self { client, rules })
    }

    /// Which addresses it calls.
    pub fn rules(&self) -> &OutsideRules {
        &self.rules
    }

    /// Posts a body and reads at most `max` bytes of what is answered; the rest is left unread.
    ///
    /// # Errors
    /// [`OutsideError`]; nothing in it says more than a word.
    pub async fn post(
        &self,
        url: &Url,
        headers: http::HeaderMap,
        body: bytes::Bytes,
        within: Duration,
        max: usize,
    ) -> Result<HttpAnswer, OutsideError> {
        self.rules.check(url).inspect_err(|_| refused())?;
        let request = self.client.post(url.clone()).headers(headers).body(body).timeout(within);
        let mut answer = request.send().await.map_err(|error| why(&error))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut body = BytesMut::new();
        while body.len() < max {
            let Some(chunk) = answer.chunk().await.map_err(|error| why(&error))? else { break };
            let room = max - body.len();
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        }
        Ok(HttpAnswer { status, headers, body: body.freeze() })
    }

    /// Fetches what lies at an address, at most `max` bytes of it.
    ///
    /// # Errors
    /// [`OutsideError`]; nothing in it says more than a word.
    pub async fn get(&self, url: &Url, within: Duration, max: usize) -> Result<HttpAnswer, OutsideError> {
        self.rules.check(url).inspect_err(|_| refused())?;
        let mut answer = self.client.get(url.clone()).timeout(within).send().await.map_err(|error| why(&error))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| why(&error))? {
            if body.len() + chunk.len() > max {
                return Err(OutsideError::TooLong { max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpAnswer { status, headers, body: body.freeze() })
    }
}

fn refused() {
    metrics::counter!("transom_ssrf_refused_total").increment(1);
}

fn why(error: &reqwest::Error) -> OutsideError {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(why) = inner.downcast_ref::<OutsideRefused>() {
            refused();
            return (*why).into();
        }
        cause = inner.source();
    }
    match (error.is_timeout(), error.is_connect()) {
        (_, true) => OutsideError::NotConnected,
        (true, false) => OutsideError::Timeout,
        (false, false) => OutsideError::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> OutsideRules {
        OutsideRules::default()
    }

    #[test]
    fn only_the_open_internet_is_called() {
        for closed in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.19.0.1",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001:db8::1",
            "2002:a00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!rules().allows(closed.parse().unwrap()), "{closed}");
        }
        for open in ["1.1.1.1", "100.63.255.255", "100.128.0.0", "172.32.0.1", "223.255.255.255", "2606:4700::1111"] {
            assert!(rules().allows(open.parse().unwrap()), "{open}");
        }
    }

    #[test]
    fn an_allowed_range_opens_itself_and_no_more() {
        let rules = OutsideRules { allowed: vec!["127.0.0.0/8".parse().unwrap()], ..rules() };
        assert!(rules.allows("127.3.2.1".parse().unwrap()));
        assert!(rules.allows("::ffff:127.0.0.1".parse().unwrap()), "it is the same address");
        assert!(!rules.allows("10.0.0.1".parse().unwrap()));
        assert!(!rules.allows("::1".parse().unwrap()));
        for wrong in ["", "x", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1"] {
            assert!(wrong.parse::<AddressRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_can_be_said_of_an_address_is_said_at_once() {
        let check = |url: &str| rules().check(&Url::parse(url).unwrap());
        assert_eq!(check("https://example.com/hook"), Ok(()));
        assert_eq!(check("ftp://example.com/"), Err(OutsideRefused::NotHttp));
        assert_eq!(check("https://user@example.com/"), Err(OutsideRefused::NotHttp));
        assert_eq!(check("https://example.com:22/"), Err(OutsideRefused::Port));
        // However it is written, it is this machine.
        for here in ["http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://[::ffff:7f00:1]/"] {
            assert_eq!(check(here), Err(OutsideRefused::Address), "{here}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_here_is_not_called() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let rules = OutsideRules { allowed: Vec::new(), ports: vec![(port, port)] };
        let client = OutsideClient::new(rules).unwrap();
        let url = Url::parse(&format!("http://localhost:{port}/")).unwrap();
        let second = Duration::from_secs(5);
        let asked = client.post(&url, http::HeaderMap::new(), bytes::Bytes::new(), second, 10).await;
        assert_eq!(asked.unwrap_err(), OutsideError::Refused(OutsideRefused::Address));
        assert_eq!(client.get(&url, second, 10).await.unwrap_err(), OutsideError::Refused(OutsideRefused::Address));
    }
}
