//! The language's laws, told in lines of the console against a world that is a plain [`Image`].

use super::console::{ConsoleLine, parse_line, result_text};
use super::*;
use crate::object::*;
use uuid::Uuid;

mod delegation;
mod laws;
pub(crate) mod programs;
mod views;

/// Cases of a law: as many as `WORKBENCH_CASES` says, or the given number.
pub(crate) fn cases(usual: u32) -> u32 {
    std::env::var("WORKBENCH_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

thread_local! {
    static STRIKES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The program itself panics at the next root messages of this thread, so many times.
pub(crate) fn let_strike(times: usize) {
    STRIKES.set(times);
}

/// A place where the program may be at fault.
pub(super) fn strike() {
    if STRIKES.get() > 0 {
        STRIKES.set(STRIKES.get() - 1);
        panic!("a test has the program panic here");
    }
}

/// A world, its VM, and the number of the next message.
struct Bench {
    image: Image,
    vm: Vm,
    next: u64,
}

/// Accepts every text that parses.
struct Lenient;

impl Services for Lenient {
    fn author(&mut self, _: &dyn Objects, _: ObjectId, _: &str, _: Option<&Name>) -> Result<Authored, Fault> {
        Err(Fault::new(FaultKind::NotUnderstood, "nobody writes here"))
    }

    fn judge(&mut self, _: &dyn Objects, _: ObjectId, _: &Name, source: &str) -> Result<Passed, Fault> {
        let syntax = parse_method(source).map_err(|fault| Fault::new(FaultKind::BadMethod, fault.to_string()))?;
        Ok(Passed { params: syntax.params, verdicts: vec!["parse: passed".into()], notes: vec![] })
    }
}

impl Bench {
    fn new() -> Self {
        Self { image: Self::image(), vm: Vm::new(Limits::default()).unwrap(), next: 2 }
    }

    /// The first image.
    fn image() -> Image {
        let mut image = Image::default();
        genesis_objects().unwrap().into_iter().for_each(|object| image.insert(object));
        image
    }

    fn envelope(line: &str, sequence: u64) -> Envelope {
        let ConsoleLine::Message(UICommand { target, selector, args }) = parse_line(line).unwrap() else {
            panic!("{line} is no message")
        };
        Envelope {
            message_id: Envelope::id_of(Uuid::nil(), sequence),
            correlation_id: None,
            sender_id: "test".into(),
            target,
            selector,
            args,
            issued_at: 1_000,
            retries: None,
        }
    }

    fn run(&mut self, line: &str) -> Outcome {
        let envelope = Self::envelope(line, self.next);
        let request = TurnRequest { world_id: Uuid::nil(), sequence: self.next, envelope: &envelope };
        let outcome = self.vm.turn(&self.image, &request, &mut Lenient);
        self.next += 1;
        if let Outcome::Completed { changes, .. } = &outcome {
            changes.iter().for_each(|change| self.image.apply(change));
        }
        outcome
    }

    /// What a line that must complete answers.
    fn ask(&mut self, line: &str) -> String {
        match self.run(line) {
            Outcome::Completed { result, .. } => result_text(&result, &self.image),
            Outcome::Failed(fault) => panic!("{line}: {fault:?}"),
        }
    }

    /// Why a line that must fail fails; the world is as it was.
    fn fault(&mut self, line: &str) -> Fault {
        let before = self.image.clone();
        match self.run(line) {
            Outcome::Failed(fault) => {
                assert_eq!(before, self.image);
                fault
            }
            done => panic!("{line}: {done:?}"),
        }
    }

    fn method(&mut self, object: &str, selector: &str, source: &str) {
        self.ask(&format!("add_method {object} selector={selector} source={}", quoted(source)));
    }
}

#[test]
fn an_unknown_target_is_created_at_the_centre() {
    let mut world = Bench::new();
    assert_eq!(world.ask("create_point point"), "@point");
    assert_eq!(world.ask("get point x"), "0");
    assert_eq!(world.ask("= world.point.y"), "0");
    assert_eq!(world.ask("create_point next color=red"), "@next");
    // There is a prototype of that name now.
    assert_eq!(world.image.object(world.image.named("next").unwrap()).unwrap().parents.len(), 1);
    assert_eq!(world.ask("= world.next.color"), "red");
    assert_ne!((world.ask("get next x"), world.ask("get next y")), ("0".into(), "0".into()));
    assert_eq!(world.fault("create_point point").kind, FaultKind::BadName);
}

#[test]
fn writes_go_to_the_receiver_and_a_prototype_shows_in_its_children() {
    let mut world = Bench::new();
    world.ask("create_thing a size=1");
    world.ask("clone a as=b");
    assert_eq!(world.ask("= world.b.size"), "1");
    world.ask("set a size=2");
    assert_eq!(world.ask("= world.b.size"), "2");
    world.method("a", "grow", "function(self, by)\n  self.size += by\n  return self.size\nend");
    assert_eq!(world.ask("grow b by=5"), "7");
    assert_eq!(world.ask("grow b 1"), "8");
    assert_eq!(world.ask("= world.a.size"), "2");
    world.ask("remove_slot b size");
    assert_eq!(world.ask("= world.b.size"), "2");
    world.ask("set a size=nil");
    assert_eq!(world.ask("= world.b.size"), "nil");
}

#[test]
fn a_list_changed_in_place_persists_and_belongs_to_its_slot() {
    let mut world = Bench::new();
    world.ask("create_thing a items=[1]");
    world.ask("clone a as=b");
    world.method("a", "add", "function(self, v) table.insert(self.items, v) return #self.items end");
    assert_eq!(world.ask("add b 2"), "2");
    assert_eq!(world.ask("add b [3]"), "3");
    assert_eq!(world.ask("get b items"), "[1, 2, [3]]");
    assert_eq!(world.ask("get a items"), "[1]");
    // Assigned to another slot it is a copy.
    world.method("a", "share", "function(self) self.other = self.items table.insert(self.items, 9) end");
    world.ask("share b");
    assert_eq!(world.ask("get b items"), "[1, 2, [3], 9]");
    assert_eq!(world.ask("get b other"), "[1, 2, [3]]");
    world.method("a", "nest", "function(self) self.map = { deep = { 1 } } self.map.deep[2] = 2 end");
    world.ask("nest a");
    assert_eq!(world.ask("get a map"), "{deep = [1, 2]}");
}

#[test]
fn a_failed_turn_leaves_nothing_behind() {
    let mut world = Bench::new();
    world.ask("create_thing a n=1 items=[1]");
    let source = "function(self)\n  self.n = 2\n  table.insert(self.items, 2)\n  self:clone('kid')\n  error('no')\nend";
    world.method("a", "try", source);
    let fault = world.fault("try a");
    assert_eq!(fault.kind, FaultKind::Error);
    assert!(fault.message.contains("no"), "{}", fault.message);
    assert!(fault.trace.iter().any(|place| place == "a.try:5"), "{:?}", fault.trace);
    assert_eq!(world.ask("= self == world.workspace and world.a.n"), "1");
    assert_eq!(world.ask("= #world.a.items"), "1");
    assert_eq!(world.ask("= world.kid"), "nil");
}

#[test]
fn no_method_outruns_its_bounds() {
    let mut world = Bench::new();
    world.ask("create_thing a n=1");
    for (selector, body) in [
        ("spin", "while true do end"),
        ("hide", "self.n = 2 while true do pcall(function() while true do end end) end"),
        ("hide_too", "self.n = 2 local ok = pcall(function() while true do end end) return ok"),
        ("hide_deep", "xpcall(function() while true do end end, function() while true do end end)"),
        ("deep", "return self:deep()"),
        ("deep_call", "local function f() return 1 + f() end return f()"),
        ("eat", "local t = {} for i = 1, 1e9 do t[i] = string.rep('x', 1000) .. i end"),
        ("eat_text", "local t = 'x' while true do t = t .. t end"),
        ("eat_once", "return #string.rep('x', 1e9)"),
        ("match", "return string.find(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40))"),
        ("write", "for i = 1, 1e9 do self.n = i end"),
        ("make", "while true do self:clone() end"),
        ("talk", "while true do log('x') end"),
        ("sort", "local t = table.create(1000, 1) table.sort(t, function() while true do end end)"),
        // Long or large in a single call, or written where only Rust sees the bytes.
        ("rep", "while true do local s = string.rep('x', 1000000) end"),
        ("rep_too_much", "return string.rep('x', 1e18)"),
        ("join", "local s, i = string.rep('a', 1000000), 0 while true do i += 1 local t = s .. i end"),
        ("shift", "local t = table.create(1000000, 1) while true do table.remove(t, 1) end"),
        ("shift_back", "local t = table.create(300000, 1) while true do table.insert(t, 1, 0) table.remove(t) end"),
        ("find", "local s = string.rep('a', 1000000) while true do string.find(s, 'b', 1, true) end"),
        ("upper", "local s = string.rep('a', 100000) while true do s:upper() end"),
        ("count", "local s = string.rep('a', 1000000) while true do utf8.len(s) end"),
        ("store", "local t = table.create(30000, 1) while true do self.items = t end"),
        ("teach", "while true do self:add_method('m', 'function(self) return 1 end') end"),
        ("evaluate_on", "while true do self:evaluate('1') end"),
        ("describe_on", "while true do self:describe() end"),
        ("rename_on", "for i = 1, 30000 do self:rename('a' .. i) end"),
        ("make_and_delete", "while true do self:clone():delete() end"),
        ("swell", "local s = string.rep('x', 1048576) for i = 1, 1100 do self['s' .. i] = s end"),
        ("ask_a_mirror", "while true do reflect(self):references() end"),
        ("ask_for_senders", "while true do reflect(self):senders('m') end"),
        ("look_for_children", "while true do local all = reflect(self).children end"),
        ("look_for_orphans", "while true do self:find_orphans() end"),
        ("walk", "local t = table.create(1000000, 1) while true do for k in t do break end end"),
        ("look", "local t = {} for i = 1, 20000 do t['k' .. i] = i end while true do next(t) end"),
        ("swell_slowly", "pcall(function() for i = 1, 20000 do self['s' .. i] = i self:get('n') end end) return 1"),
    ] {
        world.method("a", selector, &format!("function(self) self.n = 2 {body} end"));
        let fault = world.fault(&format!("{selector} a"));
        assert_eq!(fault.kind, FaultKind::Bound, "{selector}: {fault:?}");
        assert_eq!(world.ask("get a n"), "1");
        assert_eq!(world.ask("= world.a.n"), "1", "{selector}");
    }
}

#[test]
fn a_write_that_cannot_be_stored_fails_the_turn_whatever_catches_it() {
    let mut world = Bench::new();
    world.ask("create_thing a n=1 items=[1]");
    for body in [
        r"self.t = '\255' self.n = 5",
        r"self.t = '\255' self.n = 99 pcall(function() return self:describe() end)",
        r"self['S__describe'] = 1 pcall(function() return self:get('n') end)",
        r"pcall(function() self.t = '\255' self.n = 3 end) return self:describe()",
        r"self.n = 7 table.insert(self.items, print) pcall(function() return self:get('n') end)",
    ] {
        world.fault(&format!("= (function(self) {body} end)(world.a)"));
        // Also inside the VM nothing is left of it.
        assert_eq!(world.ask("= world.a.n"), "1", "{body}");
        assert_eq!(world.ask("= #world.a.items"), "1", "{body}");
        assert!(world.ask("= world.a:describe()").contains("n = 1"), "{body}");
    }
    // A name that no slot has is told where it is written, before anything is.
    assert_eq!(
        world.ask("= (function(self) pcall(function() self.Bad = 1 self.n = 3 end) return self.n end)(world.a)"),
        "1"
    );
}

#[test]
fn reading_is_never_a_write() {
    let mut world = Bench::new();
    world.ask("create_thing a empty={} nested={inv = {}, list = []} odd={1 = \"x\"}");
    world.ask("clone a as=b");
    for read in ["= #world.b.empty", "= world.b.nested", "= world.b.odd", "= world.a.nested"] {
        let Outcome::Completed { changes, .. } = world.run(read) else { panic!("{read} failed") };
        assert_eq!(changes, [], "{read}");
    }
}

#[test]
fn what_a_name_means_is_asked_at_each_call() {
    let mut world = Bench::new();
    world.ask("create_thing p x=1");
    assert_eq!(world.ask("= (function() world.p.x = 6 return world.p.x end)()"), "6");
    world.method("p", "px", "function(self) return world.p.x end");
    assert_eq!(world.ask("px p"), "6");
    world.ask("set p x=77");
    assert_eq!(world.ask("px p"), "77");
    world.ask("rename p to=q");
    world.ask("create_thing p x=3");
    assert_eq!(world.ask("px q"), "3");
}

#[test]
fn a_turn_burns_the_same_whatever_the_caches_hold() {
    let mut world = Bench::new();
    world.ask("create_thing a n=0 text=word");
    world.ask("clone a as=b");
    world.ask("clone b as=c");
    world.method("a", "step", "function(self, by) self.n += by return self.n end");
    world.method("a", "init", "function(self) self:step(1) self.text ..= 'x' end");
    let source = "function(self)\n  for _ = 1, 9 do\n    local x = self.text .. tostring(self.absent)\n    self:step(1)\n    \
                  world.a.n = world.c.n self.n = world.b.n\n    \
                  local kid = self:clone() kid:step(2) kid:delete()\n    local m = reflect(self)\n    self.n += #m.slots + #m.children + #m:senders('step') \n    \
                  m:lookup('text') m:slot('n') m:references() pcall(function() self:nope() end)\n  end\n  \
                  return self:describe() .. self:lookup_report('n')\nend";
    world.method("a", "all", source);
    let mut burnt = Vec::new();
    for round in 0..6 {
        if round % 2 == 0 {
            world.vm.forget_all();
        }
        world.ask("all c");
        burnt.push(world.vm.shared.fuel.left());
    }
    assert!(burnt.windows(2).all(|pair| pair[0] == pair[1]), "{burnt:?}");
}

#[test]
fn caches_that_are_emptied_over_and_over_do_not_show_in_the_fuel() {
    let mut world = Bench::new();
    world.ask("create_thing a n=0");
    world.ask("clone a as=b");
    world.method(
        "a",
        "go",
        "function(self) local s = 0 for i = 1, 15000 do world.a.n = i s += world.b.n end return s end",
    );
    let mut burnt = Vec::new();
    for round in 0..4 {
        if round % 2 == 0 {
            world.vm.forget_all();
        }
        world.ask("go a");
        burnt.push(world.vm.shared.fuel.left());
    }
    assert!(burnt.windows(2).all(|pair| pair[0] == pair[1]), "{burnt:?}");
}

#[test]
fn a_lookup_costs_by_the_objects_that_it_asks() {
    let mut world = Bench::new();
    world.ask("create_thing p n=1");
    world.ask("= (function() local o = world.p for i = 1, 1000 do o = o:clone() end o:rename('deep') end)()");
    let mut burns = |line: &str| {
        world.ask(line);
        1_000_000 - world.vm.shared.fuel.left()
    };
    let (near, far) = (burns("= world.p.absent"), burns("= world.deep.absent"));
    assert!(far - near > 1_500, "{near} {far}");
    assert!(burns("= world.deep:get('n')") - burns("= world.p:get('n')") > 1_500);
    // What the caches keep costs the same from a cold one.
    assert_eq!(burns("= world.deep.n"), burns("= world.deep.n"));
}

#[test]
fn a_vm_is_in_doubt_where_memory_stack_or_the_program_failed() {
    let mut world = Bench::new();
    world.ask("create_thing a");
    for (line, doubt) in [
        ("= error('no')", false),
        ("= (function() while true do end end)()", false),
        ("= (function() local function f() return 1 + f() end return f() end)()", true),
        ("= (function() local t = {} while true do t[#t + 1] = ('x'):rep(1000000) .. #t end end)()", true),
        (
            "= (function() local t = {} while true do t = {t, ('x'):rep(1000)} if #t > 9 then t = {} end t = {} end end)()",
            true,
        ),
    ] {
        world.fault(line);
        assert_eq!(world.vm.in_doubt.get(), doubt, "{line}");
        world.ask("= world.a.x");
        assert!(!world.vm.in_doubt.get());
    }
    let_strike(1);
    let turn = std::panic::AssertUnwindSafe(|| world.run("set a x=1"));
    assert!(std::panic::catch_unwind(turn).is_err());
    assert!(world.vm.in_doubt.get());
    assert_eq!(world.ask("= world.a.x"), "0");
}

#[test]
fn a_slot_gets_another_name_with_all_that_belongs_to_it() {
    let mut world = Bench::new();
    world.ask("create_thing a n=0 other=1");
    world.method("a", "m", "function(self) return 1 end");
    world.method("a", "m", "function(self) return 2 end");
    world.ask("document a slot=m text=\"answers 2\"");
    world.ask("set a last=5");
    let before = world.image.clone();
    let Outcome::Completed { changes, .. } = world.run("rename_slot a from=m to=k") else { panic!() };
    let object = world.image.object(world.image.named("a").unwrap()).unwrap();
    let names: Vec<&str> = object.slots.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["n", "other", "x", "y", "k", "last"]);
    assert_eq!(object.slots.get("k").unwrap().doc, "answers 2");
    assert_eq!((object.versions["k"].len(), object.versions.contains_key("m")), (2, false));
    assert_eq!(world.ask("= world.a:k()"), "2");
    assert_eq!(world.fault("= world.a:m()").kind, FaultKind::DoesNotUnderstand);
    changes.iter().rev().for_each(|change| world.image.apply(&change.inverse()));
    assert_eq!(world.image, before);
    world.vm.forget_all();
    // Numbers of a method that was called so before are counted on.
    world.method("a", "k", "function(self) return 3 end");
    world.ask("remove_method a k");
    world.ask("rename_slot a from=m to=k");
    let object = world.image.object(world.image.named("a").unwrap()).unwrap();
    let numbers: Vec<(u32, u32)> =
        object.versions["k"].iter().map(|version| (version.number, version.follows)).collect();
    assert_eq!(numbers, [(1, 0), (2, 0), (3, 2)]);
    assert_eq!(object.slots.get("k").unwrap().as_method().unwrap().number, 3);
    world.ask("undo_method a k");
    assert_eq!(world.ask("k a"), "1");
}

#[test]
fn a_mirror_shows_what_is_there_and_runs_nothing() {
    let mut world = Bench::new();
    world.ask("create_thing a items=[1]");
    for selector in ["describe", "does_not_understand", "slot", "name"] {
        world.method("a", selector, "function(self) self.items[1] = 2 error('run') end");
    }
    assert_eq!(world.ask("= (function() local m = reflect(self) return m.name end)()"), "workspace");
    assert_eq!(world.ask("= reflect(world.a).name"), "a");
    assert_eq!(world.ask("= reflect(world.a):slot('items').value"), "[1]");
    assert_eq!(world.ask("= equal(reflect(world.a), reflect(world.a))"), "true");
    assert_eq!(world.ask("= equal(reflect(world.a), reflect(self))"), "false");
    assert_eq!(world.fault("= table.insert(reflect(world.a), 1)").kind, FaultKind::Error);
    assert_eq!(world.fault("= reflect(world.a)").kind, FaultKind::BadValue);
    assert_eq!(world.fault("= world.a:get(reflect(world.a))").kind, FaultKind::BadValue);
}

#[test]
fn what_was_deleted_is_meant_by_the_digits_that_texts_show() {
    let mut world = Bench::new();
    world.ask("create_thing a");
    world.ask("clone a as=kid");
    world.ask("set kid friend=@a");
    let title = untitled(world.image.named("a").unwrap());
    world.ask("delete a force=true");
    assert!(world.fault(&format!("set kid other=@{title}")).message.starts_with("no object is called"));
    world.ask(&format!("remove_parent kid parent=@{title}"));
    assert_eq!(world.ask("= #reflect(world.kid).parents"), "0");
    world.ask(&format!("replace_references workspace from=@{title} to=@kid"));
    assert_eq!(world.ask("get kid friend"), "@kid");
    // Nothing tells of it any more.
    assert!(world.fault(&format!("remove_parent kid parent=@{title}")).message.starts_with("no object is called"));
}

#[test]
fn the_collector_does_not_show_in_the_fuel() {
    let mut world = Bench::new();
    world.ask("create_thing a text=abcdefghij n=0");
    let source = "function(self)\n  local t = {}\n  for i = 1, 3000 do\n    t[i % 50] = {tostring(i) .. string.sub(self.text, 2, 5), \
                  string.char(64 + i % 9), string.format('%d', i), ('x'):rep(i % 99)}\n    self.n = #t\n  end\nend";
    world.method("a", "churn", source);
    let burnt: Vec<i64> = (0..8)
        .map(|round| {
            world.ask(&format!("= string.rep('x', {})", round * 30_000));
            world.ask("churn a");
            world.vm.shared.fuel.left()
        })
        .collect();
    assert!(burnt.windows(2).all(|pair| pair[0] == pair[1]), "{burnt:?}");
}

#[test]
fn tables_are_walked_in_a_defined_order() {
    let mut world = Bench::new();
    for at in 0..12 {
        world.ask(&format!("create_thing o{at}"));
    }
    let sets = "local set = {} for i = 0, 11 do set[world['o' .. i]] = i end set.text = 'a' set[3] = 3 set[true] = 1";
    let walks = [
        ("for k, v in set do n += 1 s ..= tostring(k) .. ' ' end"),
        ("for k, v in pairs(set) do n += 1 s ..= tostring(k) .. ' ' end"),
        ("for k, v in next, set do n += 1 s ..= tostring(k) .. ' ' end"),
        ("local k, v = next(set) while k ~= nil do n += 1 s ..= tostring(k) .. ' ' k, v = next(set, k) end"),
    ];
    let mut orders: Vec<String> = Vec::new();
    for walk in walks {
        let line = format!("= (function() {sets} local s, n = '', 0 {walk} return s .. n end)()");
        orders.push(world.ask(&line));
        // In another VM the same objects have other addresses.
        world.vm = Vm::new(Limits::default()).unwrap();
        orders.push(world.ask(&line));
    }
    let mut ids: Vec<(ObjectId, String)> =
        (0..12).map(|at| (world.image.named(&format!("o{at}")).unwrap(), format!("o{at}"))).collect();
    ids.sort();
    let names: Vec<String> = ids.into_iter().map(|(_, name)| name).collect();
    assert_eq!(orders[0], format!("true 3 text {} 15", names.join(" ")));
    assert!(orders.iter().all(|order| *order == orders[0]), "{orders:#?}");
    for (line, expected) in [
        ("= (function() local s = '' for i, v in {'a', 'b'} do s ..= i .. v end return s end)()", "1a2b"),
        ("= (function() local s = '' for w in string.gmatch('a b', '%a') do s ..= w end return s end)()", "ab"),
        ("= (function() local s = {[world.o1] = 1} for k in s do s[k] = nil end return next(s) == nil end)()", "true"),
        // Numbers beside objects, in whichever part of the table the VM keeps them.
        (
            "= (function() local n = 0 for size = 1, 9 do local t = { [world.o3] = 0 } for i = size, 1, -1 do t[i] = i end \
             local last for k in t do last = k end if last == world.o3 then n += 1 end end return n end)()",
            "9",
        ),
        ("= #(function() local s = 0 for k, v in { a = 1, b = 2 } do s += v end return tostring(s) end)()", "1"),
    ] {
        assert_eq!(world.ask(line), expected, "{line}");
    }
}

#[test]
fn turns_see_no_addresses() {
    let mut world = Bench::new();
    for (line, expected) in [
        ("= `{ {} } {print}`", "table function"),
        ("= string.format('%s %*', {}, print)", "table function"),
        ("= tostring({}) .. tostring(world.proto)", "tableproto"),
        ("= string.format('%d %5.2f %s', 3, 1.5, 'a')", "3  1.50 a"),
    ] {
        assert_eq!(world.ask(line), expected, "{line}");
    }
    assert_eq!(world.fault("= error({})").message, "the error is a table, not a text");
}

#[test]
fn what_is_caught_is_the_sentence() {
    let mut world = Bench::new();
    world.ask("create_thing a");
    let told = world.ask("= (function() local ok, why = pcall(function() world.a:nope() end) return why end)()");
    assert!(told.starts_with("a does not understand `nope`"), "{told}");
    assert_eq!(world.ask("= (function() local _, why = pcall(error, 'out of fuel') return why end)()"), "out of fuel");
    let fault = world.fault("= error('the car is out of fuel\\nstack overflow')");
    assert_eq!(fault.kind, FaultKind::Error);
    assert!(fault.message.ends_with("the car is out of fuel\nstack overflow"), "{}", fault.message);
    assert!(world.fault("= error(string.rep('x', 1000000))").message.len() < 5_000);
}

#[test]
fn the_priced_functions_answer_as_the_plain_ones() {
    let mut world = Bench::new();
    for (line, expected) in [
        ("= ('abcabc'):find('b')", "2"),
        ("= select(2, ('abcabc'):find('bc', 3))", "6"),
        ("= ('a.b'):find('.', 1, true)", "2"),
        ("= ('a.b'):find('%.')", "2"),
        ("= ('abc'):find('', 10)", "nil"),
        ("= ('abc'):find('', 4)", "4"),
        ("= ('abc'):find('c', -1)", "3"),
        ("= string.find(123, 2)", "2"),
        ("= (string.find('a1', 1, '2', 1))", "2"),
        ("= ('abc'):rep(2)", "abcabc"),
        ("= ('abc'):byte(-1)", "99"),
        ("= select('#', ('abc'):byte(1, 3))", "3"),
        ("= table.concat({1, 2, 3}, ',', 2)", "2,3"),
        ("= (function() local t = {1, 2} table.insert(t, 1, 0) table.insert(t, 3) return t end)()", "[0, 1, 2, 3]"),
        ("= (function() local t = {1, 2, 3} return { table.remove(t, 1), table.remove(t), #t } end)()", "[1, 3, 1]"),
        ("= table.move({1, 2, 3}, 2, 3, 1)", "[2, 3, 3]"),
        ("= (function() local t = {3, 1, 2} table.sort(t) return t end)()", "[1, 2, 3]"),
        ("= table.find({'a', 'b'}, 'b')", "2"),
        ("= utf8.len('äö')", "2"),
    ] {
        assert_eq!(world.ask(line), expected, "{line}");
    }
}

#[test]
fn an_unanswered_send_is_a_message() {
    let mut world = Bench::new();
    world.ask("create_thing a");
    world.method("a", "move_by", "function(self, dx) self.x += dx end");
    let fault = world.fault("mve_by a dx=1");
    assert_eq!(fault.kind, FaultKind::DoesNotUnderstand);
    assert_eq!(fault.suggestions, ["move_by"]);
    world.method("a", "does_not_understand", "function(self, selector, args) return selector .. #args end");
    assert_eq!(world.ask("nope a 1 2"), "nope2");
    assert_eq!(world.ask("= world.a:nope(1)"), "nope1");
    assert_eq!(world.ask("= world.a.nope"), "nil");
    world.method("a", "does_not_understand", "function(self, selector) return self:other() end");
    let fault = world.fault("nope a");
    assert!(fault.message.contains("other") && fault.message.contains("nope"), "{}", fault.message);
}

#[test]
fn arguments_go_by_name_and_by_place() {
    let mut world = Bench::new();
    world.ask("create_thing a");
    world.method("a", "two", "function(self, p, q) return { p or 'none', q or 'none' } end");
    assert_eq!(world.ask("two a q=1"), "[\"none\", 1]");
    assert_eq!(world.ask("two a 1"), "[1, \"none\"]");
    assert_eq!(world.ask("two a 1 q=2"), "[1, 2]");
    assert_eq!(world.fault("two a 1 p=2").kind, FaultKind::BadArgument);
    assert_eq!(world.fault("two a 1 2 3").kind, FaultKind::BadArgument);
    assert_eq!(world.fault("two a r=2").kind, FaultKind::BadArgument);
    assert!(
        world
            .fault("= world.a:two(1, 2, 3)")
            .message
            .contains("a.two takes 2 arguments (p, q), and more came: the first too many is 3")
    );
    assert!(world.fault("x a 5").message.contains("not a method"));
    assert_eq!(world.ask("x a"), "0");
}

#[test]
fn resend_goes_on_from_the_holder() {
    let mut world = Bench::new();
    world.ask("create_thing a");
    world.ask("clone a as=b");
    world.ask("clone b as=c");
    world.method("a", "say", "function(self, w) return 'a' .. w .. tostring(self) end");
    world.method("b", "say", "function(self, w) return 'b' .. resend(w) end");
    assert_eq!(world.ask("say c w=1"), "ba1c");
    world.ask("create_thing d");
    world.method("d", "say", "function(self, w) return 'd' .. w end");
    world.ask("add_parent b parent=@d");
    world.method("b", "say", "function(self, w) return resend_via('d', w) .. resend_via(world.a, w) end");
    assert_eq!(world.ask("say c w=1"), "d1a1c");
    assert_eq!(world.fault("= world.b:say()").kind, FaultKind::Error);
    assert_eq!(world.fault("add_parent a parent=@c").kind, FaultKind::Refused);
}

#[test]
fn what_cannot_be_stored_fails_the_turn() {
    let mut world = Bench::new();
    world.ask("create_thing a");
    for body in [
        "self.f = function() end",
        "local t = {} t.t = t self.t = t",
        "self.t = '\\255'",
        "return function() end",
        "self.Bad = 1",
        "self.clone = 1",
        "self[1] = 2",
    ] {
        world.method("a", "try", &format!("function(self) {body} end"));
        let fault = world.fault("try a");
        assert!(!matches!(fault.kind, FaultKind::Internal | FaultKind::Bound), "{body}: {fault:?}");
    }
}

#[test]
fn reserved_messages_work_on_a_broken_object() {
    let mut world = Bench::new();
    world.ask("create_thing a");
    for line in ["set a clone=1", "add_method a selector=set source=\"function(self) end\"", "clone a describe=1 set=2"]
    {
        assert_eq!(world.fault(line).kind, FaultKind::Refused, "{line}");
    }
    world.method("a", "describe", "function(self) return 'mine' end");
    assert_eq!(world.ask("describe a"), "mine");
    world.ask("undo_method a describe");
    assert!(world.ask("describe a").starts_with("a delegates to proto"));
    world.ask("undo_method a describe");
    assert_eq!(world.ask("describe a"), "mine");
}

#[test]
fn versions_are_kept_and_undone() {
    let mut world = Bench::new();
    world.ask("create_thing a");
    world.method("a", "m", "function(self) return 1 end");
    world.method("a", "m", "function(self) return 2 end");
    assert_eq!(world.ask("m a"), "2");
    world.ask("undo_method a m");
    assert_eq!(world.ask("m a"), "1");
    world.method("a", "m", "function(self) return 3 end");
    world.ask("undo_method a m");
    assert_eq!(world.ask("m a"), "1");
    assert_eq!(world.ask("versions a m").lines().count(), 3);
    world.ask("remove_method a m");
    assert_eq!(world.fault("m a").kind, FaultKind::DoesNotUnderstand);
    world.ask("undo_method a m");
    assert_eq!(world.ask("m a"), "3");
}

#[test]
fn a_deleted_object_answers_nothing_and_its_name_is_free() {
    let mut world = Bench::new();
    world.ask("create_thing a");
    world.ask("create_thing b");
    world.ask("set b friend=@a");
    world.ask("clone a as=kid");
    assert!(world.fault("delete a").message.contains("kid"));
    world.ask("delete a force=true");
    assert_eq!(world.ask("= exists(world.b.friend)"), "false");
    assert_eq!(world.ask("= world.b.friend.x"), "nil");
    assert_eq!(world.fault("= world.b.friend:x()").kind, FaultKind::Gone);
    world.ask("rename b to=a");
    assert_eq!(world.ask("= world.a == world.b"), "false");
    assert!(world.fault("describe b").message.contains("no object is called `b`"));
    assert_eq!(world.fault("delete proto force=true").kind, FaultKind::Refused);
}

#[test]
fn a_rehearsed_turn_is_the_same_turn() {
    let mut world = Bench::new();
    world.ask("create_thing a");
    world.method("a", "roll", "function(self) self.n = math.random(100) return { self:clone(), now(), self.n } end");
    let envelope = Bench::envelope("roll a", 50);
    let request = TurnRequest { world_id: Uuid::nil(), sequence: 50, envelope: &envelope };
    let first = world.vm.turn(&world.image, &request, &mut NoServices);
    world.vm.forget_all();
    let mut other = Vm::new(Limits::default()).unwrap();
    assert_eq!(first, other.turn(&world.image, &request, &mut NoServices));
    assert!(matches!(first, Outcome::Completed { ref changes, .. } if changes.len() == 2));
}

/// Lines of a world in which much is inherited, shared and cached; some of them fail.
const DEALINGS: [&str; 26] = [
    "clone p as=q",
    "clone q as=r",
    "= (function() world.p.n += 1 return {world.p.n, world.q and world.q.n, world.r and world.r.n} end)()",
    "= (function() world.q.n = 7 return world.r and world.r.n end)()",
    "remove_slot q n",
    "add p 1",
    "add q 2",
    "add r 3",
    "= (function() table.insert(world.p.items, 'p') return {world.p.items, world.q and world.q.items} end)()",
    "= (function() world.q.map.k = (world.q.map.k or 0) + 1 return world.p.map end)()",
    "add_method q selector=add source=\"function(self, by) return resend(by * 10) end\"",
    "remove_method q add",
    "undo_method q add",
    "= (function() world.p.n = 99 table.insert(world.q.items, 0) error('no') end)()",
    "= (function() local function f() world.p.n += 1 return 1 + f() end return f() end)()",
    "= (function() pcall(function() world.r.n = 5 error('caught') end) return world.r.n end)()",
    "delete r",
    "delete q force=true",
    "= (function() local kid = world.p:clone() world.p.kid = kid kid.n = -1 return {kid.n, kid.items} end)()",
    "= world.p.kid:add(4)",
    "rename q to=s",
    "rename s to=q",
    "add_parent q parent=@spare",
    "remove_parent q parent=@spare",
    "= (function() local s = 0 for i = 1, 200 do s += world.p.n + (world.q and world.q.n or 0) end return s end)()",
    "= (function() for k, v in reflect(world.p).slots do log(k, v) end world.p.x = {} world.p.x.y = {1} end)()",
];

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(cases(12)))]

    #[test]
    fn a_vm_thrown_away_between_two_turns_changes_no_outcome(
        turns in proptest::collection::vec((0..DEALINGS.len(), proptest::prelude::any::<bool>()), 1..30),
    ) {
        let worlds = || {
            let mut world = Bench::new();
            world.ask("create_thing p n=0 items=[1] map={k = 1}");
            world.ask("create_thing spare n=50 spare=1");
            world.method("p", "add", "function(self, by) self.n += by table.insert(self.items, by) return self.n end");
            world
        };
        let (mut kept, mut renewed) = (worlds(), worlds());
        for (line, renews) in turns {
            if renews {
                renewed.vm = Vm::new(Limits::default()).unwrap();
            }
            let outcome = kept.run(DEALINGS[line]);
            proptest::prop_assert_eq!(&outcome, &renewed.run(DEALINGS[line]), "{}", DEALINGS[line]);
            if matches!(outcome, Outcome::Failed(_)) {
                continue;
            }
            proptest::prop_assert_eq!(kept.vm.shared.fuel.left(), renewed.vm.shared.fuel.left(), "{}", DEALINGS[line]);
        }
        proptest::prop_assert_eq!(kept.image, renewed.image);
    }
}

