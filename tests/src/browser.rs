//! Headless Chromium, driven over the [DevTools protocol](https://chromedevtools.github.io/devtools-protocol/).

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::Trouble;

/// The longest that a page takes for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether a missing Chromium is an error instead of a skipped test.
fn is_required() -> bool {
    let set = |name, value| std::env::var(name).is_ok_and(|set| set == value);
    set("CI", "true") || set("TRANSOM_REQUIRE_CHROMIUM", "1")
}

/// A browser with a profile of its own; it ends with this value.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    wire: Wire,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// Starts one; `None` where Chromium is not installed, which is said on stderr.
    ///
    /// # Errors
    /// [`Trouble`] if it is missing though `CI=true` or `TRANSOM_REQUIRE_CHROMIUM=1` asks for it, or does not start.
    pub async fn start() -> Result<Option<Self>, Trouble> {
        let profile = tempfile::tempdir().map_err(Trouble::new)?;
        let spawned = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(|name| {
            let mut command = Command::new(name);
            // Tests run in containers and as root, where Chromium's own sandbox cannot start. The last two: nothing of the
            // browser's own goes to the network.
            command.args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ]);
            command.args(["--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-port=0"]);
            command.args(["--disable-background-networking", "--disable-component-update"]);
            command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()
        });
        let Some(mut process) = spawned else {
            if is_required() {
                return Err(Trouble::new(
                    "Chromium is required and was not found: install Debian's package `chromium`",
                ));
            }
            #[expect(clippy::print_stderr, reason = "a skipped test says so")]
            {
                eprintln!("SKIPPED: Chromium is not installed (no `chromium` in PATH)");
            }
            return Ok(None);
        };
        let stderr = process.stderr.take().ok_or_else(|| Trouble::new("Chromium has no stderr"))?;
        let (found, address) = oneshot::channel();
        // Reads on to the end: a full pipe would stop the browser.
        std::thread::spawn(move || {
            let mut found = Some(found);
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("DevTools listening on ")
                    && let Some(found) = found.take()
                {
                    let _ = found.send(address.to_owned());
                }
            }
        });
        let address = timeout(PATIENCE, address).await.map_err(Trouble::new)?.map_err(Trouble::new)?;
        let wire = Wire::open(&address).await?;
        Ok(Some(Self { process, wire, _profile: profile }))
    }

    /// A visitor: tabs of one share storage, and nothing with another's.
    ///
    /// # Errors
    /// [`Trouble`] when the browser does not answer.
    pub async fn visitor(&self) -> Result<Visitor, Trouble> {
        let made = self.wire.call(None, "Target.createBrowserContext", json!({})).await?;
        Ok(Visitor { wire: self.wire.clone(), context: text(&made, "/browserContextId")? })
    }
}

/// Somebody with storage of their own.
#[derive(Debug)]
pub struct Visitor {
    wire: Wire,
    context: String,
}

impl Visitor {
    /// A new tab, `width` by `height` CSS pixels.
    ///
    /// # Errors
    /// [`Trouble`] when the browser does not answer.
    pub async fn tab(&self, width: u32, height: u32) -> Result<Page, Trouble> {
        let target = json!({ "url": "about:blank", "browserContextId": self.context });
        let made = self.wire.call(None, "Target.createTarget", target).await?;
        let attach = json!({ "targetId": text(&made, "/targetId")?, "flatten": true });
        let attached = self.wire.call(None, "Target.attachToTarget", attach).await?;
        let session = text(&attached, "/sessionId")?;
        let page = Page { events: self.wire.listen(&session), wire: self.wire.clone(), session };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            page.call(&format!("{domain}.enable"), json!({})).await?;
        }
        page.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await?;
        page.resize(width, height).await?;
        Ok(page)
    }
}

/// A tab.
#[derive(Debug)]
pub struct Page {
    wire: Wire,
    session: String,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Page {
    /// Calls a method of the protocol.
    ///
    /// # Errors
    /// [`Trouble`] with what the browser says.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, Trouble> {
        self.wire.call(Some(&self.session), method, params).await
    }

