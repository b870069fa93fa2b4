//! Promises of the library, and of files people write for it.

use super::*;

fn ids<'a>(needed: &[Needed<'a>]) -> Vec<&'a str> {
    needed.iter().map(|needed| needed.stack.id.as_str()).collect()
}

fn chosen(names: &[&str]) -> Vec<StackId> {
    names.iter().map(|name| name.parse().expect(name)).collect()
}

fn refused(text: &str) -> FileError {
    let mut library = Library::builtin();
    let before = library.stacks().len();
    let error = library.add_file("mine.yaml", text).expect_err(text);
    assert_eq!(library.stacks().len(), before, "a refused file leaves nothing behind");
    error
}

#[test]
fn there_are_fifteen_stacks_six_profiles_and_nine_sprouts() {
    let library = Library::builtin();
    assert_eq!(library.choices().count(), 15);
    assert_eq!(library.profiles().len(), 6);
    assert_eq!(library.sprouts().len(), 9);
    for profile in library.profiles() {
        assert!(crate::profiles::select(&library, profile).is_ok(), "{}", profile.name);
    }
    for sprout in library.sprouts() {
        assert!(sprout.stacks.iter().all(|id| library.stack(id.as_str()).is_ok()), "{}", sprout.name);
    }
}

#[test]
fn our_own_stacks_pass_what_a_users_stack_has_to_pass() {
    let text = include_str!("../../data/stacks.yaml");
    // One expression is ours alone: a script that makes Grafana's secrets on the machine.
    let (before, after) = text.split_once("      systemd.services.grafana.preStart:").expect("it is there");
    let after = after.split_once("          ''\n    notes:").expect("its end").1;
    let without = format!("{before}    notes:{after}");
    let mut library = Library::builtin();
    library.stacks.clear();
    library.add_file("stacks.yaml", &without).expect("the same schema");
    assert_eq!(library.stacks().len(), 16);
}

#[test]
fn what_a_stack_needs_comes_before_it_and_says_why() {
    let library = Library::builtin();
    let needed = requirements(&library, &chosen(&["machine-learning", "docker"])).expect("known");
    assert_eq!(ids(&needed), ["base", "python", "machine-learning", "docker"]);
    assert_eq!(needed[0].because, Because::Always);
    assert_eq!(needed[1].because, Because::NeededBy(chosen(&["machine-learning"])));
    assert_eq!(needed[3].because, Because::Chosen);
}

#[test]
fn an_unknown_stack_comes_with_the_nearest() {
    let unknown = Library::builtin().stack("dokcer").expect_err("a slip");
    assert_eq!(unknown.to_string(), "no stack is called `dokcer`");
    assert_eq!(unknown.hint().as_deref(), Some("did you mean `docker`?"));
}

#[test]
fn a_users_stack_stands_beside_ours() {
    let mut library = Library::builtin();
    let text = "stacks:\n  - id: search\n    title: Search\n    category: Data\n    requires: [database]\n    \
                packages: [meilisearch, {attr: ripgrep, program: rg}]\n    nixos:\n      \
                services.meilisearch.enable: true\n      services.meilisearch.package: {nix: pkgs.meilisearch}\n    \
                ports: {tcp: [7700]}\n";
    assert_eq!(library.add_file("mine.yaml", text).expect("a good file"), chosen(&["search"]));
    let needed = requirements(&library, &chosen(&["search"])).expect("known");
    assert_eq!(ids(&needed), ["base", "database", "search"]);
}

#[test]
fn a_bad_file_is_refused_with_its_line_and_the_nearest_word() {
    let stack = "stacks:\n  - id: mine\n    title: Mine\n    category: Own\n";
    let with = |line: &str| refused(&format!("{stack}    {line}\n"));
    let place = |error: &FileError| (error.line, error.file.clone());
    let here = (5, "mine.yaml".to_owned());

    let key = with("packges: [git]");
    assert_eq!((place(&key), key.hint()), (here.clone(), Some("did you mean `packages`?".to_owned())));
    for (line, part) in [
        ("packages: [python3-numpy]", "python3Packages.numpy"),
        ("packages: ['a b']", "cannot be a package"),
        ("packages: [with]", "word of the Nix language"),
        ("ports: {tcp: [70000]}", "70000 is no port"),
        ("nixos: {'a b': true}", "option"),
        ("nixos: {a: 1.5}", ""),
        ("groups: ['a b']", "group"),
    ] {
        let error = with(line);
        assert_eq!(place(&error), here, "{line}: {error}");
        let said = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(part == "python3Packages.numpy" || said.contains(part), "{line}: {said}");
    }
    let unknown = with("requires: [dokcer]");
    assert_eq!(unknown.hint().as_deref(), Some("did you mean `docker`?"));
    assert_eq!(unknown.line, 2, "the stack's own line");
    assert!(matches!(with("requires: [mine]").problem, FileProblem::Circle(_)));
    let gone = with("nixos: {hardware.opengl.enable: true}");
    assert_eq!(gone.hint().as_deref(), Some("use `hardware.graphics.enable`"));
    let expression = with("nixos: {environment.etc.x.text: {nix: 'builtins.readFile /etc/shadow'}}");
    assert!(matches!(expression.problem, FileProblem::Expression { .. }), "{expression}");
    let twice = with("nixos: {a: {b: 1}, a.b: 2}");
    assert!(matches!(twice.problem, FileProblem::Conflict(_)), "{twice}");
}

#[test]
fn circles_taken_names_and_what_is_no_yaml_are_refused() {
    let two = "stacks:\n  - {id: one, title: A, category: B, requires: [two]}\n  - {id: two, title: A, category: B, \
               requires: [one]}\n";
    let circle = refused(two);
    assert_eq!(circle.to_string(), "mine.yaml:2:5: stacks need each other in a circle: one → two → one");
    let taken = refused("stacks:\n  - {id: docker, title: A, category: B}\n");
    assert_eq!(taken.problem, FileProblem::Taken("docker".to_owned()));
    for broken in
        ["", "stacks: 7", "stacks:\n  - [", "a: b", "stacks:\n  - id: x\n", "stacks: []\nstacks: []"]
    {
        let error = refused(broken);
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}
