//! Wrong use does not compile. The error is on the wrong token, and says what to write instead.
//!
//! Every file is a whole build, so there is one for each topic, with many mistakes in it. After a change of a message,
//! run `TRYBUILD=overwrite cargo test -p rateguard-tests --test compiler ui` and read the difference.

#[test]
fn every_mistake_is_reported_on_its_own_token_together_with_the_others() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
