//! Settings: defaults, then a TOML file, then `PLENUM_*` variables, then
//! command-line options; each later source wins.
//!
//! The table of all settings is [`table`]. Everything wrong is reported at
//! once, with the place where it stands and what would be right there; a
//! setting is never silently ignored. Whether a port is free or a folder
//! writable is not judged here but by those who open it, and by `doctor`.

mod table;
mod value;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

pub(crate) use table::Settings;
use table::{ENTRIES, Entry};
use value::Raw;
pub(crate) use value::{Encryption, LogFormat, ResolveUris, TurnServe};

/// Where a value came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the file.
    File { path: PathBuf, line: usize },
    /// An environment variable.
    Variable(String),
    /// An option of the command line.
    Option(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Option(name) => f.write_str(name),
        }
    }
}

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub(crate) struct ConfigError {
    problems: Vec<String>,
}

/// What was given outside of the file.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// `--config`, else `PLENUM_CONFIG`.
    pub(crate) file: Option<PathBuf>,
    /// `--data`.
    pub(crate) data_dir: Option<PathBuf>,
    /// The environment.
    pub(crate) variables: Vec<(String, String)>,
}

/// Variables of ours that are no settings.
const OTHER_VARIABLES: [&str; 1] = ["PLENUM_CONFIG"];

/// Settings, each with its origin.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) settings: Settings,
    origins: HashMap<&'static str, Origin>,
    /// What deserves a warning in the log.
    pub(crate) warnings: Vec<String>,
}

impl Config {
    /// Reads all sources.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem found.
    pub(crate) fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut loader = Loader::default();
        let variables: HashMap<&str, &str> = sources
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let named = variables.get("PLENUM_CONFIG").copied();
        let file = sources.file.clone().or_else(|| named.map(PathBuf::from));
        if let Some(path) = file {
            match std::fs::read_to_string(&path) {
                Ok(text) => loader.file(&path, &text),
                Err(error) => loader
                    .problems
                    .push(format!("{}: cannot be read: {error}", path.display())),
            }
        }
        loader.variables(&variables);
        if let Some(path) = &sources.data_dir {
            let raw = Raw::One(path.to_string_lossy().into_owned());
            loader.set("data_dir", &raw, Origin::Option("--data"));
        }
        loader.together();
        if loader.problems.is_empty() {
            Ok(Self {
                settings: loader.settings,
                origins: loader.origins,
                warnings: loader.warnings,
            })
        } else {
            Err(ConfigError {
                problems: loader.problems,
            })
        }
    }

    /// Reads what [`Config::to_toml`] wrote: how the supervisor hands its
    /// settings to the processes it starts, so that a file that is edited
    /// meanwhile never makes them disagree.
    ///
    /// # Errors
    /// [`ConfigError`], when the text is another program's.
    pub(crate) fn from_toml(text: &str) -> Result<Settings, ConfigError> {
        let mut loader = Loader::default();
        loader.file(Path::new("inherited settings"), text);
        match loader.problems.is_empty() {
            true => Ok(loader.settings),
            false => Err(ConfigError {
                problems: loader.problems,
            }),
        }
    }

    /// Where a setting's value came from.
    pub(crate) fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }

    /// All settings as a TOML file, each with its meaning and origin.
    pub(crate) fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for entry in ENTRIES {
            let (here, name) = entry.split();
            if here != section {
                section = here;
                text.push_str(&format!("\n[{section}]\n"));
            }
            text.push_str(&format!(
                "#{}\n# {}; {}\n{name} = {}  # {}\n",
                entry.help,
                (entry.allowed)(),
                entry.variable(),
                (entry.show)(&self.settings),
                self.origin(entry.key),
            ));
        }
        text
    }
}

#[derive(Default)]
struct Loader {
    settings: Settings,
    origins: HashMap<&'static str, Origin>,
    warnings: Vec<String>,
    problems: Vec<String>,
}

impl Loader {
    fn set(&mut self, key: &str, raw: &Raw, origin: Origin) {
        let Some(entry) = ENTRIES.iter().find(|entry| entry.key == key) else {
            let hint = nearest(key).map_or_else(
                || format!("the keys are {}", keys()),
                |near| format!("did you mean {near}?"),
            );
            self.problems
                .push(format!("{origin}: {key}: there is no such setting; {hint}"));
            return;
        };
        if (entry.set)(&mut self.settings, raw) {
            self.origins.insert(entry.key, origin);
        } else {
            let place = match origin {
                Origin::Variable(_) => format!("{origin} ({key})"),
                _ => format!("{origin}: {key}"),
            };
            self.problems.push(format!(
                "{place}: {raw} is not allowed; it must be {}",
                (entry.allowed)()
            ));
        }
    }

