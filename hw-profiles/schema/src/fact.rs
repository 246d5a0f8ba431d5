//! A figure, or the admission that nobody has one.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a profile says instead of a figure that nobody has.
const UNMEASURED: &str = "unmeasured";

/// A figure of a profile. Three ways to write one:
///
/// ```toml
/// vcpus = 4                                   # from the table's `source`
/// modules = { value = 7, source = "syslog" }  # from another source
/// memory_mib = "unmeasured"
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fact {
    /// The figure; `None` for `"unmeasured"`.
    pub value: Option<u64>,
    /// A key of the profile's `[sources]`, where it is not the one of the
    /// table that the fact is in.
    pub source: Option<String>,
}

impl Fact {
    /// Nobody measured or published it.
    pub const UNMEASURED: Self = Self {
        value: None,
        source: None,
    };

    /// A figure from the source of its table.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self {
            value: Some(value),
            source: None,
        }
    }

    /// The figure, if there is one.
    #[must_use]
    pub const fn get(&self) -> Option<u64> {
        self.value
    }
}

impl From<Option<u64>> for Fact {
    fn from(value: Option<u64>) -> Self {
        Self {
            value,
            source: None,
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Some(value) => value.fmt(f),
            None => f.write_str(UNMEASURED),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Sourced {
    value: u64,
    source: String,
}

impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FactVisitor)
    }
}

struct FactVisitor;

impl<'de> Visitor<'de> for FactVisitor {
    type Value = Fact;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            r#"a whole number from 0, "unmeasured", or { value = NUMBER, source = "KEY OF [sources]" }"#,
        )
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Fact, E> {
        let value = u64::try_from(value)
            .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(value), &self))?;
        Ok(Fact::new(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Fact, E> {
        Ok(Fact::new(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Fact, E> {
        if text == UNMEASURED {
            return Ok(Fact::UNMEASURED);
        }
        Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fact, A::Error> {
        let Sourced { value, source } = Sourced::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Fact {
            value: Some(value),
            source: Some(source),
        })
    }
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.value, &self.source) {
            (None, _) => serializer.serialize_str(UNMEASURED),
            (Some(value), None) => serializer.serialize_u64(value),
            (Some(value), Some(source)) => Sourced {
                value,
                source: source.clone(),
            }
            .serialize(serializer),
        }
    }
}
