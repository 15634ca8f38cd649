//! The modules of each crate: no two of them use each other.

use host_tests::tools::repository;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module's path below the root of its crate.
type Module = Vec<String>;

/// Adds the text of every module below a folder, without its tests.
fn read(folder: &Path, at: &[String], texts: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).expect("it can be read") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        let below = [at, std::slice::from_ref(&name)].concat();
        if path.is_dir() {
            read(&path, &below, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests" {
            let text = fs::read_to_string(&path).expect("it can be read");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            let is_root = ["mod", "lib", "main"].contains(&name.as_str());
            texts.insert(if is_root { at.to_vec() } else { below }, text);
        }
    }
}

/// The paths of a `use` declaration, its braces written out.
fn paths(tree: &str) -> Vec<String> {
    let Some((prefix, list)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let (mut depth, mut items) = (0, vec![String::new()]);
    for c in list.strip_suffix('}').unwrap_or(list).chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(String::new());
                continue;
            }
            _ => {}
        }
        items.last_mut().expect("one at least").push(c);
    }
    let items = items.iter().filter(|item| !item.is_empty());
    items.flat_map(|item| paths(&format!("{prefix}{item}"))).collect()
}

/// The modules that a module uses by its `use` declarations. That a module and those inside
/// it know each other is what modules are for.
fn used(module: &Module, text: &str, all: &BTreeMap<Module, String>) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    for declaration in text.split("use ").skip(1).filter_map(|rest| rest.split_once(';')) {
        let tree: String = declaration.0.chars().filter(|c| !c.is_whitespace()).collect();
        for path in paths(&tree) {
            let mut segments: Vec<&str> = path.split("::").collect();
            let mut base = module.clone();
            match segments[0] {
                "crate" => base.clear(),
                "super" | "self" => {}
                _ => continue,
            }
            while let Some(first) = segments.first().copied() {
                match first {
                    "super" => _ = base.pop(),
                    "crate" | "self" => {}
                    _ => break,
                }
                segments.remove(0);
            }
            base.extend(segments.into_iter().map(str::to_owned));
            while !all.contains_key(&base) && base.pop().is_some() {}
            if !module.starts_with(&base) && !base.starts_with(module) {
                found.insert(base);
            }
        }
    }
    found
}

/// A way from a module back to itself, if there is one.
fn circle(from: &Module, uses: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<Module>> {
    let mut ways = vec![vec![from.clone()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in way.last().and_then(|last| uses.get(last)).into_iter().flatten() {
            let longer = [way.as_slice(), std::slice::from_ref(next)].concat();
            if next == from {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                ways.push(longer);
            }
        }
    }
    None
}

#[test]
fn no_two_modules_use_each_other() {
    for root in ["src", "contract/src", "host/src", "host/policy/src", "host/sink/src"] {
        let mut texts = BTreeMap::new();
        read(&repository().join(root), &[], &mut texts);
        assert!(texts.len() > 5, "{root} has modules");
        let uses: BTreeMap<Module, BTreeSet<Module>> = texts
            .iter()
            .map(|(module, text)| (module.clone(), used(module, text, &texts)))
            .collect();
        assert!(uses.values().any(|used| !used.is_empty()), "{root}: some use others");
        for module in uses.keys() {
            let way = circle(module, &uses).unwrap_or_default();
            let way: Vec<String> = way.iter().map(|module| module.join("::")).collect();
            assert!(way.is_empty(), "{root}: {}", way.join(" uses "));
        }
    }
}
