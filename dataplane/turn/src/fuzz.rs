//! A world of one server for tests: a clock, records, clients that know how to
//! ask; and the bodies of the fuzz targets, which hold the machine to a model
//! that is slow and obviously right.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use plenum_abi::{Nanos, TURN_PEERS, TurnRecord, TurnStats};
use plenum_stun::{
    Class, Key, Message, Method, PasswordAlgorithm, TransactionId, Writer, address, attribute,
    channel_header,
};
use zerocopy::FromZeros;

use crate::{
    Client, Config, FromClient, Limits, Network, PeerFilter, Realm, Records, RelayAddress,
    RelayPorts, Server, SocketChange, Time, Via,
};

/// Records on the heap.
#[derive(Debug)]
pub struct HeapRecords {
    records: Vec<TurnRecord>,
    stats: TurnStats,
}

impl HeapRecords {
    /// Room for so many allocations.
    #[must_use]
    pub fn new(slots: u32) -> Self {
        Self {
            records: (0..slots).map(|_| TurnRecord::new_zeroed()).collect(),
            stats: TurnStats::default(),
        }
    }
}

impl Records for &HeapRecords {
    fn record(&self, slot: u32) -> &TurnRecord {
        &self.records[slot as usize]
    }

    fn slots(&self) -> u32 {
        self.records.len() as u32
    }

    fn stats(&self) -> &TurnStats {
        &self.stats
    }
}

/// The user that the worlds know.
pub const USER: (&str, &str) = ("alice", "secret");
/// Their realm.
pub const REALM: &str = "example.org";

/// A configuration with so many ports of each family.
#[must_use]
pub fn config(ports: u16) -> Config {
    let range: Vec<u16> = (50_000..50_000 + ports).collect();
    let relay = |text: &str| RelayAddress {
        local: text.parse().expect("an address"),
        public: text.parse().expect("an address"),
    };
    Config {
        realms: vec![Realm::new(REALM).with_user(USER.0, USER.1)],
        relay_v4: Some(relay("9.9.9.9")),
        relay_v6: Some(relay("2620:fe::9")),
        server_ports: range.clone(),
        ports: RelayPorts {
            v4: range.clone(),
            v6: range,
        },
        peers: PeerFilter {
            allowed: Vec::<Network>::new(),
            refused: Vec::new(),
            own: vec!["9.9.9.9".parse().expect("an address")],
        },
        limits: Limits {
            allocations_per_user: 10_000,
            ..Limits::default()
        },
        nonce_key: [3; 32],
        alternates: Vec::new(),
    }
}

/// A server and its clock.
pub struct World<'a> {
    /// The machine.
    pub server: Server<&'a HeapRecords>,
    /// The clock.
    pub time: Time,
    requests: u32,
    nonces: HashMap<Client, Vec<u8>>,
    open: BTreeMap<u32, ()>,
}

/// A client of UDP with a number.
#[must_use]
pub fn client(number: u16) -> Client {
    Client {
        address: SocketAddr::from(([198, 51, 100, 1], number)),
        via: Via::Udp(0),
    }
}

/// An answer, as far as tests look at it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// 0 for a success, else the error code; 999 when there was no answer.
    pub code: u16,
    /// XOR-RELAYED-ADDRESS, all of them.
    pub relayed: Vec<SocketAddr>,
    /// LIFETIME.
    pub lifetime_s: Option<u32>,
    /// RESERVATION-TOKEN.
    pub token: Option<Vec<u8>>,
    /// All of the message.
    pub bytes: Vec<u8>,
}

impl<'a> World<'a> {
    /// A world at second 1,000 of its clock.
    #[must_use]
    pub fn new(config: Config, records: &'a HeapRecords) -> Self {
        let time = Time {
            now: Nanos::from_millis(1_000_000),
            unix_s: 1_700_000_000,
        };
        Self {
            server: Server::new(config, records, [7; 32], time.now),
            time,
            requests: 0,
            nonces: HashMap::new(),
            open: BTreeMap::new(),
        }
    }

