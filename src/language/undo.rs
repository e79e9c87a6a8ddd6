//! `undo` and `redo`: a turn that applies the inverse of what an earlier turn changed, all of it or nothing.
//!
//! Each change is taken back only where what it left still stands; otherwise the turn fails and says what stands there now.
//! Which turn is taken back stands in the envelope; what it changed comes from [`super::Services::past`].

use super::active::Active;
use super::console::slot_text;
use super::crossing::{Stale, raise};
use super::vm::Vm;
use crate::object::{
    Burial, Change, Draft, Edit, EditKind, Fault, FaultKind, Name, Object, ObjectId, ObjectRef, Objects, PastTurn,
    PastTurns, Reversal, Slot, SlotContent, Target, Value, ancestors, shortened,
};
use std::cell::RefCell;
use std::collections::HashSet;

/// Longest value in a sentence, in characters.
const COLUMNS: usize = 60;
/// Objects and slots that are named before the rest is counted.
const SHOWN: usize = 5;

impl Vm {
    /// Takes a turn back. Answers what it was, in words.
    pub(super) fn reverse(&self, active: &RefCell<Active<'_>>, reversal: Reversal) -> mlua::Result<Value> {
        let mut stale = Vec::new();
        let answer = reverse(&mut active.borrow_mut(), reversal, &mut stale);
        for (id, what) in stale {
            self.shared.forget(id, &what)?;
        }
        answer.map(Value::Text).map_err(raise)
    }
}

fn reverse(active: &mut Active<'_>, reversal: Reversal, stale: &mut Vec<(ObjectId, Stale)>) -> Result<String, Fault> {
    let Active { draft, services, logs, burial, .. } = active;
    let past = services.past()?;
    let turn = past.reversed_by(reversal)?;
    let obstacle = |obstacle: Obstacle<'_>| Fault::new(FaultKind::Refused, obstacle.told(past, turn));
    // An object whose making is undone is as if it had never been.
    let burial = matches!(reversal, Reversal::Redo(_)).then_some(*burial);
    let gone = take_back(draft, turn, burial, stale).map_err(obstacle)?;
    logs.extend(still_referring(draft, &gone));
    Ok(match reversal {
        Reversal::Undo(_) => {
            let posts = match turn.posts {
                0 => String::new(),
                1 => "; the message that it posted is not".to_string(),
                posts => format!("; the {posts} messages that it posted are not"),
            };
            format!("{} is taken back{posts}", title(draft, turn))
        }
        Reversal::Redo(_) => {
            let of = turn.reversal.map_or(turn.sequence, Reversal::message);
            match past.get(of) {
                Some(first) if first.posts > 0 => {
                    format!("{} is done again; what it posted is not posted again", title(draft, first))
                }
                Some(first) => format!("{} is done again", title(draft, first)),
                None => format!("message {of} is done again"),
            }
        }
    })
}

/// `move_by point (message 12)`.
fn title(draft: &Draft<'_>, turn: &PastTurn) -> String {
    let target = match &turn.target {
        Target::Name(name) => shortened(name, COLUMNS).into_owned(),
        Target::Id(id) => draft.title(*id),
    };
    format!("{} {target} (message {})", turn.selector, turn.sequence)
}

/// Why a change can't be taken back.
struct Obstacle<'a> {
    change: &'a Change,
    /// What it concerns: `point.x`.
    what: String,
    why: Why,
}

enum Why {
    /// Another value stands there than the turn left.
    Differs { left: String, now: String },
    /// In words.
    Told(String),
}

impl Obstacle<'_> {
    fn told(self, past: &PastTurns, turn: &PastTurn) -> String {
        let Self { change, what, why } = self;
        let later = past.newest_after(turn.sequence, |later| concern_the_same(change, later));
        let later = later.map_or_else(String::new, |later| format!(" (message {})", later.sequence));
        let why = match why {
            Why::Differs { left, now } if left == now => format!("it is not as {} left it{later}", turn.selector),
            Why::Differs { left, now } => format!("it was {left} after {}, and is {now} now{later}", turn.selector),
            Why::Told(why) => format!("{why}{later}"),
        };
        format!("{what} can't be taken back: {why}. Nothing was changed")
    }
}

