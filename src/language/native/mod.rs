//! The messages that every object answers because the root prototype does, written in Rust.
//!
//! All but `describe` and `document` are reserved: no object can have a slot of that name, so tools always work.

mod describe;
mod family;
mod import;
mod methods;
mod references;
mod slots;

pub(super) use family::{create, is_needed, start_timer};
pub(super) use methods::accept_authored;
#[cfg(test)]
pub(super) use methods::accept_method;

use super::active::Active;
use super::crossing::Stale;
use crate::object::{Fault, FaultKind, Name, ObjectId, Objects, Slot, SlotContent, Value, ancestors, nearest};

/// Safepoints that take as long as parsing a text.
const PARSE: usize = 20_000;
/// Safepoints that take as long as looking at one object of the world.
pub(super) const SCAN: usize = 16;
/// Safepoints that take as long as asking one object for a slot.
const ASKED: usize = 2;

/// One root message.
pub struct NativeSpec {
    /// Its selector.
    pub selector: &'static str,
    /// Parameters in order, as the console takes them by name.
    pub params: &'static [&'static str],
    /// Whether named arguments beyond the parameters are slots.
    pub takes_slots: bool,
    /// What it costs, in safepoints that take about as long.
    pub(super) price: usize,
    /// One line of help.
    pub doc: &'static str,
    /// How a line of the console looks.
    pub example: &'static str,
    pub(super) run: fn(&mut Call<'_, '_>) -> Result<Value, Fault>,
}

/// The initials of selectors by their length. Every message asks whether it is a root's, and hardly one is.
const INITIALS: [u32; 32] = {
    let mut initials = [0; 32];
    let mut at = 0;
    while at < NATIVES.len() {
        let selector = NATIVES[at].selector.as_bytes();
        initials[selector.len()] |= bit_of(selector[0]);
        at += 1;
    }
    initials
};

const fn bit_of(letter: u8) -> u32 {
    1 << (letter % 32)
}

