//! What methods are answered, against a model of delegation in a few lines: reads, sends and resends, while the delegation
//! changes, also within a turn.

use super::*;
use proptest::prelude::*;

/// Objects of a world, `o0` and on.
const OBJECTS: usize = 6;
/// Resends in a row that are followed: paths of an image may go in a circle.
const DEPTH: usize = 4;

/// Tells its holder, and what the next one tells; by way of a parent, where one is given.
fn teller(holder: usize) -> String {
    format!(
        "function(self, depth, via) if depth == 0 then return '{holder}' end local ok, more = pcall(function() \
         if via then return resend_via(via, depth - 1) end return resend(depth - 1) end) \
         return '{holder}' .. (if ok then more else '!') end"
    )
}

/// The model: an object with a path of its own for each way, the left parent first.
fn naive(image: &Image, id: ObjectId, slot: &str, path: &[ObjectId]) -> Option<ObjectId> {
    let object = image.object(id).filter(|_| !path.contains(&id))?;
    if object.slots.get(slot).is_some() {
        return Some(id);
    }
    object.parents.iter().find_map(|parent| naive(image, *parent, slot, &[path, &[id]].concat()))
}

fn told(image: &Image, holder: Option<ObjectId>, depth: usize, via: Option<ObjectId>) -> String {
    let Some(holder) = holder else { return "!".into() };
    let digit = (0..OBJECTS).find(|at| self::id(*at) == holder).unwrap().to_string();
    let parents = image.object(holder).unwrap().parents;
    let next = match via {
        Some(via) => parents.contains(&via).then(|| naive(image, via, "m", &[])).flatten(),
        None => parents.iter().find_map(|parent| naive(image, *parent, "m", &[holder])),
    };
    if depth == 0 { digit } else { digit + &told(image, next, depth - 1, None) }
}

fn id(at: usize) -> ObjectId {
    ObjectId::genesis(&format!("o{at}"))
}

/// What the model says of every object, as [`PROBE`] asks it.
fn model(image: &Image) -> String {
    let of = |at: usize| {
        let value = naive(image, id(at), "v", &[]);
        let value =
            value.map(|holder| image.object(holder).unwrap().slots.get("v").unwrap().as_value().unwrap().text(image));
        let send = if image.object(id(at)).is_some() { value.clone() } else { None };
        let via = id((at + 1) % OBJECTS);
        let method = naive(image, id(at), "m", &[]);
        let resent = told(image, method, DEPTH, None);
        let directed = told(image, method, 2, Some(via));
        let (value, send) = (value.unwrap_or("nil".into()), send.unwrap_or("!".into()));
        format!("{value} {send} {resent} {directed} {}\n", naive(image, id(at), "m", &[]).is_some())
    };
    (0..OBJECTS).map(of).collect()
}

/// Asks every object of `os`.
const PROBE: &str = "local function probe() local s = '' for i = 1, #ids do local o, via = os[i], os[i % #ids + 1] \
    local sent, v = pcall(function() return o:v() end) local ok, m = pcall(function() return o:m(4) end) \
    local directed, d = pcall(function() return o:m(2, via) end) \
    s ..= `{o.v} {if sent then v else '!'} {if ok then m else '!'} {if directed then d else '!'} {o.m ~= nil}\\n` end return s end ";

/// Something that changes who answers, as a statement.
fn change() -> impl Strategy<Value = String> {
    let o = || (1..=OBJECTS).prop_map(|at| format!("os[{at}]"));
    prop_oneof![
        3 => (o(), 0..9_u8).prop_map(|(o, v)| format!("if exists({o}) then {o}.v = {v} end")),
        3 => o().prop_map(|o| format!("{o}:remove_slot('v')")),
        3 => (1..=OBJECTS).prop_map(|at| format!("os[{at}]:add_method('m', {})", quoted(&teller(at - 1)))),
        3 => o().prop_map(|o| format!("{o}:remove_slot('m')")),
        1 => o().prop_map(|o| format!("{o}:undo_method('m')")),
        5 => (o(), o()).prop_map(|(o, of)| format!("{o}:add_parent({of})")),
        5 => (o(), o()).prop_map(|(o, of)| format!("{o}:remove_parent({of})")),
        1 => o().prop_map(|o| format!("{o}:delete(true)")),
        1 => o().prop_map(|o| format!("{o}:rename_slot('v', 'w')")),
        1 => o().prop_map(|o| format!("{o}:rename_slot('w', 'v')")),
        1 => o().prop_map(|o| format!("error('{o}')")),
    ]
}

/// Objects with these parents, and with the slots `v` and `m` where they are said to have them.
fn world(objects: &[(Vec<usize>, bool, bool)]) -> Image {
    let mut image = Bench::image();
    let mut bench = Bench::new();
    bench.ask("clone proto as=t");
    for (at, (parents, has_value, has_method)) in objects.iter().enumerate() {
        let mut object = Object::new(id(at));
        object.parents = parents.iter().map(|parent| id(*parent)).collect();
        if *has_value {
            object.slots.push(Name::new("v").unwrap(), Slot::value(Value::Number(at as f64)));
        }
        if *has_method {
            bench.method("t", "m", &teller(at));
            let t = bench.image.object(bench.image.named("t").unwrap()).unwrap();
            let selector = Name::new("m").unwrap();
            object.slots.push(selector.clone(), t.slots.get("m").unwrap().clone());
            object.versions.insert(selector, vec![t.slots.get("m").unwrap().as_method().unwrap().clone()]);
        }
        image.insert(object);
    }
    let mut ids = Object::new(ObjectId::genesis("asker"));
    ids.name = Some(Name::new("asker").unwrap());
    ids.slots.push(
        Name::new("ids").unwrap(),
        Slot::value(Value::list((0..OBJECTS).map(|at| Value::Object(id(at))).collect())),
    );
    image.insert(ids);
    image
}

fn ask(bench: &mut Bench, body: &str) -> String {
    let text = format!("local ids = self.ids local os = table.clone(ids) {PROBE} {body}");
    bench.ask(&format!("evaluate asker source={}", quoted(&text)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(64)))]

    #[test]
    fn what_methods_are_answered_agrees_with_the_naive_model(
        objects in prop::collection::vec(
            (prop::collection::vec(0..OBJECTS, 0..3), prop::bool::weighted(0.4), prop::bool::weighted(0.5)),
            OBJECTS,
        ),
        turns in prop::collection::vec(prop::collection::vec(change(), 0..6), 1..4),
    ) {
        let mut bench = Bench::new();
        bench.image = world(&objects);
        let mut apart = Bench::new();
        apart.image = bench.image.clone();
        for turn in turns {
            // One by one, each in a turn of a VM that knows nothing, for what the model is asked about.
            let mut expected = model(&apart.image);
            for change in &turn {
                apart.vm.forget_all();
                ask(&mut apart, &format!("pcall(function() {change} end)"));
                expected += &model(&apart.image);
            }
            let all: Vec<String> =
                turn.iter().map(|change| format!("pcall(function() {change} end) table.insert(all, probe())")).collect();
            let seen = ask(&mut bench, &format!("local all = {{probe()}} {} return table.concat(all)", all.join(" ")));
            prop_assert_eq!(seen, expected, "{}", turn.join("\n"));
        }
    }
}
