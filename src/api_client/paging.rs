//! Paths of the API with their parameters, and lists that are read page by page. The commands that call the API use
//! this module.

use anyhow::ensure;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ApiClient;

/// The maximum number of items that the service returns in a page.
const MAX_PAGE: usize = 200;

/// A list of the API.
pub(crate) struct List<'a> {
    pub(crate) path: &'a str,
    /// The conditions on items, as members of the query.
    pub(crate) filter: Vec<(&'static str, String)>,
    /// The member of the query that takes the `next_cursor` of a page.
    pub(crate) cursor: &'static str,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl List<'_> {
    /// Reads up to `limit` items, with as many requests as necessary. Also returns whether the list has more items.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        client: &ApiClient,
        limit: usize,
    ) -> anyhow::Result<(Vec<T>, bool)> {
        let (mut items, mut cursor) = (Vec::new(), None);
        loop {
            let mut pairs = self.filter.clone();
            pairs.push(("limit", (limit - items.len()).clamp(1, MAX_PAGE).to_string()));
            pairs.extend(cursor.map(|cursor| (self.cursor, cursor)));
            let page: Page<T> = client.get(&with_query(self.path, &pairs)?).await?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() || items.len() >= limit {
                return Ok((items, cursor.is_some()));
            }
        }
    }
}

/// Encodes the text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Appends the parameters to a path as its query.
pub(crate) fn with_query(path: &str, pairs: &[(&str, String)]) -> anyhow::Result<String> {
    ensure!(!path.contains('?'), "{path} already has a query");
    if pairs.is_empty() {
        return Ok(path.to_owned());
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Ok(format!("{path}?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_encodes_every_reserved_character() {
        assert_eq!(segment("7b1d-x_1.2"), "7b1d-x_1.2");
        assert_eq!(segment("a/b ?+ä"), "a%2Fb%20%3F%2B%C3%A4");
    }
}
