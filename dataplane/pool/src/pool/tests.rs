//! The pool against its bounds and a map that is obviously right.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::leases_lost;

#[test]
fn refuses_no_slots_and_too_many() {
    assert!(matches!(Pool::new(0), Err(PoolError::Slots(0))));
    assert!(matches!(Pool::new(MAX_SLOTS + 1), Err(PoolError::Slots(_))));
}

#[test]
#[cfg_attr(miri, ignore = "64 MiB is too much for it")]
fn the_biggest_pool_gives_every_slot_once() {
    let mut pool = Pool::new(MAX_SLOTS).unwrap();
    let leases: Vec<Lease> = std::iter::from_fn(|| pool.lease(0)).collect();
    assert_eq!(leases.len(), MAX_SLOTS as usize);
    assert_eq!((pool.available(), pool.out()), (0, MAX_SLOTS as usize));
    let mut slots: Vec<u16> = leases.iter().map(|lease| lease.slot).collect();
    slots.sort_unstable();
    slots.dedup();
    assert_eq!(slots.len(), MAX_SLOTS as usize);
    leases.into_iter().for_each(|lease| pool.release(lease));
    assert_eq!((pool.available(), pool.out()), (MAX_SLOTS as usize, 0));
}

#[test]
fn front_and_end_stay_inside_the_slot() {
    let mut pool = Pool::new(1).unwrap();
    assert!(pool.lease(SLOT_LEN + 1).is_none());
    let mut lease = pool.lease(64).unwrap();
    assert!(!lease.set_len(SLOT_LEN - 63));
    assert!(lease.set_len(SLOT_LEN - 64));
    assert_eq!(pool.bytes(&lease).len(), SLOT_LEN - 64);
    assert!(!lease.grow_front(65));
    assert!(lease.grow_front(64));
    assert_eq!((lease.len(), lease.head_room()), (SLOT_LEN, 0));
    pool.bytes_mut(&mut lease)[70] = 9;
    assert!(lease.trim_front(70));
    assert_eq!(pool.bytes(&lease)[0], 9);
    assert!(!lease.trim_front(lease.len() + 1));
    let len = lease.len();
    assert!(lease.trim_front(len));
    assert!(lease.is_empty() && lease.capacity() == 0);
    assert!(pool.bytes(&lease).is_empty());
    assert!(lease.set_len(0) && !lease.set_len(1));
    pool.release(lease);
}

#[test]
fn truncate_never_grows() {
    let mut pool = Pool::new(1).unwrap();
    let mut lease = pool.lease(0).unwrap();
    assert!(lease.set_len(10));
    lease.truncate(20);
    assert_eq!(lease.len(), 10);
    lease.truncate(3);
    assert_eq!(lease.len(), 3);
    pool.release(lease);
}

#[test]
#[should_panic(expected = "a lease of another pool")]
fn a_foreign_lease_is_refused() {
    let mut pool = Pool::new(1).unwrap();
    let other = Pool::new(1).unwrap();
    let lease = pool.lease(0).unwrap();
    let _ = other.bytes(&lease);
}

#[test]
fn a_dropped_lease_is_counted_and_stays_out() {
    let mut pool = Pool::new(2).unwrap();
    let before = leases_lost();
    drop(pool.lease(0));
    // Other tests of this process may lose leases at the same time.
    assert!(leases_lost() > before);
    assert_eq!((pool.out(), pool.available()), (1, 1));
}

#[test]
fn several_leases_are_open_at_once() {
    let mut pool = Pool::new(8).unwrap();
    let mut leases: Vec<Lease> = std::iter::from_fn(|| pool.lease(0)).collect();
    for lease in &mut leases {
        assert!(lease.set_len(SLOT_LEN));
    }
    let mut open: Vec<&mut [u8]> = pool.bytes_mut_many(&mut leases).collect();
    for (value, bytes) in (0..).zip(&mut open) {
        bytes.fill(value);
    }
    for (value, lease) in (0..).zip(&leases) {
        assert!(pool.bytes(lease).iter().all(|&byte| byte == value));
    }
    leases.into_iter().for_each(|lease| pool.release(lease));
}

