//! What is set for a running call: how it looks, and whether it is locked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::invalid::words;
use crate::{Field, InvalidField, MAX_IMPORTANCE, SelfPaneMode};

/// Most bytes (UTF-8) of a `messageText`: what the media plane has room for.
pub const MAX_MESSAGE_BYTES: usize = 376;

words! {
    /// Where a message stands in the picture.
    pub enum MessagePosition as "messagePosition" {
        /// Over the upper edge.
        Top = "top",
        /// In the middle.
        Middle = "middle",
        /// Over the lower edge.
        Bottom = "bottom",
    }
}

/// For how long a message is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub enum MessageDuration {
    /// So many seconds; 0 is not at all.
    Seconds(u32),
    /// Until the call ends or the message is changed.
    Permanent,
}

impl MessageDuration {
    /// As a span; `None` for ever.
    #[must_use]
    pub const fn span(self) -> Option<Duration> {
        match self {
            Self::Seconds(seconds) => Some(Duration::from_secs(seconds as u64)),
            Self::Permanent => None,
        }
    }
}

impl std::fmt::Display for MessageDuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds}"),
            Self::Permanent => f.write_str("permanent"),
        }
    }
}

impl std::str::FromStr for MessageDuration {
    type Err = InvalidField;
    fn from_str(text: &str) -> Result<Self, InvalidField> {
        if text.eq_ignore_ascii_case("permanent") {
            return Ok(Self::Permanent);
        }
        let seconds = text.parse().map(Self::Seconds);
        seconds.map_err(|_| InvalidField::new("messageDuration"))
    }
}

/// What is set for a call alone; `None` is inherited from its space, or nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub struct CallConfiguration {
    /// Text over everybody's picture.
    pub message_text: Option<String>,
    /// Where it stands; the middle where nothing is said.
    pub message_position: Option<MessagePosition>,
    /// For how long; nothing is shown where nothing is said.
    pub message_duration: Option<MessageDuration>,
    /// Switches pane placement on; panes n to 1.
    pub pane_placement_highest_importance: Option<u32>,
    /// What placed participants see of themselves.
    pub pane_placement_self_pane_mode: Option<SelfPaneMode>,
    /// Nobody else comes in by oneself; open where nothing is said.
    pub locked: Option<bool>,
}

/// What is wanted of a call: of a new one, or changed in one that runs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CallPatch {
    /// [`CallConfiguration::message_text`].
    pub message_text: Field<String>,
    /// [`CallConfiguration::message_position`].
    pub message_position: Field<MessagePosition>,
    /// [`CallConfiguration::message_duration`].
    pub message_duration: Field<MessageDuration>,
    /// [`CallConfiguration::pane_placement_highest_importance`].
    pub pane_placement_highest_importance: Field<u32>,
    /// [`CallConfiguration::pane_placement_self_pane_mode`].
    pub pane_placement_self_pane_mode: Field<SelfPaneMode>,
    /// [`CallConfiguration::locked`].
    pub locked: Field<bool>,
}

impl CallPatch {
    /// Checks the bounds.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn validate(&self) -> Result<(), InvalidField> {
        let text = self.message_text.value();
        let fits = |text: &String| {
            let unprintable = |c: char| c.is_control() && c != '\n';
            text.len() <= MAX_MESSAGE_BYTES && !text.chars().any(unprintable)
        };
        if !text.is_none_or(fits) {
            return Err(InvalidField::new("messageText"));
        }
        let highest = self.pane_placement_highest_importance.value();
        if highest.is_some_and(|highest| *highest > MAX_IMPORTANCE) {
            return Err(InvalidField::new("panePlacementHighestImportance"));
        }
        Ok(())
    }

    /// Whether it says anything of the message, which is then shown from now on.
    #[must_use]
    pub const fn is_about_message(&self) -> bool {
        !(self.message_text.is_keep() && self.message_duration.is_keep())
    }

    /// Changes `configuration` as wished.
    pub fn apply(self, configuration: &mut CallConfiguration) {
        self.message_text.apply(&mut configuration.message_text);
        self.message_position
            .apply(&mut configuration.message_position);
        self.message_duration
            .apply(&mut configuration.message_duration);
        self.pane_placement_highest_importance
            .apply(&mut configuration.pane_placement_highest_importance);
        self.pane_placement_self_pane_mode
            .apply(&mut configuration.pane_placement_self_pane_mode);
        self.locked.apply(&mut configuration.locked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_of_seconds_or_for_ever() {
        for (text, read) in [
            ("0", Ok(MessageDuration::Seconds(0))),
            ("90", Ok(MessageDuration::Seconds(90))),
            ("Permanent", Ok(MessageDuration::Permanent)),
            ("-1", Err(InvalidField::new("messageDuration"))),
            ("4294967296", Err(InvalidField::new("messageDuration"))),
            ("forever", Err(InvalidField::new("messageDuration"))),
        ] {
            assert_eq!(text.parse(), read, "{text}");
        }
        for duration in [MessageDuration::Seconds(7), MessageDuration::Permanent] {
            assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }

    #[test]
    fn a_message_fits_what_carries_it() {
        let text = |text: String| CallPatch {
            message_text: Field::Set(text),
            ..CallPatch::default()
        };
        assert_eq!(text("é".repeat(MAX_MESSAGE_BYTES / 2)).validate(), Ok(()));
        assert_eq!(text("two\nlines".into()).validate(), Ok(()));
        let refused = Err(InvalidField::new("messageText"));
        assert_eq!(text("m".repeat(MAX_MESSAGE_BYTES + 1)).validate(), refused);
        assert_eq!(text("a\u{7}b".into()).validate(), refused);
    }
}
