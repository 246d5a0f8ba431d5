//! Changes of a call that stands, and everything else inside a dialog.

mod far;

use std::time::Duration;

use far::{ANSWER, Far, SDP, Us, config};
use plenum_sip::{Cause, SipEvent, Transport};

async fn start(name: &str) -> (Us, Far, far::Call, plenum_sip::DialogKey) {
    let mut us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let (call, key) = far.establish(&mut us, name).await;
    (us, far, call, key)
}

#[tokio::test]
async fn the_far_end_changes_the_session() {
    let (mut us, far, mut call, key) = start("reinvite").await;
    let invite = call.request("INVITE", "", SDP);
    far.send(&invite).await;
    let SipEvent::Reoffer { txn, offer, .. } = us.event().await else {
        panic!("no offer");
    };
    assert_eq!(offer.as_deref(), Some(SDP));
    // While it is being decided another is too much.
    let mut other = call.clone();
    far.send(&other.request("INVITE", "", SDP)).await;
    assert_eq!(far.final_answer().await.code(), 500);
    far.send(&other.write("ACK", "", "")).await;
    us.stack
        .accept_reoffer(key, txn, Some(ANSWER.to_owned()))
        .unwrap();
    let ok = far.final_answer().await;
    assert_eq!((ok.code(), ok.body()), (200, ANSWER));
    far.send(&call.request("ACK", "", "")).await;
    us.quiet(Duration::from_millis(150)).await;

    // Without SDP: ours is the offer, the ACK has the answer.
    call.cseq = other.cseq;
    far.send(&call.request("INVITE", "", "")).await;
    let SipEvent::Reoffer {
        txn, offer: None, ..
    } = us.event().await
    else {
        panic!("no question");
    };
    us.stack
        .accept_reoffer(key, txn, Some(SDP.to_owned()))
        .unwrap();
    assert_eq!(far.answer_to("INVITE").await.body(), SDP);
    far.send(&call.request("ACK", "", ANSWER)).await;
    let answer = ANSWER.to_owned();
    assert_eq!(us.event().await, SipEvent::ReofferAnswered { key, answer });

    // Refused: everything stays.
    far.send(&call.request("INVITE", "", SDP)).await;
    let SipEvent::Reoffer { txn, .. } = us.event().await else {
        panic!("no offer");
    };
    us.stack.reject_reoffer(key, txn, 488, "no codec").unwrap();
    assert_eq!(far.answer_to("INVITE").await.code(), 488);
    far.send(&call.write("ACK", "", "")).await;
    far.send(&call.request("BYE", "", "")).await;
    assert_eq!(far.answer_to("BYE").await.code(), 200);
    us.ended(key, Cause::Bye).await;
}

#[tokio::test]
async fn the_far_end_updates() {
    let (mut us, far, mut call, key) = start("update").await;
    far.send(&call.request("UPDATE", "", SDP)).await;
    let SipEvent::Reoffer { txn, .. } = us.event().await else {
        panic!("no offer");
    };
    us.stack
        .accept_reoffer(key, txn, Some(ANSWER.to_owned()))
        .unwrap();
    let ok = far.final_answer().await;
    assert_eq!((ok.code(), ok.body()), (200, ANSWER));
    // Without SDP it only refreshes; nobody is asked.
    let more = "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n";
    far.send(&call.request("UPDATE", more, "")).await;
    let ok = far.final_answer().await;
    assert_eq!(ok.code(), 200);
    assert_eq!(ok.need("Session-Expires"), "600;refresher=uac");
    assert_eq!(ok.need("Require"), "timer");
    us.quiet(Duration::from_millis(50)).await;
    let timer = us.state.clone().unwrap().session_timer.unwrap();
    assert_eq!((timer.interval_s, timer.we_refresh), (600, false));
    let more = "Supported: timer\r\nSession-Expires: 60\r\n";
    far.send(&call.request("UPDATE", more, "")).await;
    let small = far.final_answer().await;
    assert_eq!((small.code(), small.need("Min-SE")), (422, "90".to_owned()));
}

