//! Debian's Chromium as a person at a browser: one page, told what to do over
//! the DevTools protocol.
//!
//! The page is one of the server's own, so that all its rules about scripts and
//! connections hold. What it is told is plain JavaScript: the web app's own tests
//! go through the app; these look at what is below it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use crate::server::Server;
use crate::tone::write_tone;
use crate::wait_until;

/// What a page is taught before it is told to join.
const PAGE: &str = include_str!("page.js");

/// Longest answer awaited.
const PATIENCE: Duration = Duration::from_secs(40);

/// A browser with one page.
pub struct Chromium {
    child: Child,
    folder: PathBuf,
    page: WebSocket<MaybeTlsStream<TcpStream>>,
    next: u64,
}

impl Chromium {
    /// Opens `url` with a microphone that plays a tone of `hz` and a camera that
    /// shows a moving pattern.
    ///
    /// # Panics
    /// When Chromium cannot be started.
    #[must_use]
    pub fn open(folder: &Path, name: &str, url: &str, hz: f64) -> Self {
        Self::open_with(folder, name, url, hz, None)
    }

    /// A page that has joined the demonstration space, without media yet, and what it was
    /// welcomed with. It knows what `page.js` teaches it.
    ///
    /// # Panics
    /// When it cannot be started or is not let in.
    #[must_use]
    pub fn join(
        server: &Server,
        name: &str,
        hz: f64,
        camera: Option<(&str, u32)>,
    ) -> (Self, Value) {
        let web = server.ready()["web"].as_str().expect("an address");
        let call_id = server.ready()["demo_space"]["call_id"].as_str();
        let call_id = call_id.expect("a meeting ID");
        let mut browser = Self::open_with(server.folder(), name, web, hz, camera);
        browser.run(PAGE);
        let joined = browser.run(&format!("plenum.join('{call_id}', '{name}')"));
        (browser, joined)
    }

    /// The same with a camera that shows what a filter of ffmpeg's makes, and its lines.
    ///
    /// # Panics
    /// When Chromium or ffmpeg cannot be started.
    #[must_use]
    pub fn open_with(
        folder: &Path,
        name: &str,
        url: &str,
        hz: f64,
        camera: Option<(&str, u32)>,
    ) -> Self {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let camera = camera.map(|(filter, lines)| {
            let film = crate::eye::film(&folder.join("shows.mjpeg"), filter, lines);
            format!("--use-file-for-fake-video-capture={}", film.display())
        });
        let tone = folder.join("says.wav");
        write_tone(&tone, hz, 30);
        let log = fs::File::create(folder.join("log")).expect("a file");
        let child = Command::new("chromium")
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--ignore-certificate-errors",
                "--remote-debugging-port=0",
                "--remote-allow-origins=*",
                "--use-fake-ui-for-media-stream",
                // Its moving pattern; a page asks for less.
                "--use-fake-device-for-media-stream=fps=60",
                // Loopback is all that there need be on a machine.
                "--allow-loopback-in-peer-connection",
                "--autoplay-policy=no-user-gesture-required",
            ])
            .arg(format!(
                "--use-file-for-fake-audio-capture={}",
                tone.display()
            ))
            .arg(format!(
                "--user-data-dir={}",
                folder.join("profile").display()
            ))
            .args(camera)
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("chromium runs: apt-get install chromium");
        let port_file = folder.join("profile/DevToolsActivePort");
        let mut port = None;
        wait_until("Chromium's DevTools", Duration::from_secs(30), || {
            let text = fs::read_to_string(&port_file).unwrap_or_default();
            port = text.lines().next().and_then(|line| line.parse().ok());
            port.is_some()
        });
        let page = first_page(port.expect("it was found"));
        let mut chromium = Self {
            child,
            folder,
            page,
            next: 1,
        };
        chromium.command("Page.enable", &json!({}));
        chromium.command("Page.navigate", &json!({ "url": url }));
        chromium.run("new Promise(done => { const at = () => location.protocol === 'https:' && document.readyState === 'complete' ? done(true) : setTimeout(at, 50); at(); })");
        chromium
    }

    /// Runs an expression, awaits it, and gives its value.
    ///
    /// # Panics
    /// When it throws, or takes too long.
    pub fn run(&mut self, script: &str) -> Value {
        let answer = self.command(
            "Runtime.evaluate",
            &json!({"expression": script, "awaitPromise": true, "returnByValue": true}),
        );
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{script}: {}",
            answer["exceptionDetails"]
        );
        answer["result"]["value"].clone()
    }

    fn command(&mut self, method: &str, parameters: &Value) -> Value {
        let id = self.next;
        self.next += 1;
        let command = json!({"id": id, "method": method, "params": parameters});
        self.page
            .send(Message::Text(command.to_string().into()))
            .expect("Chromium listens");
        loop {
            let message = self.page.read().unwrap_or_else(|error| {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                panic!("{method}: {error}; Chromium said:\n{log}")
            });
            let Message::Text(text) = message else {
                continue;
            };
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            if answer["id"] == id {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }
}

/// The DevTools of the first page there is.
fn first_page(port: u16) -> WebSocket<MaybeTlsStream<TcpStream>> {
    let mut target = None;
    wait_until("a page", Duration::from_secs(20), || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("DevTools");
        let request = format!(
            "GET /json/list HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("a request");
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let pages: Value = serde_json::from_str(body).unwrap_or_default();
        target = pages
            .as_array()
            .into_iter()
            .flatten()
            .find(|page| page["type"] == "page")
            .and_then(|page| page["webSocketDebuggerUrl"].as_str())
            .map(str::to_owned);
        target.is_some()
    });
    let (socket, _) = tungstenite::connect(target.expect("it was found")).expect("a page listens");
    if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    }
    socket
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
