//! Digest authentication (RFC 3261 section 22, RFC 8760), both ways.

use rsipstack::dialog::authenticate::compute_digest;
use rsipstack::sip::headers::auth::{Algorithm, AuthQop};
use rsipstack::sip::{Headers, Method};

use crate::Credentials;
use crate::message;

/// A nonce is good for so long.
pub(crate) const NONCE_MAX_S: u64 = 300;

/// A parameter of `Digest a=b, c="d"`, where quoted commas do not separate.
pub(crate) fn digest_param(value: &str, name: &str) -> Option<String> {
    let rest = value.trim();
    let scheme = rest.get(..7)?;
    if !scheme.eq_ignore_ascii_case("Digest ") {
        return None;
    }
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (7, false, false);
    for (at, byte) in rest.bytes().enumerate().skip(7) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(&rest[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&rest[start..]);
    parts.into_iter().find_map(|part| {
        let (key, value) = part.split_once('=')?;
        let value = value.trim();
        let bare = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(value);
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| bare.replace("\\\"", "\"").replace("\\\\", "\\"))
    })
}

fn algorithm(name: Option<&str>) -> Option<Algorithm> {
    match name.map(str::to_ascii_uppercase).as_deref() {
        None | Some("MD5") => Some(Algorithm::Md5),
        Some("SHA-256") => Some(Algorithm::Sha256),
        _ => None,
    }
}

fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Sha256 => "SHA-256",
        _ => "MD5",
    }
}

/// The header that answers a challenge; SHA-256 is preferred.
pub(crate) fn answer(
    challenge: &Headers,
    credentials: &Credentials,
    method: Method,
    uri: &str,
) -> Option<(&'static str, String)> {
    let mut found: Option<(&'static str, Algorithm, String)> = None;
    for header in challenge.iter() {
        let answer = match header.name().to_ascii_lowercase().as_str() {
            "www-authenticate" => "Authorization",
            "proxy-authenticate" => "Proxy-Authorization",
            _ => continue,
        };
        let value = header.value();
        let Some(algorithm) = algorithm(digest_param(value, "algorithm").as_deref()) else {
            continue;
        };
        if digest_param(value, "nonce").is_some()
            && (found.is_none() || matches!(algorithm, Algorithm::Sha256))
        {
            found = Some((answer, algorithm, value.to_owned()));
        }
    }
    let (answer, algorithm, value) = found?;
    let realm = digest_param(&value, "realm")?;
    let nonce = digest_param(&value, "nonce")?;
    let offers_auth = digest_param(&value, "qop")
        .is_some_and(|qop| qop.split(',').any(|qop| qop.trim() == "auth"));
    let cnonce = format!("{:016x}", rand::random::<u64>());
    let qop = offers_auth.then(|| AuthQop::Auth {
        cnonce: cnonce.clone(),
        nc: 1,
    });
    let digest = compute_digest(
        &credentials.user,
        &credentials.password,
        &realm,
        &nonce,
        &method,
        uri,
        algorithm,
        qop.as_ref(),
    );
    let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = format!(
        "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{digest}\", algorithm={}",
        escape(&credentials.user),
        escape(&realm),
        escape(&nonce),
        name(algorithm),
    );
    if offers_auth {
        text.push_str(&format!(", qop=auth, nc=00000001, cnonce=\"{cnonce}\""));
    }
    if let Some(opaque) = digest_param(&value, "opaque") {
        text.push_str(&format!(", opaque=\"{}\"", escape(&opaque)));
    }
    message::is_line(&text).then_some((answer, text))
}

/// A nonce that proves its own age: no table of nonces is kept.
pub(crate) fn nonce(secret: &str, now: u64) -> String {
    format!("{now:x}.{}", seal(secret, now))
}

fn seal(secret: &str, when: u64) -> String {
    let method = Method::Invite;
    let when = when.to_string();
    compute_digest(
        "nonce",
        secret,
        "",
        &when,
        &method,
        "",
        Algorithm::Sha256,
        None,
    )
}

fn is_fresh(secret: &str, nonce: &str, now: u64) -> Option<bool> {
    let (when, sealed) = nonce.split_once('.')?;
    let when = u64::from_str_radix(when, 16).ok()?;
    (seal(secret, when) == sealed).then(|| now.saturating_sub(when) <= NONCE_MAX_S)
}

/// What an Authorization header proves.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Proof {
    /// It is this user.
    User(String),
    /// The nonce is too old; everything else may be right.
    Stale,
    /// Nothing.
    None,
}

