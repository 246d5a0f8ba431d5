//! What no far end should send, too much of it, and much of what it may.

mod far;

use std::time::{Duration, Instant};

use far::{ANSWER, Far, SDP, Us, config, listener};
use plenum_sip::{Cause, DigestConfig, SipConfig, SipEvent, Transport};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Messages that are wrong in one way each.
fn wrong(us: std::net::SocketAddr) -> Vec<Vec<u8>> {
    let good = format!(
        "INVITE sip:room@{us} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKwrong\r\n\
         Max-Forwards: 70\r\nFrom: <sip:f@x>;tag=w\r\nTo: <sip:t@x>\r\nCall-ID: wrong@x\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:f@127.0.0.1:9>\r\nContent-Length: 0\r\n\r\n"
    );
    let swap = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1).into_bytes()
    };
    let long = "x".repeat(60_000);
    let mut all = vec![
        b"\0\0\0\0".to_vec(),
        b"\xff\xfe\xfd".to_vec(),
        b"INVITE".to_vec(),
        b"INVITE \r\n\r\n".to_vec(),
        b"SIP/2.0\r\n\r\n".to_vec(),
        b"SIP/2.0 99999 x\r\n\r\n".to_vec(),
        b"\r\n\r\n\r\n\r\nx\r\n\r\n".to_vec(),
        swap("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"),
        swap("INVITE sip", "inv\u{e4}te sip"),
        swap("sip:room@", "sip:ro?om@@"),
        swap("sip:room@", "[[["),
        swap("Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKwrong\r\n", ""),
        swap(
            "Via: SIP/2.0/UDP 127.0.0.1:9;",
            "Via: SIP/2.0/QQQ :::;;;,,,",
        ),
        swap(";branch=z9hG4bKwrong", ";branch="),
        swap("127.0.0.1:9;branch", "127.0.0.1:99999999;branch"),
        swap("From: <sip:f@x>;tag=w\r\n", ""),
        swap(";tag=w", ""),
        swap(";tag=w", ";tag="),
        swap("<sip:f@x>;tag=w", "\"\\"),
        swap("To: <sip:t@x>", "To: <<<>>>;;;"),
        swap("To: <sip:t@x>", "To: <sip:t@x>;tag=\u{0}"),
        swap("Call-ID: wrong@x\r\n", ""),
        swap("Call-ID: wrong@x", "Call-ID: "),
        swap("CSeq: 1 INVITE\r\n", ""),
        swap("1 INVITE\r\n", "99999999999999999999 INVITE\r\n"),
        swap("1 INVITE\r\n", "-1 INVITE\r\n"),
        swap("1 INVITE\r\n", "1 BYE\r\n"),
        swap("1 INVITE\r\n", "INVITE\r\n"),
        swap("Max-Forwards: 70", "Max-Forwards: x"),
        swap("Max-Forwards: 70", "Max-Forwards: 0"),
        swap("Contact: <sip:f@127.0.0.1:9>\r\n", ""),
        swap("Contact: <sip:f@127.0.0.1:9>", "Contact: *"),
        swap("Content-Length: 0", "Content-Length: 999"),
        swap("Content-Length: 0", "Content-Length: -1"),
        swap("Content-Length: 0", "Content-Length: 18446744073709551615"),
        swap(
            "Content-Length: 0",
            "Session-Expires: x;;;\r\nMin-SE: -\r\nContent-Length: 0",
        ),
        swap(
            "Content-Length: 0",
            "Replaces: ;;;=\r\nRequire: ,,,\r\nContent-Length: 0",
        ),
        swap(
            "Content-Length: 0",
            "Authorization: Dig\u{e9}st =\"\\\r\nContent-Length: 0",
        ),
        swap("Call-ID: wrong@x", &format!("Call-ID: {long}")),
        swap(
            "Contact: ",
            &format!("{}Contact: ", "Record-Route: <sip:\r\n".repeat(500)),
        ),
        swap(
            "From: ",
            "Via: SIP/2.0/UDP x\r\nFrom: <sip:y>;tag=2\r\nFrom: ",
        ),
        good.replace("INVITE", "ACK").into_bytes(),
        good.replace("INVITE", "CANCEL").into_bytes(),
        good.replace("INVITE", "PRACK").into_bytes(),
    ];
    // Cut anywhere.
    for at in (1..good.len()).step_by(7) {
        all.push(good.as_bytes()[..at].to_vec());
    }
    // Any byte changed.
    for at in (0..good.len()).step_by(5) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] ^= 0x80;
        all.push(bytes);
    }
    all
}

