//! Writing headers: the extra cost of a request with each choice of headers. All requests use one bucket, so that the rest of the
//! cost is small.

use divan::Bencher;
use rateguard::{Headers, KeyBy};
use tower::service_fn;

use crate::layer::{answers, hello, limited};

#[divan::bench_group(sample_count = 200, sample_size = 1000)]
mod through_the_layer {
    use super::{Bencher, Headers, KeyBy, answers, hello, limited, service_fn};

    #[divan::bench]
    fn without_a_layer(bencher: Bencher<'_, '_>) {
        answers(bencher, service_fn(hello));
    }

    #[divan::bench]
    fn none(bencher: Bencher<'_, '_>) {
        limited(bencher, Headers::NONE, KeyBy::Global);
    }

    #[divan::bench]
    fn x_rate_limit(bencher: Bencher<'_, '_>) {
        limited(bencher, Headers::X_RATE_LIMIT, KeyBy::Global);
    }

    #[divan::bench]
    fn x_rate_limit_as_epoch(bencher: Bencher<'_, '_>) {
        limited(bencher, Headers::X_RATE_LIMIT.reset_as_epoch(), KeyBy::Global);
    }

    #[divan::bench]
    fn ietf(bencher: Bencher<'_, '_>) {
        limited(bencher, Headers::IETF, KeyBy::Global);
    }

    #[divan::bench]
    fn both(bencher: Bencher<'_, '_>) {
        limited(bencher, Headers::X_RATE_LIMIT | Headers::IETF, KeyBy::Global);
    }
}
