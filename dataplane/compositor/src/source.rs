//! One stream of a participant: its decoder with its last picture, and that picture
//! in the sizes of the panes it is in.
//!
//! Decoded only while a view shows it. After a rest, and after damage, only a key
//! frame goes on; until it comes, the last picture stays, in the sizes that it has
//! been made in. The whole picture is the decoder's and is never copied: a megabyte
//! and a half that would be written, and push out of the cache what is read next.
//!
//! Not here: who shows it.

use std::time::Duration;

use plenum_abi::{Nanos, VideoCodec};
use plenum_codecs::video::{Decoded, VideoDecoder};
use plenum_kernels::video::scale::Scaler;
use plenum_kernels::video::{Picture, PictureRef, Rect};

use crate::layout::even;
use crate::{AccessUnit, Codecs};

/// A stream of which nothing came for so long sends nothing.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// How long its first picture is waited for before it is shown without one.
const GRACE: Duration = Duration::from_secs(1);

/// How long a decoder and pictures are kept for nobody.
const KEEP: Duration = Duration::from_secs(5);

/// Key frames are asked for no more often.
const KEY_FRAME_GAP: Duration = Duration::from_millis(500);

/// Above so many pictures a second a stream counts as one of 60; below the other
/// no more.
const FAST_HZ: (u32, u32) = (45, 35);

/// What became of an access unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Taken {
    /// There is a new picture.
    Picture,
    /// There is none, and nothing is wrong.
    Nothing,
    /// Nobody sees the stream.
    Spared,
    /// It cannot be decoded before a key frame.
    Waits,
    /// The decoder refused it.
    Refused,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Source {
    decoder: Option<(VideoCodec, Box<dyn VideoDecoder>)>,
    /// Of the last picture.
    size: Option<(u32, u32)>,
    /// Counts pictures, over decoders.
    number: u64,
    needs_key: bool,
    key_asked: Option<Nanos>,
    key_due: bool,
    /// When the last access unit came.
    last: Option<Nanos>,
    /// When views began to want it; `None` while none does.
    wanted_since: Option<Nanos>,
    unwanted_since: Option<Nanos>,
    /// Rows of the largest pane that is to show it; 0 for none.
    rows_wanted: u32,
    rate: RateMeter,
    sizes: Vec<Scaled>,
}

impl core::fmt::Debug for Source {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Source")
            .field("number", &self.number)
            .field("needs_key", &self.needs_key)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// Whether anything came lately.
    pub(crate) fn is_live(&self, now: Nanos) -> bool {
        self.last.is_some_and(|last| now.since(last) < SILENT_AFTER)
    }

    /// Notes that something came; whether the stream comes to life by that.
    pub(crate) fn touch(&mut self, now: Nanos) -> bool {
        let new = !self.is_live(now);
        self.last = Some(now);
        self.rate.count(now);
        new
    }

    /// Whether it may be shown: there is a picture, or none came for long.
    pub(crate) fn may_be_shown(&self, now: Nanos) -> bool {
        let waited = |since: Nanos| now.since(since) >= GRACE;
        self.size.is_some() || self.wanted_since.is_some_and(waited)
    }

    /// Width and height of its last picture.
    pub(crate) const fn size(&self) -> Option<(u32, u32)> {
        self.size
    }

    /// The number of its last picture; changes when that does.
    pub(crate) fn number(&self) -> Option<u64> {
        self.size.is_some().then_some(self.number)
    }

    /// More than 30 pictures a second come.
    pub(crate) const fn is_fast(&self) -> bool {
        self.rate.fast
    }

    /// Whether there is a decoder.
    pub(crate) const fn is_decoded(&self) -> bool {
        self.decoder.is_some()
    }

