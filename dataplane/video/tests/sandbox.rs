//! What a module that was taken over cannot do. Each attempt is a process of its
//! own: the test binary, started again, closes the sandbox on itself and tries.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

/// Says to the child which attempt is meant.
const ATTEMPT: &str = "PLENUM_TEST_ATTEMPT";
/// The attempt was refused, as it should be.
const REFUSED: i32 = 40;
/// It was not.
const DONE: i32 = 41;

fn attempt(what: &str) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_child_tries", "--nocapture"])
        .env(ATTEMPT, what)
        .status()
        .unwrap()
}

fn refused(what: &str) {
    assert_eq!(attempt(what).code(), Some(REFUSED), "{what}");
}

fn killed(what: &str) {
    assert_eq!(attempt(what).signal(), Some(libc::SIGSYS), "{what}");
}

/// Does nothing unless it is the child.
#[test]
fn the_child_tries() {
    let Ok(what) = std::env::var(ATTEMPT) else {
        return;
    };
    // Threads that were there before are under it as well.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let elsewhere = what.clone();
    let before = std::thread::spawn(move || {
        wait.recv().unwrap();
        if elsewhere == "open on an older thread" {
            end(std::fs::File::open("/etc/hostname").map(drop));
        }
    });
    let parent = rustix::process::getppid().unwrap();
    plenum_video::sandbox::close().unwrap();
    go.send(()).unwrap();
    before.join().unwrap();
    let done = match what.as_str() {
        "open" => std::fs::File::open("/etc/hostname").map(drop),
        "create" => std::fs::File::create("/tmp/plenum-sandbox").map(drop),
        "duplicate" => io::stdout().as_fd().try_clone_to_owned().map(drop),
        "socket" => std::net::UdpSocket::bind("127.0.0.1:0").map(drop),
        // In this process: starting one would fail at the pipe that tells how it went.
        "program" => Err(Command::new("/bin/true").exec()),
        "kill" => rustix::process::kill_process(parent, rustix::process::Signal::TERM)
            .map_err(io::Error::from),
        "work" => work(),
        other => panic!("no attempt is called {other}"),
    };
    end(done);
}

fn end(outcome: io::Result<()>) {
    std::process::exit(match outcome {
        Ok(()) => DONE,
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => REFUSED,
        Err(error) => panic!("neither done nor refused: {error}"),
    });
}

/// What codecs need goes on: memory, threads, the clock, waiting.
fn work() -> io::Result<()> {
    let sums: Vec<u64> = (0..4_u64)
        .map(|n| {
            std::thread::spawn(move || {
                let buffer = vec![n; 8 << 20];
                std::thread::sleep(std::time::Duration::from_millis(5));
                buffer.iter().sum()
            })
        })
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(sums[1], 8 << 20);
    assert!(std::time::Instant::now().elapsed() < std::time::Duration::from_secs(1));
    Ok(())
}

#[test]
fn files_descriptors_and_other_processes_are_refused() {
    for what in [
        "open",
        "open on an older thread",
        "create",
        "duplicate",
        "kill",
    ] {
        refused(what);
    }
}

#[test]
fn network_and_programs_are_the_end_of_it() {
    killed("socket");
    killed("program");
}

#[test]
fn what_a_codec_needs_goes_on() {
    assert_eq!(attempt("work").code(), Some(DONE));
}
