"""The operator console in a real browser: Chromium without a screen, driven by Selenium, judged by axe.

Screenshots of every page in both languages go to $SHOSOIN_SCREENSHOTS, where that is set. Where Chromium, its driver or
axe is not there the test says so and is skipped.
"""

import base64
import contextlib
import hashlib
import io
import os
import pathlib
import shutil
import ssl
import urllib.parse

import pytest

from conftest import ROOT, Site

selenium = pytest.importorskip("selenium", reason="no Selenium: the console is not tried in a browser")
pyotp = pytest.importorskip("pyotp", reason="no pyotp: nobody can log on to the console")
zxingcpp = pytest.importorskip("zxingcpp", reason="no zxing-cpp: nobody can scan the QR code of a second factor")

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: E402
from PIL import Image  # noqa: E402
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
AXE = pathlib.Path(os.environ.get("SHOSOIN_AXE", ROOT / "target/npm/node_modules/axe-core/axe.min.js"))
SCREENSHOTS = os.environ.get("SHOSOIN_SCREENSHOTS")
PASSWORD = "tr4ctor-blue"
WAIT_SECONDS = 60
PICTURE_MAX = 12_000  # of a longer page only what is on the screen

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium or chromedriver: the console is not tried in a browser")


class Person:
    """Somebody with a browser of their own and an authenticator."""

    def __init__(self, house, name, first, javascript=True):
        self.house, self.name, self.first, self.javascript = house, name, first, javascript
        self.driver = house.browser(name, javascript)

    def go(self, path, lang="en"):
        mark = "&" if "?" in path else "?"
        self.driver.get(f"{self.house.url}{path}{mark}lang={lang}")

    def type(self, **fields):
        for name, text in fields.items():
            box = self.driver.find_element(By.ID, name)
            box.clear()
            box.send_keys(text)

    def press(self, selector):
        """Presses a button and waits for the page that comes of it."""
        button = self.driver.find_element(By.CSS_SELECTOR, selector)
        before = self.driver.find_element(By.TAG_NAME, "html")
        button.click()
        WebDriverWait(self.driver, WAIT_SECONDS).until(lambda driver: driver.find_element(By.TAG_NAME, "html") != before)

    @property
    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def log_on(self, password, code=""):
        self.go("/log-on")
        self.type(id=self.name, password=password, code=code)
        self.press("main button")

    def first_steps(self):
        """The first password, one of their own, and a second factor that is scanned from the screen."""
        assert "Choose a password of your own first" in self.text
        self.house.look(self, "account-first-password")
        self.type(old=self.first, new=PASSWORD, again=PASSWORD)
        self.press("main button")
        assert "The password was changed" in self.text and "Enrol a second factor" in self.text
        self.press("main button")
        self.house.look(self, "account-second-factor")
        picture = Image.open(io.BytesIO(self.driver.find_element(By.CSS_SELECTOR, "svg.qr").screenshot_as_png))
        (code,) = zxingcpp.read_barcodes(picture)
        factor = pyotp.parse_uri(code.text)
        assert factor.name == self.name and "shosoin" in factor.issuer
        self.type(code=factor.now())
        self.press("main button")
        assert "The second factor is proved" in self.text
        return self


