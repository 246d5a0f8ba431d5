//! One core's loop: the only owner of sockets and time.
