//! What the text of a method says about itself, and the text that the VM runs.
//!
//! Luau calls `o:name()` on a table by reading `name` and calling what it finds, so a proxy can't tell a
//! send from a read. The text that runs therefore differs from the text that people see in four places,
//! all on the same line: a send reads `S__name`, `resend(…)` gets `self`, one parameter more catches
//! arguments that the method does not have, and `for … in t` walks `each__(t)`, whose order is defined.

mod reader;

use crate::object::{Fault, FaultKind, Name, nearest};
use full_moon::LuaVersion;
use full_moon::ast::{self, Expression};
use full_moon::visitors::Visitor;
use reader::Reader;
use std::collections::BTreeSet;
use thiserror::Error;

/// Longest text of a method.
pub const MAX_SOURCE_BYTES: usize = 65_536;

/// What a send reads instead of the selector: no slot can have such a name.
pub(in crate::language) const SEND: &str = "S__";

/// Global names that a method may use.
pub const GLOBALS: &[&str] = &[
    "after",
    "assert",
    "bit32",
    "equal",
    "error",
    "every",
    "exists",
    "ipairs",
    "log",
    "math",
    "next",
    "now",
    "pairs",
    "pcall",
    "post",
    "print",
    "rawequal",
    "reflect",
    "resend",
    "resend_via",
    "select",
    "send",
    "string",
    "table",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "utf8",
    "world",
    "xpcall",
];

/// Names that the text which runs relies on.
const WORDS: [&str; 5] = ["E__", "each__", "resend", "resend_via", "too_many__"];

/// The parser follows nesting by recursion: its thread has room for the deepest text that Luau accepts.
const PARSER_STACK_BYTES: usize = 256 << 20;

/// What a method's text says about itself.
#[derive(Clone, Debug, Default)]
pub struct MethodSyntax {
    /// Parameters after `self`.
    pub params: Vec<Name>,
    /// Whether it takes any number of arguments more.
    pub variadic: bool,
    /// Names read as `self.name`.
    pub reads: BTreeSet<String>,
    /// Names written as `self.name = …`.
    pub writes: BTreeSet<String>,
    /// Of those, the ones that a plain `=` writes: it makes the slot where there is none.
    pub creates: BTreeSet<String>,
    /// Selectors sent as `self:name(…)`.
    pub sends: BTreeSet<String>,
    /// Selectors sent to anything.
    pub sends_to_any: BTreeSet<String>,
    /// Objects named as `world.name`, with what is done to each.
    pub mentions: BTreeSet<Mention>,
    /// Names of locals and parameters, wherever they are in reach.
    locals: BTreeSet<String>,
    /// Names that are neither local nor a parameter, with the line of each use.
    pub globals: Vec<(String, u32)>,
    /// The text that the VM runs: an expression that yields the function.
    pub(in crate::language) code: String,
}

/// An object that a text names, and what it does to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mention {
    /// `world.name`.
    pub object: String,
    /// What follows the name.
    pub use_of: Use,
}

/// What a text does to something that it names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// The object itself is all that is asked for.
    Itself,
    /// `.slot`
    Read(String),
    /// `.slot = …`
    Write(String),
    /// `:selector(…)`
    Send(String),
}

/// What texts answer, as `("x"):rep(3)`.
pub const MESSAGES_OF_TEXTS: [&str; 17] = [
    "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "pack", "packsize", "rep", "reverse",
    "split", "sub", "unpack", "upper",
];

/// Names of plain Luau that are not here, and what is in their place.
const ABSENT: [(&[&str], &str); 6] = [
    (&["os", "io"], "the moment of the message is `now()`, and there are no files"),
    (&["require", "loadstring", "getfenv", "setfenv", "_G"], "state lives in slots, and `evaluate` runs a text"),
    (&["setmetatable", "getmetatable", "newproxy"], "objects delegate to their parents"),
    (&["rawget", "rawset", "rawlen"], "slots and lists are read and written as they are"),
    (
        &["coroutine", "task", "wait", "spawn", "delay"],
        "a turn does not wait: `post`, `after`, `every` or `step` go on later",
    ),
    (&["debug", "collectgarbage", "gcinfo", "_VERSION"], "nothing tells of the machine"),
];

impl MethodSyntax {
    /// The text that the VM loads: it takes what the method sees besides the globals, and yields the method.
    pub(in crate::language) fn chunk(&self) -> String {
        format!("local resend, resend_via, too_many__, each__ = ...; {}", self.code)
    }

