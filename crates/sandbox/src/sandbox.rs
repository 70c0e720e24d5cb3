//! The running sandbox: listeners, workers, and the way of a call through faults to its platform.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transom_domain::{Clock, SettableClock};

use crate::config::SandboxConfig;
use crate::control::{self, Control};
use crate::faults::FaultKind;
use crate::http::{Call, Ending, Reply};
use crate::ledger::{CallRecord, CallState};
use crate::platforms::{self, Personality, Refusal, Route};
use crate::world::World;
use crate::{page, webhooks};

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The sandbox has no guard at its door, so it stays on this machine.
    #[error("the sandbox listens on loopback addresses only, not on `{0}`")]
    NotLoopback(SocketAddr),
    /// The port is taken, or may not be used.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// No HTTP client could be made for the webhooks.
    #[error("cannot set up the webhook client")]
    Client(#[source] reqwest::Error),
}

/// The platforms, running on loopback.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

/// What all tasks of a sandbox share.
pub(crate) struct Shared {
    world: Mutex<World>,
    pub(crate) personalities: Vec<Box<dyn Personality>>,
    pub(crate) clock: SettableClock,
    pub(crate) config: SandboxConfig,
    pub(crate) base_url: String,
    pub(crate) control_url: String,
    pub(crate) http: reqwest::Client,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Whether the platforms' ports take connections.
    pub(crate) open: watch::Sender<bool>,
    /// How many of them really do: the listeners follow with a breath of delay.
    pub(crate) listening: watch::Sender<usize>,
    /// How many there are.
    pub(crate) ports: usize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Starts listening. The platforms are empty: make accounts and customers through [`Sandbox::control`].
    ///
    /// # Errors
    /// If the address is not on loopback, or taken.
    pub async fn start(config: SandboxConfig) -> Result<Self, StartError> {
        let address = config.listen;
        if !address.ip().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        let bind =
            async |address| TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source });
        let platforms = bind(address).await?;
        let operator = bind(SocketAddr::new(address.ip(), 0)).await?;
        let own =
            |listener: &TcpListener| listener.local_addr().map_err(|source| StartError::Listen { address, source });
        let (bound, control_address) = (own(&platforms)?, own(&operator)?);
        let personalities = platforms::all();
        let (mut doors, mut addresses) = (Vec::new(), BTreeMap::new());
        for personality in &personalities {
            if let Some(serve) = personality.own_port() {
                let listener = bind(SocketAddr::new(address.ip(), 0)).await?;
                let at = own(&listener)?;
                doors.push((listener, at, Door::Own(serve)));
                addresses.insert(personality.name(), at);
            }
        }

        let http = webhooks::client(config.redelivery.timeout).map_err(StartError::Client)?;
        let millis = config.clock.now().unix_timestamp_nanos() / 1_000_000;
        let seed = config.seed.unwrap_or_else(|| u64::try_from(millis).unwrap_or_default());
        let (base_url, agenda_bell) = (format!("http://{bound}"), Arc::new(Notify::new()));
        let mut world = World::new(base_url.clone(), config.clock.clone(), seed, Arc::clone(&agenda_bell));
        world.ports = addresses;
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            personalities,
            clock: config.clock.clone(),
            config,
            base_url,
            control_url: format!("http://{control_address}"),
            http,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            open: watch::Sender::new(true),
            listening: watch::Sender::new(doors.len() + 1),
            ports: doors.len() + 1,
        });
        doors.push((platforms, bound, Door::Platforms));
        for (listener, at, door) in doors {
            shared.spawn(listen(Arc::clone(&shared), listener, at, door));
        }
        shared.spawn(accept(Arc::clone(&shared), operator, Door::Operator, CancellationToken::new()));
        shared.spawn(keep_agenda(Arc::clone(&shared), agenda_bell));
        Ok(Self { shared })
    }

    /// Where the platforms answer, without a slash at the end. Also the control API and the page.
    pub fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    /// Where the control API and the page answer even while the platforms refuse connections.
    pub fn control_url(&self) -> &str {
        &self.shared.control_url
    }

    /// The sandbox's time.
    pub fn clock(&self) -> &SettableClock {
        &self.shared.clock
    }

    /// The operator's hand on the sandbox, the same verbs as over HTTP.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.shared))
    }

    /// Stops listening and delivering, and waits until everything has stopped.
    pub async fn shutdown(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Shared {
    /// The world, for as long as nothing is awaited.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn personality(&self, platform: &str) -> Option<&dyn Personality> {
        self.personalities.iter().map(|personality| &**personality).find(|personality| personality.name() == platform)
    }

    /// Runs a task until it ends or the sandbox stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }
}

