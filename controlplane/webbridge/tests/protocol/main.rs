//! The Web Bridge as a browser sees it, over real sockets, with a pretended Call Bridge.

mod fake;
mod http;
mod socket;
