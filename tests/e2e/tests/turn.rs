//! TURN, as others' clients use it and as attackers would.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use plenum_e2e::fresh_folder;
use plenum_e2e::server::Server;
use plenum_e2e::turn::TurnClient;
use plenum_turn::disguises;

/// Time-limited credentials of this secret are good.
const SECRET: &str = "for tests";
/// A user who may always come in.
const USER: (&str, &str) = ("tester", "secret");

/// A TURN server alone, with relay ports of its own and so many of them.
fn turn_server(name: &str, first_port: u16, ports: u16, settings: &[(&str, &str)]) -> Server {
    let users = fresh_folder(&format!("{name}-users")).join("users");
    std::fs::write(&users, format!("{}:{}\n", USER.0, USER.1)).expect("a file");
    let range = format!("{first_port}-{}", first_port + ports - 1);
    let mut all = vec![
        ("PLENUM_TURN_PORTS", "0"),
        ("PLENUM_TURN_TLS_PORTS", "0"),
        ("PLENUM_TURN_SECRET", SECRET),
        ("PLENUM_TURN_USERS_FILE", users.to_str().expect("a path")),
        ("PLENUM_TURN_RELAY_PORTS", range.as_str()),
        ("PLENUM_TURN_USER_ALLOCATIONS_MAX", "1000"),
    ];
    all.extend(settings);
    Server::start_as("turn", name, &all)
}

/// Peers on this machine, as every test of what passes needs them.
const LOOPBACK: (&str, &str) = ("PLENUM_TURN_ALLOW_PEERS", "127.0.0.0/8");

/// A program that ends with the test.
struct Program(Child);

impl Program {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let child = Command::new(name)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}; apt-get install coturn chromium"));
        Self(child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_udp_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("an address").port()
}

/// Runs coturn's client against an echoing peer; all messages must come back.
fn coturn_client(server: SocketAddr, arguments: &[&str]) {
    let port = free_udp_port().to_string();
    let _peer = Program::start("turnutils_peer", &["-L", "127.0.0.1", "-p", &port]);
    std::thread::sleep(Duration::from_millis(200));
    let server_port = server.port().to_string();
    let mut all = vec!["-u", USER.0, "-w", USER.1, "-e", "127.0.0.1", "-r", &port];
    all.extend(["-p", &server_port, "-m", "2", "-n", "10", "-l", "170"]);
    all.extend(arguments);
    all.push("127.0.0.1");
    let output = Command::new("timeout")
        .arg("20")
        .arg("turnutils_uclient")
        .args(&all)
        .output()
        .expect("turnutils_uclient runs: apt-get install coturn");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let clean = text
        .lines()
        .rev()
        .find(|line| line.contains("Total lost packets"));
    assert!(
        clean.is_some_and(|line| line.contains("Total lost packets 0")),
        "{arguments:?}: {text}"
    );
}

#[test]
fn coturns_client_is_served_over_udp_tcp_and_tls() {
    let server = turn_server("turn-coturn", 31_000, 60, &[LOOPBACK]);
    let ways: [(&str, &[&str]); 7] = [
        ("udp", &[]),
        ("udp", &["-c"]),
        // Send and Data indications in place of channels.
        ("udp", &["-c", "-s"]),
        ("tcp", &["-c", "-t"]),
        ("tcp", &["-c", "-t", "-s"]),
        ("tls", &["-c", "-t", "-S"]),
        // Time-limited credentials, made by coturn.
        ("udp", &["-c", "-W", SECRET]),
    ];
    // Each takes some seconds, most of which it waits.
    std::thread::scope(|scope| {
        for (transport, arguments) in ways {
            let address = server.turn(transport);
            scope.spawn(move || coturn_client(address, arguments));
        }
    });
}

