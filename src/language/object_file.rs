//! Object files: one object as `return` and one pure table literal, readable by people, git and models.
//!
//! Reading needs no VM: a call, an operator or a name in the literal is refused with its line.

use super::syntax::parse_method;
use crate::object::{MapKey, MethodVersion, Name, Object, ObjectId, Origin, Slot, Value};
use full_moon::LuaVersion;
use full_moon::ast::{self, Expression, Field};
use full_moon::node::Node;
use full_moon::tokenizer::{TokenReference, TokenType};
use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;
use thiserror::Error;

/// The format that this program writes and the newest that it reads.
const FORMAT: f64 = 1.0;

/// Object files of the first image, by name.
const GENESIS: [(&str, &str); 4] = [
    ("proto.luau", include_str!("../../assets/genesis/proto.luau")),
    ("codex.luau", include_str!("../../assets/genesis/codex.luau")),
    ("timer.luau", include_str!("../../assets/genesis/timer.luau")),
    ("workspace.luau", include_str!("../../assets/genesis/workspace.luau")),
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

/// A literal with the line where it begins.
struct Part {
    line: usize,
    literal: Literal,
}

enum Literal {
    Boolean(bool),
    Number(f64),
    Text(String),
    /// Entries in order: key (none for an element of a list) and value.
    Table(Vec<(Option<MapKey>, Part)>),
}

type Read<T> = Result<T, (usize, String)>;

/// Reads one object. Parents are named and must be of the first image.
pub fn read_object_file(file: &str, text: &str) -> Result<Object, ObjectFileError> {
    read(text).map_err(|(line, message)| ObjectFileError { file: file.to_string(), line, message })
}

fn read(text: &str) -> Read<Object> {
    let parsed = full_moon::parse_fallible(text, LuaVersion::luau());
    if let Some(error) = parsed.errors().first() {
        return Err((error.range().0.line(), error.error_message().into_owned()));
    }
    let block = parsed.ast().nodes();
    let shape = || (1, "an object file is `return` and one table".to_string());
    let Some(ast::LastStmt::Return(returned)) = block.last_stmt() else { return Err(shape()) };
    let mut returns = returned.returns().iter();
    let (Some(only), None, None) = (returns.next(), returns.next(), block.stmts().next()) else {
        return Err(shape());
    };
    object(literal(only)?)
}

fn object(root: Part) -> Read<Object> {
    let mut fields = table_of(root, "the object")?;
    let format = take(&mut fields, "format").ok_or((1, "`format` is missing".to_string()))?;
    match format.literal {
        Literal::Number(number) if number == FORMAT => {}
        Literal::Number(number) => {
            return Err((
                format.line,
                format!("format {number} is not known here; this program reads format {FORMAT}"),
            ));
        }
        _ => return Err((format.line, "`format` is a number".into())),
    }
    let name = take(&mut fields, "name").ok_or((1, "`name` is missing".to_string()))?;
    let (line, name) = (name.line, text_of(name)?);
    let name = Name::of_object(&name).map_err(|error| (line, error.to_string()))?;
    let mut object = Object::new(ObjectId::genesis(&name));
    object.name = Some(name);
    if let Some(parents) = take(&mut fields, "parents") {
        for (_, parent) in table_of_any(parents, "`parents`")? {
            object.parents.push(ObjectId::genesis(&text_of(parent)?));
        }
    }
    if let Some(slots) = take(&mut fields, "slots") {
        for (key, content) in table_of(slots, "`slots`")? {
            let line = content.line;
            let name = Name::new(&key).map_err(|error| (line, error.to_string()))?;
            let slot = slot(content)?;
            if let Some(method) = slot.as_method() {
                object.versions.insert(name.clone(), vec![method.clone()]);
            }
            object.slots.push(name, slot);
        }
    }
    match fields.into_iter().next() {
        Some((key, node)) => Err((node.line, format!("`{key}` is not known here"))),
        None => Ok(object),
    }
}

fn slot(node: Part) -> Read<Slot> {
    let line = node.line;
    let is_wrapper = |name: &str| {
        matches!(&node.literal, Literal::Table(entries) if entries.iter().any(
        |(key, _)| matches!(key, Some(MapKey::Text(text)) if text == name)))
    };
    if !is_wrapper("value") && !is_wrapper("method") {
        return Ok(Slot::value(value(node)?));
    }
    let mut fields = table_of(node, "the slot")?;
    let doc = take(&mut fields, "doc").map(text_of).transpose()?.unwrap_or_default();
    let slot = match (take(&mut fields, "value"), take(&mut fields, "method")) {
        (Some(content), None) => Slot { doc, ..Slot::value(value(content)?) },
        (None, Some(method)) => {
            let source = text_of(method)?.trim().to_string();
            let syntax = parse_method(&source).map_err(|fault| (line + fault.line as usize - 1, fault.message))?;
            Slot::method(MethodVersion {
                number: 1,
                follows: 0,
                params: syntax.params,
                source,
                doc,
                origin: Origin {
                    author: "genesis".into(),
                    instruction: String::new(),
                    contract: Vec::new(),
                    verdicts: Vec::new(),
                    sequence: 0,
                },
            })
        }
        _ => return Err((line, "a slot holds a value or a method".into())),
    };
    match fields.into_iter().next() {
        Some((key, node)) => Err((node.line, format!("`{key}` is not known in a slot"))),
        None => Ok(slot),
    }
}

fn value(node: Part) -> Read<Value> {
    Ok(match node.literal {
        Literal::Boolean(value) => Value::Boolean(value),
        Literal::Number(value) => Value::Number(value),
        Literal::Text(text) => Value::Text(text),
        Literal::Table(entries) => {
            let is_list = entries.iter().all(|(key, _)| key.is_none());
            let is_map = entries.iter().all(|(key, _)| key.is_some());
            if is_list {
                Value::list(entries.into_iter().map(|(_, item)| value(item)).collect::<Read<_>>()?)
            } else if is_map {
                let mut map = BTreeMap::new();
                for (key, item) in entries {
                    if let Some(key) = key {
                        map.insert(key, value(item)?);
                    }
                }
                Value::map(map)
            } else {
                return Err((node.line, "a table is a list or a map, not both".into()));
            }
        }
    })
}

fn literal(expression: &Expression) -> Read<Part> {
    let line = expression.start_position().map_or(1, |position| position.line());
    let refused = || (line, "only literals stand in an object file: no names, calls or operators".to_string());
    let literal = match expression {
        Expression::Number(token) => Literal::Number(number(token, line)?),
        Expression::UnaryOperator { unop: ast::UnOp::Minus(_), expression } => match &**expression {
            Expression::Number(token) => Literal::Number(-number(token, line)?),
            _ => return Err(refused()),
        },
        Expression::String(token) => Literal::Text(text(token, line)?),
        Expression::Symbol(token) => match token.token().to_string().as_str() {
            "true" => Literal::Boolean(true),
            "false" => Literal::Boolean(false),
            _ => return Err(refused()),
        },
        Expression::TableConstructor(table) => {
            let mut entries = Vec::new();
            for field in table.fields() {
                entries.push(match field {
                    Field::NoKey(value) => (None, literal(value)?),
                    Field::NameKey { key, value, .. } => (Some(MapKey::Text(key.token().to_string())), literal(value)?),
                    Field::ExpressionKey { key, value, .. } => {
                        let key = match literal(key)?.literal {
                            Literal::Text(text) => MapKey::Text(text),
                            Literal::Boolean(value) => MapKey::Boolean(value),
                            Literal::Number(number) => {
                                MapKey::number(number).ok_or((line, "a key is a finite number".to_string()))?
                            }
                            Literal::Table(_) => return Err(refused()),
                        };
                        (Some(key), literal(value)?)
                    }
                    _ => return Err(refused()),
                });
            }
            Literal::Table(entries)
        }
        _ => return Err(refused()),
    };
    Ok(Part { line, literal })
}

fn number(token: &TokenReference, line: usize) -> Read<f64> {
    let text = token.token().to_string();
    text.parse().map_err(|_| (line, format!("`{text}` is no decimal number")))
}

fn text(token: &TokenReference, line: usize) -> Read<String> {
    let TokenType::StringLiteral { literal, multi_line_depth, .. } = token.token_type() else {
        return Err((line, "this is no text".into()));
    };
    if *multi_line_depth > 0 || token.token().to_string().starts_with("[[") {
        return Ok(literal.strip_prefix('\n').unwrap_or(literal).to_string());
    }
    let mut out = String::new();
    let mut characters = literal.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        out.push(match characters.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some(same @ ('\\' | '"' | '\'')) => same,
            other => return Err((line, format!("the escape \\{} is not known here", other.unwrap_or(' ')))),
        });
    }
    Ok(out)
}

