//! RTP, RTCP, jitter buffer, telephone events and address learning, sans-IO.
