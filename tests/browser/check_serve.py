#!/usr/bin/env python3
"""Starts `tuwen report --serve` on a store and uses it in headless Chromium, narrow and wide, light and dark.

    python3 tests/browser/check_serve.py target/release/tuwen STORE [--query 红心] [--browser chromium] [--pictures folder]

Checks what only a browser can tell: typing a query shows hits, a picture leads to its neighbours, captions stay text, the keyboard
reaches everything, policies allow all of the pages and nothing else. Prints a table, exits with 1 if a check fails.
"""
import argparse
import pathlib
import signal
import subprocess
import sys
import time

from check_report import THEMES, WIDTHS, Browser, Left, keyboard, report_results

# Every entry is a list of what is wrong; empty is right.
STATIC = r"""
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const name = (node) => (node.outerHTML || '').slice(0, 80);
  const ids = all('[id]').map((node) => node.id);
  const small = (node) => { const box = node.getBoundingClientRect(); return box.width < 24 || box.height < 17; };
  return {
    'no sideways scrolling': document.documentElement.scrollWidth > innerWidth ? [String(document.documentElement.scrollWidth)] : [],
    'language': document.documentElement.lang === 'en' ? [] : ['no lang'],
    'Chinese is marked': all('.caption').filter((node) => !node.closest('[lang=zh]')).map(name),
    'one main, one h1': all('main').length === 1 && all('h1').length === 1 ? [] : ['landmarks'],
    'pictures have a text': all('img').filter((node) => !node.alt).map(name),
    'fields have labels': all('input, select').filter((node) => !node.labels.length).map(name),
    'controls are large enough': all('button, select, input[type=search], .more').filter(small).map(name),
    'ids are unique': ids.filter((id, at) => ids.indexOf(id) !== at),
    'no foreign script ran': window.hostile ? ['ran'] : [],
  };
})()
"""
HITS = "document.querySelectorAll('#hits > li').length"
STATUS = "document.getElementById('status').textContent"
BROKEN = "[...document.querySelectorAll('#hits img')].filter((node) => node.complete && !node.naturalWidth).map((node) => node.src)"
DRAWN = "[...document.querySelectorAll('#hits img')].some((node) => node.complete && node.naturalWidth)"
# Colours of WCAG 2.2, of texts on what lies behind them.
CONTRAST = r"""
(() => {
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => { const [r, g, b] = channels(colour).slice(0, 3).map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (node) => { for (let at = node; at; at = at.parentElement) { const colour = getComputedStyle(at).backgroundColor; if ((channels(colour)[3] ?? 1) > 0) return colour; } return 'rgb(255, 255, 255)'; };
  const wrong = [];
  for (const node of document.querySelectorAll('h1, h2, p, label, legend, button, input[type=search], select, .caption, .place, dt, dd, a')) {
    if (!node.textContent.trim() && !node.value || node.classList.contains('skip') || node.classList.contains('shown')) continue;
    const [a, b] = [light(getComputedStyle(node).color), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) wrong.push(`${ratio.toFixed(2)} ${node.outerHTML.slice(0, 60)}`);
  }
  return wrong;
})()
"""