/// Carries one connection of a protocol of the platform's own.
pub(crate) type Serve = fn(Arc<Shared>, TcpStream) -> BoxFuture<'static, ()>;

/// Which listener a connection came through.
#[derive(Debug, Clone, Copy)]
enum Door {
    Platforms,
    Own(Serve),
    Operator,
}

/// Listens for the platforms, or refuses connections: then the port is really closed, and so are open connections.
async fn listen(shared: Arc<Shared>, first: TcpListener, address: SocketAddr, door: Door) {
    let mut open = shared.open.subscribe();
    let (mut listener, mut counted) = (Some(first), true);
    loop {
        let wanted = *open.borrow_and_update();
        if wanted {
            let bound = match listener.take() {
                Some(bound) => bound,
                None => match TcpListener::bind(address).await {
                    Ok(bound) => bound,
                    Err(error) => {
                        tracing::warn!(%error, "the port is not free again yet");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                },
            };
            if !std::mem::replace(&mut counted, true) {
                shared.listening.send_modify(|listening| *listening += 1);
            }
            let connections = CancellationToken::new();
            let _closed = connections.clone().drop_guard();
            tokio::select! {
                () = accept(Arc::clone(&shared), bound, door, connections) => {}
                _ = open.changed() => {}
            }
        } else {
            // Also when it never got to listen: a port that listens and does not answer is not refused.
            listener = None;
            if std::mem::take(&mut counted) {
                shared.listening.send_modify(|listening| *listening -= 1);
            }
            if open.changed().await.is_err() {
                return;
            }
        }
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, door: Door, connections: CancellationToken) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (shared_, closed) = (Arc::clone(&shared), connections.clone());
                shared.spawn(async move {
                    tokio::select! {
                        () = closed.cancelled() => {}
                        () = carry(shared_, stream, door) => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn carry(shared: Arc<Shared>, stream: TcpStream, door: Door) {
    let _ = stream.set_nodelay(true);
    match door {
        Door::Own(serve) => serve(shared, stream).await,
        Door::Platforms | Door::Operator => serve_http(shared, stream, door).await,
    }
}

async fn serve_http(shared: Arc<Shared>, stream: TcpStream, door: Door) {
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            match Call::read(request).await {
                Ok(call) => dispatch(shared, door, call).await.into_response(),
                Err(refused) => refused.into_response(),
            }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Finds who answers.
async fn dispatch(shared: Arc<Shared>, door: Door, mut call: Call) -> Reply {
    let first = call.path.first().cloned().unwrap_or_default();
    let for_operator = shared.personality(&first).is_none();
    if for_operator && call.header("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Reply::text(403, "other sites may not operate the sandbox");
    }
    if first == "control" {
        call.path.remove(0);
        return control::http::answer(&Control::new(shared), &call).await;
    }
    if first.is_empty() || matches!(first.as_str(), "phone" | "write" | "advance") {
        return page::answer(&Control::new(shared), &call);
    }
    if matches!(door, Door::Operator) || for_operator {
        return Reply::text(404, "no such page; see /, /control and the platforms' prefixes");
    }
    call.path.remove(0);
    answered(&shared, first, call).await
}

/// A platform's answer. Its call runs in a task of its own: a caller who leaves does not undo what was accepted.
pub(crate) async fn answered(shared: &Arc<Shared>, platform: String, call: Call) -> Reply {
    let (answered, answer) = tokio::sync::oneshot::channel();
    let worker = Arc::clone(shared);
    shared.spawn(async move {
        let _ = answered.send(through_faults(&worker, &platform, call).await);
    });
    answer.await.unwrap_or_else(|_| Reply::text(503, "the sandbox is stopping").ending(Ending::Dropped))
}

/// The way of a platform's call: find the account, play what is in store for it, carry it out, write it down.
async fn through_faults(shared: &Shared, platform: &str, call: Call) -> Reply {
    let Some(personality) = shared.personality(platform) else { return Reply::text(404, "no such platform") };
    let routed = personality.route(&mut shared.world(), &call);
    let mut route = match routed {
        Ok(route) => route,
        Err(refused) => {
            let seq = arrived(shared, personality, &call, None, None);
            ended(shared, seq, &refused);
            return refused;
        }
    };
    let (accepting, fault) = {
        let mut world = shared.world();
        let accepting = world.accepting || !route.sends;
        let account = route.account.as_ref().filter(|_| accepting).and_then(|id| world.accounts.get_mut(id));
        (accepting, account.and_then(|account| account.faults.take(route.sends)))
    };
    let seq = arrived(shared, personality, &call, route.account.as_deref(), fault.as_ref().map(FaultKind::name));
    let reply = if accepting {
        played(shared, personality, &mut route, &call, fault).await
    } else {
        personality.refuse(&Refusal::NotAccepting)
    };
    ended(shared, seq, &reply);
    reply
}

async fn played(
    shared: &Shared,
    personality: &dyn Personality,
    route: &mut Route,
    call: &Call,
    fault: Option<FaultKind>,
) -> Reply {
    let Some(fault) = fault else { return personality.answer(shared, route, call).await };
    let before = shared.world().ledger.next();
    let unanswered = |reply: Reply| {
        if let Some(account) = &route.account {
            shared.world().ledger.unanswered(account, before);
        }
        reply
    };
    match fault {
        FaultKind::LoseAnswer => unanswered(personality.answer(shared, route, call).await).ending(Ending::Dropped),
        FaultKind::Drop => Reply::text(503, "").ending(Ending::Dropped),
        FaultKind::RateLimited { retry_after } => personality.refuse(&Refusal::RateLimited { retry_after }),
        FaultKind::Status { status } => Reply::text(status, "upstream error"),
        FaultKind::Error { code, detail, asynchronous: true } if route.sends => {
            route.fails_later = Some((code, detail.unwrap_or_else(|| "as the sandbox was told".to_owned())));
            personality.answer(shared, route, call).await
        }
        FaultKind::Error { code, detail, .. } => personality.refuse(&Refusal::Error { code, detail }),
        FaultKind::Garbage => {
            let reply = unanswered(personality.answer(shared, route, call).await);
            if reply.is_success() { Reply::text(200, "<html>it works!</html>") } else { reply }
        }
        FaultKind::Truncated => {
            let reply = unanswered(personality.answer(shared, route, call).await);
            if reply.is_success() { reply.ending(Ending::Cut) } else { reply }
        }
        FaultKind::Delay { ms } => {
            tokio::time::sleep(FaultKind::pause(ms)).await;
            personality.answer(shared, route, call).await
        }
        FaultKind::SlowAnswer { ms } => {
            let reply = personality.answer(shared, route, call).await;
            tokio::time::sleep(FaultKind::pause(ms)).await;
            reply
        }
    }
}

/// Writes a call down that has just arrived, and answers with its number.
fn arrived(
    shared: &Shared,
    personality: &dyn Personality,
    call: &Call,
    account: Option<&str>,
    fault: Option<&'static str>,
) -> u64 {
    let mut world = shared.world();
    let record = CallRecord {
        seq: 0,
        at: world.now(),
        account: account.map(str::to_owned),
        method: call.method.to_string(),
        path: personality.masked(&call.full_path),
        state: CallState::Arrived,
        status: None,
        code: None,
        fault,
    };
    world.calls.arrived(record)
}

/// Writes down how a call ended.
fn ended(shared: &Shared, seq: u64, reply: &Reply) {
    let answer = (reply.ending != Ending::Dropped).then_some(reply.status);
    shared.world().calls.ended(seq, answer, reply.code);
}

/// Does what was put off, when it is due.
async fn keep_agenda(shared: Arc<Shared>, bell: Arc<Notify>) {
    loop {
        let next = shared.world().catch_up();
        match next {
            None => bell.notified().await,
            Some(at) => {
                tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = bell.notified() => {}
                }
            }
        }
    }
}
