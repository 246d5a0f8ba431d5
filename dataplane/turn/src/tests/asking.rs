use plenum_stun::{
    Class, Key, Message, Method, PasswordAlgorithm, TransactionId, Writer, attribute, user_hash,
};

use crate::fuzz::{HeapRecords, REALM, USER, World, client, config, request, udp};
use crate::{Client, FromClient, Realm, Via, credentials, disguises};

#[test]
fn binding_needs_no_credentials_and_tells_the_address() {
    let records = HeapRecords::new(4);
    let mut world = World::new(config(4), &records);
    let answer = world.bare(&client(7), Method::BINDING);
    assert_eq!(answer.code, 0);
    let message = Message::parse(&answer.bytes).unwrap();
    let value = message.find(attribute::XOR_MAPPED_ADDRESS).unwrap();
    assert_eq!(
        plenum_stun::address::read_xored(value, &message.transaction()),
        Some(client(7).address)
    );
}

#[test]
fn a_password_is_needed_and_a_nonce_of_ones_own() {
    let records = HeapRecords::new(4);
    let mut world = World::new(config(4), &records);
    let challenge = world.bare(&client(1), Method::ALLOCATE);
    assert_eq!(challenge.code, 401);
    let message = Message::parse(&challenge.bytes).unwrap();
    assert_eq!(message.find(attribute::REALM), Some(REALM.as_bytes()));
    let nonce = message.find(attribute::NONCE).unwrap().to_vec();
    let mut code = |from: &Client, user, nonce: &[u8]| {
        let packet = request(TransactionId([9; 12]), Method::ALLOCATE, user, nonce, udp);
        assert_eq!(world.send(from, &packet), FromClient::Reply);
        let reply = Message::parse(world.server.reply()).unwrap();
        reply
            .find(attribute::ERROR_CODE)
            .map_or(0, |value| u16::from(value[2]) * 100 + u16::from(value[3]))
    };
    assert_eq!(code(&client(1), (USER.0, "wrong"), &nonce), 401);
    assert_eq!(code(&client(1), ("nobody", USER.1), &nonce), 401);
    assert_eq!(code(&client(2), USER, &nonce), 438, "another's nonce");
    assert_eq!(code(&client(1), USER, &nonce), 0);
    // An answer that was lost is given again; another request is one too many.
    assert_eq!(code(&client(1), USER, &nonce), 0);
    assert_eq!(world.server.allocations(), 1);
    assert_eq!(world.ask(&client(1), Method::ALLOCATE, udp).code, 437);
    // Ten minutes later the nonce is stale, and a fresh one is as good.
    let fill = |writer: &mut Writer<'_>| {
        writer.number(attribute::LIFETIME, 3_600);
    };
    assert_eq!(world.ask(&client(1), Method::REFRESH, fill).code, 0);
    world.wait_s(700);
    let packet = request(
        TransactionId([8; 12]),
        Method::REFRESH,
        USER,
        &nonce,
        |_| (),
    );
    assert_eq!(world.send(&client(1), &packet), FromClient::Reply);
    let reply = Message::parse(world.server.reply()).unwrap();
    assert_eq!(reply.find(attribute::ERROR_CODE), Some(&[0, 0, 4, 38][..]));
    assert_eq!(world.ask(&client(1), Method::REFRESH, |_| ()).code, 0);
}

