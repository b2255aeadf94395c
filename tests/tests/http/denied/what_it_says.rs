//! What an answer says and what is added.

use super::*;

#[tokio::test]
async fn what_the_closure_leaves_out_is_added_and_what_it_says_stays() {
    let silent = RateGuard::builder().on_denied(|_: &Denied| Html("<h1>Slow down</h1>")).build().unwrap();
    let app = App::with(silent, routes());
    app.get("/ip").await;
    let answer = app.get("/ip").await;
    // A denial in gRPC is a 200, so the status is the closure's.
    assert_eq!((answer.status, answer.body.as_str()), (200, "<h1>Slow down</h1>"));
    assert_eq!(answer.number("retry-after"), Some(60));
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.number("x-ratelimit-limit"), Some(1));

    let own = [(header::RETRY_AFTER, "7"), (header::CACHE_CONTROL, "private")];
    let outspoken =
        RateGuard::builder().on_denied(move |_: &Denied| (StatusCode::FORBIDDEN, own.clone())).build().unwrap();
    let app = App::with(outspoken, routes());
    app.get("/deferred/x").await;
    let answer = app.get("/deferred/x").await;
    assert_eq!((answer.status, answer.number("retry-after")), (403, Some(7)));
    assert_eq!(answer.headers.get_all("retry-after").iter().count(), 1);
    assert_eq!(answer.headers["cache-control"], "private");
}

#[tokio::test]
async fn the_default_response_is_there_to_build_upon() {
    let limiter = RateGuard::builder()
        .on_denied(|denied: &Denied| {
            let mut response = denied.default_response();
            response.headers_mut().insert("x-policy", HeaderValue::from_str(denied.policy()).unwrap());
            response
        })
        .build()
        .unwrap();
    let (app, plain) = (App::with(limiter, routes()), App::new(routes()));
    for app in [&app, &plain] {
        app.get("/ip").await;
    }
    let (answer, plain) = (app.get("/ip").await, plain.get("/ip").await);
    assert_eq!(answer.headers["x-policy"], "by-ip");
    assert_eq!((answer.status, &answer.body), (plain.status, &plain.body));
    for name in plain.headers.keys().filter(|name| *name != header::RETRY_AFTER) {
        assert_eq!(answer.headers.get(name), plain.headers.get(name), "{name}");
    }
}

#[tokio::test]
async fn a_denial_that_never_ends_and_one_for_want_of_redis_are_told_as_what_they_are() {
    let app = App::with(RateGuard::builder().on_denied(tell).build().unwrap(), routes());
    let answer = app.get("/costly/11").await;
    let too_large = told(&answer);
    assert_eq!((&too_large["retry"], &too_large["status"]), (&serde_json::Value::Null, &429.into()));
    assert!(too_large["words"].as_str().unwrap().contains("never admitted"));
    assert_eq!(answer.number("retry-after"), None);

    let mut server = RedisServer::start();
    let builder = RateGuard::builder().on_error(OnError::Closed).on_denied(tell);
    let app = App::with(connected(builder, &server).await, routes());
    server.kill();
    for path in ["/ip", "/deferred/x"] {
        let answer = app.get(path).await;
        let closed = told(&answer);
        assert_eq!((&closed["retry"], &closed["status"]), (&1.0.into(), &503.into()));
        assert_eq!(closed["words"], "Requests cannot be counted at the moment");
        assert_eq!(answer.number("retry-after"), Some(1));
        assert_eq!(answer.number("x-ratelimit-limit"), None);
    }
}

#[tokio::test]
async fn only_denials_are_asked_about_and_nothing_of_the_request_is_shown_in_a_log() {
    let calls = Arc::new(AtomicUsize::new(0));
    let shown = Arc::new(Mutex::new(String::new()));
    let (count, show) = (Arc::clone(&calls), Arc::clone(&shown));
    let limiter = RateGuard::builder()
        .on_denied(move |denied: &Denied| {
            count.fetch_add(1, Ordering::Relaxed);
            *show.lock().unwrap() = format!("{denied:?}");
            denied.default_response()
        })
        .build()
        .unwrap();
    let app = App::with(limiter, routes());
    for _ in 0..3 {
        app.get("/free").await;
    }
    app.get_with("/key", "x-api-key", "hunter2").await;
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert_eq!(app.get_with("/key", "x-api-key", "hunter2").await.status, 429);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let shown = shown.lock().unwrap().clone();
    assert!(shown.contains("by-key") && !shown.contains("hunter2"), "{shown}");
    // A setup error is not a denial.
    let unset = App::new(Router::new()).map(|_| routes());
    assert_eq!(unset.get("/ip").await.status, 500);
}

#[tokio::test]
async fn what_a_deferred_denial_gives_back_is_given_back_too() {
    #[rate_limit(limit = 5, window = 60, name = "early")]
    #[rate_limit(limit = 1, window = 60, name = "waits", key = user)]
    async fn both(Path(user): Path<String>) {
        let _ = user;
    }
    let limiter = RateGuard::builder().on_denied(tell).build().unwrap();
    let app = App::with(limiter.clone(), Router::new().route("/{user}", get(both)));
    for status in [200, 418, 418, 418] {
        assert_eq!(app.get("/bob").await.status, status);
    }
    let early = Policy::new("early", Quota::sliding_window(5, MINUTE));
    let left = limiter.peek(&early, &Key::ip([192, 0, 2, 1])).await.unwrap();
    assert_eq!(left.remaining(), 4);
}

#[tokio::test]
async fn a_denied_request_runs_the_closure_over_its_head_once() {
    let server = RedisServer::start();
    let builder = || RateGuard::builder().on_denied(tell).deny_cache(Duration::ZERO);
    for limiter in [builder().build().unwrap(), connected(builder(), &server).await] {
        let runs = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&runs);
        let by = KeyBy::from_fn(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Some(Key::new("tenant", "acme"))
        });
        let layer = RateLimitLayer::new(limiter).limit("tenant", Quota::sliding_window(1, MINUTE), by);
        let app = App::new(Router::new()).map(|_| routes().layer(layer));
        assert_eq!(app.get("/free").await.status, 200);
        for _ in 0..2 {
            assert_eq!(told(&app.get("/free").await)["kind"], "tenant");
        }
        assert_eq!(runs.load(Ordering::Relaxed), 3);
    }
}