#[test]
fn clients_of_one_server_meet_in_it() {
    let server = turn_server("turn-meet", 31_100, 20, &[LOOPBACK]);
    let mut one = TurnClient::udp(server.turn("udp"), USER.0, USER.1);
    let mut two = TurnClient::tcp(server.turn("tcp"), USER.0, USER.1);
    let (at_one, at_two) = (one.allocate().unwrap(), two.allocate().unwrap());
    one.bind(0x4000, at_two).unwrap();
    two.bind(0x4001, at_one).unwrap();
    one.send(0x4000, b"from udp to tcp");
    assert_eq!(two.receive().unwrap()[..4], [0x40, 1, 0, 15]);
    two.send(0x4001, b"and back");
    assert_eq!(one.receive().unwrap(), b"\x40\x00\x00\x08and back");
}

/// Two workers: allocations are spread over them, a client's packets keep coming to the
/// one that has its allocation, and clients of different workers meet.
#[test]
fn allocations_are_spread_over_workers_that_relay_to_each_other() {
    let profile = fresh_folder("turn-workers-profile").join("two-workers.toml");
    let text = "name = \"two-workers\"\ntitle = \"Two workers\"\nkind = \"host\"\n\
                [sources]\ntest = \"made for a test\"\n\
                [hardware]\nsource = \"test\"\n\
                [cores]\ncontrol = \"0\"\nio = \"0-1\"\nvideo = \"\"\nshared = true\n";
    std::fs::write(&profile, text).expect("a file");
    let settings = [
        LOOPBACK,
        ("PLENUM_PROFILE", profile.to_str().expect("a path")),
    ];
    let server = turn_server("turn-workers", 31_700, 80, &settings);
    let mut clients: Vec<TurnClient> = (0..32)
        .map(|number| match number % 4 {
            3 => TurnClient::tcp(server.turn("tcp"), USER.0, USER.1),
            _ => TurnClient::udp(server.turn("udp"), USER.0, USER.1),
        })
        .collect();
    let relays: Vec<SocketAddr> = clients
        .iter_mut()
        .map(|client| client.allocate().expect("an allocation"))
        .collect();
    let status = server.turn_status();
    let each: Vec<u64> = status["status"]["workers"]
        .as_array()
        .expect("workers")
        .iter()
        .map(|worker| worker["allocations"].as_u64().expect("a number"))
        .collect();
    eprintln!("allocations of each worker: {each:?}");
    assert_eq!(each.len(), 2, "two workers");
    assert_eq!(each.iter().sum::<u64>(), 32);
    // By chance all would be on one of them once in two thousand million runs.
    assert!(each.iter().all(|count| *count > 0), "{each:?}");
    // Each says something to each: within a worker, and across.
    for (one, client) in clients.iter_mut().enumerate() {
        let next = relays[(one + 1) % relays.len()];
        client.bind(0x4000, next).expect("a channel");
        client
            .bind(0x4001, relays[(one + relays.len() - 1) % relays.len()])
            .expect("a channel");
    }
    for round in 0..3 {
        for (one, client) in clients.iter_mut().enumerate() {
            client.send(0x4000, format!("{one} in {round}").as_bytes());
        }
        for one in 0..clients.len() {
            let before = (one + clients.len() - 1) % clients.len();
            let heard = clients[one].receive().expect("what the one before said");
            let said = format!("{before} in {round}");
            assert_eq!(heard[..2], [0x40, 1], "client {one}");
            assert_eq!(&heard[4..4 + said.len()], said.as_bytes(), "client {one}");
        }
    }
}

