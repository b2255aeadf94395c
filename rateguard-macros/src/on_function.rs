//! The attribute above a function.

use proc_macro2::{Span, TokenStream};
use quote::quote;

use crate::args::Args;
use crate::attribute::library_names;
use crate::errors::Errors;
use crate::expand;
use crate::handler::Handler;
use crate::library;
use crate::plan::{Limit, Plan};
use crate::validate;
use crate::value::Value;

/// The limited function.
pub(crate) fn expand(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut handler = match syn::parse2::<Handler>(item.clone()) {
        Ok(handler) => handler,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#error #item);
        }
    };
    handler.libraries.extend(library_names(&args));
    let mut errors = Errors::default();
    handler.check(&mut errors);
    handler.check_outside_of_impl(&args, &mut errors);
    let mut attributes = vec![(args, Span::call_site())];
    attributes.extend(handler.limits().map(|attribute| (attribute.arguments.clone(), attribute.span)));
    let own: Vec<TokenStream> = attributes.iter().map(|(arguments, _)| arguments.clone()).collect();
    let (limits, library) = read(attributes, &handler, &mut errors);
    let library = library::path(library, &mut errors);
    if let Some(errors) = errors.into_tokens() {
        let function = unlimited(&handler);
        return quote!(#errors #function);
    }
    if cfg!(feature = "utoipa") {
        expand::openapi::document(&mut handler, &expand::words::sentences(&limits));
    }
    expand::reordered(&handler, &own, &library).unwrap_or_else(|| expand::function(&Plan { limits, library }, &handler))
}

/// Reads the options of all attributes of a function: its limits, and the value of `crate`. The outermost attribute
/// takes over those below it, so that the limits of one request are decided together.
pub(crate) fn read(
    attributes: Vec<(TokenStream, Span)>,
    handler: &Handler,
    errors: &mut Errors,
) -> (Vec<Limit>, Option<Value>) {
    let mut library = None;
    let mut limits = Vec::new();
    for (arguments, span) in attributes {
        let mut args = Args::parse(arguments, span, errors);
        library = library.or(args.take("crate"));
        limits.extend(validate::limit(&mut args, handler, errors));
    }
    validate::distinct_names(&limits, errors);
    validate::awaits(&limits, handler, errors);
    (limits, library)
}

/// The function as if it had no limit, beside an error: an editor still knows it, and no other error follows.
pub(crate) fn unlimited(handler: &Handler) -> TokenStream {
    let attributes = handler.others().map(|attribute| &attribute.tokens);
    let item = &handler.item;
    quote!(#(#attributes)* #item)
}
