//! Every law of the channel contract.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use transom_channel::conformance::{Accepted, Double, Fault, Harness, PATIENCE, Proof, SignedCall, Webhooks};
use transom_email::Email;

use crate::samples;
use crate::server::{Mood, Server};
use crate::world::{HOOK_PASSWORD, MAILBOX, TOKEN_SECRET, World};

transom_channel::conformance!(harness);

async fn harness() -> Harness {
    let world =
        World::new(PATIENCE).await.with("token_secret", TOKEN_SECRET).with("bounce_address", "bounces@shop.test");
    let (events, unknown) = (samples::events(&world), samples::unknown());
    Harness {
        platform: Arc::new(Email),
        revoked: world.settings.clone().with("smtp_password", "a-password-taken-back"),
        settings: world.settings.clone(),
        ports: world.ports.clone(),
        account: MAILBOX.to_owned(),
        identity: world.ann.clone(),
        quotable: Some("<m1@example.test>".to_owned()),
        template: None,
        policy: "email",
        opening: ("message", None),
        webhooks: Webhooks {
            secret: "webhook_password",
            sign: Box::new(|body| {
                let proof = format!("Basic {}", STANDARD.encode(format!("hook:{HOOK_PASSWORD}")));
                SignedCall::json(body.to_vec()).with_header("authorization", &proof)
            }),
            proof: Proof::Header("authorization"),
            covers_body: false,
            events,
            unknown,
            states_retry_after: false,
        },
        double: Arc::new(Smtp(world.server)),
    }
}

struct Smtp(Server);

#[async_trait]
impl Double for Smtp {
    async fn requests(&self) -> usize {
        self.0.state.lock().unwrap().begun
    }

    async fn accepted(&self) -> Vec<Accepted> {
        let accepted = |mail: crate::server::Taken| Accepted {
            provider_id: mail.parsed().message_id().map(|id| format!("<{id}>")),
            text: Some(mail.text()).filter(|text| !text.is_empty()),
        };
        self.0.taken().into_iter().map(accepted).collect()
    }

    async fn fail_next(&self, fault: Fault) {
        self.0.refuse(fault == Fault::Refused).await;
        let mood = match fault {
            Fault::LoseAnswer => Mood::LoseAnswer,
            Fault::Garbage => Mood::Answer("\u{1}\u{2} no such thing\r\n".to_owned()),
            Fault::Truncated => Mood::Answer("250-queu".to_owned()),
            Fault::Silence => Mood::Late(PATIENCE * 2),
            Fault::Gateway => Mood::Answer("HTTP/1.1 502 Bad Gateway\r\n\r\n<html>".to_owned()),
            Fault::RateLimited { .. } => Mood::RefuseMail("421 4.7.0 too many messages".to_owned()),
            Fault::Refused => return,
        };
        self.0.mood(mood);
    }
}
