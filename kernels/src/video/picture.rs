//! A picture that owns its samples, and views of all three planes at once.

use super::color::Yuv;
use super::plane::{PlaneMut, PlaneRef};

/// Which samples of a picture.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Plane {
    /// Luma.
    Y,
    /// Blue difference.
    U,
    /// Red difference.
    V,
}

impl Plane {
    /// In the order in which I420 has them.
    pub const ALL: [Self; 3] = [Self::Y, Self::U, Self::V];
}

/// A rectangle of a picture, in luma samples from the top left.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Rect {
    /// Leftmost column.
    pub x: u32,
    /// Topmost row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Rect {
    /// The rectangle of this size at `x`, `y`.
    #[must_use]
    pub const fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }

    /// Where its chroma is: at half of everything, sizes rounded up.
    ///
    /// # Panics
    /// When `x` or `y` is odd: such a rectangle shares chroma samples with what is
    /// left of it or above it.
    fn chroma(self) -> Self {
        assert!(
            self.x.is_multiple_of(2) && self.y.is_multiple_of(2),
            "{self:?} begins within a chroma sample"
        );
        Self {
            x: self.x / 2,
            y: self.y / 2,
            width: self.width.div_ceil(2),
            height: self.height.div_ceil(2),
        }
    }
}

/// Bytes that a row begins on a multiple of: a cache line, and the widest vector.
const ALIGN: usize = 64;

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; ALIGN]);

/// An 8-bit I420 picture: width times height luma samples, and half of each,
/// rounded up, of the two colour differences (the [module](super) says which).
///
/// Every row begins on a multiple of 64 bytes.
#[derive(Clone, Debug)]
pub struct Picture {
    lines: Vec<Line>,
    width: u32,
    height: u32,
}

impl Picture {
    /// Least width and height.
    pub const SIDE_MIN: u32 = 2;
    /// Greatest width and height.
    pub const SIDE_MAX: u32 = 8_192;

    /// A black picture.
    ///
    /// # Panics
    /// When a side is not [`Self::SIDE_MIN`] to [`Self::SIDE_MAX`].
    #[must_use]
    pub fn new(width: u32, height: u32) -> Self {
        let mut picture = Self {
            lines: Vec::new(),
            width: 0,
            height: 0,
        };
        picture.resize(width, height);
        picture.fill(Yuv::BLACK);
        picture
    }

    /// Takes another size, within the memory that is there if that is enough. What
    /// it shows afterwards is anything.
    ///
    /// # Panics
    /// When a side is not [`Self::SIDE_MIN`] to [`Self::SIDE_MAX`].
    pub fn resize(&mut self, width: u32, height: u32) {
        let sides = Self::SIDE_MIN..=Self::SIDE_MAX;
        assert!(
            sides.contains(&width) && sides.contains(&height),
            "a picture of {width}x{height}"
        );
        (self.width, self.height) = (width, height);
        let [luma, chroma, _] = Plane::ALL.map(|plane| {
            let (stride, _, height) = self.shape(plane);
            stride * height / ALIGN
        });
        self.lines.resize(luma + 2 * chroma, Line([0; ALIGN]));
    }

    /// Luma samples in a row.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Luma rows.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// The rectangle that is all of it.
    #[must_use]
    pub const fn rect(&self) -> Rect {
        Rect::new(0, 0, self.width, self.height)
    }

    /// Stride, width and height of a plane.
    fn shape(&self, plane: Plane) -> (usize, usize, usize) {
        let (width, height) = match plane {
            Plane::Y => (self.width, self.height),
            Plane::U | Plane::V => (self.width.div_ceil(2), self.height.div_ceil(2)),
        };
        let (width, height) = (width as usize, height as usize);
        (width.next_multiple_of(ALIGN), width, height)
    }

