//! Takes every call on 127.0.0.1:5070 (UDP and TCP) with the caller's own SDP, for
//! trying the stack with a load generator.
//!
//! ```text
//! sipp -sn uac 127.0.0.1:5070 -i 127.0.0.1 -r 200 -m 2000 -d 500
//! ```

use plenum_sip::{Listener, SipConfig, SipEvent, SipStack, StartError, Transport};

#[tokio::main]
async fn main() -> Result<(), StartError> {
    let address = ([127, 0, 0, 1], 5070).into();
    let listen = [Transport::Udp, Transport::Tcp]
        .map(|transport| Listener { transport, address })
        .to_vec();
    let config = SipConfig {
        listen,
        ..SipConfig::default()
    };
    let (stack, mut events) = SipStack::start(config, Vec::new()).await?;
    while let Some(event) = events.recv().await {
        let done = match event {
            SipEvent::Invite { key, offer, .. } => stack.accept(key, offer.unwrap_or_default()),
            SipEvent::Reoffer { key, txn, offer } => stack.accept_reoffer(key, txn, offer),
            _ => Ok(()),
        };
        if done.is_err() {
            break;
        }
    }
    Ok(())
}
