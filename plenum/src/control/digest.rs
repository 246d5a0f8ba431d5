//! Who may call in where SIP callers have to prove themselves.
//!
//! A file with a `user:password` on each line; empty lines and lines that begin
//! with `#` are passed over. It is read at the start of the control plane.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plenum_sip::DigestConfig;

/// Most callers that a file may name.
const USERS_MAX: usize = 100_000;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DigestError {
    /// It cannot be read.
    #[error("sip.digest_file: {path}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    /// A line is not `user:password`.
    #[error("sip.digest_file: {path}, line {line}: expected user:password")]
    Line { path: PathBuf, line: usize },
    /// It names nobody, and nobody could call; or too many.
    #[error("sip.digest_file: {path} names {count} users; 1 to {USERS_MAX} are possible")]
    Count { path: PathBuf, count: usize },
}

/// Reads the file; `None` where no proof is asked for.
///
/// # Errors
/// [`DigestError`].
pub(crate) fn read(path: Option<&Path>, realm: &str) -> Result<Option<DigestConfig>, DigestError> {
    let Some(path) = path else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|source| DigestError::Read {
        path: path.to_owned(),
        source,
    })?;
    let users = parse(&text).map_err(|line| DigestError::Line {
        path: path.to_owned(),
        line,
    })?;
    if users.is_empty() || users.len() > USERS_MAX {
        return Err(DigestError::Count {
            path: path.to_owned(),
            count: users.len(),
        });
    }
    Ok(Some(DigestConfig {
        realm: realm.to_owned(),
        lookup: Arc::new(move |user| users.get(user).cloned()),
    }))
}

/// Passwords by user, or the number of the first line that is wrong.
fn parse(text: &str) -> Result<HashMap<String, String>, usize> {
    let lines = (1..).zip(text.lines().map(str::trim));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| match line.split_once(':') {
            Some((user, password)) if !user.is_empty() && !password.is_empty() => {
                Ok((user.to_owned(), password.to_owned()))
            }
            _ => Err(number),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_users_and_wrong_ones_are_named() {
        let users = parse("# phones\n\nann:s3:cret\n bob:x \n").unwrap();
        assert_eq!(users["ann"], "s3:cret");
        assert_eq!(users["bob"], "x");
        assert_eq!(users.len(), 2);
        assert_eq!(parse("ann:x\nbob\n"), Err(2));
        assert_eq!(parse(":x"), Err(1));
    }

    #[test]
    fn a_file_that_names_nobody_or_is_not_there_is_an_error() {
        assert!(read(None, "plenum").unwrap().is_none());
        let missing = read(Some(Path::new("/nonexistent/users")), "plenum").unwrap_err();
        assert!(
            missing
                .to_string()
                .starts_with("sip.digest_file: /nonexistent/users: ")
        );
        let empty = read(Some(Path::new("/dev/null")), "plenum").unwrap_err();
        assert!(empty.to_string().contains("names 0 users"));
    }
}
