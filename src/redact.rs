//! Removes secrets from URLs before they are printed or logged.

/// The URL without user name, password, query and fragment. The text need not be a valid URL.
pub(crate) fn url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority.to_owned(), |(_, host)| format!("…@{host}"));
    let path = match path.find(['?', '#']) {
        Some(end) => format!("{}?…", &path[..end]),
        None => path.to_owned(),
    };
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{host}{path}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_redacted_url_contains_no_secrets() {
        for (url, text) in [
            ("https://login.example/jwks", "https://login.example/jwks"),
            ("https://login.example:8443/jwks?key=secret#x", "https://login.example:8443/jwks?…"),
            ("https://user:secret@login.example/", "https://…@login.example/"),
            ("user:secret@login.example", "…@login.example"),
            ("https://a:secret@b:secret@login.example?secret", "https://…@login.example?…"),
            ("pager", "pager"),
        ] {
            assert_eq!(super::url(url), text);
        }
    }
}
