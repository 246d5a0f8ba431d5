//! io_uring, registered buffers and sockets of one worker.
//!
//! A [`Driver`] is a worker thread's only wait: for datagrams, for the doorbell
//! of its command ring, for a deadline. It receives with one multishot request
//! per armed socket into slots that the kernel picks from a buffer ring, and
//! sends in batches.
//!
//! ```text
//!        wait(deadline, gather)                    send(key, destination, lease)
//!                 │                                          │
//!   next_event() ─┴─> Datagram { lease } ──> ... ──> release(lease)
//!                     Doorbell                 │
//!    buffer ring <── received slots ───────────┴──────> send pool <── send_buffer()
//! ```
//!
//! What is not obvious: at this packet size the sleep and wake-up around a
//! packet costs several times what receiving it does, whichever system call is
//! used. So the caller says for how long events may gather before they end a
//! wait; see [`Driver::wait`] and `DESIGN.md` for the figures.
//!
//! A socket without a tenant is not merely unread: a kernel filter drops what
//! it gets, so strangers cost neither memory nor wake-ups, and a new tenant
//! never hears what was sent to the one before.
//!
//! The driver knows nothing of RTP, keeps no timers beyond the one deadline,
//! and never waits for anything but the ring.

mod address;
mod buffers;
pub mod datagrams;
mod driver;
mod error;
mod socket;
mod stats;
mod thread;

pub use address::Destination;
pub use driver::{Config, Driver, Event, NotSent, SEND_HEAD_ROOM};
pub use error::{NotSentReason, RegisterError, SetupError, WaitError};
pub use plenum_pool::Lease;
pub use socket::{SocketOptions, accept_incoming, drain, drop_incoming, media_socket, set_dscp};
pub use stats::DriverStats;
pub use thread::{no_timer_slack, now, pin_current_thread, run_in_real_time, thread_cpu_time};
