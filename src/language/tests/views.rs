//! Lists and maps of slots: they behave as plain tables do, and what is stored is what the method sees.

use super::*;
use proptest::prelude::*;

/// A statement on the table `t`, in which `put` stands for a value.
fn list_statement() -> impl Strategy<Value = String> {
    let put = prop_oneof![
        (0..9_i32).prop_map(|number| number.to_string()),
        "'[a-c]'".prop_map(|text| text),
        Just("{1, {2, 'x'}}".to_string()),
        Just("{}".to_string()),
        Just("{k = 'v', n = 3}".to_string()),
    ];
    let place = 1..7_i32;
    prop_oneof![
        3 => put.clone().prop_map(|put| format!("table.insert(t, {put})")),
        3 => put.clone().prop_map(|put| format!("t[#t + 1] = {put}")),
        2 => (place.clone(), put.clone()).prop_map(|(at, put)| format!("if #t >= {at} then t[{at}] = {put} end")),
        2 => (place.clone(), put.clone()).prop_map(|(at, put)| format!("if #t >= {at} then table.insert(t, {at}, {put}) end")),
        2 => place.clone().prop_map(|at| format!("if #t >= {at} then table.remove(t, {at}) end")),
        1 => Just("table.remove(t)".to_string()),
        1 => Just("t[#t] = nil".to_string()),
        1 => Just("table.sort(t, function(a, b) return key(a) < key(b) end)".to_string()),
        1 => Just("table.clear(t)".to_string()),
        1 => place.clone().prop_map(|at| format!("table.move(t, 1, math.min(#t, {at}), 2) for i = 1, #t do t[i] = copy(t[i]) end")),
        1 => (place.clone(), place.clone())
            .prop_map(|(a, b)| format!("if #t >= {a} and #t >= {b} then t[{a}], t[{b}] = copy(t[{b}]), copy(t[{a}]) end")),
        3 => (place.clone(), put.clone())
            .prop_map(|(at, put)| format!("if type(t[{at}]) == 'table' and not t[{at}].k then table.insert(t[{at}], {put}) end")),
        1 => place.clone().prop_map(|at| format!("if type(t[{at}]) == 'table' and t[{at}].k then t[{at}].k = #t end")),
        1 => place.clone().prop_map(|at| format!("local u = t[{at}] if type(u) == 'table' and type(u[2]) == 'table' then u[2][1] = 5 table.remove(u, 1) end")),
        1 => Just("local n = 0 for i, v in ipairs(t) do n += i end table.insert(t, n)".to_string()),
        1 => Just("local n = 0 for k, v in t do n += k end t[#t + 1] = n".to_string()),
        2 => Just("flush()".to_string()),
    ]
}

fn map_statement() -> impl Strategy<Value = String> {
    let key =
        prop_oneof!["'[a-c]'", Just("1".to_string()), Just("2".to_string()), Just("true".into()), Just("2.5".into())];
    let put = prop_oneof![
        Just("nil".to_string()),
        (0..9_i32).prop_map(|number| number.to_string()),
        Just("{1, 2}".to_string()),
        Just("{a = {}}".to_string()),
    ];
    prop_oneof![
        5 => (key.clone(), put.clone()).prop_map(|(key, put)| format!("t[{key}] = {put}")),
        2 => (key.clone(), key.clone(), put).prop_map(|(a, b, put)| format!("if type(t[{a}]) == 'table' then t[{a}][{b}] = {put} end")),
        1 => (key.clone(), key).prop_map(|(a, b)| format!("t[{a}] = copy(t[{b}])")),
        1 => Just("table.clear(t)".to_string()),
        1 => Just("flush()".to_string()),
        1 => Just("local s = '' for k, v in t do s ..= tostring(k) end t.order = if #s > 0 then 'ok' else nil".to_string()),
    ]
}

/// Runs turns of statements on the list `thing.t` and, at the same time, on a copy of it that is a plain table.
fn play(start: &str, turns: &[Vec<String>], heir: bool) {
    let helpers = "local function key(v) return if type(v) == 'table' then 'table' else type(v) .. tostring(v) end \
                   local function copy(v) if type(v) ~= 'table' then return v end local c = {} \
                   for k, w in v do c[k] = copy(w) end return c end ";
    let mut world = Bench::new();
    world.ask(&format!("create_thing thing t={start}"));
    world.ask("clone thing as=heir");
    let name = if heir { "heir" } else { "thing" };
    let mut cold = Bench::new();
    cold.image = world.image.clone();
    cold.next = world.next;
    for turn in turns {
        // A key function that tells tables of equal kind apart by nothing keeps a sort from being compared by accident.
        let body = turn.join(" ");
        let plain = format!("{helpers} local function flush() end local t = copy(self.t) {body} return t");
        let view = format!("{helpers} local function flush() return self.absent end local t = self.t {body}");
        let expected = match world.run(&format!("evaluate {name} source={}", quoted(&plain))) {
            Outcome::Completed { result, .. } => result,
            Outcome::Failed(fault) => panic!("{plain}: {fault:?}"),
        };
        cold.next = world.next;
        cold.vm.forget_all();
        let line = format!("evaluate {name} source={}", quoted(&view));
        let (warm_end, cold_end) = (world.run(&line), cold.run(&line));
        assert!(matches!(warm_end, Outcome::Completed { .. }), "{view}: {warm_end:?}");
        assert!(matches!(cold_end, Outcome::Completed { .. }), "{view}: {cold_end:?}");
        let (left, of_cold) = (world.vm.shared.fuel.left(), cold.vm.shared.fuel.left());
        assert_eq!(left, of_cold, "the caches show in the fuel: {body}");
        assert_eq!(world.image, cold.image, "the caches show in the world: {body}");
        let found = lookup(&world.image, world.image.named(name).unwrap(), "t").unwrap();
        let found = &found.slot.as_value().unwrap().clone();
        let empty = |value: &Value| {
            matches!(value, Value::List(items) if items.is_empty())
                || matches!(value, Value::Map(entries) if entries.is_empty())
        };
        assert!(found.same(&expected) || (empty(found) && empty(&expected)), "{body}\n{found:?}\n{expected:?}");
        let seen = world.ask(&format!("= world.{name}.t"));
        assert_eq!(seen, result_text(found, &world.image), "what is seen is what is stored: {body}");
    }
    if heir {
        assert_eq!(world.ask("get thing t"), Bench::read(start));
    }
}

impl Bench {
    fn read(value: &str) -> String {
        let mut world = Self::new();
        world.ask(&format!("create_thing thing t={value}"));
        world.ask("get thing t")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(96)))]

    #[test]
    fn a_list_of_a_slot_behaves_as_a_plain_table(
        turns in prop::collection::vec(prop::collection::vec(list_statement(), 0..8), 1..5),
        heir: bool,
    ) {
        play("[3, \"b\", [1, [2]], 1]", &turns, heir);
    }

    #[test]
    fn a_map_of_a_slot_behaves_as_a_plain_table(
        turns in prop::collection::vec(prop::collection::vec(map_statement(), 0..8), 1..5),
        heir: bool,
    ) {
        play("{a = 1, b = [1], [2.5] = {c = 2}}", &turns, heir);
    }
}
