//! The fields of the draft.

use super::*;

#[tokio::test]
async fn the_fields_of_the_draft_list_every_limit_that_counted_the_request() {
    let (limiter, clock) = limiter(Headers::IETF);
    let layer = RateLimitLayer::new(limiter).limit("global", Quota::sliding_window(500, MINUTE), KeyBy::Global);
    let app = App::new(Router::new()).map(|_| routes().layer(layer));
    let answer = app.get("/stacked").await;
    assert_eq!(
        list(&answer, "ratelimit-policy"),
        [
            member("global", &[("q", 500), ("w", 60)]),
            member("burst", &[("q", 100), ("w", 60)]),
            member("daily", &[("q", 1000), ("w", 86_400)]),
        ]
    );
    clock.advance(Duration::from_secs(20));
    let answer = app.get("/stacked").await;
    assert_eq!(
        list(&answer, "ratelimit"),
        [
            member("global", &[("r", 498), ("t", 40)]),
            member("burst", &[("r", 98), ("t", 40)]),
            // Of a large limit, both have left within a thousandth of the window: together.
            member("daily", &[("r", 998), ("t", 86_400)]),
        ]
    );
    assert!(!has_x(&answer));
}

#[tokio::test]
async fn where_nothing_is_left_t_is_the_retry_after() {
    let (limiter, clock) = limiter(Headers::IETF);
    let app = App::with(limiter, routes());
    app.get("/two").await;
    clock.advance(Duration::from_millis(12_500));
    let last = app.get("/two").await;
    assert_eq!(list(&last, "ratelimit"), [member("two", &[("r", 0), ("t", 48)])]);
    let denied = app.get("/two").await;
    assert_eq!(denied.status, 429);
    assert_eq!(list(&denied, "ratelimit"), [member("two", &[("r", 0), ("t", 48)])]);
    assert_eq!(denied.number("retry-after"), Some(48));
}

#[tokio::test]
async fn a_window_below_a_second_is_told_as_one_and_a_bucket_as_what_it_holds() {
    let (policy, quota, _) = told(Quota::sliding_window(5, Duration::from_millis(100)), 1).await;
    assert_eq!((policy, quota), (numbers(&[("q", 5), ("w", 1)]), numbers(&[("r", 4), ("t", 1)])));

    let (policy, quota, _) = told(Quota::sliding_window(5, Duration::from_millis(1500)), 1).await;
    assert_eq!((policy, quota), (numbers(&[("q", 5), ("w", 2)]), numbers(&[("r", 4), ("t", 2)])));

    // 10 a minute that may gather to 20: what the bucket holds, in the time that it takes to fill.
    let bucket = Quota::token_bucket(10, MINUTE).burst(20);
    let (policy, quota, _) = told(bucket, 1).await;
    assert_eq!((policy, quota), (numbers(&[("q", 20), ("w", 120)]), numbers(&[("r", 19), ("t", 6)])));
    // The last token: the next one is there after 6 seconds, not when the bucket is full.
    let (_, quota, answer) = told(bucket, 20).await;
    assert_eq!((answer.status, quota), (200, numbers(&[("r", 0), ("t", 6)])));
    let (_, quota, answer) = told(bucket, 21).await;
    assert_eq!((answer.status, answer.number("retry-after")), (429, Some(6)));
    assert_eq!(quota, numbers(&[("r", 0), ("t", 6)]));

    // A small bucket that fills quickly is told by its rate.
    let (policy, quota, _) = told(Quota::token_bucket(1000, Duration::from_secs(1)).burst(10), 1).await;
    assert_eq!((policy, quota), (numbers(&[("q", 1000), ("w", 1)]), numbers(&[("r", 9), ("t", 1)])));
}

#[tokio::test]
async fn the_other_algorithms_are_told_as_limit_and_window() {
    for quota in [Quota::fixed_window(7, MINUTE), Quota::sliding_counter(7, MINUTE)] {
        let (policy, _, answer) = told(quota, 8).await;
        assert_eq!(policy, numbers(&[("q", 7), ("w", 60)]));
        let retry = i64::from(answer.number("retry-after").unwrap());
        assert_eq!(list(&answer, "ratelimit")[0].1, numbers(&[("r", 0), ("t", retry)]));
    }
}

#[tokio::test]
async fn any_name_of_a_policy_is_a_string_that_reads_back() {
    let quota = Quota::sliding_window(5, MINUTE);
    for (name, written) in [
        ("app::api::search", "app::api::search"),
        ("größe", "gr%c3%b6%c3%9fe"),
        ("100%", "100%25"),
        ("a;q=1,b", "a;q=1,b"),
        ("🚀", "%f0%9f%9a%80"),
    ] {
        let (limiter, _clock) = limiter(Headers::IETF);
        let layer =
            RateLimitLayer::new(limiter).limit(name, quota, KeyBy::Global).limit("second", quota, KeyBy::Global);
        let app = App::new(Router::new()).map(|_| routes().layer(layer));
        let answer = app.get("/free").await;
        for field in ["ratelimit-policy", "ratelimit"] {
            let names: Vec<String> = list(&answer, field).into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, [written, "second"]);
        }
    }
}

#[tokio::test]
async fn one_name_is_told_once_as_what_is_nearest_exhaustion() {
    let (limiter, _clock) = limiter(Headers::IETF | Headers::X_RATE_LIMIT);
    let inner = RateLimitLayer::new(limiter.clone()).limit("same", Quota::sliding_window(3, MINUTE), KeyBy::Ip);
    let outer = RateLimitLayer::new(limiter).limit("same", Quota::sliding_window(9, MINUTE), KeyBy::Global);
    let app = App::new(Router::new()).map(|_| routes().layer(inner).layer(outer));
    let answer = app.get("/free").await;
    assert_eq!(list(&answer, "ratelimit-policy"), [member("same", &[("q", 3), ("w", 60)])]);
    assert_eq!(list(&answer, "ratelimit"), [member("same", &[("r", 2), ("t", 60)])]);
    assert_eq!(answer.number("x-ratelimit-limit"), Some(3));
}
