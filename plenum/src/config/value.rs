//! What a single setting may hold: one type per kind of value.
//!
//! A value arrives as text (an environment variable) or as a TOML item; both
//! become a [`Raw`] first, so that each type has one parser and one sentence
//! that says what is allowed.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use plenum_turn::Network;
use toml::de::DeValue;

/// A value before its setting has judged it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Raw {
    /// Text or a number or a word.
    One(String),
    /// A list of such.
    Many(Vec<String>),
}

impl Raw {
    /// A TOML item; `None` for tables, dates, floats and nested lists, which no
    /// setting takes.
    pub(crate) fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        let scalar = |value: &DeValue<'_>| match value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
            DeValue::Boolean(flag) => Some(flag.to_string()),
            _ => None,
        };
        match value {
            DeValue::Array(items) => items
                .iter()
                .map(|item| scalar(item.get_ref()))
                .collect::<Option<Vec<_>>>()
                .map(Self::Many),
            other => scalar(other).map(Self::One),
        }
    }

    fn one(&self) -> Option<&str> {
        match self {
            Self::One(text) => Some(text.trim()),
            Self::Many(_) => None,
        }
    }

    /// The items; text is split at commas, for environment variables know no lists.
    fn items(&self) -> Vec<&str> {
        let items: Vec<&str> = match self {
            Self::One(text) => text.split(',').map(str::trim).collect(),
            Self::Many(items) => items.iter().map(|item| item.trim()).collect(),
        };
        items.into_iter().filter(|item| !item.is_empty()).collect()
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(text) => write!(f, "{text:?}"),
            Self::Many(items) => write!(f, "{items:?}"),
        }
    }
}

/// A kind of value.
pub(crate) trait Value: Sized {
    /// What is allowed, as the end of a sentence.
    fn allowed() -> String;
    /// The value, if it is allowed.
    fn parse(raw: &Raw) -> Option<Self>;
    /// As TOML that parses to the same value.
    fn to_toml(&self) -> String;
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items
        .into_iter()
        .map(|item| quoted(&item.to_string()))
        .collect();
    format!("[{}]", items.join(", "))
}

