//! Calling, over UDP.

mod far;

use std::time::Duration;

use far::{ANSWER, Far, SDP, Text, Us, config, timers};
use plenum_sip::{
    Cause, Credentials, DialogKey, Outbound, SipConfig, SipError, SipEvent, Timers, Transport,
};

fn call_to(far: &Far) -> Outbound {
    Outbound {
        to: format!("sip:bob@{}", far.own()),
        to_display: "Bob \"B\"".to_owned(),
        from: "sip:room@example.org".to_owned(),
        from_display: "Room".to_owned(),
        contact_user: "room".to_owned(),
        sdp: Some(SDP.to_owned()),
        headers: vec![("X-Tag".to_owned(), "1".to_owned())],
        ..Outbound::default()
    }
}

async fn start() -> (Us, Far) {
    let us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    (us, far)
}

fn contact(far: &Far) -> String {
    format!(
        "Contact: <sip:bob@{}>\r\nAllow: INVITE, ACK, BYE, UPDATE\r\n",
        far.own()
    )
}

/// Our INVITE is taken.
async fn take(us: &mut Us, far: &Far, key: DialogKey) -> Text {
    let invite = far.request("INVITE").await;
    far.send(&invite.answer("200 OK", "bob", &contact(far), ANSWER))
        .await;
    far.request("ACK").await;
    let answer = Some(ANSWER.to_owned());
    assert_eq!(us.event().await, SipEvent::Established { key, answer });
    invite
}

#[tokio::test]
async fn a_call_rings_and_is_taken() {
    let (mut us, far) = start().await;
    let key = us.stack.invite(call_to(&far)).unwrap();
    let invite = far.request("INVITE").await;
    assert!(
        invite
            .first()
            .starts_with(&format!("INVITE sip:bob@{} ", far.own()))
    );
    assert_eq!(invite.body(), SDP);
    assert_eq!(invite.need("X-Tag"), "1");
    assert_eq!(invite.contact(), format!("sip:room@{}", far.us));
    assert!(
        invite
            .need("From")
            .starts_with("\"Room\" <sip:room@example.org>;tag=")
    );
    assert!(invite.need("To").starts_with("\"Bob \\\"B\\\"\" <sip:bob@"));
    far.send(&invite.answer("100 Trying", "", "", "")).await;
    far.send(&invite.answer("180 Ringing", "bob", &contact(&far), ""))
        .await;
    assert_eq!(
        us.event().await,
        SipEvent::Progress {
            key,
            code: 180,
            sdp: None
        }
    );
    let route = "Record-Route: <sip:127.0.0.1:9;lr>, <sip:";
    let more = format!("{}{route}{};lr>\r\n", contact(&far), far.own());
    let ok = invite.answer("200 OK", "bob", &more, ANSWER);
    far.send(&ok).await;
    let ack = far.request("ACK").await;
    assert_eq!(
        ack.need("CSeq").split(' ').next(),
        invite.need("CSeq").split(' ').next()
    );
    let own = far.own();
    assert_eq!(
        ack.all("Route"),
        [format!("<sip:{own};lr>"), "<sip:127.0.0.1:9;lr>".to_owned()]
    );
    let answer = Some(ANSWER.to_owned());
    assert_eq!(us.event().await, SipEvent::Established { key, answer });
    // The 2xx came again: so does the ACK, and no event.
    far.send(&ok).await;
    assert_eq!(far.request("ACK").await.need("CSeq"), ack.need("CSeq"));
    us.quiet(Duration::from_millis(50)).await;
    us.stack.hang_up(key, "").unwrap();
    let bye = far.request("BYE").await;
    far.send(&bye.answer("200 OK", "", "", "")).await;
    us.ended(key, Cause::Local).await;
}

