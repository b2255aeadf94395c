//! From a plan to the tokens of a guarded handler.

mod deferred;
mod limits;
pub(crate) mod openapi;
pub(crate) mod words;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};

use crate::attribute::Attribute;
use crate::handler::{Handler, Param};
use crate::validate::Rule;

/// A handler with its limits, outermost attribute first.
pub(crate) struct Plan {
    pub(crate) rules: Vec<Rule>,
    /// The path of the library.
    pub(crate) library: TokenStream,
}

impl Plan {
    /// The path of all that generated code names, placed where an error about it should point.
    pub(crate) fn private(&self, span: Span) -> TokenStream {
        let path = self.library.clone().into_iter().map(|mut token| {
            token.set_span(token.span().located_at(span));
            token
        });
        let private = quote_spanned!(Span::mixed_site().located_at(span)=> ::__private);
        path.chain(private).collect()
    }
}

/// The guarded function, and its limits on a hidden marker type beside it.
pub(crate) fn expand(plan: &Plan, handler: &Handler) -> TokenStream {
    let marker = marker(handler);
    let limits = limits::limits(plan, handler, &marker);
    let send = assert_send(handler);
    let function = function(plan, handler, &marker);
    let documented = documented(plan, handler);
    let visibility = &handler.visibility;
    quote! {
        #[cfg(not(doc))]
        #function
        #documented
        #[doc(hidden)]
        #[non_exhaustive]
        #visibility enum #marker {}
        const _: () = {
            #limits
            #send
        };
    }
}

/// The marker's name shows up in messages. Without parameters, the message is that an argument is missing: then the name
/// says what to pass, and what to do if it is a `debug_handler` above that calls the function.
fn marker(handler: &Handler) -> Ident {
    let name = handler.plain_name();
    let name = if handler.params.is_empty() {
        format!("__call_{name}_with_Default_default__and_put_rate_limit_above_debug_handler")
    } else {
        format!("__rate_limit_{name}")
    };
    Ident::new(&name, Span::mixed_site())
}

