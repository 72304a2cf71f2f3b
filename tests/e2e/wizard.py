"""The dialogs of Home Assistant that set something up, clicked through."""

from typing import Final

from playwright.async_api import Locator

from .browser import Visitor

_NAME: Final = "JK BMS"
INTEGRATIONS: Final = "/config/integrations/dashboard"
OURS: Final = "/config/integrations/integration/jkbms"


class Wizard:
    """A set-up dialog; pictures are named after the way that is gone."""

    def __init__(self, visitor: Visitor, way: str) -> None:
        """Stand before the page that opens it."""
        self._visitor = visitor
        self._page = visitor.page
        self._way = way

    @property
    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self._page.locator("dialog-data-entry-flow")

    @property
    def surface(self) -> Locator:
        """What is seen of it."""
        return self.dialog.locator("dialog[open]").last

    async def add(self, *, another: bool = False) -> None:
        """Add an integration: search for ours and choose it, not what of it is offered."""
        await self._visitor.open(INTEGRATIONS)
        await self._page.get_by_role("button", name="Add integration").first.click()
        dialog = self._page.locator("dialog-add-integration")
        await dialog.locator("ha-input-search input, search-input input").fill(_NAME)
        found = dialog.locator("ha-integration-list-item").filter(has_text=_NAME)
        await found.wait_for()
        await self.show("Search")
        await found.click()
        if another:
            await self._page.get_by_text("Set up another instance").click()

    async def reach(self, title: str) -> None:
        """Wait until a step is shown, and look at it."""
        await self.dialog.get_by_text(title, exact=True).first.wait_for()
        await self.show(title)

    async def watch(self, text: str) -> None:
        """Look at what is under way."""
        await self.dialog.get_by_text(text).first.wait_for()
        await self._visitor.show(f"{self._way} – {text}", settled=False)

    async def choose(self, option: str) -> None:
        """Choose from a menu."""
        options = self.dialog.locator("step-flow-menu ha-list-item")
        await options.filter(has_text=option).first.click()

    async def type_port(self, path: str) -> None:
        """Enter the path of a serial port that is in no list."""
        port = self.dialog.locator("ha-selector-serial_port")
        await port.locator("ha-picker-field").click()
        await self._page.get_by_text("Enter manually", exact=True).first.click()
        field = port.locator("input")
        # What is typed before the field has drawn itself anew is lost.
        while await field.input_value() != path:
            await field.fill(path)
            await self._visitor.settle()

    async def pick(self, label: str) -> None:
        """Choose one of several, or tick a box."""
        await self.dialog.get_by_text(label, exact=True).first.click()

    async def agree(self) -> None:
        """Flip the switch of a form that has one."""
        await self.dialog.locator("ha-switch").click()

    async def submit(self) -> None:
        """Send the form."""
        await self.dialog.get_by_role("button", name="Submit").click()

    async def finish(self) -> None:
        """Look at what was created, and close the dialog."""
        finish = self.dialog.get_by_role("button", name="Finish").or_(
            self.dialog.get_by_role("button", name="Skip and finish")
        )
        await finish.first.wait_for()
        await self.show("Created")
        await finish.first.click()
        await self.dialog.locator("dialog[open]").wait_for(state="detached")

    async def show(self, what: str) -> None:
        """Take a picture."""
        await self._visitor.show(f"{self._way} – {what}")
