//! Promises of profiles and of edits to them.

use super::*;
use crate::{options::Origin, stacks::Library};

fn profile(library: &Library, name: &str) -> Profile {
    library.profile(name).expect(name).clone()
}

fn attributes<'a>(selection: &'a Selection) -> Vec<&'a str> {
    selection.packages.iter().map(|selected| selected.attr.as_str()).collect()
}

#[test]
fn python_modules_share_one_interpreter_whoever_asks_for_them() {
    let library = Library::builtin();
    let mut ml = profile(&library, "ml");
    ml.contents
        .custom_packages
        .extend(["python3Packages.requests", "python3"].map(|name| name.parse().expect(name)));
    let selection = select(&library, &ml).expect("known");
    let modules: Vec<&str> = selection.python.iter().map(|selected| selected.module.as_str()).collect();
    assert!(["pip", "numpy", "requests"].iter().all(|module| modules.contains(module)), "{modules:?}");
    assert!(!attributes(&selection).iter().any(|attr| attr.starts_with("python3")), "a second interpreter");
    let (printed, origins) = selection.interpreter().expect("there are modules");
    assert_eq!(printed.to_string().matches("withPackages").count(), 1);
    assert!(origins.contains(&Origin::Package("python3Packages.requests".parse().expect("a name"))));
}

#[test]
fn a_package_that_many_want_is_there_once_and_remembers_all() {
    let library = Library::builtin();
    let selection = profile(&library, "dev");
    let selection = select(&library, &selection).expect("known");
    let htop =
        selection.packages.iter().find(|selected| selected.attr.as_str() == "htop").expect("base has it");
    assert_eq!(htop.origins.len(), 2);
    let mut once = attributes(&selection);
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), selection.packages.len());
}

#[test]
fn licences_are_allowed_by_name_and_only_where_something_needs_them() {
    let library = Library::builtin();
    let unfree = |name: &str| select(&library, &profile(&library, name)).expect("known").unfree.len();
    assert_eq!(unfree("ml"), 0);
    assert!(0 < unfree("ml-gpu"));
    let mut own = profile(&library, "minimal");
    own.contents.sprouts = vec!["claude-code".parse().expect("a sprout")];
    let selection = select(&library, &own).expect("known");
    let predicate = selection.unfree_predicate("lib.getName package").expect("something is unfree");
    assert_eq!(predicate.to_string(), "package: builtins.elem (lib.getName package) [ \"claude-code\" ]");
}

#[test]
fn a_model_brings_its_server_and_says_so() {
    let library = Library::builtin();
    let mut own = profile(&library, "minimal");
    own.contents.sprouts = vec!["qwen3-30b".parse().expect("a sprout")];
    let selection = select(&library, &own).expect("known");
    let ollama = selection.stacks.iter().find(|chosen| chosen.stack.id.as_str() == "ollama").expect("needed");
    assert_eq!(
        ollama.because,
        Because::NeededBy(vec![Origin::Sprout("qwen3-30b".parse().expect("a sprout"))])
    );
    assert_eq!(selection.models[0].0.as_str(), "qwen3:30b");
    let refused = remove_stack(&library, &own.contents, "ollama").expect_err("the sprout needs it");
    assert_eq!(refused.to_string(), "stack `ollama` is needed by sprout `qwen3-30b`");
}

#[test]
fn adding_a_stack_brings_what_it_needs_and_removing_takes_it_away() {
    let library = Library::builtin();
    let empty = Contents::default();
    let added = add_stack(&library, &empty, "machine-learning").expect("known");
    assert_eq!(added.along.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["python"]);
    assert_eq!(
        add_stack(&library, &added.contents, "machine-learning").expect("known").contents,
        added.contents
    );
    let removed = remove_stack(&library, &added.contents, "machine-learning").expect("nobody needs it");
    assert_eq!(removed.contents, empty);
    assert_eq!(removed.along, added.along);
}

