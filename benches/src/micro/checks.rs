//! One check in memory, beside `governor`'s with its default clock and its concurrent map.
//!
//! Both limiters check the same clients in the same way. The checks are allowed unless the group says otherwise. `hot` is one
//! client. `spread` is 10 000 clients, which both limiters already know. With two threads, the time is that of one check on one
//! thread.

use std::cell::Cell;
use std::future::Future;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use divan::Bencher;
use rateguard::{Key, Policy, Quota, RateGuard};

const CLIENTS: u32 = 10_000;
/// So short that the log of each of many clients has at most some hundred units, and the log of a single client some thousand.
const WINDOW: Duration = Duration::from_millis(10);
const LIMIT: u32 = 1_000_000;

const SLIDING_WINDOW: Policy = Policy::new("micro::checks", Quota::sliding_window(LIMIT, WINDOW));
const TOKEN_BUCKET: Policy = Policy::new("micro::checks", Quota::token_bucket(1_000_000_000, Duration::from_secs(1)));
const DENIED: Policy = Policy::new("micro::checks", Quota::sliding_window(5, Duration::from_secs(3600)));

#[divan::bench_group(threads = [1, 2], sample_count = 200, sample_size = 10_000)]
mod hot_address {
    use super::{Bencher, SLIDING_WINDOW, TOKEN_BUCKET, address_keys, addresses, governor_s, ours};

    #[divan::bench]
    fn governor(bencher: Bencher<'_, '_>) {
        governor_s(bencher, &addresses(1));
    }

    #[divan::bench]
    fn sliding_window(bencher: Bencher<'_, '_>) {
        ours(bencher, &SLIDING_WINDOW, &address_keys(1));
    }

    #[divan::bench]
    fn token_bucket(bencher: Bencher<'_, '_>) {
        ours(bencher, &TOKEN_BUCKET, &address_keys(1));
    }
}

#[divan::bench_group(threads = [1, 2], sample_count = 200, sample_size = 10_000)]
mod spread_address {
    use super::{Bencher, CLIENTS, SLIDING_WINDOW, TOKEN_BUCKET, address_keys, addresses, governor_s, ours};

    #[divan::bench]
    fn governor(bencher: Bencher<'_, '_>) {
        governor_s(bencher, &addresses(CLIENTS));
    }

    #[divan::bench]
    fn sliding_window(bencher: Bencher<'_, '_>) {
        ours(bencher, &SLIDING_WINDOW, &address_keys(CLIENTS));
    }

    #[divan::bench]
    fn token_bucket(bencher: Bencher<'_, '_>) {
        ours(bencher, &TOKEN_BUCKET, &address_keys(CLIENTS));
    }
}

#[divan::bench_group(threads = [1, 2], sample_count = 200, sample_size = 10_000)]
mod spread_text {
    use super::{Bencher, SLIDING_WINDOW, TOKEN_BUCKET, governor_s, ours, text_keys, texts};

    #[divan::bench]
    fn governor(bencher: Bencher<'_, '_>) {
        governor_s(bencher, &texts());
    }

    #[divan::bench]
    fn sliding_window(bencher: Bencher<'_, '_>) {
        ours(bencher, &SLIDING_WINDOW, &text_keys());
    }

    #[divan::bench]
    fn token_bucket(bencher: Bencher<'_, '_>) {
        ours(bencher, &TOKEN_BUCKET, &text_keys());
    }
}

#[divan::bench_group(threads = [1, 2], sample_count = 200, sample_size = 10_000)]
mod denied_address {
    use super::{Bencher, DENIED, Duration, NonZeroU32, RateGuard, address_keys, addresses, check, next};

    #[divan::bench]
    fn governor(bencher: Bencher<'_, '_>) {
        let five = NonZeroU32::new(5).expect("not zero");
        let an_hour = governor::Quota::with_period(Duration::from_secs(3600)).expect("not zero").allow_burst(five);
        let limiter = governor::RateLimiter::keyed(an_hour);
        let address = addresses(1);
        for _ in 0..5 {
            assert!(limiter.check_key(&address[0]).is_ok());
        }
        bencher.with_inputs(|| next(&address)).bench_values(|address| limiter.check_key(address).is_ok());
        assert!(limiter.check_key(&address[0]).is_err());
    }

    #[divan::bench]
    fn sliding_window(bencher: Bencher<'_, '_>) {
        let (limiter, key) = (RateGuard::memory(), address_keys(1));
        for _ in 0..5 {
            assert!(check(&limiter, &DENIED, &key[0]));
        }
        bencher.with_inputs(|| next(&key)).bench_values(|key| check(&limiter, &DENIED, key));
        assert!(!check(&limiter, &DENIED, &key[0]));
    }
}

fn ours(bencher: Bencher<'_, '_>, policy: &Policy, keys: &[Key]) {
    let limiter = RateGuard::memory();
    assert!(keys.iter().all(|key| check(&limiter, policy, key)));
    bencher.with_inputs(|| next(keys)).bench_values(|key| check(&limiter, policy, key));
    assert!(check(&limiter, policy, &keys[0]), "allowed to the end");
}

fn governor_s<K: Hash + Eq + Clone + Send + Sync>(bencher: Bencher<'_, '_>, keys: &[K]) {
    let each_second = NonZeroU32::new(1_000_000_000).expect("not zero");
    let limiter = governor::RateLimiter::keyed(governor::Quota::per_second(each_second));
    assert!(keys.iter().all(|key| limiter.check_key(key).is_ok()));
    bencher.with_inputs(|| next(keys)).bench_values(|key| limiter.check_key(key).is_ok());
    assert!(limiter.check_key(&keys[0]).is_ok(), "allowed to the end");
}

/// A check in memory never waits, so one poll is enough. The future is not moved, as with `.await`.
fn check(limiter: &RateGuard, policy: &Policy, key: &Key) -> bool {
    match pin!(limiter.check(policy, key)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(decision) => decision.allowed(),
        Poll::Pending => false,
    }
}

/// The next key in order. Each thread begins at a different key, so that threads do not use the same key at the same time.
fn next<K>(keys: &[K]) -> &K {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NEXT: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) * 4711);
    }
    let turn = NEXT.replace(NEXT.get().wrapping_add(1));
    &keys[turn % keys.len()]
}

fn addresses(clients: u32) -> Vec<IpAddr> {
    let first = Ipv4Addr::new(10, 0, 0, 0).to_bits();
    (0..clients).map(|client| Ipv4Addr::from_bits(first + client).into()).collect()
}

fn address_keys(clients: u32) -> Vec<Key> {
    addresses(clients).into_iter().map(Key::ip).collect()
}

fn texts() -> Vec<String> {
    (0..CLIENTS).map(|client| format!("key-{client:08}")).collect()
}

fn text_keys() -> Vec<Key> {
    texts().into_iter().map(|text| Key::secret("header.x-api-key", text)).collect()
}
