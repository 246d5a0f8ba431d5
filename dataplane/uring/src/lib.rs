//! io_uring, registered buffers and sockets of one worker.
