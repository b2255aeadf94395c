// What becomes of:
//
// #[rate_limit(limit = 5, window = 60, key = "ip")]
// async fn search(Query(q): Query<Search>) -> Json<Results> {
//     run(q).await
// }

#[cfg(not(doc))]
async fn search(
    ::rateguard::__private::Limited(
        _,
        Query(q),
    ): ::rateguard::__private::Limited<
        __in_an_impl_block_put_rate_limit_above_the_block_as_well__search,
        Query<Search>,
    >,
) -> Json<Results> {
    run(q).await
}
#[cfg(doc)]
async fn search(Query(q): Query<Search>) -> Json<Results> {
    loop {}
}
#[doc(hidden)]
#[non_exhaustive]
enum __rate_limit_search {}
use __rate_limit_search as __in_an_impl_block_put_rate_limit_above_the_block_as_well__search;
const _: () = {
    #[allow(clippy::redundant_closure, clippy::redundant_closure_for_method_calls)]
    impl ::rateguard::__private::Limits
    for __in_an_impl_block_put_rate_limit_above_the_block_as_well__search {
        const HANDLER: &'static ::core::primitive::str = ::core::concat!(
            ::core::module_path!(), "::", "search"
        );
        const LIMITS: &'static [::rateguard::__private::HttpLimit] = &[
            ::rateguard::__private::written::limit(
                ::rateguard::__private::Policy::new(
                    ::core::concat!(::core::module_path!(), "::", "search"),
                    ::rateguard::__private::Quota::sliding_window(
                        5,
                        ::rateguard::__private::Duration::from_micros(60000000u64),
                    ),
                ),
                ::rateguard::__private::KeyBy::Ip,
                ::core::option::Option::None,
                ::rateguard::__private::Setting::fixed(1),
                ::rateguard::__private::Setting::fixed(false),
                ::core::option::Option::None,
                const { &[] },
                true,
            ),
        ];
        const WORDS: &'static ::core::primitive::str = "At most 5 requests a minute for each client address.";
        fn limits() -> &'static [::rateguard::__private::HttpLimit] {
            static NAMED: ::rateguard::__private::NamedLimits = ::rateguard::__private::NamedLimits::new();
            ::rateguard::__private::NamedLimits::of::<
                __in_an_impl_block_put_rate_limit_above_the_block_as_well__search,
            >(&NAMED, ::core::module_path!())
        }
    }
    const _: &[::rateguard::__private::HttpLimit] = <__in_an_impl_block_put_rate_limit_above_the_block_as_well__search as ::rateguard::__private::Limits>::LIMITS;
    #[cfg(not(doc))]
    fn __rate_limit_send() {
        fn __rate_limit_is_send<A0, F: ::core::future::Future + ::core::marker::Send>(
            _: impl ::core::ops::Fn(A0) -> F,
        ) {}
        __rate_limit_is_send(search);
    }
};
