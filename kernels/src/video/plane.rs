//! Views of one plane of samples: rows of bytes, a stride apart.
//!
//! A view's constructor proves that every row lies within its bytes, so no kernel
//! has to.

use std::ops::Range;

/// Read access to a plane or to a rectangle of one.
#[derive(Clone, Copy, Debug)]
pub struct PlaneRef<'a> {
    data: &'a [u8],
    stride: usize,
    width: usize,
    height: usize,
}

/// Write access to a plane or to a rectangle of one.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    data: &'a mut [u8],
    stride: usize,
    width: usize,
    height: usize,
}

/// How many bytes the rows reach over, from the first of the first to the last of
/// the last.
///
/// # Panics
/// When rows overlap, or when that is more than can be addressed.
fn reach(stride: usize, width: usize, height: usize) -> usize {
    assert!(
        stride >= width,
        "rows of {width} a stride of {stride} apart"
    );
    if width == 0 || height == 0 {
        return 0;
    }
    let rows = (height - 1).checked_mul(stride);
    rows.and_then(|rows| rows.checked_add(width))
        .expect("a plane that can be addressed")
}

/// The bytes of a rectangle within a plane.
fn part(
    (stride, plane_width, plane_height): (usize, usize, usize),
    (x, y, width, height): (usize, usize, usize, usize),
) -> Range<usize> {
    let inside = |from: usize, len: usize, all: usize| from <= all && len <= all - from;
    assert!(
        inside(x, width, plane_width) && inside(y, height, plane_height),
        "{width}x{height} at {x},{y} of {plane_width}x{plane_height}"
    );
    if width == 0 || height == 0 {
        return 0..0;
    }
    let start = y * stride + x;
    start..start + reach(stride, width, height)
}

impl<'a> PlaneRef<'a> {
    /// `height` rows of `width` samples in `data`, the first at its beginning, each
    /// `stride` bytes after the one before.
    ///
    /// # Panics
    /// When `data` is too short, or when rows overlap.
    #[must_use]
    pub fn new(data: &'a [u8], stride: usize, width: usize, height: usize) -> Self {
        Self {
            data: &data[..reach(stride, width, height)],
            stride,
            width,
            height,
        }
    }

    /// All bytes from the first sample to the last, those between rows included.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Bytes from a row's first sample to the next row's.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// Samples in a row.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.height
    }

    /// Row `y`, the topmost being 0.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    #[must_use]
    pub fn row(&self, y: usize) -> &'a [u8] {
        assert!(y < self.height, "row {y} of {}", self.height);
        if self.width == 0 {
            return &[];
        }
        &self.data[y * self.stride..][..self.width]
    }

    /// All rows, topmost first.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let plane = *self;
        (0..self.height).map(move |y| plane.row(y))
    }

    /// The rectangle of `width` by `height` samples whose top left one is `x`, `y`.
    ///
    /// # Panics
    /// When it is not inside the plane.
    #[must_use]
    pub fn crop(&self, x: usize, y: usize, width: usize, height: usize) -> Self {
        let shape = (self.stride, self.width, self.height);
        Self {
            data: &self.data[part(shape, (x, y, width, height))],
            width,
            height,
            ..*self
        }
    }
}

impl<'a> PlaneMut<'a> {
    /// See [`PlaneRef::new`].
    ///
    /// # Panics
    /// When `data` is too short, or when rows overlap.
    #[must_use]
    pub fn new(data: &'a mut [u8], stride: usize, width: usize, height: usize) -> Self {
        Self {
            data: &mut data[..reach(stride, width, height)],
            stride,
            width,
            height,
        }
    }

    /// All bytes from the first sample to the last, those between rows included.
    #[must_use]
    pub const fn data(&mut self) -> &mut [u8] {
        self.data
    }

