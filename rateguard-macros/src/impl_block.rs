//! An `impl` block under the attribute: its head, and in its body the functions that have limits.

use proc_macro2::{Delimiter, Group, Spacing, Span, TokenStream, TokenTree};
use quote::quote;
use syn::Token;
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};

use crate::attribute::{Attribute, attributes};
use crate::errors::Errors;
use crate::handler::Handler;
use crate::source;

/// An `impl` block.
pub(crate) struct ImplBlock {
    attributes: Vec<Attribute>,
    /// From `impl` up to the body.
    head: Vec<TokenTree>,
    /// The type that it is for.
    pub(crate) ty: TokenStream,
    body: Group,
    pub(crate) parts: Vec<Part>,
}

/// A piece of the body.
pub(crate) enum Part {
    /// A function with limits.
    Function(Box<Handler>),
    /// A `cfg_attr` that may give a limit.
    ConditionalLimit(TokenStream),
    /// Anything else stays as it is.
    Other(TokenStream),
}

/// Whether an item begins like an `impl` block.
pub(crate) fn is_impl_block(item: &TokenStream) -> bool {
    let is = |input: ParseStream<'_>| {
        attributes(input)?;
        let is = input.peek(Token![impl]) || input.peek(Token![unsafe]) && input.peek2(Token![impl]);
        input.parse::<TokenStream>().map(|_| is)
    };
    is.parse2(item.clone()).unwrap_or(false)
}

impl ImplBlock {
    /// Reads a block. `libraries` are names of the library beside those that it always has.
    pub(crate) fn parse(item: &TokenStream, libraries: &[String]) -> syn::Result<ImplBlock> {
        let (attributes, mut head) = (|input: ParseStream<'_>| {
            let attributes = attributes(input)?;
            let rest: TokenStream = input.parse()?;
            Ok((attributes, rest.into_iter().collect::<Vec<_>>()))
        })
        .parse2(item.clone())?;
        let body = match head.pop() {
            Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => body,
            _ => return Err(syn::Error::new_spanned(item, "this `impl` block has no body")),
        };
        let parts = (|input: ParseStream<'_>| parts(input, libraries)).parse2(body.stream())?;
        let ty = head.iter().skip_while(|token| !is_word(token, "impl")).skip(1);
        let ty = ty.take_while(|token| !is_word(token, "where")).cloned().collect();
        Ok(ImplBlock { attributes, head, ty, body, parts })
    }

    /// Reports what such a block cannot be.
    pub(crate) fn check(&self, errors: &mut Errors) {
        if let Some(token) = self.for_trait() {
            errors.on(
                token,
                "a function of a trait cannot have a limit: move the handler to an `impl` block of the type, or out of the block",
            );
        } else if let Some(token) = self.generics() {
            errors.on(
                token,
                "`#[rate_limit]` does not work in a generic `impl` block: write the handler as a generic function outside of the \
                 block, such as `async fn list<T>(…)`, or write the block for one type",
            );
        } else if !self.parts.iter().any(|part| matches!(part, Part::Function(_))) {
            errors.at(
                Span::call_site(),
                "no function in this `impl` block has a limit: write one above a function, such as \
                 `#[rate_limit(limit = 5, window = 60)]`",
            );
        }
    }

    /// The `for` of `impl Trait for …`. That of `for<'a> fn(&'a u8)` is another one.
    fn for_trait(&self) -> Option<&TokenTree> {
        let next = self.head.iter().skip(1);
        let mut pairs = self.head.iter().zip(next);
        pairs.find(|(token, next)| is_word(token, "for") && !is_sign(next, '<')).map(|(token, _)| token)
    }

    /// The `<` of `impl<T>`. That of `impl <A as B>::C` begins a type.
    fn generics(&self) -> Option<&TokenTree> {
        let mut tokens = self.head.iter().skip_while(|token| !is_word(token, "impl")).skip(1);
        let first = tokens.next().filter(|token| is_sign(token, '<'))?;
        let is_generic = match (tokens.next()?, tokens.next()?) {
            (TokenTree::Punct(_), _) => true,
            (TokenTree::Ident(word), _) if word == "const" => true,
            (_, TokenTree::Punct(sign)) => match sign.as_char() {
                '>' | ',' | '=' => true,
                ':' => sign.spacing() == Spacing::Alone,
                _ => false,
            },
            _ => false,
        };
        is_generic.then_some(first)
    }

