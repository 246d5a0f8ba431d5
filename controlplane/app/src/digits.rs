//! Digits of telephones: names, codes, and sequences that are sent one by one.

use std::collections::VecDeque;
use std::time::Duration;

use plenum_abi::Nanos;

/// How long a digit sounds.
pub(crate) const DIGIT_MS: u16 = 120;
/// From the start of one digit to the start of the next.
const STEP: Duration = Duration::from_millis(240);
/// What a comma stands for.
const COMMA: Duration = Duration::from_secs(2);
/// Most digits that wait; a sequence has 127 at most.
const WAITING_MAX: usize = 512;

/// Event code of RFC 4733 section 3.2.
pub(crate) fn event_code(digit: char) -> Option<u8> {
    Some(match digit.to_ascii_uppercase() {
        digit @ '0'..='9' => digit as u8 - b'0',
        '*' => 10,
        '#' => 11,
        letter @ 'A'..='D' => letter as u8 - b'A' + 12,
        _ => return None,
    })
}

/// The digit of an event code.
pub(crate) fn digit_of(code: u64) -> Option<char> {
    let digits = b"0123456789*#ABCD";
    let index = usize::try_from(code).ok()?;
    digits.get(index).map(|digit| char::from(*digit))
}

/// Digits that are still to be sent.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    waiting: VecDeque<char>,
    next_at: Nanos,
}

impl Sequence {
    /// Puts digits behind those that wait; what is too much is left out.
    pub(crate) fn extend(&mut self, digits: &str, now: Nanos) {
        if self.waiting.is_empty() {
            self.next_at = self.next_at.max(now);
        }
        let room = WAITING_MAX - self.waiting.len();
        self.waiting.extend(digits.chars().take(room));
    }

    /// When there is something to do.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        (!self.waiting.is_empty()).then_some(self.next_at)
    }

    /// The digit whose time has come; ask again until there is none.
    pub(crate) fn poll(&mut self, now: Nanos) -> Option<char> {
        while self.next_at <= now {
            let next = self.waiting.pop_front()?;
            if next == ',' {
                self.next_at = self.next_at + COMMA;
            } else if event_code(next).is_some() {
                self.next_at = now + STEP;
                return Some(next.to_ascii_uppercase());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_digits_are_each_others_inverse() {
        for code in 0..16 {
            assert_eq!(event_code(digit_of(code).unwrap()), u8::try_from(code).ok());
        }
        assert_eq!(digit_of(16), None);
        assert_eq!((event_code('d'), event_code('x')), (Some(15), None));
    }

    #[test]
    fn digits_are_sent_one_by_one_and_a_comma_is_two_seconds() {
        let mut sequence = Sequence::default();
        let start = Nanos::from_millis(5_000);
        sequence.extend("1,2b", start);
        assert_eq!(sequence.poll(start), Some('1'));
        assert_eq!(sequence.poll(start), None);
        // The comma's pause begins where the next digit would have.
        assert_eq!(sequence.poll(start + STEP), None);
        let second = start + STEP + COMMA;
        assert_eq!(sequence.deadline(), Some(second));
        assert_eq!(sequence.poll(second), Some('2'));
        assert_eq!(sequence.poll(second + STEP), Some('B'));
        assert_eq!(sequence.deadline(), None);
        // A later sequence does not catch up on the past.
        let later = second + Duration::from_secs(60);
        sequence.extend("45", later);
        assert_eq!(sequence.poll(later), Some('4'));
        assert_eq!(sequence.poll(later), None);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut sequence = Sequence::default();
        for _ in 0..10 {
            sequence.extend(&"1".repeat(127), Nanos::ZERO);
        }
        assert_eq!(sequence.waiting.len(), WAITING_MAX);
    }
}
