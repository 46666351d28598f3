#!/usr/bin/env python3
"""Opens a report in headless Chromium, narrow and wide, light and dark, and checks what only a browser can tell.

    python3 tests/browser/check_report.py report.html [--browser chromium] [--pictures folder]

Standard library only: it speaks the DevTools protocol over a pipe. Prints a table, exits with 1 if a check fails.
"""
import argparse
import base64
import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import time

WIDTHS = (375, 1280)
THEMES = ("light", "dark")

# Every entry is a list of what is wrong; empty is right.
STATIC = r"""
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const name = (node) => (node.outerHTML || '').slice(0, 80);
  const label = (node) => node.getAttribute('aria-label') || node.getAttribute('alt') || node.querySelector('title')?.textContent;
  const wide = document.documentElement.scrollWidth > innerWidth
    ? [`${document.documentElement.scrollWidth} > ${innerWidth}: ` + all('body *').filter((node) => node.getBoundingClientRect().right > innerWidth + 1
        && !node.closest('.scroll, nav, pre')).slice(0, 3).map(name).join(' | ')] : [];
  const ids = all('[id]').map((node) => node.id);
  const headings = all('h1, h2, h3, h4').map((node) => Number(node.tagName[1]));
  const canvases = all('canvas');
  const blank = canvases.filter((canvas) => {
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let painted = 0;
    for (let at = 3; at < data.length; at += 4) painted += data[at] > 0;
    return painted < 50 || !(Number(canvas.dataset.drawn) > 0);
  });
  return {
    'no sideways scrolling': wide,
    'language': document.documentElement.lang === 'en' ? [] : ['no lang'],
    'Chinese is marked': all('h3, .caption, td, tbody th').filter((node) => /\p{Script=Han}/u.test(node.textContent)
      && !node.closest('[lang=zh]') && !node.querySelector('[lang=zh]')).map(name),
    'one main, one h1': all('main').length === 1 && all('h1').length === 1 ? [] : ['landmarks'],
    'headings skip no level': headings.filter((level, at) => at && level > headings[at - 1] + 1).map(String),
    'pictures have a text': all('img, svg[role=img]').filter((node) => !label(node)).map(name),
    'pictures resolve': all('use').filter((node) => !document.querySelector(node.getAttribute('href'))).map(name)
      .concat(all('img').filter((node) => node.complete && !node.naturalWidth && node.loading !== 'lazy').map(name)),
    'tables have captions': all('table').filter((node) => !node.caption?.textContent.trim()).map(name),
    'heads have a scope': all('th').filter((node) => !node.scope).map(name),
    'charts have a table': all('figure:has(svg.chart)').filter((node) => !node.querySelector('details table')).map(name),
    'links lead somewhere': all('a').filter((node) => !document.querySelector(node.getAttribute('href'))).map(name),
    'ids are unique': ids.filter((id, at) => ids.indexOf(id) !== at),
    'fields have labels': all('input').filter((node) => !node.labels.length).map(name),
    'maps are drawn': blank.map(name),
    'no foreign script ran': window.hostile ? ['ran'] : [],
  };
})()
"""

# What the Tab key must reach: everything that can be operated and is shown.
FOCUSABLE = r"""
(() => {
  const shown = (node) => node.checkVisibility() && !node.closest('details:not([open]) > :not(summary)');
  const wanted = [...document.querySelectorAll('a[href], button, input, summary, [tabindex="0"]')].filter(shown)
    .filter((node) => node.type !== 'radio' || node.checked);
  window.wanted = wanted;
  window.reached = new Set();
  document.addEventListener('focusin', (event) => window.reached.add(event.target));
  document.activeElement?.blur();
  return wanted.length;
})()
"""
MISSED = "window.wanted.filter((node) => !window.reached.has(node)).map((node) => node.outerHTML.slice(0, 80))"
INVISIBLE = "(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2; })()"
TIP = "(() => { const c = document.querySelector('canvas'); if (!c) return 'none'; c.scrollIntoView({block: 'center'}); c.focus({focusVisible: true}); const t = c.parentElement.querySelector('.tip'); return t.hidden ? '' : t.textContent; })()"

# How the browser says that the page it was asked about has gone.
LEFT = ("navigated or closed", "context was destroyed", "Cannot find context")


class Left(RuntimeError):
    """The page left while it was asked."""


