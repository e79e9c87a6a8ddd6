//! Imports of files into worlds, without a VM.

use super::*;
use crate::language::object_file::tests::object;
use crate::language::{genesis_objects, write_object_file};
use crate::object::{Image, Value};
use proptest::prelude::*;
use uuid::Uuid;

const HEAD: &str = "return { format = 1,";

fn world() -> Image {
    let mut image = Image::default();
    genesis_objects().unwrap().into_iter().for_each(|object| image.insert(object));
    image
}

fn plan(files: &[(&str, &str)], image: &Image) -> Result<Plan, Vec<String>> {
    let files: Vec<_> = files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
    let mut count = 0_u128;
    plan_import(&files, image, &mut || {
        count += 1;
        ObjectId(Uuid::from_u128(count))
    })
}

fn import(files: &[(&str, &str)], image: &mut Image) -> Plan {
    let plan = plan(files, image).unwrap();
    let mut draft = Draft::on(&*image);
    plan.changes().into_iter().for_each(|change| draft.apply(change));
    for change in draft.into_changes() {
        image.apply(&change);
    }
    plan
}

fn exported(image: &Image) -> Vec<(String, String)> {
    image.iter().map(|object| (object.title(), write_object_file(object.as_ref(), image))).collect()
}

fn file(id: u128, fields: &str) -> String {
    format!("{HEAD} id = \"{}\", {fields} }}", Uuid::from_u128(id))
}

#[test]
fn objects_of_one_import_may_name_each_other_and_the_world() {
    let mut image = world();
    let a = format!("{HEAD} name = \"a\", parents = {{ \"b\" }}, slots = {{ x = {{ ref = \"b\" }} }} }}");
    let b = format!("{HEAD} name = \"b\", parents = {{ \"proto\" }} }}");
    let plan = import(&[("a.luau", &a), ("b.luau", &b)], &mut image);
    assert_eq!(plan.counts(), Counts { new: 2, ..Counts::default() });
    let of = |name: &str| image.object(image.named(name).unwrap()).unwrap();
    assert_eq!(of("a").parents, [of("b").id]);
    assert_eq!(of("a").slots.get("x").unwrap().as_value(), Some(&Value::Object(of("b").id)));
    assert!(self::plan(&[("a.luau", &a), ("b.luau", &b)], &image).unwrap().is_empty());
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let mut image = world();
    import(&[("a.luau", &file(1, "name = \"a\""))], &mut image);
    let before = image.clone();
    let faults = plan(
        &[
            ("conflict.luau", &file(2, "name = \"a\"")),
            ("twice.luau", &file(2, "name = \"c\"")),
            ("unknown.luau", &file(3, "parents = { \"prot\" }, slots = {\nx = { ref = \"nobody\" } }")),
            ("broken.luau", "return {"),
            ("method.luau", &file(4, "slots = { m = { method = [[\nfunction(self)\n return nothing\nend]] } }")),
            ("reserved.luau", &file(5, "slots = { clone = 1 }")),
            ("root.luau", &format!("{HEAD} id = \"{}\", name = \"root\" }}", ObjectId::proto())),
        ],
        &image,
    );
    let faults = faults.unwrap_err().join("\n");
    for part in [
        "broken.luau, line 1: the file ends",
        "conflict.luau: an object is called a already",
        "twice.luau: conflict.luau is of the same object",
        "unknown.luau, line 1: no object is called `prot`; nearest: proto",
        "unknown.luau, line 2: no object is called `nobody`",
        "method.luau, line 3: nothing is called `nothing` here",
        "reserved.luau: `clone` is a message that every object answers",
        "root.luau: proto can't be renamed",
    ] {
        assert!(faults.contains(part), "{part} is missing in\n{faults}");
    }
    assert_eq!(image, before);
}

