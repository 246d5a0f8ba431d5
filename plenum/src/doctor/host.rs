//! The machine: kernel, limits, cores, clock.

use plenum_hw_profile::Profile;
use rustix::process::Resource;

use super::Finding;
use crate::config::Config;
use crate::plan::{Plan, available_cores};
use crate::{clock, supervise};

/// Oldest kernel with everything that the media loop needs.
const KERNEL: (u32, u32) = (6, 1);
/// Nobody runs this before it was written.
const THIS_CENTURY_UNIX_S: i64 = 1_767_225_600;

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = vec![kernel(), io_uring()];
    match Plan::make(&config.settings) {
        Ok(plan) => {
            findings.push(profile(&plan, config));
            findings.push(open_files(&plan));
            findings.push(locked_memory(&plan));
        }
        Err(error) => findings.push(Finding::fail(
            "hardware profile",
            error.to_string(),
            "set profile = \"this-host\"",
        )),
    }
    findings.push(socket_buffers());
    findings.push(clocks());
    findings
}

fn kernel() -> Finding {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    let mut part = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    if (part(), part()) >= KERNEL {
        Finding::ok("kernel", release)
    } else {
        Finding::fail(
            "kernel",
            format!("Linux {release}"),
            format!("Linux {}.{} or newer is needed", KERNEL.0, KERNEL.1),
        )
    }
}

fn io_uring() -> Finding {
    let config = plenum_uring::Config {
        sockets: 2,
        ..plenum_uring::Config::default()
    };
    match plenum_uring::Driver::new(config) {
        Ok(_) => Finding::ok("io_uring", "all features of the media loop"),
        Err(error) => Finding::fail("io_uring", "cannot be used", error.to_string()),
    }
}

fn profile(plan: &Plan, config: &Config) -> Finding {
    let here = available_cores().len();
    let found = format!(
        "{}: {} media workers, {} call legs; {here} cores here",
        plan.profile,
        plan.cores.len(),
        plan.legs_max,
    );
    let most =
        Profile::open(&config.settings.general.profile).map_or(0, |profile| profile.legs_max());
    if plan.legs_max > most {
        let remedy = format!("the profile gives {most}: expect drop-outs, or set legs_max = 0");
        return Finding::warn("hardware profile", found, remedy);
    }
    Finding::ok("hardware profile", found)
}

fn open_files(plan: &Plan) -> Finding {
    let workers = u32::try_from(plan.cores.len()).unwrap_or(1);
    let needed = supervise::descriptors_needed(plan.legs_max, workers);
    let limit = supervise::raise_descriptor_limit();
    let found = format!("limit {limit}, {needed} needed for {} legs", plan.legs_max);
    if limit >= needed {
        Finding::ok("open files", found)
    } else {
        let remedy = format!(
            "the server takes fewer legs; raise the hard limit (LimitNOFILE={needed} in a systemd \
             unit, ulimit -Hn, --ulimit nofile in a container) or lower legs_max"
        );
        Finding::warn("open files", found, remedy)
    }
}

fn locked_memory(plan: &Plan) -> Finding {
    let workers = u32::try_from(plan.cores.len()).unwrap_or(1);
    let needed = supervise::layout(plan.legs_max, workers).len() as u64;
    let limit = rustix::process::getrlimit(Resource::Memlock).current;
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let found = match limit {
        Some(limit) => format!("limit {} MiB, {} MiB needed", limit >> 20, mib(needed)),
        None => format!("no limit, {} MiB needed", mib(needed)),
    };
    if limit.is_none_or(|limit| limit >= needed) {
        Finding::ok("locked memory", found)
    } else {
        let remedy = format!(
            "keys may be swapped to disk; raise it (LimitMEMLOCK={}M, ulimit -l) or switch swap off",
            mib(needed)
        );
        Finding::warn("locked memory", found, remedy)
    }
}

fn socket_buffers() -> Finding {
    let wanted = plenum_uring::SocketOptions {
        receive_buffer: supervise::PICTURE_BUFFER,
        ..plenum_uring::SocketOptions::default()
    };
    let read = |name: &str| -> usize {
        let path = format!("/proc/sys/net/core/{name}");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.trim().parse().unwrap_or(usize::MAX)
    };
    let (receive, send) = (read("rmem_max"), read("wmem_max"));
    if receive >= wanted.receive_buffer && send >= wanted.send_buffer {
        return Finding::ok(
            "socket buffers",
            format!("up to {receive} and {send} bytes"),
        );
    }
    if receive >= wanted.receive_buffer {
        // Sound goes out in small bursts: less is enough.
        return Finding::ok(
            "socket buffers",
            format!("send buffers are clipped at {send} bytes"),
        );
    }
    Finding::warn(
        "socket buffers",
        format!("receive buffers are clipped at {receive} bytes: pictures may be lost in bursts"),
        format!("sysctl -w net.core.rmem_max={}", wanted.receive_buffer),
    )
}

fn clocks() -> Finding {
    let unix_s = clock::unix_ms() / 1_000;
    if unix_s < THIS_CENTURY_UNIX_S {
        return Finding::fail(
            "clock",
            "it is far in the past: certificates would not be valid",
            "set the clock, and keep it right (timedatectl set-ntp true)",
        );
    }
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = std::fs::read_to_string(source).unwrap_or_default();
    match source.trim() {
        slow @ ("hpet" | "acpi_pm" | "jiffies") => Finding::warn(
            "clock",
            format!("the clock source is {slow}, which is slow to read"),
            "use tsc or kvm-clock (kernel parameter clocksource=)",
        ),
        "" => Finding::ok("clock", "right"),
        source => Finding::ok("clock", format!("right, by {source}")),
    }
}
