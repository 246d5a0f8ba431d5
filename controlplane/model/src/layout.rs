//! How a picture is divided among those who are seen.

use crate::invalid::words;

words! {
    /// Layout of a view.
    pub enum Layout as "layout" {
        /// Everybody in panes of one size, as many as needed.
        AllEqual = "allEqual",
        /// The active speaker fills the picture.
        SpeakerOnly = "speakerOnly",
        /// The speaker large, others over the lower edge.
        Telepresence = "telepresence",
        /// The speaker large, others in a row below.
        Stacked = "stacked",
        /// Four panes of one size.
        AllEqualQuarters = "allEqualQuarters",
        /// Nine panes of one size.
        AllEqualNinths = "allEqualNinths",
        /// Sixteen panes of one size.
        AllEqualSixteenths = "allEqualSixteenths",
        /// Twenty-five panes of one size.
        AllEqualTwentyFifths = "allEqualTwentyFifths",
        /// One large pane and five small.
        OnePlusFive = "onePlusFive",
        /// One large pane and seven small.
        OnePlusSeven = "onePlusSeven",
        /// One large pane and nine small.
        OnePlusNine = "onePlusNine",
        /// Chosen by the number of participants.
        Automatic = "automatic",
        /// One large pane and as many small ones as needed.
        OnePlusN = "onePlusN",
    }
}

words! {
    /// What a participant with a placed pane sees in that pane.
    pub enum SelfPaneMode as "panePlacementSelfPaneMode" {
        /// No pane of one's own; the others move up.
        Skip = "skip",
        /// One's own picture.
        SelfVideo = "self",
        /// An empty pane.
        Blank = "blank",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_is_read_as_it_is_written_and_in_other_cases() {
        assert_eq!(Layout::ALL.len(), 13);
        for &layout in Layout::ALL {
            assert_eq!(layout.as_str().parse(), Ok(layout));
            assert_eq!(layout.as_str().to_lowercase().parse(), Ok(layout));
        }
        assert!("allequals".parse::<Layout>().is_err());
        assert!("".parse::<Layout>().is_err());
    }
}
