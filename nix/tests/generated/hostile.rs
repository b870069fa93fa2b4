//! Whatever is put in: it is refused, or the file parses and says the same.

use capsule_nix::{
    nixos::{SshKey, generate},
    options::Options,
    stacks::Library,
    validate::validate,
    value::{Text, Value},
};
use proptest::{collection, prelude::*, sample::select, test_runner::Config};

use crate::{
    cases,
    literal::{strings, value_of},
};

/// Texts of what means something to Nix, to YAML, to a shell or to a terminal, mixed with anything else.
pub fn hostile() -> impl Strategy<Value = String> {
    let meaning = select(vec![
        "${",
        "$${",
        "\\${",
        "$",
        "''",
        "''${",
        "'",
        "\"",
        "\\\"",
        "\\",
        "\n",
        "\r",
        "\r\n",
        "\t",
        "#",
        "/*",
        "*/",
        ";",
        "}",
        "{",
        "[",
        "]",
        "(",
        ")",
        "=",
        ":",
        "@",
        "..",
        "./x",
        "<nixpkgs>",
        "<email>",
        "<domain>",
        "rec",
        "with",
        "true",
        "null",
        "- ",
        "a",
        "ä",
        "𝔘",
        "\u{2028}",
        "\u{202e}",
        "\u{0}",
        "\u{1b}[31m",
        "\u{7f}",
        "`id`",
        "$(id)",
        "; }; users.users.root.password = \"\"; x = {",
    ]);
    let piece = prop_oneof![3 => meaning.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// The text without what a [`Text`] does not take.
fn text() -> impl Strategy<Value = Text> {
    hostile().prop_map(|text| {
        let kept = text.chars().filter(|c| !c.is_control() || "\n\r\t".contains(*c)).collect::<String>();
        Text::try_from(kept).expect("nothing left to refuse")
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        prop_oneof![any::<i64>(), Just(i64::MIN), Just(-1)].prop_map(Value::Int),
        text().prop_map(Value::Text),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            collection::btree_map(text(), inner, 0..5).prop_map(Value::Attrs),
        ]
    })
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(5_000) })]

    #[test]
    fn a_printed_value_reads_back_as_itself(value in value()) {
        let printed = value.to_string();
        prop_assert_eq!(value_of(&printed), Some(value), "{}", printed);
    }

    #[test]
    fn nixfmt_changes_looks_and_no_value(value in value()) {
        let formatted = nixfmt_rs::format(&value.to_string()).expect("it parses");
        prop_assert_eq!(value_of(&formatted), Some(value), "{}", formatted);
    }

    #[test]
    fn a_text_with_control_characters_is_refused_and_any_other_kept(text in hostile()) {
        let control = text.chars().any(|c| c.is_control() && !"\n\r\t".contains(c));
        match Text::try_from(text.clone()) {
            Ok(kept) => prop_assert!(!control && kept.as_str() == text),
            Err(_) => prop_assert!(control),
        }
    }
}

proptest! {
    // Each of these is a whole set of seven files: five hundred sets, and 5,000 hostile texts in them.
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(500) })]

    #[test]
    fn hostile_settings_are_refused_or_stand_in_the_files_as_they_are(
        texts in collection::vec(hostile(), 10)
    ) {
        let mut library = Library::builtin();
        let quoted: Vec<String> = texts.iter().map(|text| serde_json::to_string(text).expect("a text")).collect();
        let file = format!(
            "stacks:\n  - id: mine\n    title: {}\n    category: {}\n    notes: [{}]\n    nixos:\n      \
             environment.etc: {{{}: {{text: {}}}}}\n      users.motd: {}\n",
            quoted[0], quoted[1], quoted[2], quoted[3], quoted[4], quoted[5]
        );
        let mut stacks = vec!["github".parse().expect("built in")];
        let mut kept: Vec<&str> = Vec::new();
        if let Ok(added) = library.add_file("mine.yaml", &file) {
            stacks.extend(added);
            kept.extend([texts[3].as_str(), texts[4].as_str(), texts[5].as_str()]);
        }
        let mut profile = cases::profile("hostile", stacks);
        profile.contents.custom_packages.extend(texts[6].parse());
        if let Ok(description) = texts[7].clone().try_into() {
            profile.contents.description = description;
        }
        let mut host = cases::host();
        host.user_keys.extend(format!("{} {}", cases::KEY, texts[8]).parse::<SshKey>());
        if let Ok(name) = Text::try_from(texts[9].clone()) {
            host.given = [("git_name".into(), name), ("git_email".into(), "a@example.org".into())].into();
            kept.push(&texts[9]);
        }
        let set = generate(&library, &profile, &host).expect("every text that got this far is harmless");
        let mut found = Vec::new();
        for file in set.files.iter().filter(|file| file.name.ends_with(".nix")) {
            let report = validate(&file.text, &Options::default());
            prop_assert!(report.problems.is_empty(), "{:?}\n{}", report.problems, file.text);
            found.extend(strings(&file.text));
        }
        for key in &host.user_keys {
            prop_assert!(found.iter().any(|string| string == key.as_str()));
        }
        for text in kept {
            prop_assert!(found.iter().any(|string| string == text), "{text:?} is not in the files");
        }
        let injected = set.files[0].options.iter().any(|(path, _)| path.to_string() == "users.users.root.password");
        prop_assert!(!injected);
    }
}
