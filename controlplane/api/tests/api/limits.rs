use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use plenum_api::Limits;

use crate::{Fake, Got, ask, basic, get, send};

#[tokio::test]
async fn a_body_over_the_bound_is_413_and_changes_nothing() {
    let fake = Fake::default();
    let router = fake.router_with(Limits {
        body_bytes: 100,
        ..Limits::default()
    });
    let form = |len: usize| format!("name=a&x={}", "y".repeat(len - 9));
    let got = ask(&router, "POST", "/api/v1/coSpaces", &form(101)).await;
    assert_eq!(got.status.as_u16(), 413);
    assert_eq!(fake.spaces_len(), 0);
    ask(&router, "POST", "/api/v1/coSpaces", &form(100))
        .await
        .done();
}

#[tokio::test]
async fn too_many_requests_a_second_are_503_with_retry_after() {
    let router = Fake::default().router_with(Limits {
        requests_per_second: 1,
        burst: 5,
        ..Limits::default()
    });
    let mut refused = 0;
    for _ in 0..20 {
        let got = get(&router, "/api/v1/coSpaces").await;
        if got.status.as_u16() == 503 {
            assert!(got.header("retry-after").is_some());
            refused += 1;
        }
    }
    // The test may take a second or two on a busy machine.
    assert!((12..=15).contains(&refused), "{refused}");
    let health = Request::builder().uri("/healthz").body(Body::empty());
    assert_eq!(send(&router, health.unwrap()).await.status.as_u16(), 200);
}

#[tokio::test]
async fn too_many_requests_at_one_time_are_503() {
    let fake = Fake::slow(Duration::from_millis(200));
    let router = fake.router_with(Limits {
        concurrent: 3,
        ..Limits::default()
    });
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let router = router.clone();
            tokio::spawn(async move { get(&router, "/api/v1/system/status").await.status })
        })
        .collect();
    let mut served = 0;
    for task in tasks {
        served += u32::from(task.await.unwrap().as_u16() == 200);
    }
    assert_eq!(served, 3);
    get(&router, "/api/v1/system/status").await.shown();
}

async fn from(router: &axum::Router, peer: &str, password: &str) -> Got {
    let peer: SocketAddr = peer.parse().unwrap();
    let request = Request::builder()
        .uri("/api/v1/coSpaces")
        .header("authorization", basic("admin", password))
        .extension(ConnectInfo(peer))
        .body(Body::empty())
        .unwrap();
    send(router, request).await
}

#[tokio::test]
async fn wrong_credentials_again_and_again_lock_their_source_out_and_no_other() {
    let router = Fake::default().router();
    for n in 0..10 {
        let got = from(&router, "192.0.2.1:1000", "wrong").await;
        assert_eq!(got.status.as_u16(), 401, "{n}");
    }
    let got = from(&router, "192.0.2.1:2000", "right").await;
    assert_eq!(got.status.as_u16(), 403);
    assert!(got.header("retry-after").is_some());
    assert_eq!(
        from(&router, "192.0.2.2:1000", "right")
            .await
            .status
            .as_u16(),
        200
    );
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    // Right credentials wipe the slate clean: the next mistake is free again.
    for (password, status) in [("right", 200), ("wrong", 401), ("right", 200)] {
        let got = from(&router, "192.0.2.1:1000", password).await;
        assert_eq!(got.status.as_u16(), status);
    }
}

#[tokio::test]
async fn asking_without_credentials_is_no_failure_and_takes_nothing_from_the_others() {
    let router = Fake::default().router_with(Limits {
        requests_per_second: 1,
        burst: 1,
        ..Limits::default()
    });
    for _ in 0..30 {
        let request = Request::builder().uri("/api/v1/coSpaces");
        let got = send(&router, request.body(Body::empty()).unwrap()).await;
        assert_eq!(got.status.as_u16(), 401);
    }
    get(&router, "/api/v1/coSpaces").await.shown();
}
