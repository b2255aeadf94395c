//! `SHAPES` says which limits the handlers carry: none (`plain`), some that the request's head decides (`head`, the default),
//! or some over their arguments (`late`). `MISTAKES` adds a module of `mistakes`, of `lints` or of what is `half_typed`.

fn main() {
    println!("cargo::rerun-if-env-changed=SHAPES");
    println!("cargo::rerun-if-env-changed=MISTAKES");
    println!("cargo::rustc-check-cfg=cfg(plain, head, late, mistakes, lints, half_typed)");
    println!("cargo::rustc-cfg={}", std::env::var("SHAPES").unwrap_or_else(|_| "head".to_owned()));
    if let Ok(module) = std::env::var("MISTAKES") {
        println!("cargo::rustc-cfg={module}");
    }
}