/// The function for `cargo doc`: its signature as it was written, and its limits in words.
///
/// rustdoc looks into no body. The words only follow a text of the user's, so that one that is missing is still missed.
fn documented(plan: &Plan, handler: &Handler) -> TokenStream {
    let Handler { visibility, qualifiers, fn_token, name, generics, params, output, .. } = handler;
    let attributes = kept(handler).map(|attribute| &attribute.tokens);
    let words = kept(handler).any(Attribute::is_doc_text).then(|| {
        let lines = plan.rules.iter().map(|rule| format!(" {}", words::sentence(rule)));
        quote!(#(#[doc = ""] #[doc = #lines])*)
    });
    let where_clause = &generics.where_clause;
    let output = output.as_ref().map(|(arrow, ty)| quote!(#arrow #ty));
    quote! {
        #[cfg(doc)]
        #(#attributes)*
        #words
        #visibility #(#qualifiers)* #fn_token #name #generics (#(#params),*) #output #where_clause { loop {} }
    }
}

fn function(plan: &Plan, handler: &Handler, marker: &Ident) -> TokenStream {
    let Handler { visibility, qualifiers, fn_token, name, generics, output, .. } = handler;
    let attributes = kept(handler).map(|attribute| &attribute.tokens);
    let where_clause = &generics.where_clause;
    let is_late = plan.rules.iter().any(Rule::is_late);
    let guard = is_late.then(deferred::guard);
    let mut parameters = Group::new(Delimiter::Parenthesis, guarded(plan, handler, guard.as_ref(), marker));
    parameters.set_span(handler.parentheses);
    let itself = itself(handler);
    if let Some(guard) = guard {
        let deferred::Wrapped { attributes: inner, output, body } =
            deferred::wrapped(plan, handler, itself.as_ref(), &guard);
        return quote! {
            #(#attributes)* #inner
            #visibility #(#qualifiers)* #fn_token #name #generics #parameters #output #where_clause #body
        };
    }
    let body = match itself {
        None => handler.body.clone(),
        Some(itself) => {
            let (inner, statements) = deferred::split(&handler.body);
            let statements = deferred::block(&handler.body, &inner, statements);
            within(&handler.body, quote!(#(# ! #inner)* #itself #statements))
        }
    };
    let output = output.as_ref().map(|(arrow, ty)| quote!(#arrow #ty));
    quote! {
        #(#attributes)*
        #visibility #(#qualifiers)* #fn_token #name #generics #parameters #output #where_clause #body
    }
}

/// A block in the place of `body`.
pub(crate) fn within(body: &Group, tokens: TokenStream) -> Group {
    let mut block = Group::new(Delimiter::Brace, tokens);
    block.set_span(body.span());
    block
}

/// The function as it was written, if its body calls it, so that a handler that recurses calls itself with the arguments
/// that it was written with, and is counted once.
///
/// It goes around the body, not into it: what the body itself imports or defines under this name is nearer.
fn itself(handler: &Handler) -> Option<TokenStream> {
    let Handler { qualifiers, fn_token, name, generics, params, output, body, .. } = handler;
    let where_clause = &generics.where_clause;
    let output = output.as_ref().map(|(arrow, ty)| quote!(#arrow #ty));
    calls(body.stream(), name).then(|| {
        quote! {
            #[allow(dead_code)]
            #(#qualifiers)* #fn_token #name #generics (#(#params),*) #output #where_clause #body
        }
    })
}

/// Whether a function of this name is called: `name(…)` or `name::<…>(…)`, and not `.name(…)` or `path::name(…)`.
fn calls(tokens: TokenStream, name: &Ident) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |place: Option<usize>, sign: char| {
        let token = place.and_then(|place| tokens.get(place));
        matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
    };
    tokens.iter().enumerate().any(|(place, token)| match token {
        TokenTree::Group(group) => calls(group.stream(), name),
        TokenTree::Ident(word) if word == name => {
            let (before, second) = (place.checked_sub(1), place.checked_sub(2));
            // Two points are a range.
            let led_to = is(before, ':') && is(second, ':') || is(before, '.') && !is(second, '.');
            let defined =
                matches!(before.and_then(|place| tokens.get(place)), Some(TokenTree::Ident(word)) if word == "fn");
            let turbofish = is(Some(place + 1), ':') && is(Some(place + 2), ':') && is(Some(place + 3), '<');
            let called = matches!(
                tokens.get(place + 1),
                Some(TokenTree::Group(arguments)) if arguments.delimiter() == Delimiter::Parenthesis
            );
            !led_to && !defined && (called || turbofish)
        }
        _ => false,
    })
}

/// The attributes that stay on the function.
pub(crate) fn kept(handler: &Handler) -> impl Iterator<Item = &Attribute> {
    handler.attributes.iter().filter(|attribute| !handler.is_limit(attribute))
}

/// The parameters, with the guard as the first thing that is extracted.
///
/// It goes into the first parameter, so that their number stays what it was: axum takes 16, and a `debug_handler` that
/// was expanded before has written the number down.
fn guarded(plan: &Plan, handler: &Handler, guard: Option<&Ident>, marker: &Ident) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let limited = quote!(#private::Limited);
    match handler.params.split_first() {
        Some((first, rest)) if !first.is_conditional() => {
            let guard = guard.map_or_else(|| quote!(_), ToTokens::to_token_stream);
            let Param { attributes, pattern, colon, ty } = first;
            let attributes = attributes.iter().map(|attribute| &attribute.tokens);
            quote!(#(#attributes)* #limited(#guard, #pattern) #colon #limited<#marker, #ty> #(, #rest)*)
        }
        _ => {
            let params = &handler.params;
            // `utoipa` takes no pattern for an argument that it does not know.
            let guard = guard.map_or_else(|| quote!(_), |guard| quote!(#limited(#guard, ())));
            quote!(#guard: #limited<#marker, ()> #(, #params)*)
        }
    }
}

/// Says of a handler that is not `Send` that it is not, where axum would only say that it is no handler.
///
/// As a function that nobody calls, it leaves a handler that nobody uses unused. It has names that no handler has,
/// since an item, unlike a variable, is seen by the user's code and could hide a handler of that name.
fn assert_send(handler: &Handler) -> Option<TokenStream> {
    let generic = !handler.generics.params.is_empty()
        || handler.params.iter().any(|param| param.is_conditional() || mentions_impl(param.ty.to_token_stream()));
    if generic || handler.is("unsafe") || handler.attributes.iter().any(|attribute| attribute.is("deprecated")) {
        return None;
    }
    let name = &handler.name;
    let site = Span::mixed_site().located_at(name.span());
    // Named by letters of ours, so that no type of the arguments has to be written a second time.
    let arguments = (0..handler.params.len().max(1)).map(|place| Ident::new(&format!("A{place}"), site));
    let arguments = quote!(#(#arguments),*);
    Some(quote_spanned! {site=>
        #[cfg(not(doc))]
        fn __rate_limit_send() {
            fn __rate_limit_is_send<#arguments, F: ::core::future::Future + ::core::marker::Send>(
                _: impl ::core::ops::Fn(#arguments) -> F,
            ) {
            }
            __rate_limit_is_send(#name);
        }
    })
}

fn mentions_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == "impl",
        TokenTree::Group(group) => mentions_impl(group.stream()),
        _ => false,
    })
}

/// The same function with its `#[rate_limit]`s below all other attributes, if they have to go there to see what the
/// others make of it.
///
/// A macro below would see the guard: `instrument` would record it, `utoipa` would document it, and an `err` or `ret`
/// would be about the wrapped body. A `#[cfg]` below would apply to the function and not to what stands beside it.
/// Where there is no parameter to hide the guard in, it is the other way round: `debug_handler` must see it.
pub(crate) fn reordered(handler: &Handler, own: &[TokenStream], library: &TokenStream) -> Option<TokenStream> {
    let others: Vec<&Attribute> = kept(handler).collect();
    let goes_above = |attribute: &Attribute| {
        if handler.params.is_empty() { attribute.is_condition() } else { !attribute.is_inert() }
    };
    if !others.iter().any(|attribute| goes_above(attribute)) {
        return None;
    }
    let (above, below): (Vec<&Attribute>, Vec<&Attribute>) =
        others.into_iter().partition(|attribute| !handler.params.is_empty() || goes_above(attribute));
    let above = above.into_iter().map(|attribute| &attribute.tokens);
    let below = below.into_iter().map(|attribute| &attribute.tokens);
    let item = &handler.item;
    let own = own.iter().map(|arguments| {
        let path = quote_spanned!(Span::mixed_site()=> #library::rate_limit);
        quote!(#[#path(#arguments)])
    });
    Some(quote!(#(#above)* #(#own)* #(#below)* #item))
}
