//! How busy media keeps the machine: the CPU time of the processes beside this one
//! (dataplane, video modules, TURN), which one supervisor started.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use procfs::process::{Process, all_processes};

/// Over which the load is taken.
const SPAN: Duration = Duration::from_secs(5);

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct MediaLoad {
    percent: Arc<AtomicU8>,
}

impl MediaLoad {
    /// One that is kept up to date for as long as the server runs.
    pub(super) fn watched() -> Self {
        let load = Self::default();
        let kept = load.clone();
        tokio::spawn(async move {
            let mut before = (Instant::now(), media_ticks());
            loop {
                tokio::time::sleep(SPAN).await;
                let now = (Instant::now(), media_ticks());
                let ticks = now.1.saturating_sub(before.1);
                kept.percent
                    .store(percent(ticks, now.0 - before.0), Ordering::Relaxed);
                before = now;
            }
        });
        load
    }

    /// Share of the machine's CPU time, 0 to 100; 0 in the first seconds.
    pub(super) fn percent(&self) -> u8 {
        self.percent.load(Ordering::Relaxed)
    }
}

/// Share of all cores' time that so many clock ticks are of a span.
fn percent(ticks: u64, span: Duration) -> u8 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let whole = procfs::ticks_per_second() as f64 * span.as_secs_f64() * cores as f64;
    (ticks as f64 * 100.0 / whole.max(1.0)).clamp(0.0, 100.0) as u8
}

/// CPU time so far of the processes beside this one, in clock ticks. One that began
/// anew counts from there.
fn media_ticks() -> u64 {
    let (Ok(own), Ok(processes)) = (Process::myself().and_then(|it| it.stat()), all_processes())
    else {
        return 0;
    };
    processes
        .filter_map(|process| process.ok()?.stat().ok())
        .filter(|stat| stat.ppid == own.ppid && stat.pid != own.pid)
        .map(|stat| stat.utime + stat.stime)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_cores_for_all_the_time_are_a_hundred_percent() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let second = procfs::ticks_per_second() * cores;
        assert_eq!(percent(second, Duration::from_secs(1)), 100);
        assert_eq!(percent(second, Duration::from_secs(2)), 50);
        assert_eq!(percent(0, Duration::from_secs(1)), 0);
        assert_eq!(percent(9 * second, Duration::from_secs(1)), 100);
        assert_eq!(percent(0, Duration::ZERO), 0);
    }
}