#[test]
fn sha256_and_userhash_work_and_a_downgrade_is_refused() {
    let records = HeapRecords::new(4);
    let mut world = World::new(config(4), &records);
    let challenge = world.bare(&client(1), Method::ALLOCATE);
    let message = Message::parse(&challenge.bytes).unwrap();
    let nonce = message.find(attribute::NONCE).unwrap().to_vec();
    let algorithms = message
        .find(attribute::PASSWORD_ALGORITHMS)
        .unwrap()
        .to_vec();
    assert!(
        nonce.starts_with(b"obMatJos2wAAA"),
        "both features are offered"
    );
    let key = Key::long_term(
        PasswordAlgorithm::Sha256,
        USER.0.as_bytes(),
        REALM.as_bytes(),
        USER.1.as_bytes(),
    );
    let packet = |offered: &[u8], id| {
        let mut buffer = [0; 512];
        let mut writer = Writer::new(
            &mut buffer,
            Class::Request,
            Method::ALLOCATE,
            TransactionId([id; 12]),
        );
        udp(&mut writer);
        writer.attribute(
            attribute::USERHASH,
            &user_hash(USER.0.as_bytes(), REALM.as_bytes()),
        );
        writer.attribute(attribute::REALM, REALM.as_bytes());
        writer.attribute(attribute::NONCE, &nonce);
        writer.attribute(attribute::PASSWORD_ALGORITHMS, offered);
        writer.attribute(attribute::PASSWORD_ALGORITHM, &[0, 2, 0, 0]);
        writer.sign_sha256(&key);
        let len = writer.finish().unwrap();
        buffer[..len].to_vec()
    };
    // Somebody in between left only MD5 of what was offered.
    world.send(&client(1), &packet(&[0, 1, 0, 0], 1));
    let reply = Message::parse(world.server.reply()).unwrap();
    assert_eq!(
        reply.find(attribute::ERROR_CODE).map(|value| &value[2..4]),
        Some(&[4, 0][..])
    );
    world.send(&client(1), &packet(&algorithms, 2));
    let reply = Message::parse(world.server.reply()).unwrap();
    assert_eq!(reply.class(), Class::Success);
    assert!(reply.is_signed_sha256(&key), "signed as the request was");
}

#[test]
fn time_limited_credentials_open_an_allocation_that_outlives_them() {
    let records = HeapRecords::new(4);
    let mut setup = config(4);
    setup.realms = vec![Realm::new(REALM).with_secret(b"shared")];
    let mut world = World::new(setup, &records);
    let (user, password) = credentials(b"shared", "alice", world.time.unix_s + 60);
    let long = |writer: &mut Writer<'_>| {
        udp(writer);
        writer.number(attribute::LIFETIME, 3_600);
    };
    let user = (user.as_str(), password.as_str());
    assert_eq!(
        world.ask_as(&client(1), user, Method::ALLOCATE, long).code,
        0
    );
    world.wait_s(120);
    assert_eq!(
        world.ask_as(&client(1), user, Method::REFRESH, |_| ()).code,
        0
    );
    let late = world.ask_as(&client(2), user, Method::ALLOCATE, udp);
    assert_eq!(late.code, 401);
}

#[test]
fn another_users_allocation_is_not_ones_own() {
    let records = HeapRecords::new(4);
    let mut setup = config(4);
    setup.realms = vec![
        Realm::new(REALM)
            .with_user(USER.0, USER.1)
            .with_user("bob", "b"),
        Realm::new("second.example").with_user("bob", "b"),
    ];
    let mut world = World::new(setup, &records);
    world.allocate(&client(1));
    for method in [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION] {
        assert_eq!(
            world.ask_as(&client(1), ("bob", "b"), method, udp).code,
            441
        );
    }
}

#[test]
fn quotas_count_by_user() {
    let records = HeapRecords::new(8);
    let mut setup = config(8);
    setup.limits.allocations_per_user = 2;
    setup.realms = vec![
        Realm::new(REALM)
            .with_user(USER.0, USER.1)
            .with_user("bob", "b"),
    ];
    let mut world = World::new(setup, &records);
    world.allocate(&client(1));
    world.allocate(&client(2));
    assert_eq!(world.ask(&client(3), Method::ALLOCATE, udp).code, 486);
    assert_eq!(
        world
            .ask_as(&client(3), ("bob", "b"), Method::ALLOCATE, udp)
            .code,
        0
    );
    let end = |writer: &mut Writer<'_>| {
        writer.number(attribute::LIFETIME, 0);
    };
    assert_eq!(world.ask(&client(1), Method::REFRESH, end).code, 0);
    world.allocate(&client(4));
}

#[test]
fn ports_run_out_and_come_back() {
    let records = HeapRecords::new(100);
    let mut world = World::new(config(10), &records);
    for round in 0..3_u16 {
        for number in 0..10 {
            world.allocate(&client(round * 100 + number));
        }
        let refused = world.ask(&client(99), Method::ALLOCATE, udp);
        assert_eq!(refused.code, 508);
        assert_eq!(world.open_sockets(), 10);
        world.wait_s(602);
        assert_eq!(world.open_sockets(), 0);
    }
}