class Server:
    """The program while it serves."""

    def __init__(self, program, store):
        self.process = subprocess.Popen([program, "report", "--serve", "--port", "0", "--store", store], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        if not self.url.startswith("http://127.0.0.1:"):
            raise RuntimeError(f"no address: {self.url!r}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def until(browser, expression, seconds=30):
    """The first value of an expression that is true, or an error."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            value = browser.value(expression)
        except Left:
            # Asked of the old page while the new one came.
            value = None
        if value:
            return value
        event = browser.message(0.05)
        if event:
            browser.events.append(event)
    raise RuntimeError(f"never true: {expression}")


def click(browser, selector):
    browser.value(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
    x, y = browser.value(f"(() => {{ const b = document.querySelector({selector!r}).getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; }})()")
    for kind in ("mousePressed", "mouseReleased"):
        browser.act("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def type_and_send(browser, query):
    browser.value("document.getElementById('ask-text').focus(); document.getElementById('ask-text').select()")
    browser.call("Input.insertText", text=query)
    browser.act("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    browser.act("Input.dispatchKeyEvent", type="keyUp", key="Enter", code="Enter", windowsVirtualKeyCode=13)


def complaints(browser, url):
    """Console errors, exceptions, and requests that go elsewhere."""
    return [text for text in browser.complaints() if not text.startswith((f"asks for {url}", "asks for about:"))]


def visit(browser, server, query, width, theme, pictures):
    """From the report to hits to neighbours to texts and back."""
    checks = {}
    browser.open(server.url, width, theme)
    shot(browser, pictures, f"report-{width}-{theme}")
    overview = browser.value("document.getElementById('overview') ? [] : ['no report below the search box']")
    checks["the report stands below the box"] = overview
    seen = complaints(browser, server.url)
    type_and_send(browser, query)
    until(browser, f"location.pathname === '/search' && document.readyState === 'complete' && {HITS} > 0")
    checks["typing a query shows hits"] = [] if " ms" in browser.value(STATUS) else [browser.value(STATUS)]
    until(browser, DRAWN)
    checks["pictures are drawn"] = browser.value(BROKEN)
    for check, wrong in browser.value(STATIC).items():
        checks[check] = wrong
    checks["texts stand out"] = browser.value(CONTRAST)
    shot(browser, pictures, f"images-{width}-{theme}")
    if theme == "light":
        checks.update(keyboard(browser))
    address = browser.value("location.href")
    click(browser, "#hits .shown")
    until(browser, "new URLSearchParams(location.search).has('image') && !document.getElementById('subject').hidden")
    first = browser.value("document.querySelector('#hits .shown').search === location.search.replace(/&k=.*/, '') || document.querySelector('#hits img').src === document.querySelector('#subject img').src")
    checks["a picture's nearest is itself"] = [] if first else [browser.value("location.search")]
    shot(browser, pictures, f"neighbours-{width}-{theme}")
    click(browser, "#hits .more")
    until(browser, f"document.getElementById('hits').classList.contains('lines') && {HITS} > 0")
    checks["an image finds texts"] = browser.value("[...document.querySelectorAll('#hits .caption')].every((node) => node.textContent) ? [] : ['empty']")
    checks["texts too fit"] = browser.value(STATIC)["no sideways scrolling"] + browser.value(CONTRAST)
    shot(browser, pictures, f"texts-{width}-{theme}")
    browser.act("Runtime.evaluate", expression="history.go(-2)")
    until(browser, f"location.href === {address!r} && {HITS} > 0 && document.getElementById('subject').hidden && document.getElementById('ask-text').value")
    checks["back leads back"] = [] if browser.value("document.getElementById('ask-text').value") == query else ["another query"]
    type_and_send(browser, "<img src=x onerror='window.hostile = 1'>")
    until(browser, f"document.title.startsWith('<img') && {HITS} > 0")
    checks["a hostile query stays text"] = browser.value("window.hostile || document.querySelector('img[src=x]') ? ['ran'] : []")
    browser.value("document.querySelector('[name=k]').add(new Option('9999', '9999', true, true)); document.querySelector('[name=k]').dispatchEvent(new Event('change', { bubbles: true }))")
    until(browser, "document.getElementById('status').classList.contains('wrong')")
    checks["a refusal is shown"] = [] if "1..=100" in browser.value(STATUS) else [browser.value(STATUS)]
    # The refusal itself is an answer 400, which the console reports.
    seen += [text for text in complaints(browser, server.url) if "400 (Bad Request)" not in text]
    checks["nothing on the console, no other server"] = seen
    return checks


def shot(browser, folder, name):
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        browser.picture(folder / f"{name}.png")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("program")
    options.add_argument("store")
    options.add_argument("--query", default="红心")
    options.add_argument("--browser", default="chromium")
    options.add_argument("--pictures", type=pathlib.Path, help="folder for screenshots")
    arguments = options.parse_args()
    server, results, columns = Server(arguments.program, arguments.store), {}, []
    try:
        browser = Browser(arguments.browser)
        try:
            for width in WIDTHS:
                for theme in THEMES:
                    columns.append(f"{width} {theme}")
                    for check, wrong in visit(browser, server, arguments.query, width, theme, arguments.pictures).items():
                        results.setdefault(check, {})[columns[-1]] = wrong
        finally:
            browser.close()
    finally:
        code = server.stop()
    results["SIGTERM ends it with 0"] = {columns[0]: [] if code == 0 else [str(code)]}
    return report_results(results, columns)


if __name__ == "__main__":
    sys.exit(main())
