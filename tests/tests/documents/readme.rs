//! What the README and the guide list is what there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// What stands in backticks in the first column of the table under this head.
fn first_column(file: &str, head: &str) -> BTreeSet<String> {
    let text = read(file);
    let (_, table) = text.split_once(head).unwrap_or_else(|| unreachable!("no table {head}"));
    table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .flat_map(|line| {
            let cell = line.split('|').nth(1).unwrap_or_default();
            // What is in parentheses belongs to the name before it.
            let cell = cell.split('(').next().unwrap_or_default();
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

/// The names in a section of a manifest.
fn names(manifest: &str, section: &str) -> BTreeSet<String> {
    let manifest = read(manifest);
    let (_, section) = manifest.split_once(&format!("\n[{section}]\n")).unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    names.map(|line| line.split([' ', '.', '=']).next().unwrap().to_owned()).collect()
}

#[test]
fn each_example_is_listed() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").read_dir().unwrap();
    // A large one is a folder.
    let is_one = |path: &PathBuf| path.extension().is_some_and(|end| end == "rs") || path.join("main.rs").exists();
    let names = files.map(|file| file.unwrap().path()).filter(is_one);
    let names: BTreeSet<String> = names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(first_column("rateguard/src/guide/examples.md", "| `cargo run --example …` | what it shows |"), names);
}

/// All of the sources below a folder.
fn sources(folder: &Path, into: &mut String) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn each_test_that_the_chapter_on_others_mistakes_names_is_there() {
    let chapter = read("rateguard/src/guide/mistakes_of_others.md");
    let named: Vec<&str> = chapter
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| mistake"))
        .flat_map(|line| line.trim_end_matches(" |").rsplit(" | ").next().unwrap().split('`').skip(1).step_by(2))
        .collect();
    assert!(named.len() > 30, "{named:?}");
    let mut all = String::new();
    for folder in ["tests", "rateguard/src", "rateguard-macros/src"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), &mut all);
    }
    for name in named {
        assert!(all.contains(&format!("fn {name}(")), "there is no test {name}");
    }
}

#[test]
fn the_badges_say_what_the_manifest_says() {
    let manifest = read("Cargo.toml");
    let value = |key: &str| {
        let (_, value) = manifest.split_once(&format!("\n{key} = \"")).unwrap();
        value.split('"').next().unwrap().to_owned()
    };
    assert!(read("docs/badges/rust.svg").contains(&format!("rust: {}+", value("rust-version"))));
    assert!(read("docs/badges/licence.svg").contains(&format!("licence: {}", value("license").replace("OR", "or"))));
    assert!(read("README.md").contains(&format!("With Rust {} or newer", value("rust-version"))));
}

#[test]
fn each_feature_is_listed() {
    let mut features = names("rateguard/Cargo.toml", "features");
    features.remove("default");
    // Nobody is to ask for these.
    features.retain(|name| !name.starts_with('_'));
    assert_eq!(first_column("rateguard/src/guide/features.md", "| feature | default | what it adds |"), features);
}

#[test]
fn each_dependency_is_listed_with_its_reason() {
    let mut dependencies = names("rateguard/Cargo.toml", "dependencies");
    assert!(dependencies.remove("rateguard-macros"));
    dependencies.extend(names("rateguard-macros/Cargo.toml", "dependencies"));
    assert_eq!(first_column("rateguard/src/guide/features.md", "| dependency | why |"), dependencies);
}

/// Those that the attribute names when it meets an unknown one.
#[test]
fn each_option_of_the_attribute_is_listed() {
    let args = read("rateguard-macros/src/args.rs");
    let (_, options) = args.split_once("const OPTIONS").unwrap();
    let lines = options.lines().skip(1).take_while(|line| !line.starts_with(']'));
    let options: BTreeSet<&str> = lines.map(|line| line.split('"').nth(1).unwrap()).collect();
    let listed = first_column("README.md", "| option | what it means |");
    assert_eq!(listed.iter().map(|option| option.split(' ').next().unwrap()).collect::<BTreeSet<_>>(), options);
}

/// They are the compiler's, as in the tests of what does not compile.
#[test]
fn each_message_that_the_chapter_on_adding_limits_quotes_is_given() {
    let mut given = String::new();
    for file in Path::new(env!("CARGO_MANIFEST_DIR")).join("ui").read_dir().unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|end| end == "stderr") {
            given.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    let chapter = read("rateguard/src/guide/adding_limits.md");
    let mut quoted = 0;
    for before_code in chapter.split("```rust,compile_fail").collect::<Vec<_>>().split_last().unwrap().1 {
        let paragraph = before_code.trim_end().rsplit("\n\n").next().unwrap().replace('\n', " ");
        let Some((_, message)) = paragraph.split_once(": \"") else { continue };
        let message = message.trim_end_matches('.').trim_end_matches('"');
        quoted += 1;
        // The handler has another name there.
        let parts: Vec<&str> = message.split("`search`").collect();
        assert!(
            given.lines().any(|line| parts.iter().all(|part| line.contains(part))),
            "the compiler does not say: {message}"
        );
    }
    assert_eq!(quoted, 4);
}
