//! Writes the files of every stack, profile, sprout and platform into a directory, for a check against real
//! nixpkgs: `cargo run -p capsule-nix --example matrix -- DIR`. What came of the last one is in `tests/README.md`.

#[path = "../tests/cases/mod.rs"]
mod cases;

use std::{env, fs, io, path::Path};

fn main() -> io::Result<()> {
    let Some(directory) = env::args().nth(1) else {
        eprintln!("usage: matrix DIR");
        std::process::exit(2);
    };
    let library = capsule_nix::stacks::Library::builtin();
    for case in cases::all(&library) {
        for (name, text) in case.files(&library) {
            let path = Path::new(&directory).join(&case.name).join(name);
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            fs::write(path, text)?;
        }
    }
    Ok(())
}
