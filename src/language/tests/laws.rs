//! Laws of turns and ticks, in random worlds: every change has its inverse, no cache and no failure shows, nothing but the
//! world and the message counts.

use super::programs::{Program, Step, programs};
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;

/// Messages and ticks of one step, with what was posted: a bound, not a law.
const TURNS_A_STEP: usize = 24;

/// A world between two turns.
struct World {
    image: Image,
    past: PastTurns,
    sequence: u64,
    ticks: u64,
    now_ms: u64,
    waiting: VecDeque<Turn>,
}

/// What changes a world.
#[derive(Clone, Debug)]
enum Turn {
    Message(u64, Envelope),
    Tick(Tick),
}

/// What came of it.
struct End {
    changes: Vec<Change>,
    posts: Vec<Post>,
    outcome: Option<Arc<Outcome>>,
    /// All else of it as text, in which NaN is like NaN and 0 unlike −0.
    told: String,
    fuel_left: i64,
}

/// As [`Lenient`], with a memory.
struct Remembering<'a>(&'a PastTurns);

impl Services for Remembering<'_> {
    fn author(&mut self, of: &dyn Objects, id: ObjectId, text: &str, name: Option<&Name>) -> Result<Authored, Fault> {
        Lenient.author(of, id, text, name)
    }

    fn judge(&mut self, of: &dyn Objects, id: ObjectId, name: &Name, source: &str) -> Result<Passed, Fault> {
        // What a method may name is judged as the gates do.
        let unknown = parse_method(source).ok().and_then(|syntax| syntax.unknown_global());
        unknown.map_or_else(|| Lenient.judge(of, id, name, source), Err)
    }

    fn past(&self) -> Result<&PastTurns, Fault> {
        Ok(self.0)
    }
}

impl World {
    fn new() -> Self {
        let (past, waiting) = (PastTurns::default(), VecDeque::new());
        Self { image: Bench::image(), past, sequence: 1, ticks: 0, now_ms: 1_000, waiting }
    }

    fn message(&mut self, envelope: Envelope) {
        self.sequence += 1;
        let message_id = Envelope::id_of(Uuid::nil(), self.sequence);
        self.waiting
            .push_back(Turn::Message(self.sequence, Envelope { message_id, issued_at: self.now_ms, ..envelope }));
    }

    fn message_of(&mut self, sender: &str, post: Post) {
        let args = post.args.into_iter().map(|value| Argument { name: None, value: value.into() }).collect();
        let target = Target::Id(post.target);
        let (sender_id, selector) = (sender.into(), post.selector);
        self.message(Envelope { sender_id, target, selector, args, ..Bench::envelope("get proto x", 0) });
    }

    /// What a step asks for waits its turn.
    fn take_in(&mut self, step: &Step) {
        match step {
            Step::Line(line) => {
                let mut envelope = Bench::envelope(line, 0);
                let reversed = match line.as_str() {
                    "undo" => self.past.next_undo(),
                    "redo" => self.past.next_redo(),
                    _ => return self.message(envelope),
                };
                let number = Value::Number(reversed.map_or(1, |turn| turn.sequence) as f64);
                envelope.args = vec![Argument { name: None, value: number.into() }];
                self.message(envelope);
            }
            Step::Ticks(ticks) => (0..*ticks).for_each(|index| {
                self.ticks += 1;
                let tick = Tick { number: self.ticks, started_at: self.now_ms, index: index.into() };
                self.waiting.push_back(Turn::Tick(tick));
            }),
            Step::Pause(ms) => {
                self.now_ms += u64::from(*ms);
                let timer = ObjectId::genesis("timer");
                let is_due = |object: &&Object| {
                    let due = object.slots.get("due").and_then(Slot::as_value);
                    matches!(due, Some(Value::Number(due)) if *due <= self.now_ms as f64)
                        && ancestors(&self.image, object.id).contains(&timer)
                };
                let due: Vec<ObjectId> = self.image.iter().filter(is_due).map(|object| object.id).collect();
                let fire = |target| Post { target, selector: Name::new("fire").unwrap(), args: Vec::new() };
                due.into_iter().for_each(|id| self.message_of(Envelope::TIMER, fire(id)));
            }
        }
    }

    fn run(&self, vm: &mut Vm, turn: &Turn) -> End {
        match turn {
            Turn::Message(sequence, envelope) => {
                let request = TurnRequest { world_id: Uuid::nil(), sequence: *sequence, envelope };
                let room = TURNS_A_STEP;
                let (outcome, posts) = vm.turn_that_posts(&self.image, &request, &mut Remembering(&self.past), room);
                let told = match &outcome {
                    Outcome::Completed { result, logs, .. } => format!("{:#?}", (result, logs, &posts)),
                    Outcome::Failed(fault) => format!("{fault:#?}"),
                };
                let (changes, fuel_left) = (outcome.changes().to_vec(), vm.shared.fuel.left());
                End { changes, posts, outcome: Some(outcome.into()), told, fuel_left }
            }
            Turn::Tick(tick) => {
                let objects = self.image.iter().map(|object| object.id).filter(|id| steps(&self.image, *id));
                let end = vm.tick(&self.image, Uuid::nil(), *tick, &objects.collect::<Vec<_>>(), TURNS_A_STEP);
                let told = format!("{:#?}", (&end.posts, &end.logs, &end.stopped, &end.late));
                let fuel_left = vm.shared.fuel.left();
                End { changes: end.changes, posts: end.posts, outcome: None, told, fuel_left }
            }
        }
    }

