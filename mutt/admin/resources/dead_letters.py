"""/dlq: the dead-letter lists."""

from mutt.admin.access import Scope
from mutt.admin.operation import Call, Operation
from mutt.admin.services.dead_letters import DeadLetters
from mutt.admin.shapes.dead_letters import (
    EditedLetter,
    Letter,
    LetterChoice,
    LetterEdit,
    LetterFilter,
    LetterKey,
    LetterLists,
    LetterOutcome,
    LetterPage,
    LetterReplay,
    ListKey,
)


class DeadLettersResource:
    """``default_limit`` is the size of a page when none is asked for."""

    def __init__(self, dead_letters: DeadLetters, default_limit: int) -> None:
        self._dead_letters = dead_letters
        self._default_limit = default_limit

    def operations(self) -> list[Operation]:
        one = "/dlq/{name}/{letter_id}"
        return [
            Operation("GET", "/dlq", Scope.VIEWER, self.lists, LetterLists),
            Operation("GET", "/dlq/{name}", Scope.VIEWER, self.letters, LetterPage, LetterFilter),
            Operation("GET", one, Scope.VIEWER, self.letter, Letter, LetterKey, problems=(404,)),
            Operation(
                "PUT", one, Scope.OPERATOR, self.edit, EditedLetter, LetterKey, LetterEdit, problems=(404, 409)
            ),
            Operation(
                "POST", "/dlq/{name}/replay", Scope.OPERATOR, self.replay, LetterOutcome, ListKey, LetterReplay
            ),
            Operation(
                "POST", "/dlq/{name}/discard", Scope.OPERATOR, self.discard, LetterOutcome, ListKey, LetterChoice
            ),
        ]  # fmt: skip

    def lists(self, _call: Call) -> LetterLists:
        """The dead-letter lists, with their newest letters grouped by reason."""
        return self._dead_letters.lists()

    def letters(self, call: Call) -> LetterPage:
        """One list, the newest letter first."""
        return self._dead_letters.letters(call.parameters, self._default_limit)

    def letter(self, call: Call) -> Letter:
        """One letter with its whole message."""
        return self._dead_letters.letter(call.parameters.name, call.parameters.letter_id)

    def edit(self, call: Call) -> EditedLetter:
        """Gives a letter another message; it stays in its list, under a new id."""
        author = call.author(call.body.reason)
        return self._dead_letters.edit(call.parameters.name, call.parameters.letter_id, call.body, author)

    def replay(self, call: Call) -> LetterOutcome:
        """Puts letters back where they came from, at once or at a rate."""
        return self._dead_letters.replay(call.parameters.name, call.body, call.author(call.body.reason))

    def discard(self, call: Call) -> LetterOutcome:
        """Removes letters for good; a reason is required."""
        return self._dead_letters.discard(call.parameters.name, call.body, call.author(call.body.reason))