    /// Lets time go by, with the calls that a loop makes meanwhile.
    pub fn wait_s(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.time.now = Nanos(self.time.now.0 + 1_000_000_000);
            self.time.unix_s += 1;
            for _ in 0..2 {
                self.server.handle_timeout(self.time.now);
            }
        }
        self.settle();
    }

    /// Follows the machine's word on sockets; a socket is opened and closed in turns.
    ///
    /// # Panics
    /// When it is not.
    pub fn settle(&mut self) {
        while let Some(change) = self.server.next_change() {
            match change {
                SocketChange::Open(relay) => {
                    assert!(self.open.insert(relay.0, ()).is_none(), "opened twice");
                }
                SocketChange::Close(relay) => {
                    assert!(self.open.remove(&relay.0).is_some(), "closed twice");
                }
            }
        }
    }

    /// Relay sockets that are open.
    #[must_use]
    pub fn open_sockets(&self) -> usize {
        self.open.len()
    }

    fn answer(&self, outcome: &FromClient) -> Answer {
        if *outcome != FromClient::Reply {
            return Answer {
                code: 999,
                ..Answer::default()
            };
        }
        let bytes = self.server.reply().to_vec();
        let message = Message::parse(&bytes).expect("an answer is a message");
        let code = match message.class() {
            Class::Success => 0,
            _ => {
                let value = message.find(attribute::ERROR_CODE).expect("an error code");
                u16::from(value[2]) * 100 + u16::from(value[3])
            }
        };
        let relayed = message
            .attributes()
            .filter(|found| found.kind == attribute::XOR_RELAYED_ADDRESS)
            .filter_map(|found| address::read_xored(found.value, &message.transaction()));
        Answer {
            code,
            relayed: relayed.collect(),
            lifetime_s: message.find_u32(attribute::LIFETIME),
            token: message
                .find(attribute::RESERVATION_TOKEN)
                .map(<[u8]>::to_vec),
            bytes: bytes.clone(),
        }
    }

    /// Sends a datagram of any bytes.
    pub fn send(&mut self, from: &Client, packet: &[u8]) -> FromClient {
        let outcome = self.server.from_client(self.time, from, packet, 1);
        self.settle();
        outcome
    }

    /// A request without credentials.
    pub fn bare(&mut self, from: &Client, method: Method) -> Answer {
        let mut buffer = [0; 64];
        let mut writer = Writer::new(&mut buffer, Class::Request, method, TransactionId([1; 12]));
        writer.attribute(attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        let len = writer.finish().expect("it fits");
        let outcome = self.send(from, &buffer[..len]);
        self.answer(&outcome)
    }

    /// A request of [`USER`], with what `fill` adds; asks again with a new nonce
    /// when it has to.
    pub fn ask(&mut self, from: &Client, method: Method, fill: impl Fn(&mut Writer<'_>)) -> Answer {
        self.ask_as(from, USER, method, fill)
    }

    /// [`World::ask`] for any user.
    pub fn ask_as(
        &mut self,
        from: &Client,
        (user, password): (&str, &str),
        method: Method,
        fill: impl Fn(&mut Writer<'_>),
    ) -> Answer {
        self.requests += 1;
        let mut id = [0; 12];
        id[..4].copy_from_slice(&self.requests.to_be_bytes());
        for _ in 0..2 {
            let nonce = self.nonces.get(from).cloned().unwrap_or_default();
            let packet = request(TransactionId(id), method, (user, password), &nonce, &fill);
            let outcome = self.send(from, &packet);
            let answer = self.answer(&outcome);
            if answer.code != 438 && !(answer.code == 401 && nonce.is_empty()) {
                return answer;
            }
            let message = Message::parse(&answer.bytes).expect("an answer is a message");
            let nonce = message.find(attribute::NONCE).expect("a nonce").to_vec();
            self.nonces.insert(*from, nonce);
        }
        panic!("a fresh nonce was refused");
    }

    /// Allocates; the relayed address.
    ///
    /// # Panics
    /// When it is refused.
    pub fn allocate(&mut self, from: &Client) -> SocketAddr {
        let answer = self.ask(from, Method::ALLOCATE, udp);
        assert_eq!(answer.code, 0);
        answer.relayed[0]
    }

    /// Permits a peer; the answer's code.
    pub fn permit(&mut self, from: &Client, peer: SocketAddr) -> u16 {
        let fill = |writer: &mut Writer<'_>| {
            writer.xored_address(attribute::XOR_PEER_ADDRESS, peer);
        };
        self.ask(from, Method::CREATE_PERMISSION, fill).code
    }

    /// Binds a channel; the answer's code.
    pub fn bind(&mut self, from: &Client, channel: u16, peer: SocketAddr) -> u16 {
        let fill = |writer: &mut Writer<'_>| {
            let [high, low] = channel.to_be_bytes();
            writer.attribute(attribute::CHANNEL_NUMBER, &[high, low, 0, 0]);
            writer.xored_address(attribute::XOR_PEER_ADDRESS, peer);
        };
        self.ask(from, Method::CHANNEL_BIND, fill).code
    }
}

