//! What a platform's part says.

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use time::Duration;
use transom_sandbox::Act;

use crate::MARGIN;

/// A platform's part: what is set small on both sides, and what happens.
pub(crate) struct Part {
    pub(crate) platform: &'static str,
    /// A quota of the policy, the sandbox's setting for it, and how many; few enough that it is met often.
    pub(crate) limits: &'static [(&'static str, &'static str, u32)],
    /// The categories of templates.
    pub(crate) categories: &'static [&'static str],
    /// What a customer does first.
    pub(crate) begins: fn(who: &str) -> Act,
    /// What a customer does.
    pub(crate) acts: fn(&mut StdRng, who: &str) -> Act,
    /// What must occur in every run, as it is counted: acts by their name, and what came of them.
    pub(crate) occurs: &'static [&'static str],
    /// How Transom hears of a customer's block.
    pub(crate) block: Block,
    /// Whether the platform ever refuses somebody who wrote.
    pub(crate) refuses: bool,
    /// Whether an opt-out is from everything, and not only from what promotes.
    pub(crate) wants_nothing: bool,
    /// What the account has besides the demo's features.
    pub(crate) features: &'static [&'static str],
    /// The policy and the sandbox's settings, where they are not the demo's.
    pub(crate) instead: Option<Instead>,
    /// The business connection through which everything goes.
    pub(crate) via: Option<&'static str>,
    /// The tag under which a message goes to whoever may be sent no free text.
    pub(crate) tag: Option<&'static str>,
    /// How near to the end of a window nothing is compared.
    pub(crate) margin: Duration,
}

/// What a platform makes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    /// It tells the business, who then sends nothing.
    Told,
    /// It tells nobody, and refuses what is sent: the first refusal tells, and the customer's next message.
    FoundOut,
    /// The same in the words of a closed window, so that the message is not sent, and the window shut.
    FoundShut,
    /// It tells nobody, takes what is sent and delivers nothing.
    Hidden,
}

impl Block {
    /// How a message ends that finds a block out.
    pub(crate) fn found_out(self) -> Option<&'static str> {
        match self {
            Self::FoundOut => Some("failed"),
            Self::FoundShut => Some("not_sent"),
            Self::Told | Self::Hidden => None,
        }
    }
}

/// A policy, and the settings by which the sandbox goes with it.
pub(crate) type Instead = (&'static str, fn() -> Value);

/// A platform as the demo has it, where nothing is refused.
pub(crate) const USUAL: Part = Part {
    platform: "",
    limits: &[],
    categories: &[],
    begins: hello,
    acts: writes,
    occurs: &["text"],
    block: Block::Told,
    refuses: false,
    wants_nothing: false,
    features: &[],
    instead: None,
    via: None,
    tag: None,
    margin: MARGIN,
};

/// What stands in [`Part::categories`] for a letter that begins a thread.
pub(crate) const NEW_THREAD: &str = "new thread";

/// The tag of the one message to whoever commented.
pub(crate) const PRIVATE_REPLY: &str = "private_reply";

/// The customer writes.
pub(crate) fn writes(_: &mut StdRng, who: &str) -> Act {
    hello(who)
}

pub(crate) fn hello(who: &str) -> Act {
    Act::Text { text: format!("hello from {who}") }
}

/// Every fourth act turns away or comes back, on platforms where customers do that without a word.
pub(crate) fn writes_or_turns(random: &mut StdRng, who: &str) -> Act {
    match random.random_range(0..8) {
        0 => Act::Block,
        1 | 2 => Act::Unblock,
        _ => hello(who),
    }
}

/// What only this platform knows.
pub(crate) fn other(kind: &str, data: Value) -> Act {
    Act::Other { kind: kind.to_owned(), data }
}

/// The name by which an act is counted.
pub(crate) fn name_of(act: &Act) -> String {
    let act = serde_json::to_value(act).unwrap();
    let word = |name: &str| act[name].as_str().unwrap_or_default().to_owned();
    if word("type") == "other" { word("kind") } else { word("type") }
}

pub(crate) fn template(platform: &str, category: &str) -> Value {
    let template = match (platform, category) {
        ("wechat", _) => {
            let values = json!({ "body": { "thing1": "A-1001", "phrase2": "已发货" } });
            json!({ "name": "order_update", "language": "zh_CN", "parameters": values })
        }
        (_, "marketing") => json!({ "name": "spring_sale", "language": "en_US" }),
        _ => json!({ "name": "order_update", "language": "en_US", "parameters": { "body": ["Mara", "A-1001"] } }),
    };
    json!({ "type": "reply", "template": template })
}
