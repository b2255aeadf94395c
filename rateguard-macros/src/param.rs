//! The parameters of the function under the attribute.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Token, Type};

use crate::attribute::{Attribute, attributes};

/// One parameter.
pub(crate) struct Param {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) pattern: TokenStream,
    pub(crate) colon: Token![:],
    pub(crate) ty: Type,
}

impl Param {
    pub(crate) fn is_receiver(&self) -> bool {
        self.pattern.clone().into_iter().any(|token| matches!(token, TokenTree::Ident(word) if word == "self"))
    }

    /// Whether a `#[cfg]` may remove it.
    pub(crate) fn is_conditional(&self) -> bool {
        self.attributes.iter().any(|attribute| attribute.is("cfg") || attribute.is("cfg_attr"))
    }
}

impl ToTokens for Param {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Param { attributes, pattern, colon, ty } = self;
        let attributes = attributes.iter().map(|attribute| &attribute.tokens);
        tokens.extend(quote!(#(#attributes)* #pattern #colon #ty));
    }
}

/// Reads one parameter.
pub(crate) fn parameter(input: ParseStream<'_>) -> syn::Result<Param> {
    let attributes = attributes(input)?;
    let mut pattern = TokenStream::new();
    let mut receiver = false;
    while !input.is_empty() && (!input.peek(Token![:]) || input.peek(Token![::])) {
        if input.peek(Token![::]) {
            pattern.extend(input.parse::<Token![::]>()?.to_token_stream());
            continue;
        }
        if receiver && input.peek(Token![,]) {
            break;
        }
        let token: TokenTree = input.parse()?;
        receiver |= matches!(&token, TokenTree::Ident(word) if word == "self");
        pattern.extend([token]);
    }
    if receiver && !input.peek(Token![:]) {
        // `self`, `&self`: reported by `check`. The type does not matter until then.
        let place = pattern.span();
        return Ok(Param { attributes, pattern, colon: Token![:](place), ty: syn::parse_quote!(Self) });
    }
    Ok(Param { attributes, pattern, colon: input.parse()?, ty: input.parse()? })
}

/// Collects the identifiers of a pattern, without those that can only be types, variants or renamed fields.
pub(crate) fn bound(pattern: TokenStream, names: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = pattern.into_iter().collect();
    for (place, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => bound(group.stream(), names),
            TokenTree::Ident(word) => {
                let leads_on = match tokens.get(place + 1) {
                    Some(TokenTree::Group(_)) => true,
                    Some(TokenTree::Punct(next)) => next.as_char() == ':',
                    _ => false,
                };
                if !leads_on && word != "mut" && word != "ref" && word != "_" {
                    names.push(word.to_string());
                }
            }
            _ => {}
        }
    }
}
