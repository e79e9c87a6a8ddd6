//! Walks the tree of a method's text once: what it names, what is refused, and where the text that runs differs.

use super::{Mention, MethodSyntax, SEND, SyntaxFault, Use, WORDS};
use crate::object::{Name, NameError};
use full_moon::ast::{self, Parameter};
use full_moon::node::Node;
use full_moon::tokenizer::TokenReference;
use full_moon::visitors::Visitor;
use std::collections::BTreeSet;

/// Walks the tree once, with the local names in reach.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) syntax: MethodSyntax,
    pub(super) edits: Vec<(usize, String)>,
    scopes: Vec<Vec<String>>,
    /// Blocks whose names stay in reach until the loop's condition was read.
    repeats: Vec<usize>,
    assigned: Vec<usize>,
    pub(super) fault: Option<SyntaxFault>,
}

impl Reader {
    pub(super) fn signature(&mut self, body: &ast::FunctionBody) -> Result<(), SyntaxFault> {
        let line = |token: &TokenReference| token.token().start_position().line();
        let mut first = true;
        let mut seen = BTreeSet::new();
        for parameter in body.parameters() {
            match parameter {
                Parameter::Name(token) => {
                    let text = token.token().to_string();
                    if first {
                        if text != "self" {
                            let message = format!("the first parameter of a method is `self`, not `{text}`");
                            return Err(SyntaxFault::new(line(token), message));
                        }
                    } else {
                        let name = Name::new(&text)
                            .map_err(|error: NameError| SyntaxFault::new(line(token), error.to_string()))?;
                        if text == "self" || !seen.insert(text.clone()) {
                            return Err(SyntaxFault::new(line(token), format!("the parameter `{text}` stands twice")));
                        }
                        self.syntax.params.push(name);
                    }
                }
                Parameter::Ellipsis(token) => {
                    if first {
                        return Err(SyntaxFault::new(line(token), "the first parameter of a method is `self`"));
                    }
                    self.syntax.variadic = true;
                }
                _ => {}
            }
            first = false;
        }
        let (_, close) = body.parameters_parentheses().tokens();
        if first {
            return Err(SyntaxFault::new(line(close), "the first parameter of a method is `self`"));
        }
        if !self.syntax.variadic {
            let place = close.token().start_position().bytes();
            self.edits.push((place, ", E__".into()));
            // A return type may follow the parenthesis: the check goes where the block begins.
            let end = body.end_token().token().start_position();
            let block = body.block().start_position().unwrap_or(end);
            self.edits.push((block.bytes(), "if E__ ~= nil then too_many__(self, E__) end ".into()));
        }
        Ok(())
    }

    fn declare(&mut self, token: &TokenReference) {
        let name = token.token().to_string();
        if WORDS.contains(&name.as_str()) {
            self.refuse(token, &format!("`{name}` is a word of the language, and no local is called so"));
        }
        self.syntax.locals.insert(name.clone());
        match self.scopes.last_mut() {
            Some(scope) => scope.push(name),
            None => self.scopes.push(vec![name]),
        }
    }

    /// A local that is no parameter of a function.
    fn declare_variable(&mut self, token: &TokenReference) {
        if token.token().to_string() == "self" {
            self.refuse_self(token);
        }
        self.declare(token);
    }

    fn refuse_self(&mut self, token: &TokenReference) {
        self.refuse(token, "`self` is the receiver, and can't be set; keep another object in a local of another name");
    }

    /// Whether `self` is that of an inner function.
    fn is_shadowed(&self) -> bool {
        self.scopes.iter().flatten().filter(|local| *local == "self").count() > 1
    }

    fn use_name(&mut self, token: &TokenReference) {
        let name = token.token().to_string();
        if !self.is_local(&name) {
            let line = u32::try_from(token.token().start_position().line()).unwrap_or(u32::MAX);
            self.syntax.globals.push((name, line));
        }
    }

    fn is_local(&self, name: &str) -> bool {
        self.scopes.iter().flatten().any(|local| *local == *name)
    }

