//! How many bytes things take, about as many as their records: what bounds are measured in.

use super::{
    Argument, Change, Edit, Envelope, EventBody, Fault, Literal, MapKey, MethodVersion, Name, Object, ObjectRef,
    Outcome, Post, Slot, SlotContent, StateUpdateEvent, Target, UICommand, Value,
};

/// What each part takes beside its own content.
const PART: usize = 16;

impl Value {
    /// Bytes with all that is nested.
    pub fn bytes(&self) -> usize {
        PART + match self {
            Self::Nil | Self::Boolean(_) | Self::Number(_) | Self::Object(_) => 0,
            Self::Text(text) => text.len(),
            Self::List(items) => items.bytes(),
            Self::Map(entries) => entries.bytes(),
        }
    }
}

impl MapKey {
    /// Bytes of a key.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => PART + text.len(),
            _ => PART,
        }
    }
}

impl Literal {
    /// Bytes with all that is nested.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Value(value) => value.bytes(),
            Self::Named(name) => PART + name.len(),
            Self::List(items) => PART + items.iter().map(Self::bytes).sum::<usize>(),
            Self::Map(entries) => PART + entries.iter().map(|(key, item)| key.bytes() + item.bytes()).sum::<usize>(),
        }
    }
}

fn message_bytes(target: &Target, selector: &Name, args: &[Argument]) -> usize {
    let target = match target {
        Target::Name(name) => name.len(),
        Target::Id(_) => PART,
    };
    let argument = |Argument { name, value }: &Argument| name.as_ref().map_or(0, |name| name.len()) + value.bytes();
    PART + target + selector.len() + args.iter().map(argument).sum::<usize>()
}

impl UICommand {
    /// Bytes of all that it says.
    pub fn bytes(&self) -> usize {
        message_bytes(&self.target, &self.selector, &self.args)
    }
}

impl Envelope {
    /// Bytes of the message with its ids.
    pub fn bytes(&self) -> usize {
        2 * PART + self.sender_id.len() + message_bytes(&self.target, &self.selector, &self.args)
    }
}

impl Post {
    /// Bytes of all that it says.
    pub fn bytes(&self) -> usize {
        2 * PART + self.selector.len() + self.args.iter().map(Value::bytes).sum::<usize>()
    }
}

impl MethodVersion {
    /// Bytes with its provenance.
    pub fn bytes(&self) -> usize {
        let texts = self.origin.contract.iter().chain(&self.origin.verdicts);
        let names: usize = self.params.iter().map(|name| name.len()).sum();
        let long = [&self.source, &self.doc, &self.origin.instruction].into_iter().chain(texts);
        PART + names + long.map(|text| PART + text.len()).sum::<usize>()
    }
}

impl Slot {
    /// Bytes of content and documentation.
    pub fn bytes(&self) -> usize {
        let content = match &self.content {
            SlotContent::Value(value) => value.bytes(),
            SlotContent::Method(method) => method.bytes(),
        };
        PART + self.doc.len() + content
    }
}

impl ObjectRef<'_> {
    /// Bytes of the whole object.
    pub fn bytes(&self) -> usize {
        let slots: usize = self.slots.iter().map(|(name, slot)| name.len() + slot.bytes()).sum();
        let versions: usize = self.versions.values().flatten().map(MethodVersion::bytes).sum();
        PART + size_of_val(self.parents) + slots + versions
    }
}

impl Change {
    /// Bytes of what was and what is.
    pub fn bytes(&self) -> usize {
        let object = |object: &Object| object.as_ref().bytes();
        let name = |name: &Option<Name>| name.as_ref().map_or(0, |name| name.len());
        PART + match self {
            Self::Create(of, _) | Self::Delete(of, _) => object(of),
            Self::SetSlot { slot, before, after, .. } => {
                slot.len() + [before, after].into_iter().flatten().map(Slot::bytes).sum::<usize>()
            }
            Self::EditSlot { slot, edits, .. } => slot.len() + edits.iter().map(Edit::bytes).sum::<usize>(),
            Self::AddVersion { version, .. } | Self::RemoveVersion { version, .. } => version.bytes(),
            Self::Rename { before, after, .. } => name(before) + name(after),
            Self::SetParents { before, after, .. } => size_of_val(&before[..]) + size_of_val(&after[..]),
        }
    }
}

impl Outcome {
    /// Bytes of what was changed, answered and told, or of what went wrong.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Completed { result, changes, logs } => {
                PART + result.bytes() + texts_bytes(logs) + changes.iter().map(Change::bytes).sum::<usize>()
            }
            Self::Failed(fault) => fault.bytes(),
        }
    }
}

impl Fault {
    /// Bytes of what it says, and of what was told before it.
    pub fn bytes(&self) -> usize {
        PART + self.message.len() + texts_bytes(&self.suggestions) + texts_bytes(&self.logs)
    }
}

fn texts_bytes(texts: &[impl AsRef<str>]) -> usize {
    texts.iter().map(|text| PART + text.as_ref().len()).sum()
}

impl EventBody {
    /// Bytes of what it holds beside the world itself: nothing of a full state.
    pub fn bytes(&self) -> usize {
        PART + match self {
            Self::Log(line) => line.message.len(),
            Self::State(StateUpdateEvent::TurnSettled { envelope, outcome, .. }) => envelope.bytes() + outcome.bytes(),
            Self::State(StateUpdateEvent::Ticked { changes }) => changes.iter().map(Change::bytes).sum(),
            Self::State(StateUpdateEvent::CommandRefused { fault, .. }) => fault.bytes(),
            Self::State(StateUpdateEvent::TurnsDurable { sequences }) => size_of_val(&sequences[..]),
            Self::State(_) => 0,
        }
    }
}
