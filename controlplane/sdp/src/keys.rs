//! What lines of every kind say of their transport: keys (SDES) by the encryption
//! that is wished, profile and RTCP.

use std::fmt::Write;
use std::net::IpAddr;

use rand::CryptoRng;

use crate::remote::RemoteStream;
use crate::sdes::Crypto;
use crate::{Encryption, LocalMedia, NegotiationError, Srtp};

/// The profile of our offers.
pub(crate) fn offered_profile(local: &LocalMedia) -> &'static str {
    // With optional encryption the keys ride on the plain profile: who does not
    // know them ignores them, and one media line is all that everybody takes.
    if local.encryption == Encryption::Required {
        "RTP/SAVP"
    } else {
        "RTP/AVP"
    }
}

/// Key lines of an offer. `known` are keys of the stream that stay.
pub(crate) fn offer(local: &LocalMedia, known: &[Crypto], rng: &mut impl CryptoRng) -> Vec<Crypto> {
    if local.encryption == Encryption::Prohibited {
        return Vec::new();
    }
    (1..)
        .zip(&local.suites)
        .map(|(tag, suite)| {
            let key = known.iter().find(|known| known.suite == *suite);
            key.map_or_else(
                || Crypto::generate(tag, *suite, rng),
                |key| Crypto { tag, ..*key },
            )
        })
        .collect()
}

/// Our key line for an offered stream, and what it comes to; `None` for plain RTP.
pub(crate) fn answer(
    remote: &RemoteStream,
    local: &LocalMedia,
    known: &[Crypto],
    rng: &mut impl CryptoRng,
) -> Result<Option<(Crypto, Srtp)>, NegotiationError> {
    let Some(theirs) = choose(remote, local)? else {
        return Ok(None);
    };
    // The key of before, where there was one: nothing changed for it.
    let known = known.iter().find(|known| known.suite == theirs.suite);
    let ours = match known {
        Some(known) => Crypto {
            tag: theirs.tag,
            ..*known
        },
        None => Crypto::generate(theirs.tag, theirs.suite, rng),
    };
    let srtp = Srtp {
        suite: theirs.suite,
        tx_keys: ours.keys,
        rx_keys: theirs.keys,
    };
    Ok(Some((ours, srtp)))
}

/// The offered key line to use; `None` for plain RTP.
fn choose(remote: &RemoteStream, local: &LocalMedia) -> Result<Option<Crypto>, NegotiationError> {
    if local.encryption == Encryption::Prohibited {
        let plain = !remote.secure_profile;
        return if plain {
            Ok(None)
        } else {
            Err(NegotiationError::EncryptionProhibited)
        };
    }
    let best = local
        .suites
        .iter()
        .find_map(|suite| remote.cryptos.iter().find(|crypto| crypto.suite == *suite));
    match best {
        Some(crypto) => Ok(Some(*crypto)),
        None if local.encryption == Encryption::Required => {
            Err(NegotiationError::EncryptionRequired)
        }
        None if remote.secure_profile => Err(NegotiationError::NoCommonMedia),
        None => Ok(None),
    }
}

/// What the answer to our line `offer` says of keys; `None` for plain RTP.
pub(crate) fn accept(
    local: &LocalMedia,
    remote: &RemoteStream,
    offer: &RemoteStream,
) -> Result<Option<Srtp>, NegotiationError> {
    // Exactly one key line, under one of our tags (RFC 4568 section 5.1.3).
    let agreed = remote.cryptos.first().map(|theirs| {
        offer
            .cryptos
            .iter()
            .find(|ours| ours.tag == theirs.tag && ours.suite == theirs.suite)
            .map(|ours| Srtp {
                suite: ours.suite,
                tx_keys: ours.keys,
                rx_keys: theirs.keys,
            })
            .ok_or_else(|| NegotiationError::Mismatch("a key that was not asked for".to_owned()))
    });
    let srtp = agreed.transpose()?;
    let must_be_secure = local.encryption == Encryption::Required || remote.secure_profile;
    if srtp.is_none() && must_be_secure {
        return Err(NegotiationError::EncryptionRequired);
    }
    Ok(srtp)
}

/// Where RTCP is had: `(RTP, RTCP)` ports at an address of this family.
pub(crate) fn write_rtcp(
    out: &mut String,
    (rtp_port, rtcp_port): (u16, u16),
    (family, address): (&str, IpAddr),
    rtcp_mux: bool,
) {
    // Writing into a String does not fail.
    if rtcp_port != 0 && rtcp_port != rtp_port {
        let _ = write!(out, "a=rtcp:{rtcp_port} IN {family} {address}\r\n");
    }
    if rtcp_mux {
        out.push_str("a=rtcp-mux\r\n");
    }
}