#[test]
fn families_are_given_as_they_are_asked_for() {
    let records = HeapRecords::new(8);
    let mut world = World::new(config(8), &records);
    let ask = |world: &mut World<'_>, number, kind, family| {
        let fill = |writer: &mut Writer<'_>| {
            udp(writer);
            writer.attribute(kind, &[family, 0, 0, 0]);
        };
        world.ask(&client(number), Method::ALLOCATE, fill)
    };
    let requested = attribute::REQUESTED_ADDRESS_FAMILY;
    let additional = attribute::ADDITIONAL_ADDRESS_FAMILY;
    assert!(ask(&mut world, 1, requested, 1).relayed[0].is_ipv4());
    assert!(ask(&mut world, 2, requested, 2).relayed[0].is_ipv6());
    assert_eq!(ask(&mut world, 3, requested, 3).code, 440);
    let both = ask(&mut world, 3, additional, 2).relayed;
    assert!(both[0].is_ipv4() && both[1].is_ipv6());
    assert_eq!(ask(&mut world, 4, additional, 1).code, 400);
    let v6 = "[2600::1]:5".parse().unwrap();
    let v4 = "8.8.8.8:5".parse().unwrap();
    assert_eq!(world.permit(&client(1), v4), 0);
    assert_eq!(world.permit(&client(1), v6), 443);
    assert_eq!(world.permit(&client(2), v4), 443);
    assert_eq!(world.permit(&client(3), v4), 0);
    assert_eq!(world.permit(&client(3), v6), 0);
    // Half of it ends, and its peers with it.
    let half = |writer: &mut Writer<'_>| {
        writer.number(attribute::LIFETIME, 0);
        writer.attribute(requested, &[2, 0, 0, 0]);
    };
    assert_eq!(world.ask(&client(3), Method::REFRESH, half).code, 0);
    assert_eq!(world.permit(&client(3), v6), 443);
    assert_eq!(world.permit(&client(3), v4), 0);

    let mut only_v4 = config(8);
    only_v4.relay_v6 = None;
    only_v4.ports.v6 = Vec::new();
    let records = HeapRecords::new(8);
    let mut world = World::new(only_v4, &records);
    assert_eq!(ask(&mut world, 1, requested, 2).code, 440);
    let partly = ask(&mut world, 1, additional, 2);
    assert_eq!((partly.code, partly.relayed.len()), (0, 1));
    let message = Message::parse(&partly.bytes).unwrap();
    assert_eq!(
        message.find(attribute::ADDRESS_ERROR_CODE),
        Some(&[2, 0, 4, 40][..])
    );
}

#[test]
fn an_even_port_comes_with_its_neighbour_for_who_shows_the_token() {
    let records = HeapRecords::new(8);
    let mut world = World::new(config(8), &records);
    let even = |writer: &mut Writer<'_>| {
        udp(writer);
        writer.attribute(attribute::EVEN_PORT, &[0x80]);
    };
    let first = world.ask(&client(1), Method::ALLOCATE, even);
    let token = first.token.unwrap();
    let with_token = |writer: &mut Writer<'_>| {
        udp(writer);
        writer.attribute(attribute::RESERVATION_TOKEN, &token);
    };
    let second = world.ask(&client(2), Method::ALLOCATE, with_token);
    assert_eq!(second.relayed[0].port(), first.relayed[0].port() + 1);
    assert_eq!(
        world.ask(&client(3), Method::ALLOCATE, with_token).code,
        508
    );
    let both = |writer: &mut Writer<'_>| {
        with_token(writer);
        writer.attribute(attribute::EVEN_PORT, &[0]);
    };
    assert_eq!(world.ask(&client(3), Method::ALLOCATE, both).code, 400);
}

