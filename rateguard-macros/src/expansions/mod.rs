//! What the attribute writes, whole and readable: `head.rs` for a limit that the request's head decides, `deferred.rs` for one
//! over the arguments. The files are compared. After a change,
//! `UPDATE_EXPECT=1 cargo test -p rateguard-macros expansions` writes them, and the difference is to be read.

use expect_test::{ExpectFile, expect_file};
use proc_macro2::TokenStream;

fn writes(args: &str, item: &str, expected: &ExpectFile) {
    let tokens: TokenStream = item.parse().expect("a handler");
    let written = crate::expanded(args.parse().expect("arguments"), &tokens);
    let file: syn_full::File = syn_full::parse2(written).expect("Rust");
    let above = format!("#[rate_limit({args})]\n{item}").replace('\n', "\n// ");
    expected.assert_eq(&format!("// What becomes of:\n//\n// {above}\n\n{}", prettyplease::unparse(&file)));
}

#[test]
fn a_limit_that_the_head_decides_is_a_guard_before_the_first_parameter() {
    writes(
        r#"limit = 5, window = 60, key = "ip""#,
        "async fn search(Query(q): Query<Search>) -> Json<Results> {\n    run(q).await\n}",
        &expect_file!["head.rs"],
    );
}

#[test]
fn a_limit_over_the_arguments_is_decided_before_the_body() {
    writes(
        r#"limit = 5, window = 60, key = ("ip", &order.customer), cost = order.items.len()"#,
        "async fn place(State(shop): State<Shop>, Json(order): Json<Order>) -> Json<Receipt> {\n    shop.place(order).await\n}",
        &expect_file!["deferred.rs"],
    );
}
