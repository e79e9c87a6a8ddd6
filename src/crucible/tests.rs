//! Each gate with candidates that pass it and candidates that lie.

use super::*;
use crate::language::{Limits, genesis_objects};
use crate::object::{Example, FaultKind, Image, Law, Object, Slot, Value};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn number(value: f64) -> Value {
    Value::Number(value)
}

/// The first image and an object `point` that delegates to `proto`.
fn world() -> (Image, ObjectId) {
    let mut image = Image::default();
    genesis_objects().unwrap().into_iter().for_each(|object| image.insert(object));
    let mut point = Object::new(ObjectId::genesis("point"));
    point.name = Some(name("point"));
    point.parents.push(ObjectId::proto());
    point.slots.push(name("count"), Slot::value(number(0.0)));
    let id = point.id;
    image.insert(point);
    (image, id)
}

/// What `move_by(dx, dy)` promises.
fn moving() -> Contract {
    let example = |dx: f64, dy: f64| Example {
        before: vec![(name("x"), number(3.0)), (name("y"), number(4.0))],
        args: vec![number(dx), number(dy)],
        after: vec![(name("x"), number(3.0 + dx)), (name("y"), number(4.0 + dy))],
        result: None,
    };
    Contract {
        promises: vec!["adds dx to x and dy to y".into()],
        writes: vec![name("x"), name("y")],
        examples: vec![example(10.0, 20.0), example(0.0, 0.0), example(-3.0, 0.1)],
        laws: vec![Law::Inverse],
    }
}

fn judged(selector: &str, source: &str, contract: Option<&Contract>) -> Result<Judged, Rejected> {
    let (image, target) = world();
    let before = image.clone();
    let mut vm = Vm::new(Limits::default()).unwrap();
    let result = judge(&Candidate { target, selector: &name(selector), source, contract }, &image, &mut vm);
    assert_eq!(before, image);
    result
}

fn refused(selector: &str, source: &str, contract: Option<&Contract>) -> (Gate, FaultKind, String) {
    let rejected = judged(selector, source, contract).unwrap_err();
    (rejected.gate, rejected.fault.kind, rejected.fault.message)
}

fn moves(body: &str, contract: &Contract) -> (Gate, FaultKind, String) {
    refused("move_by", &format!("function(self, dx, dy)\n{body}\nend"), Some(contract))
}

#[test]
fn an_honest_method_passes_every_gate() {
    let source = "function(self, dx, dy)\n  self.x += dx\n  self.y += dy\nend";
    let judged = judged("move_by", source, Some(&moving())).unwrap();
    assert_eq!(judged.syntax.params, [name("dx"), name("dy")]);
    assert_eq!(
        judged.verdicts,
        [
            "parse: passed, 2 parameters",
            "static: passed, writes x and y",
            "rehearsal: 3 examples, 1 law, only x and y changed"
        ]
    );
}

#[test]
fn a_text_by_hand_is_parsed_and_read_but_not_run() {
    let source = "function(self, n)\n  self:grow(n)\n  self.size = self.speed * n\nend";
    let judged = judged("stretch", source, None).unwrap();
    assert_eq!(
        judged.verdicts,
        [
            "parse: passed, 1 parameter",
            "static: passed; note: point has no slot speed yet; nothing answers grow yet",
            "rehearsal: not run, no contract was stated"
        ]
    );
    let judged = self::judged("count", "function(self) return 1 end", None).unwrap();
    assert_eq!(judged.verdicts[1], "static: passed; note: it takes the place of the value in count");
}

/// What a text by hand is told of the names in it. `lamp` has a slot `power`, and `desk` is its child with `height`.
fn notes(body: &str) -> String {
    let (mut image, _) = world();
    for (title, parent, slot) in [("lamp", "proto", "power"), ("desk", "lamp", "height")] {
        let mut object = Object::new(ObjectId::genesis(title));
        object.name = Some(name(title));
        object.parents.push(ObjectId::genesis(parent));
        object.slots.push(name(slot), Slot::value(number(1.0)));
        image.insert(object);
    }
    let source = format!("function(self)\n{body}\nend");
    let target = ObjectId::genesis("lamp");
    let mut vm = Vm::new(Limits::default()).unwrap();
    let candidate = Candidate { target, selector: &name("go"), source: &source, contract: None };
    judge(&candidate, &image, &mut vm).unwrap().notes.join("; ")
}

#[test]
fn a_misspelt_name_is_a_note_with_the_nearest() {
    assert_eq!(notes("  return self.pwoer"), "lamp has no slot pwoer (nearest: power) yet");
    assert_eq!(
        notes("  local f = function() return `{self.pwoer}` end"),
        "lamp has no slot pwoer (nearest: power) yet"
    );
    assert_eq!(notes("  self.pwoer += 1"), "lamp has no slot pwoer (nearest: power) yet");
    assert_eq!(notes("  self:sett('x', 1)"), "nothing answers sett (nearest: set) yet");
    assert_eq!(notes("  return world.dask.x"), "no object is called dask (nearest: desk) yet");
    assert_eq!(notes("  return world.desk.heihgt"), "desk has no slot heihgt (nearest: height) yet");
    assert_eq!(notes("  world.desk:descrbe()"), "desk does not answer descrbe yet");
    assert_eq!(notes("  local o = self.power o:powwer()"), "nothing in the world answers powwer (nearest: power) yet");
}

