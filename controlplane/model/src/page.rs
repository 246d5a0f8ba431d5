//! Windows on collections.

/// Which part of a collection is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PageRequest {
    /// How many to skip.
    pub offset: u64,
    /// How many at most; 0 asks for the total alone.
    pub limit: u64,
}

/// A part of a collection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page<T> {
    /// How many match, however many are here.
    pub total: u64,
    /// The part that was asked for; empty past the end.
    pub items: Vec<T>,
}

impl<T> Page<T> {
    /// The window on `all` that `request` asks for. Only what is inside it is
    /// converted by `show`; the rest is counted.
    pub fn select<S>(
        all: impl Iterator<Item = S>,
        request: PageRequest,
        mut show: impl FnMut(S) -> T,
    ) -> Self {
        let mut page = Self {
            total: 0,
            items: Vec::new(),
        };
        let end = request.offset.saturating_add(request.limit);
        for item in all {
            if (request.offset..end).contains(&page.total) {
                page.items.push(show(item));
            }
            page.total += 1;
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_everything_and_shows_its_part() {
        let ask = |offset, limit| Page::select(0..5, PageRequest { offset, limit }, |n| n);
        let expect = |items: &[i32]| Page {
            total: 5,
            items: items.to_vec(),
        };
        assert_eq!(ask(0, 2), expect(&[0, 1]));
        assert_eq!(ask(4, 2), expect(&[4]));
        assert_eq!(ask(5, 2), expect(&[]));
        assert_eq!(ask(0, 0), expect(&[]));
        assert_eq!(ask(u64::MAX, u64::MAX), expect(&[]));
        assert_eq!(ask(3, u64::MAX), expect(&[3, 4]));
    }
}