#[tokio::test]
async fn another_branch_of_a_fork_is_ended() {
    let (mut us, far) = start().await;
    let key = us.stack.invite(call_to(&far)).unwrap();
    let invite = take(&mut us, &far, key).await;
    far.send(&invite.answer("200 OK", "second", &contact(&far), ANSWER))
        .await;
    let ack = far.request("ACK").await;
    assert!(ack.need("To").ends_with(";tag=second"));
    let bye = far.request("BYE").await;
    assert!(bye.need("To").ends_with(";tag=second"));
    far.send(&bye.answer("200 OK", "", "", "")).await;
    us.quiet(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn a_stranger_s_2xx_is_not_acknowledged() {
    let (us, far) = start().await;
    let call = far.call("stranger");
    let invite = Text(call.write("INVITE", "", ""));
    let text = invite.answer("200 OK", "x", &contact(&far), ANSWER);
    far.send(&text.replace("far-stranger", &"0".repeat(32)))
        .await;
    far.silent(Duration::from_millis(150)).await;
    drop(us);
}

#[tokio::test]
async fn the_far_end_s_offer_is_answered_in_our_ack() {
    let (mut us, far) = start().await;
    let call = Outbound {
        sdp: None,
        ..call_to(&far)
    };
    let key = us.stack.invite(call).unwrap();
    let invite = far.request("INVITE").await;
    assert_eq!(invite.body(), "");
    far.send(&invite.answer("200 OK", "bob", &contact(&far), SDP))
        .await;
    let offer = SDP.to_owned();
    assert_eq!(us.event().await, SipEvent::DelayedOffer { key, offer });
    us.stack.acknowledge(key, ANSWER.to_owned()).unwrap();
    assert_eq!(far.request("ACK").await.body(), ANSWER);
    assert_eq!(
        us.event().await,
        SipEvent::Established { key, answer: None }
    );
}

#[tokio::test]
async fn a_call_is_refused_or_sent_elsewhere() {
    let (mut us, far) = start().await;
    let key = us.stack.invite(call_to(&far)).unwrap();
    let invite = far.request("INVITE").await;
    far.send(&invite.answer("486 Not Now", "bob", "", "")).await;
    let ack = far.request("ACK").await;
    assert!(
        ack.need("Via") == invite.need("Via"),
        "the ACK is the transaction's"
    );
    let reason = "Not Now".to_owned();
    let contacts = vec![];
    assert_eq!(
        us.event().await,
        SipEvent::Rejected {
            key,
            code: 486,
            reason,
            contacts
        }
    );
    let key = us.stack.invite(call_to(&far)).unwrap();
    let invite = far.request("INVITE").await;
    let more = "Contact: <sip:a@b>, <sip:c@d>;q=0.1\r\n";
    far.send(&invite.answer("302 Moved Temporarily", "bob", more, ""))
        .await;
    match us.event().await {
        SipEvent::Rejected {
            key: which,
            code,
            contacts,
            ..
        } => {
            assert_eq!((which, code), (key, 302));
            assert_eq!(contacts, ["sip:a@b", "sip:c@d"]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_that_nobody_answers_is_given_up() {
    let (mut us, far) = start().await;
    let key = us.stack.invite(call_to(&far)).unwrap();
    match us.event().await {
        SipEvent::Rejected {
            key: which, code, ..
        } => assert_eq!((which, code), (key, 408)),
        other => panic!("{other:?}"),
    }
    // Ringing for ever ends too.
    let config = SipConfig {
        timers: Timers {
            ringing_max: Duration::from_millis(200),
            ..timers()
        },
        ..config()
    };
    let mut us = Us::start(config, vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let key = us.stack.invite(call_to(&far)).unwrap();
    let invite = far.request("INVITE").await;
    far.send(&invite.answer("180 Ringing", "bob", &contact(&far), ""))
        .await;
    us.event().await;
    match us.event().await {
        SipEvent::Rejected {
            key: which, code, ..
        } => assert_eq!((which, code), (key, 408)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_is_taken_back() {
    let (mut us, far) = start().await;
    let key = us.stack.invite(call_to(&far)).unwrap();
    let invite = far.request("INVITE").await;
    // Not before there was an answer (RFC 3261 section 9.1).
    us.stack.hang_up(key, "").unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    far.send(&invite.answer("180 Ringing", "bob", &contact(&far), ""))
        .await;
    let cancel = far.request("CANCEL").await;
    assert_eq!(cancel.need("Via"), invite.need("Via"));
    far.send(&cancel.answer("200 OK", "bob", "", "")).await;
    far.send(&invite.answer("487 Request Terminated", "bob", "", ""))
        .await;
    far.request("ACK").await;
    us.ended(key, Cause::Local).await;
}

#[tokio::test]
async fn a_call_that_is_taken_while_we_take_it_back_is_ended() {
    let (mut us, far) = start().await;
    let key = us.stack.invite(call_to(&far)).unwrap();
    let invite = far.request("INVITE").await;
    far.send(&invite.answer("180 Ringing", "bob", &contact(&far), ""))
        .await;
    us.event().await;
    us.stack.hang_up(key, "").unwrap();
    far.request("CANCEL").await;
    far.send(&invite.answer("200 OK", "bob", &contact(&far), ANSWER))
        .await;
    far.request("ACK").await;
    let bye = far.request("BYE").await;
    far.send(&bye.answer("200 OK", "", "", "")).await;
    us.ended(key, Cause::Local).await;
}

#[tokio::test]
async fn a_challenge_is_answered_once() {
    let (mut us, far) = start().await;
    let credentials = Some(Credentials {
        user: "u".to_owned(),
        password: "p".to_owned(),
    });
    let call = Outbound {
        credentials,
        ..call_to(&far)
    };
    let key = us.stack.invite(call).unwrap();
    let first = far.request("INVITE").await;
    let more = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=MD5\r\n";
    far.send(&first.answer("401 Unauthorized", "bob", more, ""))
        .await;
    far.request("ACK").await;
    let second = far.request("INVITE").await;
    assert!(
        second
            .need("Authorization")
            .contains("username=\"u\", realm=\"r\", nonce=\"n\"")
    );
    assert_eq!(second.need("Call-ID"), first.need("Call-ID"));
    assert_ne!(second.need("CSeq"), first.need("CSeq"));
    far.send(&second.answer("401 Unauthorized", "bob", more, ""))
        .await;
    match us.event().await {
        SipEvent::Rejected {
            key: which, code, ..
        } => assert_eq!((which, code), (key, 401)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_longer_session_is_asked_for_once() {
    let (mut us, far) = start().await;
    let key = us.stack.invite(call_to(&far)).unwrap();
    let first = far.request("INVITE").await;
    assert_eq!(first.need("Session-Expires"), "1800");
    far.send(&first.answer(
        "422 Session Interval Too Small",
        "bob",
        "Min-SE: 3000\r\n",
        "",
    ))
    .await;
    far.request("ACK").await;
    let second = far.request("INVITE").await;
    assert_eq!(second.need("Session-Expires"), "3000");
    assert_eq!(second.need("Min-SE"), "3000");
    let more = format!("{}Session-Expires: 3000;refresher=uas\r\n", contact(&far));
    far.send(&second.answer("200 OK", "bob", &more, ANSWER))
        .await;
    assert!(matches!(us.event().await, SipEvent::Established { key: k, .. } if k == key));
    us.quiet(Duration::from_millis(30)).await;
    let timer = us.state.unwrap().session_timer.unwrap();
    assert_eq!((timer.interval_s, timer.we_refresh), (3000, false));
}

#[tokio::test]
async fn a_reliable_provisional_answer_is_confirmed() {
    let (mut us, far) = start().await;
    let key = us.stack.invite(call_to(&far)).unwrap();
    let invite = far.request("INVITE").await;
    let more = format!("{}Require: 100rel\r\nRSeq: 7\r\n", contact(&far));
    let early = invite.answer("183 Session Progress", "bob", &more, ANSWER);
    far.send(&early).await;
    let prack = far.request("PRACK").await;
    let number = invite.need("CSeq").split(' ').next().unwrap().to_owned();
    assert_eq!(prack.need("RAck"), format!("7 {number} INVITE"));
    far.send(&prack.answer("200 OK", "", "", "")).await;
    let sdp = Some(ANSWER.to_owned());
    assert_eq!(
        us.event().await,
        SipEvent::Progress {
            key,
            code: 183,
            sdp: sdp.clone()
        }
    );
    far.send(&early).await;
    // The answer has been given: the 2xx needs none.
    far.send(&invite.answer("200 OK", "bob", &contact(&far), ""))
        .await;
    far.request("ACK").await;
    assert_eq!(us.event().await, SipEvent::Established { key, answer: sdp });
}

#[tokio::test]
async fn what_cannot_be_sent_is_said_at_once() {
    let (mut us, far) = start().await;
    for to in ["tel:5", "sip:", "sip:a b@c", "sip:a@b>\r\nX: y", "http://x"] {
        let call = Outbound {
            to: to.to_owned(),
            ..call_to(&far)
        };
        assert_eq!(us.stack.invite(call), Err(SipError::BadValue), "{to}");
    }
    let headers = vec![("X".to_owned(), "a\r\nEvil: 1".to_owned())];
    let call = Outbound {
        headers,
        ..call_to(&far)
    };
    assert_eq!(us.stack.invite(call), Err(SipError::BadValue));
    // No TCP listener, and nobody listens there either.
    let call = Outbound {
        to: "sip:a@127.0.0.1:1;transport=tcp".to_owned(),
        ..call_to(&far)
    };
    let key = us.stack.invite(call).unwrap();
    match us.event().await {
        SipEvent::Rejected {
            key: which, code, ..
        } => assert_eq!((which, code), (key, 503)),
        other => panic!("{other:?}"),
    }
    us.stack.shutdown().await;
    assert_eq!(us.stack.invite(call_to(&far)), Err(SipError::Closed));
}
