//! SRTP and SRTCP contexts.
