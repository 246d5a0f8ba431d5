//! Debian's baresip as a person at a phone: dials, plays a tone, records.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::eye::Image;
use crate::tone::{Recording, write_tone};
use crate::wait_until;

/// A call of a baresip.
pub struct Baresip {
    child: Child,
    folder: PathBuf,
    /// Where it takes commands.
    control: u16,
}

/// What a phone with a camera shows.
#[derive(Clone, Copy, Debug)]
pub struct Camera<'a> {
    /// `H264` or `VP8`, as baresip calls them.
    pub codec: &'a str,
    /// The picture: a filter of ffmpeg's (`color=red`).
    pub filter: &'a str,
}

/// Two minutes of what a filter makes, 720p, for baresip to show.
fn film(folder: &Path, filter: &str) -> PathBuf {
    let file = folder.join("shows.mp4");
    let source = crate::eye::source(filter, 720);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args([
        "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", &source,
    ]);
    ffmpeg.args(["-t", &TONE_SECONDS.to_string(), "-pix_fmt", "yuv420p"]);
    ffmpeg.args(["-c:v", "libx264", "-preset", "ultrafast"]);
    let status = ffmpeg
        .arg(&file)
        .status()
        .expect("ffmpeg runs: apt-get install ffmpeg");
    assert!(status.success(), "ffmpeg: {status}");
    file
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
        Self::dial_with(folder, name, uri, codec, hz, None)
    }

    /// The same with a camera.
    ///
    /// # Panics
    /// When baresip or ffmpeg cannot be started.
    #[must_use]
    pub fn dial_with(
        folder: &Path,
        name: &str,
        uri: &str,
        codec: &str,
        hz: f64,
        camera: Option<Camera<'_>>,
    ) -> Self {
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
        let control = free_ports();
        let picture = camera.map_or_else(String::new, |camera| {
            format!(
                "video_source avformat,{film}\n\
                 video_display fakevideo,nil\n\
                 video_size 1280x720\n\
                 video_bitrate 1500000\n\
                 video_fps 30\n\
                 videnc_format yuv420p\n\
                 avcodec_h264enc libx264\n\
                 avcodec_h264dec h264\n\
                 module avcodec.so\n\
                 module vp8.so\n\
                 module avformat.so\n\
                 module fakevideo.so\n\
                 module swscale.so\n\
                 module snapshot.so\n\
                 module ctrl_tcp.so\n\
                 ctrl_tcp_listen 127.0.0.1:{control}\n",
                film = film(&folder, camera.filter).display(),
            )
        });
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
             snd_path {path}\n\
             {picture}",
            tone = tone.display(),
            path = folder.display(),
        );
        fs::write(folder.join("config"), config).expect("a file");
        fs::write(folder.join("contacts"), "").expect("a file");
        let account = format!(
            "\"{name}\" <sip:{name}@{literal}:{port}>;regint=0;mediaenc=srtp-mand;audio_codecs={codec}{video}\n",
            video = camera.map_or_else(String::new, |c| format!(";video_codecs={}", c.codec)),
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
        Self {
            child,
            folder,
            control,
        }
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.folder.join("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The picture that it sees now.
    ///
    /// # Panics
    /// When none comes within three seconds.
    #[must_use]
    pub fn picture(&self) -> Image {
        let file = self.folder.join("sees.png");
        let _ = fs::remove_file(&file);
        let command = serde_json::json!({
            "command": "snapshot_recv",
            "params": file.to_string_lossy(),
        })
        .to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.control)).expect("baresip listens");
        // A netstring.
        write!(stream, "{}:{command},", command.len()).expect("it takes commands");
        let mut image = None;
        wait_until("a picture", Duration::from_secs(3), || {
            image = fs::metadata(&file)
                .ok()
                .and_then(|_| Image::read(&file, (320, 180)));
            image.is_some()
        });
        image.expect("a picture")
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
