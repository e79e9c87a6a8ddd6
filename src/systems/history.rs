//! What can be taken back: the newest turns of persons, and which of them an `undo` or a `redo` names.
//!
//! Turns are added where they are delivered, so that each sees exactly the ones before it, also when the log is read again.

use super::pipeline::Pipeline;
use crate::object::{
    Argument, Envelope, Fault, FaultKind, Literal, Name, PastTurns, Reversal, Target, UICommand, Value,
};
use bevy::prelude::*;

/// The newest turns that can be taken back.
#[derive(Resource, Debug, Default)]
pub(super) struct History(pub(super) PastTurns);

pub(super) fn plugin(app: &mut App, past: PastTurns) {
    app.insert_resource(History(past));
}

/// Whether a command is an `undo` or a `redo`.
pub(super) fn is_reversal(command: &UICommand) -> bool {
    matches!(&command.target, Target::Name(name) if name == "workspace")
        && matches!(command.selector.as_str(), "undo" | "redo")
}

/// Puts the number of the turn that an `undo` or `redo` takes back into its envelope.
pub(super) fn name_reversed(
    mut envelope: Envelope,
    command: &UICommand,
    history: &History,
    pipeline: &Pipeline,
) -> Result<Envelope, Fault> {
    let past = &history.0;
    let turn = match (command.selector.as_str(), command.args.as_slice()) {
        ("redo", []) => past.next_redo()?,
        ("undo", []) => past.next_undo()?,
        ("undo", [Argument { name, value: Literal::Value(Value::Number(number)) }])
            if *number >= 1.0
                && number.fract() == 0.0
                && name.as_ref().is_none_or(|name| name.as_str() == "message") =>
        {
            past.reversed_by(Reversal::Undo(*number as u64))?
        }
        ("undo", _) => return Err(wrong("undo takes nothing, or the number of a message, as in: undo 12")),
        _ => return Err(wrong("redo takes nothing: it does again what the last undo took back")),
    };
    let name = Name::new("message").map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))?;
    envelope.correlation_id = Some(Envelope::id_of(pipeline.world_id, turn.sequence));
    envelope.args = vec![Argument { name: Some(name), value: Value::Number(turn.sequence as f64).into() }];
    Ok(envelope)
}

fn wrong(message: &str) -> Fault {
    Fault::new(FaultKind::BadArgument, message)
}
