//! Contacts in every interesting state.

use time::Duration;
use transom_desk::contacts;
use transom_desk::status::{NewStatus, set_status};
use transom_domain::{ContactId, ConversationId, Profile};
use transom_sandbox::{Act, Action, NewCustomer};

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
    /// What makes them interesting.
    pub story: &'static str,
    /// The contact.
    pub contact: ContactId,
    /// The conversation; nobody has one who never wrote.
    pub conversation: Option<ConversationId>,
}

/// Who wrote, when, and what happened then.
struct Plan {
    name: &'static str,
    customer: &'static str,
    phone: &'static str,
    platform: &'static str,
    story: &'static str,
    text: &'static str,
    wrote_ago: Duration,
    then: Then,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    Closed,
    Snoozed,
    Blocked,
}

const PLANS: [Plan; 6] = [
    Plan {
        name: "Mara Klein",
        customer: "mara",
        phone: "+4915550100001",
        platform: "whatsapp",
        story: "wrote 30 hours ago, conversation closed",
        text: "Where is my order A-1001?",
        wrote_ago: Duration::hours(30),
        then: Then::Closed,
    },
    Plan {
        name: "Jonas Weber",
        customer: "jonas",
        phone: "+4915550100002",
        platform: "whatsapp",
        story: "wrote 5 minutes ago",
        text: "Hello, is anybody there?",
        wrote_ago: Duration::minutes(5),
        then: Then::Nothing,
    },
    Plan {
        name: "Lucia Rossi",
        customer: "lucia",
        phone: "+393200000003",
        platform: "whatsapp",
        story: "window closes in 10 minutes",
        text: "Thanks, I will check tomorrow.",
        wrote_ago: Duration::minutes(24 * 60 - 10),
        then: Then::Nothing,
    },
    Plan {
        name: "Omar Haddad",
        customer: "omar",
        phone: "+971500000004",
        platform: "whatsapp",
        story: "snoozed until tomorrow",
        text: "Please call me on Monday.",
        wrote_ago: Duration::hours(3),
        then: Then::Snoozed,
    },
    Plan {
        name: "Ann Lee",
        customer: "ann",
        phone: "+442000000005",
        platform: "telegram",
        story: "wrote 90 days ago, conversation closed",
        text: "/start",
        wrote_ago: Duration::days(90),
        then: Then::Closed,
    },
    Plan {
        name: "Ben Okafor",
        customer: "ben",
        phone: "+2348000000006",
        platform: "telegram",
        story: "blocked the bot",
        text: "/start",
        wrote_ago: Duration::days(2),
        then: Then::Blocked,
    },
];

/// Somebody of whom only the number is known.
const STRANGER: (&str, &str, &str) = ("Nora Lind", "nora", "+46700000007");

/// Makes them all: the customers write on the platforms, the agent closes and snoozes.
///
/// # Errors
/// [`Trouble`] says what did not happen.
pub async fn seed(world: &World) -> Result<Vec<Seeded>, Trouble> {
    world.add_templates().await?;
    let mut seeded = Vec::new();
    for plan in &PLANS {
        seeded.push(play(world, plan).await?);
    }
    seeded.push(stranger(world).await?);
    Ok(seeded)
}

async fn play(world: &World, plan: &Plan) -> Result<Seeded, Trouble> {
    let account = world.account(plan.platform)?.clone();
    let control = world.control();
    let username = Some(plan.customer.to_owned());
    let new = NewCustomer { username, ..NewCustomer::named(plan.customer, plan.name, plan.phone) };
    control.create_customer(new).map_err(Trouble::new)?;
    let wrote = Action::from(Act::Text { text: plan.text.to_owned() }).at(world.now() - plan.wrote_ago);
    control.act(&account.at_sandbox, plan.customer, wrote).map_err(Trouble::new)?;
    let (contact, conversation) = world.conversation_with(plan.platform, plan.name).await?;
    let status = match plan.then {
        Then::Nothing => None,
        Then::Closed => Some(NewStatus::Closed { category: None, note: None }),
        Then::Snoozed => Some(NewStatus::Snoozed { until: world.now() + Duration::DAY }),
        Then::Blocked => {
            control.act(&account.at_sandbox, plan.customer, Act::Block).map_err(Trouble::new)?;
            world.until("the block arrives", || is_refused(world, conversation)).await?;
            None
        }
    };
    if let Some(status) = status {
        set_status(world.desk(), &world.caller, conversation, status, None).await.map_err(Trouble::new)?;
    }
    Ok(Seeded {
        name: plan.name,
        customer: plan.customer,
        platform: plan.platform,
        story: plan.story,
        contact,
        conversation: Some(conversation),
    })
}

async fn is_refused(world: &World, conversation: ConversationId) -> Result<Option<()>, Trouble> {
    let view = transom_desk::window::window(world.desk(), &world.caller, conversation).await.map_err(Trouble::new)?;
    Ok(view.human.decision.permits().is_empty().then_some(()))
}

async fn stranger(world: &World) -> Result<Seeded, Trouble> {
    let (name, customer, phone) = STRANGER;
    world.control().create_customer(NewCustomer::named(customer, name, phone)).map_err(Trouble::new)?;
    let new = contacts::NewContact {
        display_name: Some(name.to_owned()),
        profile: Profile { phone: Some(phone.to_owned()), ..Profile::default() },
    };
    let added = contacts::add(world.desk(), &world.caller, new, None).await.map_err(Trouble::new)?;
    Ok(Seeded {
        name,
        customer,
        platform: "whatsapp",
        story: "never wrote, only the number is known",
        contact: added.contact.id,
        conversation: None,
    })
}