/// Adds what an Allocate needs.
pub fn udp(writer: &mut Writer<'_>) {
    writer.attribute(attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
}

/// A signed request.
pub fn request(
    id: TransactionId,
    method: Method,
    (user, password): (&str, &str),
    nonce: &[u8],
    fill: impl Fn(&mut Writer<'_>),
) -> Vec<u8> {
    let key = Key::long_term(
        PasswordAlgorithm::Md5,
        user.as_bytes(),
        REALM.as_bytes(),
        password.as_bytes(),
    );
    let mut buffer = [0; 1_500];
    let mut writer = Writer::new(&mut buffer, Class::Request, method, id);
    fill(&mut writer);
    writer.attribute(attribute::USERNAME, user.as_bytes());
    writer.attribute(attribute::REALM, REALM.as_bytes());
    writer.attribute(attribute::NONCE, nonce);
    writer.sign_sha1(&key).fingerprint();
    let len = writer.finish().expect("it fits");
    buffer[..len].to_vec()
}

/// A packet on a channel.
#[must_use]
pub fn on_channel(channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = channel_header(channel, payload.len() as u16).to_vec();
    packet.extend_from_slice(payload);
    packet
}

/// A Send indication.
#[must_use]
pub fn indication(peer: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; payload.len() + 100];
    let mut writer = Writer::new(
        &mut buffer,
        Class::Indication,
        Method::SEND,
        TransactionId([2; 12]),
    );
    writer.xored_address(attribute::XOR_PEER_ADDRESS, peer);
    writer.attribute(attribute::DATA, payload);
    let len = writer.finish().expect("it fits");
    buffer.truncate(len);
    buffer
}

/// What a client or the world does next.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Allocates, with EVEN-PORT when told.
    Allocate {
        /// Which client.
        client: u8,
        /// With EVEN-PORT.
        even: bool,
    },
    /// Refreshes, or ends with a lifetime of zero.
    Refresh {
        /// Which client.
        client: u8,
        /// The lifetime.
        lifetime_s: u16,
    },
    /// Permits a peer.
    Permit {
        /// Which client.
        client: u8,
        /// Which peer.
        peer: u8,
    },
    /// Binds a channel to a peer.
    Bind {
        /// Which client.
        client: u8,
        /// Which channel.
        channel: u8,
        /// Which peer.
        peer: u8,
    },
    /// Sends on a channel.
    OnChannel {
        /// Which client.
        client: u8,
        /// Which channel.
        channel: u8,
    },
    /// Sends by indication.
    Indicate {
        /// Which client.
        client: u8,
        /// Which peer.
        peer: u8,
    },
    /// A peer sends to a client's relay.
    Peer {
        /// Which client.
        client: u8,
        /// Which peer.
        peer: u8,
    },
    /// Time goes by.
    Wait {
        /// How long.
        seconds: u16,
    },
    /// The process is killed and another takes over.
    Restart,
}

/// An allocation as the RFC speaks of it: sets with times.
#[derive(Clone, Debug)]
struct Model {
    relayed: SocketAddr,
    expires: u64,
    permissions: BTreeMap<[u8; 4], u64>,
    channels: BTreeMap<u16, (SocketAddr, u64)>,
}

/// Two peers on each address, so that address and port are told apart.
fn peer(number: u8) -> SocketAddr {
    SocketAddr::from(([8, 8, 8, number / 2 % 32], 4_000 + u16::from(number % 2)))
}

fn ip(address: SocketAddr) -> [u8; 4] {
    match address {
        SocketAddr::V4(address) => address.ip().octets(),
        SocketAddr::V6(_) => unreachable!("peers of the model are IPv4"),
    }
}

