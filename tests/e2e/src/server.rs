//! `plenum serve`, as a user starts it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{fresh_folder, wait_until};

/// A running server; stopped when dropped.
pub struct Server {
    child: Child,
    folder: PathBuf,
    ready: Value,
}

/// Where the server's binary is: `PLENUM_BIN`, or beside the test's own build.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("PLENUM_BIN") {
        return PathBuf::from(path);
    }
    let me = std::env::current_exe().expect("a path of our own");
    me.ancestors()
        .nth(2)
        .expect("a build folder")
        .join("plenum")
}

impl Server {
    /// Starts a server with settings beyond its defaults, as `(variable, value)`.
    ///
    /// # Panics
    /// When it does not become ready within 20 s.
    #[must_use]
    pub fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_as("meeting", name, settings)
    }

    /// The same in a role: `meeting` or `turn`.
    ///
    /// # Panics
    /// When it does not become ready within 20 s.
    #[must_use]
    pub fn start_as(role: &str, name: &str, settings: &[(&str, &str)]) -> Self {
        let folder = fresh_folder(name);
        let log = fs::File::create(folder.join("server.log")).expect("a log file");
        let mut child = Command::new(binary())
            .args(["serve", "--role", role])
            .env("PLENUM_DATA_DIR", folder.join("data"))
            .env("PLENUM_LISTEN", "127.0.0.1")
            .env("PLENUM_SIP_UDP_PORT", "0")
            .env("PLENUM_SIP_TCP_PORT", "0")
            .env("PLENUM_SIP_TLS_PORT", "0")
            .env("PLENUM_HTTPS_PORT", "0")
            .env("PLENUM_MEDIA_WEBRTC_PORT", "0")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; build it first", binary().display()));
        let stdout = child.stdout.take().expect("a pipe");
        let (lines, line) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let Ok(line) = line.recv_timeout(Duration::from_secs(20)) else {
            let _ = child.kill();
            panic!(
                "not ready; the log says:\n{}",
                read(&folder.join("server.log"))
            );
        };
        let ready = serde_json::from_str(&line).expect("a line of JSON");
        Self {
            child,
            folder,
            ready,
        }
    }

    /// The ready line.
    #[must_use]
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// The test's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where SIP is spoken; `transport` is `udp`, `tcp` or `tls`.
    ///
    /// # Panics
    /// When the ready line lacks it.
    #[must_use]
    pub fn sip(&self, transport: &str) -> SocketAddr {
        self.ready["sip"][transport]
            .as_str()
            .expect("an address")
            .parse()
            .expect("an address")
    }

    /// Where TURN clients come; `transport` is `udp`, `tcp` or `tls`.
    ///
    /// # Panics
    /// When the ready line lacks it.
    #[must_use]
    pub fn turn(&self, transport: &str) -> SocketAddr {
        self.ready["turn"][transport]
            .as_str()
            .expect("an address")
            .parse()
            .expect("an address")
    }

    /// What to dial for the demo space over UDP.
    #[must_use]
    pub fn demo_uri(&self) -> String {
        format!("sip:demo@{}", self.sip("udp"))
    }

    /// What the server wrote to standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.folder.join("server.log"))
    }

    /// The supervisor's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process whose first argument is `role` (`dataplane`, `control`).
    ///
    /// # Panics
    /// When there is none within five seconds.
    #[must_use]
    pub fn process(&self, role: &str) -> u32 {
        let mut found = None;
        wait_until(
            &format!("a process for {role}"),
            Duration::from_secs(5),
            || {
                found = self.processes(role).first().copied();
                found.is_some()
            },
        );
        found.expect("it was found")
    }

    /// All processes whose first argument is `role`.
    #[must_use]
    pub fn processes(&self, role: &str) -> Vec<u32> {
        let is = |pid: &u32| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command.split(|&byte| byte == 0).nth(1) == Some(role.as_bytes())
        };
        children(self.pid()).into_iter().filter(is).collect()
    }

    /// `kill -9` of a role; returns the process id that died.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&self, role: &str) -> u32 {
        let pid = self.process(role);
        kill(pid);
        pid
    }

    /// `kill -9` of all processes of a role.
    ///
    /// # Panics
    /// When there is none, or it cannot be killed.
    pub fn kill_all(&self, role: &str) {
        let all = self.processes(role);
        assert!(!all.is_empty(), "no process for {role}");
        all.into_iter().for_each(kill);
    }

    /// Resident memory of a role in KiB, file mappings and the arena left out.
    #[must_use]
    pub fn anonymous_kib(&self, role: &str) -> u64 {
        memory_kib(self.process(role), "status", "RssAnon:")
    }

    /// One request to the REST interface; the answer's status and body.
    ///
    /// # Panics
    /// When curl cannot be run.
    #[must_use]
    pub fn rest(&self, method: &str, path: &str, form: Option<&str>) -> (u16, String) {
        let admin = &self.ready["admin"];
        let user = admin["user"].as_str().expect("a user");
        let password = admin["password"].as_str().expect("a password");
        let credentials = format!("{user}:{password}");
        let mut arguments = vec!["-X", method, "-u", &credentials];
        arguments.extend(form.into_iter().flat_map(|form| ["-d", form]));
        self.curl(&format!("api/v1/{path}"), &arguments)
    }

    /// One request of the web app, such as `lookup`: a POST where there is a
    /// body; the answer's status and JSON.
    ///
    /// # Panics
    /// When curl cannot be run.
    #[must_use]
    pub fn web(&self, path: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(ToString::to_string);
        let arguments: Vec<&str> = body.iter().flat_map(|body| ["-d", body]).collect();
        let (status, answer) = self.curl(&format!("api/{path}"), &arguments);
        (status, serde_json::from_str(&answer).unwrap_or_default())
    }

    fn curl(&self, path: &str, arguments: &[&str]) -> (u16, String) {
        let https = self.ready["https"].as_str().expect("an address");
        let mut curl = Command::new("curl");
        curl.args(["-sk", "--max-time", "10", "-w", "\n%{http_code}"])
            .args(arguments)
            .arg(format!("{}/{path}", https.trim_end_matches('/')));
        let output = curl.output().expect("curl runs: apt-get install curl");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, code) = text.rsplit_once('\n').unwrap_or(("", "0"));
        (code.parse().unwrap_or(0), body.to_owned())
    }

    /// What `plenum turn-status` says, in JSON.
    ///
    /// # Panics
    /// When it says nothing.
    #[must_use]
    pub fn turn_status(&self) -> Value {
        let data = self.folder.join("data");
        let mut command = Command::new(binary());
        command.args(["turn-status", "--json", "--data"]).arg(data);
        let output = command.output().expect("the binary runs");
        assert!(output.status.success(), "turn-status: {}", output.status);
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Ticks of conferences since the workers started, by how late they began: each
    /// bound in microseconds, none for the last, and how many kept to it and to no lower.
    #[must_use]
    pub fn tick_lateness(&self) -> Vec<(Option<u64>, u64)> {
        let (_, load) = self.rest("GET", "system/load", None);
        let buckets = load.split("<bucket ").skip(1);
        let number = |text: &str| text.split('"').next()?.parse().ok();
        let bucket = |bucket: &str| {
            let up_to = bucket.split_once("upToUs=\"").map(|(_, rest)| rest);
            let ticks = bucket.split_once("ticks=\"").map(|(_, rest)| rest);
            (up_to.and_then(number), ticks.and_then(number).unwrap_or(0))
        };
        buckets.map(bucket).collect()
    }

    /// How many call legs the REST interface lists.
    #[must_use]
    pub fn legs(&self) -> usize {
        let (_, body) = self.rest("GET", "callLegs", None);
        body.split("total=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .and_then(|total| total.parse().ok())
            .unwrap_or(usize::MAX)
    }

    /// Asks the server to stop as Ctrl-C does; `true` when it ended well in time.
    pub fn stop(&mut self) -> bool {
        let raw = Pid::from_raw(self.child.id().cast_signed()).expect("a process id");
        let _ = kill_process(raw, Signal::INT);
        for _ in 0..250 {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.stop() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn kill(pid: u32) {
    let raw = Pid::from_raw(pid.cast_signed()).expect("a process id");
    kill_process(raw, Signal::KILL).expect("it can be killed");
}

fn read(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

fn children(of: u32) -> Vec<u32> {
    read(Path::new(&format!("/proc/{of}/task/{of}/children")))
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// A figure of a process's memory, by the file in `/proc` and the field that has it, KiB.
#[must_use]
pub fn memory_kib(pid: u32, file: &str, field: &str) -> u64 {
    let text = read(Path::new(&format!("/proc/{pid}/{file}")));
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

/// CPU time of a process so far.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn cpu_time(pid: u32) -> Duration {
    let pid = pid.cast_signed();
    let stat = procfs::process::Process::new(pid).and_then(|process| process.stat());
    let stat = stat.expect("a process");
    Duration::from_millis((stat.utime + stat.stime) * 1_000 / procfs::ticks_per_second())
}
