//! Object files: one object as `return` and one pure table literal, readable by people, git and models.
//!
//! `docs/object-files.md` is the form. `literal` reads the text, `read` what it says, `write` writes the one canonical
//! text of an object. Reading needs no VM: a call, an operator or a name in the literal is refused with its line. Where
//! files come from and what becomes of them is not known here.

mod literal;
mod read;
mod write;

pub(super) use read::{FileContent, FileSlot, ObjectFile};
pub use write::write_object_file;

use super::syntax::parse_method;
use crate::object::{MethodVersion, Name, Object, ObjectId, Origin, Slot};
use std::collections::HashSet;
use std::sync::LazyLock;
use thiserror::Error;

/// The format that this program writes and the newest that it reads.
const FORMAT: f64 = 1.0;

/// Keys that, alone in a table, make it stand for something else than a map.
const WRAPPERS: [&str; 7] = ["conflict", "map", "method", "none", "number", "ref", "value"];

/// Numbers that no literal has.
const NUMBERS: [(&str, f64); 3] = [("nan", f64::NAN), ("inf", f64::INFINITY), ("-inf", f64::NEG_INFINITY)];

/// Object files of the first image, by name.
const GENESIS: [(&str, &str); 10] = [
    ("proto.luau", include_str!("../../../assets/genesis/proto.luau")),
    ("codex.luau", include_str!("../../../assets/genesis/codex.luau")),
    ("architect.luau", include_str!("../../../assets/genesis/architect.luau")),
    ("button.luau", include_str!("../../../assets/genesis/button.luau")),
    ("counter.luau", include_str!("../../../assets/genesis/counter.luau")),
    ("list_morph.luau", include_str!("../../../assets/genesis/list_morph.luau")),
    ("slider.luau", include_str!("../../../assets/genesis/slider.luau")),
    ("text_morph.luau", include_str!("../../../assets/genesis/text_morph.luau")),
    ("timer.luau", include_str!("../../../assets/genesis/timer.luau")),
    ("workspace.luau", include_str!("../../../assets/genesis/workspace.luau")),
];

/// Why a text is no object file.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{file}, line {line}: {message}")]
pub struct ObjectFileError {
    /// The file's name.
    pub file: String,
    /// Counts from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl ObjectFileError {
    fn new(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_string(), line, message: message.into() }
    }
}

/// The objects of the first image. Ids are the same in every world.
pub fn genesis_objects() -> Result<Vec<Object>, ObjectFileError> {
    GENESIS.iter().map(|(file, text)| read_object_file(file, text)).collect()
}

/// Whether every world has the object from its beginning.
pub fn is_built_in(id: ObjectId) -> bool {
    static IDS: LazyLock<HashSet<ObjectId>> = LazyLock::new(|| {
        let names = GENESIS.iter().filter_map(|(file, _)| file.strip_suffix(".luau"));
        names.map(ObjectId::genesis).collect()
    });
    IDS.contains(&id)
}

/// Reads one object of the first image: its id and its parents' follow from their names.
///
/// # Errors
/// What is wrong, with its line.
pub fn read_object_file(file: &str, text: &str) -> Result<Object, ObjectFileError> {
    let read = ObjectFile::read(file, text)?;
    let Some(name) = read.name.clone() else {
        return Err(ObjectFileError::new(file, 1, "an object of the first image has a name"));
    };
    let content = read.content(&mut |name, _| ObjectId::genesis(name))?;
    let mut object = Object::new(read.id.unwrap_or_else(|| ObjectId::genesis(&name)));
    object.name = Some(name);
    object.parents = content.parents;
    for (name, FileSlot { doc, content }) in content.slots {
        let slot = match content {
            FileContent::Value(value) => Slot { doc, ..Slot::value(value) },
            FileContent::Method { source, line } => {
                let syntax = parse_method(&source)
                    .map_err(|fault| ObjectFileError::new(file, line + fault.line as usize - 1, fault.message))?;
                let version = first_version("genesis", source, syntax.params, doc);
                object.versions.insert(name.clone(), vec![version.clone()]);
                Slot::method(version)
            }
        };
        object.slots.push(name, slot);
    }
    Ok(object)
}