    /// Notes the first thing that no method may do.
    fn refuse(&mut self, token: &TokenReference, message: &str) {
        let line = token.token().start_position().line();
        self.fault.get_or_insert_with(|| SyntaxFault::new(line, message));
    }

    /// `resend` continues the message that runs: it is called there, and is nothing to be kept or handed on.
    fn check_resend(&mut self, token: &TokenReference) {
        let name = token.token().to_string();
        if matches!(name.as_str(), "resend" | "resend_via") && !self.is_local(&name) {
            self.refuse(token, &format!("`{name}` is called, as in {name}(…), and is nothing to be kept"));
        }
    }

    fn suffixes<'a>(&mut self, prefix: &ast::Prefix, mut suffixes: impl Iterator<Item = &'a ast::Suffix>, write: bool) {
        let ast::Prefix::Name(token) = prefix else { return };
        let name = token.token().to_string();
        match suffixes.next() {
            Some(_) if name == "self" && self.is_shadowed() => {}
            Some(ast::Suffix::Index(ast::Index::Dot { name: object, .. }))
                if name == "world" && !self.is_local("world") =>
            {
                let object = object.token().to_string();
                let use_of = match (suffixes.next(), suffixes.next()) {
                    (Some(ast::Suffix::Index(ast::Index::Dot { name: slot, .. })), None) if write => {
                        Use::Write(slot.token().to_string())
                    }
                    (Some(ast::Suffix::Index(ast::Index::Dot { name: slot, .. })), _) => {
                        Use::Read(slot.token().to_string())
                    }
                    (Some(ast::Suffix::Call(ast::Call::MethodCall(call))), _) => {
                        Use::Send(call.name().token().to_string())
                    }
                    _ => Use::Itself,
                };
                self.syntax.mentions.insert(Mention { object, use_of });
            }
            Some(ast::Suffix::Index(ast::Index::Dot { name: slot, .. })) if name == "self" => {
                let slot = slot.token().to_string();
                if write && suffixes.next().is_none() {
                    self.syntax.writes.insert(slot);
                } else {
                    self.syntax.reads.insert(slot);
                }
            }
            Some(ast::Suffix::Call(ast::Call::MethodCall(call))) if name == "self" => {
                self.syntax.sends.insert(call.name().token().to_string());
            }
            Some(ast::Suffix::Call(ast::Call::AnonymousCall(args))) if name == "resend" || name == "resend_via" => {
                if !matches!(&**args, ast::FunctionArgs::Parentheses { .. }) {
                    self.check_resend(token);
                }
                if self.is_shadowed() {
                    self.refuse(
                        token,
                        &format!("`{name}` continues the message that runs: not where another `self` is in reach"),
                    );
                }
                if let ast::FunctionArgs::Parentheses { parentheses, arguments } = &**args {
                    let (open, _) = parentheses.tokens();
                    let text = if arguments.is_empty() { "self" } else { "self, " };
                    self.edits.push((open.token().end_position().bytes(), text.into()));
                }
            }
            _ => {}
        }
    }
}

impl Reader {
    /// `self.slot = …`
    fn creation(&mut self, written: &ast::VarExpression) {
        let ast::Prefix::Name(token) = written.prefix() else { return };
        let mut suffixes = written.suffixes();
        if let (Some(ast::Suffix::Index(ast::Index::Dot { name, .. })), None) = (suffixes.next(), suffixes.next())
            && token.token().to_string() == "self"
            && !self.is_shadowed()
        {
            self.syntax.creates.insert(name.token().to_string());
        }
    }
}

