//! Lists that come in pages.

use serde::Deserialize;
use serde_json::Value;

use crate::{Graph, GraphFailure};

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    data: Vec<Value>,
    paging: Option<Paging>,
}

#[derive(Debug, Deserialize)]
struct Paging {
    cursors: Option<Cursors>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Cursors {
    after: Option<String>,
}

impl Page {
    /// Where to go on. `next` is an address of its own, which we only take as a yes: our token goes to no address but ours.
    fn after(&self) -> Option<String> {
        let paging = self.paging.as_ref().filter(|paging| paging.next.is_some())?;
        paging.cursors.as_ref()?.after.clone().filter(|after| !after.is_empty())
    }
}

impl Graph {
    /// All entries of a list, page after page.
    ///
    /// # Errors
    /// [`GraphFailure`]; [`GraphFailure::Endless`] after `most` pages or when a page leads back to itself. A list that is cut
    /// short is never given out as a whole one.
    pub async fn list(&self, path: &str, query: &[(&str, &str)], most: usize) -> Result<Vec<Value>, GraphFailure> {
        let mut entries = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..most {
            let after = cursor.as_deref().map(|after| ("after", after));
            let query: Vec<_> = query.iter().copied().chain(after).collect();
            let mut page: Page = self.get(path, &query).await?;
            entries.append(&mut page.data);
            match page.after() {
                None => return Ok(entries),
                next if next == cursor => break,
                next => cursor = next,
            }
        }
        Err(GraphFailure::Endless { pages: most })
    }
}
