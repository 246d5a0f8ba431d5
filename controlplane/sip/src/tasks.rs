//! Tasks that all end together.
//!
//! A successor listens on the same ports, so a shutdown is over only when every
//! task that holds a socket is gone, not when it has been told to go.

use std::future::Future;

use rsipstack::platform::CancellationToken;
use tokio::sync::mpsc;

#[derive(Clone)]
pub(crate) struct Tasks {
    token: CancellationToken,
    alive: mpsc::Sender<()>,
}

/// Tells when all tasks are gone.
pub(crate) struct Gone(mpsc::Receiver<()>);

impl Gone {
    pub(crate) async fn wait(mut self) {
        // Nobody sends: this ends when the last sender is dropped.
        while self.0.recv().await.is_some() {}
    }
}

impl Tasks {
    pub(crate) fn new() -> (Self, Gone) {
        let (alive, gone) = mpsc::channel(1);
        let token = CancellationToken::new();
        (Self { token, alive }, Gone(gone))
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (token, alive) = (self.token.clone(), self.alive.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = work => {}
            }
            drop(alive);
        });
    }

    pub(crate) fn cancel(&self) {
        self.token.cancel();
    }

    pub(crate) fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}
