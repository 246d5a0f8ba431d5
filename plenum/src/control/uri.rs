//! The little that is to be known of SIP URIs here: user and host.

/// User and host of a `sip:` or `sips:` URI (RFC 3261 section 19.1), without
/// password, port, parameters and headers; the user part unescaped. Empty
/// where there is none.
pub(super) fn user_and_host(uri: &str) -> (String, &str) {
    let rest = uri
        .split_once(':')
        .filter(|(scheme, _)| {
            scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips")
        })
        .map_or(uri, |(_, rest)| rest);
    // The user part may hold `;` and `?`; only behind it do they end the address.
    let (user, host) = match rest.rsplit_once('@') {
        Some((user, host)) => (user, host),
        None => ("", rest),
    };
    let user = user.split(':').next().unwrap_or_default();
    let host = host.split([';', '?']).next().unwrap_or_default();
    let host = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.split(':').next().unwrap_or_default(),
    };
    (unescape(user), host)
}

/// `user@host` as people read it.
pub(super) fn address(uri: &str) -> String {
    let (user, host) = user_and_host(uri);
    match user.as_str() {
        "" => host.to_owned(),
        user => format!("{user}@{host}"),
    }
}

/// `%2A` is `*`; what is no such escape stays as it is.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_host_are_found_in_every_form() {
        for (uri, user, host) in [
            ("sip:demo@127.0.0.1", "demo", "127.0.0.1"),
            ("SIP:demo@127.0.0.1:5070;transport=udp", "demo", "127.0.0.1"),
            ("sips:demo@[::1]:5061;x=y?h=v", "demo", "::1"),
            ("sip:de%6do%2A12@example.org", "demo*12", "example.org"),
            ("sip:demo:secret@example.org", "demo", "example.org"),
            ("sip:a;b=c@example.org", "a;b=c", "example.org"),
            ("sip:example.org", "", "example.org"),
            ("demo@example.org", "demo", "example.org"),
            ("sip:100%@example.org", "100%", "example.org"),
            ("", "", ""),
            ("sip:@", "", ""),
            ("sip:%zz%4@[", "%zz%4", "["),
        ] {
            let (found_user, found_host) = user_and_host(uri);
            assert_eq!((found_user.as_str(), found_host), (user, host), "{uri}");
        }
        assert_eq!(address("sip:demo@[2001:db8::1]:5060"), "demo@2001:db8::1");
        assert_eq!(address("sip:example.org"), "example.org");
    }
}
