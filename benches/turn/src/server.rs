//! The servers that are measured: this one's relay loop in a process of its own,
//! and Debian's coturn.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use plenum_abi::TurnLayout;
use plenum_relay::{Setup, Worker};
use plenum_ring::TurnMemory;
use plenum_turn::{Config, Limits, PeerFilter, Realm, RelayAddress, RelayPorts};
use plenum_uring::SocketOptions;
use plenum_uring::datagrams::datagram_socket;
use rand::Rng;

/// Who may come in.
pub(crate) const USER: (&str, &str) = ("bench", "secret");
/// Relay ports of both servers.
const RELAYS: std::ops::Range<u16> = 50_000..53_000;
const COTURN_PORT: u16 = 34_780;

/// Which server.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    /// As it comes.
    Plenum,
    /// Without bursts of its own making.
    PlenumSingle,
    /// Without a time in which packets gather.
    PlenumEager,
    /// Debian's.
    Coturn,
}

impl Kind {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "plenum" => Self::Plenum,
            "plenum-single" => Self::PlenumSingle,
            "plenum-eager" => Self::PlenumEager,
            "coturn" => Self::Coturn,
            other => panic!("{other}: plenum, plenum-single, plenum-eager or coturn"),
        }
    }
}

/// A running server on core 0.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start(kind: Kind) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]);
        match kind {
            Kind::Plenum | Kind::PlenumSingle | Kind::PlenumEager => {
                let me = std::env::current_exe().expect("a path of our own");
                command.arg(me).arg("--serve");
                command.arg(match kind {
                    Kind::PlenumSingle => "single",
                    Kind::PlenumEager => "eager",
                    _ => "bursts",
                });
            }
            Kind::Coturn => {
                let (user, password) = USER;
                command
                    .args(["turnserver", "-n", "--listening-ip=127.0.0.1"])
                    .args(["--relay-ip=127.0.0.1", "--allow-loopback-peers"])
                    .args(["--lt-cred-mech", "--realm=bench", "--relay-threads=1"])
                    .args(["--no-cli", "--no-tls", "--no-dtls", "--log-file=/dev/null"])
                    .args(["--simple-log", "--pidfile=/dev/null", "--no-stdout-log"])
                    .arg(format!("--user={user}:{password}"))
                    .arg(format!("--listening-port={COTURN_PORT}"))
                    .arg(format!("--min-port={}", RELAYS.start))
                    .arg(format!("--max-port={}", RELAYS.end - 1));
            }
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("taskset and coturn are there: apt-get install util-linux coturn");
        let stdout = child.stdout.take().expect("a pipe");
        let address = if kind == Kind::Coturn {
            // It says nothing when it is ready.
            std::thread::sleep(Duration::from_millis(700));
            SocketAddr::from(([127, 0, 0, 1], COTURN_PORT))
        } else {
            let mut line = String::new();
            BufReader::new(stdout)
                .read_line(&mut line)
                .expect("an address");
            line.trim().parse().expect("an address")
        };
        Self { child, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).expect("it runs")
    }

    /// CPU time of all its threads.
    pub(crate) fn cpu(&self) -> Duration {
        // In nanoseconds, by thread, which /proc/PID/stat does not have.
        let tasks = format!("/proc/{}/task", self.child.id());
        let nanos: u64 = std::fs::read_dir(tasks)
            .expect("it runs")
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
            .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
            .sum();
        Duration::from_nanos(nanos)
    }

    /// Resident bytes, shared memory included.
    pub(crate) fn memory(&self) -> usize {
        let status = self.read("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.and_then(|kib| kib.parse::<usize>().ok()).unwrap_or(0) * 1_024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs this server's relay loop until it is killed.
pub(crate) fn serve(how: &str) -> ! {
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let large = SocketOptions {
        receive_buffer: 4 << 20,
        send_buffer: 4 << 20,
        dscp: 0,
    };
    let listener = datagram_socket(any, &large, true).expect("a socket");
    let copy = UdpSocket::from(listener.try_clone().expect("a descriptor"));
    let address = copy.local_addr().expect("an address");
    let mut ports = Vec::new();
    let relays: Vec<OwnedFd> = RELAYS
        .filter_map(|port| {
            let address = SocketAddr::new(any.ip(), port);
            let socket = datagram_socket(address, &SocketOptions::default(), false).ok()?;
            ports.push(port);
            Some(socket)
        })
        .collect();
    let layout = TurnLayout {
        workers: 1,
        allocations_per_worker: ports.len() as u32,
    };
    let setup = Setup {
        memory: TurnMemory::create(layout, rand::rng().random()).expect("memory"),
        worker: 0,
        core: Some(0),
        listeners: vec![listener],
        streams: Vec::new(),
        relays,
        config: Config {
            realms: vec![Realm::new("bench").with_user(USER.0, USER.1)],
            relay_v4: Some(RelayAddress {
                local: any.ip(),
                public: any.ip(),
            }),
            relay_v6: None,
            server_ports: ports.clone(),
            ports: RelayPorts {
                v4: ports,
                v6: Vec::new(),
            },
            peers: PeerFilter {
                allowed: vec!["127.0.0.0/8".parse().expect("a range")],
                ..PeerFilter::default()
            },
            limits: Limits {
                allocations_per_user: u32::MAX,
                ..Limits::default()
            },
            nonce_key: rand::rng().random(),
            alternates: Vec::new(),
        },
        tls: None,
        bursts: how != "single",
        gather: Duration::from_micros(if how == "eager" { 0 } else { 50 }),
        seed: rand::rng().random(),
    };
    let worker = Worker::new(setup).expect("a worker");
    println!("{address}");
    let outcome = worker.run();
    panic!("{outcome:?}");
}