#[tokio::test]
async fn we_change_the_session_and_meet_the_far_end_doing_so() {
    let (mut us, far, mut call, key) = start("ours").await;
    us.stack.reinvite(key, Some(SDP.to_owned())).unwrap();
    let invite = far.request("INVITE").await;
    assert_eq!(invite.body(), SDP);
    // Glare: both at once (RFC 3261 section 14).
    far.send(&call.request("INVITE", "", SDP)).await;
    let glare = far.answer_to("INVITE").await;
    assert_eq!(glare.code(), 491);
    far.send(&call.write("ACK", "", "")).await;
    us.stack.reinvite(key, Some(SDP.to_owned())).unwrap();
    assert_eq!(us.event().await, SipEvent::ReofferFailed { key, code: 491 });
    let more = format!("Contact: {}\r\n", call.contact);
    far.send(&invite.answer("200 OK", "", &more, ANSWER)).await;
    far.request("ACK").await;
    let answer = ANSWER.to_owned();
    assert_eq!(us.event().await, SipEvent::ReofferAnswered { key, answer });

    // Without SDP the far end offers, and we answer in the ACK.
    us.stack.reinvite(key, None).unwrap();
    let invite = far.request("INVITE").await;
    assert_eq!(invite.body(), "");
    far.send(&invite.answer("200 OK", "", &more, SDP)).await;
    let offer = SDP.to_owned();
    assert_eq!(us.event().await, SipEvent::DelayedOffer { key, offer });
    us.stack.acknowledge(key, ANSWER.to_owned()).unwrap();
    assert_eq!(far.request("ACK").await.body(), ANSWER);

    us.stack.reinvite(key, Some(SDP.to_owned())).unwrap();
    let invite = far.request("INVITE").await;
    far.send(&invite.answer("491 Request Pending", "", "", ""))
        .await;
    far.request("ACK").await;
    assert_eq!(us.event().await, SipEvent::ReofferFailed { key, code: 491 });

    us.stack.reinvite(key, Some(SDP.to_owned())).unwrap();
    let invite = far.request("INVITE").await;
    far.send(&invite.answer("481 Gone", "", "", "")).await;
    us.ended(key, Cause::Gone).await;
}

#[tokio::test]
async fn digits_and_other_info() {
    let (mut us, far, mut call, key) = start("info").await;
    let info = call.request(
        "INFO",
        "Content-Type: application/dtmf-relay\r\n",
        "Signal=5\r\nDuration=160\r\n",
    );
    let info = info.replace("Content-Type: application/sdp\r\n", "");
    far.send(&info).await;
    far.send(&info).await;
    assert_eq!(far.final_answer().await.code(), 200);
    let digit = SipEvent::DtmfInfo {
        key,
        digit: '5',
        duration_ms: 160,
    };
    assert_eq!(us.event().await, digit);
    us.quiet(Duration::from_millis(50)).await;
    let info = call.request("INFO", "Content-Type: text/plain;x=y\r\n", "hello");
    far.send(&info.replace("Content-Type: application/sdp\r\n", ""))
        .await;
    let content_type = "text/plain".to_owned();
    let body = b"hello".to_vec();
    assert_eq!(
        us.event().await,
        SipEvent::Info {
            key,
            content_type,
            body
        }
    );
    us.stack
        .info(key, "application/dtmf", b"7".to_vec())
        .unwrap();
    let info = far.request("INFO").await;
    assert_eq!(
        (info.body(), info.need("Content-Type").as_str()),
        ("7", "application/dtmf")
    );
    far.send(&info.answer("481 Gone", "", "", "")).await;
    us.ended(key, Cause::Gone).await;
}

