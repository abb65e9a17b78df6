//! A broker as an argument of the command line.

use percent_encoding::percent_decode_str;

use crate::secret::Secret;

/// What [`BrokerUrl::parse`] reads.
const FORM: &str = "must be mqtt://[USER[:PASSWORD]@]HOST[:PORT], or mqtts:// for TLS";

/// A broker, and perhaps a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BrokerUrl {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
}

impl BrokerUrl {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let url = reqwest::Url::parse(text).map_err(|error| format!("{error}; it {FORM}"))?;
        let tls = match url.scheme() {
            "mqtt" => false,
            "mqtts" => true,
            other => return Err(format!("{other}:// is no broker; it {FORM}")),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| format!("no host; it {FORM}"))?.to_owned();
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(format!("nothing may follow the port; it {FORM}"));
        }
        let decode = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(String::from).map_err(|_| "the login is not UTF-8".to_owned())
        };
        let user = Some(url.username()).filter(|user| !user.is_empty()).map(decode).transpose()?;
        let password = url.password().map(decode).transpose()?.map(Secret::from);
        let port = url.port().unwrap_or(if tls { 8883 } else { 1883 });
        Ok(Self { tls, host, port, user, password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_read_with_its_login_and_its_usual_port() {
        let read = |text: &str| {
            let url = BrokerUrl::parse(text).unwrap();
            let password = url.password.map(|password| password.expose().to_owned());
            (url.tls, url.host, url.port, url.user, password)
        };
        let rows = [
            ("mqtt://broker", (false, "broker", 1883, None, None)),
            ("mqtts://broker/", (true, "broker", 8883, None, None)),
            ("mqtt://kitchen@10.0.0.1:1884", (false, "10.0.0.1", 1884, Some("kitchen"), None)),
            ("mqtts://k:p%40ss%2F@b:1", (true, "b", 1, Some("k"), Some("p@ss/"))),
            ("mqtt://k:@[::1]:1883", (false, "[::1]", 1883, Some("k"), None)),
        ];
        for (text, (tls, host, port, user, password)) in rows {
            let want =
                (tls, host.to_owned(), port, user.map(str::to_owned), password.map(str::to_owned));
            assert_eq!(read(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_broker_is_refused() {
        for text in
            ["broker", "http://broker", "mqtt://", "mqtt://b/topic", "mqtt://b?x=1", "mqtt://b:x"]
        {
            assert!(BrokerUrl::parse(text).is_err_and(|why| why.ends_with(FORM)), "{text}");
        }
        assert!(BrokerUrl::parse("mqtt://%ff@b").is_err());
    }
}