    /// Why the text reaches for something that is not there, if it does.
    pub fn unknown_global(&self) -> Option<Fault> {
        let (name, line) = self.globals.iter().find(|(name, _)| !GLOBALS.contains(&name.as_str()))?;
        let names = GLOBALS.iter().copied().chain(self.locals.iter().map(String::as_str));
        let near = nearest(name, names);
        let next = match ABSENT.iter().find(|(names, _)| names.contains(&name.as_str())) {
            Some((_, instead)) => (*instead).to_string(),
            None if Name::new(name).is_err() => format!("for a variable write `local {name} = …`"),
            None => format!(
                "for a variable write `local {name} = …`, for a slot `self.{name}`, for an object `world.{name}`"
            ),
        };
        let near_told = if near.is_empty() { String::new() } else { format!("; nearest: {}", near.join(", ")) };
        let message = format!("line {line}: nothing is called `{name}` here{near_told}; {next}");
        Some(Fault::new(FaultKind::BadMethod, message).suggesting(near))
    }
}

/// Why a text is no method, and in which of its lines.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {message}")]
pub struct SyntaxFault {
    /// Counts from 1.
    pub line: u32,
    /// What is wrong.
    pub message: String,
}

impl SyntaxFault {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line: u32::try_from(line).unwrap_or(u32::MAX), message: message.into() }
    }
}

/// Reads the text of a method: `function(self, …) … end`.
pub fn parse_method(source: &str) -> Result<MethodSyntax, SyntaxFault> {
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("the text has {} bytes; a method has at most {MAX_SOURCE_BYTES}", source.len());
        return Err(SyntaxFault::new(1, message));
    }
    let text = format!("return {source}");
    // Luau's own parser first: its messages are the language's, and it bounds the nesting.
    if let Err(error) = mlua::chunk::Compiler::new().compile(&text) {
        return Err(compiler_fault(&error.to_string()));
    }
    let parser = std::thread::Builder::new().name("method parser".into()).stack_size(PARSER_STACK_BYTES);
    let reading = parser.spawn(move || read(&text));
    match reading.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(syntax))) => {
            // What runs has a little more in it than the text, and the VM's bounds count that.
            let compiled = mlua::chunk::Compiler::new().compile(syntax.chunk());
            compiled.map_err(|error| compiler_fault(&error.to_string())).map(|_| syntax)
        }
        Ok(Ok(refused)) => refused,
        Ok(Err(_)) => Err(SyntaxFault::new(1, "the text is nested too deep to be read")),
        Err(error) => Err(SyntaxFault::new(1, format!("there is no room to read the text: {error}"))),
    }
}

/// `syntax error: 3: Expected …` without its head, with its line.
fn compiler_fault(message: &str) -> SyntaxFault {
    let message = message.lines().next().unwrap_or(message);
    let text = message.rsplit_once("syntax error: ").map_or(message, |(_, text)| text);
    match text.trim_start_matches(':').split_once(": ").map(|(line, told)| (line.parse(), told)) {
        Some((Ok(line), told)) => SyntaxFault { line, message: told.to_string() },
        _ => SyntaxFault::new(1, text),
    }
}

fn read(text: &str) -> Result<MethodSyntax, SyntaxFault> {
    let parsed = full_moon::parse_fallible(text, LuaVersion::luau());
    if let Some(error) = parsed.errors().first() {
        return Err(SyntaxFault::new(error.range().0.line(), error.error_message()));
    }
    let ast = parsed.into_ast();
    let function = only_function(ast.nodes())?;
    let mut reader = Reader::default();
    reader.signature(function.body())?;
    reader.visit_ast(&ast);
    if let Some(fault) = reader.fault {
        return Err(fault);
    }
    let mut syntax = reader.syntax;
    syntax.globals.retain(|(name, _)| name != "self");
    let mut edits = reader.edits;
    edits.sort_by_key(|edit| edit.0);
    let mut code = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for (place, inserted) in edits {
        code.push_str(&text[at..place]);
        code.push_str(&inserted);
        at = place;
    }
    code.push_str(&text[at..]);
    syntax.code = code;
    Ok(syntax)
}