class House:
    """A site with people, and browsers for them."""

    def __init__(self, folder):
        self.folder, self.site, self.drivers = folder, Site(folder / "site"), []
        self.url = self.pin = None

    def start(self):
        self.site.start()
        assert self.site.info["console"] is None, "there is no console before there is an account"
        first = {}
        self.account("add", "chief", "--role", "admin", "--os-user", self.user())
        for name, roles in {"hanako": ["keeper", "media"], "jiro": ["keeper"], "saburo": ["auditor"]}.items():
            chosen = [part for role in roles for part in ("--role", role)]
            self.account("add", name, *chosen, "--name", {"hanako": "佐藤 花子"}.get(name, name.title()))
            first[name] = self.account("password", name, "--first")["first_password"]
        self.fill()
        assert self.site.stop() == 0
        self.site.more = ["--console", "127.0.0.1:0"]
        self.site.start()
        self.url = self.site.info["console"]
        self.trust()
        return first

    def account(self, what, *arguments):
        return self.site.run("account", what, "--dir", str(self.site.folder), *arguments, "--json")

    def user(self):
        return pathlib.Path(self.site.folder).owner()

    def fill(self):
        """Records, so that there is something to look at."""
        s3 = self.site.client()
        s3.create_bucket(Bucket="records")
        for number in range(12):
            s3.put_object(Bucket="records", Key=f"patient-{number}/ct.dcm", Body=os.urandom(40_000 * (number + 1)))

    def trust(self):
        """What a person does at the first visit: compares the certificate with the one that the process printed."""
        address = urllib.parse.urlsplit(self.url)
        pem = ssl.get_server_certificate((address.hostname, address.port))
        der = ssl.PEM_cert_to_DER_cert(pem)
        shown = hashlib.sha256(der).hexdigest().upper()
        assert self.site.info["console_certificate"].replace(":", "") == shown
        key = x509.load_der_x509_certificate(der).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.pin = base64.b64encode(hashlib.sha256(key).digest()).decode()

    def browser(self, name, javascript=True):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
        for flag in [*flags.split(), "disable-component-update", "disable-sync", "hide-scrollbars", "window-size=1280,900"]:
            options.add_argument(f"--{flag}")
        options.add_argument(f"--user-data-dir={self.folder / ('browser-' + name)}")
        options.add_argument(f"--ignore-certificate-errors-spki-list={self.pin}")
        if not javascript:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        driver.set_page_load_timeout(WAIT_SECONDS)
        self.drivers.append(driver)
        return driver

    def look(self, person, name):
        """Keeps a picture of the whole page, and has axe judge it."""
        driver = person.driver
        if SCREENSHOTS:
            folder = pathlib.Path(SCREENSHOTS)
            folder.mkdir(parents=True, exist_ok=True)
            whole = driver.execute_script("return document.documentElement.scrollHeight") < PICTURE_MAX
            picture = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": whole, "format": "png"})
            (folder / f"{name}.png").write_bytes(base64.b64decode(picture["data"]))
        messages = [entry["message"] for entry in driver.get_log("browser")]
        assert not [message for message in messages if "Content Security Policy" in message], messages
        if AXE.exists() and person.javascript:
            driver.execute_script(AXE.read_text())
            found = driver.execute_async_script(
                "const done = arguments[arguments.length - 1];"
                "axe.run(document, {resultTypes: ['violations']}).then(done, error => done({violations: [String(error)]}));"
            )
            told = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]
            assert not told, f"{name}: {told}"

    def end(self):
        for driver in self.drivers:
            with contextlib.suppress(Exception):
                driver.quit()
        if self.site.process is not None:
            assert self.site.stop() == 0


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.end()


PAGES = {
    "hanako": ["/", "/jobs", "/jobs/scrub", "/volumes", "/forecast", "/ledger", "/approvals", "/quarantine", "/incidents", "/applicability", "/account"],
    "saburo": ["/audit", "/people", "/approvals"],
}


def test_people_log_on_see_every_page_in_both_languages_and_do_their_work(house):
    if not AXE.exists():
        print("no axe-core: what a screen reader meets is not judged")
    first = house.start()
    hanako = Person(house, "hanako", first["hanako"])
    hanako.go("/", "ja")
    assert hanako.driver.find_element(By.TAG_NAME, "h1").text == "ログオン"
    house.look(hanako, "log-on-ja")
    hanako.go("/log-on")
    house.look(hanako, "log-on-en")
    hanako.log_on("not-my-p4ssword")
    assert "Log-on failed" in hanako.text
    house.look(hanako, "log-on-failed")
    WebDriverWait(hanako.driver, WAIT_SECONDS, poll_frequency=1).until(lambda _: is_let_in(hanako))
    hanako.first_steps()
    keyboard_leads_past_the_menu(hanako)
    saburo = Person(house, "saburo", first["saburo"])
    saburo.log_on(saburo.first)
    saburo.first_steps()
    hanako_works(house, hanako)
    hanako_asks_and_saburo_agrees(house, hanako, saburo)
    every_page_is_looked_at(house, {"hanako": hanako, "saburo": saburo})
    statement_is_a_document(house, hanako)
    hanako.press("header form button")
    assert hanako.driver.find_element(By.TAG_NAME, "h1").text == "Log on"
    assert not [cookie for cookie in hanako.driver.get_cookies() if cookie["name"] == "__Host-shosoin"]


def is_let_in(person):
    """After a wrong try the next is looked at only after a while."""
    person.log_on(person.first)
    return "Log-on failed" not in person.text


