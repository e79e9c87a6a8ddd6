//! Past turns: what persons changed and can take back, and which turn the next `undo` or `redo` takes.
//!
//! Everything here is a function of the newest turns alone, which the log keeps: it is the same after an awakening.

use super::{Change, Envelope, Fault, FaultKind, Name, Outcome, Reversal, Target};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A completed turn of a person that changed something.
#[derive(Clone, Debug, PartialEq)]
pub struct PastTurn {
    /// The message.
    pub sequence: u64,
    /// Which message it was.
    pub selector: Name,
    /// Whom it was for.
    pub target: Target,
    /// Which turn it took back, if it was an `undo` or a `redo`.
    pub reversal: Option<Reversal>,
    /// Messages that it posted.
    pub posts: u64,
    outcome: Arc<Outcome>,
}

impl PastTurn {
    /// The turn, if it is one that can be taken back.
    pub fn of(sequence: u64, envelope: &Envelope, outcome: &Arc<Outcome>, posts: u64) -> Option<Self> {
        let reversal = envelope.reversal();
        let completed = matches!(**outcome, Outcome::Completed { .. });
        // One that takes back what changed nothing in the end counts as well: the next `undo` goes on from there.
        let counts = completed && envelope.is_of_person() && (reversal.is_some() || !outcome.changes().is_empty());
        counts.then(|| Self {
            sequence,
            selector: envelope.selector.clone(),
            target: envelope.target.clone(),
            reversal,
            posts,
            outcome: outcome.clone(),
        })
    }

    /// What it changed, in order.
    pub fn changes(&self) -> &[Change] {
        self.outcome.changes()
    }

    fn bytes(&self) -> usize {
        self.outcome.bytes()
    }
}

/// The newest past turns, oldest first, within bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PastTurns {
    turns: VecDeque<PastTurn>,
    bytes: usize,
}

/// Which turns stand.
struct Standing {
    /// Turns that are taken back, each with the `undo` that did it.
    taken: BTreeMap<u64, u64>,
    /// Undos that can be taken back: nothing but other undos and redos came after them.
    undos: Vec<u64>,
}

impl PastTurns {
    /// Most turns that are remembered.
    pub const MOST: usize = 1_000;
    /// Most bytes of all that they changed and answered.
    pub const MOST_BYTES: usize = 64 << 20;

