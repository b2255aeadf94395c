//! Wrong use does not compile, and the error says what to write instead, on the token that is wrong.
//!
//! A case is a whole build, so there are few of them, one for each topic, with many mistakes in each.
//! After a change of a message: `TRYBUILD=overwrite cargo test -p rateguard-tests --test ui`, and read the difference.

#[test]
fn every_mistake_is_told_on_its_own_token_together_with_the_others() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