    fn bytes(&self) -> &[u8] {
        let lines = self.lines.as_slice();
        // SAFETY: a `Line` is 64 bytes without padding, each of them initialised, and
        // bytes need no alignment; the slice borrows `self` as `lines` does.
        unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), size_of_val(lines)) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        let lines = self.lines.as_mut_slice();
        // SAFETY: as in `bytes`; the borrow is exclusive as that of `lines` is, and
        // any 64 bytes are a `Line`.
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), size_of_val(lines)) }
    }

    /// One plane.
    #[must_use]
    pub fn plane(&self, plane: Plane) -> PlaneRef<'_> {
        self.planes()[plane as usize]
    }

    /// One plane, to write.
    #[must_use]
    pub fn plane_mut(&mut self, plane: Plane) -> PlaneMut<'_> {
        let [y, u, v] = self.planes_mut();
        match plane {
            Plane::Y => y,
            Plane::U => u,
            Plane::V => v,
        }
    }

    /// Y, U and V.
    #[must_use]
    pub fn planes(&self) -> [PlaneRef<'_>; 3] {
        let mut rest = self.bytes();
        Plane::ALL.map(|plane| {
            let (stride, width, height) = self.shape(plane);
            let (own, behind) = rest.split_at(stride * height);
            rest = behind;
            PlaneRef::new(own, stride, width, height)
        })
    }

    /// Y, U and V, to write.
    #[must_use]
    pub fn planes_mut(&mut self) -> [PlaneMut<'_>; 3] {
        let shapes = Plane::ALL.map(|plane| self.shape(plane));
        let mut rest = self.bytes_mut();
        shapes.map(|(stride, width, height)| {
            let own = rest
                .split_off_mut(..stride * height)
                .expect("a size that `resize` made room for");
            PlaneMut::new(own, stride, width, height)
        })
    }

    /// A view of all of it.
    #[must_use]
    pub fn view(&self) -> PictureRef<'_> {
        let [y, u, v] = self.planes();
        PictureRef { y, u, v }
    }

    /// A view of all of it, to write.
    #[must_use]
    pub fn view_mut(&mut self) -> PictureMut<'_> {
        let [y, u, v] = self.planes_mut();
        PictureMut { y, u, v }
    }

    /// A view of a rectangle.
    ///
    /// # Panics
    /// When it is not inside the picture, or when its `x` or `y` is odd.
    #[must_use]
    pub fn crop(&self, rect: Rect) -> PictureRef<'_> {
        self.view().crop(rect)
    }

    /// A view of a rectangle, to write.
    ///
    /// # Panics
    /// When it is not inside the picture, or when its `x` or `y` is odd.
    #[must_use]
    pub fn crop_mut(&mut self, rect: Rect) -> PictureMut<'_> {
        self.view_mut().crop_mut(rect)
    }

    /// Makes all of it one colour.
    pub fn fill(&mut self, color: Yuv) {
        for (mut plane, sample) in self
            .planes_mut()
            .into_iter()
            .zip([color.y, color.u, color.v])
        {
            // The bytes between rows too: nobody minds, and it is one go.
            plane.data().fill(sample);
        }
    }
}

/// The chroma planes that belong to a luma plane: the same size, and half of it.
fn assert_420(luma: (usize, usize), u: (usize, usize), v: (usize, usize)) {
    let half = (luma.0.div_ceil(2), luma.1.div_ceil(2));
    assert!(
        u == half && v == half,
        "chroma of {u:?} and {v:?} for luma of {luma:?}"
    );
}

/// Read access to a picture or to a rectangle of one.
#[derive(Clone, Copy, Debug)]
pub struct PictureRef<'a> {
    y: PlaneRef<'a>,
    u: PlaneRef<'a>,
    v: PlaneRef<'a>,
}

impl<'a> PictureRef<'a> {
    /// The picture that three planes are.
    ///
    /// # Panics
    /// When the chroma planes do not have half the luma plane's size, rounded up.
    #[must_use]
    pub fn new(y: PlaneRef<'a>, u: PlaneRef<'a>, v: PlaneRef<'a>) -> Self {
        let size = |plane: &PlaneRef<'_>| (plane.width(), plane.height());
        assert_420(size(&y), size(&u), size(&v));
        Self { y, u, v }
    }