#[test]
fn nothing_outside_the_turn_is_in_reach() {
    let mut world = Bench::new();
    for name in ["os", "io", "require", "loadstring", "getmetatable", "setmetatable", "rawset", "collectgarbage", "_G"]
    {
        let outcome = world.run(&format!("= {name}"));
        assert!(
            !matches!(outcome, Outcome::Completed { ref result, .. } if *result != Value::Nil),
            "{name}: {outcome:?}"
        );
    }
    for line in ["= (function() math.pi = 3 return 1 end)()", "= (function() x = 1 return x end)()"] {
        let _ = world.run(line);
        assert_eq!(world.fault("= x").kind, FaultKind::BadMethod);
        assert_eq!(world.ask("= math.floor(math.pi * 100)"), "314");
    }
}

#[test]
fn a_list_stays_the_slots_own_whatever_else_happens_to_its_object() {
    let mut world = Bench::new();
    world.ask("create_thing c items=[1]");
    world.ask("create_thing other");
    let source = "function(self, x) local l = self.items table.insert(l, x) self:set('last', x) table.insert(l, x) \
                  self:add_parent(world.other) table.insert(l, x) self:remove_slot('last') table.insert(l, x) \
                  self:remove_parent(world.other) table.insert(self.items, #l) end";
    world.method("c", "grow", source);
    world.ask("grow c 7");
    assert_eq!(world.ask("get c items"), "[1, 7, 7, 7, 7, 5]");
    world.vm.forget_all();
    world.ask("grow c 8");
    assert_eq!(world.ask("get c items"), "[1, 7, 7, 7, 7, 5, 8, 8, 8, 8, 10]");
}

