//! Sites that may show a widget.

use url::{Host, Url};

/// A site: scheme, host and port, or every host one level below a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    /// Without the `*.`.
    host: String,
    port: Option<u16>,
    any_below: bool,
}

impl Origin {
    /// Reads `https://shop.example:8443` or `https://*.shop.example`. Without TLS this machine only: elsewhere anybody on the way
    /// could read along.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let any_below = text.contains("://*.");
        let url = Url::parse(&text.replacen("://*.", "://", 1)).ok()?;
        let is_bare = matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let is_local = match url.host()? {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.is_loopback(),
        };
        let host = url.host_str()?.to_owned();
        // A wildcard directly below a top-level name would be everybody.
        let is_narrow = !any_below || host.contains('.') || is_local;
        let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_local;
        (is_bare && is_safe && is_narrow && !host.contains('*')).then(|| Self {
            scheme: url.scheme().to_owned(),
            host,
            port: url.port_or_known_default(),
            any_below,
        })
    }

    /// Whether a browser's `Origin` is this site.
    #[cfg_attr(not(feature = "server"), allow(dead_code, reason = "only the routes are called by browsers"))]
    pub(crate) fn is(&self, origin: &str) -> bool {
        let Some(url) = Url::parse(origin).ok().filter(|url| url.origin().ascii_serialization() == origin) else {
            // `null`, or nothing that a browser writes.
            return false;
        };
        let host = url.host_str().unwrap_or_default();
        let is_host = match self.any_below {
            false => host == self.host,
            true => host
                .strip_suffix(self.host.as_str())
                .and_then(|below| below.strip_suffix('.'))
                .is_some_and(|below| !below.is_empty() && !below.contains('.')),
        };
        is_host && url.scheme() == self.scheme && url.port_or_known_default() == self.port
    }

    /// As `frame-ancestors` of a content security policy names it.
    #[cfg_attr(not(feature = "server"), allow(dead_code, reason = "only the routes serve pages"))]
    pub(crate) fn as_source(&self) -> String {
        let star = if self.any_below { "*." } else { "" };
        let usual = if self.scheme == "https" { 443 } else { 80 };
        let port = self.port.filter(|port| *port != usual).map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{star}{}{port}", self.scheme, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://shop.example", "https://shop.example", true)]
    #[case("https://shop.example/", "https://shop.example", true)]
    #[case("https://shop.example:443", "https://shop.example", true)]
    #[case("https://shop.example:8443", "https://shop.example:8443", true)]
    #[case("http://localhost:3000", "http://localhost:3000", true)]
    #[case("https://*.shop.example", "https://www.shop.example", true)]
    #[case("https://shop.example", "http://shop.example", false)]
    #[case("https://shop.example", "https://shop.example:8443", false)]
    #[case("https://shop.example", "https://shop.example.evil.example", false)]
    #[case("https://shop.example", "https://evil-shop.example", false)]
    #[case("https://shop.example", "https://SHOP.example", false)]
    #[case("https://*.shop.example", "https://shop.example", false)]
    #[case("https://*.shop.example", "https://a.b.shop.example", false)]
    #[case("https://*.shop.example", "https://evilshop.example", false)]
    #[case("https://shop.example", "null", false)]
    #[case("https://shop.example", "", false)]
    #[case("https://shop.example", "https://shop.example/path", false)]
    fn only_the_site_itself_is_it(#[case] listed: &str, #[case] origin: &str, #[case] is: bool) {
        assert_eq!(Origin::parse(listed).unwrap().is(origin), is);
    }

    #[rstest]
    #[case("https://shop.example", "https://shop.example")]
    #[case("https://*.shop.example:8443", "https://*.shop.example:8443")]
    #[case("http://127.0.0.1:80", "http://127.0.0.1")]
    fn a_site_is_written_as_a_source(#[case] listed: &str, #[case] source: &str) {
        assert_eq!(Origin::parse(listed).unwrap().as_source(), source);
    }

    #[rstest]
    #[case("*")]
    #[case("https://*")]
    #[case("https://*.com")]
    #[case("https://*.*.shop.example")]
    #[case("http://shop.example")]
    #[case("https://shop.example/chat")]
    #[case("https://shop.example?x")]
    #[case("https://me@shop.example")]
    #[case("null")]
    #[case("data:text/html,x")]
    fn what_is_no_site_is_not_listed(#[case] text: &str) {
        assert_eq!(Origin::parse(text), None);
    }
}
