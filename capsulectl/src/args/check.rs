//! `--check KIND[=TARGET][,option=value…]`: one check on one argument.
//!
//! The first part is the kind and what it asks; options follow after commas. A comma inside a value is
//! written twice. What the values may be is the daemon's business; here only the spelling is decided.

use std::path::PathBuf;

use capsule_api::{
    CheckCreate, CheckKind, CheckName, HttpProbe, IpFamily, PingProbe, ProbeSpec, RedirectPolicy, SshProbe,
    TcpProbe,
};

use super::values::duration_ms;

/// A check as typed; the CA file is read when the command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckArg {
    /// The check, without the CA's certificates.
    pub check: CheckCreate,
    /// File with PEM certificates to trust.
    pub ca_file: Option<PathBuf>,
}

/// What `--help` says about the form.
pub const CHECK_HELP: &str = "Check as KIND[=TARGET][,option=value...], repeatable: `ping`, `tcp=5432`, `ssh`, \
    `http=https://web-1/healthz,status=200-299,contains=ok`. Options of all: name, interval, timeout, down-after, \
    up-after, disabled; ping and tcp: family=v4|v6; ssh: banner-only; http: method, status (`+` between several), \
    contains, regex, header=NAME:VALUE, expect-header=NAME:REGEX, max-latency, tls-days, \
    redirects=same-host|follow|none, ca=FILE, insecure, connect-to=HOST. A comma in a value is written twice";

/// Reads a check.
pub fn check(text: &str) -> Result<CheckArg, String> {
    let mut parts = split_commas(text).into_iter();
    let first = parts.next().unwrap_or_default();
    let (kind, target) = match first.split_once('=') {
        Some((kind, target)) => (kind, Some(target)),
        None => (first.as_str(), None),
    };
    let kind: CheckKind = kind.parse().map_err(|error: capsule_api::words::UnknownWord| error.to_string())?;
    let mut reader = Reader { arg: CheckArg { check: bare(probe(kind, target)?), ca_file: None } };
    for part in parts {
        let (key, value) = match part.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (part.as_str(), None),
        };
        reader.option(key, value)?;
    }
    Ok(reader.arg)
}

fn bare(probe: ProbeSpec) -> CheckCreate {
    CheckCreate {
        name: None,
        probe,
        interval_ms: None,
        timeout_ms: None,
        down_after: None,
        up_after: None,
        enabled: true,
    }
}

/// A check of a kind with nothing said about it; `None` for kinds that need a target.
pub fn plain(kind: CheckKind) -> Option<CheckCreate> {
    probe(kind, None).ok().map(bare)
}

fn probe(kind: CheckKind, target: Option<&str>) -> Result<ProbeSpec, String> {
    let port = |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is not a port"));
    match (kind, target) {
        (CheckKind::Ping, None) => Ok(ProbeSpec::Ping(PingProbe { family: IpFamily::Any })),
        (CheckKind::Ping, Some(_)) => {
            Err("a ping check takes no target; it asks the xNode's address".to_owned())
        }
        (CheckKind::Tcp, Some(text)) => {
            Ok(ProbeSpec::Tcp(TcpProbe { port: port(text)?, family: IpFamily::Any }))
        }
        (CheckKind::Tcp, None) => Err("a tcp check needs a port, such as tcp=5432".to_owned()),
        (CheckKind::Ssh, text) => {
            let port = text.map(port).transpose()?;
            Ok(ProbeSpec::Ssh(SshProbe { port, host_key: true }))
        }
        (CheckKind::Http, Some(url)) => Ok(ProbeSpec::Http(Box::new(http(url)))),
        (CheckKind::Http, None) => Err("an http check needs a URL, such as http=https://web-1/".to_owned()),
    }
}

fn http(url: &str) -> HttpProbe {
    HttpProbe {
        url: url.to_owned(),
        method: "GET".to_owned(),
        headers: Default::default(),
        status: vec!["200-399".to_owned()],
        body_contains: None,
        body_regex: None,
        response_headers: Default::default(),
        max_latency_ms: None,
        min_tls_days: None,
        redirects: RedirectPolicy::SameHost,
        ca_pem: None,
        insecure: false,
        connect_to: None,
    }
}

struct Reader {
    arg: CheckArg,
}