/// Whether two changes are of the same slot, name, parents or versions, or of the object as a whole.
fn concern_the_same(change: &Change, other: &Change) -> bool {
    let whole = |change: &Change| matches!(change, Change::Create(..) | Change::Delete(..));
    let slot = |change: &Change| match change {
        Change::SetSlot { slot, .. } | Change::EditSlot { slot, .. } => Some(slot.clone()),
        Change::AddVersion { selector, .. } | Change::RemoveVersion { selector, .. } => Some(selector.clone()),
        _ => None,
    };
    let is_name = |change: &Change| matches!(change, Change::Rename { .. });
    change.id() == other.id()
        && (whole(change) || whole(other) || (slot(change), is_name(change)) == (slot(other), is_name(other)))
}

/// Takes back what a turn changed, the last change first. Answers the objects that are gone by that.
fn take_back<'t>(
    draft: &mut Draft<'_>,
    turn: &'t PastTurn,
    burial: Option<Burial>,
    stale: &mut Vec<(ObjectId, Stale)>,
) -> Result<Vec<&'t Change>, Obstacle<'t>> {
    let mut gone = Vec::new();
    for change in turn.changes().iter().rev() {
        if let Some(id) = stale_by(change) {
            stale.push(id);
        }
        take_back_one(draft, change, burial).map_err(|(what, why)| Obstacle { change, what, why })?;
        if let Change::Create(..) = change {
            gone.push(change);
        }
    }
    gone.retain(|change| draft.object(change.id()).is_none());
    // What comes to be by an `undo` was deleted before, with the heirs that it had.
    let made: &[&Change] = if turn.reversal.is_some() { &[] } else { &gone };
    if let Some((change, heirs)) = first_with_heirs(draft, made) {
        let shown: Vec<String> = heirs.iter().take(SHOWN).map(|id| draft.title(*id)).collect();
        let more = heirs.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let delegate = if heirs.len() == 1 { "delegates" } else { "delegate" };
        let why = Why::Told(format!("{}{more} {delegate} to it by now", shown.join(", ")));
        let what = if let Change::Create(object, _) = change { object.title() } else { draft.title(change.id()) };
        return Err(Obstacle { change, what, why });
    }
    Ok(gone)
}

fn stale_by(change: &Change) -> Option<(ObjectId, Stale)> {
    let what = match change {
        Change::Create(..) | Change::Delete(..) => Stale::Everything,
        Change::SetSlot { slot, .. } | Change::EditSlot { slot, .. } => Stale::Slot(slot.to_string()),
        Change::SetParents { .. } | Change::Rename { .. } => Stale::Delegation,
        Change::AddVersion { .. } | Change::RemoveVersion { .. } => return None,
    };
    Some((change.id(), what))
}

/// What can't be taken back, and why not.
type Refused = (String, Why);

fn take_back_one(draft: &mut Draft<'_>, change: &Change, burial: Option<Burial>) -> Result<(), Refused> {
    if let Change::Delete(object, _) = change {
        return restore(draft, object);
    }
    let id = change.id();
    let Some(now) = draft.object(id) else {
        let what = if let Change::Create(object, _) = change { object.title() } else { draft.title(id) };
        return Err((what, Why::Told("it is deleted".into())));
    };
    let title = now.title();
    match change {
        Change::Create(object, _) => {
            if let Some(refused) = difference(draft, object, now) {
                return Err(refused);
            }
            let now = now.to_object();
            let tombstone = burial.and_then(|burial| burial.of(&now));
            draft.apply(Change::Delete(Box::new(now), tombstone));
        }
        Change::Delete(..) => {}
        Change::SetSlot { slot, place, before, after, .. } => {
            let now = now.slots.get(slot);
            if !same(after.as_ref(), now) {
                let (left, now) = (slot_or_none(after.as_ref(), draft), slot_or_none(now, draft));
                return Err((format!("{title}.{slot}"), Why::Differs { left, now }));
            }
            match (now, before) {
                (None, Some(_)) => {
                    let (slot, after) = (slot.clone(), before.clone());
                    draft.apply(Change::SetSlot { id, slot, place: *place, before: None, after });
                }
                _ => drop(draft.set_slot(id, slot.clone(), before.clone())),
            }
        }
        Change::EditSlot { slot, edits, .. } => take_back_edits(draft, id, slot, edits)?,
        Change::AddVersion { selector, version, .. } => {
            let newest = now.versions.get(selector).and_then(|versions| versions.last());
            if newest != Some(version) {
                let newest = newest.map_or("none".to_string(), |newest| newest.number.to_string());
                let why = format!("its newest version was {} after that, and is {newest} now", version.number);
                return Err((format!("{title}.{selector}"), Why::Told(why)));
            }
            draft.apply(Change::RemoveVersion { id, selector: selector.clone(), version: version.clone() });
        }
        Change::RemoveVersion { selector, version, .. } => {
            let newest = now.versions.get(selector).and_then(|versions| versions.last());
            if let Some(newest) = newest.filter(|newest| newest.number >= version.number) {
                let why = format!("there is another version {} now", newest.number);
                return Err((format!("{title}.{selector}"), Why::Told(why)));
            }
            draft.apply(Change::AddVersion { id, selector: selector.clone(), version: version.clone() });
        }
        Change::Rename { before, after, .. } => {
            if now.name != after.as_ref() {
                let (left, now) = (name_or_none(after.as_ref()), name_or_none(now.name));
                return Err((format!("the name of {title}"), Why::Differs { left, now }));
            }
            check_free(draft, before.as_ref(), || format!("the name of {title}"))?;
            draft.apply(Change::Rename { id, before: after.clone(), after: before.clone() });
        }
        Change::SetParents { before, after, .. } => {
            if now.parents != after {
                let (left, now) = (titles(draft, after), titles(draft, now.parents));
                return Err((format!("what {title} delegates to"), Why::Differs { left, now }));
            }
            draft.apply(Change::SetParents { id, before: after.clone(), after: before.clone() });
            check_circle(draft, id, || format!("what {title} delegates to"))?;
        }
    }
    Ok(())
}