    fn settle(&mut self, turn: Turn, end: End) {
        end.changes.iter().for_each(|change| self.image.apply(change));
        if let (Turn::Message(sequence, envelope), Some(outcome)) = (turn, end.outcome) {
            let turn = PastTurn::of(sequence, &envelope, &outcome, end.posts.len() as u64);
            turn.into_iter().for_each(|turn| self.past.push(turn));
        }
        end.posts.into_iter().for_each(|post| self.message_of(Envelope::POST, post));
    }
}

/// Everything that a world is, as text.
fn text(image: &Image) -> String {
    format!("{image:#?}")
}

fn vm(program: &Program) -> Vm {
    Vm::new(Limits { fuel: program.fuel, ..Limits::default() }).unwrap()
}

/// Plays a program; `deliver` runs each turn, and looks at it.
fn play(program: &Program, mut deliver: impl FnMut(&World, &Turn) -> End) -> World {
    let mut world = World::new();
    for step in &program.steps {
        world.take_in(step);
        for _ in 0..TURNS_A_STEP {
            let Some(turn) = world.waiting.pop_front() else { break };
            let end = deliver(&world, &turn);
            world.settle(turn, end);
        }
        world.waiting.clear();
    }
    world
}

/// The first lines in which two texts differ.
#[track_caller]
fn assert_same(one: &str, other: &str, what: &str) {
    if one != other {
        let same = one.lines().zip(other.lines()).take_while(|(one, other)| one == other).count();
        let part = |text: &str| text.lines().skip(same.saturating_sub(6)).take(16).collect::<Vec<_>>().join("\n");
        panic!("{what}, from line {same} on:\n{}\nor\n{}", part(one), part(other));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(128)))]

    #[test]
    fn the_inverses_of_all_changes_in_reverse_order_leave_the_world_as_it_was(program in programs(24)) {
        let mut vm = vm(&program);
        play(&program, |world, turn| {
            let end = world.run(&mut vm, turn);
            let mut image = world.image.clone();
            end.changes.iter().for_each(|change| image.apply(change));
            end.changes.iter().rev().for_each(|change| image.apply(&change.inverse()));
            assert_same(&text(&image), &text(&world.image), &format!("not taken back: {turn:?}"));
            end
        });
    }

    #[test]
    fn no_cache_and_no_failed_turn_shows_in_what_comes_after(program in programs(24)) {
        let (mut warm, mut cold) = (vm(&program), vm(&program));
        play(&program, |world, turn| {
            let end = world.run(&mut warm, turn);
            cold.forget_all();
            let of_cold = world.run(&mut cold, turn);
            // In which order slots were first written within a turn may depend on the caches, what they come to may not.
            let left = |end: &End| {
                let mut image = world.image.clone();
                end.changes.iter().for_each(|change| image.apply(change));
                format!("{}\n{}", end.told, text(&image))
            };
            assert_same(&left(&end), &left(&of_cold), &format!("warm and cold differ: {turn:?}"));
            if matches!(end.outcome.as_deref(), Some(Outcome::Completed { .. })) {
                assert_eq!(end.fuel_left, of_cold.fuel_left, "the caches show in the fuel: {turn:?}");
            }
            end
        });
    }

    #[test]
    fn a_world_and_a_message_have_one_outcome(program in programs(24)) {
        let told = |disturbed: bool| {
            let mut vm = vm(&program);
            if disturbed {
                // Addresses and the order of what is kept by address are others.
                vm.lua.load("local t = {} for i = 1, 999 do t[i] = {i} end").exec().unwrap();
            }
            let mut all = String::new();
            let world = play(&program, |world, turn| {
                let end = world.run(&mut vm, turn);
                all.push_str(&format!("{}\n{:#?}\n{}\n", end.told, end.changes, end.fuel_left));
                end
            });
            all + &text(&world.image)
        };
        assert_same(&told(false), &told(true), "two runs differ");
    }

    #[test]
    fn what_a_random_world_exports_is_imported_as_it_was(program in programs(24)) {
        let mut vm = vm(&program);
        let world = play(&program, |world, turn| world.run(&mut vm, turn));
        let files = |image: &Image| -> Vec<(String, String)> {
            image.iter().map(|object| (object.id.to_string(), write_object_file(object.as_ref(), image))).collect()
        };
        let (exported, mut after) = (files(&world.image), Bench::image());
        let mut fresh = || unreachable!("every file has an identity");
        let plan = plan_import(&exported, &after, &mut fresh).unwrap();
        plan.changes().iter().for_each(|change| after.apply(change));
        let again = files(&after);
        assert_same(&format!("{again:#?}"), &format!("{exported:#?}"), "exported and imported");
        prop_assert!(plan_import(&exported, &after, &mut fresh).unwrap().is_empty());
    }
}