/// Every root message, by selector.
pub const NATIVES: &[NativeSpec] = &[
    NativeSpec {
        selector: "add_method",
        params: &["selector", "source"],
        takes_slots: false,
        price: 4 * PARSE,
        doc: "Accepts a method's text; the earlier version is kept.",
        example: "add_method point selector=twice source=\"function(self, n) return n * 2 end\"",
        run: methods::add_method,
    },
    NativeSpec {
        selector: "add_parent",
        params: &["parent"],
        takes_slots: false,
        price: 20,
        doc: "Lets the object delegate to one more, which is asked last.",
        example: "add_parent point parent=@other",
        run: family::add_parent,
    },
    NativeSpec {
        selector: "clone",
        params: &["as"],
        takes_slots: true,
        price: 20,
        doc: "Makes a child with the given slots; it is sent `init` where a method answers that.",
        example: "clone point as=p1",
        run: family::clone,
    },
    NativeSpec {
        selector: "copy",
        params: &["as"],
        takes_slots: true,
        price: 20,
        doc: "Makes an object with the same parents and a copy of every own slot.",
        example: "copy point as=p1",
        run: family::copy,
    },
    NativeSpec {
        selector: "delete",
        params: &["force"],
        takes_slots: false,
        price: 20,
        doc: "Deletes the object; refused while others delegate to it, unless force=true.",
        example: "delete point",
        run: family::delete,
    },
    NativeSpec {
        selector: "describe",
        params: &[],
        takes_slots: false,
        price: 500,
        doc: "Says everything about the object: parents, slots, methods, children.",
        example: "describe point",
        run: describe::describe,
    },
    NativeSpec {
        selector: "dismiss",
        params: &["number"],
        takes_slots: false,
        price: 20,
        doc: "Lets a failed message go; `problems` lists them.",
        example: "dismiss 12",
        run: |call| call.args.value("number"),
    },
    NativeSpec {
        selector: "document",
        params: &["slot", "text"],
        takes_slots: false,
        price: 20,
        doc: "Says what an own slot is for.",
        example: "document point slot=x text=\"left edge\"",
        run: slots::document,
    },
    NativeSpec {
        selector: "evaluate",
        params: &["source"],
        takes_slots: false,
        price: PARSE,
        doc: "Runs Luau with self = the object and answers what it yields.",
        example: "= world.point.x + 1",
        run: |_| Ok(Value::Nil),
    },
    NativeSpec {
        selector: "find_orphans",
        params: &[],
        takes_slots: false,
        price: 100,
        doc: "Lists objects without a name that nothing with a name leads to; it deletes none.",
        example: "find_orphans workspace",
        run: references::find_orphans,
    },
    NativeSpec {
        selector: "get",
        params: &["slot"],
        takes_slots: false,
        price: 20,
        doc: "Answers a slot's value, own or inherited.",
        example: "get point slot=x",
        run: slots::get,
    },
    NativeSpec {
        selector: "import",
        params: &["files"],
        takes_slots: false,
        price: PARSE,
        doc: "Makes objects equal to object files, all or none; the console's `import FOLDER` sends it.",
        example: "import shapes",
        run: import::import,
    },
    NativeSpec {
        selector: "lookup_report",
        params: &["slot"],
        takes_slots: false,
        price: 100,
        doc: "Says where a slot comes from, on which way, and what it hides.",
        example: "lookup_report point slot=x",
        run: describe::lookup_report,
    },
    NativeSpec {
        selector: "remove_method",
        params: &["selector"],
        takes_slots: false,
        price: 20,
        doc: "Takes an own method away; undo_method brings it back.",
        example: "remove_method point selector=move_by",
        run: methods::remove_method,
    },
    NativeSpec {
        selector: "remove_parent",
        params: &["parent"],
        takes_slots: false,
        price: 20,
        doc: "Ends the delegation to one parent.",
        example: "remove_parent point parent=@other",
        run: family::remove_parent,
    },
    NativeSpec {
        selector: "remove_slot",
        params: &["slot"],
        takes_slots: false,
        price: 20,
        doc: "Takes an own slot away; an inherited one shows again.",
        example: "remove_slot point slot=x",
        run: slots::remove_slot,
    },
    NativeSpec {
        selector: "rename",
        params: &["to"],
        takes_slots: false,
        price: 20,
        doc: "Gives the object another name; links stay.",
        example: "rename point to=p3",
        run: family::rename,
    },
    NativeSpec {
        selector: "rename_slot",
        params: &["from", "to"],
        takes_slots: false,
        price: 20,
        doc: "Gives an own slot another name; its place, documentation and versions stay.",
        example: "rename_slot point from=x to=left",
        run: slots::rename_slot,
    },
    NativeSpec {
        selector: "replace_references",
        params: &["from", "to"],
        takes_slots: false,
        price: 100,
        doc: "Has every slot in the world that refers to one object refer to another.",
        example: "replace_references workspace from=@old to=@new",
        run: references::replace_references,
    },
    NativeSpec {
        selector: "reprogram_method",
        params: &["instructions", "selector"],
        takes_slots: false,
        price: 4 * PARSE,
        doc: "Has a method written from plain words, judged, and swapped in.",
        example: "reprogram_method point instructions=\"Move the point by a given dx and dy\"",
        run: methods::reprogram_method,
    },
    NativeSpec {
        selector: "set",
        params: &[],
        takes_slots: true,
        price: 20,
        doc: "Sets own slots.",
        example: "set point x=5 y=6",
        run: slots::set,
    },
    NativeSpec {
        selector: "undo_method",
        params: &["selector"],
        takes_slots: false,
        price: 20,
        doc: "Brings back the version before the present one.",
        example: "undo_method point move_by",
        run: methods::undo_method,
    },
    NativeSpec {
        selector: "versions",
        params: &["selector"],
        takes_slots: false,
        price: 100,
        doc: "Lists every accepted text of a method with its origin.",
        example: "versions point selector=move_by",
        run: methods::versions,
    },
];

/// The root message of this selector.
pub fn native_spec(selector: &str) -> Option<&'static NativeSpec> {
    let may_be = INITIALS.get(selector.len()).zip(selector.as_bytes().first());
    if may_be.is_none_or(|(initials, first)| initials & bit_of(*first) == 0) {
        return None;
    }
    NATIVES.binary_search_by(|spec| spec.selector.cmp(selector)).ok().map(|index| &NATIVES[index])
}

/// Whether no object may have a slot of this name.
pub fn is_reserved(selector: &str) -> bool {
    !["describe", "document"].contains(&selector) && native_spec(selector).is_some()
}

/// A name for an own slot.
pub(super) fn slot_name(name: &str) -> Result<Name, Fault> {
    if is_reserved(name) {
        let message = format!("`{name}` is a message that every object answers, and can't be a slot");
        return Err(Fault::new(FaultKind::Refused, message));
    }
    Name::new(name).map_err(|error| Fault::new(FaultKind::BadName, error.to_string()))
}

