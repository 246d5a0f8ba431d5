//! A server that nobody calls costs next to nothing.

use std::time::Duration;

use plenum_e2e::server::{Server, cpu_time};

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
