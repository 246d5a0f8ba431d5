//! How fast a transport may send, and when.
//!
//! ```text
//!              +-- delay: groups -> trend -> over-use --+
//! feedback ->  +-- acknowledged rate ------------------ +-> rate --+
//! (numbers,    +-- probes ------------------------------+          +-- least -> target
//!  arrivals)   +-- loss that lowering helps against ---------------+
//!                                                    cap, limits --+
//! ```
//!
//! [`Estimator`] gives each packet of a transport its transport-wide number and learns
//! from the feedback what the path carries. [`Pacer`] spreads what is sent at that rate.
//! Both are sans-IO: the instant is an argument, nothing is random, nothing allocates
//! after construction. Writing packets, padding and the header extension are the
//! caller's; the reasons stand in `DESIGN.md`.

mod acknowledged;
mod delay;
mod estimator;
mod floor;
mod history;
mod loss;
mod pacer;
mod probing;
mod rate;
mod trend;

pub use estimator::{Estimator, Limits};
pub use pacer::Pacer;
pub use probing::Probe;