/// Runs the steps on the machine and on the model.
///
/// # Panics
/// When they disagree.
pub fn agrees_with_the_model(steps: &[Step]) {
    let records = HeapRecords::new(6);
    let mut world = World::new(config(4), &records);
    let mut model: BTreeMap<u8, Model> = BTreeMap::new();
    let mut second = 1_000_u64;
    for step in steps {
        model.retain(|_, allocation| allocation.expires > second);
        for allocation in model.values_mut() {
            allocation.permissions.retain(|_, until| *until > second);
            allocation.channels.retain(|_, (_, until)| *until > second);
        }
        match *step {
            Step::Allocate {
                client: number,
                even,
            } => {
                let fill = |writer: &mut Writer<'_>| {
                    udp(writer);
                    if even {
                        writer.attribute(attribute::EVEN_PORT, &[0]);
                    }
                };
                let answer = world.ask(&client(number.into()), Method::ALLOCATE, fill);
                let even_left = |model: &BTreeMap<u8, Model>| {
                    let taken = model.values();
                    taken
                        .filter(|one| one.relayed.port().is_multiple_of(2))
                        .count()
                        < 2
                };
                let expected = if model.contains_key(&number) {
                    437
                } else if model.len() >= 4 || (even && !even_left(&model)) {
                    508
                } else {
                    0
                };
                assert_eq!(answer.code, expected, "{step:?}");
                if answer.code == 0 {
                    let relayed = answer.relayed[0];
                    assert!(!even || relayed.port().is_multiple_of(2));
                    assert!(model.values().all(|other| other.relayed != relayed));
                    model.insert(
                        number,
                        Model {
                            relayed,
                            expires: second + 600,
                            permissions: BTreeMap::new(),
                            channels: BTreeMap::new(),
                        },
                    );
                }
            }
            Step::Refresh {
                client: number,
                lifetime_s,
            } => {
                let fill = |writer: &mut Writer<'_>| {
                    writer.number(attribute::LIFETIME, lifetime_s.into());
                };
                let answer = world.ask(&client(number.into()), Method::REFRESH, fill);
                let expected = if model.contains_key(&number) { 0 } else { 437 };
                assert_eq!(answer.code, expected, "{step:?}");
                let given = match lifetime_s {
                    0 => 0,
                    asked => u64::from(asked).clamp(600, 3_600),
                };
                if given == 0 {
                    model.remove(&number);
                } else if let Some(allocation) = model.get_mut(&number) {
                    assert_eq!(answer.lifetime_s.map(u64::from), Some(given));
                    allocation.expires = second + given;
                }
            }
            Step::Permit {
                client: number,
                peer: to,
            } => {
                let code = world.permit(&client(number.into()), peer(to));
                let Some(allocation) = model.get_mut(&number) else {
                    assert_eq!(code, 437, "{step:?}");
                    continue;
                };
                let known = allocation.permissions.contains_key(&ip(peer(to)));
                let entries = allocation.permissions.len() + allocation.channels.len();
                let full = !known && entries >= TURN_PEERS;
                assert_eq!(code, if full { 508 } else { 0 }, "{step:?}");
                if !full {
                    allocation.permissions.insert(ip(peer(to)), second + 301);
                }
            }
            Step::Bind {
                client: number,
                channel,
                peer: to,
            } => {
                let channel = 0x4000 + u16::from(channel);
                let to = peer(to);
                let code = world.bind(&client(number.into()), channel, to);
                let Some(allocation) = model.get_mut(&number) else {
                    assert_eq!(code, 437, "{step:?}");
                    continue;
                };
                let clashes = allocation
                    .channels
                    .iter()
                    .any(|(other, (bound, _))| (*other == channel) != (*bound == to));
                let new = usize::from(!allocation.channels.contains_key(&channel))
                    + usize::from(!allocation.permissions.contains_key(&ip(to)));
                let entries = allocation.permissions.len() + allocation.channels.len();
                let expected = if clashes {
                    400
                } else if entries + new > TURN_PEERS {
                    508
                } else {
                    0
                };
                assert_eq!(code, expected, "{step:?}");
                if code == 0 {
                    allocation.channels.insert(channel, (to, second + 601));
                    allocation.permissions.insert(ip(to), second + 301);
                }
            }
            Step::OnChannel {
                client: number,
                channel,
            } => {
                let channel = 0x4000 + u16::from(channel);
                let outcome = world.send(&client(number.into()), &on_channel(channel, b"abc"));
                let expected = model.get(&number).and_then(|allocation| {
                    let (to, _) = allocation.channels.get(&channel)?;
                    allocation.permissions.get(&ip(*to)).map(|_| *to)
                });
                assert_eq!(peer_of(&outcome), expected, "{step:?}");
            }
            Step::Indicate {
                client: number,
                peer: to,
            } => {
                let packet = indication(peer(to), b"abcde");
                let outcome = world.send(&client(number.into()), &packet);
                let permitted = model
                    .get(&number)
                    .is_some_and(|allocation| allocation.permissions.contains_key(&ip(peer(to))));
                assert_eq!(peer_of(&outcome), permitted.then_some(peer(to)), "{step:?}");
                if let FromClient::ToPeer(found) = outcome {
                    assert_eq!(&packet[found.payload], b"abcde");
                }
            }
            Step::Peer {
                client: number,
                peer: from,
            } => {
                // Who has no allocation has no relay to send to either.
                let Some(allocation) = model.get(&number) else {
                    continue;
                };
                let relay = crate::RelayId(u32::from(allocation.relayed.port()) - 50_000);
                let found = world.server.from_peer(world.time, relay, peer(from), 5, 1);
                let permitted = allocation.permissions.contains_key(&ip(peer(from)));
                assert_eq!(found.is_some(), permitted, "{step:?}");
                let channel = allocation
                    .channels
                    .iter()
                    .find(|(_, (bound, _))| *bound == peer(from))
                    .map(|(channel, _)| *channel);
                if let Some(found) = found {
                    assert_eq!(found.client, client(number.into()));
                    let mut packet = found.header.bytes().to_vec();
                    packet.extend(b"12345");
                    packet.extend(vec![0; found.padding]);
                    assert_delivery(&packet, channel, peer(from));
                }
            }
            Step::Wait { seconds } => {
                world.wait_s(seconds.into());
                second += u64::from(seconds);
            }
            Step::Restart => {
                let time = world.time;
                world.server = Server::new(config(4), &records, [9; 32], time.now);
                world.open.clear();
                world.settle();
            }
        }
        let alive = model.values().filter(|one| one.expires > second).count();
        assert!(world.server.allocations() >= alive);
        assert_eq!(world.open_sockets(), world.server.allocations());
    }
    // Everything runs out and nothing is left.
    world.wait_s(3_700);
    assert_eq!(world.server.allocations(), 0);
    assert_eq!(world.open_sockets(), 0);
    assert!(world.server.holds_nothing());
}

