//! Contacts in every interesting state.

use serde_json::json;
use time::Duration;
use transom_desk::contacts;
use transom_desk::status::{NewStatus, set_status};
use transom_domain::{ContactId, ConversationId, Profile};
use transom_sandbox::{Act, Action, NewCustomer};

use super::cast::{Began, Role, Then, cast};
use super::world::{Trouble, World};

/// A contact of the demo.
#[derive(Debug, Clone)]
pub struct Seeded {
    /// The name.
    pub name: &'static str,
    /// The sandbox's id of the customer.
    pub customer: &'static str,
    /// Where they write.
    pub platform: &'static str,
    /// The name of our account there.
    pub channel: String,
    /// What makes them interesting.
    pub story: &'static str,
    /// The contact.
    pub contact: ContactId,
    /// The conversation; nobody has one who never wrote.
    pub conversation: Option<ConversationId>,
}

/// Makes them all: the customers write on the platforms, the agent closes and snoozes.
///
/// # Errors
/// [`Trouble`] says what did not happen.
pub async fn seed(world: &World) -> Result<Vec<Seeded>, Trouble> {
    world.add_templates().await?;
    let mut seeded = Vec::new();
    for part in cast() {
        for role in part.people() {
            seeded.push(enter(world, part.platform(), role).await?);
        }
        seeded.extend(part.others(world).await?);
    }
    Ok(seeded)
}

/// Somebody does what their role says.
///
/// # Errors
/// [`Trouble`] says what did not happen.
pub async fn enter(world: &World, platform: &'static str, role: &Role) -> Result<Seeded, Trouble> {
    let username = Some(role.customer.to_owned());
    let new = NewCustomer { username, ..NewCustomer::named(role.customer, role.name, role.phone) };
    world.control().create_customer(new).map_err(Trouble::new)?;
    let (contact, conversation) = match role.began {
        Began::Never => (only_an_address(world, platform, role).await?, None),
        Began::Wrote(text, ago) => began(world, platform, role, Act::Text { text: text.to_owned() }, ago).await?,
        Began::Did(act, ago) => began(world, platform, role, act(), ago).await?,
        Began::Registered(text) => registered(world, platform, role, text).await?,
    };
    if let Some(conversation) = conversation {
        then(world, platform, role, conversation).await?;
    }
    let Role { name, customer, story, .. } = *role;
    let channel = world.account(platform)?.ours.name.clone();
    Ok(Seeded { name, customer, platform, channel, story, contact, conversation })
}

async fn began(
    world: &World,
    platform: &str,
    role: &Role,
    act: Act,
    ago: Duration,
) -> Result<(ContactId, Option<ConversationId>), Trouble> {
    let act = Action::from(act).at(world.now() - ago);
    let account = world.account(platform)?;
    world.control().act(&account.at_sandbox, role.customer, act).map_err(Trouble::new)?;
    let (contact, conversation) = world.conversation_with(platform, role.name).await?;
    name(world, contact, role.name).await?;
    Ok((contact, Some(conversation)))
}

/// Gives a contact their name where the platform told none, as an agent would.
async fn name(world: &World, contact: ContactId, name: &str) -> Result<(), Trouble> {
    let stored = world.desk().storage().reader(&world.caller.scope).contact(contact).await.map_err(Trouble::new)?;
    if stored.is_some_and(|stored| stored.contact.shown_name().is_some()) {
        return Ok(());
    }
    let patch = contacts::ContactPatch { display_name: Some(name.to_owned()), ..contacts::ContactPatch::default() };
    contacts::change(world.desk(), &world.caller, contact, patch, None).await.map_err(Trouble::new)?;
    Ok(())
}

async fn only_an_address(world: &World, platform: &str, role: &Role) -> Result<ContactId, Trouble> {
    // A number, or where people are written to by mail, that address.
    let customer = world.control().customer(role.customer).map_err(Trouble::new)?;
    let email = customer.addresses.get(platform).filter(|address| address.contains('@')).cloned();
    let phone = Some(role.phone.to_owned()).filter(|_| email.is_none());
    let new = contacts::NewContact {
        display_name: Some(role.name.to_owned()),
        profile: Profile { phone, email, ..Profile::default() },
        ..contacts::NewContact::default()
    };
    Ok(contacts::add(world.desk(), &world.caller, new, None).await.map_err(Trouble::new)?.contact.id)
}

