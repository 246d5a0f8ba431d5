//! Identities: one type a kind, so that a call is never taken for a leg.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Text that is no GUID of the form 8-4-4-4-12.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a GUID of the form 8-4-4-4-12")]
pub struct ParseIdError;

/// Only the hyphenated form: no braces, no `urn:uuid:`, no 32 digits in a row.
fn parse(text: &str) -> Result<Uuid, ParseIdError> {
    let bytes = text.as_bytes();
    let hyphens_in_place = bytes.len() == 36 && [8, 13, 18, 23].iter().all(|&at| bytes[at] == b'-');
    if !hyphens_in_place {
        return Err(ParseIdError);
    }
    Uuid::try_parse(text).map_err(|_| ParseIdError)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Text form: lower case, 8-4-4-4-12; either case is read.
        #[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// A version 4 GUID (RFC 9562 section 5.4) of these random bytes.
            #[must_use]
            pub fn from_entropy(random: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(random).into_uuid())
            }

            /// These very bytes, as they cross to the dataplane.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The bytes, most significant first.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.as_hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;
            fn try_from(text: String) -> Result<Self, ParseIdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

id! {
    /// A space (`coSpace` on the wire).
    SpaceId
}
id! {
    /// A call: an active instance of a conference on this server.
    CallId
}
id! {
    /// A call leg: one connection of a call. A participant of one leg has the same id.
    CallLegId
}
id! {
    /// What the parts of one distributed call have in common.
    CorrelatorId
}
id! {
    /// This server, from its first start on.
    HostId
}
id! {
    /// A web bridge profile.
    WebBridgeProfileId
}
id! {
    /// An entry point of a web bridge profile.
    EntryPointId
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0b9c1d7e-52a1-4b7d-9f0b-0c5b2b1b7a10";

    #[test]
    fn ids_are_written_in_lower_case_and_read_in_either() {
        let id: SpaceId = TEXT.to_uppercase().parse().unwrap();
        assert_eq!(id.to_string(), TEXT);
        assert_eq!(SpaceId::from_bytes(id.to_bytes()), id);
    }

    #[test]
    fn other_forms_of_a_guid_are_refused() {
        for text in [
            "",
            "0b9c1d7e52a14b7d9f0b0c5b2b1b7a10",
            "{0b9c1d7e-52a1-4b7d-9f0b-0c5b2b1b7a10}",
            "urn:uuid:0b9c1d7e-52a1-4b7d-9f0b-0c5b2b1b7a10",
            "0b9c1d7e-52a1-4b7d-9f0b-0c5b2b1b7a1",
            "0b9c1d7e-52a1-4b7d-9f0b-0c5b2b1b7a1g",
            "0b9c1d7e-52a1-4b7d-9f0b-0c5b2b1b7a10 ",
            "0b9c1d7e-52a14-b7d-9f0b-0c5b2b1b7a10",
            "0b9c1d7e-52a1-4b7d-9f0b-0c5b2b1b7aé",
        ] {
            assert_eq!(text.parse::<CallId>(), Err(ParseIdError), "{text}");
        }
    }

    #[test]
    fn entropy_makes_a_version_4_guid() {
        let id = CallLegId::from_entropy([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn ids_are_text_in_json() {
        let id: CallId = TEXT.parse().unwrap();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{TEXT}\""));
        assert_eq!(serde_json::from_str::<CallId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<CallId>("\"x\"").is_err());
    }
}
