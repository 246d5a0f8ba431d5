//! Packet slots and their leases.