/// The customer's id is the one that our own systems know them by; an agent writes first.
async fn registered(
    world: &World,
    platform: &str,
    role: &Role,
    text: &str,
) -> Result<(ContactId, Option<ConversationId>), Trouble> {
    let external_id = Some(role.customer.to_owned());
    let profile = Profile { external_id, ..Profile::default() };
    let display_name = Some(role.name.to_owned());
    let new = contacts::NewContact { display_name, profile, ..contacts::NewContact::default() };
    let contact = contacts::add(world.desk(), &world.caller, new, None).await.map_err(Trouble::new)?.contact.id;
    let channel = world.account(platform)?.ours.id;
    let message = json!({ "channel": channel, "message": { "text": text } });
    world.api()?.post(&format!("/contacts/{contact}/messages"), message).await?.expect(202)?;
    let (_, conversation) = world.conversation_with(platform, role.name).await?;
    Ok((contact, Some(conversation)))
}

async fn then(world: &World, platform: &str, role: &Role, conversation: ConversationId) -> Result<(), Trouble> {
    let status = match role.then {
        Then::Nothing => return Ok(()),
        Then::Closed => NewStatus::Closed { category: None, note: None },
        Then::Snoozed => NewStatus::Snoozed { until: world.now() + Duration::DAY },
        Then::Refuses(act) => {
            let account = world.account(platform)?;
            world.control().act(&account.at_sandbox, role.customer, act()).map_err(Trouble::new)?;
            return world.until("nothing may be sent", || is_refused(world, conversation)).await;
        }
        Then::Answered(text, act) => return answered(world, platform, role, conversation, (text, act)).await,
        Then::Exhausted(times) => return exhausted(world, role, conversation, times).await,
        Then::Did(act) => {
            let account = world.account(platform)?;
            world.control().act(&account.at_sandbox, role.customer, act()).map_err(Trouble::new)?;
            return Ok(());
        }
    };
    set_status(world.desk(), &world.caller, conversation, status, None).await.map_err(Trouble::new)?;
    Ok(())
}

/// An agent answers, and the customer does something about it.
async fn answered(
    world: &World,
    platform: &str,
    role: &Role,
    conversation: ConversationId,
    (text, act): (&str, fn() -> Act),
) -> Result<(), Trouble> {
    let account = world.account(platform)?;
    let path = format!("/conversations/{conversation}/messages");
    world.api()?.post(&path, json!({ "type": "reply", "text": text })).await?.expect(202)?;
    let control = world.control();
    let has_it = || async { Ok(control.ledger().iter().any(|send| send.customer == role.customer).then_some(())) };
    world.until("the answer arrives", has_it).await?;
    control.act(&account.at_sandbox, role.customer, act()).map_err(Trouble::new)?;
    let reader = world.desk().storage().reader(&world.caller.scope);
    let is_applied = || async {
        let delivered = control.idle(std::time::Duration::ZERO).await;
        Ok((delivered && reader.oldest_unapplied().await.map_err(Trouble::new)?.is_none()).then_some(()))
    };
    world.until("what they did is known", is_applied).await
}

/// Agents answer until what may be sent is used up.
async fn exhausted(world: &World, role: &Role, conversation: ConversationId, times: u32) -> Result<(), Trouble> {
    let (api, control) = (world.api()?, world.control());
    let path = format!("/conversations/{conversation}/messages");
    for number in 1..=times {
        let text = format!("Answer {number}");
        api.post(&path, json!({ "type": "reply", "text": text })).await?.expect(202)?;
        let has_it = || async {
            let is_it = |send: &transom_sandbox::Send| send.customer == role.customer && send.text == text;
            Ok(control.ledger().iter().any(is_it).then_some(()))
        };
        world.until("the answer arrives", has_it).await?;
    }
    Ok(())
}

async fn is_refused(world: &World, conversation: ConversationId) -> Result<Option<()>, Trouble> {
    let view = transom_desk::window::window(world.desk(), &world.caller, conversation).await.map_err(Trouble::new)?;
    Ok(view.human.decision.permits().is_empty().then_some(()))
}
