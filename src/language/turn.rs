//! One turn: a message is delivered in a draft, and all of it counts or nothing.

use super::crossing::raise;
use super::fault::{bounded, clip, fault_of};
use super::native::{self, Args};
use super::send::{Kind, gone, not_a_method};
use super::services::Services;
use super::values::from_lua;
use super::vm::Vm;
use crate::object::{
    Change, Draft, Edit, Envelope, Fault, FaultKind, MethodVersion, Name, ObjectId, ObjectRef, Objects, Outcome, Post,
    Slot, SlotContent, Target, Value, dangling, digits_of, lookup,
};
use mlua::{MultiValue, Value as LuaValue};
use std::cell::RefCell;
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

/// A message and its place in the order of all messages.
pub struct TurnRequest<'a> {
    /// The world's id: new objects' ids derive from it.
    pub world_id: Uuid,
    /// The message's number: random numbers are seeded by it.
    pub sequence: u64,
    /// The message.
    pub envelope: &'a Envelope,
}

/// The turn that runs.
pub(super) struct Active<'a> {
    pub(super) draft: Draft<'a>,
    pub(super) services: &'a mut dyn Services,
    pub(super) sequence: u64,
    pub(super) issued_at: u64,
    /// Why the turn fails, whatever its code catches.
    doomed: Option<Fault>,
    /// Whether it fails for a write to an object that is gone. Where that is found depends on the caches, so nothing else
    /// counts then.
    doomed_by_write: bool,
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
            doomed: None,
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

    /// The same for a write to an object that is gone, which goes before everything else.
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

    fn check_objects(&self) -> Result<(), Fault> {
        self.check_bounds()?;
        let large = self.draft.touched().find(|object| object.bytes() > MAX_OBJECT_BYTES);
        large.map_or(Ok(()), |object| {
            let told = format!("{} would be larger than {} MiB", object.title(), MAX_OBJECT_BYTES >> 20);
            Err(Fault::new(FaultKind::Bound, told))
        })
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
        if self.draft.set_slot(id, name, Some(slot)) { Ok(()) } else { Err(gone(&self.draft.title(id))) }
    }
}

impl Vm {
    /// Delivers a message to `base`, which stays as it is: the outcome holds the changes.
    pub fn turn(&mut self, base: &dyn Objects, request: &TurnRequest<'_>, services: &mut dyn Services) -> Outcome {
        self.turn_that_posts(base, request, services, usize::MAX).0
    }

    /// The same with the messages that a completed turn posted, of which there may be so many.
    pub fn turn_that_posts(
        &mut self,
        base: &dyn Objects,
        request: &TurnRequest<'_>,
        services: &mut dyn Services,
        room: usize,
    ) -> (Outcome, Vec<Post>) {
        let TurnRequest { world_id, sequence, envelope } = *request;
        let frame = Frame { world_id, message_id: envelope.message_id, seed: sequence, issued_at: envelope.issued_at };
        let mut active = Active::new(Draft::on(base), services, frame, room);
        active.sequence = sequence;
        active.may_import = envelope.selector.as_str() == "import";
        match self.run(active, None, |vm, active| vm.deliver(active, envelope)) {
            Ok((result, Active { draft, logs, posts, .. })) => {
                (Outcome::Completed { result, changes: draft.into_changes(), logs }, posts)
            }
            Err(mut fault) => {
                if fault.kind == FaultKind::Bound {
                    fault.message.push_str("; nothing was changed");
                }
                (Outcome::Failed(fault), Vec::new())
            }
        }
    }

