//! <!-- The links of all chapters, for rustdoc: the first definition of a label counts. -->
#![doc = include_str!("links.md")]
#![doc = include_str!("README.md")]

/// A chapter is a file that reads well in the repository too. Its own links go from file to file; `links.md`, which stands
/// before them, makes them links between the pages of rustdoc. `.ci/links --write` writes both.
macro_rules! chapters {
    ($($chapter:ident)*) => {$(
        #[doc = include_str!("links.md")]
        #[doc = include_str!(concat!(stringify!($chapter), ".md"))]
        pub mod $chapter {}
    )*};
}

chapters! {
    algorithms
    alternatives
    attribute
    backends
    behind_a_proxy
    examples
    faq
    features
    handlers_that_block
    how_it_works
    in_production
    layer
    metrics_and_logs
    mistakes_of_others
    overrides
    performance
    recipes
    redis_outages
    responses
    scaling
    security
    shadow_mode
    support_desk
    versions
}

// Its programs need the feature, the chapter does not.
#[doc = include_str!("links.md")]
#[cfg_attr(any(not(doctest), feature = "test-util"), doc = include_str!("testing.md"))]
pub mod testing {}
