//! The settings of a limit that may depend on the request.

use std::fmt;
use std::sync::Arc;

use axum::http::request::Parts;

/// A function of the program's: one that the attribute wrote down as a constant, or a closure that a layer was given.
#[allow(clippy::type_complexity, reason = "a shared closure, once")]
pub(super) enum Callback<A, T> {
    Static(fn(&A) -> T),
    Shared(Arc<dyn Fn(&A) -> T + Send + Sync>),
}

impl<A, T> Callback<A, T> {
    pub(super) fn shared(function: impl Fn(&A) -> T + Send + Sync + 'static) -> Callback<A, T> {
        Callback::Shared(Arc::new(function))
    }

    pub(super) fn call(&self, argument: &A) -> T {
        match self {
            Callback::Static(function) => function(argument),
            Callback::Shared(function) => function(argument),
        }
    }
}

impl<A, T> Clone for Callback<A, T> {
    fn clone(&self) -> Callback<A, T> {
        match self {
            Callback::Static(function) => Callback::Static(*function),
            Callback::Shared(function) => Callback::Shared(Arc::clone(function)),
        }
    }
}

impl<A, T> fmt::Debug for Callback<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fn")
    }
}

/// One setting of a limit, in the three forms that the attribute has for it.
#[derive(Clone, Debug)]
pub struct Setting<T>(pub(super) Form<T>);

#[derive(Clone, Debug)]
pub(super) enum Form<T> {
    /// The same for every request.
    Fixed(T),
    /// Read from the request's head.
    Head(Callback<Parts, T>),
    /// Known once the handler's arguments are there.
    Deferred,
}

impl<T> Setting<T> {
    /// The same for every request.
    pub const fn fixed(value: T) -> Setting<T> {
        Setting(Form::Fixed(value))
    }

    /// Read from the request's head.
    pub const fn head(read: fn(&Parts) -> T) -> Setting<T> {
        Setting(Form::Head(Callback::Static(read)))
    }

    /// Known once the handler's arguments are there.
    pub const fn deferred() -> Setting<T> {
        Setting(Form::Deferred)
    }

    pub(super) fn shared(read: impl Fn(&Parts) -> T + Send + Sync + 'static) -> Setting<T> {
        Setting(Form::Head(Callback::shared(read)))
    }

    pub(super) fn is_deferred(&self) -> bool {
        matches!(self.0, Form::Deferred)
    }
}

impl<T: Clone> Setting<T> {
    /// `None` if the arguments will say.
    pub(super) fn of(&self, head: &Parts) -> Option<T> {
        match &self.0 {
            Form::Fixed(value) => Some(value.clone()),
            Form::Head(read) => Some(read.call(head)),
            Form::Deferred => None,
        }
    }
}
