//! A clip that looks to an encoder like people talking: a textured room that
//! stands still, heads that sway, nod, blink and speak, clothes with a fine
//! pattern, and the noise of a camera. One seed decides everything.

use plenum_kernels::video::{Picture, Plane, PlaneMut};

/// The clip; see the [module](self).
#[derive(Clone, Debug)]
pub struct TalkingHeads {
    room: Picture,
    seed: u32,
    people: u32,
    hands: bool,
}

/// Mixes bits: the randomness of everything here.
const fn hash(mut word: u32) -> u32 {
    word ^= word >> 16;
    word = word.wrapping_mul(0x7feb_352d);
    word ^= word >> 15;
    word = word.wrapping_mul(0x846c_a68b);
    word ^ word >> 16
}

const fn hash2(seed: u32, x: u32, y: u32) -> u32 {
    hash(seed ^ hash(x.wrapping_add(hash(y))))
}

/// Smooth noise in -1 to 1 with features about `cell` samples wide.
fn smooth(seed: u32, x: f32, y: f32, cell: f32) -> f32 {
    let (x, y) = (x / cell + 1_024.0, y / cell + 1_024.0);
    let (left, top) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (fx, fy) = (ease(x - left), ease(y - top));
    let at = |dx: u32, dy: u32| {
        let word = hash2(seed, left as u32 + dx, top as u32 + dy);
        word as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * fx;
    let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * fx;
    upper + (lower - upper) * fy
}

/// One colour, Y, U and V.
type Color = [f32; 3];

/// What covers a point, and how much of it.
struct Paint {
    color: Color,
    cover: f32,
}

/// How a person sits at one instant; lengths in heights of the picture.
struct Person {
    seed: u32,
    /// Middle of the head.
    x: f32,
    y: f32,
    /// Half the head's width.
    size: f32,
    /// Mouth, 0 closed to 1 open.
    mouth: f32,
    /// Eyes, 0 closed to 1 open.
    eyes: f32,
    /// Middle of each hand, in half head widths from the middle of the head.
    hands: Option<[(f32, f32); 2]>,
}

impl TalkingHeads {
    /// One person, in a room of this size.
    #[must_use]
    pub fn new(width: u32, height: u32, seed: u32) -> Self {
        Self::with_people(width, height, seed, 1)
    }

    /// One to four people side by side, as a meeting room's camera sees them.
    #[must_use]
    pub fn with_people(width: u32, height: u32, seed: u32, people: u32) -> Self {
        let mut room = Picture::new(width, height);
        for plane in Plane::ALL {
            let scale = if plane == Plane::Y { 1.0 } else { 2.0 };
            let unit = 1.0 / height as f32;
            let mut samples = room.plane_mut(plane);
            for (y, row) in samples.rows_mut().enumerate() {
                for (x, sample) in row.iter_mut().enumerate() {
                    let (x, y) = (x as f32 * scale * unit, y as f32 * scale * unit);
                    *sample = room_at(seed, x, y)[plane as usize].clamp(16.0, 235.0) as u8;
                }
            }
        }
        Self {
            room,
            seed,
            people: people.clamp(1, 4),
            hands: false,
        }
    }

    /// The same people, who talk with their hands: strokes of up to a sixth of the
    /// picture's height in a tenth of a second, with rests between.
    #[must_use]
    pub fn gesturing(mut self) -> Self {
        self.hands = true;
        self
    }

    /// Draws picture number `frame` of 30 a second.
    ///
    /// # Panics
    /// When `out` has another size than the clip.
    pub fn draw(&self, frame: u32, out: &mut Picture) {
        assert_eq!(
            (out.width(), out.height()),
            (self.room.width(), self.room.height())
        );
        let people: Vec<_> = (0..self.people)
            .map(|index| self.person(index, frame as f32 / 30.0))
            .collect();
        for plane in Plane::ALL {
            let room = self.room.plane(plane);
            let mut samples = out.plane_mut(plane);
            for (to, from) in samples.rows_mut().zip(room.rows()) {
                to.copy_from_slice(from);
            }
            for person in &people {
                person.draw(plane, self.room.height(), &mut samples);
            }
            self.add_noise(frame, plane, &mut samples);
        }
    }

    fn person(&self, index: u32, t: f32) -> Person {
        let seed = hash2(self.seed, index, 77);
        let phase = |n: u32| hash2(seed, n, 1) as f32 / u32::MAX as f32 * std::f32::consts::TAU;
        let wave = |n: u32, hz: f32| (t * hz * std::f32::consts::TAU + phase(n)).sin();
        let aspect = self.room.width() as f32 / self.room.height() as f32;
        let size = 0.17 / (self.people as f32).sqrt();
        // Speech: syllables within sentences.
        let sentence = (wave(0, 0.23) * 2.0 + 0.8).clamp(0.0, 1.0);
        let syllable = (wave(1, 4.1) * 0.5 + wave(2, 6.7) * 0.5).abs();
        // A blink of 130 ms every few seconds.
        let blink = (t / 3.7 + phase(3)).fract() * 3.7;
        Person {
            seed,
            x: aspect * (index as f32 + 0.5) / self.people as f32
                + size * (0.22 * wave(4, 0.17) + 0.05 * wave(5, 0.71)),
            y: 0.42 + size * (0.10 * wave(6, 0.29) + 0.06 * sentence * wave(7, 1.3)),
            size,
            mouth: sentence * syllable,
            eyes: if blink < 0.13 { 0.1 } else { 1.0 },
            hands: self.hands.then(|| {
                // Raised while a sentence lasts, and beating with it.
                let hand = |side: f32, n: u32| {
                    let beat = sentence * wave(n, 1.1) * (0.5 + 0.5 * wave(n + 1, 0.31));
                    let x = side * (1.25 + 0.35 * wave(n + 2, 0.43)) + 0.3 * beat;
                    (x, 2.75 - 0.7 * sentence + 0.55 * beat)
                };
                [hand(-1.0, 20), hand(1.0, 30)]
            }),
        }
    }

    /// A deviation of 1.9 steps of luma and half that of colour, new for each sample and
    /// picture: a webcam in a dim room, without the smoothing that most of them do.
    fn add_noise(&self, frame: u32, plane: Plane, samples: &mut PlaneMut<'_>) {
        let seed = hash2(self.seed, frame, plane as u32 + 9);
        let shift = if plane == Plane::Y { 0 } else { 1 };
        for (y, row) in samples.rows_mut().enumerate() {
            let mut state = hash2(seed, y as u32, 3) | 1;
            for sample in row {
                // xorshift; four small uniforms make something like a bell.
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                let sum = (state & 3) + (state >> 8 & 3) + (state >> 16 & 3);
                let noise = (sum as i32 - 4) >> shift;
                *sample = (i32::from(*sample) + noise).clamp(1, 254) as u8;
            }
        }
    }
}

/// A wall with light from one side, a shelf of books, a door frame.
fn room_at(seed: u32, x: f32, y: f32) -> Color {
    let wall = 150.0 - 40.0 * x + 12.0 * smooth(seed, x, y, 0.35) + 2.5 * smooth(seed, x, y, 0.006);
    let mut color = [wall, 122.0 + 3.0 * x, 134.0 - 2.0 * y];
    let shelf = x < 0.55 && y > 0.12 && y < 0.62;
    if shelf {
        let board = (y - 0.12) % 0.25;
        if board < 0.018 {
            color = [70.0 + 10.0 * smooth(seed, x, y * 9.0, 0.05), 112.0, 146.0];
        } else {
            let book = hash2(seed, (x / 0.022) as u32, ((y - 0.12) / 0.25) as u32);
            let gap = x / 0.022 - (x / 0.022).floor() < 0.12;
            let top = 0.05 + (book & 7) as f32 * 0.008;
            if board < top || gap {
                color = [38.0, 124.0, 132.0];
            } else {
                let shade = 60.0 + (book >> 3 & 127) as f32;
                let letters = if board > 0.11 && board < 0.17 {
                    30.0 * smooth(seed ^ book, x * 2.0, y * 4.0, 0.012)
                } else {
                    0.0
                };
                color = [
                    shade + letters,
                    104.0 + (book >> 10 & 47) as f32,
                    104.0 + (book >> 16 & 47) as f32,
                ];
            }
        }
    } else if (x - 1.35).abs() < 0.02 || (x - 1.7).abs() < 0.02 {
        color = [188.0 + 4.0 * smooth(seed, x, y, 0.01), 126.0, 129.0];
    }
    color
}

impl Person {
    fn draw(&self, plane: Plane, height: u32, samples: &mut PlaneMut<'_>) {
        let scale = if plane == Plane::Y { 1.0 } else { 2.0 };
        let unit = scale / height as f32;
        let column = |x: f32| (x / unit).max(0.0) as usize;
        let first = column(self.x - 2.6 * self.size);
        let last = column(self.x + 2.6 * self.size);
        let top = column(self.y - 1.8 * self.size);
        for (y, row) in samples.rows_mut().enumerate().skip(top) {
            let end = row.len().min(last);
            for (x, sample) in row.iter_mut().enumerate().take(end).skip(first) {
                let (x, y) = (x as f32 * unit, y as f32 * unit);
                let u = (x - self.x) / self.size;
                let v = (y - self.y) / self.size;
                for paint in self.paints(u, v, unit / self.size).into_iter().flatten() {
                    let under = f32::from(*sample);
                    let over = paint.color[plane as usize];
                    let mixed = under + (over - under) * paint.cover;
                    *sample = (mixed + 0.5).clamp(16.0, 235.0) as u8;
                }
            }
        }
    }

    /// What lies over the room at `u`, `v` half head widths from the middle of the
    /// head; `soft` is how wide a sample is there, for smooth edges.
    fn paints(&self, u: f32, v: f32, soft: f32) -> [Option<Paint>; 7] {
        let ellipse = |x: f32, y: f32, w: f32, h: f32| {
            let distance = ((u - x) / w).powi(2) + ((v - y) / h).powi(2);
            // About the distance to the edge, in samples.
            let edge = (1.0 - distance.sqrt()) * w.min(h) / soft;
            (edge + 0.5).clamp(0.0, 1.0)
        };
        let paint = |cover: f32, color: Color| (cover > 0.0).then_some(Paint { color, cover });
        // Clothes: a fine pattern that moves with the body.
        let weave = ((u * 9.0).sin() * (v * 9.0).sin()) * 10.0 + 8.0 * smooth(self.seed, u, v, 0.5);
        let hue = (self.seed >> 4 & 31) as f32;
        let shirt = [78.0 + weave, 118.0 + hue, 140.0 - hue];
        let torso = ellipse(0.0, 3.6, 2.3, 2.3);
        let hair_texture = 14.0 * smooth(self.seed, u * 3.0, v, 0.18);
        let hair = ellipse(0.0, -0.25, 1.12, 1.42);
        let light = 18.0 * -u + 6.0 * smooth(self.seed, u, v, 0.7);
        let pores = 3.0 * smooth(self.seed ^ 5, u, v, 0.05);
        let skin = [148.0 + light + pores, 112.0, 152.0];
        let face = ellipse(0.0, 0.08, 0.95, 1.28);
        let eye = ellipse(-0.38, -0.12, 0.15, 0.09 * self.eyes).max(ellipse(
            0.38,
            -0.12,
            0.15,
            0.09 * self.eyes,
        ));
        let mouth = ellipse(0.0, 0.68, 0.34, 0.05 + 0.15 * self.mouth);
        // A palm and four fingers, spread.
        let hand = |side: f32, (x, y): (f32, f32)| {
            let fingers = (0..4).map(|finger| {
                let across = side * (finger as f32 - 1.5) * 0.17;
                ellipse(x + across, y - 0.48, 0.075, 0.34)
            });
            fingers.fold(ellipse(x, y, 0.36, 0.38), f32::max)
        };
        let [left, right] = self.hands.map_or([0.0; 2], |[left, right]| {
            [hand(-1.0, left), hand(1.0, right)]
        });
        [
            paint(torso, shirt),
            paint(hair, [46.0 + hair_texture, 122.0, 134.0]),
            paint(face, skin),
            paint(eye, [40.0, 127.0, 129.0]),
            paint(mouth, [78.0, 118.0, 166.0]),
            paint(left, skin),
            paint(right, skin),
        ]
    }
}