/// A whole number within bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Whole<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// For defaults: checked when the program is compiled.
    pub(crate) const fn new(value: u64) -> Self {
        assert!(value >= MIN && value <= MAX);
        Self(value)
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Value for Whole<MIN, MAX> {
    fn allowed() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn parse(raw: &Raw) -> Option<Self> {
        let value = raw.one()?.replace('_', "").parse().ok()?;
        (MIN..=MAX).contains(&value).then_some(Self(value))
    }

    fn to_toml(&self) -> String {
        self.0.to_string()
    }
}

/// A port; 0 lets the kernel choose.
impl Value for u16 {
    fn allowed() -> String {
        "a port from 0 to 65535, where 0 lets the kernel choose".to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        raw.one()?.parse().ok()
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl Value for bool {
    fn allowed() -> String {
        "true or false".to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        raw.one()?.parse().ok()
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    fn allowed() -> String {
        "text that is not empty".to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        raw.one().filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn to_toml(&self) -> String {
        quoted(self)
    }
}

impl Value for PathBuf {
    fn allowed() -> String {
        "a path".to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        raw.one().filter(|text| !text.is_empty()).map(Self::from)
    }

    fn to_toml(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

/// A path that may be left empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct OptionalPath(Option<PathBuf>);

impl OptionalPath {
    pub(crate) fn get(&self) -> Option<&Path> {
        self.0.as_deref()
    }
}

impl Value for OptionalPath {
    fn allowed() -> String {
        "a path, or \"\" for none".to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        let text = raw.one()?;
        Some(Self((!text.is_empty()).then(|| PathBuf::from(text))))
    }

    fn to_toml(&self) -> String {
        quoted(&self.0.as_deref().unwrap_or(Path::new("")).to_string_lossy())
    }
}

/// Addresses to listen on.
impl Value for Vec<IpAddr> {
    fn allowed() -> String {
        "one or more IP addresses; 0.0.0.0 or :: stand for all of the machine".to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        let addresses: Self = raw
            .items()
            .iter()
            .map(|item| item.trim_matches(['[', ']']).parse().ok())
            .collect::<Option<_>>()?;
        (!addresses.is_empty()).then_some(addresses)
    }

    fn to_toml(&self) -> String {
        list(self)
    }
}

/// An address that may be left empty.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct OptionalIp(Option<IpAddr>);

impl OptionalIp {
    pub(crate) const fn get(self) -> Option<IpAddr> {
        self.0
    }
}

impl Value for OptionalIp {
    fn allowed() -> String {
        "an IP address, or \"\" for none".to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        match raw.one()?.trim_matches(['[', ']']) {
            "" => Some(Self(None)),
            text => {
                let ip: IpAddr = text.parse().ok()?;
                (!ip.is_unspecified()).then_some(Self(Some(ip)))
            }
        }
    }

    fn to_toml(&self) -> String {
        quoted(&self.0.map(|ip| ip.to_string()).unwrap_or_default())
    }
}

/// A secret that may be left empty. It is printed where settings are, and in no log.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn get(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Value for Secret {
    fn allowed() -> String {
        "text, or \"\" for none".to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        raw.one().map(|text| Self(text.to_owned()))
    }

    fn to_toml(&self) -> String {
        quoted(&self.0)
    }
}

/// Ports, possibly none; 0 lets the kernel choose.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct PortList(pub(crate) Vec<u16>);

impl Value for PortList {
    fn allowed() -> String {
        "a list of ports, 0 to 65535".to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        let ports = raw.items().into_iter().map(|item| item.parse().ok());
        ports.collect::<Option<_>>().map(Self)
    }

    fn to_toml(&self) -> String {
        let ports: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        format!("[{}]", ports.join(", "))
    }
}

/// An address with its port, or none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct OptionalAddress(Option<SocketAddr>);

impl OptionalAddress {
    pub(crate) const fn get(self) -> Option<SocketAddr> {
        self.0
    }
}

impl Value for OptionalAddress {
    fn allowed() -> String {
        "an address with a port such as \"192.0.2.1:3478\", or \"\" for none".to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        match raw.one()? {
            "" => Some(Self(None)),
            text => text.parse().ok().map(|address| Self(Some(address))),
        }
    }

    fn to_toml(&self) -> String {
        quoted(
            &self
                .0
                .map(|address| address.to_string())
                .unwrap_or_default(),
        )
    }
}

/// Address ranges, possibly none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Networks(pub(crate) Vec<Network>);

impl Value for Networks {
    fn allowed() -> String {
        "a list of address ranges such as \"10.0.0.0/8\"".to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        let ranges = raw.items().into_iter().map(|item| item.parse().ok());
        ranges.collect::<Option<_>>().map(Self)
    }

    fn to_toml(&self) -> String {
        list(&self.0)
    }
}

/// Names, possibly none.
impl Value for Vec<String> {
    fn allowed() -> String {
        "a list of names".to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        Some(raw.items().into_iter().map(str::to_owned).collect())
    }

    fn to_toml(&self) -> String {
        list(self)
    }
}

/// First and last port of a range.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ports(RangeInclusive<u16>);

impl Ports {
    pub(crate) const fn new(first: u16, last: u16) -> Self {
        assert!(first >= 1 && last > first);
        Self(first..=last)
    }

    pub(crate) fn range(&self) -> RangeInclusive<u16> {
        self.0.clone()
    }
}

impl Value for Ports {
    fn allowed() -> String {
        "two ports, the second the larger one, such as \"20000-29999\"".to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        let (first, last) = raw.one()?.split_once('-')?;
        let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first >= 1 && last > first).then_some(Self(first..=last))
    }

    fn to_toml(&self) -> String {
        quoted(&format!("{}-{}", self.0.start(), self.0.end()))
    }
}

/// A filter for `tracing`, such as `info` or `info,plenum_sip=debug`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LogLevel(pub(crate) String);

impl Value for LogLevel {
    fn allowed() -> String {
        "error, warn, info, debug or trace, or such with targets: \"info,plenum_sip=debug\""
            .to_owned()
    }

    fn parse(raw: &Raw) -> Option<Self> {
        // `EnvFilter` takes a misspelt level for a target's name, so look first.
        let text = raw.one()?;
        let level_of = |part: &str| {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
            ["error", "warn", "info", "debug", "trace", "off"].contains(&level.trim())
        };
        let good =
            text.split(',').all(level_of) && tracing_subscriber::EnvFilter::try_new(text).is_ok();
        good.then(|| Self(text.to_owned()))
    }

    fn to_toml(&self) -> String {
        quoted(&self.0)
    }
}

/// A closed set of words as an enum that is a [`Value`].
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $( $(#[$variant_doc:meta])* $variant:ident = $word:literal, )+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum $name { $( $(#[$variant_doc])* $variant, )+ }

        impl Value for $name {
            fn allowed() -> String {
                format!("one of {}", [$( concat!("\"", $word, "\"") ),+].join(", "))
            }

            fn parse(raw: &Raw) -> Option<Self> {
                match raw.one()? {
                    $( $word => Some(Self::$variant), )+
                    _ => None,
                }
            }

            fn to_toml(&self) -> String {
                quoted(match self { $( Self::$variant => $word, )+ })
            }
        }
    };
}

words! {
    /// Whether media must be encrypted.
    Encryption {
        /// Only SRTP.
        Required = "required",
        /// SRTP where the far end can.
        Optional = "optional",
        /// Never.
        Prohibited = "prohibited",
    }
}

words! {
    /// How people may name a meeting by its address.
    ResolveUris {
        /// Not at all.
        Off = "off",
        /// With its domain.
        Plain = "domainSuggestionDisabled",
        /// Ours is added where none is typed.
        Suggested = "domainSuggestionEnabled",
    }
}

words! {
    /// Whether TURN is served beside meetings.
    TurnServe {
        /// When others can reach the server.
        Auto = "auto",
        /// Always.
        On = "on",
        /// Never.
        Off = "off",
    }
}

words! {
    /// How log lines look.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<T: Value>(text: &str) -> Option<T> {
        T::parse(&Raw::One(text.to_owned()))
    }

    /// Parses `text`, writes it as TOML, reads that back.
    fn survives<T: Value + PartialEq + fmt::Debug>(text: &str) {
        let value: T = parse(text).unwrap_or_else(|| panic!("{text} is allowed"));
        let document = format!("x = {}", value.to_toml());
        let table = toml::de::DeTable::parse(&document).unwrap().into_inner();
        let item = table.values().next().unwrap().get_ref();
        assert_eq!(T::parse(&Raw::from_toml(item).unwrap()), Some(value));
    }

    #[test]
    fn every_kind_survives_its_own_toml() {
        survives::<Whole<1, 1_000_000>>("20_000");
        survives::<u16>("0");
        survives::<bool>("true");
        survives::<String>("a \"quoted\" \\ name\nline");
        survives::<PathBuf>("/var/lib/plenum");
        survives::<OptionalPath>("");
        survives::<OptionalPath>("a.pem");
        survives::<Vec<IpAddr>>("127.0.0.1, [::1]");
        survives::<OptionalIp>("");
        survives::<OptionalIp>("2001:db8::7");
        survives::<Secret>("");
        survives::<Secret>("north \" south");
        survives::<ResolveUris>("domainSuggestionDisabled");
        survives::<Vec<String>>("");
        survives::<Vec<String>>("example.org,meet.example.org");
        survives::<PortList>("");
        survives::<PortList>("3478, 443");
        survives::<OptionalAddress>("");
        survives::<OptionalAddress>("[2001:db8::7]:3478");
        survives::<Networks>("10.0.0.0/8,::1");
        survives::<TurnServe>("auto");
        survives::<Ports>("20000 - 29999");
        survives::<LogLevel>("info,plenum_sip=debug");
        survives::<Encryption>("optional");
        survives::<LogFormat>("json");
    }

    #[test]
    fn what_is_not_allowed_is_refused() {
        assert_eq!(parse::<Whole<10, 20>>("9"), None);
        assert_eq!(parse::<Whole<10, 20>>("21"), None);
        assert_eq!(parse::<Whole<10, 20>>("-1"), None);
        assert_eq!(parse::<u16>("65536"), None);
        assert_eq!(parse::<Vec<IpAddr>>(""), None);
        assert_eq!(parse::<Vec<IpAddr>>("127.0.0.1,localhost"), None);
        assert_eq!(parse::<OptionalIp>("0.0.0.0"), None);
        assert_eq!(parse::<OptionalIp>("meet.example.org"), None);
        assert_eq!(parse::<Ports>("20000"), None);
        assert_eq!(parse::<Ports>("20000-20000"), None);
        assert_eq!(parse::<Ports>("0-10"), None);
        assert_eq!(parse::<LogLevel>("loud"), None);
        assert_eq!(parse::<Encryption>("Optional"), None);
        assert_eq!(parse::<String>(" "), None);
    }
}
