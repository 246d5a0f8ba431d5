//! Answers to what is no request that anybody could take, without keeping state.

use std::net::SocketAddr;

use rsipstack::sip::{Request, Response};

use crate::message::{self, Extra};
use crate::net::{Flow, Net, stamped};

/// Checks the headers without which nothing can be done (RFC 3261 section 8.1.1).
pub(crate) fn check(request: &Request) -> Result<(), &'static str> {
    let headers = &request.headers;
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        if message::header(headers, name).is_none_or(|value| value.trim().is_empty()) {
            return Err("a header is missing");
        }
    }
    for name in ["From", "To", "Call-ID", "CSeq"] {
        let same = |header: &&rsipstack::sip::Header| header.name().eq_ignore_ascii_case(name);
        if headers.iter().filter(same).count() > 1 {
            return Err("a header is there twice");
        }
    }
    let Some((_, method)) = message::cseq(headers) else {
        return Err("CSeq cannot be read");
    };
    if method != request.method.to_string() {
        return Err("CSeq names another method");
    }
    if message::from(headers).tag().is_none() {
        return Err("From has no tag");
    }
    let length = message::header(headers, "Content-Length");
    if let Some(length) = length
        && length.trim().parse() != Ok(request.body.len())
    {
        return Err("Content-Length is wrong");
    }
    Ok(())
}

/// 400 to a request that can at least be answered.
pub(crate) fn malformed(
    request: &Request,
    flow: &Flow,
    reason: &str,
    net: &Net,
) -> Option<Response> {
    message::header(&request.headers, "Via")?;
    let mut request = request.clone();
    for header in request.headers.iter_mut() {
        if let rsipstack::sip::Header::Via(via) = header {
            let text = stamped(via.value(), flow.peer);
            via.replace(text);
            break;
        }
    }
    let warning = format!("399 plenum \"{reason}\"");
    let extra = Extra::default().with("Warning", warning);
    let tag = format!("{:08x}", rand::random::<u32>());
    let agent = &net.config.user_agent;
    Some(message::response(&request, 400, &tag, agent, extra, None))
}

/// An answer to bytes that the parser does not take: 501 to a method that nobody
/// knows, 505 to another version. `None` for everything else.
pub(crate) fn unreadable(data: &[u8], peer: SocketAddr, agent: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(data).ok()?;
    let head = text.split("\r\n\r\n").next()?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, _uri, version) = (words.next()?, words.next()?, words.next()?);
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    if method.is_empty() || !method.bytes().all(token) || !version.starts_with("SIP/") {
        return None;
    }
    let (code, reason) = match version {
        "SIP/2.0" => ("501", "Not Implemented"),
        _ => ("505", "Version Not Supported"),
    };
    if method == "ACK" {
        return None;
    }
    if code == "501" && method.parse::<rsipstack::sip::Method>().is_ok() {
        // The method is not what is wrong with it.
        return None;
    }
    let mut answer = format!("SIP/2.0 {code} {reason}\r\n");
    let (mut vias, mut needed) = (0, 0);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        match name.as_str() {
            "via" | "v" => {
                vias += 1;
                let value = match vias {
                    1 => stamped(value, peer),
                    _ => value.to_owned(),
                };
                answer.push_str(&format!("Via: {value}\r\n"));
            }
            "to" | "t" => {
                needed += 1;
                let tag = match message::NameAddr::parse(value).tag() {
                    Some(_) => String::new(),
                    None => format!(";tag={:08x}", rand::random::<u32>()),
                };
                answer.push_str(&format!("To: {value}{tag}\r\n"));
            }
            "from" | "f" => {
                needed += 1;
                answer.push_str(&format!("From: {value}\r\n"));
            }
            "call-id" | "i" => {
                needed += 1;
                answer.push_str(&format!("Call-ID: {value}\r\n"));
            }
            "cseq" => {
                needed += 1;
                answer.push_str(&format!("CSeq: {value}\r\n"));
            }
            _ => {}
        }
    }
    if vias == 0 || needed != 4 {
        return None;
    }
    answer.push_str(&format!(
        "Allow: {}\r\nServer: {agent}\r\nContent-Length: 0\r\n\r\n",
        message::ALLOW
    ));
    Some(answer.into_bytes())
}
