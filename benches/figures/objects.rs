pub(crate) const CHILD: &str = "x";
pub(crate) fn wake(_: &std::path::Path) {}
pub(crate) fn print(_: &std::path::Path) {}
