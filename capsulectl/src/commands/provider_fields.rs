//! Where a credential's fields come from: flags, the environment, a file, standard input or the person.
//!
//! Which fields there are, the daemon says. No value ever becomes part of an error: any of them may be a secret
//! that stands in the wrong place.

use std::collections::BTreeMap;

use capsule_api::{AccountSettings, CredentialField};

use super::{Session, ask};
use crate::{
    args::providers::{ConfigureArgs, CredentialArgs},
    error::{Error, Result},
    settings::Environment,
};

/// Fields with their new values; `None` removes one.
pub type Fields = BTreeMap<String, Option<String>>;

/// What was given without asking, in rising order of weight: environment, file, `--field`, API key.
///
/// # Errors
/// A file that cannot be read or understood.
pub fn given(
    session: &Session,
    known: &[CredentialField],
    args: &CredentialArgs,
    env: &dyn Environment,
) -> Result<Fields> {
    let mut fields = Fields::new();
    if args.from_env {
        let set = known.iter().map(|field| (field.name.clone(), env.var(&field.variable)));
        fields.extend(set.filter(|(_, value)| value.is_some()));
        if fields.is_empty() {
            let names: Vec<&str> = known.iter().map(|field| field.variable.as_str()).collect();
            return Err(Error::usage(
                "none of the provider's environment variables is set",
                format!("it reads {}", names.join(", ")),
            ));
        }
    }
    if let Some(path) = &args.file {
        fields.extend(from_file(&ask::from_file(path)?, known)?);
    }
    let flags = args.field.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
    fields.extend(flags.map(|(name, value)| (name, value.filter(|value| !value.is_empty()))));
    let key = match &args.api_key {
        Some(key) => {
            session.out.warn(
                "a key on the command line can be seen by other users; use --file, --api-key-stdin or the prompt",
            );
            Some(key.clone())
        }
        None if args.api_key_stdin => Some(ask::from_stdin()?),
        None => None,
    };
    if let Some(key) = key {
        fields.insert(key_field(known)?.to_owned(), Some(key));
    }
    Ok(fields)
}

/// The field that `--api-key` means: the first secret one.
fn key_field(known: &[CredentialField]) -> Result<&str> {
    let secret = known.iter().find(|field| field.secret);
    secret.map(|field| field.name.as_str()).ok_or_else(|| {
        Error::usage("the provider has no API key", "`capsulectl providers` shows what works in this version")
    })
}

/// Lines `NAME=VALUE`, where a name is a field's or its variable's; or one line, which is the API key.
fn from_file(text: &str, known: &[CredentialField]) -> Result<Fields> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines: Vec<(usize, &str)> =
        lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
    let mut fields = Fields::new();
    for (at, line) in &lines {
        match pair(line, known) {
            Some((name, value)) => fields.insert(name, value),
            None if lines.len() == 1 => fields.insert(key_field(known)?.to_owned(), Some((*line).to_owned())),
            None => {
                let names: Vec<&str> = known.iter().map(|field| field.name.as_str()).collect();
                return Err(Error::usage(
                    format!("line {} of the file is no NAME=VALUE of this provider", at + 1),
                    format!("the names are {}", names.join(", ")),
                ));
            }
        };
    }
    Ok(fields)
}

fn pair(line: &str, known: &[CredentialField]) -> Option<(String, Option<String>)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let is_meant = |field: &&CredentialField| {
        field.name.eq_ignore_ascii_case(name) || field.variable.eq_ignore_ascii_case(name)
    };
    let field = known.iter().find(is_meant)?;
    let value = value.trim();
    let quoted = |mark: char| value.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    Some((field.name.clone(), Some(value.to_owned()).filter(|value| !value.is_empty())))
}

/// Asks for what is missing. `is_new`: required fields must be there; else an empty answer keeps what is stored.
///
/// # Errors
/// A usage error where nobody can be asked.
pub fn ask_missing(
    session: &Session,
    known: &[CredentialField],
    fields: &mut Fields,
    is_new: bool,
) -> Result<()> {
    let nothing_given = fields.is_empty();
    let wanted = |field: &&CredentialField| nothing_given || (is_new && field.required);
    let missing: Vec<&CredentialField> =
        known.iter().filter(wanted).filter(|field| !fields.contains_key(&field.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !ask::may_ask(session) {
        let names: Vec<&str> = missing.iter().map(|field| field.name.as_str()).collect();
        return Err(Error::usage(
            format!("not asking for {}", names.join(", ")),
            "give it with --api-key-stdin, --file FILE, --from-env or --field NAME=VALUE",
        ));
    }
    for field in missing {
        let note = match (is_new, field.required) {
            (true, true) => "",
            (true, false) => " (may be empty)",
            (false, _) => " (empty: as it is)",
        };
        let what = format!("{}{note}", field.description);
        let value = loop {
            let value = ask::value(&what, field.secret)?;
            if value.is_some() || !(is_new && field.required) {
                break value;
            }
        };
        if let Some(value) = value {
            fields.insert(field.name.clone(), Some(value));
        }
    }
    Ok(())
}

/// The settings with what was given in their place.
pub fn settings(before: &AccountSettings, args: &ConfigureArgs) -> AccountSettings {
    let endpoint = match args.endpoint.as_deref() {
        Some("default") => None,
        Some(endpoint) => Some(endpoint.to_owned()),
        None => before.endpoint.clone(),
    };
    AccountSettings {
        timeout_ms: args.timeout.or(before.timeout_ms),
        max_retries: args.retries.or(before.max_retries),
        backoff_ms: args.backoff.or(before.backoff_ms),
        endpoint,
    }
}

/// The fields as a dry run shows them.
pub fn redacted(fields: &Fields, known: &[CredentialField]) -> Fields {
    let is_plain = |name: &str| known.iter().any(|field| field.name == name && !field.secret);
    let shown = fields.iter().map(|(name, value)| match is_plain(name) {
        true => (name.clone(), value.clone()),
        false => (name.clone(), value.as_ref().map(|_| "***".to_owned())),
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<CredentialField> {
        let field = |name: &str, variable: &str, secret| CredentialField {
            name: name.to_owned(),
            variable: variable.to_owned(),
            description: name.to_owned(),
            required: secret,
            secret,
        };
        vec![field("region", "AWS_REGION", false), field("api_key", "THE_KEY", true)]
    }

    #[test]
    fn a_file_holds_pairs_by_field_or_variable_or_the_key_alone() {
        let some = |text: &str| Some(text.to_owned());
        let text = "# comment\nexport THE_KEY=\"a=b==\"\nregion = eu\n";
        let fields = from_file(text, &known()).expect("fields");
        assert_eq!((&fields["api_key"], &fields["region"]), (&some("a=b=="), &some("eu")));
        let alone = from_file("k3y==\n", &known()).expect("fields");
        assert_eq!(alone["api_key"], some("k3y=="));
        let cleared = from_file("region=\n", &known()).expect("fields");
        assert_eq!(cleared["region"], None);
        let bad = from_file("region=eu\ns3cret=x\n", &known()).expect_err("an unknown name").to_string();
        assert!(bad.contains("line 2") && !bad.contains("s3cret"), "{bad}");
    }

    #[test]
    fn a_dry_run_shows_no_secret_and_no_field_it_does_not_know() {
        let fields = ["region", "api_key", "typo"].map(|name| (name.to_owned(), Some("value".to_owned())));
        let shown = redacted(&fields.into(), &known());
        assert_eq!(shown["region"].as_deref(), Some("value"));
        assert_eq!((shown["api_key"].as_deref(), shown["typo"].as_deref()), (Some("***"), Some("***")));
    }
}
