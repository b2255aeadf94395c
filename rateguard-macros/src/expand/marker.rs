//! The hidden type that carries the limits of a handler.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::Visibility;

use crate::handler::Handler;

/// A marker: its name, and what the signature of the function calls it.
pub(crate) struct Marker {
    pub(super) name: Ident,
    /// If the attribute stands on a lone method, this is the name that the compiler does not find.
    pub(super) in_signature: Ident,
}

impl Marker {
    /// Beside a function.
    pub(super) fn of_function(handler: &Handler) -> Marker {
        let function = handler.plain_name();
        let alias = format!("__in_an_impl_block_put_rate_limit_above_the_block_as_well__{function}");
        let at_function = Span::mixed_site().located_at(handler.name.span());
        Marker { name: name(handler, &function), in_signature: Ident::new(&alias, at_function) }
    }

    /// Beside an `impl` block of a type.
    pub(super) fn of_method(handler: &Handler, type_name: &str) -> Marker {
        let ty = type_name.replace(|c: char| !c.is_alphanumeric(), "_");
        let name = name(handler, &format!("{ty}_{}", handler.plain_name()));
        Marker { in_signature: name.clone(), name }
    }

    /// The type, and its alias if it has one.
    pub(super) fn items(&self, visibility: &Visibility, conditions: &[TokenStream]) -> TokenStream {
        let Marker { name, in_signature } = self;
        let alias = (name != in_signature).then(|| quote!(#(#conditions)* use #name as #in_signature;));
        quote! {
            #(#conditions)*
            #[doc(hidden)]
            #[non_exhaustive]
            #visibility enum #name {}
            #alias
        }
    }
}

/// Messages of the compiler show this name. For a function without parameters, the message is that an argument is
/// missing: the name then says what to pass, and what to do if the missing argument is `debug_handler`'s.
fn name(handler: &Handler, function: &str) -> Ident {
    let name = if handler.params.is_empty() {
        format!("__call_{function}_with_Default_default__and_put_rate_limit_above_debug_handler")
    } else {
        format!("__rate_limit_{function}")
    };
    Ident::new(&name, Span::mixed_site())
}
