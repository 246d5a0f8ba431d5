//! Being called, over UDP.

mod far;

use std::time::Duration;

use far::{ANSWER, Far, SDP, Us, config};
use plenum_sip::{Cause, SipEvent, Transport};

#[tokio::test]
async fn a_call_comes_and_the_far_end_hangs_up() {
    let mut us = Us::start(config(), vec![]).await;
    let address = us.address(Transport::Udp);
    let far = Far::new(address).await;
    let mut call = far.call("one");
    let invite = call.request("INVITE", "User-Agent: Tester/1\r\n", SDP);
    far.send(&invite).await;
    let event = us.event().await;
    let SipEvent::Invite {
        key,
        from,
        offer,
        peer,
        local,
        request_uri,
        user_agent,
        ..
    } = event
    else {
        panic!("{event:?}");
    };
    assert_eq!(from.display, "Far");
    assert_eq!(from.uri, "sip:far@example.org");
    assert_eq!(offer.as_deref(), Some(SDP));
    assert_eq!((peer, local), (far.own(), address));
    assert_eq!(request_uri, format!("sip:room@{address}"));
    assert_eq!(user_agent, "Tester/1");
    assert_eq!(far.receive().await.code(), 100);
    // Repeated: the same 100 again, and no second event.
    far.send(&invite).await;
    assert_eq!(far.receive().await.code(), 100);

    us.stack.accept(key, ANSWER.to_owned()).unwrap();
    let ok = far.final_answer().await;
    assert_eq!(ok.code(), 200);
    assert_eq!(ok.contact(), format!("sip:room@{address}"));
    assert_eq!(ok.body(), ANSWER);
    assert_eq!(ok.to_tag(), key.to_string());
    // Repeated until the ACK.
    assert_eq!(far.final_answer().await.0, ok.0);
    assert_eq!(far.final_answer().await.0, ok.0);
    call.taken(&ok);
    far.send(&call.request("ACK", "", "")).await;
    assert_eq!(
        us.event().await,
        SipEvent::Established { key, answer: None }
    );
    let state = us.state.clone().unwrap();
    assert_eq!(state.local_sdp.as_deref(), Some(ANSWER));

    let bye = call.request("BYE", "", "");
    far.send(&bye).await;
    assert_eq!(far.answer_to("BYE").await.code(), 200);
    us.ended(key, Cause::Bye).await;
    far.send(&bye).await;
    assert_eq!(far.answer_to("BYE").await.code(), 200, "repeated");
    far.send(&call.request("BYE", "", "")).await;
    assert_eq!(far.answer_to("BYE").await.code(), 481, "no more");
    us.quiet(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn we_hang_up() {
    let mut us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let (call, key) = far.establish(&mut us, "hangup").await;
    us.stack.hang_up(key, "the meeting is over").unwrap();
    let bye = far.request("BYE").await;
    assert!(
        bye.first()
            .starts_with(&format!("BYE sip:far@{}", far.own()))
    );
    assert!(bye.need("To").ends_with(&format!(";tag={}", call.tag)));
    assert!(bye.need("From").contains(&call.to_tag));
    assert!(bye.need("Reason").contains("the meeting is over"));
    far.send(&bye.answer("200 OK", "", "", "")).await;
    us.ended(key, Cause::Local).await;
    us.quiet(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn a_bye_that_nobody_answers_ends_the_leg() {
    let mut us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let (_, key) = far.establish(&mut us, "deaf").await;
    us.stack.hang_up(key, "").unwrap();
    us.ended(key, Cause::Local).await;
}

#[tokio::test]
async fn a_call_is_refused() {
    let mut us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let mut call = far.call("refused");
    far.send(&call.request("INVITE", "", SDP)).await;
    let key = us.invite().await;
    us.stack
        .reject(key, 503, "no \"room\" left", Some(30))
        .unwrap();
    let answer = far.final_answer().await;
    assert_eq!(answer.code(), 503);
    assert_eq!(answer.need("Retry-After"), "30");
    assert_eq!(answer.need("Warning"), "399 plenum \"no 'room' left\"");
    assert_eq!(far.final_answer().await.0, answer.0, "repeated");
    call.to_tag = answer.to_tag();
    far.send(&call.write("ACK", "", "")).await;
    us.ended(key, Cause::Local).await;
    far.silent(Duration::from_millis(250)).await;
}

#[tokio::test]
async fn a_call_is_taken_back() {
    let mut us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let mut call = far.call("cancel");
    far.send(&call.request("INVITE", "", SDP)).await;
    let key = us.invite().await;
    us.stack.provisional(key, 180, None).unwrap();
    assert_eq!(far.receive().await.code(), 100);
    let ringing = far.receive().await;
    assert_eq!(ringing.code(), 180);
    assert_eq!(ringing.to_tag(), key.to_string());
    far.send(&call.request("CANCEL", "", "")).await;
    assert_eq!(far.answer_to("CANCEL").await.code(), 200);
    let answer = far.answer_to("INVITE").await;
    assert_eq!(answer.code(), 487);
    call.to_tag = answer.to_tag();
    far.send(&call.write("ACK", "", "")).await;
    us.ended(key, Cause::Cancel).await;
    // Nothing of what the application wishes now matters.
    us.stack.accept(key, ANSWER.to_owned()).unwrap();
    us.quiet(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn an_answer_that_is_not_acknowledged_ends_in_bye() {
    let mut us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let mut call = far.call("noack");
    far.send(&call.request("INVITE", "", SDP)).await;
    let key = us.invite().await;
    us.stack.accept(key, ANSWER.to_owned()).unwrap();
    let bye = far.request("BYE").await;
    far.send(&bye.answer("200 OK", "", "", "")).await;
    us.ended(key, Cause::Timeout).await;
}

#[tokio::test]
async fn we_hang_up_before_the_ack() {
    let mut us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let mut call = far.call("early");
    far.send(&call.request("INVITE", "", SDP)).await;
    let key = us.invite().await;
    us.stack.accept(key, ANSWER.to_owned()).unwrap();
    us.stack.hang_up(key, "").unwrap();
    call.taken(&far.final_answer().await);
    // The BYE waits for the ACK (RFC 3261 section 15).
    assert_eq!(far.receive().await.code(), 200, "repeated, no BYE");
    far.send(&call.request("ACK", "", "")).await;
    let bye = far.request("BYE").await;
    far.send(&bye.answer("200 OK", "", "", "")).await;
    us.ended(key, Cause::Local).await;

    // Before any answer it is 480.
    let mut call = far.call("earlier");
    far.send(&call.request("INVITE", "", SDP)).await;
    let key = us.invite().await;
    us.stack.hang_up(key, "locked").unwrap();
    let answer = far.final_answer().await;
    assert_eq!(answer.code(), 480);
    assert!(answer.need("Warning").contains("locked"));
    us.ended(key, Cause::Local).await;
}

#[tokio::test]
async fn a_call_can_replace_another() {
    let mut us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let (old, key) = far.establish(&mut us, "old").await;
    for (name, to_tag, wanted) in [
        ("new", old.to_tag.as_str(), Some(key)),
        ("odd", "unknown", None),
    ] {
        let mut call = far.call(name);
        let (id, from) = (&old.call_id, &old.tag);
        let more = format!("Replaces: {id};to-tag={to_tag};from-tag={from}\r\n");
        far.send(&call.request("INVITE", &more, SDP)).await;
        let event = us.event().await;
        let SipEvent::Invite { replaces, .. } = event else {
            panic!("{event:?}");
        };
        assert_eq!(replaces.map(|replaces| replaces.key), Some(wanted));
    }
}

#[tokio::test]
async fn our_offer_is_answered_in_the_ack() {
    let mut us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let mut call = far.call("delayed");
    far.send(&call.request("INVITE", "", "")).await;
    let event = us.event().await;
    let SipEvent::Invite { key, offer, .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!(offer, None);
    us.stack.accept(key, SDP.to_owned()).unwrap();
    let ok = far.final_answer().await;
    assert_eq!(ok.body(), SDP);
    call.taken(&ok);
    far.send(&call.request("ACK", "", ANSWER)).await;
    let answer = Some(ANSWER.to_owned());
    assert_eq!(us.event().await, SipEvent::Established { key, answer });
}

#[tokio::test]
async fn what_is_outside_of_dialogs_is_answered() {
    let us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let mut call = far.call("outside");
    far.send(&call.request("OPTIONS", "", "")).await;
    let ok = far.final_answer().await;
    assert_eq!(ok.code(), 200);
    assert!(ok.need("Allow").contains("INVITE"));
    assert!(ok.need("Accept").contains("application/sdp"));
    assert!(ok.need("Supported").contains("timer"));
    for (method, code) in [
        ("MESSAGE", 405),
        ("REGISTER", 405),
        ("SUBSCRIBE", 489),
        ("BYE", 481),
        ("INFO", 481),
        ("FANCY", 501),
    ] {
        far.send(&call.request(method, "", "")).await;
        let answer = far.answer_to(method).await;
        assert_eq!(answer.code(), code, "{method}");
        assert_eq!(answer.get("Allow").is_some(), matches!(code, 405 | 501));
    }
    call.to_tag = "0123456789abcdef0123456789abcdef".to_owned();
    far.send(&call.request("INVITE", "", SDP)).await;
    assert_eq!(far.answer_to("INVITE").await.code(), 481);
}
