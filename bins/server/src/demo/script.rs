//! The story, played by itself: one scene a platform, and a broadcast over several at the end. Every step asserts on the API's answers and on the sandbox's ledger, which
//! knows what the platform really took.

use super::broadcast;
use super::cast::cast;
use super::scene::heading;
use super::world::{Trouble, World};

/// Plays it to its end.
///
/// # Errors
/// [`Trouble`] at the first step that did not happen.
pub async fn play(world: &World) -> Result<(), Trouble> {
    world.add_templates().await?;
    for part in cast() {
        part.play(world).await?;
    }
    broadcast::play(world).await?;
    heading("All of it happened.");
    Ok(())
}
