//! Limits over the handler's arguments: the body is put behind a check that sees them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericArgument, PathArguments, Type};

use super::tokens::{block, boolean, end, split, within};
use crate::handler::Handler;
use crate::plan::Plan;

/// What takes the place of a function's return type and body.
pub(crate) struct Wrapped {
    /// The body's own inner attributes, which cannot stand on a block.
    pub(crate) attributes: TokenStream,
    pub(crate) output: TokenStream,
    pub(crate) body: TokenStream,
}

/// The name that the guard is bound to. No name of the user's is ever it.
pub(crate) fn guard() -> Ident {
    Ident::new("rate_limit_guard", Span::mixed_site())
}

/// Puts the check in front of the body.
pub(crate) fn wrapped(plan: &Plan, handler: &Handler, itself: Option<&TokenStream>, guard: &Ident) -> Wrapped {
    let private = plan.private(Span::mixed_site());
    let returned = handler.output.as_ref().map(|(_, ty)| ty);
    let shown = match returned {
        None => quote!(()),
        // The type `!` is only known as the type of a function.
        Some(Type::Never(_)) => quote!(::core::convert::Infallible),
        Some(ty) => quote!(#ty),
    };
    let late = answers(plan);
    let (attributes, statements) = split(&handler.body);
    let hint = returned.and_then(return_hint);
    let statements = block(&handler.body, &attributes, statements);
    let inner = within(&handler.body, quote!(#itself #hint #statements));
    // Placed at the body, as is the block around it: the compiler then speaks of the code as if it were the user's alone.
    let wrap = quote_spanned!(handler.body.span()=> async move);
    // The answers are made in a statement of their own: nothing borrowed from an argument lives across the await.
    let body = quote_spanned! {Span::mixed_site()=>
        let late = [#(#late),*];
        if let ::core::result::Result::Err(refused) = #private::Guard::settle(#guard, late).await {
            return ::core::result::Result::Err(refused);
        }
        // `return` and `?` in the body end the body, not this function.
        ::core::result::Result::Ok(#wrap #inner.await)
    };
    // Ours is a `Result` also where the function as written returns none, and its errors want no documentation.
    let quiet = (!returned.is_some_and(is_result)).then(|| quote!(#[allow(clippy::missing_errors_doc)]));
    // The last token decides whose function this is for lints.
    let last = returned.and_then(|ty| end(ty.to_token_stream())).unwrap_or(handler.parentheses);
    let end = quote_spanned!(last=> >);
    Wrapped {
        attributes: quote!(#(# #attributes)* #quiet),
        output: quote!(-> ::core::result::Result<#shown, #private::RateLimited #end),
        body: within(&handler.body, body).into_token_stream(),
    }
}

/// What the arguments say about each rule that waits for them.
fn answers(plan: &Plan) -> Vec<TokenStream> {
    let private = plan.private(Span::mixed_site());
    let mut answers = Vec::new();
    for (place, limit) in plan.limits.iter().enumerate().filter(|(_, limit)| limit.is_deferred()) {
        let mut answer = quote!(#private::Deferred::limit(#place));
        for value in limit.key.deferred() {
            let (key, span) = (value.stream(), value.span());
            let private = plan.private(span);
            answer.extend(quote_spanned!(span=> .key(#private::ToKey::to_key(&(#key)))));
        }
        if let Some(value) = limit.cost.deferred() {
            let (cost, span) = (value.stream(), value.span());
            let private = plan.private(span);
            answer.extend(quote_spanned!(span=> .cost(#private::IntoCost::to_cost(#cost))));
        }
        if let Some(value) = limit.skip.deferred() {
            let skip = boolean(value);
            answer.extend(quote!(.skip(#skip)));
        }
        answers.push(answer);
    }
    answers
}

/// A return that never happens, but that tells the compiler what the body is to become: without it,
/// `Ok(Box::new(A))` in a function that returns `Result<Box<dyn Trait>, E>` would no longer be coerced.
fn return_hint(ty: &Type) -> Option<TokenStream> {
    if matches!(ty, Type::ImplTrait(_) | Type::Never(_)) {
        return None;
    }
    let mut ty = ty.clone();
    // Named where the type is: a message about another type in the body says that this is what is returned.
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

/// Whether it is a `Result`, by its name: `ApiResult<T>` may be one.
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

/// Puts `_` in the place of every `impl Trait`, which a variable's type cannot have.
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