    /// Views want it, or none does.
    pub(crate) fn set_wanted(&mut self, now: Nanos, wanted: bool) {
        if wanted == self.wanted_since.is_some() {
            return;
        }
        if wanted {
            self.wanted_since = Some(now);
            self.unwanted_since = None;
            // Whatever was missed: the next picture that is right is a key frame.
            self.key_due |= self.needs_key;
        } else {
            self.wanted_since = None;
            self.unwanted_since = Some(now);
            self.key_due = false;
        }
    }

    /// How many rows of it are of use; 0 while nobody is to see it.
    pub(crate) const fn rows_wanted(&self) -> u32 {
        self.rows_wanted
    }

    /// Its largest pane has so many rows; 0 for none.
    pub(crate) const fn want_rows(&mut self, rows: u32) {
        self.rows_wanted = rows;
    }

    /// Lets go of what nobody has needed for a while. A picture from long ago is
    /// not shown as if it were of now.
    pub(crate) fn expire(&mut self, now: Nanos) {
        if self
            .unwanted_since
            .is_some_and(|since| now.since(since) >= KEEP)
        {
            self.decoder = None;
            self.size = None;
            self.sizes.clear();
            self.unwanted_since = None;
        }
    }

    /// Whether a key frame is to be asked for now.
    pub(crate) fn take_key_request(&mut self, now: Nanos) -> bool {
        let lately = self
            .key_asked
            .is_some_and(|at| now.since(at) < KEY_FRAME_GAP);
        if !self.key_due || lately {
            return false;
        }
        self.key_due = false;
        self.key_asked = Some(now);
        true
    }

    /// When the next key frame is to be asked for.
    pub(crate) fn next_key_request(&self) -> Option<Nanos> {
        let allowed = self.key_asked.map_or(Nanos::ZERO, |at| at + KEY_FRAME_GAP);
        self.key_due.then_some(allowed)
    }

    /// Decodes an access unit if it is wanted.
    pub(crate) fn take(&mut self, unit: &AccessUnit<'_>, codecs: &mut dyn Codecs) -> Taken {
        if self.wanted_since.is_none() {
            self.needs_key = true;
            return Taken::Spared;
        }
        let other = self
            .decoder
            .as_ref()
            .is_some_and(|(codec, _)| *codec != unit.codec);
        if other {
            self.decoder = None;
        }
        if !unit.key_frame && (self.needs_key || self.decoder.is_none()) {
            self.needs_key = true;
            self.key_due = true;
            return Taken::Waits;
        }
        if self.decoder.is_none() {
            let Ok(decoder) = codecs.decoder(unit.codec) else {
                self.needs_key = true;
                return Taken::Refused;
            };
            self.decoder = Some((unit.codec, decoder));
        }
        let Some((_, decoder)) = &mut self.decoder else {
            return Taken::Refused;
        };
        let decoded = decoder.decode(unit.data);
        let picture = decoder.picture();
        match decoded {
            Ok(Decoded::Nothing) => return Taken::Nothing,
            Err(_) => {
                self.needs_key = true;
                self.key_due = true;
                return Taken::Refused;
            }
            Ok(Decoded::Concealed) => self.key_due = true,
            Ok(Decoded::Picture) => {}
        }
        self.needs_key = false;
        if unit.key_frame && decoded == Ok(Decoded::Picture) {
            self.key_due = false;
        }
        let Some(picture) = picture else {
            return Taken::Nothing;
        };
        self.size = Some((picture.width(), picture.height()));
        self.number += 1;
        Taken::Picture
    }

