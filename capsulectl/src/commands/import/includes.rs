//! The files that an SSH configuration includes, by pattern as it is written. Only `Include` lines are looked at.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use capsule_api::IncludedFile;

use super::at_home;
use crate::error::{Error, Result};

/// The most files; a configuration has a handful.
const MOST_FILES: usize = 1_000;
/// How deep files may include others, as OpenSSH has it.
const DEEPEST: usize = 16;

/// Reads every file that `text` and the files it includes name, at most `budget` bytes with the text. A pattern that
/// fits nothing is absent, as OpenSSH passes over it.
pub fn read(text: &str, file: &Path, budget: u64) -> Result<BTreeMap<String, Vec<IncludedFile>>> {
    // The system's configuration includes from its own directory, a user's from theirs.
    let base = if file.starts_with("/etc/ssh") { PathBuf::from("/etc/ssh") } else { at_home("~/.ssh") };
    let mut found: BTreeMap<String, Vec<IncludedFile>> = BTreeMap::new();
    let mut wanted = patterns(text);
    let mut bytes = text.len() as u64;
    let mut count = 0;
    for _ in 0..DEEPEST {
        let mut next = Vec::new();
        for pattern in wanted {
            if found.contains_key(&pattern) {
                continue;
            }
            let mut files = Vec::new();
            for path in expand(&base.join(at_home(&pattern))) {
                let name = path.display().to_string();
                let failed = |source| Error::Local { action: format!("read {name}"), source };
                bytes += std::fs::metadata(&path).map_err(failed)?.len();
                count += 1;
                if budget < bytes || MOST_FILES < count {
                    let message = "the configuration includes more than 1,000 files or 15 MiB";
                    return Err(Error::usage(message, "import it in parts"));
                }
                let text = std::fs::read_to_string(&path).map_err(failed)?;
                next.extend(patterns(&text));
                files.push(IncludedFile { name, text });
            }
            if !files.is_empty() {
                found.insert(pattern, files);
            }
        }
        wanted = next;
    }
    Ok(found)
}

/// What the `Include` lines of a text name.
fn patterns(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim_start);
    let of_line = |line: &str| -> Vec<String> {
        let Some((word, rest)) = line.split_once(|c: char| c.is_whitespace() || c == '=') else {
            return Vec::new();
        };
        if !word.eq_ignore_ascii_case("include") {
            return Vec::new();
        }
        let rest = rest.trim_start().trim_start_matches('=');
        // Every other part stands between quotation marks.
        let parts = rest.split('"').enumerate();
        let words = parts.flat_map(|(at, part)| match at % 2 {
            1 => vec![part.to_owned()],
            _ => part.split_whitespace().map(str::to_owned).collect(),
        });
        words.take_while(|word| !word.starts_with('#')).collect()
    };
    lines.flat_map(of_line).collect()
}

/// The files that a path with `*` and `?` means, in alphabetical order.
fn expand(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in path.components() {
        let Component::Normal(name) = part else {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        };
        let pattern = name.to_string_lossy();
        if !pattern.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(name));
            continue;
        }
        found =
            found.iter().flat_map(|directory| entries(directory, &pattern)).take(MOST_FILES + 1).collect();
    }
    found.retain(|path| path.is_file());
    found
}

fn entries(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let fits = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // As in a shell, a pattern finds no hidden file unless it begins with a dot.
        (pattern.starts_with('.') || !name.starts_with('.')) && matches(pattern.as_bytes(), name.as_bytes())
    };
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(fits).collect();
    found.sort();
    found
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, name) || name.split_first().is_some_and(|(_, name)| matches(pattern, name))
        }
        (Some((letter, pattern)), Some((with, name))) => {
            (*letter == b'?' || letter == with) && matches(pattern, name)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn included_files_are_read_with_those_they_include() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        let here = dir.path().display().to_string();
        write("conf.d/b", "Host b\n");
        write("conf.d/a", &format!("include=\"{here}/more\" # and no other\n"));
        write("conf.d/.hidden", "Host hidden\n");
        write("more", &format!("Include {here}/more\n"));
        let text = format!("Host x\n  Include {here}/conf.d/* {here}/nothing\n");
        let found = read(&text, Path::new("config"), 1 << 20).expect("fine");
        let names = |pattern: &str| -> Vec<String> {
            let files = found.get(&format!("{here}/{pattern}")).map(Vec::as_slice).unwrap_or_default();
            files.iter().map(|file| file.name.replace(&here, "")).collect()
        };
        assert_eq!(names("conf.d/*"), ["/conf.d/a", "/conf.d/b"]);
        assert_eq!(names("more"), ["/more"]);
        assert_eq!(names("nothing"), [""; 0]);
        assert!(read(&text, Path::new("config"), 10).is_err(), "there is a bound");
    }
}
