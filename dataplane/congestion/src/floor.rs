//! The least value of the last while.

/// The least of the values of the last one to two spans, in two halves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    span_us: i64,
    began_us: Option<i64>,
    current: i64,
    before: i64,
}

impl Floor {
    pub(crate) const fn new(span_us: i64) -> Self {
        Self {
            span_us,
            began_us: None,
            current: i64::MAX,
            before: i64::MAX,
        }
    }

    /// Takes a value of an instant, microseconds; instants may go back a little.
    pub(crate) fn note(&mut self, at_us: i64, value: i64) {
        let began = *self.began_us.get_or_insert(at_us);
        let passed = at_us.saturating_sub(began);
        if passed >= self.span_us {
            let recent = passed < 2 * self.span_us;
            self.before = if recent { self.current } else { i64::MAX };
            self.current = i64::MAX;
            self.began_us = Some(at_us);
        }
        self.current = self.current.min(value);
    }

    /// The least value, if there is any.
    pub(crate) fn get(&self) -> Option<i64> {
        self.began_us.map(|_| self.current.min(self.before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_holds_for_one_to_two_spans() {
        let mut floor = Floor::new(100);
        assert_eq!(floor.get(), None);
        floor.note(0, 5);
        for at in 1..200 {
            floor.note(at, 9);
            assert_eq!(floor.get(), Some(5));
        }
        floor.note(200, 9);
        assert_eq!(floor.get(), Some(9));
        floor.note(1_000, 20);
        assert_eq!(floor.get(), Some(20), "a pause forgets");
    }
}