fn text_of(node: Part) -> Read<String> {
    match node.literal {
        Literal::Text(text) => Ok(text),
        _ => Err((node.line, "this must be a text".into())),
    }
}

fn table_of_any(node: Part, what: &str) -> Read<Vec<(Option<MapKey>, Part)>> {
    match node.literal {
        Literal::Table(entries) => Ok(entries),
        _ => Err((node.line, format!("{what} is a table"))),
    }
}

fn table_of(node: Part, what: &str) -> Read<Vec<(String, Part)>> {
    let line = node.line;
    let named = |(key, value)| match key {
        Some(MapKey::Text(key)) => Ok((key, value)),
        _ => Err((line, format!("{what} is a table with names"))),
    };
    table_of_any(node, what)?.into_iter().map(named).collect()
}

fn take(fields: &mut Vec<(String, Part)>, name: &str) -> Option<Part> {
    let place = fields.iter().position(|(key, _)| key == name)?;
    Some(fields.remove(place).1)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_is_no_literal_is_refused_with_its_line() {
        let line = |text: &str| read_object_file("o", text).unwrap_err().line;
        assert_eq!(line("return {\n format = 1,\n name = f() }"), 3);
        assert_eq!(line("return { format = 2, name = \"o\" }"), 1);
        assert_eq!(line("return {\n format = 1, name = \"o\",\n extra = 1 }"), 3);
        assert_eq!(line("local x = 1 return { format = 1, name = \"o\" }"), 1);
    }

    #[test]
    fn a_method_reads_from_a_long_bracket() {
        let text = "return { format = 1, name = \"o\", slots = { m = { method = [==[\nfunction(self, a)\n  return a\nend\n]==] } } }";
        let object = read_object_file("o", text).unwrap();
        let method = object.slots.get("m").unwrap().as_method().unwrap();
        assert_eq!(method.source, "function(self, a)\n  return a\nend");
        assert_eq!(method.params, [Name::new("a").unwrap()]);
    }
}
