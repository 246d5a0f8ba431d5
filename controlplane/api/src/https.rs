//! Serving a router over TLS, with a bound on everything a stranger may use up.
//!
//! Before anybody has shown credentials a connection costs memory and a file
//! descriptor: so there are so many at most, each must finish its handshake and
//! each request's header in time, and one that says nothing is closed. At
//! shutdown nothing new is taken in, requests at work are finished.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// Bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct HttpsLimits {
    /// Connections at one time; more wait in the kernel's backlog.
    pub connections: usize,
    /// From accepting to a finished TLS handshake.
    pub handshake: Duration,
    /// From the first byte awaited to a whole request header; also how long an
    /// idle connection is kept.
    pub header: Duration,
    /// How long a connection lives at most; the request at work is finished.
    /// Ends what neither reads nor goes away.
    pub lifetime: Duration,
    /// How long requests at work may take once the server is told to stop, or
    /// their connection's life is over.
    pub shutdown: Duration,
}

/// Room for a request's line and headers, give or take one read.
const MAX_HEADER_BYTES: usize = 64 * 1_024;

impl Default for HttpsLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(30),
            lifetime: Duration::from_secs(10 * 60),
            shutdown: Duration::from_secs(5),
        }
    }
}

/// Serves `router` on `listener` until `shutdown` comes about, then finishes
/// what is at work. The router finds the client's address as
/// [`ConnectInfo<SocketAddr>`].
pub async fn serve_https(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    limits: HttpsLimits,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let acceptor = Some(TlsAcceptor::from(tls));
    serve(listener, acceptor, router, limits, shutdown).await;
}

/// The same without TLS, for a router that tells nothing and takes nothing: one that
/// sends clients to the other.
pub async fn serve_http(
    listener: TcpListener,
    router: Router,
    limits: HttpsLimits,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    serve(listener, None, router, limits, shutdown).await;
}

async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    limits: HttpsLimits,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            // Those that have ended are let go of, or they would gather for ever.
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (acceptor, router) = (acceptor.clone(), router.clone());
                    let stopping = stopping.clone();
                    connections.spawn(async move {
                        connection(stream, peer, acceptor, router, limits, stopping).await;
                        drop(place);
                    });
                }
                Err(error) => pause_after(&error).await,
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    drop(listener);
    stop.send_replace(true);
    let all_done = async { while connections.join_next().await.is_some() {} };
    // What takes longer is cut off when `connections` is dropped.
    let _ = timeout(limits.shutdown, all_done).await;
}

/// A connection that failed is the client's affair; a lack of descriptors is
/// ours, and trying again at once would only burn the processor.
async fn pause_after(error: &io::Error) {
    let is_clients = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    );
    if !is_clients {
        tracing::warn!(%error, "HTTPS: cannot accept");
        sleep(Duration::from_millis(200)).await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    limits: HttpsLimits,
    mut stopping: watch::Receiver<bool>,
) {
    // Answers are small and written whole: waiting for more gains nothing.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        return requests(stream, peer, router, limits, stopping).await;
    };
    let handshake = timeout(limits.handshake, acceptor.accept(stream));
    let tls = tokio::select! {
        tls = handshake => match tls {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => return tracing::debug!(%peer, %error, "HTTPS: handshake failed"),
            Err(_) => return tracing::debug!(%peer, "HTTPS: handshake took too long"),
        },
        // An error means that the server itself is gone.
        _ = stopping.wait_for(|&stop| stop) => return,
    };
    requests(tls, peer, router, limits, stopping).await;
}

/// Serves the requests of a connection.
async fn requests(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: SocketAddr,
    router: Router,
    limits: HttpsLimits,
    mut stopping: watch::Receiver<bool>,
) {
    let stop = async {
        // An error means that the server itself is gone.
        let _ = stopping.wait_for(|&stop| stop).await;
    };
    let service = router.map_request(move |mut request: Request<_>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let service = TowerToHyperService::new(service);
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(MAX_HEADER_BYTES);
    // What becomes a WebSocket leaves our bounds; whoever upgrades it has its own.
    let serving = builder
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = either(stop, sleep(limits.lifetime)) => {
            serving.as_mut().graceful_shutdown();
            match timeout(limits.shutdown, serving).await {
                Ok(result) => result,
                Err(_) => return tracing::debug!(%peer, "HTTPS: cut off"),
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "HTTPS: connection failed");
    }
}

async fn either(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    tokio::select! {
        () = one => {}
        () = other => {}
    }
}