fn peer_of(outcome: &FromClient) -> Option<SocketAddr> {
    match outcome {
        FromClient::ToPeer(found) => Some(found.peer),
        _ => None,
    }
}

fn assert_delivery(packet: &[u8], channel: Option<u16>, from: SocketAddr) {
    match plenum_stun::Packet::parse(packet) {
        Ok(plenum_stun::Packet::ChannelData(data)) => {
            assert_eq!(Some(data.channel), channel);
            assert_eq!(data.payload, b"12345");
        }
        Ok(plenum_stun::Packet::Message(message)) => {
            assert_eq!(channel, None);
            assert_eq!(message.method(), Method::DATA);
            assert_eq!(message.class(), Class::Indication);
            let value = message.find(attribute::XOR_PEER_ADDRESS).expect("a peer");
            assert_eq!(
                address::read_xored(value, &message.transaction()),
                Some(from)
            );
            assert_eq!(message.find(attribute::DATA), Some(&b"12345"[..]));
        }
        Err(error) => panic!("{error}"),
    }
}

/// Any datagrams, from somebody with an allocation and from strangers: nothing
/// breaks, nobody gains anything, and strangers get no more than they may.
///
/// # Panics
/// When something does.
pub fn survives(datagrams: &[Vec<u8>]) {
    let records = HeapRecords::new(4);
    let mut world = World::new(config(4), &records);
    world.allocate(&client(1));
    let (mut sent, mut got) = (0, 0);
    for datagram in datagrams {
        for from in [client(1), client(2)] {
            match world.send(&from, datagram) {
                FromClient::Reply => {
                    assert!(!world.server.reply().is_empty());
                    got += world.server.reply().len();
                }
                FromClient::Dropped(_) => {}
                other => panic!("{other:?} without a permission"),
            }
            sent += datagram.len();
        }
        let _ = world
            .server
            .from_peer(world.time, crate::RelayId(0), peer(1), datagram.len(), 1);
    }
    assert_eq!(world.server.allocations(), 1);
    assert!(got <= sent + (17 << 10), "{got} bytes for {sent}");
}