/// A method's text as the first one of its selector, accepted by no message yet.
pub(super) fn first_version(author: &str, source: String, params: Vec<Name>, doc: String) -> MethodVersion {
    let origin = Origin {
        author: author.into(),
        instruction: String::new(),
        contract: Vec::new(),
        verdicts: Vec::new(),
        sequence: 0,
    };
    MethodVersion { number: 1, follows: 0, params, source, doc, origin }
}

/// The order in which slots stand in a file: values before methods, each by name.
fn in_file_order<S>(slots: &mut [(Name, S)], is_method: impl Fn(&S) -> bool) {
    slots.sort_by(|(a, left), (b, right)| (is_method(left), a).cmp(&(is_method(right), b)));
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::object::{Image, MapKey, Value};
    use proptest::prelude::*;
    use uuid::Uuid;

    #[test]
    fn the_objects_of_the_first_image_are_built_in() {
        assert!(genesis_objects().unwrap().iter().all(|object| is_built_in(object.id)));
        assert!(!is_built_in(ObjectId::genesis("point")));
    }

    #[test]
    fn the_first_image_reads() {
        let objects = genesis_objects().unwrap();
        let proto = &objects[0];
        assert_eq!(proto.id, ObjectId::proto());
        assert_eq!(proto.slots.get("x").unwrap().as_value(), Some(&Value::Number(0.0)));
        assert_eq!(proto.slots.get("color").unwrap().as_value(), Some(&Value::Text("#74abe0".into())));
        assert_eq!(objects[1].parents, [ObjectId::proto()]);
    }

    #[test]
    fn what_an_object_file_may_not_say_is_refused_with_its_line() {
        let id = "id = \"6f1c3c9e-6f0a-8c55-9a3e-2f9d1b7c0a11\"";
        let refused = [
            ("format = 2, name = \"o\"", 2, "newer"),
            ("format = 1,\nname = \"o\",\nextra = 1", 4, "`extra` is not known"),
            ("format = 1,\nname = \"O\"", 3, "names are made of"),
            ("format = 1,\nname = \"nul\"", 3, "Windows"),
            ("format = 1,\nid = \"7\"", 3, "no id"),
            ("format = 1", 1, "neither"),
            ("name = \"o\"", 1, "`format` is missing"),
            ("format = 1, format = 1", 2, "twice"),
            ("format = 1, name = \"o\",\nparents = { \"a\", 1 }", 3, "text"),
            ("format = 1, name = \"o\",\nslots = { End = 1 }", 3, "names are made of"),
            ("format = 1, name = \"o\",\nslots = { a = { value = 1, dok = \"\" } }", 3, "`dok`"),
            ("format = 1, name = \"o\",\nslots = { a = { 1, b = 2 } }", 3, "not both"),
            ("format = 1, name = \"o\",\nslots = { a = { { none = true } } }", 3, "no list"),
            ("format = 1, name = \"o\",\nslots = { a = { ref = 1 } }", 3, "no wrapper"),
            ("format = 1, name = \"o\",\nslots = { a = { number = \"1\" } }", 3, "nan"),
            ("format = 1, name = \"o\",\nslots = { a = { [1] = 1, [1] = 2 } }", 3, "twice"),
            ("format = 1, name = \"o\",\nslots = { a = { conflict = {} } }", 3, "in conflict"),
            ("format = 1, name = \"o\",\norder = { \"a\" }", 3, "no slot is called"),
            ("deleted = true", 1, "nothing else"),
            (&format!("{id}, deleted = true, name = \"o\""), 1, "nothing else"),
            (&format!("{id}, deleted = false"), 2, "absent"),
        ];
        for (fields, line, part) in refused {
            let error = ObjectFile::read("o", &format!("return {{\n{fields} }}")).unwrap_err();
            assert!(error.line == line && error.message.contains(part), "{fields}: {error}");
        }
        assert!(ObjectFile::read("o", &format!("return {{ {id}, deleted = true }}")).unwrap().is_deletion);
        let deep =
            format!("return {{ format = 1, name = \"o\", slots = {{ a = {}{} }} }}", "{".repeat(33), "}".repeat(33));
        assert!(ObjectFile::read("o", &deep).unwrap_err().message.contains("nested 32 deep"));
    }

    #[test]
    fn a_method_reads_from_a_long_bracket() {
        let text = "return { format = 1, name = \"o\", slots = { m = { method = [==[\nfunction(self, a)\n  return a\nend\n]==] } } }";
        let object = read_object_file("o", text).unwrap();
        let method = object.slots.get("m").unwrap().as_method().unwrap();
        assert_eq!(method.source, "function(self, a)\n  return a\nend");
        assert_eq!(method.params, [Name::new("a").unwrap()]);
        let wrong = text.replace("return a\n", "return return\n");
        assert_eq!(read_object_file("o", &wrong).unwrap_err().line, 3);
    }

    #[test]
    fn an_object_is_written_as_the_form_says() {
        let text = r#"return { -- living-workbench object
  format = 1,
  name = "point",
  id = "6f1c3c9e-6f0a-8c55-9a3e-2f9d1b7c0a11",
  parents = { "morph", "proto" },
  order = { "x", "color", "empty", "friend", "lines", "long", "move_by", "no", "none", "note", "plain", "strange" },
  slots = {
    color = { 0.2, 0.6, 1 },
    empty = {},
    friend = { ref = "brick" },
    lines = [=[
a]]
b]=],
    long = {
      "an element that takes much room, so that it needs a line of its own",
      { "an element that takes much room", "so that both need a line of their own", { a = 1 } },
    },
    no = { number = "-inf" },
    none = { none = true },
    note = { value = "free text", doc = "what it is for" },
    plain = { value = { value = { ref = "brick" } } },
    strange = { [true] = "\r\n", [-0.5] = {}, ["a b"] = 1e300, [{ ref = "brick" }] = false },
    x = 0,
    move_by = { doc = "Moves by dx, dy.", method = [[
function(self, dx, dy)
  self.x = self.x + dx
  self.y = self.y + dy
end
]] },
  },
}
"#;
        let object = read_object_file("point.luau", text).unwrap();
        assert_eq!(object.slots.iter().next().unwrap().0.as_str(), "x");
        let mut image = Image::default();
        for name in ["morph", "proto", "brick"] {
            let mut object = Object::new(ObjectId::genesis(name));
            object.name = Name::new(name).ok();
            image.insert(object);
        }
        assert_eq!(write_object_file(object.as_ref(), &image), text);
    }

    /// Names that texts and keys of maps also have, so that they look like wrappers.
    fn word() -> impl Strategy<Value = String> {
        let words = WRAPPERS.iter().chain(&["doc", "x", "end", "", "a b", "]]", "]=]", "a\nb]", "\nb", "a\r\nb", "\0"]);
        prop_oneof![
            prop::sample::select(words.copied().collect::<Vec<_>>()).prop_map(str::to_string),
            any::<String>(),
            "[\\]=\\[\n]{0,9}",
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        let ids = prop_oneof![Just(ObjectId::proto()), any::<u128>().prop_map(|id| ObjectId(Uuid::from_u128(id | 1)))];
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::Boolean),
            any::<f64>().prop_map(Value::Number),
            prop::sample::select(vec![f64::NAN, f64::INFINITY, -f64::INFINITY, -0.0]).prop_map(Value::Number),
            word().prop_map(Value::Text),
            ids.clone().prop_map(Value::Object),
        ];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            let key = prop_oneof![
                3 => word().prop_map(MapKey::Text),
                1 => any::<bool>().prop_map(MapKey::Boolean),
                1 => any::<i8>().prop_map(|number| MapKey::Number(f64::from(number) / 4.0)),
                1 => ids.clone().prop_map(MapKey::Object),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::list),
                prop::collection::btree_map(key, inner, 0..4).prop_map(Value::map),
            ]
        })
    }

    fn slot() -> impl Strategy<Value = Slot> {
        let doc = prop_oneof![Just(String::new()), word()];
        let method = (word(), doc.clone()).prop_map(|(text, doc)| {
            let source = format!("function(self, a) return {} end", crate::object::quoted(&text));
            let long = format!("function(self, a)\n  return [=[{}]=]\nend", text.replace(['\r', '\0', '='], "]"));
            let source = if parse_method(&long).is_ok() { long } else { source };
            let params = vec![Name::new("a").unwrap()];
            Slot::method(first_version("genesis", source, params, doc))
        });
        let value = (prop_oneof![1 => Just(Value::Nil), 9 => value()], doc)
            .prop_map(|(value, doc)| Slot { doc, ..Slot::value(value) });
        prop_oneof![4 => value, 1 => method]
    }

    /// Any object that a file can hold.
    pub(crate) fn object() -> impl Strategy<Value = Object> {
        let slots = prop::collection::vec(("[a-e_]{1,3}", slot()), 0..9);
        (any::<u128>(), prop::option::of("[a-z]{4,9}"), slots, any::<bool>()).prop_map(|(id, name, slots, is_child)| {
            let mut object = Object::new(ObjectId(Uuid::from_u128(id | 1)));
            object.name = name.and_then(|name| Name::of_object(&name).ok());
            object.parents = if is_child { vec![object.id, ObjectId::proto()] } else { Vec::new() };
            for (name, slot) in slots {
                let Ok(name) = Name::new(&name) else { continue };
                if object.slots.get(&name).is_none() {
                    if let Some(method) = slot.as_method() {
                        object.versions.insert(name.clone(), vec![method.clone()]);
                    }
                    object.slots.push(name, slot);
                }
            }
            object
        })
    }

    /// The object of a text, in a world that has `proto` and the object itself.
    fn read_back(text: &str, object: &Object) -> Result<Object, ObjectFileError> {
        let read = ObjectFile::read("o", text)?;
        assert_eq!((read.id, &read.name), (Some(object.id), &object.name));
        let named = read.name.clone();
        let link = |name: &str| if Some(name) == named.as_deref() { object.id } else { ObjectId::genesis(name) };
        // An object without a name reads as one of the first image only under some name.
        let text = match &read.name {
            Some(_) => text.to_string(),
            None => text.replacen("  id =", "  name = \"unnamed\",\n  id =", 1),
        };
        let mut back = read_object_file("o", &text)?;
        back.name.clone_from(&object.name);
        let content = read.content(&mut |name, _| link(name))?;
        back.parents = content.parents;
        for (name, FileSlot { doc, content }) in content.slots {
            if let FileContent::Value(value) = content {
                back.slots.push(name, Slot { doc, ..Slot::value(value) });
            }
        }
        Ok(back)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn an_object_written_reads_back_as_it_was(object in object()) {
            let mut image = Image::default();
            genesis_objects().unwrap().into_iter().for_each(|object| image.insert(object));
            image.insert(object.clone());
            let text = write_object_file(object.as_ref(), &image);
            let back = read_back(&text, &object).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            // Compared as text, because a NaN equals nothing.
            prop_assert_eq!(format!("{back:?}"), format!("{object:?}"), "{}", text);
            prop_assert_eq!(write_object_file(back.as_ref(), &image), text);
        }

        #[test]
        fn no_object_file_panics(text in "return \\{ ?(format = 1, name = \"o\", )?[a-z{}=\\[\\]\", 0-9]{0,80}") {
            let _ = read_object_file("o", &text);
        }
    }

    #[test]
    fn writing_takes_no_longer_the_deeper_a_value_is() {
        let mut value = Value::Text("much room ".repeat(20));
        for _ in 0..31 {
            value = Value::map([(MapKey::Text("value".into()), value)]);
        }
        let mut object = Object::new(ObjectId(Uuid::from_u128(1)));
        object.slots.push(Name::new("deep").unwrap(), Slot::value(value));
        let text = write_object_file(object.as_ref(), &Image::default());
        assert_eq!(format!("{:?}", read_back(&text, &object).unwrap()), format!("{object:?}"));
    }
}