/// An object that was deleted comes back as it was, with its identity.
fn restore(draft: &mut Draft<'_>, object: &Object) -> Result<(), Refused> {
    if draft.object(object.id).is_some() {
        return Err((object.title(), Why::Told("it is there already".into())));
    }
    check_free(draft, object.name.as_ref(), || format!("the deletion of {}", object.title()))?;
    let tombstone = draft.tombstone(object.id).cloned();
    draft.apply(Change::Create(Box::new(object.clone()), tombstone));
    check_circle(draft, object.id, || format!("the deletion of {}", object.title()))
}

fn check_free(draft: &Draft<'_>, name: Option<&Name>, what: impl FnOnce() -> String) -> Result<(), Refused> {
    match name.filter(|name| draft.named(name).is_some()) {
        Some(name) => Err((what(), Why::Told(format!("another object is called `{name}` now; rename it first")))),
        None => Ok(()),
    }
}

fn check_circle(draft: &Draft<'_>, id: ObjectId, what: impl FnOnce() -> String) -> Result<(), Refused> {
    let parents = draft.object(id).map(|object| object.parents).unwrap_or_default();
    match parents.iter().find(|parent| ancestors(draft, **parent).contains(&id)) {
        Some(parent) => {
            let parent = draft.title(*parent);
            Err((what(), Why::Told(format!("{parent} delegates to it now, and the path would go in a circle"))))
        }
        None => Ok(()),
    }
}

fn take_back_edits(draft: &mut Draft<'_>, id: ObjectId, slot: &Name, edits: &[Edit]) -> Result<(), Refused> {
    let title = draft.title(id);
    let now = draft.object(id).and_then(|object| object.slots.get(slot));
    let container = |value: &&Value| matches!(value, Value::List(_) | Value::Map(_));
    let Some(mut value) = now.and_then(Slot::as_value).filter(container).cloned() else {
        let now = slot_or_none(now, draft);
        return Err((format!("{title}.{slot}"), Why::Differs { left: "a list or map".into(), now }));
    };
    let mut inverse = Vec::with_capacity(edits.len());
    for edit in edits.iter().rev() {
        let text = |value: Option<&Value>| {
            value.map_or("none".to_string(), |value| shortened(&value.text(draft), COLUMNS).into_owned())
        };
        let (left, now) = (edit.left(), edit.standing(&value));
        let stands = match (&edit.kind, left, now) {
            (EditKind::Remove { .. }, ..) | (_, None, None) => true,
            (_, Some(left), Some(now)) => left.same(now),
            _ => false,
        };
        if !stands {
            let what = format!("{title}.{slot}{}", place_text(edit, draft));
            return Err((what, Why::Differs { left: text(left), now: text(now) }));
        }
        let mut back = edit.inverse();
        if !(value.edit(&mut back) || value.open_for(&back) && value.edit(&mut back)) {
            let what = format!("{title}.{slot}{}", place_text(edit, draft));
            return Err((what, Why::Told("what it stands in is of another shape now".into())));
        }
        inverse.push(back);
    }
    if !draft.edit_slot(id, slot, inverse) {
        let doc = draft.object(id).and_then(|object| object.slots.get(slot)).map(|slot| slot.doc.clone());
        let whole = Slot { content: SlotContent::Value(value), doc: doc.unwrap_or_default() };
        draft.set_slot(id, slot.clone(), Some(whole));
    }
    Ok(())
}

