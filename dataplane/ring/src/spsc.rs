//! Single-producer, single-consumer rings of fixed messages.
//!
//! The consumer looks at a message, deals with it, and only then advances: a
//! consumer that is killed in between leaves the message to its successor.
//! Messages are therefore desired state, for which twice is once.
//!
//! Sleeping is announced in the ring so that a producer pays for a wake-up
//! only when somebody sleeps. Both sides put a full fence between their own
//! store and their look at the other's word; at least one of them then sees
//! the other's, and no wake-up is lost.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use plenum_abi::{Command, Event, RingHeader, WorkerHeader};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{Arena, Doorbell};

/// A message of fixed size, a multiple of 8 bytes.
pub trait Message: FromBytes + IntoBytes + Immutable + Copy {}

impl Message for Command {}
impl Message for Event {}

/// The consumer is too far behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the ring is full")]
pub struct Full;

/// Largest message in words; bounds the copy on the stack.
const WORDS_MAX: usize = 64;

pub(crate) struct RingParts {
    arena: Arena,
    worker: u32,
    header: fn(&WorkerHeader) -> &RingHeader,
    offset: usize,
    slots: u32,
    words_per_slot: usize,
}

impl RingParts {
    pub(crate) fn new<T: Message>(
        arena: Arena,
        worker: u32,
        header: fn(&WorkerHeader) -> &RingHeader,
        offset: usize,
        slots: u32,
    ) -> Self {
        const {
            assert!(size_of::<T>().is_multiple_of(8) && size_of::<T>() / 8 <= WORDS_MAX);
        }
        assert!(slots.is_power_of_two());
        Self {
            arena,
            worker,
            header,
            offset,
            slots,
            words_per_slot: size_of::<T>() / 8,
        }
    }

    fn header(&self) -> &RingHeader {
        (self.header)(self.arena.worker_header(self.worker))
    }

    fn slot(&self, position: u64) -> &[AtomicU64] {
        let index = (position % u64::from(self.slots)) as usize;
        self.arena.words(
            self.offset + index * self.words_per_slot * 8,
            self.words_per_slot,
        )
    }

    /// Messages between the positions; a difference that no honest peer makes
    /// counts as a full ring to the producer and as an empty one to the consumer.
    fn waiting(&self, head: u64, tail: u64) -> Option<u64> {
        let waiting = tail.wrapping_sub(head);
        (waiting <= u64::from(self.slots)).then_some(waiting)
    }
}

/// The writing end.
pub struct RingProducer<T> {
    parts: RingParts,
    message: PhantomData<T>,
}

/// The control plane's end of a command ring.
pub type CommandProducer = RingProducer<Command>;
/// The worker's end of an event ring.
pub type EventProducer = RingProducer<Event>;

impl<T: Message> RingProducer<T> {
    pub(crate) fn new(parts: RingParts) -> Self {
        Self {
            parts,
            message: PhantomData,
        }
    }

    /// Writes one message. The consumer is not woken: see [`Self::wake`].
    ///
    /// # Errors
    /// [`Full`].
    pub fn push(&mut self, message: &T) -> Result<(), Full> {
        let header = self.parts.header();
        let tail = header.tail.load(Ordering::Relaxed);
        let head = header.head.load(Ordering::Acquire);
        match self.parts.waiting(head, tail) {
            Some(waiting) if waiting < u64::from(self.parts.slots) => {}
            _ => return Err(Full),
        }
        for (word, bytes) in self
            .parts
            .slot(tail)
            .iter()
            .zip(message.as_bytes().chunks_exact(8))
        {
            let mut value = [0; 8];
            value.copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(value), Ordering::Relaxed);
        }
        header.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Rings the doorbell if the consumer sleeps. Once per batch of pushes.
    pub fn wake(&self, doorbell: &Doorbell) {
        fence(Ordering::SeqCst);
        if self.parts.header().consumer_sleeps.load(Ordering::Relaxed) != 0 {
            doorbell.ring();
        }
    }

    /// Messages that wait to be read.
    #[must_use]
    pub fn len(&self) -> u64 {
        let header = self.parts.header();
        let head = header.head.load(Ordering::Acquire);
        self.parts
            .waiting(head, header.tail.load(Ordering::Relaxed))
            .unwrap_or(0)
    }

    /// Whether no message waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The reading end.
pub struct RingConsumer<T> {
    parts: RingParts,
    message: PhantomData<T>,
}

/// The worker's end of a command ring.
pub type CommandConsumer = RingConsumer<Command>;
/// The control plane's end of an event ring.
pub type EventConsumer = RingConsumer<Event>;

impl<T: Message> RingConsumer<T> {
    pub(crate) fn new(parts: RingParts) -> Self {
        Self {
            parts,
            message: PhantomData,
        }
    }

    /// A copy of the next message, which stays in the ring until [`Self::advance`].
    #[must_use]
    pub fn peek(&self) -> Option<T> {
        let header = self.parts.header();
        let head = header.head.load(Ordering::Relaxed);
        let tail = header.tail.load(Ordering::Acquire);
        if self.parts.waiting(head, tail)? == 0 {
            return None;
        }
        let mut words = [0_u64; WORDS_MAX];
        for (value, word) in words.iter_mut().zip(self.parts.slot(head)) {
            *value = word.load(Ordering::Relaxed);
        }
        T::read_from_prefix(words.as_bytes())
            .ok()
            .map(|(message, _)| message)
    }