#[tokio::test]
async fn a_transfer_is_taken_or_not() {
    let (mut us, far, mut call, key) = start("refer").await;
    far.send(&call.request("REFER", "", "")).await;
    assert_eq!(far.final_answer().await.code(), 400);
    let more = "Refer-To: <sip:c@d?Replaces=x%3Bto-tag%3D1>\r\nReferred-By: <sip:far@x>\r\n";
    far.send(&call.request("REFER", more, "")).await;
    let SipEvent::Refer {
        txn,
        refer_to,
        referred_by,
        ..
    } = us.event().await
    else {
        panic!("no REFER");
    };
    assert_eq!(refer_to, "sip:c@d?Replaces=x%3Bto-tag%3D1");
    assert_eq!(referred_by, "<sip:far@x>");
    us.stack.accept_refer(key, txn).unwrap();
    let (mut answer, mut notify) = (None, None);
    while answer.is_none() || notify.is_none() {
        let text = far.receive().await;
        match text.method() {
            "NOTIFY" => notify = Some(text),
            _ => answer = Some(text),
        }
    }
    assert_eq!(answer.unwrap().code(), 202);
    let notify = notify.unwrap();
    assert_eq!(notify.body(), "SIP/2.0 100 Trying\r\n");
    assert!(notify.need("Subscription-State").starts_with("active"));
    far.send(&notify.answer("200 OK", "", "", "")).await;
    us.stack.notify_refer(key, 200).unwrap();
    let notify = far.request("NOTIFY").await;
    assert_eq!(notify.body(), "SIP/2.0 200 OK\r\n");
    assert!(notify.need("Subscription-State").starts_with("terminated"));
    far.send(&notify.answer("200 OK", "", "", "")).await;

    far.send(&call.request("REFER", more, "")).await;
    let SipEvent::Refer { txn, .. } = us.event().await else {
        panic!("no REFER");
    };
    us.stack.reject_refer(key, txn, 603).unwrap();
    assert_eq!(far.answer_to("REFER").await.code(), 603);
}

#[tokio::test]
async fn numbers_must_grow_and_names_must_fit() {
    let (_us, far, mut call, _) = start("order").await;
    far.send(&call.request("OPTIONS", "", "")).await;
    assert_eq!(far.final_answer().await.code(), 200);
    call.cseq -= 1;
    call.branch += 1;
    far.send(&call.write("OPTIONS", "", "")).await;
    assert_eq!(far.final_answer().await.code(), 500);
    call.cseq += 5;
    far.send(&call.request("MESSAGE", "", "")).await;
    assert_eq!(far.final_answer().await.code(), 405);
    far.send(&call.request("OPTIONS", "Require: foo, timer\r\n", ""))
        .await;
    let bad = far.final_answer().await;
    assert_eq!(
        (bad.code(), bad.need("Unsupported")),
        (420, "foo".to_owned())
    );
    let mut wrong = call.clone();
    wrong.tag = "other".to_owned();
    far.send(&wrong.request("OPTIONS", "", "")).await;
    assert_eq!(far.final_answer().await.code(), 481);
}

#[tokio::test]
async fn a_reliable_provisional_answer_waits_for_prack() {
    let mut us = Us::start(config(), vec![]).await;
    let far = Far::new(us.address(Transport::Udp)).await;
    let mut call = far.call("rel");
    far.send(&call.request("INVITE", "Require: 100rel\r\n", SDP))
        .await;
    let key = us.invite().await;
    us.stack.provisional(key, 180, None).unwrap();
    assert_eq!(far.receive().await.code(), 100);
    let ringing = far.receive().await;
    assert_eq!(ringing.need("Require"), "100rel");
    let number = ringing.need("RSeq");
    assert_eq!(far.receive().await.need("RSeq"), number, "repeated");
    let mut early = call.clone();
    early.to_tag = ringing.to_tag();
    far.send(&early.request("PRACK", "RAck: 99 1 INVITE\r\n", ""))
        .await;
    assert_eq!(far.answer_to("PRACK").await.code(), 481);
    far.send(&early.request("PRACK", &format!("RAck: {number} 1 INVITE\r\n"), ""))
        .await;
    assert_eq!(far.answer_to("PRACK").await.code(), 200);
    far.silent(Duration::from_millis(150)).await;
    us.stack.accept(key, ANSWER.to_owned()).unwrap();
    assert_eq!(far.final_answer().await.code(), 200);
}