#[test]
fn a_forbidden_peer_sees_nothing_whatever_it_is_called() {
    // Nothing but 127.0.0.2, which nobody means by accident, is allowed.
    let settings = [
        ("PLENUM_TURN_ALLOW_PEERS", "127.0.0.2"),
        ("PLENUM_LISTEN", "127.0.0.1,::1"),
    ];
    let server = turn_server("turn-forbidden", 31_200, 20, &settings);
    let canaries: Vec<UdpSocket> = ["0.0.0.0:0", "[::]:0"]
        .into_iter()
        .map(|any| UdpSocket::bind(any).expect("a socket"))
        .collect();
    let allowed = UdpSocket::bind("127.0.0.2:0").unwrap();
    let mut client = TurnClient::udp(server.turn("udp"), USER.0, USER.1);
    client
        .ask(plenum_stun::Method::ALLOCATE, |writer| {
            writer.attribute(plenum_stun::attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            writer.attribute(
                plenum_stun::attribute::ADDITIONAL_ADDRESS_FAMILY,
                &[2, 0, 0, 0],
            );
        })
        .unwrap();
    let addresses = |ip: Ipv4Addr| {
        let hidden = disguises(ip).into_iter().map(IpAddr::from);
        hidden.chain([ip.into()]).collect::<Vec<IpAddr>>()
    };
    let mut targets: Vec<IpAddr> = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "192.0.2.2", "10.0.0.1"]
        .iter()
        .flat_map(|ip| addresses(ip.parse().unwrap()))
        .collect();
    targets.extend(
        ["::", "::1", "fe80::1", "ff02::1", "fd00::2"].map(|ip| ip.parse::<IpAddr>().unwrap()),
    );
    let sip_like = server.turn("tcp").port();
    for ip in targets {
        for canary in &canaries {
            let port = canary.local_addr().unwrap().port();
            let peer = SocketAddr::new(ip, port);
            // The relay's own address may be permitted, for relays on it.
            let own = ["127.0.0.1", "::1"]
                .iter()
                .any(|own| ip == own.parse::<IpAddr>().unwrap());
            assert!(own || client.permit(peer).is_err(), "{peer} was permitted");
            if own {
                client.permit(peer).unwrap();
            }
            assert!(client.bind(0x4000, peer).is_err(), "{peer} was bound");
            assert!(client.bind(0x4000, SocketAddr::new(ip, sip_like)).is_err());
            client.indicate(peer, b"canary");
            client.send(0x4000, b"canary");
        }
    }
    // What is allowed passes, so the way was open all the time.
    let peer = allowed.local_addr().unwrap();
    client.bind(0x4001, peer).unwrap();
    client.send(0x4001, b"hello");
    allowed
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    assert_eq!(allowed.recv(&mut [0; 64]).unwrap(), 5);
    for canary in canaries {
        canary.set_nonblocking(true).unwrap();
        assert!(
            canary.recv(&mut [0; 64]).is_err(),
            "a canary heard something"
        );
    }
}

#[test]
fn relay_ports_run_out_and_come_back() {
    let server = turn_server("turn-exhausted", 31_300, 10, &[LOOPBACK]);
    for _ in 0..2 {
        let mut clients = Vec::new();
        let code = loop {
            let mut client = TurnClient::udp(server.turn("udp"), USER.0, USER.1);
            match client.allocate() {
                Ok(_) => clients.push(client),
                Err(code) => break code,
            }
        };
        assert_eq!((clients.len(), code), (10, 508));
        for mut client in clients {
            client.end().unwrap();
        }
    }
}

