//! Filters of one axis: for each target sample, which source samples in what
//! shares.
//!
//! Shares are in 1/64, so that they fit a signed byte and a sum of products fits
//! 16 bits, and add up to 64 exactly, so that what is flat stays flat. They are
//! within half a step of the ideal ones.

/// Most source samples that go into a target sample.
pub(super) const TAPS_MAX: usize = 8;
/// What the shares of a target sample add up to.
pub(super) const WHOLE: i32 = 64;

/// From this ratio on the filter is the area one.
const AREA_FROM: f64 = 2.0;
/// Below this ratio no filter has more than [`TAPS_MAX`] taps, and four neighbours
/// lie within sixteen source samples.
pub(super) const RATIO_MAX: f64 = 4.0;

/// Where the samples of a target lie in a source: sample `x` at `ratio * x +
/// offset`, in samples of the source counted from the centre of its first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    pub(super) ratio: f64,
    pub(super) offset: f64,
}

impl Grid {
    /// Both cover the same length, centre on centre.
    pub(super) fn centred(source: u32, target: u32) -> Self {
        let ratio = f64::from(source) / f64::from(target);
        Self {
            ratio,
            offset: (ratio - 1.0) / 2.0,
        }
    }

    /// The same for chroma that is co-sited with every second luma sample, for
    /// luma of these lengths: target luma `2 x` lies at `ratio * 2 x + (ratio - 1)
    /// / 2` of the source's luma, and at half of that of its chroma.
    pub(super) fn co_sited(source: u32, target: u32) -> Self {
        let Self { ratio, offset } = Self::centred(source, target);
        Self {
            ratio,
            offset: offset / 2.0,
        }
    }

    /// The same in a source of which two samples each became one, half-way
    /// between them.
    pub(super) fn halved(self) -> Self {
        Self {
            ratio: self.ratio / 2.0,
            offset: (self.offset - 0.5) / 2.0,
        }
    }
}

/// The filters of all target samples along one axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    source: usize,
    taps: usize,
    first: Vec<u32>,
    shares: Vec<i8>,
}

impl Axis {
    /// # Panics
    /// When the ratio is not below [`RATIO_MAX`].
    pub(super) fn new(source: usize, target: usize, grid: Grid) -> Self {
        assert!(grid.ratio < RATIO_MAX);
        let filters: Vec<_> = (0..target)
            .map(|x| filter(source, grid.ratio, grid.ratio * x as f64 + grid.offset))
            .collect();
        // No filter may begin before an earlier one, as one without its zeros might.
        let mut first: Vec<usize> = filters.iter().map(|(begin, _)| *begin).collect();
        for x in (1..target).rev() {
            first[x - 1] = first[x - 1].min(first[x]);
        }
        let reach =
            |(&first, (begin, shares)): (&usize, &(usize, Vec<i8>))| begin + shares.len() - first;
        let taps = first.iter().zip(&filters).map(reach).max().unwrap_or(1);
        assert!(taps <= TAPS_MAX);
        let mut axis = Self {
            source,
            taps,
            first: first
                .iter()
                .map(|&at| at.min(source - taps) as u32)
                .collect(),
            shares: vec![0; target * taps],
        };
        let places = axis.shares.chunks_mut(taps).zip(&axis.first);
        for ((shares, &first), (begin, filter)) in places.zip(&filters) {
            shares[begin - first as usize..][..filter.len()].copy_from_slice(filter);
        }
        axis
    }

    /// Samples of the source.
    pub(super) const fn source(&self) -> usize {
        self.source
    }

    /// Samples of the target.
    pub(super) const fn target(&self) -> usize {
        self.first.len()
    }

    /// Source samples of each filter, 1 to [`TAPS_MAX`].
    pub(super) const fn taps(&self) -> usize {
        self.taps
    }

