// What becomes of:
//
// #[rate_limit(limit = 5, window = 60, key = ("ip", &order.customer), cost = order.items.len())]
// async fn place(State(shop): State<Shop>, Json(order): Json<Order>) -> Json<Receipt> {
//     shop.place(order).await
// }

#[cfg(not(doc))]
#[allow(clippy::missing_errors_doc)]
async fn place(
    ::rateguard::__private::Limited(
        rate_limit_guard,
        State(shop),
    ): ::rateguard::__private::Limited<
        __in_an_impl_block_put_rate_limit_above_the_block_as_well__place,
        State<Shop>,
    >,
    Json(order): Json<Order>,
) -> ::core::result::Result<Json<Receipt>, ::rateguard::__private::RateLimited> {
    let deferred = [
        ::rateguard::__private::Deferred::limit(0usize)
            .key(
                ::rateguard::__private::written::named(
                    ::rateguard::__private::ToKey::to_key(&(&order.customer)),
                    "order.customer",
                ),
            )
            .cost(::rateguard::__private::ToCost::to_cost(order.items.len())),
    ];
    if let ::core::result::Result::Err(denied) = ::rateguard::__private::Guard::settle(
            rate_limit_guard,
            deferred,
        )
        .await
    {
        return ::core::result::Result::Err(denied);
    }
    ::core::result::Result::Ok(
        async move {
            #[allow(
                unreachable_code,
                clippy::diverging_sub_expression,
                clippy::let_unit_value,
                clippy::needless_return
            )]
            if false {
                let __returned: Json<Receipt> = loop {};
                return __returned;
            }
            { shop.place(order).await }
        }
            .await,
    )
}
#[cfg(doc)]
async fn place(State(shop): State<Shop>, Json(order): Json<Order>) -> Json<Receipt> {
    loop {}
}
#[doc(hidden)]
#[non_exhaustive]
enum __rate_limit_place {}
use __rate_limit_place as __in_an_impl_block_put_rate_limit_above_the_block_as_well__place;
const _: () = {
    #[allow(clippy::redundant_closure, clippy::redundant_closure_for_method_calls)]
    impl ::rateguard::__private::Limits
    for __in_an_impl_block_put_rate_limit_above_the_block_as_well__place {
        const HANDLER: &'static ::core::primitive::str = ::core::concat!(
            ::core::module_path!(), "::", "place"
        );
        const LIMITS: &'static [::rateguard::__private::HttpLimit] = &[
            ::rateguard::__private::written::limit(
                ::rateguard::__private::Policy::new(
                    ::core::concat!(::core::module_path!(), "::", "place"),
                    ::rateguard::__private::Quota::sliding_window(
                        5,
                        ::rateguard::__private::Duration::from_micros(60000000u64),
                    ),
                ),
                ::rateguard::__private::written::all({
                    const PARTS: &'static [::rateguard::__private::KeyBy] = &[
                        ::rateguard::__private::KeyBy::Ip,
                        ::rateguard::__private::written::deferred(),
                    ];
                    PARTS
                }),
                ::core::option::Option::None,
                ::rateguard::__private::Setting::deferred(),
                ::rateguard::__private::Setting::fixed(false),
                ::core::option::Option::None,
                const { &[] },
                true,
            ),
        ];
        const WORDS: &'static ::core::primitive::str = "At most 5 units a minute for each combination of client address and `&order.customer`; a request counts as `order.items.len()`.";
        fn limits() -> &'static [::rateguard::__private::HttpLimit] {
            static NAMED: ::rateguard::__private::NamedLimits = ::rateguard::__private::NamedLimits::new();
            ::rateguard::__private::NamedLimits::of::<
                __in_an_impl_block_put_rate_limit_above_the_block_as_well__place,
            >(&NAMED, ::core::module_path!())
        }
    }
    const _: &[::rateguard::__private::HttpLimit] = <__in_an_impl_block_put_rate_limit_above_the_block_as_well__place as ::rateguard::__private::Limits>::LIMITS;
    #[cfg(not(doc))]
    fn __rate_limit_send() {
        fn __rate_limit_is_send<
            A0,
            A1,
            F: ::core::future::Future + ::core::marker::Send,
        >(_: impl ::core::ops::Fn(A0, A1) -> F) {}
        __rate_limit_is_send(place);
    }
};
