//! The text of generated files, as committed in `tests/golden/`: a change of a line shows in review. After a change
//! that is meant, `UPDATE_GOLDEN=1 cargo test -p capsule-nix --test generated` rewrites them.

use std::{collections::BTreeSet, env, fs, path::Path, time::Instant};

use capsule_nix::{nixos::generate, options::Options, stacks::Library, validate::validate};

use crate::cases::{self, Case};

fn chosen(library: &Library) -> Vec<(Case, &'static [&'static str])> {
    const SOFTWARE: &[&str] = &["configuration.nix", "home.nix", "setup/default.nix"];
    const MACHINE: &[&str] = &["hardware-configuration.nix", "disko.nix"];
    const ALL: &[&str] = &[""];
    let mut chosen = Vec::new();
    chosen.extend(cases::stacks(library).into_iter().map(|case| (case, SOFTWARE)));
    chosen.extend(cases::profiles(library).into_iter().map(|case| (case, SOFTWARE)));
    chosen.extend(cases::platforms(library).into_iter().map(|case| (case, MACHINE)));
    chosen.push((cases::all_stacks(library), ALL));
    chosen.push((cases::unusual(library), ALL));
    chosen
}

#[test]
fn generated_files_are_the_committed_ones() {
    let library = Library::builtin();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let update = env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        fs::remove_dir_all(&root).ok();
    }
    let mut written = BTreeSet::new();
    for (case, wanted) in chosen(&library) {
        let files = case.files(&library);
        for (name, text) in files.iter().filter(|(name, _)| wanted == [""] || wanted.contains(&name.as_str()))
        {
            let path = root.join(&case.name).join(name);
            written.insert(path.clone());
            if update {
                fs::create_dir_all(path.parent().expect("below the root")).expect("make directories");
                fs::write(&path, text).expect("write a golden file");
            }
            let committed = fs::read_to_string(&path).unwrap_or_default();
            let same = committed == *text;
            assert!(
                same,
                "{} differs: look at the change and run with UPDATE_GOLDEN=1\n{text}",
                path.display()
            );
        }
    }
    assert_eq!(files_below(&root), written, "a golden file nobody writes any more");
}

fn files_below(directory: &Path) -> BTreeSet<std::path::PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { [path].into() }).collect()
}

#[test]
fn every_file_of_every_case_passes_its_own_validation() {
    let library = Library::builtin();
    for case in cases::all(&library) {
        for (name, text) in case.files(&library).iter().filter(|(name, _)| name.ends_with(".nix")) {
            let report = validate(text, &Options::default());
            assert!(report.problems.is_empty(), "{}/{name}: {:?}\n{text}", case.name, report.problems);
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, other) = (Library::builtin(), Library::builtin());
    for (case, again) in cases::all(&one).iter().zip(cases::all(&other)) {
        assert_eq!(case.files(&one), again.files(&other), "{}", case.name);
    }
}

/// A guard against something quadratic, at a hundred times what it takes.
#[test]
fn a_set_of_all_stacks_takes_no_time_worth_mentioning() {
    let library = Library::builtin();
    let case = cases::all_stacks(&library);
    let start = Instant::now();
    let set = generate(&library, &case.profile, &case.host).expect("generates");
    eprintln!("{} files in {:?}", set.files.len(), start.elapsed());
    assert!(start.elapsed().as_secs() < 2);
}
