//! A server that nobody calls costs next to nothing.

use std::time::Duration;

use plenum_e2e::server::Server;

/// CPU time of a process so far.
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    // The name may hold spaces; what follows its bracket does not.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks: u64 = [11, 12]
        .iter()
        .map(|&at| fields[at].parse::<u64>().expect("ticks"))
        .sum();
    let per_second = rustix::param::clock_ticks_per_second();
    Duration::from_millis(ticks * 1_000 / per_second)
}

#[test]
fn an_idle_server_uses_less_than_one_percent_of_a_core() {
    const SPAN: Duration = Duration::from_secs(5);
    let mut server = Server::start("idle", &[]);
    let processes = [
        ("supervisor", server.pid()),
        ("dataplane", server.process("dataplane")),
        ("control", server.process("control")),
    ];
    // What belongs to the start is over.
    std::thread::sleep(Duration::from_secs(2));
    let before = processes.map(|(_, pid)| cpu_time(pid));
    std::thread::sleep(SPAN);
    let used: Vec<Duration> = processes
        .iter()
        .zip(before)
        .map(|((_, pid), before)| cpu_time(*pid) - before)
        .collect();
    for ((name, _), used) in processes.iter().zip(&used) {
        eprintln!("{name}: {used:?} of {SPAN:?}");
    }
    let total: Duration = used.iter().sum();
    assert!(total < SPAN / 100, "{total:?} of {SPAN:?}");
    assert!(server.stop(), "it ends cleanly when asked to");
}