#[test]
fn what_is_there_or_will_be_is_no_note() {
    for body in [
        "  self.level = 1 return self.level",
        "  return self.level, (function() self.level = 2 end)()",
        "  return self.height, self.x, self.power",
        "  world.desk.tall = 1 return world.desk.tall",
        "  return world.desk.power, world.lamp.height",
        "  return (function(self) return self.anything end)({})",
        "  self:go() self:set('power', 2) self:power() world.desk:describe()",
        "  local text = 'a' return text:upper():rep(2), reflect(self):senders('go')",
        "  return self['anything'], self.power.anything",
    ] {
        assert_eq!(notes(body), "", "{body}");
    }
}

#[test]
fn what_is_no_method_is_refused_at_its_line() {
    let (gate, kind, message) = refused("m", "function(self)\n  self.x = \nend", None);
    assert_eq!((gate, kind), (Gate::Parse, FaultKind::BadMethod));
    assert!(message.starts_with("line 3: "), "{message}");
    assert_eq!(refused("m", "42", None).0, Gate::Parse);
    let (gate, _, message) = refused("move_by", "function(self, dx)\n  self.x += dx\nend", Some(&moving()));
    assert_eq!(gate, Gate::Parse);
    assert!(message.contains("takes 1 parameter, and its contract sends 2 arguments"), "{message}");
}

#[test]
fn what_reaches_outside_is_refused_with_its_name() {
    for source in ["function(self)\n  os.execute('ls')\nend", "function(self)\n  local f = io.popen\nend"] {
        let (gate, kind, message) = refused("m", source, None);
        assert_eq!((gate, kind), (Gate::Static, FaultKind::BadMethod));
        assert!(message.starts_with("line 2: nothing is called `"), "{message}");
    }
    let (gate, kind, _) = refused("clone", "function(self) end", None);
    assert_eq!((gate, kind), (Gate::Static, FaultKind::Refused));
}

#[test]
fn an_authored_text_may_name_only_what_exists() {
    let contract = moving();
    let (gate, _, message) = moves("  self.x += dx\n  self.y += dy\n  self.h = 1", &contract);
    assert_eq!(gate, Gate::Static);
    assert!(message.contains("writes h, and its contract lets it change x and y only"), "{message}");
    let rejected = moves("  self.x += dx + self.xx\n  self.y += dy", &contract);
    assert!(rejected.0 == Gate::Static && rejected.2.contains("reads xx"), "{rejected:?}");
    let rejected = moves("  self:slide(dx, dy)", &contract);
    assert!(rejected.0 == Gate::Static && rejected.2.contains("sends slide"), "{rejected:?}");
}

#[test]
fn lies_come_out_in_the_rehearsal() {
    let contract = moving();
    let lies = [
        ("  self.x += dy\n  self.y += dx", "move_by(10, 20): x must be 13, and is 23"),
        ("  self.x += dx", "y must be 24, and is 4"),
        ("  while true do end", "out of fuel"),
        ("  error('no')", "line 2: move_by(10, 20) failed"),
        ("  local me = self\n  self.x += dx\n  self.y += dy\n  me.h = 1", "changes h of point"),
        ("  self.x += dx\n  self.y += dy\n  world.proto.w = 1", "changes w of proto"),
        ("  self.x += dx\n  self.y += dy\n  self:clone()", "it makes the object"),
        ("  self.x += dx\n  self.y += dy\n  self:rename('p')", "it renames"),
        ("  self:add_method('m', 'function(self) end')", "rehearsal"),
    ];
    for (body, told) in lies {
        let (gate, kind, message) = moves(body, &contract);
        assert_eq!((gate, kind), (Gate::Rehearsal, FaultKind::BadMethod), "{body}: {message}");
        assert!(message.contains(told), "{body}: {message}");
    }
}

#[test]
fn a_wrong_answer_is_a_lie_too() {
    let example = Example { before: vec![(name("x"), number(7.0))], result: Some(number(7.0)), ..Example::default() };
    let contract = Contract { examples: vec![example], ..Contract::default() };
    let judged = judged("get_x", "function(self)\n  return self.x\nend", Some(&contract)).unwrap();
    assert_eq!(judged.verdicts[2], "rehearsal: 1 example, 0 laws, nothing changed");
    let (_, _, message) = refused("get_x", "function(self)\n  return self.y\nend", Some(&contract));
    assert!(message.contains("get_x(): it must answer 7, and answers 0"), "{message}");
}

#[test]
fn each_law_refuses_what_breaks_it() {
    let lawful = |law: Law, examples: &[f64]| Contract {
        writes: vec![name("x")],
        examples: examples
            .iter()
            .map(|n| Example { before: vec![(name("x"), number(2.0))], args: vec![number(*n)], ..Example::default() })
            .collect(),
        laws: vec![law],
        ..Contract::default()
    };
    let cases = [
        (Law::Inverse, "self.x += n", "self.x *= n"),
        (Law::Idempotent, "self.x = n", "self.x += n"),
        (Law::Involution, "self.x = n - self.x", "self.x = n"),
    ];
    for (law, keeps, breaks) in cases {
        let contract = lawful(law, &[3.0, 0.1]);
        assert!(judged("m", &format!("function(self, n)\n  {keeps}\nend"), Some(&contract)).is_ok(), "{law:?}");
        let (gate, _, message) = refused("m", &format!("function(self, n)\n  {breaks}\nend"), Some(&contract));
        assert_eq!(gate, Gate::Rehearsal);
        assert!(message.contains(law.text()), "{message}");
    }
}

#[test]
fn a_verdict_can_be_had_again() {
    let contract = Contract { writes: vec![name("x")], examples: vec![Example::default()], ..Contract::default() };
    let source = "function(self)\n  self.x = math.random()\nend";
    let first = judged("roll", source, Some(&contract)).unwrap();
    assert_eq!(first.verdicts, judged("roll", source, Some(&contract)).unwrap().verdicts);
}
