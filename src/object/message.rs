//! What goes into the world: commands of people and programs, and the envelope that is journaled.

use super::{MapKey, Name, ObjectId, Objects, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// By handle, looked up when the message is delivered.
    Name(String),
    /// By identity.
    Id(ObjectId),
}

/// An argument as it was written: names of objects are looked up when the message is delivered.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A value without names in it.
    Value(Value),
    /// `@name`.
    Named(String),
    /// A list with names somewhere inside.
    List(Vec<Literal>),
    /// A map with names somewhere inside.
    Map(Vec<(MapKey, Literal)>),
}

impl Literal {
    /// The value. The error is the name that no object has.
    pub fn resolve(&self, objects: &dyn Objects) -> Result<Value, String> {
        Ok(match self {
            Self::Value(value) => value.clone(),
            Self::Named(name) => Value::Object(objects.meant(name).ok_or_else(|| name.clone())?),
            Self::List(items) => Value::list(items.iter().map(|item| item.resolve(objects)).collect::<Result<_, _>>()?),
            Self::Map(entries) => {
                let mut map = BTreeMap::new();
                for (key, value) in entries {
                    map.insert(key.clone(), value.resolve(objects)?);
                }
                Value::map(map)
            }
        })
    }
}

impl From<Value> for Literal {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// One argument: by name, or by its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// Parameter name; `None` for an argument that stands in the order of the parameters.
    pub name: Option<Name>,
    /// What is passed.
    pub value: Literal,
}

/// What a person or a program asks for, before the intake numbers it.
#[derive(Clone, Debug, PartialEq)]
pub struct UICommand {
    /// Whom.
    pub target: Target,
    /// Which message.
    pub selector: Name,
    /// With what.
    pub args: Vec<Argument>,
}

impl UICommand {
    /// A command with named arguments.
    pub fn new(target: Target, selector: Name, args: Vec<(Name, Value)>) -> Self {
        let args = args.into_iter().map(|(name, value)| Argument { name: Some(name), value: value.into() }).collect();
        Self { target, selector, args }
    }
}

/// A message that an object posted: it becomes an envelope of its own once the turn that posted it has its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Post {
    /// Whom.
    pub target: ObjectId,
    /// Which message.
    pub selector: Name,
    /// With what, by place.
    pub args: Vec<Value>,
}

/// A message with its place in the order of all messages: journaled before it is delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Identity, derived from the world's id and the sequence number.
    pub message_id: Uuid,
    /// The message that caused this one.
    pub correlation_id: Option<Uuid>,
    /// Who sent it: `console`, `window`, `genesis` …
    pub sender_id: String,
    /// Whom it is for.
    pub target: Target,
    /// Which message.
    pub selector: Name,
    /// With what.
    pub args: Vec<Argument>,
    /// Milliseconds since 1970 (UTC) on the sender's clock: the only clock that a turn can read.
    pub issued_at: u64,
    /// The failed message that this one tries again, by its sequence number.
    pub retries: Option<u64>,
}

/// A message that takes back what an earlier turn changed, named by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reversal {
    /// `undo`, of a turn of a person.
    Undo(u64),
    /// `redo`, of an `undo`.
    Redo(u64),
}

impl Reversal {
    /// The message whose turn is taken back.
    pub fn message(self) -> u64 {
        match self {
            Self::Undo(number) | Self::Redo(number) => number,
        }
    }
}

impl Envelope {
    /// The sender of the first image.
    pub const GENESIS: &str = "genesis";
    /// The sender of messages that turns posted.
    pub const POST: &str = "post";
    /// The sender of messages to timers that are due.
    pub const TIMER: &str = "timer";

    /// Whether a person sent it, rather than the world itself.
    pub fn is_of_person(&self) -> bool {
        ![Self::GENESIS, Self::POST, Self::TIMER].contains(&self.sender_id.as_str())
    }

    /// The turn that it takes back: `undo` and `redo` of the workspace, with the number that the intake chose.
    pub fn reversal(&self) -> Option<Reversal> {
        if !matches!(&self.target, Target::Name(name) if name == "workspace") {
            return None;
        }
        let reversal = match self.selector.as_str() {
            "undo" => Reversal::Undo,
            "redo" => Reversal::Redo,
            _ => return None,
        };
        match self.args.as_slice() {
            [Argument { value: Literal::Value(Value::Number(number)), .. }] if *number >= 1.0 => {
                Some(reversal(*number as u64))
            }
            _ => None,
        }
    }

    /// The identity of the message with this sequence number in this world.
    pub fn id_of(world: Uuid, sequence: u64) -> Uuid {
        Uuid::new_v5(&world, &sequence.to_be_bytes())
    }
}
