//! How a store makes the limiter forget cached denials, because units were given back.

use std::fmt;
use std::sync::Arc;

/// Forgets the denials of one limit that this process has cached.
#[derive(Clone)]
pub(crate) struct Forget(Arc<dyn Fn() + Send + Sync>);

/// Forgets them once more when it is dropped.
#[derive(Debug)]
pub(crate) struct Forgetting(Forget);

impl Forget {
    pub(crate) fn new(forget: impl Fn() + Send + Sync + 'static) -> Forget {
        Forget(Arc::new(forget))
    }

    /// Forgets what is cached now, and, when the returned value is dropped, what was cached in the meantime.
    pub(crate) fn until_dropped(self) -> Forgetting {
        (self.0)();
        Forgetting(self)
    }
}

impl fmt::Debug for Forget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forget")
    }
}

impl Drop for Forgetting {
    fn drop(&mut self) {
        (self.0.0)();
    }
}
