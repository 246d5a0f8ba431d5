use proptest::prelude::*;

use super::*;

const fn id(n: u32) -> ParticipantId {
    ParticipantId(n)
}

fn people(ids: impl IntoIterator<Item = u32>) -> Candidates {
    let candidate = Candidate {
        sends: true,
        importance: 0,
        spoke: 0,
    };
    ids.into_iter().map(|n| (id(n), candidate)).collect()
}

fn rules(layout: Layout) -> Rules {
    Rules {
        layout,
        placed: 0,
        self_pane: SelfPaneMode::Skip,
        active_speaker: ActiveSpeakerMode::Ignore,
        content: None,
    }
}

/// The numbers in the panes, 0 for a blank one.
fn numbers(seating: &Seating) -> Vec<u32> {
    let number = |seat: &Seat| match seat {
        Seat::Person(id) | Seat::Content(id) => id.0,
        Seat::Blank => 0,
    };
    seating.seats.iter().map(number).collect()
}

/// A meeting in which people speak.
struct Meeting {
    people: Candidates,
    order: Order,
    rules: Rules,
    spoken: u64,
}

impl Meeting {
    fn new(layout: Layout, ids: impl IntoIterator<Item = u32>) -> Self {
        Self {
            people: people(ids),
            order: Order::default(),
            rules: rules(layout),
            spoken: 0,
        }
    }

    fn speak(&mut self, n: u32) -> Vec<u32> {
        self.spoken += 1;
        self.people.get_mut(&id(n)).expect("somebody").spoke = self.spoken;
        self.seats()
    }

    fn seats(&mut self) -> Vec<u32> {
        numbers(&self.order.seat(&self.rules, &self.people))
    }

    fn seats_of(&self, n: u32) -> Vec<u32> {
        numbers(&self.order.seat_without(&self.rules, &self.people, id(n)))
    }
}

