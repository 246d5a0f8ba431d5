//! Long-term credentials (RFC 8489 section 9.2.4): who is asking, or what to
//! ask back.

use plenum_stun::{Key, Message, Method, PasswordAlgorithm, Writer, attribute};

use super::{Records, Server, Time};
use crate::Client;
use crate::credentials::Named;
use crate::nonce::{self, Features};

/// The algorithms as PASSWORD-ALGORITHMS has them: SHA-256, then MD5.
const ALGORITHMS: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

/// A request whose sender knows the password.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proved {
    pub(super) user: [u8; 16],
    pub(super) quota: [u8; 16],
    pub(super) key: Key,
    pub(super) realm: u16,
    /// The answer is signed as the request was.
    pub(super) sha256: bool,
}

impl Proved {
    /// Signs an answer.
    pub(super) fn sign(&self, writer: &mut Writer<'_>) {
        match self.sha256 {
            true => writer.sign_sha256(&self.key),
            false => writer.sign_sha1(&self.key),
        };
    }
}

/// Why a request is not carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NotProved {
    /// 401: nothing was shown, or the wrong thing.
    Unauthenticated,
    /// 438.
    StaleNonce,
    /// 400.
    BadRequest,
}

/// The algorithm that a request chose; an error when it was made to choose a
/// weaker one.
fn algorithm(message: &Message<'_>) -> Result<PasswordAlgorithm, NotProved> {
    let offered = message.find(attribute::PASSWORD_ALGORITHMS);
    let chosen = message.find(attribute::PASSWORD_ALGORITHM);
    match (offered, chosen) {
        // A client of RFC 5389 knows neither.
        (None, None) => Ok(PasswordAlgorithm::Md5),
        (Some(offered), Some(chosen)) if offered == ALGORITHMS => chosen
            .first_chunk()
            .and_then(|number| PasswordAlgorithm::from_number(u16::from_be_bytes(*number)))
            .ok_or(NotProved::BadRequest),
        _ => Err(NotProved::BadRequest),
    }
}

impl<R: Records> Server<R> {
    fn features(&self) -> Features {
        Features {
            user_anonymity: self.config.realms.iter().all(crate::Realm::knows_hashes),
        }
    }

    /// Who sent a request.
    pub(super) fn authenticate(
        &self,
        time: Time,
        client: &Client,
        message: &Message<'_>,
    ) -> Result<Proved, NotProved> {
        let has = |kind| message.find(kind).is_some();
        let sha256 = has(attribute::MESSAGE_INTEGRITY_SHA256);
        if !sha256 && !has(attribute::MESSAGE_INTEGRITY) {
            return Err(NotProved::Unauthenticated);
        }
        let named = match (
            message.find(attribute::USERNAME),
            message.find(attribute::USERHASH),
        ) {
            (Some(name), _) => Named::Name(name),
            (None, Some(hash)) => Named::Hash(hash.try_into().map_err(|_| NotProved::BadRequest)?),
            (None, None) => return Err(NotProved::BadRequest),
        };
        let (Some(realm_name), Some(nonce)) = (
            message.find(attribute::REALM),
            message.find(attribute::NONCE),
        ) else {
            return Err(NotProved::BadRequest);
        };
        if !nonce::is_good(&self.config.nonce_key, client, nonce, time.now) {
            return Err(NotProved::StaleNonce);
        }
        let algorithm = algorithm(message)?;
        let place = self
            .config
            .realms
            .iter()
            .position(|realm| realm.name().as_bytes() == realm_name)
            .ok_or(NotProved::Unauthenticated)?;
        let realm = &self.config.realms[place];
        let place = place as u16;
        let signed = |key: &Key| match sha256 {
            true => message.is_signed_sha256(key),
            false => message.is_signed_sha1(key),
        };
        // Who has an allocation proves itself by its key: a call does not end
        // because the credentials that it began with have run out meanwhile.
        let user = realm.identify(named);
        let known = self
            .slot_of(client)
            .and_then(|slot| self.allocations[slot as usize].as_ref())
            .filter(|known| known.user == user && known.realm == place && signed(&known.key));
        if let Some(known) = known {
            return Ok(Proved {
                user,
                quota: known.quota,
                key: known.key,
                realm: place,
                sha256,
            });
        }
        let candidate = realm
            .candidate(named, algorithm, time.unix_s)
            .ok_or(NotProved::Unauthenticated)?;
        let key = candidate
            .keys
            .iter()
            .copied()
            .find(signed)
            .ok_or(NotProved::Unauthenticated)?;
        Ok(Proved {
            user: candidate.user,
            quota: candidate.quota,
            key,
            realm: place,
            sha256,
        })
    }

    /// Writes what is asked back: 401 or 438 with a fresh nonce. The reasons are
    /// left out: every byte is one that a forged source could have sent to others.
    pub(super) fn challenge(
        &mut self,
        time: Time,
        client: &Client,
        method: Method,
        message: &Message<'_>,
        code: u16,
    ) {
        let expires = time.now + self.config.limits.nonce_lifetime;
        let nonce = nonce::make(&self.config.nonce_key, client, self.features(), expires);
        let realm = self.config.realms.first().map_or("", crate::Realm::name);
        let mut writer = Writer::new(
            &mut self.reply,
            plenum_stun::Class::Error,
            method,
            message.transaction(),
        );
        writer.error(code, "");
        writer.attribute(attribute::REALM, realm.as_bytes());
        writer.attribute(attribute::NONCE, &nonce);
        writer.attribute(attribute::PASSWORD_ALGORITHMS, &ALGORITHMS);
        if message.find(attribute::FINGERPRINT).is_some() {
            writer.fingerprint();
        }
        self.reply_len = writer.finish().unwrap_or(0);
    }
}
