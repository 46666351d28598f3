//! The `tuwen` program: arguments in, exit code out; everything else is in the library.

fn main() {
    let code = tuwen::cli::main();
    // The system takes all memory at once; the allocator's own exit would give it back page by page.
    signal_hook::low_level::exit(code.into());
}