    /// The first source sample and the shares of it and those after it for target
    /// sample `x`. All of them are inside the source, and no filter begins before
    /// that of an earlier sample.
    #[inline(always)]
    pub(super) fn filter(&self, x: usize) -> (usize, &[i8]) {
        (
            self.first[x] as usize,
            &self.shares[x * self.taps..][..self.taps],
        )
    }

    /// [`Self::filter`] without the zeros at its ends.
    pub(super) fn trimmed(&self, x: usize) -> (usize, &[i8]) {
        let (first, shares) = self.filter(x);
        trim(first, shares)
    }

    /// Whether every target sample is the source sample of the same number.
    pub(super) fn is_identity(&self) -> bool {
        self.taps == 1 && self.source == self.target()
    }
}

fn trim(first: usize, shares: &[i8]) -> (usize, &[i8]) {
    let skip = shares.iter().take_while(|&&share| share == 0).count();
    let len = shares
        .iter()
        .rposition(|&share| share != 0)
        .map_or(0, |last| last + 1);
    (first + skip, &shares[skip.min(len)..len])
}

/// Catmull-Rom's cubic: through its samples, and nothing beyond 2 away.
fn catmull_rom(distance: f64) -> f64 {
    let x = distance.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

/// How much of a span of `ratio` around 0 a sample `distance` away covers.
fn overlap(distance: f64, ratio: f64) -> f64 {
    let half = ratio / 2.0;
    ((distance + 0.5).min(half) - (distance - 0.5).max(-half)).max(0.0)
}

/// The first source sample and the shares of a target sample at `centre`, without
/// zeros at the ends.
fn filter(source: usize, ratio: f64, centre: f64) -> (usize, Vec<i8>) {
    let stretch = ratio.max(1.0);
    let reach = if ratio >= AREA_FROM {
        ratio / 2.0 + 0.5
    } else {
        2.0 * stretch
    };
    let last = source as i64 - 1;
    let (from, to) = (
        (centre - reach).floor() as i64,
        (centre + reach).ceil() as i64,
    );
    // Beyond the edge, the outermost sample goes on.
    let begin = from.clamp(0, last);
    let mut ideal = vec![0.0; (to.clamp(0, last) - begin) as usize + 1];
    for index in from..=to {
        let distance = index as f64 - centre;
        ideal[(index.clamp(0, last) - begin) as usize] += if ratio >= AREA_FROM {
            overlap(distance, ratio)
        } else {
            catmull_rom(distance / stretch)
        };
    }
    let shares = quantise(&ideal, centre - begin as f64);
    let (first, shares) = trim(begin as usize, &shares);
    (first, shares.to_vec())
}

/// Whole shares, adding up to [`WHOLE`], whose mirror image is that of the mirror
/// image.
fn quantise(ideal: &[f64], centre: f64) -> Vec<i8> {
    // Fine steps, in which what is equal by the book is equal.
    const FINE: f64 = 1_048_576.0;
    let sum: f64 = ideal.iter().sum();
    let fine: Vec<f64> = ideal
        .iter()
        .map(|one| (one / sum * f64::from(WHOLE) * FINE).round() / FINE)
        .collect();
    let mut shares: Vec<i32> = fine.iter().map(|one| one.round() as i32).collect();
    // Whoever lost most by rounding gets a step more, until nothing is missing;
    // among equals those in the middle.
    let mut order: Vec<usize> = (0..shares.len()).collect();
    let missing = WHOLE - shares.iter().sum::<i32>();
    let step = missing.signum();
    let distance = |at: usize| ((at as f64 - centre).abs() * FINE).round();
    order.sort_by(|&a, &b| {
        let lost = |at: usize| (fine[at] - f64::from(shares[at])) * f64::from(step);
        let order = lost(b).total_cmp(&lost(a));
        order.then(distance(a).total_cmp(&distance(b)))
    });
    let symmetric = fine.iter().eq(fine.iter().rev());
    let mut left = missing.unsigned_abs() as usize;
    if symmetric && left % 2 == 1 {
        shares[fine.len() / 2] += step;
        left -= 1;
        order.retain(|&at| at != fine.len() / 2);
    }
    for &at in &order[..left] {
        shares[at] += step;
    }
    shares.into_iter().map(|share| share as i8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths() -> impl Iterator<Item = (u32, u32)> {
        let some = [1, 2, 3, 5, 8, 13, 33, 64, 65, 99, 160, 180, 320, 426, 720];
        some.into_iter()
            .flat_map(move |a| some.into_iter().map(move |b| (a, b)))
            .filter(|&(source, target)| f64::from(source) / f64::from(target) < RATIO_MAX)
    }

    #[test]
    fn shares_add_up_and_stay_inside() {
        for (source, target) in lengths() {
            for grid in [
                Grid::centred(source, target),
                Grid::co_sited(source, target),
            ] {
                let axis = Axis::new(source as usize, target as usize, grid);
                let mut before = 0;
                for x in 0..axis.target() {
                    let (first, shares) = axis.filter(x);
                    assert!(first >= before);
                    before = first;
                    assert!(first + shares.len() <= source as usize);
                    assert_eq!(shares.iter().map(|&s| i32::from(s)).sum::<i32>(), WHOLE);
                    // What the vector code adds up in 16 bits.
                    let above: i32 = shares.iter().map(|&s| i32::from(s).max(0)).sum();
                    assert!(255 * above + 32 <= i32::from(i16::MAX), "{shares:?}");
                    let (from, trimmed) = axis.trimmed(x);
                    assert_eq!(&shares[from - first..][..trimmed.len()], trimmed);
                    assert!(trimmed[0] != 0 && trimmed[trimmed.len() - 1] != 0);
                }
            }
        }
    }

    #[test]
    fn left_is_right_in_the_mirror() {
        for (source, target) in lengths() {
            let axis = Axis::new(
                source as usize,
                target as usize,
                Grid::centred(source, target),
            );
            for x in 0..axis.target() {
                let (first, shares) = axis.trimmed(x);
                let (other, mirrored) = axis.trimmed(axis.target() - 1 - x);
                let mirrored: Vec<_> = mirrored.iter().rev().copied().collect();
                assert_eq!(shares, mirrored, "{source} to {target}, {x}");
                assert_eq!(first, source as usize - other - shares.len());
            }
        }
    }

    #[test]
    fn shares_are_close_to_the_ideal() {
        let axis = Axis::new(640, 1_280, Grid::centred(640, 1_280));
        // A quarter of the way: -0.0703, 0.8672, 0.2266, -0.0234.
        assert_eq!(axis.filter(641), (319, &[-5, 56, 15, -2][..]));
        let axis = Axis::new(640, 1_280, Grid::co_sited(640, 1_280));
        assert_eq!(axis.taps(), 4);
        let axis = Axis::new(1_280, 426, Grid::centred(1_280, 426));
        assert_eq!(axis.taps(), 4);
        assert_eq!(axis.trimmed(213).1.len(), 3);
        for (source, target) in lengths() {
            let grid = Grid::centred(source, target);
            for x in [0, target / 3, target - 1] {
                let centre = grid.ratio * f64::from(x) + grid.offset;
                let (first, shares) = filter(source as usize, grid.ratio, centre);
                if grid.ratio >= AREA_FROM {
                    for (index, &share) in (first..).zip(&shares) {
                        let ideal = overlap(index as f64 - centre, grid.ratio) / grid.ratio;
                        assert!((f64::from(share) - 64.0 * ideal).abs() < 1.01);
                    }
                }
            }
        }
    }

    #[test]
    fn one_to_one_is_nothing_to_do() {
        for len in [1, 2, 7, 640] {
            for grid in [Grid::centred(len, len), Grid::co_sited(len, len)] {
                assert!(Axis::new(len as usize, len as usize, grid).is_identity());
            }
        }
    }
}
