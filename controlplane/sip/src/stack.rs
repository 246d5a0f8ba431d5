//! The application's handle.

use std::net::SocketAddr;

use tokio::sync::mpsc;

use crate::{
    DialogKey, DialogState, Outbound, SipConfig, SipError, SipEvent, StartError, Transport, TxnId,
};

/// A running stack. Clones are handles to the same one; none of the methods
/// waits. A wish about a leg that has ended in the meantime is ignored: its
/// [`SipEvent::Ended`] is on the way.
#[derive(Clone, Debug)]
pub struct SipStack {
    commands: mpsc::Sender<()>,
    addresses: Vec<(Transport, SocketAddr)>,
}

impl SipStack {
    /// Binds the listeners, takes the restored dialogs up and starts.
    ///
    /// The receiver must be drained; when it is dropped the stack answers every
    /// new INVITE with 503.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(
        config: SipConfig,
        restored: Vec<DialogState>,
    ) -> Result<(Self, mpsc::Receiver<SipEvent>), StartError> {
        let _ = (config, restored);
        Err(StartError::Config("not built yet".to_owned()))
    }

    /// The addresses that are listened on, with the ports that were taken.
    #[must_use]
    pub fn local_addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.addresses
    }

    /// Answers an INVITE provisionally (101 to 199), with early SDP where given.
    ///
    /// # Errors
    /// [`SipError`].
    pub fn provisional(
        &self,
        key: DialogKey,
        code: u16,
        sdp: Option<String>,
    ) -> Result<(), SipError> {
        let _ = (key, code, sdp);
        self.send()
    }

    /// Answers an INVITE with 200. `sdp` is the answer, or our offer where the
    /// caller made none; its answer then comes with [`SipEvent::Established`].
    ///
    /// # Errors
    /// [`SipError`].
    pub fn accept(&self, key: DialogKey, sdp: String) -> Result<(), SipError> {
        let _ = (key, sdp);
        self.send()
    }

    /// Refuses an INVITE (300 to 699). `reason` goes into a Warning header (399)
    /// where it is not empty; `retry_after` is in seconds.
    ///
    /// # Errors
    /// [`SipError`].
    pub fn reject(
        &self,
        key: DialogKey,
        code: u16,
        reason: &str,
        retry_after: Option<u32>,
    ) -> Result<(), SipError> {
        let _ = (key, code, reason, retry_after);
        self.send()
    }

    /// Takes a change of session: 200 with `sdp`, which is the answer, or our offer
    /// where the far end made none. `None` only for a request without SDP.
    ///
    /// # Errors
    /// [`SipError`].
    pub fn accept_reoffer(
        &self,
        key: DialogKey,
        txn: TxnId,
        sdp: Option<String>,
    ) -> Result<(), SipError> {
        let _ = (key, txn, sdp);
        self.send()
    }

    /// Refuses a change of session; the session goes on as before.
    ///
    /// # Errors
    /// [`SipError`].
    pub fn reject_reoffer(
        &self,
        key: DialogKey,
        txn: TxnId,
        code: u16,
        reason: &str,
    ) -> Result<(), SipError> {
        let _ = (key, txn, code, reason);
        self.send()
    }

    /// Ends a leg whatever its state: BYE, CANCEL, or 480 for a call that was not
    /// answered. `reason` goes into a Reason header (RFC 3326) where not empty.
    /// [`SipEvent::Ended`] follows.
    ///
    /// # Errors
    /// [`SipError`].
    pub fn hang_up(&self, key: DialogKey, reason: &str) -> Result<(), SipError> {
        let _ = (key, reason);
        self.send()
    }

    /// Calls somebody.
    ///
    /// # Errors
    /// [`SipError`]; a URI that cannot be used is [`SipError::BadValue`].
    pub fn invite(&self, call: Outbound) -> Result<DialogKey, SipError> {
        let _ = call;
        self.send()?;
        Ok(DialogKey(0))
    }

    /// Gives the answer for [`SipEvent::DelayedOffer`] (goes out in the ACK).
    ///
    /// # Errors
    /// [`SipError`].
    pub fn acknowledge(&self, key: DialogKey, sdp: String) -> Result<(), SipError> {
        let _ = (key, sdp);
        self.send()
    }

    /// Offers a changed session (hold, other codecs); `None` asks for the far end's
    /// offer. Answered by [`SipEvent::ReofferAnswered`], [`SipEvent::DelayedOffer`]
    /// or [`SipEvent::ReofferFailed`].
    ///
    /// # Errors
    /// [`SipError`].
    pub fn reinvite(&self, key: DialogKey, sdp: Option<String>) -> Result<(), SipError> {
        let _ = (key, sdp);
        self.send()
    }

    /// Sends INFO; its answer is not reported.
    ///
    /// # Errors
    /// [`SipError`].
    pub fn info(&self, key: DialogKey, content_type: &str, body: Vec<u8>) -> Result<(), SipError> {
        let _ = (key, content_type, body);
        self.send()
    }

    /// Takes a [`SipEvent::Refer`] (202) and tells the far end that it is being
    /// tried; report its end with [`Self::notify_refer`].
    ///
    /// # Errors
    /// [`SipError`].
    pub fn accept_refer(&self, key: DialogKey, txn: TxnId) -> Result<(), SipError> {
        let _ = (key, txn);
        self.send()
    }

    /// Refuses a [`SipEvent::Refer`].
    ///
    /// # Errors
    /// [`SipError`].
    pub fn reject_refer(&self, key: DialogKey, txn: TxnId, code: u16) -> Result<(), SipError> {
        let _ = (key, txn, code);
        self.send()
    }

    /// Tells how the referred call stands, as a status; 200 and above is the end.
    ///
    /// # Errors
    /// [`SipError`].
    pub fn notify_refer(&self, key: DialogKey, code: u16) -> Result<(), SipError> {
        let _ = (key, code);
        self.send()
    }

    /// Stops listening and sending. Dialogs are left as they are, for a successor;
    /// who wants them ended calls [`Self::hang_up`] first.
    pub async fn shutdown(&self) {}

    fn send(&self) -> Result<(), SipError> {
        self.commands.try_send(()).map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => SipError::Overloaded,
            mpsc::error::TrySendError::Closed(()) => SipError::Closed,
        })
    }
}