    /// Bytes from a row's first sample to the next row's.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// Samples in a row.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.height
    }

    /// Row `y`, the topmost being 0.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    #[must_use]
    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        assert!(y < self.height, "row {y} of {}", self.height);
        if self.width == 0 {
            return &mut [];
        }
        &mut self.data[y * self.stride..][..self.width]
    }

    /// All rows, topmost first.
    pub fn rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [u8]> {
        let width = self.width;
        let stride = self.stride.max(1);
        // A view without samples has no bytes, and so no rows here either.
        self.data
            .chunks_mut(stride)
            .map(move |row| &mut row[..width])
    }

    /// The same view for a while.
    #[must_use]
    pub const fn reborrow(&mut self) -> PlaneMut<'_> {
        PlaneMut {
            data: self.data,
            stride: self.stride,
            width: self.width,
            height: self.height,
        }
    }

    /// The same view, only to read.
    #[must_use]
    pub const fn as_ref(&self) -> PlaneRef<'_> {
        PlaneRef {
            data: self.data,
            stride: self.stride,
            width: self.width,
            height: self.height,
        }
    }

    /// The rectangle of `width` by `height` samples whose top left one is `x`, `y`.
    ///
    /// # Panics
    /// When it is not inside the plane.
    #[must_use]
    pub fn crop_mut(self, x: usize, y: usize, width: usize, height: usize) -> Self {
        let shape = (self.stride, self.width, self.height);
        Self {
            data: &mut self.data[part(shape, (x, y, width, height))],
            width,
            height,
            stride: self.stride,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_rectangles_are_where_they_should_be() {
        let bytes: Vec<u8> = (0..4 * 10 - 3).collect();
        let plane = PlaneRef::new(&bytes, 10, 7, 4);
        assert_eq!(plane.data().len(), 37);
        assert_eq!(plane.row(3), [30, 31, 32, 33, 34, 35, 36]);
        let part = plane.crop(2, 1, 5, 3);
        assert_eq!((part.width(), part.height(), part.stride()), (5, 3, 10));
        assert_eq!(part.row(0), [12, 13, 14, 15, 16]);
        assert_eq!(part.row(2), [32, 33, 34, 35, 36]);
        assert_eq!(part.crop(4, 2, 1, 1).data(), [36]);
        let rows: Vec<_> = part.rows().collect();
        assert_eq!(rows, [part.row(0), part.row(1), part.row(2)]);

        let mut bytes = bytes.clone();
        let mut plane = PlaneMut::new(&mut bytes, 10, 7, 4);
        let mut corner = plane.reborrow().crop_mut(5, 2, 2, 2);
        corner.row_mut(1).fill(255);
        for row in corner.rows_mut() {
            row[0] = 1;
        }
        assert_eq!(plane.as_ref().row(2), [20, 21, 22, 23, 24, 1, 26]);
        assert_eq!(plane.as_ref().row(3), [30, 31, 32, 33, 34, 1, 255]);
        assert_eq!(bytes[27..30], [27, 28, 29], "between rows");
    }

    #[test]
    fn a_view_may_be_empty() {
        for (width, height) in [(0, 0), (0, 3), (3, 0)] {
            let mut none = [];
            let plane = PlaneRef::new(&none, 3, width, height);
            assert_eq!(plane.rows().map(<[u8]>::len).sum::<usize>(), 0);
            assert_eq!(
                PlaneMut::new(&mut none, 3, width, height).rows_mut().len(),
                0
            );
        }
        let bytes = [0; 12];
        let part = PlaneRef::new(&bytes, 4, 4, 3).crop(4, 3, 0, 0);
        assert!(part.data().is_empty());
    }

    #[test]
    fn what_is_not_there_cannot_be_seen() {
        fn plane(bytes: &[u8], stride: usize, width: usize) -> PlaneRef<'_> {
            PlaneRef::new(bytes, stride, width, 4)
        }
        let refused = |f: fn(&[u8]) -> usize| std::panic::catch_unwind(|| f(&[0; 37])).is_err();
        assert!(!refused(|b| plane(b, 10, 7).crop(0, 0, 7, 4).width()));
        assert!(refused(|b| plane(b, 10, 8).width()));
        assert!(refused(|b| plane(b, 6, 7).width()));
        assert!(refused(|b| plane(b, usize::MAX, 7).width()));
        assert!(refused(|b| plane(b, 10, 7).row(4).len()));
        assert!(refused(|b| plane(b, 10, 7).crop(1, 0, 7, 4).width()));
        assert!(refused(|b| plane(b, 10, 7).crop(0, 1, 7, 4).width()));
        assert!(refused(|b| plane(b, 10, 7).crop(8, 0, 0, 1).width()));
        assert!(refused(|b| plane(b, 10, 7)
            .crop(1, 1, usize::MAX, 1)
            .width()));
    }
}