#[test]
fn the_speaker_changes_places_with_the_one_in_the_large_pane() {
    let mut meeting = Meeting::new(Layout::OnePlusFive, 1..=6);
    assert_eq!(meeting.seats(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(meeting.speak(3), [3, 2, 1, 4, 5, 6]);
    assert_eq!(meeting.speak(6), [6, 2, 1, 4, 5, 3]);
    assert_eq!(meeting.speak(6), [6, 2, 1, 4, 5, 3]);
}

#[test]
fn a_speaker_who_waits_displaces_the_one_silent_longest() {
    let mut meeting = Meeting::new(Layout::OnePlusFive, 1..=9);
    for n in [1, 2, 4, 5, 6] {
        meeting.speak(n);
    }
    assert_eq!(meeting.seats(), [6, 1, 3, 2, 4, 5]);
    // 3 never spoke.
    assert_eq!(meeting.speak(8), [8, 1, 6, 2, 4, 5]);
    assert_eq!(meeting.speak(9), [9, 8, 6, 2, 4, 5]);
    let mut grid = Meeting::new(Layout::AllEqualQuarters, 1..=9);
    assert_eq!(grid.speak(2), [1, 2, 3, 4]);
    assert_eq!(grid.speak(7), [1, 2, 3, 7]);
    assert_eq!(grid.speak(8), [1, 2, 8, 7]);
    assert_eq!(grid.speak(2), [1, 2, 8, 7]);
}

#[test]
fn who_leaves_is_followed_by_who_waits_and_else_the_rest_moves_up() {
    let mut meeting = Meeting::new(Layout::AllEqualQuarters, 1..=5);
    assert_eq!(meeting.seats(), [1, 2, 3, 4]);
    meeting.people.remove(&id(2));
    assert_eq!(meeting.seats(), [1, 5, 3, 4]);
    meeting.people.remove(&id(1));
    assert_eq!(meeting.seats(), [5, 3, 4]);
    meeting.people.extend(people([1]));
    assert_eq!(meeting.seats(), [5, 3, 4, 1]);
}

#[test]
fn nobody_sees_itself_and_the_others_stay_where_they_are() {
    let mut meeting = Meeting::new(Layout::OnePlusFive, 1..=8);
    meeting.speak(2);
    assert_eq!(meeting.speak(1), [1, 2, 3, 4, 5, 6]);
    assert_eq!(meeting.seats_of(1), [2, 7, 3, 4, 5, 6]);
    assert_eq!(meeting.seats_of(4), [1, 2, 3, 7, 5, 6]);
    assert_eq!(meeting.seats_of(8), [1, 2, 3, 4, 5, 6]);
    let mut small = Meeting::new(Layout::AllEqual, 1..=4);
    assert_eq!(small.seats(), [1, 2, 3, 4]);
    assert_eq!(small.seats_of(2), [1, 3, 4]);
    assert_eq!(Meeting::new(Layout::AllEqual, [1]).seats_of(1), []);
}

#[test]
fn the_important_come_first() {
    let mut meeting = Meeting::new(Layout::OnePlusFive, 1..=9);
    meeting.people.get_mut(&id(9)).expect("somebody").importance = 5;
    meeting.people.get_mut(&id(4)).expect("somebody").importance = 2;
    assert_eq!(meeting.speak(3), [9, 4, 2, 3, 5, 1]);
    assert_eq!(meeting.seats_of(9), [4, 7, 2, 3, 5, 1]);
    let mut grid = Meeting::new(Layout::AllEqual, 1..=3);
    grid.people.get_mut(&id(3)).expect("somebody").importance = 1;
    assert_eq!(grid.speak(2), [3, 1, 2]);
}

#[test]
fn cards_come_after_pictures() {
    let mut meeting = Meeting::new(Layout::AllEqual, 1..=3);
    meeting.people.get_mut(&id(1)).expect("somebody").sends = false;
    assert_eq!(meeting.speak(1), [2, 3, 1]);
    meeting.rules.layout = Layout::SpeakerOnly;
    assert_eq!(meeting.seats(), [2]);
}

#[test]
fn placed_panes_belong_to_their_importance() {
    let mut meeting = Meeting::new(Layout::AllEqual, 1..=5);
    meeting.rules.placed = 3;
    for (n, importance) in [(2, 3), (3, 1), (4, 1), (5, 9)] {
        meeting.people.get_mut(&id(n)).expect("somebody").importance = importance;
    }
    // Nobody has importance 2; of two with 1 the first counts until the other speaks.
    assert_eq!(meeting.seats(), [2, 0, 3, 5, 4, 1]);
    assert_eq!(meeting.speak(4), [2, 0, 4, 5, 3, 1]);
    assert_eq!(meeting.seats_of(2), [0, 4, 5, 3, 1]);
    assert_eq!(meeting.seats_of(1), [2, 0, 4, 5, 3]);
    meeting.rules.self_pane = SelfPaneMode::SelfVideo;
    assert_eq!(meeting.seats_of(2), [2, 0, 4, 5, 3, 1]);
    meeting.rules.self_pane = SelfPaneMode::Blank;
    assert_eq!(meeting.seats_of(2), [0, 0, 4, 5, 3, 1]);
}

#[test]
fn the_active_speaker_may_have_the_first_pane_that_is_not_placed() {
    let mut meeting = Meeting::new(Layout::AllEqualQuarters, 1..=6);
    meeting.rules.placed = 1;
    meeting.people.get_mut(&id(1)).expect("somebody").importance = 1;
    assert_eq!(meeting.speak(6), [1, 2, 3, 6]);
    meeting.rules.active_speaker = ActiveSpeakerMode::FirstFreePane;
    assert_eq!(meeting.seats(), [1, 6, 3, 2]);
    assert_eq!(meeting.speak(5), [1, 5, 3, 6]);
}

#[test]
fn content_takes_the_large_pane_and_makes_one_where_there_is_none() {
    let mut meeting = Meeting::new(Layout::AllEqual, 1..=3);
    meeting.rules.content = Some(id(3));
    let seating = meeting.order.seat(&meeting.rules, &meeting.people);
    assert!(seating.shape.has_large());
    assert_eq!(
        seating.seats,
        [
            Seat::Content(id(3)),
            Seat::Person(id(1)),
            Seat::Person(id(2)),
            Seat::Person(id(3))
        ]
    );
    meeting.rules.layout = Layout::SpeakerOnly;
    let seating = meeting.order.seat(&meeting.rules, &meeting.people);
    assert_eq!(seating.seats, [Seat::Content(id(3))]);
}

#[derive(Clone, Debug)]
enum Step {
    Join(u32),
    Leave(u32),
    Speak(u32),
    Important(u32, u32),
    Sends(u32, bool),
    Layout(usize),
    Place(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..40u32;
    prop_oneof![
        4 => who.clone().prop_map(Step::Join),
        2 => who.clone().prop_map(Step::Leave),
        4 => who.clone().prop_map(Step::Speak),
        1 => (who.clone(), 0..4u32).prop_map(|(n, i)| Step::Important(n, i)),
        1 => (who, any::<bool>()).prop_map(|(n, sends)| Step::Sends(n, sends)),
        1 => (0..13usize).prop_map(Step::Layout),
        1 => prop_oneof![0..4u32, Just(30), Just(u32::MAX)].prop_map(Step::Place),
    ]
}

/// Nobody twice, nobody who is not there, no pane empty while somebody waits, and
/// nobody waits with a higher claim than somebody who is seen.
fn check(seating: &Seating, rules: &Rules, people: &Candidates, viewer: Option<ParticipantId>) {
    let seats = &seating.seats;
    let persons: Vec<_> = seats
        .iter()
        .filter_map(|seat| match seat {
            Seat::Person(id) => Some(*id),
            _ => None,
        })
        .collect();
    for (index, id) in persons.iter().enumerate() {
        assert!(!persons[..index].contains(id), "{seats:?}");
        assert!(people.contains_key(id), "{seats:?}");
        assert_ne!(Some(*id), viewer, "{seats:?}");
    }
    assert!(seats.len() <= seating.shape.panes());
    let waiting: Vec<_> = people
        .iter()
        .filter(|(id, _)| !persons.contains(id) && Some(**id) != viewer)
        .collect();
    if waiting.is_empty() {
        return;
    }
    assert_eq!(seats.len(), seating.shape.panes());
    if rules.placed == 0 {
        let lowest = persons.iter().map(|id| people[id].claim()).min();
        let highest = waiting.iter().map(|(_, one)| one.claim()).max();
        assert!(lowest >= highest, "{seats:?}");
        if seating.shape.has_large() {
            let head = people[&persons[0]].claim();
            assert!(persons.iter().all(|id| people[id].claim() <= head));
        }
    }
}

proptest! {
    #[test]
    fn seats_are_given_justly_whatever_happens(
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut meeting = Meeting::new(Layout::OnePlusN, []);
        for step in steps {
            match step {
                Step::Join(n) => meeting.people.extend(people([n])),
                Step::Leave(n) => drop(meeting.people.remove(&id(n))),
                Step::Speak(n) => {
                    meeting.spoken += 1;
                    if let Some(one) = meeting.people.get_mut(&id(n)) {
                        one.spoke = meeting.spoken;
                    }
                }
                Step::Important(n, importance) => {
                    if let Some(one) = meeting.people.get_mut(&id(n)) {
                        one.importance = importance;
                    }
                }
                Step::Sends(n, sends) => {
                    if let Some(one) = meeting.people.get_mut(&id(n)) {
                        one.sends = sends;
                    }
                }
                Step::Layout(n) => meeting.rules.layout = Layout::ALL[n],
                Step::Place(n) => meeting.rules.placed = n,
            }
            let Meeting { people, order, rules, .. } = &mut meeting;
            let seating = order.seat(rules, people);
            check(&seating, rules, people, None);
            // Nothing has happened, so nobody moves.
            let before = order.clone();
            prop_assert_eq!(&order.seat(rules, people), &seating);
            prop_assert_eq!(&*order, &before);
            for viewer in people.keys().copied() {
                check(&order.seat_without(rules, people, viewer), rules, people, Some(viewer));
            }
        }
    }
}