impl Reader {
    fn option(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let given =
            || value.filter(|value| !value.is_empty()).ok_or_else(|| format!("`{key}` needs a value"));
        let number = || given()?.parse::<u32>().map_err(|_| format!("`{key}` is not a number"));
        let check = &mut self.arg.check;
        match key {
            "name" => check.name = Some(given()?.parse::<CheckName>().map_err(|error| error.to_string())?),
            "interval" => check.interval_ms = Some(duration_ms(given()?)?),
            "timeout" => check.timeout_ms = Some(duration_ms(given()?)?),
            "down-after" => check.down_after = Some(number()?),
            "up-after" => check.up_after = Some(number()?),
            "disabled" => check.enabled = false,
            _ => match &mut check.probe {
                ProbeSpec::Ping(PingProbe { family }) | ProbeSpec::Tcp(TcpProbe { family, .. })
                    if key == "family" =>
                {
                    *family = given()?
                        .parse()
                        .map_err(|error: capsule_api::words::UnknownWord| error.to_string())?;
                }
                ProbeSpec::Ssh(probe) if key == "banner-only" => probe.host_key = false,
                ProbeSpec::Http(_) if key == "ca" => self.arg.ca_file = Some(given()?.into()),
                ProbeSpec::Http(probe) => return http_option(probe, key, value),
                other => return Err(format!("a {} check has no option `{key}`", other.kind())),
            },
        }
        Ok(())
    }
}

fn http_option(probe: &mut HttpProbe, key: &str, value: Option<&str>) -> Result<(), String> {
    let given = || value.filter(|value| !value.is_empty()).ok_or_else(|| format!("`{key}` needs a value"));
    let header = |text: &str| {
        let (name, value) = text.split_once(':').ok_or_else(|| format!("`{key}` needs NAME:VALUE"))?;
        Ok::<_, String>((name.trim().to_owned(), value.trim().to_owned()))
    };
    match key {
        "method" => probe.method = given()?.to_ascii_uppercase(),
        "status" => probe.status = given()?.split('+').map(str::to_owned).collect(),
        "contains" => probe.body_contains = Some(given()?.to_owned()),
        "regex" => probe.body_regex = Some(given()?.to_owned()),
        "header" => probe.headers.extend([header(given()?)?]),
        "expect-header" => probe.response_headers.extend([header(given()?)?]),
        "max-latency" => probe.max_latency_ms = Some(duration_ms(given()?)?),
        "tls-days" => {
            probe.min_tls_days = Some(given()?.parse().map_err(|_| "`tls-days` is not a number".to_owned())?);
        }
        "redirects" => {
            let word = given()?.replace('-', "_");
            probe.redirects =
                word.parse().map_err(|error: capsule_api::words::UnknownWord| error.to_string())?;
        }
        "insecure" => probe.insecure = true,
        "connect-to" => {
            let host = given()?.parse().map_err(|error: capsule_api::InvalidHost| error.to_string())?;
            probe.connect_to = Some(host);
        }
        _ => return Err(format!("an http check has no option `{key}`")),
    }
    Ok(())
}

/// Splits at single commas; a double comma is one comma of the value.
fn split_commas(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ',' && chars.next_if_eq(&',').is_none() {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_forms_are_read() {
        for text in [
            "ping",
            "ping,family=v6,interval=10s",
            "tcp=5432",
            "ssh",
            "ssh=2222,banner-only",
            "http=https://web-1/healthz,status=200-299,contains=ok,regex=^a,,b$,tls-days=14,max-latency=2s,\
             redirects=none,ca=FILE,insecure,interval=30s,timeout=5s,down-after=3,up-after=1,name=web",
        ] {
            assert!(check(text).is_ok(), "{text}: {:?}", check(text));
        }
    }

    #[test]
    fn every_option_lands_where_it_belongs() {
        let arg = check(
            "http=https://a/?x=1,,2,status=200-299+404,regex=^a,,b$,max-latency=2s,ca=/ca.pem,down-after=3",
        )
        .expect("valid");
        let ProbeSpec::Http(probe) = &arg.check.probe else { panic!("an http check") };
        assert_eq!(probe.url, "https://a/?x=1,2");
        assert_eq!(probe.status, ["200-299", "404"]);
        assert_eq!(probe.body_regex.as_deref(), Some("^a,b$"));
        assert_eq!(probe.max_latency_ms, Some(2_000));
        assert_eq!(arg.check.down_after, Some(3));
        assert_eq!(arg.ca_file, Some("/ca.pem".into()));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, why) in [
            ("icmp", "`icmp` is no check kind (one of: ping, tcp, ssh, http)"),
            ("tcp", "a tcp check needs a port, such as tcp=5432"),
            ("tcp=70000", "`70000` is not a port"),
            ("ping=web", "a ping check takes no target; it asks the xNode's address"),
            ("ping,status=200", "a ping check has no option `status`"),
            ("http=https://a,interval=soon", "`soon` is not a time such as 30s, 5m or 2h"),
            ("ssh,name=", "`name` needs a value"),
        ] {
            assert_eq!(check(text).expect_err(text), why);
        }
    }
}
