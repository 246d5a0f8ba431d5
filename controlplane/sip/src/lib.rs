//! SIP signalling: transports and transactions from rsipstack, dialogs of our own that survive a restart.