fn only_function(block: &ast::Block) -> Result<&ast::AnonymousFunction, SyntaxFault> {
    let shape = || SyntaxFault::new(1, "a method is one function: `function(self, …) … end`");
    if block.stmts().next().is_some() {
        return Err(shape());
    }
    let Some(ast::LastStmt::Return(returned)) = block.last_stmt() else { return Err(shape()) };
    let mut returns = returned.returns().iter();
    match (returns.next(), returns.next()) {
        (Some(Expression::Function(function)), None) => Ok(function),
        _ => Err(shape()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_tells_what_it_uses() {
        let source = "function(self, dx, dy)\n  local t = {}\n  for i = 1, dx do t[i] = foo end\n  repeat local d = 1 \
                      until d > 0\n  self.x = self.y + dy\n  self.x.z = 1\n  self:grow(t)\n  return math.abs(dx)\nend";
        let syntax = parse_method(source).unwrap();
        assert_eq!(syntax.params, [Name::new("dx").unwrap(), Name::new("dy").unwrap()]);
        assert_eq!(syntax.reads.iter().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(syntax.writes.iter().collect::<Vec<_>>(), ["x"]);
        assert_eq!(syntax.sends.iter().collect::<Vec<_>>(), ["grow"]);
        assert_eq!(syntax.globals, [("foo".to_string(), 3), ("math".to_string(), 8)]);
    }

    #[test]
    fn what_a_text_names_is_known_wherever_it_stands() {
        let source = "function(self)\n  local function inner() return self.deep, `{self.told}` end\n  self.n += 1\n  \
                      self.made = inner(function(self) return self.other end)\n  world.lamp.power = world.desk.h\n  \
                      world.lamp:go(world.bell)\nend";
        let syntax = parse_method(source).unwrap();
        assert_eq!(syntax.reads.iter().collect::<Vec<_>>(), ["deep", "n", "told"]);
        assert_eq!(syntax.creates.iter().collect::<Vec<_>>(), ["made"]);
        let mention = |object: &str, use_of| Mention { object: object.into(), use_of };
        let named = [
            mention("bell", Use::Itself),
            mention("desk", Use::Read("h".into())),
            mention("lamp", Use::Write("power".into())),
            mention("lamp", Use::Send("go".into())),
        ];
        assert_eq!(syntax.mentions.iter().cloned().collect::<Vec<_>>(), named);
    }

    #[test]
    fn self_stays_the_receiver() {
        for body in [
            "local self = 1",
            "local a, self = 1, 2",
            "for self = 1, 2 do end",
            "for a, self in {} do end",
            "local function self() end",
            "function self() end",
            "self = 1",
            "self += 1",
        ] {
            let fault = parse_method(&format!("function(self)\n  {body}\nend")).unwrap_err();
            assert!(fault.line == 2 && fault.message.starts_with("`self` is the receiver"), "{body}: {fault}");
        }
        parse_method("function(self) return function(self) return self.x end end").unwrap();
    }

    #[test]
    fn the_code_differs_from_the_text_only_within_lines() {
        let source = "function(self, a)\n  resend(a)\n  return self:b():c(1)\nend";
        let code = parse_method(source).unwrap().code;
        assert_eq!(
            code,
            "return function(self, a, E__)\n  if E__ ~= nil then too_many__(self, E__) end resend(self, a)\n  \
             return self:S__b():S__c(1)\nend"
        );
    }

    #[test]
    fn a_loop_walks_in_a_defined_order() {
        let source = "function(self) for k, v in self.map do end for k in pairs(t) do end for k in next, t do end end";
        let code = parse_method(source).unwrap().code;
        assert!(code.contains("for k, v in each__(self.map) do"), "{code}");
        assert!(code.contains("for k in each__(pairs(t)) do end for k in each__(next, t) do"), "{code}");
    }

    #[test]
    fn what_is_no_method_is_refused_with_its_line() {
        let line = |source: &str| parse_method(source).unwrap_err().line;
        assert_eq!(line("function(self)\n  x = = 1\nend"), 2);
        assert_eq!(line("5"), 1);
        assert_eq!(line("function() end"), 1);
        assert_eq!(line("function(me) end"), 1);
        assert_eq!(line("function(self, a, a) end"), 1);
        assert_eq!(line("function(self) end, 2"), 1);
        assert_eq!(line(&format!("function(self) return '{}' end", "x".repeat(MAX_SOURCE_BYTES))), 1);
    }

    #[test]
    fn deep_nesting_is_an_answer() {
        for depth in [150, 900, 20_000] {
            let source = format!("function(self) return {}1{} end", "(".repeat(depth), ")".repeat(depth));
            let _ = parse_method(&source);
            let _ = parse_method(&format!("function(self) return {}1 end", "not ".repeat(depth.min(15_000))));
            let _ = parse_method(&format!("function(self) return {}'' end", "''..".repeat(depth.min(15_000))));
        }
    }
}
