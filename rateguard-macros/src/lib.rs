//! The attribute `#[rate_limit]` of rateguard.

use proc_macro2::{Span, TokenStream};
use quote::quote;

mod args;
mod errors;
mod expand;
mod handler;
mod key;
mod late;
mod rules;
mod validate;
mod value;
mod window;

use args::Args;
use errors::Errors;
use expand::Plan;
use handler::Handler;

/// Limits a handler.
#[proc_macro_attribute]
pub fn rate_limit(args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    attribute(args.into(), &item.into()).into()
}

fn attribute(args: TokenStream, item: &TokenStream) -> TokenStream {
    let handler: Handler = match syn::parse2(item.clone()) {
        Ok(handler) => handler,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#error #item);
        }
    };
    let mut errors = Errors::default();
    handler.check(&mut errors);
    // The outermost attribute takes those below it over, so that the limits of one request are decided together.
    let mut attributes = vec![(args, Span::call_site())];
    attributes.extend(handler.attributes.iter().filter(|a| a.is_rate_limit()).map(|a| (a.arguments.clone(), a.span)));
    let own: Vec<TokenStream> = attributes.iter().map(|(arguments, _)| arguments.clone()).collect();
    let mut library = None;
    let mut rules = Vec::new();
    for (arguments, span) in attributes {
        let mut args = Args::parse(arguments, span, &mut errors);
        library = library.or(args.take("crate"));
        rules.extend(validate::rule(&mut args, &handler, &mut errors));
    }
    validate::distinct_names(&rules, &mut errors);
    let library = validate::library(library, &mut errors);
    if let Some(errors) = errors.into_tokens() {
        // The function stays, as if it had no limit: an editor goes on knowing it, and no error follows from its absence.
        let attributes = expand::kept(&handler).map(|attribute| &attribute.tokens);
        let item = &handler.item;
        return quote!(#errors #(#attributes)* #item);
    }
    if let Some(moved) = expand::reordered(&handler, &own, &library) {
        return moved;
    }
    let plan = Plan { rules, library };
    expand::expand(&plan, &handler)
}