#[tokio::test]
async fn malformed_datagrams_harm_nobody() {
    let us = Us::start(config(), vec![]).await;
    let address = us.address(Transport::Udp);
    let far = Far::new(address).await;
    for (number, bytes) in wrong(address).into_iter().enumerate() {
        far.socket.send_to(&bytes, address).await.unwrap();
        if number % 16 == 0 {
            far.alive(&format!("udp-{number}")).await;
        }
    }
    far.alive("udp-end").await;
}

#[tokio::test]
async fn malformed_streams_harm_nobody_else() {
    let config = SipConfig {
        listen: vec![
            listener(Transport::Tcp, "127.0.0.1:0"),
            listener(Transport::Udp, "127.0.0.1:0"),
        ],
        ..config()
    };
    let us = Us::start(config, vec![]).await;
    let address = us.address(Transport::Tcp);
    let far = Far::new(us.address(Transport::Udp)).await;
    let mut open = Vec::new();
    for bytes in wrong(address) {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(&bytes).await.unwrap();
        open.push(socket);
    }
    // One that never stops its headers is closed.
    let mut socket = TcpStream::connect(address).await.unwrap();
    let endless = "OPTIONS sip:x SIP/2.0\r\n".to_owned() + &"X: y\r\n".repeat(20_000);
    let _ = socket.write_all(endless.as_bytes()).await;
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut rest));
    assert!(closed.await.is_ok(), "closed");
    far.alive("tcp-end").await;
    // An unknown method is answered, and the connection goes on.
    let mut socket = TcpStream::connect(address).await.unwrap();
    let mut call = far::Call::new("TCP", socket.local_addr().unwrap(), address, "fancy");
    let both = call.request("FANCY", "", "") + &call.request("OPTIONS", "", "");
    socket.write_all(both.as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.contains("SIP/2.0 200") {
        let mut chunk = [0; 4096];
        let length = tokio::time::timeout(Duration::from_secs(5), socket.read(&mut chunk));
        let length = length.await.expect("an answer").unwrap();
        assert!(length > 0, "closed: {text}");
        text.push_str(&String::from_utf8_lossy(&chunk[..length]));
    }
    assert!(text.contains("SIP/2.0 501"), "{text}");
}

#[tokio::test]
async fn what_is_asked_for_and_not_known_is_refused() {
    let us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    for (name, more, code, header) in [
        ("require", "Require: timer, foo\r\n", 420, "Unsupported"),
        (
            "session",
            "Supported: timer\r\nSession-Expires: 89\r\n",
            422,
            "Min-SE",
        ),
    ] {
        let mut call = far.call(name);
        far.send(&call.request("INVITE", more, SDP)).await;
        let answer = far.final_answer().await;
        assert_eq!(answer.code(), code);
        answer.need(header);
        call.to_tag = answer.to_tag();
        far.send(&call.write("ACK", "", "")).await;
    }
    let mut call = far.call("hops");
    let text = call.request("INVITE", "", SDP);
    far.send(&text.replace("Max-Forwards: 70", "Max-Forwards: 0"))
        .await;
    assert_eq!(far.final_answer().await.code(), 483);
    let mut call = far.call("body");
    let text = call.request("INVITE", "", "hello");
    far.send(&text.replace("application/sdp", "text/plain"))
        .await;
    loop {
        let answer = far.final_answer().await;
        if answer.need("Call-ID") == call.call_id {
            assert_eq!(answer.code(), 415);
            break;
        }
    }
}

