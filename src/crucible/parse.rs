//! The first gate: the text is one method of the language, and takes what its contract sends.

use super::{Candidate, counted};
use crate::language::{MethodSyntax, parse_method};
use crate::object::{Fault, FaultKind};

/// What the text says about itself, and the verdict.
pub(super) fn pass(candidate: &Candidate<'_>) -> Result<(MethodSyntax, String), Fault> {
    let syntax = parse_method(candidate.source).map_err(|fault| Fault::new(FaultKind::BadMethod, fault.to_string()))?;
    let sent = candidate.contract.into_iter().flat_map(|contract| &contract.examples).map(|example| example.args.len());
    let most = sent.max().unwrap_or(0);
    if most > syntax.params.len() && !syntax.variadic {
        let takes = counted(syntax.params.len(), "parameter");
        let message = format!("line 1: it takes {takes}, and its contract sends {}", counted(most, "argument"));
        return Err(Fault::new(FaultKind::BadMethod, message));
    }
    let verdict = format!("passed, {}", counted(syntax.params.len(), "parameter"));
    Ok((syntax, verdict))
}
