//! What `validate` makes of the options, and `expand` writes down as code.

use std::net::IpAddr;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{LitInt, LitStr};

use crate::value::Value;

/// The limits of a handler, outermost attribute first.
pub(crate) struct Plan {
    pub(crate) limits: Vec<Limit>,
    /// The path of the library.
    pub(crate) library: TokenStream,
}

/// One limit. Its fields have the names of the options.
pub(crate) struct Limit {
    pub(crate) policy: Policy,
    pub(crate) key: Key,
    pub(crate) cost: Amount,
    pub(crate) skip: Amount,
    pub(crate) refund_if: Option<Value>,
    pub(crate) exempt: Vec<Exempt>,
}

/// The policy of a limit.
pub(crate) enum Policy {
    /// A constant of the user's.
    Constant(Value),
    /// Its parts, as options.
    Written(Box<Written>),
}

/// A policy that is written as options.
pub(crate) struct Written {
    /// `None`: the function's name.
    pub(crate) name: Option<LitStr>,
    pub(crate) quota: Quota,
    /// The variant of `OnError`.
    pub(crate) on_error: Option<Ident>,
    pub(crate) shadow: Option<Value>,
    pub(crate) unit: Option<LitStr>,
}

/// How much is allowed.
pub(crate) enum Quota {
    /// As options, or as a text.
    Parts(Parts),
    /// A constant of the user's.
    Constant(Value),
    /// A closure over the request's head.
    Head(Value),
    /// An expression over the handler's arguments.
    Deferred(Value),
}

/// The parts of a quota.
#[derive(Clone)]
pub(crate) struct Parts {
    /// The constructor of the quota: `sliding_window`.
    pub(crate) algorithm: Ident,
    pub(crate) limit: Count,
    pub(crate) window: Const,
    pub(crate) burst: Option<Const>,
}

/// A `limit`.
#[derive(Clone)]
pub(crate) enum Count {
    Constant(Const),
    /// A closure over the request's head.
    Head(Value),
    /// An expression over the handler's arguments.
    Deferred(Value),
}

/// Clients that are not counted.
pub(crate) struct Exempt {
    /// As it is written: `10.0.0.0/8`, `private`.
    pub(crate) text: String,
    pub(crate) networks: Vec<Network>,
}

/// The address of a network, and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
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
#[derive(Clone)]
pub(crate) struct Const {
    pub(crate) tokens: TokenStream,
    /// Where it is written.
    pub(crate) span: Span,
    /// A literal has been checked; a constant has not.
    pub(crate) is_literal: bool,
    /// The length of a window in microseconds, if it is a literal.
    pub(crate) micros: Option<u64>,
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
        !self.key.deferred().is_empty()
            || self.cost.deferred().is_some()
            || self.skip.deferred().is_some()
            || self.policy.quota().is_some_and(Quota::is_deferred)
    }
}

impl Policy {
    /// Its name, if one is written.
    pub(crate) fn name(&self) -> Option<&LitStr> {
        match self {
            Policy::Constant(_) => None,
            Policy::Written(written) => written.name.as_ref(),
        }
    }

    /// Whether it has the name of the function.
    pub(crate) fn is_named_by_default(&self) -> bool {
        matches!(self, Policy::Written(written) if written.name.is_none())
    }

    /// Its quota, unless the policy is a constant of the user's.
    pub(crate) fn quota(&self) -> Option<&Quota> {
        match self {
            Policy::Constant(_) => None,
            Policy::Written(written) => Some(&written.quota),
        }
    }
}

impl Quota {
    /// Whether it needs the handler's arguments.
    fn is_deferred(&self) -> bool {
        matches!(self, Quota::Deferred(_) | Quota::Parts(Parts { limit: Count::Deferred(_), .. }))
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
    /// A number that has been checked.
    pub(crate) fn number(number: u32, span: Span) -> Const {
        let mut literal = Literal::u32_unsuffixed(number);
        literal.set_span(span);
        Const { tokens: literal.to_token_stream(), span, is_literal: true, micros: None }
    }

    /// The length of a window that has been checked, for a constructor of `Duration`.
    pub(crate) fn window(micros: u64, span: Span) -> Const {
        Const { tokens: quote_spanned!(span=> from_micros(#micros)), span, is_literal: true, micros: Some(micros) }
    }

    /// A constant of the user's.
    pub(crate) fn named(value: &Value) -> Const {
        Const { tokens: value.stream(), span: value.span(), is_literal: false, micros: None }
    }
}
