//! REST API `/api/v1`: forms in, XML out, HTTP Basic.
//!
//! A request passes through here in one direction:
//!
//! ```text
//!   rate and concurrency bound -> who is it -> which node -> one call of the Bridge -> XML
//! ```
//!
//! The wire's habits are kept exactly, for clients match on literal text: 200
//! with `Location` for a creation, a space before `/>` in failure details, path
//! segments and parameter names in any case, `offset`/`limit` windows with caps.
//! Each habit is a test in `tests/` named after it.
//!
//! The crate knows the [`Bridge`] and the [`Authenticator`] as traits only. It
//! refuses to decide anything about meetings, and holds no state but who
//! failed to log in lately.

mod access;
mod answer;
mod bridge;
pub mod https;
mod nodes;
mod params;
mod service;
mod show;
mod xml;

pub use bridge::{Authenticator, Bridge, BridgeError};
pub use service::{Limits, router, router_with};
