//! Cores by number, and lists of them as the kernel writes them: `0,2-5`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Highest core number that a list may name: what an affinity mask of the
/// usual size holds.
pub const CORE_ID_MAX: u32 = 1_023;

/// A logical processor, by the kernel's number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CoreId(pub u32);

impl fmt::Display for CoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Cores in the order in which they were written.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CoreList(pub Vec<CoreId>);

impl CoreList {
    /// The cores.
    #[must_use]
    pub fn as_slice(&self) -> &[CoreId] {
        &self.0
    }

    /// The first core that is there twice.
    #[must_use]
    pub fn duplicate(&self) -> Option<CoreId> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let pair = sorted.windows(2).find(|pair| pair[0] == pair[1]);
        pair.map(|pair| pair[0])
    }
}

impl FromIterator<CoreId> for CoreList {
    fn from_iter<I: IntoIterator<Item = CoreId>>(cores: I) -> Self {
        Self(cores.into_iter().collect())
    }
}

impl FromStr for CoreList {
    type Err = String;

    /// An empty text is no cores.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!(r#""{text}" is not a list of cores; write "0", "1-3" or "0,2-5""#);
        let number = |part: &str| {
            let all_digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let core = part.parse::<u32>().ok().filter(|_| all_digits);
            match core {
                Some(core) if core <= CORE_ID_MAX => Ok(core),
                Some(core) => Err(format!(
                    "core {core} is beyond {CORE_ID_MAX}, the highest number there can be"
                )),
                None => Err(wrong()),
            }
        };
        let mut cores = Vec::new();
        if text.trim().is_empty() {
            return Ok(Self(cores));
        }
        for part in text.split(',') {
            let (first, last) = match part.trim().split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part.trim())?, number(part.trim())?),
            };
            if first > last || cores.len() > CORE_ID_MAX as usize {
                return Err(wrong());
            }
            cores.extend((first..=last).map(CoreId));
        }
        Ok(Self(cores))
    }
}

impl fmt::Display for CoreList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|one, next| next.0 == one.0 + 1);
        for (index, run) in runs.enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match run {
                [one] => write!(f, "{one}")?,
                [first, .., last] => write!(f, "{first}-{last}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for CoreList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for CoreList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(cores: &[u32]) -> CoreList {
        cores.iter().copied().map(CoreId).collect()
    }

    #[test]
    fn lists_are_read_and_written_as_the_kernel_does() {
        for (text, cores) in [
            ("", &[][..]),
            ("0", &[0]),
            ("0-3", &[0, 1, 2, 3]),
            ("0,2-4,9", &[0, 2, 3, 4, 9]),
            ("7,1-2", &[7, 1, 2]),
            ("1023", &[1_023]),
        ] {
            assert_eq!(text.parse(), Ok(list(cores)));
            assert_eq!(list(cores).to_string(), text);
        }
        assert_eq!(" 1 , 3-4 ".parse(), Ok(list(&[1, 3, 4])));
    }

    #[test]
    fn what_is_not_a_list_is_refused_with_an_example() {
        for text in [
            "x",
            "1-",
            "-1",
            "3-1",
            "1,,2",
            "1;2",
            "0x1",
            "+1",
            "1 2",
            "99999999999",
        ] {
            let error = text.parse::<CoreList>().unwrap_err();
            assert!(
                error.contains(r#"write "0", "1-3" or "0,2-5""#),
                "{text}: {error}"
            );
        }
        let error = "0-1024".parse::<CoreList>().unwrap_err();
        assert_eq!(
            error,
            "core 1024 is beyond 1023, the highest number there can be"
        );
        // Whatever is written, memory stays bounded.
        let bomb = vec!["0-1023"; 10_000].join(",");
        assert!(bomb.parse::<CoreList>().is_err());
    }

    #[test]
    fn a_core_that_is_there_twice_is_found() {
        assert_eq!(list(&[3, 1, 2]).duplicate(), None);
        assert_eq!(list(&[3, 1, 2, 3]).duplicate(), Some(CoreId(3)));
    }
}
