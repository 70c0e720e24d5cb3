// Transom's web chat widget: one classic script, no dependencies, no build step.
//
//   <script async src="https://chat.example/widget/v1/widget.js" data-widget="wgt_1" data-locale="de"
//           data-position="left" data-color="#0b6e4f"></script>
//   Transom('identify', { external_id, user_hash, name, email }) or Transom('identify', { jwt }); 'open', 'close', 'logout'
//
// It needs no inline script or style of the page's Content-Security-Policy, only script-src, connect-src and img-src for its
// own origin. What visitors and agents write becomes text nodes, never markup.
(() => {
  'use strict';
  const script = document.currentScript, options = script && script.dataset;
  if (!options || !options.widget || (window.Transom && window.Transom.loaded)) return;
  const base = new URL('.', script.src), key = options.widget;

  // ── Words ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
  const WORDS = {
    en: { title: 'Chat with us', open: 'Open chat', close: 'Close chat', unread: '{0} unread', log: 'Messages', hello: 'Hello! How can we help you?', write: 'Write a message', send: 'Send', attach: 'Attach a file', remove: 'Remove {0}', offline: 'You are offline. What you write is sent when you are back.', connecting: 'Connecting…', away: 'We are away at the moment and will answer here later.', typing: '{0} is typing…', team: 'Support', pending: 'Waiting to be sent', sent: 'Sent', delivered: 'Delivered', read: 'Read', failed: 'Not sent', retry: 'Try again', large: '{0} is too large', refused: '{0} cannot be sent', end: 'End chat', sure: 'End this chat?', ended: 'This chat has ended. Write to start again.', cancel: 'Cancel', email: 'Email for our answer', save: 'Save', saved: 'Thank you, we will write to you there.', deleted: 'Message deleted', blocked: 'You cannot write here at present.', dismiss: 'Dismiss' },
    de: { title: 'Schreiben Sie uns', open: 'Chat öffnen', close: 'Chat schließen', unread: '{0} ungelesen', log: 'Nachrichten', hello: 'Guten Tag! Wie können wir helfen?', write: 'Nachricht schreiben', send: 'Senden', attach: 'Datei anhängen', remove: '{0} entfernen', offline: 'Sie sind offline. Was Sie schreiben, wird später gesendet.', connecting: 'Verbindung wird hergestellt …', away: 'Wir sind gerade nicht da und antworten hier später.', typing: '{0} schreibt …', team: 'Support', pending: 'Wird noch gesendet', sent: 'Gesendet', delivered: 'Zugestellt', read: 'Gelesen', failed: 'Nicht gesendet', retry: 'Erneut versuchen', large: '{0} ist zu groß', refused: '{0} kann nicht gesendet werden', end: 'Chat beenden', sure: 'Diesen Chat beenden?', ended: 'Dieser Chat ist beendet. Schreiben Sie, um neu zu beginnen.', cancel: 'Abbrechen', email: 'E-Mail für unsere Antwort', save: 'Speichern', saved: 'Danke, wir schreiben Ihnen dorthin.', deleted: 'Nachricht gelöscht', blocked: 'Sie können hier zurzeit nicht schreiben.', dismiss: 'Verwerfen' },
    fr: { title: 'Écrivez-nous', open: 'Ouvrir le chat', close: 'Fermer le chat', unread: '{0} non lus', log: 'Messages', hello: 'Bonjour ! Comment pouvons-nous vous aider ?', write: 'Écrire un message', send: 'Envoyer', attach: 'Joindre un fichier', remove: 'Retirer {0}', offline: 'Vous êtes hors ligne. Vos messages partiront à votre retour.', connecting: 'Connexion…', away: 'Nous sommes absents et vous répondrons ici plus tard.', typing: '{0} écrit…', team: 'Assistance', pending: 'En attente d’envoi', sent: 'Envoyé', delivered: 'Distribué', read: 'Lu', failed: 'Non envoyé', retry: 'Réessayer', large: '{0} est trop volumineux', refused: '{0} ne peut pas être envoyé', end: 'Terminer', sure: 'Terminer cette conversation ?', ended: 'La conversation est terminée. Écrivez pour recommencer.', cancel: 'Annuler', email: 'E-mail pour notre réponse', save: 'Enregistrer', saved: 'Merci, nous vous y répondrons.', deleted: 'Message supprimé', blocked: 'Vous ne pouvez pas écrire ici pour le moment.', dismiss: 'Ignorer' },
    es: { title: 'Escríbanos', open: 'Abrir el chat', close: 'Cerrar el chat', unread: '{0} sin leer', log: 'Mensajes', hello: '¡Hola! ¿En qué podemos ayudarle?', write: 'Escriba un mensaje', send: 'Enviar', attach: 'Adjuntar un archivo', remove: 'Quitar {0}', offline: 'No tiene conexión. Lo que escriba se enviará cuando vuelva.', connecting: 'Conectando…', away: 'Ahora no estamos; le responderemos aquí más tarde.', typing: '{0} está escribiendo…', team: 'Atención al cliente', pending: 'Pendiente de envío', sent: 'Enviado', delivered: 'Entregado', read: 'Leído', failed: 'No enviado', retry: 'Reintentar', large: '{0} es demasiado grande', refused: '{0} no se puede enviar', end: 'Terminar el chat', sure: '¿Terminar este chat?', ended: 'El chat ha terminado. Escriba para empezar de nuevo.', cancel: 'Cancelar', email: 'Correo para nuestra respuesta', save: 'Guardar', saved: 'Gracias, le escribiremos allí.', deleted: 'Mensaje eliminado', blocked: 'Por ahora no puede escribir aquí.', dismiss: 'Descartar' },
    ar: { title: 'تحدث معنا', open: 'فتح المحادثة', close: 'إغلاق المحادثة', unread: '{0} غير مقروءة', log: 'الرسائل', hello: 'مرحبًا! كيف يمكننا مساعدتك؟', write: 'اكتب رسالة', send: 'إرسال', attach: 'إرفاق ملف', remove: 'إزالة {0}', offline: 'أنت غير متصل. سيُرسل ما تكتبه عند عودتك.', connecting: 'جارٍ الاتصال…', away: 'لسنا متاحين الآن وسنرد عليك هنا لاحقًا.', typing: '{0} يكتب…', team: 'الدعم', pending: 'بانتظار الإرسال', sent: 'أُرسلت', delivered: 'وصلت', read: 'قُرئت', failed: 'لم تُرسل', retry: 'إعادة المحاولة', large: '{0} كبير جدًا', refused: 'لا يمكن إرسال {0}', end: 'إنهاء المحادثة', sure: 'هل تريد إنهاء المحادثة؟', ended: 'انتهت المحادثة. اكتب لتبدأ من جديد.', cancel: 'إلغاء', email: 'بريدك الإلكتروني لنرد عليك', save: 'حفظ', saved: 'شكرًا، سنكتب إليك هناك.', deleted: 'حُذفت الرسالة', blocked: 'لا يمكنك الكتابة هنا حاليًا.', dismiss: 'تجاهل' },
    he: { title: 'דברו איתנו', open: 'פתיחת הצ׳אט', close: 'סגירת הצ׳אט', unread: '{0} שלא נקראו', log: 'הודעות', hello: 'שלום! איך אפשר לעזור?', write: 'כתיבת הודעה', send: 'שליחה', attach: 'צירוף קובץ', remove: 'הסרת {0}', offline: 'אין חיבור. מה שייכתב יישלח כשהחיבור יחזור.', connecting: 'מתחברים…', away: 'איננו זמינים כרגע ונענה כאן מאוחר יותר.', typing: '{0} מקליד/ה…', team: 'תמיכה', pending: 'ממתינה לשליחה', sent: 'נשלחה', delivered: 'נמסרה', read: 'נקראה', failed: 'לא נשלחה', retry: 'ניסיון נוסף', large: '{0} גדול מדי', refused: 'אי אפשר לשלוח את {0}', end: 'סיום הצ׳אט', sure: 'לסיים את הצ׳אט?', ended: 'הצ׳אט הסתיים. אפשר לכתוב כדי להתחיל מחדש.', cancel: 'ביטול', email: 'דוא״ל לתשובה שלנו', save: 'שמירה', saved: 'תודה, נכתוב לשם.', deleted: 'ההודעה נמחקה', blocked: 'אי אפשר לכתוב כאן כרגע.', dismiss: 'הסרה' },
    ja: { title: 'チャットで問い合わせ', open: 'チャットを開く', close: 'チャットを閉じる', unread: '未読 {0} 件', log: 'メッセージ', hello: 'こんにちは。どのようなご用件でしょうか。', write: 'メッセージを入力', send: '送信', attach: 'ファイルを添付', remove: '{0} を削除', offline: 'オフラインです。入力した内容は再接続時に送信されます。', connecting: '接続しています…', away: 'ただいま不在です。後ほどこちらで返信します。', typing: '{0}さんが入力中…', team: 'サポート', pending: '送信待ち', sent: '送信済み', delivered: '配信済み', read: '既読', failed: '送信できませんでした', retry: '再試行', large: '{0} は大きすぎます', refused: '{0} は送信できません', end: 'チャットを終了', sure: 'このチャットを終了しますか。', ended: 'チャットは終了しました。入力すると再開できます。', cancel: 'キャンセル', email: '返信先のメールアドレス', save: '保存', saved: 'ありがとうございます。そちらへご連絡します。', deleted: 'メッセージは削除されました', blocked: '現在ここには書き込めません。', dismiss: '閉じる' },
  };
  const wanted = options.locale || document.documentElement.lang || navigator.language || 'en';
  const locale = Intl.getCanonicalLocales && /^[a-z]{2,3}(-[a-z0-9]+)*$/i.test(wanted) ? wanted : 'en';
  const language = locale.slice(0, 2).toLowerCase(), rtl = ['ar', 'he', 'fa', 'ur'].includes(language);
  const say = (word, value) => (WORDS[language] || WORDS.en)[word].replace('{0}', value);
  const clock = new Intl.DateTimeFormat(locale, { hour: 'numeric', minute: '2-digit' });
  const calendar = new Intl.DateTimeFormat(locale, { dateStyle: 'medium' });

  // ── What is kept on this device ────────────────────────────────────────────────────────────────────────────────────────
  // One storage item per waiting message: tabs that write at the same time cannot lose each other's. Last event number and
  // messages are one item, so that they always fit each other.
  const memory = new Map(), spot = (name) => `transom:${key}:${name}`;
  const store = {
    get(name) {
      try { return JSON.parse(localStorage.getItem(spot(name)) || 'null'); } catch { return memory.get(name) || null; }
    },
    put(name, value) {
      memory.set(name, value);
      try { localStorage.setItem(spot(name), JSON.stringify(value)); } catch { /* storage is full or forbidden */ }
    },
    drop(name) {
      memory.delete(name);
      try { localStorage.removeItem(spot(name)); } catch { /* forbidden: then nothing was stored */ }
    },
    names() {
      try { return Object.keys(localStorage).filter((n) => n.startsWith(spot(''))).map((n) => n.slice(spot('').length)); }
      catch { return [...memory.keys()]; }
    },
  };
  const uuid = () => (crypto.randomUUID ? crypto.randomUUID() : '10000000-1000-4000-8000-100000000000'.replace(/[018]/g,
    (c) => (c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (c / 4)))).toString(16)));

  const KEPT = 60, PAGE = 30;
  const state = {
    seq: 0, ahead: [], messages: [], conversation: null, readUpTo: null, theirs: {}, closed: false, // kept
    online: false, identity: null, agents: true, agent: null, typing: null, settings: {}, older: true, loading: false,
    files: [], failed: {}, notice: null, blocked: false, open: false, asking: false, email: false, config: {},
  };
  const load = () => Object.assign(state, { email: Boolean(store.get('email')), seq: 0, ahead: [], before: null, messages: [], conversation: null, readUpTo: null, theirs: {}, closed: false },
    store.get('log'));
  const keep = () => {
    const { seq, ahead, conversation, readUpTo, theirs, closed } = state;
    // The addresses of files end sooner than what is stored.
    const messages = state.messages.slice(-KEPT).map((one) => (one.attachments && one.attachments.length
      ? { ...one, attachments: one.attachments.map(({ url, ...file }) => file) } : one));
    store.put('log', { seq, ahead, messages, conversation, readUpTo, theirs, closed });
  };
  const waiting = () => store.names().filter((n) => n.startsWith('out:')).sort().map((n) => ({ name: n, ...store.get(n) }));

  // ── The line to the service: a WebSocket, else a stream of events and one POST a frame ─────────────────────────────────
  const line = { up: null, tries: 0, timer: 0, heard: 0, said: 0, lame: 0, held: false, sending: null };
  const url = (path, more) => `${new URL(path, base).href}?${new URLSearchParams({ widget: key, ...more })}`;
  const bearer = () => ({ authorization: `Bearer ${store.get('token') || ''}` });

  function socket(hello, on) {
    const ws = new WebSocket(url('ws').replace(/^http/, 'ws'), 'chat.v1.json');
    ws.onopen = () => ws.send(JSON.stringify(hello));
    ws.onmessage = (event) => on.frame(JSON.parse(event.data));
    ws.onclose = (event) => on.close(event.code);
    return { send: (frame) => ws.readyState === 1 && ws.send(JSON.stringify(frame)), close: () => ws.close() };
  }

  async function stream(hello, on) {
    const gone = new AbortController();
    const post = async (path, body) => {
      const answer = await fetch(url(path), {
        method: 'POST', body: JSON.stringify(body), signal: gone.signal,
        headers: { 'content-type': 'application/json', ...(store.get('token') && bearer()) },
      });
      const said = answer.status === 204 ? null : await answer.json();
      if (said) on.frame(answer.ok ? { type: 'welcome', ...said } : { ...said, type: 'error', client_id: body.client_id });
      return answer.ok;
    };
    const listen = async () => {
      const ticket = await fetch(url('ticket'), { method: 'POST', signal: gone.signal, headers: bearer() });
      const more = { ticket: (await ticket.json()).ticket, last_seq: state.seq };
      const answer = await fetch(url('events', more), { signal: gone.signal, cache: 'no-store' });
      if (!ticket.ok || !answer.ok) throw new Error(answer.status);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = '', read; !(read = await reader.read()).done;) {
        line.heard = Date.now();
        const events = (rest + read.value).split('\n\n');
        rest = events.pop();
        for (const event of events) {
          const data = event.split('\n').filter((l) => l.startsWith('data:')).map((l) => l.slice(5).trim()).join('\n');
          if (data) on.frame(JSON.parse(data));
        }
      }
    };
    const end = () => { if (!gone.signal.aborted) { gone.abort(); on.close(1006); } };
    post('session', hello).then((ok) => (ok ? listen() : null)).then(end, end);
    return {
      send: (frame) => frame.type !== 'ping' && post('messages', frame).catch(end),
      close: () => { gone.abort(); on.close(1000); },
    };
  }

  function connect() {
    clearTimeout(line.timer);
    if (line.up || line.held || navigator.onLine === false) return render();
    const token = store.get('token');
    line.token = token;
    const hello = {
      type: 'hello', v: 1, ...(token && { token }), ...(state.identity && { identity: state.identity }),
      ...(state.profile && { profile: state.profile }), last_seq: state.seq,
      device: matchMedia('(max-width: 480px)').matches ? 'phone' : 'desktop', locale,
      page: { url: location.href, title: document.title, referrer: document.referrer },
    };
    // A proxy that lets no WebSocket through shows as attempts without a welcome: then every second one is a stream.
    const open = window.WebSocket && (line.lame < 2 || line.tries % 2) ? socket : stream;
    const up = { send: () => 0, close: () => 0 };
    line.up = up;
    line.heard = Date.now();
    const on = {
      frame: (frame) => { if (line.up === up) { line.heard = Date.now(); receive(frame); } },
      close: (code) => { if (line.up === up) lost(code, open === socket); },
    };
    Promise.resolve(open(hello, on)).then((made) => (line.up === up ? Object.assign(up, made) : made.close()));
    render();
  }

  function hangUp() {
    const up = line.up;
    line.up = null;
    line.sending = null;
    state.online = false;
    if (up) up.close();
  }

  function lost(code, wasSocket) {
    if (!state.online && wasSocket) line.lame += 1;
    hangUp();
    if (code === 4401 && !line.held) forget();
    // 4409: newer tabs took the places; this one comes back when it is looked at. 4403 is for good.
    if (code === 4403) line.held = true;
    if (code !== 4409 || !document.hidden) retry(code === 1012 ? 5000 : 0);
    render();
  }

  /** Full jitter over half a second that doubles up to thirty. */
  function retry(least) {
    clearTimeout(line.timer);
    const span = Math.max(least, Math.min(30000, 500 * 2 ** line.tries));
    line.tries += 1;
    line.timer = setTimeout(connect, Math.random() * span);
  }

  function again() {
    if (!line.up) { line.tries = 0; connect(); }
  }

  function send(frame) {
    if (!state.online) return;
    line.said = Date.now();
    line.up.send(frame);
  }

  setInterval(() => {
    const now = Date.now(), beat = (state.settings.heartbeat_s || 25) * 1000;
    if (line.up && now - line.heard > 60000) { hangUp(); retry(0); render(); }
    else if (now - line.said > beat - 5000) send({ type: 'ping', t: now });
  }, 5000);

  // ── What arrives ───────────────────────────────────────────────────────────────────────────────────────────────────────
  function receive(frame) {
    // Delivered at least once: what was stored already is dropped. Own messages come as answers, so out of turn.
    if (frame.seq && (frame.seq <= state.seq || state.ahead.includes(frame.seq))) {
      if (frame.type !== 'ack') return;
    } else if (frame.seq) state.ahead.push(frame.seq);
    if (handlers[frame.type]) handlers[frame.type](frame);
    for (let at; (at = state.ahead.indexOf(state.seq + 1)) >= 0; state.seq += 1) state.ahead.splice(at, 1);
    keep();
    // Stored, so ours to confirm: then it counts as delivered.
    if (frame.seq && frame.type !== 'ack') {
      clearTimeout(line.confirms);
      line.confirms = setTimeout(() => send({ type: 'ack', seq: state.seq }), 100);
    }
    render();
  }

  const handlers = {
    welcome(frame) {
      if (frame.token) { store.put('token', frame.token); line.token = frame.token; }
      if (store.get('visitor') !== frame.visitor_id) { clear(); store.put('visitor', frame.visitor_id); }
      if (frame.resume === 'reset') clear();
      const open = (frame.conversations || []).find((one) => one.status !== 'closed');
      state.conversation = (open || (frame.conversations || [])[0] || {}).id || null;
      state.closed = Boolean(state.conversation && !open);
      state.settings = frame.settings || {};
      state.agents = !state.settings.offline;
      Object.assign(state, { online: true, blocked: false, older: true, readSent: null });
      Object.assign(line, { tries: 0, lame: 0 });
      if (frame.resume === 'reset') state.seq = frame.last_seq;
      // Files are fetched anew, for their addresses.
      if (!state.messages.length || state.messages.some((one) => (one.attachments || []).some((file) => !file.url))) history();
      send({ type: 'presence', state: document.hidden ? 'hidden' : 'active' });
      flush();
    },
    ack(frame) {
      const out = waiting().find((one) => one.client_id === frame.client_id);
      if (out) {
        store.drop(out.name);
        add({ id: frame.message_id, client_id: out.client_id, from: { kind: 'visitor' }, text: out.text,
          attachments: out.files, created_at: frame.created_at });
      }
      state.conversation = state.conversation || `c_${store.get('visitor')}`;
      state.closed = false;
      line.sending = null;
      flush();
    },
    message(frame) {
      state.conversation = frame.conversation_id;
      state.typing = null;
      add(frame.message);
      if (frame.message.from.kind === 'agent') {
        state.agent = frame.message.from;
        if (!state.open) state.teaser = frame.message.id;
      }
    },
    message_updated(frame) {
      const known = state.messages.find((one) => one.id === (frame.message || frame).id);
      if (known) Object.assign(known, frame.message || {});
    },
    message_deleted(frame) {
      const known = state.messages.find((one) => one.id === frame.message_id);
      if (known) Object.assign(known, { text: '', attachments: [], buttons: [], deleted: true });
    },
    history(frame) {
      state.loading = false;
      Object.assign(state, { before: frame.before, older: Boolean(frame.before) });
      frame.messages.forEach(add);
      if (state.seq) send({ type: 'ack', seq: state.seq });
    },
    typing(frame) {
      clearTimeout(state.typingTimer);
      state.typing = frame.on ? frame.from || {} : null;
      state.typingTimer = setTimeout(() => { state.typing = null; render(); }, 6000);
    },
    receipt(frame) { state.theirs[frame.state] = frame.up_to; },
    conversation(frame) {
      state.conversation = frame.conversation_id;
      state.closed = frame.status === 'closed';
      if (frame.assignee) state.agent = typeof frame.assignee === 'string' ? { name: frame.assignee } : frame.assignee;
    },
    presence(frame) { state.agents = frame.online; state.expected = frame.expected_reply; },
    error(frame) {
      const out = waiting().find((one) => one.client_id === frame.client_id);
      if (out) line.sending = null;
      if (frame.code === 'unauthorized') { forget(); hangUp(); retry(0); }
      else if (/^identity_/.test(frame.code)) {
        // The site has to say anew who this is: nobody is made anonymous in silence.
        hangUp();
        line.held = true;
        window.dispatchEvent(new CustomEvent(`transom:${frame.code}`, { detail: frame.message }));
      } else if (frame.code === 'blocked') state.blocked = true;
      else if (frame.code === 'rate_limited' || frame.code === 'unavailable') {
        if (out) setTimeout(flush, 1000 * (frame.retry_after || 2));
      } else if (frame.code === 'conversation_closed') { state.conversation = null; flush(); }
      else if (out) { store.put(out.name, { ...store.get(out.name), failed: true }); flush(); }
    },
  };

  /** Puts a message where its time belongs, once. */
  function add(message) {
    const same = (one) => one.id === message.id || (message.client_id && one.client_id === message.client_id);
    const known = state.messages.find(same);
    if (known) return void Object.assign(known, message);
    const out = message.client_id && waiting().find((one) => one.client_id === message.client_id);
    if (out) { store.drop(out.name); line.sending = line.sending === out.client_id ? null : line.sending; }
    // By time, not by text: `.5Z` is later than `.48Z`.
    const time = (one) => Date.parse(one.created_at);
    let at = state.messages.length;
    while (at && time(state.messages[at - 1]) > time(message)) at -= 1;
    state.messages.splice(at, 0, message);
  }

  const clear = () => Object.assign(state, { seq: 0, ahead: [], before: null, messages: [], conversation: null, readUpTo: null, theirs: {}, closed: false });
  /** Nothing of this visitor stays but what is not sent yet. */
  const forget = () => { ['token', 'visitor', 'log', 'email'].forEach(store.drop); state.email = false; clear(); };

  // ── What leaves ────────────────────────────────────────────────────────────────────────────────────────────────────────
  let writes = 0;
  function post(item) {
    const order = `${String(Date.now()).padStart(15, '0')}${String(writes += 1).padStart(5, '0')}`, client_id = uuid();
    store.put(`out:${order}:${client_id}`, { client_id, at: new Date().toISOString(), ...item });
    state.notice = null;
    flush();
    render(true);
  }

  /** One message at a time, the oldest first: the next leaves when the service has answered for the last. */
  function flush() {
    if (!state.online || line.sending) return;
    const next = waiting().find((one) => !one.failed);
    if (!next) return;
    line.sending = next.client_id;
    const { client_id, text, button, files } = next;
    const conversation = state.conversation && { conversation_id: state.conversation };
    send(button ? { type: 'button', client_id, ...button } : { type: 'message', client_id, ...conversation, ...(text && { text }),
      ...(files && { attachments: files.map((file) => file.upload_id) }) });
  }

  function history() {
    if (!state.conversation || state.loading || !state.online) return;
    state.loading = true;
    send({ type: 'fetch', conversation_id: state.conversation, ...(state.before && { before: state.before }), limit: PAGE });
  }

  /** What is on the screen has been read. */
  function seen() {
    const last = [...state.messages].reverse().find((one) => one.from.kind !== 'visitor');
    if (!last || !state.open || document.hidden || !atEnd()) return;
    if (state.readUpTo !== last.id) { state.readUpTo = last.id; keep(); count(); }
    if (state.online && state.readSent !== last.id) {
      state.readSent = last.id;
      send({ type: 'read', conversation_id: state.conversation, up_to: last.id });
    }
  }

  let typed = 0;
  function typing(on) {
    if (!state.conversation || (on ? Date.now() - typed < 3000 : !typed)) return;
    typed = on ? Date.now() : 0;
    send({ type: 'typing', conversation_id: state.conversation, on });
  }

  async function upload(file) {
    const entry = { name: file.name || 'image.png', size: file.size, type: file.type };
    if (file.size > (state.settings.max_upload || 20 << 20)) { state.notice = say('large', entry.name); return render(); }
    state.files.push(entry);
    render();
    try {
      const headers = { ...bearer(), 'content-type': file.type || 'application/octet-stream' };
      const answer = await fetch(url('uploads', { name: entry.name }), { method: 'POST', body: file, headers });
      if (!answer.ok) throw new Error(answer.status);
      Object.assign(entry, await answer.json());
    } catch {
      state.files = state.files.filter((one) => one !== entry);
      state.notice = say('refused', entry.name);
    }
    render();
  }

  // ── What is seen ───────────────────────────────────────────────────────────────────────────────────────────────────────
  const STYLE = `
:host { all: initial; --c: #1f5fd0; --on-c: #fff; --bg: #fff; --fg: #1b1f24; --soft: #eef1f4; --mute: #566070; --line: #dde2e8; --warn: #fff4d6; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :host { --bg: #16191d; --fg: #eceff3; --soft: #2a3037; --mute: #aab4c0; --line: #39414a; --warn: #40351a; --bad: #ffb4ab; } }
* { box-sizing: border-box; margin: 0; font: inherit; color: inherit; }
.all { font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; color: var(--fg); }
button { background: none; border: 0; cursor: pointer; padding: 0; }
:focus-visible { outline: 3px solid var(--fg); outline-offset: 2px; }
.head :focus-visible { outline-color: var(--on-c); outline-offset: -2px; }
[hidden] { display: none !important; }
svg { width: 24px; height: 24px; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; display: block; }
.launcher, .panel, .teaser { position: fixed; z-index: 2147483000; right: 20px; }
.left .launcher, .left .panel, .left .teaser { right: auto; left: 20px; }
.launcher { bottom: 20px; width: 60px; height: 60px; border-radius: 50%; background: var(--c); color: var(--on-c); box-shadow: 0 4px 16px #0005; display: grid; place-items: center; }
.launcher svg { width: 28px; height: 28px; }
.badge { position: absolute; top: -4px; inset-inline-end: -4px; min-width: 24px; height: 24px; padding: 0 6px; border-radius: 12px; background: #b3261e; color: #fff; font-size: 13px; font-weight: 600; line-height: 24px; text-align: center; }
.teaser { bottom: 94px; width: min(320px, calc(100vw - 40px)); display: flex; align-items: flex-start; gap: 4px; background: var(--bg); border: 1px solid var(--line); border-radius: 14px; box-shadow: 0 6px 24px #0003; }
.teaser .text { flex: 1; min-width: 0; text-align: start; padding: 12px 0 12px 14px; overflow-wrap: anywhere; }
.teaser .text span { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.panel { bottom: 20px; width: 384px; height: min(660px, calc(100dvh - 40px)); display: flex; flex-direction: column; overflow: hidden; background: var(--bg); border: 1px solid var(--line); border-radius: 16px; box-shadow: 0 12px 40px #0004; animation: rise .18s ease-out; }
.head { display: flex; align-items: center; gap: 12px; padding: 14px 12px 14px 16px; background: var(--c); color: var(--on-c); }
[dir=rtl] .head { padding: 14px 16px 14px 12px; }
.face { flex: none; width: 40px; height: 40px; border-radius: 50%; display: grid; place-items: center; border: 2px solid; font-weight: 600; font-size: 17px; }
.who { flex: 1; min-width: 0; }
.who h2, .who p { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.who h2 { font-size: 16px; font-weight: 600; line-height: 1.3; }
.who p { font-size: 13px; }
.icon { flex: none; width: 40px; height: 40px; display: grid; place-items: center; border-radius: 10px; }
.icon:hover { background: #8883; }
.note { padding: 9px 16px; background: var(--warn); font-size: 14px; display: flex; flex-wrap: wrap; gap: 6px 14px; align-items: center; }
.note button { font-weight: 600; text-decoration: underline; min-height: 24px; }
.note span { flex: 1; }
ol { flex: 1; overflow-y: auto; overscroll-behavior: contain; list-style: none; padding: 16px; display: flex; flex-direction: column; }
ol:focus-visible { outline-offset: -3px; }
ol > :first-child { margin-top: auto; }
.day span { display: inline-block; } .day span::first-letter { text-transform: uppercase; }
.day { align-self: center; padding: 4px 0 10px; color: var(--mute); font-size: 13px; }
.msg { max-width: 84%; align-self: flex-start; margin-bottom: 3px; }
.msg.last { margin-bottom: 12px; }
.mine { align-self: flex-end; display: flex; flex-direction: column; align-items: flex-end; }
.by, .meta { color: var(--mute); font-size: 13px; padding: 0 4px; }
.by { padding-bottom: 3px; }
.meta { padding-top: 3px; }
.meta button { color: var(--bad); font-weight: 600; text-decoration: underline; min-height: 24px; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.bubble { padding: 9px 13px; border-radius: 16px; background: var(--soft); width: fit-content; max-width: 100%; }
.mine .bubble { background: var(--c); color: var(--on-c); }
.msg.last .bubble { border-end-start-radius: 5px; }
.mine.last .bubble { border-end-start-radius: 16px; border-end-end-radius: 5px; }
.gone { font-style: italic; }
.bubble a { text-decoration: underline; }
.file { display: flex; gap: 8px; align-items: center; }
.file svg { flex: none; width: 18px; height: 18px; }
.bubble img { display: block; max-width: 100%; max-height: 220px; border-radius: 8px; margin: 3px 0; }
.choices { display: flex; flex-wrap: wrap; gap: 8px; padding: 8px 0 4px; }
.choices > * { min-height: 40px; text-decoration: none; padding: 6px 14px; border: 1.5px solid var(--mute); border-radius: 20px; overflow-wrap: anywhere; }
.choices > :hover { background: var(--soft); }
.typing { color: var(--mute); font-size: 13px; padding: 0 20px 8px; min-height: 27px; }
.typing i { display: inline-block; width: 5px; height: 5px; margin-inline-end: 3px; border-radius: 50%; background: currentColor; animation: blink 1.2s infinite; }
.typing i:nth-child(2) { animation-delay: .2s; } .typing i:nth-child(3) { animation-delay: .4s; margin-inline-end: 8px; }
.files { display: flex; flex-wrap: wrap; gap: 6px; padding: 0 12px 8px; }
.files span { display: flex; align-items: center; gap: 2px; max-width: 100%; background: var(--soft); border-radius: 10px; padding-inline-start: 10px; font-size: 14px; }
.files b { font-weight: 400; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.files .icon { width: 28px; height: 28px; } .files svg { width: 16px; height: 16px; }
.files .wait { opacity: .6; }
form { display: flex; align-items: flex-end; gap: 4px; padding: 8px; border-top: 1px solid var(--line); padding-bottom: max(8px, env(safe-area-inset-bottom)); }
form.mail { padding: 8px 16px; align-items: center; gap: 8px; }
textarea, input[type=email] { flex: 1; min-width: 0; resize: none; border: 1px solid var(--mute); border-radius: 12px; padding: 8px 12px; background: var(--bg); font-size: 16px; line-height: 22px; max-height: 128px; min-height: 40px; }
::placeholder { color: var(--mute); opacity: 1; }
textarea:focus-visible, input:focus-visible { outline: 2px solid var(--fg); outline-offset: -1px; }
.send { background: var(--c); color: var(--on-c); }
.send:hover { background: var(--c); filter: brightness(.92); }
.send:disabled { background: var(--soft); color: var(--mute); cursor: default; }
[dir=rtl] .send svg { transform: scaleX(-1); }
.solid { min-height: 40px; padding: 0 14px; border-radius: 12px; background: var(--c); color: var(--on-c); font-weight: 600; }
@keyframes rise { from { opacity: 0; transform: translateY(12px); } }
@keyframes blink { 50% { opacity: .2; } }
@media (max-width: 480px) {
  .panel, .left .panel { inset: 0; width: 100%; height: var(--tall, 100dvh); border: 0; border-radius: 0; }
  .head { padding-top: max(14px, env(safe-area-inset-top)); }
}
.frame .panel { inset: 0; width: 100%; height: 100%; border: 0; border-radius: 0; animation: none; }
.frame .shut { display: none; }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; } }
`;
  const SHAPES = {
    chat: 'M6 4h12a3 3 0 0 1 3 3v7a3 3 0 0 1-3 3h-6l-5 4v-4H6a3 3 0 0 1-3-3V7a3 3 0 0 1 3-3zM8 9h8M8 12.5h5', close: 'M6 6l12 12M18 6L6 18', send: 'M4 12h15M13 6l6 6-6 6',
    clip: 'M20 11.5l-8.2 8.2a5.2 5.2 0 0 1-7.4-7.4l8.5-8.5a3.5 3.5 0 0 1 5 5l-8.5 8.5a1.7 1.7 0 0 1-2.5-2.5l7.8-7.8', out: 'M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4M4 12h11M8 8l-4 4 4 4',
    file: 'M13 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V9zM13 3v6h6',
  };
  const SVG = 'http://www.w3.org/2000/svg';

  function h(tag, props, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(props || {})) {
      if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
      else if (name in element && !/^(role|form|dir)$/.test(name)) element[name] = value;
      else if (value != null && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child != null && child !== false));
    return element;
  }
  function icon(name) {
    const [svg, path] = ['svg', 'path'].map((tag) => document.createElementNS(SVG, tag));
    svg.setAttribute('viewBox', '0 0 24 24');
    svg.setAttribute('aria-hidden', 'true');
    path.setAttribute('d', SHAPES[name]);
    svg.append(path);
    return svg;
  }
  const push = (name, shape, onclick) => h('button', { type: 'button', className: 'icon', 'aria-label': name, title: name, onclick }, icon(shape));
  /** Names cannot turn the text around them about. */
  const plain = (name) => String(name || '').replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '').slice(0, 100);

  function safe(address) {
    try {
      const found = new URL(address, base);
      return ['http:', 'https:', 'mailto:', 'tel:'].includes(found.protocol) ? found.href : null;
    } catch { return null; }
  }
  const link = (href, ...children) => h('a', { href, target: '_blank', rel: 'noopener noreferrer nofollow' }, ...children);

  /** Text with its links as links, and everything else as the text it is. */
  function words(text) {
    const parts = [];
    let at = 0;
    for (const match of text.matchAll(/(?:https?:\/\/|mailto:|tel:)[^\s<>"'`]+[^\s<>"'`.,;:!?)\]}]/gi)) {
      const href = safe(match[0]);
      if (!href) continue;
      parts.push(text.slice(at, match.index), link(href, match[0]));
      at = match.index + match[0].length;
    }
    return [...parts, text.slice(at)];
  }

  const host = h('div', { id: 'transom-chat' }), shadow = host.attachShadow({ mode: 'open' });
  const ui = {};
  const framed = 'frame' in options;
  const side = options.position === 'left' || options.position === 'right' ? options.position : rtl ? 'left' : 'right';

  function build() {
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      shadow.adoptedStyleSheets = [sheet];
    } catch { shadow.append(h('style', { textContent: STYLE })); }
    ui.badge = h('span', { className: 'badge', hidden: true });
    ui.launcher = h('button', { type: 'button', className: 'launcher', 'aria-haspopup': 'dialog', onclick: () => toggle(true) }, icon('chat'), ui.badge);
    ui.teaser = h('div', { className: 'teaser', role: 'status', hidden: true });
    ui.face = h('div', { className: 'face', 'aria-hidden': 'true' });
    ui.name = h('bdi');
    ui.about = h('p');
    ui.end = push(say('end'), 'out', () => { state.asking = true; render(); ui.note.querySelector('button').focus(); });
    ui.shut = push(say('close'), 'close', () => toggle(false));
    ui.shut.classList.add('shut');
    ui.note = h('div', { className: 'note', role: 'status' });
    ui.log = h('ol', { role: 'log', 'aria-live': 'polite', 'aria-label': say('log'), tabIndex: 0, onscroll: () => {
      // A log that is just given another height scrolls by itself: that is nobody's wish to look elsewhere.
      if (ui.log.clientHeight === height || !window.ResizeObserver) pinned = atEnd();
      if (ui.log.scrollTop < 80 && state.older) history();
      seen();
    } });
    ui.typing = h('div', { className: 'typing', role: 'status', 'aria-live': 'polite' });
    ui.files = h('div', { className: 'files' });
    ui.pick = h('input', { type: 'file', multiple: true, hidden: true, onchange: () => { [...ui.pick.files].slice(0, 5 - state.files.length).forEach(upload); ui.pick.value = ''; } });
    ui.attach = push(say('attach'), 'clip', () => ui.pick.click());
    ui.text = h('textarea', { rows: 1, maxLength: 4000, placeholder: say('write'), 'aria-label': say('write'), enterkeyhint: 'send',
      oninput: () => { typing(true); render(); }, onblur: () => typing(false),
      onpaste: (event) => [...event.clipboardData.files].forEach(upload),
      onkeydown: (event) => { if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); submit(); } } });
    ui.send = h('button', { type: 'submit', className: 'icon send', 'aria-label': say('send'), title: say('send') }, icon('send'));
    ui.address = h('input', { type: 'email', required: true, autocomplete: 'email', placeholder: say('email'), 'aria-label': say('email') });
    ui.mail = h('form', { className: 'mail', onsubmit: (event) => {
      event.preventDefault();
      send({ type: 'email', address: ui.address.value.trim() });
      Object.assign(state, { email: true, notice: say('saved') });
      store.put('email', true);
      render();
      ui.text.focus();
    } }, ui.address, h('button', { className: 'solid' }, say('save')));
    ui.form = h('form', { onsubmit: (event) => { event.preventDefault(); submit(); } }, ui.attach, ui.pick, ui.text, ui.send);
    ui.panel = h('div', { className: 'panel', role: 'dialog', 'aria-modal': 'true', 'aria-labelledby': 'name', hidden: true, onkeydown: keys,
      ondragover: (event) => event.preventDefault(), ondrop: (event) => { event.preventDefault(); [...event.dataTransfer.files].forEach(upload); } },
    h('div', { className: 'head' }, ui.face, h('div', { className: 'who' }, h('h2', { id: 'name' }, ui.name), ui.about), ui.end, ui.shut),
    ui.note, ui.log, ui.typing, ui.mail, ui.files, ui.form);
    ui.all = h('div', { className: `all ${side}${framed ? ' frame' : ''}`, dir: rtl ? 'rtl' : 'ltr', lang: WORDS[language] ? language : 'en' }, ui.launcher, ui.teaser, ui.panel);
    shadow.append(ui.all);
    document.body.append(host);
    if (window.ResizeObserver) new ResizeObserver(() => { height = ui.log.clientHeight; if (pinned) toEnd(); }).observe(ui.log);
    if (options.color) paint(options.color);
    const tall = () => host.style.setProperty('--tall', `${visualViewport.height}px`);
    if (window.visualViewport) { visualViewport.addEventListener('resize', tall); tall(); }
  }

  /** The site's colour, and whichever of black and white is better read on it: one of them always reaches 4.5 to 1. */
  function paint(color) {
    if (!CSS.supports('color', color)) return;
    host.style.color = color;
    const light = (getComputedStyle(host).color.match(/[\d.]+/g) || []).slice(0, 3)
      .map((n) => n / 255).map((n) => (n <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4))
      .reduce((sum, n, i) => sum + n * [0.2126, 0.7152, 0.0722][i], 0);
    host.style.color = '';
    host.style.setProperty('--c', color);
    host.style.setProperty('--on-c', 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 ? '#fff' : '#000');
  }

  function keys(event) {
    if (event.key === 'Escape') { event.stopPropagation(); return toggle(false); }
    if (event.key !== 'Tab') return;
    const stops = [...ui.panel.querySelectorAll('button, textarea, input, a[href], [tabindex]')].filter((one) => !one.disabled && one.offsetParent);
    const end = event.shiftKey ? stops[0] : stops[stops.length - 1];
    if (shadow.activeElement !== end) return;
    event.preventDefault();
    stops[event.shiftKey ? stops.length - 1 : 0].focus();
  }

  function toggle(open, quietly) {
    if (state.open === open || (framed && !open)) return;
    Object.assign(state, { open, asking: false, teaser: null });
    try { sessionStorage.setItem(spot('open'), open ? '1' : ''); } catch { /* forbidden: closed after a reload */ }
    if (!open) typing(false);
    render(true);
    if (!quietly) (open ? ui.text : ui.launcher).focus();
    seen();
  }

  function submit() {
    const text = ui.text.value.trim(), files = state.files.filter((file) => file.upload_id);
    if ((!text && !files.length) || files.length < state.files.length) return;
    ui.text.value = '';
    state.files = [];
    typing(false);
    post({ text, ...(files.length && { files }) });
    ui.text.focus();
  }

  let pinned = true;
  let height = 0;
  const atEnd = () => ui.log.scrollHeight - ui.log.scrollTop - ui.log.clientHeight < 40;
  const toEnd = () => { ui.log.scrollTop = ui.log.scrollHeight; };
  const nodes = new Map();

  /** Makes the screen what the state says. Elements stay what they are, so that only what is new is read aloud. */
  function render(last) {
    if (!ui.all) return;
    ui.launcher.setAttribute('aria-expanded', state.open);
    ui.launcher.hidden = state.open;
    ui.panel.hidden = !state.open;
    tease();
    const agent = plain((state.agent || ([...state.messages].reverse().find((one) => one.from.kind === 'agent') || {}).from || {}).name);
    ui.name.textContent = agent || plain(state.config.title) || say('title');
    ui.face.textContent = ([...ui.name.textContent][0] || '').toLocaleUpperCase(locale);
    const offline = navigator.onLine === false || (!state.online && line.tries > 2);
    ui.about.textContent = state.online || offline ? (agent && say('team')) || '' : say('connecting');
    ui.end.hidden = !state.conversation || state.closed;
    note(offline);
    // Asked for where somebody answers later, and once there is something to answer.
    const later = !state.agents || (state.config.email && state.messages.some((one) => one.from.kind === 'visitor'));
    ui.mail.hidden = !later || state.email || Boolean(state.identity) || !state.online;
    const by = state.typing && (plain(state.typing.name) || say('team'));
    const types = by ? say('typing', by) : '';
    // Read aloud once, however often the screen is made anew.
    if (ui.typing.textContent !== types) ui.typing.replaceChildren(...(types ? [h('i'), h('i'), h('i'), types] : []));
    ui.files.replaceChildren(...state.files.map((file) => h('span', { className: file.upload_id ? '' : 'wait' }, h('b', {}, plain(file.name)),
      push(say('remove', plain(file.name)), 'close', () => { state.files = state.files.filter((one) => one !== file); render(); ui.text.focus(); }))));
    ui.files.hidden = !state.files.length;
    ui.text.style.height = 'auto';
    ui.text.style.height = `${ui.text.scrollHeight + 2}px`;
    ui.text.dir = ui.text.value ? 'auto' : ui.all.dir;
    ui.text.disabled = state.blocked;
    const { allowed = true, max_files = 5 } = state.config.uploads || {};
    ui.attach.hidden = !allowed;
    ui.attach.disabled = !state.online || state.files.length >= max_files;
    ui.send.disabled = state.blocked || (!ui.text.value.trim() && !state.files.length) || state.files.some((file) => !file.upload_id);
    if (last === true) pinned = true;
    messages();
    seen();
    count();
  }

  function count() {
    const unread = state.messages.slice(state.messages.findIndex((one) => one.id === state.readUpTo) + 1).filter((one) => one.from.kind !== 'visitor').length;
    ui.badge.hidden = !unread;
    ui.badge.textContent = unread > 99 ? '99+' : unread;
    ui.launcher.setAttribute('aria-label', unread ? `${say('open')}, ${say('unread', unread)}` : say('open'));
  }

  function tease() {
    const message = !state.open && state.messages.find((one) => one.id === state.teaser);
    ui.teaser.hidden = !message;
    if (!message) return ui.teaser.replaceChildren();
    if (ui.teaser.dataset.of === message.id && ui.teaser.firstChild) return;
    ui.teaser.dataset.of = message.id;
    ui.teaser.replaceChildren(
      h('button', { type: 'button', className: 'text', onclick: () => toggle(true) }, h('span', { dir: 'auto' }, h('b', {}, `${plain(message.from.name) || say('team')}: `), message.text || '')),
      push(say('dismiss'), 'close', () => { dismiss(message); state.teaser = null; render(); ui.launcher.focus(); }));
  }

  /** To dismiss a first message that nobody asked for is to refuse the invitation. */
  function dismiss(message) {
    if (message.invitation) send({ type: 'end', conversation_id: state.conversation });
  }

  function note(offline) {
    const ask = (word, act) => h('button', { type: 'button', onclick: () => { state.asking = false; act(); render(); ui.text.focus(); } }, say(word));
    const said = state.asking ? say('sure') : state.blocked ? say('blocked') : offline ? say('offline') : state.notice
      || (state.closed && say('ended')) || (!state.agents && (plain(state.expected) || say('away'))) || '';
    const sign = `${state.asking}${said}`;
    if (ui.note.dataset.of === sign) return;
    ui.note.dataset.of = sign;
    ui.note.hidden = !said;
    ui.note.replaceChildren(h('span', {}, said), ...(state.asking
      ? [ask('end', () => send({ type: 'end', conversation_id: state.conversation })), ask('cancel', () => 0)] : []));
  }

  function messages() {
    const tall = ui.log.scrollHeight, top = ui.log.scrollTop, oldest = ui.log.children[1];
    const unsent = waiting().map((one) => ({ ...one, id: one.client_id, from: { kind: 'visitor' }, attachments: one.files, created_at: one.at, out: one }));
    const all = [...state.messages, ...unsent], wanted = [], mine = (one) => one.from.kind === 'visitor';
    const sent = state.messages.filter(mine), reach = (word) => sent.findIndex((one) => one.id === state.theirs[word]);
    const status = (one, at) => (one.out ? (one.out.failed ? 'failed' : 'pending')
      : at > reach('read') ? (at > reach('delivered') ? 'sent' : 'delivered') : 'read');
    if (!all.length) wanted.push(['hello', state.config.greeting, () => h('div', { className: 'bubble text', dir: 'auto' }, state.config.greeting || say('hello')), 'msg last']);
    let day = '', lastMine = [...all].reverse().find(mine);
    all.forEach((one, index) => {
      const date = new Date(one.created_at), today = date.toDateString(), next = all[index + 1], before = all[index - 1];
      if (today !== day) wanted.push([`day ${today}`, today, () => h('span', {}, dayName(date)), 'day']);
      const close = (other) => other && mine(other) === mine(one) && (mine(one) || other.from.name === one.from.name) && Math.abs(new Date(other.created_at) - date) < 300000;
      const word = mine(one) ? status(one, sent.indexOf(one)) : '';
      const last = !close(next), named = !mine(one) && (!close(before) || today !== day);
      const shown = mine(one) && (one === lastMine || word === 'failed' || word === 'pending') ? word : '';
      const choices = !next && !mine(one) && !state.closed ? one.buttons || [] : [];
      day = today;
      wanted.push([one.client_id || one.id, JSON.stringify([one.text, one.deleted, one.attachments, shown, last, named, choices]),
        () => body(one, { shown, last, named, choices, date }), `msg${mine(one) ? ' mine' : ''}${last ? ' last' : ''}`]);
    });
    const names = new Set(wanted.map(([name]) => name));
    for (const [name, node] of nodes) if (!names.has(name)) { node.remove(); nodes.delete(name); }
    wanted.forEach(([name, sign, make, className], index) => {
      let node = nodes.get(name);
      if (!node) nodes.set(name, node = h('li'));
      if (node.sign !== sign) { node.sign = sign; node.className = className; node.replaceChildren(...[].concat(make())); }
      if (ui.log.children[index] !== node) ui.log.insertBefore(node, ui.log.children[index] || null);
    });
    if (pinned) toEnd();
    else if (oldest && ui.log.children[1] !== oldest && top < 200) ui.log.scrollTop = top + ui.log.scrollHeight - tall;
  }

  function dayName(date) {
    const days = Math.round((new Date().setHours(12, 0, 0, 0) - new Date(date).setHours(12, 0, 0, 0)) / 864e5);
    return days < 2 ? new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(-days, 'day') : calendar.format(date);
  }

  function body(one, { shown, last, named, choices, date }) {
    const files = (one.attachments || []).map((file) => {
      const href = file.url && safe(file.url), name = plain(file.name) || say('attach');
      const image = href && /^image\/(png|jpe?g|gif|webp)$/.test(file.mime || '');
      const label = image ? h('img', { src: href, alt: name, loading: 'lazy', onload: () => pinned && toEnd() }) : [icon('file'), h('span', { dir: 'auto' }, name)];
      return href ? h('div', {}, h('a', { href, target: '_blank', rel: 'noopener noreferrer nofollow', className: image ? '' : 'file' }, label)) : h('div', { className: 'file' }, label);
    });
    const text = one.deleted ? say('deleted') : one.text;
    const again = () => { store.put(one.out.name, { ...store.get(one.out.name), failed: false }); flush(); render(); };
    return [
      named && one.from.name && h('div', { className: 'by' }, h('bdi', {}, plain(one.from.name))),
      h('div', { className: `bubble${one.deleted ? ' gone' : ''}` }, files, text && h('div', { className: 'text', dir: 'auto' }, words(text))),
      choices.length > 0 && h('div', { className: 'choices' }, choices.map((choice) => choice.url && safe(choice.url) ? link(safe(choice.url), choice.label) : h('button', { type: 'button', dir: 'auto', onclick: () => {
        post({ text: choice.label, button: { message_id: one.id, payload: choice.payload } });
        ui.text.focus();
      } }, choice.label))),
      (last || shown) && h('div', { className: 'meta' }, clock.format(date), shown && ` · ${say(shown)}`, shown === 'failed' && ' ', shown === 'failed' && h('button', { type: 'button', onclick: again }, say('retry'))),
    ].filter(Boolean);
  }

  // ── What the page says ─────────────────────────────────────────────────────────────────────────────────────────────────
  const verbs = {
    identify(who) {
      const { jwt, external_id, user_hash, ...profile } = who || {};
      Object.assign(state, { identity: jwt ? { jwt } : { external_id, user_hash }, profile });
      line.held = false;
      hangUp();
      if (ui.all) again();
    },
    open: () => toggle(true),
    close: () => toggle(false),
    logout() {
      const headers = bearer();
      hangUp();
      forget();
      waiting().forEach((one) => store.drop(one.name));
      Object.assign(state, { identity: null, profile: null, agent: null, files: [], email: false, notice: null, teaser: null });
      line.held = false;
      render();
      // The token ends there too; should that fail, nobody has it any more.
      fetch(url('logout'), { method: 'POST', headers }).catch(() => 0).then(again);
    },
  };
  const early = (window.Transom && window.Transom.q) || [];
  window.Transom = (verb, value) => { if (verbs[verb]) verbs[verb](value); };
  window.Transom.loaded = true;

  function start() {
    load();
    build();
    addEventListener('online', again);
    addEventListener('offline', () => { hangUp(); clearTimeout(line.timer); render(); });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) again();
      send({ type: 'presence', state: document.hidden ? 'hidden' : 'active' });
      seen();
    });
    // Another tab of this visitor wrote, was answered, or signed off.
    addEventListener('storage', (event) => {
      if (event.key === null || event.key === spot('token')) {
        if (store.get('token') !== line.token) { hangUp(); load(); again(); }
      } else if (event.key.startsWith(spot('out:'))) setTimeout(flush, 3000);
      render();
    });
    let opened = framed;
    try { opened = opened || sessionStorage.getItem(spot('open')); } catch { /* forbidden: it starts closed */ }
    if (opened) toggle(true, true);
    early.forEach(([verb, value]) => verbs[verb] && verbs[verb](value));
    connect();
    fetch(url('config')).then((answer) => answer.ok && answer.json()).then((config) => {
      if (!config) return;
      state.config = config;
      if (config.color && !options.color) paint(config.color);
      render();
    }).catch(() => 0);
  }
  if (document.body) start(); else addEventListener('DOMContentLoaded', start);
})();