#[test]
fn what_is_not_understood_or_not_done_is_named() {
    let records = HeapRecords::new(4);
    let mut world = World::new(config(4), &records);
    let fill = |writer: &mut Writer<'_>| {
        udp(writer);
        writer.attribute(attribute::DONT_FRAGMENT, &[]);
        writer.attribute(0x7abc, &[]);
        writer.attribute(0xffab, &[]);
    };
    let answer = world.ask(&client(1), Method::ALLOCATE, fill);
    assert_eq!(answer.code, 420);
    let message = Message::parse(&answer.bytes).unwrap();
    assert_eq!(
        message.find(attribute::UNKNOWN_ATTRIBUTES),
        Some(&[0, 0x1a, 0x7a, 0xbc][..])
    );
    let tcp = |writer: &mut Writer<'_>| {
        writer.attribute(attribute::REQUESTED_TRANSPORT, &[6, 0, 0, 0]);
    };
    assert_eq!(world.ask(&client(1), Method::ALLOCATE, tcp).code, 442);
    assert_eq!(world.ask(&client(1), Method::ALLOCATE, |_| ()).code, 400);
}

#[test]
fn a_draining_server_names_another_and_keeps_who_is_there() {
    let records = HeapRecords::new(4);
    let mut setup = config(4);
    setup.alternates = vec!["203.0.113.5:3478".parse().unwrap()];
    let mut world = World::new(setup, &records);
    world.allocate(&client(1));
    world.server.set_draining(true);
    let answer = world.ask(&client(2), Method::ALLOCATE, udp);
    assert_eq!(answer.code, 300);
    let message = Message::parse(&answer.bytes).unwrap();
    let value = message.find(attribute::ALTERNATE_SERVER).unwrap();
    assert_eq!(
        plenum_stun::address::read(value),
        Some("203.0.113.5:3478".parse().unwrap())
    );
    assert_eq!(world.ask(&client(1), Method::REFRESH, |_| ()).code, 0);
}

#[test]
fn forbidden_peers_are_refused_in_every_spelling() {
    let records = HeapRecords::new(4);
    let mut world = World::new(config(4), &records);
    let both = |writer: &mut Writer<'_>| {
        udp(writer);
        writer.attribute(attribute::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]);
    };
    assert_eq!(world.ask(&client(1), Method::ALLOCATE, both).code, 0);
    for ip in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "224.0.0.1",
        "0.0.0.0",
    ] {
        let ip: std::net::Ipv4Addr = ip.parse().unwrap();
        let spellings = disguises(ip).into_iter().map(std::net::IpAddr::from);
        for spelling in spellings.chain([ip.into()]) {
            let peer = std::net::SocketAddr::new(spelling, 3_478);
            let codes = [
                world.permit(&client(1), peer),
                world.bind(&client(1), 0x4000, peer),
            ];
            // A mapped address is of no family that could be relayed to.
            let expected = if spelling.is_ipv6() && spelling.to_canonical().is_ipv4() {
                443
            } else {
                403
            };
            assert_eq!(codes, [expected; 2], "{ip} as {spelling}");
        }
    }
    // Some service on the server's own relay address; a relay there is another thing.
    let own = |port| std::net::SocketAddr::from(([9, 9, 9, 9], port));
    assert_eq!(world.bind(&client(1), 0x4000, own(22)), 403);
    assert_eq!(world.bind(&client(1), 0x4000, own(50_000)), 0);
    assert_eq!(
        world.permit(&client(1), own(22)),
        0,
        "a permission has no port"
    );
    let packet = crate::fuzz::indication(own(22), b"x");
    assert!(matches!(
        world.send(&client(1), &packet),
        FromClient::Dropped(crate::Dropped::Unpermitted)
    ));
}

#[test]
fn strangers_get_no_more_than_they_sent_beyond_an_allowance() {
    let records = HeapRecords::new(4);
    let mut world = World::new(config(4), &records);
    let mut got = 0;
    for _ in 0..10_000 {
        got += world.bare(&client(1), Method::ALLOCATE).bytes.len();
    }
    let sent = 10_000 * 28;
    assert!(got > 10_000 && got <= sent + (17 << 10), "{got} of {sent}");
    // Somebody at another address is let in meanwhile.
    let other = Client {
        address: "198.51.100.200:9".parse().unwrap(),
        via: Via::Udp(0),
    };
    world.allocate(&other);
}
