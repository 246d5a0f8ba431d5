//! `plenum doctor`: what is wrong with this machine or the settings, and what
//! to do about it.
//!
//! It asks the kernel the very questions that the server will ask, instead of
//! guessing from versions, and changes nothing that stays: what it binds or
//! writes is gone when it ends.

mod host;
mod settings;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::Config;

/// How a check came out.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Verdict {
    /// As it should be.
    Ok,
    /// The server runs, but not as well as it could.
    Warn,
    /// The server will not run.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        })
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    /// What was found.
    found: String,
    /// What to do; empty where nothing is to be done.
    remedy: String,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            what,
            verdict: Verdict::Ok,
            found: found.into(),
            remedy: String::new(),
        }
    }

    fn warn(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what,
            verdict: Verdict::Warn,
            found: found.into(),
            remedy: remedy.into(),
        }
    }

    fn fail(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what,
            verdict: Verdict::Fail,
            found: found.into(),
            remedy: remedy.into(),
        }
    }
}

/// Checks everything and prints a table. Fails when the server would not run.
pub(crate) fn run(config: &Config) -> ExitCode {
    let mut findings = host::check(config);
    findings.extend(settings::check(config));
    for warning in &config.warnings {
        let remedy = "remove the variable, or see `plenum serve --print-config` for the names";
        findings.push(Finding::warn("environment", warning, remedy));
    }
    let _ = io::stdout().write_all(table(&findings).as_bytes());
    match findings.iter().map(|finding| finding.verdict).max() {
        Some(Verdict::Fail) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn table(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.what.len()).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let Finding {
            what,
            verdict,
            found,
            remedy,
        } = finding;
        text.push_str(&format!("{verdict:<4}  {what:<width$}  {found}\n"));
        if !remedy.is_empty() {
            text.push_str(&format!("{:>1$}{remedy}\n", "-> ", width + 11));
        }
    }
    let count = |wanted| {
        let same = findings.iter().filter(|finding| finding.verdict == wanted);
        same.count()
    };
    text.push_str(&match (count(Verdict::Fail), count(Verdict::Warn)) {
        (0, 0) => "The server will run well here.\n".to_owned(),
        (0, warnings) => format!("The server will run; {warnings} to look at.\n"),
        (failures, _) => format!("The server will not run: {failures} to be put right.\n"),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_to_do_and_sums_up() {
        let mut findings = vec![
            Finding::ok("kernel", "6.12"),
            Finding::warn("locked memory", "8 MiB", "raise it"),
        ];
        assert_eq!(
            table(&findings),
            "ok    kernel         6.12\n\
             warn  locked memory  8 MiB\n\
             \u{20}                    -> raise it\n\
             The server will run; 1 to look at.\n"
        );
        findings.push(Finding::fail("io_uring", "forbidden", "allow it"));
        assert!(table(&findings).ends_with("will not run: 1 to be put right.\n"));
        assert!(table(&findings[..1]).ends_with("will run well here.\n"));
    }
}
