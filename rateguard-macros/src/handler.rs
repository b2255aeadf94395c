//! The function under the attribute: its attributes and its signature.
//!
//! The body is kept as tokens and not parsed, so a half-typed body does no harm.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::buffer::Cursor;
use syn::parse::{Parse, ParseStream};
use syn::{Generics, Token, Type, Visibility};

use crate::attribute::{Attribute, attributes};
use crate::errors::Errors;
use crate::library;
use crate::param::{self, Param};

/// A function.
pub(crate) struct Handler {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    /// `const`, `async`, `unsafe`, `extern "C"`.
    pub(crate) qualifiers: Vec<TokenTree>,
    pub(crate) fn_token: Token![fn],
    pub(crate) name: Ident,
    pub(crate) generics: Generics,
    pub(crate) params: Vec<Param>,
    /// The span of the parentheses.
    pub(crate) parentheses: Span,
    /// The arrow and the return type, if they are written.
    pub(crate) output: Option<(Token![->], Type)>,
    pub(crate) body: Group,
    /// Everything but the attributes, as it is written.
    pub(crate) item: TokenStream,
    /// The names that the library has here.
    pub(crate) libraries: Vec<String>,
}

impl Parse for Handler {
    fn parse(input: ParseStream<'_>) -> syn::Result<Handler> {
        let attributes = attributes(input)?;
        let start = input.cursor();
        let visibility: Visibility = input.parse()?;
        let mut qualifiers = Vec::new();
        while !input.peek(Token![fn]) {
            match input.parse::<TokenTree>()? {
                TokenTree::Ident(word) if is_qualifier(&word) => qualifiers.push(TokenTree::Ident(word)),
                TokenTree::Literal(abi) => qualifiers.push(TokenTree::Literal(abi)),
                other => return Err(syn::Error::new_spanned(&other, not_a_function(&other))),
            }
        }
        let fn_token = input.parse()?;
        let name = input.parse()?;
        let mut generics: Generics = input.parse()?;
        let params_in;
        let parentheses = syn::parenthesized!(params_in in input).span.join();
        let mut params = Vec::new();
        while !params_in.is_empty() {
            params.push(params_in.call(param::parameter)?);
            if !params_in.is_empty() {
                params_in.parse::<Token![,]>()?;
            }
        }
        let output = match input.parse::<Option<Token![->]>>()? {
            Some(arrow) => Some((arrow, input.parse::<Type>()?)),
            None => None,
        };
        generics.where_clause = input.parse()?;
        let body = match ungrouped(input.parse()?) {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => body,
            other => {
                return Err(syn::Error::new_spanned(other, "`#[rate_limit]` goes on a function with a body"));
            }
        };
        let item = between(start, input.cursor());
        Ok(Handler {
            attributes,
            visibility,
            qualifiers,
            fn_token,
            name,
            generics,
            params,
            parentheses,
            output,
            body,
            item,
            libraries: vec![library::name()],
        })
    }
}

impl Handler {
    /// Reports what a handler cannot be.
    pub(crate) fn check(&self, errors: &mut Errors) {
        if !self.is("async") && !self.returns_a_future() {
            errors.on(
                self.fn_token,
                format!(
                    "`{}` is not async, and an axum handler is an `async fn`: write `async fn {}`",
                    self.name, self.name
                ),
            );
        }
        if let Some(receiver) = self.params.first().filter(|param| param.is_receiver()) {
            errors.on(
                receiver.pattern.clone(),
                "a method cannot be an axum handler: `#[rate_limit]` goes on a function without `self`; \
                 take what it needs as an argument, such as `State(app): State<App>`",
            );
        }
    }

    /// Reports a function of an `impl` block whose block has no attribute. `options` are those of the attribute.
    pub(crate) fn check_outside_of_impl(&self, options: &TokenStream, errors: &mut Errors) {
        let is_method = self.params.first().is_some_and(Param::is_receiver);
        if !is_method && self.mentions_self(options) {
            let name = &self.name;
            errors.on(
                name,
                format!(
                    "`{name}` is in an `impl` block: write `#[rate_limit]` above the block as well, without options"
                ),
            );
        }
    }

