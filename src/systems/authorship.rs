//! Who writes methods and who judges them: the composer and the crucible, as a turn sees them.

use crate::cognition::{Composed, Request, compose};
use crate::crucible::{Candidate, judge};
use crate::language::{Authored, Passed, Services, Vm};
use crate::object::{Fault, Name, ObjectId, Objects, PastTurns};

/// The name under which the composer signs.
const COMPOSER: &str = "composer";

/// The services of one turn.
pub(super) struct Authorship<'a> {
    /// Rehearsals run here, never in the VM of the world.
    pub(super) shadow: &'a mut Vm,
    /// Turns before it that can be taken back.
    pub(super) past: &'a PastTurns,
}

impl Services for Authorship<'_> {
    fn author(
        &mut self,
        objects: &dyn Objects,
        target: ObjectId,
        instructions: &str,
        selector: Option<&Name>,
    ) -> Result<Authored, Fault> {
        let composed = compose(&Request { target, instructions, selector, objects })?;
        let Composed { selector, source, doc, paraphrase, contract, .. } = composed;
        let candidate = Candidate { target, selector: &selector, source: &source, contract: Some(&contract) };
        let judged = judge(&candidate, objects, self.shadow).map_err(|rejected| *rejected.fault)?;
        Ok(Authored {
            author: COMPOSER.into(),
            params: judged.syntax.params,
            contract: contract.promises,
            verdicts: judged.verdicts,
            selector,
            source,
            doc,
            paraphrase,
        })
    }

    fn judge(
        &mut self,
        objects: &dyn Objects,
        target: ObjectId,
        selector: &Name,
        source: &str,
    ) -> Result<Passed, Fault> {
        let candidate = Candidate { target, selector, source, contract: None };
        let judged = judge(&candidate, objects, self.shadow).map_err(|rejected| *rejected.fault)?;
        Ok(Passed { params: judged.syntax.params, verdicts: judged.verdicts, notes: judged.notes })
    }

    fn past(&self) -> Result<&PastTurns, Fault> {
        Ok(self.past)
    }
}
