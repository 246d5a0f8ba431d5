//! Layers of simulcast (RFC 8853) that a browser offers.

use sdp_types::Media;

use crate::remote::{attribute, attributes};

/// Layers that are looked at.
const LAYERS_SEEN_MAX: usize = 8;

/// RIDs that the browser offers to send, in its order (RFC 8853 section 5.1):
/// alternatives are passed over, layers that start paused are not.
pub(super) fn layers(media: &Media, most: usize) -> Vec<String> {
    let Some(simulcast) = attribute(&media.attributes, "simulcast") else {
        return Vec::new();
    };
    let mut words = simulcast.split_ascii_whitespace();
    let mut sent = None;
    while let (Some(direction), Some(list)) = (words.next(), words.next()) {
        if direction == "send" {
            sent = Some(list);
        }
    }
    let offered = |rid: &str| {
        attributes(&media.attributes, "rid").any(|value| {
            let mut words = value.split_ascii_whitespace();
            words.next() == Some(rid) && words.next() == Some("send")
        })
    };
    let is_rid = |rid: &str| {
        (1..=16).contains(&rid.len()) && rid.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let layers: Vec<String> = sent
        .unwrap_or_default()
        .split(';')
        .take(LAYERS_SEEN_MAX)
        .filter_map(|alternatives| alternatives.split(',').next())
        .map(|rid| rid.trim_start_matches('~'))
        .filter(|rid| is_rid(rid) && offered(rid))
        .take(most)
        .map(str::to_owned)
        .collect();
    // One layer is no simulcast.
    if layers.len() < 2 { Vec::new() } else { layers }
}
