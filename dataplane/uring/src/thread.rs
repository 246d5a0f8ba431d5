//! A worker's thread and its clocks.

use std::io;
use std::time::Duration;

use plenum_abi::Nanos;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    // Neither clock is ever negative.
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// The time now, on the clock that all deadlines are on.
#[must_use]
pub fn now() -> Nanos {
    Nanos::ZERO + read(ClockId::Monotonic)
}

/// CPU time of the calling thread, user and system. A system call: for
/// statistics, not for each packet.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// Ties the calling thread to one core.
///
/// # Errors
/// `InvalidInput` when there is no such core or the process may not use it.
pub fn pin_current_thread(core: usize) -> io::Result<()> {
    if core >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set)?;
    Ok(())
}

/// Gives the calling thread real-time priority (`SCHED_FIFO`, 1 to 99), which
/// the threads that it starts do not inherit. The kernel's throttle (95 % of a
/// second by default) still leaves the core some time for others.
///
/// # Errors
/// `PermissionDenied` without `CAP_SYS_NICE` or an `RLIMIT_RTPRIO` that allows it.
pub fn run_in_real_time(priority: u8) -> io::Result<()> {
    let parameters = libc::sched_param {
        sched_priority: i32::from(priority),
    };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: `parameters` is a whole `sched_param` that outlives the call, which
    // only reads it; thread 0 is the calling one.
    let result = unsafe { libc::sched_setscheduler(0, policy, &parameters) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Asks for timers that fire when they are due: by default the kernel may be
/// 50 us late to save power. Threads of real-time priority have no slack anyway.
///
/// # Errors
/// What the kernel says; it never refuses a thread its own slack.
pub fn no_timer_slack() -> io::Result<()> {
    // SAFETY: PR_SET_TIMERSLACK takes a number and touches no memory of ours.
    let result = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_usize) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_forward_and_only_work_costs_cpu_time() {
        let (time, cpu) = (now(), thread_cpu_time());
        std::thread::sleep(Duration::from_millis(20));
        assert!(now().since(time) >= Duration::from_millis(20));
        assert!(thread_cpu_time() - cpu < Duration::from_millis(10));
    }

    #[test]
    fn pins_to_a_core_that_exists() {
        std::thread::spawn(|| {
            pin_current_thread(0).unwrap();
            assert_eq!(rustix::thread::sched_getcpu(), 0);
            assert!(pin_current_thread(CpuSet::MAX_CPU - 1).is_err());
            assert!(pin_current_thread(usize::MAX).is_err());
        })
        .join()
        .unwrap();
    }
}
