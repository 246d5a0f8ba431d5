//! Packet slots and their leases.
//!
//! A [`Pool`] is one mapping cut into slots of [`SLOT_LEN`] bytes. Whoever may
//! touch a slot holds its [`Lease`]: a token of eight bytes without a lifetime,
//! so that a jitter buffer can keep it for as long as it likes, and neither
//! `Clone` nor `Copy`, so that nobody else holds it too. The bytes are reached
//! only through the pool *and* the lease:
//!
//! ```text
//! free ──lease()──> leased ──lend()──> lent to the kernel
//!   ^                 │  ^                   │
//!   └────release()────┘  └─────redeem()──────┘
//! ```
//!
//! The rule that makes this sound: a slot is in one state at a time, and in
//! state "leased" exactly one `Lease` names it. The state is one byte a slot,
//! kept in release builds too: it costs about a nanosecond, and a wrong
//! completion from the kernel becomes a count instead of an aliased buffer.
//!
//! A lease that is dropped rather than released cannot find its pool: the slot
//! is gone until the pool is. That is counted ([`leases_lost`]), not a panic,
//! because tearing a worker down with packets in its jitter buffers is legal.
//! While a worker runs the count must not move; its tests hold it to that.
//!
//! The pool refuses to grow, to be shared between threads, and to know what is
//! in a slot.

mod lease;
mod map;
mod pool;

pub use lease::{Lease, leases_lost};
pub use pool::{Pool, PoolError};

/// Bytes of a slot: room for a datagram of an Ethernet frame, what the kernel
/// writes before it, and a tag behind it. A multiple of the cache line.
pub const SLOT_LEN: usize = 2048;

/// Most slots of a pool: the kernel numbers a ring's buffers in 15 bits.
pub const MAX_SLOTS: u32 = 32_768;

const _: () = assert!(SLOT_LEN.is_multiple_of(64) && SLOT_LEN <= u16::MAX as usize);
