#![doc = include_str!("links.md")]
#![doc = include_str!("README.md")]

// A chapter is also read as a file of the repository. There, the definitions at its end lead from file to file. Here, those of
// `links.md` come first and so win: they lead from page to page. `.ci/links --write` writes both.
// To add a chapter: write the file, add its name here and a line to README.md, and run `.ci/links --write`.
macro_rules! chapters {
    ($($chapter:ident)*) => {$(
        #[doc = include_str!("links.md")]
        #[doc = include_str!(concat!(stringify!($chapter), ".md"))]
        pub mod $chapter {}
    )*};
}

chapters! {
    adding_limits
    algorithms
    alternatives
    attribute
    backends
    behind_a_proxy
    examples
    faq
    features
    from_axum_governor
    from_express_rate_limit
    from_fastapi
    from_slowapi
    from_tower_governor
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
    replay
    responses
    scaling
    security
    shadow_mode
    support_desk
    versions
}

// Its programs need the feature, the chapter does not.
#[doc = include_str!("links.md")]
#[cfg_attr(any(not(doctest), feature = "tonic"), doc = include_str!("grpc.md"))]
pub mod grpc {}

// Likewise.
#[doc = include_str!("links.md")]
#[cfg_attr(any(not(doctest), feature = "test-util"), doc = include_str!("testing.md"))]
pub mod testing {}
