//! The rules of the house, read off its source: imports run downwards only, floors 0 to 2 touch no
//! world, files and functions stay readable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Rooms by floor. A room may use rooms of lower floors, and its own.
const FLOORS: [(u8, &[&str]); 5] = [
    (0, &["vocabulary"]),
    (1, &["protocol"]),
    (2, &["profile", "mapping", "check", "association"]),
    (3, &["link", "journal", "forward", "index"]),
    (4, &["gateway", "charting", "operate", "cli"]),
];

/// On floor 2, 3 and 4 some rooms lean on a neighbour; each with the reason.
const NEIGHBOURS: [(&str, &str, &str); 9] = [
    ("mapping", "profile", "a reading is mapped by its device file"),
    ("check", "profile", "only in tests"),
    ("check", "mapping", "only in tests"),
    ("forward", "journal", "what is forwarded is read from the journal"),
    ("forward", "link", "a destination's peer is watched as a device's is"),
    ("index", "journal", "what is looked up is read from the journal"),
    ("charting", "gateway", "an act at the bedside is a record of the gateway's journal"),
    ("gateway", "charting", "the running house serves the bedside"),
    ("gateway", "operate", "the running house tells systemd"),
];

/// What floors 0 to 2 must not touch.
const WORLD: [&str; 12] = [
    "tokio",
    "std::net",
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "async fn",
    "rustix",
];

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARACTERS_MAX: usize = 100;

struct Source {
    path: PathBuf,
    room: String,
    /// Without its tests.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(&root).unwrap().to_owned();
            let is_test = inside.components().any(|part| {
                let part = part.as_os_str().to_string_lossy();
                part == "tests"
                    || part == "tests.rs"
                    || part == "memory.rs" && inside.starts_with("journal")
            });
            if path.extension().is_none_or(|kind| kind != "rs") || is_test {
                continue;
            }
            let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
            let room = first.trim_end_matches(".rs").to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
            sources.push(Source { path: inside, room, code });
        }
    }
    sources
}

fn floor_of(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(_, rooms)| rooms.contains(&room)).map(|(floor, _)| *floor)
}

/// Lines of code, without comments.
fn code_lines(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn every_room_has_a_floor() {
    let outside = ["lib", "main"];
    for source in sources() {
        assert!(
            floor_of(&source.room).is_some() || outside.contains(&source.room.as_str()),
            "{} is in no room",
            source.path.display()
        );
    }
}

#[test]
fn imports_run_downwards() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(floor) = floor_of(&source.room) else { continue };
        for (number, line) in code_lines(&source.code) {
            for (at, _) in line.match_indices("crate::") {
                let rest = &line[at + "crate::".len()..];
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                let used = &rest[..end.unwrap_or(rest.len())];
                let Some(used_floor) = floor_of(used) else { continue };
                let neighbour =
                    NEIGHBOURS.iter().any(|(room, of, _)| *room == source.room && *of == used);
                let allowed = used == source.room
                    || used_floor < floor
                    || neighbour
                    || (floor == 4 && used_floor == 4 && source.room == "cli");
                if !allowed {
                    let path = source.path.display();
                    wrong.push(format!("src/{path}:{}: {} uses {used}", number + 1, source.room));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports that go up:\n{}", wrong.join("\n"));
}

#[test]
fn floors_0_to_2_touch_no_world() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|one| floor_of(&one.room).is_some_and(|floor| floor <= 2))
    {
        for (number, line) in code_lines(&source.code) {
            for word in WORLD.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("src/{}:{}: {word}", source.path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "the world on floors 0 to 2:\n{}", wrong.join("\n"));
}

#[test]
fn the_members_are_not_used_by_the_library() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest: toml::Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
    for table in ["dependencies", "dev-dependencies"] {
        let names: Vec<&String> = manifest[table].as_table().unwrap().keys().collect();
        assert!(names.iter().all(|name| !name.starts_with("wardgate-")), "{table}: {names:?}");
    }
}

#[test]
fn files_functions_and_lines_stay_readable() {
    let mut wrong = Vec::new();
    for source in sources() {
        let path = source.path.display();
        let lines = code_lines(&source.code).filter(|(_, line)| !line.trim().is_empty()).count();
        if lines > FILE_LINES_MAX {
            wrong.push(format!("src/{path}: {lines} lines of code"));
        }
        for (number, line) in source.code.lines().enumerate() {
            if line.chars().count() > LINE_CHARACTERS_MAX && !line.contains("//! |") {
                wrong.push(format!("src/{path}:{}: a long line", number + 1));
            }
        }
        wrong.extend(long_functions(&source));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Functions by the indentation that rustfmt gives them.
fn long_functions(source: &Source) -> Vec<String> {
    let mut begun: BTreeMap<usize, (usize, String)> = BTreeMap::new();
    let mut long = Vec::new();
    for (number, line) in source.code.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let text = line.trim_start();
        let is_function =
            ["fn ", "pub fn ", "async fn ", "pub async fn ", "pub(super) fn ", "pub(crate) fn "]
                .iter()
                .any(|start| text.starts_with(start));
        if is_function {
            begun.insert(indent, (number, text.to_owned()));
        } else if text == "}"
            && let Some((from, name)) = begun.remove(&indent)
            && number - from > FUNCTION_LINES_MAX
        {
            let path = source.path.display();
            long.push(format!("src/{path}:{}: {} lines in {name}", from + 1, number - from));
        }
    }
    long
}