    /// Luma samples in a row.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.y.width() as u32
    }

    /// Luma rows.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.y.height() as u32
    }

    /// One plane.
    #[must_use]
    pub const fn plane(&self, plane: Plane) -> PlaneRef<'a> {
        match plane {
            Plane::Y => self.y,
            Plane::U => self.u,
            Plane::V => self.v,
        }
    }

    /// Y, U and V.
    #[must_use]
    pub const fn planes(&self) -> [PlaneRef<'a>; 3] {
        [self.y, self.u, self.v]
    }

    /// A rectangle of it.
    ///
    /// # Panics
    /// When it is not inside, or when its `x` or `y` is odd.
    #[must_use]
    pub fn crop(&self, rect: Rect) -> Self {
        let part = |plane: PlaneRef<'a>, r: Rect| {
            let [x, y, width, height] = [r.x, r.y, r.width, r.height].map(|n| n as usize);
            plane.crop(x, y, width, height)
        };
        let chroma = rect.chroma();
        Self {
            y: part(self.y, rect),
            u: part(self.u, chroma),
            v: part(self.v, chroma),
        }
    }
}

/// Write access to a picture or to a rectangle of one.
#[derive(Debug)]
pub struct PictureMut<'a> {
    y: PlaneMut<'a>,
    u: PlaneMut<'a>,
    v: PlaneMut<'a>,
}

impl<'a> PictureMut<'a> {
    /// The picture that three planes are.
    ///
    /// # Panics
    /// When the chroma planes do not have half the luma plane's size, rounded up.
    #[must_use]
    pub fn new(y: PlaneMut<'a>, u: PlaneMut<'a>, v: PlaneMut<'a>) -> Self {
        let size = |plane: &PlaneMut<'_>| (plane.width(), plane.height());
        assert_420(size(&y), size(&u), size(&v));
        Self { y, u, v }
    }

