//! How a call looks: what its space and the API say, and the same as the media plane
//! takes it.

use std::time::Duration;

use plenum_abi::{Nanos, Text, ViewPolicy};
use plenum_model::{
    CallConfiguration, CallPatch, Layout, MessageDuration, MessagePosition, SelfPaneMode, Space,
};
use serde::{Deserialize, Serialize};

use crate::media::layout_number;
use crate::world::Moment;

/// Shape, placement and message of a call.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Look {
    /// Counts changes; survives the process, so that a later word is newer.
    revision: u64,
    /// What the space says; what is set for the call wins.
    layout: Option<Layout>,
    placement_highest_importance: Option<u32>,
    self_pane_mode: Option<SelfPaneMode>,
    /// What is set for the call.
    wish: CallConfiguration,
    /// When its message goes; `None` for never.
    message_until_unix_ms: Option<i64>,
}

/// Numbers are those of the words' order, from 1.
fn number<T: PartialEq>(all: &[T], word: Option<T>) -> u8 {
    let index = word.and_then(|word| all.iter().position(|other| *other == word));
    index.map_or(0, |index| u8::try_from(index + 1).unwrap_or(0))
}

impl Look {
    pub(crate) fn of(space: &Space) -> Self {
        let mut look = Self::default();
        look.follow(space);
        look.revision = 1;
        look
    }

    /// Takes over what the space says now; whether that is something else.
    pub(crate) fn follow(&mut self, space: &Space) -> bool {
        let said = Self {
            layout: space.default_layout,
            placement_highest_importance: space.pane_placement_highest_importance,
            self_pane_mode: space.pane_placement_self_pane_mode,
            ..self.clone()
        };
        let differs = said != *self;
        if differs {
            *self = said;
            self.revision += 1;
        }
        differs
    }

    /// What the space says of the layout.
    pub(crate) const fn layout(&self) -> Option<Layout> {
        self.layout
    }

    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) const fn wish(&self) -> &CallConfiguration {
        &self.wish
    }

    /// Changes what is set for the call. A message is shown from now on.
    pub(crate) fn change(&mut self, patch: CallPatch, now: Moment) {
        let about_message = patch.is_about_message();
        patch.apply(&mut self.wish);
        self.revision += 1;
        if about_message {
            let span = self.wish.message_duration.and_then(MessageDuration::span);
            let end = |span: Duration| {
                let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
                now.unix_ms.saturating_add(span)
            };
            self.message_until_unix_ms = span.map(end);
        }
    }

    /// Whether nobody else comes in by oneself.
    pub(crate) fn is_locked(&self) -> bool {
        self.wish.locked == Some(true)
    }

    fn text(&self) -> &str {
        let shown = self
            .wish
            .message_duration
            .unwrap_or(MessageDuration::Seconds(0));
        match (shown, &self.wish.message_text) {
            (MessageDuration::Seconds(0), _) | (_, None) => "",
            (_, Some(text)) => text,
        }
    }

    /// How long the message is still shown; `None` where none is, or for ever.
    pub(crate) fn message_remaining(&self, now: Moment) -> Option<Duration> {
        let until = self
            .message_until_unix_ms
            .filter(|_| !self.text().is_empty())?;
        Some(Duration::from_millis(
            u64::try_from(until - now.unix_ms).unwrap_or(0),
        ))
    }

    /// For the media plane, whose clock is another.
    pub(crate) fn policy(&self, now: Moment) -> ViewPolicy {
        let wish = &self.wish;
        let highest = wish.pane_placement_highest_importance;
        let highest = highest.or(self.placement_highest_importance);
        let mode = wish.pane_placement_self_pane_mode.or(self.self_pane_mode);
        let left = self.message_remaining(now);
        // 0 would be for ever, and so would a moment that is over.
        let until = left.map_or(Nanos::ZERO, |left| {
            now.monotonic + left.max(Duration::from_nanos(1))
        });
        ViewPolicy {
            revision: self.revision,
            layout: self.layout.map_or(0, layout_number),
            self_pane_mode: number(SelfPaneMode::ALL, mode),
            placement_highest_importance: highest.unwrap_or(0),
            message_position: number(MessagePosition::ALL, wish.message_position),
            locked: u8::from(self.is_locked()),
            message_until: until.0,
            ..ViewPolicy::default()
        }
    }

    /// Text over everybody's picture.
    pub(crate) fn message(&self) -> Text {
        Text::new(self.revision, self.text())
    }
}
