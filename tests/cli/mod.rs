//! The program as a user meets it: commands, exit codes, what is printed.

mod check;
mod run;
mod search;
