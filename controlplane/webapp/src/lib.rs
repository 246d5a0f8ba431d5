//! The web app's files, as they are served.
//!
//! The app itself is TypeScript, in `app/` beside this crate; `scripts/webapp.sh`
//! builds it and names the result in `PLENUM_WEBAPP_DIST`, which this crate
//! embeds: each file once as it is and, where that is smaller, compressed by
//! brotli and gzip. A build without that variable serves one page that says how
//! to build the app.
//!
//! It answers "which bytes have this name" and no more: which names lead to
//! [`index`], which copy a browser accepts and what headers go with it are the
//! web server's to decide, but for the policy that the app was built to live
//! with, [`CONTENT_SECURITY_POLICY`].

/// One file, ready to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The file as the browser shall see it.
    pub bytes: &'static [u8],
    /// The same by brotli (RFC 7932), for `Content-Encoding: br`, where that is smaller.
    pub brotli: Option<&'static [u8]>,
    /// The same by gzip (RFC 1952), for `Content-Encoding: gzip`, where that is smaller.
    pub gzip: Option<&'static [u8]>,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// Whether the name changes with the content, so that a browser may keep it
    /// for good and never ask again. If not, it has to ask each time.
    pub immutable: bool,
    /// Value of `ETag` for `bytes`, with its quotes. A compressed copy is another
    /// representation and needs another tag (RFC 9110, 8.8.3.3).
    pub etag: &'static str,
}

/// What the app needs of the browser, and no more: its own origin's scripts,
/// styles, fonts, pictures and sounds; no inline script, inline style or `eval`;
/// and no other page may frame it. Of what is compiled at run time it allows
/// WebAssembly, which background blur is made of, and nothing else. `blob:` is for
/// pictures and sounds that the app makes itself. One line, as a header's value is.
///
/// WebSocket to the own origin is part of `connect-src 'self'`.
pub const CONTENT_SECURITY_POLICY: &str = include_str!("policy.txt").trim_ascii();

/// Name and file, sorted by name.
static TABLE: &[(&str, Asset)] = include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// Served in place of the app in a build without it.
static UNBUILT: Asset = Asset {
    bytes: include_bytes!("unbuilt.html"),
    brotli: None,
    gzip: None,
    content_type: "text/html; charset=utf-8",
    immutable: false,
    etag: "\"unbuilt\"",
};

/// The file of this name below the root, without a slash in front:
/// `assets/index-3f9a.js`. [`index`] is not found by a name other than
/// `index.html`.
///
/// Names are compared byte by byte, so no name can leave the table.
pub fn asset(path: &str) -> Option<Asset> {
    let found = TABLE.binary_search_by_key(&path, |(name, _)| name).ok()?;
    Some(TABLE[found].1)
}

/// The page that starts the app, for every address that is the app's to show.
pub fn index() -> Asset {
    asset("index.html").unwrap_or(UNBUILT)
}

/// Whether the app is in this build, and not the page that says how to build it.
pub fn is_built() -> bool {
    !TABLE.is_empty()
}

#[cfg(test)]
mod tests;
