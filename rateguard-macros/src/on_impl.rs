//! The attribute above an `impl` block.
//!
//! The hidden marker of a function cannot be in the block. So the attribute above the block puts it beside the block.
//! The function itself changes in a second step, by the attribute `rate_limit_in_impl`, which has the marker's name.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::Token;
use syn::parse::{ParseStream, Parser};

use crate::args::Args;
use crate::attribute::{library_names, names};
use crate::errors::Errors;
use crate::expand::{self, Target};
use crate::handler::Handler;
use crate::impl_block::{ImplBlock, Part};
use crate::library;
use crate::on_function::{read, unlimited};
use crate::plan::Plan;

/// The block with its limited functions, and their markers beside it.
pub(crate) fn expand(args: TokenStream, item: &TokenStream) -> TokenStream {
    let libraries = library_names(&args);
    let mut block = match ImplBlock::parse(item, &libraries) {
        Ok(block) => block,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#error #item);
        }
    };
    let mut errors = Errors::default();
    block.check(&mut errors);
    let mut args = Args::parse(args, Span::call_site(), &mut errors);
    let library = args.take("crate");
    if let Some(option) = args.first() {
        errors.on(
            option,
            "above an `impl` block, `#[rate_limit]` has no options: write `#[rate_limit]` here, and the limit above each function",
        );
    }
    let of_block = library::path(library, &mut errors);
    let sound = errors.is_empty();
    let target = Target { ty: block.ty.clone(), name: block.type_name(), conditions: block.conditions() };
    let mut beside = TokenStream::new();
    let mut inside = TokenStream::new();
    for part in std::mem::take(&mut block.parts) {
        match part {
            Part::Other(tokens) => inside.extend(tokens),
            Part::ConditionalLimit(attribute) => errors.on(
                attribute,
                "in an `impl` block, a limit cannot depend on `cfg_attr`: write the function twice, each with its `#[cfg(…)]`",
            ),
            Part::Function(handler) => {
                let attributes =
                    handler.limits().map(|attribute| (attribute.arguments.clone(), attribute.span)).collect();
                let mut own = Errors::default();
                let (limits, library) = read(attributes, &handler, &mut own);
                let library = library.map_or_else(|| of_block.clone(), |value| library::path(Some(value), &mut own));
                handler.check(&mut own);
                if !own.is_empty() || !sound {
                    inside.extend(unlimited(&handler));
                    errors.append(own);
                    continue;
                }
                let plan = Plan { limits, library };
                let method = expand::method(&plan, &handler, &target);
                inside.extend(method.inside);
                beside.extend(method.beside);
            }
        }
    }
    let errors = errors.into_tokens();
    let block = block.with(inside);
    quote!(#errors #block #beside)
}

/// The second step. Its arguments are the marker and the path of the library.
pub(crate) fn function(args: TokenStream, item: &TokenStream) -> TokenStream {
    let read_args = |input: ParseStream<'_>| -> syn::Result<(Ident, TokenStream)> {
        let marker = input.parse()?;
        input.parse::<Token![,]>()?;
        Ok((marker, input.parse()?))
    };
    let parsed = read_args.parse2(args).and_then(|args| Ok((args, syn::parse2::<Handler>(item.clone())?)));
    let ((marker, library), mut handler) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#error #item);
        }
    };
    handler.libraries.extend(names(library.clone()));
    let attributes = handler.limits().map(|attribute| (attribute.arguments.clone(), attribute.span)).collect();
    let mut errors = Errors::default();
    let (limits, _) = read(attributes, &handler, &mut errors);
    match errors.into_tokens() {
        // Another macro has changed the function since the first step.
        Some(errors) => {
            let function = unlimited(&handler);
            quote!(#errors #function)
        }
        None => expand::second_step(&Plan { limits, library }, &handler, &marker),
    }
}