    /// Luma samples in a row.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.y.width() as u32
    }

    /// Luma rows.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.y.height() as u32
    }

    /// One plane.
    #[must_use]
    pub const fn plane_mut(&mut self, plane: Plane) -> PlaneMut<'_> {
        match plane {
            Plane::Y => self.y.reborrow(),
            Plane::U => self.u.reborrow(),
            Plane::V => self.v.reborrow(),
        }
    }

    /// Y, U and V.
    #[must_use]
    pub fn planes_mut(self) -> [PlaneMut<'a>; 3] {
        [self.y, self.u, self.v]
    }

    /// The same view for a while.
    #[must_use]
    pub const fn reborrow(&mut self) -> PictureMut<'_> {
        PictureMut {
            y: self.y.reborrow(),
            u: self.u.reborrow(),
            v: self.v.reborrow(),
        }
    }

    /// The same view, only to read.
    #[must_use]
    pub const fn as_ref(&self) -> PictureRef<'_> {
        PictureRef {
            y: self.y.as_ref(),
            u: self.u.as_ref(),
            v: self.v.as_ref(),
        }
    }

    /// A rectangle of it.
    ///
    /// # Panics
    /// When it is not inside, or when its `x` or `y` is odd.
    #[must_use]
    pub fn crop_mut(self, rect: Rect) -> Self {
        let part = |plane: PlaneMut<'a>, r: Rect| {
            let [x, y, width, height] = [r.x, r.y, r.width, r.height].map(|n| n as usize);
            plane.crop_mut(x, y, width, height)
        };
        let chroma = rect.chroma();
        Self {
            y: part(self.y, rect),
            u: part(self.u, chroma),
            v: part(self.v, chroma),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_picture_is_black_and_aligned() {
        for (width, height) in [(2, 2), (3, 5), (64, 2), (65, 7), (1_280, 720)] {
            let picture = Picture::new(width, height);
            let (w, h) = (width as usize, height as usize);
            let half = (w.div_ceil(2), h.div_ceil(2));
            for (plane, sample, size) in [
                (Plane::Y, 16, (w, h)),
                (Plane::U, 128, half),
                (Plane::V, 128, half),
            ] {
                let plane = picture.plane(plane);
                assert_eq!((plane.width(), plane.height()), size);
                for row in plane.rows() {
                    assert_eq!(row.as_ptr() as usize % 64, 0);
                    assert!(row.iter().all(|&s| s == sample));
                }
            }
        }
    }

    #[test]
    fn planes_do_not_share_samples() {
        let mut picture = Picture::new(7, 5);
        for (value, mut plane) in (1..).zip(picture.planes_mut()) {
            for row in plane.rows_mut() {
                row.fill(value);
            }
        }
        for (value, plane) in (1..).zip(picture.planes()) {
            assert!(plane.rows().flatten().all(|&sample| sample == value));
        }
        picture.plane_mut(Plane::V).row_mut(2)[3] = 9;
        assert_eq!(picture.plane(Plane::V).row(2), [3, 3, 3, 9]);
        picture.fill(Yuv { y: 4, u: 5, v: 6 });
        for (value, plane) in (4..).zip(picture.view().planes()) {
            assert!(plane.rows().flatten().all(|&sample| sample == value));
        }
    }

    #[test]
    fn a_smaller_picture_stays_where_it_is() {
        let mut picture = Picture::new(640, 360);
        let place = picture.plane(Plane::Y).data().as_ptr();
        for (width, height) in [(320, 180), (2, 2), (320, 640), (640, 360)] {
            picture.resize(width, height);
            assert_eq!((picture.width(), picture.height()), (width, height));
            assert_eq!(picture.plane(Plane::Y).data().as_ptr(), place);
            picture.fill(Yuv::WHITE);
            assert_eq!(picture.plane(Plane::V).row(0)[0], 128);
        }
        picture.resize(1_280, 720);
        assert_eq!(picture.plane(Plane::Y).row(719).len(), 1_280);
    }

    #[test]
    fn rectangles_take_their_chroma_along() {
        let mut picture = Picture::new(9, 7);
        let part = picture.crop_mut(Rect::new(4, 2, 5, 3));
        assert_eq!((part.width(), part.height()), (5, 3));
        for (value, mut plane) in (1..).zip(part.planes_mut()) {
            for row in plane.rows_mut() {
                row.fill(value);
            }
        }
        assert_eq!(
            picture.plane(Plane::Y).row(4),
            [16, 16, 16, 16, 1, 1, 1, 1, 1]
        );
        assert_eq!(picture.plane(Plane::Y).row(5), [16; 9]);
        assert_eq!(picture.plane(Plane::U).row(0), [128; 5]);
        assert_eq!(picture.plane(Plane::U).row(1), [128, 128, 2, 2, 2]);
        assert_eq!(picture.plane(Plane::V).row(2), [128, 128, 3, 3, 3]);
        assert_eq!(picture.plane(Plane::V).row(3), [128; 5]);
        let seen = picture.crop(picture.rect()).crop(Rect::new(8, 4, 1, 1));
        assert_eq!(seen.planes().map(|plane| plane.data()[0]), [1, 2, 3]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |f: fn() -> u32| std::panic::catch_unwind(f).is_err();
        assert!(refused(|| Picture::new(1, 2).width()));
        assert!(refused(|| Picture::new(2, 8_193).width()));
        assert!(!refused(|| Picture::new(8_192, 2).width()));
        assert!(refused(|| Picture::new(8, 8)
            .crop(Rect::new(1, 0, 2, 2))
            .width()));
        assert!(refused(|| Picture::new(8, 8)
            .crop(Rect::new(0, 3, 2, 2))
            .width()));
        assert!(refused(|| Picture::new(8, 8)
            .crop(Rect::new(8, 0, 2, 2))
            .width()));
        let planes = |luma_width: usize| {
            let y = PlaneRef::new(&[0; 64], 8, luma_width, 8);
            let half = PlaneRef::new(&[0; 16], 4, 4, 4);
            PictureRef::new(y, half, half).width()
        };
        assert_eq!((planes(8), planes(7)), (8, 7));
        assert!(std::panic::catch_unwind(|| planes(6)).is_err());
    }
}