#[test]
fn a_killed_relay_goes_on_within_a_second() {
    let server = turn_server("turn-killed", 31_400, 20, &[LOOPBACK]);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_millis(5)))
        .unwrap();
    let mut client = TurnClient::udp(server.turn("udp"), USER.0, USER.1);
    let relayed = client.allocate().unwrap();
    client.bind(0x4000, peer.local_addr().unwrap()).unwrap();
    let mut heard = [Vec::new(), Vec::new()];
    let mut talk = |client: &mut TurnClient, span: Duration| {
        let until = Instant::now() + span;
        while Instant::now() < until {
            client.send(0x4000, b"ping");
            let mut buffer = [0; 64];
            if let Ok((len, from)) = peer.recv_from(&mut buffer) {
                assert_eq!((&buffer[..len], from), (&b"ping"[..], relayed));
                heard[0].push(Instant::now());
            }
            peer.send_to(b"pong", relayed).unwrap();
            let socket = client.socket();
            socket
                .set_read_timeout(Some(Duration::from_millis(5)))
                .unwrap();
            if socket.recv(&mut buffer).is_ok() {
                heard[1].push(Instant::now());
            }
        }
    };
    talk(&mut client, Duration::from_millis(500));
    for _ in 0..2 {
        let died = server.kill("turn");
        talk(&mut client, Duration::from_millis(1_200));
        assert_ne!(server.process("turn"), died);
    }
    for (way, heard) in ["to the peer", "to the client"].iter().zip(&heard) {
        let gaps = heard.windows(2).map(|pair| pair[1] - pair[0]);
        let longest = gaps.max().expect("packets");
        eprintln!("{way}: {} packets, longest gap {longest:?}", heard.len());
        assert!(longest < Duration::from_secs(1), "{way}: {longest:?}");
    }
    // What was not only the channel lives too, and its credentials.
    client
        .socket()
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    client.permit(peer.local_addr().unwrap()).unwrap();
    client.end().unwrap();
    assert_eq!(client.permit(peer.local_addr().unwrap()), Err(437));
}

/// The page: two connections of one browser that may use nothing but the relay.
const PAGE: &str = r#"<!doctype html><script>
const say = text => fetch('/result?' + encodeURIComponent(text));
async function run() {
  const ice = {iceServers: [{urls: 'URLS', username: 'USER', credential: 'PASSWORD'}], iceTransportPolicy: 'relay'};
  const [a, b] = [new RTCPeerConnection(ice), new RTCPeerConnection(ice)];
  a.onicecandidate = e => e.candidate && b.addIceCandidate(e.candidate);
  b.onicecandidate = e => e.candidate && a.addIceCandidate(e.candidate);
  a.onicecandidateerror = e => console.log(e.errorCode, e.errorText);
  const there = a.createDataChannel('x');
  b.ondatachannel = e => { e.channel.onmessage = m => e.channel.send(m.data + ' and back'); };
  there.onopen = () => there.send('there');
  there.onmessage = async m => {
    let kinds = new Set();
    (await a.getStats()).forEach(s => { if (s.type == 'local-candidate') kinds.add(s.candidateType + '/' + s.relayProtocol); });
    say(m.data + ' ' + [...kinds].join());
  };
  await a.setLocalDescription(await a.createOffer());
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription(await b.createAnswer());
  await a.setRemoteDescription(b.localDescription);
}
run().catch(e => say('failed: ' + e));
</script>"#;

/// Shows the page to Chromium and returns what it says.
fn browser(name: &str, page: &str) -> String {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    let profile = fresh_folder(&format!("chromium-{name}"));
    let data = format!("--user-data-dir={}", profile.display());
    let url = format!("http://{address}/");
    let _browser = Program::start(
        "chromium",
        &[
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--allow-loopback-in-peer-connection",
            &data,
            &url,
        ],
    );
    let deadline = Instant::now() + Duration::from_secs(40);
    web.set_nonblocking(true).unwrap();
    loop {
        assert!(Instant::now() < deadline, "the browser said nothing");
        let Ok((mut stream, _)) = web.accept() else {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        let mut line = String::new();
        let _ = BufReader::new(&stream).read_line(&mut line);
        let path = line.split(' ').nth(1).unwrap_or_default();
        let body = if path == "/" { page } else { "" };
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        if let Some(result) = path.strip_prefix("/result?") {
            return result.replace("%20", " ").replace("%2F", "/");
        }
    }
}

#[test]
fn chromium_talks_to_itself_through_the_relay_alone() {
    let server = turn_server("turn-chromium", 31_500, 40, &[LOOPBACK]);
    for transport in ["udp", "tcp"] {
        let urls = format!("turn:{}?transport={transport}", server.turn(transport));
        let page = PAGE
            .replace("URLS", &urls)
            .replace("USER", USER.0)
            .replace("PASSWORD", USER.1);
        let said = browser(transport, &page);
        assert_eq!(said, format!("there and back relay/{transport}"));
    }
}
