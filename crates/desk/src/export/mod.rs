//! Export: lines as they are read, a small page at a time and each page a statement of its own. So any size takes
//! the same memory, no transaction stays open, and what nobody reads any more is not read here either.

mod contact;
mod contacts;
mod conversations;
mod missed;
mod record;
mod sheet;

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::DeskError;
pub use contact::contact;
pub use contacts::contacts;
pub use conversations::{Wanted, conversations};
pub use missed::missed_windows;
pub use sheet::Format;

/// The lines of an export, in chunks.
pub type Lines = BoxStream<'static, Result<Bytes, DeskError>>;