/// Checks the Authorization headers of a request.
pub(crate) fn verify(
    headers: &Headers,
    method: Method,
    config: &crate::DigestConfig,
    secret: &str,
    now: u64,
) -> Proof {
    let mut proof = Proof::None;
    for header in headers.iter() {
        if !header.name().eq_ignore_ascii_case("Authorization") {
            continue;
        }
        let get = |name: &str| digest_param(header.value(), name);
        let (Some(user), Some(nonce), Some(uri), Some(response)) =
            (get("username"), get("nonce"), get("uri"), get("response"))
        else {
            continue;
        };
        let Some(algorithm) = algorithm(get("algorithm").as_deref()) else {
            continue;
        };
        if get("realm").as_deref() != Some(config.realm.as_str()) {
            continue;
        }
        let Some(fresh) = is_fresh(secret, &nonce, now) else {
            // Of a predecessor, perhaps: the same as too old.
            proof = Proof::Stale;
            continue;
        };
        let (Some(cnonce), Some(nc), Some("auth")) =
            (get("cnonce"), get("nc"), get("qop").as_deref())
        else {
            continue;
        };
        // The count is hashed as it was written: eight hexadecimal digits.
        let Some(nc) = u32::from_str_radix(&nc, 16).ok().filter(|_| nc.len() == 8) else {
            continue;
        };
        let Some(password) = (config.lookup)(&user) else {
            continue;
        };
        let expected = digest(
            &user,
            &password,
            &config.realm,
            &nonce,
            method,
            &uri,
            algorithm,
            &cnonce,
            nc,
        );
        if !same(
            expected.as_bytes(),
            response.to_ascii_lowercase().as_bytes(),
        ) {
            continue;
        }
        if fresh {
            return Proof::User(user);
        }
        proof = Proof::Stale;
    }
    proof
}

#[allow(
    clippy::too_many_arguments,
    reason = "the formula of RFC 7616 has so many"
)]
fn digest(
    user: &str,
    password: &str,
    realm: &str,
    nonce: &str,
    method: Method,
    uri: &str,
    algorithm: Algorithm,
    cnonce: &str,
    nc: u32,
) -> String {
    // The library writes the count in decimal, which is wrong from ten on. Without
    // qop its formula is H(A1):nonce:H(A2), so the longer nonce gives the formula
    // with qop.
    let longer = format!("{nonce}:{nc:08x}:{cnonce}:auth");
    compute_digest(
        user, password, realm, &longer, &method, uri, algorithm, None,
    )
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_with_qop_is_the_library_s_as_long_as_that_is_right() {
        let a = digest(
            "u",
            "p",
            "r",
            "n",
            Method::Invite,
            "sip:x",
            Algorithm::Md5,
            "c",
            1,
        );
        let qop = AuthQop::Auth {
            cnonce: "c".to_owned(),
            nc: 1,
        };
        let b = compute_digest(
            "u",
            "p",
            "r",
            "n",
            &Method::Invite,
            "sip:x",
            Algorithm::Md5,
            Some(&qop),
        );
        assert_eq!(a, b);
    }

    #[test]
    fn parameters_are_read_with_quoted_commas() {
        let value = r#"Digest realm="a, \"b\"", nonce=n ,qop="auth,auth-int""#;
        assert_eq!(digest_param(value, "realm").as_deref(), Some("a, \"b\""));
        assert_eq!(digest_param(value, "nonce").as_deref(), Some("n"));
        assert_eq!(digest_param(value, "qop").as_deref(), Some("auth,auth-int"));
        assert_eq!(digest_param("Basic x=y", "x"), None);
    }

    #[test]
    fn a_nonce_tells_its_age() {
        let nonce = nonce("secret", 1_000);
        assert_eq!(is_fresh("secret", &nonce, 1_000 + NONCE_MAX_S), Some(true));
        assert_eq!(is_fresh("secret", &nonce, 1_001 + NONCE_MAX_S), Some(false));
        assert_eq!(is_fresh("other", &nonce, 1_000), None);
    }
}
