//! How it looks: nothing sticks out, overlaps or is hard to read; pictures of it lie in `target/screenshots`.

use std::path::PathBuf;

use serde_json::{Value, json};
use transom_storage::test_support::TestDatabase;
use transom_tests::browser::Page;

use crate::shop::{ROOT, Shop, is_clean, open, ui, until_sent, write};

const SIZES: [(&str, u32, u32); 3] = [("phone", 390, 844), ("desktop", 1280, 800), ("small", 320, 568)];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_looks_cared_for_everywhere() {
    let Some(shop) = Shop::open(TestDatabase::sqlite()).await else { return };
    for (language, lines) in [
        (
            "en",
            [
                "Hi! The shade of my lamp is broken. Can I get a new one?",
                "Of course. Which lamp is it?\nYou find the name below the base.",
                "Nora, in green",
                "Then it is this one: https://shop.example/parts/nora-shade. Shall I order it for you?",
                "Yes, please",
                "No, thanks",
            ],
        ),
        (
            "he",
            [
                "שלום, האהיל של המנורה נשבר. אפשר להזמין חדש?",
                "בוודאי. איזו מנורה זו?\nהשם מופיע מתחת לבסיס.",
                "Nora, בירוק",
                "אז זה האהיל: https://shop.example/parts/nora-shade. להזמין עבורך?",
                "כן, בבקשה",
                "לא, תודה",
            ],
        ),
    ] {
        let page = shop.tab(&shop.visitor().await, &format!("lang={language}")).await;
        open(&page).await;
        write(&page, lines[0]).await;
        let conversation = shop.conversation_saying(lines[0]).await;
        let id = conversation["id"].as_str().unwrap();
        shop.answers(id, json!({ "text": lines[1] })).await;
        shown(&page, 2).await;
        write(&page, lines[2]).await;
        shop.conversation_saying(lines[2]).await;
        let buttons = json!([{ "id": "yes", "title": lines[4] }, { "id": "no", "title": lines[5] }]);
        shop.answers(id, json!({ "choices": { "text": lines[3], "buttons": buttons } })).await;
        shown(&page, 4).await;
        until_sent(&page).await;
        for scheme in ["light", "dark"] {
            page.prefers(&[("prefers-color-scheme", scheme), ("prefers-reduced-motion", "reduce")]).await.unwrap();
            for (name, width, height) in SIZES {
                page.resize(width, height).await.unwrap();
                page.until(&format!("innerWidth === {width}")).await.unwrap();
                is_well_laid_out(&page, &format!("{language} {scheme} {name}")).await;
                page.screenshot(&folder().join(format!("{name}-{scheme}-{language}.png"))).await.unwrap();
            }
        }
        is_clean(&page).await;
        // Closed, with a word that waits.
        page.resize(1280, 800).await.unwrap();
        page.press("Escape").await.unwrap();
        shop.answers(id, json!({ "text": lines[3] })).await;
        page.until(&format!("!{}.hidden", ui(".teaser"))).await.unwrap();
        page.screenshot(&folder().join(format!("closed-{language}.png"))).await.unwrap();
        let boxes = page
            .eval(&format!(
                "[{}, {}].map((one) => one.getBoundingClientRect().toJSON())",
                ui(".launcher"),
                ui(".teaser")
            ))
            .await
            .unwrap();
        assert!(boxes[1]["bottom"].as_f64() <= boxes[0]["top"].as_f64(), "{boxes}");
        assert_eq!(problems(&page).await, json!([]), "{language} closed");
    }
    shop.close().await;
}

/// A site's own colour, place and language are kept, and what stands on the colour can be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sites_own_colours_stay_readable() {
    let Some(shop) = Shop::open(TestDatabase::sqlite()).await else { return };
    let visitor = shop.visitor().await;
    for (color, locale, position) in
        [("%23ffd400", "de", "left"), ("%23757575", "fr", "right"), ("rebeccapurple", "ja", "left")]
    {
        let page = shop.tab(&visitor, &format!("color={color}&locale={locale}&position={position}")).await;
        open(&page).await;
        let left =
            page.eval(&format!("{}.getBoundingClientRect().left", ui(".panel"))).await.unwrap().as_f64().unwrap();
        assert_eq!(left < 640.0, position == "left", "{left}");
        assert_eq!(page.eval(&format!("{}.lang", ui(".all"))).await.unwrap(), json!(locale));
        is_well_laid_out(&page, color).await;
        page.screenshot(&folder().join(format!("colour-{locale}.png"))).await.unwrap();
        page.press("Escape").await.unwrap();
    }
    shop.close().await;
}

