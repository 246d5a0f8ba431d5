//! What the end-to-end tests are made of: the server as a user starts it,
//! clients that others wrote, and ears.
//!
//! - [`aiortc`]: a WebRTC stack of others, in Python.
//! - [`proxy`]: a network that is bad in a way that can be repeated.
//! - [`server`]: `plenum serve` in a folder and on ports of its own.
//! - [`baresip`]: a real softphone that plays a tone and records what it hears.
//! - [`chromium`]: a real browser, told what to do.
//! - [`eye`]: a camera and a screen for such a phone.
//! - [`phone`]: a phone of our own, for what a real one does not show (SSRCs,
//!   sequence numbers, packets that nobody should send).
//! - [`turn`]: a TURN client of our own.
//! - [`tone`]: which tones a recording holds, and where it has gaps.
//!
//! Everything stays on 127.0.0.1 and ends with the test. A missing client is a
//! failure that says what to install, never a test that passes quietly.

pub mod aiortc;
pub mod baresip;
pub mod chromium;
pub mod eye;
pub mod phone;
pub mod proxy;
pub mod server;
pub mod tone;
pub mod turn;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A fresh folder for one test, under the build folder.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn fresh_folder(name: &str) -> PathBuf {
    let base = std::env::var_os("CARGO_TARGET_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join("e2e").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    folder
}

/// Waits until `condition` holds, looking often.
///
/// # Panics
/// When it does not within `limit`, saying `what`.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What stands between two marks, the first of each.
///
/// # Panics
/// If they are not there.
#[must_use]
pub fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let rest = text.split_once(begin).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split_once(end))
        .unwrap_or_else(|| panic!("no {begin} in {text}"))
        .0
}
