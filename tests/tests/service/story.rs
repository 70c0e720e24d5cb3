//! The story of the demo, on both databases; and that it fails when the platform takes nothing.

use transom_domain::SettableClock;
use transom_server::demo::cast::{Cast, cast};
use transom_server::demo::script;
use transom_server::demo::{seed, table};
use transom_storage::both_databases;
use transom_tests::Stage;

both_databases! {
    async fn the_story_happens(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        script::play(&stage.world).await.unwrap();
        stage.strike().await;
    }
}

both_databases! {
    async fn the_story_fails_when_the_platform_takes_nothing(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.control().accept(false);
        let trouble = script::play(&stage.world).await.unwrap_err();
        assert!(trouble.0.contains("the template arrives"), "{trouble}");
        stage.strike().await;
    }
}

both_databases! {
    async fn the_demo_shows_everybody(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let people = seed::seed(&stage.world).await.unwrap();
        let roles: Vec<_> = cast().into_iter().flat_map(Cast::people).collect();
        for role in roles {
            assert!(people.iter().any(|person| person.name == role.name), "{} was not seeded", role.name);
        }
        let table = table::of(&stage.world, &people, false).await.unwrap().to_string();
        for person in &people {
            assert!(table.contains(person.name.split(' ').next().unwrap()), "{} is missing:\n{table}", person.name);
        }
        // Somebody wrote not to the bot but to its owner.
        assert!(people.iter().any(|person| person.platform == "telegram" && person.channel.starts_with("Olga")));
        // Each platform has somebody who may be written to, and somebody with a limit to it.
        for said in ["free text", "nothing:", "an approved template"] {
            assert!(table.contains(said), "nobody shows `{said}`:\n{table}");
        }
        stage.strike().await;
    }
}
