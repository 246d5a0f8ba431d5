//! Which lane works on what.

use super::{BLOCK_LEN, Block, DIGEST_LEN, HmacJob, State, last_blocks, to_bytes};

/// One message on its way: its whole blocks, its padded end, then the digest of
/// both under the outer key.
struct Lane<'a> {
    /// Which job; `None` for a lane without work.
    job: Option<usize>,
    /// Whole blocks of the message that are still to come.
    body: &'a [Block],
    /// After them these, from `tail_next` to `tail_end`.
    tail: [Block; 2],
    tail_next: usize,
    tail_end: usize,
    /// The tail is the outer hash's only block.
    is_outer: bool,
}

impl<'a> Lane<'a> {
    const IDLE: Self = Self {
        job: None,
        body: &[],
        tail: [[0; BLOCK_LEN]; 2],
        tail_next: 0,
        tail_end: 0,
        is_outer: false,
    };

    fn start(index: usize, message: &'a [u8]) -> Self {
        let (body, rest) = message.as_chunks();
        // The key's block counts.
        let (tail, tail_end) = last_blocks(rest, BLOCK_LEN + message.len());
        Self {
            job: Some(index),
            body,
            tail,
            tail_next: 0,
            tail_end,
            is_outer: false,
        }
    }

    fn start_outer(&mut self, inner: State) {
        (self.tail, self.tail_end) = last_blocks(&to_bytes(inner), BLOCK_LEN + DIGEST_LEN);
        self.tail_next = 0;
        self.is_outer = true;
    }

    /// The blocks that come next, at least one while there is work.
    fn blocks(&self) -> &[Block] {
        if self.body.is_empty() {
            &self.tail[self.tail_next..self.tail_end]
        } else {
            self.body
        }
    }

    fn advance(&mut self, count: usize) {
        if self.body.is_empty() {
            self.tail_next += count;
        } else {
            self.body = &self.body[count..];
        }
    }

    fn is_through(&self) -> bool {
        self.body.is_empty() && self.tail_next == self.tail_end
    }
}

/// Works through the jobs with `compress`, which runs equally many blocks for
/// each of `N` messages.
pub(super) fn hmac_many<const N: usize>(
    jobs: &mut [HmacJob<'_>],
    compress: impl Fn(&mut [State; N], [&[Block]; N]),
) {
    let mut lanes = [Lane::IDLE; N];
    let mut states = [State::default(); N];
    let mut next = 0;
    loop {
        for (lane, state) in lanes.iter_mut().zip(&mut states) {
            if lane.job.is_none()
                && let Some(job) = jobs.get(next)
            {
                *lane = Lane::start(next, job.message);
                *state = job.key.inner;
                next += 1;
            }
        }
        let busy = lanes.iter().filter(|lane| lane.job.is_some());
        let Some(shortest) = busy.map(Lane::blocks).min_by_key(|blocks| blocks.len()) else {
            return;
        };
        // A lane without work hashes what another does, to nobody's use.
        let count = shortest.len();
        let blocks = core::array::from_fn(|i| match lanes[i].job {
            Some(_) => &lanes[i].blocks()[..count],
            None => shortest,
        });
        compress(&mut states, blocks);
        for (lane, state) in lanes.iter_mut().zip(&mut states) {
            let Some(job) = lane.job else { continue };
            lane.advance(count);
            if !lane.is_through() {
                continue;
            }
            let job = &mut jobs[job];
            if lane.is_outer {
                job.tag = to_bytes(*state);
                lane.job = None;
            } else {
                lane.start_outer(*state);
                *state = job.key.outer;
            }
        }
    }
}
