//! What a person at a terminal is told once calls can come in.
//!
//! Programs read the ready line on standard output; this is the same in words,
//! on standard error, and only where the log is text too: a reader of JSON
//! lines must not stumble over prose.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

/// The ready line in words. What the line does not hold is left out.
pub(super) fn text(line: &Value, data_dir: &Path) -> String {
    let get = |pointer: &str| line.pointer(pointer).and_then(Value::as_str);
    let mut rows = Vec::new();
    if let Some(uri) = get("/demo_space/uri") {
        rows.push(("Dial", uri.to_owned()));
    }
    if let Some(web) = get("/web") {
        let meeting = get("/demo_space/call_id");
        let meeting = meeting.map_or_else(String::new, |id| format!("  meeting ID {id}"));
        rows.push(("Web", format!("{web}{meeting}")));
    }
    let transports: Vec<String> = ["udp", "tcp", "tls"]
        .into_iter()
        .filter_map(|name| Some(format!("{name} {}", get(&format!("/sip/{name}"))?)))
        .collect();
    if !transports.is_empty() {
        rows.push(("SIP", transports.join(", ")));
    }
    if let Some(https) = get("/https") {
        rows.push(("REST", format!("{}/api/v1/", https.trim_end_matches('/'))));
    }
    let turn: Vec<String> = ["udp", "tcp", "tls"]
        .into_iter()
        .filter_map(|name| Some(format!("{name} {}", get(&format!("/turn/{name}"))?)))
        .collect();
    if !turn.is_empty() {
        rows.push(("TURN", turn.join(", ")));
    }
    if let (Some(user), Some(password)) = (get("/admin/user"), get("/admin/password")) {
        rows.push(("Admin", format!("{user}, password {password}")));
    }
    // As it was given, unless a reader would have to know where we were started.
    let folder = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    rows.push(("Data", folder.display().to_string()));

    let does = match get("/sip/udp") {
        None if !turn.is_empty() => "serves TURN",
        _ => "takes calls",
    };
    let mut text = format!("\nPlenum {does}.\n");
    for (name, value) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<6} {value}");
    }
    text.push_str("Ctrl-C stops it.\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_a_newcomer_needs_is_told() {
        let line = serde_json::json!({
            "ready": true,
            "sip": {"udp": "127.0.0.1:5060", "tcp": "127.0.0.1:5060", "tls": "127.0.0.1:5061"},
            "https": "https://127.0.0.1:8443",
            "web": "https://127.0.0.1:8443/",
            "demo_space": {"uri": "sip:demo@127.0.0.1:5060", "call_id": "123456"},
            "admin": {"user": "admin", "password": "secret"},
        });
        assert_eq!(
            text(&line, Path::new("/var/lib/plenum")),
            "\nPlenum takes calls.\n  \
             Dial   sip:demo@127.0.0.1:5060\n  \
             Web    https://127.0.0.1:8443/  meeting ID 123456\n  \
             SIP    udp 127.0.0.1:5060, tcp 127.0.0.1:5060, tls 127.0.0.1:5061\n  \
             REST   https://127.0.0.1:8443/api/v1/\n  \
             Admin  admin, password secret\n  \
             Data   /var/lib/plenum\n\
             Ctrl-C stops it.\n\n"
        );
    }

    #[test]
    fn what_the_line_does_not_hold_is_left_out() {
        let line = serde_json::json!({"ready": true});
        let text = text(&line, Path::new("/data"));
        assert!(!text.contains("Dial") && !text.contains("Admin"), "{text}");
        assert!(text.contains("/data"));
    }
}