#[test]
fn a_slot_is_redeemed_once_and_only_when_lent() {
    let mut pool = Pool::new(2).unwrap();
    let lease = pool.lease(0).unwrap();
    let slot = pool.lend(lease);
    assert_eq!((pool.lent(), pool.out(), pool.available()), (1, 0, 1));
    // SAFETY: no kernel knows of this pool.
    unsafe {
        assert!(pool.redeem(slot, 48, SLOT_LEN - 47).is_none());
        assert!(pool.redeem(slot, SLOT_LEN + 1, 0).is_none());
        assert!(pool.redeem(7, 0, 0).is_none());
        assert!(pool.redeem(1 - slot, 0, 0).is_none());
        let lease = pool.redeem(slot, 48, 100).unwrap();
        assert!(pool.redeem(slot, 48, 100).is_none());
        assert_eq!((lease.head_room(), lease.len()), (48, 100));
        pool.release(lease);
    }
    assert_eq!((pool.lent(), pool.out(), pool.available()), (0, 0, 2));
}

#[derive(Clone, Debug)]
enum Step {
    Lease(usize),
    Release(usize),
    Lend(usize),
    Redeem(usize),
    Write(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..200_usize).prop_map(Step::Lease),
        any::<usize>().prop_map(Step::Release),
        any::<usize>().prop_map(Step::Lend),
        any::<usize>().prop_map(Step::Redeem),
        (any::<usize>(), any::<u8>()).prop_map(|(which, value)| Step::Write(which, value)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The model is a map from slot to the bytes that were written there.
    #[test]
    fn agrees_with_a_map(steps in prop::collection::vec(step(), 0..200)) {
        const SLOTS: u32 = 6;
        let mut pool = Pool::new(SLOTS).unwrap();
        let mut leased: Vec<Lease> = Vec::new();
        let mut lent: Vec<u16> = Vec::new();
        let mut model: BTreeMap<u16, u8> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Lease(head_room) => match pool.lease(head_room) {
                    Some(mut lease) => {
                        prop_assert!(lease.set_len(16));
                        pool.bytes_mut(&mut lease).fill(0);
                        prop_assert_eq!(model.insert(lease.slot, 0), None);
                        leased.push(lease);
                    }
                    None => prop_assert_eq!(leased.len() + lent.len(), SLOTS as usize),
                },
                Step::Release(which) if !leased.is_empty() => {
                    let lease = leased.swap_remove(which % leased.len());
                    model.remove(&lease.slot);
                    pool.release(lease);
                }
                Step::Lend(which) if !leased.is_empty() => {
                    let lease = leased.swap_remove(which % leased.len());
                    model.remove(&lease.slot);
                    lent.push(pool.lend(lease));
                }
                Step::Redeem(which) if !lent.is_empty() => {
                    let slot = lent.swap_remove(which % lent.len());
                    // SAFETY: no kernel knows of this pool.
                    let mut lease = unsafe { pool.redeem(slot, 48, 16) }.unwrap();
                    pool.bytes_mut(&mut lease).fill(0);
                    prop_assert_eq!(model.insert(slot, 0), None);
                    leased.push(lease);
                }
                Step::Write(which, value) if !leased.is_empty() => {
                    let which = which % leased.len();
                    let lease = &mut leased[which];
                    pool.bytes_mut(lease).fill(value);
                    model.insert(lease.slot, value);
                }
                _ => {}
            }
            prop_assert_eq!(pool.out(), leased.len());
            prop_assert_eq!(pool.lent(), lent.len());
            prop_assert_eq!(pool.available() + leased.len() + lent.len(), SLOTS as usize);
            for lease in &leased {
                let expected = model[&lease.slot];
                prop_assert!(pool.bytes(lease).iter().all(|&byte| byte == expected));
            }
        }
        leased.into_iter().for_each(|lease| pool.release(lease));
    }
}
