//! Laws of the room as a whole.
