//! The dialog itself (RFC 3261 section 12), as a plain value.
//!
//! Nothing here waits, sends or keeps anything beside [`DialogState`]: what a
//! request in the dialog looks like follows from the state alone, in this process
//! or in its successor.

use rsipstack::sip::{Method, Request, Uri};

use crate::message::{self, Extra, NameAddr};
use crate::{DialogState, Role};

/// What a request's CSeq number says (section 12.2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// Newer than everything before.
    New,
    /// Old or again: 500.
    Late,
}

impl DialogState {
    /// Our tag.
    pub(crate) fn local_tag(&self) -> String {
        self.key.to_string()
    }

    /// Whether a message with these names belongs here.
    pub(crate) fn matches(&self, call_id: &str, remote_tag: &str) -> bool {
        self.call_id == call_id && self.remote_tag == remote_tag
    }

    /// Takes a request's number.
    pub(crate) fn take_cseq(&mut self, number: u32) -> Order {
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return Order::Late;
        }
        self.remote_cseq = Some(number);
        Order::New
    }

    /// Takes the far end's new Contact from a target refresh request or its answer.
    pub(crate) fn refresh_target(&mut self, headers: &rsipstack::sip::Headers) {
        if let Some(uri) = message::contact_uri(headers) {
            self.remote_target = uri;
        }
    }

    /// Where the next request goes: the first route, or the remote target.
    pub(crate) fn next_hop(&self) -> String {
        self.route_set.first().map_or_else(
            || self.remote_target.clone(),
            |route| NameAddr::parse(route).party.uri,
        )
    }

    /// A request in this dialog, without Via. ACK and CANCEL take their INVITE's
    /// number, everything else the next.
    ///
    /// `None` where the remote target is no URI that can be called.
    pub(crate) fn request(
        &mut self,
        method: Method,
        cseq: Option<u32>,
        extra: Extra,
        content_type: &str,
        body: Vec<u8>,
    ) -> Option<Request> {
        let number = cseq.unwrap_or_else(|| {
            self.local_cseq = self.local_cseq.saturating_add(1);
            self.local_cseq
        });
        let mut uri = self.remote_target.clone();
        let mut routes = self.route_set.clone();
        // A first route without `lr` is a strict router: it wants to be the
        // request's URI (section 12.2.1.1).
        if let Some(first) = routes.first() {
            let first = NameAddr::parse(first).party.uri;
            let (_, params) = first.split_once(';').unwrap_or_default();
            if message::param(params, "lr").is_none() {
                routes.remove(0);
                routes.push(format!("<{uri}>"));
                uri = first;
            }
        }
        let mut headers = Extra::default();
        for route in routes {
            headers = headers.with("Route", route);
        }
        headers = headers
            .with("Max-Forwards", "70")
            .with(
                "From",
                message::name_addr(&self.local_party, &self.local_tag()),
            )
            .with(
                "To",
                message::name_addr(&self.remote_party, &self.remote_tag),
            )
            .with("Call-ID", self.call_id.clone())
            .with("CSeq", format!("{number} {method}"));
        headers.0.extend(extra.0);
        let uri = Uri::try_from(uri.as_str()).ok()?;
        Some(message::request(method, uri, headers, content_type, body))
    }

    /// The route set from Record-Route: as it comes for the called, reversed for
    /// the caller (sections 12.1.1 and 12.1.2).
    pub(crate) fn take_routes(&mut self, headers: &rsipstack::sip::Headers) {
        let mut routes = message::values(headers, "Record-Route");
        if self.role == Role::Caller {
            routes.reverse();
        }
        self.route_set = routes;
    }
}