#[test]
fn an_error_names_a_method_by_the_name_that_its_holder_has_now() {
    let mut world = Bench::new();
    world.ask("clone proto as=a");
    world.method("a", "go", "function(self) local ok, why = pcall(function() error(\"no\") end) return why end");
    assert_eq!(world.ask("go a"), "a.go:1: no");
    world.ask("rename a to=b");
    assert_eq!(world.ask("go b"), "b.go:1: no");
    assert_eq!(
        world.ask("= (function() local s = world.b:go() world.b:rename('c') return {s, world.c:go()} end)()"),
        "b.go:1: no\nc.go:1: no"
    );
}

#[test]
fn what_comes_into_an_empty_map_is_taken_back() {
    let mut world = Bench::new();
    world.ask("clone proto as=a t={} u={k = {}}");
    for source in ["self.t.k = 1", "self.u.k.l = 1"] {
        let before = text(&world.image);
        let done = world.run(&format!("evaluate a source={}", quoted(source)));
        assert_ne!(text(&world.image), before);
        done.changes().iter().rev().for_each(|change| world.image.apply(&change.inverse()));
        assert_same(&text(&world.image), &before, source);
        world.vm.forget_all();
    }
}

#[test]
fn an_undo_brings_an_entry_back_into_a_map_that_is_empty_by_now() {
    let lines = ["clone proto as=a t={k = 1, l = 2}", "evaluate a source=\"self.t.k = nil\"", "set a t={}", "undo 3"];
    let steps = lines.map(|line| Step::Line(line.into())).to_vec();
    let program = Program { fuel: 1_000_000, steps };
    let mut vm = vm(&program);
    let world = play(&program, |world, turn| world.run(&mut vm, turn));
    let a = world.image.object(world.image.named("a").unwrap()).unwrap();
    assert_eq!(a.slots.get("t").unwrap().as_value().unwrap().text(&world.image), "{k = 1}");
}

#[test]
fn what_no_slot_can_hold_ends_the_turn_where_it_is_written_whatever_crosses() {
    let mut world = Bench::new();
    world.ask("clone proto as=a s=[1] t={k = 1}");
    let bad_text = "text must be UTF-8, and this one is not";
    for (write, why) in
        [("self.u = '\\xff'", bad_text), ("self.s[1] = '\\xff'", bad_text), ("self.t['\\xff'] = 1", bad_text)]
    {
        // An error after it, something right in its place after it, and whether the caches know what is read in between.
        for after in ["self.u = 1 self.s[1] = 1 self.t['\\xff'] = nil", "error('later')", "log(string.rep('x', 20000))"]
        {
            for between in ["", "local x = self.absent"] {
                let source = format!("self.v = 1 pcall(function() {write} end) {between} {after}");
                let fault = world.fault(&format!("evaluate a source={}", quoted(&source)));
                assert!(fault.message.contains(why), "{source}: {fault:?}");
            }
        }
    }
}

#[test]
fn a_write_to_an_object_that_is_gone_is_an_error_where_it_is_written_whatever_crosses() {
    let mut world = Bench::new();
    world.ask("clone proto as=a s=[1] gone=@proto");
    world.ask("= (function() local c = world.a:clone() world.a.gone = c c:delete() end)()");
    let write = "self.v = 1 local ok, why = pcall(function() self.gone.u = 1 end)";
    // What follows it in the same turn, and whether the caches know what is read in between.
    for after in ["", "error('later')", "self.s[1] = 2"] {
        let mut ends = Vec::new();
        for between in ["", "local x = self.absent", "world.proto:describe()"] {
            for is_cold in [false, true] {
                if is_cold {
                    world.vm.forget_all();
                }
                let told = "return {ok, string.find(why, 'was deleted', 1, true) ~= nil, self.gone.u == nil}";
                let rest = if after.starts_with("error") { "" } else { told };
                let source = format!("{write} {between} {after} {rest}");
                let line = format!("evaluate a source={}", quoted(&source));
                ends.push(match world.run(&line) {
                    Outcome::Completed { result, .. } => result.text(&world.image),
                    Outcome::Failed(fault) => fault.message,
                });
            }
        }
        let expected = if after.starts_with("error") { "a.evaluate:1: later" } else { "[false, true, true]" };
        assert!(ends.iter().all(|end| end == expected), "{after}: {ends:?}");
    }
}