    /// Goes somewhere, and waits until it is loaded.
    ///
    /// # Errors
    /// [`Trouble`] when that does not happen.
    pub async fn open(&self, url: &str) -> Result<(), Trouble> {
        self.call("Page.navigate", json!({ "url": url })).await?;
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'").await.map(|_| ())
    }

    /// Reloads, and waits until it is loaded.
    ///
    /// # Errors
    /// [`Trouble`] when that does not happen.
    pub async fn reload(&self) -> Result<(), Trouble> {
        self.eval("window.isOld = true").await?;
        self.call("Page.reload", json!({})).await?;
        self.until("!window.isOld && document.readyState === 'complete'").await.map(|_| ())
    }

    /// What an expression gives; a promise is awaited.
    ///
    /// # Errors
    /// [`Trouble`] with what the script threw.
    pub async fn eval(&self, expression: &str) -> Result<Value, Trouble> {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", params).await?;
        match answer.get("exceptionDetails") {
            Some(thrown) => Err(Trouble(format!("`{expression}` threw {thrown}"))),
            None => Ok(answer.pointer("/result/value").cloned().unwrap_or(Value::Null)),
        }
    }

    /// Waits until an expression is true, and gives what it is.
    ///
    /// # Errors
    /// [`Trouble`] with what it was last, after a minute.
    pub async fn until(&self, expression: &str) -> Result<Value, Trouble> {
        let (began, mut last) = (Instant::now(), Ok(Value::Null));
        while began.elapsed() < PATIENCE {
            // While a page is being left its context is gone for a moment.
            last = self.eval(expression).await;
            if let Ok(value) = &last
                && !matches!(value, Value::Null | Value::Bool(false))
            {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let said = last.map_or_else(|trouble| trouble.0, |value| value.to_string());
        Err(Trouble(format!("waited {} seconds in vain for `{expression}`: {said}", PATIENCE.as_secs())))
    }

    /// Types text where the focus is.
    ///
    /// # Errors
    /// [`Trouble`] when the browser does not answer.
    pub async fn types(&self, text: &str) -> Result<(), Trouble> {
        self.call("Input.insertText", json!({ "text": text })).await.map(|_| ())
    }

    /// Presses a key: `Enter`, `Escape`, `Tab`, or `Shift+Tab`.
    ///
    /// # Errors
    /// [`Trouble`] when the browser does not answer.
    pub async fn press(&self, key: &str) -> Result<(), Trouble> {
        let (modifiers, key) = key.strip_prefix("Shift+").map_or((0, key), |key| (8, key));
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "Tab" => (9, ""),
            "Space" => (32, " "),
            other => return Err(Trouble(format!("no key `{other}`"))),
        };
        let key = if key == "Space" { " " } else { key };
        let mut event = json!({ "type": if text.is_empty() { "rawKeyDown" } else { "keyDown" }, "key": key,
            "windowsVirtualKeyCode": code, "modifiers": modifiers });
        if let (Some(event), false) = (event.as_object_mut(), text.is_empty()) {
            event.insert("text".to_owned(), json!(text));
        }
        self.call("Input.dispatchKeyEvent", event).await?;
        let up = json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers });
        self.call("Input.dispatchKeyEvent", up).await.map(|_| ())
    }

    /// Clicks in the middle of what an expression gives: an element.
    ///
    /// # Errors
    /// [`Trouble`] when there is no such element on the screen.
    pub async fn click(&self, element: &str) -> Result<(), Trouble> {
        let middle = format!(
            "(() => {{ const r = {element}.getBoundingClientRect(); return r.width ? [r.x + r.width / 2, r.y + r.height / 2] : null }})()"
        );
        let at = self.until(&middle).await?;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": at.get(0), "y": at.get(1), "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event).await?;
        }
        Ok(())
    }

    /// Takes the network away, or gives it back.
    ///
    /// # Errors
    /// [`Trouble`] when the browser does not answer.
    pub async fn offline(&self, offline: bool) -> Result<(), Trouble> {
        let conditions = json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.call("Network.emulateNetworkConditions", conditions).await.map(|_| ())
    }

    /// Another size of the window, in CSS pixels.
    ///
    /// # Errors
    /// [`Trouble`] when the browser does not answer.
    pub async fn resize(&self, width: u32, height: u32) -> Result<(), Trouble> {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await.map(|_| ())
    }

    /// What the person prefers: media features by name (`prefers-color-scheme`).
    ///
    /// # Errors
    /// [`Trouble`] when the browser does not answer.
    pub async fn prefers(&self, features: &[(&str, &str)]) -> Result<(), Trouble> {
        let features: Vec<_> = features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.call("Emulation.setEmulatedMedia", json!({ "features": features })).await.map(|_| ())
    }

    /// A picture of the window, as a PNG file.
    ///
    /// # Errors
    /// [`Trouble`] when it cannot be taken or written.
    pub async fn screenshot(&self, file: &Path) -> Result<(), Trouble> {
        let taken = self.call("Page.captureScreenshot", json!({ "format": "png" })).await?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text(&taken, "/data")?).map_err(Trouble::new)?;
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(Trouble::new)?;
        }
        std::fs::write(file, bytes).map_err(Trouble::new)
    }

    /// The events of one kind so far (`Runtime.exceptionThrown`), oldest first.
    pub fn events(&self, method: &str) -> Vec<Value> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().filter(|event| event.get("method").and_then(Value::as_str) == Some(method)).cloned().collect()
    }
}

