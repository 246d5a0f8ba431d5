//! The memory that outlives every process, and the rings in it.
//!
//! One memfd, the *arena*, holds a worker's rings, its records and its
//! counters ([`plenum_abi`] says what is where). The supervisor makes it,
//! seals its size and keeps it; the control plane and the dataplane inherit
//! the descriptor and map it:
//!
//! ```text
//!   supervisor: Arena::create ----fd----> control plane: CommandProducer, EventConsumer
//!                                  \----> dataplane:     CommandConsumer, EventProducer, records
//! ```
//!
//! Everything in the mapping is reached through atomic words, so that a peer
//! that writes at the same moment, or nonsense, is a wrong value and never
//! undefined behaviour. Ring positions are in the mapping too: whoever is
//! killed, its successor goes on with the next message.
//!
//! A video module has a memory of its own ([`ModuleMemory`]), with rings of
//! records of any length, because it is not trusted with keys.
//!
//! This crate does not know what the messages mean, and never blocks.

mod arena;
mod doorbell;
mod mapping;
mod module;
mod records;
mod spsc;
mod turn;

pub use arena::{Arena, CreateError, OpenError, WorkerView};
pub use doorbell::Doorbell;
pub use module::{ModuleMemory, ModuleMemoryError};
pub use records::{RecordConsumer, RecordProducer};
pub use spsc::{
    CommandConsumer, CommandProducer, EventConsumer, EventProducer, Full, Message, RingConsumer,
    RingProducer,
};
pub use turn::{TurnMemory, TurnMemoryError};