#[test]
fn an_heir_sees_its_prototypes_list_until_it_changes_its_own() {
    let mut world = Bench::new();
    world.ask("create_thing p items=[1] deep=[[1]]");
    world.ask("clone p as=q");
    world.ask("clone q as=r");
    let source = "function(self) local n = #world.q.items + #world.r.deep[1] table.insert(world.p.items, 2) \
                  table.insert(world.p.deep[1], 2) return n * 100 + #world.r.items * 10 + #world.q.deep[1] end";
    world.method("p", "look", source);
    assert_eq!(world.ask("look p"), "222");
    world.method("p", "grow", "function(self) table.insert(self.items, 3) table.insert(self.deep[1], 3) end");
    world.ask("grow q");
    assert_eq!(world.ask("= {world.p.items, world.q.items, world.r.items}"), "[[1, 2], [1, 2, 3], [1, 2, 3]]");
    assert_eq!(world.ask("= {world.p.deep, world.q.deep, world.r.deep}"), "[[[1, 2]], [[1, 2, 3]], [[1, 2, 3]]]");
    assert_eq!(world.ask("get q deep"), "[[1, 2, 3]]");
    world.fault("= (function() table.insert(world.r.items, 4) error('no') end)()");
    assert_eq!(world.ask("= #world.r.items"), "3");
}

