//! The log: structured lines on standard error, repeats counted instead of written.
//!
//! A line of code that logs more than so many times within a window is quiet
//! for the rest of it, and one line then says how many were left out: a flood
//! of bad packets fills a counter, not a disk.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogFormat, Settings};

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Count {
    metadata: &'static Metadata<'static>,
    seen: u64,
}

/// One window's counts. Bounded by the number of lines of code that log.
#[derive(Debug)]
struct Window {
    since: Instant,
    counts: HashMap<Identifier, Count>,
}

/// Lets each line of code log so many times in a window.
#[derive(Clone, Debug)]
struct Repeats {
    max: u64,
    window: Arc<Mutex<Window>>,
}

impl Repeats {
    fn new(max: u64, now: Instant) -> Self {
        let window = Window {
            since: now,
            counts: HashMap::new(),
        };
        Self {
            max,
            window: Arc::new(Mutex::new(window)),
        }
    }

    fn allows(&self, metadata: &'static Metadata<'static>) -> bool {
        if self.max == 0 {
            return true;
        }
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match window.counts.entry(metadata.callsite()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Count { metadata, seen: 0 }),
        };
        count.seen += 1;
        count.seen <= self.max
    }

    /// Ends the window if it is over; what it left out, and how often.
    fn roll(&self, now: Instant) -> Vec<(&'static Metadata<'static>, u64)> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(window.since) < WINDOW {
            return Vec::new();
        }
        window.since = now;
        let counts = std::mem::take(&mut window.counts);
        drop(window);
        counts
            .into_values()
            .filter(|count| count.seen > self.max)
            .map(|count| (count.metadata, count.seen - self.max))
            .collect()
    }
}

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.allows(event.metadata())
    }
}

/// What is logged. The SIP library writes whole messages from level info on, and
/// with them the media keys of SDP; only who names it in the setting gets that.
fn filter(level: &str) -> EnvFilter {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    if level.contains("rsipstack") {
        return filter;
    }
    match "rsipstack=warn".parse() {
        Ok(quiet) => filter.add_directive(quiet),
        Err(_) => filter,
    }
}

/// Starts logging in this process. `role` is its first argument.
pub(crate) fn start(settings: &Settings, role: &'static str) {
    let filter = filter(&settings.log.level.0);
    let repeats = Repeats::new(settings.log.repeats_max.get(), Instant::now());
    let registry = tracing_subscriber::registry()
        .with(filter)
        .with(repeats.clone());
    let plain = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let started = match settings.log.format {
        LogFormat::Text => registry.with(plain).try_init(),
        LogFormat::Json => registry.with(plain.json().flatten_event(true)).try_init(),
    };
    if started.is_err() || repeats.max == 0 {
        return;
    }
    let summing = std::thread::Builder::new()
        .name("log-repeats".to_owned())
        .spawn(move || {
            loop {
                std::thread::sleep(WINDOW);
                for (metadata, left_out) in repeats.roll(Instant::now()) {
                    tracing::warn!(
                        role,
                        left_out,
                        level = %metadata.level(),
                        of = metadata.target(),
                        line = metadata.line(),
                        "repeated log lines were left out"
                    );
                }
            }
        });
    if let Err(error) = summing {
        tracing::warn!(%error, "repeated log lines will not be summed up");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Seen(Arc<Mutex<Vec<u32>>>);

    impl<S: Subscriber> Layer<S> for Seen {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let line = event.metadata().line().unwrap_or(0);
            self.0.lock().unwrap().push(line);
        }
    }

    #[test]
    fn the_sip_library_does_not_write_keys_into_the_log_unless_it_is_named() {
        let lines = |level: &str| {
            let seen = Seen(Arc::default());
            let subscriber = tracing_subscriber::registry()
                .with(filter(level))
                .with(seen.clone());
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(target: "rsipstack::transport::udp", "a=crypto:1 ...");
                tracing::warn!(target: "rsipstack::transport::udp", "a connection broke");
                tracing::info!(target: "plenum_sip", "a call");
            });
            seen.0.lock().unwrap().len()
        };
        assert_eq!(lines("info"), 2);
        assert_eq!(lines("trace"), 2);
        assert_eq!(lines("info,plenum_sip=debug"), 2);
        assert_eq!(lines("info,rsipstack=info"), 3);
    }

    #[test]
    fn a_line_is_quiet_after_its_share_and_the_rest_is_counted() {
        let start = Instant::now();
        let repeats = Repeats::new(3, start);
        let seen = Seen(Arc::default());
        let subscriber = tracing_subscriber::registry()
            .with(repeats.clone())
            .with(seen.clone());
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..10 {
                tracing::info!("often");
            }
            tracing::info!("once");
        });
        assert_eq!(seen.0.lock().unwrap().len(), 4);
        assert!(repeats.roll(start + WINDOW / 2).is_empty());
        let left_out = repeats.roll(start + WINDOW);
        assert_eq!(left_out.len(), 1);
        assert_eq!(left_out[0].1, 7);
        // A new window, a new share.
        assert!(repeats.roll(start + WINDOW * 2).is_empty());
        assert!(repeats.allows(left_out[0].0));
    }
}