    /// Drops the message that [`Self::peek`] showed.
    pub fn advance(&mut self) {
        let header = self.parts.header();
        let head = header.head.load(Ordering::Relaxed);
        let tail = header.tail.load(Ordering::Acquire);
        if self
            .parts
            .waiting(head, tail)
            .is_some_and(|waiting| waiting > 0)
        {
            header.head.store(head.wrapping_add(1), Ordering::Release);
        }
    }

    /// [`Self::peek`] and [`Self::advance`] in one.
    pub fn pop(&mut self) -> Option<T> {
        let message = self.peek()?;
        self.advance();
        Some(message)
    }

    /// Announces sleep; `false` when a message came meanwhile and sleep would
    /// be wrong. Undone by [`Self::stay_awake`].
    #[must_use]
    pub fn prepare_sleep(&self) -> bool {
        let header = self.parts.header();
        header.consumer_sleeps.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let empty = header.tail.load(Ordering::Acquire) == header.head.load(Ordering::Relaxed);
        if !empty {
            self.stay_awake();
        }
        empty
    }

    /// No wake-ups are wanted.
    pub fn stay_awake(&self) {
        self.parts
            .header()
            .consumer_sleeps
            .store(0, Ordering::Relaxed);
    }

    /// Catches up with whatever the producer wrote: nothing waits afterwards.
    pub fn skip_all(&mut self) {
        let header = self.parts.header();
        header
            .head
            .store(header.tail.load(Ordering::Acquire), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use plenum_abi::{COMMAND_RING_SLOTS, CommandKind, Layout, SlotRef};

    use super::*;

    fn arena() -> Arena {
        Arena::create(Layout {
            workers: 1,
            legs_per_worker: 1,
            conferences_per_worker: 1,
            video_streams_per_worker: 0,
        })
        .unwrap()
    }

    fn command(token: u64) -> Command {
        Command::new(
            CommandKind::RemoveLeg,
            token,
            &SlotRef {
                slot: 0,
                generation: 0,
            },
        )
    }

    #[test]
    fn a_full_ring_says_so_and_loses_nothing() {
        let worker = arena().worker(0);
        let (mut tx, mut rx) = (worker.command_producer(), worker.command_consumer());
        for token in 0..u64::from(COMMAND_RING_SLOTS) {
            tx.push(&command(token)).unwrap();
        }
        assert_eq!(tx.push(&command(9_999)), Err(Full));
        for token in 0..u64::from(COMMAND_RING_SLOTS) {
            assert_eq!(rx.pop().unwrap().token, token);
        }
        assert!(rx.pop().is_none());
        tx.push(&command(7)).unwrap();
        assert_eq!(rx.pop().unwrap().token, 7);
    }

    #[test]
    fn a_message_that_was_only_looked_at_is_left_to_the_successor() {
        let worker = arena().worker(0);
        worker.command_producer().push(&command(5)).unwrap();
        assert_eq!(worker.command_consumer().peek().unwrap().token, 5); // killed here
        let mut successor = worker.command_consumer();
        assert_eq!(successor.pop().unwrap().token, 5);
        successor.advance(); // one too many does nothing
        assert!(successor.peek().is_none());
    }

    #[test]
    fn nonsense_positions_neither_panic_nor_yield_messages() {
        let worker = arena().worker(0);
        let (mut tx, mut rx) = (worker.command_producer(), worker.command_consumer());
        tx.parts
            .header()
            .head
            .store(u64::MAX / 2, Ordering::Relaxed);
        assert_eq!(tx.push(&command(1)), Err(Full));
        assert!(rx.pop().is_none());
        rx.skip_all();
        tx.push(&command(2)).unwrap();
        assert_eq!(rx.pop().unwrap().token, 2);
    }

    #[test]
    fn no_message_and_no_wake_up_is_lost_between_threads() {
        const COUNT: u64 = 200_000;
        let worker = arena().worker(0);
        let bell = std::sync::Arc::new(Doorbell::new().unwrap());
        let (mut tx, mut rx) = (worker.command_producer(), worker.command_consumer());
        let ringer = bell.clone();
        let producer = std::thread::spawn(move || {
            for token in 0..COUNT {
                while tx.push(&command(token)).is_err() {
                    std::thread::yield_now();
                }
                tx.wake(&ringer);
            }
        });
        let mut next = 0;
        while next < COUNT {
            while let Some(message) = rx.pop() {
                assert_eq!(message.token, next);
                next += 1;
            }
            if next < COUNT && rx.prepare_sleep() {
                let mut poll = [rustix::event::PollFd::new(
                    &*bell,
                    rustix::event::PollFlags::IN,
                )];
                let limit = rustix::event::Timespec {
                    tv_sec: 5,
                    tv_nsec: 0,
                };
                assert_eq!(
                    rustix::event::poll(&mut poll, Some(&limit)).unwrap(),
                    1,
                    "lost wake-up"
                );
                bell.clear();
                rx.stay_awake();
            }
        }
        producer.join().unwrap();
    }
}