def keyboard_leads_past_the_menu(person):
    person.go("/")
    person.driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    focused = person.driver.switch_to.active_element
    assert focused.get_attribute("href").endswith("#main") and focused.is_displayed()
    focused.send_keys(Keys.ENTER)
    assert person.driver.switch_to.active_element.get_attribute("id") == "main"


def hanako_works(house, hanako):
    """A scrub is started, and its end is seen without loading the page again."""
    hanako.go("/jobs")
    hanako.press("tr[data-job=scrub] button[aria-label='Start: scrub']")
    assert "The job was started" in hanako.text
    WebDriverWait(hanako.driver, WAIT_SECONDS, poll_frequency=0.5).until(lambda _: scrub_is_over(hanako))
    house.look(hanako, "job-scrub-asked")
    begun = house.site.run("audit", "show", "--dir", str(house.site.folder / "vault"), "--action", "scrub", "--json")
    assert any(record["actor"] == "hanako" and record["outcome"] == "begun" for record in begun["records"])


def scrub_is_over(person):
    person.go("/jobs/scrub")
    panel = person.driver.find_elements(By.ID, "asked")
    return bool(panel) and "done" in panel[0].find_element(By.XPATH, "..").text


def hanako_asks_and_saburo_agrees(house, hanako, saburo):
    hanako.go("/account")
    hanako.type(minutes="30", reason="night shift <b>alone</b>")
    hanako.press("form[action='/account/break-glass'] button")
    assert "waits for a second person" in hanako.text
    hanako.go("/approvals")
    assert not hanako.driver.find_elements(By.CSS_SELECTOR, "form[action='/approvals/agree']"), "not their own"
    saburo.go("/approvals")
    house.look(saburo, "approvals-waiting-en")
    saburo.press("form[action='/approvals/agree'] button")
    assert "You agreed" in saburo.text
    saburo.go("/people")
    assert "Emergency" in saburo.text


def every_page_is_looked_at(house, people):
    for name, paths in PAGES.items():
        person = people[name]
        for lang in ["ja", "en"]:
            for path in paths:
                person.go(path, lang)
                assert person.driver.find_element(By.TAG_NAME, "html").get_attribute("lang") == lang
                assert person.driver.find_elements(By.TAG_NAME, "nav"), path
                house.look(person, f"{name}{path.replace('/', '-').rstrip('-') or '-overview'}-{lang}")
            for link, page in [("/volumes", "volume"), ("/ledger", "deposit")] if name == "hanako" else []:
                person.go(link, lang)
                target = person.driver.find_element(By.CSS_SELECTOR, "tbody th a").get_attribute("href")
                person.driver.get(target)
                house.look(person, f"{page}-{lang}")
            if name == "hanako":
                narrow_page_needs_no_sideways_scrolling(house, person, lang)


def narrow_page_needs_no_sideways_scrolling(house, person, lang):
    person.driver.set_window_size(400, 800)
    for path in ["/", "/jobs", "/volumes", "/ledger", "/account"]:
        person.go(path, lang)
        width = person.driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        assert width <= 0, f"{path} is {width} pixels too wide"
    house.look(person, f"narrow-account-{lang}")
    person.driver.set_window_size(1280, 900)


def statement_is_a_document(house, person):
    """The statement of applicability, on the screen and as it prints."""
    for lang, title in [("ja", "適用宣言書"), ("en", "Statement of applicability")]:
        person.driver.get(f"{house.url}/applicability/statement?in={lang}")
        assert person.driver.find_element(By.TAG_NAME, "h1").text == title
        family = person.driver.execute_script("return getComputedStyle(document.body).fontSize")
        assert family == "15px", "its own style is let in by the policy"
        if SCREENSHOTS:
            printed = person.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True, "printBackground": False})
            (pathlib.Path(SCREENSHOTS) / f"statement-{lang}.pdf").write_bytes(base64.b64decode(printed["data"]))
        house.look(person, f"statement-{lang}")
    person.go("/")


def test_the_console_is_whole_without_a_script(house):
    first = house.start()
    jiro = Person(house, "jiro", first["jiro"], javascript=False)
    jiro.log_on(jiro.first)
    jiro.first_steps()
    jiro.go("/jobs")
    jiro.press("button[aria-label='Start: forecast']")
    assert "The job was started" in jiro.text
    for path in ["/", "/ledger", "/approvals", "/account"]:
        jiro.go(path)
        assert jiro.driver.find_element(By.TAG_NAME, "h1").is_displayed()