    pub(crate) fn is(&self, qualifier: &str) -> bool {
        self.qualifiers.iter().any(|token| matches!(token, TokenTree::Ident(word) if word == qualifier))
    }

    /// Whether the type that it returns is a future: `impl Future<…>`, `BoxFuture<…>`, `Pin<Box<dyn Future<…>>>`.
    pub(crate) fn returns_a_future(&self) -> bool {
        let output = self.output.as_ref().map(|(_, ty)| ty.to_token_stream());
        output.is_some_and(|ty| any_word(ty, &|word| word.ends_with("Future")))
    }

    /// Whether `Self` is used where only an `impl` block can give it a meaning.
    fn mentions_self(&self, options: &TokenStream) -> bool {
        let is_self = |word: &str| word == "Self";
        // Items in the body may have a `Self` of their own.
        let items =
            any_word(self.body.stream(), &|word| matches!(word, "impl" | "trait" | "struct" | "enum" | "union"));
        let types = self.params.iter().map(|param| param.ty.to_token_stream());
        let output = self.output.as_ref().map(|(_, ty)| ty.to_token_stream());
        let limits = self.limits().map(|limit| limit.arguments.clone());
        let body = (!items).then(|| self.body.stream());
        let all = types.chain(output).chain(limits).chain(body).chain([options.clone()]);
        all.into_iter().any(|tokens| any_word(tokens, &is_self))
    }

    /// The attributes that are limits.
    pub(crate) fn limits(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| self.is_limit(attribute))
    }

    /// The attributes that are not limits.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| !self.is_limit(attribute))
    }

    pub(crate) fn is_limit(&self, attribute: &Attribute) -> bool {
        let renamed = attribute.renamed();
        attribute.is_rate_limit(if renamed.is_empty() { &self.libraries } else { &renamed })
    }

    /// The names that the patterns of the parameters may bind. A name too many does no harm, such as that of a field.
    pub(crate) fn bindings(&self) -> Vec<String> {
        let mut names = Vec::new();
        for param in &self.params {
            param::bound(param.pattern.clone(), &mut names);
        }
        names
    }

    /// The name without `r#`.
    pub(crate) fn plain_name(&self) -> String {
        let name = self.name.to_string();
        name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
    }
}

/// The tokens from one place to another.
fn between(start: Cursor<'_>, end: Cursor<'_>) -> TokenStream {
    let mut tokens = TokenStream::new();
    let mut rest = start;
    while rest != end
        && let Some((token, next)) = rest.token_tree()
    {
        tokens.extend([token]);
        rest = next;
    }
    tokens
}

/// Removes the invisible group around a fragment of a `macro_rules!`.
fn ungrouped(token: TokenTree) -> TokenTree {
    match &token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
            let mut inside = group.stream().into_iter();
            match (inside.next(), inside.next()) {
                (Some(only), None) => ungrouped(only),
                _ => token,
            }
        }
        _ => token,
    }
}

fn is_qualifier(word: &Ident) -> bool {
    ["const", "async", "unsafe", "extern", "safe", "gen", "default"].iter().any(|qualifier| word == qualifier)
}

fn not_a_function(found: &TokenTree) -> String {
    let what = match found {
        TokenTree::Ident(word) => match word.to_string().as_str() {
            "struct" => "a struct",
            "enum" => "an enum",
            "union" => "a union",
            "trait" => "a trait",
            "impl" => "an `impl` block",
            "mod" => "a module",
            "type" => "a type",
            "static" => "a static",
            "use" => "an import",
            "let" => "a variable",
            _ => "",
        },
        _ => "",
    };
    let so = if what.is_empty() { String::new() } else { format!("; this is {what}") };
    format!("`#[rate_limit]` goes on an axum handler, which is an `async fn`{so}")
}

fn any_word(tokens: TokenStream, is: &dyn Fn(&str) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => is(&word.to_string()),
        TokenTree::Group(group) => any_word(group.stream(), is),
        _ => false,
    })
}
