//! The turn that runs: its draft, what it posts and says, and the bounds of all that.

use super::services::Services;
use crate::object::{
    Burial, Draft, Edit, Fault, FaultKind, Name, ObjectId, Objects, Post, Slot, SlotContent, Tombstone, Value,
};
use uuid::Uuid;

/// Most changes of one turn.
const MAX_CHANGES: usize = 10_000;
/// Most bytes that the changes of one turn may have, what was and what is counted together. Far below what a record of the
/// journal may have.
const MAX_CHANGE_BYTES: usize = 128 << 20;
/// Most bytes of one object.
const MAX_OBJECT_BYTES: usize = 64 << 20;
/// Most messages that one turn may post, and most bytes of each and of all of them.
const MAX_POSTS: usize = 1_000;
const MAX_POST_BYTES: usize = 1 << 20;
const MAX_POSTED_BYTES: usize = 16 << 20;
/// Most bytes of one list or map with all that is nested.
const MAX_VALUE_BYTES: usize = 32 << 20;
/// Most bytes that one turn may write to the transcript.
const MAX_LOG_BYTES: usize = 16_384;

/// The turn that runs.
pub(super) struct Active<'a> {
    pub(super) draft: Draft<'a>,
    pub(super) services: &'a mut dyn Services,
    pub(super) sequence: u64,
    pub(super) issued_at: u64,
    /// What stays of the objects that it deletes.
    pub(super) burial: Burial,
    /// Why the turn fails, whatever its code catches.
    pub(super) doomed: Option<Fault>,
    /// The object that the message goes to, once that is known.
    pub(super) receiver: Option<ObjectId>,
    /// Whether it fails for something that it wrote. Where that is found depends on the caches, so nothing else counts then.
    pub(super) doomed_by_write: bool,
    /// Whether the whole world was looked through once.
    pub(super) scanned: bool,
    /// Whether the message is an import that has not begun.
    pub(super) may_import: bool,
    /// Objects whose `does_not_understand` is answering, with what they were sent.
    pub(super) unanswered: Vec<(ObjectId, String)>,
    world_id: Uuid,
    message_id: Uuid,
    made: u32,
    random: u64,
    pub(super) posts: Vec<Post>,
    posted_bytes: usize,
    /// Messages that may still be posted.
    room: usize,
    pub(super) logs: Vec<String>,
    /// Which of these lines objects wrote, rather than the program about what it did.
    pub(super) said: Vec<usize>,
    logged_bytes: usize,
}

/// What a turn's clock, random numbers and new ids derive from.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) world_id: Uuid,
    pub(super) message_id: Uuid,
    pub(super) seed: u64,
    pub(super) issued_at: u64,
}

impl<'a> Active<'a> {
    pub(super) fn new(draft: Draft<'a>, services: &'a mut dyn Services, frame: Frame, room: usize) -> Self {
        Self {
            draft,
            services,
            sequence: 0,
            issued_at: frame.issued_at,
            burial: Burial { deleted_at: frame.issued_at, message: 0 },
            doomed: None,
            receiver: None,
            doomed_by_write: false,
            scanned: false,
            may_import: false,
            unanswered: Vec::new(),
            world_id: frame.world_id,
            message_id: frame.message_id,
            made: 0,
            random: frame.seed,
            posts: Vec::new(),
            posted_bytes: 0,
            room,
            logs: Vec::new(),
            said: Vec::new(),
            logged_bytes: 0,
        }
    }
}

