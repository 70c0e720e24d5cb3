//! Room for what a personality keeps beside the common world: templates, business connections, groups.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;

/// One value of each type that somebody asked for, made on first use.
///
/// So a platform keeps typed state under the world's one lock without the world knowing the type.
#[derive(Default)]
pub(crate) struct Shelves(HashMap<TypeId, Box<dyn Any + Send>>);

impl Shelves {
    pub(crate) fn of<T: Any + Default + Send>(&mut self) -> &mut T {
        let kept = self.0.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(T::default()));
        match kept.downcast_mut() {
            Some(found) => found,
            None => unreachable!("a shelf is keyed by the type it holds"),
        }
    }
}

impl fmt::Debug for Shelves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelves").field("kinds", &self.0.len()).finish()
    }
}
