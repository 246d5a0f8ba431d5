//! What is wrong with a profile, where, and what to do about it.

use std::path::Path;

/// Why a profile was refused. Each message names the file, the key and the
/// remedy: whoever reads it needs nothing else.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The file is not there, not readable, not text, or far too large.
    #[error("{file}: cannot be read; give the path of a profile, or one of the names {names}")]
    Read {
        /// The file.
        file: String,
        /// Built-in names, with commas.
        names: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML, or not a profile: a key that is unknown, missing, or of the wrong kind.
    #[error("{file}, line {line}, `{text}`: {problem}; correct this line")]
    Form {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// The line.
        text: String,
        /// What was expected.
        problem: String,
    },
    /// Well-formed, and yet it cannot be.
    #[error("{file}: {key}: {problem}; {remedy}")]
    Invalid {
        /// The file.
        file: String,
        /// The key, with the tables it is in.
        key: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// There is no built-in profile of this name.
    #[error("no profile is called \"{name}\"; choose one of {names}, or give the path of a file")]
    Unknown {
        /// The name.
        name: String,
        /// Built-in names, with commas.
        names: String,
    },
}

impl ProfileError {
    pub(crate) fn form(file: &str, content: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start.min(content.len()));
        let before = content.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let text = content.lines().nth(line - 1).unwrap_or_default();
        Self::Form {
            file: file.to_owned(),
            line,
            text: text.trim().chars().take(100).collect(),
            problem: error.message().to_owned(),
        }
    }

    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read {
            file: path.display().to_string(),
            names: crate::profile::names_with_commas(),
            source,
        }
    }
}
