//! What `validate` makes of the options, and `expand` writes down as code.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::{LitInt, LitStr};

use crate::value::Value;

/// The limits of a handler, outermost attribute first.
pub(crate) struct Plan {
    pub(crate) limits: Vec<Limit>,
    /// The path of the library.
    pub(crate) library: TokenStream,
}

/// One limit. Its fields have the names of the options.
#[expect(clippy::struct_field_names, reason = "an option is called `limit`")]
pub(crate) struct Limit {
    /// `None`: the function's name.
    pub(crate) name: Option<LitStr>,
    /// The constructor of the quota: `sliding_window`.
    pub(crate) algorithm: Ident,
    pub(crate) limit: Const,
    pub(crate) window: Const,
    pub(crate) burst: Option<Const>,
    pub(crate) key: Key,
    pub(crate) cost: Amount,
    pub(crate) skip: Amount,
    pub(crate) refund_if: Option<Value>,
    /// The variant of `OnError`.
    pub(crate) on_error: Option<Ident>,
    pub(crate) shadow: Option<Value>,
}

/// Who is counted.
pub(crate) enum Key {
    Ip,
    User,
    Global,
    Header(LitStr),
    Cookie(LitStr),
    Path(LitStr),
    /// A closure over the request's head.
    Head(Value),
    /// An expression over the handler's arguments.
    Deferred(Value),
    Composite(Vec<Key>),
}

/// A `cost` or a `skip`.
pub(crate) enum Amount {
    /// Not given, or given as what it is anyway.
    Default,
    /// A number.
    Fixed(LitInt),
    /// A closure over the request's head.
    Head(Value),
    /// An expression that mentions no argument.
    Independent(Value),
    /// An expression over the handler's arguments.
    Deferred(Value),
}

/// A number of a quota: a literal, or a constant of the user's.
pub(crate) struct Const {
    pub(crate) tokens: TokenStream,
    /// Where it is written.
    pub(crate) span: Span,
    /// A literal has been checked; a constant has not.
    pub(crate) is_literal: bool,
    /// The length of a window, if it is a literal.
    pub(crate) millis: Option<u64>,
}

impl Plan {
    /// The path of everything that generated code names. An error about it points at `span`.
    pub(crate) fn private(&self, span: Span) -> TokenStream {
        let path = self.library.clone().into_iter().map(|mut token| {
            token.set_span(token.span().located_at(span));
            token
        });
        let private = quote_spanned!(Span::mixed_site().located_at(span)=> ::__private);
        path.chain(private).collect()
    }

    /// Whether a limit needs the handler's arguments.
    pub(crate) fn is_deferred(&self) -> bool {
        self.limits.iter().any(Limit::is_deferred)
    }
}

impl Limit {
    /// Whether it needs the handler's arguments.
    pub(crate) fn is_deferred(&self) -> bool {
        !self.key.deferred().is_empty() || self.cost.deferred().is_some() || self.skip.deferred().is_some()
    }
}

impl Key {
    /// The expressions over the arguments, in order.
    pub(crate) fn deferred(&self) -> Vec<&Value> {
        match self {
            Key::Deferred(value) => vec![value],
            Key::Composite(parts) => parts.iter().flat_map(Key::deferred).collect(),
            _ => Vec::new(),
        }
    }
}

impl Amount {
    /// The expression over the arguments, if it is one.
    pub(crate) fn deferred(&self) -> Option<&Value> {
        match self {
            Amount::Deferred(value) => Some(value),
            _ => None,
        }
    }
}

impl Const {
    /// A constant of the user's.
    pub(crate) fn named(value: &Value) -> Const {
        Const { tokens: value.stream(), span: value.span(), is_literal: false, millis: None }
    }
}
