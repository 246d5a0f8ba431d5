//! Digest challenges: ours to callers, and those of far ends to us.

use rsipstack::sip::{Request, Response};

use super::{Purpose, Sent, UserAgent};
use crate::message::Extra;
use crate::{DialogKey, auth, txn};

impl UserAgent {
    /// Who calls, where that is asked; the refusal otherwise.
    pub(super) fn authenticate(&self, request: &Request) -> Result<Option<String>, (u16, Extra)> {
        let Some(digest) = &self.net.config.digest else {
            return Ok(None);
        };
        let (secret, now) = (&self.nonce_secret, super::unix_now());
        let stale = match auth::verify(&request.headers, request.method, digest, secret, now) {
            auth::Proof::User(user) => return Ok(Some(user)),
            auth::Proof::Stale => ", stale=true",
            auth::Proof::None => "",
        };
        let nonce = auth::nonce(secret, now);
        let mut extra = Extra::default();
        // The better one first (RFC 8760 section 2.4).
        for algorithm in ["SHA-256", "MD5"] {
            extra = extra.with(
                "WWW-Authenticate",
                format!(
                    "Digest realm=\"{}\", nonce=\"{nonce}\", qop=\"auth\", algorithm={algorithm}{stale}",
                    digest.realm
                ),
            );
        }
        Err((401, extra))
    }

    /// Sends a challenged request again, with credentials. `false` where there are
    /// none, or they were refused.
    pub(super) fn authenticate_again(&mut self, id: u64, response: &Response) -> bool {
        let Some(sent) = self.clients.get(&id) else {
            return false;
        };
        let key = sent.key;
        let Some(leg) = self.legs.get(&key) else {
            return false;
        };
        if leg
            .asking
            .as_ref()
            .is_some_and(|asking| asking.id == id && asking.cancelled)
        {
            return false;
        }
        let Some(credentials) = leg.credentials().filter(|_| !sent.authenticated) else {
            return false;
        };
        let uri = sent.request.uri.to_string();
        let method = sent.request.method;
        let Some(header) = auth::answer(&response.headers, credentials, method, &uri) else {
            return false;
        };
        let extra = Extra::default().with(header.0, header.1);
        match sent.purpose {
            Purpose::Invite => self.send_invite(key, extra, true),
            _ => {
                let (purpose, request, to) =
                    (sent.purpose.clone(), sent.request.clone(), sent.to.clone());
                self.send_again(key, id, purpose, request, to, extra);
            }
        }
        true
    }

    fn send_again(
        &mut self,
        key: DialogKey,
        old: u64,
        purpose: Purpose,
        mut request: Request,
        to: txn::Target,
        extra: Extra,
    ) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        leg.dialog.local_cseq = leg.dialog.local_cseq.saturating_add(1);
        let number = leg.dialog.local_cseq;
        let value = format!("{number} {}", request.method);
        for header in request.headers.iter_mut() {
            if let rsipstack::sip::Header::CSeq(cseq) = header {
                cseq.replace(value.clone());
            }
        }
        for header in extra.0 {
            request.headers.push(header);
        }
        let id = self.send(Sent {
            key,
            purpose,
            request: request.clone(),
            to,
            authenticated: true,
            final_seen: false,
        });
        if let Some(leg) = self.legs.get_mut(&key)
            && let Some(asking) = leg.asking.as_mut().filter(|asking| asking.id == old)
        {
            asking.id = id;
            asking.cseq = number;
            asking.request = request;
        }
        self.changed(key);
    }
}