class Browser:
    """One headless Chromium with one page."""

    def __init__(self, binary):
        self.profile = tempfile.TemporaryDirectory()
        ours, theirs_out = os.pipe()
        theirs_in, self.writer = os.pipe()
        self.reader = ours

        def hand_over():
            # The browser reads descriptor 3 and writes descriptor 4. Copies high up first: no number is overwritten.
            high_in, high_out = os.dup(theirs_in), os.dup(theirs_out)
            import fcntl
            high_in, high_out = (fcntl.fcntl(number, fcntl.F_DUPFD, 20) for number in (high_in, high_out))
            os.dup2(high_in, 3)
            os.dup2(high_out, 4)

        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--hide-scrollbars",
                 "--no-first-run", f"--user-data-dir={self.profile.name}", "about:blank"]
        self.process = subprocess.Popen([binary, *flags], preexec_fn=hand_over, close_fds=False,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.buffer, self.count, self.session, self.events = b"", 0, None, []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def message(self, seconds):
        end = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.reader], [], [], max(0, end - time.monotonic()))
            if not ready:
                return None
            chunk = os.read(self.reader, 1 << 20)
            if not chunk:
                raise RuntimeError("the browser ended")
            self.buffer += chunk
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.count += 1
        request = {"id": self.count, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self.writer, data):]
        while True:
            message = self.message(60)
            if message is None:
                raise RuntimeError(f"{method}: no answer")
            if message.get("id") == self.count:
                if "error" in message:
                    if any(words in message["error"].get("message", "") for words in LEFT):
                        raise Left(f"{method}: {message['error']}")
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def act(self, method, **params):
        """A call that may make the page leave: no answer because it left is an answer."""
        try:
            self.call(method, **params)
        except Left:
            pass

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"])[:400])
        return result["result"].get("value")

    def open(self, url, width, theme):
        self.events.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            message = self.message(60)
            if message is None:
                raise RuntimeError("the page does not load")
            self.events.append(message)
        self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))) && 1")

    def complaints(self):
        """Console errors, exceptions and requests that leave the file."""
        found = []
        for event in self.events:
            params = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(json.dumps(params["exceptionDetails"])[:200])
            if event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
                found.append(json.dumps(params["args"])[:200])
            if event["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(params["entry"]["text"][:200])
            if event["method"] == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith(("file:", "data:")):
                    found.append(f"asks for {url}")
        return found

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, path):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        self.session = None
        try:
            self.call("Browser.close")
        except (RuntimeError, OSError):
            self.process.kill()
        self.process.wait(timeout=20)
        self.profile.cleanup()


def keyboard(browser):
    """Tab through the whole page; what cannot be reached, and what does not show that it has the focus."""
    wanted = browser.value(FOCUSABLE)
    unseen = []
    for _ in range(wanted + 5):
        browser.press("Tab", 9)
        if not browser.value(f"document.activeElement === document.body || {INVISIBLE}"):
            unseen.append(browser.value("document.activeElement.outerHTML.slice(0, 80)"))
    return {"Tab reaches everything": browser.value(MISSED), "the focus is visible": unseen}


def maps(browser):
    """A map under the keyboard: a point's caption appears, an arrow moves on, Escape leaves."""
    first = browser.value(TIP)
    if first == "none":
        return {}
    browser.press("ArrowRight", 39)
    second = browser.value("document.querySelector('.tip').textContent")
    browser.press("Escape", 27)
    hidden = browser.value("document.querySelector('.tip').hidden")
    wrong = [] if first and second and first != second and hidden else [f"{first!r}, then {second!r}, hidden {hidden}"]
    return {"maps answer the keyboard": wrong}


def paper(browser, theme):
    """Printed, what was folded is shown, and navigation is not."""
    browser.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": theme}])
    folded = browser.value("[...document.querySelectorAll('details:not(.long):not([open]) > :not(summary)')]"
                           ".filter((node) => !node.checkVisibility() || !node.getBoundingClientRect().height)"
                           ".map((node) => node.outerHTML.slice(0, 80))")
    shown = browser.value("document.querySelector('nav')?.checkVisibility() ? ['navigation'] : []")
    browser.call("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": theme}])
    return {"on paper nothing is folded": folded + shown}


def opened(browser):
    """Everything unfolded: still no sideways scrolling."""
    browser.value("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    wide = browser.value("document.documentElement.scrollWidth > innerWidth ? [document.documentElement.scrollWidth] : []")
    return {"unfolded, no sideways scrolling": wide}


def report_results(results, columns):
    """Prints a table; 1 if something is wrong."""
    print(f"{'check':36}" + "".join(f"{column:>12}" for column in columns))
    failed = False
    for check, by_column in results.items():
        cells = ["–" if column not in by_column else "ok" if not by_column[column] else f"{len(by_column[column])} wrong" for column in columns]
        print(f"{check:36}" + "".join(f"{cell:>12}" for cell in cells))
    for check, by_column in results.items():
        for column, wrong in by_column.items():
            for one in (wrong or [])[:3]:
                failed = True
                print(f"{check}, {column}: {one}")
    return int(failed)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("report", type=pathlib.Path)
    options.add_argument("--browser", default="chromium")
    options.add_argument("--pictures", type=pathlib.Path, help="folder for screenshots")
    arguments = options.parse_args()
    results, columns = {}, []
    browser = Browser(arguments.browser)
    try:
        for width in WIDTHS:
            for theme in THEMES:
                column = f"{width} {theme}"
                columns.append(column)
                browser.open(arguments.report.resolve().as_uri(), width, theme)
                checks = {**browser.value(STATIC), **maps(browser)}
                if arguments.pictures:
                    arguments.pictures.mkdir(parents=True, exist_ok=True)
                    browser.picture(arguments.pictures / f"{width}-{theme}.png")
                if theme == "light":
                    checks.update(keyboard(browser))
                checks.update(paper(browser, theme))
                checks.update(opened(browser))
                checks["nothing on the console, no request"] = browser.complaints()
                for check, wrong in checks.items():
                    results.setdefault(check, {})[column] = wrong
    finally:
        browser.close()
    return report_results(results, columns)


if __name__ == "__main__":
    sys.exit(main())