async fn shown(page: &Page, count: usize) {
    page.until(&format!("{ROOT}.querySelectorAll('.msg .text').length === {count}")).await.unwrap();
}

async fn is_well_laid_out(page: &Page, what: &str) {
    // The panel settles: a frame of the browser, twice.
    page.eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))").await.unwrap();
    assert_eq!(problems(page).await, json!([]), "{what}");
    let last = format!(
        "{ROOT}.querySelector('ol > :last-child').getBoundingClientRect().bottom <= {}.getBoundingClientRect().bottom + 1",
        ui("ol")
    );
    assert_eq!(page.eval(&last).await.unwrap(), json!(true), "{what}: the newest message is not in sight");
}

/// What is wrong with what stands on the screen, in words.
async fn problems(page: &Page) -> Value {
    page.eval(&format!("({LOOK})({ROOT})")).await.unwrap()
}

const LOOK: &str = r"(root) => {
  const found = [], seen = (one) => one.getClientRects().length > 0, name = (one) => `${one.tagName}.${one.className.baseVal ?? one.className} ${one.textContent.slice(0, 20)}`;
  const scroller = document.scrollingElement;
  if (scroller.scrollWidth > innerWidth) found.push(`the page scrolls sideways: ${scroller.scrollWidth}`);
  for (const one of root.querySelectorAll('.panel, .launcher, .teaser')) {
    const box = one.getBoundingClientRect();
    if (seen(one) && (box.left < -0.5 || box.top < -0.5 || box.right > innerWidth + 0.5 || box.bottom > innerHeight + 0.5)) found.push(`out of the window: ${name(one)}`);
  }
  const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  const apart = (all) => all.forEach((a, at) => all.slice(at + 1).forEach((b) => {
    if (overlap(a.getBoundingClientRect(), b.getBoundingClientRect())) found.push(`overlap: ${name(a)} and ${name(b)}`);
  }));
  for (const group of ['.panel > *', '.head > *', 'form:not([hidden]) > *', 'ol > *', '.choices > *']) apart([...root.querySelectorAll(group)].filter(seen));
  const panel = root.querySelector('.panel');
  if (seen(panel)) for (const one of panel.querySelectorAll('*')) {
    const box = one.getBoundingClientRect(), around = panel.getBoundingClientRect();
    if (seen(one) && (box.left < around.left - 0.5 || box.right > around.right + 0.5)) found.push(`out of the panel: ${name(one)}`);
    if (seen(one) && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === 'visible' && one.clientWidth) found.push(`cut: ${name(one)}`);
  }
  const channel = (n) => (n /= 255) <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const rgb = (color) => color.match(/[\d.]+/g).map(Number);
  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) { const color = rgb(getComputedStyle(at).backgroundColor); if (color[3] !== 0) return color; }
    return [255, 255, 255];
  };
  for (const one of root.querySelectorAll('*')) {
    const says = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) || one.matches('svg');
    if (!says || !seen(one) || one.closest(':disabled')) continue;
    const [a, b] = [light(rgb(getComputedStyle(one).color)), light(ground(one))].sort((x, y) => y - x), contrast = (a + 0.05) / (b + 0.05);
    if (contrast < (one.matches('svg') ? 3 : 4.5)) found.push(`contrast ${contrast.toFixed(2)}: ${name(one)}`);
  }
  for (const one of root.querySelectorAll('button')) {
    const box = one.getBoundingClientRect();
    if (seen(one) && (box.width < 24 || box.height < 24)) found.push(`too small to hit: ${name(one)} ${box.width} x ${box.height}`);
  }
  return found;
}";
