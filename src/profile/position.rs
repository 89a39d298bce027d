//! From a path in a TOML text to line and column, for problems that the types cannot see.

use std::fmt;

use toml::de::{DeTable, DeValue};

/// A place in a text, both counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    /// The place of a byte offset.
    pub fn of_offset(text: &str, offset: usize) -> Self {
        let head = text.get(..offset).unwrap_or(text);
        let line_start = head.rfind('\n').map_or(0, |at| at + 1);
        let line = head.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = head.get(line_start..).unwrap_or_default().chars().count() + 1;
        Self { line, column }
    }
}

/// One problem of a file: where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub position: Position,
    pub what: String,
}

impl Problem {
    /// A problem that the TOML reader or the types found.
    pub fn of_toml(text: &str, error: &toml::de::Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        // The reader's own words for "one of several names" do not say that.
        let what = match error.message() {
            "wanted string or table" => "expected a name in quotation marks",
            message => message,
        };
        Self { position: Position::of_offset(text, offset), what: what.to_owned() }
    }

    /// A problem at a path of keys and indexes such as `["device", 0, "link"]`.
    pub fn at(text: &str, path: &[Step<'_>], what: impl Into<String>) -> Self {
        let offset = offset_of(text, path).unwrap_or(0);
        Self { position: Position::of_offset(text, offset), what: what.into() }
    }

    /// The problem for a person: `file:line:column: what`, and the line with a caret under it.
    pub fn in_file(&self, file: &str, text: &str) -> String {
        let Position { line, column } = self.position;
        let shown = text.lines().nth(line - 1).unwrap_or_default();
        let caret = " ".repeat(column - 1);
        format!("{file}:{line}:{column}: {}\n    {shown}\n    {caret}^", self.what)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.position.line, self.position.column, self.what)
    }
}

/// One step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// The offset of the deepest part of `path` that is there.
fn offset_of(text: &str, path: &[Step<'_>]) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let (first, rest) = path.split_first()?;
    let Step::Key(key) = first else { return None };
    let value = table.get_ref().get(*key)?;
    let mut offset = value.span().start;
    let mut value = value.get_ref();
    for step in rest {
        let next = match (step, value) {
            (Step::Key(key), DeValue::Table(table)) => table.get(*key),
            (Step::Index(index), DeValue::Array(array)) => array.get(*index),
            _ => None,
        };
        let Some(next) = next else { break };
        offset = next.span().start;
        value = next.get_ref();
    }
    Some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_line_and_column() {
        let text = "a = 1\n[[row]]\nname = \"x\"\n[[row]]\nname = \"ä\"\nunit = 5\n";
        let path = [Step::Key("row"), Step::Index(1), Step::Key("unit")];
        let problem = Problem::at(text, &path, "expected a text");
        assert_eq!(problem.position, Position { line: 6, column: 8 });
        let shown = problem.in_file("x.toml", text);
        assert_eq!(shown, "x.toml:6:8: expected a text\n    unit = 5\n           ^");
    }
}