    /// Adds the newest. The oldest give way.
    pub fn push(&mut self, turn: PastTurn) {
        self.bytes = self.bytes.saturating_add(turn.bytes());
        self.turns.push_back(turn);
        while self.turns.len() > Self::MOST || self.bytes > Self::MOST_BYTES {
            let Some(oldest) = self.turns.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }

    /// Adds one before the oldest. False, and it is not added, where it would give way: so would every older one.
    pub fn push_older(&mut self, turn: PastTurn) -> bool {
        let bytes = self.bytes.saturating_add(turn.bytes());
        if self.turns.len() >= Self::MOST || bytes > Self::MOST_BYTES {
            return false;
        }
        self.bytes = bytes;
        self.turns.push_front(turn);
        true
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.turns.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// The turn of a message.
    pub fn get(&self, sequence: u64) -> Option<&PastTurn> {
        self.turns.iter().rev().find(|turn| turn.sequence == sequence)
    }

    /// The newest turn after a message that changed something of this kind.
    pub fn newest_after(&self, sequence: u64, is_meant: impl Fn(&Change) -> bool) -> Option<&PastTurn> {
        let later = self.turns.iter().rev().take_while(|turn| turn.sequence > sequence);
        later.into_iter().find(|turn| turn.changes().iter().any(&is_meant))
    }

    /// The turn that the next `undo` takes back: the newest that stands.
    ///
    /// # Errors
    /// There is none.
    pub fn next_undo(&self) -> Result<&PastTurn, Fault> {
        let standing = self.standing();
        let stands = |turn: &&PastTurn| turn.reversal.is_none() && !standing.taken.contains_key(&turn.sequence);
        self.turns.iter().rev().find(stands).ok_or_else(|| refused(format!("there is nothing to take back; {KEPT}")))
    }

    /// The `undo` that the next `redo` takes back.
    ///
    /// # Errors
    /// There is none.
    pub fn next_redo(&self) -> Result<&PastTurn, Fault> {
        let undo = self.standing().undos.last().and_then(|undo| self.get(*undo));
        undo.ok_or_else(|| refused("there is nothing to redo: nothing was taken back since the last change".into()))
    }

    /// The turn that a reversal takes back.
    ///
    /// # Errors
    /// It is no such turn, is taken back already, or is not remembered.
    pub fn reversed_by(&self, reversal: Reversal) -> Result<&PastTurn, Fault> {
        let standing = self.standing();
        match reversal {
            Reversal::Undo(number) => match self.get(number) {
                None => Err(refused(format!(
                    "message {number} can't be taken back: no person sent it, or it changed nothing, or it is too far \
                     back; {KEPT}"
                ))),
                Some(turn) => match (turn.reversal, standing.taken.get(&number)) {
                    (None, None) => Ok(turn),
                    (None, Some(undo)) => {
                        Err(refused(format!("message {number} is taken back already, by message {undo}")))
                    }
                    (Some(Reversal::Undo(of)), _) => {
                        let told = format!("message {number} took message {of} back; `redo` is what takes that back");
                        Err(refused(told))
                    }
                    (Some(Reversal::Redo(undo)), _) => {
                        let of = self.get(undo).and_then(|turn| turn.reversal).map(Reversal::message);
                        let next = of.map_or_else(String::new, |of| format!("; to take that back: undo {of}"));
                        Err(refused(format!("message {number} is a redo{next}")))
                    }
                },
            },
            Reversal::Redo(number) => self
                .get(number)
                .filter(|_| standing.undos.contains(&number))
                .ok_or_else(|| refused(format!("message {number} is no undo that can be taken back now"))),
        }
    }

    fn standing(&self) -> Standing {
        let (mut taken, mut undos) = (BTreeMap::new(), Vec::new());
        for turn in &self.turns {
            match turn.reversal {
                None => undos.clear(),
                Some(Reversal::Undo(of)) => {
                    taken.insert(of, turn.sequence);
                    undos.push(turn.sequence);
                }
                Some(Reversal::Redo(undo)) => {
                    taken.retain(|_, by| *by != undo);
                    undos.retain(|earlier| *earlier != undo);
                }
            }
        }
        Standing { taken, undos }
    }
}

/// What is remembered, in words.
const KEPT: &str = "the newest 1,000 messages that changed something are remembered, with at most 64 MiB of changes";

fn refused(message: String) -> Fault {
    Fault::new(FaultKind::Refused, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Argument, ObjectId, Value};
    use uuid::Uuid;

    fn turn(sequence: u64, selector: &str, number: Option<u64>) -> Option<PastTurn> {
        let envelope = Envelope {
            message_id: Uuid::nil(),
            correlation_id: None,
            sender_id: "console".into(),
            target: Target::Name("workspace".into()),
            selector: Name::new(selector).unwrap(),
            args: number
                .map(|number| Argument { name: None, value: Value::Number(number as f64).into() })
                .into_iter()
                .collect(),
            issued_at: 0,
            retries: None,
        };
        let change = Change::SetParents { id: ObjectId::proto(), before: vec![], after: vec![] };
        let changes = if selector == "get" { vec![] } else { vec![change] };
        let outcome = Arc::new(Outcome::Completed { result: Value::Nil, changes, logs: vec![] });
        PastTurn::of(sequence, &envelope, &outcome, 0)
    }

    fn after(turns: &[(&str, Option<u64>)]) -> PastTurns {
        let mut past = PastTurns::default();
        for (sequence, (selector, number)) in (1..).zip(turns) {
            turn(sequence, selector, *number).into_iter().for_each(|turn| past.push(turn));
        }
        past
    }

    fn next(past: &PastTurns) -> (Option<u64>, Option<u64>) {
        let number = |turn: Result<&PastTurn, Fault>| turn.ok().map(|turn| turn.sequence);
        (number(past.next_undo()), number(past.next_redo()))
    }

    #[test]
    fn undo_goes_back_turn_by_turn_and_redo_comes_forth_again() {
        let mut turns = vec![("set", None), ("set", None), ("get", None)];
        assert_eq!(next(&after(&turns)), (Some(2), None));
        turns.push(("undo", Some(2)));
        assert_eq!(next(&after(&turns)), (Some(1), Some(4)));
        turns.push(("undo", Some(1)));
        assert_eq!(next(&after(&turns)), (None, Some(5)));
        turns.push(("redo", Some(5)));
        assert_eq!(next(&after(&turns)), (Some(1), Some(4)));
        turns.push(("redo", Some(4)));
        assert_eq!(next(&after(&turns)), (Some(2), None));
        turns.push(("undo", Some(2)));
        turns.push(("get", None));
        assert_eq!(next(&after(&turns)), (Some(1), Some(8)));
        turns.push(("set", None));
        assert_eq!(next(&after(&turns)), (Some(10), None));
        let past = after(&turns);
        let refused = |reversal| past.reversed_by(reversal).unwrap_err().message;
        assert!(refused(Reversal::Undo(2)).contains("already, by message 8"));
        assert!(refused(Reversal::Undo(3)).contains("changed nothing"));
        assert!(refused(Reversal::Undo(4)).contains("took message 2 back"));
        assert!(refused(Reversal::Undo(6)).contains("undo 1"));
        assert!(refused(Reversal::Redo(8)).contains("no undo"));
        assert_eq!(past.reversed_by(Reversal::Undo(1)).unwrap().sequence, 1);
    }

    #[test]
    fn what_is_remembered_is_the_same_from_either_end() {
        let all: Vec<PastTurn> = (1..=1_200).filter_map(|sequence| turn(sequence, "set", None)).collect();
        let (mut live, mut woken) = (PastTurns::default(), PastTurns::default());
        all.iter().cloned().for_each(|turn| live.push(turn));
        for turn in all.iter().rev().cloned() {
            if !woken.push_older(turn) {
                break;
            }
        }
        assert_eq!(live.len(), PastTurns::MOST);
        assert_eq!(live, woken);
    }
}
