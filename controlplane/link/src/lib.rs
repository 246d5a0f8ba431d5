//! Desired state to the dataplane's rings, events back; reconciliation after a restart.