    /// Runs code in a draft: all of it counts, or nothing. `fuel` is the usual one unless given.
    pub(super) fn run<'a, R>(
        &mut self,
        active: Active<'a>,
        fuel: Option<i64>,
        code: impl FnOnce(&Self, &RefCell<Active<'a>>) -> mlua::Result<R>,
    ) -> Result<(R, Active<'a>), Fault> {
        let active = RefCell::new(active);
        let mut spent = None;
        let result = self.refuel(fuel).and_then(|()| {
            self.shared.stage.play(&active, || {
                let value = code(self, &active);
                if value.is_err() {
                    spent = self.shared.fuel.spent();
                    self.lift_bounds();
                    self.shared.find_lost_writes()?;
                    return value;
                }
                self.shared.flush()?;
                value
            })
        });
        let mut active = active.into_inner();
        let fault = match result {
            Ok(value) if active.doomed.is_none() && self.shared.fuel.left() >= 0 => {
                let settled = active.check_objects().and_then(|()| {
                    let broken = |_| Fault::new(FaultKind::Internal, "the VM could not be brought back in order");
                    self.shared.fuel.unmetered(|| self.shared.settle()).map_err(broken)
                });
                match settled {
                    Ok(()) => {
                        let gone = |change: &Change| matches!(change, Change::Delete(_)).then(|| change.id());
                        let gone: Vec<ObjectId> = active.draft.changes().iter().filter_map(gone).collect();
                        self.shared.proxies.let_go(&gone);
                        return Ok((value, active));
                    }
                    Err(fault) => fault,
                }
            }
            Ok(_) => Fault::new(FaultKind::Error, String::new()),
            Err(error) => fault_of(&error),
        };
        let spent = spent.or(self.shared.fuel.spent());
        let touched: Vec<ObjectId> = active.draft.changes().iter().map(Change::id).collect();
        let made = |change: &Change| matches!(change, Change::Create(_)).then(|| change.id());
        let made: Vec<ObjectId> = active.draft.changes().iter().filter_map(made).collect();
        self.take_back(&touched, &made);
        let mut fault = match active.doomed.take() {
            Some(doom) if doom.trace.is_empty() && !active.doomed_by_write => Fault { trace: fault.trace, ..doom },
            Some(doom) => doom,
            None => bounded(fault, spent),
        };
        clip(&mut fault.message);
        Err(fault)
    }

