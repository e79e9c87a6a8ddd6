//! The program as people use it: scripts of the console, kills, bad input, the tidiness of the house.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // a test that can't go on ends

mod bad_input;
mod kills;
mod program;
mod scripts;
mod tidy;
