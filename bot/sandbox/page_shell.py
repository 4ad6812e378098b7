"""The whole page: what stands still while messages come and go."""

from bot.sandbox.markup import Html, el
from bot.sandbox.page import channels_html
from bot.sandbox.team import Team


def document(title: str, *body: str, script: bool = True, root: str = "/page/") -> str:
    """Return an HTML document with the page's style, and its script unless it is not wanted."""
    head = [
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        el("link", rel="icon", href="data:,"),
        el("link", rel="stylesheet", href=f"{root}style.css"),
    ]
    if script:
        head.append(el("script", src=f"{root}app.js", defer=True))
    return "<!doctype html>\n" + el("html", el("head", *head), el("body", *body), lang="en")


def shell(team: Team, viewer: str) -> str:
    """Return the page for a viewer."""
    return document(
        f"{team.bot.name} · local Slack",
        el("a", "Skip to messages", href="#messages", class_="skip"),
        el("div", _sidebar(team, viewer), _channel(), _thread(), class_="layout"),
        el("dialog", id="modal", aria_labelledby="modal-title"),
        el("div", id="status", role="status", aria_live="polite"),
    )


def _sidebar(team: Team, viewer: str) -> Html:
    home = el("li", el("a", el("span", "⌂", class_="sign", aria_hidden="true"), "App home", href="#home"))
    return el(
        "nav",
        el("div", el("strong", "Local workspace"), class_="team"),
        el("h2", "Channels"),
        el("ul", channels_html(team, viewer), id="channels"),
        el("h2", "Apps"),
        el("ul", home),
        el("p", "A stand-in for Slack on this machine.", class_="hint"),
        id="sidebar",
        aria_label="Channels",
    )


def _channel() -> Html:
    menu = el(
        "button",
        "☰",
        type="button",
        id="menu",
        class_="quiet",
        aria_label="Channels",
        aria_expanded="false",
        aria_controls="sidebar",
    )
    live = el("span", "Live", id="live", class_="live")
    return el(
        "main",
        el("header", menu, el("h1", "…", id="title"), live),
        el(
            "ol",
            id="messages",
            class_="messages",
            role="log",
            aria_live="polite",
            aria_relevant="additions",
            aria_label="Messages",
            tabindex="0",
        ),
        el("section", id="home", aria_label="App home", hidden=True),
        _composer("composer", "box", "Message or /command"),
    )


def _thread() -> Html:
    close = el("button", "✕", type="button", id="close-thread", class_="quiet", aria_label="Close the thread")
    return el(
        "aside",
        el("header", el("h2", "Thread"), close),
        el(
            "ol",
            id="replies",
            class_="messages",
            role="log",
            aria_live="polite",
            aria_relevant="additions",
            aria_label="Thread",
            tabindex="0",
        ),
        _composer("reply", "reply-box", "Reply in the thread"),
        id="thread",
        aria_label="Thread",
        hidden=True,
    )


def _composer(form: str, box: str, label: str) -> Html:
    return el(
        "form",
        el("label", label, for_=box, class_="sr"),
        el("textarea", id=box, rows="1", placeholder=label, autocomplete="off", spellcheck="false"),
        el("button", "Send", type="submit", class_="btn primary"),
        id=form,
        class_="composer",
    )