#[test]
fn an_object_becomes_equal_to_its_file() {
    let mut image = world();
    let method = "m = { method = [[function(self) return 1 end]] }";
    let old = format!("name = \"o\", parents = {{ \"proto\" }}, slots = {{ a = 1, b = 2, c = 3, {method} }}");
    import(&[("o.luau", &file(1, &old))], &mut image);
    let new = format!(
        "name = \"p\", order = {{ \"c\", \"m\", \"d\" }}, slots = {{ c = 4, b = 2, d = {{ none = true }}, {method} }}"
    );
    let plan = plan(&[("o.luau", &file(1, &new))], &image).unwrap();
    let told = plan.lines(&image).join("\n");
    for part in [
        "o.luau: o is renamed to p",
        "it delegates to nothing, no longer to proto",
        "a is removed, which is 1",
        "c 3 → 4",
        "d is new: nil",
        "its slots stand in another order",
    ] {
        assert!(told.contains(part), "{part} is missing in\n{told}");
    }
    import(&[("o.luau", &file(1, &new))], &mut image);
    let object = image.object(image.named("p").unwrap()).unwrap();
    assert_eq!(object.slots.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["c", "m", "d", "b"]);
    assert_eq!(object.versions["m"].len(), 1, "the same text is no new version");
    let newer = file(1, "name = \"p\", slots = { m = { doc = \"one\", method = [[function(self) return 2 end]] } }");
    import(&[("o.luau", &newer)], &mut image);
    let object = image.object(image.named("p").unwrap()).unwrap();
    let versions = &object.versions["m"];
    assert_eq!((versions.len(), versions[1].number, versions[1].follows), (2, 2, 1));
    assert_eq!(versions[1].origin.author, "import");
}

#[test]
fn an_object_of_many_slots_is_replaced_whole_where_most_of_them_move() {
    let mut image = world();
    let names: Vec<String> = (0..9_999).map(|at| format!("s{at:04}")).collect();
    let slots: String = names.iter().map(|name| format!("{name} = 1,")).collect();
    import(&[("o", &file(1, &format!("name = \"o\", slots = {{ {slots} }}")))], &mut image);
    let order: String = names.iter().rev().map(|name| format!("\"{name}\",")).collect();
    let plan =
        import(&[("o", &file(1, &format!("name = \"p\", order = {{ {order} }}, slots = {{ {slots} }}")))], &mut image);
    assert_eq!((plan.counts().changed, plan.changes().len()), (1, 2));
    let object = image.object(image.named("p").unwrap()).unwrap();
    assert!(object.slots.iter().map(|(name, _)| name.as_str()).eq(names.iter().rev().map(String::as_str)));
    assert_eq!((image.named("o"), image.len()), (None, genesis_objects().unwrap().len() + 1));
}

#[test]
fn names_pass_from_one_object_to_another() {
    let mut image = world();
    import(&[("a", &file(1, "name = \"a\"")), ("b", &file(2, "name = \"b\""))], &mut image);
    import(&[("a", &file(1, "name = \"b\"")), ("b", &file(2, "name = \"a\""))], &mut image);
    assert_eq!(image.named("b"), Some(ObjectId(Uuid::from_u128(1))));
    assert_eq!(image.named("a"), Some(ObjectId(Uuid::from_u128(2))));
    let gone = format!("return {{ id = \"{}\", deleted = true }}", Uuid::from_u128(1));
    import(&[("a", &gone), ("c", &file(3, "name = \"b\", slots = { x = { ref = \"a\" } }"))], &mut image);
    assert_eq!(image.named("b"), Some(ObjectId(Uuid::from_u128(3))));
    assert_eq!(image.len(), genesis_objects().unwrap().len() + 2);
}

#[test]
fn no_import_makes_a_circle_or_orphans_a_child() {
    let mut image = world();
    import(&[("a", &file(1, "name = \"a\"")), ("b", &file(2, "name = \"b\", parents = { \"a\" }"))], &mut image);
    let faults = plan(&[("a", &file(1, "name = \"a\", parents = { \"b\" }"))], &image).unwrap_err();
    assert!(faults[0].contains("in a circle"), "{faults:?}");
    let gone = format!("return {{ id = \"{}\", deleted = true }}", Uuid::from_u128(1));
    let faults = plan(&[("a", &gone)], &image).unwrap_err();
    assert!(faults[0].contains("can't be deleted, b delegate"), "{faults:?}");
    assert_eq!(import(&[("a", &gone), ("b", &file(2, "name = \"b\""))], &mut image).counts().deleted, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn an_export_of_an_import_of_an_export_is_the_same(objects in prop::collection::vec(object(), 1..8)) {
        let mut before = world();
        let mut parent = ObjectId::proto();
        for mut object in objects {
            if object.name.as_ref().is_some_and(|name| before.named(name).is_some()) {
                object.name = None;
            }
            object.parents = vec![parent];
            object.slots.push(Name::new("parent").unwrap(), Slot::value(Value::Object(parent)));
            parent = object.id;
            before.insert(object);
        }
        let files = exported(&before);
        let texts: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut after = world();
        import(&texts, &mut after);
        prop_assert_eq!(exported(&after), files.clone());
        prop_assert!(plan(&texts, &after).unwrap().is_empty());
    }
}
