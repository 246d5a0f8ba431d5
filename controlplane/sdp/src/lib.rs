//! Offer and answer (RFC 3264) for a conferencing server.
