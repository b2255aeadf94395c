//! Limits over the handler's arguments: a check before the body sees them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericArgument, PathArguments, Type};

use super::limits;
use super::tokens::{block, end, split, within};
use crate::handler::Handler;
use crate::plan::Plan;

/// The parts of the function that change.
pub(crate) struct Wrapped {
    /// The body's inner attributes, which a block cannot have.
    pub(crate) attributes: TokenStream,
    pub(crate) output: TokenStream,
    pub(crate) body: TokenStream,
}

/// The variable of the guard. By its hygiene, no variable of the user's is the same.
pub(crate) fn guard() -> Ident {
    Ident::new("rate_limit_guard", Span::mixed_site())
}

/// Puts the check in front of the body.
pub(crate) fn wrapped(plan: &Plan, handler: &Handler, itself: Option<&TokenStream>, guard: &Ident) -> Wrapped {
    let private = plan.private(Span::mixed_site());
    let returned = handler.output.as_ref().map(|(_, ty)| ty);
    let shown = match returned {
        None => quote!(()),
        // The type `!` is stable only as a return type.
        Some(Type::Never(_)) => quote!(::core::convert::Infallible),
        Some(ty) => quote!(#ty),
    };
    let answers = limits::answers(plan);
    let (attributes, statements) = split(&handler.body);
    let hint = returned.and_then(return_hint);
    let statements = block(&handler.body, &attributes, statements);
    let inner = within(&handler.body, quote!(#itself #hint #statements));
    // With the span of the body, like the block around it: messages of the compiler then show only the user's code.
    let wrap = quote_spanned!(handler.body.span()=> async move);
    // A statement of its own, so that nothing borrowed from an argument is held across the await.
    let body = quote_spanned! {Span::mixed_site()=>
        let deferred = [#(#answers),*];
        if let ::core::result::Result::Err(denied) = #private::Guard::settle(#guard, deferred).await {
            return ::core::result::Result::Err(denied);
        }
        // A block of its own, so that `return` and `?` end the body and not this function.
        ::core::result::Result::Ok(#wrap #inner.await)
    };
    // The function as it is written may not return a `Result`, and then needs no documentation of errors.
    let quiet = (!returned.is_some_and(is_result)).then(|| quote!(#[allow(clippy::missing_errors_doc)]));
    // The last token decides for lints whether this is the user's function.
    let last = returned.and_then(|ty| end(ty.to_token_stream())).unwrap_or(handler.parentheses);
    let end = quote_spanned!(last=> >);
    Wrapped {
        attributes: quote!(#(# #attributes)* #quiet),
        output: quote!(-> ::core::result::Result<#shown, #private::RateLimited #end),
        body: within(&handler.body, body).into_token_stream(),
    }
}

/// A return that never runs, but tells the compiler the type of the body. Without it, `Ok(Box::new(A))` would not be
/// coerced in a function that returns `Result<Box<dyn Trait>, E>`.
fn return_hint(ty: &Type) -> Option<TokenStream> {
    if matches!(ty, Type::ImplTrait(_) | Type::Never(_)) {
        return None;
    }
    let mut ty = ty.clone();
    // With the span of the type, so that a message about another type in the body shows it as the returned one.
    let returned = Ident::new("__returned", end(ty.to_token_stream()).unwrap_or_else(Span::mixed_site));
    open(&mut ty);
    Some(quote_spanned! {Span::mixed_site()=>
        #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value, clippy::needless_return)]
        if false {
            let #returned: #ty = loop {};
            return #returned;
        }
    })
}

/// Whether it is a `Result` by its name, such as `ApiResult<T>`.
fn is_result(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|segment| segment.ident.to_string().ends_with("Result"))
        }
        Type::Paren(inner) => is_result(&inner.elem),
        Type::Group(inner) => is_result(&inner.elem),
        _ => false,
    }
}

/// Replaces every `impl Trait` by `_`: the type of a variable cannot have one.
fn open(ty: &mut Type) {
    match ty {
        Type::ImplTrait(_) => *ty = syn::parse_quote!(_),
        Type::Paren(inner) => open(&mut inner.elem),
        Type::Group(inner) => open(&mut inner.elem),
        Type::Reference(inner) => open(&mut inner.elem),
        Type::Array(inner) => open(&mut inner.elem),
        Type::Slice(inner) => open(&mut inner.elem),
        Type::Tuple(inner) => inner.elems.iter_mut().for_each(open),
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
                    for argument in &mut arguments.args {
                        if let GenericArgument::Type(ty) = argument {
                            open(ty);
                        }
                    }
                }
            }
        }
        _ => {}
    }
}
