//! Commands that found their ring full.

use std::collections::{HashMap, VecDeque};

use plenum_abi::{
    Command, CommandKind, SetConference, SetLeg, SetText, SetTransport, SetVideo, SetViewPolicy,
    SlotRef,
};

/// More commands wait than a worker has slots for. The wish is lost; the next
/// reconciliation makes it good.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many commands wait for the dataplane")]
pub struct Overflow;

/// What a command replaces when it waits: an earlier one about the same tenant
/// of the same slot.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Subject {
    Leg(SlotRef),
    Transport(SlotRef),
    Video(SlotRef),
    Conference(SlotRef),
    ViewPolicy(SlotRef),
    Message(SlotRef),
    Label(SlotRef),
}

/// A bounded queue in which a newer command takes the place of an older one
/// about the same tenant. It takes its very place, so that a conference is
/// still made before the legs that need it.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: VecDeque<Command>,
    /// Position of each subject's command, counted from the first ever queued.
    positions: HashMap<Subject, u64>,
    /// Position of the front.
    first: u64,
    capacity: usize,
}

fn subject(command: &Command) -> Option<Subject> {
    Some(match CommandKind::from_u32(command.kind)? {
        CommandKind::SetLeg => {
            let leg = command.payload::<SetLeg>();
            Subject::Leg(SlotRef {
                slot: leg.slot,
                generation: leg.config.generation,
            })
        }
        CommandKind::RemoveLeg => Subject::Leg(command.payload()),
        CommandKind::SetTransport => {
            let transport = command.payload::<SetTransport>();
            Subject::Transport(SlotRef {
                slot: transport.slot,
                generation: transport.config.generation,
            })
        }
        CommandKind::SetVideo => {
            let video = command.payload::<SetVideo>();
            Subject::Video(SlotRef {
                slot: video.slot,
                generation: video.config.generation,
            })
        }
        CommandKind::RemoveVideo => Subject::Video(command.payload()),
        CommandKind::SetConference => {
            let conference = command.payload::<SetConference>();
            Subject::Conference(SlotRef {
                slot: conference.slot,
                generation: conference.config.generation,
            })
        }
        CommandKind::RemoveConference => Subject::Conference(command.payload()),
        CommandKind::SetViewPolicy => {
            Subject::ViewPolicy(command.payload::<SetViewPolicy>().conference)
        }
        CommandKind::SetMessage => Subject::Message(command.payload::<SetText>().about),
        CommandKind::SetLabel => Subject::Label(command.payload::<SetText>().about),
        _ => return None,
    })
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            positions: HashMap::new(),
            first: 0,
            capacity,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Puts `command` in the place of an older one about the same tenant, or last.
    pub(crate) fn push(&mut self, command: Command) -> Result<(), Overflow> {
        let subject = subject(&command);
        let older = subject
            .and_then(|subject| self.positions.get(&subject))
            .and_then(|position| usize::try_from(position - self.first).ok())
            .and_then(|index| self.waiting.get_mut(index));
        if let Some(older) = older {
            *older = command;
            return Ok(());
        }
        if self.waiting.len() >= self.capacity {
            return Err(Overflow);
        }
        if let Some(subject) = subject {
            let position = self.first + self.waiting.len() as u64;
            self.positions.insert(subject, position);
        }
        self.waiting.push_back(command);
        Ok(())
    }

    pub(crate) fn peek(&self) -> Option<&Command> {
        self.waiting.front()
    }

    pub(crate) fn pop(&mut self) {
        if let Some(command) = self.waiting.pop_front() {
            self.first += 1;
            if let Some(subject) = subject(&command) {
                self.positions.remove(&subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_leg(slot: u32, revision: u64) -> Command {
        let mut payload = SetLeg {
            slot,
            ..SetLeg::default()
        };
        payload.config.revision = revision;
        Command::new(CommandKind::SetLeg, revision, &payload)
    }

    fn drain(queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| {
            let token = queue.peek()?.token;
            queue.pop();
            Some(token)
        })
        .collect()
    }

    #[test]
    fn the_last_word_about_a_tenant_takes_the_place_of_earlier_ones() {
        let mut queue = Queue::new(10);
        for (slot, revision) in [(1, 1), (2, 2), (1, 3), (3, 4), (2, 5), (1, 6)] {
            queue.push(set_leg(slot, revision)).unwrap();
        }
        let removal = |slot, generation, token| {
            Command::new(CommandKind::RemoveLeg, token, &SlotRef { slot, generation })
        };
        queue.push(removal(3, 0, 7)).unwrap();
        // Another tenant's removal is another matter.
        queue.push(removal(2, 9, 8)).unwrap();
        assert_eq!(drain(&mut queue), [6, 5, 7, 8]);
        assert!(queue.is_empty() && queue.positions.is_empty());
        // Popped commands are not replaced any more.
        queue.push(set_leg(1, 8)).unwrap();
        queue.push(set_leg(2, 9)).unwrap();
        assert_eq!(queue.peek().unwrap().token, 8);
        queue.pop();
        queue.push(set_leg(1, 10)).unwrap();
        assert_eq!(drain(&mut queue), [9, 10]);
    }

    #[test]
    fn slots_of_the_same_number_but_another_kind_are_not_the_same() {
        let mut queue = Queue::new(10);
        let transport = SetTransport {
            slot: 1,
            ..SetTransport::default()
        };
        let video = SetVideo {
            slot: 1,
            ..SetVideo::default()
        };
        for token in [0, 3] {
            queue
                .push(Command::new(CommandKind::SetTransport, token, &transport))
                .unwrap();
            queue
                .push(Command::new(CommandKind::SetVideo, token + 1, &video))
                .unwrap();
        }
        queue.push(set_leg(1, 1)).unwrap();
        let conference = SetConference {
            slot: 1,
            ..SetConference::default()
        };
        queue
            .push(Command::new(CommandKind::SetConference, 2, &conference))
            .unwrap();
        assert_eq!(drain(&mut queue), [3, 4, 1, 2]);
    }

    #[test]
    fn it_is_full_at_its_capacity_and_still_takes_replacements() {
        let mut queue = Queue::new(2);
        queue.push(set_leg(1, 1)).unwrap();
        queue.push(set_leg(2, 2)).unwrap();
        assert_eq!(queue.push(set_leg(3, 3)), Err(Overflow));
        for revision in 4..10_000 {
            queue.push(set_leg(1, revision)).unwrap();
            queue.push(set_leg(2, revision)).unwrap();
        }
        assert_eq!(queue.waiting.len(), 2);
        assert_eq!(drain(&mut queue), [9_999, 9_999]);
    }
}