    /// The last picture's part that fills a pane, in the pane's size; `fit` is of
    /// [`Self::size`]. `true` when it had to be scaled for this, and not for another
    /// pane before.
    pub(crate) fn scaled(&mut self, fit: Fit) -> Option<(&Picture, bool)> {
        self.size?;
        let to = (fit.target.width, fit.target.height);
        let known = |size: &Scaled| size.crop == fit.crop && size.scaler.to() == to;
        let index = match self.sizes.iter().position(known) {
            Some(index) => index,
            None => {
                self.sizes.push(Scaled::new(fit.crop, to));
                self.sizes.len() - 1
            }
        };
        let lent = self
            .decoder
            .as_ref()
            .and_then(|(_, decoder)| decoder.picture());
        let (before, rest) = self.sizes.split_at_mut(index);
        let (size, after) = rest.split_first_mut()?;
        let new = match lent {
            Some(picture) => size.follow(picture, self.number),
            // Damage, and a pane of a size that it has not been in.
            None if size.is_empty() => {
                let others = before.iter().chain(&*after);
                size.stand_in(others.filter(|other| !other.is_empty()).max_by_key(area)?);
                true
            }
            None => false,
        };
        size.used = true;
        let size = &self.sizes[index];
        // As large as it came, it is copied.
        let scaled = new && size.scaler.from() != to;
        Some((&size.picture, scaled))
    }

    /// Forgets sizes that were not asked for since the last time, if others were: they
    /// are what is left of the picture when the next access unit is damaged.
    pub(crate) fn forget_unused_sizes(&mut self) {
        if self.sizes.iter().any(|size| size.used) {
            self.sizes.retain_mut(|size| std::mem::take(&mut size.used));
        }
    }
}

/// The last picture in one size.
struct Scaled {
    crop: Rect,
    scaler: Scaler,
    picture: Picture,
    /// The picture's number; 0 while there is none.
    number: u64,
    used: bool,
}

impl Scaled {
    fn new(crop: Rect, to: (u32, u32)) -> Self {
        Self {
            crop,
            scaler: Scaler::new((crop.width, crop.height), to),
            picture: Picture::new(to.0, to.1),
            number: 0,
            used: true,
        }
    }

    const fn is_empty(&self) -> bool {
        self.number == 0
    }

    /// Becomes picture `number` unless it is; whether it was not.
    fn follow(&mut self, whole: PictureRef<'_>, number: u64) -> bool {
        let new = self.number != number;
        if new {
            self.scaler
                .scale(whole.crop(self.crop), self.picture.view_mut());
            self.number = number;
        }
        new
    }

    /// Shows what another size shows, until there is something better.
    fn stand_in(&mut self, other: &Self) {
        Scaler::new(other.scaler.to(), self.scaler.to())
            .scale(other.picture.view(), self.picture.view_mut());
        self.number = other.number;
    }
}

fn area(size: &&Scaled) -> u64 {
    let (width, height) = size.scaler.to();
    u64::from(width) * u64::from(height)
}

/// Counts pictures by the second.
#[derive(Clone, Copy, Debug, Default)]
struct RateMeter {
    since: Nanos,
    pictures: u32,
    fast: bool,
}

impl RateMeter {
    fn count(&mut self, now: Nanos) {
        self.pictures += 1;
        let span = now.since(self.since);
        if span < Duration::from_secs(1) {
            return;
        }
        let hz = f64::from(self.pictures) / span.as_secs_f64();
        self.fast = hz > f64::from(if self.fast { FAST_HZ.1 } else { FAST_HZ.0 });
        (self.since, self.pictures) = (now, 0);
    }
}

/// How a picture goes into a pane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fit {
    /// The part of the picture that is seen.
    pub(crate) crop: Rect,
    /// Where in the composed picture it goes: all of the pane, or its middle.
    pub(crate) target: Rect,
}

/// A picture whose shape is not the pane's is cut if that takes no more than one
/// part in so many of it; otherwise all of it is shown, with bars.
const CUT_MAX: u32 = 8;

/// Nobody sees that a shape is wrong by one part in so many.
const BENT_MAX: u32 = 50;

