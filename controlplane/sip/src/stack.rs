//! The application's handle.

use std::net::SocketAddr;

use tokio::sync::{mpsc, oneshot};

use crate::message::is_line;
use crate::txn::target;
use crate::ua::{self, Command};
use crate::{
    DialogKey, DialogState, Outbound, SipConfig, SipError, SipEvent, StartError, Transport, TxnId,
};

/// A running stack. Clones are handles to the same one; none of the methods
/// waits. A wish about a leg that has ended in the meantime is ignored: its
/// [`SipEvent::Ended`] is on the way.
#[derive(Clone, Debug)]
pub struct SipStack {
    commands: mpsc::Sender<Command>,
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
        ua::start(config, restored)
            .await
            .map(|(commands, addresses, events)| {
                let stack = Self {
                    commands,
                    addresses,
                };
                (stack, events)
            })
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
        if !(101..200).contains(&code) {
            return Err(SipError::BadValue);
        }
        self.send(Command::Provisional(key, code, sdp))
    }

    /// Answers an INVITE with 200. `sdp` is the answer, or our offer where the
    /// caller made none; its answer then comes with [`SipEvent::Established`].
    ///
    /// # Errors
    /// [`SipError`].
    pub fn accept(&self, key: DialogKey, sdp: String) -> Result<(), SipError> {
        self.send(Command::Accept(key, sdp))
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
        if !(300..700).contains(&code) || !is_line(reason) {
            return Err(SipError::BadValue);
        }
        self.send(Command::Reject(key, code, reason.to_owned(), retry_after))
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
        self.send(Command::AcceptReoffer(key, txn, sdp))
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
        if !(300..700).contains(&code) || !is_line(reason) {
            return Err(SipError::BadValue);
        }
        self.send(Command::RejectReoffer(key, txn, code, reason.to_owned()))
    }

    /// Ends a leg whatever its state: BYE, CANCEL, or 480 for a call that was not
    /// answered. `reason` goes into a Reason header (RFC 3326) where not empty.
    /// [`SipEvent::Ended`] follows.
    ///
    /// # Errors
    /// [`SipError`].
    pub fn hang_up(&self, key: DialogKey, reason: &str) -> Result<(), SipError> {
        if !is_line(reason) {
            return Err(SipError::BadValue);
        }
        self.send(Command::HangUp(key, reason.to_owned()))
    }

    /// Calls somebody.
    ///
    /// # Errors
    /// [`SipError`]; a URI that cannot be used is [`SipError::BadValue`].
    pub fn invite(&self, call: Outbound) -> Result<DialogKey, SipError> {
        check_call(&call)?;
        let key = DialogKey(rand::random());
        self.send(Command::Invite(key, Box::new(call)))?;
        Ok(key)
    }

    /// Gives the answer for [`SipEvent::DelayedOffer`] (goes out in the ACK).
    ///
    /// # Errors
    /// [`SipError`].
    pub fn acknowledge(&self, key: DialogKey, sdp: String) -> Result<(), SipError> {
        self.send(Command::Acknowledge(key, sdp))
    }

    /// Offers a changed session (hold, other codecs); `None` asks for the far end's
    /// offer. Answered by [`SipEvent::ReofferAnswered`], [`SipEvent::DelayedOffer`]
    /// or [`SipEvent::ReofferFailed`].
    ///
    /// # Errors
    /// [`SipError`].
    pub fn reinvite(&self, key: DialogKey, sdp: Option<String>) -> Result<(), SipError> {
        self.send(Command::Reinvite(key, sdp))
    }

    /// Sends INFO; its answer is not reported.
    ///
    /// # Errors
    /// [`SipError`].
    pub fn info(&self, key: DialogKey, content_type: &str, body: Vec<u8>) -> Result<(), SipError> {
        if !is_line(content_type) || content_type.is_empty() {
            return Err(SipError::BadValue);
        }
        self.send(Command::Info(key, content_type.to_owned(), body))
    }

    /// Takes a [`SipEvent::Refer`] (202) and tells the far end that it is being
    /// tried; report its end with [`Self::notify_refer`].
    ///
    /// # Errors
    /// [`SipError`].
    pub fn accept_refer(&self, key: DialogKey, txn: TxnId) -> Result<(), SipError> {
        self.send(Command::AcceptRefer(key, txn))
    }

    /// Refuses a [`SipEvent::Refer`].
    ///
    /// # Errors
    /// [`SipError`].
    pub fn reject_refer(&self, key: DialogKey, txn: TxnId, code: u16) -> Result<(), SipError> {
        if !(300..700).contains(&code) {
            return Err(SipError::BadValue);
        }
        self.send(Command::RejectRefer(key, txn, code))
    }

    /// Tells how the referred call stands, as a status; 200 and above is the end.
    ///
    /// # Errors
    /// [`SipError`].
    pub fn notify_refer(&self, key: DialogKey, code: u16) -> Result<(), SipError> {
        if !(100..700).contains(&code) {
            return Err(SipError::BadValue);
        }
        self.send(Command::NotifyRefer(key, code))
    }

    /// Stops listening and sending. Dialogs are left as they are, for a successor;
    /// who wants them ended calls [`Self::hang_up`] first.
    pub async fn shutdown(&self) {
        let (done, gone) = oneshot::channel();
        if self.commands.send(Command::Shutdown(done)).await.is_ok() {
            let _ = gone.await;
        }
    }

    fn send(&self, command: Command) -> Result<(), SipError> {
        self.commands
            .try_send(command)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => SipError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => SipError::Closed,
            })
    }
}

/// Whether a call's values can stand in a message.
fn check_call(call: &Outbound) -> Result<(), SipError> {
    let mut lines = vec![&call.to_display, &call.from_display, &call.contact_user];
    for (name, value) in &call.headers {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(SipError::BadValue);
        }
        lines.push(value);
    }
    let uris = [Some(&call.to), Some(&call.from), call.proxy.as_ref()];
    for uri in uris.into_iter().flatten() {
        lines.push(uri);
        let clean = !uri.contains(|next: char| next.is_whitespace() || "<>\"".contains(next));
        if !clean || target(uri).is_none() {
            return Err(SipError::BadValue);
        }
    }
    match lines.iter().all(|line| is_line(line)) {
        true => Ok(()),
        false => Err(SipError::BadValue),
    }
}
