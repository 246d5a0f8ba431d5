use std::net::SocketAddr;

use plenum_stun::{Method, Packet, Writer, attribute};

use crate::fuzz::{HeapRecords, World, client, config, indication, on_channel, udp};
use crate::{Client, FromClient, RelayId, Server, Via};

fn peer() -> SocketAddr {
    "8.8.8.8:4000".parse().unwrap()
}

fn relay_of(relayed: SocketAddr) -> RelayId {
    RelayId(u32::from(relayed.port()) - 50_000)
}

#[test]
fn a_channel_carries_both_ways_without_a_copy() {
    let records = HeapRecords::new(4);
    let mut world = World::new(config(4), &records);
    let relayed = world.allocate(&client(1));
    assert_eq!(world.bind(&client(1), 0x4001, peer()), 0);
    let FromClient::ToPeer(found) = world.send(&client(1), &on_channel(0x4001, b"hello")) else {
        panic!("it goes to the peer");
    };
    assert_eq!(found.relay, relay_of(relayed));
    assert_eq!(found.peer, peer());
    assert_eq!(found.payload, 4..9);
    let back = world
        .server
        .from_peer(world.time, relay_of(relayed), peer(), 5, 1)
        .unwrap();
    assert_eq!(back.client, client(1));
    assert_eq!(back.header.bytes(), [0x40, 0x01, 0, 5]);
    assert_eq!(back.padding, 0, "UDP needs none");
}

#[test]
fn a_stream_is_padded_so_that_the_next_frame_is_found() {
    let records = HeapRecords::new(4);
    let mut world = World::new(config(4), &records);
    let on_tcp = Client {
        via: Via::Stream(3),
        ..client(1)
    };
    let relayed = world.allocate(&on_tcp);
    assert_eq!(world.bind(&on_tcp, 0x4001, peer()), 0);
    for (len, padding) in [(4, 0), (5, 3), (6, 2), (7, 1)] {
        let back = world
            .server
            .from_peer(world.time, relay_of(relayed), peer(), len, 1);
        assert_eq!(back.unwrap().padding, padding);
    }
    world.server.stream_closed(&on_tcp);
    world.settle();
    assert_eq!(world.server.allocations(), 0);
}

#[test]
fn two_clients_of_one_server_meet_inside_it() {
    let records = HeapRecords::new(4);
    let mut world = World::new(config(4), &records);
    let (one, two) = (client(1), client(2));
    let (at_one, at_two) = (world.allocate(&one), world.allocate(&two));
    assert_eq!(world.bind(&one, 0x4001, at_two), 0);
    // The other side has not permitted it yet.
    let packet = on_channel(0x4001, b"hi");
    assert!(matches!(world.send(&one, &packet), FromClient::Dropped(_)));
    assert_eq!(world.permit(&two, at_one), 0);
    let FromClient::ToClient(found) = world.send(&one, &packet) else {
        panic!("it goes to the other client");
    };
    assert_eq!(found.client, two);
    assert_eq!(found.payload, 4..6);
    let mut bytes = found.header.bytes().to_vec();
    bytes.extend(b"hi\0\0");
    let Ok(Packet::Message(message)) = Packet::parse(&bytes) else {
        panic!("a Data indication");
    };
    let value = message.find(attribute::XOR_PEER_ADDRESS).unwrap();
    assert_eq!(
        plenum_stun::address::read_xored(value, &message.transaction()),
        Some(at_one)
    );
    assert_eq!(message.find(attribute::DATA), Some(&b"hi"[..]));
}

#[test]
fn bandwidth_is_bounded_for_a_user_and_for_all() {
    for per_user in [true, false] {
        let records = HeapRecords::new(4);
        let mut setup = config(4);
        if per_user {
            setup.limits.user_bytes_per_s = 10_000;
        } else {
            setup.limits.all_bytes_per_s = 10_000;
        }
        let mut world = World::new(setup, &records);
        let relayed = world.allocate(&client(1));
        assert_eq!(world.bind(&client(1), 0x4001, peer()), 0);
        world.wait_s(2);
        let mut through = 0;
        for _ in 0..100 {
            let packet = on_channel(0x4001, &[0; 200]);
            if matches!(world.send(&client(1), &packet), FromClient::ToPeer(_)) {
                through += 200;
            }
            let time = world.time;
            let back = world
                .server
                .from_peer(time, relay_of(relayed), peer(), 200, 1);
            through += back.map_or(0, |_| 200);
        }
        assert_eq!(through, 10_000);
    }
}

#[test]
fn a_successor_goes_on_with_allocations_permissions_and_channels() {
    let records = HeapRecords::new(4);
    let mut world = World::new(config(4), &records);
    let relayed = world.allocate(&client(1));
    let on_tcp = Client {
        via: Via::Stream(3),
        ..client(2)
    };
    world.allocate(&on_tcp);
    assert_eq!(world.bind(&client(1), 0x4001, peer()), 0);
    let time = world.time;

    let mut successor = World::new(config(4), &records);
    successor.settle();
    assert_eq!(
        successor.server.allocations(),
        1,
        "a stream ends with its process"
    );
    assert_eq!(successor.open_sockets(), 1);
    let packet = on_channel(0x4001, b"on");
    let outcome = successor.server.from_client(time, &client(1), &packet, 1);
    assert!(matches!(outcome, FromClient::ToPeer(found) if found.relay == relay_of(relayed)));
    // The same credentials and even the same nonce are good.
    assert_eq!(successor.ask(&client(1), Method::REFRESH, |_| ()).code, 0);
    for number in 3..6 {
        successor.allocate(&client(number));
    }
    assert_eq!(successor.ask(&client(6), Method::ALLOCATE, udp).code, 508);
}

#[test]
fn a_record_of_another_configuration_is_dropped_whole() {
    let records = HeapRecords::new(4);
    let mut world = World::new(config(4), &records);
    for number in 0..4 {
        world.allocate(&client(number));
    }
    let mut server = Server::new(config(2), &records, [0; 32], world.time.now);
    let mut open = 0;
    while server.next_change().is_some() {
        open += 1;
    }
    assert_eq!(
        (server.allocations(), open),
        (2, 2),
        "two relays are no more"
    );
}

#[test]
fn an_indication_with_what_is_not_understood_is_dropped() {
    let records = HeapRecords::new(4);
    let mut world = World::new(config(4), &records);
    world.allocate(&client(1));
    assert_eq!(world.permit(&client(1), peer()), 0);
    let good = indication(peer(), b"abc");
    assert!(matches!(
        world.send(&client(1), &good),
        FromClient::ToPeer(_)
    ));
    for kind in [attribute::DONT_FRAGMENT, 0x7abc] {
        let mut buffer = [0; 128];
        let mut writer = Writer::new(
            &mut buffer,
            plenum_stun::Class::Indication,
            Method::SEND,
            plenum_stun::TransactionId([1; 12]),
        );
        writer.attribute(kind, &[]);
        writer.xored_address(attribute::XOR_PEER_ADDRESS, peer());
        writer.attribute(attribute::DATA, b"abc");
        let len = writer.finish().unwrap();
        let outcome = world.send(&client(1), &buffer[..len]);
        assert!(matches!(outcome, FromClient::Dropped(_)), "{kind:#x}");
    }
}
