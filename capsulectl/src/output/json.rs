//! JSON as the daemon sent it, only indented: nothing is parsed into fields, so order, number spelling and
//! fields newer than this client all survive, and a thousand rows cost no more than copying them.

/// Indents valid JSON by two spaces, without a final newline. Text that is not JSON comes out as it is,
/// differently spaced.
pub fn pretty(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len() * 2);
    let mut depth = 0;
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        match c {
            '"' => {
                let end = string_end(rest);
                out.push_str(&rest[..end]);
                rest = &rest[end..];
                continue;
            }
            '{' | '[' => {
                let inner = rest[1..].trim_start();
                if inner.starts_with(['}', ']']) {
                    out.push(c);
                    out.push_str(&inner[..1]);
                    rest = &inner[1..];
                    continue;
                }
                depth += 1;
                out.push(c);
                new_line(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// Valid JSON on one line.
pub fn compact(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        let end = if c == '"' { string_end(rest) } else { c.len_utf8() };
        if !c.is_ascii_whitespace() {
            out.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    out
}

/// Where the string that `text` begins with ends; the end of the text when it does not.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indenting_changes_nothing_but_space() {
        let raw = r#"{"b":[1.50,{"a":"x, \"y\": {é}\\"}],"empty":{ },"none":[],"z":null}"#;
        let pretty = pretty(raw);
        let expected = "{\n  \"b\": [\n    1.50,\n    {\n      \"a\": \"x, \\\"y\\\": {é}\\\\\"\n    }\n  ],\n  \
                        \"empty\": {},\n  \"none\": [],\n  \"z\": null\n}";
        assert_eq!(pretty, expected);
        assert_eq!(compact(&pretty), compact(raw));
    }

    #[test]
    fn text_that_breaks_off_does_no_harm() {
        for raw in ["", "\"abc", "{\"a\":", "}", "é"] {
            pretty(raw);
            compact(raw);
        }
    }
}