impl Fit {
    /// A picture of `source` in `pane`; `whole` never cuts.
    pub(crate) fn new(source: (u32, u32), pane: Rect, whole: bool) -> Self {
        let (width, height) = (u64::from(source.0), u64::from(source.1));
        let (across, down) = (u64::from(pane.width), u64::from(pane.height));
        // What of the picture has the shape of the pane.
        let keep_width = (height * across / down).min(width);
        let keep_height = (width * down / across).min(height);
        let cut = (width - keep_width) * height + (height - keep_height) * width;
        let all = Rect::new(0, 0, source.0, source.1);
        if cut * u64::from(BENT_MAX) <= width * height {
            return Self {
                crop: all,
                target: pane,
            };
        }
        if !whole && cut * u64::from(CUT_MAX) <= width * height {
            let (width, height) = (keep_width.max(1) as u32, keep_height.max(1) as u32);
            let crop = Rect::new(
                even((source.0 - width) / 2),
                even((source.1 - height) / 2),
                width,
                height,
            );
            return Self { crop, target: pane };
        }
        let part = |n: u64| even(n as u32).max(2);
        let wide = part((down * width / height.max(1)).min(across));
        let tall = part((across * height / width.max(1)).min(down));
        let (wide, tall) = (wide.min(pane.width), tall.min(pane.height));
        Self {
            crop: all,
            target: Rect::new(
                pane.x + even((pane.width - wide) / 2),
                pane.y + even((pane.height - tall) / 2),
                wide,
                tall,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_shapes_are_cut_and_others_have_bars() {
        let pane = Rect::new(8, 8, 640, 360);
        let fit = |width, height| Fit::new((width, height), pane, false);
        let all = |width, height| Rect::new(0, 0, width, height);
        assert_eq!(
            fit(1280, 720),
            Fit {
                crop: all(1280, 720),
                target: pane
            }
        );
        // 16:10 loses a tenth of its rows.
        assert_eq!(fit(640, 400).crop, Rect::new(0, 20, 640, 360));
        assert_eq!(fit(640, 400).target, pane);
        // 4:3 has bars at the sides, a telephone held upright wide ones.
        assert_eq!(fit(640, 480).crop, all(640, 480));
        assert_eq!(fit(640, 480).target, Rect::new(88, 8, 480, 360));
        assert_eq!(fit(720, 1280).target, Rect::new(226, 8, 202, 360));
        // A strip has them above and below.
        assert_eq!(fit(1280, 400).target, Rect::new(8, 88, 640, 200));
        let whole = Fit::new((640, 400), pane, true);
        assert_eq!(whole.crop, all(640, 400));
        assert_eq!(whole.target, Rect::new(40, 8, 576, 360));
    }

    #[test]
    fn any_shape_fits_inside_any_pane() {
        let sides = [2, 3, 16, 161, 720, 8_192];
        for (w, h) in sides.iter().flat_map(|&w| sides.map(|h| (w, h))) {
            for pane in [
                Rect::new(2, 4, 2, 2),
                Rect::new(0, 0, 1920, 1080),
                Rect::new(6, 0, 32, 18),
            ] {
                for whole in [false, true] {
                    let Fit { crop, target } = Fit::new((w, h), pane, whole);
                    assert!(crop.width > 0 && crop.height > 0);
                    assert!(crop.x + crop.width <= w && crop.y + crop.height <= h);
                    assert!(
                        crop.x % 2 == 0
                            && crop.y % 2 == 0
                            && target.x % 2 == 0
                            && target.y % 2 == 0
                    );
                    assert!(target.width >= 2 && target.height >= 2);
                    assert_eq!(crate::paint::intersect(target, pane), Some(target));
                }
            }
        }
    }

    #[test]
    fn a_stream_is_fast_when_it_is_so_for_a_second() {
        let mut meter = RateMeter::default();
        let mut seen = Vec::new();
        for ms in (0..3_000).step_by(16) {
            meter.count(Nanos::from_millis(ms));
            seen.push(meter.fast);
        }
        assert!(!seen[10] && seen[150]);
        for ms in (3_000..6_000).step_by(33) {
            meter.count(Nanos::from_millis(ms));
        }
        assert!(!meter.fast);
    }
}
