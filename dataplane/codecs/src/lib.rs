//! Audio codecs behind one pair of traits.
