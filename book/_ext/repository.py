"""Launch buttons (Colab, Binder, JupyterLab), shown only when the repository is known.

The address is `DLCOURSE_REPOSITORY`, or else the git remote `origin`; only one that a reader can
open counts, `https://host/owner/name` in the end. Without it the pages carry no button.
"""

import os
import re
import subprocess
from pathlib import Path

ADDRESS = re.compile(
    r"(?:https?://(?:[^@/]*@)?|ssh://git@|git@)([\w.-]+\.[a-z]+)[:/]([\w.-]+)/([\w.-]+?)(?:\.git)?/?"
)


def git(*arguments):
    """Output of a git command in this checkout, or an empty string where there is none."""
    here = Path(__file__).parent
    try:
        run = subprocess.run(["git", "-C", here, *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return run.stdout.strip()


def readable_address(remote):
    """`https://host/owner/name` for a remote that the web can open, otherwise None."""
    match = ADDRESS.fullmatch(remote.strip())
    return "https://{}/{}/{}".format(*match.groups()) if match else None


def find_repository():
    return readable_address(
        os.environ.get("DLCOURSE_REPOSITORY") or git("remote", "get-url", "origin")
    )


def add_launch_buttons(app, config):
    repository = find_repository()
    if repository is None:
        return
    config.html_theme_options |= {
        "repository_url": repository,
        "repository_branch": git(
            "symbolic-ref", "--short", "refs/remotes/origin/HEAD"
        ).removeprefix("origin/")
        or "main",
        "use_repository_button": True,
        "launch_buttons": {
            "notebook_interface": "classic",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        },
    }


def add_jupyterlab_button(app, pagename, templatename, context, doctree):
    """Beside Binder's plain notebook, the same notebook in JupyterLab."""
    for group in context.get("header_buttons", []):
        for button in list(group.get("buttons", [])):
            if isinstance(button, dict) and button.get("text") == "Binder":
                lab = {
                    "text": "JupyterLab",
                    "tooltip": "Open in JupyterLab, on Binder",
                    "url": button["url"].replace("urlpath=tree", "urlpath=lab/tree"),
                }
                group["buttons"].append(button | lab)


def setup(app):
    app.connect("config-inited", add_launch_buttons)
    app.connect("html-page-context", add_jupyterlab_button, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
