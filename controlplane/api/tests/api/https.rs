use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plenum_api::https::{HttpsLimits, serve_https};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Fake, basic};

struct Server {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn serve(fake: &Fake, limits: HttpsLimits) -> Server {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let router = fake.router();
    let task = tokio::spawn(serve_https(
        listener,
        Arc::new(tls),
        router,
        limits,
        async {
            let _ = stopped.await;
        },
    ));
    Server {
        address,
        certificate,
        stop,
        task,
    }
}

impl Server {
    async fn connect(&self) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        connector.connect(name, stream).await.unwrap()
    }
}

fn request(password: &str) -> String {
    format!(
        "GET /api/v1/system/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n\
         Connection: close\r\n\r\n",
        basic("admin", password)
    )
}

async fn exchange(stream: &mut TlsStream<TcpStream>, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Some stacks end without close_notify; what came counts.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_request_over_tls_is_answered_and_its_source_known() {
    let server = serve(&Fake::default(), HttpsLimits::default()).await;
    let answer = exchange(&mut server.connect().await, &request("right")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/xml\r\n"));
    // The lock-out counts by source: ours is found, or nothing would be locked.
    for _ in 0..10 {
        exchange(&mut server.connect().await, &request("wrong")).await;
    }
    let answer = exchange(&mut server.connect().await, &request("right")).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[tokio::test]
async fn who_does_not_finish_the_handshake_or_the_header_is_cut_off() {
    let limits = HttpsLimits {
        handshake: Duration::from_millis(200),
        header: Duration::from_millis(200),
        ..HttpsLimits::default()
    };
    let server = serve(&Fake::default(), limits).await;
    let start = Instant::now();
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut byte = [0];
    let ended = timeout(Duration::from_secs(5), silent.read(&mut byte)).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    assert!(start.elapsed() >= Duration::from_millis(200));

    let mut slow = server.connect().await;
    slow.write_all(b"GET /healthz HTT").await.unwrap();
    let mut answer = Vec::new();
    let ended = timeout(Duration::from_secs(5), slow.read_to_end(&mut answer)).await;
    assert!(ended.is_ok());
    assert!(!answer.starts_with(b"HTTP/1.1 200"));

    // A connection that was of use may rest no longer than a new one.
    for first in ["", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut idle = server.connect().await;
        idle.write_all(first.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = timeout(Duration::from_secs(5), idle.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{first}");
        assert_eq!(answer.starts_with(b"HTTP/1.1 200"), !first.is_empty());
    }

    let mut good = server.connect().await;
    let answer = exchange(&mut good, &request("right")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

/// It asks and asks and never reads: no timeout of hyper's ends that.
#[tokio::test]
async fn who_never_reads_is_cut_off_when_its_time_is_over() {
    let limits = HttpsLimits {
        lifetime: Duration::from_millis(500),
        shutdown: Duration::from_millis(200),
        ..HttpsLimits::default()
    };
    let server = serve(&Fake::default(), limits).await;
    let mut stream = server.connect().await;
    let line = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000);
    let writing = async { while stream.write_all(line.as_bytes()).await.is_ok() {} };
    let ended = timeout(Duration::from_secs(10), writing).await;
    assert!(ended.is_ok(), "the connection is still open");
}

#[tokio::test]
async fn a_header_over_the_bound_is_refused() {
    let limits = HttpsLimits {
        header: Duration::from_secs(2),
        ..HttpsLimits::default()
    };
    let server = serve(&Fake::default(), limits).await;
    let mut stream = server.connect().await;
    let long = format!(
        "GET /healthz HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(200_000)
    );
    let answer = exchange(&mut stream, &long).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn connections_over_the_bound_wait_for_a_place() {
    let limits = HttpsLimits {
        connections: 2,
        header: Duration::from_millis(500),
        ..HttpsLimits::default()
    };
    let server = serve(&Fake::default(), limits).await;
    let (one, two) = (server.connect().await, server.connect().await);
    assert!(
        timeout(Duration::from_millis(100), server.connect())
            .await
            .is_err()
    );
    drop(one);
    let mut third = timeout(Duration::from_secs(5), server.connect())
        .await
        .unwrap();
    let answer = exchange(&mut third, &request("right")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    drop(two);
}

#[tokio::test]
async fn at_shutdown_what_is_at_work_is_finished_and_nothing_new_begun() {
    let fake = Fake::slow(Duration::from_millis(300));
    let server = serve(&fake, HttpsLimits::default()).await;
    let mut idle = server.connect().await;
    let mut busy = server.connect().await;
    let asked = tokio::spawn(async move { exchange(&mut busy, &request("right")).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.send(()).unwrap();
    let answer = asked.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    timeout(Duration::from_secs(2), server.task)
        .await
        .expect("an idle connection must not hold the shutdown up")
        .unwrap();
    let mut rest = Vec::new();
    let _ = timeout(Duration::from_secs(1), idle.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
    assert!(TcpStream::connect(server.address).await.is_err());
}
