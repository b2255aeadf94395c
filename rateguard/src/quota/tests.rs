use super::*;

#[test]
fn an_invalid_quota_is_an_error_that_says_what_to_write_instead() {
    let built = |limit, window| Quota::try_new(Algorithm::SlidingWindow, limit, window).map_err(|e| e.to_string());
    assert!(built(0, Duration::from_secs(1)).unwrap_err().starts_with("limit is 0"));
    assert!(built(1, Duration::ZERO).unwrap_err().contains("1 ms to 365 days"));
    assert!(built(1, Duration::from_micros(999)).unwrap_err().contains("999µs"));
    assert!(built(1, Duration::from_secs(31_536_001)).unwrap_err().contains("31536001s"));
    assert!(built(1, Duration::from_nanos(1_000_500)).unwrap_err().contains("whole number of microseconds"));
    assert!(built(1, Quota::MIN_WINDOW).is_ok());
    assert!(built(u32::MAX, Quota::MAX_WINDOW).is_ok());
}

#[test]
#[should_panic(expected = "limit is 0")]
fn the_short_constructors_panic_when_the_quota_is_built_not_when_a_request_comes() {
    let _ = Quota::sliding_window(0, Duration::from_secs(1));
}

#[test]
fn quotas_by_a_unit_of_time_are_sliding_windows_of_that_unit() {
    let shown = [Quota::per_second(1), Quota::per_minute(2), Quota::per_hour(3), Quota::per_day(4)];
    assert_eq!(shown.map(|quota| quota.to_string()), ["1/1s", "2/1m", "3/1h", "4/1d"]);
}
