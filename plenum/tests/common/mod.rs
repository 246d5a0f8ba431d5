//! The program under test, started as a user starts it.
#![allow(dead_code)] // each suite uses its part

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const READY_WITHIN: Duration = Duration::from_secs(20);

/// A folder of the test's own, gone with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("plenum-serve-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program with ports of the kernel's choice and few legs.
pub(crate) fn plenum(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plenum"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PLENUM_") {
            command.env_remove(name);
        }
    }
    command
        .env("PLENUM_DATA_DIR", data)
        .env("PLENUM_LISTEN", "127.0.0.1")
        .env("PLENUM_LEGS_MAX", "10")
        // Below the ports that the kernel chooses from, or its choice may lie within.
        .env("PLENUM_MEDIA_PORTS", "30000-30999")
        .env("PLENUM_SIP_UDP_PORT", "0")
        .env("PLENUM_SIP_TCP_PORT", "0")
        .env("PLENUM_SIP_TLS_PORT", "0")
        .env("PLENUM_HTTPS_PORT", "0")
        .env("PLENUM_MEDIA_WEBRTC_PORT", "0");
    command
}

pub(crate) struct Server {
    child: Child,
    pub(crate) lines: Receiver<String>,
    pub(crate) ready: Value,
    pub(crate) log: PathBuf,
}

impl Server {
    pub(crate) fn start(command: &mut Command, folder: &Folder) -> Self {
        let log = folder.0.join("log");
        let mut child = command
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let Ok(line) = lines.recv_timeout(READY_WITHIN) else {
            let _ = child.kill();
            panic!("not ready: {}", fs::read_to_string(&log).unwrap());
        };
        Self {
            child,
            lines,
            ready: serde_json::from_str(&line).expect("one line of JSON"),
            log,
        }
    }

    pub(crate) fn address(&self, transport: &str) -> SocketAddr {
        let text = self.ready["sip"][transport].as_str();
        text.unwrap().parse().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Its child whose first argument is `role`.
    pub(crate) fn process(&self, role: &str) -> Option<u32> {
        children(self.child.id()).into_iter().find(|pid| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut arguments = arguments.split(|byte| *byte == 0);
            arguments.next() == Some(b"plenum") && arguments.next() == Some(role.as_bytes())
        })
    }

    pub(crate) fn kill_and_wait_for_another(&self, role: &str) -> Duration {
        let old = self.process(role).expect("it runs");
        let ready = |log: &str| log.matches("ready role=\"control\"").count();
        let readies = ready(&self.log());
        signal(old, Signal::KILL);
        let begun = Instant::now();
        wait_until("another process", || {
            self.process(role).is_some_and(|new| new != old)
                && (role != "control" || ready(&self.log()) > readies)
        });
        begun.elapsed()
    }

    pub(crate) fn stop(&mut self, with: Signal) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        signal(self.child.id(), with);
        let status = self.child.wait().unwrap();
        (status, begun.elapsed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

pub(crate) fn is_alive(pid: u32) -> bool {
    // A zombie has no command line.
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