#[test]
fn what_others_need_stays_and_they_are_named() {
    let library = Library::builtin();
    let ml = profile(&library, "ml").contents;
    let refused = remove_stack(&library, &ml, "python").expect_err("needed");
    assert_eq!(refused.to_string(), "stack `python` is needed by stack `machine-learning`");
    assert_eq!(remove_stack(&library, &ml, "base"), Err(EditError::Base));
    let absent = remove_stack(&library, &ml, "docker").expect_err("not there");
    assert!(matches!(absent, EditError::Absent { .. }));
    let slip = remove_stack(&library, &ml, "olama").expect_err("a slip");
    assert_eq!(slip.hint().as_deref(), Some("did you mean `ollama`?"));
}

#[test]
fn packages_are_added_all_or_none_and_slips_are_doubted() {
    let library = Library::builtin();
    let known = || library.known_packages();
    let added =
        add_packages(&Contents::default(), &["ripgerp", "jq", "jq", "zzz"], known()).expect("all can be");
    let names: Vec<&str> = added.contents.custom_packages.iter().map(|name| name.as_str()).collect();
    assert_eq!(names, ["ripgerp", "jq", "zzz"]);
    assert_eq!(added.doubts.len(), 1);
    assert_eq!(added.doubts[0].nearest, "ripgrep");
    let refused =
        add_packages(&Contents::default(), &["jq", "python3-numpy"], known()).expect_err("Debian's name");
    assert_eq!(refused.hint().as_deref(), Some("use `python3Packages.numpy`"));
}

#[test]
fn a_package_that_comes_with_something_says_with_what() {
    let library = Library::builtin();
    let dev = profile(&library, "dev");
    let removed = remove_packages(&library, &dev, &["htop"]).expect("its own, too");
    assert_eq!(removed.contents.custom_packages.len(), 2);
    let with = remove_packages(&library, &dev, &["docker-compose"]).expect_err("the stack's");
    assert_eq!(with.to_string(), "package `docker-compose` comes with stack `docker`");
    assert_eq!(with.hint().as_deref(), Some("remove the stack `docker`"));
    let slip = remove_packages(&library, &dev, &["tmuux"]).expect_err("a slip");
    assert_eq!(slip.hint().as_deref(), Some("did you mean `tmux`?"));
}

#[test]
fn contents_survive_the_editor() {
    let library = Library::builtin();
    for profile in library.profiles() {
        let text = profile.contents.to_yaml();
        assert_eq!(Contents::from_yaml("x.yaml", &text, &library).as_ref(), Ok(&profile.contents), "{text}");
    }
    let old = "presets: [base, python, python]\ncustom_packages: [htop]\n";
    let read = Contents::from_yaml("x.yml", old, &library).expect("the first Capsule's words");
    assert_eq!(read.stacks.len(), 2);
}

#[test]
fn a_bad_edit_is_refused_with_its_line() {
    let library = Library::builtin();
    let read = |text: &str| Contents::from_yaml("dev.yaml", text, &library).expect_err(text);
    let unknown = read("description: x\nstacks:\n  - python\n  - dokcer\n");
    assert_eq!(unknown.to_string(), "dev.yaml:4:5: no stack is called `dokcer`");
    assert_eq!(unknown.hint().as_deref(), Some("did you mean `docker`?"));
    assert_eq!(read("stcks: []\n").hint().as_deref(), Some("did you mean `stacks`?"));
    assert_eq!(read("editor: vmi\n").hint().as_deref(), Some("did you mean `vim`?"));
    assert_eq!(read("stacks: []\nsprouts: [qwen3-30]\n").line, 2);
    assert_eq!(read("custom_packages:\n- git\n- \"a b\"\n").line, 3);
    assert!(read("stacks: [a\n").to_string().starts_with("dev.yaml:"));
}

#[test]
fn a_diff_says_what_came_and_went() {
    let library = Library::builtin();
    let (web, dev) = (profile(&library, "web"), profile(&library, "dev"));
    let changes = diff(&library, &web, &dev).expect("known");
    assert_eq!(changes.stacks.added, ["python", "cli-tools"]);
    assert_eq!(changes.python.added, ["pip", "virtualenv", "ipython"]);
    assert!(changes.packages.removed.is_empty() && changes.editor.is_none());
    assert!(diff(&library, &web, &web).expect("known").is_empty());
}