fn text(value: &Value, pointer: &str) -> Result<String, Trouble> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| Trouble(format!("no `{pointer}` in {value}")))
}

type Answers = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;
type Events = Arc<Mutex<HashMap<String, Arc<Mutex<Vec<Value>>>>>>;

/// The connection to the browser: calls with their answers, and events by session.
#[derive(Debug, Clone)]
struct Wire {
    out: mpsc::UnboundedSender<String>,
    answers: Answers,
    events: Events,
    next: Arc<AtomicU64>,
}

impl Wire {
    async fn open(address: &str) -> Result<Self, Trouble> {
        let (stream, _) = connect_async(address).await.map_err(Trouble::new)?;
        let (mut sink, mut stream) = stream.split();
        let (out, mut waiting) = mpsc::unbounded_channel::<String>();
        let (answers, events) = (Answers::default(), Events::default());
        tokio::spawn(async move {
            while let Some(call) = waiting.recv().await {
                if sink.send(Message::text(call)).await.is_err() {
                    return;
                }
            }
        });
        let wire = Self { out, answers: Arc::clone(&answers), events: Arc::clone(&events), next: Arc::default() };
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let Ok(said) = serde_json::from_slice::<Value>(&message.into_data()) else { continue };
                if let Some(id) = said.get("id").and_then(Value::as_u64) {
                    let waits = answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                    waits.map(|waits| waits.send(said));
                } else if let Some(session) = said.get("sessionId").and_then(Value::as_str) {
                    let known = events.lock().unwrap_or_else(PoisonError::into_inner).get(session).cloned();
                    if let Some(known) = known {
                        known.lock().unwrap_or_else(PoisonError::into_inner).push(said);
                    }
                }
            }
            answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        });
        Ok(wire)
    }

    fn listen(&self, session: &str) -> Arc<Mutex<Vec<Value>>> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(events.entry(session.to_owned()).or_default())
    }

    async fn call(&self, session: Option<&str>, method: &str, params: Value) -> Result<Value, Trouble> {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let (answered, answer) = oneshot::channel();
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(id, answered);
        let mut call = json!({ "id": id, "method": method, "params": params });
        if let (Some(call), Some(session)) = (call.as_object_mut(), session) {
            call.insert("sessionId".to_owned(), json!(session));
        }
        self.out.send(call.to_string()).map_err(|_| Trouble::new("the browser is gone"))?;
        let mut said = timeout(PATIENCE, answer)
            .await
            .map_err(|_| Trouble(format!("the browser does not answer {method}")))?
            .map_err(|_| Trouble::new("the browser is gone"))?;
        match said.get("error") {
            Some(error) => Err(Trouble(format!("{method}: {error}"))),
            None => Ok(said.get_mut("result").map(Value::take).unwrap_or_default()),
        }
    }
}
