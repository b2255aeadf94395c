//! The attributes of a function, a parameter or a block. Only their names are known, not what they do.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::quote;
use syn::Token;
use syn::parse::ParseStream;

/// One attribute.
#[derive(Clone)]
pub(crate) struct Attribute {
    pub(crate) tokens: TokenStream,
    /// The names of its path: `["axum", "debug_handler"]`.
    pub(crate) path: Vec<String>,
    /// The tokens between its parentheses.
    pub(crate) arguments: TokenStream,
    pub(crate) span: Span,
}

/// Attributes that the compiler or a tool reads. All others may be macros.
const INERT: [&str; 24] = [
    "allow",
    "warn",
    "deny",
    "forbid",
    "expect",
    "doc",
    "must_use",
    "deprecated",
    "inline",
    "cold",
    "track_caller",
    "no_mangle",
    "export_name",
    "link_section",
    "target_feature",
    "automatically_derived",
    "coverage",
    "optimize",
    "unsafe",
    "rustfmt",
    "clippy",
    "diagnostic",
    "miri",
    "rust_analyzer",
];

impl Attribute {
    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self.path.as_slice(), [only] if only == name)
    }

    /// Whether this is our `#[rate_limit]`: by its name alone, or by a path into one of these libraries or the user's
    /// own crate. Other crates may have an attribute of the same name.
    pub(crate) fn is_rate_limit(&self, libraries: &[String]) -> bool {
        match self.path.as_slice() {
            [only] => only == "rate_limit",
            [first, .., last] => {
                let own = matches!(first.as_str(), "crate" | "self" | "super");
                last == "rate_limit" && (own || libraries.contains(first))
            }
            [] => false,
        }
    }

    /// The names in the value of `crate = …`, if that is an option.
    pub(crate) fn renamed(&self) -> Vec<String> {
        library_names(&self.arguments)
    }

    /// Whether it is a `cfg_attr` that may give a limit.
    pub(crate) fn is_conditional_limit(&self) -> bool {
        self.is("cfg_attr") && names(self.arguments.clone()).iter().any(|name| name == "rate_limit")
    }

    /// Whether it is text of the documentation, unlike `doc(hidden)`.
    pub(crate) fn is_doc_text(&self) -> bool {
        self.is("doc") && self.arguments.is_empty()
    }

    /// Whether it cannot be a macro, so that its place does not matter.
    pub(crate) fn is_inert(&self) -> bool {
        self.path.first().is_some_and(|name| INERT.contains(&name.as_str()))
    }

    /// Whether it may remove the function.
    pub(crate) fn is_condition(&self) -> bool {
        self.is("cfg")
            || self.is("cfg_attr")
                && self
                    .arguments
                    .clone()
                    .into_iter()
                    .any(|token| matches!(token, TokenTree::Ident(word) if word == "cfg" || word == "cfg_attr"))
    }
}

/// The names in the value of `crate = …`, if that is one of these options.
pub(crate) fn library_names(arguments: &TokenStream) -> Vec<String> {
    let after =
        arguments.clone().into_iter().skip_while(|token| !matches!(token, TokenTree::Ident(word) if word == "crate"));
    let value = after.skip(2).take_while(|token| !matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','));
    names(value)
}

/// The names in a path.
pub(crate) fn names(path: impl IntoIterator<Item = TokenTree>) -> Vec<String> {
    path.into_iter()
        .filter_map(|token| if let TokenTree::Ident(name) = token { Some(name.to_string()) } else { None })
        .collect()
}

/// Reads the attributes at this place.
pub(crate) fn attributes(input: ParseStream<'_>) -> syn::Result<Vec<Attribute>> {
    let mut attributes = Vec::new();
    while input.peek(Token![#]) {
        let pound: Token![#] = input.parse()?;
        let TokenTree::Group(group) = input.parse()? else {
            return Err(syn::Error::new_spanned(pound, "an attribute is written `#[…]`"));
        };
        let mut path = Vec::new();
        let mut arguments = TokenStream::new();
        let mut stream = group.stream();
        // `#[$meta]` in a `macro_rules!`.
        let mut inside = stream.clone().into_iter();
        if let (Some(TokenTree::Group(only)), None) = (inside.next(), inside.next())
            && only.delimiter() == Delimiter::None
        {
            stream = only.stream();
        }
        for token in stream {
            match token {
                TokenTree::Ident(name) => path.push(name.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == ':' => {}
                TokenTree::Group(group) => {
                    arguments = group.stream();
                    break;
                }
                _ => break,
            }
        }
        attributes.push(Attribute { path, arguments, span: group.span(), tokens: quote!(#pound #group) });
    }
    Ok(attributes)
}
