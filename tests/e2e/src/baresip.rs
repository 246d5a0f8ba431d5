//! Debian's baresip as a person at a phone: dials, plays a tone, records.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::tone::{Recording, write_tone};

/// A call of a baresip.
pub struct Baresip {
    child: Child,
    folder: PathBuf,
}

/// Longest call, seconds; the tone lasts so long.
const TONE_SECONDS: u32 = 120;

/// A port that is free with the next one, for SIP and SIP over TLS.
fn free_ports() -> u16 {
    for _ in 0..100 {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let port = socket.local_addr().expect("an address").port();
        let both = [port, port.wrapping_add(1)]
            .iter()
            .all(|&port| port > 1_024 && TcpListener::bind(("127.0.0.1", port)).is_ok());
        if both {
            return port;
        }
    }
    panic!("no two free ports in a row");
}

impl Baresip {
    /// Dials `uri` with one codec (`PCMU`, `G722`, `opus`), SRTP mandatory, and
    /// plays a tone of `hz`.
    ///
    /// # Panics
    /// When baresip cannot be started.
    #[must_use]
    pub fn dial(folder: &Path, name: &str, uri: &str, codec: &str, hz: f64) -> Self {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let tone = folder.join("says.wav");
        write_tone(&tone, hz, TONE_SECONDS);
        let port = free_ports();
        // A phone speaks the family of whom it calls.
        let (host, literal) = if uri.contains('[') {
            ("::1", "[::1]")
        } else {
            ("127.0.0.1", "127.0.0.1")
        };
        let modules = [
            "/usr/lib/baresip/modules",
            "/usr/lib/x86_64-linux-gnu/baresip/modules",
        ]
        .into_iter()
        .find(|path| Path::new(path).is_dir())
        .expect("baresip's modules: apt-get install baresip-core");
        let config = format!(
            "poll_method epoll\n\
             sip_listen {literal}:{port}\n\
             net_interface {host}\n\
             call_local_timeout 120\n\
             call_max_calls 1\n\
             audio_player aubridge,nil\n\
             audio_source aufile,{tone}\n\
             audio_alert aubridge,alert\n\
             ausrc_srate 48000\n\
             auplay_srate 48000\n\
             ausrc_channels 1\n\
             auplay_channels 1\n\
             audio_txmode thread\n\
             ausrc_format s16\n\
             auplay_format s16\n\
             auenc_format s16\n\
             audec_format s16\n\
             rtp_ports 40000-49999\n\
             rtcp_mux no\n\
             jitter_buffer_delay 2-10\n\
             opus_stereo no\n\
             opus_sprop_stereo no\n\
             module_path {modules}\n\
             module g711.so\n\
             module g722.so\n\
             module opus.so\n\
             module aufile.so\n\
             module aubridge.so\n\
             module sndfile.so\n\
             module srtp.so\n\
             module_tmp account.so\n\
             module_app menu.so\n\
             snd_path {path}\n",
            tone = tone.display(),
            path = folder.display(),
        );
        fs::write(folder.join("config"), config).expect("a file");
        fs::write(folder.join("contacts"), "").expect("a file");
        let account = format!(
            "\"{name}\" <sip:{name}@{literal}:{port}>;regint=0;mediaenc=srtp-mand;audio_codecs={codec}\n"
        );
        fs::write(folder.join("accounts"), account).expect("a file");
        let log = fs::File::create(folder.join("log")).expect("a file");
        let child = Command::new("baresip")
            .arg("-f")
            .arg(&folder)
            .args(["-e", &format!("d {uri}")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("baresip runs: apt-get install baresip-core");
        Self { child, folder }
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.folder.join("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Whether the program still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Hangs up, ends, and gives what it heard.
    ///
    /// # Panics
    /// When it recorded nothing.
    #[must_use]
    pub fn hang_up(mut self) -> Recording {
        self.end();
        let heard = fs::read_dir(&self.folder)
            .expect("a folder")
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.to_string_lossy().ends_with("-dec.wav"));
        let Some(heard) = heard else {
            panic!("no recording; baresip said:\n{}", self.log());
        };
        Recording::read_wav(&heard)
    }

    fn end(&mut self) {
        let raw = Pid::from_raw(self.child.id().cast_signed()).expect("a process id");
        let _ = kill_process(raw, Signal::TERM);
        for _ in 0..150 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        self.end();
    }
}
