//! Circles among source files.
//!
//! File A depends on file B when the code of A (without comments and tests) names an item by a path that leads to B: from
//! `crate`, `self`, `super` or an imported name through the files of the modules, as far as there are files; the last one
//! is B. So `mod b;` alone is no dependency, and neither is a re-export followed: an item named through the parent that
//! re-exports it is a dependency on the parent. A circle is a largest set of files that all depend on each other, directly
//! or through others of the set.

use std::collections::{BTreeMap, BTreeSet};

use super::rooms;

/// Code by file, as `room/file`.
type Files = BTreeMap<String, String>;

/// The files that each file depends on.
type Graph = BTreeMap<String, BTreeSet<String>>;

fn graph(files: &Files) -> Graph {
    let dependencies = |(module, code): (&String, &String)| {
        let (imports, rest) = imports(&without_restrictions(code));
        let inline = inline_paths(&rest).into_iter().map(|path| match path.split_once("::") {
            Some((first, rest)) if imports.contains_key(first) => format!("{}::{rest}", imports[first]),
            _ => path,
        });
        let paths = imports.values().cloned().chain(inline);
        let others = paths.filter_map(|path| resolve(files, module, &path)).filter(|other| other != module);
        (module.clone(), others.collect())
    };
    files.iter().map(dependencies).collect()
}

/// Without the paths of `pub(in path)`, which name no item.
fn without_restrictions(code: &str) -> String {
    let mut parts = code.split("pub(in ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "pub" + part.split_once(')').map_or("", |(_, rest)| rest))
}

/// Imported paths by the name that they have in the file, and the code without its `use` items.
fn imports(code: &str) -> (BTreeMap<String, String>, String) {
    let (mut imports, mut rest) = (BTreeMap::new(), String::new());
    for statement in code.split_inclusive(';') {
        let begin = statement.match_indices("use ").map(|(at, _)| at);
        let begin = begin.filter(|at| statement[..*at].ends_with(['\n', ' ']) || *at == 0).last();
        let Some(begin) = begin.filter(|at| !statement[*at..].contains(['"', '('])) else {
            rest += statement;
            continue;
        };
        rest += &statement[..begin];
        for path in expanded(statement[begin + "use ".len()..].trim_end_matches(';')) {
            let (path, name) = path.split_once(" as ").unwrap_or((&path, path.rsplit("::").next().unwrap_or(&path)));
            imports.insert(name.trim().to_owned(), path.trim().to_owned());
        }
    }
    (imports, rest)
}

/// The paths of a `use` tree.
fn expanded(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, inner)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let inner = inner.rsplit_once('}').map_or(inner, |(inner, _)| inner);
    let (mut depth, mut branches) = (0_usize, vec![String::new()]);
    for character in inner.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                branches.push(String::new());
                continue;
            }
            _ => {}
        }
        branches.last_mut().expect("it begins with one").push(character);
    }
    let filled = branches.iter().filter(|branch| !branch.trim().is_empty());
    filled.flat_map(|branch| expanded(branch)).map(|path| format!("{prefix}{path}")).collect()
}

/// Every `a::b…` in a piece of code.
fn inline_paths(code: &str) -> Vec<String> {
    let words = code.split(|character: char| !(character.is_alphanumeric() || matches!(character, '_' | ':')));
    words.filter(|word| word.contains("::") && !word.starts_with(':')).map(str::to_owned).collect()
}

/// The file that a path leads to; `None` for another crate's.
fn resolve(files: &Files, module: &str, path: &str) -> Option<String> {
    let child = |of: &str, name: &str| if of.is_empty() { name.to_owned() } else { format!("{of}/{name}") };
    let mut segments = path.split("::").map(str::trim).peekable();
    let mut at = match *segments.peek()? {
        "crate" => String::new(),
        "self" | "super" => module.to_owned(),
        first if files.contains_key(&child(module, first)) => module.to_owned(),
        _ => return None,
    };
    for segment in segments {
        match segment {
            "crate" | "self" => {}
            "super" => at = at.rsplit_once('/').map_or_else(String::new, |(parent, _)| parent.to_owned()),
            name if files.contains_key(&child(&at, name)) => at = child(&at, name),
            _ => break,
        }
    }
    files.contains_key(&at).then_some(at)
}

fn circles(graph: &Graph) -> Vec<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = graph.keys().map(|file| (&**file, reachable(graph, file))).collect();
    let mut circles: Vec<BTreeSet<&str>> = Vec::new();
    for (file, others) in &reached {
        let circle: BTreeSet<&str> = others.iter().copied().filter(|other| reached[other].contains(file)).collect();
        if !circle.is_empty() && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

/// The files that a file depends on, directly or through others. It contains the file itself only within a circle.
fn reachable<'a>(graph: &'a Graph, file: &'a str) -> BTreeSet<&'a str> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![file]);
    while let Some(file) = open.pop() {
        open.extend(graph[file].iter().filter(|other| reached.insert(other.as_str())).map(String::as_str));
    }
    reached
}

/// The dependencies within a circle, a line a file.
fn described(circle: &BTreeSet<&str>, graph: &Graph) -> String {
    let line = |file: &&str| {
        let others: Vec<&str> =
            graph[*file].iter().map(String::as_str).filter(|other| circle.contains(other)).collect();
        format!("  {file} -> {}\n", others.join(", "))
    };
    circle.iter().map(line).collect()
}

#[test]
fn no_files_depend_on_each_other_in_a_circle() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let file = |path: std::path::PathBuf| {
        let module = path.strip_prefix(&root).expect("inside").with_extension("");
        module.to_string_lossy().replace('\\', "/")
    };
    let files = rooms().into_iter().map(|(_, path, code)| (file(path), code)).filter(|(file, _)| file != "main");
    let graph = graph(&files.collect());
    let circles = circles(&graph);
    let faults: Vec<String> = circles.iter().map(|circle| described(circle, &graph)).collect();
    assert!(faults.is_empty(), "these files depend on each other:\n{}", faults.join("\n"));
}

#[test]
fn circles_are_seen_however_the_paths_are_written() {
    let files = |parts: &[(&str, &str)]| -> Files {
        parts.iter().map(|(file, code)| ((*file).to_owned(), (*code).to_owned())).collect()
    };
    let found = |parts: &[(&str, &str)]| -> Vec<String> {
        let graph = graph(&files(parts));
        circles(&graph).into_iter().map(|circle| circle.into_iter().collect::<Vec<_>>().join(" ")).collect()
    };
    for (code, circle) in [
        ("use super::a::A;", true),
        ("use crate::{a::{self, A}, c};", true),
        ("use crate::a as other;\nfn f() -> other::A {}", true),
        ("fn f() -> crate::a::A {}", true),
        ("fn f() { super::a::f() }", true),
        ("pub(in crate::a) fn f() {}", false),
        ("use std::a::A;", false),
        ("use crate::c::a;", false),
    ] {
        let expected: &[&str] = if circle { &["a b"] } else { &[] };
        assert_eq!(found(&[("a", "use crate::b::B;"), ("b", code), ("c", "")]), expected, "{code}");
    }
    let parent = ("a", "mod b;\nuse b::B;");
    assert_eq!(found(&[parent, ("a/b", "use super::A;")]), ["a a/b"], "a child that names its parent");
    assert_eq!(found(&[("a", "mod b;"), ("a/b", "use super::A;")]), [""; 0], "which only declares it");
    assert_eq!(found(&[parent, ("a/b", "use super::c::C;"), ("a/c", "")]), [""; 0], "a sibling is not the parent");
}