impl Active<'_> {
    /// The id of the next new object.
    pub(super) fn next_id(&mut self) -> ObjectId {
        self.made += 1;
        ObjectId::derived(self.world_id, self.message_id, self.made)
    }

    /// A number in [0, 1): SplitMix64 (Steele and others, 2014), seeded by the sequence number.
    pub(super) fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The turn will fail with this fault, or with the one that came first.
    pub(super) fn doom(&mut self, fault: Fault) -> Fault {
        self.doomed.get_or_insert(fault).clone()
    }

    /// The same for a write that can't be stored, which goes before everything else.
    pub(super) fn doom_by_write(&mut self, fault: Fault) -> Fault {
        if !std::mem::replace(&mut self.doomed_by_write, true) {
            self.doomed = None;
        }
        self.doom(fault)
    }

    /// Why the turn will fail, if that is certain.
    pub(super) fn doomed(&self) -> Option<&Fault> {
        self.doomed.as_ref()
    }

    /// Whether the turn's changes stay within its bounds.
    pub(super) fn check_bounds(&self) -> Result<(), Fault> {
        let told = if self.draft.changes().len() > MAX_CHANGES {
            format!("a turn makes at most {MAX_CHANGES} changes")
        } else if self.draft.written_bytes() > MAX_CHANGE_BYTES {
            format!("a turn changes at most {} MiB", MAX_CHANGE_BYTES >> 20)
        } else {
            return Ok(());
        };
        Err(Fault::new(FaultKind::Bound, told))
    }

    /// The same for the size of every object that it touched.
    pub(super) fn check_objects(&self) -> Result<(), Fault> {
        self.check_bounds()?;
        let large = self.draft.touched().find(|object| object.bytes() > MAX_OBJECT_BYTES);
        large.map_or(Ok(()), |object| {
            let told = format!("{} would be larger than {} MiB", object.title(), MAX_OBJECT_BYTES >> 20);
            Err(Fault::new(FaultKind::Bound, told))
        })
    }

    /// The fault of a message to an object that is deleted: what it was, since when it is gone, and what to do next.
    pub(super) fn gone(&self, id: ObjectId) -> Fault {
        let title = self.draft.title(id);
        let replace = format!("to put another object in its place: replace_references workspace from=@{title} to=@…");
        let told = match self.draft.tombstone(id) {
            None => {
                format!("{title} was deleted; nothing answers for it any more. `undo` takes a deletion back; {replace}")
            }
            Some(Tombstone { name, message, .. }) if *message == self.sequence && *message > 0 => {
                format!("{name} ({title}) was deleted by this very message, and answers nothing any more")
            }
            Some(tombstone @ Tombstone { name, message: 0, .. }) => {
                let moment = tombstone.moment();
                format!("{name} ({title}) was deleted on {moment} by an object of the world; {replace}")
            }
            Some(tombstone @ Tombstone { name, message, .. }) => {
                let moment = tombstone.moment();
                format!(
                    "{name} ({title}) was deleted on {moment} by message {message}. \
                     `undo {message}` brings it back; {replace}"
                )
            }
        };
        Fault::new(FaultKind::Gone, told)
    }

    /// A message that goes out when the turn has its outcome.
    pub(super) fn post(&mut self, post: Post) -> Result<(), Fault> {
        let bytes = post.args.iter().map(Value::bytes).sum::<usize>();
        self.posted_bytes = self.posted_bytes.saturating_add(bytes);
        let told = if bytes > MAX_POST_BYTES {
            format!("a message has at most {} MiB", MAX_POST_BYTES >> 20)
        } else if self.posts.len() >= MAX_POSTS {
            format!("a turn posts at most {MAX_POSTS} messages")
        } else if self.posted_bytes > MAX_POSTED_BYTES {
            format!("a turn posts at most {} MiB", MAX_POSTED_BYTES >> 20)
        } else if self.posts.len() >= self.room {
            "too many messages wait already".to_string()
        } else {
            self.posts.push(post);
            return Ok(());
        };
        Err(Fault::new(FaultKind::Bound, told))
    }

    /// A line for the transcript.
    pub(super) fn log(&mut self, line: String) -> Result<(), Fault> {
        self.logged_bytes += line.len() + 1;
        if self.logged_bytes > MAX_LOG_BYTES {
            let message = format!("a turn writes at most {MAX_LOG_BYTES} bytes to the transcript");
            return Err(Fault::new(FaultKind::Bound, message));
        }
        self.logs.push(line);
        Ok(())
    }

    /// A line that an object has for the transcript: it stays also where the turn fails.
    pub(super) fn say(&mut self, line: String) -> Result<(), Fault> {
        self.log(line)?;
        self.said.push(self.logs.len() - 1);
        Ok(())
    }

    /// Changes a list or map in an own slot in place. False where it would be of another kind afterwards.
    pub(super) fn edit_value(&mut self, id: ObjectId, slot: &Name, edits: Vec<Edit>) -> Result<bool, Fault> {
        self.check_bounds()?;
        let done = self.draft.edit_slot(id, slot, edits);
        let value = self.draft.object(id).and_then(|object| object.slots.get(slot)).and_then(Slot::as_value);
        if value.is_some_and(|value| value.bytes() > MAX_VALUE_BYTES) {
            let told = format!("{slot} of {} would be larger than {} MiB", self.draft.title(id), MAX_VALUE_BYTES >> 20);
            return Err(Fault::new(FaultKind::Bound, told));
        }
        Ok(done)
    }

    /// Writes a value into an own slot; its documentation stays.
    pub(super) fn put_value(&mut self, id: ObjectId, name: Name, value: Value) -> Result<(), Fault> {
        self.check_bounds()?;
        let doc = self
            .draft
            .object(id)
            .and_then(|object| object.slots.get(&name))
            .filter(|slot| slot.as_value().is_some())
            .map(|slot| slot.doc.clone());
        let slot = Slot { content: SlotContent::Value(value), doc: doc.unwrap_or_default() };
        if self.draft.set_slot(id, name, Some(slot)) { Ok(()) } else { Err(self.gone(id)) }
    }
}