/// Selectors that `target` answers (or only the root messages): own, inherited, native; ascending.
pub fn selectors_of(objects: &dyn Objects, target: Option<ObjectId>) -> Vec<String> {
    let mut selectors: Vec<String> = NATIVES.iter().map(|spec| spec.selector.to_string()).collect();
    for holder in target.map(|id| ancestors(objects, id)).unwrap_or_default() {
        let slots = objects.object(holder).map(|object| object.slots);
        for (name, slot) in slots.into_iter().flat_map(|slots| slots.iter()) {
            if matches!(slot.content, SlotContent::Method(_)) {
                selectors.push(name.to_string());
            }
        }
    }
    selectors.sort();
    selectors.dedup();
    selectors
}

/// What of the whole world is looked through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scan {
    /// Objects and their parents.
    Objects,
    /// Every slot as well.
    Slots,
    /// Every value of every slot as well.
    Values,
    /// The text of every method as well.
    Methods,
}

/// What it costs to look through the whole world: nothing once in a turn, so that it always works.
pub(super) fn scan_price(active: &mut Active<'_>, scan: Scan) -> usize {
    if !std::mem::replace(&mut active.scanned, true) {
        return 0;
    }
    let draft = &active.draft;
    let ids = draft.ids();
    let price = |slot: &Slot| match (&slot.content, scan) {
        (SlotContent::Value(value), Scan::Values) => 1 + value.bytes() / 16,
        (SlotContent::Method(method), Scan::Methods) => 1 + method.source.len() / 8,
        _ => 1,
    };
    let slots = ids.iter().filter_map(|id| draft.object(*id)).flat_map(|object| object.slots.iter());
    let slots: usize = if scan == Scan::Objects { 0 } else { slots.map(|(_, slot)| price(slot)).sum() };
    SCAN * ids.len() + slots
}

/// The arguments of one message.
#[derive(Clone, Debug, Default)]
pub(super) struct Args {
    pub(super) positional: Vec<Value>,
    pub(super) named: Vec<(Name, Value)>,
}

impl Args {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.positional.is_empty() && self.named.is_empty()
    }

    /// Puts positional arguments under the names of the parameters; refuses what the message doesn't take.
    pub(super) fn bind(mut self, title: &str, spec: &NativeSpec) -> Result<Self, Fault> {
        let placed = std::mem::take(&mut self.positional);
        if placed.len() > spec.params.len() && !spec.takes_slots {
            return Err(too_many(title, spec.selector, spec.params, placed.len()));
        }
        let mut rest = Vec::new();
        for (index, value) in placed.into_iter().enumerate() {
            match spec.params.get(index) {
                Some(param) if self.named.iter().any(|(name, _)| **name == **param) => {
                    let message = format!("{} got `{param}` twice, by name and by place", spec.selector);
                    return Err(Fault::new(FaultKind::BadArgument, message));
                }
                Some(param) => match Name::new(param) {
                    Ok(name) => self.named.push((name, value)),
                    Err(error) => return Err(Fault::new(FaultKind::Internal, error.to_string())),
                },
                None => rest.push(value),
            }
        }
        self.positional = rest;
        if !spec.takes_slots
            && let Some((name, _)) = self.named.iter().find(|(name, _)| !spec.params.contains(&name.as_str()))
        {
            return Err(unknown_parameter(spec.selector, name, spec.params));
        }
        Ok(self)
    }

    /// An argument that must be there.
    pub(super) fn value(&self, name: &str) -> Result<Value, Fault> {
        self.find(name).cloned().ok_or_else(|| Fault::new(FaultKind::BadArgument, format!("`{name}` is missing")))
    }

    /// A text that must be there.
    pub(super) fn text(&self, name: &str) -> Result<String, Fault> {
        match self.value(name)? {
            Value::Text(text) => Ok(text),
            other => {
                Err(Fault::new(FaultKind::BadArgument, format!("`{name}` takes a text, and this is {}", other.kind())))
            }
        }
    }

    /// An argument that may be absent or nil.
    pub(super) fn find(&self, name: &str) -> Option<&Value> {
        self.named.iter().find(|(known, value)| **known == *name && *value != Value::Nil).map(|(_, value)| value)
    }
}

