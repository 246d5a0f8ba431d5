//! The one way to say that a value is not acceptable.

/// A value that its object cannot take. Nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the value of `{parameter}` is not valid")]
pub struct InvalidField {
    /// Name of the field as the API spells it, such as `secondaryUri`.
    pub parameter: &'static str,
}

impl InvalidField {
    /// About this field.
    #[must_use]
    pub const fn new(parameter: &'static str) -> Self {
        Self { parameter }
    }
}

/// Enums with one spelling each: `as_str`, `Display`, `FromStr` (in either
/// case), serde as that text.
macro_rules! words {
    (
        $(#[$doc:meta])*
        pub enum $name:ident as $parameter:literal {
            $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Deserialize, serde::Serialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::InvalidField;
            fn from_str(text: &str) -> Result<Self, $crate::InvalidField> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|value| value.as_str().eq_ignore_ascii_case(text))
                    .ok_or($crate::InvalidField::new($parameter))
            }
        }
    };
}
pub(crate) use words;