/// `[3]`, `.items[1].n`.
fn place_text(edit: &Edit, objects: &dyn Objects) -> String {
    let mut keys: Vec<_> = edit.path.iter().map(|key| super::console::step_text(key, objects)).collect();
    keys.push(match &edit.kind {
        EditKind::Set { key, .. } => super::console::step_text(key, objects),
        EditKind::Insert { place, .. } | EditKind::Remove { place, .. } => format!("[{}]", place + 1),
    });
    keys.concat()
}

/// The first thing in which an object is not as it was made.
fn difference(objects: &dyn Objects, made: &Object, now: ObjectRef<'_>) -> Option<Refused> {
    let title = now.title();
    if made.name.as_ref() != now.name {
        let (left, now) = (name_or_none(made.name.as_ref()), name_or_none(now.name));
        return Some((title, Why::Told(format!("it was called {left}, and is called {now} now"))));
    }
    if made.parents != now.parents {
        let (left, now) = (titles(objects, &made.parents), titles(objects, now.parents));
        return Some((title, Why::Told(format!("it delegated to {left}, and delegates to {now} now"))));
    }
    let names = made.slots.iter().chain(now.slots.iter()).map(|(name, _)| name);
    for name in names {
        let (left, now) = (made.slots.get(name), now.slots.get(name));
        if !same(left, now) {
            let (left, now) = (slot_or_none(left, objects), slot_or_none(now, objects));
            return Some((title, Why::Told(format!("its {name} was {left}, and is {now} now"))));
        }
    }
    if made.versions != *now.versions {
        return Some((title, Why::Told("its methods have other versions now".into())));
    }
    None
}

/// The first of the objects that are gone which others delegate to, with those.
fn first_with_heirs<'t>(objects: &dyn Objects, gone: &[&'t Change]) -> Option<(&'t Change, Vec<ObjectId>)> {
    let gone_ids: HashSet<ObjectId> = gone.iter().map(|change| change.id()).collect();
    let is_heir = |id: &ObjectId, of: &dyn Fn(&ObjectId) -> bool| {
        objects.object(*id).is_some_and(|object| object.parents.iter().any(of))
    };
    let ids = if gone.is_empty() { Vec::new() } else { objects.ids() };
    let first = ids.iter().find(|id| is_heir(id, &|parent| gone_ids.contains(parent)))?;
    let parents = objects.object(*first).map(|object| object.parents).unwrap_or_default();
    let change = gone.iter().find(|change| parents.contains(&change.id()))?;
    let of = change.id();
    Some((change, ids.into_iter().filter(|id| is_heir(id, &|parent| *parent == of)).collect()))
}

/// That slots refer to what is gone, as a deletion tells it.
fn still_referring(objects: &dyn Objects, gone: &[&Change]) -> Option<String> {
    let ids: HashSet<ObjectId> = gone.iter().map(|change| change.id()).collect();
    let mut slots: Vec<String> = Vec::new();
    for holder in if gone.is_empty() { Vec::new() } else { objects.ids() } {
        let Some(object) = objects.object(holder) else { continue };
        for (name, slot) in object.slots.iter() {
            let mut refers = false;
            if let Some(value) = slot.as_value() {
                value.each_reference(&mut |id| refers |= ids.contains(&id));
            }
            if refers {
                slots.push(format!("{}.{name}", object.title()));
            }
        }
    }
    let refer = match slots.len() {
        0 => return None,
        1 => "slot still refers",
        _ => "slots still refer",
    };
    let more = slots.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown: Vec<&str> = slots.iter().take(SHOWN).map(String::as_str).collect();
    Some(format!("{} {refer} to what is gone now: {}{more}", slots.len(), shown.join(", ")))
}