#[test]
fn what_changes_in_a_long_list_is_all_that_is_written() {
    let mut world = Bench::new();
    world.ask("create_thing c items=[]");
    world.ask("= (function() local l = {} for i = 1, 20000 do l[i] = {i} end world.c.items = l end)()");
    for body in [
        "table.insert(world.c.items, 1)",
        "world.c.items[7][2] = 'x'",
        "table.remove(world.c.items, 3)",
        "table.insert(world.c.items, 2, 'y')",
    ] {
        let Outcome::Completed { changes, .. } = world.run(&format!("= (function() {body} end)()")) else {
            panic!("{body}")
        };
        let [Change::EditSlot { edits, .. }] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!(edits.len(), 1);
        let before = world.image.clone();
        changes.iter().rev().for_each(|change| world.image.apply(&change.inverse()));
        changes.iter().for_each(|change| world.image.apply(change));
        assert_eq!(before, world.image);
    }
    assert_eq!(
        world.ask("= {world.c.items[1], world.c.items[2], #world.c.items, world.c.items[20001]}"),
        "[[1], \"y\", 20001, 1]"
    );
}

#[test]
fn what_a_failed_turn_made_is_let_go() {
    let mut world = Bench::new();
    world.ask("create_thing a");
    world.method("a", "make", "function(self) for _ = 1, 2000 do self:clone().n = 1 end error('no') end");
    let mut held = Vec::new();
    for _ in 0..6 {
        world.fault("make a");
        world.vm.lua.gc_collect().unwrap();
        world.vm.lua.gc_collect().unwrap();
        held.push(world.vm.used_bytes());
    }
    assert!(held[5] < held[1] + 200_000, "{held:?}");
    // What is deleted is let go as well, and stays the same for whoever still refers to it.
    world.ask("create_thing keeper kept=[]");
    world.ask("= (function() local kid = world.a:clone() world.keeper.kept = {kid, kid} end)()");
    world.ask("= (function() world.keeper.kept[1]:delete() end)()");
    assert_eq!(
        world.ask("= {world.keeper.kept[1] == world.keeper.kept[2], exists(world.keeper.kept[1])}"),
        "[true, false]"
    );
}
