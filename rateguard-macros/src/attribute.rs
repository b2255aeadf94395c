//! The attributes above a function or a parameter, as far as their names say what they are.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::quote;
use syn::Token;
use syn::parse::ParseStream;

/// One attribute above the function.
#[derive(Clone)]
pub(crate) struct Attribute {
    pub(crate) tokens: TokenStream,
    /// The path's names: `["axum", "debug_handler"]`.
    pub(crate) path: Vec<String>,
    /// What stands in its parentheses.
    pub(crate) arguments: TokenStream,
    pub(crate) span: Span,
}

/// What the compiler itself, or a tool, reads off a function, and no macro.
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

    /// Whether this is our `#[rate_limit]`: by its bare name, or by a path that begins at one of these libraries or is of the
    /// user's own crate. Another crate's attribute of this name is none of ours.
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

    /// The names that `crate = …` among the arguments is made of.
    pub(crate) fn renamed(&self) -> Vec<String> {
        library_names(&self.arguments)
    }

    /// Whether it is a `cfg_attr` that may give a limit.
    pub(crate) fn is_conditional_limit(&self) -> bool {
        self.is("cfg_attr") && names(self.arguments.clone()).iter().any(|name| name == "rate_limit")
    }

    /// Whether it is a line of documentation, and not an instruction such as `doc(hidden)`.
    pub(crate) fn is_doc_text(&self) -> bool {
        self.is("doc") && self.arguments.is_empty()
    }

    /// Whether nothing will expand it: it may stay where it is, wherever that is.
    pub(crate) fn is_inert(&self) -> bool {
        self.path.first().is_some_and(|name| INERT.contains(&name.as_str()))
    }

    /// Whether the function may not be there at all once this is decided.
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

/// The names in the value of `crate = …`, if it is among these options.
pub(crate) fn library_names(arguments: &TokenStream) -> Vec<String> {
    let after =
        arguments.clone().into_iter().skip_while(|token| !matches!(token, TokenTree::Ident(word) if word == "crate"));
    let value = after.skip(2).take_while(|token| !matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','));
    names(value)
}

/// The names that a path is made of.
pub(crate) fn names(path: impl IntoIterator<Item = TokenTree>) -> Vec<String> {
    path.into_iter()
        .filter_map(|token| if let TokenTree::Ident(name) = token { Some(name.to_string()) } else { None })
        .collect()
}

/// Reads all attributes that come next.
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