/// The fault of an argument whose name no parameter has.
pub(super) fn unknown_parameter<'a, P: AsRef<str> + 'a>(selector: &str, name: &str, params: &'a [P]) -> Fault {
    let takes = match params {
        [] => "it takes none".to_string(),
        params => format!("it takes {}", params.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")),
    };
    let message = format!("{selector} has no parameter `{name}`; {takes}");
    Fault::new(FaultKind::BadArgument, message).suggesting(nearest(name, params.iter().map(AsRef::as_ref)))
}

/// The fault of more arguments than parameters.
pub(super) fn too_many<P: AsRef<str>>(title: &str, selector: &str, params: &[P], came: usize) -> Fault {
    Fault::new(FaultKind::BadArgument, format!("{title}.{selector} takes {}, and {came} came", takes(params)))
}

/// `no arguments`, `1 argument (a)`, `2 arguments (a, b)`.
pub(super) fn takes<P: AsRef<str>>(params: &[P]) -> String {
    let names: Vec<&str> = params.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [] => "no arguments".to_string(),
        [one] => format!("1 argument ({one})"),
        names => format!("{} arguments ({})", names.len(), names.join(", ")),
    }
}

/// One root message on its way.
pub(super) struct Call<'c, 'a> {
    pub(super) active: &'c mut Active<'a>,
    pub(super) receiver: ObjectId,
    pub(super) args: Args,
    /// What the VM's caches must forget.
    pub(super) stale: Vec<(ObjectId, Stale)>,
    /// What it cost beside its price.
    pub(super) cost: usize,
}

impl Call<'_, '_> {
    pub(super) fn title(&self) -> String {
        self.active.draft.title(self.receiver)
    }

    /// That the receiver was deleted.
    pub(super) fn gone(&self) -> Fault {
        self.active.gone(self.receiver)
    }

    /// The whole world is about to be looked through.
    pub(super) fn account_scan(&mut self) {
        self.account(Scan::Objects);
    }

    pub(super) fn account(&mut self, scan: Scan) {
        self.cost += scan_price(self.active, scan);
    }

    /// Sets (or takes away) an own slot of the receiver.
    pub(super) fn put(&mut self, name: Name, slot: Option<Slot>) -> Result<(), Fault> {
        self.stale.push((self.receiver, Stale::Slot(name.to_string())));
        if self.active.draft.set_slot(self.receiver, name, slot) { Ok(()) } else { Err(self.gone()) }
    }

    /// As [`Self::object`], also one that was deleted.
    pub(super) fn object_or_its_rest(&self, name: &str) -> Result<ObjectId, Fault> {
        match self.args.value(name)? {
            Value::Object(id) => Ok(id),
            _ => self.object(name),
        }
    }

    /// An argument that names an object, by reference or by name.
    pub(super) fn object(&self, name: &str) -> Result<ObjectId, Fault> {
        match self.args.value(name)? {
            Value::Object(id) if self.active.draft.object(id).is_some() => Ok(id),
            Value::Object(id) => Err(self.active.gone(id)),
            Value::Text(text) => {
                self.active.draft.named(&text).ok_or_else(|| unknown_object(&self.active.draft, &text))
            }
            other => {
                let message = format!("`{name}` takes an object, as in {name}=@other, and this is {}", other.kind());
                Err(Fault::new(FaultKind::BadArgument, message))
            }
        }
    }
}

/// The fault of a name that no object has.
pub(super) fn unknown_object(objects: &dyn Objects, name: &str) -> Fault {
    let names = objects.names();
    let suggestions = nearest(name, names.iter().map(Name::as_str));
    let near = match suggestions.as_slice() {
        [] => String::new(),
        names => format!("; nearest: {}", names.join(", ")),
    };
    // A word of any length may come here: the answer shows its beginning.
    let shown: String = name.chars().take(64).collect();
    let tombstones = objects.tombstones();
    let last = tombstones.values().filter(|tombstone| *tombstone.name == *name).max_by_key(|of| of.deleted_at);
    let deleted = last.map_or_else(String::new, |last| match last.message {
        0 => format!("; one that was is deleted since {}", last.moment()),
        message => format!("; one that was is deleted since {}, and `undo {message}` brings it back", last.moment()),
    });
    let message = format!("no object is called `{shown}`{deleted}{near}");
    Fault::new(FaultKind::UnknownObject, message).suggesting(suggestions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_found() {
        assert!(NATIVES.is_sorted_by_key(|spec| spec.selector));
        assert!(NATIVES.iter().all(|spec| native_spec(spec.selector).is_some()));
        assert!(is_reserved("clone") && !is_reserved("describe") && !is_reserved("document"));
        assert!(!is_reserved("move_by"));
    }
}