fn same(left: Option<&Slot>, now: Option<&Slot>) -> bool {
    match (left, now) {
        (Some(left), Some(now)) => left.same(now),
        (None, None) => true,
        _ => false,
    }
}

fn slot_or_none(slot: Option<&Slot>, objects: &dyn Objects) -> String {
    slot.map_or_else(|| "none".to_string(), |slot| slot_text(slot, objects))
}

fn name_or_none(name: Option<&Name>) -> String {
    name.map_or_else(|| "unnamed".to_string(), ToString::to_string)
}

fn titles(objects: &dyn Objects, ids: &[ObjectId]) -> String {
    let titles: Vec<String> = ids.iter().take(SHOWN).map(|id| objects.title(*id)).collect();
    match ids.len().saturating_sub(SHOWN) {
        0 if titles.is_empty() => "nothing".to_string(),
        0 => titles.join(", "),
        more => format!("{} and {more} more", titles.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Envelope, Image, MapKey, MethodVersion, Origin, Outcome};
    use proptest::prelude::*;
    use std::sync::Arc;
    use uuid::Uuid;

    fn name(text: impl AsRef<str>) -> Name {
        Name::new(text.as_ref()).unwrap()
    }

    fn id(number: usize) -> ObjectId {
        ObjectId::derived(Uuid::nil(), Uuid::nil(), number as u32)
    }

    fn past_turn(selector: &str, changes: Vec<Change>) -> PastTurn {
        let envelope = Envelope {
            message_id: Uuid::nil(),
            correlation_id: None,
            sender_id: "console".into(),
            target: Target::Name("workspace".into()),
            selector: name(selector),
            args: vec![crate::object::Argument { name: None, value: Value::Number(1.0).into() }],
            issued_at: 0,
            retries: None,
        };
        let outcome = Arc::new(Outcome::Completed { result: Value::Nil, changes, logs: vec![] });
        let undone = Envelope { selector: name("undo"), ..envelope.clone() };
        // One that changed nothing is none.
        PastTurn::of(2, &envelope, &outcome, 0).or_else(|| PastTurn::of(2, &undone, &outcome, 0)).unwrap()
    }

    /// Something that a turn may do: what, to which object and slot, with which number.
    type Deed = (u8, usize, usize, i32);

    fn deed() -> impl Strategy<Value = Deed> {
        (0..13_u8, 0..10_usize, 0..4_usize, 0..40_i32)
    }

    fn act(draft: &mut Draft<'_>, ever: &mut HashSet<usize>, (what, object, slot, by): Deed) {
        let (slot_name, number) = (name(["a", "b", "c", "d"][slot]), Value::Number(f64::from(by)));
        let there = draft.object(id(object)).map(ObjectRef::to_object);
        let place = |length: usize| by as usize % (length + 1);
        match (what, there) {
            (0..=2, Some(_)) => drop(draft.set_slot(id(object), slot_name, Some(Slot::value(number)))),
            (3, Some(_)) => {
                let list = Value::list((0..by).map(|item| Value::Number(f64::from(item))).collect());
                draft.set_slot(id(object), slot_name, Some(Slot::value(list)));
            }
            (4, Some(_)) => drop(draft.set_slot(id(object), slot_name, None)),
            (5..=7, Some(of)) => {
                let Some(Value::List(items)) = of.slots.get(&slot_name).and_then(Slot::as_value) else { return };
                let kind = match what {
                    5 => EditKind::Insert { place: place(items.len()), value: number },
                    6 => EditKind::Remove { place: place(items.len()), value: Value::Nil },
                    _ => {
                        let key = MapKey::Number((place(items.len()) + 1) as f64);
                        EditKind::Set { key, before: None, after: (by % 3 > 0).then_some(number) }
                    }
                };
                draft.edit_slot(id(object), &slot_name, vec![Edit { path: vec![], kind }]);
            }
            // No id is used twice.
            (8, None) if ever.insert(object) => {
                let mut made = Object::new(id(object));
                made.parents = (0..object.min(slot)).map(id).collect();
                made.slots.push(slot_name, Slot::value(number));
                draft.apply(Change::Create(Box::new(made), None));
            }
            (8, Some(of)) => draft.apply(Change::Delete(Box::new(of), None)),
            (9, Some(of)) => {
                let after = name(["m", "n", "o", "p"][slot]);
                if draft.named(&after).is_none() {
                    draft.apply(Change::Rename { id: of.id, before: of.name, after: Some(after) });
                }
            }
            (10, Some(of)) => {
                let after = (0..object.min(slot)).map(id).collect();
                draft.apply(Change::SetParents { id: of.id, before: of.parents, after });
            }
            (11, Some(of)) => {
                let version = MethodVersion {
                    number: 0,
                    follows: 0,
                    params: vec![],
                    source: format!("function(self) return {by} end"),
                    doc: String::new(),
                    origin: Origin {
                        author: "person".into(),
                        instruction: String::new(),
                        contract: vec![],
                        verdicts: vec![],
                        sequence: 2,
                    },
                };
                super::super::native::accept_method(draft, of.id, slot_name, version);
            }
            (12, Some(of)) => {
                // The versions of a slot that gets another name.
                let to = name(["d", "c", "b", "a"][slot]);
                if of.versions.contains_key(&to) {
                    return;
                }
                let moved = of.versions.get(&slot_name).cloned().unwrap_or_default();
                for version in moved.iter().rev().cloned().map(Box::new) {
                    draft.apply(Change::RemoveVersion { id: of.id, selector: slot_name.clone(), version });
                }
                for version in moved.into_iter().map(Box::new) {
                    draft.apply(Change::AddVersion { id: of.id, selector: to.clone(), version });
                }
            }
            _ => {}
        }
    }

    fn after(image: &Image, changes: &[Change]) -> Image {
        let mut image = image.clone();
        changes.iter().for_each(|change| image.apply(change));
        image
    }

    /// Turns and what each changed, one after the other.
    fn turn(image: &Image, ever: &mut HashSet<usize>, deeds: &[Deed]) -> Vec<Change> {
        let mut draft = Draft::on(image);
        deeds.iter().for_each(|deed| act(&mut draft, ever, *deed));
        draft.into_changes()
    }

    fn taken_back(image: &Image, selector: &str, changes: &[Change]) -> Result<Vec<Change>, String> {
        let mut draft = Draft::on(image);
        match take_back(&mut draft, &past_turn(selector, changes.to_vec()), None, &mut Vec::new()) {
            Ok(_) => Ok(draft.into_changes()),
            Err(obstacle) => Err(obstacle.what),
        }
    }

    proptest! {
        #[test]
        fn a_turn_and_its_undo_leave_every_world_as_it_was(
            first in prop::collection::vec(deed(), 0..40),
            second in prop::collection::vec(deed(), 0..40),
        ) {
            let (mut start, mut ever) = (Image::default(), (0..3).collect::<HashSet<usize>>());
            for number in 0..3 {
                start.insert(Object::new(id(number)));
            }
            let start = after(&start, &turn(&start, &mut ever, &first));
            let changes = turn(&start, &mut ever, &second);
            let done = after(&start, &changes);
            let back = taken_back(&done, "set", &changes);
            prop_assert!(back.is_ok(), "{:?}", back);
            let back = back.unwrap_or_default();
            let undone = after(&done, &back);
            prop_assert_eq!(&undone, &start);
            let again = taken_back(&undone, "undo", &back);
            prop_assert!(again.is_ok(), "{:?}", again);
            prop_assert_eq!(after(&undone, &again.unwrap_or_default()), done);
        }

        #[test]
        fn what_a_later_turn_left_is_never_lost(
            first in prop::collection::vec(deed(), 0..20),
            value in 100..200_i32,
            (object, slot) in (0..3_usize, 0..4_usize),
        ) {
            let (mut start, mut ever) = (Image::default(), (0..3).collect::<HashSet<usize>>());
            for number in 0..3 {
                start.insert(Object::new(id(number)));
            }
            let changes = turn(&start, &mut ever, &first);
            let done = after(&start, &changes);
            let later = turn(&done, &mut ever, &[(0, object, slot, value)]);
            let stands = after(&done, &later);
            if let Ok(back) = taken_back(&stands, "set", &changes) {
                let slot = ["a", "b", "c", "d"][slot];
                let undone = after(&stands, &back);
                let read = |image: &Image| image.object(id(object)).and_then(|of| of.slots.get(slot).cloned());
                prop_assert_eq!(read(&undone), read(&stands));
            }
        }
    }
}