impl Visitor for Reader {
    fn visit_block(&mut self, _: &ast::Block) {
        self.scopes.push(Vec::new());
    }
    fn visit_block_end(&mut self, _: &ast::Block) {
        if self.repeats.last() != Some(&self.scopes.len()) {
            self.scopes.pop();
        }
    }
    fn visit_repeat(&mut self, _: &ast::Repeat) {
        self.repeats.push(self.scopes.len() + 1);
    }
    fn visit_repeat_end(&mut self, _: &ast::Repeat) {
        self.repeats.pop();
        self.scopes.pop();
    }
    fn visit_function_body(&mut self, body: &ast::FunctionBody) {
        self.scopes.push(Vec::new());
        for parameter in body.parameters() {
            if let Parameter::Name(token) = parameter {
                self.declare(token);
            }
        }
    }
    fn visit_function_body_end(&mut self, _: &ast::FunctionBody) {
        self.scopes.pop();
    }
    fn visit_numeric_for(&mut self, node: &ast::NumericFor) {
        self.scopes.push(Vec::new());
        self.declare_variable(node.index_variable());
    }
    fn visit_numeric_for_end(&mut self, _: &ast::NumericFor) {
        self.scopes.pop();
    }
    fn visit_generic_for(&mut self, node: &ast::GenericFor) {
        self.scopes.push(Vec::new());
        for name in node.names() {
            self.declare_variable(name);
        }
        let over = node.expressions();
        if let (Some(start), Some(end)) = (over.start_position(), over.end_position()) {
            self.edits.push((start.bytes(), "each__(".into()));
            self.edits.push((end.bytes(), ")".into()));
        }
    }
    fn visit_generic_for_end(&mut self, _: &ast::GenericFor) {
        self.scopes.pop();
    }
    fn visit_local_assignment_end(&mut self, node: &ast::LocalAssignment) {
        for name in node.names() {
            self.declare_variable(name);
        }
    }
    fn visit_local_function(&mut self, node: &ast::LocalFunction) {
        self.declare_variable(node.name());
    }
    fn visit_function_name(&mut self, node: &ast::FunctionName) {
        if let Some(first) = node.names().iter().next() {
            if first.token().to_string() == "self" && node.names().len() == 1 && node.method_name().is_none() {
                self.refuse_self(first);
            }
            self.use_name(first);
        }
    }
    fn visit_assignment(&mut self, node: &ast::Assignment) {
        for variable in node.variables() {
            if let ast::Var::Name(token) = variable
                && token.token().to_string() == "self"
            {
                self.refuse_self(token);
            }
            if let ast::Var::Expression(expression) = variable {
                self.suffixes(expression.prefix(), expression.suffixes(), true);
                self.creation(expression);
                if let Some(start) = expression.start_position() {
                    self.assigned.push(start.bytes());
                }
            }
        }
    }
    fn visit_compound_assignment(&mut self, node: &ast::CompoundAssignment) {
        if let ast::Var::Name(token) = node.lhs()
            && token.token().to_string() == "self"
        {
            self.refuse_self(token);
        }
        if let ast::Var::Expression(expression) = node.lhs() {
            self.suffixes(expression.prefix(), expression.suffixes(), true);
        }
    }
    fn visit_var(&mut self, node: &ast::Var) {
        if let ast::Var::Name(token) = node {
            self.check_resend(token);
            self.use_name(token);
        }
    }
    fn visit_var_expression(&mut self, node: &ast::VarExpression) {
        let start = node.start_position().map(|position| position.bytes());
        match start.and_then(|start| self.assigned.iter().position(|place| *place == start)) {
            Some(index) => drop(self.assigned.swap_remove(index)),
            None => self.suffixes(node.prefix(), node.suffixes(), false),
        }
    }
    fn visit_function_call(&mut self, node: &ast::FunctionCall) {
        self.suffixes(node.prefix(), node.suffixes(), false);
    }
    fn visit_prefix(&mut self, node: &ast::Prefix) {
        if let ast::Prefix::Name(token) = node {
            self.use_name(token);
        }
    }
    fn visit_method_call(&mut self, node: &ast::MethodCall) {
        self.syntax.sends_to_any.insert(node.name().token().to_string());
        self.edits.push((node.name().token().start_position().bytes(), SEND.into()));
    }
}
