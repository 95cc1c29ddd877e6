"""Dashboard and alert rules under a real Prometheus that scrapes a running site: `docs/monitoring/` cannot rot.

Prometheus is Debian's; `scripts/test` installs it where apt can. Grafana is in no registry here: of the dashboard, each
expression is put to Prometheus and must give series.
"""

import json
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import ROOT, Site
from object_store import free_port

MONITORING = ROOT / "docs" / "monitoring"
RULES = MONITORING / "alerts.yml"
SECONDS = 60

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")), reason="prometheus is not installed: apt-get install prometheus"
)


def panels():
    """Each expression of the dashboard with the title of its panel."""
    board = json.loads((MONITORING / "dashboard.json").read_text())
    return [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", [])]


def names_of_figures():
    text = RULES.read_text() + "\n".join(expression for _, expression in panels())
    return sorted(set(re.findall(r"\bshosoin_[a-z_]+", text)))


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_prometheus
def test_alerts_fire_when_they_must_and_only_then():
    assert "SUCCESS" in promtool("check", "rules", RULES)
    assert "SUCCESS" in promtool("test", "rules", ROOT / "tests" / "e2e" / "alerts_test.yml")


def test_every_alert_names_a_runbook_that_is_there():
    pages = re.findall(r"^ +runbook: (\S+)$", RULES.read_text(), re.M)
    assert len(pages) >= 8
    for page in pages:
        path, anchor = page.split("#")
        headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(), re.M)
        assert anchor in {heading.lower().replace(",", "").replace(" ", "-") for heading in headings}, page


class Prometheus:
    """Debian's Prometheus on a loopback port; it asks each address every second."""

    def __init__(self, folder, targets):
        self.folder, self.port, self.process = folder, free_port(), None
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "shosoin", "static_configs": [{"targets": targets}]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))  # YAML holds all of JSON

    def __enter__(self):
        command = [
            "prometheus",
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(self.folder / "prometheus.log", "wb"))
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def ask(self, path, **query):
        """What its API says, or nothing while it cannot."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?" + urllib.parse.urlencode(query)
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return None
            raise AssertionError(f"{query}: {error.read().decode()}") from error
        except OSError:
            return None

    def until(self, what, seen):
        """Asks again until `seen` gives something; nothing tells when a foreign server has scraped."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "prometheus.log").read_text()
            found = seen()
            if found:
                return found
            time.sleep(0.25)
        raise AssertionError(f"{what} within {SECONDS} s")

    def series(self, expression):
        answer = self.ask("query", query=expression)
        return answer and answer["result"]


@pytest.fixture
def scraped(tmp_path):
    """A site with figures of its vault and of its gateway on an address each, and a Prometheus that scrapes both."""
    site, addresses = Site(tmp_path / "site").start(), [f"127.0.0.1:{free_port()}" for _ in range(2)]
    assert site.stop() == 0
    with open(site.folder / "vault" / "vault.toml", "a") as config:
        config.write(f'\n[metrics]\nlisten = "{addresses[0]}"\n')
    (site.folder / "hospital" / "gateway.toml").write_text(f'form = 1\n[metrics]\nlisten = "{addresses[1]}"\n')
    with Prometheus(tmp_path, addresses) as prometheus:
        yield site, prometheus
    if site.process is not None:
        assert site.stop() == 0


@needs_prometheus
def test_a_real_prometheus_finds_every_figure_that_dashboard_and_alerts_name(scraped):
    site, prometheus = scraped
    s3 = site.start().client()
    s3.create_bucket(Bucket="records")
    s3.put_object(Bucket="records", Key="a", Body=bytes(2_000_000))
    assert len(s3.get_object(Bucket="records", Key="a")["Body"].read()) == 2_000_000
    for job in ("scrub", "repair", "check", "migrate", "copy-forward", "compact"):
        site.run(job, "--dir", str(site.folder), "--json")
    prometheus.until("the site is scraped", lambda: prometheus.series("up == 1"))
    for name in names_of_figures():
        prometheus.until(f"{name} has series", lambda: prometheus.series(name))
    for title, expression in panels():
        prometheus.until(f"{title!r} shows something: {expression}", lambda: prometheus.series(expression))

    def rules():
        answer = prometheus.ask("rules")
        found = [rule for group in (answer or {}).get("groups", []) for rule in group["rules"]]
        return found if found and all(rule["health"] != "unknown" for rule in found) else None

    judged = prometheus.until("every rule is judged", rules)
    assert len(judged) == RULES.read_text().count("- alert:")
    assert [rule["name"] for rule in judged if rule["health"] != "ok"] == []
    raised = {rule["name"] for rule in judged if rule["state"] != "inactive"}
    of_the_host = {"TierFull", "SlowRequests", "ClockNotMeasured", "ClockDisagrees"}
    assert raised <= of_the_host, f"a healthy site raises nothing about itself: {raised}"


@needs_prometheus
def test_a_volume_that_is_gone_raises_its_alert(scraped):
    site, prometheus = scraped
    (site.folder / "vault" / "volumes" / "v02").rename(site.folder / "gone")
    site.start()

    def raised():
        alerts = prometheus.ask("alerts")
        return alerts and [one for one in alerts["alerts"] if one["labels"]["alertname"] == "VolumeAbsentOrSuspect"]

    (alert,) = prometheus.until("the alert is raised", raised)
    assert alert["state"] == "pending" and alert["labels"]["severity"] == "page", alert
    assert float(alert["value"]) == 1
