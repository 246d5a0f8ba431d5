//! What each user has now, and may have.

use std::collections::HashMap;

use plenum_abi::Nanos;

use crate::bucket::Bucket;

/// Place of a user in the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct UserIndex(u32);

#[derive(Debug)]
struct User {
    quota: [u8; 16],
    allocations: u32,
    bucket: Bucket,
}

/// Users with allocations; nobody else takes memory here.
#[derive(Debug)]
pub(crate) struct Users {
    by_quota: HashMap<[u8; 16], UserIndex>,
    users: Vec<User>,
    free: Vec<UserIndex>,
    allocations_max: u32,
    bytes_per_s: u64,
}

impl Users {
    pub(crate) fn new(allocations_max: u32, bytes_per_s: u64) -> Self {
        Self {
            by_quota: HashMap::new(),
            users: Vec::new(),
            free: Vec::new(),
            allocations_max,
            bytes_per_s,
        }
    }

    /// Counts one more allocation; `None` when the user has enough.
    pub(crate) fn enter(&mut self, quota: [u8; 16], now: Nanos) -> Option<UserIndex> {
        if let Some(index) = self.by_quota.get(&quota) {
            let user = &mut self.users[index.0 as usize];
            if user.allocations >= self.allocations_max {
                return None;
            }
            user.allocations += 1;
            return Some(*index);
        }
        if self.allocations_max == 0 {
            return None;
        }
        let user = User {
            quota,
            allocations: 1,
            bucket: Bucket::new(self.bytes_per_s, now),
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.users[index.0 as usize] = user;
                index
            }
            None => {
                self.users.push(user);
                UserIndex(self.users.len() as u32 - 1)
            }
        };
        self.by_quota.insert(quota, index);
        Some(index)
    }

    /// One allocation less; who has none left is forgotten.
    pub(crate) fn leave(&mut self, index: UserIndex) {
        let user = &mut self.users[index.0 as usize];
        user.allocations -= 1;
        if user.allocations == 0 {
            self.by_quota.remove(&user.quota);
            self.free.push(index);
        }
    }

    /// Takes bytes from a user's bandwidth.
    #[must_use]
    pub(crate) fn take(&mut self, index: UserIndex, bytes: u64, now: Nanos) -> bool {
        self.bytes_per_s == 0 || self.users[index.0 as usize].bucket.take(bytes, now)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn len(&self) -> usize {
        self.by_quota.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_its_quota_and_leaves_nothing_behind() {
        let mut users = Users::new(2, 0);
        for _ in 0..3 {
            let one = users.enter([1; 16], Nanos::ZERO).unwrap();
            let two = users.enter([1; 16], Nanos::ZERO).unwrap();
            assert_eq!(one, two);
            assert_eq!(users.enter([1; 16], Nanos::ZERO), None);
            assert!(users.enter([2; 16], Nanos::ZERO).is_some_and(|other| {
                users.leave(other);
                other != one
            }));
            users.leave(one);
            users.leave(two);
            assert_eq!(users.len(), 0);
        }
        assert_eq!(users.users.len(), 2, "places are used again");
    }
}
