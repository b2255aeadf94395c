//! Which headers, in which form, and whose choice it is.

use super::*;

#[tokio::test]
async fn each_choice_is_kept_by_served_and_denied_requests_alike() {
    for (headers, x, ietf) in [
        (Headers::default(), true, false),
        (Headers::X_RATE_LIMIT, true, false),
        (Headers::IETF, false, true),
        (Headers::X_RATE_LIMIT | Headers::IETF, true, true),
        (Headers::NONE, false, false),
    ] {
        let (limiter, _clock) = limiter(headers);
        let app = App::with(limiter, routes());
        for status in [200, 200, 429] {
            let answer = app.get("/two").await;
            assert_eq!((answer.status, has_x(&answer), has_ietf(&answer)), (status, x, ietf), "{headers:?}");
            assert_eq!(answer.number("retry-after").is_some(), status == 429, "a denial says when, in any case");
            if headers == Headers::NONE {
                assert!(answer.headers.keys().all(|name| !name.as_str().contains("ratelimit")));
            }
        }
    }
}

#[tokio::test]
async fn a_layers_choice_goes_before_its_limiters_and_the_outermost_one_decides() {
    let (limiter, _clock) = limiter(Headers::X_RATE_LIMIT);
    let layer = || RateLimitLayer::new(limiter.clone());
    let one = App::new(Router::new()).map(|_| routes().layer(layer().headers(Headers::IETF)));
    let answer = one.get("/two").await;
    assert!(has_ietf(&answer) && !has_x(&answer));

    let inner = routes().layer(layer().headers(Headers::IETF));
    let two = App::new(Router::new()).map(|_| inner.layer(layer()));
    let answer = two.get("/two").await;
    assert!(has_x(&answer) && !has_ietf(&answer));
    let inner = routes().layer(layer().headers(Headers::IETF));
    let none = App::new(Router::new()).map(|_| inner.layer(layer().headers(Headers::NONE)));
    let answer = none.get("/stacked").await;
    assert!(!has_x(&answer) && !has_ietf(&answer));
}

#[tokio::test]
async fn the_reset_is_in_seconds_from_now_or_since_1970() {
    let (limiter, clock) = limiter(Headers::X_RATE_LIMIT.reset_as_epoch());
    let app = App::with(limiter, routes());
    app.get("/two").await;
    clock.advance(Duration::from_secs(20));
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = now();
    for status in [200, 429] {
        let answer = app.get("/two").await;
        assert_eq!(answer.status, status);
        let reset = u64::from(answer.number("x-ratelimit-reset").unwrap());
        assert!((before + 40..=now() + 41).contains(&reset), "{reset}");
        assert_eq!(answer.number("retry-after").is_some_and(|seconds| seconds == 40), status == 429);
    }
}

#[tokio::test]
async fn what_another_server_said_of_its_quota_is_neither_overwritten_nor_doubled() {
    async fn passed_on() -> impl IntoResponse {
        [("x-ratelimit-limit", "5000"), ("x-ratelimit-remaining", "4999"), ("ratelimit", "\"upstream\";r=7")]
    }
    let quota = Quota::sliding_window(1, MINUTE);
    let (limiter, _clock) = limiter(Headers::X_RATE_LIMIT | Headers::IETF);
    let layer = RateLimitLayer::new(limiter).limit("ours", quota, KeyBy::Global);
    let app = App::new(Router::new()).map(|_| Router::new().route("/", get(passed_on)).layer(layer));
    let answer = app.get("/").await;
    assert_eq!(header(&answer.headers, "x-ratelimit-limit").unwrap(), "5000");
    assert_eq!(header(&answer.headers, "x-ratelimit-remaining").unwrap(), "4999");
    assert_eq!(header(&answer.headers, "x-ratelimit-reset"), None, "no mixture of theirs and ours");
    assert_eq!(list(&answer, "ratelimit"), [member("upstream", &[("r", 7)])]);
    assert_eq!(header(&answer.headers, "ratelimit-policy"), None);
    let denied = app.get("/").await;
    assert_eq!((denied.status, denied.number("x-ratelimit-limit")), (429, Some(1)), "a denial is ours alone");
    assert!(has_ietf(&denied));
}

#[tokio::test]
async fn shadows_and_what_could_not_be_counted_are_not_told() {
    let (limiter, _clock) = limiter(Headers::X_RATE_LIMIT | Headers::IETF);
    let shadow = Policy::new("shadow", Quota::sliding_window(1, MINUTE)).shadow(true);
    let layer = RateLimitLayer::new(limiter).rule(HttpLimit::from_policy(shadow, KeyBy::Global)).limit(
        "real",
        Quota::sliding_window(9, MINUTE),
        KeyBy::Global,
    );
    let app = App::new(Router::new()).map(|_| routes().layer(layer));
    for _ in 0..3 {
        let answer = app.get("/free").await;
        assert_eq!(list(&answer, "ratelimit").len(), 1);
        assert_eq!(list(&answer, "ratelimit-policy"), [member("real", &[("q", 9), ("w", 60)])]);
    }

    let mut server = RedisServer::start();
    let builder = RateGuard::builder().headers(Headers::X_RATE_LIMIT | Headers::IETF).on_error(OnError::Open);
    let app = App::with(connected(builder, &server).await, routes());
    let answer = app.get("/two").await;
    assert!(has_x(&answer) && has_ietf(&answer), "{answer:?}");
    server.kill();
    let answer = app.get("/two").await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers.keys().all(|name| !name.as_str().contains("ratelimit")), "{answer:?}");
}

#[tokio::test]
async fn a_script_in_a_browser_may_read_what_is_exposed_also_of_a_denial() {
    let headers = Headers::X_RATE_LIMIT | Headers::IETF;
    let (limiter, _clock) = limiter(headers);
    let cors = CorsLayer::new().allow_origin(Any).expose_headers(headers.names());
    let app = App::with(limiter, routes()).map(|routes| routes.layer(cors));
    for status in [200, 200, 429] {
        let mut request: Request<_> = request("/two");
        request.headers_mut().insert("origin", "https://shop.example".parse().unwrap());
        let answer = app.send(request).await;
        assert_eq!(answer.status, status);
        let exposed = header(&answer.headers, "access-control-expose-headers").unwrap();
        let exposed: Vec<&str> = exposed.split(',').map(str::trim).collect();
        let ours = |name: &str| name.contains("ratelimit") || name == "retry-after";
        for name in answer.headers.keys().filter(|name| ours(name.as_str())) {
            assert!(exposed.contains(&name.as_str()), "{name} is not in {exposed:?}");
        }
        assert_eq!(exposed.len(), 6);
    }
}
