//! One tick: every object that steps is sent `step(seconds)`, and all of it counts as one change of the world.
//!
//! A tick is a pure function of the world and its number and time, so the log keeps only how many there were. First all
//! objects step in one go; where one of them fails, all of it is taken back and each steps by itself. One that fails then
//! stops stepping, and is marked with the reason.

use super::active::{Active, Frame};
use super::services::NoServices;
use super::vm::Vm;
use crate::object::{
    Change, Draft, Fault, FaultKind, Name, ObjectId, Objects, Post, Slot, SlotContent, TICKS_A_SECOND, Tick, Value,
    lookup,
};
use mlua::Value as LuaValue;
use std::cell::RefCell;
use uuid::Uuid;

/// Safepoints that the objects of a tick have together: so many, and so many more for each. One that steps by itself has
/// as many, so that none stops for another's fault.
const FUEL_AT_LEAST: i64 = 1_000_000;
const FUEL_TOGETHER: i64 = 2_000;
/// Messages that the objects of a tick post together where each steps by itself: fewer than may be under way, so that a tick always
/// finds room at some time. And their bytes. One with which there were more stops.
const POSTS: usize = 8_192;
const POSTED_BYTES: usize = 16 << 20;
/// Own slots of an object that steps: whether it does, and why it stopped.
const STEPPING: &str = "stepping";
const STEP_FAULT: &str = "step_fault";

/// What came of a tick.
#[derive(Debug, Default)]
pub struct TickEnd {
    /// In the order in which they were made.
    pub changes: Vec<Change>,
    /// Lines for the transcript.
    pub logs: Vec<String>,
    /// Messages that the objects posted.
    pub posts: Vec<Post>,
    /// Objects that stopped stepping, with the reason.
    pub stopped: Vec<(ObjectId, Fault)>,
    /// An object that worked too long by the clock: then the tick did not happen, for it might have come to its end
    /// elsewhere.
    pub late: Option<ObjectId>,
    /// Its messages found no room: then the tick did not happen either, for what becomes of it may depend on nothing but the
    /// world.
    pub waits: bool,
}

/// Whether an object steps: it says so in a slot of its own.
pub fn steps(objects: &dyn Objects, id: ObjectId) -> bool {
    let slot = objects.object(id).and_then(|object| object.slots.get(STEPPING));
    slot.and_then(Slot::as_value) == Some(&Value::Boolean(true))
}

impl Vm {
    /// Runs a tick of these objects, which step in this order, on `base`, which stays as it is. It may post `room` messages.
    pub fn tick(
        &mut self,
        base: &dyn Objects,
        world_id: Uuid,
        tick: Tick,
        objects: &[ObjectId],
        room: usize,
    ) -> TickEnd {
        let id = Uuid::new_v5(&world_id, format!("tick {}", tick.number).as_bytes());
        let fuel = FUEL_AT_LEAST + FUEL_TOGETHER * i64::try_from(objects.len()).unwrap_or(i64::MAX / FUEL_TOGETHER);
        let frame =
            Frame { world_id, message_id: id, seed: tick.number.wrapping_mul(0x9e37_79b9), issued_at: tick.now_ms() };
        if let Ok(end) = self.step(base, frame, objects, fuel) {
            return self.with_room(end, room);
        }
        let alone = |object: &ObjectId| {
            let bits = object.0.as_u64_pair();
            Frame { message_id: Uuid::new_v5(&id, object.0.as_bytes()), seed: frame.seed ^ bits.0 ^ bits.1, ..frame }
        };
        let mut after = Draft::on(base);
        let mut end = TickEnd::default();
        let mut posted_bytes = 0;
        for object in objects {
            let mut stepped = self.step(&after, alone(object), &[*object], fuel);
            if let Ok(of) = &stepped {
                let bytes = posted_bytes + of.posts.iter().map(Post::bytes).sum::<usize>();
                if end.posts.len() + of.posts.len() > POSTS || bytes > POSTED_BYTES {
                    let told = format!(
                        "all objects that step post at most {POSTS} messages and {} MiB in a tick",
                        POSTED_BYTES >> 20
                    );
                    stepped = Err(Fault::new(FaultKind::Bound, told));
                    // What it left in the caches is not in the world.
                    self.forget_all();
                } else {
                    posted_bytes = bytes;
                }
            }
            match stepped {
                Ok(of) => {
                    of.changes.iter().for_each(|change| after.apply(change.clone()));
                    end.changes.extend(of.changes);
                    end.logs.extend(of.logs);
                    end.posts.extend(of.posts);
                }
                Err(_) if self.shared.fuel.was_late() => {
                    // What the steps before it left in the caches is not in the world.
                    self.forget_all();
                    return TickEnd { late: Some(*object), ..TickEnd::default() };
                }
                Err(fault) => {
                    for change in stopping(&after, *object, &fault) {
                        after.apply(change.clone());
                        end.changes.push(change);
                    }
                    self.forget_object(*object);
                    end.stopped.push((*object, fault));
                }
            }
        }
        self.with_room(end, room)
    }

    fn with_room(&mut self, end: TickEnd, room: usize) -> TickEnd {
        if end.posts.len() <= room {
            return end;
        }
        self.forget_all();
        TickEnd { waits: true, ..TickEnd::default() }
    }

    fn step(&mut self, base: &dyn Objects, frame: Frame, objects: &[ObjectId], fuel: i64) -> Result<TickEnd, Fault> {
        let mut services = NoServices;
        let mut active = RefCell::new(Active::new(Draft::on(base), &mut services, frame, usize::MAX));
        self.run(&mut active, Some(fuel), |vm, active| {
            for id in objects {
                // One that an earlier one of this tick deleted or stopped.
                if !steps(&active.borrow().draft, *id) {
                    continue;
                }
                vm.shared.step(*id, 1.0 / f64::from(TICKS_A_SECOND))?;
                vm.shared.with(|active| active.scanned = false)?;
            }
            Ok(())
        })?;
        let Active { draft, logs, posts, .. } = active.into_inner();
        Ok(TickEnd { changes: draft.into_changes(), logs, posts, ..TickEnd::default() })
    }
}

/// What marks an object that failed.
fn stopping(objects: &dyn Objects, id: ObjectId, fault: &Fault) -> Vec<Change> {
    let mut draft = Draft::on(objects);
    for (name, value) in [(STEPPING, Value::Boolean(false)), (STEP_FAULT, Value::Text(fault.message.clone()))] {
        let Ok(name) = Name::new(name) else { continue };
        let doc = lookup(&draft, id, &name).map(|found| found.slot.doc.clone()).unwrap_or_default();
        draft.set_slot(id, name, Some(Slot { content: SlotContent::Value(value), doc }));
    }
    draft.into_changes()
}

impl super::crossing::Shared {
    /// Sends `step` as code would.
    fn step(&self, id: ObjectId, seconds: f64) -> mlua::Result<()> {
        let object = self.proxies.proxy(id)?;
        self.send_step.call::<LuaValue>((object, seconds)).map(|_| ())
    }
}
