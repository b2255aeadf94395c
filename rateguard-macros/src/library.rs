//! Where generated code finds the library: under the name that the manifest gives it.
//!
//! The manifest is read by a few lines of our own. A parser of TOML would be eight crates and four seconds in the build
//! of every user, for the few who rename a dependency. What these lines do not understand is written as `crate = …`.

use std::path::{Path, PathBuf};

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use crate::errors::Errors;
use crate::value::{Form, Value};

/// The name of the package, and of the library where no manifest renames it.
const PACKAGE: &str = "rateguard";

/// The path of the library: the value of `crate`, or else what the manifest calls it.
pub(crate) fn path(value: Option<Value>, errors: &mut Errors) -> TokenStream {
    let Some(value) = value else {
        let name = Ident::new(&name(), Span::mixed_site());
        return quote!(::#name);
    };
    if !matches!(value.form(), Form::Expression) {
        let given = value.string().map_or_else(|| "rg".to_owned(), |text| text.value());
        errors.on(value.stream(), format!("`crate` is the path of the library, without quotes: `crate = {given}`"));
    }
    value.stream()
}

/// The name of the library in the crate that is being compiled.
pub(crate) fn name() -> String {
    let directory = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let renamed = directory.and_then(|directory| {
        let manifest = read(&directory)?;
        renamed(&manifest, || directory.ancestors().skip(1).filter_map(read).find(|text| text.contains("[workspace")))
    });
    let usable = renamed.filter(|name| syn::parse_str::<Ident>(name).is_ok());
    usable.unwrap_or_else(|| PACKAGE.to_owned())
}

fn read(directory: &Path) -> Option<String> {
    std::fs::read_to_string(directory.join("Cargo.toml")).ok()
}

/// The name that a manifest gives to the package, if it is another one. `workspace` reads the manifest of the
/// workspace, from which a dependency may be inherited with its new name.
fn renamed(manifest: &str, workspace: impl FnOnce() -> Option<String>) -> Option<String> {
    let own: Vec<Dependency> =
        dependencies(manifest).into_iter().filter(|dependency| !dependency.of_workspace).collect();
    if own.iter().any(|dependency| dependency.name == PACKAGE) {
        return None;
    }
    if let Some(dependency) = own.iter().find(|dependency| dependency.is_ours()) {
        return Some(dependency.name.clone());
    }
    let inherited = dependencies(&workspace()?).into_iter().filter(|dependency| dependency.of_workspace);
    let mut ours = inherited.filter(Dependency::is_ours);
    ours.find(|dependency| own.iter().any(|own| own.name == dependency.name)).map(|dependency| dependency.name)
}

/// A line about a dependency.
#[derive(Debug, PartialEq)]
struct Dependency {
    /// As an identifier.
    name: String,
    /// The package, if the line says so.
    package: Option<String>,
    /// Whether it is for other manifests to inherit.
    of_workspace: bool,
}

impl Dependency {
    fn is_ours(&self) -> bool {
        self.package.as_deref() == Some(PACKAGE)
    }
}

/// All lines about dependencies.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut table = Vec::new();
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(header) = line.strip_prefix('[') {
            table = segments(header.split(']').next().unwrap_or_default());
        }
        let (key, value) = line.split_once('=').unwrap_or_default();
        let path: Vec<String> = table.iter().cloned().chain(segments(key)).collect();
        let Some(place) = path.iter().position(|segment| segment.ends_with("dependencies")) else { continue };
        let Some(name) = path.get(place + 1) else { continue };
        let package = match path.get(place + 2).map(String::as_str) {
            Some("package") => string(value),
            _ => value.split(['{', ',']).find_map(|entry| {
                let (key, value) = entry.split_once('=')?;
                string(value).filter(|_| key.trim() == "package")
            }),
        };
        let of_workspace = path.first().is_some_and(|first| first == "workspace");
        found.push(Dependency { name: name.replace('-', "_"), package, of_workspace });
    }
    found
}

/// The parts of a dotted key, without quotes.
fn segments(key: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut quote = None;
    for c in key.trim().chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('.', None) => segments.push(String::new()),
            (' ' | '\t', None) => {}
            (c, _) => segments.iter_mut().last().into_iter().for_each(|last| last.push(c)),
        }
    }
    segments.retain(|segment| !segment.is_empty());
    segments
}

/// The text of a string that a value begins with.
fn string(value: &str) -> Option<String> {
    let value = value.trim();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Some(value.split(quote).nth(1)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(manifest: &str, workspace: &str) -> Option<String> {
        renamed(manifest, || Some(workspace.to_owned()))
    }

    #[test]
    fn a_renamed_dependency_is_found_in_every_spelling() {
        for manifest in [
            "[dependencies]\nrg = { package = \"rateguard\", version = \"1\" }",
            "[dependencies]\nrg={version=\"1\",features=[\"a\", \"b\"],package='rateguard'} # why",
            "[package]\nname = \"app\"\n[dependencies.rg]\nversion = \"1\"\npackage = \"rateguard\"\n",
            "[dependencies]\naxum = \"0.8\"\nrg.version = \"1\"\nrg.package = \"rateguard\"",
            "[target.'cfg(unix)'.dependencies]\nrg = { package = \"rateguard\" }",
            "[dev-dependencies]\n  \"rg\" = { package = \"rateguard\" }",
            "dependencies.rg = { package = \"rateguard\" }",
        ] {
            assert_eq!(name(manifest, "").as_deref(), Some("rg"), "{manifest}");
        }
        let dashed = "[dependencies]\nrate-guard = { package = \"rateguard\" }";
        assert_eq!(name(dashed, "").as_deref(), Some("rate_guard"));
    }

    #[test]
    fn a_name_is_inherited_from_the_workspace() {
        let workspace = "[workspace]\nmembers = []\n[workspace.dependencies]\nrg = { package = \"rateguard\" }";
        for manifest in
            ["[dependencies]\nrg.workspace = true", "[dependencies]\nrg = { workspace = true, features = [\"tls\"] }"]
        {
            assert_eq!(name(manifest, workspace).as_deref(), Some("rg"), "{manifest}");
        }
        assert_eq!(name("[dependencies]\nother.workspace = true", workspace), None);
        // A manifest may be that of the workspace as well.
        let both = format!("{workspace}\n[dependencies]\nrg.workspace = true");
        assert_eq!(renamed(&both, || Some(both.clone())).as_deref(), Some("rg"));
    }

    #[test]
    fn a_name_that_is_not_changed_stays() {
        for manifest in [
            "[dependencies]\nrateguard = \"1\"",
            "[dependencies]\nrateguard = \"1\"\nrg = { package = \"rateguard\", version = \"2\" }",
            "[dependencies.rateguard]\ngit = \"x\"",
            "[package]\nname = \"rateguard\"\n[features]\npackage = [\"rateguard\"]",
            "[dependencies]\n# rg = { package = \"rateguard\" }",
            "",
        ] {
            assert_eq!(name(manifest, ""), None, "{manifest}");
        }
    }
}