    fn deliver(&self, active: &RefCell<Active<'_>>, envelope: &Envelope) -> mlua::Result<Value> {
        if let Some(reversal) = envelope.reversal() {
            return self.reverse(active, reversal);
        }
        let selector = envelope.selector.as_str();
        let (id, args) = 'met: {
            let mut active = active.borrow_mut();
            let mut args = Args::default();
            for (index, argument) in envelope.args.iter().enumerate() {
                if let Some(name) = &argument.name
                    && envelope.args[..index].iter().any(|earlier| earlier.name.as_ref() == Some(name))
                {
                    let message = format!("{selector} got `{name}` twice");
                    return Err(raise(Fault::new(FaultKind::BadArgument, message)));
                }
                let value = argument.value.resolve(&active.draft).or_else(|name| match selector {
                    "remove_parent" | "replace_references" => argument.value.resolve(&AlsoDeleted(&active.draft)),
                    _ => Err(name),
                });
                let value = value.map_err(|name| raise(native::unknown_object(&active.draft, &name)))?;
                match &argument.name {
                    Some(name) => args.named.push((name.clone(), value)),
                    None => args.positional.push(value),
                }
            }
            let id = match &envelope.target {
                Target::Id(id) => *id,
                Target::Name(name) => match (active.draft.meant(name), selector.strip_prefix("create_")) {
                    (Some(id), Some(prototype))
                        if !prototype.is_empty()
                            && lookup(&active.draft, id, selector).is_none()
                            && lookup(&active.draft, id, "does_not_understand").is_none() =>
                    {
                        let message = format!("an object is called `{}` already", active.draft.title(id));
                        return Err(raise(Fault::new(FaultKind::BadName, message)));
                    }
                    (Some(id), _) => id,
                    (None, Some(prototype)) if !prototype.is_empty() => {
                        let id = native::create(&mut active, prototype, name, args).map_err(raise)?;
                        break 'met (id, None);
                    }
                    (None, _) => return Err(raise(native::unknown_object(&active.draft, name))),
                },
            };
            if active.draft.object(id).is_none() {
                return Err(raise(gone(&active.draft.title(id))));
            }
            (id, Some(args))
        };
        let Some(args) = args else {
            self.shared.initialise(&self.lua, id)?;
            return Ok(Value::Object(id));
        };
        let answer = self.send(active, id, selector, args)?;
        from_lua(&answer, &self.shared.proxies).map_err(raise)
    }

    fn send(&self, active: &RefCell<Active<'_>>, id: ObjectId, selector: &str, args: Args) -> mlua::Result<LuaValue> {
        if native::is_reserved(selector) {
            return self.shared.call_native(&self.lua, id, selector, args);
        }
        enum Found {
            Method(ObjectId, MethodVersion),
            Value(Value),
            Nothing,
        }
        let found = {
            let active = active.borrow();
            match lookup(&active.draft, id, selector).map(|found| (found.holder, &found.slot.content)) {
                Some((holder, SlotContent::Method(method))) => Found::Method(holder, method.clone()),
                Some((_, SlotContent::Value(_))) if !(args.positional.is_empty() && args.named.is_empty()) => {
                    return Err(raise(not_a_method(&active.draft, id, selector)));
                }
                Some((_, SlotContent::Value(value))) => Found::Value(value.clone()),
                None => Found::Nothing,
            }
        };
        match found {
            Found::Value(value) => self.to_lua(&value),
            Found::Method(holder, method) => {
                let values = in_order(selector, &method, args).map_err(raise)?;
                let function = self.shared.compile(&self.lua, holder, selector, &method.source)?;
                let mut all = MultiValue::with_capacity(values.len() + 1);
                for value in values.iter().rev() {
                    all.push_front(self.to_lua(value)?);
                }
                all.push_front(LuaValue::Table(self.shared.proxies.proxy(id)?));
                function.call(all)
            }
            Found::Nothing if native::native_spec(selector).is_some() => {
                self.shared.call_native(&self.lua, id, selector, args)
            }
            Found::Nothing => {
                let by_place = args.positional.iter().map(|_| None);
                let names: Vec<Option<Name>> =
                    by_place.chain(args.named.iter().map(|(name, _)| Some(name.clone()))).collect();
                if self.shared.write_unanswered(id, selector, &names)? {
                    return self.send(active, id, selector, args);
                }
                if let Some((name, _)) = args.named.first()
                    && lookup(&active.borrow().draft, id, "does_not_understand").is_some()
                {
                    let message =
                        format!("nothing says what `{name}` is: does_not_understand takes arguments by place");
                    return Err(raise(Fault::new(FaultKind::BadArgument, message)));
                }
                let positional = args.positional.iter().map(|value| self.to_lua(value));
                let positional = positional.collect::<mlua::Result<MultiValue>>()?;
                let answer = self.shared.does_not_understand(&self.lua, id, selector, positional, Kind::Send)?;
                Ok(answer.into_iter().next().unwrap_or(LuaValue::Nil))
            }
        }
    }
}

/// A world in which the digits of a deleted object are known as long as something refers to it.
struct AlsoDeleted<'a>(&'a dyn Objects);

impl Objects for AlsoDeleted<'_> {
    fn object(&self, id: ObjectId) -> Option<ObjectRef<'_>> {
        self.0.object(id)
    }

    fn named(&self, name: &str) -> Option<ObjectId> {
        self.0.named(name)
    }

    fn ids(&self) -> Vec<ObjectId> {
        self.0.ids()
    }

    fn meant(&self, text: &str) -> Option<ObjectId> {
        self.0.meant(text).or_else(|| dangling(self.0, &digits_of(text)?))
    }
}

/// Arguments in the order of the method's parameters; a missing one is nil.
fn in_order(selector: &str, method: &MethodVersion, args: Args) -> Result<Vec<Value>, Fault> {
    if args.positional.len() > method.params.len() && !method.is_variadic() {
        return Err(native::too_many(selector, &method.params));
    }
    let mut values = args.positional;
    for (name, value) in args.named {
        let Some(place) = method.params.iter().position(|param| *param == name) else {
            return Err(native::unknown_parameter(selector, &name, &method.params));
        };
        if place < values.len() && values[place] != Value::Nil {
            let message = format!("{selector} got `{name}` twice");
            return Err(Fault::new(FaultKind::BadArgument, message));
        }
        if values.len() <= place {
            values.resize(place + 1, Value::Nil);
        }
        values[place] = value;
    }
    Ok(values)
}
