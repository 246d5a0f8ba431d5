//! One field of a change.

/// What a change wants of one field: the three wishes of a PUT, in which an
/// absent parameter keeps, a value sets and an empty value unsets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Field<T> {
    /// Not mentioned.
    #[default]
    Keep,
    /// This value from now on.
    Set(T),
    /// No value from now on: the default, or what is inherited.
    Unset,
}

impl<T> Field<T> {
    /// Changes `slot` as wished.
    pub fn apply(self, slot: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Set(value) => *slot = Some(value),
            Self::Unset => *slot = None,
        }
    }

    /// Changes a field that always has a value: unset restores `default`.
    pub fn apply_or(self, slot: &mut T, default: T) {
        match self {
            Self::Keep => {}
            Self::Set(value) => *slot = value,
            Self::Unset => *slot = default,
        }
    }

    /// The value to set, if one is.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Unset => None,
        }
    }

    /// Whether nothing is wished.
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_keeps_value_sets_empty_unsets() {
        let mut slot = Some(1);
        Field::Keep.apply(&mut slot);
        assert_eq!(slot, Some(1));
        Field::Set(2).apply(&mut slot);
        assert_eq!(slot, Some(2));
        Field::Unset.apply(&mut slot);
        assert_eq!(slot, None);
        let mut plain = 3;
        Field::Unset.apply_or(&mut plain, 7);
        assert_eq!(plain, 7);
    }
}