    /// The type in names: `Api`, or `Cache<u8>`, without the path before it.
    pub(crate) fn type_name(&self) -> String {
        let text = source::shown(&self.ty).replace(' ', "_");
        let path = text.find('<').map_or(text.as_str(), |arguments| text.get(..arguments).unwrap_or_default());
        let last = path.rfind("::").map_or(0, |place| place + 2);
        text.get(last..).unwrap_or_default().to_owned()
    }

    /// The block with another body.
    pub(crate) fn with(&self, body: TokenStream) -> TokenStream {
        let attributes = self.attributes.iter().map(|attribute| &attribute.tokens);
        let head = &self.head;
        let mut group = Group::new(Delimiter::Brace, body);
        group.set_span(self.body.span());
        quote!(#(#attributes)* #(#head)* #group)
    }

    /// The `#[cfg(…)]`s of the block, which also apply to the items beside it.
    pub(crate) fn conditions(&self) -> Vec<TokenStream> {
        let conditions = self.attributes.iter().filter(|attribute| attribute.is_condition());
        conditions.map(|attribute| attribute.tokens.clone()).collect()
    }
}

/// Finds the functions with limits. One that cannot be read keeps its attribute, which will say why.
fn parts(input: ParseStream<'_>, libraries: &[String]) -> syn::Result<Vec<Part>> {
    let mut parts = Vec::new();
    while !input.is_empty() {
        if input.peek(Token![#]) && !input.peek2(Token![!]) {
            let ahead = input.fork();
            if let Ok(mut handler) = ahead.parse::<Handler>() {
                handler.libraries.extend(libraries.iter().cloned());
                if handler.limits().next().is_some() {
                    input.advance_to(&ahead);
                    parts.push(Part::Function(Box::new(handler)));
                    continue;
                }
            }
            let attributes = input.call(attributes)?;
            parts.extend(attributes.into_iter().map(|attribute| {
                if attribute.is_conditional_limit() {
                    Part::ConditionalLimit(attribute.tokens)
                } else {
                    Part::Other(attribute.tokens)
                }
            }));
        } else {
            parts.push(Part::Other(input.parse::<TokenTree>()?.into()));
        }
    }
    Ok(parts)
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_sign(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure of a test is a panic")]
    use super::*;

    fn block(head: &str) -> ImplBlock {
        ImplBlock::parse(&format!("{head} {{}}").parse().unwrap(), &[]).unwrap()
    }

    #[test]
    fn only_a_block_of_a_type_without_generics_is_accepted() {
        for (head, generic, of_trait) in [
            ("impl Api", false, false),
            ("impl crate::api::Api<u8>", false, false),
            ("impl Cache<for<'a> fn(&'a u8)> where u8: Copy", false, false),
            ("impl <Api as Same>::Type", false, false),
            ("impl <api::Api as Same>::Type", false, false),
            ("impl<T> Cache<T>", true, false),
            ("impl<T: Copy> Cache<<T as Same>::Type>", true, false),
            ("impl<'a> Api<'a>", true, false),
            ("impl<const N: usize> Api<N>", true, false),
            ("unsafe impl Handler for Api", false, true),
            ("impl<T> Handler for Cache<T>", true, true),
        ] {
            let block = block(head);
            assert_eq!((block.generics().is_some(), block.for_trait().is_some()), (generic, of_trait), "{head}");
        }
    }

    #[test]
    fn a_type_is_named_without_its_path() {
        for (head, name) in [
            ("impl Api", "Api"),
            ("impl crate::api::Api", "Api"),
            ("impl a::Cache<b::Key, u8>", "Cache<b::Key,_u8>"),
            ("impl dyn Shop", "dyn_Shop"),
        ] {
            assert_eq!(block(head).type_name(), name);
        }
    }
}
