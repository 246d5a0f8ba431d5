//! sipp joins and leaves: 40 calls a second, 400 at a time, for a minute.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use plenum_e2e::server::Server;
use plenum_e2e::wait_until;

/// Calls a second.
const RATE: u32 = 40;
/// How long each stays, seconds: 400 at a time.
const STAY_S: u32 = 10;
/// How long new ones come, seconds; with the last ones' stay it makes a minute.
const COMING_S: u32 = 50;
/// Memory that a process may keep beyond what it had after the first calls.
const GROWTH_KIB_MAX: u64 = 16 * 1_024;

/// Runs sipp; how many calls succeeded and failed.
fn sipp(server: &Server, name: &str, calls: u32, stay_s: u32) -> (u32, u32) {
    let folder = server.folder().join(name);
    fs::create_dir_all(&folder).expect("a folder");
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/join.xml");
    let status = Command::new("sipp")
        .current_dir(&folder)
        .arg(server.sip("udp").to_string())
        .arg("-sf")
        .arg(scenario)
        .args([
            "-s",
            "demo",
            "-i",
            "127.0.0.1",
            "-mi",
            "127.0.0.1",
            "-rtp_echo",
        ])
        .args(["-mp", "50000"])
        .args([
            "-r",
            &RATE.to_string(),
            "-l",
            "450",
            "-m",
            &calls.to_string(),
        ])
        .args(["-d", &(stay_s * 1_000).to_string()])
        .args([
            "-recv_timeout",
            "10000",
            "-timeout",
            "120",
            "-timeout_error",
        ])
        .args([
            "-trace_err",
            "-error_file",
            "errors",
            "-trace_stat",
            "-stf",
            "statistics.csv",
        ])
        .args(["-fd", "5", "-nostdin"])
        .stdin(Stdio::null())
        .stdout(fs::File::create(folder.join("screen")).expect("a file"))
        .stderr(Stdio::null())
        .status()
        .expect("sipp runs: apt-get install sip-tester");
    let statistics = fs::read_to_string(folder.join("statistics.csv")).expect("sipp's statistics");
    let mut lines = statistics.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
    let last: Vec<&str> = lines.next_back().unwrap_or_default().split(';').collect();
    let value = |wanted: &str| {
        let column = names
            .iter()
            .position(|name| *name == wanted)
            .expect("a column");
        last[column].parse::<u32>().expect("a number")
    };
    let (good, failed) = (value("SuccessfulCall(C)"), value("FailedCall(C)"));
    assert!(
        status.success() && failed == 0,
        "{good} calls succeeded, {failed} failed; the server's log ends:\n{}",
        server
            .log()
            .lines()
            .rev()
            .take(20)
            .collect::<Vec<_>>()
            .join("\n")
    );
    (good, failed)
}

#[test]
fn four_hundred_legs_come_and_go_without_a_failure_or_a_leak() {
    let server = Server::start("sipp-load", &[("PLENUM_LEGS_MAX", "500")]);
    // The first calls grow pools and caches to their working size.
    sipp(&server, "warm-up", RATE * 4, 4);
    wait_until("no leg left", Duration::from_secs(10), || {
        server.legs() == 0
    });
    let roles = ["control", "dataplane"];
    let before = roles.map(|role| server.anonymous_kib(role));

    let watch = std::thread::scope(|scope| {
        let run = scope.spawn(|| sipp(&server, "load", RATE * COMING_S, STAY_S));
        let mut most = 0;
        while !run.is_finished() {
            most = most.max(server.legs());
            std::thread::sleep(Duration::from_millis(500));
        }
        (run.join().expect("sipp's thread"), most)
    });
    let ((good, _), most) = watch;
    assert_eq!(good, RATE * COMING_S);
    assert!((380..=450).contains(&most), "at most {most} legs at a time");
    wait_until("no leg left", Duration::from_secs(10), || {
        server.legs() == 0
    });

    // Slots rest and the allocator trims; then memory is back at its base.
    std::thread::sleep(Duration::from_secs(3));
    let after = roles.map(|role| server.anonymous_kib(role));
    for ((role, before), after) in roles.iter().zip(before).zip(after) {
        eprintln!("{role}: {before} KiB before, {after} KiB after {good} calls");
        assert!(
            after <= before + GROWTH_KIB_MAX,
            "{role} kept {} KiB",
            after - before
        );
    }
}