#[tokio::test]
async fn an_invite_that_comes_on_two_ways_is_one_call() {
    let mut us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let mut call = far.call("merged");
    far.send(&call.request("INVITE", "", SDP)).await;
    us.invite().await;
    call.branch += 1;
    far.send(&call.write("INVITE", "", SDP)).await;
    assert_eq!(far.final_answer().await.code(), 482);
    us.quiet(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn too_many_dialogs_are_refused_and_one_that_ends_makes_room() {
    let config = SipConfig {
        max_dialogs: 2,
        retry_after_s: 7,
        ..config()
    };
    let mut us = Us::start(config, vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let (mut first, key) = far.establish(&mut us, "a").await;
    far.establish(&mut us, "b").await;
    let mut call = far.call("c");
    far.send(&call.request("INVITE", "", SDP)).await;
    let answer = far.final_answer().await;
    assert_eq!(
        (answer.code(), answer.need("Retry-After")),
        (503, "7".to_owned())
    );
    call.to_tag = answer.to_tag();
    far.send(&call.write("ACK", "", "")).await;
    us.quiet(Duration::from_millis(50)).await;
    far.send(&first.request("BYE", "", "")).await;
    far.answer_to("BYE").await;
    us.ended(key, Cause::Bye).await;
    far.establish(&mut us, "d").await;
}

#[tokio::test]
async fn an_application_that_is_gone_takes_no_calls() {
    let us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let stack = us.stack.clone();
    drop(us);
    let mut call = far.call("gone");
    far.send(&call.request("INVITE", "", SDP)).await;
    assert_eq!(far.final_answer().await.code(), 503);
    drop(stack);
}

#[tokio::test]
async fn callers_prove_who_they_are() {
    let digest = DigestConfig {
        realm: "here".to_owned(),
        lookup: Arc::new(|user| (user == "u").then(|| "p".to_owned())),
    };
    let asking = SipConfig {
        digest: Some(digest),
        ..config()
    };
    let mut us = Us::start(asking, vec![]).await;
    // Our own caller knows how to answer.
    let mut caller = Us::start(config(), vec![]).await;
    let call = |password: &str| plenum_sip::Outbound {
        to: format!("sip:room@{}", us.stack.local_addresses()[0].1),
        from: "sip:u@here".to_owned(),
        sdp: Some(SDP.to_owned()),
        credentials: Some(plenum_sip::Credentials {
            user: "u".to_owned(),
            password: password.to_owned(),
        }),
        ..plenum_sip::Outbound::default()
    };
    let (wrong, right) = (call("x"), call("p"));
    caller.stack.invite(wrong).unwrap();
    assert!(matches!(
        caller.event().await,
        SipEvent::Rejected { code: 401, .. }
    ));
    let theirs = caller.stack.invite(right).unwrap();
    let event = us.event().await;
    let SipEvent::Invite {
        key, authenticated, ..
    } = event
    else {
        panic!("{event:?}");
    };
    assert_eq!(authenticated.as_deref(), Some("u"));
    us.stack.accept(key, ANSWER.to_owned()).unwrap();
    let answer = Some(ANSWER.to_owned());
    assert_eq!(
        caller.event().await,
        SipEvent::Established {
            key: theirs,
            answer
        }
    );
}

#[tokio::test]
async fn five_hundred_calls() {
    let mut us = Us::start(config(), vec![]).await;
    let mut caller = Us::start(config(), vec![]).await;
    let to = format!("sip:room@{}", us.address(Transport::Udp));
    let begun = Instant::now();
    let (mut placed, mut taken, mut ended, mut ended_there) = (0, 0, 0, 0);
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    while ended < 500 || ended_there < 500 {
        tokio::select! {
            _ = pace.tick(), if placed < 500 => {
                placed += 1;
                let call = plenum_sip::Outbound {
                    to: to.clone(),
                    from: "sip:x@y".to_owned(),
                    sdp: Some(SDP.to_owned()),
                    ..plenum_sip::Outbound::default()
                };
                caller.stack.invite(call).unwrap();
            }
            event = us.event() => match event {
                SipEvent::Invite { key, .. } => us.stack.accept(key, ANSWER.to_owned()).unwrap(),
                SipEvent::Established { .. } => taken += 1,
                SipEvent::Ended { cause, .. } => {
                    assert_eq!(cause, Cause::Bye);
                    ended += 1;
                }
                other => panic!("{other:?}"),
            },
            event = caller.event() => match event {
                SipEvent::Established { key, .. } => caller.stack.hang_up(key, "").unwrap(),
                SipEvent::Ended { .. } => ended_there += 1,
                other => panic!("{other:?}"),
            },
        }
    }
    assert!(taken >= 490, "BYE may overtake ACK, but seldom: {taken}");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}
