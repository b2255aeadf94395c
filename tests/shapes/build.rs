//! `SHAPES` says which limits the handlers carry: none (`plain`), some over the request's head (`head`, the default),
//! or some over their arguments (`deferred`). `MISTAKES` adds a module: `mistakes`, `lints` or `half_typed`.

fn main() {
    println!("cargo::rerun-if-env-changed=SHAPES");
    println!("cargo::rerun-if-env-changed=MISTAKES");
    println!("cargo::rustc-check-cfg=cfg(plain, head, deferred, mistakes, lints, half_typed)");
    println!("cargo::rustc-cfg={}", std::env::var("SHAPES").unwrap_or_else(|_| "head".to_owned()));
    if let Ok(module) = std::env::var("MISTAKES") {
        println!("cargo::rustc-cfg={module}");
    }
}
