//! Every channel over which a contact could be written to, and whether it works right now.

use serde::Serialize;
use transom_domain::{ChannelAccount, ChannelAccountId, Contact, ContactId, Identity, IdentityId, Settings};
use transom_storage::Reader;
use transom_windows::{Ask, Decision, Sender};

use crate::afterwards::{Way, afterwards};
use crate::authorise::{Action, Caller, authorise};
use crate::house::{HouseReason, HouseRules, reasons};
use crate::send::first_address;
use crate::situation::{Situation, Wires, wires};
use crate::{Desk, DeskError};

/// One channel over which a contact might be reached.
#[derive(Debug, Serialize)]
pub struct Reach {
    /// The account.
    pub account: ChannelAccountId,
    /// Its platform.
    pub platform: String,
    /// Its name.
    pub account_name: String,
    /// Who the contact is there; `None` until they are written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityId>,
    /// What may be sent now; `None` where nobody can begin with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// What may be sent once the window has run out, if the customer stays silent; `None` where no time ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub afterwards: Option<Vec<Way>>,
    /// What the workspace's own rules say against it.
    pub house: Vec<HouseReason>,
    /// Why a first message can't begin here at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
}

/// What keeps a first message from anybody there, whatever it says.
#[derive(Debug, Serialize)]
pub struct Obstacle {
    /// Stable: `cannot_start`, `no_address`, `no_email_address`, or why the account itself does not work.
    pub code: &'static str,
    /// What is missing and what to do.
    pub detail: String,
}

/// Over which channels a contact can be reached now: those with the most freedom first. All accounts on which they are known,
/// and all enabled ones on which they are not yet, as a first message there would find them.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown contact.
pub async fn reachability(desk: &Desk, caller: &Caller, contact: ContactId) -> Result<Vec<Reach>, DeskError> {
    authorise(caller, Action::ReadContacts)?;
    let reader = desk.reader(&caller.scope);
    let found = reader.contact(contact).await?.ok_or(DeskError::NotFound { what: "contact" })?;
    let (settings, _) = reader.settings().await?;
    let look = Look { desk, caller, reader, settings, contact: found.contact };
    let mut reach = Vec::new();
    for account in look.reader.accounts().await? {
        let mut known = false;
        for identity in &found.identities {
            if identity.account == account.id {
                reach.push(look.at(&account, Some(identity)).await?);
                known = true;
            }
        }
        if !known && account.enabled {
            reach.push(look.at(&account, None).await?);
        }
    }
    reach
        .sort_by_key(|reach| (reach.obstacle.is_some(), !reach.house.is_empty(), reach.decision.as_ref().map(freedom)));
    Ok(reach)
}

/// 0 for free text, then tagged, initiated, templates only, nothing.
fn freedom(decision: &Decision) -> u8 {
    let rank = |basis: &str| match basis {
        "free_form" => 0,
        "tagged" => 1,
        "initiated" => 2,
        _ => 3,
    };
    decision.permits().iter().map(|permit| rank(permit.basis().as_str())).min().unwrap_or(4)
}

/// What one account says of a contact.
struct Judged {
    known: Option<IdentityId>,
    decision: Decision,
    afterwards: Option<Vec<Way>>,
    house: Vec<HouseReason>,
}

/// Who looks for whom.
struct Look<'a> {
    desk: &'a Desk,
    caller: &'a Caller,
    reader: Reader,
    settings: Settings,
    contact: Contact,
}

impl Look<'_> {
    async fn at(&self, account: &ChannelAccount, identity: Option<&Identity>) -> Result<Reach, DeskError> {
        let reach = Reach {
            account: account.id,
            platform: account.platform.clone(),
            account_name: account.name.clone(),
            identity: identity.map(|identity| identity.id),
            decision: None,
            afterwards: None,
            house: Vec::new(),
            obstacle: None,
        };
        match self.judged(account, identity).await {
            Ok(judged) => Ok(Reach {
                identity: judged.known,
                decision: Some(judged.decision),
                afterwards: judged.afterwards,
                house: judged.house,
                ..reach
            }),
            // One account that does not work says nothing about the others.
            Err(error @ (DeskError::Conflict { .. } | DeskError::Invalid { .. })) => {
                let obstacle = Obstacle { code: error.code(), detail: error.to_string() };
                Ok(Reach { obstacle: Some(obstacle), ..reach })
            }
            Err(error) => Err(error),
        }
    }

    async fn judged(&self, account: &ChannelAccount, identity: Option<&Identity>) -> Result<Judged, DeskError> {
        let wires = wires(self.desk, &self.caller.scope, account.id).await?;
        let (situation, known) = match identity {
            Some(identity) => {
                (Situation::load(&self.reader, identity.clone(), wires, self.desk.now()).await?, Some(identity.id))
            }
            None => self.begun(wires).await?,
        };
        let (id, contact) = (situation.identity.id, situation.identity.contact);
        // With threads a message to a contact begins one.
        let stored =
            if situation.channel.capabilities().threads { None } else { self.reader.conversation_of(id, "").await? };
        let (over, to) = ((&*situation.account, situation.channel.as_ref()), (contact, stored.as_ref()));
        let house = HouseRules::towards(&self.reader, &self.settings, over, to, false).await?;
        let (policy, facts, ask) = (&situation.policy, &situation.facts, Ask::by(Sender::Human));
        let decision = policy.decide(facts, ask, self.desk.now());
        let afterwards = afterwards(policy, facts, ask, &decision);
        Ok(Judged { known, decision, afterwards, house: reasons(&house, Sender::Human) })
    }

    /// The contact as a first message over this account would find them, and who has their address there already.
    async fn begun(&self, wires: Wires) -> Result<(Situation, Option<IdentityId>), DeskError> {
        let (account, now) = (wires.0.id, self.desk.now());
        let address = first_address(wires.1.as_ref(), &self.contact.profile)?;
        if let Some(known) = self.reader.identity_by_address(account, &address.kind, &address.value).await? {
            let id = known.id;
            return Ok((Situation::load(&self.reader, known, wires, now).await?, Some(id)));
        }
        let id = IdentityId::new(self.desk.ids());
        let identity = Identity { id, contact: self.contact.id, account, addresses: vec![address] };
        let mut situation = Situation::load(&self.reader, identity, wires, now).await?;
        if self.contact.blocked {
            situation.keep_blocked(now);
        }
        situation.begin(now);
        Ok((situation, None))
    }
}
