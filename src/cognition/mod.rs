//! temporary
use crate::object::*;
/// r
pub struct Request<'a> {
    /// t
    pub target: ObjectId,
    /// i
    pub instructions: &'a str,
    /// s
    pub selector: Option<&'a Name>,
    /// o
    pub objects: &'a dyn Objects,
}
/// c
pub struct Composed {
    /// s
    pub selector: Name,
    /// p
    pub params: Vec<Name>,
    /// s
    pub source: String,
    /// d
    pub doc: String,
    /// p
    pub paraphrase: String,
    /// c
    pub contract: Contract,
}
/// c
pub fn compose(_r: &Request<'_>) -> Result<Composed, Fault> {
    Err(Fault::new(FaultKind::NotUnderstood, "no"))
}
