//! The program as people use it: scripts of the console, kills, faults, long runs, bad input, the tidiness of the house.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // a test that can't go on ends

mod archive;
mod bad_input;
mod copies;
mod example_worlds;
mod export;
mod faults;
mod hostile;
mod kills;
mod kills_of_many;
mod language_doc;
mod library;
mod long_run;
mod producers;
mod program;
mod reader;
mod repair;
#[cfg(all(feature = "window", target_os = "linux"))]
mod screen;
mod scripts;
mod tidy;
#[cfg(all(feature = "window", target_os = "linux"))]
mod window;
