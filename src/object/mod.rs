//! The plain Rust vocabulary of the world: what an object is, what a message is, what a change is.
//!
//! Every other room speaks in these types. Nothing here knows Luau, Bevy, LMDB or a screen, and
//! nothing here is serialised directly: each border owns its own serial form.

mod change;
mod containers;
mod contract;
mod draft;
mod edit;
mod event;
mod image;
mod lookup;
mod message;
mod method;
mod moment;
mod name;
mod nearest;
mod outcome;
mod past;
mod quarantined;
mod references;
mod replica;
mod room;
mod size;
mod slot;
mod tick;
mod tombstone;
mod value;

pub use change::{Change, ObjectMut};
pub use containers::{List, Map};
pub use contract::{Contract, Example, Law};
pub use draft::Draft;
pub use edit::{Edit, EditKind};
pub use event::{Event, EventBody, LogEvent, LogLevel, Problem, StateUpdateEvent, Status};
pub use image::Image;
pub use lookup::{
    Found, Hidden, LookupReport, ancestors, children, hidden_slots, inherited, lookup, lookup_in_parents,
    lookup_report, lookup_through,
};
pub use message::{Argument, Envelope, Literal, Post, Reversal, Target, UICommand};
pub use method::{MethodVersion, Origin};
pub use moment::date_and_time;
pub use name::{Name, NameError};
pub use nearest::nearest;
pub use outcome::{Fault, FaultKind, Outcome};
pub use past::{PastTurn, PastTurns};
pub use quarantined::{Afterwards, Quarantined, Readable, RecordHeader};
pub use references::{dangling, reachable, referrers};
pub use replica::Replica;
pub use room::{Room, bytes_in_words};
pub use slot::{Slot, SlotContent, Slots};
pub use tick::{TICKS_A_SECOND, Tick};
pub use tombstone::{Burial, Tombstone};
pub use value::{MAX_DEPTH, MapKey, Value, number_text, quoted, shortened};

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// Identity of an object, for ever: never reused, never an ECS `Entity`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectId(pub Uuid);

impl Ord for ObjectId {
    /// The order of the bytes, told by one number instead of sixteen.
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_u128().cmp(&other.0.as_u128())
    }
}

impl PartialOrd for ObjectId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl ObjectId {
    /// Namespace of the objects of the first image, whose ids are the same in every world.
    const GENESIS: Uuid = Uuid::from_u128(0x6c69_7669_6e67_576f_8b65_6e63_6867_656e);

    /// The fixed id of an object of the first image.
    pub fn genesis(name: &str) -> Self {
        Self(Uuid::new_v5(&Self::GENESIS, name.as_bytes()))
    }

    /// The root prototype `proto`.
    pub fn proto() -> Self {
        Self::genesis("proto")
    }

    /// The `counter`-th object made while `message` was delivered in the world `world`.
    ///
    /// A pure function of its arguments, so that delivering a message again makes the same objects.
    pub fn derived(world: Uuid, message: Uuid, counter: u32) -> Self {
        let mut bytes = [0; 20];
        bytes[..16].copy_from_slice(message.as_bytes());
        bytes[16..].copy_from_slice(&counter.to_be_bytes());
        Self(Uuid::new_v5(&world, &bytes))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Every accepted text of each method of one object, oldest first, also of removed methods.
pub type Versions = BTreeMap<Name, Vec<MethodVersion>>;

/// The authored state of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Identity.
    pub id: ObjectId,
    /// Unique handle; `None` for an unnamed object.
    pub name: Option<Name>,
    /// Objects that are asked, in this order, for what the object has not itself.
    pub parents: Vec<ObjectId>,
    /// Own slots, in the order in which they were added.
    pub slots: Slots,
    /// Earlier and current texts of own methods.
    pub versions: Versions,
}

impl Object {
    /// An object without name, parents or slots.
    pub fn new(id: ObjectId) -> Self {
        Self { id, name: None, parents: Vec::new(), slots: Slots::default(), versions: Versions::new() }
    }

    /// A view for reading.
    pub fn as_ref(&self) -> ObjectRef<'_> {
        ObjectRef {
            id: self.id,
            name: self.name.as_ref(),
            parents: &self.parents,
            slots: &self.slots,
            versions: &self.versions,
        }
    }

    /// The name, or the first twelve digits of the id in angle brackets.
    pub fn title(&self) -> String {
        self.as_ref().title()
    }

    /// A view for applying changes.
    pub fn as_mut(&mut self) -> ObjectMut<'_> {
        ObjectMut {
            name: &mut self.name,
            parents: &mut self.parents,
            slots: &mut self.slots,
            versions: &mut self.versions,
        }
    }
}

/// One object, borrowed from wherever it is kept (an entity's components, an [`Image`], a [`Draft`]).
#[derive(Clone, Copy, Debug)]
pub struct ObjectRef<'a> {
    /// Identity.
    pub id: ObjectId,
    /// Unique handle.
    pub name: Option<&'a Name>,
    /// Parents in lookup order.
    pub parents: &'a [ObjectId],
    /// Own slots.
    pub slots: &'a Slots,
    /// Texts of own methods.
    pub versions: &'a Versions,
}

impl ObjectRef<'_> {
    /// An owned copy.
    pub fn to_object(self) -> Object {
        Object {
            id: self.id,
            name: self.name.cloned(),
            parents: self.parents.to_vec(),
            slots: self.slots.clone(),
            versions: self.versions.clone(),
        }
    }

    /// The name, or the first twelve digits of the id in angle brackets.
    pub fn title(&self) -> String {
        self.name.map_or_else(|| untitled(self.id), |name| name.to_string())
    }
}

/// Digits of an id that are enough to mean an object.
const FEWEST_DIGITS: usize = 8;

/// How an unnamed object is called in texts.
pub fn untitled(id: ObjectId) -> String {
    format!("<{}>", &id.0.simple().to_string()[..12])
}

/// The digits of an id in angle brackets, as an unnamed object is called.
pub fn digits_of(text: &str) -> Option<String> {
    let digits = text.strip_prefix('<')?.strip_suffix('>')?;
    Some(digits.replace('-', "").to_ascii_lowercase())
}

/// A world that can be read: the components, an [`Image`], or a [`Draft`] over either.
pub trait Objects {
    /// The object with this id, unless it never was or is deleted.
    fn object(&self, id: ObjectId) -> Option<ObjectRef<'_>>;

    /// The object with this name.
    fn named(&self, name: &str) -> Option<ObjectId>;

    /// Every id, ascending.
    fn ids(&self) -> Vec<ObjectId>;

    /// What stays of a deleted object that had a name.
    fn tombstone(&self, id: ObjectId) -> Option<&Tombstone>;

    /// All that stays of deleted objects, by ascending id.
    fn tombstones(&self) -> BTreeMap<ObjectId, &Tombstone>;

    /// The object that a person means: by its name, or by its id in angle brackets, of which the first digits are enough
    /// where only one object's begins so.
    fn meant(&self, text: &str) -> Option<ObjectId> {
        let Some(digits) = digits_of(text) else { return self.named(text) };
        let is_meant = |id: &ObjectId| digits.len() >= FEWEST_DIGITS && id.0.simple().to_string().starts_with(&digits);
        let mut found = self.ids().into_iter().filter(is_meant);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// Every name in the world, ascending.
    fn names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.ids().iter().filter_map(|id| self.object(*id)?.name.cloned()).collect();
        names.sort();
        names
    }

    /// Name of an object for texts, also of one that is gone.
    fn title(&self, id: ObjectId) -> String {
        self.object(id).map_or_else(|| untitled(id), |object| object.title())
    }
}