    fn file(&mut self, path: &Path, text: &str) {
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(text, span.start));
                self.problems
                    .push(format!("{}:{line}: {}", path.display(), error.message()));
                return;
            }
        };
        self.table(path, text, "", table.get_ref());
    }

    fn table(&mut self, path: &Path, text: &str, prefix: &str, table: &DeTable<'_>) {
        // In the file's order, so that problems are reported from top to bottom.
        let mut rows: Vec<_> = table.iter().collect();
        rows.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in rows {
            let origin = Origin::File {
                path: path.to_owned(),
                line: line_of(text, key.span().start),
            };
            let name = format!("{prefix}{}", key.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) => {
                    let section = format!("{name}.");
                    if ENTRIES.iter().any(|entry| entry.key.starts_with(&section)) {
                        self.table(path, text, &section, inner);
                    } else {
                        let hint = nearest(&name).map_or_else(
                            || format!("the sections are {}", sections()),
                            |near| format!("did you mean {near}?"),
                        );
                        self.problems.push(format!(
                            "{origin}: {name}: there is no such section; {hint}"
                        ));
                    }
                }
                other => match Raw::from_toml(other) {
                    Some(raw) => self.set(&name, &raw, origin),
                    None => {
                        // A kind that no setting takes: name what this one takes.
                        let shown = format!("a {}", other.type_str());
                        self.set_unusable(&name, &shown, &origin);
                    }
                },
            }
        }
    }

    fn set_unusable(&mut self, key: &str, shown: &str, origin: &Origin) {
        let allowed = ENTRIES
            .iter()
            .find(|entry| entry.key == key)
            .map_or_else(|| format!("one of {}", keys()), |entry| (entry.allowed)());
        self.problems.push(format!(
            "{origin}: {key}: {shown} is not allowed; it must be {allowed}"
        ));
    }

    fn variables(&mut self, variables: &HashMap<&str, &str>) {
        for entry in ENTRIES {
            let name = entry.variable();
            if let Some(value) = variables.get(name.as_str()) {
                let raw = Raw::One((*value).to_owned());
                self.set(entry.key, &raw, Origin::Variable(name));
            }
        }
        let known = |name: &str| {
            OTHER_VARIABLES.contains(&name) || ENTRIES.iter().any(|entry| entry.variable() == name)
        };
        // Only a warning: others may use the prefix for purposes of their own.
        let mut strange: Vec<&&str> = variables
            .keys()
            .filter(|name| name.starts_with("PLENUM_") && !known(name))
            .collect();
        strange.sort();
        for name in strange {
            self.warnings.push(format!(
                "environment variable {name} is no setting and was ignored"
            ));
        }
    }

    /// What is wrong only in combination.
    fn together(&mut self) {
        let settings = &self.settings;
        let mut problems = Vec::new();
        if settings.tls.certificate.get().is_some() != settings.tls.key.get().is_some() {
            problems.push(
                "tls.certificate and tls.key: set both or neither; \
                 with neither a self-signed certificate is made"
                    .to_owned(),
            );
        }
        if settings.sip.session_min_s.get() > settings.sip.session_expires_s.get() {
            problems.push(format!(
                "sip.session_min_s: {} is more than sip.session_expires_s, which is {}",
                settings.sip.session_min_s.get(),
                settings.sip.session_expires_s.get()
            ));
        }
        if ![10, 20, 40].contains(&settings.media.packet_ms.get()) {
            problems.push(format!(
                "media.packet_ms: {} is not allowed; it must be 10, 20 or 40",
                settings.media.packet_ms.get()
            ));
        }
        let streams = [
            ("sip.tcp_port", settings.sip.tcp_port),
            ("sip.tls_port", settings.sip.tls_port),
            ("https.port", settings.https.port),
        ];
        for (index, (key, port)) in streams.iter().enumerate() {
            for (other, other_port) in &streams[index + 1..] {
                if *port != 0 && port == other_port {
                    problems.push(format!("{other}: port {port} is already that of {key}"));
                }
            }
        }
        let datagrams = [
            ("sip.udp_port", settings.sip.udp_port),
            ("media.webrtc_port", settings.media.webrtc_port),
        ];
        for (key, port) in datagrams {
            if port != 0 && settings.media.ports.range().contains(&port) {
                problems.push(format!(
                    "{key}: port {port} lies within media.ports, which is {}-{}",
                    settings.media.ports.range().start(),
                    settings.media.ports.range().end()
                ));
            }
        }
        if datagrams[0].1 != 0 && datagrams[0].1 == datagrams[1].1 {
            problems.push(format!(
                "media.webrtc_port: port {} is already that of sip.udp_port",
                datagrams[1].1
            ));
        }
        let (relays, legs) = (
            settings.turn.relay_ports.range(),
            settings.media.ports.range(),
        );
        let overlap = relays.start() <= legs.end() && legs.start() <= relays.end();
        if overlap && crate::turn::is_served(settings) {
            problems.push(format!(
                "turn.relay_ports: {}-{} overlaps media.ports, which is {}-{}",
                relays.start(),
                relays.end(),
                legs.start(),
                legs.end()
            ));
        }
        for port in &settings.turn.ports.0 {
            if settings.turn.tls_ports.0.contains(port) && *port != 0 {
                problems.push(format!(
                    "turn.tls_ports: port {port} is already one of turn.ports"
                ));
            }
        }
        self.problems.extend(problems);
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count()
}

fn keys() -> String {
    let keys: Vec<&str> = ENTRIES.iter().map(|entry| entry.key).collect();
    keys.join(", ")
}

fn sections() -> String {
    let mut sections: Vec<&str> = ENTRIES
        .iter()
        .map(|entry| entry.split().0)
        .filter(|section| !section.is_empty())
        .collect();
    sections.dedup();
    sections.join(", ")
}

/// The key that a misspelt one was probably meant to be.
fn nearest(key: &str) -> Option<&'static str> {
    let sections = ENTRIES.iter().map(|entry: &Entry| entry.split().0);
    let (distance, near) = ENTRIES
        .iter()
        .map(|entry| entry.key)
        .chain(sections.filter(|section| !section.is_empty()))
        .map(|candidate| (edits(key, candidate), candidate))
        .min()?;
    (distance <= 3 && distance < key.len()).then_some(near)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
