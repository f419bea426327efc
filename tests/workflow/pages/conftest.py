import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium: playwright's own, or one of the system."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no browser: playwright is not installed")
    with playwright.sync_playwright() as running:
        own = Path(running.chromium.executable_path)
        found = own if own.exists() else shutil.which("chromium") or shutil.which("google-chrome")
        if not found:
            pytest.skip("no browser: neither playwright nor the system has a chromium")
        arguments = [
            "--no-sandbox",
            "--enable-unsafe-swiftshader",
        ]  # three dimensions without a graphics card
        started = running.chromium.launch(executable_path=found, args=arguments)
        yield started
        started.close()
