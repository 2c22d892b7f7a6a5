"""A program that spends a budget, which others spend at the same time."""

from decimal import Decimal
from pathlib import Path
from random import Random

from chatrepl.chat.budgets import Amounts, Cap
from chatrepl.chat.conversation import Conversation
from chatrepl.chat.costs import Completion
from chatrepl.chat.usage import Usage
from chatrepl.errors import BudgetError
from chatrepl.store.budgets import Budgets
from chatrepl.store.counts import CountsRecorder
from chatrepl.store.database import Database


class Spender:
    """Says things until the budget is used up; each costs what was reserved, or less."""

    def __init__(self, file: Path, limit: Decimal) -> None:
        self.database = Database(file, print)
        self.budgets = Budgets(self.database, [Cap("day", limit)])
        self.recorder = CountsRecorder(self.database, print, self.budgets)

    def spend_all(self, chance: Random) -> int:

        done = refused = 0
        while refused < 3:
            most = Decimal(chance.randrange(1, 10**13)) / 10**12
            try:
                self.budgets.reserve(Amounts(1, most), None, Amounts())
            except BudgetError:
                refused += 1
                continue
            self.recorder.spent(Completion("reply", Usage(1), most * chance.choice([0, 1, 1])))
            self.recorder.end(None, Conversation(), (), ())
            done += 1
        self.database.close()
        return done
