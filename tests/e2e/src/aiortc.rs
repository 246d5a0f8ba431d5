//! aiortc: a WebRTC stack in Python that has nothing in common with ours, joining
//! as a browser would (`tests/e2e/aiortc/join.py`).

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::tone::Recording;

/// Where the script and its pinned packages are named.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/aiortc");

/// The interpreter with aiortc in it, made at first use in the build folder.
fn interpreter() -> PathBuf {
    let base = std::env::var_os("CARGO_TARGET_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join("aiortc");
    let python = folder.join("bin/python");
    let has_it = || {
        let mut import = Command::new(&python);
        import.args(["-c", "import aiortc, websockets"]);
        import.stderr(Stdio::null());
        import.status().is_ok_and(|status| status.success())
    };
    if has_it() {
        return python;
    }
    let run = |program: &Path, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "{} {}: apt-get install python3-venv, and pip must reach its index",
            program.display(),
            arguments.join(" ")
        );
    };
    let place = folder.to_str().expect("a path in UTF-8");
    run(Path::new("python3"), &["-m", "venv", place]);
    let packages = format!("{FOLDER}/requirements.txt");
    run(&python, &["-m", "pip", "install", "-q", "-r", &packages]);
    python
}

/// A participant; ended when dropped.
#[derive(Debug)]
pub struct Aiortc {
    child: Child,
    recording: PathBuf,
    log: PathBuf,
}

impl Aiortc {
    /// Joins a meeting by its call ID, plays a tone of `hz` for `seconds`, and leaves.
    ///
    /// # Panics
    /// When Python or its packages cannot be had.
    #[must_use]
    pub fn join(
        folder: &Path,
        name: &str,
        https: &str,
        call_id: &str,
        hz: f64,
        seconds: u64,
    ) -> Self {
        let recording = folder.join(format!("{name}.wav"));
        let log = folder.join(format!("{name}.log"));
        let errors = std::fs::File::create(&log).expect("a log file");
        let child = Command::new(interpreter())
            .arg(format!("{FOLDER}/join.py"))
            .args([https, call_id, name, &hz.to_string(), &seconds.to_string()])
            .arg(&recording)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("Python runs");
        Self {
            child,
            recording,
            log,
        }
    }

    /// Waits until it has left by itself; tells what it said and what it heard.
    ///
    /// # Panics
    /// When it failed, or does not end within `limit`.
    #[must_use]
    pub fn leave(mut self, limit: Duration) -> (String, Recording) {
        crate::wait_until("aiortc to leave", limit, || {
            matches!(self.child.try_wait(), Ok(Some(_)))
        });
        let mut said = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            let _ = stdout.read_to_string(&mut said);
        }
        let status = self.child.wait().expect("it ended");
        let errors = std::fs::read_to_string(&self.log).unwrap_or_default();
        assert!(status.success(), "aiortc failed: {said}\n{errors}");
        (said, Recording::read_wav(&self.recording))
    }
}

impl Drop for Aiortc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
